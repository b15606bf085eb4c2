"""How much memory does the daemon hold between two polls?"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.bench import Bench
from benchmarks.household import Household
from benchmarks.table import Row

AIM_MB = 80
SECONDS = 12
"""How long it polls before it is looked at."""


def rows(bench: Bench) -> list[Row]:
    """The real daemon with one account, polling every second: from the start, and after a first sync."""
    house = bench.household(4, 2500)
    folder = bench.folder()
    house.ours(folder, every="1s")
    busy = _resident_mb(house, folder, wait_for="calendar read")
    fresh = _resident_mb(house, folder)
    return [
        Row(
            what=f"memory, {house.events:,} events known, idle",
            ours=fresh,
            against="the aim",
            theirs=AIM_MB,
            unit="MB",
            aim=1,
        ),
        Row(
            what=f"memory after reading {house.events:,} events in this life",
            ours=busy,
            against="the aim",
            theirs=AIM_MB,
            unit="MB",
        ),
    ]


def _resident_mb(house: Household, folder: Path, *, wait_for: str = "running") -> float:
    command = Path(sys.executable).with_name("rebookd")
    log = folder / "daemon.log"
    with log.open("wb") as said:
        process = subprocess.Popen(
            [str(command), "--config", str(folder / "config.yaml"), "run"],
            env=house.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=said,
        )
    try:
        deadline = time.monotonic() + 120
        while log.read_text().count(wait_for) < (len(house.calendars) if wait_for != "running" else 1):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(log.read_text()[-2000:])
            time.sleep(0.2)
        time.sleep(SECONDS)
        status = Path(f"/proc/{process.pid}/status").read_text()
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)
    held = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    return int(held.split()[1]) / 1000
