"""One account's access token: kept until it nears its end, and a sign-in that was refused left alone.

How a token is made is its provider's; when one is made, who waits for it and what happens where it cannot be
is the same for all of them.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from enum import Enum, auto
from typing import Protocol

from connectors.base import NeedsLogin, Retryable

LOGIN_AGAIN = 3600.0
"""Seconds before a sign-in that was refused is tried again."""

_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""Goes on while the machine sleeps, where there is such a clock."""


def elapsed() -> float:
    """Seconds on a clock that never goes back, nor stands while the machine sleeps."""
    return time.clock_gettime(_CLOCK)


class Refused(NeedsLogin):
    """Whoever gives out tokens said no; asking again soon would not help."""


class Age(Enum):
    """How a token stands: good, better renewed, over."""

    FRESH = auto()
    STALE = auto()
    OVER = auto()


class Kept(Protocol):
    """A token with its age."""

    @property
    def token(self) -> str:
        """The token itself."""
        ...

    @property
    def age(self) -> Age:
        """How it stands now."""
        ...


class Source(Protocol):
    """What an account's tokens are made from."""

    def changed(self) -> bool:
        """Whether it is another sign-in than the one used last. Raises ConnectorError."""
        ...

    def renew(self, *, anew: bool) -> Kept:
        """A token; where ``anew`` is true not one that was given before, but from the sign-in itself.

        Raises :class:`Refused`, NeedsLogin where nobody signed in yet, Retryable and ConnectorError.
        """
        ...


class TokenKeeper:
    """One account's access tokens, renewed before they run out. Safe to share between threads.

    A sign-in that was refused is tried again after an hour, or as soon as there is another one.
    """

    def __init__(self, source: Source, *, elapsed: Callable[[], float] = elapsed) -> None:
        self._source = source
        self._elapsed = elapsed
        self._lock = threading.Lock()
        self._kept: Kept | None = None
        self._refused: Refused | None = None
        self._refused_at = 0.0

    def access_token(self) -> str:
        """A token that is valid now. Raises NeedsLogin, and Retryable where it cannot be renewed yet."""
        with self._lock:
            if self._refused is not None:
                self._wait_after_refusal(self._refused)
            kept = self._kept
            age = Age.OVER if kept is None else kept.age
            if kept is None or age is not Age.FRESH:
                kept = self._renewed(kept, age)
            return kept.token

    def forget(self, token: str) -> None:
        """Give this token out no more: it was not taken."""
        with self._lock:
            if self._kept is not None and self._kept.token == token:
                self._kept = None

    def _renewed(self, kept: Kept | None, age: Age) -> Kept:
        try:
            self._kept = self._source.renew(anew=kept is None)
        except Refused as refused:
            self._refused, self._refused_at = refused, self._elapsed()
            raise
        except Retryable:
            if kept is None or age is Age.OVER:
                raise
            return kept
        return self._kept

    def _wait_after_refusal(self, refused: Refused) -> None:
        if self._elapsed() - self._refused_at < LOGIN_AGAIN and not self._source.changed():
            raise NeedsLogin(str(refused)) from refused
        self._refused = None
        self._kept = None


__all__ = ["LOGIN_AGAIN", "Age", "Kept", "Refused", "Source", "TokenKeeper", "elapsed"]
