"""What a detector answers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from rules.model import Address, Because, Occurrence

SEEN_LATE = timedelta(hours=2)
"""A change is seen only when a calendar is read: what answers it may have been made a little earlier."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Whether the condition holds (None = unknown), whom it concerns, and why.

    ``reason`` is one sentence for the owner. ``wake`` are the instants (UTC) at which the answer may
    change by time alone. ``tone`` tells the mail how sure we are. ``since`` is the last thing seen to
    happen (UTC) without which the answer would be another; None when nothing was. Findings of one
    ``cluster`` hang together: whoever is written to about them gets one message.
    """

    holds: bool | None
    because: tuple[Because, ...]
    people: tuple[Address, ...] = ()
    reason: str = ""
    tone: str = ""
    wake: tuple[datetime, ...] = ()
    since: datetime | None = None
    cluster: str = ""


class Looking:
    """Collects the predicates one detector looks at."""

    def __init__(self, occurrence: Occurrence) -> None:
        self._seen = occurrence.observed_at
        self._because: list[Because] = []

    def at(
        self, predicate: str, holds: bool | None, field: str, value: str, observed_at: datetime | None = None
    ) -> bool | None:
        """Note one predicate and give back whether it holds."""
        self._because.append(
            Because(
                predicate=predicate,
                holds=holds,
                field=field,
                value=value,
                observed_at=observed_at or self._seen,
            )
        )
        return holds

    def verdict(
        self,
        holds: bool | None,
        reason: str = "",
        *,
        people: Iterable[Address] = (),
        tone: str = "",
        wake: Iterable[datetime | None] = (),
        since: Iterable[datetime | None] = (),
        cluster: str = "",
    ) -> Verdict:
        """The verdict with everything noted so far."""
        return Verdict(
            holds=holds,
            because=tuple(self._because),
            people=tuple(people),
            reason=reason,
            tone=tone,
            wake=tuple(at for at in wake if at is not None),
            since=max((at for at in since if at is not None), default=None),
            cluster=cluster,
        )
