"""What a first sync and an idle poll of a cloud calendar cost, ours against the least anybody could do.

Each of the two is a process of its own, several times by turns, and asks a local stub of the service.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median

from benchmarks.bench import Bench
from benchmarks.table import Row

EVENTS = 25_000

Runs = dict[str, list[dict[str, float]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A service by name, the modules that read it and stand for it, and what the other reader is.

    The modules are run as programs: ``reader`` with ``ours`` or ``theirs`` and an address, ``stub`` with the
    number of events.
    """

    name: str
    reader: str
    stub: str
    against: str

    def rows(self, bench: Bench) -> list[Row]:
        """The lines of the table. Raises RuntimeError when not all events were read."""
        count = bench.size(EVENTS)
        found: Runs = {"ours": [], "theirs": []}
        with self._serving(count) as url:
            for _ in range(bench.rounds):
                for who, runs in found.items():
                    runs.append(self._read(who, url))
        if any(run["events"] != count for runs in found.values() for run in runs):
            raise RuntimeError("not all events were read")
        first, idle = f"{self.name}: first sync of {count:,} events", f"{self.name}: idle poll of a calendar"
        return [
            self._row(f"{first}: requests", found, "requests", 1, ""),
            self._row(f"{first}: client", found, "cpu", 1e6 / count, "µs CPU each"),
            self._row(f"{first}: wall", found, "wall", 1e6 / count, "µs each"),
            self._row(f"{first}: memory it grows by at its peak", found, "grown", 1, "MB"),
            self._row(f"{idle}: requests", found, "idle_requests", 1, ""),
            self._row(f"{idle}: both ways", found, "idle_octets", 1 / 1024, "KiB"),
            self._row(f"{idle}: client", found, "idle_cpu", 1e3, "ms CPU"),
            self._row(f"{idle}: wall", found, "idle_wall", 1e3, "ms"),
        ]

    def _row(self, what: str, found: Runs, name: str, scale: float, unit: str) -> Row:
        ours, theirs = (median(run[name] for run in found[who]) * scale for who in ("ours", "theirs"))
        return Row(what=what, ours=ours, against=self.against, theirs=theirs, unit=unit)

    def _read(self, who: str, url: str) -> dict[str, float]:
        command = [sys.executable, "-m", self.reader, who, url]
        said = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        measured: dict[str, float] = json.loads(said)
        return measured

    @contextmanager
    def _serving(self, count: int) -> Iterator[str]:
        command = [sys.executable, "-m", self.stub, str(count)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout is not None
                yield f"http://127.0.0.1:{int(process.stdout.readline())}/"
            finally:
                process.terminate()
