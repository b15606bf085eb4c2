"""events.list and events.instances: filters, pages, sync tokens."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from tests.support.fake_google.call import Call, decode, encode, fingerprint, serves
from tests.support.fake_google.errors import GoogleError, invalid, not_found
from tests.support.fake_google.events import Body, Calendar, Item, view
from tests.support.fake_google.times import instant, parse, stamp

_NOT_WITH_TOKEN = (
    "iCalUID", "orderBy", "privateExtendedProperty", "q", "sharedExtendedProperty",
    "timeMin", "timeMax", "updatedMin",
)  # fmt: skip
_NEVER_TOKENED = (
    "iCalUID",
    "orderBy",
    "privateExtendedProperty",
    "q",
    "sharedExtendedProperty",
    "updatedMin",
)
_PAGING = ("syncToken", "pageToken", "maxResults", "fields", "prettyPrint", "alt", "key", "quotaUser")
_MOST = 2500
_HORIZON = timedelta(days=730)


@dataclass
class _Listing:
    """One list over all its pages: its query, what it reports since, and the version it began at.

    ``query`` must stay the same from sync to sync, ``pages`` from page to page.
    """

    query: str
    pages: str
    since: int
    until: int
    offset: int = 0
    page: int = 1
    low: str = ""
    high: str = ""


def page_number(args: dict[str, Any]) -> int:
    """Which page of a list of events a request asks for."""
    try:
        return int(decode(args["pageToken"], "pageToken").get("page", 1)) if args.get("pageToken") else 1
    except (GoogleError, ValueError):
        return 1


@serves("calendar.events.list")
def list_events(call: Call) -> Body:
    """A page of events: all, or what changed since a sync token."""
    calendar = call.calendar()
    _check(call)
    listing = _listing(call, calendar)
    found = [
        (item, bare) for item, bare in _entries(call, calendar, listing) if _matches(call, calendar, item)
    ]
    _sort(found, call.get("orderBy"), calendar)
    size = min(call.get("maxResults", 250), _MOST)
    answer = _page(call, calendar, found, listing.offset, size)
    if call.request.repeat_page:
        answer["nextPageToken"] = encode(vars(listing))
    elif listing.offset + size < len(found):
        answer["nextPageToken"] = encode(
            vars(listing) | {"offset": listing.offset + size, "page": listing.page + 1}
        )
    elif not any(name in call.args for name in _NEVER_TOKENED):
        answer["nextSyncToken"] = encode(
            {
                "calendar": calendar.id,
                "query": listing.query,
                "version": listing.until,
                "low": listing.low,
                "high": listing.high,
            }
        )
    return answer


def _check(call: Call) -> None:
    if "syncToken" in call.args:
        for name in _NOT_WITH_TOKEN:
            if name in call.args:
                raise invalid(name, f"Sync token cannot be used with query restrictions: {name}.")
        if call.get("showDeleted") is False:
            raise invalid("showDeleted", "showDeleted may not be false with a sync token.")
    if call.get("orderBy") == "startTime" and not call.get("singleEvents"):
        raise GoogleError(
            400, "badRequest", "The requested ordering is not available for the particular query."
        )
    low, high = call.get("timeMin"), call.get("timeMax")
    if low and high and parse(low) >= parse(high):
        raise GoogleError(400, "timeRangeEmpty", "The specified time range is empty.", location="timeMax")


def _listing(call: Call, calendar: Calendar) -> _Listing:
    google = call.google
    query = fingerprint(call.args | {"calendarId": calendar.id}, *_PAGING, "timeMin", "timeMax")
    pages = fingerprint(call.args | {"calendarId": calendar.id}, *(set(_PAGING) - {"syncToken"}))
    since, low, high = 0, call.get("timeMin", ""), call.get("timeMax", "")
    if "syncToken" in call.args:
        token = decode(call.args["syncToken"], "syncToken")
        if token.get("calendar") != calendar.id or token.get("query") != query:
            raise _foreign(google.foreign_token_status, "syncToken")
        if token["version"] < calendar.oldest:
            raise GoogleError(410, location="syncToken")
        since, low, high = token["version"], token["low"], token["high"]
    if "pageToken" not in call.args:
        return _Listing(query, pages, since, google.tick(), low=low, high=high)
    place = decode(call.args["pageToken"], "pageToken")
    if place.get("pages") != pages:
        raise _foreign(google.foreign_token_status, "pageToken")
    listing = _Listing(**place)
    if listing.since and listing.since < calendar.oldest:
        raise GoogleError(410, location="syncToken")
    return listing


def _foreign(status: int, location: str) -> GoogleError:
    if status == 410:
        return GoogleError(410, location=location)
    word = "sync" if location == "syncToken" else "page"
    return invalid(location, f"Invalid {word} token value.")


def _entries(call: Call, calendar: Calendar, listing: _Listing) -> Iterable[tuple[Item, bool]]:
    """What the list holds; the flag asks for bare tombstones."""
    changed = sorted(calendar.items.values(), key=lambda item: item.serial)
    if listing.since:
        changed = [item for item in changed if item.version > listing.since]
    deleted = bool(call.get("showDeleted") or listing.since or call.get("updatedMin"))
    bare = not call.get("showDeleted")
    if not call.get("singleEvents"):
        for item in changed:
            if item.cancelled and not deleted and not _excepted(calendar, item):
                continue
            if _within(calendar, item, listing):
                yield item, bare
        return
    for item in changed:
        if item.recurring:
            plain = (
                each
                for each in calendar.instances(item, _time(listing.low), _high(call, listing))
                if each.plain and (deleted or not item.cancelled)
            )
            yield from ((each, bare) for each in plain)
        elif (deleted or not item.cancelled) and _within(calendar, item, listing):
            yield item, bare


def _excepted(calendar: Calendar, item: Item) -> bool:
    """Whether it is a cancelled instance of a series that is not cancelled itself."""
    master = calendar.items.get(item.body.get("recurringEventId", ""))
    return "recurringEventId" in item.body and (master is None or not master.cancelled)


def _time(text: str) -> datetime | None:
    return parse(text) if text else None


def _high(call: Call, listing: _Listing) -> datetime:
    return parse(listing.high) if listing.high else call.google.now() + _HORIZON


def _within(calendar: Calendar, item: Item, listing: _Listing) -> bool:
    """Whether an event is in the asked window; what changed since a token is told wherever it lies."""
    low, high = _time(listing.low), _time(listing.high)
    if (low is None and high is None) or listing.since:
        return True
    if item.recurring:
        limit = high or (low + _HORIZON if low else None)
        return limit is None or any(True for _ in calendar.instances(item, low, limit))
    start, end = (instant(item.body[name], calendar.time_zone) for name in ("start", "end"))
    return (low is None or end > low) and (high is None or start < high)


def _matches(call: Call, calendar: Calendar, item: Item) -> bool:
    body = item.body
    if "eventTypes" in call.args and body.get("eventType") not in call.args["eventTypes"]:
        return False
    if "iCalUID" in call.args and body.get("iCalUID") != call.args["iCalUID"]:
        return False
    if "updatedMin" in call.args and parse(body["updated"]) < parse(call.args["updatedMin"]):
        return False
    if "q" in call.args:
        told = " ".join(
            str(body.get(name, "")) for name in ("summary", "description", "location", "attendees")
        )
        if call.args["q"].lower() not in told.lower():
            return False
    for kind in ("private", "shared"):
        for pair in call.get(f"{kind}ExtendedProperty", ()):
            name, _, value = pair.partition("=")
            if body.get("extendedProperties", {}).get(kind, {}).get(name) != value:
                return False
    return True


def _sort(found: list[tuple[Item, bool]], order: str | None, calendar: Calendar) -> None:
    if order == "startTime":
        found.sort(key=lambda pair: instant(pair[0].body["start"], calendar.time_zone))
    elif order == "updated":
        found.sort(key=lambda pair: pair[0].body["updated"])


def _page(call: Call, calendar: Calendar, found: list[tuple[Item, bool]], offset: int, size: int) -> Body:
    zone = call.get("timeZone") or calendar.time_zone
    most, who = call.get("maxAttendees"), call.user.email
    return {
        "kind": "calendar#events",
        "etag": f'"p33o{calendar.version:08d}"',
        "summary": calendar.summary,
        "updated": stamp(call.google.now()),
        "timeZone": calendar.time_zone,
        "accessRole": calendar.roles[who],
        "defaultReminders": [{"method": "popup", "minutes": 10}],
        "items": [
            view(calendar, item, who, zone, most, bare=bare) for item, bare in found[offset : offset + size]
        ],
    }


@serves("calendar.events.instances")
def list_instances(call: Call) -> Body:
    """A page of a series' instances."""
    calendar = call.calendar()
    master = calendar.find(call.args["eventId"])
    if master is None or not master.recurring:
        raise not_found()
    low, high = _time(call.get("timeMin", "")), _time(call.get("timeMax", ""))
    found = [
        (item, False)
        for item in calendar.instances(master, low, high or call.google.now() + _HORIZON)
        if (not item.cancelled or call.get("showDeleted"))
        and call.get("originalStart") in (None, *item.body["originalStartTime"].values())
    ]
    place = decode(call.args["pageToken"], "pageToken") if "pageToken" in call.args else {}
    offset, size = place.get("offset", 0), min(call.get("maxResults", 250), _MOST)
    answer = _page(call, calendar, found, offset, size)
    if offset + size < len(found):
        answer["nextPageToken"] = encode({"offset": offset + size, "page": place.get("page", 1) + 1})
    return answer
