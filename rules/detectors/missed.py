"""``missed``: the meeting is over and there is evidence that somebody was not there."""

from __future__ import annotations

from datetime import datetime

from rules.model import Attendance, Attendee, Held, Occurrence, PartStat
from rules.people import required_people
from rules.policy import Missed
from rules.steps import later
from rules.verdict import Looking, Verdict
from rules.view import View

_BLAME = {"attendee": Held.MISSED_BY_ATTENDEE, "me": Held.MISSED_BY_ME}

PRESUMED = "presumed"
"""Tone of a finding that rests on silence, not on evidence."""

BY_ME = "by_me"
"""Tone of a finding that is the owner's own fault."""


def judge(occurrence: Occurrence, when: Missed, view: View, now: datetime) -> Verdict:
    """Who was missing, by evidence or, where the owner asked for it, by presumption."""
    looking = Looking(occurrence)
    settled = later(occurrence.end_utc, when.settle, view.owner.hours)
    over = now >= settled
    if not looking.at(f"over for {when.settle}", over, "DTEND", occurrence.end.isoformat()):
        return looking.verdict(False, wake=(settled,))
    other = view.replacement(occurrence, since=occurrence.start_utc)
    if other is not None:
        looking.at(
            "not replaced", False, "DTSTART", f"a meeting with the same people at {view.said(other.start)}"
        )
        return looking.verdict(False)
    people = required_people(occurrence, view.owner)
    evidence = view.attendance(occurrence)
    if evidence is not None and evidence.held is not Held.UNKNOWN:
        return _by_evidence(when, evidence, looking, people)
    due = view.records_due(occurrence)
    if due is not None:
        looking.at("records of its call were read", None, "attendance", "not yet")
        return looking.verdict(None, "the records of its call are still to be read", wake=(due,))
    value = f"unknown ({evidence.source})" if evidence else "none"
    looking.at("evidence of attendance", None, "attendance", value)
    return _by_presumption(occurrence, when, view, looking, people)


def _by_evidence(
    when: Missed, evidence: Attendance, looking: Looking, people: tuple[Attendee, ...]
) -> Verdict:
    value = f"{evidence.held.value} ({evidence.source})"
    holds = evidence.held is _BLAME[when.by]
    looking.at(f"missed by {when.by}", holds, "attendance", value, evidence.at)
    mine = when.by == "me"
    who = "I" if mine else "the other side"
    # Whoever had said no has missed nothing, unless the owner says so of them alone.
    expected = [one for one in people if one.partstat is not PartStat.DECLINED] or people
    return looking.verdict(
        holds,
        f"{who} missed it, says {evidence.source}",
        people=(one.address for one in expected),
        tone=BY_ME if mine else "",
        since=(evidence.at,),
    )


def _by_presumption(
    occurrence: Occurrence, when: Missed, view: View, looking: Looking, people: tuple[Attendee, ...]
) -> Verdict:
    if not when.presume or when.by == "me":
        return looking.verdict(None, "nobody knows whether it took place")
    if not view.account(occurrence).rsvp_trusted:
        looking.at("answers can be seen", None, "rsvp", "untrusted")
        return looking.verdict(None, "answers in this account are not trusted")
    silent: list[Attendee] = []
    for person in people:
        never = "never_confirmed" in when.presume and person.partstat is PartStat.NEEDS_ACTION
        unsure = "tentative" in when.presume and person.partstat is PartStat.TENTATIVE
        if looking.at(
            f"{person.address} never said yes",
            never or unsure,
            "PARTSTAT",
            person.partstat.value,
            person.answered_at,
        ):
            silent.append(person)
    if not silent:
        return looking.verdict(None, "nobody knows whether it took place")
    names = ", ".join(person.address for person in silent)
    return looking.verdict(
        True,
        f"{names} never said yes, so it is presumed missed",
        people=(person.address for person in silent),
        tone=PRESUMED,
    )
