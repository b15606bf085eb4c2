"""A ``match:`` as predicates, cheapest first; one list serves both deciding and explaining."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass
from datetime import time, timedelta
from functools import lru_cache
from operator import attrgetter
from typing import Any

from rules.fields import Pattern
from rules.hours import zone
from rules.match import Match
from rules.model import Address, Because, CalendarRef, CuType, Occurrence
from rules.timetable import DAYS, DayPart, Days
from rules.view import View

Reader = Callable[[Occurrence], Hashable]
"""What gives the part of an occurrence that a question looks at; the same for all who look at that part."""


@dataclass(frozen=True, slots=True)
class Predicate:
    """One question about an occurrence: what it reads, whether that fits, and how to show it."""

    name: str
    field: str
    reads: Reader
    fits: Callable[[Any], bool]
    value: Callable[[Occurrence], str]

    def holds(self, occurrence: Occurrence) -> bool:
        """Whether the answer is yes."""
        return self.fits(self.reads(occurrence))


@dataclass(frozen=True, slots=True)
class Combination:
    """Several questions joined: ``groups`` of predicates, and what follows from which of them hold."""

    name: str
    groups: tuple[tuple[Asked, ...], ...]
    joins: Callable[[Iterable[bool]], bool]

    @property
    def field(self) -> str:
        """Every field looked at."""
        return ", ".join(dict.fromkeys(one.field for group in self.groups for one in group))

    def value(self, occurrence: Occurrence) -> str:
        """What they all say."""
        return "; ".join(", ".join(one.value(occurrence) for one in group) for group in self.groups)

    def holds(self, occurrence: Occurrence) -> bool:
        """Whether the answer is yes."""
        return self.joins(all_hold(group, occurrence) for group in self.groups)


Asked = Predicate | Combination


def looked(one: Asked, occurrence: Occurrence) -> Because:
    """The answer with the value that gave it."""
    return Because(
        predicate=one.name,
        holds=one.holds(occurrence),
        field=one.field,
        value=one.value(occurrence),
        observed_at=occurrence.observed_at,
    )


def predicates(match: Match, view: View, zone_name: str) -> tuple[Asked, ...]:
    """The predicates of one ``match:``; an occurrence must satisfy all.

    Weekdays and hours are those of clocks in ``zone_name``.
    """
    return (
        *_of_place(match, view),
        *_of_people(match, view),
        *_of_text(match),
        *_of_time(match, zone_name),
        *_combined(match, view, zone_name),
    )


def all_hold(asked: tuple[Asked, ...], occurrence: Occurrence) -> bool:
    """Whether all hold, asked in order up to the first that does not."""
    return all(one.holds(occurrence) for one in asked)


_THINGS = frozenset({CuType.ROOM, CuType.RESOURCE})
_MINUTES_A_DAY = 24 * 60

_calendar: Reader = attrgetter("key.calendar.account", "key.calendar.id")
_recurring: Reader = attrgetter("recurring")
_categories: Reader = attrgetter("categories")


def _title(one: Occurrence) -> str:
    return one.title.casefold()


def _location(one: Occurrence) -> str:
    return one.location.casefold()


def _organizer(one: Occurrence) -> Hashable:
    """Who organises; where nobody does, whether there are attendees."""
    return bool(one.attendees) if one.organizer is None else one.organizer


def _invited(one: Occurrence) -> tuple[Address, ...]:
    """Every invited address, the organiser among them."""
    addresses = [each.address for each in one.attendees]
    if one.organizer and one.organizer not in addresses:
        addresses.append(one.organizer)
    return tuple(addresses)


def _lasts(one: Occurrence) -> timedelta:
    """How long it is."""
    return one.end_utc - one.start_utc


@lru_cache
def _people(mine: tuple[Address, ...]) -> Reader:
    """How many are invited besides me; rooms and resources do not count."""

    def count(one: Occurrence) -> int:
        things = {each.address for each in one.attendees if each.cutype in _THINGS}
        return sum(address not in mine and address not in things for address in _invited(one))

    return count


@lru_cache
def _clock(zone_name: str) -> Reader:
    """When in the week it starts on clocks of that zone, in whole minutes since Monday's midnight."""
    home = zone(zone_name)

    def minute(one: Occurrence) -> int:
        local = one.start.astimezone(home)
        return local.weekday() * _MINUTES_A_DAY + local.hour * 60 + local.minute

    return minute


class _Fitting(dict[str, bool]):
    """Whether a text fits any of some patterns, found out once for each text."""

    def __init__(self, patterns: tuple[Pattern, ...], never: tuple[str, ...] = ()) -> None:
        super().__init__(dict.fromkeys(never, False))
        self._patterns = patterns

    def __missing__(self, text: str) -> bool:
        self[text] = found = any(pattern.matches(text) for pattern in self._patterns)
        return found

    def some(self, texts: Iterable[str]) -> bool:
        """Whether one of the texts fits."""
        return any(map(self.__getitem__, texts))


