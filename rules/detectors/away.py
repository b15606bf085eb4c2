"""``away``: the meeting is ahead and lies, wholly or in part, in a time when I am out of office."""

from __future__ import annotations

from datetime import datetime

from rules.model import Interval, Occurrence
from rules.policy import Away
from rules.verdict import Looking, Verdict
from rules.view import View


def judge(occurrence: Occurrence, when: Away, view: View, now: datetime) -> Verdict:  # noqa: ARG001 - as all detectors
    """Which absence of mine it falls into."""
    looking = Looking(occurrence)
    start = occurrence.start_utc
    if not looking.at("ahead", now < start, "DTSTART", occurrence.start.isoformat()):
        return looking.verdict(False)
    mine = Interval(start, occurrence.end_utc)
    absences = [
        event for span, event in view.away if span.overlaps(mine) and event.identity != occurrence.identity
    ]
    if not absences:
        looking.at("lies in my absence", False, "marks.away", f"{len(view.away)} absences near")
        return looking.verdict(False, wake=(start,))
    found = next((one for one in absences if not view.is_blind(one)), absences[0])
    shown = f"{found.title or 'out of office'}, {view.said(found.start)} to {view.said(found.end)}"
    if view.is_blind(found):
        account = found.key.calendar.account
        looking.at("lies in my absence", None, "marks.away", f"{account} cannot be seen", found.observed_at)
        return looking.verdict(None, f"my absence lies in {account}, which cannot be seen", wake=(start,))
    looking.at("lies in my absence", True, "marks.away", shown, found.observed_at)
    return looking.verdict(
        True,
        f"I am away: {shown}",
        people=sorted(view.people(occurrence)),
        wake=(start,),
        since=(view.touched(found), found.relabelled_at),
    )
