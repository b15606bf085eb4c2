"""Google Calendar: one account's calendars through the client library, to the depth of the CalDAV connector.

An idle poll is one request for each calendar. Series arrive as they are kept and are expanded here, by
the code that expands CalDAV's, so that the horizon can roll without asking again.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from googleapiclient.http import HttpRequest

from connectors.allowance import CHANGES, WHOLE, allowed
from connectors.base import (
    CalendarInfo,
    ChangeSet,
    Conflict,
    ConnectorError,
    Cursor,
    CursorExpired,
    Known,
    LimitExceeded,
    NewMeeting,
    Rejected,
    Resource,
    TooMuch,
)
from connectors.calendar_list import CalendarList
from connectors.changed import those_that_may_have_changed
from connectors.google_calendars import GoogleCalendars
from connectors.google_client import GoogleClient, Refused
from connectors.google_events import FIELDS, LABELS, Json, instance_of, is_cancelled, is_mine, labels
from connectors.google_resource import Shelf, Whole
from connectors.google_sync import EventLists, Gatherer, Held, Page, read_cursor, write_cursor
from connectors.ical_zones import known_zone
from rules.model import Address, CalendarRef, Interval, Occurrence, Role

RELATED = "rebookd.related"
"""The private extended property that names the meeting another one follows."""

MOST_BUSY = 50
"""Calendars Google tells the busy times of in one answer."""

_CHANGED = "The meeting was changed since it was read."
_GONE = "The meeting is no longer in the calendar."
_SECOND = timedelta(seconds=1)
_BEFORE = timedelta(days=30)
_COLOURS = (("no-show", "11"), ("missed", "11"), ("held", "10"))
_OTHER_COLOUR = "5"
_LONGEST_LABELS = 1000


class GoogleConnector:
    """One Google account's calendars.

    ``calendars`` are ``primary``, names or ids, None for all that can be read; ``home_zone`` (IANA) is
    what all-day events are read in. Not safe to share between threads, nor is its client.
    """

    def __init__(
        self,
        account: str,
        client: GoogleClient,
        *,
        calendars: Sequence[str] | None = None,
        home_zone: str = "UTC",
    ) -> None:
        self.account = account
        self._client = client
        self._lists = EventLists(client)
        self._calendars = GoogleCalendars(account, client, calendars)
        self._listed = CalendarList(self._calendars.read)
        self._home_zone = home_zone
        self._first_pages: dict[str, tuple[str, Page]] = {}
        self._newer: dict[str, tuple[str, str]] = {}

    def calendars(self) -> Sequence[CalendarInfo]:
        """The calendars the configuration chose. Raises ConnectorError, naming one that is not there."""
        return self._listed.current()

    def changed_calendars(self, cursors: dict[CalendarRef, Cursor]) -> frozenset[CalendarRef]:
        """Which calendars changed: one request each, whose answer the poll that follows goes on from."""
        self._first_pages.clear()
        return those_that_may_have_changed(cursors, self._may_have_changed)

    def poll(
        self,
        calendar: CalendarRef,
        window: Interval,
        known: Known,
        progress: Callable[[int, int], None] | None = None,
    ) -> ChangeSet:
        """Changes since the cursor. Raises CursorExpired, and ConnectorError for an answer not whole."""
        token = self._token(calendar.id, known.cursor)
        asked_token, first = self._first_pages.pop(calendar.id, ("", None))
        held = Held(functools.cache(known.etags), known.raw)
        etags = held.etags() if not token else {}
        gatherer = Gatherer(self._lists, self._shelf_of(calendar), window, held)
        with allowed(CHANGES if token else WHOLE):
            try:
                for page in self._lists.pages(
                    calendar.id,
                    token=token,
                    since=None if token else window.start,
                    first=first if token and asked_token == token else None,
                ):
                    gatherer.take(page, etags)
                    if progress is not None and page.next_page:
                        progress(gatherer.found, gatherer.found)
            except Refused as error:
                self._listed.doubt()
                if error.status in {403, 404}:
                    told = f"Google does not show the calendar {calendar.id} any more."
                    raise ConnectorError(told) from error
                raise
            changes = gatherer.changed(calendar.id) if token else gatherer.all(etags, window.start)
        if progress is not None and changes.resources:
            progress(len(changes.resources), len(changes.resources))
        self._calendars.zones[calendar.id] = changes.zone
        return ChangeSet(
            changed=tuple(changes.resources.values()),
            removed=frozenset(changes.removed),
            cancelled=frozenset(changes.cancelled),
            dismissed=frozenset(changes.dismissed),
            kept=frozenset(changes.kept),
            cursor=Cursor(write_cursor(changes.token)),
            full=not token,
        )

    def expand(self, calendar: CalendarRef, resource: Resource, window: Interval) -> Resource:
        """The same resource in another window, without asking the server."""
        try:
            whole, zone = Whole.read(resource.raw)
        except ValueError:
            return resource
        return self._shelf(calendar, zone).resource(resource.href, whole, window, resource.raw)

    def read(self, calendar: CalendarRef, href: str, window: Interval) -> Resource | None:
        """One event with its changed instances as it is now; None when it is gone."""
        whole = self._lists.read(calendar.id, href, window.start)
        return None if whole is None else self._shelf(calendar).resource(href, whole, window)

    def move(self, occurrence: Occurrence, start: datetime, end: datetime) -> Resource:
        """Give the occurrence other times; Google raises SEQUENCE and tells the guests, once.

        The result covers the old and the new time. Raises Conflict when it changed meanwhile, Rejected
        when it is not mine to move.
        """
        whole = self._unchanged(occurrence)
        target = self._target(occurrence, whole)
        if target.get("locked") or not (is_mine(target) or target.get("guestsCanModify")):
            raise Rejected("Google lets only its organiser move this meeting.")
        guests = bool(target.get("attendees"))
        self._patch(
            occurrence,
            target,
            {"start": _when(start, target.get("start")), "end": _when(end, target.get("end"))},
            tell="all" if guests else "none",
        )
        first = min(occurrence.start_utc, start.astimezone(UTC))
        last = max(occurrence.end_utc, end.astimezone(UTC)) + _SECOND
        return self._after(occurrence, Interval(first, last))

    def label(self, occurrence: Occurrence, category: str) -> Resource:
        """Give the occurrence one more category, unless it has it, and a colour, unless it has one.

        It is a private property of this copy, of which nobody is told. The result covers its time. Raises
        Conflict when it changed meanwhile, Rejected when Google refuses.
        """
        calendar = occurrence.key.calendar
        window = Interval(occurrence.start_utc, occurrence.end_utc + _SECOND)
        whole = self._there(occurrence)
        target = self._target(occurrence, whole)
        has = labels(target)
        if category.casefold() in {one.casefold() for one in has}:
            return self._shelf(calendar).resource(occurrence.href, whole, window)
        if not whole.is_as(occurrence.etag):
            raise Conflict(_CHANGED)
        kept = json.dumps([*has, category], ensure_ascii=False)
        if len(kept.encode()) > _LONGEST_LABELS:
            raise Rejected("The meeting has more labels than Google keeps.")
        body: Json = {"extendedProperties": {"private": {LABELS: kept}}}
        if not target.get("colorId"):
            body["colorId"] = _colour(category)
        self._patch(occurrence, target, body, tell="none")
        return self._after(occurrence, window)

    def create(self, calendar: CalendarRef, new: NewMeeting, key: str) -> Resource:
        """Make a meeting, once for each ``key``; Google invites the others. The result covers its time."""
        name = sha256(key.encode()).hexdigest()[:40]  # hexadecimal is within what Google takes: base32hex
        body: Json = {
            "id": name,
            "summary": new.title,
            "start": _when(new.start, {"timeZone": getattr(new.start.tzinfo, "key", "UTC")}),
            "end": _when(new.end, {"timeZone": getattr(new.start.tzinfo, "key", "UTC")}),
            "attendees": [
                {"email": one.address, "displayName": one.name, "optional": one.role is Role.OPTIONAL}
                for one in new.attendees
            ],
        }
        body |= {"location": new.location} if new.location else {}
        body |= {"description": new.words} if new.words else {}
        if new.related:
            body["extendedProperties"] = {"private": {RELATED: new.related}}
        tell = "all" if new.attendees else "none"
        request = self._lists.events.insert(calendarId=calendar.id, body=body, sendUpdates=tell, fields="id")
        try:
            self._client.execute(request)
        except Refused as error:
            if error.status != 409:  # it was made before
                raise
        window = Interval(new.start.astimezone(UTC), new.end.astimezone(UTC) + _SECOND)
        made = self.read(calendar, name, window)
        if made is None:
            raise Rejected("Google took the new meeting, but does not show it.")
        return made

    def free_busy(
        self, addresses: Sequence[Address], window: Interval
    ) -> dict[Address, list[Interval] | None]:
        """When these people are busy in the window; None where that cannot be seen."""
        found: dict[Address, list[Interval] | None] = dict.fromkeys(addresses)
        for first in range(0, len(addresses), MOST_BUSY):
            some = addresses[first : first + MOST_BUSY]
            query = {
                "timeMin": window.start.isoformat(),
                "timeMax": window.end.isoformat(),
                "items": [{"id": address} for address in some],
            }
            answer = self._client.execute(self._client.calendar.freebusy().query(body=query))
            told = answer.get("calendars") or {}
            found.update((address, _busy(told.get(address))) for address in some)
        return found

    def close(self) -> None:
        """Let go of connections."""
        self._client.close()

    def _may_have_changed(self, calendar: str, cursor: Cursor) -> bool:
        token = self._token(calendar, cursor)
        if not token:
            return True
        try:
            page = self._lists.page(calendar, syncToken=token)
        except (CursorExpired, Refused, LimitExceeded, TooMuch):
            return True  # the poll of that calendar will say what is wrong with it
        if page.items or page.next_page or not page.sync_token:
            self._first_pages[calendar] = token, page
            return True
        self._newer[calendar] = cursor.value, page.sync_token
        return False

    def _token(self, calendar: str, cursor: Cursor) -> str:
        """The sync token of a cursor, or the newer one that an idle poll was given since."""
        stored, newer = self._newer.get(calendar, ("", ""))
        return newer if newer and stored == cursor.value else read_cursor(cursor.value)

    def _shelf(self, calendar: CalendarRef, zone: str = "") -> Shelf:
        known = zone or self._calendars.zones.get(calendar.id) or self._home_zone
        return Shelf(calendar, known, self._home_zone)

    def _shelf_of(self, calendar: CalendarRef) -> Callable[[str], Shelf]:
        return functools.partial(self._shelf, calendar)

    def _there(self, occurrence: Occurrence) -> Whole:
        """The occurrence's event as it is now. Raises Conflict when it is gone."""
        since = occurrence.start_utc - _BEFORE
        whole = self._lists.read(occurrence.key.calendar.id, occurrence.href, since)
        if whole is None:
            raise Conflict(_GONE)
        return whole

    def _unchanged(self, occurrence: Occurrence) -> Whole:
        """The same. Raises Conflict when it is not as it was read, too."""
        whole = self._there(occurrence)
        if not whole.is_as(occurrence.etag):
            raise Conflict(_CHANGED)
        return whole

    def _target(self, occurrence: Occurrence, whole: Whole) -> Json:
        """What to write to: the event, or the one instance. Raises Conflict when that is gone."""
        wanted = occurrence.key.recurrence_id
        if whole.event is not None and (wanted is None or not whole.event.get("recurrence")):
            return whole.event
        zone = self._shelf(occurrence.key.calendar).zone
        for instances in (whole.changed.values, functools.partial(self._instances, occurrence)):
            for one in instances():
                if instance_of(one, zone, self._home_zone) == wanted and not is_cancelled(one):
                    return one
        raise Conflict(_GONE)

    def _instances(self, occurrence: Occurrence) -> list[Json]:
        """The instances of its series that overlap it."""
        request = self._lists.events.instances(
            calendarId=occurrence.key.calendar.id,
            eventId=occurrence.href,
            timeMin=(occurrence.start_utc - _SECOND).isoformat(),
            timeMax=(occurrence.end_utc + _SECOND).isoformat(),
            fields=f"items({FIELDS})",
        )
        return list(self._execute(request).get("items") or ())

    def _patch(self, occurrence: Occurrence, target: Json, body: Json, *, tell: str) -> None:
        """Change these fields of the event as it was just read, and have Google tell the guests or not."""
        request = self._lists.events.patch(
            calendarId=occurrence.key.calendar.id,
            eventId=target["id"],
            body=body,
            sendUpdates=tell,
            fields="id",
        )
        request.headers["If-Match"] = target["etag"]
        self._execute(request)

    def _execute(self, request: HttpRequest) -> Json:
        try:
            return self._client.execute(request)
        except Refused as error:
            if error.status == 412:
                raise Conflict(_CHANGED) from error
            if error.status in {404, 410}:
                raise Conflict(_GONE) from error
            raise

    def _after(self, occurrence: Occurrence, window: Interval) -> Resource:
        """The event after it was written."""
        calendar = occurrence.key.calendar
        return self._shelf(calendar).resource(occurrence.href, self._there(occurrence), window)


def _when(at: datetime, before: Json | None) -> Json:
    """A time in the zone that the event has had so far (RFC 3339, with its offset)."""
    zone = (before or {}).get("timeZone")
    if "date" in (before or {}):
        return {"date": at.date().isoformat()}
    if not zone:
        return {"dateTime": at.isoformat()}
    return {"dateTime": at.astimezone(known_zone(zone) or UTC).isoformat(), "timeZone": zone}


def _colour(category: str) -> str:
    """One of Google's eleven colours of events: red for who was missed, green for what was held."""
    word = category.casefold()
    return next((colour for part, colour in _COLOURS if part in word), _OTHER_COLOUR)


def _busy(told: Json | None) -> list[Interval] | None:
    if not told or told.get("errors"):
        return None
    return [
        Interval(*(datetime.fromisoformat(one[name]).astimezone(UTC) for name in ("start", "end")))
        for one in told.get("busy", ())
    ]


__all__ = ["GoogleConnector"]
