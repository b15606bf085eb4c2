"""Google's client library behind the guarded session: Calendar v3, Gmail v1 and Meet v2.

The library builds requests and reads answers from its bundled description of each API; what goes over
the wire is ours: one deadline, one size limit, pinned hosts, and errors named by the next move.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

import requests
from googleapiclient.discovery import build_from_document
from googleapiclient.discovery_cache import get_static_doc
from googleapiclient.errors import Error
from googleapiclient.http import HttpRequest

from connectors.base import (
    ConnectorError,
    NeedsLogin,
    NotSupported,
    Retryable,
    Tokens,
    Uncertain,
)
from connectors.http import READS, Limits, raise_for, retry_after
from connectors.pace import Pace
from connectors.signed import Refused, SignedOut, SignedSession, in_few_words, is_page, json_of, whole_letters

PAUSE = 10.0
"""Seconds without requests after Google asked to slow down without saying for how long."""

BREAKER = 3600.0
"""Seconds without writes after a quota on them was used up."""

BURST = 40
PER_MINUTE = 540
"""With the burst under Google's 600 requests a minute for each user and project."""

_GOOGLE = "https://www.googleapis.com"
_TOO_FAST = frozenset({"rateLimitExceeded", "userRateLimitExceeded", "RATE_LIMIT_EXCEEDED"})
_USED_UP = frozenset({"quotaExceeded", "dailyLimitExceeded", "limitExceeded", "variableTermLimitExceeded"})
_NO_SCOPE = frozenset({"insufficientPermissions", "ACCESS_TOKEN_SCOPE_INSUFFICIENT"})
_SWITCHED_OFF = frozenset({"accessNotConfigured", "SERVICE_DISABLED"})
_AGENT = "rebookd (gzip)"
"""Google compresses only for programs that say so in their name, too."""

_READING_POSTS = ("/freeBusy", "/batch")


def google_pace(
    *, monotonic: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep
) -> Pace:
    """The pace of one account's requests."""
    return Pace("Google", burst=BURST, per_minute=PER_MINUTE, monotonic=monotonic, sleep=sleep)


class MissingScope(NeedsLogin):
    """The sign-in does not cover what was asked for."""


