"""Working hours, holidays, business days and quiet hours, each in a named time zone."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

Span = tuple[time, time]

_OFFICE: tuple[tuple[Span, ...], ...] = (((time(9), time(17)),),) * 5 + ((), ())
_DAY = timedelta(days=1)
_MIDNIGHT = time(0)
_SEARCH_DAYS = 3 * 366
"""How far a business day may lie before we conclude that the owner never works."""


@dataclass(frozen=True, slots=True)
class WorkingHours:
    """When the owner works: for each weekday (Monday first) the spans of wall time in ``zone``.

    A span's end of 00:00 means midnight at the end of that day. ``holidays`` is anything that can
    say whether a date is in it.
    """

    zone: str = "UTC"
    weekly: tuple[tuple[Span, ...], ...] = _OFFICE
    holidays: Container[date] = field(default=frozenset(), compare=False)

    def spans(self, day: date) -> tuple[Span, ...]:
        """The working spans of one date, none on a holiday."""
        spans = self.weekly[day.weekday()]
        return () if not spans or day in self.holidays else spans

    def instants(self, day: date) -> list[tuple[datetime, datetime]]:
        """The working spans of one date as pairs of instants in UTC."""
        return [
            (wall(day, start, self.zone), wall(day + _DAY if end == _MIDNIGHT else day, end, self.zone))
            for start, end in self.spans(day)
        ]

    def shift(self, instant: datetime, business_days: int) -> datetime:
        """The same wall time so many business days later (earlier, when negative), in UTC.

        Zero gives the instant itself. An owner who never works has no business days: plain days
        count then.
        """
        if not business_days:
            return instant.astimezone(UTC)
        local = instant.astimezone(zone(self.zone))
        step = _DAY if business_days > 0 else -_DAY
        day, left = local.date(), abs(business_days)
        for _ in range(_SEARCH_DAYS):
            day += step
            left -= bool(self.spans(day))
            if not left:
                return wall(day, local.time(), self.zone)
        return wall(local.date() + business_days * _DAY, local.time(), self.zone)


@lru_cache(maxsize=1024)
def zone(name: str) -> ZoneInfo:
    """The IANA zone of that name."""
    return ZoneInfo(name)


def wall(day: date, at: time, zone_name: str) -> datetime:
    """The instant (UTC) at which clocks in the zone show that time.

    A time the clocks skip is read with the offset before the gap, one they show twice as the first
    (RFC 5545 section 3.3.5).
    """
    return datetime.combine(day, at.replace(fold=0), tzinfo=zone(zone_name)).astimezone(UTC)


def quiet_until(start: time, end: time, zone_name: str, now: datetime) -> datetime | None:
    """When the quiet hours ``start``-``end`` around ``now`` end (UTC); None outside them."""
    local = now.astimezone(zone(zone_name))
    clock = local.time()
    if start <= end:
        inside, last_day = start <= clock < end, local.date()
    else:
        inside = clock >= start or clock < end
        last_day = local.date() + _DAY if clock >= start else local.date()
    return wall(last_day, end, zone_name) if inside else None
