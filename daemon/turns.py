"""Whole calendars are read few at a time: each takes memory that no later poll needs again."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from daemon.memory import give_back

AT_ONCE = 3
"""So many whole calendars are read at a time."""

PATIENCE = 30.0
"""Seconds after which a read no longer counts: a slow server must not keep the others waiting."""

_changed = threading.Condition()
_begun: list[float] = []


@contextmanager
def whole_read() -> Iterator[None]:
    """Wait for one's turn to read a whole calendar, and have it."""
    with _changed:
        while (wait := _full_for()) > 0:
            _changed.wait(wait)
        begun = time.monotonic()
        _begun.append(begun)
    try:
        yield
    finally:
        give_back()
        with _changed:
            _begun.remove(begun)
            _changed.notify_all()


def _full_for() -> float:
    """Seconds until the next turn, if none ends before; nothing where one is free."""
    now = time.monotonic()
    fresh = sorted(at for at in _begun if now - at < PATIENCE)
    return fresh[-AT_ONCE] + PATIENCE - now if len(fresh) >= AT_ONCE else 0.0
