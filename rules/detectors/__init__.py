"""One question each, one file each: ``judge(occurrence, when, view, now) -> Verdict``."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from rules.detectors import (
    away,
    cancelled,
    conflict,
    declined,
    ending,
    missed,
    silent,
    unaccounted,
    unconfirmed,
)
from rules.model import Occurrence
from rules.policy import (
    Away,
    Cancelled,
    Conflict,
    Declined,
    Ending,
    Missed,
    Silent,
    Unaccounted,
    Unconfirmed,
)
from rules.verdict import Verdict
from rules.view import View

Judge = Callable[[Occurrence, Any, View, datetime], Verdict]

DETECTORS: dict[type, Judge] = {
    Away: away.judge,
    Cancelled: cancelled.judge,
    Conflict: conflict.judge,
    Declined: declined.judge,
    Ending: ending.judge,
    Missed: missed.judge,
    Silent: silent.judge,
    Unaccounted: unaccounted.judge,
    Unconfirmed: unconfirmed.judge,
}
