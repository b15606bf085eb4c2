"""Calendars in memory, for tests, rehearsals and the demo: the same protocol, read by the same code.

A test puts, moves and removes iCalendar texts and scripts faults; the daemon sees a server.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from connectors import ical_make, ical_write
from connectors.base import (
    CalendarInfo,
    Capabilities,
    ChangeSet,
    Conflict,
    ConnectorError,
    Cursor,
    CursorExpired,
    Known,
    NewMeeting,
    NotSupported,
    Resource,
)
from connectors.recurrence import Copy, read_resource
from rules.model import CalendarRef, Interval, Occurrence


@dataclass(slots=True)
class _Calendar:
    """One calendar: href → (etag, text), and which revision last touched each href."""

    info: CalendarInfo
    objects: dict[str, tuple[str, str]] = field(default_factory=dict)
    touched: dict[str, int] = field(default_factory=dict)
    revision: int = 0


class MemoryConnector:
    """One account whose calendars live in this process.

    ``now`` (aware UTC) stamps what :meth:`move` writes. ``schedules`` says what the imagined server
    does about invitations.
    """

    def __init__(
        self,
        account: str,
        *,
        names: Sequence[str] = ("calendar",),
        home_zone: str = "UTC",
        schedules: bool = False,
        now: Callable[[], datetime] = lambda: datetime(2026, 1, 1, tzinfo=UTC),
    ) -> None:
        self.account = account
        self._home_zone = home_zone
        self._now = now
        self._faults: list[ConnectorError] = []
        self._forgotten = 0
        capabilities = Capabilities(schedules=schedules, sync_token=True)
        self._calendars = {
            name: _Calendar(
                CalendarInfo(
                    ref=CalendarRef(account=account, id=f"memory:{account}/{name}"),
                    name=name,
                    capabilities=capabilities,
                )
            )
            for name in names
        }

    # What a test or a story does to the server.

    def put(self, href: str, raw: str, calendar: str | None = None) -> None:
        """Store an iCalendar text, new or in place of the old one."""
        held = self._named(calendar)
        held.revision += 1
        held.objects[href] = (f'"{held.revision}"', raw)
        held.touched[href] = held.revision

    def remove(self, href: str, calendar: str | None = None) -> None:
        """Delete an object."""
        held = self._named(calendar)
        held.revision += 1
        del held.objects[href]
        held.touched[href] = held.revision

    def raw(self, href: str, calendar: str | None = None) -> str:
        """The text of an object as it stands."""
        return self._named(calendar).objects[href][1]

    def fail(self, *errors: ConnectorError) -> None:
        """Raise these, one each, from the next calls that would ask the server."""
        self._faults += errors

    def forget_cursors(self) -> None:
        """Make every cursor given so far expire, as a restored server does."""
        self._forgotten += 1

    # The protocol.

    def calendars(self) -> Sequence[CalendarInfo]:
        """All calendars."""
        self._ask()
        return [held.info for held in self._calendars.values()]

    def changed_calendars(self, cursors: dict[CalendarRef, Cursor]) -> frozenset[CalendarRef]:
        """Those whose revision differs from their cursor's."""
        if any(cursor.value for cursor in cursors.values()):
            self._ask()
        return frozenset(ref for ref, cursor in cursors.items() if cursor != self._cursor(self._by_ref(ref)))

    def poll(
        self,
        calendar: CalendarRef,
        window: Interval,
        known: Known,
        progress: Callable[[int, int], None] | None = None,
    ) -> ChangeSet:
        """Changes since the cursor. Raises CursorExpired and whatever :meth:`fail` was told."""
        self._ask()
        held = self._by_ref(calendar)
        since = self._revision(known.cursor)
        kept: frozenset[str] = frozenset()
        if since is None:
            etags = known.etags()
            kept = frozenset(href for href, (etag, _) in held.objects.items() if etags.get(href) == etag)
            changed = [href for href in held.objects if href not in kept]
        else:
            changed = [href for href in held.objects if held.touched[href] > since]
        resources = []
        for number, href in enumerate(changed, start=1):
            resources.append(self._resource(held, href, window))
            if progress is not None:
                progress(number, len(changed))
        removed = [
            href for href, at in held.touched.items() if href not in held.objects and at > (since or 0)
        ]
        return ChangeSet(
            changed=tuple(resources),
            removed=frozenset() if since is None else frozenset(removed),
            kept=kept,
            cursor=self._cursor(held),
            full=since is None,
        )

    def expand(self, calendar: CalendarRef, resource: Resource, window: Interval) -> Resource:
        """The same resource in another window."""
        return read_resource(resource.raw, self._copy(calendar, resource.href, resource.etag), window)

    def read(self, calendar: CalendarRef, href: str, window: Interval) -> Resource | None:
        """One resource as it is now; None when it is gone."""
        self._ask()
        held = self._by_ref(calendar)
        return self._resource(held, href, window) if href in held.objects else None

    def move(self, occurrence: Occurrence, start: datetime, end: datetime) -> Resource:
        """Give the occurrence other times. Raises Conflict when it changed meanwhile."""
        self._ask()
        held = self._by_ref(occurrence.key.calendar)
        etag, raw = held.objects.get(occurrence.href, ("", ""))
        if not raw or etag != occurrence.etag:
            raise Conflict("The meeting was changed since it was read.")
        moved = ical_write.moved(
            raw, occurrence.key.recurrence_id, start, end, now=self._now(), home_zone=self._home_zone
        )
        self.put(occurrence.href, moved, held.info.name)
        first = min(occurrence.start_utc, start.astimezone(UTC))
        last = max(occurrence.end_utc, end.astimezone(UTC)) + timedelta(seconds=1)
        return self._resource(held, occurrence.href, Interval(first, last))

    def label(self, occurrence: Occurrence, category: str) -> Resource:
        """Give the occurrence one more category. Raises Conflict when it changed meanwhile."""
        self._ask()
        held = self._by_ref(occurrence.key.calendar)
        etag, raw = held.objects.get(occurrence.href, ("", ""))
        if not raw:
            raise Conflict("The meeting is no longer in the calendar.")
        labelled = ical_write.labelled(raw, occurrence.key.recurrence_id, category, home_zone=self._home_zone)
        if labelled is not None:
            if etag != occurrence.etag:
                raise Conflict("The meeting was changed since it was read.")
            if held.info.capabilities.schedules and occurrence.attendees:
                raise NotSupported("The server would tell the other people of it.")
            self.put(occurrence.href, labelled, held.info.name)
        last = occurrence.end_utc + timedelta(seconds=1)
        return self._resource(held, occurrence.href, Interval(occurrence.start_utc, last))

    def create(self, calendar: CalendarRef, new: NewMeeting, key: str) -> Resource:
        """Make a meeting, once for each ``key``. The result covers its time."""
        self._ask()
        held = self._by_ref(calendar)
        uid = ical_make.uid_for(key)
        href = f"/{uid}.ics"
        if href not in held.objects:
            self.put(href, ical_make.new_meeting(new, uid, now=new.made_at), held.info.name)
        return self._resource(held, href, Interval(new.start.astimezone(UTC), new.end.astimezone(UTC)))

    def close(self) -> None:
        """Nothing is held open."""

    def _ask(self) -> None:
        if self._faults:
            raise self._faults.pop(0)

    def _named(self, name: str | None) -> _Calendar:
        return self._calendars[name or next(iter(self._calendars))]

    def _by_ref(self, ref: CalendarRef) -> _Calendar:
        for held in self._calendars.values():
            if held.info.ref == ref:
                return held
        raise ConnectorError(f"There is no calendar {ref.id} in memory.")

    def _cursor(self, held: _Calendar) -> Cursor:
        return Cursor(f"{self._forgotten}:{held.revision}")

    def _revision(self, cursor: Cursor) -> int | None:
        if not cursor.value:
            return None
        era, _, revision = cursor.value.partition(":")
        if era != str(self._forgotten):
            raise CursorExpired("The server no longer knows where we stopped.")
        return int(revision)

    def _copy(self, calendar: CalendarRef, href: str, etag: str) -> Copy:
        return Copy(calendar=calendar, href=href, etag=etag, home_zone=self._home_zone)

    def _resource(self, held: _Calendar, href: str, window: Interval) -> Resource:
        etag, raw = held.objects[href]
        return read_resource(raw, self._copy(held.info.ref, href, etag), window)
