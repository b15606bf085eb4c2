"""The threads of one office: one polls each account, one sends, one reads replies; the daemon ticks for it.

Whatever goes wrong in one crew is its own; of several owners each has one.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import TypeVar

import structlog

from connectors.allowance import CHANGES, WHOLE
from daemon.beats import Beats
from daemon.memory import give_back, share_heaps
from daemon.office import Office
from daemon.poll import PollReport
from daemon.store.errors import StoreError

log = structlog.get_logger()

T = TypeVar("T")

PAUSE = 1.0
"""Seconds between two looks into the outbox; what was just decided is looked at at once."""

LOGIN_AGAIN = timedelta(hours=1)
"""How long an account that needs a sign-in is left alone."""

POLL_PATIENCE = CHANGES.seconds + WHOLE.seconds + 60
DECIDE_PATIENCE = 120.0
SEND_PATIENCE = 300.0
REPLY_PATIENCE = 300.0
"""Seconds without a sign of life after which a part counts as stuck."""

REPLIES_EVERY = timedelta(minutes=1)
"""Between two looks into the inbox."""


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
        self._threads: list[threading.Thread] = []

    def begin(self) -> None:
        """Take up what an earlier run left, and start every thread. Raises StoreError."""
        share_heaps()
        with self._named():
            self.office.start()
        self._threads = [
            self._thread(f"poll {self._of(account)}", self._poll_for_ever, account)
            for account in self.office.settings.accounts
        ]
        self._threads.append(self._thread(self._part("send"), self._send_for_ever))
        if self.office.settings.config.mail.reads_replies:
            self._threads.append(self._thread(self._part("replies"), self._read_for_ever))
        for thread in self._threads:
            thread.start()

    def tick(self, crews: int = 1) -> None:
        """Decide on what changed or came due; the next turn comes after that of all ``crews``."""
        part = self._part("decide")
        with self._named():
            self._guarded(part, DECIDE_PATIENCE, self._decide)
        self.beats.beat(part, DECIDE_PATIENCE * crews)

    def stop(self) -> None:
        """Let everyone finish what is in hand, and nothing more."""
        self.office.stopping.set()
        self.office.nudged.set()

    def join(self, deadline: float) -> list[str]:
        """Wait for the threads, up to this monotonic time; the names of those that are late."""
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
            self.beats.forget(thread.name)
        late = [thread.name for thread in self._threads if thread.is_alive()]
        if not late:
            self.office.close()
        return late

    def _part(self, word: str) -> str:
        return f"{word} {self.owner}" if self.owner else word

    def _of(self, account: str) -> str:
        return f"{self.owner}/{account}" if self.owner else account

    def _named(self) -> AbstractContextManager[object]:
        """What is logged meanwhile says whose it is, where there are several."""
        return structlog.contextvars.bound_contextvars(**({"owner": self.owner} if self.owner else {}))

    def _thread(self, name: str, work: Callable[..., None], *args: str) -> threading.Thread:
        def run() -> None:
            with self._named():
                work(*args)

        return threading.Thread(target=run, name=name, daemon=True)

    def _decide(self) -> None:
        decided = self.office.decide()
        for intent in decided.planned:
            log.info("planned", rule=intent.rule, step=intent.step, uid=intent.key.uid, reason=intent.reason)
        if decided.planned:
            self.office.nudged.set()

    def _poll_for_ever(self, account: str) -> None:
        office, part = self.office, threading.current_thread().name
        every = office.settings.accounts[account].poll_every.delta

        def moving(*_: object) -> None:
            """A long first read moves, too."""
            self.beats.beat(part, POLL_PATIENCE)

        while not office.stopping.is_set():
            report = self._guarded(part, POLL_PATIENCE, lambda: office.poll(account, moving))
            wait = pause(report, every).total_seconds()
            self.beats.beat(part, wait + POLL_PATIENCE)
            give_back()
            office.stopping.wait(wait)
        self.beats.forget(part)

    def _send_for_ever(self) -> None:
        office, part = self.office, threading.current_thread().name
        while not office.stopping.is_set():
            self._guarded(part, SEND_PATIENCE, office.send)
            office.nudged.wait(self.pause)
            office.nudged.clear()
        self.beats.forget(part)

    def _read_for_ever(self) -> None:
        """Look into the inbox, seldom where only its owner can mend that it cannot be read."""
        office, part = self.office, threading.current_thread().name
        while not office.stopping.is_set():
            report = self._guarded(part, REPLY_PATIENCE, office.read_replies)
            wait = LOGIN_AGAIN if report is not None and report.for_owner else REPLIES_EVERY
            self.beats.beat(part, wait.total_seconds() + REPLY_PATIENCE)
            give_back()
            office.stopping.wait(wait.total_seconds())
        self.beats.forget(part)

    def _guarded(self, part: str, patience: float, work: Callable[[], T]) -> T | None:
        """Do it, whatever it raises; only a failing store ends the crew."""
        self.beats.beat(part, patience)
        try:
            done = work()
        except StoreError as error:
            self.failure = self.failure or error
        except Exception:
            log.exception("unexpected failure, carrying on", part=part)
        else:
            self.beats.beat(part, patience)
            return done
        return None


def pause(report: PollReport | None, every: timedelta) -> timedelta:
    """How long to leave an account alone after a poll."""
    if report is None or report.ok:
        return every
    if any(trouble.kind == "sign-in needed" for trouble in report.troubles):
        return max(every, LOGIN_AGAIN)
    return max(every, timedelta(seconds=report.retry_after or 0))
