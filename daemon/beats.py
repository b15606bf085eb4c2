"""Who is still moving: the watchdog is fed only while poll, decide and send all advance."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass


@dataclass(slots=True)
class _Beat:
    last: float
    patience: float


class Beats:
    """The last sign of life of each part, in monotonic seconds, and how long it may be silent."""

    def __init__(self) -> None:
        self._beats: dict[str, _Beat] = {}
        self._lock = threading.Lock()

    def beat(self, part: str, patience: float) -> None:
        """The part moved; it will again within ``patience`` seconds."""
        with self._lock:
            self._beats[part] = _Beat(time.monotonic(), patience)

    def forget(self, part: str) -> None:
        """The part ended on purpose."""
        with self._lock:
            self._beats.pop(part, None)

    def stuck(self) -> list[str]:
        """The parts that have been silent for too long."""
        return [name for name, is_stuck in self.parts().items() if is_stuck]

    def parts(self) -> dict[str, bool]:
        """Every part, and whether it has been silent for too long."""
        now = time.monotonic()
        with self._lock:
            return {name: now - beat.last > beat.patience for name, beat in sorted(self._beats.items())}
