"""What one poll may cost in all: seconds, and decompressed bytes of all its answers together.

The limits of one request bound each answer; a server could still send a thousand of them. Everything asked
inside :func:`allowed` shares one allowance.
"""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from connectors.base import ConnectorError, CursorExpired, TooMuch
from connectors.deadline import within

_MIB = 1024 * 1024

MOST_REFUSED = 20
"""Answers too large to be read that one poll may meet in search of the one event that is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """So many seconds and bytes, and what is raised when the bytes are spent."""

    seconds: float
    body_bytes: int
    spent: Callable[[], ConnectorError]


def _too_much() -> ConnectorError:
    return TooMuch(
        "The server sent more in one poll than is read at once; nothing of it was used. "
        "If the calendar is really that large, name fewer under calendars: in the configuration."
    )


def _read_in_full() -> ConnectorError:
    return CursorExpired("More has changed than is read at once.")


ASKING = Allowance(seconds=60, body_bytes=16 * _MIB, spent=_too_much)
"""Which calendars there are, and which changed."""

CHANGES = Allowance(seconds=60, body_bytes=16 * _MIB, spent=_read_in_full)
"""What changed in one calendar. More than that is read as a whole calendar is."""

WHOLE = Allowance(seconds=600, body_bytes=64 * _MIB, spent=_too_much)
"""One whole calendar: at first, and when its server has forgotten where we stopped."""


@dataclass(slots=True)
class _Purse:
    allowance: Allowance
    left: int
    refused: int = 0


_purse: contextvars.ContextVar[_Purse | None] = contextvars.ContextVar("purse", default=None)


@contextmanager
def allowed(allowance: Allowance) -> Iterator[None]:
    """Everything asked inside shares this allowance. Where it is spent, its own error is raised."""
    token = _purse.set(_Purse(allowance, allowance.body_bytes))
    try:
        with within(allowance.seconds):
            yield
    finally:
        _purse.reset(token)


def spend(size: int) -> None:
    """Take so many bytes of an answer from the allowance. Raises its error where they are not left."""
    purse = _purse.get()
    if purse is not None:
        purse.left -= size
        if purse.left < 0:
            raise purse.allowance.spent()


def refuse() -> None:
    """Count an answer that was thrown away, too large. Raises the allowance's error for too many."""
    purse = _purse.get()
    if purse is not None:
        purse.refused += 1
        if purse.refused > MOST_REFUSED:
            raise purse.allowance.spent()


__all__ = ["ASKING", "CHANGES", "MOST_REFUSED", "WHOLE", "Allowance", "allowed", "refuse", "spend"]
