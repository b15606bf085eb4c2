"""What holds for every request: how often one may come, what browsers are told, and that nothing escapes."""

from __future__ import annotations

import math

import structlog
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from daemon.store.errors import StoreAway
from daemon.web.limits import POST_COSTS, Bucket, visitor
from daemon.web.pages import POLICY, draw
from daemon.web.views import plain

log = structlog.get_logger()

HEADERS = {
    "Content-Security-Policy": POLICY,
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "X-Robots-Tag": "noindex, nofollow",
}

STRICT_TRANSPORT = "max-age=63072000"
"""Two years of https and nothing else, where the pages are reached that way (RFC 6797)."""


class Guard:
    """Around the whole application. Addresses of pages are secrets, so none is logged."""

    def __init__(self, app: ASGIApp, *, bucket: Bucket, https: bool, tag: str) -> None:
        self._app = app
        self._bucket = bucket
        self._headers = HEADERS | ({"Strict-Transport-Security": STRICT_TRANSPORT} if https else {})
        self._tag = tag

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
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
            await send(message)

        wait = self._bucket.wait(visitor(scope), POST_COSTS if scope["method"] == "POST" else 1.0)
        if wait:
            busy = draw(plain("busy", self._tag, 429), {"Retry-After": str(math.ceil(wait))})
            await busy(scope, receive, guarded)
            return
        try:
            await self._app(scope, receive, guarded)
        except Exception as error:
            if isinstance(error, StoreAway):
                log.warning("an answer page failed", problem=str(error))
            else:
                log.exception("an answer page failed")
            if not begun:
                await draw(plain("broken", self._tag, 503), {"Retry-After": "60"})(scope, receive, guarded)
