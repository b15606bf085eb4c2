"""Masters and overrides → occurrences in a window, at a bounded cost.

Rules are followed on wall time and the zone is applied last, so a weekly 09:00 stays 09:00 across a
change of clocks. An occurrence is in the half-open window when it overlaps it.
"""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

from connectors.base import Resource
from connectors.bounds import bounded, unfollowed
from connectors.ical import DateList, Event, Parsed, original_of, parse
from connectors.ical_times import Moment, duration, instance_key, key_of, read_moment
from connectors.ical_zones import Zone
from connectors.recurrence_rule import Rule, RuleError, read_rule, walls
from rules.model import CalendarRef, Interval, Occurrence, OccurrenceKey, Status, Timing

MAX_OCCURRENCES = 1000
"""Occurrences one resource may have in a window."""

MAX_RULES = 4
"""Rules one resource may have."""

MAX_DATES = 50_000
"""Dates near the window that one resource may list as EXDATE, and as RDATE."""

_DAY = timedelta(days=1)
_DAWN = datetime.fromisoformat("0001-01-01")
_DUSK = datetime.fromisoformat("9999-12-31")
_FORESIGHT = timedelta(days=50 * 365)
"""How far beyond the window the end of a rule may lie to be looked for."""

_MAX_PASSED = 500
"""Excluded or cancelled instances beyond the window passed over in search of one that is left."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """Where a resource lies: its calendar, its href and etag there, and the zone of its account."""

    calendar: CalendarRef
    href: str
    etag: str
    home_zone: str


def read_resource(raw: str, copy: Copy, window: Interval) -> Resource:
    """A stored object as the daemon knows it: parsed, expanded, its troubles told. Never raises."""
    parsed = parse(raw, copy.home_zone, window)
    occurrences, trouble = expand(parsed, copy, window)
    return bounded(
        Resource(
            href=copy.href,
            etag=copy.etag,
            uid=parsed.uid,
            raw=raw,
            recurring=any(event.repeats or event.recurrence_id is not None for event in parsed.events),
            occurrences=occurrences,
            broken=" ".join(part for part in (parsed.broken, trouble) if part),
        )
    )


def expand(parsed: Parsed, copy: Copy, window: Interval) -> tuple[tuple[Occurrence, ...], str]:
    """All occurrences that overlap the window, by start, and what could not be expanded, if anything."""
    by_uid: dict[str, list[Event]] = {}
    for event in parsed.events:
        by_uid.setdefault(event.uid, []).append(event)
    found: list[Occurrence] = []
    broken: list[str] = []
    rules = sum(len(event.rrules) + len(event.exrules) for event in parsed.events)
    if rules > MAX_RULES:
        return (), f"This event has {rules} rules, more than we follow."
    for events in by_uid.values():
        found += _occurrences(_Series(events, copy, window, broken), MAX_OCCURRENCES - len(found), broken)
    if len(found) > 1:
        found.sort(key=lambda occurrence: (occurrence.start_utc, occurrence.key.recurrence_id or ""))
    trouble = (
        f"This event could not be wholly expanded: {'; '.join(dict.fromkeys(broken))}." if broken else ""
    )
    return tuple(found), trouble


def _occurrences(series: _Series, most: int, broken: list[str]) -> list[Occurrence]:
    """Those of one series, its last one marked; no more than ``most``."""
    found: list[Occurrence] = []
    for occurrence in series.occurrences():
        if occurrence is None:
            continue
        if len(found) >= most:
            broken.append(f"only its first {MAX_OCCURRENCES} occurrences were read")
            return [unfollowed(one) for one in found]
        found.append(occurrence)
    if not series.is_followed:
        return [unfollowed(one) for one in found]
    last = series.last()
    if last:
        found = [replace(one, final=True) if one.key.recurrence_id == last else one for one in found]
    return found


class _Series:
    """All events of one UID; ``is_followed`` once they were asked for without trouble."""

    def __init__(self, events: list[Event], copy: Copy, window: Interval, broken: list[str]) -> None:
        self._copy = copy
        self._window = window
        self._opens = window.start.astimezone(UTC).replace(tzinfo=None)
        self._closes = window.end.astimezone(UTC).replace(tzinfo=None)
        self._broken = broken
        masters = [event for event in events if event.recurrence_id is None]
        if len(masters) > 1:
            broken.append("it is there twice under one UID; the latest counts")
        self._master = max(masters, key=_recency) if masters else None
        overrides: dict[str, Event] = {}
        for event in events:
            if event.recurrence_id is not None:
                key = key_of(original_of(event.recurrence_id, self._master))
                rival = overrides.get(key)
                overrides[key] = event if rival is None else max(rival, event, key=_recency)
        self._overrides = overrides
        self._future = sorted(key for key, event in overrides.items() if event.this_and_future)
        self._recurring = bool(overrides) or (self._master is not None and self._master.repeats)
        self._latest = _DAWN
        self._latest_key: str | None = None
        self._ends = False
        self.is_followed = True
        self._coming: list[Iterator[datetime]] = []

    def occurrences(self) -> Iterator[Occurrence | None]:
        """Its occurrences; None for each that lies outside the window after all."""
        if self._master is not None:
            try:
                yield from self._from_master(self._master)
            except RuleError as error:
                self._broken.append(str(error))
                self.is_followed = False
            except (OverflowError, ValueError):
                self._broken.append("its times lie outside the calendar")
        for key, event in self._overrides.items():
            try:
                yield self._shown(event, event.start, key, end=event.end)
            except (OverflowError, ValueError):
                self._broken.append("a changed instance lies outside the calendar")

    def last(self) -> str | None:
        """The name of its last instance that is not cancelled, once all its occurrences were asked for.

        None where the series has no end, where its end cannot be known, or where it lies well beyond
        the window.
        """
        try:
            return self._latest_key if self._ends and not self._goes_on() else None
        except (RuleError, OverflowError, ValueError):
            return None

    def _goes_on(self) -> bool:
        """Whether an instance is left after those near the window."""
        master = self._master
        if master is None:
            return False
        zone = master.start.zone
        _, high = self._span(zone)
        dates = (wall for wall, _ in self._extra(master, zone, high, _DUSK) if wall > high)
        excluded: set[datetime] | None = None
        for passed, wall in enumerate(itertools.chain(dates, *self._coming)):
            if excluded is None:
                excluded = self._excluded(master, zone, high, _DUSK)
            if passed >= _MAX_PASSED or (wall not in excluded and self._stands(master, wall)):
                return True
        return False

    def _stands(self, master: Event, wall: datetime) -> bool:
        """Whether the master or a THISANDFUTURE change speaks for that instance, and does not cancel it."""
        original = Moment(wall, master.start.zone)
        key = key_of(original)
        if key in self._overrides:
            return False
        event, _ = self._as_changed_for_future(master, original, key)
        return event.details["status"] is not Status.CANCELLED

    def _from_master(self, master: Event) -> Iterator[Occurrence | None]:
        if not self._recurring:
            yield self._shown(master, master.start, None, end=master.end)
            return
        zone = master.start.zone
        overrides = self._overrides
        for wall, length in self._starts(master):
            original = Moment(wall, zone)
            begins = _instant(original)
            key = instance_key(wall if zone.timing is Timing.ALL_DAY else begins[1], zone)
            if key in overrides:
                continue
            if self._future:
                event, start = self._as_changed_for_future(master, original, key)
                yield self._shown(event, start, key, length=length)
            else:
                yield self._shown(master, original, key, length=length, instant=begins)

    def _as_changed_for_future(self, master: Event, original: Moment, key: str) -> tuple[Event, Moment]:
        """The event that speaks for an instance: the last THISANDFUTURE change before it, else the master."""
        at = bisect.bisect_right(self._future, key)
        event = self._overrides[self._future[at - 1]] if at else master
        if event.recurrence_id is None:
            return master, original
        # Shift by wall time, so that "an hour later from now on" survives a change of clocks.
        zone = event.start.zone
        was = _wall_in(original_of(event.recurrence_id, self._master), zone)
        return event, Moment(_wall_in(original, zone) + (event.start.wall - was), zone)

    def _starts(self, master: Event) -> Iterator[tuple[datetime, tuple[timedelta, timedelta] | None]]:
        """Original wall times near the window, each once; RDATE periods with their own length."""
        zone = master.start.zone
        low, high = self._span(zone)
        excluded = self._excluded(master, zone, low, high)
        seen: set[datetime] = set(excluded)
        for wall, length in self._extra(master, zone, low, high):
            if wall not in seen:
                seen.add(wall)
                yield wall, length
        if master.start.wall not in seen:
            seen.add(master.start.wall)
            yield master.start.wall, None
        alone = len(master.rrules) == 1
        rules = [self._rule(text, master.start) for text in master.rrules]
        far = _saturated(self._window.end, _FORESIGHT, zone)
        ends = master.repeats and not master.exrules and all(rule.ends_by(far) for rule in rules)
        for rule in rules:
            coming = walls(rule, master.start.wall, low, high, onward=ends)
            for wall in coming:
                if wall > high:
                    self._coming.append(itertools.chain((wall,), coming))
                    break
                if wall not in seen:
                    if not alone:
                        seen.add(wall)
                    yield wall, None
        self._ends = ends

    def _span(self, zone: Zone) -> tuple[datetime, datetime]:
        """Wall times between which an original start can lie whose occurrence overlaps the window."""
        changes = [self._overrides[key] for key in self._future]
        events = [event for event in (self._master, *changes) if event]
        longest = max((event.days + event.exact for event in events), default=timedelta(0))
        moved = max(
            (
                abs(event.start.aware - event.recurrence_id.aware)
                for event in changes
                if event.recurrence_id is not None
            ),
            default=timedelta(0),
        )
        low = _saturated(self._window.start, -(longest + moved + 2 * _DAY), zone)
        return low, _saturated(self._window.end, moved + 2 * _DAY, zone)

    def _rule(self, text: str, start: Moment) -> Rule:
        rule = read_rule(text)
        if rule.until is not None and rule.until_utc and start.zone.timing is not Timing.ALL_DAY:
            until = rule.until.replace(tzinfo=UTC).astimezone(start.zone.tz).replace(tzinfo=None)
            rule = rule.ending(until)
        return rule

    def _excluded(self, master: Event, zone: Zone, low: datetime, high: datetime) -> set[datetime]:
        excluded: set[datetime] = set()
        for moment in self._near(master.exdates, low, high):
            if moment.zone.timing is Timing.ALL_DAY and zone.timing is not Timing.ALL_DAY:
                # A bare date excludes that day's instance, as calendar programs mean it.
                excluded.add(datetime.combine(moment.wall, master.start.wall.time()))
            else:
                excluded.add(_wall_in(moment, zone))
        for text in master.exrules:
            excluded.update(walls(self._rule(text, master.start), master.start.wall, low, high))
        return excluded

    def _near(self, lists: Sequence[DateList], low: datetime, high: datetime) -> Iterator[Moment]:
        """The dates of EXDATE lines near the span. Text sorts as time does, so the rest is never read."""
        all_day = _all_day(self._copy.home_zone)
        for text, zone in self._items_near(lists, low, high):
            try:
                yield read_moment(text, zone, all_day)
            except ValueError:
                self._broken.append(f"its EXDATE {text[:30]!r} is not a date")

    def _items_near(
        self, lists: Sequence[DateList], low: datetime, high: datetime
    ) -> Iterator[tuple[str, Zone]]:
        """The items of lists whose date is near the span, and any that begin with no date; with their zones.

        Periods that end before it are among them: one may begin long before the span it reaches into.
        """
        first = (low - 2 * _DAY if low.year > 1 else low).strftime("%Y%m%d").zfill(8)
        last = (high + 2 * _DAY if high.year < 9999 else high).strftime("%Y%m%d").zfill(8)
        near = 0
        for text, zone in dict.fromkeys(lists):
            since = "" if "/" in text else first
            for item in dict.fromkeys(text.split(",")):
                bare = item.strip()
                if since <= bare[:8] <= last or not bare[:8].isdigit():
                    near += 1
                    if near > MAX_DATES:
                        raise RuleError("it lists more dates than we follow")
                    yield bare, zone

    def _extra(
        self, master: Event, zone: Zone, low: datetime, high: datetime
    ) -> Iterator[tuple[datetime, tuple[timedelta, timedelta] | None]]:
        for item, listed in self._items_near(master.rdates, low, high):
            start_text, slash, end_text = item.partition("/")
            try:
                moment = read_moment(start_text, listed, _all_day(self._copy.home_zone))
                length = _period(moment, end_text, listed) if slash else None
            except (ValueError, OverflowError):
                self._broken.append(f"its RDATE {item[:30]!r} is not a date")
                continue
            wall = _wall_in(moment, zone)
            reach = sum(length, timedelta(0)) if length else timedelta(0)
            if low - reach <= wall <= high:
                yield wall, length

    def _shown(
        self,
        event: Event,
        start: Moment,
        key: str | None,
        *,
        end: Moment | None = None,
        length: tuple[timedelta, timedelta] | None = None,
        instant: tuple[datetime, datetime] | None = None,
    ) -> Occurrence | None:
        """The occurrence, if it overlaps the window. A given ``end`` keeps its own zone."""
        shown_start, begins = instant or _instant(start)
        if end is not None:
            shown_end, ends = _instant(end)
        else:
            days, exact = length or (event.days, event.exact)
            if days:
                shown_end, ends = _instant(Moment(start.wall + days, start.zone))
                if exact:
                    ends += exact
                    shown_end = _shown_in(ends, start.zone)
            else:
                ends = begins + exact
                shown_end = _shown_in(ends, start.zone)
        if begins >= self._latest and event.details["status"] is not Status.CANCELLED:
            self._latest, self._latest_key = begins, key
        if (begins >= self._closes or ends <= self._opens) and not begins == ends == self._opens:
            return None
        copy = self._copy
        return Occurrence(
            key=OccurrenceKey(calendar=copy.calendar, uid=event.uid, recurrence_id=key),
            start=shown_start,
            end=shown_end,
            tzid=start.zone.tzid,
            timing=start.zone.timing,
            recurring=self._recurring,
            href=copy.href,
            etag=copy.etag,
            **event.details,
        )


def _recency(event: Event) -> tuple[int, datetime]:
    return event.details["sequence"], event.details["modified"] or datetime.min.replace(tzinfo=UTC)


def _all_day(home_zone: str) -> Zone:
    return Zone(home_zone, Timing.ALL_DAY, ZoneInfo(home_zone))


def _wall_in(moment: Moment, zone: Zone) -> datetime:
    """The moment's wall time in another zone."""
    if moment.zone.tz is zone.tz or zone.timing is Timing.ALL_DAY or moment.zone.timing is Timing.ALL_DAY:
        return moment.wall
    return moment.aware.astimezone(zone.tz).replace(tzinfo=None)


