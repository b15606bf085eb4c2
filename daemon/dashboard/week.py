"""This week's meetings with other people, by where each stands."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from enum import StrEnum
from urllib.parse import urlencode

import structlog
from sqlalchemy import Connection

from daemon.config.settings import Settings
from daemon.decide import Decider
from daemon.explanation import people
from daemon.explanation_words import Speaker
from daemon.mail.foreign_text import clean, without_marks
from daemon.store import agenda, agreements, answers
from daemon.store.agreements import Agreement, Kind
from rules.answers import unseen
from rules.hours import wall, zone
from rules.knots import NO_TRAVEL
from rules.model import Attendee, Held, Identity, Interval, Occurrence, PartStat, Timing, Upcoming
from rules.people import is_stale, my_answer, organized_by_me, required_people, wish
from rules.plan import evaluate
from rules.policy import Policy
from rules.verdict import Looking
from rules.view import View

log = structlog.get_logger()

MOST = 300
"""So many meetings of one week are shown."""

MOST_PEOPLE = 8
LONGEST_PERSON = 160


class Standing(StrEnum):
    """Where a meeting stands; what wants a look comes first."""

    CLASHING = "clashing"
    DECLINED = "declined"
    UNCONFIRMED = "unconfirmed"
    MOVED = "moved"
    CONFIRMED = "confirmed"
    MISSED_BY_ME = "missed by me"
    MISSED = "missed by them"
    UNKNOWN = "unknown"
    HELD = "held"
    CANCELLED = "cancelled"


_CAME_TO = {
    Held.HELD: Standing.HELD,
    Held.MISSED_BY_ATTENDEE: Standing.MISSED,
    Held.MISSED_BY_ME: Standing.MISSED_BY_ME,
    Held.UNKNOWN: Standing.UNKNOWN,
}

_OPEN = frozenset({PartStat.NEEDS_ACTION, PartStat.TENTATIVE})


@dataclass(frozen=True, slots=True, kw_only=True)
class Meeting:
    """One meeting as it is shown: made of clean text, none of it markup."""

    standing: Standing
    title: str
    day: str
    hours: str
    account: str
    people: tuple[str, ...]
    more: int
    notes: tuple[str, ...]
    coming: str
    link: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Week:
    """The meetings of one week by standing, each group in order of time; ``left_out`` are not shown."""

    span: str
    groups: dict[Standing, list[Meeting]]
    left_out: int


def link_of(one: Occurrence) -> str:
    """Where everything about a meeting is told."""
    named = f"{one.key.uid}/{one.key.recurrence_id}" if one.key.recurrence_id else one.key.uid
    return f"/meeting?{urlencode({'of': named})}"


def title_of(one: Occurrence, settings: Settings) -> str:
    """What a meeting is called, without the owner's marks."""
    return clean(without_marks(one.title, settings.owner.marks)) or "(no title)"


def this_week(now: datetime, name: str) -> Interval:
    """Monday to Sunday around ``now`` in a zone, in UTC."""
    today = now.astimezone(zone(name)).date()
    monday = today - timedelta(days=today.weekday())
    return Interval(wall(monday, time(0), name), wall(monday + timedelta(days=7), time(0), name))


def gather(conn: Connection, settings: Settings, decider: Decider, now: datetime) -> Week:
    """This week at ``now`` (UTC), in the owner's time zone."""
    home = settings.owner.zone
    span = this_week(now, home)
    found = agenda.between(conn, span.start, span.end)
    agreed = agreements.within(conn, span.start, span.end)
    timed = [one for one in found if one.timing is Timing.TIMED]
    known = [one for one in timed if required_people(one, settings.owner)]
    shown = known[:MOST]
    seen = decider.snapshot(conn, answers.told(conn, timed), now)
    policy = decider.policy(conn, now)
    view = View(seen, now)
    wanted = {one.identity for one in shown}
    listing = _Listing(settings, view, policy, agreed, _coming(view, policy, wanted))
    groups: dict[Standing, list[Meeting]] = {standing: [] for standing in Standing}
    for one in sorted((each for each in view.subjects if each.identity in wanted), key=_by_time):
        if one.identity in wanted:
            wanted.discard(one.identity)
            meeting = listing.meeting(one)
            groups[meeting.standing].append(meeting)
    for meeting in listing.gone(conn, span):
        groups[meeting.standing].append(meeting)
    last = span.end.astimezone(zone(home)) - timedelta(days=1)
    return Week(
        span=f"{span.start.astimezone(zone(home)):%a %-d %b} to {last:%a %-d %b %Y}",
        groups={standing: some for standing, some in groups.items() if some},
        left_out=len(known) - len(shown),
    )


def _by_time(one: Occurrence) -> tuple[datetime, str]:
    return one.start_utc, str(one.identity)


def _coming(view: View, policy: Policy, wanted: Iterable[Identity]) -> dict[Identity, list[Upcoming]]:
    """What will be done about each of these if nothing changes, soonest first."""
    found: dict[Identity, list[Upcoming]] = {identity: [] for identity in wanted}
    try:
        plan = evaluate(view.snapshot, policy, view.now)
    except Exception:
        log.exception("the dashboard has no outlook")  # the rest of it must reach its reader
        return found
    for one in plan.upcoming:
        if one.key.identity in found:
            found[one.key.identity].append(one)
    return found


