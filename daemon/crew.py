"""The engine of one machine: threads for one office, one polls each account, one sends, one reads replies.

The daemon ticks for it. Whatever goes wrong in one crew is its own; of several owners each has one.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

import structlog

from connectors.allowance import CHANGES, WHOLE
from daemon import steps
from daemon.beats import Beats
from daemon.engine import Key, Next, Step
from daemon.memory import give_back, share_heaps
from daemon.office import Office
from daemon.store.errors import StoreAway, StoreError

log = structlog.get_logger()

T = TypeVar("T")

PAUSE = 1.0
"""Seconds between two looks into the outbox; what was just decided is looked at at once."""

AWAY = 2.0
"""Seconds between two tries to reach a database that is away."""

DECIDE_PATIENCE = 120.0
PATIENCE = {Step.POLL: CHANGES.seconds + WHOLE.seconds + 60, Step.READ: 300.0, Step.DELIVER: 300.0}
"""Seconds without a sign of life after which a part counts as stuck."""

_WORDS = {Step.POLL: "poll", Step.READ: "replies", Step.DELIVER: "send"}


@dataclass(slots=True)
class _Lane:
    """What one thread does again and again: at the moment it was submitted for, or a ``rest`` later."""

    step: Step
    account: str
    rest: float
    wake: threading.Event
    at: datetime | None = None


class Crew:
    """Runs one office until it is told to stop. ``owner`` names it among others.

    ``failure`` is that of its state, after which it is of no use.
    """

    def __init__(self, office: Office, owner: str = "") -> None:
        self.office = office
        self.owner = owner
        self.beats = Beats()
        self.pause = PAUSE
        self.failure: StoreError | None = None
        self._lanes: dict[tuple[Step, str], _Lane] = {}
        self._threads: list[threading.Thread] = []

    def begin(self) -> None:
        """Take up what an earlier run left, and start every thread. Raises StoreError."""
        share_heaps()
        with self._named():
            self.office.start()
        for account, configured in self.office.settings.accounts.items():
            self._open(Step.POLL, account, configured.poll_every.delta.total_seconds(), threading.Event())
        self._open(Step.DELIVER, "", self.pause, self.office.nudged)
        if self.office.settings.config.mail.reads_replies:
            self._open(Step.READ, "", steps.REPLIES_EVERY.total_seconds(), threading.Event())
        self._threads = [self._thread(lane) for lane in self._lanes.values()]
        for thread in self._threads:
            thread.start()

    def submit(self, step: Step, key: Key, run_at: datetime | None = None) -> None:
        """Have a step done at ``run_at`` (UTC) or at once; what there is to decide, the next tick finds."""
        lane = self._lanes.get((step, key.account))
        if lane is None:
            return
        lane.at = run_at
        if run_at is None:
            lane.wake.set()

    def tick(self, crews: int = 1) -> None:
        """Decide on what changed or came due; the next turn comes after that of all ``crews``."""
        part = self._part("decide")
        with self._named():
            self._follow(self._guarded(part, DECIDE_PATIENCE, lambda: steps.decide(self.office)) or [])
        self.beats.beat(part, DECIDE_PATIENCE * crews)

    def stop(self) -> None:
        """Let everyone finish what is in hand, and nothing more."""
        self.office.stopping.set()
        self.office.nudged.set()
        for lane in self._lanes.values():
            lane.wake.set()

    def join(self, deadline: float) -> list[str]:
        """Wait for the threads, up to this monotonic time; the names of those that are late."""
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
            self.beats.forget(thread.name)
        late = [thread.name for thread in self._threads if thread.is_alive()]
        if not late:
            self.office.close()
        return late

    def _part(self, word: str, account: str = "") -> str:
        whose = "/".join(name for name in (self.owner, account) if name)
        return f"{word} {whose}" if whose else word

    def _named(self) -> AbstractContextManager[object]:
        """What is logged meanwhile says whose it is, where there are several."""
        return structlog.contextvars.bound_contextvars(**({"owner": self.owner} if self.owner else {}))

    def _open(self, step: Step, account: str, rest: float, wake: threading.Event) -> None:
        self._lanes[step, account] = _Lane(step, account, rest, wake)

    def _thread(self, lane: _Lane) -> threading.Thread:
        def run() -> None:
            with self._named():
                self._work(lane)

        name = self._part(_WORDS[lane.step], lane.account)
        return threading.Thread(target=run, name=name, daemon=True)

    def _work(self, lane: _Lane) -> None:
        office, part = self.office, threading.current_thread().name
        patience = PATIENCE[lane.step]

        def moving(*_: object) -> None:
            """A long first read moves, too."""
            self.beats.beat(part, patience)

        while not office.stopping.is_set():
            lane.at = None
            done = self._guarded(part, patience, lambda: steps.do(lane.step, office, lane.account, moving))
            self._follow(done or [])
            wait = lane.rest if lane.at is None else (lane.at - office.clock.now()).total_seconds()
            self.beats.beat(part, wait + patience)
            if lane.step is not Step.DELIVER:
                give_back()
            lane.wake.wait(max(0.0, wait))
            lane.wake.clear()
        self.beats.forget(part)

    def _follow(self, following: list[Next]) -> None:
        for one in following:
            self.submit(one.step, Key(owner=self.owner, account=one.account), one.run_at)

    def _guarded(self, part: str, patience: float, work: Callable[[], T]) -> T | None:
        """Do it, whatever it raises; only a failing store ends the crew, and none that is away for now."""
        self.beats.beat(part, patience)
        try:
            done = work()
        except StoreAway as error:
            log.warning("the state is away; trying again", part=part, problem=str(error))
            self.office.stopping.wait(AWAY)
        except StoreError as error:
            self.failure = self.failure or error
        except Exception:
            log.exception("unexpected failure, carrying on", part=part)
        else:
            self.beats.beat(part, patience)
            return done
        return None
