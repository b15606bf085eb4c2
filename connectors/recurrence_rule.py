"""One RRULE → the wall times it gives in a span, at a bounded cost whatever the rule says.

Expansion is dateutil's, on naive wall time. Two shifts keep it cheap. The start is moved forward by
whole intervals to just before the span; everything the rule takes from DTSTART (RFC 5545 section
3.3.10) is written out first, so the shifted rule means the same. Then rule and span are moved up by a
multiple of 400 years, after which the Gregorian calendar repeats exactly, weekdays included: dateutil
stops searching at the year 9999, so a rule that never matches ends after at most four centuries.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import MAXYEAR, date, datetime, time, timedelta
from typing import Any, Literal

from dateutil import rrule

from connectors.ical_times import read_wall

MAX_STEPS = 50_000
"""How many instances may be looked at to find those in the span."""

MAX_TIMES_A_DAY = 288
"""How many times of day a rule may name: dateutil walks them all, from the start of a year on."""

Freq = Literal[0, 1, 2, 3, 4, 5, 6]
"""dateutil's YEARLY to SECONDLY."""

LONGEST = 5000
"""Letters of one rule; one that names every day of a year has half as many."""

TINY = 1000
"""How many instances a rule by minutes or seconds may have in all."""

_FOR_EVER = 10**8
"""An interval so long, in any unit, that nothing follows."""

_FREQ: dict[str, Freq] = {
    "YEARLY": rrule.YEARLY,
    "MONTHLY": rrule.MONTHLY,
    "WEEKLY": rrule.WEEKLY,
    "DAILY": rrule.DAILY,
    "HOURLY": rrule.HOURLY,
    "MINUTELY": rrule.MINUTELY,
    "SECONDLY": rrule.SECONDLY,
}
_STEP = {
    rrule.WEEKLY: timedelta(weeks=1),
    rrule.DAILY: timedelta(days=1),
    rrule.HOURLY: timedelta(hours=1),
    rrule.MINUTELY: timedelta(minutes=1),
    rrule.SECONDLY: timedelta(seconds=1),
}
_WEEKDAY = {"MO": 0, "TU": 1, "WE": 2, "TH": 3, "FR": 4, "SA": 5, "SU": 6}
_RANGE = {
    "BYSECOND": (0, 60),
    "BYMINUTE": (0, 59),
    "BYHOUR": (0, 23),
    "BYMONTHDAY": (-31, 31),
    "BYYEARDAY": (-366, 366),
    "BYWEEKNO": (-53, 53),
    "BYMONTH": (1, 12),
    "BYSETPOS": (-366, 366),
}
_DAY_PARTS = ("BYWEEKNO", "BYYEARDAY", "BYMONTHDAY", "BYDAY")


class RuleError(ValueError):
    """The rule cannot be followed; the text says why, for the owner."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A rule, read. ``until`` is wall time, as its text has it; ``until_utc`` says that it ended in Z."""

    freq: Freq
    interval: int = 1
    count: int | None = None
    until: datetime | None = None
    until_utc: bool = False
    wkst: int = 0
    by: dict[str, tuple[int, ...]] = field(default_factory=dict)
    by_day: tuple[tuple[int, int], ...] = ()

    def ending(self, until: datetime) -> Rule:
        """The same rule with its end in another wall time."""
        return replace(self, until=until, until_utc=False)

    def ends_by(self, wall: datetime) -> bool:
        """Whether it surely has an end that can be looked for: a COUNT, or an UNTIL not after ``wall``."""
        return self.count is not None or (self.until is not None and self.until <= wall)


def read_rule(text: str) -> Rule:
    """Read an RRULE value. Raises :class:`RuleError` for what we do not know or will not follow."""
    if len(text) > LONGEST:
        raise RuleError(f"its rule is longer than {LONGEST} letters")
    parts: dict[str, str] = {}
    for part in text.upper().rstrip(";").split(";"):
        name, equals, value = part.strip().partition("=")
        if not equals or name in parts:
            raise RuleError(f"its rule has a part {part[:20]!r} that means nothing")
        parts[name] = value
    try:
        return _rule(parts)
    except RuleError:
        raise
    except ValueError as error:
        raise RuleError(f"its rule {text[:60]!r} cannot be read") from error