def _said_no(who: Attendee, one: Occurrence) -> bool:
    """Whether somebody said no to the time it has, or asks for another."""
    said_no = who.partstat is PartStat.DECLINED and not is_stale(who, one)
    return said_no or wish(who, one) is not None


@dataclass(frozen=True, slots=True)
class _Listing:
    """Meetings of one view, put into words."""

    settings: Settings
    view: View
    policy: Policy
    agreed: list[Agreement]
    coming: dict[Identity, list[Upcoming]]

    def meeting(self, one: Occurrence) -> Meeting:
        """One meeting of this week."""
        speaker = Speaker(self.settings.owner, self.policy)
        said = [clean(each, LONGEST_PERSON) for each in people(one, self.settings.owner, speaker)]
        upcoming = self.coming[one.identity]
        return self._shown(
            one,
            self._standing(one),
            Interval(one.start_utc, one.end_utc),
            people=tuple(said[:MOST_PEOPLE]),
            more=max(0, len(said) - MOST_PEOPLE),
            notes=tuple(self._notes(one, speaker)),
            coming=clean(speaker.coming(upcoming), 300) if upcoming else "",
        )

    def gone(self, conn: Connection, span: Interval) -> Iterator[Meeting]:
        """Meetings of this week that were moved out of it."""
        speaker = Speaker(self.settings.owner, self.policy)
        for one in self.agreed:
            if one.kind is not Kind.MOVE or one.start < span.start or span.start <= one.slot.start < span.end:
                continue
            copies = agenda.copies(conn, [one.key])
            if copies:
                to = f"moved to {speaker.at(one.slot.start)}, which {clean(one.address)} picked"
                there = Interval(one.start, one.start + (one.slot.end - one.slot.start))
                yield self._shown(copies[0], Standing.MOVED, there, notes=(to,))

    def _shown(
        self,
        one: Occurrence,
        standing: Standing,
        span: Interval,
        *,
        people: tuple[str, ...] = (),
        more: int = 0,
        notes: tuple[str, ...] = (),
        coming: str = "",
    ) -> Meeting:
        home = zone(self.settings.owner.zone)
        start, end = span.start.astimezone(home), span.end.astimezone(home)
        until = f"{end:%H:%M}" if end - start < timedelta(days=1) else f"{end:%a %H:%M}"
        return Meeting(
            standing=standing,
            title=title_of(one, self.settings),
            day=f"{start:%a %-d %b}",
            hours=f"{start:%H:%M}–{until}",
            account=one.key.calendar.account,
            people=people,
            more=more,
            notes=notes,
            coming=coming,
            link=link_of(one),
        )

    def _standing(self, one: Occurrence) -> Standing:
        view, owner = self.view, self.settings.owner
        if view.is_cancelled(one):
            return Standing.CANCELLED
        answer = None if organized_by_me(one, owner) else my_answer(one, owner)
        if one.end_utc <= view.now:
            known = view.attendance(one)
            return _CAME_TO[known.held] if known else Standing.UNKNOWN
        required = required_people(one, owner)
        if answer is PartStat.DECLINED or any(_said_no(who, one) for who in required):
            return Standing.DECLINED
        if self._rivals(one):
            return Standing.CLASHING
        if answer in _OPEN:
            return Standing.UNCONFIRMED
        if unseen(one, view, Looking(one)):
            return Standing.UNKNOWN
        if one.rsvp and any(who.partstat in _OPEN or is_stale(who, one) for who in required):
            return Standing.UNCONFIRMED
        return Standing.MOVED if self._move_of(one) else Standing.CONFIRMED

    def _rivals(self, one: Occurrence) -> list[Occurrence]:
        """The meetings at the same time."""
        knot = self.view.knots(NO_TRAVEL).get(one.identity)
        return [
            other
            for other in (knot.meetings if knot else ())
            if other.identity != one.identity
            and Interval(other.start_utc, other.end_utc).overlaps(Interval(one.start_utc, one.end_utc))
        ]

    def _move_of(self, one: Occurrence) -> Agreement | None:
        return next(
            (
                each
                for each in self.agreed
                if each.kind is Kind.MOVE
                and each.key.identity == one.identity
                and each.slot.start == one.start_utc
            ),
            None,
        )

    def _notes(self, one: Occurrence, speaker: Speaker) -> Iterator[str]:
        if self.view.is_blind(one):
            yield "its calendar has not been read for too long, so this may be out of date"
        moved = self._move_of(one)
        if moved is not None:
            yield f"moved from {speaker.at(moved.start)}; {clean(moved.address)} picked this time"
        if one.end_utc > self.view.now and not self.view.is_cancelled(one):
            hidden = unseen(one, self.view, Looking(one))
            if hidden and not self.view.is_blind(one):
                yield clean(hidden, LONGEST_PERSON)
            for other in self._rivals(one)[:3]:
                yield f"at the same time as “{title_of(other, self.settings)}” ({other.key.calendar.account})"
        known = self.view.attendance(one)
        if known is not None and one.end_utc <= self.view.now:
            yield f"source: {clean(known.source)}"
        for each in self.agreed:
            if each.kind is Kind.CREATE and each.key.identity == one.identity and each.start == one.start_utc:
                yield f"another was made for {speaker.at(each.slot.start)}"
