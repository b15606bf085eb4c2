"""Which occurrences a rule may act on at all."""

from __future__ import annotations

from rules.model import Because, Occurrence, PartStat, Timing
from rules.people import my_answer, organized_by_me, required_people
from rules.policy import Cancelled, Detector, Unconfirmed
from rules.view import View

_HELD_BACK = {
    Timing.ALL_DAY: "an all-day event has no time to confirm or move",
    Timing.FLOATING: "its time is floating: it names no time zone, so the instant is unknown",
    Timing.UNKNOWN_ZONE: "its time zone is not known, so the instant is unknown",
    Timing.UNFOLLOWED: "its series cannot be followed, so when it takes place is not sure",
}

MOST_INVITED = 300
"""A meeting with more people than this is an event: nobody is asked or written to because of it."""


def eligibility(occurrence: Occurrence, view: View, when: Detector) -> tuple[Because, ...]:
    """The predicates of eligibility for one question, in order, up to the first that fails.

    Timed, not cancelled, organised or accepted by me, with a required human attendee who is not me.
    What I have not answered is asked of somebody else's invitation that I have not answered, and a
    cancellation of a meeting that was not mine.
    """
    owner = view.owner
    seen = occurrence.observed_at
    looked: list[Because] = []

    def look(predicate: str, holds: bool, field: str, value: str) -> bool:
        looked.append(Because(predicate=predicate, holds=holds, field=field, value=value, observed_at=seen))
        return holds

    timed = occurrence.timing is Timing.TIMED
    if not look("timed", timed, "DTSTART", _HELD_BACK.get(occurrence.timing, occurrence.tzid)):
        return tuple(looked)
    mine = organized_by_me(occurrence, owner)
    cancelled = view.is_cancelled(occurrence)
    if isinstance(when, Cancelled):
        if not look("cancelled", cancelled, "STATUS", occurrence.status.value):
            return tuple(looked)
        if not look("organised by somebody else", not mine, "ORGANIZER", occurrence.organizer or "(none)"):
            return tuple(looked)
    elif not look("not cancelled", not cancelled, "STATUS", occurrence.status.value):
        return tuple(looked)
    answer = my_answer(occurrence, owner)
    if isinstance(when, Unconfirmed) and when.by == "me":
        waiting = not mine and answer is PartStat.NEEDS_ACTION
        look("I have not answered", waiting, "PARTSTAT", answer.value if answer else "not invited")
        return tuple(looked)
    invited = len(occurrence.attendees)
    if invited > MOST_INVITED:
        look(f"at most {MOST_INVITED} people are invited", False, "ATTENDEE", str(invited))
        return tuple(looked)
    value = "organised by me" if mine else (answer.value if answer else "not invited")
    if not look("organised or accepted by me", answer is PartStat.ACCEPTED, "ORGANIZER, PARTSTAT", value):
        return tuple(looked)
    people = required_people(occurrence, owner)
    look(
        "someone else is required",
        bool(people),
        "ATTENDEE",
        ", ".join(one.address for one in people) or "nobody",
    )
    return tuple(looked)
