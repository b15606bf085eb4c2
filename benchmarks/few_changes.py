"""What does it cost to take in ten changes among 10,000 events?"""

from __future__ import annotations

from benchmarks.bench import Bench
from benchmarks.measure import Cost, middle
from benchmarks.table import Row

CALENDARS = 4
EACH = 2500
CHANGES = 10


def rows(bench: Bench) -> list[Row]:
    """The same ten for both, ours in the daemon's process. Raises when ours misses one."""
    house = bench.household(CALENDARS, EACH)
    theirs: list[Cost] = []
    ours: list[Cost] = []
    vdirsyncer = house.vdirsyncer(bench.folder())
    vdirsyncer.first_sync()
    with house.resident(house.ours(bench.folder())) as resident:
        resident.poll()
        resident.poll()
        for _ in range(bench.rounds):
            house.change(CHANGES)
            polled = resident.poll()
            if polled.changed < CHANGES:
                raise RuntimeError(f"only {polled.changed} of {CHANGES} changes were seen")
            ours.append(polled.cost)
            theirs.append(vdirsyncer.sync())
    us, them = middle(ours), middle(theirs)
    what = f"{CHANGES} changes in {house.events:,}"
    against = "vdirsyncer sync, with its start"
    return [
        Row(what=f"{what}: wall", ours=us.wall, against=against, theirs=them.wall, unit="s", aim=2),
        Row(what=f"{what}: client", ours=us.cpu * 1e3, against=against, theirs=them.cpu * 1e3, unit="ms CPU"),
    ]
