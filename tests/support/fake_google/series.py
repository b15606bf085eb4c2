"""Which instances a series has."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from dateutil.rrule import rrule, rruleset, rrulestr

from tests.support.fake_google.times import When, instant, when


def instance_id(master: str, start: When) -> str:
    """Google's id of an instance: the series' id and the original start in UTC, or its date."""
    if "date" in start:
        return f"{master}_{start['date'].replace('-', '')}"
    return f"{master}_{instant(start, 'UTC').astimezone(UTC):%Y%m%dT%H%M%SZ}"


def starts(body: dict[str, Any], zone: str) -> Iterator[When]:
    """Original starts of all instances, in order; endless for a series without end.

    Raises ValueError for a rule that is none.
    """
    first = body["start"]
    home = first.get("timeZone") or zone
    begin = instant(first, home).astimezone(ZoneInfo(home)).replace(tzinfo=None)
    for wall in _rules(body["recurrence"], begin, home):
        yield (
            {"date": wall.date().isoformat()}
            if "date" in first
            else when(wall.replace(tzinfo=ZoneInfo(home)))
        )


def _rules(lines: list[str], begin: datetime, home: str) -> rruleset:
    found = rruleset()
    if not any(line.upper().startswith("RRULE") for line in lines):
        found.rdate(begin)
    for line in lines:
        name, colon, value = line.partition(":")
        kind = name.partition(";")[0].upper()
        if not colon:
            raise ValueError(line)
        if kind in ("RRULE", "EXRULE"):
            made = rrulestr(_local_until(value, home), dtstart=begin)
            if not isinstance(made, rrule):
                raise ValueError(line)
            (found.rrule if kind == "RRULE" else found.exrule)(made)
        elif kind in ("RDATE", "EXDATE"):
            add = found.rdate if kind == "RDATE" else found.exdate
            for each in value.split(","):
                add(_wall(each, name, begin, home))
        else:
            raise ValueError(line)
    return found


def _local_until(rule: str, home: str) -> str:
    """UNTIL in UTC as wall time, since the rule is followed on the wall."""
    match = re.search(r"UNTIL=(\d{8}T\d{6})Z", rule)
    if not match:
        return rule
    until = datetime.fromisoformat(match[1]).replace(tzinfo=UTC).astimezone(ZoneInfo(home))
    return rule.replace(match[0], f"UNTIL={until:%Y%m%dT%H%M%S}")


def _wall(text: str, name: str, begin: datetime, home: str) -> datetime:
    if len(text) == 8:
        day = date.fromisoformat(text)
        return datetime.combine(day, datetime.min.time() if "VALUE=DATE" in name.upper() else begin.time())
    wall = datetime.fromisoformat(text[:15])
    if text.endswith("Z"):
        return wall.replace(tzinfo=UTC).astimezone(ZoneInfo(home)).replace(tzinfo=None)
    named = re.search(r"TZID=([^;:]+)", name)
    zone = ZoneInfo(named[1]) if named else ZoneInfo(home)
    return wall.replace(tzinfo=zone).astimezone(ZoneInfo(home)).replace(tzinfo=None)
