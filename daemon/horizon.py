"""How far around now occurrences are kept."""

from __future__ import annotations

from datetime import datetime, timedelta

from rules.model import Interval

BACK = timedelta(days=30)
AHEAD = timedelta(days=120)

ROLL = timedelta(days=1)
"""How much of the horizon may be missing before it is rolled on."""


def window(now: datetime) -> Interval:
    """The span in which occurrences are materialised at ``now`` (UTC)."""
    return Interval(now - BACK, now + AHEAD)


def is_due_to_roll(horizon_end: datetime, now: datetime) -> bool:
    """Whether the stored occurrences end too early, or so late that the clock must have been set back."""
    return abs(window(now).end - horizon_end) >= ROLL
