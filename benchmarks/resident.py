"""Our poll inside a process that stays, as in the daemon: it is told when, and answers what it cost.

Run as a program it serves one line of standard input after the other.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from benchmarks.measure import Cost
from daemon.clock import SystemClock
from daemon.config.settings import load
from daemon.logs import configure
from daemon.office import Office
from daemon.store import open_store


@dataclass(frozen=True, slots=True, kw_only=True)
class Polled:
    """One poll: its cost, and how many occurrences it changed."""

    cost: Cost
    changed: int


class Resident:
    """The process, seen from outside."""

    def __init__(self, config: Path, env: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.resident", str(config)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=env,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(30)
        assert self._process.stdout is not None
        self._process.stdout.close()

    def poll(self) -> Polled:
        """Let it poll once. Raises RuntimeError when a calendar could not be read."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("poll\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the polling process died")
        said = json.loads(line)
        if said["troubles"]:
            raise RuntimeError(said["troubles"])
        return Polled(cost=Cost(wall=said["wall"], cpu=said["cpu"]), changed=said["changed"])


def serve(config: Path) -> None:
    """Poll for every line that comes in."""
    configure(verbosity=-1)
    settings, clock = load(config), SystemClock()
    store = open_store(settings.state, clock.now())
    office = Office(settings, store, clock)
    office.start()
    for _ in sys.stdin:
        wall, cpu = time.perf_counter(), time.process_time()
        report = office.poll("own")
        cost = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
        troubles = "; ".join(trouble.message for trouble in report.troubles)
        print(
            json.dumps({**cost, "changed": report.changed + report.removed, "troubles": troubles}), flush=True
        )
    office.close()
    store.close()


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
