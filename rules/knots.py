"""Knots: meetings that overlap, directly or through others, and which of them have to give way.

Found for a whole view at once by one walk along time, since every judged meeting asks.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Hashable, Iterable
from datetime import datetime
from operator import itemgetter

from rules.model import Identity, Occurrence

Rivals = dict[Identity, tuple[Occurrence, ...]]
_Kept = tuple[datetime, datetime, int, Occurrence]
_start, _place = itemgetter(0), itemgetter(2)


class Knot:
    """Meetings that hang together, one copy each."""

    def __init__(self, meetings: Iterable[Occurrence]) -> None:
        self.meetings = tuple(meetings)
        self._settled: dict[Hashable, Rivals] = {}

    def settled(self, ranking: Hashable, rank: Callable[[Occurrence], tuple[object, ...]]) -> Rivals:
        """For each meeting that has to give way, the kept ones it overlaps, the best ranked first.

        The best ranked is kept, then the next best that still fits, and so on. ``ranking`` names
        ``rank``, so that the same question is answered once.
        """
        if ranking not in self._settled:
            self._settled[ranking] = _settle(sorted(self.meetings, key=rank))
        return self._settled[ranking]


def knots(meetings: Iterable[Occurrence]) -> dict[Identity, Knot]:
    """The knot of each meeting, given one copy of each."""
    found: dict[Identity, Knot] = {}
    together: list[Occurrence] = []
    ends: datetime | None = None
    for start, end, _, one in sorted((one.start_utc, one.end_utc, one.key, one) for one in meetings):
        if ends is None or start >= ends:
            found |= _same(together)
            together, ends = [], end
        together.append(one)
        ends = max(ends, end)
    return found | _same(together)


def _same(together: list[Occurrence]) -> dict[Identity, Knot]:
    knot = Knot(together)
    return {one.identity: knot for one in together}


def _settle(ranked: list[Occurrence]) -> Rivals:
    rivals: Rivals = {}
    kept: list[_Kept] = []  # in order of time, none overlapping
    for place, one in enumerate(ranked):
        start, end = one.start_utc, one.end_utc
        at = bisect_left(kept, start, key=_start)
        in_the_way = []
        for other in kept[max(0, at - 1) :]:
            if other[0] >= end:
                break
            if start < other[1]:
                in_the_way.append(other)
        if in_the_way:
            rivals[one.identity] = tuple(other for *_, other in sorted(in_the_way, key=_place))
        else:
            insort(kept, (start, end, place, one))
    return rivals
