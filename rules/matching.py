"""A rule's ``match:`` as predicates, cheapest first; one list serves both deciding and explaining."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from rules.fields import Pattern
from rules.model import Because, Occurrence
from rules.people import organized_by_me
from rules.policy import Match
from rules.view import View


@dataclass(frozen=True, slots=True)
class Predicate:
    """One question about an occurrence, the field it looks at, and how to show that field."""

    name: str
    field: str
    holds: Callable[[Occurrence], bool]
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


def predicates(match: Match, view: View) -> tuple[Predicate, ...]:
    """The predicates of one ``match:``; an occurrence must satisfy all."""
    return tuple(_build(match, view))


def _build(match: Match, view: View) -> Iterator[Predicate]:
    if match.account is not None:
        accounts = match.account
        yield Predicate(
            _named("account", accounts),
            "account",
            lambda one: _any(accounts, one.key.calendar.account),
            lambda one: one.key.calendar.account,
        )
    if match.client is not None:
        clients = match.client
        yield Predicate(
            _named("client", clients),
            "account.client",
            lambda one: _any(clients, view.account(one).client or ""),
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
    if match.organizer is not None:
        yield _organizer(match.organizer, view)
    for field, text in (("title", match.title), ("location", match.location)):
        if text is not None:
            yield Predicate(
                f"{field}: {text}",
                "SUMMARY" if field == "title" else "LOCATION",
                lambda one, field=field, text=text: text.matches(getattr(one, field)),  # type: ignore[misc]
                lambda one, field=field: getattr(one, field),  # type: ignore[misc]
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
    def holds(one: Occurrence) -> bool:
        if isinstance(wanted, Pattern):
            return one.organizer is not None and wanted.matches(one.organizer)
        return organized_by_me(one, view.owner) is (wanted == "me")

    return Predicate(f"organizer: {wanted}", "ORGANIZER", holds, lambda one: one.organizer or "(none)")


def _others(occurrence: Occurrence, view: View) -> list[str]:
    """Every invited address that is not me, the organiser among them."""
    mine = view.owner.addresses
    addresses = [one.address for one in occurrence.attendees if one.address not in mine]
    if occurrence.organizer and occurrence.organizer not in mine and occurrence.organizer not in addresses:
        addresses.append(occurrence.organizer)
    return [str(address) for address in addresses]


def _any(patterns: tuple[Pattern, ...], text: str) -> bool:
    return any(pattern.matches(text) for pattern in patterns)


def _named(name: str, patterns: tuple[Pattern, ...]) -> str:
    return f"{name}: {', '.join(str(pattern) for pattern in patterns)}"
