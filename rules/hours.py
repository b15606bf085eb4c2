"""Working hours, holidays and business days in one time zone."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass, field
from datetime import date, time

Span = tuple[time, time]

_OFFICE: tuple[tuple[Span, ...], ...] = (((time(9), time(17)),),) * 5 + ((), ())


@dataclass(frozen=True, slots=True)
class WorkingHours:
    """When the owner works: for each weekday (Monday first) the spans of wall time in ``zone``.

    A span's end of 00:00 means midnight at the end of that day. ``holidays`` is anything that can
    say whether a date is in it.
    """

    zone: str = "UTC"
    weekly: tuple[tuple[Span, ...], ...] = _OFFICE
    holidays: Container[date] = field(default=frozenset(), compare=False)
