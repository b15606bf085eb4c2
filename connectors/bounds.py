"""What one resource may say at most, whichever calendar it comes from.

What it says is kept for each of its occurrences: a title of megabytes in a daily series would be gigabytes.
And it is looked up by its UID and its people: PostgreSQL looks nothing up by more than 2,704 bytes.
"""

from __future__ import annotations

import operator
from dataclasses import replace

from connectors.base import Resource
from rules.model import Attendee, Occurrence, Timing

LONGEST_UID = 1000
"""Bytes; RFC 7986 (section 5.3) wants fewer than 255."""

LONGEST_ADDRESS = 320
"""Bytes: 64 before the @ and 255 after it (RFC 5321 section 4.5.3.1)."""

LONGEST_TEXT = 1000
"""Letters of a title, a place or a name; what is beyond is cut off."""

MOST_CATEGORIES = 100

MOST_LETTERS = 4 * 1024 * 1024
"""Letters that all occurrences of one resource may say together."""

MOST_PEOPLE = 30_000
"""Attendees that they may have together."""


def bounded(resource: Resource) -> Resource:
    """The same, without what is beyond the bounds, which is told in it."""
    every = resource.occurrences
    if any(_is_beyond(uid, LONGEST_UID) for uid in {resource.uid, *(one.key.uid for one in every)}):
        return _left_out(replace(resource, uid=""), f"Its UID is longer than {LONGEST_UID} bytes")
    crowds = {id(one.attendees): one.attendees for one in every}  # occurrences of one event share theirs
    addresses = {who.address for crowd in crowds.values() for who in crowd}
    if any(_is_beyond(one, LONGEST_ADDRESS) for one in addresses | {one.organizer or "" for one in every}):
        return _left_out(resource, f"Somebody's address is longer than {LONGEST_ADDRESS} bytes")
    shown = {key: _cut_names(crowd) for key, crowd in crowds.items()}
    sizes = {key: _letters_of(crowd) for key, crowd in shown.items()}
    letters = people = 0
    found: list[Occurrence] = []
    for one in every:
        cut = _cut(one, shown[id(one.attendees)])
        letters += sizes[id(one.attendees)] + sum(map(len, _texts(cut))) + len(cut.conference) + len(cut.tzid)
        people += len(cut.attendees)
        if letters > MOST_LETTERS or people > MOST_PEOPLE:
            return _beyond(resource, found)
        found.append(cut)
    return resource if all(map(operator.is_, found, every)) else replace(resource, occurrences=tuple(found))


def _left_out(resource: Resource, why: str) -> Resource:
    told = f"{why}, so that it was left out."
    return replace(resource, occurrences=(), broken=f"{resource.broken} {told}".strip())


def _beyond(resource: Resource, found: list[Occurrence]) -> Resource:
    """One that says more than is kept, of which so much was found before."""
    if not found:
        return _left_out(resource, "It says more than is kept")
    told = f"It says so much that only its first {len(found)} occurrences were read."
    kept = tuple(unfollowed(one) for one in found)
    return replace(resource, occurrences=kept, broken=f"{resource.broken} {told}".strip())


def unfollowed(occurrence: Occurrence) -> Occurrence:
    """One of a series that cannot be followed: it is held and explained, not acted on."""
    timed = occurrence.timing is Timing.TIMED
    return replace(occurrence, timing=Timing.UNFOLLOWED) if timed else occurrence


def _is_beyond(text: str, most: int) -> bool:
    return len(text) > most or (not text.isascii() and len(text.encode("utf-8", "replace")) > most)


def _texts(one: Occurrence) -> tuple[str, ...]:
    return one.title, one.location, one.organizer_name, *one.categories


def _letters_of(crowd: tuple[Attendee, ...]) -> int:
    return sum(len(who.address) + len(who.name) + len(who.delegated_to or "") for who in crowd)


def _cut(one: Occurrence, people: tuple[Attendee, ...]) -> Occurrence:
    """An occurrence with its texts as short as they are kept, and with these people."""
    is_short = len(one.categories) <= MOST_CATEGORIES and max(map(len, _texts(one))) <= LONGEST_TEXT
    if is_short and people is one.attendees:
        return one
    return replace(
        one,
        title=_shorter(one.title),
        location=_shorter(one.location),
        organizer_name=_shorter(one.organizer_name),
        categories=tuple(map(_shorter, one.categories[:MOST_CATEGORIES])),
        attendees=people,
    )


def _cut_names(crowd: tuple[Attendee, ...]) -> tuple[Attendee, ...]:
    if all(len(who.name) <= LONGEST_TEXT for who in crowd):
        return crowd
    return tuple(replace(who, name=_shorter(who.name)) for who in crowd)


def _shorter(text: str) -> str:
    return text if len(text) <= LONGEST_TEXT else f"{text[: LONGEST_TEXT - 1]}…"


__all__ = [
    "LONGEST_ADDRESS",
    "LONGEST_TEXT",
    "LONGEST_UID",
    "MOST_CATEGORIES",
    "MOST_LETTERS",
    "MOST_PEOPLE",
    "bounded",
    "unfollowed",
]
