"""The connector suite's iCalendar texts, put into the fake Google as its own people would have made them."""

from __future__ import annotations

import copy
import json
from datetime import UTC
from typing import Any

from connectors.google_events import LABELS
from connectors.ical import Event, parse
from connectors.ical_times import Moment
from rules.model import PartStat, Timing
from tests.support.fake_google.events import Calendar
from tests.support.fake_google.world import FakeGoogle
from tests.support.ics import LISBON

_STATUS = {
    PartStat.NEEDS_ACTION: "needsAction",
    PartStat.ACCEPTED: "accepted",
    PartStat.DECLINED: "declined",
    PartStat.TENTATIVE: "tentative",
}


class StaticToken:
    """An access token that is never renewed."""

    def __init__(self, token: str) -> None:
        self._token = token

    def access_token(self) -> str:
        """The token."""
        return self._token

    def forget(self, token: str) -> None:
        """There is no other."""


def event_id(name: str) -> str:
    """The id in Google of what the suite calls ``a.ics``."""
    return name.encode().hex()


def name_of(href: str) -> str:
    """The other way."""
    return bytes.fromhex(href).decode()


def put(google: FakeGoogle, calendar: Calendar, name: str, raw: str) -> None:
    """Store a text, new or in place of the old one."""
    with google.lock:
        events = parse(raw, LISBON).events
        master = next(each for each in events if each.recurrence_id is None)
        body = _body(master) | {"id": event_id(name)}
        held = calendar.items.get(body["id"])
        if held is None:
            calendar.insert(body)
        else:
            google.amend(calendar, held, copy.deepcopy(held.body) | body)
        for each in events:
            if each.recurrence_id is not None:
                name = google.instance(body["id"], each.recurrence_id.aware.astimezone(UTC))
                item = calendar.find(name)
                assert item is not None
                calendar.keep(copy.deepcopy(item.body) | _body(each))


def remove(google: FakeGoogle, calendar: Calendar, name: str) -> None:
    """Delete an event."""
    with google.lock:
        calendar.bury(calendar.items[event_id(name)], "organizer")


def _body(event: Event) -> dict[str, Any]:
    details = event.details
    end = event.end or Moment(event.start.wall + event.days + event.exact, event.start.zone)
    body: dict[str, Any] = {
        "iCalUID": event.uid,
        "summary": details["title"],
        "sequence": details["sequence"],
        "start": _when(event.start),
        "end": _when(end),
    }
    if event.rrules:
        body["recurrence"] = [f"RRULE:{rule}" for rule in event.rrules]
    if details["attendees"]:
        body["attendees"] = [
            {"email": str(who.address), "responseStatus": _STATUS[who.partstat]}
            | ({"displayName": who.name} if who.name else {})
            for who in details["attendees"]
        ]
    if details["categories"]:
        kept = json.dumps(list(details["categories"]))
        body["extendedProperties"] = {"private": {LABELS: kept}}
    return body


def _when(moment: Moment) -> dict[str, str]:
    if moment.zone.timing is Timing.ALL_DAY:
        return {"date": moment.wall.date().isoformat()}
    return {"dateTime": moment.aware.isoformat(), "timeZone": moment.zone.tzid}


__all__ = ["StaticToken", "event_id", "name_of", "put", "remove"]
