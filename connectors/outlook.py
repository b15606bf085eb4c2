"""Outlook calendars through Microsoft Graph: one mailbox of Microsoft 365 or outlook.com.

An idle poll is one request for each calendar. Exchange expands series and tells the guests of every change
itself. It shows no SEQUENCE: that it raises on its own.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta

from connectors.allowance import CHANGES, WHOLE, allowed
from connectors.base import (
    CalendarInfo,
    Capabilities,
    ChangeSet,
    ConnectorError,
    Cursor,
    CursorExpired,
    Known,
    LimitExceeded,
    NewMeeting,
    Resource,
    TooMuch,
)
from connectors.calendar_list import CalendarList
from connectors.changed import those_that_may_have_changed
from connectors.outlook_busy import free_busy
from connectors.outlook_client import GraphClient, Json
from connectors.outlook_events import Mailbox
from connectors.outlook_replies import HREF, absence
from connectors.outlook_resource import Shelf, Whole
from connectors.outlook_sync import Changes, Gatherer, Held, Page, Position, Rounds, round_of
from connectors.outlook_writes import Writer, gone
from connectors.signed import Refused
from rules.model import Address, CalendarRef, Interval, Occurrence

_SECOND = timedelta(seconds=1)


class OutlookConnector:
    """One mailbox's calendars.

    ``calendars`` are ``primary``, names or ids, None for all that can be read; ``mine`` are the addresses I
    am known by; ``home_zone`` (IANA) is what all-day events are read in. Not safe to share between threads,
    nor is its client.
    """

    def __init__(
        self,
        account: str,
        client: GraphClient,
        *,
        mine: Sequence[Address],
        calendars: Sequence[str] | None = None,
        home_zone: str = "UTC",
    ) -> None:
        self.account = account
        self._client = client
        self._rounds = Rounds(client)
        self._writer = Writer(client)
        self._mine = tuple(mine)
        self._wanted = None if calendars is None else tuple(calendars)
        self._home_zone = home_zone
        self._listed = CalendarList(self._list)
        self._mailboxes: dict[str, Mailbox] = {}
        self._first_pages: dict[str, tuple[str, Page]] = {}
        self._newer: dict[str, tuple[str, Position]] = {}
        self._replies_in = ""
        self._absence: Whole | None = None
        self._sees_replies = False
        self._told_replies: str | None = None
        self._windows: dict[str, Interval] = {}

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
        """Changes since the cursor. Raises CursorExpired, and ConnectorError for an answer not whole.

        Where the window has outgrown that of the round, a new round begins and all is told.
        """
        self._windows[calendar.id] = window
        span = round_of(calendar.id, window)
        position = self._position(calendar.id, known.cursor)
        link = position.link if position is not None and position.until >= span.end else ""
        if position is not None and link:
            span = Interval(position.until - (span.end - span.start), position.until)
        asked_link, first = self._first_pages.pop(calendar.id, ("", None))
        held = Held(functools.cache(known.etags), known.raw)
        gatherer = Gatherer(self._rounds, self._shelf(calendar), window, span, held)
        last: Page | None = None
        with allowed(CHANGES if link else WHOLE):
            try:
                for page in self._rounds.pages(
                    calendar.id,
                    link=link,
                    span=None if link else span,
                    first=first if link and asked_link == link else None,
                ):
                    gatherer.take(page)
                    last = page
                    if progress is not None and page.next_link:
                        progress(gatherer.found, gatherer.found)
                etags = {href: etag for href, etag in held.etags().items() if href != HREF}
                changes = gatherer.changed() if link else gatherer.all(etags)
            except Refused as error:
                self._listed.doubt()
                if error.status in {403, 404}:
                    told = f"Outlook does not show the calendar {calendar.id} any more."
                    raise ConnectorError(told) from error
                raise
            self._add_replies(calendar, changes, held, window)
        if progress is not None and changes.resources:
            progress(len(changes.resources), len(changes.resources))
        now = last.now if last is not None else None
        reached = Position(
            link=last.delta_link if last is not None else "",
            until=span.end,
            ahead=window.end - now if now is not None else None,
        )
        return ChangeSet(
            changed=tuple(changes.resources.values()),
            removed=frozenset(changes.removed),
            kept=frozenset(changes.kept),
            cursor=Cursor(reached.write()),
            full=not link,
        )

    def expand(self, calendar: CalendarRef, resource: Resource, window: Interval) -> Resource:
        """The same resource in another window, as far as its round knew it, without asking the server."""
        try:
            whole = Whole.read(resource.raw)
        except ValueError:
            return resource
        return self._shelf(calendar).resource(resource.href, whole, window, resource.raw)

    def read(self, calendar: CalendarRef, href: str, window: Interval) -> Resource | None:
        """One event as it is now, a series with all its instances; None when it is gone."""
        self._windows[calendar.id] = window
        if href == HREF:
            self._look_at_replies()
            whole = self._absence
        else:
            whole = self._rounds.read(calendar.id, href, round_of(calendar.id, window))
        return None if whole is None else self._shelf(calendar).resource(href, whole, window)

    def move(self, occurrence: Occurrence, start: datetime, end: datetime) -> Resource:
        """Give the occurrence other times; Exchange raises SEQUENCE and tells the guests, once.

        The result covers the old and the new time. Raises Conflict when it changed meanwhile, Rejected
        when it is not mine to move.
        """
        whole, shelf = self._there(occurrence), self._shelf_of(occurrence)
        self._writer.move(occurrence, whole, shelf, Interval(start, end))
        first = min(occurrence.start_utc, start)
        last = max(occurrence.end_utc, end) + _SECOND
        return self._after(occurrence, Interval(first, last))

    def label(self, occurrence: Occurrence, category: str) -> Resource:
        """Give the occurrence one more category, unless it has it. Categories are this mailbox's own.

        The result covers its time. Raises Conflict when it changed meanwhile, Rejected when Graph refuses.
        """
        window = Interval(occurrence.start_utc, occurrence.end_utc + _SECOND)
        whole, shelf = self._there(occurrence), self._shelf_of(occurrence)
        if not self._writer.label(occurrence, whole, shelf, category):
            return shelf.resource(occurrence.href, whole, window)
        return self._after(occurrence, window)

    def propose(
        self,
        occurrence: Occurrence,
        span: Interval,
        *,
        words: str = "",
        decline: bool = False,
        committing: Callable[[], None] = lambda: None,
    ) -> None:
        """Ask the organiser for another time; see :class:`connectors.base.Proposer`.

        Raises Conflict when the meeting is gone.
        """
        answer = "decline" if decline else "tentativelyAccept"
        whole, shelf = self._there(occurrence), self._shelf_of(occurrence)
        self._writer.propose(
            occurrence, whole, shelf, span, words=words, answer=answer, committing=committing
        )

    def create(self, calendar: CalendarRef, new: NewMeeting, key: str) -> Resource:
        """Make a meeting, once for each ``key``; Exchange invites the others. The result covers its time."""
        event = self._writer.create(calendar.id, new, key)
        window = Interval(new.start, new.end + _SECOND)
        return self._shelf(calendar).resource(str(event["id"]), self._rounds.whole(event, window), window)

    def free_busy(
        self, addresses: Sequence[Address], window: Interval
    ) -> dict[Address, list[Interval] | None]:
        """When these people are busy in the window; None where that cannot be seen."""
        return free_busy(self._client, addresses, window)

    def close(self) -> None:
        """Let go of connections."""
        self._client.close()

    def _list(self) -> list[CalendarInfo]:
        """The calendar list, as far as it was chosen, and what the automatic replies say."""
        fields = "id,name,isDefaultCalendar,canEdit,owner"
        entries = [
            one
            for one in self._client.pages("calendars", **{"$select": fields, "$top": "100"})
            if one.get("id")
        ]
        default = next((one for one in entries if one.get("isDefaultCalendar")), None)
        own = _owner(default) if default is not None else Address("")
        self._mailboxes = {one["id"]: self._mailbox(_owner(one), own) for one in entries}
        chosen = {one["id"]: one for one in self._chosen(entries)}
        in_mine = [name for name in chosen if self._mailboxes[name].me is not None]
        default_id = str(default["id"]) if default is not None else ""
        self._replies_in = default_id if default_id in chosen else next(iter(in_mine), "")
        self._look_at_replies()
        return [
            CalendarInfo(
                ref=CalendarRef(account=self.account, id=name),
                name=str(one.get("name") or name),
                capabilities=Capabilities(schedules=True, sync_token=True, writable=bool(one.get("canEdit"))),
            )
            for name, one in chosen.items()
        ]

    def _chosen(self, entries: list[Json]) -> list[Json]:
        if self._wanted is None:
            return entries
        found: list[Json] = []
        for name in self._wanted:
            matching = [one for one in entries if _is_named(one, name)]
            if not matching:
                there = ", ".join(sorted(str(one.get("name")) for one in entries)) or "none"
                raise ConnectorError(f"The Outlook account has no calendar {name!r}; it has: {there}.")
            found += matching
        return found

    def _mailbox(self, owner: Address, own: Address) -> Mailbox:
        """Whose a calendar is; mine may be kept under an address I do not go by."""
        mine: Collection[Address] = self._mine
        is_mine = owner in {own, ""} or owner in mine
        me = (owner if owner in mine else self._mine[0]) if is_mine else None
        return Mailbox(me=me, mine=frozenset(mine), alias=owner)

    def _look_at_replies(self) -> None:
        try:
            self._absence = absence(self._client, self._home_zone) if self._replies_in else None
            self._sees_replies = bool(self._replies_in)
        except Refused:
            self._sees_replies = False

    @property
    def _replies(self) -> str:
        """What the automatic replies say now, in short."""
        return self._absence.etag if self._absence is not None else ""

    def _add_replies(self, calendar: CalendarRef, changes: Changes, held: Held, window: Interval) -> None:
        """Put the absence of the automatic replies among the events of one calendar."""
        before = held.etags().get(HREF)
        if calendar.id != self._replies_in:
            if before is not None:
                changes.removed.add(HREF)
            return
        if not self._sees_replies:
            if before is not None:
                changes.kept.add(HREF)
            return
        self._told_replies = self._replies
        if self._absence is None:
            if before is not None:
                changes.removed.add(HREF)
        elif before == self._absence.etag:
            changes.kept.add(HREF)
        else:
            changes.resources[HREF] = self._shelf(calendar).resource(HREF, self._absence, window)

    def _may_have_changed(self, calendar: str, cursor: Cursor) -> bool:
        position = self._position(calendar, cursor)
        if position is None:
            return True
        try:
            page = self._rounds.page(calendar, position.link)
        except (CursorExpired, Refused, LimitExceeded, TooMuch):
            return True  # the poll of that calendar will say what is wrong with it
        if position.is_due_to_roll(calendar, page.now):
            return True
        replies = calendar == self._replies_in and self._sees_replies and self._told_replies != self._replies
        if page.items or page.next_link or not page.delta_link or replies:
            self._first_pages[calendar] = position.link, page
            return True
        newer = Position(link=page.delta_link, until=position.until, ahead=position.ahead)
        self._newer[calendar] = cursor.value, newer
        return False

    def _position(self, calendar: str, cursor: Cursor) -> Position | None:
        """Where a cursor stands, or further on, where an idle poll came since."""
        stored, newer = self._newer.get(calendar, ("", None))
        return newer if newer is not None and stored == cursor.value else Position.read(cursor.value)

    def _shelf(self, calendar: CalendarRef) -> Shelf:
        if not self._mailboxes:
            self._list()
        mailbox = self._mailboxes.get(calendar.id) or Mailbox(None, frozenset(self._mine), Address(""))
        return Shelf(calendar, mailbox, self._home_zone)

    def _shelf_of(self, occurrence: Occurrence) -> Shelf:
        return self._shelf(occurrence.key.calendar)

    def _there(self, occurrence: Occurrence) -> Whole:
        """The occurrence's event as it is now. Raises Conflict when it is gone."""
        calendar = occurrence.key.calendar.id
        own = Interval(occurrence.start_utc, occurrence.end_utc)
        window = self._windows.get(calendar, own)
        if not window.overlaps(own):
            window = own
        whole = self._rounds.read(calendar, occurrence.href, round_of(calendar, window))
        if whole is None:
            raise gone()
        return whole

    def _after(self, occurrence: Occurrence, window: Interval) -> Resource:
        """The event after it was written."""
        return self._shelf_of(occurrence).resource(occurrence.href, self._there(occurrence), window)


def _owner(calendar: Json) -> Address:
    owner = calendar.get("owner")
    address = owner.get("address") if isinstance(owner, dict) else ""
    return Address(str(address or "").strip().lower())


def _is_named(entry: Json, name: str) -> bool:
    if name == "primary":
        return bool(entry.get("isDefaultCalendar"))
    return name in {entry["id"], entry.get("name")}


__all__ = ["OutlookConnector"]
