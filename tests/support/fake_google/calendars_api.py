"""calendarList.list, calendarList.get, calendars.get, freebusy.query and colors.get."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from tests.support.fake_google.call import ROLES, Call, decode, encode, fingerprint, serves
from tests.support.fake_google.errors import GoogleError, invalid
from tests.support.fake_google.events import Body, Calendar, Item
from tests.support.fake_google.times import instant, parse, stamp, written

_MOST = 250
_MOST_BUSY = 50


@serves("calendar.calendarList.list")
def list_calendars(call: Call) -> Body:
    """A page of the user's list, or what changed on it since a sync token."""
    user, google = call.user, call.google
    query = fingerprint({name: call.get(name) for name in ("minAccessRole", "showHidden")})
    since = 0
    if "syncToken" in call.args:
        if "minAccessRole" in call.args:
            raise invalid("minAccessRole", "Sync token cannot be used with query restrictions.")
        token = decode(call.args["syncToken"], "syncToken")
        if token.get("list") != user.email or token.get("query") != query:
            raise GoogleError(google.foreign_token_status, location="syncToken")
        since = token["version"]
    place = decode(call.args["pageToken"], "pageToken") if "pageToken" in call.args else {}
    until, offset = place.get("until", google.tick()), place.get("offset", 0)
    since = place.get("since", since)
    found = [each for each in user.listed if _listed(call, each, since)]
    size = min(call.get("maxResults", 100), _MOST)
    answer: Body = {
        "kind": "calendar#calendarList",
        "etag": f'"p32{user.list_version:08d}"',
        "items": [_entry(call, each) for each in found[offset : offset + size]],
    }
    here = {"until": until, "since": since, "offset": offset, "page": place.get("page", 1)}
    if call.request.repeat_page:
        answer["nextPageToken"] = encode(here)
    elif offset + size < len(found):
        answer["nextPageToken"] = encode(here | {"offset": offset + size, "page": here["page"] + 1})
    else:
        answer["nextSyncToken"] = encode({"list": user.email, "query": query, "version": until})
    return answer


def _listed(call: Call, entry: Body, since: int) -> bool:
    if entry["_version"] <= since:
        return False
    if entry.get("deleted"):
        return bool(since or call.get("showDeleted"))
    calendar = call.google.calendars[entry["id"]]
    if calendar.gone:
        return False
    if "minAccessRole" in call.args:
        held = calendar.roles[call.user.email]
        if ROLES.index(held) < ROLES.index(call.args["minAccessRole"]):
            return False
    return not entry.get("hidden") or bool(call.get("showHidden"))


@serves("calendar.calendarList.get")
def get_listed(call: Call) -> Body:
    """One entry of the user's list."""
    calendar = call.calendar()
    return _entry(call, next(each for each in call.user.listed if each["id"] == calendar.id))


def _entry(call: Call, entry: Body) -> Body:
    made = {name: value for name, value in entry.items() if not name.startswith("_")}
    made["etag"] = f'"{1_700_000_000_000_000 + entry["_version"]}"'
    if entry.get("deleted"):
        return {name: made[name] for name in ("kind", "etag", "id", "deleted")}
    calendar = call.google.calendars[entry["id"]]
    made |= {"summary": calendar.summary, "timeZone": calendar.time_zone}
    made["accessRole"] = calendar.roles[call.user.email]
    made["conferenceProperties"] = {"allowedConferenceSolutionTypes": ["hangoutsMeet"]}
    return made


@serves("calendar.calendars.get")
def get_calendar(call: Call) -> Body:
    """A calendar's own data."""
    calendar = call.calendar()
    return {
        "kind": "calendar#calendar",
        "etag": f'"{1_700_000_000_000_000 + calendar.oldest}"',
        "id": calendar.id,
        "summary": calendar.summary,
        "timeZone": calendar.time_zone,
        "conferenceProperties": {"allowedConferenceSolutionTypes": ["hangoutsMeet"]},
    }


@serves("calendar.colors.get")
def get_colors(call: Call) -> Body:
    """The palette."""
    tints = (
        "a4bdfc",
        "7ae7bf",
        "dbadff",
        "ff887c",
        "fbd75b",
        "ffb878",
        "46d6db",
        "e1e1e1",
        "5484ed",
        "51b749",
    )
    palette = {
        str(number): {"background": f"#{tint}", "foreground": "#1d1d1d"}
        for number, tint in enumerate((*tints, "dc2127"), start=1)
    }
    return {"kind": "calendar#colors", "updated": stamp(call.google.now()), "calendar": {}, "event": palette}


@serves("calendar.freebusy.query")
def query_busy(call: Call) -> Body:
    """Merged busy times of calendars the user may look at; the others say notFound."""
    asked = call.body(required=("timeMin", "timeMax"))
    low, high = parse(asked["timeMin"]), parse(asked["timeMax"])
    if low >= high:
        raise GoogleError(400, "timeRangeEmpty", "The specified time range is empty.", location="timeMax")
    most = min(asked.get("calendarExpansionMax", _MOST_BUSY), _MOST_BUSY)
    found: dict[str, Any] = {}
    for number, each in enumerate(asked.get("items", ())):
        name = each["id"]
        calendar = call.google.calendars.get(call.user.email if name == "primary" else name)
        if number >= most:
            found[name] = _no("tooManyCalendarsRequested")
        elif calendar is None or calendar.gone or not _may_look(calendar, call.user.email):
            found[name] = _no("notFound")
        else:
            zone = ZoneInfo(asked.get("timeZone", "UTC"))
            found[name] = {
                "busy": [
                    {"start": written(start.astimezone(zone)), "end": written(end.astimezone(zone))}
                    for start, end in _busy(calendar, low, high)
                ]
            }
    window = {"timeMin": stamp(low), "timeMax": stamp(high)}
    return {"kind": "calendar#freeBusy", **window, "calendars": found}


def _no(reason: str) -> Body:
    return {"errors": [{"domain": "global", "reason": reason}], "busy": []}


def _may_look(calendar: Calendar, viewer: str) -> bool:
    """Shared with them, or visible to everybody of the same organisation."""
    same = calendar.id.rpartition("@")[2] == viewer.rpartition("@")[2]
    return viewer in calendar.roles or (same and calendar.busy_visible)


def _busy(calendar: Calendar, low: datetime, high: datetime) -> list[tuple[datetime, datetime]]:
    spans = []
    for kept in list(calendar.items.values()):
        for item in calendar.instances(kept, low, high) if kept.recurring else (kept,):
            if kept.cancelled or (kept.recurring and not item.plain) or not _blocks(calendar, item):
                continue
            start = instant(item.body["start"], calendar.time_zone).astimezone(UTC)
            end = instant(item.body["end"], calendar.time_zone).astimezone(UTC)
            if end > low and start < high:
                spans.append((max(start, low.astimezone(UTC)), min(end, high.astimezone(UTC))))
    merged: list[tuple[datetime, datetime]] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def _blocks(calendar: Calendar, item: Item) -> bool:
    body = item.body
    mine: Body = next((guest for guest in body.get("attendees", ()) if guest["email"] == calendar.id), {})
    return not (
        item.cancelled
        or body.get("transparency") == "transparent"
        or body.get("eventType") in ("workingLocation", "birthday")
        or mine.get("responseStatus") == "declined"
    )
