"""events.get, insert, patch, update and delete."""

from __future__ import annotations

import copy
import re
from typing import Any

from tests.support.fake_google.call import Call, serves
from tests.support.fake_google.errors import GoogleError, invalid, not_found
from tests.support.fake_google.events import Body, Calendar, Item, conference, shared_part, view
from tests.support.fake_google.series import starts
from tests.support.fake_google.times import instant
from tests.support.wire import Answer

_READ_ONLY = frozenset(
    {
        "kind",
        "etag",
        "htmlLink",
        "created",
        "updated",
        "creator",
        "organizer",
        "hangoutLink",
        "locked",
        "iCalUID",
    }
    | {"recurringEventId", "originalStartTime", "id", "attendeesOmitted", "sequence", "privateCopy"}
)
_FIXED_TYPES = ("fromGmail", "birthday")


@serves("calendar.events.get")
def get_event(call: Call) -> Any:
    """One event, deleted ones too."""
    calendar = call.calendar()
    item = _found(call, calendar)
    return call.match(item.body["etag"]) or _shown(call, calendar, item)


@serves("calendar.events.insert")
def insert_event(call: Call) -> Body:
    """A new event; the same id a second time is 409."""
    calendar = call.calendar("writer")
    body = call.body(required=("start", "end"))
    if "id" in body:
        if not re.fullmatch(r"[a-v0-9]{5,1024}", body["id"]):
            raise invalid("id", "Invalid resource id value.")
        if body["id"] in calendar.items:
            raise GoogleError(409)
    made = {name: value for name, value in body.items() if name not in _READ_ONLY - {"id", "iCalUID"}}
    _times(calendar, made)
    _conference(call, made, {})
    item = calendar.insert(made)
    call.google.notify(item, "invitation", call.get("sendUpdates"), calendar.id)
    return _shown(call, calendar, item)


@serves("calendar.events.patch")
def patch_event(call: Call) -> Any:
    """Some fields changed, the others kept; null takes one away, a list replaces the list."""
    calendar, item = _writable(call)
    return _write(call, calendar, item, _merged(item.body, call.body()))


@serves("calendar.events.update")
def update_event(call: Call) -> Any:
    """The whole event replaced: what is not given is gone."""
    calendar, item = _writable(call)
    given = call.body(required=("start", "end"))
    kept = {name: item.body[name] for name in (*_READ_ONLY, "status", "eventType") if name in item.body}
    return _write(call, calendar, item, kept | {n: v for n, v in given.items() if n not in _READ_ONLY})


@serves("calendar.events.delete")
def delete_event(call: Call) -> Answer:
    """The organiser cancels for all; a guest removes only their copy."""
    calendar, item = _writable(call)
    google, send = call.google, call.get("sendUpdates")
    if _organizes(calendar, item):
        google.notify(item, "cancellation", send, calendar.id)
        google.cancel(item.id)
    else:
        google.delete_own_copy(item.id, calendar.id)
    return Answer(204)


def _found(call: Call, calendar: Calendar) -> Item:
    item = calendar.find(call.args["eventId"])
    if item is None:
        raise not_found()
    return item


def _shown(call: Call, calendar: Calendar, item: Item) -> Body:
    zone = call.get("timeZone") or calendar.time_zone
    return view(calendar, item, call.user.email, zone, call.get("maxAttendees"), bare=False)


def _organizes(calendar: Calendar, item: Item) -> bool:
    return bool(item.body.get("organizer", {}).get("email") == calendar.id)


def _writable(call: Call) -> tuple[Calendar, Item]:
    calendar = call.calendar("writer")
    item = _found(call, calendar)
    if item.cancelled and call.method.verb == "DELETE":
        raise GoogleError(410, "deleted")
    call.match(item.body["etag"])
    return calendar, item


def _merged(old: Any, patch: Any) -> Any:
    """RFC 7396, as Google's patch semantics are."""
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    made = copy.deepcopy(old) if isinstance(old, dict) else {}
    for name, value in patch.items():
        if value is None:
            made.pop(name, None)
        else:
            made[name] = _merged(made.get(name), value)
    return made


