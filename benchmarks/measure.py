"""Clocks: what a piece of work in this process, or a whole child process, costs."""

from __future__ import annotations

import gc
import os
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Seconds on the wall clock, and of processor time."""

    wall: float
    cpu: float


def child(
    command: Sequence[str], *, folder: Path, env: Mapping[str, str] | None = None, answers: str = ""
) -> Cost:
    """Run a program to its end: its cost with its start. Raises RuntimeError with its words if it fails."""
    asked = folder / "answers"
    asked.write_text(answers)
    begun = time.perf_counter()
    with (folder / "output.log").open("wb") as output, asked.open("rb") as stdin:
        process = subprocess.Popen(
            command, stdin=stdin, stdout=output, stderr=subprocess.STDOUT, cwd=folder, env=env
        )
        _, status, used = os.wait4(process.pid, 0)
        wall = time.perf_counter() - begun
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        said = (folder / "output.log").read_text(errors="replace")
        raise RuntimeError(f"{command[0]} failed with {process.returncode}:\n{said[-2000:]}")
    return Cost(wall=wall, cpu=used.ru_utime + used.ru_stime)


def middle(costs: Sequence[Cost]) -> Cost:
    """The median of each."""
    return Cost(
        wall=statistics.median(cost.wall for cost in costs), cpu=statistics.median(cost.cpu for cost in costs)
    )


def side_by_side(rounds: int, *works: Callable[[], object]) -> list[float]:
    """Median processor seconds of each work, done by turns so that a busy machine hurts all alike."""
    for work in works:
        work()
    taken: list[list[float]] = [[] for _ in works]
    for _ in range(rounds):
        for work, times in zip(works, taken, strict=True):
            gc.collect()
            begun = time.process_time()
            work()
            times.append(time.process_time() - begun)
    return [statistics.median(times) for times in taken]
