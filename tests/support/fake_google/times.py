"""Times as Google writes them."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)")

When = dict[str, Any]
"""An EventDateTime: ``date``, or ``dateTime`` with perhaps ``timeZone``."""


def is_rfc3339(text: str) -> bool:
    """Whether the text is an RFC 3339 timestamp with its offset."""
    if not _RFC3339.fullmatch(text):
        return False
    try:
        parse(text)
    except ValueError:
        return False
    return True


def parse(text: str) -> datetime:
    """An RFC 3339 timestamp, aware."""
    return datetime.fromisoformat(text.upper())


def stamp(at: datetime) -> str:
    """``2026-03-02T09:00:00.000Z``, as ``created``, ``updated`` and Meet have it."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z"


def written(at: datetime) -> str:
    """``2026-03-02T09:00:00+01:00``, or with ``Z``, as ``start`` and ``end`` have it."""
    return at.replace(microsecond=0).isoformat().replace("+00:00", "Z")


def when(at: datetime | date, zone: str = "") -> When:
    """An EventDateTime of an aware time, or of a date."""
    if not isinstance(at, datetime):
        return {"date": at.isoformat()}
    name = zone or getattr(at.tzinfo, "key", "")
    made: When = {"dateTime": written(at)}
    if name:
        made["timeZone"] = name
    return made


def instant(value: When, zone: str) -> datetime:
    """The moment an EventDateTime means; a date begins at midnight in ``zone``."""
    if "date" in value:
        return datetime.combine(date.fromisoformat(value["date"]), datetime.min.time(), ZoneInfo(zone))
    found = datetime.fromisoformat(value["dateTime"].upper())
    home = ZoneInfo(value.get("timeZone") or zone)
    return found.replace(tzinfo=home) if found.tzinfo is None else found.astimezone(home)


def shown(value: When, zone: str) -> When:
    """The same EventDateTime with the offset of the zone it is shown in."""
    if "date" in value:
        return {"date": value["date"]}
    made = {"dateTime": written(instant(value, zone).astimezone(ZoneInfo(zone)))}
    return made | ({"timeZone": value["timeZone"]} if value.get("timeZone") else {})


def length(start: When, end: When, zone: str) -> timedelta:
    """How long an event lasts: exact time, or whole days."""
    if "date" in start:
        return date.fromisoformat(end["date"]) - date.fromisoformat(start["date"])
    return instant(end, zone).astimezone(UTC) - instant(start, zone).astimezone(UTC)
