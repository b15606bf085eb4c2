"""Which times to offer for one meeting: free in every calendar of mine, and offered to nobody else."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection

from daemon.store import agenda, agreements
from daemon.store.offered import offered
from rules.attendance import is_away
from rules.fields import Span
from rules.hours import zone
from rules.model import Interval, Occurrence, Owner, PartStat, Status
from rules.people import my_answer, required_people, wish
from rules.policy import Away, Ending, Step
from rules.slots import free_slots, is_free

LONGEST = timedelta(days=31)
"""Events that began longer before the window than this are not looked for."""

ROUND = timedelta(minutes=15)


def offers(
    conn: Connection,
    occurrence: Occurrence,
    step: Step,
    owner: Owner,
    *,
    now: datetime,
    recipient_zone: str,
    detector: str = "",
    promised: Iterable[Interval] = (),
) -> tuple[Interval, ...]:
    """Free times for the meeting as it stands in the store at ``now`` (UTC).

    ``within`` counts from the meeting's start, or from now when that is past; ``notice`` from now. After
    ``away`` it counts from the end of the absence, after ``ending`` from the day after the meeting.
    ``promised`` are times offered to others of which the store knows nothing. A time that one of its people
    asks for comes first, where it is free.
    """
    span = reach(conn, occurrence, step, owner, now=now, detector=detector)
    length = max(occurrence.end_utc - occurrence.start_utc, ROUND)
    like = occurrence.start.astimezone(zone(owner.zone)).time()
    asked = sorted(wishes(occurrence, owner), key=lambda one: one.start)
    reaching = Interval(
        min([span.start, *(one.start for one in asked)]), max([span.end, *(one.end for one in asked)])
    )
    taken = [*busy(conn, reaching, owner, occurrence), *promised]
    soonest = _later(now, step.notice, owner)
    wanted: list[Interval] = []
    for one in asked:
        if one.start >= soonest and is_free(one, [*taken, *wanted], owner.hours):
            wanted.append(one)
    wanted = wanted[: step.slots]
    others = free_slots(
        [*taken, *wanted],
        span,
        length,
        step.slots - len(wanted),
        owner.hours,
        like=like,
        recipient_zone=recipient_zone,
    )
    return (*wanted, *others)


def wishes(occurrence: Occurrence, owner: Owner) -> set[Interval]:
    """The times that people needed for it ask for, instead of its own."""
    found = (wish(one, occurrence) for one in required_people(occurrence, owner))
    return {one for one in found if one is not None}


def reach(
    conn: Connection, occurrence: Occurrence, step: Step, owner: Owner, *, now: datetime, detector: str = ""
) -> Interval:
    """Where the times that :func:`offers` may offer lie."""
    base = occurrence.start_utc
    if detector == Away.word:
        base = _back(conn, occurrence, owner)
    elif detector == Ending.word:
        base = _day_of(occurrence.end_utc, owner, later=1)
    return window(base, step, owner, now)


def window(start: datetime, step: Step, owner: Owner, now: datetime) -> Interval:
    """Where the offered times may lie: not before the day of ``start``, nor sooner than the notice."""
    base = max(start, now)
    return Interval(
        max(_later(now, step.notice, owner), _day_of(base, owner)), _later(base, step.within, owner)
    )


def _day_of(at: datetime, owner: Owner, later: int = 0) -> datetime:
    """The first instant (UTC) of the owner's day, or of one some days later."""
    day = at.astimezone(zone(owner.zone)).replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    return (day + timedelta(days=later)).astimezone(UTC)


def _back(conn: Connection, occurrence: Occurrence, owner: Owner) -> datetime:
    """When the absence that the meeting lies in is over (UTC); one that follows at once belongs to it."""
    back = occurrence.start_utc
    for one in agenda.between(conn, back - LONGEST, back + LONGEST):  # earliest first
        covers = one.start_utc <= back or one.start_utc < occurrence.end_utc
        if covers and one.identity != occurrence.identity and _is_absence(one, owner):
            back = max(back, one.end_utc)
    return back


def _later(at: datetime, span: Span, owner: Owner) -> datetime:
    return owner.hours.shift(at, span.business_days) if span.business_days else at + span.delta


def busy(
    conn: Connection, span: Interval, owner: Owner, moving: Occurrence, *, with_offers: bool = True
) -> list[Interval]:
    """Everything that takes my time: events of every calendar, answered or not, agreed times, open offers.

    The time of the meeting to be moved is taken too: offering it again would say nothing.
    """
    taken = [
        Interval(one.start_utc, one.end_utc)
        for one in agenda.between(conn, span.start - LONGEST, span.end)
        if one.end_utc > span.start and _takes_time(one, owner)
    ]
    taken += [
        one.slot for one in agreements.standing(conn, span.start) if one.key.identity != moving.identity
    ]
    if with_offers:
        taken += offered(conn, span.start, except_for=moving.identity)
    return [*taken, Interval(moving.start_utc, moving.end_utc)]


def _takes_time(occurrence: Occurrence, owner: Owner) -> bool:
    if _is_absence(occurrence, owner):
        return True
    if occurrence.transparent or occurrence.status is Status.CANCELLED:
        return False
    return my_answer(occurrence, owner) is not PartStat.DECLINED


def _is_absence(occurrence: Occurrence, owner: Owner) -> bool:
    """Whether it says that I, and not somebody who invited me, am out of office; shown as busy or not."""
    mine = occurrence.organizer is None or occurrence.organizer in owner.addresses
    return mine and occurrence.status is not Status.CANCELLED and is_away(occurrence, owner.marks)
