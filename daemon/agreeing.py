"""Finding a time that suits everybody, and taking it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy import Connection

from daemon.mail.offers import busy
from daemon.store import agreements, deliveries
from daemon.store.agreements import Agreement, Kind, Stage
from daemon.store.answers import Answer
from daemon.store.deliveries import Delivery
from rules.delivery import AGAIN, AGREE, COUNTER, PROPOSE, STAYS, step_behind
from rules.detections import ANOTHER_MEETING, Missed
from rules.model import Address, Intent, Interval, Occurrence, Owner, Status
from rules.people import organized_by_me
from rules.policy import Mode

SOONEST = timedelta(minutes=5)
"""A new time begins so much later than now, at least."""

PATIENCE = timedelta(days=14)
"""How long times that were picked are looked at again."""

CARRY_OUT_WITHIN = timedelta(days=2)
"""How long an agreed time may take to reach the calendar; then its owner is told that it did not."""


def common(said: Mapping[Address, Answer], needed: Sequence[Address]) -> list[Interval]:
    """The times that everybody needed picked, the earliest first; none as long as somebody did not."""
    picks = [set(said[one].picked) if one in said else set() for one in needed]
    if not picks:
        return []
    return sorted(set.intersection(*picks), key=lambda one: (one.start, one.end))


def still_free(
    conn: Connection,
    slots: Iterable[Interval],
    occurrence: Occurrence | None,
    owner: Owner,
    now: datetime,
) -> list[Interval]:
    """Those that nothing takes but the meeting itself, in the order given.

    What stands offered to others takes nothing: whoever picks first gets it. What was agreed on does.
    """
    ahead = [one for one in slots if one.start >= now + SOONEST]
    if not ahead or occurrence is None:
        return []
    span = Interval(min(one.start for one in ahead), max(one.end for one in ahead))
    taken = busy(conn, span, owner, occurrence, with_offers=False)
    return [one for one in ahead if not any(one.overlaps(other) for other in taken)]


def kind_of(
    occurrence: Occurrence, owner: Owner, now: datetime, *, detector: str, moves: bool = False
) -> Kind:
    """How a new time for the meeting is carried out.

    ``moves`` says that one which is over is moved, and no other made.
    """
    mine = organized_by_me(occurrence, owner)
    stands = occurrence.status is not Status.CANCELLED
    if mine and stands and moves and detector == Missed.word:
        return Kind.MOVE
    if not stands or now >= occurrence.end_utc or detector in ANOTHER_MEETING:
        return Kind.CREATE
    return Kind.MOVE if mine else Kind.COUNTER


def take(
    conn: Connection,
    delivery: Delivery,
    occurrence: Occurrence,
    slot: Interval,
    *,
    owner: Owner,
    now: datetime,
    proposes: bool = False,
    moves: bool = False,
    hold: str = "",
) -> Agreement | None:
    """Take the slot for the meeting, and queue what carries it out; None where another was taken before.

    ``proposes`` says that its account can ask an organiser for another time by itself; ``moves`` as
    :func:`kind_of`; ``hold`` why the owner is asked before it is carried out, if so.
    """
    kind = kind_of(occurrence, owner, now, detector=delivery.detector, moves=moves)
    agreed = agreements.take(
        conn,
        occurrence.key,
        start=occurrence.start_utc,
        slot=slot,
        kind=kind,
        address=delivery.to,
        delivery=delivery.id,
        now=now,
    )
    if agreed is None:
        return None
    does = AGREE if kind is not Kind.COUNTER else PROPOSE if proposes else COUNTER
    to = occurrence.organizer if does == COUNTER and occurrence.organizer else owner.addresses[0]
    why = f"{delivery.to} picked this time"
    told = _following(delivery, occurrence, does=does, name="agreed", to=to, reason=why, now=now)
    deliveries.add(conn, [replace(told, hold=hold)], now)
    if does == COUNTER:
        agreements.settle(conn, agreed.id, Stage.DONE, now)  # the mail is all there is to do
    return agreed


def decline(
    conn: Connection,
    delivery: Delivery,
    occurrence: Occurrence,
    proposed: Sequence[Interval],
    *,
    owner: Owner,
    now: datetime,
) -> bool:
    """Tell an attendee of my meeting that none of the times they proposed can be, where that is so."""
    mine = organized_by_me(occurrence, owner)
    if not mine or not proposed or still_free(conn, proposed, occurrence, owner, now):
        return False
    name = f"stays {min(one.start for one in proposed).isoformat()}"  # another proposal is answered anew
    reason = f"{delivery.to} asked for a time that is taken"
    told = _following(delivery, occurrence, does=STAYS, name=name, to=delivery.to, reason=reason, now=now)
    deliveries.add(conn, [told], now)
    return True


def offer_again(conn: Connection, delivery: Delivery, occurrence: Occurrence, now: datetime) -> None:
    """Queue a mail with the times that are free by now, which is answered like the first."""
    told = _following(
        delivery,
        occurrence,
        does=AGAIN,
        name=f"again {now.isoformat(timespec='seconds')}",
        to=delivery.to,
        reason=f"{delivery.to} picked a time that was gone",
        now=now,
    )
    deliveries.add(conn, [replace(told, until=delivery.until)], now)


def _following(
    delivery: Delivery,
    occurrence: Occurrence,
    *,
    does: str,
    name: str,
    to: Address,
    reason: str,
    now: datetime,
) -> Intent:
    """What follows from an answer to a message."""
    return Intent(
        rule=delivery.rule,
        step=f"{step_behind(delivery.step)}:{name}",
        do=does,
        mode=Mode.AUTO,
        key=occurrence.key,
        start=occurrence.start_utc,
        to=to,
        people=delivery.people,
        due=now,
        until=now + CARRY_OUT_WITHIN,
        reason=reason,
        detector=delivery.detector,
    )
