"""Events as Graph shows them to the owner of a mailbox."""

from __future__ import annotations

import html
import re
from typing import Any
from urllib.parse import quote

from tests.support.fake_graph.events import Guest, Item
from tests.support.fake_graph.graph_errors import GraphError
from tests.support.fake_graph.times import NEVER, second, shown, stamp

Json = dict[str, Any]

_SHELL = (
    '<html>\r\n<head>\r\n<meta http-equiv="Content-Type" content="text/html; charset=utf-8">\r\n</head>\r\n'
    "<body>\r\n{text}\r\n</body>\r\n</html>\r\n"
)


def event(item: Item, zone: str = "UTC") -> Json:
    """An event in full."""
    fields = item.fields
    made: Json = {
        "@odata.etag": item.etag,
        "id": item.id,
        "createdDateTime": stamp(item.created),
        "lastModifiedDateTime": stamp(item.modified),
        "changeKey": item.change_key,
        "categories": list(fields["categories"]),
        "transactionId": item.transaction,
        "originalStartTimeZone": item.zone,
        "originalEndTimeZone": item.end_zone,
        "iCalUId": item.uid.text(item.day),
        "reminderMinutesBeforeStart": fields["reminderMinutesBeforeStart"],
        "isReminderOn": fields["isReminderOn"],
        "hasAttachments": fields["hasAttachments"],
        "subject": fields["subject"],
        "bodyPreview": _plain(fields["body"])[:255],
        "importance": fields["importance"],
        "sensitivity": fields["sensitivity"],
        "isAllDay": item.all_day,
        "isCancelled": fields["isCancelled"],
        "isOrganizer": item.mine,
        "responseRequested": fields["responseRequested"],
        "seriesMasterId": item.master.id if item.master else None,
        "showAs": fields["showAs"],
        "type": item.kind,
        "webLink": f"https://outlook.office365.com/owa/?itemid={quote(item.id)}&exvsurl=1&path=/calendar/item",
        "onlineMeetingUrl": fields["onlineMeetingUrl"],
        "isOnlineMeeting": fields["isOnlineMeeting"],
        "onlineMeetingProvider": fields["onlineMeetingProvider"],
        "allowNewTimeProposals": fields["allowNewTimeProposals"],
        "isDraft": fields["isDraft"],
        "hideAttendees": fields["hideAttendees"],
        "responseStatus": _status(item.response, stamp(item.responded)),
        "body": {"contentType": "html", "content": _page(fields["body"])},
        "start": shown(item.start, zone, all_day=item.all_day),
        "end": shown(item.end, zone, all_day=item.all_day),
        "location": _location(fields["location"]),
        "locations": [_location(fields["location"])] if fields["location"] else [],
        "recurrence": item.recurrence,
        "attendees": [_attendee(each, zone) for each in _visible(item)],
        "organizer": {"emailAddress": _address(item.organizer)},
        "onlineMeeting": fields["onlineMeeting"],
    }
    if item.master is not None and item.day is not None:
        made["originalStart"] = second(item.master.original(item.day))
    return made


def sparse(item: Item, zone: str) -> Json:
    """An instance as a round of changes shows it: everything else is its series'."""
    return {
        "@odata.type": "#microsoft.graph.event",
        "id": item.id,
        "seriesMasterId": item.root.id,
        "type": item.kind,
        "start": shown(item.start, zone, all_day=item.all_day),
        "end": shown(item.end, zone, all_day=item.all_day),
    }


def select(made: Json, wanted: str | None, kind: str = "event") -> Json:
    """What ``$select`` leaves. Raises GraphError for a property there is not."""
    if not wanted:
        return made
    names = {name.lower(): name for name in made}
    if kind == "event":
        names |= {"originalstart": "originalStart"}
    kept = {name: value for name, value in made.items() if name.startswith("@") or name == "id"}
    for each in wanted.split(","):
        name = names.get(each.strip().lower())
        if name is None:
            message = (
                "Parsing OData Select and Expand failed: Could not find a property named "
                f"'{each.strip()}' on type 'microsoft.graph.{kind}'."
            )
            raise GraphError(400, "BadRequest", message)
        if name in made:
            kept[name] = made[name]
    return kept


def _visible(item: Item) -> list[Guest]:
    """Who stands on a copy: where attendees are hidden, a guest sees only themselves."""
    if not item.fields["hideAttendees"] or item.mine:
        return item.guests
    return [each for each in item.guests if each.address.lower() in item.calendar.owner.addresses]


def _attendee(guest: Guest, zone: str) -> Json:
    made: Json = {"type": guest.kind, "status": _status(guest.response, stamp(guest.time))}
    made["emailAddress"] = _address(guest)
    if guest.proposed is not None:
        start, end = guest.proposed
        made["proposedNewTime"] = {"start": shown(start, zone), "end": shown(end, zone)}
    return made


def _status(response: str, time: str) -> Json:
    return {"response": response, "time": NEVER if response == "organizer" else time}


def _address(guest: Guest) -> Json:
    return {"name": guest.name, "address": guest.address}


def _location(name: str) -> Json:
    if not name:
        return {
            "displayName": "",
            "locationType": "default",
            "uniqueIdType": "unknown",
            "address": {},
            "coordinates": {},
        }
    return {"displayName": name, "locationType": "default", "uniqueId": name, "uniqueIdType": "private"}


def _page(text: str) -> str:
    return text if text.lstrip().startswith("<html") else _SHELL.format(text=text)


def _plain(text: str) -> str:
    return html.unescape(re.sub(r"<[^>]*>", "", text)).strip()