def _rule(parts: dict[str, str]) -> Rule:
    freq = _FREQ.get(parts.pop("FREQ", ""))
    if freq is None:
        raise RuleError("its rule has no known frequency")
    interval = int(parts.pop("INTERVAL", "1"))
    if interval < 1:
        raise RuleError("its rule repeats every 0 units of time, which is never or always")
    count = int(parts.pop("COUNT")) if "COUNT" in parts else None
    until_text = parts.pop("UNTIL", "")
    until = read_wall(until_text) if until_text else None
    if until is not None and len(until_text) == 8:
        until = datetime.combine(until, time.max)
    wkst = _WEEKDAY[parts.pop("WKST", "MO")] if parts.get("WKST", "MO") in _WEEKDAY else 0
    by_day = (
        tuple(sorted({_weekday(item) for item in parts.pop("BYDAY").split(",")})) if "BYDAY" in parts else ()
    )
    by = {}
    for name, value in parts.items():
        if name in _RANGE:
            by[name] = _numbers(name, value)
        elif not (name.startswith("X-") or (name, value) in {("RSCALE", "GREGORIAN"), ("SKIP", "OMIT")}):
            raise RuleError(f"its rule has a part {name[:20]!r} we cannot follow")
    _refuse_nonsense(freq, by)
    if math.prod(len(by.get(name, (0,))) for name in ("BYHOUR", "BYMINUTE", "BYSECOND")) > MAX_TIMES_A_DAY:
        raise RuleError("its rule names too many times of day")
    return Rule(
        freq=freq,
        interval=min(interval, _FOR_EVER),
        count=count,
        until=until,
        until_utc=until_text.endswith("Z"),
        wkst=wkst,
        by=by,
        by_day=by_day,
    )


def _weekday(item: str) -> tuple[int, int]:
    item = item.strip()
    number = int(item[:-2]) if item[:-2] else 0
    if item[-2:] not in _WEEKDAY or abs(number) > 53:
        raise RuleError(f"its rule names no weekday with {item[:10]!r}")
    return _WEEKDAY[item[-2:]], number


def _numbers(name: str, value: str) -> tuple[int, ...]:
    low, high = _RANGE[name]
    numbers = tuple(sorted({int(item) for item in value.split(",")}))
    if not all(low <= number <= high and (number or low >= 0) for number in numbers):
        raise RuleError(f"its rule has a {name} out of range")
    return numbers


def _refuse_nonsense(freq: int, by: dict[str, tuple[int, ...]]) -> None:
    """The combinations RFC 5545 section 3.3.10 forbids, which libraries read in different ways."""
    if (
        ("BYWEEKNO" in by and freq != rrule.YEARLY)
        or ("BYYEARDAY" in by and freq in {rrule.MONTHLY, rrule.WEEKLY, rrule.DAILY})
        or ("BYMONTHDAY" in by and freq == rrule.WEEKLY)
    ):
        raise RuleError("its rule combines parts that do not go together")


def walls(
    rule: Rule, start: datetime, low: datetime, high: datetime, *, onward: bool = False
) -> Iterator[datetime]:
    """The rule's wall times in ``[low, high]`` for a DTSTART of ``start``, in order.

    With ``onward`` those after ``high`` follow, to the end of a rule that has one. DTSTART itself counts
    as the first instance even where the rule does not match it (RFC 5545 section 3.8.5.3) and is given by
    the caller, not here. Raises :class:`RuleError` past the caps.
    """
    if rule.freq in {rrule.MINUTELY, rrule.SECONDLY}:
        _refuse_long(rule, start)
    if rule.until is not None:
        high = rule.until if onward else min(high, rule.until)
    if high < low or high < start:
        return
    written_out = _written_out(rule, start)
    begin, count = _forward(written_out, start, low)
    if _is_plain(written_out, start):
        yield from (wall for wall in _evenly(written_out, begin, high) if wall >= low)
        return
    if count is not None and not _matches_start(written_out, start):
        count -= 1
    if count is None or count > 0:
        past = onward and rule.until is None
        yield from _searched(replace(written_out, count=count), begin, low, high, past=past)


def _searched(
    rule: Rule, begin: datetime, low: datetime, high: datetime, *, past: bool
) -> Iterator[datetime]:
    """The walls of any rule from ``begin`` on, by dateutil; also those past ``high`` where asked for."""
    shift = (MAXYEAR - max(begin.year, high.year)) // 400 * 400
    upper = high.replace(year=high.year + shift)
    lower = low.replace(year=low.year + shift)
    found = _dateutil(rule, begin.replace(year=begin.year + shift), rule.count, upper)
    for steps, wall in enumerate(found):
        if wall > upper and not past:
            return
        if steps >= MAX_STEPS and wall <= upper:
            raise RuleError("its rule repeats too often to follow")
        if wall >= lower:
            yield wall.replace(year=wall.year - shift)


def _is_plain(rule: Rule, start: datetime) -> bool:
    """Whether the rule only counts days, or weeks and their weekdays, at DTSTART's own time of day."""
    own_time = {"BYHOUR": (start.hour,), "BYMINUTE": (start.minute,), "BYSECOND": (start.second,)}
    if rule.count is not None or rule.by != own_time:
        return False
    if rule.freq == rrule.DAILY:
        return not rule.by_day
    return rule.freq == rrule.WEEKLY and not any(number for _, number in rule.by_day)


