"""One question each, one file each: ``judge(occurrence, when, view, now) -> Verdict``."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from rules.detectors import conflict, missed, unaccounted, unconfirmed
from rules.model import Occurrence
from rules.policy import Conflict, Missed, Unaccounted, Unconfirmed
from rules.verdict import Verdict
from rules.view import View

Judge = Callable[[Occurrence, Any, View, datetime], Verdict]

DETECTORS: dict[type, Judge] = {
    Conflict: conflict.judge,
    Missed: missed.judge,
    Unaccounted: unaccounted.judge,
    Unconfirmed: unconfirmed.judge,
}
