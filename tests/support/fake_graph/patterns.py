"""Which days a series has: patternedRecurrence, followed on the wall of its zone."""

from __future__ import annotations

import copy
import json
import threading
from collections.abc import Iterator
from datetime import date, datetime, time
from typing import Any

from dateutil.rrule import DAILY, MONTHLY, WEEKLY, YEARLY, rrule, weekday

from tests.support.fake_graph.graph_errors import invalid

Json = dict[str, Any]

_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_INDEX = {"first": 1, "second": 2, "third": 3, "fourth": 4, "last": -1}
_FREQUENCY: dict[str, Any] = {
    "daily": DAILY,
    "weekly": WEEKLY,
    "absoluteMonthly": MONTHLY,
    "relativeMonthly": MONTHLY,
    "absoluteYearly": YEARLY,
    "relativeYearly": YEARLY,
}


def complete(given: Json, start: datetime, zone: str) -> Json:
    """A recurrence with everything Graph shows of it. Raises GraphError for what is none."""
    pattern: Json = {"type": "", "interval": 1, "month": 0, "dayOfMonth": 0, "daysOfWeek": []}
    pattern |= {"firstDayOfWeek": "sunday", "index": "first"} | copy.deepcopy(given.get("pattern") or {})
    rule = {"type": "", "startDate": start.date().isoformat(), "endDate": "0001-01-01"}
    limits: Json = rule | {"recurrenceTimeZone": zone, "numberOfOccurrences": 0}
    limits |= copy.deepcopy(given.get("range") or {"type": "noEnd"})
    made = {"pattern": pattern, "range": limits}
    try:
        first = next(days(made), None)
    except (KeyError, ValueError, TypeError) as error:
        raise invalid(f"The recurrence is invalid: {error}", "ErrorInvalidRequest") from error
    if first is None:
        raise invalid("The recurrence pattern has no occurrences.", "ErrorRecurrenceHasNoOccurrence")
    return made


def days(recurrence: Json) -> Iterator[date]:
    """The original days of all instances, in order; endless for a series without end.

    Raises ValueError, KeyError and TypeError for a recurrence that is none.
    """
    key = json.dumps(recurrence, sort_keys=True)
    if key not in _counted:
        _counted[key] = ([], iter(_rule(recurrence)))
    counted, rest = _counted[key]
    place = 0
    while True:
        with _counting:
            if place == len(counted):
                further = next(rest, None)
                if further is None:
                    return
                counted.append(further.date())
        yield counted[place]
        place += 1


_counted: dict[str, tuple[list[date], Iterator[datetime]]] = {}
"""The days of each recurrence as far as they were counted, and the rest of them."""
_counting = threading.Lock()


def _rule(recurrence: Json) -> rrule:
    pattern, limits = recurrence["pattern"], recurrence["range"]
    begin = datetime.combine(date.fromisoformat(limits["startDate"]), time.min)
    more: Json = {}
    if limits["type"] == "endDate":
        more["until"] = datetime.combine(date.fromisoformat(limits["endDate"]), time.min)
    elif limits["type"] == "numbered":
        more["count"] = int(limits["numberOfOccurrences"])
    elif limits["type"] != "noEnd":
        raise ValueError(limits["type"])
    if int(pattern["interval"]) < 1:
        raise ValueError("interval")
    more |= {"interval": int(pattern["interval"]), "wkst": _DAYS.index(pattern["firstDayOfWeek"])}
    return rrule(_FREQUENCY[pattern["type"]], dtstart=begin, **_by(pattern, begin), **more)


def _by(pattern: Json, begin: datetime) -> Json:
    """What the pattern says beyond its frequency; a day that a month lacks is its last."""
    kind = pattern["type"]
    if kind == "daily":
        return {}
    if kind == "weekly":
        named = [_DAYS.index(name) for name in pattern["daysOfWeek"]]
        return {"byweekday": named or [begin.weekday()]}
    by: Json = {"bymonth": int(pattern["month"])} if kind.endswith("Yearly") else {}
    if kind.startswith("absolute"):
        day = int(pattern["dayOfMonth"])
        if not 1 <= day <= 31:
            raise ValueError(f"dayOfMonth {day}")
        return by | {"bymonthday": list(range(28, day + 1)) if day > 28 else [day], "bysetpos": -1}
    each = [weekday(_DAYS.index(name)) for name in pattern["daysOfWeek"]]
    return by | {"byweekday": each, "bysetpos": _INDEX[pattern["index"]]}


def moved(recurrence: Json, start: datetime) -> Json:
    """The same recurrence begun on the day of another start."""
    made = copy.deepcopy(recurrence)
    pattern, before = made["pattern"], date.fromisoformat(made["range"]["startDate"])
    if start.date() == before:
        return made
    made["range"]["startDate"] = start.date().isoformat()
    if pattern["type"] == "weekly" and len(pattern["daysOfWeek"]) == 1:
        pattern["daysOfWeek"] = [_DAYS[start.weekday()]]
    if pattern["type"].startswith("absolute"):
        pattern["dayOfMonth"] = start.day
    return made
