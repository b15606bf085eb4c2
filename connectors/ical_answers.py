"""What attendees say with a calendar part (RFC 5546): REPLY and COUNTER → nouns. Never raises."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC

from connectors.ical import Event, parse
from connectors.ical_lines import unfold
from connectors.ical_times import key_of
from rules.model import Address, Interval, PartStat, Timing

MOST = 10
"""Events of one part that are looked at."""

_METHODS = frozenset({"REPLY", "COUNTER"})
_MOST_LINES = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class CalendarAnswer:
    """One event of a REPLY or COUNTER. ``span`` is its time, None where that is not certain."""

    method: str
    uid: str
    recurrence_id: str | None = None
    sequence: int = 0
    partstats: Mapping[Address, PartStat] = field(default_factory=dict)
    span: Interval | None = None


def calendar_answers(text: str, home_zone: str) -> list[CalendarAnswer]:
    """What a calendar part answers; nothing where it is of another method."""
    method = _method(text)
    if method not in _METHODS:
        return []
    return [_answer(method, event) for event in parse(text, home_zone).events[:MOST] if event.uid]


def _method(text: str) -> str:
    """Its one METHOD, which stands before every component; empty where that is not so."""
    found = []
    for line in unfold(text, _MOST_LINES)[:_MOST_LINES]:
        word = line.strip().upper()
        if word.startswith("BEGIN:") and word != "BEGIN:VCALENDAR":
            break
        if word.startswith("METHOD"):
            found.append(word.partition(":")[2].strip())
    return found[0] if len(found) == 1 else ""


def _answer(method: str, event: Event) -> CalendarAnswer:
    return CalendarAnswer(
        method=method,
        uid=event.uid,
        recurrence_id=key_of(event.recurrence_id) if event.recurrence_id else None,
        sequence=event.details["sequence"],
        partstats={one.address: one.partstat for one in event.details["attendees"]},
        span=_span(event),
    )


def _span(event: Event) -> Interval | None:
    if event.start.zone.timing is not Timing.TIMED:
        return None
    try:
        start = event.start.aware.astimezone(UTC)
        end = event.end.aware.astimezone(UTC) if event.end else start + event.days + event.exact
    except (ValueError, OverflowError):
        return None
    return Interval(start, end) if end > start else None


__all__ = ["CalendarAnswer", "calendar_answers"]
