"""``ending``: the last meeting of a series is near, and no other meeting with the same people follows."""

from __future__ import annotations

from datetime import datetime

from rules.model import Occurrence
from rules.policy import Ending
from rules.verdict import Looking, Verdict
from rules.view import View


def judge(occurrence: Occurrence, when: Ending, view: View, now: datetime) -> Verdict:
    """Whether this is the last one for now."""
    looking = Looking(occurrence)
    if not looking.at("last of its series", occurrence.final, "RRULE", _series(occurrence)):
        return looking.verdict(False)
    start = occurrence.start_utc
    days = when.within.business_days
    near = view.owner.hours.shift(start, -days) if days else start - when.within.delta
    value = occurrence.start.isoformat()
    if not looking.at(f"at most {when.within} ahead", now >= near, "DTSTART", value):
        return looking.verdict(False, wake=(near,))
    people = view.people(occurrence)
    following = next(
        (
            other
            for address in sorted(people)[:1]
            for other in view.with_person.get(address, ())
            if other.start_utc > start
            and other.key.uid != occurrence.key.uid
            and people <= view.people(other)
            and view.stands(other)
        ),
        None,
    )
    if following is not None:
        value = f"{following.title or 'a meeting'} at {view.said(following.start)}"
        looking.at("nothing follows", False, "ATTENDEE", value, following.observed_at)
        return looking.verdict(False)
    looking.at("nothing follows", True, "ATTENDEE", "no later meeting with the same people")
    return looking.verdict(
        True,
        f"the series ends with this meeting, {view.said(start)}",
        people=sorted(people),
        since=(near,),
    )


def _series(occurrence: Occurrence) -> str:
    if not occurrence.recurring:
        return "single"
    return "the series ends here" if occurrence.final else "the series goes on"
