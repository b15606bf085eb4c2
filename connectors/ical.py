"""RFC 5545 text → events as written: the nouns' fields plus the times and rules to expand them from.

:func:`parse` never raises: what cannot be read is told in ``broken``, and its neighbours live. The
other direction, nouns → text, is :mod:`connectors.ical_write`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple, NotRequired, TypedDict
from urllib.parse import unquote
from zoneinfo import ZoneInfo

from connectors.bounds import MOST_PEOPLE
from connectors.ical_lines import Calendar, Component, Line, Params, scan, split_list, unescape
from connectors.ical_times import Moment, duration, read_moment, read_wall
from connectors.ical_zones import Zone, known_zone, own_zone
from rules.model import Address, Attendee, CuType, Interval, PartStat, Role, Status, Timing

_ONE = frozenset(
    {
        "UID",
        "RECURRENCE-ID",
        "DTSTART",
        "DTEND",
        "DURATION",
        "SUMMARY",
        "STATUS",
        "TRANSP",
        "CLASS",
        "ORGANIZER",
        "SEQUENCE",
        "CREATED",
        "LAST-MODIFIED",
        "DTSTAMP",
        "LOCATION",
    }
)
_MANY = frozenset({"ATTENDEE", "CATEGORIES", "RRULE", "RDATE", "EXDATE", "EXRULE"})
WANTED = _ONE | _MANY
_PLACING = frozenset({"UID", "DTSTART", "DTEND"})
_FAR_REACHING = frozenset({"RECURRENCE-ID", "DURATION", "RRULE", "RDATE", "EXRULE"})
_ANY_ZONE = timedelta(days=2)
_MAX_ZONES = 10
"""Zones of its own one resource may bring; interpreting one is slow."""

_MAX_NAMES = 500
"""Zones one resource may name."""


class DateList(NamedTuple):
    """An EXDATE or RDATE line, unread: there may be 100,000 items of which three matter."""

    text: str
    zone: Zone


class Details(TypedDict):
    """The fields an occurrence takes from its event as they stand."""

    title: str
    status: Status
    transparent: bool
    private: bool
    organizer: Address | None
    organizer_name: str
    attendees: tuple[Attendee, ...]
    sequence: int
    created: datetime | None
    modified: datetime | None
    location: str
    categories: tuple[str, ...]
    away: NotRequired[bool]
    guests_hidden: NotRequired[bool]
    rsvp: NotRequired[bool]
    conference: NotRequired[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One VEVENT. ``days`` is the nominal and ``exact`` the exact part of its length (RFC 5545 3.8.5.3)."""

    uid: str
    start: Moment
    end: Moment | None
    days: timedelta
    exact: timedelta
    recurrence_id: Moment | None
    this_and_future: bool
    rrules: tuple[str, ...]
    exrules: tuple[str, ...]
    rdates: tuple[DateList, ...]
    exdates: tuple[DateList, ...]
    details: Details

    @property
    def repeats(self) -> bool:
        """Whether it has a rule or more dates than its own."""
        return bool(self.rrules or self.rdates)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parsed:
    """A resource's events; ``uid`` is the first component's, whatever its kind."""

    uid: str
    events: tuple[Event, ...]
    broken: str = ""


def parse(text: str, home_zone: str, window: Interval | None = None) -> Parsed:
    """Read a resource. ``home_zone`` (IANA) is what all-day, floating and unknown-zone times are read in.

    With a ``window``, a plain single event that surely lies outside gives no event: most of a calendar
    is history.
    """
    calendar = scan(text, WANTED)
    if window is not None and _lies_outside(calendar, window):
        return Parsed(uid=_first_uid(calendar), events=())
    broken = list(calendar.broken)
    reader = _Reader(calendar, ZoneInfo(home_zone), home_zone)
    events: list[Event] = []
    for component in calendar.events:
        event = reader.event(component)
        if event is not None:
            events.append(event)
        broken += component.broken
    uid = events[0].uid if events else _first_uid(calendar)
    if not uid:
        broken.append("it has no UID")
    return Parsed(uid=uid, events=tuple(events), broken=_sentence(broken))


def _lies_outside(calendar: Calendar, window: Interval) -> bool:
    """Whether there is but one event, whole and with a UID, and far enough outside in any zone."""
    if len(calendar.events) != 1 or calendar.broken or calendar.events[0].broken:
        return False
    found: dict[str, str] = {}
    for name, _, value in calendar.events[0].lines:
        if name in _FAR_REACHING or (name in _PLACING and found.setdefault(name, value) is not value):
            return False
    try:
        start, end = read_wall(found["DTSTART"].strip()), read_wall(found["DTEND"].strip())
    except (KeyError, ValueError):
        return False
    opens, closes = window.start.replace(tzinfo=None), window.end.replace(tzinfo=None)
    return bool(found.get("UID")) and (start <= end < opens - _ANY_ZONE or closes + _ANY_ZONE < start <= end)


