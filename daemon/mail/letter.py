"""What a mail may know: plain data about one meeting, and the names under which templates see it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from daemon.mail.foreign_text import clean, shell_word, without_marks
from daemon.mail.spoken_time import language, same_wall_time, spoken, zone
from daemon.mail.template_language import Shape, list_of
from rules.model import Address, CuType, Interval, Occurrence, Owner

FOR_OWNER = frozenset({"check_in", "notify"})
"""What is done by a mail to the owner; everything else writes to somebody else."""

_MOST_PEOPLE = 20
_LONGEST_REASON = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """One mail to be composed: what to ask whom about which meeting.

    ``do`` is the step's word; ``detector`` and ``tone`` choose the words (``presumed``: it rests on
    silence; ``by_me``: the owner's own fault). ``template`` is a name from the rules file or None.
    ``sender`` is ``Name <address>``. ``zone`` is the recipient's IANA zone. ``slots`` are UTC.
    ``earlier`` are message ids already sent to this person about this meeting, oldest first.
    ``calendar_part`` is (method, iCalendar text). ``reason``, ``rule`` and ``step`` are shown to the
    owner alone.
    """

    do: str
    detector: str
    tone: str = ""
    template: str | None = None
    owner: Owner
    sender: str
    to: Address
    to_name: str = ""
    language: str = "en"
    zone: str
    occurrence: Occurrence
    people: tuple[Address, ...] = ()
    organized_by_me: bool = True
    slots: tuple[Interval, ...] = ()
    reason: str = ""
    intent_key: str
    earlier: tuple[str, ...] = ()
    now: datetime
    calendar_part: tuple[str, str] | None = None
    rule: str = ""
    step: str = ""

    @property
    def for_owner(self) -> bool:
        """Whether the owner alone reads it."""
        return self.do in FOR_OWNER

    @property
    def veiled(self) -> bool:
        """Whether the meeting's own words must stay out of it: it is private and others read it."""
        return self.occurrence.private and not self.for_owner


_TIME: Shape = dict.fromkeys(("text", "day", "hours", "zone", "short", "elsewhere"))

CLIENT_NAMES: Shape = {
    "name": None,
    "title": None,
    "owner": dict.fromkeys(("name", "address")),
    "meeting": {"title": None, **_TIME},
    "slots": list_of({"number": None, **_TIME}),
    "mine": None,
    "followup": None,
    "invitation": None,
    "when": None,
    "proposals": None,
}
"""What a template for other people may use."""

OWNER_NAMES: Shape = {
    **CLIENT_NAMES,
    "people": list_of(dict.fromkeys(("name", "address", "text"))),
    "reason": None,
    "rule": None,
    "step": None,
    "detector": None,
    "marks": dict.fromkeys(("held", "missed", "missed_by_me")),
    "commands": dict.fromkeys(("held", "missed", "missed_by_me", "explain")),
}
"""What a template for the owner may use."""


def names_for(do: str) -> Shape:
    """What a template for this action may use."""
    return OWNER_NAMES if do in FOR_OWNER else CLIENT_NAMES


def values_of(letter: Letter) -> dict[str, Any]:
    """The values of those names, all text, numbers, yes or no, and lists and mappings of them."""
    words = language(letter.language)
    here, there = zone(letter.zone, letter.owner.zone), zone(letter.owner.zone, "UTC")
    meeting = Interval(letter.occurrence.start_utc, letter.occurrence.end_utc)
    alike = all(same_wall_time(one, here, there) for one in (meeting, *letter.slots))
    elsewhere = None if alike else there
    title = "" if letter.veiled else clean(without_marks(letter.occurrence.title, letter.owner.marks))
    values: dict[str, Any] = {
        "name": _display_name(letter.to_name),
        "title": title or words.our_meeting,
        "owner": {"name": clean(letter.owner.name), "address": clean(letter.owner.addresses[0])},
        "meeting": {"title": title, **spoken(meeting, here, elsewhere, words)},
        "slots": [
            {"number": number, **spoken(slot, here, elsewhere, words)}
            for number, slot in enumerate(letter.slots, start=1)
        ],
        "mine": letter.organized_by_me,
        "followup": bool(letter.earlier),
        "invitation": letter.calendar_part is not None and letter.calendar_part[0] == "REQUEST",
    }
    return values | _owner_values(letter) if letter.for_owner else values


def _owner_values(letter: Letter) -> dict[str, Any]:
    marks = letter.owner.marks
    event = shell_word(str(letter.occurrence.identity))
    # A name that begins with "-" would be read as an option.
    event = f"-- {event}" if event.lstrip("$'").startswith("-") else event
    return {
        "people": _people(letter),
        "reason": clean(letter.reason, _LONGEST_REASON),
        "rule": clean(letter.rule),
        "step": clean(letter.step),
        "detector": clean(letter.detector),
        "marks": {
            "held": _first(marks.held),
            "missed": _first(marks.missed),
            "missed_by_me": _first(marks.missed_by_me),
        },
        "commands": {
            "held": f"rebookd mark {event} held",
            "missed": f"rebookd mark {event} missed",
            "missed_by_me": f"rebookd mark {event} missed-by-me",
            "explain": f"rebookd explain {event}",
        },
    }


def _people(letter: Letter) -> list[Mapping[str, str]]:
    """Those the mail is about first, then the other people of the meeting, without the owner."""
    occurrence = letter.occurrence
    names = dict.fromkeys(letter.people, "")
    if occurrence.organizer is not None:
        names[occurrence.organizer] = occurrence.organizer_name
    for one in occurrence.attendees:
        if one.cutype not in {CuType.ROOM, CuType.RESOURCE}:
            names[one.address] = one.name or names.get(one.address, "")
    others = [(a, _display_name(n)) for a, n in names.items() if a not in letter.owner.addresses]
    return [
        {"name": name, "address": clean(a), "text": f"{name} <{clean(a)}>" if name else clean(a)}
        for a, name in others[:_MOST_PEOPLE]
    ]


def _display_name(name: str) -> str:
    shown = clean(name)
    return "" if "@" in shown else shown


def _first(labels: tuple[str, ...]) -> str:
    return clean(labels[0]) if labels else ""
