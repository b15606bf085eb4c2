"""``unconfirmed``: the meeting is ahead and somebody whose word counts has not said yes to its time."""

from __future__ import annotations

from datetime import datetime

from rules.model import Attendee, Occurrence, PartStat
from rules.people import is_stale, required_people
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
    if when.by == "me":
        return looking.verdict(True, "I have not answered this invitation", wake=(start,), since=(ripe,))
    if not view.account(occurrence).rsvp_trusted:
        looking.at("answers can be seen", None, "rsvp", "untrusted")
        return looking.verdict(None, "answers in this account are not trusted", wake=(start,))
    if occurrence.guests_hidden:
        looking.at("answers can be seen", None, "ATTENDEE", "guests are hidden")
        return looking.verdict(None, "not all of its guests can be seen", wake=(start,))
    waiting: list[Attendee] = []
    for person in required_people(occurrence, view.owner):
        stale = is_stale(person, occurrence)
        value = f"{person.partstat.value}, before the time last changed" if stale else person.partstat.value
        undecided = person.partstat is PartStat.TENTATIVE and when.tentative == "counts"
        open_ = stale or undecided or person.partstat is PartStat.NEEDS_ACTION
        if looking.at(f"{person.address} has yet to say yes", open_, "PARTSTAT", value, person.answered_at):
            waiting.append(person)
    names = ", ".join(person.address for person in waiting)
    verb = "has" if len(waiting) == 1 else "have"
    return looking.verdict(
        bool(waiting),
        f"{names} {verb} not said yes to this time",
        people=(person.address for person in waiting),
        wake=(start,),
        since=(ripe, *(person.answered_at for person in waiting)),
    )
