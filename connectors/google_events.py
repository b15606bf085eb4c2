"""What a Google event means (Calendar v3): its JSON → the events that a series is expanded from.

Google's kinds of events that are no meetings (a birthday, a place of work, what it found in a mail) lose
their guests, so that nobody is ever asked about them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from connectors.ical import DateList, Details, Event, Parsed
from connectors.ical_times import Moment, key_of
from connectors.ical_zones import UTC_ZONE, Zone, known_zone
from connectors.recurrence import Copy
from rules.model import (
    Address,
    Attendee,
    CuType,
    Interval,
    Occurrence,
    OccurrenceKey,
    PartStat,
    Role,
    Status,
    Timing,
)

Json = dict[str, Any]

FIELDS = (
    "id,etag,status,iCalUID,summary,location,start,end,recurrence,recurringEventId,originalStartTime,"
    "organizer(email,displayName,self),creator(email,displayName),"
    "attendees(email,displayName,self,resource,optional,responseStatus),attendeesOmitted,"
    "guestsCanSeeOtherGuests,guestsCanModify,locked,eventType,transparency,visibility,sequence,created,"
    "updated,colorId,extendedProperties/private,hangoutLink,"
    "conferenceData(conferenceId,conferenceSolution/key/type)"
)
"""What is asked of each event; descriptions, which can be long, are not."""

LABELS = "rebookd.labels"
"""The private extended property that holds an event's categories, as a JSON list."""

_NO_MEETING = frozenset({"birthday", "workingLocation", "fromGmail"})
_GROUP_CALENDAR = "@group.calendar.google.com"
_ROOM = "@resource.calendar.google.com"
_PARTSTAT = {
    "needsAction": PartStat.NEEDS_ACTION,
    "accepted": PartStat.ACCEPTED,
    "declined": PartStat.DECLINED,
    "tentative": PartStat.TENTATIVE,
}
_STATUS = {"tentative": Status.TENTATIVE, "cancelled": Status.CANCELLED}
_NONE = timedelta(0)
_MEET = re.compile(r"https://meet\.google\.com/([a-z0-9-]+)", re.IGNORECASE)


def parsed(master: Json | None, changed: Iterable[Json], zone: str, home_zone: str) -> Parsed:
    """An event with its changed instances, ready to be expanded. Never raises; ``broken`` tells the trouble.

    ``zone`` is the calendar's own, for events that name none; ``home_zone`` what all-day ones are read in.
    """
    reader = _Reader(zone, home_zone)
    events: list[Event] = []
    changed = list(changed)
    uid = ""
    if master is not None:
        uid = str(master.get("iCalUID") or master.get("id") or "")
        gone = [original for one in changed if (original := reader.excluded(one))]
        event = reader.event(master, uid, excluded=gone)
        if event is not None:
            events.append(event)
    for one in changed:
        uid = uid or str(one.get("iCalUID") or one.get("id") or "")
        event = reader.instance(one, uid)
        if event is not None:
            events.append(event)
    broken = ""
    if reader.broken:
        few = list(dict.fromkeys(reader.broken))[:3]
        broken = f"This event is not wholly readable: {'; '.join(few)}."
    return Parsed(uid=uid, events=tuple(events), broken=broken)


def plain(event: Json, zone: str, copy: Copy, window: Interval) -> tuple[Occurrence, ...] | None:
    """What :func:`parsed` and the expansion make of a single event, at once, since most are.

    None for what is not plainly a single event between two instants in known zones.
    """
    try:
        start, end = datetime.fromisoformat(event["start"]["dateTime"]), event["end"]["dateTime"]
        end = datetime.fromisoformat(end)
        uid = _text(event["iCalUID"])
    except (KeyError, TypeError, ValueError):
        return None
    zones = [_zone(event[name].get("timeZone") or zone) for name in ("start", "end")]
    if start.tzinfo is None or end.tzinfo is None or end < start or not uid or None in zones:
        return None
    if (start >= window.end or end <= window.start) and not start == end == window.start:
        return ()
    first, last = (found for found in zones if found is not None)
    return (
        Occurrence(
            key=OccurrenceKey(calendar=copy.calendar, uid=str(uid)),
            start=start.astimezone(first.tz),
            end=end.astimezone(last.tz),
            tzid=first.tzid,
            href=copy.href,
            etag=copy.etag,
            **_details(event),
        ),
    )


def is_cancelled(event: Json) -> bool:
    """Whether only a tombstone is left."""
    return event.get("status") == "cancelled"


def is_mine(event: Json) -> bool:
    """Whether the calendar it lies in is its organiser's."""
    organizer = event.get("organizer")
    return isinstance(organizer, dict) and bool(organizer.get("self"))


def is_dismissed(event: Json) -> bool:
    """Whether a cancelled event was taken out of the calendar by its owner.

    Google keeps the details of an invitation that was removed by hand, and of one the organiser cancelled
    only its name.
    """
    return "start" in event and not is_mine(event)


