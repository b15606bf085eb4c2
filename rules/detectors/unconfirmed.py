"""``unconfirmed``: the meeting is ahead and somebody whose word counts has not said yes to its time."""

from __future__ import annotations

from datetime import datetime

from rules.answers import shown, unseen
from rules.model import Attendee, Occurrence, PartStat
from rules.people import is_stale, required_people, wish
from rules.policy import Unconfirmed
from rules.steps import later
from rules.verdict import Looking, Verdict
from rules.view import View


def judge(occurrence: Occurrence, when: Unconfirmed, view: View, now: datetime) -> Verdict:
    """Who has still to answer, or whether I have."""
    looking = Looking(occurrence)
    start = occurrence.start_utc
    if not looking.at("ahead", now < start, "DTSTART", occurrence.start.isoformat()):
        return looking.verdict(False)
    ripe = None
    if when.min_age is not None and occurrence.created is not None:
        ripe = later(occurrence.created, when.min_age, view.owner.hours)
        value = occurrence.created.isoformat()
        if not looking.at(f"at least {when.min_age} old", now >= ripe, "CREATED", value):
            return looking.verdict(False, wake=(ripe, start))
    if not looking.at("answers are asked for", occurrence.rsvp, "RSVP", "yes" if occurrence.rsvp else "no"):
        return looking.verdict(False, wake=(start,))
    if when.by == "me":
        return looking.verdict(True, "I have not answered this invitation", wake=(start,), since=(ripe,))
    hidden = unseen(occurrence, view, looking)
    if hidden:
        return looking.verdict(None, hidden, wake=(start,))
    waiting = [
        person
        for person in required_people(occurrence, view.owner)
        if looking.at(
            f"{person.address} has yet to say yes",
            _is_open(person, occurrence, when),
            "PARTSTAT",
            shown(person, occurrence, view),
            person.answered_at,
        )
    ]
    names = ", ".join(person.address for person in waiting)
    verb = "has" if len(waiting) == 1 else "have"
    return looking.verdict(
        bool(waiting),
        f"{names} {verb} not said yes to this time",
        people=(person.address for person in waiting),
        wake=(start,),
        since=(ripe, *(person.answered_at for person in waiting)),
    )


def _is_open(person: Attendee, occurrence: Occurrence, when: Unconfirmed) -> bool:
    if wish(person, occurrence) is not None:
        return False  # that is an answer, and one that wants more than to be asked for a yes
    undecided = person.partstat is PartStat.TENTATIVE and when.tentative == "counts"
    return is_stale(person, occurrence) or undecided or person.partstat is PartStat.NEEDS_ACTION
