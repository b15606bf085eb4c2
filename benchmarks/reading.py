"""How fast is iCalendar text read into the fields that rules look at?"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import icalendar

from benchmarks.bench import Bench
from benchmarks.events import objects
from benchmarks.measure import side_by_side
from benchmarks.table import Row
from connectors.ical import Event, parse

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)


def rows(bench: Bench) -> list[Row]:
    """Ours against the library, which is asked for no more than we read. Raises when the two differ."""
    texts = [text for _, text in objects(bench.size(2400), NOW)]
    without_zones = [text for text in texts if "VTIMEZONE" not in text]
    for text in texts:
        ours, theirs = _ours(text), _theirs(text)
        if ours != theirs:
            raise RuntimeError(f"read differently:\n{ours}\n{theirs}")
    found = []
    for what, some, aim in (
        ("read events of three dialects", texts, 10.0),
        ("read events without VTIMEZONE", without_zones, None),
    ):
        ours_took, theirs_took = side_by_side(
            3,
            lambda some=some: [_parsed(text) for text in some],
            lambda some=some: [_theirs(text) for text in some],
        )
        found.append(
            Row(
                what=what,
                ours=ours_took / len(some) * 1e6,
                against="icalendar with field extraction",
                theirs=theirs_took / len(some) * 1e6,
                unit="µs CPU each",
                aim=aim,
            )
        )
    return found


def _parsed(text: str) -> Event:
    return parse(text, "Europe/Lisbon").events[0]


def _ours(text: str) -> tuple[Any, ...]:
    event = _parsed(text)
    details = event.details
    end = event.end.aware if event.end else event.start.aware + event.days + event.exact
    return (
        event.uid,
        event.start.aware,
        end,
        event.rrules,
        details["title"],
        details["location"],
        details["organizer"],
        details["organizer_name"],
        details["sequence"],
        details["status"].value,
        details["transparent"],
        details["private"],
        details["created"],
        details["modified"],
        tuple((who.address, who.name, who.partstat.value, who.role.value) for who in details["attendees"]),
    )


def _theirs(text: str) -> tuple[Any, ...]:
    calendar = icalendar.Calendar.from_ical(text)
    event = next(iter(calendar.walk("VEVENT")))
    organizer = event.get("ORGANIZER")
    rule = event.get("RRULE")
    attendees = event.get("ATTENDEE", [])
    modified = event.get("LAST-MODIFIED") or event.get("DTSTAMP")
    return (
        str(event["UID"]),
        event["DTSTART"].dt,
        event["DTEND"].dt,
        () if rule is None else (rule.to_ical().decode(),),
        str(event.get("SUMMARY", "")),
        str(event.get("LOCATION", "")),
        _address(organizer),
        str(organizer.params.get("CN", "")),
        int(event.get("SEQUENCE", 0)),
        str(event.get("STATUS", "CONFIRMED")),
        str(event.get("TRANSP", "")) == "TRANSPARENT",
        str(event.get("CLASS", "PUBLIC")) != "PUBLIC",
        event["CREATED"].dt if "CREATED" in event else None,
        modified.dt,
        tuple(
            (
                _address(who),
                str(who.params.get("CN", "")),
                str(who.params.get("PARTSTAT", "NEEDS-ACTION")),
                str(who.params.get("ROLE", "REQ-PARTICIPANT")),
            )
            for who in (attendees if isinstance(attendees, list) else [attendees])
        ),
    )


def _address(who: Any) -> str:
    return str(who).removeprefix("mailto:").lower()
