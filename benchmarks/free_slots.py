"""How fast are the free times between many busy calendars found?"""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

from intervaltree import IntervalTree

from benchmarks.bench import Bench
from benchmarks.measure import side_by_side
from benchmarks.table import Row
from rules.model import Interval
from rules.slots import gaps

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
CALENDARS = 20
EACH = 200


def rows(_: Bench) -> list[Row]:
    """Twenty calendars of 200 meetings in 60 days. Raises when the two answers differ."""
    choice = random.Random(1)
    busy = []
    for _ in range(CALENDARS * EACH):
        start = NOW + timedelta(minutes=15 * choice.randrange(-96, 60 * 96))
        busy.append(Interval(start, start + timedelta(minutes=15 * choice.randrange(1, 6))))
    window = Interval(NOW, NOW + timedelta(days=60))

    def ours() -> list[tuple[datetime, datetime]]:
        return [(gap.start, gap.end) for gap in gaps(busy, window)]

    def theirs() -> list[tuple[datetime, datetime]]:
        taken = IntervalTree.from_tuples((one.start, one.end) for one in busy)
        taken.merge_overlaps(strict=False)
        free = IntervalTree.from_tuples([(window.start, window.end)])
        for one in taken[window.start : window.end]:
            free.chop(one.begin, one.end)
        return sorted((one.begin, one.end) for one in free)

    def theirs_quicker() -> list[tuple[datetime, datetime]]:
        """The tree only to merge, the gaps by walking along: kinder to it than its own chop."""
        taken = IntervalTree.from_tuples((one.start, one.end) for one in busy)
        taken.merge_overlaps(strict=False)
        found, at = [], window.start
        for one in sorted(taken[window.start : window.end]):
            if one.begin > at:
                found.append((at, one.begin))
            at = max(at, one.end)
        return [*found, (at, window.end)] if at < window.end else found

    if not ours() == theirs() == theirs_quicker():
        raise RuntimeError("the free times differ")
    ours_took, chop_took, walk_took = side_by_side(7, ours, theirs, theirs_quicker)
    what = f"free times among {CALENDARS} × {EACH} meetings"
    return [
        Row(
            what=what,
            ours=ours_took * 1e3,
            against="intervaltree, merged, then walked",
            theirs=walk_took * 1e3,
            unit="ms CPU",
            aim=15,
        ),
        Row(
            what=what,
            ours=ours_took * 1e3,
            against="intervaltree, merged, then chopped",
            theirs=chop_took * 1e3,
            unit="ms CPU",
        ),
    ]
