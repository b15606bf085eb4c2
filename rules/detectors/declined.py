"""``declined``: ahead, somebody needed said no to its time or asks for another, and nothing replaces it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from rules.answers import shown, unseen
from rules.model import Attendee, Occurrence, PartStat
from rules.people import is_stale, required_people, wish
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
    hidden = unseen(occurrence, view, looking)
    if hidden:
        return looking.verdict(None, hidden, wake=(start,))
    said_no = [
        one for one in required_people(occurrence, view.owner) if _said_no(one, occurrence, looking, view)
    ]
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
    return looking.verdict(
        True,
        "; ".join(_reasons(due, occurrence, view)),
        people=(one.address for one in due),
        wake=wake,
        since=(one.answered_at for one in due),
    )


def _said_no(person: Attendee, occurrence: Occurrence, looking: Looking, view: View) -> bool:
    declined = person.partstat is PartStat.DECLINED and not is_stale(person, occurrence)
    no = declined or wish(person, occurrence) is not None
    value = shown(person, occurrence, view)
    return bool(looking.at(f"{person.address} said no", no, "PARTSTAT", value, person.answered_at))


def _reasons(people: list[Attendee], occurrence: Occurrence, view: View) -> Iterator[str]:
    plain = [one.address for one in people if wish(one, occurrence) is None]
    if plain:
        yield f"{', '.join(plain)} said no to this time"
    for one in people:
        asked = wish(one, occurrence)
        if asked is not None:
            yield f"{one.address} asks for another time: {view.said(asked.start)}"


def _ripe(person: Attendee, when: Declined, view: View) -> datetime | None:
    """When the grace after the no is over (UTC); None when the no is older than our knowledge."""
    answered = person.answered_at
    return later(answered, when.grace, view.owner.hours) if answered else None


def _first_seen(people: list[Attendee]) -> str:
    seen = [one.answered_at for one in people if one.answered_at]
    return f"first seen {min(seen).isoformat()}" if seen else "there when first seen"
