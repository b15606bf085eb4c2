"""Times inside the owner's files: zones, days of the week, parts of the day, weekly working hours."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import time
from typing import Annotated, Any, ClassVar, Self
from zoneinfo import ZoneInfo, available_timezones

from pydantic import BeforeValidator, GetCoreSchemaHandler, GetJsonSchemaHandler, WithJsonSchema
from pydantic_core import CoreSchema, core_schema

from rules.faults import Fault, Faults, brief, closest, fault, shown
from rules.fields import Schema, Text
from rules.hours import Span as Spell

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_FULL = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_SPELL = re.compile(r"(\d{1,2}):(\d{2}) ?[-–] ?(\d{1,2}):(\d{2})")
_CLOCK = r"([01]?[0-9]|2[0-4]):[0-5][0-9]"
_SPELL_PATTERN = f"^{_CLOCK} ?[-–] ?{_CLOCK}$"
_DAY_PATTERN = "^[A-Za-z]+( *[-,] *[A-Za-z]+)*$"
_NAMED_DAYS = {
    "weekdays": range(5),
    "weekend": (5, 6),
    "weekends": (5, 6),
    "daily": range(7),
}


def _spell(text: str) -> Spell:
    found = _SPELL.fullmatch(" ".join(text.split()))
    if found is None:
        raise fault(f"'{brief(text)}' is not a span of the day", "write it like 09:00-17:30")
    hours, minutes = (int(found[1]), int(found[3])), (int(found[2]), int(found[4]))
    midnight = (hours[1], minutes[1]) == (24, 0)
    if max(minutes) > 59 or hours[0] > 23 or (hours[1] > 23 and not midnight):
        raise fault(f"'{brief(text)}' is not a span of the day", "a day goes from 00:00 to 24:00")
    return time(hours[0], minutes[0]), time(hours[1] % 24, minutes[1])


def _zone(value: object) -> str:
    if not isinstance(value, str):
        raise fault(f"a time zone is expected here, not {shown(value)}", "write it like Europe/Lisbon")
    try:
        return ZoneInfo(value).key
    except (LookupError, ValueError, OSError):
        names = available_timezones()
        cities = {name.rsplit("/", 1)[-1]: name for name in sorted(names)}
        hint = closest(value, names) or closest(value, cities)
        city = hint.removeprefix("did you mean '").removesuffix("'?")
        hint = f"did you mean '{cities[city]}'?" if city in cities else hint
        raise fault(f"'{brief(value)}' is not a time zone", hint or "write it like Europe/Lisbon") from None


Zone = Annotated[
    str,
    BeforeValidator(_zone),
    WithJsonSchema({"type": "string", "examples": ["Europe/Lisbon", "America/New_York", "UTC"]}),
]
"""An IANA time zone name."""


@dataclass(frozen=True, slots=True)
class Clock(Text):
    """A time of the day."""

    what: ClassVar[str] = "a time of the day"
    examples: ClassVar[tuple[str, ...]] = ("08:00", "17:30")
    pattern: ClassVar[str] = "^([01]?[0-9]|2[0-3]):[0-5][0-9]$"

    at: time

    def __str__(self) -> str:
        return f"{self.at:%H:%M}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """``08:00``."""
        if not re.fullmatch(cls.pattern, text.strip()):
            raise fault(f"'{brief(text)}' is not a time of the day", "write it like 08:00")
        hour, minute = text.strip().split(":")
        return cls(time(int(hour), int(minute)))


@dataclass(frozen=True, slots=True)
class Days(Text):
    """Days of the week: ``mon``, ``mon-thu``, ``weekdays``, ``weekend``; Monday is 0."""

    what: ClassVar[str] = "days of the week"
    examples: ClassVar[tuple[str, ...]] = ("mon", "tue-thu", "weekdays", "weekend")
    pattern: ClassVar[str] = _DAY_PATTERN

    days: frozenset[int]
    text: str

    def __str__(self) -> str:
        return self.text

    @classmethod
    def parse(cls, text: str) -> Self:
        """``mon``, ``mon-fri``, ``mon,wed``, ``weekdays``, ``weekend`` or ``daily``."""
        words = " ".join(text.lower().split())
        named = _NAMED_DAYS.get(words)
        return cls(frozenset(_days(words) if named is None else named), words)


@dataclass(frozen=True, slots=True)
class DayPart(Text):
    """A part of each day, half-open, that may go past midnight."""

    what: ClassVar[str] = "a part of the day"
    examples: ClassVar[tuple[str, ...]] = ("20:00-08:00", "09:00-12:00")
    pattern: ClassVar[str] = _SPELL_PATTERN

    start: time
    end: time

    def __str__(self) -> str:
        return f"{self.start:%H:%M}-{self.end:%H:%M}"

    def covers(self, at: time) -> bool:
        """Whether this wall time lies in it."""
        if self.start < self.end:
            return self.start <= at < self.end
        return at >= self.start or at < self.end

    @classmethod
    def parse(cls, text: str) -> Self:
        """``20:00-08:00``."""
        start, end = _spell(text)
        if start == end:
            raise fault("it starts and ends at the same time", "write it like 20:00-08:00")
        return cls(start, end)


@dataclass(frozen=True, slots=True)
class WeeklyHours:
    """Working hours by weekday, Monday first; a span's end of 00:00 is midnight at the end of the day."""

    days: tuple[tuple[Spell, ...], ...]

    @classmethod
    def parse(cls, value: object) -> Self:
        """``{mon-thu: 09:00-17:30, fri: [09:00-12:00, 13:00-15:00]}``. Raises :class:`Faults`."""
        if isinstance(value, cls):
            return value
        if not isinstance(value, Mapping) or not value:
            raise fault(
                f"working hours by weekday are expected here, not {shown(value)}",
                "write them like {mon-thu: 09:00-17:30, fri: 09:00-13:00}",
            )
        week: dict[int, tuple[Spell, ...]] = {}
        faults: list[Fault] = []
        for key, spells in value.items():
            try:
                days = _days(str(key))
            except Faults as error:
                faults.extend(Fault(each.message, each.help, (key,), "key") for each in error.faults)
                continue
            if twice := [DAYS[day] for day in days if day in week]:
                faults.append(Fault(f"{twice[0]} already has its hours", "give each day once", (key,), "key"))
                continue
            week.update(dict.fromkeys(days, ()))
            try:
                week.update(dict.fromkeys(days, _spells(spells)))
            except Faults as error:
                faults.extend(each.under(key) for each in error.faults)
        if faults:
            raise Faults(faults)
        if not any(week.values()):
            raise fault("no day has working hours", "give at least one day its hours")
        return cls(tuple(week.get(day, ()) for day in range(7)))

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(cls.parse)

    @classmethod
    def __get_pydantic_json_schema__(cls, _schema: CoreSchema, _handler: GetJsonSchemaHandler) -> Schema:
        spell: Schema = {"type": "string", "pattern": _SPELL_PATTERN, "examples": ["09:00-17:30"]}
        hours = {"oneOf": [spell, {"type": "array", "items": spell, "minItems": 1}, {"const": "off"}]}
        return {
            "type": "object",
            "description": "when you work, by weekday; days not named are off",
            "minProperties": 1,
            "properties": dict.fromkeys((*DAYS, "mon-thu", "mon-fri"), hours),
            "patternProperties": {_DAY_PATTERN: hours},
            "additionalProperties": False,
            "examples": [{"mon-thu": "09:00-17:30", "fri": ["09:00-12:00", "13:00-15:00"]}],
        }


