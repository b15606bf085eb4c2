"""iCalendar texts for tests, as short as they can be."""

from __future__ import annotations

from datetime import UTC, datetime

from connectors.recurrence import Copy, read_resource
from rules.model import CalendarRef, Interval, Occurrence

LISBON = "Europe/Lisbon"
WINDOW = Interval(datetime(2026, 2, 1, tzinfo=UTC), datetime(2026, 6, 1, tzinfo=UTC))
COPY = Copy(
    calendar=CalendarRef(account="own", id="https://dav.example/work/"),
    href="/work/a.ics",
    etag='"1"',
    home_zone=LISBON,
)


def calendar(*components: str) -> str:
    """A VCALENDAR around components."""
    return "\r\n".join(
        ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//test//EN", *components, "END:VCALENDAR", ""]
    )


def vevent(
    *lines: str, uid: str = "kickoff", start: str = "DTSTART;TZID=Europe/Lisbon:20260302T090000"
) -> str:
    """A VEVENT of an hour unless the lines say otherwise."""
    body = [f"UID:{uid}", "DTSTAMP:20260101T000000Z"]
    names = {line.partition(":")[0].partition(";")[0] for line in lines}
    if start and "DTSTART" not in names:
        body.append(start)
    if not names & {"DTEND", "DURATION", "DTSTART"} and "T" in start.rpartition(":")[2]:
        body.append("DURATION:PT1H")
    return "\r\n".join(["BEGIN:VEVENT", *body, *lines, "END:VEVENT"])


def event(
    *lines: str, uid: str = "kickoff", start: str = "DTSTART;TZID=Europe/Lisbon:20260302T090000"
) -> str:
    """A whole resource with one event."""
    return calendar(vevent(*lines, uid=uid, start=start))


def occurrences(raw: str, window: Interval = WINDOW, home_zone: str = LISBON) -> tuple[Occurrence, ...]:
    """The occurrences of a resource, which must be wholly readable."""
    copy = Copy(calendar=COPY.calendar, href=COPY.href, etag=COPY.etag, home_zone=home_zone)
    resource = read_resource(raw, copy, window)
    assert not resource.broken, resource.broken
    return resource.occurrences


def starts(raw: str, window: Interval = WINDOW) -> list[str]:
    """The starts of the occurrences, as wall time."""
    return [f"{each.start:%Y-%m-%d %H:%M}" for each in occurrences(raw, window)]