def labels(event: Json) -> tuple[str, ...]:
    """The categories we gave it."""
    kept = ((event.get("extendedProperties") or {}).get("private") or {}).get(LABELS)
    if not kept:
        return ()
    try:
        found = json.loads(kept)
    except (ValueError, RecursionError, TypeError):
        return ()
    return tuple(one for one in found if isinstance(one, str)) if isinstance(found, list) else ()


def instance_of(event: Json, zone: str, home_zone: str) -> str:
    """The ``recurrence_id`` of a changed instance; empty when it does not say which one it is."""
    reader = _Reader(zone, home_zone)
    original = reader.moment(event.get("originalStartTime"), "original start")
    return key_of(original) if original else ""


def ends(event: Json) -> datetime | None:
    """When a single event is over (UTC); None for a series and where it does not say."""
    if event.get("recurrence"):
        return None
    moment = _Reader("UTC", "UTC").moment(event.get("end"), "end")
    return moment.aware.astimezone(UTC) if moment else None


class _Reader:
    """Reads the events of one calendar and notes what it cannot read."""

    def __init__(self, zone: str, home_zone: str) -> None:
        self.broken: list[str] = []
        self._default = _zone(zone) or UTC_ZONE
        self._all_day = _home(home_zone, Timing.ALL_DAY)
        self._home_zone = home_zone

    def event(self, event: Json, uid: str, *, excluded: list[str]) -> Event | None:
        """A single event or a series, without the ``excluded`` instances (their starts as text)."""
        lines = event.get("recurrence") or ()
        start = self.moment(event.get("start"), "start", recurring=bool(lines))
        if start is None:
            self.broken.append("it has no readable start, so that it was left out")
            return None
        rules: dict[str, list[str]] = {"RRULE": [], "EXRULE": []}
        dates: dict[str, list[DateList]] = {"RDATE": [], "EXDATE": []}
        for line in lines:
            self._sort(str(line), start.zone, rules, dates)
        if excluded:
            dates["EXDATE"].append(DateList(",".join(excluded), UTC_ZONE))
        end, days, exact = self._length(event, start)
        return Event(
            uid=uid,
            start=start,
            end=end,
            days=days,
            exact=exact,
            recurrence_id=None,
            this_and_future=False,
            rrules=tuple(rules["RRULE"]),
            exrules=tuple(rules["EXRULE"]),
            rdates=tuple(dates["RDATE"]),
            exdates=tuple(dates["EXDATE"]),
            details=_details(event),
        )

    def instance(self, event: Json, uid: str) -> Event | None:
        """A changed instance; one that I removed from my calendar is one that I declined."""
        if is_cancelled(event) and not is_dismissed(event):
            return None
        original = self.moment(event.get("originalStartTime"), "original start")
        start = self.moment(event.get("start"), "start")
        if original is None or start is None:
            self.broken.append("a changed instance does not say when it is, so it was left out")
            return None
        end, days, exact = self._length(event, start)
        return Event(
            uid=uid,
            start=start,
            end=end,
            days=days,
            exact=exact,
            recurrence_id=original,
            this_and_future=False,
            rrules=(),
            exrules=(),
            rdates=(),
            exdates=(),
            details=_details(event, declined=is_cancelled(event)),
        )

    def excluded(self, event: Json) -> str:
        """The original start of an instance that is to be shown no more, as an EXDATE has it; else empty."""
        if not is_cancelled(event) or is_dismissed(event):
            return ""
        original = self.moment(event.get("originalStartTime"), "original start")
        return key_of(original) if original else ""

    def moment(self, when: Any, what: str, *, recurring: bool = False) -> Moment | None:
        """A time as Google writes it: a date, or a wall time with its offset, and the zone it is kept in."""
        if not isinstance(when, dict):
            return None
        try:
            if "date" in when:
                return Moment(datetime.fromisoformat(str(when["date"])[:10]), self._all_day)
            at = datetime.fromisoformat(when["dateTime"])
            zone = self._zone(when.get("timeZone"), fixed=at.tzinfo is not None and not recurring)
            if at.tzinfo is None:
                return Moment(at, zone)
            return Moment(at.astimezone(zone.tz).replace(tzinfo=None), zone)
        except (ValueError, KeyError, TypeError, OverflowError):
            self.broken.append(f"its {what} is not a time")
            return None

    def _zone(self, name: Any, *, fixed: bool) -> Zone:
        """The zone of that name. One that is not known does not matter where the instant is fixed."""
        if not name:
            return self._default
        found = _zone(str(name))
        if found is not None:
            return found
        if fixed:
            return self._default
        return Zone(str(name), Timing.UNKNOWN_ZONE, ZoneInfo(self._home_zone))

    def _length(self, event: Json, start: Moment) -> tuple[Moment | None, timedelta, timedelta]:
        """The end where it is timed, and the length: whole days (nominal) and the rest (exact)."""
        all_day = start.zone.timing is Timing.ALL_DAY
        end = self.moment(event.get("end"), "end")
        if end is None or (end.zone.timing is Timing.ALL_DAY) != all_day:
            return None, timedelta(days=1) if all_day else _NONE, _NONE
        if all_day:
            return None, max(end.wall - start.wall, timedelta(days=1)), _NONE
        length = end.aware.astimezone(UTC) - start.aware.astimezone(UTC)
        if length < _NONE:
            self.broken.append("it ends before it starts; its end is taken to be its start")
            return None, _NONE, _NONE
        return end, _NONE, length

    def _sort(
        self, line: str, zone: Zone, rules: dict[str, list[str]], dates: dict[str, list[DateList]]
    ) -> None:
        """One line of ``recurrence`` (RFC 5545 sections 3.8.5.1 to 3.8.5.3)."""
        head, colon, value = line.partition(":")
        name, *params = head.split(";")
        name = name.strip().upper()
        if not colon:
            self.broken.append(f"its recurrence {line[:30]!r} means nothing")
        elif name in rules:
            rules[name].append(value.strip())
        elif name in dates:
            named = next((one[5:] for one in params if one.upper().startswith("TZID=")), "")
            dates[name].append(DateList(value, (_zone(named) if named else None) or zone))
        elif name not in {"DTSTART", "DTEND"}:
            self.broken.append(f"its recurrence has a line {name[:20]!r} we cannot follow")


