"""Who is who in a meeting: me, the organiser, and the people whose word counts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from rules.model import (
    Acknowledgement,
    Address,
    Attendee,
    CuType,
    Interval,
    Occurrence,
    Owner,
    PartStat,
    Role,
)

_HUMAN = {CuType.INDIVIDUAL, CuType.UNKNOWN}
_REQUIRED = {Role.REQUIRED, Role.CHAIR}


def organized_by_me(occurrence: Occurrence, owner: Owner) -> bool:
    """Whether the meeting is mine to move: my address organises it, or nobody's and it has attendees."""
    if occurrence.organizer is None:
        return bool(occurrence.attendees)
    return occurrence.organizer in owner.addresses


def my_answer(occurrence: Occurrence, owner: Owner) -> PartStat | None:
    """My own participation status; ACCEPTED where I organise; None where I am not invited."""
    if organized_by_me(occurrence, owner):
        return PartStat.ACCEPTED
    answers = [one.partstat for one in occurrence.attendees if one.address in owner.addresses]
    if PartStat.ACCEPTED in answers:
        return PartStat.ACCEPTED
    return answers[0] if answers else None


def required_people(occurrence: Occurrence, owner: Owner) -> tuple[Attendee, ...]:
    """The required human attendees other than me, in the order of the event.

    A delegate stands for who delegated (RFC 5545 section 3.2.5). An organiser who is not me is one
    of them and said yes, listed among the attendees or not.
    """
    listed = {one.address: one for one in occurrence.attendees}
    people: dict[Address, Attendee] = {}
    for attendee in occurrence.attendees:
        if attendee.role not in _REQUIRED or attendee.cutype not in _HUMAN:
            continue
        person = attendee
        if attendee.delegated_to and attendee.partstat is PartStat.DELEGATED:
            person = listed.get(attendee.delegated_to) or Attendee(address=attendee.delegated_to)
        people.setdefault(person.address, person)
    organizer = occurrence.organizer
    if organizer is not None and organizer not in owner.addresses:
        person = people.get(organizer) or listed.get(organizer) or Attendee(address=organizer)
        people[organizer] = replace(
            person, partstat=PartStat.ACCEPTED, name=person.name or occurrence.organizer_name
        )
    return tuple(person for address, person in people.items() if address not in owner.addresses)


def is_stale(attendee: Attendee, occurrence: Occurrence) -> bool:
    """Whether the attendee said yes or no to a time the meeting no longer has (RFC 6638 section 3.2.8)."""
    moved = occurrence.time_changed_at
    if (
        moved is None
        or attendee.partstat not in {PartStat.ACCEPTED, PartStat.DECLINED}
        or attendee.address == occurrence.organizer
    ):
        return False
    return attendee.answered_at is None or attendee.answered_at < moved


def wish(attendee: Attendee, occurrence: Occurrence) -> Interval | None:
    """The other time they ask for, as long as they did not say yes and the meeting was not moved since."""
    asked, moved = attendee.proposed, occurrence.time_changed_at
    if asked is None or attendee.partstat is PartStat.ACCEPTED or asked.start == occurrence.start_utc:
        return None
    if moved is not None and (attendee.answered_at is None or attendee.answered_at < moved):
        return None
    return asked


def acknowledged(occurrence: Occurrence, words: Iterable[Acknowledgement]) -> Occurrence:
    """The occurrence with what its attendees answered beside the calendar, to the time it has now.

    An answer that a calendar showed later counts more.
    """
    best = {one.address: one for one in occurrence.attendees}
    for word in sorted(words, key=lambda one: one.at):
        who = best.get(word.address)
        if who is None or word.start != occurrence.start_utc:
            continue
        if who.answered_at is not None and who.answered_at > word.at:
            continue
        proposed = word.proposed if word.partstat is not PartStat.ACCEPTED else None
        best[word.address] = replace(who, partstat=word.partstat, answered_at=word.at, proposed=proposed)
    attendees = tuple(best[one.address] for one in occurrence.attendees)
    return occurrence if attendees == occurrence.attendees else replace(occurrence, attendees=attendees)


def reconciled(occurrence: Occurrence, copies: Iterable[Occurrence]) -> Occurrence:
    """The occurrence with what its copies in other calendars know of the attendees' answers.

    A copy is believed where it shows the same time. An answer beats silence; of two answers, the
    one seen last.
    """
    best = {one.address: one for one in occurrence.attendees}
    changed = False
    for copy in copies:
        if copy.key == occurrence.key or copy.start_utc != occurrence.start_utc:
            continue
        for other in copy.attendees:
            mine = best.get(other.address)
            if mine is not None and _knows_more(other, mine):
                best[other.address] = replace(
                    mine,
                    partstat=other.partstat,
                    answered_at=other.answered_at,
                    delegated_to=other.delegated_to,
                    proposed=other.proposed,
                )
                changed = True
    if not changed:
        return occurrence
    return replace(occurrence, attendees=tuple(best[one.address] for one in occurrence.attendees))


def _knows_more(other: Attendee, mine: Attendee) -> bool:
    if other.proposed is not None and mine.proposed is None and other.partstat is mine.partstat:
        return True
    if other.partstat is mine.partstat or other.partstat is PartStat.NEEDS_ACTION:
        return False
    if mine.partstat is PartStat.NEEDS_ACTION:
        return True
    if other.answered_at is None:
        return False
    return mine.answered_at is None or other.answered_at > mine.answered_at
