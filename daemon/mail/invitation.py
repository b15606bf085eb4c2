"""The iTIP part of a mail, where it helps (RFC 5546, RFC 6047)."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection

from connectors import ical_make
from connectors.base import ConnectorError
from connectors.ical_write import itip_counter, itip_request
from daemon.store import calendars
from rules.delivery import COUNTER, INVITE, STAYS
from rules.detections import ANOTHER_MEETING
from rules.model import Address, Intent, Interval, Occurrence, Owner
from rules.people import organized_by_me
from rules.policy import Do

LONGEST = 256 * 1024
"""Letters of a calendar part. A larger one, of a meeting with files in it, is left out: words alone do."""


def calendar_part(
    conn: Connection,
    intent: Intent,
    occurrence: Occurrence,
    owner: Owner,
    *,
    slots: tuple[Interval, ...],
    now: datetime,
) -> tuple[str, str] | None:
    """(method, iCalendar text), or None where words alone do.

    ``confirm`` sends my invitation again, unless the server schedules by itself and has delivered it
    (RFC 6638); ``invite`` the one to the new time. ``reschedule`` of somebody else's meeting proposes the
    first offered time to its organiser, ``counter`` the one that was picked; the meeting stays as it is.
    ``stays`` declines what an attendee proposed. What asks for another meeting quotes none.
    """
    if now >= occurrence.start_utc or intent.detector in ANOTHER_MEETING:
        return None
    if intent.do == STAYS:
        return "DECLINECOUNTER", ical_make.declined_counter(occurrence, intent.to, now=now)
    ref, recurrence_id = occurrence.key.calendar, occurrence.key.recurrence_id
    resource = calendars.resource(conn, ref, occurrence.href)
    if resource is None:
        return None
    me = next((one.address for one in occurrence.attendees if one.address in owner.addresses), None)
    try:
        if intent.do in {Do.CONFIRM, INVITE} and organized_by_me(occurrence, owner):
            rows = {row.ref: row for row in calendars.calendars(conn, ref.account)}
            if rows[ref].schedules:
                return None
            method, text = "REQUEST", itip_request(resource.raw, recurrence_id, now=now, home_zone=owner.zone)
        elif intent.do in {Do.RESCHEDULE, COUNTER} and intent.to == occurrence.organizer and slots and me:
            text = _counter(resource.raw, occurrence, slots[0], me, home_zone=owner.zone, now=now)
            method = "COUNTER"
        else:
            return None
    except ConnectorError:
        return None  # an event too odd to quote is still asked about
    return (method, text) if len(text) <= LONGEST else None


def _counter(
    raw: str, occurrence: Occurrence, slot: Interval, me: Address, *, home_zone: str, now: datetime
) -> str:
    if not raw.lstrip().upper().startswith("BEGIN:VCALENDAR"):
        return ical_make.counter(occurrence, slot, me, now=now)
    key = occurrence.key.recurrence_id
    return itip_counter(raw, key, slot.start, slot.end, me, now=now, home_zone=home_zone)
