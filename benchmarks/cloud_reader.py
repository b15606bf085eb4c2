"""A process that reads a cloud calendar from nothing and then asks again and again whether it changed.

What it cost goes to standard output; loading libraries, and the first building of a request, are left out.
"""

from __future__ import annotations

import gc
import json
import time
from collections.abc import Callable
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.cloud_stub import COUNTED

IDLE = 200


class AnyToken:
    """An access token that the stub does not look at."""

    def access_token(self) -> str:
        """It."""
        return "token"

    def forget(self, token: str) -> None:
        """Never asked for."""


def measure(url: str, first: Callable[[], int], again: Callable[[], object]) -> None:
    """Print what reading all (``first`` says how many events) and asking ``again`` cost at the stub."""
    gc.collect()
    before = _from_now_on_mb()
    _counted(url)
    events, wall, cpu = _timed(first)
    grown = _memory_mb("VmHWM") - before
    asked = _counted(url)
    _, idle_wall, idle_cpu = _timed(lambda: sum(again() is not None for _ in range(IDLE)))
    idle = _counted(url)
    print(
        json.dumps(
            {
                "events": events,
                "requests": asked["requests"],
                "wall": wall,
                "cpu": cpu,
                "grown": grown,
                "idle_requests": idle["requests"] / IDLE,
                "idle_octets": idle["octets"] / IDLE,
                "idle_wall": idle_wall / IDLE,
                "idle_cpu": idle_cpu / IDLE,
            }
        )
    )


def _timed(work: Callable[[], int]) -> tuple[int, float, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    found = work()
    return found, time.perf_counter() - wall, time.process_time() - cpu


def _from_now_on_mb() -> float:
    """The memory held now, from where the peak is noted anew."""
    Path("/proc/self/clear_refs").write_text("5")
    return _memory_mb("VmRSS")


def _memory_mb(name: str) -> float:
    status = Path("/proc/self/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith(name))
    return int(line.split()[1]) / 1000


def _counted(url: str) -> dict[str, float]:
    """Requests and octets at the stub since this was last asked."""
    connection = HTTPConnection(urlsplit(url).netloc, timeout=60)
    connection.request("GET", COUNTED)
    found: dict[str, float] = json.loads(connection.getresponse().read())
    connection.close()
    return found