def _evenly(rule: Rule, begin: datetime, high: datetime) -> Iterator[datetime]:
    """The walls of a plain rule: most meetings there are, and too simple to trouble dateutil."""
    offsets, first = [timedelta(0)], begin
    if rule.freq == rrule.WEEKLY:
        first = begin - timedelta(days=(begin.weekday() - rule.wkst) % 7)
        offsets = [timedelta(days=days) for days in sorted((day - rule.wkst) % 7 for day, _ in rule.by_day)]
    step = _STEP[rule.freq] * rule.interval
    # Counted rather than added up, so that the last step cannot leave the calendar.
    for number in range((high - first) // step + 1):
        base = first + number * step
        for offset in offsets:
            if begin - base <= offset <= high - base:
                yield base + offset


def _refuse_long(rule: Rule, start: datetime) -> None:
    unit = _STEP[rule.freq] * rule.interval
    few = (rule.count is not None and rule.count <= TINY) or (
        rule.until is not None and (rule.until - start) <= unit * TINY
    )
    if not few or rule.by or rule.by_day:
        raise RuleError("its rule repeats by the minute or second, too often to follow")


def _written_out(rule: Rule, start: datetime) -> Rule:
    """The same rule with everything it takes from DTSTART made explicit (RFC 5545 section 3.3.10)."""
    by = dict(rule.by)
    by_day = rule.by_day
    given = any(name in by for name in _DAY_PARTS) or bool(by_day)
    if rule.freq == rrule.YEARLY and not given:
        by.setdefault("BYMONTH", (start.month,))
        by["BYMONTHDAY"] = (start.day,)
    elif rule.freq == rrule.MONTHLY and not given:
        by["BYMONTHDAY"] = (start.day,)
    elif (rule.freq == rrule.WEEKLY and not given) or ("BYWEEKNO" in by and not by_day):
        by_day = ((start.weekday(), 0),)
    if rule.freq <= rrule.DAILY:
        by.setdefault("BYHOUR", (start.hour,))
    if rule.freq <= rrule.HOURLY:
        by.setdefault("BYMINUTE", (start.minute,))
    if rule.freq <= rrule.MINUTELY:
        by.setdefault("BYSECOND", (start.second,))
    return replace(rule, by=by, by_day=by_day)


def _forward(rule: Rule, start: datetime, low: datetime) -> tuple[datetime, int | None]:
    """A later start on the same rhythm, not past the span's first instance, and the count left from there."""
    if low <= start:
        return start, rule.count
    if rule.count is not None:
        return _forward_counted(rule, start, low)
    if rule.freq == rrule.YEARLY:
        years = (low.year - start.year) // rule.interval * rule.interval
        return (_at(start, start.year + years, 1, 1) if years else start), None
    if rule.freq == rrule.MONTHLY:
        months = (low.year - start.year) * 12 + low.month - start.month
        months = months // rule.interval * rule.interval
        year, month = divmod(start.year * 12 + start.month - 1 + months, 12)
        return (_at(start, year, month + 1, 1) if months else start), None
    first = start
    if rule.freq == rrule.WEEKLY:
        first = start - timedelta(days=(start.weekday() - rule.wkst) % 7)
    step = _STEP[rule.freq] * rule.interval
    intervals = (low - first) // step
    return (first + intervals * step if intervals else start), None


def _forward_counted(rule: Rule, start: datetime, low: datetime) -> tuple[datetime, int | None]:
    """With a COUNT only where each interval certainly holds exactly one instance."""
    count = rule.count or 0
    day_given = any(name in rule.by for name in ("BYMONTH", "BYMONTHDAY", "BYYEARDAY", "BYSETPOS"))
    once = all(len(rule.by.get(name, ())) <= 1 for name in ("BYHOUR", "BYMINUTE", "BYSECOND"))
    weekday = ((start.weekday(), 0),)
    one_each = (
        once
        and not day_given
        and (
            (rule.freq == rrule.DAILY and not rule.by_day)
            or (rule.freq == rrule.WEEKLY and rule.by_day == weekday)
        )
    )
    if not one_each or not _matches_start(rule, start):
        return start, count
    step = _STEP[rule.freq] * rule.interval
    intervals = min((low - start) // step, count)
    return start + intervals * step, count - intervals


def _at(start: datetime, year: int, month: int, day: int) -> datetime:
    return datetime.combine(date(year, month, day), start.time())


def _matches_start(rule: Rule, start: datetime) -> bool:
    """Whether the rule itself gives DTSTART, so that a COUNT already counts it."""
    shift = (MAXYEAR - start.year) // 400 * 400
    begin = start.replace(year=start.year + shift)
    return next(iter(_dateutil(rule, begin, None, begin)), None) == begin


def _dateutil(rule: Rule, begin: datetime, count: int | None, until: datetime) -> rrule.rrule:
    by: dict[str, Any] = {name.lower(): list(values) for name, values in rule.by.items()}
    if "bysecond" in by:
        by["bysecond"] = sorted({min(second, 59) for second in by["bysecond"]})
    days = [rrule.weekday(day, number) if number else rrule.weekday(day) for day, number in rule.by_day]
    try:
        return rrule.rrule(
            rule.freq,
            dtstart=begin,
            interval=rule.interval,
            wkst=rule.wkst,
            # dateutil warns about both together and needs neither: the caller stops at the end.
            count=count,
            until=None if count is not None else until,
            byweekday=days or None,
            **{key: value for key, value in by.items() if value},
        )
    except ValueError as error:
        raise RuleError("its rule never gives a date") from error
