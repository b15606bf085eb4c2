"""What there is to do, for whom and when; an engine sees to it that it is done.

Two keep this promise: a :class:`daemon.crew.Crew` with threads of its own, and a
:class:`daemon.cluster.queue.Queue` whose workers may be on many machines. What is submitted is only a wish
to look: everything that must not be forgotten is in the store, and a tick finds it again.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol


class Step(StrEnum):
    """One kind of work."""

    POLL = "poll"
    """Read the calendars of an account."""

    READ = "read"
    """Look into the inbox."""

    DECIDE = "decide"
    """Judge what changed or came due."""

    DELIVER = "deliver"
    """Send what is due."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """What a step is about: everything of an owner, or one ``account`` of theirs."""

    owner: str
    account: str = ""

    def __str__(self) -> str:
        return f"{self.owner}/{self.account}" if self.account else self.owner


class Engine(Protocol):
    """Has steps done. Of one key there is never more than one at a time of each kind."""

    def submit(self, step: Step, key: Key, run_at: datetime | None = None) -> None:
        """Have a step done at ``run_at`` (UTC), or as soon as may be."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Next:
    """What a step that was done gives rise to, at ``run_at`` (UTC) or at once."""

    step: Step
    account: str = ""
    run_at: datetime | None = None
