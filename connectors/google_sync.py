"""What changed in one Google calendar: pages of events.list, gathered into whole events.

The first list begins at the window's start and asks for deleted events, too, since a sync token wants
the same question every time, and only so Google keeps the details that tell who removed an event.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from connectors.base import CursorExpired, LimitExceeded, Resource, Retryable
from connectors.google_client import GoogleClient, Refused
from connectors.google_events import FIELDS, Json, is_cancelled, is_dismissed
from connectors.google_resource import YEARS, Shelf, Whole
from rules.model import Interval

PAGE = 2500
SIZES = (PAGE, 250, 25)
"""Events on a page; the next where a page was larger than we accept."""

MAX_PAGES = 4000
_PAGE_FIELDS = f"kind,timeZone,nextPageToken,nextSyncToken,items({FIELDS})"


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list of events."""

    items: list[Json]
    zone: str
    next_page: str
    sync_token: str


class EventLists:
    """The lists of events, asked through one client."""

    def __init__(self, client: GoogleClient) -> None:
        self._client = client
        self._events: Any = None

    @property
    def events(self) -> Any:
        """The library's collection of events, built once: that takes some milliseconds."""
        if self._events is None:
            self._events = self._client.calendar.events()
        return self._events

    def pages(
        self, calendar: str, *, token: str = "", since: datetime | None = None, first: Page | None = None
    ) -> Iterator[Page]:
        """All pages of what changed since ``token``, or of all that ended after ``since``.

        ``first`` is the first of them, where it was read already. Raises CursorExpired when Google has
        forgotten the token or the page, LimitExceeded, and Retryable for a list that leads nowhere.
        """
        asked: dict[str, Any] = {"syncToken": token} if token else {}
        if since is not None:
            asked["timeMin"] = since.isoformat()
        size, seen = SIZES[0], set[str]()
        page = first
        while len(seen) < MAX_PAGES:
            while page is None:
                try:
                    page = self.page(calendar, size, **asked)
                except LimitExceeded:
                    if size == SIZES[-1]:
                        raise
                    size = SIZES[SIZES.index(size) + 1]
            yield page
            if not page.next_page:
                if not page.sync_token:
                    break
                return
            if page.next_page in seen:
                break
            seen.add(page.next_page)
            asked["pageToken"] = page.next_page
            page = None
        raise Retryable("Google sent only part of the calendar; nothing of it was used.")

    def page(self, calendar: str, size: int = PAGE, **asked: Any) -> Page:
        """One page. Raises CursorExpired as :meth:`pages` does."""
        request = self.events.list(
            calendarId=calendar, maxResults=size, showDeleted=True, fields=_PAGE_FIELDS, **asked
        )
        try:
            answer = self._client.execute(request)
        except Refused as error:
            tokened = "syncToken" in asked or "pageToken" in asked
            if error.status == 410 or (error.status == 400 and tokened):
                raise CursorExpired("Google no longer knows where we stopped.") from error
            raise
        items = answer.get("items", [])
        if answer.get("kind") != "calendar#events" or not isinstance(items, list):
            raise Retryable("Google sent something else than events; nothing of it was used.")
        return Page(
            items=[one for one in items if isinstance(one, dict) and isinstance(one.get("id"), str)],
            zone=str(answer.get("timeZone") or ""),
            next_page=str(answer.get("nextPageToken") or ""),
            sync_token=str(answer.get("nextSyncToken") or ""),
        )

    def read(self, calendar: str, href: str, since: datetime) -> Whole | None:
        """An event as it is now, with its changed instances; None when it is gone.

        Cancelled instances are those of the years after ``since``.
        """
        try:
            event = self._client.execute(self.events.get(calendarId=calendar, eventId=href, fields=FIELDS))
        except Refused as error:
            if error.status in {404, 410}:
                return None
            raise
        if is_cancelled(event):
            return None
        if "recurringEventId" in event:
            return Whole(None, {href: event})
        whole = Whole(event)
        if event.get("recurrence"):
            # That a UID finds what is cancelled, too, Google does not say; it has another list for that.
            whole.changed = self._cancelled_instances(calendar, href, since)
            whole.changed |= self._changed_instances(calendar, event)
        return whole

    def _cancelled_instances(self, calendar: str, href: str, since: datetime) -> dict[str, Json]:
        request = self.events.instances(
            calendarId=calendar,
            eventId=href,
            showDeleted=True,
            timeMin=since.isoformat(),
            timeMax=(since + YEARS).isoformat(),
            maxResults=PAGE,
            fields=f"items({FIELDS})",
        )
        try:
            items = self._client.execute(request).get("items") or ()
        except Refused as error:
            if error.status in {404, 410}:
                return {}
            raise
        return {one["id"]: one for one in items if is_cancelled(one)}

    def _changed_instances(self, calendar: str, event: Json) -> dict[str, Json]:
        """Those of a series, by its UID: the only list that names them without expanding the series."""
        found: dict[str, Json] = {}
        asked: dict[str, Any] = {}
        for _ in range(MAX_PAGES):
            page = self.page(calendar, iCalUID=event.get("iCalUID"), **asked)
            for one in page.items:
                if one.get("recurringEventId") == event["id"]:
                    found[one["id"]] = one
            if not page.next_page or page.next_page == asked.get("pageToken"):
                break
            asked["pageToken"] = page.next_page
        return found


