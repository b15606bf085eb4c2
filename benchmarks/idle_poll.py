"""What does it cost to learn that nothing has changed?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.bench import Bench
from benchmarks.measure import Cost, middle
from benchmarks.relay import Relay, relay
from benchmarks.table import Row

CALENDARS = 10
EACH = 1000
AGAINST = "vdirsyncer sync, with its start"
REPLAYED = 7
"""How often to repeat what takes no server."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """Idle polls of one client: at the server, and at the stub that says the same again."""

    requests: int
    octets: int
    served: Cost
    replayed: Cost


def rows(bench: Bench) -> list[Row]:
    """Ours is a poll inside the daemon's process, which stays; vdirsyncer has no other way than to start."""
    house = bench.household(CALENDARS, EACH)
    with relay(house.server.url) as wire:
        with house.resident(house.ours(bench.folder(), url=wire.url)) as resident:
            resident.poll()
            resident.poll()  # whatever the first sync left to learn
            us = _watch(wire, lambda: resident.poll().cost, bench.rounds)
        vdirsyncer = house.vdirsyncer(bench.folder(), url=wire.url)
        vdirsyncer.first_sync()
        them = _watch(wire, vdirsyncer.sync, bench.rounds)
    what = f"idle poll of {CALENDARS} × {house.each:,}"
    served, replayed = (us.served, them.served), (us.replayed, them.replayed)
    return [
        Row(what=f"{what}: requests", ours=us.requests, against="one request", theirs=1, unit="", aim=1),
        _row(f"{what}: requests", (us.requests, them.requests), ""),
        _row(f"{what}: both ways", (us.octets / 1024, them.octets / 1024), "KiB", aim=100),
        _row(f"{what}: wall", (served[0].wall, served[1].wall), "s", aim=2),
        _row(f"{what}: client", (served[0].cpu * 1e3, served[1].cpu * 1e3), "ms CPU"),
        _row(
            f"{what}, server replayed: wall", (replayed[0].wall * 1e3, replayed[1].wall * 1e3), "ms", aim=50
        ),
        _row(f"{what}, server replayed: client", (replayed[0].cpu * 1e3, replayed[1].cpu * 1e3), "ms CPU"),
    ]


def _watch(wire: Relay, poll: Callable[[], Cost], rounds: int) -> _Seen:
    wire.replaying = False
    served = []
    for _ in range(rounds):
        wire.reset()
        served.append(poll())
    requests, octets = wire.requests, wire.octets
    wire.replaying = True
    replayed = middle([poll() for _ in range(REPLAYED)])
    wire.replaying = False
    return _Seen(requests=requests, octets=octets, served=middle(served), replayed=replayed)


def _row(what: str, pair: tuple[float, float], unit: str, aim: float | None = None) -> Row:
    return Row(what=what, ours=pair[0], against=AGAINST, theirs=pair[1], unit=unit, aim=aim)
