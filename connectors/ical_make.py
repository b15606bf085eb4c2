"""Nouns → iCalendar text: a meeting that is new, and answers about one whose own text may be lost."""

from __future__ import annotations

from datetime import UTC, date, datetime
from hashlib import sha256

from icalendar import Calendar, Event, vCalAddress, vDate, vDatetime, vText

from connectors.base import NewMeeting
from connectors.ical_lines import without_controls
from connectors.ical_write import PRODID
from rules.model import Address, CuType, Interval, Occurrence, PartStat, Role


def uid_for(key: str) -> str:
    """The UID of the meeting that is made for a key, the same however often it is asked."""
    return f"rebookd-{sha256(key.encode()).hexdigest()[:40]}"


def new_meeting(new: NewMeeting, uid: str, *, now: datetime) -> str:
    """A calendar object with one meeting, nobody of it having answered (RFC 5545)."""
    event = _event(uid, now, 0)
    event.add("SUMMARY", new.title)
    event.add("DTSTART", new.start)
    event.add("DTEND", new.end.astimezone(new.start.tzinfo))
    event.add("CREATED", now.astimezone(UTC).replace(microsecond=0))
    if new.location:
        event.add("LOCATION", new.location)
    if new.words:
        event.add("DESCRIPTION", new.words)
    if new.related:
        event.add("RELATED-TO", vText(new.related))
    if new.attendees and new.organizer is not None:
        event.add("ORGANIZER", _person(new.organizer, new.organizer_name), encode=False)
    for one in new.attendees:
        who = _person(one.address, one.name)
        who.params["ROLE"] = one.role.value
        who.params["PARTSTAT"] = PartStat.NEEDS_ACTION.value
        who.params["RSVP"] = "TRUE"
        if one.cutype is not CuType.INDIVIDUAL:
            who.params["CUTYPE"] = one.cutype.value
        event.add("ATTENDEE", who, encode=False)
    calendar = _calendar()
    calendar.add_component(event)
    calendar.add_missing_timezones()
    return without_controls(calendar.to_ical().decode())


def counter(occurrence: Occurrence, slot: Interval, attendee: Address, *, now: datetime) -> str:
    """METHOD:COUNTER of one meeting at other times, from one attendee (RFC 5546 section 3.2.7)."""
    event = _about(occurrence, now)
    event.add("SUMMARY", occurrence.title)
    event.add("DTSTART", slot.start.astimezone(UTC))
    event.add("DTEND", slot.end.astimezone(UTC))
    if occurrence.location:
        event.add("LOCATION", occurrence.location)
    me = next((one for one in occurrence.attendees if one.address == attendee), None)
    proposer = _person(attendee, me.name if me else "")
    proposer.params["PARTSTAT"] = PartStat.TENTATIVE.value
    proposer.params["ROLE"] = (me.role if me else Role.REQUIRED).value
    event.add("ATTENDEE", proposer, encode=False)
    return _message("COUNTER", event)


def declined_counter(occurrence: Occurrence, attendee: Address, *, now: datetime) -> str:
    """METHOD:DECLINECOUNTER: the meeting stays at its time (RFC 5546 section 3.2.8)."""
    event = _about(occurrence, now)
    event.add("ATTENDEE", _person(attendee, ""), encode=False)
    return _message("DECLINECOUNTER", event)


def _about(occurrence: Occurrence, now: datetime) -> Event:
    """Which meeting it is, and whose."""
    event = _event(occurrence.key.uid, now, occurrence.sequence)
    original = occurrence.key.recurrence_id
    if original is not None and len(original) == 8:
        event.add("RECURRENCE-ID", vDate(date.fromisoformat(original)), encode=False)
    elif original is not None:
        at = datetime.strptime(original, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        event.add("RECURRENCE-ID", vDatetime(at), encode=False)
    if occurrence.organizer is not None:
        event.add("ORGANIZER", _person(occurrence.organizer, occurrence.organizer_name), encode=False)
    return event


def _message(method: str, event: Event) -> str:
    calendar = _calendar()
    calendar.add("METHOD", vText(method))
    calendar.add_component(event)
    return without_controls(calendar.to_ical().decode())


def _calendar() -> Calendar:
    calendar = Calendar()
    calendar.add("PRODID", vText(PRODID))
    calendar.add("VERSION", vText("2.0"))
    return calendar


def _event(uid: str, now: datetime, sequence: int) -> Event:
    event = Event()
    event.add("UID", uid)
    event.add("DTSTAMP", now.astimezone(UTC).replace(microsecond=0))
    event.add("SEQUENCE", sequence)
    return event


def _person(address: Address, name: str) -> vCalAddress:
    person = vCalAddress(f"mailto:{address}")
    if name:
        person.params["CN"] = name
    return person


__all__ = ["counter", "declined_counter", "new_meeting", "uid_for"]
