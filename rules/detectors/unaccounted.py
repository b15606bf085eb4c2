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
    due = view.records_due(occurrence)
    if due is not None:
        looking.at("records of its call were read", None, "attendance", "not yet")
        return looking.verdict(None, "the records of its call are still to be read", wake=(due,))
    looking.at("no evidence", True, "attendance", f"unknown ({evidence.source})" if evidence else "none")
    return looking.verdict(
        True,
        "nobody knows whether it took place" + (f": {evidence.source}" if evidence else ""),
        people=sorted(view.people(occurrence)),
    )
