"""What a meeting that is over adds to the history with each of its people."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from itertools import pairwise
from statistics import median

from rules.model import (
    Attendee,
    Contact,
    Encounter,
    Held,
    Met,
    Noted,
    Occurrence,
    PartStat,
    Timing,
)
from rules.people import is_stale, my_answer, organized_by_me, required_people
from rules.view import View

_BY_EVIDENCE = {
    Held.HELD: Met.HELD,
    Held.MISSED_BY_ATTENDEE: Met.MISSED,
    Held.MISSED_BY_ME: Met.MISSED_BY_ME,
}

_BY_ANSWER = {
    PartStat.ACCEPTED: Met.HELD,
    PartStat.DECLINED: Met.DECLINED,
    PartStat.NEEDS_ACTION: Met.UNANSWERED,
}
"""Without evidence a meeting everybody wanted counts as held: nobody is accused by that."""


def encounters(view: View, occurrence: Occurrence) -> Iterator[Noted]:
    """What this meeting came to with each of its people; nothing while it is not over.

    Of several copies the first speaks for all.
    """
    if view.copies(occurrence.identity)[0] != occurrence or occurrence.timing is not Timing.TIMED:
        return
    if my_answer(occurrence, view.owner) is not PartStat.ACCEPTED:
        return
    cancelled = view.is_cancelled(occurrence)
    if cancelled and organized_by_me(occurrence, view.owner):
        return
    if view.now < occurrence.end_utc:
        return
    evidence = view.attendance(occurrence)
    for person in required_people(occurrence, view.owner):
        if cancelled:
            met: Met | None = None if occurrence.removed_at else Met.CANCELLED
        elif evidence is not None and evidence.held in _BY_EVIDENCE:
            met = _BY_EVIDENCE[evidence.held]
        else:
            met = _by_answer(person, occurrence, view)
        if met is not None:
            found = Encounter(identity=occurrence.identity, at=occurrence.end_utc, met=met)
            yield Noted(address=person.address, encounter=found, occurrence=occurrence)


def _by_answer(person: Attendee, occurrence: Occurrence, view: View) -> Met | None:
    said_by_being_organizer = person.address == occurrence.organizer
    if not (view.account(occurrence).rsvp_trusted or said_by_being_organizer):
        return None
    if is_stale(person, occurrence):
        return Met.UNANSWERED
    return _BY_ANSWER.get(person.partstat)


def held(contact: Contact) -> list[datetime]:
    """When meetings with them ended that took place (UTC), oldest first."""
    return sorted(one.at for one in contact.encounters if one.met is Met.HELD)


def usual_gap(ends: list[datetime]) -> float:
    """The median number of seconds between one meeting and the next. Needs two at least."""
    return median((later - earlier).total_seconds() for earlier, later in pairwise(ends))


def unanswered(contact: Contact, since: datetime) -> list[str]:
    """What they left without an answer after ``since`` (UTC), each in a few words."""
    words = {
        Met.MISSED: "missed a meeting",
        Met.DECLINED: "declined a meeting",
        Met.CANCELLED: "cancelled a meeting",
        Met.UNANSWERED: "left an invitation unanswered",
    }
    found = [(one.at, words[one.met]) for one in contact.encounters if one.at > since and one.met in words]
    found += [(at, "got a message of mine") for at in contact.written if at > since]
    return [f"{word} {at:%Y-%m-%d}" for at, word in sorted(found)]
