"""Does finding who has to give way cost what the meetings are, not their square?"""

from __future__ import annotations

import gc
import random
import statistics
import time
from collections.abc import Callable
from datetime import datetime, timedelta

from benchmarks.bench import Bench
from benchmarks.meetings import ME, NOW, snapshot
from benchmarks.table import Row
from rules.detectors.conflict import judge
from rules.model import CalendarRef, Occurrence, OccurrenceKey
from rules.policy import Conflict
from rules.view import View

SIZES = (1_000, 10_000, 100_000)
MANY = 50_000
"""So many are judged once only."""
WHEN = Conflict.model_validate({"keep": ["earliest_created"], "travel": "30m"})
_CALENDARS = tuple(CalendarRef(account=name, id=name) for name in ("acme", "initech", "globex"))
Placed = tuple[datetime, datetime]


def rows(bench: Bench) -> list[Row]:
    """Every meeting of 1,000, 10,000 and 100,000 judged for clashes, a meeting's share of the whole."""
    sizes = [bench.size(size) for size in SIZES]
    found = []
    for kind, place in _KINDS.items():
        few, *more = (
            statistics.median(_share(size, place) for _ in range(bench.rounds if size < MANY else 1))
            for size in sizes
        )
        found += [
            Row(
                what=f"clashes among {size:,} meetings, {kind}",
                ours=cost * 1e6,
                against=f"among {sizes[0]:,}",
                theirs=few * 1e6,
                unit="µs CPU a meeting",
                aim=1 / 1.5,
            )
            for size, cost in zip(sizes[1:], more, strict=True)
        ]
    return found


def _share(count: int, place: Callable[[random.Random, int, int], Placed]) -> float:
    choice = random.Random(1)
    subjects = tuple(_meeting(number, place(choice, number, count)) for number in range(count))
    gc.collect()
    begun = time.process_time()
    view = View(snapshot(subjects), NOW)
    for one in subjects:
        judge(one, WHEN, view, NOW)
    return (time.process_time() - begun) / count


def _meeting(number: int, placed: Placed) -> Occurrence:
    start, end = placed
    return Occurrence(
        key=OccurrenceKey(calendar=_CALENDARS[number % 3], uid=f"meeting-{number}"),
        title="Review",
        start=start,
        end=end,
        organizer=ME,
        created=NOW - timedelta(days=99_999) + (end - start),  # the shorter is kept
        location=("Room 4", "Online", "Market Square 1")[number % 3 if number % 5 else 1],
    )


def _in_full_weeks(choice: random.Random, number: int, _: int) -> Placed:
    """As in a full week: six meetings in a row, each second one overlapping the next, then a pause."""
    start = NOW + timedelta(minutes=60 + 300 * (number // 6) + 40 * (number % 6) + choice.randrange(5))
    return start, start + timedelta(minutes=50 if number % 2 else 25)


def _at_once(choice: random.Random, _: int, __: int) -> Placed:
    """Everything overlaps everything."""
    start = NOW + timedelta(seconds=3600 + choice.randrange(3600))
    return start, start + timedelta(seconds=7200 + choice.randrange(3600))


def _half_across(choice: random.Random, number: int, count: int) -> Placed:
    """Half lie in a row, half stretch across all of them; the short ones are kept."""
    start = NOW + timedelta(hours=1 + number // 2)
    if number % 2:
        return start, start + timedelta(minutes=20 + choice.randrange(10))
    return NOW + timedelta(hours=1), NOW + timedelta(hours=2 + count, seconds=number)


_KINDS: dict[str, Callable[[random.Random, int, int], Placed]] = {
    "in full weeks": _in_full_weeks,
    "all at once": _at_once,
    "half across all others": _half_across,
}
