"""Nouns → iCalendar text: a meeting moved or labelled, and the iTIP messages about one (RFC 5545, 5546).

Everything not named here stays as the calendar had it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from typing import Any

from icalendar import Calendar, vCalAddress, vDate, vDatetime, vText
from icalendar.parser import Parameters

from connectors.base import Rejected
from connectors.ical import Event as Record
from connectors.ical import original_of, parse
from connectors.ical_lines import without_controls
from connectors.ical_times import Moment, key_of
from rules.model import Address, Timing

PRODID = "-//rebookd//rebookd 0.1//EN"

LONGEST = 2 * 1024 * 1024
"""Letters of a text that is written anew."""

MOST_PIECES = 30_000
"""Lines, parameters and items of lists of such a text: the library takes its time for each."""

_DAMAGED = "The event's text is damaged, so it is not touched."
_TOO_LONG = "The event's text is too long to be written anew, so it is not touched."
_STUMBLES = (ValueError, LookupError, TypeError, AttributeError, OverflowError, RecursionError)
"""What the library falls into where a line of a text is not what the standard says."""

_NOT_THERE = "The meeting is no longer there under that name."
_ONCE = (
    *("UID", "DTSTAMP", "DTSTART", "DTEND", "DURATION"),
    *("RECURRENCE-ID", "SEQUENCE", "ORGANIZER", "LAST-MODIFIED"),
)
"""What an event has once at most (RFC 5545 section 3.6.1)."""
_RECURRENCE = ("RRULE", "RDATE", "EXDATE", "EXRULE")


@contextmanager
def _careful() -> Iterator[None]:
    """A text in which the library stumbles is damaged. Raises Rejected."""
    try:
        yield
    except _STUMBLES as error:
        raise Rejected(_DAMAGED) from error


@_careful()
def moved(
    raw: str,
    recurrence_id: str | None,
    start: datetime,
    end: datetime,
    *,
    now: datetime,
    home_zone: str = "UTC",
) -> str:
    """The resource with one meeting at other times (aware), SEQUENCE+1, all else untouched.

    An instance of a series becomes, or stays, an override. The others' answers are for the old time
    and go back to NEEDS-ACTION (RFC 5546 section 3.2.2). Raises Rejected when there is no such
    meeting in ``raw`` or it cannot be moved.
    """
    found = _Meeting(raw, recurrence_id, home_zone)
    event = found.instance()
    if found.shown.start.zone.timing is Timing.ALL_DAY:
        raise Rejected("An all-day event cannot be moved to a time of day.")
    kept_length = "DURATION" in event and end - start == found.shown.days + found.shown.exact
    _set_time(event, "DTSTART", start, found.shown.start)
    if not kept_length:
        event.pop("DURATION", None)
        _set_time(event, "DTEND", end, found.shown.end or found.shown.start)
    _replace(event, "SEQUENCE", int(event.get("SEQUENCE", 0)) + 1)
    for name in ("DTSTAMP", "LAST-MODIFIED"):
        _replace(event, name, vDatetime(now.astimezone(UTC).replace(microsecond=0)))
    organizer = _bare(event.get("ORGANIZER"))
    for attendee in _attendees(event):
        if _bare(attendee) != organizer and attendee.params.get("PARTSTAT", "").upper() != "DELEGATED":
            attendee.params["PARTSTAT"] = "NEEDS-ACTION"
    return found.with_own(event)


@_careful()
def labelled(raw: str, recurrence_id: str | None, category: str, *, home_zone: str = "UTC") -> str | None:
    """The resource with one more category on one meeting; None when it has it already, in any case.

    An instance of a series becomes, or stays, an override. All else is untouched: neither SEQUENCE nor
    any stamp says that there is something to tell the others (RFC 5546 section 2.1.4). Raises Rejected
    when there is no such meeting in ``raw``.
    """
    found = _Meeting(raw, recurrence_id, home_zone)
    if category.casefold() in {each.casefold() for each in found.shown.details["categories"]}:
        return None
    event = found.instance()
    event.add("CATEGORIES", [category])
    return found.with_own(event)


@_careful()
def itip_request(raw: str, recurrence_id: str | None, *, now: datetime, home_zone: str = "UTC") -> str:
    """METHOD:REQUEST of the one meeting as it stands (RFC 5546 section 3.2.2). Raises Rejected."""
    found = _Meeting(raw, recurrence_id, home_zone)
    return _message("REQUEST", found, found.instance(), now)


@_careful()
def itip_counter(
    raw: str,
    recurrence_id: str | None,
    start: datetime,
    end: datetime,
    attendee: Address,
    *,
    now: datetime,
    home_zone: str = "UTC",
) -> str:
    """METHOD:COUNTER: the complete meeting at proposed times, from one attendee (RFC 5546 section 3.2.7).

    UID and SEQUENCE stay; only the proposing attendee is named. Raises Rejected.
    """
    found = _Meeting(raw, recurrence_id, home_zone)
    event = found.instance()
    event.pop("DURATION", None)
    _set_time(event, "DTSTART", start, found.shown.start)
    _set_time(event, "DTEND", end, found.shown.end or found.shown.start)
    proposer = [each for each in _attendees(event) if _bare(each) == attendee]
    event.pop("ATTENDEE", None)
    for each in proposer[:1] or [vCalAddress(f"mailto:{attendee}")]:
        event.add("ATTENDEE", each, encode=0)
    return _message("COUNTER", found, event, now)


def _is_damaged(event: Any) -> bool:
    """Whether the library could not read a line, which it leaves out in silence, or one is there twice."""
    return bool(event.errors) or any(isinstance(event.get(name), list) for name in _ONCE)


class _Meeting:
    """One meeting in a resource: the library's components beside our own reading of them."""

    def __init__(self, raw: str, recurrence_id: str | None, home_zone: str) -> None:
        if len(raw) > LONGEST or sum(map(raw.count, "\n;,")) - raw.count("\n ") > MOST_PIECES:
            raise Rejected(_TOO_LONG)
        self.calendar = Calendar.from_ical(without_controls(raw))
        components = [each for each in self.calendar.subcomponents if each.name == "VEVENT"]
        records = [_record(self.calendar, each, home_zone) for each in components]
        if not components or None in records or any(map(_is_damaged, components)):
            raise Rejected(_DAMAGED)
        self._pairs = [(each, record) for each, record in zip(components, records, strict=True) if record]
        self._recurrence_id = recurrence_id
        self.home_zone = home_zone
        self._own: Any = None
        self._speaker: tuple[Any, Record] | None = None
        self.shown = self._find(recurrence_id)

    def _find(self, key: str | None) -> Record:
        """The record that speaks for the meeting; remembers its component."""
        master = next((pair for pair in self._pairs if pair[1].recurrence_id is None), None)
        if key is None:
            if master is None:
                raise Rejected(_NOT_THERE)
            self._own, record = master
            return record
        changes = {
            key_of(original_of(record.recurrence_id, master[1] if master else None)): (component, record)
            for component, record in self._pairs
            if record.recurrence_id is not None
        }
        if key in changes and not changes[key][1].this_and_future:
            self._own, record = changes[key]
            return record
        since = max(
            (at for at, pair in changes.items() if pair[1].this_and_future and at <= key), default=None
        )
        self._speaker = changes[since] if since else master
        if self._speaker is None:
            raise Rejected(_NOT_THERE)
        return self._speaker[1]

    def instance(self) -> Any:
        """The component of this meeting alone: its own, or made from the one that speaks for it."""
        if self._own is not None or self._speaker is None:
            return self._own
        component, record = self._speaker
        event = deepcopy(component)
        for name in (*_RECURRENCE, "RECURRENCE-ID"):
            event.pop(name, None)
        original = self._original(record)
        master = next((each for each in self._pairs if each[1].recurrence_id is None), (None, record))[1]
        _set_time(event, "RECURRENCE-ID", original, master.start)
        start = Moment(record.start.wall + _wall_shift(record, original), record.start.zone)
        if start.zone.timing is Timing.ALL_DAY:
            _replace(event, "DTSTART", vDate(start.wall.date()))
            if "DTEND" in event:
                _replace(event, "DTEND", vDate((start.wall + record.days).date()))
            return event
        _set_time(event, "DTSTART", start.aware, record.start)
        if "DTEND" in event and record.end is not None:
            length = record.end.aware.astimezone(UTC) - record.start.aware.astimezone(UTC)
            _set_time(event, "DTEND", start.aware.astimezone(UTC) + length, record.end)
        return event

    def with_own(self, event: Any) -> str:
        """The resource's text, this event in it."""
        if not any(each is event for each in self.calendar.subcomponents):
            self.calendar.add_component(event)
        return str(self.calendar.to_ical().decode())

    def _original(self, record: Record) -> datetime:
        key = self._recurrence_id or ""
        if len(key) == 8:
            return datetime.strptime(key, "%Y%m%d").replace(tzinfo=record.start.zone.tz)
        return datetime.strptime(key, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)