def _days(text: str) -> tuple[int, ...]:
    found: list[int] = []
    for part in text.split(","):
        first, *rest = (_day(word.strip()) for word in part.split("-"))
        if len(rest) > 1:
            raise fault(f"'{brief(text)}' is not a range of days", "write it like mon-fri or mon,wed")
        last = rest[0] if rest else first
        found.extend((first + step) % 7 for step in range((last - first) % 7 + 1))
    if len(set(found)) < len(found):
        raise fault(f"'{brief(text)}' names a day twice", "give each day once")
    return tuple(found)


def _day(word: str) -> int:
    folded = word.casefold()
    if folded in DAYS:
        return DAYS.index(folded)
    if folded in _FULL:
        return _FULL.index(folded)
    hint = closest(word, DAYS) or closest(word, _FULL) or f"days are {', '.join(DAYS)}"
    raise fault(f"'{brief(word)}' is not a day of the week", hint)


def _spells(value: object) -> tuple[Spell, ...]:
    if value == "off":
        return ()
    if isinstance(value, str):
        return (_working_spell(value),)
    if not isinstance(value, list | tuple) or not value:
        raise fault(f"a span of the day is expected here, not {shown(value)}", "write it like 09:00-17:30")
    found: list[Spell] = []
    for index, each in enumerate(value):
        if not isinstance(each, str):
            raise fault(
                f"a span of the day is expected here, not {shown(each)}", "write it like 09:00-12:00", index
            )
        try:
            spell = _working_spell(each)
        except Faults as error:
            raise Faults(item.under(index) for item in error.faults) from None
        if any(_overlap(spell, other) for other in found):
            raise fault(f"'{each}' overlaps another span of the same day", "", index)
        found.append(spell)
    return tuple(sorted(found))


def _working_spell(text: str) -> Spell:
    start, end = _spell(text)
    if end != time(0) and end <= start:
        raise fault(
            f"'{brief(text)}' ends before it starts", "end at 24:00 and start the next day at 00:00 instead"
        )
    return start, end


def _overlap(one: Spell, other: Spell) -> bool:
    return (one[0] < other[1] or other[1] == time(0)) and (other[0] < one[1] or one[1] == time(0))
