"""What a mail may know: plain data about one meeting, and the names under which templates see it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from daemon.mail.foreign_text import clean, shell_word, without_marks
from daemon.mail.spoken_time import language, same_wall_time, spoken, zone
from daemon.mail.template_language import Shape, list_of
from rules.delivery import COUNTER
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
    ``calendar_part`` is (method, iCalendar text). ``wish`` is the time that the recipient asked for, where it
    is among those offered. ``link`` is the address where it is answered, ``stop`` the one where such mails
    are stopped, or empty. With ``plus``, replies go to a plus-address. ``reason``, ``rule`` and ``step``
    are shown to the owner alone. ``companions`` are letters to the same person, about other meetings,
    that go along in this one's mail; this one's address, language, zone and conversation are theirs, too.
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
    plus: bool = False
    earlier: tuple[str, ...] = ()
    now: datetime
    calendar_part: tuple[str, str] | None = None
    rule: str = ""
    step: str = ""
    companions: tuple[Letter, ...] = ()
    wish: Interval | None = None
    link: str = ""
    stop: str = ""

    @property
    def topics(self) -> tuple[Letter, ...]:
        """The letters of this mail, one for each meeting, its own first."""
        return (self, *self.companions)

    @property
    def manner(self) -> str:
        """The tone of the whole mail: where the findings differ, the one that claims less."""
        return max(one.tone for one in self.topics)

    @property
    def for_owner(self) -> bool:
        """Whether the owner alone reads it."""
        return self.do in FOR_OWNER

    @property
    def enclosed(self) -> tuple[str, str] | None:
        """The calendar part that goes along: none of a private meeting, none in a mail about several."""
        return None if self.veiled or self.companions else self.calendar_part

    @property
    def invites(self) -> bool:
        """Whether the invitation is attached."""
        return self.enclosed is not None and (self.enclosed[0] == "REQUEST" or self.do == COUNTER)

    @property
    def veiled(self) -> bool:
        """Whether the meeting's own words must stay out of it: it is private and others read it."""
        return self.occurrence.private and not self.for_owner


_TIME: Shape = dict.fromkeys(("text", "day", "hours", "zone", "short", "elsewhere"))

_TOPIC: Shape = {"title": None, **_TIME, **dict.fromkeys(("when", "proposals", "link"))}
_COMMANDS: Shape = dict.fromkeys(("held", "missed", "missed_by_me", "explain"))

CLIENT_NAMES: Shape = {
    "name": None,
    "title": None,
    "owner": dict.fromkeys(("name", "address")),
    "meeting": {"title": None, **_TIME},
    "count": None,
    "meetings": list_of(_TOPIC),
    "slots": list_of({"number": None, **_TIME}),
    "wish": None,
    "mine": None,
    "followup": None,
    "invitation": None,
    "when": None,
    "proposals": None,
    "link": None,
    "stop": None,
}
"""What a template for other people may use."""

OWNER_NAMES: Shape = {
    **CLIENT_NAMES,
    "meetings": list_of({**_TOPIC, "people": None, "reason": None, "commands": _COMMANDS}),
    "people": list_of(dict.fromkeys(("name", "address", "text"))),
    "reason": None,
    "rule": None,
    "step": None,
    "detector": None,
    "tone": None,
    "marks": dict.fromkeys(("held", "missed", "missed_by_me")),
    "commands": _COMMANDS,
}
"""What a template for the owner may use."""


def names_for(do: str) -> Shape:
    """What a template for this action may use."""
    return OWNER_NAMES if do in FOR_OWNER else CLIENT_NAMES


def values_of(letter: Letter) -> dict[str, Any]:
    """The values of those names, all text, numbers, yes or no, and lists and mappings of them.

    ``when``, ``proposals`` and ``link`` are left to whoever draws them.
    """
    words = language(letter.language)
    here, there = zone(letter.zone, letter.owner.zone), zone(letter.owner.zone, "UTC")
    meetings = [Interval(one.occurrence.start_utc, one.occurrence.end_utc) for one in letter.topics]
    slots = [slot for one in letter.topics for slot in one.slots]
    alike = all(same_wall_time(one, here, there) for one in (*meetings, *slots))
    elsewhere = None if alike else there
    topics = [
        {"title": _title(one), **spoken(meeting, here, elsewhere, words)}
        for one, meeting in zip(letter.topics, meetings, strict=True)
    ]
    several = words.our_meetings.format(count=len(topics)) if letter.companions else ""
    values: dict[str, Any] = {
        "name": _display_name(letter.to_name),
        "title": several or topics[0]["title"] or words.our_meeting,
        "owner": {"name": clean(letter.owner.name), "address": clean(letter.owner.addresses[0])},
        "meeting": dict(topics[0]),
        "count": len(topics),
        "meetings": topics,
        "slots": [
            {"number": number, **spoken(slot, here, elsewhere, words)}
            for number, slot in enumerate(slots, start=1)
        ],
        "wish": spoken(letter.wish, here, elsewhere, words)["short"] if letter.wish else "",
        "mine": all(one.organized_by_me for one in letter.topics),
        "followup": all(one.earlier for one in letter.topics),
        "invitation": letter.invites,
        "stop": letter.stop,
    }
    return values | _owner_values(letter, topics) if letter.for_owner else values


def _title(letter: Letter) -> str:
    return "" if letter.veiled else clean(without_marks(letter.occurrence.title, letter.owner.marks))


def _owner_values(letter: Letter, topics: list[dict[str, str]]) -> dict[str, Any]:
    marks = letter.owner.marks
    return {
        "meetings": [
            {
                **topic,
                "people": ", ".join(one["text"] for one in _people(each)),
                "reason": clean(each.reason, _LONGEST_REASON),
                "commands": _commands(each),
            }
            for topic, each in zip(topics, letter.topics, strict=True)
        ],
        "people": _people(letter),
        "reason": clean(letter.reason, _LONGEST_REASON),
        "rule": clean(letter.rule),
        "step": clean(letter.step),
        "detector": clean(letter.detector),
        "tone": clean(letter.manner),
        "marks": {
            "held": _first(marks.held),
            "missed": _first(marks.missed),
            "missed_by_me": _first(marks.missed_by_me),
        },
        "commands": _commands(letter),
    }


def _commands(letter: Letter) -> dict[str, str]:
    event = shell_word(str(letter.occurrence.identity))
    # A name that begins with "-" would be read as an option.
    event = f"-- {event}" if event.lstrip("$'").startswith("-") else event
    return {
        "held": f"rebookd mark {event} held",
        "missed": f"rebookd mark {event} missed",
        "missed_by_me": f"rebookd mark {event} missed-by-me",
        "explain": f"rebookd explain {event}",
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
