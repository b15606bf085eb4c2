"""Nouns → iCalendar text: a meeting that is new, and proposals about one whose own text is not iCalendar."""

from __future__ import annotations

from datetime import UTC, datetime
from hashlib import sha256

from icalendar import Calendar, Event, vCalAddress, vDatetime, vText

from connectors.base import NewMeeting
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
    return str(calendar.to_ical().decode())


def counter(occurrence: Occurrence, slot: Interval, attendee: Address, *, now: datetime) -> str:
    """METHOD:COUNTER of one meeting at other times, from one attendee (RFC 5546 section 3.2.7)."""
    event = _event(occurrence.key.uid, now, occurrence.sequence)
    if occurrence.key.recurrence_id is not None:
        original = datetime.strptime(occurrence.key.recurrence_id, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        event.add("RECURRENCE-ID", vDatetime(original), encode=False)
    event.add("SUMMARY", occurrence.title)
    event.add("DTSTART", slot.start.astimezone(UTC))
    event.add("DTEND", slot.end.astimezone(UTC))
    if occurrence.location:
        event.add("LOCATION", occurrence.location)
    if occurrence.organizer is not None:
        event.add("ORGANIZER", _person(occurrence.organizer, occurrence.organizer_name), encode=False)
    me = next((one for one in occurrence.attendees if one.address == attendee), None)
    proposer = _person(attendee, me.name if me else "")
    proposer.params["PARTSTAT"] = PartStat.TENTATIVE.value
    proposer.params["ROLE"] = (me.role if me else Role.REQUIRED).value
    event.add("ATTENDEE", proposer, encode=False)
    calendar = _calendar()
    calendar.add("METHOD", vText("COUNTER"))
    calendar.add_component(event)
    return str(calendar.to_ical().decode())


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


__all__ = ["counter", "new_meeting", "uid_for"]
