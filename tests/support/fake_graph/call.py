"""One call of one method, and the table of those the fake knows."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.support.fake_graph.events import Calendar, Item
from tests.support.fake_graph.graph_errors import GraphError, denied, invalid, not_found
from tests.support.fake_graph.times import known
from tests.support.grants import Grant
from tests.support.wire import Answer, Request

if TYPE_CHECKING:
    from tests.support.fake_graph.world import FakeGraph, User

Json = dict[str, Any]
Handler = Callable[["Call"], Any]


@dataclass(frozen=True)
class Method:
    """One method: its name, its path below a mailbox, and one of which scopes it needs.

    ``items`` says that its answer depends on ``Prefer: IdType``; ``shared`` that others' mailboxes may be
    asked. ``odata`` are the system query options it takes.
    """

    route: str
    verb: str
    pattern: re.Pattern[str]
    scopes: tuple[str, ...]
    handler: Handler
    items: bool
    shared: bool
    odata: frozenset[str]


METHODS: list[Method] = []


def serves(
    route: str,
    verb: str,
    path: str,
    *scopes: str,
    items: bool = True,
    shared: bool = False,
    odata: tuple[str, ...] = (),
) -> Callable[[Handler], Handler]:
    """Register a handler; ``{name}`` in the path is one of its arguments."""
    pattern = re.compile(re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", re.escape(path)), re.IGNORECASE)

    def keep(handler: Handler) -> Handler:
        METHODS.append(Method(route, verb, pattern, scopes, handler, items, shared, frozenset(odata)))
        return handler

    return keep


@dataclass
class Call:
    """An authorised request; ``user`` is whose mailbox it asks, ``base`` how the request called it."""

    graph: FakeGraph
    request: Request
    method: Method
    args: dict[str, str]
    user: User
    grant: Grant
    base: str

    @property
    def zone(self) -> str:
        """The zone in which times are wanted. Raises GraphError for one that is not known."""
        name = self.prefers("outlook.timezone") or "UTC"
        known(name)
        return name

    def prefers(self, name: str) -> str | None:
        """A preference of the request."""
        found = re.search(rf'(?i){re.escape(name)}\s*=\s*"?([^",;]+)', self.request.headers.get("prefer", ""))
        return found[1].strip() if found else None

    def option(self, name: str) -> str | None:
        """A query option; Graph takes them without the dollar sign too, and in any case."""
        wanted = name.lower().removeprefix("$")
        for key, values in self.request.query.items():
            if key.lower().removeprefix("$") == wanted:
                return values[0]
        return None

    def number(self, name: str, usual: int, most: int) -> int:
        """A query option that counts. Raises GraphError."""
        text = self.option(name)
        if text is None:
            return usual
        if not text.isdecimal() or (name == "$top" and not 1 <= int(text) <= most):
            message = f"Invalid value '{text}' for {name} query option found."
            raise invalid(f"The query specified in the URI is not valid. {message}", "BadRequest")
        return int(text)

    def body(self) -> Json:
        """The JSON body. Raises GraphError."""
        if not self.request.headers.get("content-type", "").lower().startswith("application/json"):
            raise GraphError(415, "UnsupportedMediaType", "A missing or empty content type header was found.")
        try:
            found = json.loads(self.request.body or b"{}")
        except ValueError as error:
            raise invalid("Unable to read JSON request payload.", "BadRequest") from error
        if not isinstance(found, dict):
            raise invalid("Unable to read JSON request payload.", "BadRequest")
        return found

    def calendar(self) -> Calendar:
        """The calendar of the path. Raises GraphError where it is not there or not theirs to see."""
        found = self.graph.calendars.get(self.args.get("calendar", self.user.primary.id))
        if found is None or found.owner is not self.user:
            raise not_found()
        self.admit(found, write=self.request.method != "GET")
        return found

    def admit(self, calendar: Calendar, *, write: bool) -> None:
        """Let pass who may. Raises GraphError."""
        if self.grant.app or self.grant.user.lower() in calendar.owner.addresses:
            return
        role = calendar.shared.get(self.grant.user.lower())
        if role is None or (write and role != "write"):
            raise denied()

    def event(self) -> Item:
        """The event of the path, in this mailbox. Raises GraphError."""
        for calendar in [self.calendar()] if "calendar" in self.args else self.user.calendars:
            found = calendar.find(self.args["event"])
            if found is not None:
                self.admit(calendar, write=self.request.method != "GET")
                return found
        raise not_found()

    def match(self, item: Item) -> None:
        """If-Match. Raises GraphError where the item is another by now."""
        wanted = self.request.headers.get("if-match")
        if wanted is not None and wanted not in ("*", item.etag):
            raise GraphError(412)

    def context(self, name: str) -> str:
        """The ``@odata.context`` of an answer."""
        return f"{self.graph.root}/$metadata#users('{self.user.id}')/{name}"

    def paged(self, rows: list[Json], usual: int, most: int, context: str) -> Answer:
        """A page of a list, with the link of the next one."""
        skip, top = self.number("$skip", 0, 1 << 31), self.number("$top", usual, most)
        made: Json = {"@odata.context": self.context(context), "value": rows[skip : skip + top]}
        if skip + top < len(rows):
            made["@odata.nextLink"] = self.next_link(skip + top)
        return Answer.of(200, made)

    def next_link(self, skip: int) -> str:
        """The same request further on."""
        from urllib.parse import quote, urlencode

        kept = {name: v[0] for name, v in self.request.query.items() if name.lower() not in ("$skip", "skip")}
        query = urlencode(kept | {"$skip": skip}, quote_via=quote, safe="$,:")
        return f"{self.graph.root.removesuffix('/v1.0')}{self.request.path}?{query}"