def _first_uid(calendar: Calendar) -> str:
    for component in calendar.events:
        for line in component.lines:
            if line.name == "UID":
                return unescape(line.value).strip()
    return calendar.other_uids[0].strip() if calendar.other_uids else ""


def _sentence(broken: list[str]) -> str:
    if not broken:
        return ""
    few = list(dict.fromkeys(broken))[:3]
    return f"This event is not wholly readable: {'; '.join(few)}."


class _Reader:
    """Turns the lines of one calendar's events into values; knows its zones."""

    def __init__(self, calendar: Calendar, home: ZoneInfo, home_zone: str) -> None:
        self._own = calendar.zones
        self._zones: dict[str, Zone] = {}
        self._home = home
        self._all_day = Zone(home_zone, Timing.ALL_DAY, home)
        self._floating = Zone(home_zone, Timing.FLOATING, home)

    def event(self, component: Component) -> Event | None:
        """The event; None, with a note in ``component.broken``, where it has no readable start or a crowd."""
        single, many = _sort(component)
        note = component.broken.append
        if len(many.get("ATTENDEE", ())) > MOST_PEOPLE:
            note(f"it has more than {MOST_PEOPLE} attendees, so that part of it was left out")
            return None
        start = self._read(single.get("DTSTART"), note)
        if start is None:
            note("it has no readable start, so that part of it was left out")
            return None
        recurrence_line = single.get("RECURRENCE-ID")
        recurrence_id = self._read(recurrence_line, note)
        if recurrence_line is not None and recurrence_id is None:
            note("a changed instance does not say which one it changes, so it was left out")
            return None
        end, days, exact = self._length(start, single, note)
        text = _text_of(single)
        return Event(
            uid=text("UID").strip(),
            start=start,
            end=end,
            days=days,
            exact=exact,
            recurrence_id=recurrence_id,
            this_and_future=recurrence_line is not None
            and recurrence_line.params.get("RANGE", "").upper() == "THISANDFUTURE",
            rrules=tuple(line.value.strip() for line in many.get("RRULE", ())),
            exrules=tuple(line.value.strip() for line in many.get("EXRULE", ())),
            rdates=tuple(DateList(line.value, self._zone(line.params)) for line in many.get("RDATE", ())),
            exdates=tuple(DateList(line.value, self._zone(line.params)) for line in many.get("EXDATE", ())),
            details=_details(single, many, note),
        )

    def _length(
        self, start: Moment, single: dict[str, Line], note: Callable[[str], None]
    ) -> tuple[Moment | None, timedelta, timedelta]:
        """The end where it is given, and the length: whole days (nominal) and the rest (exact)."""
        day = timedelta(days=1) if start.zone.timing is Timing.ALL_DAY else timedelta(0)
        end = self._read(single.get("DTEND"), note)
        if end is not None and (end.zone.timing is Timing.ALL_DAY) != (start.zone.timing is Timing.ALL_DAY):
            note("its start and end are not of one kind")
            end = None
        if end is not None:
            if start.zone.timing is Timing.ALL_DAY:
                length = end.wall - start.wall
            else:
                length = end.aware.astimezone(UTC) - start.aware.astimezone(UTC)
            if length < timedelta(0):
                note("it ends before it starts; its end is taken to be its start")
                return None, timedelta(0), timedelta(0)
            if start.zone.timing is Timing.ALL_DAY:
                return None, max(length, day), timedelta(0)
            return end, timedelta(0), length
        line = single.get("DURATION")
        if line is None:
            return None, day, timedelta(0)
        try:
            days, exact = duration(line.value)
        except ValueError as error:
            note(str(error))
            return None, day, timedelta(0)
        if days + exact < timedelta(0):
            note("it ends before it starts; its end is taken to be its start")
            return None, timedelta(0), timedelta(0)
        return None, days, exact

    def _zone(self, params: Params) -> Zone:
        """The zone of a local time: that of its TZID, or floating."""
        tzid = params.get("TZID", "")
        if not tzid:
            return self._floating
        zone = self._zones.get(tzid)
        if zone is None:
            zone = self._zones[tzid] = self._find(tzid)
        return zone

    def _find(self, tzid: str) -> Zone:
        known = known_zone(tzid) if len(self._zones) < _MAX_NAMES else None
        if known is not None:
            return Zone(known.key, Timing.TIMED, known)
        text = self._own.get(tzid.strip().strip('"'))
        own = own_zone(text) if text and len(self._zones) < _MAX_ZONES else None
        if own is not None:
            return Zone(own.key if isinstance(own, ZoneInfo) else tzid, Timing.TIMED, own)
        return Zone(tzid, Timing.UNKNOWN_ZONE, self._home)

    def _read(self, line: Line | None, note: Callable[[str], None]) -> Moment | None:
        if line is None:
            return None
        try:
            return self.moment(line.value, self._zone(line.params))
        except (ValueError, OverflowError):
            note(f"its {line.name} {line.value[:30]!r} is not a date")
            return None

    def moment(self, value: str, zone: Zone) -> Moment:
        """Read a DATE or DATE-TIME. Raises ValueError."""
        return read_moment(value, zone, self._all_day)