def _wall_shift(record: Record, original: datetime) -> timedelta:
    """How far, in wall time, the instance lies from the event that speaks for it."""
    zone = record.start.zone.tz
    base = (record.recurrence_id or record.start).aware.astimezone(zone).replace(tzinfo=None)
    return original.astimezone(zone).replace(tzinfo=None) - base


def _record(calendar: Any, component: Any, home_zone: str) -> Record | None:
    """Our own reading of one component, its zones beside it."""
    lone = Calendar()
    for each in calendar.subcomponents:
        if each.name == "VTIMEZONE":
            lone.add_component(each)
    lone.add_component(component)
    events = parse(lone.to_ical().decode(), home_zone).events
    return events[0] if events else None


def _set_time(event: Any, name: str, at: datetime, like: Moment) -> None:
    """Write an instant the way the event writes its times: same TZID, UTC, floating or date."""
    old = event.get("DTSTART" if name == "RECURRENCE-ID" else name, event.get("DTSTART"))
    local = at.astimezone(like.zone.tz)
    if like.zone.timing is Timing.ALL_DAY:
        _replace(event, name, vDate(local.date()))
        return
    if like.zone.tz is UTC:
        _replace(event, name, vDatetime(local.astimezone(UTC)))
        return
    value = vDatetime(local.replace(tzinfo=None))
    tzid = old.params.get("TZID") if old is not None else None
    value.params = (
        Parameters({"TZID": tzid}) if tzid and like.zone.timing is not Timing.FLOATING else Parameters()
    )
    _replace(event, name, value)


