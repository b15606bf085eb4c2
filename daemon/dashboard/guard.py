"""Who may see the dashboard and act on it, and what browsers are told.

Without a password whoever reaches the place is the owner, so a request must name this machine: a page of
somebody else's whose name was pointed here (DNS rebinding) does not. With one, it is asked for by HTTP Basic
(RFC 7617). What acts must come from a page of ours, and with the seal of its form.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import ipaddress
import math
import secrets
import time
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from daemon.dashboard.pages import POLICY, refusal
from daemon.store.errors import StoreError
from daemon.web.guard import HEADERS as ANSWER_HEADERS
from daemon.web.limits import Bucket, visitor

log = structlog.get_logger()

HEADERS = ANSWER_HEADERS | {
    "Content-Security-Policy": POLICY,
    # To other sites nothing is told; to itself a browser says where a form comes from.
    "Referrer-Policy": "same-origin",
}

OPEN = frozenset({"/healthz"})
"""What is answered without a password."""

_ASK = {"WWW-Authenticate": 'Basic realm="rebookd", charset="UTF-8"'}


def tries() -> Bucket:
    """How often the addresses may guess."""
    return Bucket(time.monotonic, burst=10.0, per_second=1 / 30)


@dataclass(slots=True)
class Password:
    """The password, and how often an address may guess: ten times, then once in half a minute."""

    word: str
    tries: Bucket = field(default_factory=tries)
    user: str = "Any user name will do"
    """What is said of the user name."""

    def wait(self, scope: Scope) -> float | None:
        """0 for whoever knows it, None for whoever must say it, else the seconds until they may try again."""
        said = _said(Headers(scope=scope).get("authorization", ""))
        if said is None:
            return None
        who = visitor(scope)
        wait = self.tries.wait(who)
        if wait:
            return wait
        if not hmac.compare_digest(_digest(said), _digest(self.word.encode())):
            return None
        self.tries.wait(who, -1.0)  # a right one costs nothing
        return 0.0


class Seals:
    """Signs what a form does, with a key that lives as long as the process."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)

    def of(self, path: str) -> str:
        """The seal of the form that posts there."""
        return hmac.new(self._key, path.encode(), hashlib.sha256).hexdigest()

    def fits(self, path: str, seal: str) -> bool:
        """Whether the form comes from a page of this process."""
        return hmac.compare_digest(self.of(path).encode(), seal.encode())


def is_own(request: Request) -> bool:
    """Whether a request that acts comes from a page of ours, as the browser says."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    _, _, place = request.headers.get("origin", "").partition("://")
    return bool(place) and place == request.headers.get("host", "")


def is_here(host: str) -> bool:
    """Whether a ``Host`` names this machine: ``localhost`` or a loopback address, with any port."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


class Guard:
    """Around the whole application."""

    def __init__(self, app: ASGIApp, *, password: Password | None) -> None:
        self._app = app
        self._password = password

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        begun = False

        async def guarded(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        refused = self._refused(scope)
        try:
            await (refused or self._app)(scope, receive, guarded)
        except StoreError as error:
            log.error("the dashboard cannot read", problem=str(error))  # noqa: TRY400 - it says all
            if not begun:
                await refusal(503, str(error))(scope, receive, guarded)
        except Exception:
            log.exception("a dashboard page failed")
            if not begun:
                await refusal(500, "The log says what it was.")(scope, receive, guarded)

    def _refused(self, scope: Scope) -> ASGIApp | None:
        if self._password is None:
            if is_here(Headers(scope=scope).get("host", "")):
                return None
            return refusal(
                403,
                "Without a password this page only opens under the name localhost or an address such as "
                "127.0.0.1. Open it so, or give the dashboard a password.",
            )
        if scope["path"] in OPEN:
            return None
        wait = self._password.wait(scope)
        if wait is None:
            return refusal(401, f"{self._password.user}; the password is the one under dashboard:.", _ASK)
        if wait:
            again = {"Retry-After": str(math.ceil(wait))}
            return refusal(429, "The password was wrong too often. Wait a minute.", again)
        return None


def user_of(scope: Scope) -> str:
    """The user name that somebody said."""
    said = _both(Headers(scope=scope).get("authorization", "")) or b""
    return said.partition(b":")[0].decode("utf-8", "replace")


def _said(header: str) -> bytes | None:
    """The password that somebody said, with whatever user name."""
    both = _both(header)
    return None if both is None else both.partition(b":")[2]


def _both(header: str) -> bytes | None:
    scheme, _, value = header.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        return base64.b64decode(value.strip(), validate=True)
    except ValueError:
        return None


def _digest(word: bytes) -> bytes:
    return hashlib.sha256(word).digest()
