"""What one resource may say at most, whichever calendar it comes from.

What it says is kept for each of its occurrences: a title of megabytes in a daily series would be gigabytes.
And it is looked up by its UID and its people: PostgreSQL looks nothing up by more than 2,704 bytes.
"""

from __future__ import annotations

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
    uids = {resource.uid, *(one.key.uid for one in resource.occurrences)}
    if any(_is_beyond(uid, LONGEST_UID) for uid in uids):
        return _left_out(replace(resource, uid=""), f"Its UID is longer than {LONGEST_UID} bytes")
    room = _Room()
    found: list[Occurrence] = []
    for one in resource.occurrences:
        if not room.takes(one):
            return _left_out(resource, room.trouble) if room.trouble else _beyond(resource, found)
        found.append(room.cut(one))
    return replace(resource, occurrences=tuple(found)) if room.has_cut else resource


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


class _Room:
    """What may still be said. Occurrences of one event share their people, who are looked at once."""

    def __init__(self) -> None:
        self.has_cut = False
        self.trouble = ""
        self._left = MOST_LETTERS
        self._seats = MOST_PEOPLE
        self._people: tuple[Attendee, ...] | None = None
        self._shown: tuple[Attendee, ...] = ()
        self._letters = 0

    def takes(self, one: Occurrence) -> bool:
        """Whether there is room for it; ``trouble`` says what is wrong with it, if that is why not."""
        if one.attendees is not self._people:
            self._look_at(one)
        if _is_beyond(one.organizer or "", LONGEST_ADDRESS):
            self.trouble = _NO_ADDRESS
        said = sum(min(len(text), LONGEST_TEXT) for text in _texts(one))
        self._left -= self._letters + len(one.conference) + len(one.tzid) + said
        self._seats -= len(one.attendees)
        return min(self._left, self._seats) >= 0 and not self.trouble

    def cut(self, one: Occurrence) -> Occurrence:
        """The same with its texts as short as they are kept."""
        is_short = len(one.categories) <= MOST_CATEGORIES and max(map(len, _texts(one))) <= LONGEST_TEXT
        if is_short and self._shown is one.attendees:
            return one
        self.has_cut = True
        return replace(
            one,
            title=_cut(one.title),
            location=_cut(one.location),
            organizer_name=_cut(one.organizer_name),
            categories=tuple(map(_cut, one.categories[:MOST_CATEGORIES])),
            attendees=self._shown,
        )

    def _look_at(self, one: Occurrence) -> None:
        self._people = self._shown = one.attendees
        if any(_is_beyond(who.address, LONGEST_ADDRESS) for who in one.attendees):
            self.trouble = _NO_ADDRESS
        if any(len(who.name) > LONGEST_TEXT for who in one.attendees):
            self._shown = tuple(replace(who, name=_cut(who.name)) for who in one.attendees)
        self._letters = sum(
            len(who.address) + len(who.name) + len(who.delegated_to or "") for who in self._shown
        )


_NO_ADDRESS = f"Somebody's address is longer than {LONGEST_ADDRESS} bytes"


def _texts(one: Occurrence) -> tuple[str, ...]:
    return one.title, one.location, one.organizer_name, *one.categories[:MOST_CATEGORIES]


def _is_beyond(text: str, most: int) -> bool:
    return len(text) > most or (not text.isascii() and len(text.encode("utf-8", "replace")) > most)


def _cut(text: str) -> str:
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
