"""When a series of Outlook's ends (Graph's patternedRecurrence)."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

from connectors.recurrence_rule import RuleError, read_rule, walls

_FOR_EVER = timedelta(days=50 * 365)
_DAYS = {
    "monday": "MO",
    "tuesday": "TU",
    "wednesday": "WE",
    "thursday": "TH",
    "friday": "FR",
    "saturday": "SA",
    "sunday": "SU",
}
_PLACES = {"first": 1, "second": 2, "third": 3, "fourth": 4, "last": -1}


def last_day(recurrence: Any) -> date | None:
    """The day after which no instance can start; None where it goes on, or cannot be worked out."""
    try:
        span = recurrence["range"]
        match span["type"]:
            case "endDate":
                return date.fromisoformat(span["endDate"])
            case "numbered":
                begun = datetime.fromisoformat(span["startDate"])
                rule = read_rule(f"{_rule(recurrence['pattern'])};COUNT={int(span['numberOfOccurrences'])}")
                *_, last = walls(rule, begun, begun, begun + _FOR_EVER)
                return last.date()
    except (KeyError, TypeError, ValueError, OverflowError, RuleError):
        return None
    return None


def _rule(pattern: dict[str, Any]) -> str:
    """The pattern as an RRULE (RFC 5545 section 3.3.10). Raises KeyError and ValueError."""
    kind = str(pattern["type"])
    parts = [f"INTERVAL={int(pattern.get('interval') or 1)}"]
    days = [_DAYS[str(one).lower()] for one in pattern.get("daysOfWeek") or ()]
    if kind == "daily":
        return ";".join(["FREQ=DAILY", *parts])
    if kind == "weekly":
        first = _DAYS[str(pattern.get("firstDayOfWeek") or "sunday").lower()]
        return ";".join(["FREQ=WEEKLY", *parts, f"BYDAY={','.join(days)}", f"WKST={first}"])
    freq = "YEARLY" if kind.endswith("Yearly") else "MONTHLY"
    if freq == "YEARLY":
        parts.append(f"BYMONTH={int(pattern['month'])}")
    if kind.startswith("absolute"):
        day = int(pattern["dayOfMonth"])
        # A month that is too short has its instance on its last day.
        within = f"BYMONTHDAY={day}" if day <= 28 else f"BYMONTHDAY={_until(day)};BYSETPOS=-1"
        return ";".join([f"FREQ={freq}", *parts, within])
    place = _PLACES[str(pattern.get("index") or "first")]
    return ";".join([f"FREQ={freq}", *parts, f"BYDAY={','.join(days)}", f"BYSETPOS={place}"])


def _until(day: int) -> str:
    return ",".join(str(one) for one in range(28, day + 1))


__all__ = ["last_day"]
