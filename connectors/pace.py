"""How often one account's service may be asked: an even pace, so many at once, pauses it asked for."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from connectors.base import Retryable


class Pace:
    """The requests of one account at ``service``, shared by all its threads.

    ``at_once`` is how many may be under way together. ``monotonic`` and ``sleep`` are for tests.
    """

    def __init__(
        self,
        service: str,
        *,
        burst: int,
        per_minute: int,
        at_once: int = 100,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._service = service
        self._at_once = at_once
        self._under_way = 0
        self._ended = threading.Condition()
        self._burst = float(burst)
        self._rate = per_minute / 60
        self._monotonic, self._sleep = monotonic, sleep
        self._lock = threading.Lock()
        self._left = self._burst
        self._at = monotonic()
        self._until = 0.0
        self._writes_until = 0.0

    def take(self, count: int = 1, *, write: bool = False) -> None:
        """Wait for the turn of so many requests. Raises Retryable at once while a pause lasts."""
        with self._lock:
            now = self._monotonic()
            self._refuse_in_a_pause(now, write=write)
            self._left = min(self._burst, self._left + (now - self._at) * self._rate) - count
            self._at = now
            wait = -self._left / self._rate
        if wait > 0:
            self._sleep(wait)
            with self._lock:
                self._refuse_in_a_pause(self._monotonic(), write=write)

    @contextmanager
    def slot(self, count: int = 1) -> Iterator[None]:
        """Wait until no more than ``at_once`` requests are under way with these, and be them."""
        count = min(count, self._at_once)
        with self._ended:
            self._ended.wait_for(lambda: self._under_way + count <= self._at_once)
            self._under_way += count
        try:
            yield
        finally:
            with self._ended:
                self._under_way -= count
                self._ended.notify_all()

    def pause(self, seconds: float) -> None:
        """Ask nothing for so long."""
        with self._lock:
            self._until = max(self._until, self._monotonic() + seconds)

    def pause_writes(self, seconds: float) -> None:
        """Change nothing for so long; reading goes on."""
        with self._lock:
            self._writes_until = max(self._writes_until, self._monotonic() + seconds)

    def _refuse_in_a_pause(self, now: float, *, write: bool) -> None:
        pause = max(self._until, self._writes_until if write else 0.0) - now
        if pause > 0:
            raise Retryable(f"{self._service} asked us to wait before the next request.", pause)


__all__ = ["Pace"]
