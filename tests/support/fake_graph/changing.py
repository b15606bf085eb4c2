"""What the body of a request asks to be changed of an event."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from tests.support.fake_graph.call import Call
from tests.support.fake_graph.events import USUAL, Guest, Item
from tests.support.fake_graph.graph_errors import invalid
from tests.support.fake_graph.meetings import Change
from tests.support.fake_graph.patterns import complete
from tests.support.fake_graph.times import read

Json = dict[str, Any]

_READ_ONLY = frozenset({
    "id", "createdDateTime", "lastModifiedDateTime", "changeKey", "iCalUId", "bodyPreview", "isCancelled",
    "isOrganizer", "seriesMasterId", "type", "webLink", "onlineMeeting", "onlineMeetingUrl", "organizer",
    "originalStart", "originalStartTimeZone", "originalEndTimeZone", "hasAttachments", "isDraft",
    "responseStatus", "locations", "transactionId",
})  # fmt: skip

_ELSEWHERE = ("start", "end", "isAllDay", "attendees", "recurrence", "singleValueExtendedProperties")


def change_of(call: Call, item: Item | None, given: Json) -> Change:
    """The change a body means, of an event or of one to be made. Raises GraphError for what no event has."""
    change: Change = {}
    for name, value in given.items():
        if name in ("start", "end"):
            at, zone = read(value, name)
            change |= {name: at, "zone" if name == "start" else "end_zone": zone}
        elif name == "isAllDay":
            change["all_day"] = bool(value)
        elif name == "attendees":
            change["guests"] = _guests(call, item, value)
    start = change.get("start", item.start if item else None)
    end = change.get("end", item.end if item else None)
    if start is None or end is None:
        raise invalid("Required property 'start' or 'end' is missing.", "ErrorPropertyValidationFailure")
    if end < start:
        message = "The end of the event must not be before its start."
        raise invalid(message, "ErrorPropertyValidationFailure")
    _hold_days(change, item, start, end)
    if given.get("recurrence"):
        zone = change.get("zone", item.zone if item else "UTC")
        change["recurrence"] = complete(given["recurrence"], start, zone)
    fields = _fields(given)
    return change | ({"fields": fields} if fields else {})


def _fields(given: Json) -> Json:
    made: Json = {}
    for name, value in given.items():
        if name == "body":
            made[name] = str(value.get("content", ""))
        elif name == "location":
            made[name] = str(value.get("displayName", ""))
        elif name in USUAL and name not in _READ_ONLY:
            made[name] = value
        elif name not in _READ_ONLY and name not in _ELSEWHERE:
            message = f"The property '{name}' does not exist on type 'microsoft.graph.event'."
            raise invalid(message, "RequestBodyRead")
    return made


def _hold_days(change: Change, item: Item | None, start: datetime, end: datetime) -> None:
    whole = change.get("all_day", item.all_day if item else False)
    days = start.time() == end.time() == datetime.min.time() and end > start
    if whole and not days:
        message = "The Event.Start and Event.End property for an all-day event needs to be set to midnight."
        raise invalid(message, "ErrorPropertyValidationFailure")


def _guests(call: Call, item: Item | None, given: Any) -> list[Guest]:
    """Who is invited. Exchange keeps the answers of those it knows, whatever the body says of them."""
    known = {each.address.lower(): each for each in item.guests} if item else {}
    made = []
    for each in given:
        address = str(each["emailAddress"]["address"])
        guest = known.get(address.lower()) or call.graph.person(address)
        guest.kind = each.get("type", guest.kind)
        guest.name = each["emailAddress"].get("name") or guest.name
        made.append(guest)
    return made
