"""Which of some times somebody means by a number, a day, a date or an hour: exactly one, or none."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise, product
from typing import TypeAlias
from zoneinfo import ZoneInfo

from daemon.replies.vocabulary import COUNTS, DAYS, DAYS_OR_PLACES, LAST, MONTHS, PLACES
from rules.model import Interval

_TIME = re.compile(r"(\d{1,2})(?:[:.h](\d{2})h?|(?=h|am|pm))(h|am|pm)?")
_NUMBER = re.compile(r"#?(\d{1,2})")
_ORDINAL_DAY = re.compile(r"(\d{1,2})(?:st|[nr]d|th)")
_FEIRA = re.compile(r"([2-6])a")
_COUNTED = frozenset({"opcao", "hora", "hipotese"})
_SEPARATORS = frozenset({"or", "and", "ou", "e", "/", "+", "&"})

Clock: TypeAlias = tuple[int, int]


@dataclass(slots=True)
class Named:
    """One time as it was named. Each field holds what it may mean, and is empty where nothing is said."""

    places: set[int] = field(default_factory=set)
    days: set[int] = field(default_factory=set)
    dates: set[tuple[int, int]] = field(default_factory=set)
    clocks: list[Clock] = field(default_factory=list)
    either: set[tuple[str, int]] = field(default_factory=set)
    """A word that is a day or a place, a place or a date: (which, number)."""

    def holds(self, kind: str) -> bool:
        """Whether something of that kind was said already."""
        return bool(getattr(self, kind))

    @property
    def empty(self) -> bool:
        """Whether nothing was said."""
        return not (self.places or self.days or self.dates or self.clocks or self.either)


def named_in(tokens: Sequence[str], known: Iterable[str], count: int) -> list[Named] | None:
    """The times named among these tokens; None where a token is none of those ``known`` and no time.

    ``count`` is how many times are numbered.
    """
    reader = _Reader(frozenset(known), count)
    return reader.found if reader.read(list(tokens)) else None


class _Reader:
    """Goes through the tokens once."""

    def __init__(self, known: frozenset[str], count: int) -> None:
        self._known = known
        self._count = count
        self.found: list[Named] = []
        self._open = Named()

    def read(self, tokens: list[str]) -> bool:
        at = 0
        while at < len(tokens):
            used = self._one(tokens, at)
            if not used:
                return False
            at += used
        self._close()
        return True

    def _one(self, tokens: list[str], at: int) -> int:
        """How many tokens were understood from here; 0 for none."""
        word, after = tokens[at], tokens[at + 1] if at + 1 < len(tokens) else ""
        before = tokens[at - 1] if at else ""
        if word in _SEPARATORS:
            self._close()
            return 1
        if used := self._date(tokens, at):
            return used
        if clock := _clock(word, after, before):
            self._put("clocks", clock[0])
            return clock[1]
        if after == "feira" and (counted := _FEIRA.fullmatch(word)):
            self._put("days", {int(counted[1]) - 2})
            return 2
        if word in DAYS_OR_PLACES and {before, after} & _COUNTED:
            self._put("places", {DAYS_OR_PLACES[word][1]})
            return 1
        if word in DAYS_OR_PLACES and before == "a" and after != "feira":
            day, number = DAYS_OR_PLACES[word]
            self._put("either", {("days", day), ("places", number)})
            return 1
        if word in {*DAYS, *DAYS_OR_PLACES}:
            self._put("days", {DAYS[word] if word in DAYS else DAYS_OR_PLACES[word][0]})
            return 1
        if word in LAST and self._count:
            self._put("places", {self._count})
            return 1
        place = _place(word)
        if place is not None:
            kinds = {("places", place)} | ({("dates", place)} if _ORDINAL_DAY.fullmatch(word) else set())
            self._put("either" if len(kinds) > 1 else "places", kinds if len(kinds) > 1 else {place})
            return 1
        return 1 if word in self._known or word == "," else 0

    def _date(self, tokens: list[str], at: int) -> int:
        """``4 march``, ``4th of march``, ``march 4``, ``dia 4``, ``dia 4 de marco``."""
        rest = [re.sub(r"^(\d{1,2})(st|[nr]d|th)$", r"\1", one) for one in tokens[at : at + 5]]
        words = [one for one in rest if one not in {"of", "de", "the"}]
        skipped = len(rest) - len(words)
        if rest[0] == "dia" and len(rest) > 1 and rest[1].isdigit():
            month = rest[3] if rest[2:3] == ["de"] and len(rest) > 3 else ""
            number = MONTHS.get(month)
            self._put("dates", {(int(rest[1]), number or 0)})
            return 4 if number else 2
        if len(words) > 1 and rest[0] == words[0]:
            for day, month in ((words[0], words[1]), (words[1], words[0])):
                if day.isdigit() and month in MONTHS and int(day) <= 31:
                    between = 1 if skipped and rest[1] in {"of", "de", "the"} else 0
                    if rest[1 + between] not in {day, month}:
                        continue
                    self._put("dates", {(int(day), MONTHS[month])})
                    return 2 + between
        return 0

    def _put(
        self, kind: str, value: set[int] | set[tuple[int, int]] | set[tuple[str, int]] | list[Clock]
    ) -> None:
        if self._open.holds(kind):
            self._close()
        setattr(self._open, kind, value)

    def _close(self) -> None:
        if not self._open.empty:
            self.found.append(self._open)
            self._open = Named()


def _clock(token: str, after: str, before: str) -> tuple[list[Clock], int] | None:
    """The times of day that a token may be, and how many tokens say so."""
    if token in {"noon", "midday", "meio-dia"}:
        return [(12, 0)], 1
    found = _TIME.fullmatch(token)
    hour_alone = token.isdigit() and len(token) <= 2
    half = found[3] if found else ""
    used = 1
    if not half and after in {"am", "pm", "h", "horas", "o'clock"} and (found or hour_alone):
        half, used = after, 2
    if found is None and not (hour_alone and (used > 1 or before in {"at", "as", "@"})):
        return None
    hour, minute = (int(found[1]), int(found[2] or 0)) if found else (int(token), 0)
    if hour > 23 or minute > 59:
        return None
    if half in {"am", "pm"}:
        return ([(hour % 12 + (12 if half == "pm" else 0), minute)], used) if 1 <= hour <= 12 else None
    # Mails print 24 hours; whoever writes 3 may mean 15.
    return [(hour, minute), *([(hour + 12, minute)] if 1 <= hour < 12 else [])], used


def _place(token: str) -> int | None:
    """The place in the list that a token names."""
    if token in PLACES:
        return PLACES[token]
    if token in COUNTS:
        return COUNTS[token]
    found = _NUMBER.fullmatch(token) or _ORDINAL_DAY.fullmatch(token)
    return int(found[1]) if found else None


def meant(
    named: Named, times: Sequence[Interval], zones: Sequence[ZoneInfo], *, numbered: bool = True
) -> set[int]:
    """The places, from 0, of all the times that it fits, as the clocks of any of the zones show them."""
    spelled = [named]
    if named.either:
        spelled = [_with(named, kind, number) for kind, number in sorted(named.either)]
    found: set[int] = set()
    for one in spelled:
        for early, late in pairwise(range(len(one.clocks) + 1)) if one.clocks else [(0, 0)]:
            fits = {
                place
                for place, (time, zone) in _each(times, zones)
                if _fits(one, one.clocks[early:late], place, time.start.astimezone(zone), numbered=numbered)
            }
            found |= fits
            if fits:
                break  # the hour as it is written comes before twelve hours later
    return found


def _each(
    times: Sequence[Interval], zones: Sequence[ZoneInfo]
) -> Iterable[tuple[int, tuple[Interval, ZoneInfo]]]:
    return ((place, (time, zone)) for (place, time), zone in product(enumerate(times), zones))


def _with(named: Named, kind: str, number: int) -> Named:
    """The same, the word that may be two things being one of them."""
    made = Named(set(named.places), set(named.days), set(named.dates), list(named.clocks))
    value = {(number, 0)} if kind == "dates" else {number}
    before = getattr(made, kind)
    setattr(made, kind, before & value if before else value)
    if before and not before & value:
        made.places = {-1}  # it cannot be both
    return made


def _fits(one: Named, clocks: Sequence[Clock], place: int, start: datetime, *, numbered: bool) -> bool:
    if one.places and not (numbered and place + 1 in one.places):
        return False
    if one.days and start.weekday() not in one.days:
        return False
    if one.dates and not any(day == start.day and month in {0, start.month} for day, month in one.dates):
        return False
    return not clocks or (start.hour, start.minute) in clocks


__all__ = ["Named", "meant", "named_in"]