@lru_cache(maxsize=1024)
def _zone(name: str) -> Zone | None:
    found = known_zone(name)
    return None if found is None else Zone(found.key, Timing.TIMED, UTC if found.key == "UTC" else found)


@lru_cache(maxsize=16)
def _home(name: str, timing: Timing) -> Zone:
    return Zone(name, timing, ZoneInfo(name))


def _details(event: Json, *, declined: bool = False) -> Details:
    """The fields as they stand; ``declined`` puts my own answer and what it means in their place."""
    get = event.get
    kind = get("eventType")
    organizer = get("organizer") or {}
    address = _address(organizer)
    if address.endswith(_GROUP_CALENDAR):
        # A meeting in a secondary calendar is organised by the calendar; the person is who made it.
        organizer = get("creator") or {}
        address = _address(organizer)
    guests = get("attendees") or ()
    if kind in _NO_MEETING:
        guests, address, organizer = (), Address(""), {}
    hidden = bool(get("attendeesOmitted")) or not all(one.get("email") for one in guests)
    if get("guestsCanSeeOtherGuests") is False and not is_mine(event):
        hidden = True
    details = Details(
        title=_text(get("summary")),
        status=Status.CONFIRMED if declined else _STATUS.get(get("status", ""), Status.CONFIRMED),
        transparent=get("transparency") == "transparent" or kind in {"workingLocation", "birthday"},
        private=get("visibility") in {"private", "confidential"},
        organizer=address or None,
        organizer_name=_text(organizer.get("displayName")),
        attendees=tuple(
            [
                _attendee(
                    _address(one),
                    _text(one.get("displayName")),
                    "declined" if declined and one.get("self") else one.get("responseStatus", ""),
                    optional=bool(one.get("optional")),
                    room=bool(one.get("resource")),
                )
                for one in guests
                if one.get("email")
            ]
        ),
        sequence=_number(get("sequence")),
        created=_stamp(get("created")),
        modified=_stamp(get("updated")),
        location=_text(get("location")),
        categories=labels(event),
    )
    if kind == "outOfOffice":
        details["away"] = True
    if hidden:
        details["guests_hidden"] = True
    if code := _meet_code(event):
        details["conference"] = code
    return details


def _meet_code(event: Json) -> str:
    """The code of its Google Meet; empty for no call, and for one elsewhere."""
    conference = event.get("conferenceData") or {}
    kind = ((conference.get("conferenceSolution") or {}).get("key") or {}).get("type")
    if conference.get("conferenceId") and kind in {None, "hangoutsMeet"}:
        return str(conference["conferenceId"])
    found = _MEET.match(event.get("hangoutLink") or "")
    return found[1] if found else ""


@lru_cache(maxsize=4096)
def _attendee(address: Address, name: str, answer: str, *, optional: bool, room: bool) -> Attendee:
    """One guest; the same people come again and again."""
    return Attendee(
        address=address,
        name=name,
        partstat=_PARTSTAT.get(answer, PartStat.NEEDS_ACTION),
        role=Role.OPTIONAL if optional else Role.REQUIRED,
        cutype=CuType.RESOURCE if room or address.endswith(_ROOM) else CuType.INDIVIDUAL,
    )


def _text(value: Any) -> str:
    """A text, empty where there is none. Raises TypeError for what is something else."""
    if value is not None and not isinstance(value, str):
        raise TypeError("not a text")
    return value or ""


def _number(value: Any) -> int:
    return value if isinstance(value, int) and 0 <= value < 1 << 31 else 0


def _address(one: Json) -> Address:
    return Address(str(one.get("email") or "").strip().lower())


def _stamp(text: Any) -> datetime | None:
    """A time of observation in UTC; Google writes the year 0 for "unknown"."""
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, TypeError, OverflowError):
        return None


__all__ = [
    "FIELDS",
    "LABELS",
    "Json",
    "ends",
    "instance_of",
    "is_cancelled",
    "is_dismissed",
    "is_mine",
    "labels",
    "parsed",
    "plain",
]
