"""``unaccounted``: the meeting is over and nothing says whether it took place. Only the owner is asked."""

from __future__ import annotations

from datetime import datetime

from rules.model import Held, Occurrence
from rules.policy import Unaccounted
from rules.steps import later
from rules.verdict import Looking, Verdict
from rules.view import View


def judge(occurrence: Occurrence, when: Unaccounted, view: View, now: datetime) -> Verdict:
    """Whether evidence is missing either way."""
    looking = Looking(occurrence)
    settled = later(occurrence.end_utc, when.settle, view.owner.hours)
    over = now >= settled
    if not looking.at(f"over for {when.settle}", over, "DTEND", occurrence.end.isoformat()):
        return looking.verdict(False, wake=(settled,))
    evidence = view.attendance(occurrence)
    if evidence is not None and evidence.held is not Held.UNKNOWN:
        looking.at(
            "no evidence", False, "attendance", f"{evidence.held.value} ({evidence.source})", evidence.at
        )
        return looking.verdict(False)
    looking.at("no evidence", True, "attendance", "none")
    return looking.verdict(
        True,
        "nobody knows whether it took place",
        people=sorted(view.people(occurrence)),
    )
