"""Zones read from their own bytes (RFC 9636) without zoneinfo: an independent opinion on any instant.

Times are whole seconds since 1970, in UTC or, where called wall, as the zone's clocks show them.
"""

from __future__ import annotations

import bisect
import re
import struct
from dataclasses import dataclass
from datetime import date, timedelta
from importlib.resources import files

DAY = 86400
EPOCH = date(1970, 1, 1)
_RULE = re.compile(
    r"(<[^>]+>|[A-Za-z]+)(?P<std>[-+\d:]+)"
    r"(?:(<[^>]+>|[A-Za-z]+)(?P<dst>[-+\d:]+)?,(?P<on>[^,]+),(?P<off>[^,]+))?"
)


def zone_names() -> list[str]:
    """Every zone there is in the tzdata package."""
    return (files("tzdata") / "zones").read_text("utf-8").split()


@dataclass(frozen=True)
class Change:
    """The moment (UTC) at which a zone's offset changes, and the offsets in seconds."""

    at: int
    before: int
    after: int


@dataclass(frozen=True)
class Clocks:
    """The clocks of one zone: its changes between two years, in order, and the offset before them all."""

    first: int
    changes: tuple[Change, ...]

    def offset(self, at: int) -> int:
        """The offset in force at a moment."""
        passed = bisect.bisect_right([change.at for change in self.changes], at)
        return self.changes[passed - 1].after if passed else self.first

    def moment(self, wall: int) -> int:
        """The moment a wall time means: of two the first; one that is skipped by the offset before."""
        offsets = {self.first, *(change.after for change in self.changes)}
        found = [wall - offset for offset in offsets if self.offset(wall - offset) == offset]
        if found:
            return min(found)
        (gap,) = [one for one in self.changes if one.at + one.before <= wall < one.at + one.after]
        return wall - gap.before


def clocks(name: str, first_year: int = 2023, last_year: int = 2032) -> Clocks:
    """The clocks of a zone of the tzdata package in those years."""
    raw = (files("tzdata") / "zoneinfo").joinpath(*name.split("/")).read_bytes()
    assert raw[:4] == b"TZif"
    assert raw[4:5] >= b"2"
    start = 44 + _size(raw, 0, 4)
    times, kinds, offsets = _block(raw, start)
    footer = raw[start + 44 + _size(raw, start, 8) :].strip(b"\n").decode("ascii")
    listed = list(zip(times, (offsets[kind] for kind in kinds), strict=True))
    last = listed[-1][0] if listed else -(2**62)
    listed += [one for one in _by_rule(footer, first_year, last_year) if one[0] > last]
    opens, closes = (_days(date(year, 1, 1)) * DAY for year in (first_year, last_year + 1))
    now = next((offset for at, offset in reversed(listed) if at <= opens), offsets[0])
    if not any(at <= opens for at, _ in listed) and footer and not listed:
        now = _fixed(footer)
    changes, first = [], now
    for at, offset in listed:
        if opens < at < closes and offset != now:
            changes.append(Change(at, now, offset))
            now = offset
    return Clocks(first, tuple(changes))


def _counts(raw: bytes, start: int) -> tuple[int, ...]:
    return struct.unpack(">6l", raw[start + 20 : start + 44])


def _size(raw: bytes, start: int, wide: int) -> int:
    ut, std, leap, many, kinds, letters = _counts(raw, start)
    return many * wide + many + kinds * 6 + letters + leap * (wide + 4) + std + ut


def _block(raw: bytes, start: int) -> tuple[list[int], list[int], list[int]]:
    """Its times, which kind each begins, and the offset of each kind."""
    *_, many, kinds, _ = _counts(raw, start)
    at = start + 44
    times = list(struct.unpack(f">{many}q", raw[at : at + 8 * many]))
    at += 8 * many
    which = list(raw[at : at + many])
    at += many
    return (
        times,
        which,
        [struct.unpack(">l", raw[at + 6 * one : at + 6 * one + 4])[0] for one in range(kinds)],
    )


def _by_rule(footer: str, first_year: int, last_year: int) -> list[tuple[int, int]]:
    """The changes that the rule at the end of a file goes on with."""
    rule = _RULE.fullmatch(footer)
    if rule is None or rule["on"] is None:
        return []
    std = -_seconds(rule["std"])
    dst = -_seconds(rule["dst"]) if rule["dst"] else std + 3600
    found = []
    for year in range(first_year - 1, last_year + 2):
        found.append((_on(rule["on"], year) - std, dst))
        found.append((_on(rule["off"], year) - dst, std))
    return sorted(found)


def _fixed(footer: str) -> int:
    rule = _RULE.fullmatch(footer)
    assert rule is not None
    return -_seconds(rule["std"])


def _seconds(text: str) -> int:
    sign = -1 if text.startswith("-") else 1
    hours, minutes, seconds = (int(part) for part in (text.lstrip("+-") + ":0:0").split(":")[:3])
    return sign * (hours * 3600 + minutes * 60 + seconds)


def _on(text: str, year: int) -> int:
    """The wall time that ``M3.5.0/2``, ``J60`` or ``59`` names in a year."""
    day, _, time = text.partition("/")
    if day.startswith("M"):
        month, week, weekday = (int(part) for part in day[1:].split("."))
        first = date(year, month, 1)
        found = first + timedelta(days=(weekday - first.isoweekday()) % 7 + 7 * (week - 1))
        while found.month != month:
            found -= timedelta(days=7)
    elif day.startswith("J"):
        number = int(day[1:])
        is_leap = date(year, 3, 1) - date(year, 2, 1) == timedelta(days=29)
        found = date(year, 1, 1) + timedelta(days=number - 1 + (is_leap and number >= 60))
    else:
        found = date(year, 1, 1) + timedelta(days=int(day))
    return _days(found) * DAY + _seconds(time or "2")


def _days(day: date) -> int:
    return (day - EPOCH).days
