"""What do a first sync and an idle poll of a Google calendar cost, against the client library alone?"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from benchmarks.bench import Bench
from benchmarks.table import Row

EVENTS = 25_000
AGAINST = "google-api-python-client, reading only"


def rows(bench: Bench) -> list[Row]:
    """Ours makes plain records, expands series and keeps each event's text; the library reads the JSON."""
    count = bench.size(EVENTS)
    found: dict[str, list[dict[str, float]]] = {"ours": [], "library": []}
    with _stub(bench.folder(), count) as url:
        for _ in range(bench.rounds):
            for who, runs in found.items():
                runs.append(_read(who, url))
    if any(run["events"] != count for runs in found.values() for run in runs):
        raise RuntimeError("not all events were read")
    what = f"Google: first sync of {count:,} events"
    return [
        _row(f"{what}: client", found, "cpu", 1e6 / count, "µs CPU each"),
        _row(f"{what}: wall", found, "wall", 1e6 / count, "µs each"),
        _row(f"{what}: memory at its peak", found, "grown", 1, "MB"),
        _row("Google: idle poll of a calendar", found, "idle_cpu", 1e3, "ms CPU"),
        _row("Google: idle poll of a calendar: wall", found, "idle_wall", 1e3, "ms"),
    ]


def _row(what: str, found: dict[str, list[dict[str, float]]], name: str, scale: float, unit: str) -> Row:
    ours, theirs = (median(run[name] for run in found[who]) * scale for who in ("ours", "library"))
    return Row(what=what, ours=ours, against=AGAINST, theirs=theirs, unit=unit)


def _read(who: str, url: str) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.google_reader", who, url]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    measured: dict[str, float] = json.loads(said)
    return measured


@contextmanager
def _stub(folder: Path, count: int) -> Iterator[str]:
    command = [sys.executable, "-m", "benchmarks.google_stub", str(folder), str(count)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield f"http://127.0.0.1:{int(process.stdout.readline())}/"
        finally:
            process.terminate()
