"""What a last look can say, and what a run of the outbox did."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, Self

from connectors.base import NeedsLogin, Unreachable
from rules.delivery import State


@dataclass(frozen=True, slots=True)
class Decision:
    """What the last look before sending says. ``mode`` is how far it may go now, where that changed."""

    kind: Literal["go", "drop", "later", "hold"]
    why: str = ""
    at: datetime | None = None
    state: State | None = None
    mode: str = ""

    @classmethod
    def go(cls) -> Self:
        """Send it."""
        return cls("go")

    @classmethod
    def drop(cls, state: State, why: str) -> Self:
        """Do not send it: ``state`` is LAPSED, SUPERSEDED or SUPPRESSED."""
        return cls("drop", why, state=state)

    @classmethod
    def later(cls, at: datetime, why: str) -> Self:
        """Look again at ``at`` (UTC)."""
        return cls("later", why, at=at)

    @classmethod
    def hold(cls, why: str, mode: str = "") -> Self:
        """Wait for the owner's word."""
        return cls("hold", why, mode=mode)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one delivery in a run, and why."""

    id: int
    state: State
    why: str = ""


@dataclass(slots=True)
class SendReport:
    """What one run did.

    ``stopped`` says why not everything due was tried, if so; ``trouble`` is the mail server's part in
    that.
    """

    outcomes: list[Outcome] = field(default_factory=list)
    failed: list[tuple[int, str]] = field(default_factory=list)
    stopped: str = ""
    trouble: Unreachable | NeedsLogin | None = None

    @property
    def counts(self) -> Counter[State]:
        """How many deliveries ended the run in each state."""
        return Counter(one.state for one in self.outcomes)
