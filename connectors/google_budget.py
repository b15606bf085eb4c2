"""How often one Google account may be asked: an even pace, and pauses Google asked for."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from connectors.base import Retryable

BURST = 40
PER_MINUTE = 540
"""With the burst under Google's 600 requests a minute for each user and project."""


class Budget:
    """The requests of one account, shared by all its threads.

    ``monotonic`` and ``sleep`` are for tests.
    """

    def __init__(
        self,
        *,
        burst: int = BURST,
        per_minute: int = PER_MINUTE,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._burst = float(burst)
        self._rate = per_minute / 60
        self._monotonic, self._sleep = monotonic, sleep
        self._lock = threading.Lock()
        self._left = self._burst
        self._at = monotonic()
        self._until = 0.0
        self._writes_until = 0.0

    def take(self, *, write: bool = False) -> None:
        """Wait for the turn of one request. Raises Retryable at once while a pause lasts."""
        with self._lock:
            now = self._monotonic()
            pause = max(self._until, self._writes_until if write else 0.0) - now
            if pause > 0:
                raise Retryable("Google asked us to wait before the next request.", pause)
            self._left = min(self._burst, self._left + (now - self._at) * self._rate) - 1
            self._at = now
            wait = -self._left / self._rate
        if wait > 0:
            self._sleep(wait)

    def pause(self, seconds: float) -> None:
        """Ask nothing for so long."""
        with self._lock:
            self._until = max(self._until, self._monotonic() + seconds)

    def pause_writes(self, seconds: float) -> None:
        """Change nothing for so long; reading goes on."""
        with self._lock:
            self._writes_until = max(self._writes_until, self._monotonic() + seconds)


__all__ = ["Budget"]
