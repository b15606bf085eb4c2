"""The shape in which Graph says no, and such errors on demand for ``FakeGraph.fail``."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

from tests.support.faults import Effect
from tests.support.wire import Answer, Request

_CODES = {
    400: "ErrorInvalidRequest",
    401: "InvalidAuthenticationToken",
    403: "ErrorAccessDenied",
    404: "ErrorItemNotFound",
    405: "BadRequest",
    409: "ErrorIrresolvableConflict",
    410: "SyncStateNotFound",
    412: "ErrorIrresolvableConflict",
    429: "ApplicationThrottled",
    500: "ErrorInternalServerError",
    501: "NotImplemented",
    502: "BadGateway",
    503: "ServiceUnavailable",
    504: "GatewayTimeout",
}

_MESSAGES = {
    "InvalidAuthenticationToken": "Lifetime validation failed, the token is expired.",
    "ErrorAccessDenied": "Access is denied. Check credentials and try again.",
    "ErrorItemNotFound": "The specified object was not found in the store.",
    "ErrorIrresolvableConflict": (
        "The send or update operation could not be performed because the change key passed in the request "
        "does not match the current change key for the item."
    ),
    "SyncStateNotFound": "The sync state generation is not found; generation=149;[highest=157][157][155].",
    "ApplicationThrottled": "Application is over its MailboxConcurrency limit.",
    "MailboxConcurrency": "Application is over its MailboxConcurrency limit.",
    "ErrorInternalServerError": "An internal server error occurred. The operation failed.",
    "ServiceUnavailable": "The service is temporarily unavailable. Please retry later.",
    "GatewayTimeout": "The server did not respond in time.",
}

_CHALLENGE = (
    'Bearer realm="", authorization_uri="https://login.microsoftonline.com/common/oauth2/authorize", '
    'client_id="00000003-0000-0000-c000-000000000000"'
)


class GraphError(Exception):
    """One refused request: HTTP status, Graph's code and its message."""

    def __init__(
        self, status: int, code: str = "", message: str = "", headers: dict[str, str] | None = None
    ) -> None:
        self.status = status
        self.code = code or _CODES.get(status, "UnknownError")
        self.message = message or _MESSAGES.get(self.code, "The request is invalid.")
        self.headers = headers or {}
        if status == 401:
            self.headers.setdefault("WWW-Authenticate", _CHALLENGE)
        super().__init__(f"{status} {self.code}: {self.message}")

    def answer(self, now: datetime, number: int) -> Answer:
        """The error on the wire; ``number`` is the request's, from which its id is made."""
        name = request_id(number)
        inner = {"date": now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")}
        inner |= {"request-id": name, "client-request-id": name}
        body = {"error": {"code": self.code, "message": self.message, "innerError": inner}}
        return Answer.of(self.status, body, {"Content-Type": "application/json"} | self.headers)


def request_id(number: int) -> str:
    """What Graph calls a request in its headers and errors."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"request {number}"))


def invalid(message: str, code: str = "ErrorInvalidRequest") -> GraphError:
    """400."""
    return GraphError(400, code, message)


def not_found() -> GraphError:
    """404 for an item."""
    return GraphError(404)


def denied() -> GraphError:
    """403."""
    return GraphError(403)


def error(
    status: int,
    code: str = "",
    message: str = "",
    *,
    retry_after: float | None = None,
    retry_at: timedelta | None = None,
) -> Effect:
    """An error in Graph's own words; Retry-After in seconds, or as the date so far ahead."""

    def refuse(request: Request, now: datetime) -> GraphError:
        headers = {}
        if retry_after is not None:
            headers["Retry-After"] = f"{retry_after:g}"
        if retry_at is not None:
            headers["Retry-After"] = format_datetime(now.astimezone(UTC) + retry_at, usegmt=True)
        return GraphError(status, code, message, headers)

    return Effect(refuse=refuse)


def expired_token(status: int = 410, code: str = "SyncStateNotFound") -> Effect:
    """The round of changes cannot go on: 410, which has been seen as 400 too."""
    return error(status, code)


def repeated_page() -> Effect:
    """The page of a round names itself as the next one."""

    def prepare(request: Request) -> None:
        request.repeat_page = True

    return Effect(prepare=prepare)