@dataclass(slots=True)
class Changes:
    """What one sync found."""

    resources: dict[str, Resource] = field(default_factory=dict)
    removed: set[str] = field(default_factory=set)
    cancelled: set[str] = field(default_factory=set)
    dismissed: set[str] = field(default_factory=set)
    kept: set[str] = field(default_factory=set)
    token: str = ""
    zone: str = ""


@dataclass(slots=True)
class Held:
    """What is stored of the calendar: each href's etag, and the text of one."""

    etags: Callable[[], dict[str, str]]
    raw: Callable[[str], str | None]

    def whole(self, href: str) -> Whole | None:
        """A stored event; None when it is not stored or not readable."""
        raw = self.raw(href)
        try:
            return Whole.read(raw)[0] if raw else None
        except ValueError:
            return None


class Gatherer:
    """Takes the items of all pages and makes whole events of them.

    Most are single events, made at once; a series waits for its changed instances.
    """

    def __init__(
        self, lists: EventLists, shelf: Callable[[str], Shelf], window: Interval, held: Held
    ) -> None:
        self._lists, self._shelf_of, self._window, self._held = lists, shelf, window, held
        self._shelf = shelf("")
        self._series: dict[str, Json] = {}
        self._instances: dict[str, dict[str, Json]] = {}
        self._tombs: dict[str, Json] = {}
        self.changes = Changes()

    @property
    def found(self) -> int:
        """How many resources there are so far."""
        return len(self.changes.resources) + len(self.changes.kept) + len(self._series)

    def take(self, page: Page, etags: dict[str, str]) -> None:
        """Sort the items of a page in; those whose etag is in ``etags`` are kept as they are."""
        if page.zone and page.zone != self._shelf.zone:
            self._shelf = self._shelf_of(page.zone)
        self.changes.token = page.sync_token
        self.changes.zone = self._shelf.zone
        for item in page.items:
            href = item["id"]
            if "recurringEventId" in item:
                self._instances.setdefault(str(item["recurringEventId"]), {})[href] = item
                continue
            # A page may correct what an earlier one said of the same event.
            self.changes.resources.pop(href, None)
            self.changes.kept.discard(href)
            self._series.pop(href, None)
            self._tombs.pop(href, None)
            if is_cancelled(item):
                self._tombs[href] = item
            elif item.get("recurrence"):
                self._series[href] = item
            else:
                self._keep(href, Whole(item), etags)

    def all(self, etags: dict[str, str], since: datetime) -> Changes:
        """The whole calendar, apart from what had ended by ``since``, which is kept where it is known."""
        for href, event in self._series.items():
            self._keep(href, Whole(event, self._instances.pop(href, {})), etags)
        for instances in self._instances.values():
            self._alone(instances, etags)
        self._bury()
        there = self.changes.resources.keys() | self.changes.kept
        for href in etags.keys() - there - self._tombs.keys():
            raw = self._held.raw(href)
            if raw and self._shelf.is_over(raw, since):
                self.changes.kept.add(href)
        self.changes.removed.clear()
        return self.changes

    def changed(self, calendar: str) -> Changes:
        """What is new, changed and gone, each changed instance put into its series."""
        for href, event in self._series.items():
            self._renew(calendar, href, event, self._instances.pop(href, {}))
        for href, instances in self._instances.items():
            if href in self._tombs:
                self._alone(instances, {})
                continue
            held = self._held.whole(href)
            if held is None and href in self._held.etags():
                held = self._lists.read(calendar, href, self._window.start)
            if held is None or held.event is None:
                self._alone(instances, {})
            else:
                self._keep(href, Whole(held.event, held.changed | instances), {})
        self._bury()
        return self.changes

    def _renew(self, calendar: str, href: str, event: Json, instances: dict[str, Json]) -> None:
        """A series that is new or changed. When its rhythm changed, Google may have dropped instances."""
        held = self._held.whole(href)
        if held is None or held.event is None:
            known = self._held.etags()
            if href in known:
                self._read_again(calendar, href, event, instances)
                return
            # Instances I was invited to alone belong to the series now that I am invited to all of it. Their
            # names begin as that of the series does, up to a mark of where it was split off another.
            root = href.partition("_")[0]
            for name in [name for name in known if name.startswith(f"{root}_") and name != href]:
                alone = self._held.whole(name)
                if alone is not None and alone.event is None and _belongs(alone, href):
                    instances = alone.changed | instances
                    self.changes.removed.add(name)
                    self.changes.dismissed.add(name)
            self._keep(href, Whole(event, instances), {})
        elif held.changed and any(held.event.get(one) != event.get(one) for one in ("start", "recurrence")):
            self._read_again(calendar, href, event, instances)
        else:
            self._keep(href, Whole(event, held.changed | instances), {})

    def _read_again(self, calendar: str, href: str, event: Json, instances: dict[str, Json]) -> None:
        now = self._lists.read(calendar, href, self._window.start)
        self._keep(href, now if now is not None else Whole(event, instances), {})

    def _alone(self, instances: dict[str, Json], etags: dict[str, str]) -> None:
        """Instances whose series is not in the calendar."""
        for href, one in instances.items():
            if is_cancelled(one):
                self._tombs[href] = one
            else:
                self._keep(href, Whole(None, {href: one}), etags)

    def _bury(self) -> None:
        for href, tomb in self._tombs.items():
            self.changes.removed.add(href)
            if is_dismissed(tomb):
                self.changes.dismissed.add(href)
            elif "start" not in tomb:
                self.changes.cancelled.add(href)

    def _keep(self, href: str, whole: Whole, etags: dict[str, str]) -> None:
        if etags and etags.get(href) == whole.etag:
            self.changes.kept.add(href)
        else:
            self.changes.resources[href] = self._shelf.resource(href, whole, self._window)


def _belongs(alone: Whole, series: str) -> bool:
    return all(one.get("recurringEventId") == series for one in alone.changed.values())


def write_cursor(token: str) -> str:
    """The cursor that holds a sync token; it ends with the question, which must not change."""
    return json.dumps([_QUESTION, token])


def read_cursor(cursor: str) -> str:
    """The sync token of a cursor; empty for none, and for one of another version's question."""
    try:
        question, token = json.loads(cursor or "[]")
    except (ValueError, TypeError):
        return ""
    return str(token) if question == _QUESTION else ""


_QUESTION = 1
"""Raise it whenever what :meth:`EventLists.page` asks for changes."""


__all__ = ["Changes", "EventLists", "Gatherer", "Held", "Page", "read_cursor", "write_cursor"]
