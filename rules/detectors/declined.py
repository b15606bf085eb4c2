"""``declined``: the meeting is ahead, somebody needed said no to its time, and nothing replaces it."""

from __future__ import annotations

from datetime import datetime

from rules.model import Attendee, Occurrence, PartStat
from rules.people import is_stale, required_people
from rules.policy import Declined
from rules.steps import later
from rules.verdict import SEEN_LATE, Looking, Verdict
from rules.view import View


def judge(occurrence: Occurrence, when: Declined, view: View, now: datetime) -> Verdict:
    """Who said no, long enough ago."""
    looking = Looking(occurrence)
    start = occurrence.start_utc
    if not looking.at("ahead", now < start, "DTSTART", occurrence.start.isoformat()):
        return looking.verdict(False)
    if not view.account(occurrence).rsvp_trusted:
        looking.at("answers can be seen", None, "rsvp", "untrusted")
        return looking.verdict(None, "answers in this account are not trusted", wake=(start,))
    if occurrence.guests_hidden:
        looking.at("answers can be seen", None, "ATTENDEE", "guests are hidden")
        return looking.verdict(None, "not all of its guests can be seen", wake=(start,))
    said_no = [one for one in required_people(occurrence, view.owner) if _said_no(one, occurrence, looking)]
    if not said_no:
        return looking.verdict(False, wake=(start,))
    ripe = {one.address: _ripe(one, when, view) for one in said_no}
    due = [one for one in said_no if (ripe[one.address] or now) <= now]
    wake = (start, *(at for at in ripe.values() if at is not None and at > now))
    waited = looking.at(f"at least {when.grace} ago", bool(due), "PARTSTAT", _first_seen(said_no))
    if not waited:
        return looking.verdict(False, wake=wake)
    seen = min((one.answered_at for one in due if one.answered_at), default=None)
    since = seen - SEEN_LATE if seen else occurrence.modified or occurrence.created
    other = view.replacement(occurrence, since) if since is not None else None
    if other is not None:
        value = f"{other.title or 'a meeting'} with the same people at {view.said(other.start)}"
        looking.at("nothing replaces it", False, "DTSTART", value, other.observed_at)
        return looking.verdict(False, wake=wake)
    looking.at("nothing replaces it", True, "ATTENDEE", "no other meeting with the same people")
    names = ", ".join(one.address for one in due)
    return looking.verdict(
        True,
        f"{names} said no to this time",
        people=(one.address for one in due),
        wake=wake,
        since=(one.answered_at for one in due),
    )


def _said_no(person: Attendee, occurrence: Occurrence, looking: Looking) -> bool:
    stale = is_stale(person, occurrence)
    no = person.partstat is PartStat.DECLINED and not stale
    value = f"{person.partstat.value}, before the time last changed" if stale else person.partstat.value
    return bool(looking.at(f"{person.address} said no", no, "PARTSTAT", value, person.answered_at))


def _ripe(person: Attendee, when: Declined, view: View) -> datetime | None:
    """When the grace after the no is over (UTC); None when the no is older than our knowledge."""
    answered = person.answered_at
    return later(answered, when.grace, view.owner.hours) if answered else None


def _first_seen(people: list[Attendee]) -> str:
    seen = [one.answered_at for one in people if one.answered_at]
    return f"first seen {min(seen).isoformat()}" if seen else "there when first seen"