def _of_place(match: Match, view: View) -> Iterator[Predicate]:
    if match.account is not None:
        names = _Fitting(match.account)
        yield Predicate(
            _named("account", match.account),
            "account",
            _calendar,
            lambda ref: names[ref[0]],
            lambda one: one.key.calendar.account,
        )
    if match.client is not None:
        clients = _Fitting(match.client)
        yield Predicate(
            _named("client", match.client),
            "account.client",
            _calendar,
            lambda ref: clients[view.snapshot.accounts[ref[0]].client or ""],
            lambda one: view.account(one).client or "",
        )
    if match.recurring is not None:
        recurring = match.recurring
        yield Predicate(
            f"recurring: {str(recurring).lower()}",
            "RRULE",
            _recurring,
            lambda repeats: repeats is recurring,
            lambda one: "recurring" if one.recurring else "single",
        )
    if match.calendar is not None:
        calendars = _Fitting(match.calendar)
        yield Predicate(
            _named("calendar", match.calendar),
            "calendar",
            _calendar,
            lambda ref: calendars.some(view.names_of(CalendarRef(account=ref[0], id=ref[1]))),
            lambda one: view.calendar_names(one)[0],
        )


def _of_people(match: Match, view: View) -> Iterator[Predicate]:
    mine = view.owner.addresses
    if match.organizer is not None:
        yield _of_organizer(match.organizer, mine)
    if match.attendees is not None:
        number, people = match.attendees, _people(mine)
        yield Predicate(
            f"attendees: {number}", "ATTENDEE", people, number.matches, lambda one: str(people(one))
        )
    if match.attendee is not None:
        attendees = _Fitting(match.attendee, never=mine)
        yield Predicate(
            _named("attendee", match.attendee),
            "ATTENDEE",
            _invited,
            attendees.some,
            lambda one: ", ".join(address for address in _invited(one) if address not in mine),
        )


def _of_organizer(wanted: str | Pattern, mine: tuple[Address, ...]) -> Predicate:
    fits: Callable[[Any], bool]
    if isinstance(wanted, Pattern):
        fits = lambda who: isinstance(who, str) and wanted.matches(who)  # noqa: E731
    else:
        by_me = wanted == "me"
        fits = lambda who: (who if isinstance(who, bool) else who in mine) is by_me  # noqa: E731
    return Predicate(
        f"organizer: {wanted}", "ORGANIZER", _organizer, fits, lambda one: one.organizer or "(none)"
    )


def _of_text(match: Match) -> Iterator[Predicate]:
    if match.title is not None:
        yield Predicate(
            f"title: {match.title}", "SUMMARY", _title, match.title.tester(), lambda one: one.title
        )
    if match.location is not None:
        yield Predicate(
            f"location: {match.location}",
            "LOCATION",
            _location,
            match.location.tester(),
            lambda one: one.location,
        )
    if match.category is not None:
        yield Predicate(
            _named("category", match.category),
            "CATEGORIES",
            _categories,
            _Fitting(match.category).some,
            lambda one: ", ".join(one.categories) or "(none)",
        )


def _of_time(match: Match, zone_name: str) -> Iterator[Predicate]:
    home, clock = zone(zone_name), _clock(zone_name)
    if match.duration is not None:
        yield Predicate(
            f"duration: {match.duration}",
            "DTSTART, DTEND",
            _lasts,
            match.duration.matches,
            lambda one: str(_lasts(one)),
        )
    if match.weekday is not None:
        days = _weekdays(match.weekday)
        yield Predicate(
            f"weekday: {', '.join(map(str, match.weekday))}",
            "DTSTART",
            clock,
            lambda minute: minute // _MINUTES_A_DAY in days,
            lambda one: f"{DAYS[one.start.astimezone(home).weekday()]} in {zone_name}",
        )
    if match.hour is not None:
        parts = match.hour
        yield Predicate(
            f"hour: {', '.join(map(str, parts))}",
            "DTSTART",
            clock,
            lambda minute: _lies_in(parts, minute % _MINUTES_A_DAY),
            lambda one: f"{one.start.astimezone(home):%H:%M} in {zone_name}",
        )


def _weekdays(some: tuple[Days, ...]) -> frozenset[int]:
    return frozenset(day for one in some for day in one.days)


def _lies_in(parts: tuple[DayPart, ...], minute: int) -> bool:
    at = time(*divmod(minute, 60))
    return any(part.covers(at) for part in parts)


def _combined(match: Match, view: View, zone_name: str) -> Iterator[Combination]:
    for inner in match.all or ():
        group = predicates(inner, view, zone_name)
        yield Combination(f"all: ({_names(group)})", (group,), all)
    for inner in match.not_ or ():
        group = predicates(inner, view, zone_name)
        yield Combination(f"not: ({_names(group)})", (group,), lambda held: not any(held))
    if match.any is not None:
        groups = tuple(predicates(inner, view, zone_name) for inner in match.any)
        yield Combination(f"any: {' | '.join(f'({_names(group)})' for group in groups)}", groups, any)


def _names(group: tuple[Asked, ...]) -> str:
    return " and ".join(one.name for one in group)


def _named(name: str, patterns: tuple[Pattern, ...]) -> str:
    return f"{name}: {', '.join(str(pattern) for pattern in patterns)}"