class GoogleClient:
    """One thread's way to Google for one account.

    ``endpoint`` replaces the root of all three APIs, batch requests included; without it, or with
    Google's usual one, each is asked at its own. ``pace`` is shared by all clients of the account. Not
    safe to share between threads.
    """

    def __init__(
        self,
        tokens: Tokens,
        endpoint: str = "",
        *,
        account: str = "",
        pace: Pace | None = None,
        limits: Limits | None = None,
        private_network: bool = False,
    ) -> None:
        self.account = account
        self._root = "" if endpoint.rstrip("/") in {"", _GOOGLE} else endpoint.rstrip("/") + "/"
        self._session = SignedSession(
            "Google",
            tokens,
            self._root or _GOOGLE,
            pace=pace or google_pace(),
            judge=self._judge,
            limits=limits,
            agent=_AGENT,
            private_network=private_network,
        )
        self._http = _Http(self._session)

    @cached_property
    def calendar(self) -> Any:
        """Calendar v3, as the library offers it."""
        return self._build("calendar", "v3")

    @cached_property
    def gmail(self) -> Any:
        """Gmail v1."""
        return self._build("gmail", "v1")

    @cached_property
    def meet(self) -> Any:
        """Meet v2."""
        return self._build("meet", "v2")

    def execute(self, request: HttpRequest) -> dict[str, Any]:
        """The answer to one of the library's requests.

        Raises :class:`Refused` for what Google says no to, NeedsLogin, Retryable, LimitExceeded, and
        ConnectorError for an answer that is none.
        """
        try:
            answer = request.execute(http=self._http)
        except (ValueError, RecursionError, Error) as error:
            raise _not_whole() from error
        if answer is None or answer == "":
            return {}
        if not isinstance(answer, dict):
            raise _not_whole()
        return answer

    def hand_over(self, request: HttpRequest, committing: Callable[[], None]) -> dict[str, Any]:
        """The answer to a request that must not be made twice.

        Calls ``committing`` once, just before the body leaves; an error it raises stops the request there
        and comes back unchanged. Raises Uncertain when nobody knows whether it was done; every other
        error means that it was not.
        """
        body = (request.body or "").encode()
        found = json_of(self._session.hand_over(request.uri, body, request.headers, committing))
        if found is None:
            raise Uncertain("Google's answer is not whole; it may have been done or not.")
        return found

    def close(self) -> None:
        """Let go of connections."""
        self._session.close()

    def _build(self, name: str, version: str) -> Any:
        document = json.loads(get_static_doc(name, version))
        if self._root:
            document["rootUrl"] = self._root
            document["baseUrl"] = self._root + document["servicePath"]
            document.pop("mtlsRootUrl", None)
        self._session.allow(document["rootUrl"])
        return build_from_document(document, http=self._http)

    def _judge(self, response: requests.Response) -> None:
        """Raise the error that an answer means, if it means one."""
        status = response.status_code
        host = urlsplit(response.url).hostname
        if status < 300:
            if is_page(response):
                raise ConnectorError(
                    f"{host} answered with a web page, not data; check the endpoint and the sign-in."
                )
            return
        if status >= 500:
            raise_for(response)
        reasons, message = _said(response)
        wait = retry_after(response.headers)
        sign_in = f"run: rebookd auth {self.account}".rstrip()
        if status == 401:
            raise SignedOut(f"Google no longer accepts the sign-in; {sign_in}")
        if status == 429 or (status == 403 and reasons & _TOO_FAST):
            self._session.pace.pause(PAUSE if wait is None else wait)
            raise Retryable(f"Google asks us to slow down (HTTP {status}).", wait)
        if status == 403 and reasons & _USED_UP:
            wait = max(wait or 0.0, BREAKER)
            if _writes(response.request.method or "", response.url):
                self._session.pace.pause_writes(wait)
            raise Retryable("Google's quota for this is used up for now; it was not done.", wait)
        if status == 403 and reasons & _NO_SCOPE:
            raise MissingScope(f"The sign-in does not cover this; {sign_in}")
        if status == 403 and reasons & _SWITCHED_OFF:
            raise NotSupported(
                f"This API is not switched on in the Google Cloud project: {message or 'see its console'}"
            )
        said = f" {message}" if message else ""
        raise Refused(f"Google refused this (HTTP {status}).{said}", status, reasons)


class _Answer(dict[str, str]):
    """The headers of an answer with its status, in the shape that httplib2 gives them."""

    status = 200


class _Http:
    """The face of httplib2 that the library wants, over the guarded session."""

    def __init__(self, session: SignedSession) -> None:
        self._session = session

    def request(
        self,
        uri: str,
        method: str = "GET",
        body: str | bytes | None = None,
        headers: dict[str, str] | None = None,
        **_: object,
    ) -> tuple[_Answer, bytes]:
        """One answer of status 2xx. Raises ConnectorError."""
        response = self._session.request(method, uri, data=body, headers=headers, write=_writes(method, uri))
        answer = _Answer({name.lower(): value for name, value in response.headers.items()})
        answer.status = response.status_code
        return answer, whole_letters(response.content)

    def close(self) -> None:
        self._session.close()


def _writes(method: str, url: str) -> bool:
    path = urlsplit(url).path
    return method.upper() not in READS and not any(part in path for part in _READING_POSTS)


def _said(response: requests.Response) -> tuple[frozenset[str], str]:
    """Google's words for the reason of a refusal, and its sentence, cut short."""
    try:
        error = json.loads(response.content)["error"]
        items = [*error.get("errors", ()), *error.get("details", ())]
        reasons = {str(item["reason"]) for item in items if "reason" in item}
        message = in_few_words(error.get("message"))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return frozenset(), ""
    return frozenset(reasons), message


def _not_whole() -> Retryable:
    return Retryable("Google sent an answer that is not whole; nothing of it was used.")


__all__ = ["GoogleClient", "MissingScope", "Refused", "google_pace"]
