"""The limits on what leaves: how much at once, how much in an hour, how much to one address in a day.

Messages to the owner are held back by no flood and by no daily limit, only by one hourly limit of
their own.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection

from daemon.store import deliveries
from daemon.store.deliveries import Delivery
from rules.policy import Guard

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)

OWNER_PER_HOUR = 60
"""More than this to the owner within an hour would be a fault of ours."""


@dataclass(frozen=True, slots=True)
class Wait:
    """A limit is reached: when it frees (UTC), and its sentence."""

    at: datetime
    why: str


def flooding(due: Sequence[Delivery], mine: Collection[str], guard: Guard) -> list[Delivery]:
    """The messages to others that come due together and are too many; empty when they are not.

    What the brake or the owner let through before is not counted again.
    """
    fresh = [one for one in due if one.to not in mine and one.cleared_at is None]
    return fresh if len(fresh) > guard.max_per_run else []


def wait(
    conn: Connection, delivery: Delivery, mine: Collection[str], guard: Guard, now: datetime
) -> Wait | None:
    """The limit that keeps this message from leaving now, if any."""
    hour = now - HOUR
    if delivery.to in mine:
        left = deliveries.sent_to_since(conn, delivery.to, hour)
        return _limit(left, OWNER_PER_HOUR, HOUR, "messages to you in an hour")
    to_all = _limit(
        deliveries.sent_since(conn, hour, besides=mine), guard.max_per_hour, HOUR, "messages in an hour"
    )
    to_one = _limit(
        deliveries.sent_to_since(conn, delivery.to, now - DAY),
        guard.per_recipient_per_day,
        DAY,
        f"messages to {delivery.to} in a day",
    )
    return max((one for one in (to_all, to_one) if one), key=lambda one: one.at, default=None)


def _limit(left: list[datetime], most: int, span: timedelta, what: str) -> Wait | None:
    if len(left) < most:
        return None
    return Wait(left[-most] + span, f"the guard allows {most} {what}")
