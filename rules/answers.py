"""What may be concluded from the answers of a meeting's people."""

from __future__ import annotations

from rules.model import Attendee, Occurrence
from rules.people import is_stale, required_people, wish
from rules.verdict import Looking
from rules.view import View


def unseen(occurrence: Occurrence, view: View, looking: Looking) -> str:
    """Why their answers cannot be seen; empty when they can, or all told theirs beside the calendar."""
    needed = [
        one.address for one in required_people(occurrence, view.owner) if one.address != occurrence.organizer
    ]
    if needed and view.have_told(occurrence, needed):
        return ""
    if not view.account(occurrence).rsvp_trusted:
        looking.at("answers can be seen", None, "rsvp", "untrusted")
        return "answers in this account are not trusted"
    if occurrence.guests_hidden:
        looking.at("answers can be seen", None, "ATTENDEE", "guests are hidden")
        return "not all of its guests can be seen"
    return ""


def shown(person: Attendee, occurrence: Occurrence, view: View) -> str:
    """What somebody answered, in a few words for the owner."""
    value = person.partstat.value
    if is_stale(person, occurrence):
        value = f"{value}, before the time last changed"
    asked = wish(person, occurrence)
    return value if asked is None else f"{value}, asks for {view.said(asked.start)}"


__all__ = ["shown", "unseen"]
