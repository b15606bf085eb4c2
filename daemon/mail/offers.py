"""Which times to offer for one meeting: free in every calendar of mine, and offered to nobody else."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from sqlalchemy import Connection

from daemon.store import agenda
from daemon.store.offered import offered
from rules.fields import Span
from rules.hours import zone
from rules.model import Interval, Occurrence, Owner, PartStat, Status
from rules.people import my_answer
from rules.policy import Step
from rules.slots import free_slots

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
    promised: Iterable[Interval] = (),
) -> tuple[Interval, ...]:
    """Free times for the meeting as it stands in the store at ``now`` (UTC).

    ``within`` counts from the meeting's start, or from now when that is past; ``notice`` from now.
    ``promised`` are times offered to others of which the store knows nothing.
    """
    span = window(occurrence, step, owner, now)
    length = max(occurrence.end_utc - occurrence.start_utc, ROUND)
    like = occurrence.start.astimezone(zone(owner.zone)).time()
    return free_slots(
        [*busy(conn, span, owner, occurrence), *promised],
        span,
        length,
        step.slots,
        owner.hours,
        like=like,
        recipient_zone=recipient_zone,
    )


def window(occurrence: Occurrence, step: Step, owner: Owner, now: datetime) -> Interval:
    """Where the offered times may lie: not before the meeting's own day, nor sooner than the notice."""
    earliest = _later(now, step.notice, owner)
    base = max(occurrence.start_utc, now)
    home = zone(owner.zone)
    own_day = base.astimezone(home).replace(hour=0, minute=0, second=0, microsecond=0)
    return Interval(max(earliest, own_day.astimezone(earliest.tzinfo)), _later(base, step.within, owner))


def _later(at: datetime, span: Span, owner: Owner) -> datetime:
    return owner.hours.shift(at, span.business_days) if span.business_days else at + span.delta


def busy(conn: Connection, span: Interval, owner: Owner, moving: Occurrence) -> list[Interval]:
    """Everything that takes my time: events of every calendar, answered or not, and open offers.

    The time of the meeting to be moved is taken too: offering it again would say nothing.
    """
    taken = [
        Interval(one.start_utc, one.end_utc)
        for one in agenda.between(conn, span.start - LONGEST, span.end)
        if one.end_utc > span.start and _takes_time(one, owner)
    ]
    taken += offered(conn, span.start, except_for=moving.identity)
    return taken


def _takes_time(occurrence: Occurrence, owner: Owner) -> bool:
    if occurrence.transparent or occurrence.status is Status.CANCELLED:
        return False
    return my_answer(occurrence, owner) is not PartStat.DECLINED
