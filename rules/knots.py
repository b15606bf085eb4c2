"""Knots: meetings that clash, directly or through others, and which of them have to give way.

Two meetings clash when they overlap, or when they are at different places with too little time to travel
from one to the other.

Found for a whole view at once by one walk along time, since every judged meeting asks.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Callable, Hashable, Iterable
from datetime import datetime, timedelta
from functools import cached_property
from operator import itemgetter

from rules.model import Identity, Occurrence

Rivals = dict[Identity, tuple[Occurrence, ...]]
_Kept = tuple[datetime, datetime, int, Occurrence]
_end, _place = itemgetter(1), itemgetter(2)

NO_TRAVEL = timedelta(0)

MOST_RIVALS = 100
"""So many of those it clashes with are looked at, the first by time: enough to know that it gives way, and
little enough that many long meetings above many short ones cost no square."""

_ONLINE = frozenset(
    (
        *("online", "phone", "telephone", "remote", "virtual", "call", "video call", "tbd"),
        *("zoom", "zoom meeting", "google meet", "skype", "skype meeting", "webex"),
        *("microsoft teams", "microsoft teams meeting"),
    )
)
"""What calendar apps write where there is no place."""


class Knot:
    """Meetings that hang together, one copy each; ``travel`` is the time needed between two places."""

    def __init__(self, meetings: Iterable[Occurrence], travel: timedelta = NO_TRAVEL) -> None:
        self.meetings = tuple(meetings)
        self.travel = travel
        self._settled: dict[Hashable, Rivals] = {}

    @cached_property
    def name(self) -> str:
        """The same for every meeting of the knot."""
        return str(min(one.identity for one in self.meetings))

    def settled(self, ranking: Hashable, rank: Callable[[Occurrence], tuple[object, ...]]) -> Rivals:
        """For each meeting that has to give way, the kept ones it clashes with, the best ranked first.

        At most ``MOST_RIVALS`` of them are named.

        The best ranked is kept, then the next best that still fits, and so on. ``ranking`` names
        ``rank``, so that the same question is answered once.
        """
        if ranking not in self._settled:
            self._settled[ranking] = _settle(sorted(self.meetings, key=rank), self.travel)
        return self._settled[ranking]


def knots(meetings: Iterable[Occurrence], travel: timedelta = NO_TRAVEL) -> dict[Identity, Knot]:
    """The knot of each meeting, given one copy of each."""
    found: dict[Identity, Knot] = {}
    together: list[Occurrence] = []
    ends: datetime | None = None
    for start, end, _, one in sorted((one.start_utc, one.end_utc, one.key, one) for one in meetings):
        if ends is None or start >= ends + travel:
            found |= _same(together, travel)
            together, ends = [], end
        together.append(one)
        ends = max(ends, end)
    return found | _same(together, travel)


def _same(together: list[Occurrence], travel: timedelta) -> dict[Identity, Knot]:
    knot = Knot(together, travel)
    return {one.identity: knot for one in together}


def _settle(ranked: list[Occurrence], travel: timedelta) -> Rivals:
    rivals: Rivals = {}
    kept: list[_Kept] = []  # in order of time; none overlap, so their ends are in order, too
    for place, one in enumerate(ranked):
        start, end = one.start_utc, one.end_utc
        in_the_way: list[_Kept] = []
        for at in range(bisect_right(kept, start - travel, key=_end), len(kept)):
            other = kept[at]
            if other[0] >= end + travel or len(in_the_way) == MOST_RIVALS:
                break
            if (start < other[1] and other[0] < end) or (travel and _apart(one, other[3])):
                in_the_way.append(other)
        if in_the_way:
            rivals[one.identity] = tuple(other for *_, other in sorted(in_the_way, key=_place))
        else:
            insort(kept, (start, end, place, one))
    return rivals


def _apart(one: Occurrence, other: Occurrence) -> bool:
    """Whether they are at two places in the world."""
    here, there = _where(one.location), _where(other.location)
    return bool(here and there) and here != there


def _where(location: str) -> str:
    """A place to travel to; none for what is met online."""
    words = " ".join(location.casefold().split())
    return "" if "://" in words or words in _ONLINE else words
