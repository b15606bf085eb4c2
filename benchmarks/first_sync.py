"""What does the first sync of 10,000 events cost?"""

from __future__ import annotations

from benchmarks.bench import Bench
from benchmarks.measure import Cost, middle
from benchmarks.table import Row

CALENDARS = 4
EACH = 2500


def rows(bench: Bench) -> list[Row]:
    """Ours parses, expands and stores; vdirsyncer writes files. Each a process from nothing, by turns.

    The whole of ``run --once`` is told beside: it also judges every meeting, as no other tool here does.
    """
    house = bench.household(CALENDARS, EACH)
    polled: list[Cost] = []
    theirs: list[Cost] = []
    for _ in range(bench.rounds):
        folder = bench.folder()
        house.ours(folder)
        polled.append(house.poll_once(folder))
        vdirsyncer = house.vdirsyncer(bench.folder())
        theirs.append(vdirsyncer.first_sync())
        if vdirsyncer.count() != house.events:
            raise RuntimeError(f"vdirsyncer read {vdirsyncer.count()} of {house.events} events")
    folder = bench.folder()
    house.ours(folder)
    judged = house.rebookd(folder, "-q", "run", "--once")
    us, them = middle(polled), middle(theirs)
    what = f"first sync of {house.events:,} events"
    against = "vdirsyncer discover + sync"
    return [
        Row(what=f"{what}: client", ours=us.cpu, against=against, theirs=them.cpu, unit="s CPU", aim=2),
        Row(what=f"{what}: wall", ours=us.wall, against=against, theirs=them.wall, unit="s", aim=1),
        Row(
            what=f"{what}, all judged: client",
            ours=judged.cpu,
            against=against,
            theirs=them.cpu,
            unit="s CPU",
        ),
        Row(what=f"{what}, all judged: wall", ours=judged.wall, against=against, theirs=them.wall, unit="s"),
    ]
