"""One call of one method, and the table of those the fake knows."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.support.fake_google.discovery import Method
from tests.support.fake_google.errors import GoogleError, invalid, not_found
from tests.support.fake_google.events import Calendar
from tests.support.fake_google.schema import problems
from tests.support.wire import Answer, Request

if TYPE_CHECKING:
    from tests.support.fake_google.world import FakeGoogle, User

ROLES = ("freeBusyReader", "reader", "writer", "owner")

Handler = Callable[["Call"], Any]
HANDLERS: dict[str, Handler] = {}


def serves(route: str) -> Callable[[Handler], Handler]:
    """Register a handler under Google's name of its method."""

    def keep(handler: Handler) -> Handler:
        HANDLERS[route] = handler
        return handler

    return keep


@dataclass
class Call:
    """An authorised request with typed arguments."""

    google: FakeGoogle
    request: Request
    method: Method
    args: dict[str, Any]
    user: User

    def get(self, name: str, default: Any = None) -> Any:
        """An argument, or the default."""
        return self.args.get(name, default)

    def body(self, required: tuple[str, ...] = ()) -> dict[str, Any]:
        """The JSON body, held to the method's request schema. Raises GoogleError."""
        try:
            found = json.loads(self.request.body or b"{}")
        except ValueError as error:
            raise GoogleError(400, "parseError", "Parse Error") from error
        wrong = problems(found, self.method.request, self.method.api, answer=False)
        if wrong:
            raise GoogleError(400, "invalid", f"Invalid JSON payload received. {wrong[0]}")
        for name in required:
            if found.get(name) is None:
                raise GoogleError(400, "required", f"Missing {name}.", location=name)
        return dict(found)

    def calendar(self, role: str = "freeBusyReader", *, name: str = "calendarId") -> Calendar:
        """The calendar of the path. Raises GoogleError where it is not there or ``role`` is too much."""
        given = self.args[name]
        calendar = self.google.calendars.get(self.user.email if given == "primary" else given)
        held = calendar.roles.get(self.user.email) if calendar else None
        if calendar is None or calendar.gone or held is None:
            raise not_found()
        if ROLES.index(held) < ROLES.index(role):
            message = f"You need to have {role} access to this calendar."
            raise GoogleError(403, "requiredAccessLevel", message)
        return calendar

    def match(self, etag: str) -> Answer | None:
        """If-Match and If-None-Match: 412, or the 304 to give back."""
        wanted = self.request.headers.get("if-match")
        if wanted is not None and wanted not in ("*", etag):
            raise GoogleError(412, location="If-Match", header=True)
        if self.request.headers.get("if-none-match") in ("*", etag):
            return Answer(304, b"", {"ETag": etag})
        return None


def encode(value: dict[str, Any]) -> str:
    """An opaque token."""
    return base64.urlsafe_b64encode(json.dumps(value, sort_keys=True).encode()).decode()


def decode(token: str, location: str) -> dict[str, Any]:
    """What a token holds. Raises GoogleError for one that is none of ours."""
    try:
        return dict(json.loads(base64.urlsafe_b64decode(token)))
    except (ValueError, TypeError) as error:
        word = "sync" if location == "syncToken" else "page"
        raise invalid(location, f"Invalid {word} token value.") from error


def fingerprint(args: dict[str, Any], *without: str) -> str:
    """What must stay the same between the requests of one list."""
    kept = {name: value for name, value in args.items() if name not in without}
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()[:16]
