"""How fast are recurring meetings expanded, and how many of their instances are right?"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import icalendar
import recurring_ical_events
from dateutil.rrule import rrulestr

from benchmarks.bench import Bench
from benchmarks.events import weekly_series
from benchmarks.measure import side_by_side
from benchmarks.table import Row
from connectors.ical import parse
from connectors.recurrence import Copy, expand
from rules.hours import zone
from rules.model import CalendarRef, Interval

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
DAYS = 60
SERIES = 350
COPY = Copy(
    calendar=CalendarRef(account="own", id="work"), href="/a.ics", etag="1", home_zone="Europe/Lisbon"
)

Found = set[tuple[str, datetime]]


def rows(bench: Bench) -> list[Row]:
    """350 series begun five years ago, 60 days of them across a change of clocks."""
    window = Interval(NOW, NOW + timedelta(days=DAYS))
    text = weekly_series(bench.size(SERIES), NOW - timedelta(days=5 * 365))
    series = [_alone(part) for part in text.split("BEGIN:VEVENT")[1:]]
    parsed = [parse(each, "Europe/Lisbon") for each in series]
    calendar = icalendar.Calendar.from_ical(text)

    def ours() -> Found:
        return {(one.key.uid, one.start_utc) for each in parsed for one in expand(each, COPY, window)[0]}

    def theirs() -> Found:
        found = recurring_ical_events.of(calendar).between(window.start, window.end)
        return {(str(one["UID"]), one["DTSTART"].dt.astimezone(UTC)) for one in found}

    truth = _plainly(text, window)
    ours_took, theirs_took = side_by_side(5, ours, theirs)
    against = "recurring-ical-events"
    return [
        Row(
            what=f"expand {DAYS} days of {len(series)} old series",
            ours=ours_took / len(truth) * 1e6,
            against=against,
            theirs=theirs_took / len(truth) * 1e6,
            unit="µs CPU each",
            aim=10,
        ),
        Row(
            what=f"wrong or missing among those {len(truth)}",
            ours=len(ours() ^ truth),
            against=against,
            theirs=len(theirs() ^ truth),
            unit="occurrences",
        ),
    ]


def _alone(event: str) -> str:
    return (
        "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nBEGIN:VEVENT"
        + event.partition("END:VEVENT")[0]
        + ("END:VEVENT\r\nEND:VCALENDAR\r\n")
    )


def _plainly(text: str, window: Interval) -> Found:
    """The slow sure way: every instance since the first, on wall time, zone last."""
    lisbon = zone("Europe/Lisbon")
    found: Found = set()
    for event in text.split("BEGIN:VEVENT")[1:]:
        lines = dict(line.rpartition(":")[::2] for line in event.split("\r\n"))
        uid, start = lines["UID"], datetime.fromisoformat(lines["DTSTART;TZID=Europe/Lisbon"])
        rule = rrulestr(lines["RRULE"], dtstart=start)
        instants = {start, *rule.between(start, start + timedelta(days=6 * 365), inc=True)}
        for wall in instants:
            at = wall.replace(tzinfo=lisbon).astimezone(UTC)
            if at < window.end and at + timedelta(minutes=30) > window.start:
                found.add((uid, at))
    return found
