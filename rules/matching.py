"""A ``match:`` as predicates, cheapest first; one list serves both deciding and explaining."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

from rules.fields import Pattern
from rules.hours import zone
from rules.match import Match
from rules.model import Because, CuType, Occurrence
from rules.people import organized_by_me
from rules.timetable import DAYS, DayPart, Days
from rules.view import View

Test = Callable[[Occurrence], bool]


@dataclass(frozen=True, slots=True)
class Predicate:
    """One question about an occurrence, the field it looks at, and how to show that field."""

    name: str
    field: str
    holds: Test
    value: Callable[[Occurrence], str]

    def look(self, occurrence: Occurrence) -> Because:
        """The answer with the value that gave it."""
        return Because(
            predicate=self.name,
            holds=self.holds(occurrence),
            field=self.field,
            value=self.value(occurrence),
            observed_at=occurrence.observed_at,
        )


def predicates(match: Match, view: View, zone_name: str) -> tuple[Predicate, ...]:
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


def tester(asked: tuple[Predicate, ...]) -> Test:
    """Whether all predicates hold, asked in order up to the first that does not."""
    tests = tuple(one.holds for one in asked)
    if len(tests) == 1:
        return tests[0]

    def holds(occurrence: Occurrence) -> bool:
        for test in tests:  # noqa: SIM110 - the hottest loop; all() costs half as much again
            if not test(occurrence):
                return False
        return True

    return holds


def _of_place(match: Match, view: View) -> Iterator[Predicate]:
    if match.account is not None:
        names = frozenset(name for name in view.snapshot.accounts if _any(match.account, name))
        yield Predicate(
            _named("account", match.account),
            "account",
            lambda one: one.key.calendar.account in names,
            lambda one: one.key.calendar.account,
        )
    if match.client is not None:
        clients = match.client
        behind = frozenset(
            name for name, account in view.snapshot.accounts.items() if _any(clients, account.client or "")
        )
        yield Predicate(
            _named("client", clients),
            "account.client",
            lambda one: one.key.calendar.account in behind,
            lambda one: view.account(one).client or "",
        )
    if match.recurring is not None:
        recurring = match.recurring
        yield Predicate(
            f"recurring: {str(recurring).lower()}",
            "RRULE",
            lambda one: one.recurring is recurring,
            lambda one: "recurring" if one.recurring else "single",
        )
    if match.calendar is not None:
        calendars = match.calendar
        yield Predicate(
            _named("calendar", calendars),
            "calendar",
            lambda one: any(_any(calendars, name) for name in view.calendar_names(one)),
            lambda one: view.calendar_names(one)[0],
        )


def _of_people(match: Match, view: View) -> Iterator[Predicate]:
    if match.organizer is not None:
        yield _organizer(match.organizer, view)
    if match.attendees is not None:
        number = match.attendees
        yield Predicate(
            f"attendees: {number}",
            "ATTENDEE",
            lambda one: number.matches(_how_many(one, view)),
            lambda one: str(_how_many(one, view)),
        )
    if match.attendee is not None:
        attendees = match.attendee
        yield Predicate(
            _named("attendee", attendees),
            "ATTENDEE",
            lambda one: any(_any(attendees, address) for address in _others(one, view)),
            lambda one: ", ".join(_others(one, view)),
        )


def _organizer(wanted: str | Pattern, view: View) -> Predicate:
    owner = view.owner
    test: Test
    if isinstance(wanted, Pattern):
        test = lambda one: one.organizer is not None and wanted.matches(one.organizer)  # noqa: E731
    else:
        mine = wanted == "me"
        test = lambda one: organized_by_me(one, owner) is mine  # noqa: E731
    return Predicate(f"organizer: {wanted}", "ORGANIZER", test, lambda one: one.organizer or "(none)")


def _of_text(match: Match) -> Iterator[Predicate]:
    if match.title is not None:
        title = match.title.tester()
        yield Predicate(
            f"title: {match.title}", "SUMMARY", lambda one: title(one.title), lambda one: one.title
        )
    if match.location is not None:
        location = match.location.tester()
        yield Predicate(
            f"location: {match.location}",
            "LOCATION",
            lambda one: location(one.location),
            lambda one: one.location,
        )
    if match.category is not None:
        categories = match.category
        yield Predicate(
            _named("category", categories),
            "CATEGORIES",
            lambda one: any(_any(categories, each) for each in one.categories),
            lambda one: ", ".join(one.categories) or "(none)",
        )


def _of_time(match: Match, zone_name: str) -> Iterator[Predicate]:
    home = zone(zone_name)
    if match.duration is not None:
        length = match.duration
        yield Predicate(
            f"duration: {length}",
            "DTSTART, DTEND",
            lambda one: length.matches(one.end_utc - one.start_utc),
            lambda one: str(one.end_utc - one.start_utc),
        )
    if match.weekday is not None:
        days = _weekdays(match.weekday)
        yield Predicate(
            f"weekday: {', '.join(map(str, match.weekday))}",
            "DTSTART",
            lambda one: one.start.astimezone(home).weekday() in days,
            lambda one: f"{DAYS[one.start.astimezone(home).weekday()]} in {zone_name}",
        )
    if match.hour is not None:
        parts = match.hour
        yield Predicate(
            f"hour: {', '.join(map(str, parts))}",
            "DTSTART",
            lambda one: _lies_in(parts, one.start.astimezone(home)),
            lambda one: f"{one.start.astimezone(home):%H:%M} in {zone_name}",
        )


def _weekdays(some: tuple[Days, ...]) -> frozenset[int]:
    return frozenset(day for one in some for day in one.days)


def _lies_in(parts: tuple[DayPart, ...], local: datetime) -> bool:
    clock = local.time()
    return any(part.covers(clock) for part in parts)


def _combined(match: Match, view: View, zone_name: str) -> Iterator[Predicate]:
    for inner in match.all or ():
        yield _joined("all", predicates(inner, view, zone_name), want=True)
    for inner in match.not_ or ():
        yield _joined("not", predicates(inner, view, zone_name), want=False)
    if match.any is not None:
        groups = [predicates(inner, view, zone_name) for inner in match.any]
        tests = [tester(group) for group in groups]
        yield Predicate(
            f"any: {' | '.join(f'({_names(group)})' for group in groups)}",
            _fields(*groups),
            lambda one: any(test(one) for test in tests),
            lambda one: "; ".join(_values(group, one) for group in groups),
        )


def _joined(word: str, group: tuple[Predicate, ...], *, want: bool) -> Predicate:
    test = tester(group)
    return Predicate(
        f"{word}: ({_names(group)})",
        _fields(group),
        test if want else lambda one: not test(one),
        lambda one: _values(group, one),
    )


def _names(group: tuple[Predicate, ...]) -> str:
    return " and ".join(one.name for one in group)


def _fields(*groups: tuple[Predicate, ...]) -> str:
    return ", ".join(dict.fromkeys(one.field for group in groups for one in group))


def _values(group: tuple[Predicate, ...], occurrence: Occurrence) -> str:
    return ", ".join(one.value(occurrence) for one in group)


def _others(occurrence: Occurrence, view: View) -> list[str]:
    """Every invited address that is not me, the organiser among them."""
    mine = view.owner.addresses
    addresses = [one.address for one in occurrence.attendees if one.address not in mine]
    if occurrence.organizer and occurrence.organizer not in mine and occurrence.organizer not in addresses:
        addresses.append(occurrence.organizer)
    return [str(address) for address in addresses]


def _how_many(occurrence: Occurrence, view: View) -> int:
    things = {one.address for one in occurrence.attendees if one.cutype in {CuType.ROOM, CuType.RESOURCE}}
    return sum(address not in things for address in _others(occurrence, view))


def _any(patterns: tuple[Pattern, ...], text: str) -> bool:
    return any(pattern.matches(text) for pattern in patterns)


def _named(name: str, patterns: tuple[Pattern, ...]) -> str:
    return f"{name}: {', '.join(str(pattern) for pattern in patterns)}"