def _sort(component: Component) -> tuple[dict[str, Line], dict[str, list[Line]]]:
    single: dict[str, Line] = {}
    many: dict[str, list[Line]] = {}
    for line in component.lines:
        name = line.name
        if name in _MANY:
            many.setdefault(name, []).append(line)
        elif single.setdefault(name, line) is not line:
            component.broken.append(f"it has several {name} lines, of which the first counts")
    return single, many


def _text_of(single: dict[str, Line]) -> Callable[[str], str]:
    def text(name: str) -> str:
        line = single.get(name)
        return "" if line is None else unescape(line.value)

    return text


_PARTSTAT = {each.value: each for each in PartStat}
_ROLE = {each.value: each for each in Role}
_CUTYPE = {each.value: each for each in CuType}
_STATUS = {each.value: each for each in Status}


def _details(single: dict[str, Line], many: dict[str, list[Line]], note: Callable[[str], None]) -> Details:
    text = _text_of(single)
    organizer = single.get("ORGANIZER")
    visibility = text("CLASS").strip().upper()
    return Details(
        title=text("SUMMARY"),
        status=_STATUS.get(text("STATUS").strip().upper(), Status.CONFIRMED),
        transparent=text("TRANSP").strip().upper() == "TRANSPARENT",
        # An unknown class is to be treated as private (RFC 5545 section 3.8.1.3).
        private=visibility not in {"", "PUBLIC"},
        organizer=(address(organizer) or None) if organizer else None,
        organizer_name=organizer.params.get("CN", "") if organizer else "",
        attendees=tuple([_attendee(line, note) for line in many.get("ATTENDEE", ())]),
        sequence=_sequence(text("SEQUENCE"), note),
        created=_stamp(single.get("CREATED"), note),
        modified=_stamp(single.get("LAST-MODIFIED") or single.get("DTSTAMP"), note),
        location=text("LOCATION"),
        categories=tuple(
            [item.strip() for line in many.get("CATEGORIES", ()) for item in split_list(line.value)]
        ),
    )


def _attendee(line: Line, note: Callable[[str], None]) -> Attendee:
    get = line.params.get
    who = address(line)
    if not who:
        note("an attendee has no address")
    delegate = get("DELEGATED-TO")
    return Attendee(
        address=who,
        name=get("CN", ""),
        partstat=_PARTSTAT.get(get("PARTSTAT", "").upper(), PartStat.NEEDS_ACTION),
        role=_ROLE.get(get("ROLE", "").upper(), Role.REQUIRED),
        # A missing type is INDIVIDUAL, an unrecognised one UNKNOWN (RFC 5545 section 3.2.3).
        cutype=_CUTYPE.get((get("CUTYPE") or "INDIVIDUAL").upper(), CuType.UNKNOWN),
        delegated_to=_bare(delegate) if delegate else None,
    )


def address(line: Line) -> Address:
    """The mail address of an ORGANIZER or ATTENDEE: its mailto, else EMAIL (RFC 7986), else its URI."""
    value = line.value.strip()
    if value[:7].lower() != "mailto:" or len(value) == 7:
        value = line.params.get("EMAIL") or value
    return _bare(value)


def _bare(value: str) -> Address:
    value = value.strip()
    if value[:7].lower() == "mailto:":
        value = value[7:]
        if "%" in value and "@" not in value:
            value = unquote(value)
    return Address(value.strip().strip("<>").lower())


def _sequence(value: str, note: Callable[[str], None]) -> int:
    value = value.strip()
    if not value:
        return 0
    if not (value.isascii() and value.isdigit() and len(value) < 10):
        note(f"its SEQUENCE {value[:20]!r} is not a number")
        return 0
    return int(value)


def _stamp(line: Line | None, note: Callable[[str], None]) -> datetime | None:
    """A time of observation, in UTC whether it says so or not. Google writes the year 0 for "unknown"."""
    if line is None or line.value.startswith("0000"):
        return None
    try:
        return read_wall(line.value.strip()).replace(tzinfo=UTC)
    except ValueError:
        note(f"its {line.name} {line.value[:30]!r} is not a time")
        return None


def original_of(recurrence_id: Moment, master: Event | None) -> Moment:
    """A RECURRENCE-ID in its master's own kind of time: some programs write only the date of it."""
    if master is None or recurrence_id.zone.timing is not Timing.ALL_DAY:
        return recurrence_id
    if master.start.zone.timing is Timing.ALL_DAY:
        return recurrence_id
    return Moment(datetime.combine(recurrence_id.wall, master.start.wall.time()), master.start.zone)


__all__ = ["DateList", "Details", "Event", "Parsed", "address", "original_of", "parse"]
