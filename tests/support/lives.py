"""Lives of the real daemon on one state: started again and again, each later on its clock, and cut short."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, field
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from rules.delivery import OPEN
from tests.support.house import House
from tests.support.verdict import rows

LONGEST = 20.0
"""Seconds after which a life that does nothing is cut short all the same."""


@dataclass
class Lives:
    """The lives in one house. ``restarts`` says when each began, on the real clock."""

    place: House
    clock: Path = field(init=False)
    restarts: list[float] = field(default_factory=list)
    passed: float = 0.0

    def __post_init__(self) -> None:
        """Begin at the present."""
        self.clock = self.place.folder / "clock"
        self.later(0)

    def later(self, seconds: float) -> None:
        """Let so much time pass on the daemon's clock, for whoever lives."""
        self.passed += seconds
        aside = self.clock.with_suffix(".new")
        aside.write_text(str(self.passed))
        aside.replace(self.clock)

    def begin(self, *words: str, **environment: str) -> ForkServerProcess:
        """Start the daemon, or a command of it."""
        self.restarts.append(time.time())
        return self.place.start(
            "-q", *words, module="tests.support.own_time", OWN_TIME=str(self.clock), **environment
        )

    def cut_short(self, chance: random.Random, within: float) -> None:
        """One life that dies at a random moment ``within`` seconds after its first message, or before it."""
        before = self._size()
        process = self.begin("run")
        early = chance.random() < 0.2
        end = time.monotonic() + (chance.uniform(0, 0.3) if early else LONGEST)
        while time.monotonic() < end and process.is_alive() and self._size() == before:
            time.sleep(0.002)
        if not early:
            time.sleep(chance.uniform(0, within))
        process.kill()
        process.join()

    def settle(self, rounds: int = 30) -> None:
        """Ordinary rounds, each an hour later, until nothing more happens by itself; and one more."""
        over = False
        for _ in range(rounds):
            self._live_through(self.begin("run", "--once"))
            if over:
                return
            over = not any(one.state in OPEN for one in rows(self.place))
            self.later(3700)

    def _live_through(self, process: ForkServerProcess) -> None:
        """Wait until a round ends; however much it has to send, it is never idle for long."""
        size, quiet_since = self._size(), time.monotonic()
        while process.is_alive():
            process.join(1)
            if size != (size := self._size()):
                quiet_since = time.monotonic()
            assert time.monotonic() - quiet_since < 60, "a round does not end"

    def _size(self) -> int:
        return self.place.log.stat().st_size if self.place.log.exists() else 0
