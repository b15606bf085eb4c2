"""iCalendar texts put into the fake's calendars, so that suites written for CalDAV speak to it."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

import icalendar

from tests.support.fake_google.events import Body, Calendar
from tests.support.fake_google.series import instance_id
from tests.support.fake_google.times import When, stamp, when

_ANSWERS = {"ACCEPTED": "accepted", "DECLINED": "declined", "TENTATIVE": "tentative"}


def id_of(name: str) -> str:
    """The event id under which an object with this file name is kept."""
    return name.encode().hex()


def put(calendar: Calendar, name: str, raw: str, **fields: Any) -> str:
    """Create or replace an event, with its overrides, as another program would; its id.

    ``fields`` are added to every one of its bodies.
    """
    google = calendar.google
    with google.lock:
        events = list(icalendar.Calendar.from_ical(raw).walk("VEVENT"))
        master = next(each for each in events if "RECURRENCE-ID" not in each)
        made = id_of(name)
        old = calendar.items.get(made)
        body = _owned(calendar, _body(master) | fields | {"id": made})
        if old is None or old.cancelled:
            calendar.items.pop(made, None)
            item = calendar.insert(body)
        else:
            kept = {key: old.body[key] for key in ("kind", "created", "creator", "htmlLink", "organizer")}
            item = calendar.keep(kept | {"status": "confirmed", "eventType": "default"} | body)
            google.propagate(calendar, item)
        wanted = set()
        for each in events:
            if each is not master:
                original = _time(each["RECURRENCE-ID"])
                instance = calendar.instance(item, original)
                own = _owned(calendar, _body(each) | fields | {"id": instance_id(made, original)})
                body = instance.body | own
                calendar.keep({key: value for key, value in body.items() if key != "recurrence"})
                wanted.add(body["id"])
        for kept_one in list(calendar.items.values()):
            if kept_one.body.get("recurringEventId") == made and kept_one.id not in wanted:
                calendar.bury(kept_one, "organizer")
        return made


def remove(calendar: Calendar, name: str) -> None:
    """Delete it, as its organiser would."""
    calendar.google.cancel(id_of(name))


def _owned(calendar: Calendar, body: Body) -> Body:
    """What the owner of a further calendar organises there is organised by the calendar, as Google has it."""
    if body.get("organizer", {}).get("email") == calendar.owner.email:
        body["organizer"] = {"email": calendar.id}
    return body


def _body(event: Any) -> Body:
    start = event["DTSTART"]
    first = start.dt
    last = event["DTEND"].dt if "DTEND" in event else first + _span(event, first)
    body: Body = {
        "iCalUID": str(event["UID"]),
        "start": _time(start),
        "end": when(last, start.params.get("TZID", "")),
        "sequence": int(event.get("SEQUENCE", 0)),
    }
    for key, name in (("summary", "SUMMARY"), ("description", "DESCRIPTION"), ("location", "LOCATION")):
        if name in event:
            body[key] = str(event[name])
    if "STATUS" in event:
        body["status"] = str(event["STATUS"]).lower()
    if "TRANSP" in event:
        body["transparency"] = str(event["TRANSP"]).lower()
    if "LAST-MODIFIED" in event:
        body["updated"] = stamp(event["LAST-MODIFIED"].dt)
    if "ORGANIZER" in event:
        body["organizer"] = _person(event["ORGANIZER"])
    guests = event.get("ATTENDEE", [])
    if guests:
        body["attendees"] = [_guest(each) for each in (guests if isinstance(guests, list) else [guests])]
    rules = [
        line
        for line in event.to_ical().decode().replace("\r\n ", "").splitlines()
        if line.startswith(("RRULE", "RDATE", "EXDATE", "EXRULE"))
    ]
    return body | ({"recurrence": rules} if rules else {})


def _span(event: Any, first: date) -> timedelta:
    if "DURATION" in event:
        span: timedelta = event["DURATION"].dt
        return span
    return timedelta(0) if isinstance(first, datetime) else timedelta(days=1)


def _time(value: Any) -> When:
    return when(value.dt, value.params.get("TZID", ""))


def _person(value: Any) -> Body:
    made = {"email": str(value).partition(":")[2].lower()}
    return made | ({"displayName": str(value.params["CN"])} if "CN" in value.params else {})


def _guest(value: Any) -> Body:
    answer = _ANSWERS.get(str(value.params.get("PARTSTAT", "")), "needsAction")
    made = _person(value) | {"responseStatus": answer}
    if value.params.get("ROLE") == "OPT-PARTICIPANT":
        made["optional"] = True
    if value.params.get("CUTYPE") in ("ROOM", "RESOURCE"):
        made["resource"] = True
    return made
