"""The limits on what leaves: how much at once, how much in an hour, how much to one address in a day.

Messages to the owner are held back by no flood and by no daily limit, only by one hourly limit of
their own. Labels and webhooks reach nobody's mailbox: only a flood holds them back. What follows from
somebody's own answer is held back by nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection

from daemon.store import departures, optouts
from daemon.store.deliveries import ACTIONS, Delivery
from rules.delivery import ANSWERED
from rules.fields import Pattern
from rules.policy import Guard

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)

OWNER_PER_HOUR = 60
"""More than this to the owner within an hour would be a fault of ours."""

MOST_TOGETHER = 20
"""How many deliveries one message may carry."""

FLOOD = "flood"
"""The error of what the flood brake holds."""

ASKED_TO_STOP = "they asked not to be written to"
"""The error of what an opt-out suppresses."""


@dataclass(frozen=True, slots=True)
class Wait:
    """A limit is reached: when it frees (UTC), and its sentence."""

    at: datetime
    why: str


def flooding(due: Sequence[Delivery], mine: Collection[str], guard: Guard) -> list[Delivery]:
    """What comes due together and is too much; empty when it is not.

    Messages to others, labels and webhooks count; what the brake or the owner let through before is
    not counted again.
    """
    fresh = [
        one
        for one in due
        if one.cleared_at is None and one.do not in ANSWERED and (one.do in ACTIONS or one.to not in mine)
    ]
    return fresh if messages(fresh) > guard.max_per_run else []


def messages(some: Sequence[Delivery]) -> int:
    """How many messages these make: those of one group share theirs."""
    shared = Counter((one.group, one.to) for one in some if one.group)
    alone = sum(1 for one in some if not one.group)
    return alone + sum(-(-size // MOST_TOGETHER) for size in shared.values())


def has_opted_out(conn: Connection, delivery: Delivery, mine: Collection[str]) -> bool:
    """Whether its recipient asked not to be written to; never the owner."""
    if delivery.to in mine or delivery.do in ACTIONS or delivery.do in ANSWERED:
        return False
    return any(Pattern(one.pattern).matches(delivery.to) for one in optouts.list_(conn))


def wait(
    conn: Connection, delivery: Delivery, mine: Collection[str], guard: Guard, now: datetime
) -> Wait | None:
    """The limit that keeps this message from leaving now, if any."""
    if delivery.do in ACTIONS or delivery.do in ANSWERED:
        return None
    hour = now - HOUR
    if delivery.to in mine:
        left = departures.sent_to_since(conn, delivery.to, hour)
        return _limit(left, OWNER_PER_HOUR, HOUR, "messages to you in an hour")
    to_all = _limit(
        departures.sent_since(conn, hour, besides=mine), guard.max_per_hour, HOUR, "messages in an hour"
    )
    to_one = _limit(
        departures.sent_to_since(conn, delivery.to, now - DAY),
        guard.per_recipient_per_day,
        DAY,
        f"messages to {delivery.to} in a day",
    )
    return max((one for one in (to_all, to_one) if one), key=lambda one: one.at, default=None)


def _limit(left: list[datetime], most: int, span: timedelta, what: str) -> Wait | None:
    if len(left) < most:
        return None
    return Wait(left[-most] + span, f"the guard allows {most} {what}")
