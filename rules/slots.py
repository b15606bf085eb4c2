"""Free times to offer: the gaps that busy intervals leave in the owner's working hours.

A sorted sweep: busy intervals are sorted once and merged while walking, so the cost is that of the
sort.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, time, timedelta
from operator import attrgetter

from rules.hours import WorkingHours, zone
from rules.model import Interval

GRID = timedelta(minutes=30)
"""Offered times start on this grid of the owner's wall clock."""

DECENT = (time(8), time(20))
"""The recipient's wall time in which an offer must lie, where their zone leaves any such time."""

MAX_DAYS = 366

_START = attrgetter("start")


def gaps(busy: Iterable[Interval], window: Interval) -> Iterator[Interval]:
    """What is free in ``window``, in order. ``busy`` may overlap and come in any order."""
    free_from, stop = window.start, window.end
    for one in sorted(busy, key=_START):
        begin, end = one.start, one.end
        if end <= free_from or begin == end:
            continue
        if begin >= stop:
            break
        if begin > free_from:
            yield Interval(free_from, begin)
        free_from = end
    if free_from < stop:
        yield Interval(free_from, stop)


def is_free(slot: Interval, busy: Iterable[Interval], hours: WorkingHours) -> bool:
    """Whether nothing overlaps it and it lies in the owner's working hours."""
    if any(one.overlaps(slot) for one in busy):
        return False
    day = slot.start.astimezone(zone(hours.zone)).date()
    return any(opens <= slot.start and slot.end <= closes for opens, closes in hours.instants(day))


def free_slots(
    busy: Iterable[Interval],
    window: Interval,
    length: timedelta,
    count: int,
    hours: WorkingHours,
    *,
    like: time = time(10),
    recipient_zone: str | None = None,
) -> tuple[Interval, ...]:
    """Up to ``count`` free times of ``length`` in ``window``, in the owner's working hours.

    Spread over as many days as there are; on each day nearest to the wall time ``like``, then
    farthest from what that day already offers. Times at night for the recipient are offered only
    when there is nothing else.
    """
    days = list(_by_day(list(gaps(busy, window)), window, length, hours))
    if recipient_zone:
        decent = [[slot for slot in day if _is_decent(slot, recipient_zone)] for day in days]
        if any(decent):
            days = decent
    return tuple(sorted(_spread([day for day in days if day], count, hours.zone, like), key=_START))


def _by_day(
    free: list[Interval], window: Interval, length: timedelta, hours: WorkingHours
) -> Iterator[list[Interval]]:
    """The possible slots of each working day."""
    home = zone(hours.zone)
    day = window.start.astimezone(home).date()
    last = window.end.astimezone(home).date()
    at = 0
    for _ in range(MAX_DAYS):
        if day > last:
            return
        found: list[Interval] = []
        for opens, closes in hours.instants(day):
            while at < len(free) and free[at].end <= opens:
                at += 1
            look = at
            while look < len(free) and free[look].start < closes:
                gap = free[look]
                found.extend(_on_grid(max(gap.start, opens), min(gap.end, closes), length, opens))
                look += 1
        yield found
        day += timedelta(days=1)


def _on_grid(start: datetime, end: datetime, length: timedelta, origin: datetime) -> Iterator[Interval]:
    """Slots in one gap whose start lies on the grid counted from ``origin``."""
    begin = origin + -(-(start - origin) // GRID) * GRID
    while begin + length <= end:
        yield Interval(begin, begin + length)
        begin += GRID


def _is_decent(slot: Interval, zone_name: str) -> bool:
    there = zone(zone_name)
    start, end = slot.start.astimezone(there), slot.end.astimezone(there)
    return start.date() == end.date() and DECENT[0] <= start.time() and end.time() <= DECENT[1]


def _spread(days: list[list[Interval]], count: int, zone_name: str, like: time) -> list[Interval]:
    """One slot a day, round after round, until there are enough."""
    chosen: list[list[Interval]] = [[] for _ in days]
    total = 0
    while total < count and any(days):
        for day, slots in enumerate(days):
            if not slots or total == count:
                continue
            taken = chosen[day]
            best = (
                max(slots, key=lambda slot: min(abs(slot.start - one.start) for one in taken))
                if taken
                else min(slots, key=lambda slot: _distance(slot.start, zone_name, like))
            )
            taken.append(best)
            days[day] = [slot for slot in slots if not slot.overlaps(best)]
            total += 1
    return [slot for taken in chosen for slot in taken]


def _distance(start: datetime, zone_name: str, like: time) -> int:
    """Minutes between the slot's wall time and the wished one."""
    local = start.astimezone(zone(zone_name))
    return abs((local.hour - like.hour) * 60 + local.minute - like.minute)
