"""``cancelled``: the other side cancelled a meeting I had accepted, and nothing replaces it.

Some servers take a cancelled meeting out of the attendee's calendar instead of saying so. What is
remembered of such a meeting may also have been deleted by the owner, so that only they are told.
"""

from __future__ import annotations

from datetime import datetime

from rules.model import Occurrence
from rules.policy import Cancelled
from rules.steps import later
from rules.verdict import SEEN_LATE, Looking, Verdict
from rules.view import View

REMOVED = "removed"
"""Tone of a finding about a meeting that vanished without a word."""


def judge(occurrence: Occurrence, when: Cancelled, view: View, now: datetime) -> Verdict:
    """Whether the cancellation still leaves a hole."""
    looking = Looking(occurrence)
    at = occurrence.cancelled_at
    if at is not None:
        ripe = later(at, when.grace, view.owner.hours)
        if not looking.at(f"at least {when.grace} ago", now >= ripe, "STATUS", f"since {at.isoformat()}"):
            return looking.verdict(False, wake=(ripe,))
    since = at - SEEN_LATE if at else occurrence.modified or occurrence.created
    other = view.replacement(occurrence, since) if since is not None else None
    if other is not None:
        value = f"{other.title or 'a meeting'} with the same people at {view.said(other.start)}"
        looking.at("nothing replaces it", False, "DTSTART", value, other.observed_at)
        return looking.verdict(False)
    looking.at("nothing replaces it", True, "ATTENDEE", "no other meeting with the same people")
    if occurrence.removed_at is not None:
        looking.at("they cancelled it", None, "STATUS", "it vanished from the calendar")
        return looking.verdict(
            True, "it vanished from the calendar; they may have cancelled it", tone=REMOVED, since=(at,)
        )
    return looking.verdict(
        True, "the other side cancelled it", people=sorted(view.people(occurrence)), since=(at,)
    )
