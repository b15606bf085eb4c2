"""Whether the day went as it should: every expected mail once, and no other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from daemon.demo.story import Moment


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """One message that the mail server took, with what the outbox says of it (empty: nothing)."""

    at: datetime
    rule: str
    step: str
    to: str
    subject: str
    path: Path

    def __str__(self) -> str:
        return f"{self.rule or '?'}/{self.step or '?'} to {self.to} at {self.at:%H:%M}"


def differences(moments: Iterable[Moment], arrivals: Iterable[Arrival]) -> list[str]:
    """What differs between the story and what arrived, one sentence each; empty when all is well."""
    wanted = Counter(
        f"{one.rule}/{one.step} to {one.to} at {moment.at:%H:%M}"
        for moment in moments
        for one in moment.expected
    )
    came = Counter(str(one) for one in arrivals)
    return [
        *(f"expected, and never came: {what}" for what in sorted(wanted - came)),
        *(
            f"came {came[what]} times instead of once: {what}"
            if what in wanted
            else f"came, and was not expected: {what}"
            for what in sorted(came - wanted)
        ),
    ]