def _replace(event: Any, name: str, value: Any) -> None:
    event.pop(name, None)
    event.add(name, value, encode=0 if not isinstance(value, int) else 1)


def _attendees(event: Any) -> list[Any]:
    found = event.get("ATTENDEE", [])
    return found if isinstance(found, list) else [found]


def _bare(value: Any) -> str:
    text = str(value or "").strip()
    return (text[7:] if text[:7].lower() == "mailto:" else text).strip().lower()


def _message(method: str, found: _Meeting, event: Any, now: datetime) -> str:
    """A calendar with a METHOD around one event, without alarms and private notes."""
    event = deepcopy(event)
    for name in [each for each in event if each.upper().startswith("X-")]:
        del event[name]
    event.subcomponents = []
    for name in _RECURRENCE if found.shown.recurrence_id is not None or "RECURRENCE-ID" in event else ():
        event.pop(name, None)
    _replace(event, "DTSTAMP", vDatetime(now.astimezone(UTC).replace(microsecond=0)))
    message = Calendar()
    message.add("PRODID", vText(PRODID))
    message.add("VERSION", vText("2.0"))
    message.add("METHOD", vText(method))
    used = {
        value.params["TZID"]
        for value in event.values()
        if not isinstance(value, list) and hasattr(value, "params") and "TZID" in value.params
    }
    for each in found.calendar.subcomponents:
        if each.name == "VTIMEZONE" and str(each.get("TZID")) in used:
            message.add_component(deepcopy(each))
            used.discard(str(each.get("TZID")))
    message.add_component(event)
    if used:
        _without_zones(event, found)
    return str(message.to_ical().decode())


def _without_zones(event: Any, found: _Meeting) -> None:
    """Times in UTC: their zone has no definition to send along (RFC 5546 wants one for every TZID)."""
    record = _record(found.calendar, event, found.home_zone)
    if record is None:
        return
    times = {"DTSTART": record.start, "DTEND": record.end, "RECURRENCE-ID": record.recurrence_id}
    for name, moment in times.items():
        if moment is not None and moment.zone.timing is Timing.TIMED and name in event:
            _replace(event, name, vDatetime(moment.aware.astimezone(UTC)))


__all__ = ["itip_counter", "itip_request", "labelled", "moved"]
