"""A snapshot with the indexes that detectors need."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from functools import cached_property

from rules.attendance import attendance_of, is_away
from rules.hours import zone
from rules.knots import Knot, knots
from rules.model import (
    Account,
    Address,
    Attendance,
    CalendarRef,
    Identity,
    Interval,
    Occurrence,
    Owner,
    PartStat,
    Snapshot,
    Status,
    Timing,
)
from rules.people import acknowledged, my_answer, reconciled, required_people


class View:
    """What one evaluation sees, each copy of a meeting reconciled with the others."""

    def __init__(self, snapshot: Snapshot, now: datetime) -> None:
        self.snapshot = snapshot
        self.now = now
        self.owner: Owner = snapshot.owner
        self._knots: dict[timedelta, dict[Identity, Knot]] = {}
        copies: dict[Identity, dict[object, Occurrence]] = defaultdict(dict)
        for one in (*snapshot.context, *snapshot.subjects):
            copies[one.identity][one.key] = one
        self._copies: dict[Identity, tuple[Occurrence, ...]] = {}
        for identity, found in copies.items():
            # What vanished from one calendar and still lies in another has not vanished.
            there = [one for one in found.values() if one.removed_at is None] or list(found.values())
            group = tuple(sorted(there, key=lambda one: one.key))
            if len(group) > 1:
                group = tuple(reconciled(one, group) for one in group)
            if words := snapshot.acknowledgements.get(str(identity)):
                group = tuple(acknowledged(one, words) for one in group)
            self._copies[identity] = group

    @property
    def subjects(self) -> list[Occurrence]:
        """The occurrences to judge, each once, in a fixed order."""
        wanted = {one.key for one in self.snapshot.subjects}
        found = [one for group in self._copies.values() for one in group if one.key in wanted]
        return sorted(found, key=lambda one: one.key)

    def account(self, occurrence: Occurrence) -> Account:
        """The account whose calendar holds it."""
        return self.snapshot.accounts[occurrence.key.calendar.account]

    def calendar_names(self, occurrence: Occurrence) -> tuple[str, ...]:
        """The names the calendar goes by: what it is called, else its id."""
        return self.names_of(occurrence.key.calendar)

    def names_of(self, ref: CalendarRef) -> tuple[str, ...]:
        """The names a calendar goes by."""
        calendar = self.snapshot.calendars.get(ref)
        return (calendar.name, ref.id) if calendar else (ref.id,)

    def said(self, at: datetime) -> str:
        """An instant as the owner's clock and calendar show it, for a reason they read."""
        return f"{at.astimezone(zone(self.owner.zone)):%a %Y-%m-%d %H:%M}"

    def copies(self, identity: Identity) -> tuple[Occurrence, ...]:
        """Every copy of one meeting, in a fixed order."""
        return self._copies.get(identity, ())

    def meetings(self) -> Iterator[Occurrence]:
        """One copy of every meeting in sight."""
        for group in self._copies.values():
            yield group[0]

    def knots(self, travel: timedelta) -> dict[Identity, Knot]:
        """The knot of clashing meetings each meeting that takes my time belongs to.

        Meetings at different places clash when there is less than ``travel`` between them.
        """
        if travel not in self._knots:
            self._knots[travel] = knots((one for one in self.meetings() if self.blocks(one)), travel)
        return self._knots[travel]

    @cached_property
    def away(self) -> tuple[tuple[Interval, Occurrence], ...]:
        """When I am out of office, in order of time, each with the event that says so.

        What somebody else organises tells of their absence, not of mine.
        """
        found = [
            (Interval(one.start_utc, one.end_utc), one)
            for one in self.meetings()
            if is_away(one, self.owner.marks)
            and not self.is_cancelled(one)
            and (one.organizer is None or one.organizer in self.owner.addresses)
        ]
        return tuple(sorted(found, key=lambda pair: (pair[0].start, pair[0].end, pair[1].key)))

    @cached_property
    def with_person(self) -> dict[Address, tuple[Occurrence, ...]]:
        """The meetings each person is needed in, one copy each, in order of time."""
        found: dict[Address, list[Occurrence]] = defaultdict(list)
        for one in sorted(self.meetings(), key=lambda one: (one.start_utc, one.key)):
            for address in self.people(one):
                found[address].append(one)
        return {address: tuple(some) for address, some in found.items()}

    def have_told(self, occurrence: Occurrence, people: Iterable[Address]) -> bool:
        """Whether all of these answered beside the calendar, to the time it has now."""
        words = self.snapshot.acknowledgements.get(str(occurrence.identity), ())
        told = {one.address for one in words if one.start == occurrence.start_utc}
        return told.issuperset(people)

    def attendance(self, occurrence: Occurrence) -> Attendance | None:
        """What is known about the meeting having taken place; None when nothing."""
        return attendance_of(occurrence.identity, self.copies(occurrence.identity), self.snapshot)

    def records_due(self, occurrence: Occurrence) -> datetime | None:
        """Until when (UTC) the records of its call may still come; None when none are waited for."""
        within = self.account(occurrence).records_within
        if within is None or not occurrence.conference or self.attendance(occurrence) is not None:
            return None
        due = occurrence.end_utc + within
        return due if self.now < due else None

    def seen_at(self, occurrence: Occurrence) -> datetime | None:
        """When its calendar was last read completely (UTC); None = never."""
        calendar = self.snapshot.calendars.get(occurrence.key.calendar)
        return calendar.seen_at if calendar else self.account(occurrence).seen_at

    def first_seen_at(self, occurrence: Occurrence) -> datetime | None:
        """When both its account and its calendar had been read completely for the first time (UTC)."""
        account = self.account(occurrence).first_seen_at
        calendar = self.snapshot.calendars.get(occurrence.key.calendar)
        if account is None or calendar is None or calendar.first_seen_at is None:
            return account
        return max(account, calendar.first_seen_at)

    def touched(self, occurrence: Occurrence) -> datetime | None:
        """When it last changed under our eyes in what it asks of me: it came, moved, or I answered."""
        mine = [one.answered_at for one in occurrence.attendees if one.address in self.owner.addresses]
        seen = (occurrence.appeared_at, occurrence.time_changed_at, *mine)
        return max((at for at in seen if at is not None), default=None)

    @cached_property
    def blind_account(self) -> str | None:
        """An account that cannot be seen, if any: about a person in any calendar, nothing is certain then."""
        for name, account in sorted(self.snapshot.accounts.items()):
            if self._is_long_ago(account.seen_at, account):
                return name
        return None

    def is_blind(self, occurrence: Occurrence) -> bool:
        """Whether its calendar has not been read for so long that nothing may be concluded."""
        return self._is_long_ago(self.seen_at(occurrence), self.account(occurrence))

    def _is_long_ago(self, seen: datetime | None, account: Account) -> bool:
        """Whether what was seen then says nothing any more; a time that has not come says nothing, either."""
        return seen is None or abs(self.now - seen) >= account.stale_after

    def is_cancelled(self, occurrence: Occurrence) -> bool:
        """Whether the newest copy of the meeting says it is cancelled."""
        newest = max(one.sequence for one in self.copies(occurrence.identity))
        return any(
            one.status is Status.CANCELLED and one.sequence == newest
            for one in self.copies(occurrence.identity)
        )

    def blocks(self, occurrence: Occurrence) -> bool:
        """Whether it takes my time: timed, opaque, not cancelled, and mine or accepted by me."""
        if occurrence.timing is not Timing.TIMED or occurrence.transparent or self.is_cancelled(occurrence):
            return False
        if not occurrence.attendees and occurrence.organizer is None:
            return True
        return my_answer(occurrence, self.owner) is PartStat.ACCEPTED

    def people(self, occurrence: Occurrence) -> frozenset[Address]:
        """The addresses of its required people."""
        return frozenset(one.address for one in required_people(occurrence, self.owner))

    def replacement(self, occurrence: Occurrence, since: datetime) -> Occurrence | None:
        """Another meeting with the same people, created or moved after ``since``; None without one.

        It starts after ``since``, and I have not declined it. Of the same series only one that was moved
        counts: the others were meant all along.
        """
        wanted = self.people(occurrence)
        if not wanted:
            return None
        for other in min((self.with_person.get(one, ()) for one in wanted), key=len):
            if other.identity == occurrence.identity or other.start_utc < since:
                continue
            made = other.created if other.key.uid != occurrence.key.uid else None
            touched = max((at for at in (made, other.time_changed_at) if at), default=None)
            if touched is None or touched <= since or not self.stands(other):
                continue
            if wanted <= self.people(other):
                return other
        return None

    def stands(self, occurrence: Occurrence) -> bool:
        """Whether it is to take place as far as I am concerned: timed, not cancelled, not declined by me."""
        if occurrence.timing is not Timing.TIMED or self.is_cancelled(occurrence):
            return False
        return my_answer(occurrence, self.owner) is not PartStat.DECLINED
