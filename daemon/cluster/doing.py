"""What one process has in hand: nothing is done twice side by side, and nobody's things are put away."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from daemon.engine import Step
from daemon.office import Office


class Doing:
    """The steps under way here. A job whose lock was freed too early may come to the same process again."""

    def __init__(self) -> None:
        self._under_way: set[tuple[int, Step, str]] = set()
        self._changed = threading.Condition()

    @contextmanager
    def take(self, office: Office, step: Step, account: str) -> Iterator[bool]:
        """Be the one who does it; False where another thread is."""
        one = (id(office), step, account)
        with self._changed:
            mine = one not in self._under_way
            self._under_way.add(one)
        try:
            yield mine
        finally:
            if mine:
                with self._changed:
                    self._under_way.discard(one)
                    self._changed.notify_all()

    def wait(self, office: Office, deadline: float) -> list[str]:
        """Wait until nothing is done to an office, up to this monotonic time; what is then still done."""
        with self._changed:
            self._changed.wait_for(lambda: not self._of(office), max(0.0, deadline - time.monotonic()))
            return self._of(office)

    def _of(self, office: Office) -> list[str]:
        mine = [(step, account) for which, step, account in self._under_way if which == id(office)]
        return sorted(f"{step} {account}".strip() for step, account in mine)