def _instant(moment: Moment) -> tuple[datetime, datetime]:
    """The moment to show, and as naive UTC, which is cheap to compare. A skipped wall time is put right."""
    wall, zone = moment
    aware = wall.replace(tzinfo=zone.tz)
    offset = aware.utcoffset() or timedelta(0)
    at = wall - offset
    if zone.tz is UTC or (isinstance(zone.tz, ZoneInfo) and aware.replace(fold=1).utcoffset() == offset):
        return aware, at
    return _shown_in(at, zone), at


def _shown_in(at: datetime, zone: Zone) -> datetime:
    """Naive UTC in the event's zone; one a calendar brought along becomes its offset at that time."""
    local = at.replace(tzinfo=UTC).astimezone(zone.tz)
    if isinstance(zone.tz, ZoneInfo) or zone.tz is UTC:
        return local
    return local.replace(tzinfo=timezone(local.utcoffset() or timedelta(0)))


def _saturated(at: datetime, by: timedelta, zone: Zone) -> datetime:
    """A wall time that far away, at most at the ends of the calendar."""
    try:
        return (at + by).astimezone(zone.tz).replace(tzinfo=None)
    except OverflowError:
        return datetime.min if by < timedelta(0) else datetime.max  # noqa: DTZ901 - wall time


def _period(start: Moment, end_text: str, zone: Zone) -> tuple[timedelta, timedelta]:
    """The length of an RDATE period: nominal days and exact time. Raises ValueError."""
    if end_text.lstrip("+-").upper().startswith("P"):
        return duration(end_text)
    end = read_moment(end_text, zone, start.zone)
    return timedelta(0), max(end.aware.astimezone(UTC) - start.aware.astimezone(UTC), timedelta(0))