def _write(call: Call, calendar: Calendar, item: Item, body: Body) -> Body:
    old, google = item.body, call.google
    for name in _READ_ONLY:
        body.pop(name, None)
        if name in old:
            body[name] = copy.deepcopy(old[name])
    if body.get("eventType") != old.get("eventType"):
        raise GoogleError(400, "eventTypeRestriction", "Event type cannot be changed.")
    _times(calendar, body)
    _conference(call, body, old)
    for guest in body.get("attendees", ()):
        for name in ("self", "organizer"):
            guest.pop(name, None)
    free = _organizes(calendar, item) or bool(old.get("guestsCanModify"))
    shared = _shared_changes(old, body)
    _permit(calendar, old, body, shared, free=free)
    kept = google.amend(calendar, item, body)
    if shared:
        google.notify(kept, "update" if free else "answer", call.get("sendUpdates"), calendar.id)
    return _shown(call, calendar, kept)


def _shared_changes(old: Body, new: Body) -> set[str]:
    """Names of changed fields that every copy shares."""
    before, after = shared_part(old), shared_part(new)
    return {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}


def _permit(calendar: Calendar, old: Body, body: Body, shared: set[str], *, free: bool) -> None:
    """Who may change what. Raises GoogleError."""
    if shared and old.get("eventType") in _FIXED_TYPES:
        raise GoogleError(400, "eventTypeRestriction", "The event type restricts what can be changed.")
    if free or not shared:
        return
    if shared != {"attendees"} or not _own_answer(calendar, old, body):
        message = "Shared properties can only be changed by the organizer of the event."
        raise GoogleError(403, "forbiddenForNonOrganizer", message)


def _own_answer(calendar: Calendar, old: Body, new: Body) -> bool:
    """Whether only this calendar's own entry among the guests differs."""

    def others(body: Body) -> list[Body]:
        return sorted(
            (
                {name: value for name, value in guest.items() if name not in ("self", "organizer")}
                for guest in body.get("attendees", ())
                if guest["email"] != calendar.id
            ),
            key=lambda guest: str(guest["email"]),
        )

    return others(old) == others(new)


def _times(calendar: Calendar, body: Body) -> None:
    """Hold start, end and recurrence to Google's rules. Raises GoogleError."""
    for name in ("start", "end"):
        _moment(calendar, body.get(name, {}), name, recurring=bool(body.get("recurrence")))
    if ("date" in body["start"]) != ("date" in body["end"]):
        raise GoogleError(400, "invalid", "The start and end times must either both be date or dateTime.")
    if instant(body["end"], calendar.time_zone) < instant(body["start"], calendar.time_zone):
        raise GoogleError(400, "timeRangeEmpty", "The specified time range is empty.")
    if body.get("recurrence"):
        try:
            next(starts(body, calendar.time_zone), None)
        except (ValueError, KeyError) as error:
            raise invalid("recurrence", "Invalid recurrence rule.") from error


def _moment(calendar: Calendar, given: Body, name: str, *, recurring: bool) -> None:
    """Hold one EventDateTime to the rules, and give it its zone. Raises GoogleError."""
    if ("date" in given) == ("dateTime" in given):
        raise invalid(name, f"Invalid {name} time.")
    try:
        instant(given, calendar.time_zone)
    except (ValueError, KeyError) as error:
        raise invalid(name, f"Invalid value for: {name}") from error
    if "dateTime" not in given or given.get("timeZone"):
        return
    if recurring or not re.search(r"([Zz]|[+-]\d\d:\d\d)$", given["dateTime"]):
        raise GoogleError(400, "required", f"Missing time zone definition for {name} time.")
    given["timeZone"] = calendar.time_zone


def _conference(call: Call, body: Body, old: Body) -> None:
    """Without conferenceDataVersion=1 what is said of a conference is ignored."""
    if call.get("conferenceDataVersion") != 1:
        body.pop("conferenceData", None)
        if "conferenceData" in old:
            body["conferenceData"] = copy.deepcopy(old["conferenceData"])
        return
    if "createRequest" in body.get("conferenceData", {}):
        number = call.google.tick()
        body |= conference(f"abc-{''.join(chr(97 + int(digit)) for digit in f'{number:04d}')}-xyz")
