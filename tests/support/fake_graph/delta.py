"""calendarView/delta: rounds of changes in a window that is fixed when the first one begins."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from tests.support.fake_graph import views
from tests.support.fake_graph.call import Call, serves
from tests.support.fake_graph.events import Calendar, Item
from tests.support.fake_graph.graph_errors import GraphError, invalid
from tests.support.fake_graph.times import bound
from tests.support.wire import Answer, Request

if TYPE_CHECKING:
    from tests.support.fake_graph.world import FakeGraph

Json = dict[str, Any]

_TOKENS = ("$deltatoken", "$skiptoken")
_USUAL, _MOST = 10, 1000
_NOT_SUPPORTED = (
    "The following parameters are not supported with change tracking over the 'CalendarView' resource: "
    "'$orderby, $filter, $select, $expand, $search, $top'."
)


@dataclass
class Round:
    """A place in a round, or between two: what was told before, and what is still to be told.

    ``known`` are the versions told so far, by id; ``seen`` is the calendar's version when the round began.
    ``parts`` is what is still to come, each part kept on one page where the server does so.
    """

    base: str
    calendar: str
    low: datetime
    high: datetime
    word: str
    known: dict[str, int] = field(default_factory=dict)
    seen: int = 0
    parts: list[list[str]] = field(default_factory=list)
    page: int = 1
    later: bool = False


def page_number(graph: FakeGraph, request: Request) -> int:
    """Which page of a round a request asks for."""
    token = request.one("$skiptoken")
    found = graph.rounds.get(token) if token else None
    return found.page if found else 1


@serves(
    "calendarView.delta", "GET", "/calendars/{calendar}/calendarView/delta", "Calendars.Read", shared=True
)
@serves("calendarView.delta", "GET", "/calendar/calendarView/delta", "Calendars.Read", shared=True)
@serves("calendarView.delta", "GET", "/calendarView/delta", "Calendars.Read", shared=True)
def delta(call: Call) -> Answer:
    """A page of a round."""
    calendar, zone = call.calendar(), call.zone
    place = _place(call, calendar)
    if place.word == "$deltatoken":
        place = _begun(call.graph, calendar, place)
    asked = call.prefers("odata.maxpagesize") or ""
    size = min(int(asked), _MOST) if asked.isdecimal() and int(asked) else _USUAL
    told, rest = _cut(call.graph, place.parts, size)
    items = [made for each in told if (made := _shown(calendar, each, place, zone)) is not None]
    answer: Json = {"@odata.context": f"{call.graph.root}/$metadata#Collection(event)"}
    if call.request.repeat_page:
        answer["@odata.nextLink"] = _link(call.graph, place)
    elif rest:
        further = Round(**vars(place) | {"parts": rest, "page": place.page + 1, "word": "$skiptoken"})
        answer["@odata.nextLink"] = _link(call.graph, further)
    else:
        done = Round(**vars(place) | {"parts": [], "page": 1, "word": "$deltatoken", "later": True})
        answer["@odata.deltaLink"] = _link(call.graph, done)
    return Answer.of(200, answer | {"value": items})


def _place(call: Call, calendar: Calendar) -> Round:
    """Where the request goes on, or the beginning. Raises GraphError."""
    graph, query = call.graph, call.request.query
    names = {name.lower() for name in query}
    tokens = [name for name in query if name in _TOKENS]
    if tokens:
        if len(query) > 1:
            extra = ", ".join(sorted(set(query) - set(tokens)))
            raise invalid(
                f"The query parameter '{extra}' may not be added to a state token.", "ErrorInvalidUrlQuery"
            )
        found = graph.rounds.get(query[tokens[0]][0])
        if found is None:
            raise GraphError(*graph.gone)
        if found.word != tokens[0] or found.base != call.request.path:
            raise invalid("Badly formed token.", "ErrorInvalidUrlQuery")
        return found
    if any(name.startswith("$") for name in names):
        raise invalid(_NOT_SUPPORTED, "ErrorInvalidUrlQuery")
    low, high = (
        bound(call.option("startDateTime"), "StartDateTime"),
        bound(call.option("endDateTime"), "EndDateTime"),
    )
    if low >= high:
        raise invalid("The end of the time window must be after its start.", "ErrorInvalidParameter")
    return Round(call.request.path, calendar.id, low, high, "$deltatoken")


def _begun(graph: FakeGraph, calendar: Calendar, last: Round) -> Round:
    """A new round: what is in the window by another version than was told, and what left it."""
    now: dict[str, int] = {}
    parts: list[list[str]] = []
    for item in calendar.view(last.low, last.high):
        now[item.id] = item.root.version
        if last.known.get(item.id) == item.root.version:
            continue
        if item.recurrence is not None and last.later and not graph.tells_masters:
            continue
        if item.master is not None and parts and item.master.id in _series(graph, parts[-1]):
            parts[-1].append(item.id)
        else:
            parts.append([item.id])
    if graph.masters_last:
        parts = [part[1:] + part[:1] if part[0] in calendar.items else part for part in parts]
    parts += [[each] for each in last.known if each not in now and _told_gone(graph, calendar, each)]
    if last.later and graph.tells_outside:
        parts += [[each] for each in _outside(calendar, last) if each not in now and each not in last.known]
    fresh = {"known": now, "seen": calendar.version, "parts": parts, "page": 1, "word": "$skiptoken"}
    return Round(**vars(last) | fresh)


def _told_gone(graph: FakeGraph, calendar: Calendar, name: str) -> bool:
    """Whether what left the window is named: not an instance that its series just does not have any more."""
    master = graph.instances.get(name, (None, None))[0]
    vanished = master is not None and master.id in calendar.items and calendar.find(name) is None
    return graph.tells_vanished or not vanished


def _series(graph: FakeGraph, part: list[str]) -> set[str]:
    """The series a part belongs to."""
    master = graph.instances.get(part[-1], (None, None))[0]
    return {part[0]} | ({master.id} if master else set())


def _outside(calendar: Calendar, last: Round) -> list[str]:
    """What changed or went outside the window."""
    changed = [each.id for each in calendar.items.values() if each.version > last.seen]
    return changed + [each for each, version in calendar.graves.items() if version > last.seen]


def _cut(graph: FakeGraph, parts: list[list[str]], size: int) -> tuple[list[str], list[list[str]]]:
    """The ids of one page, and the parts after it."""
    if graph.splits_series:
        flat = [each for part in parts for each in part]
        return flat[:size], [[each] for each in flat[size:]]
    told: list[str] = []
    for place, part in enumerate(parts):
        if told and len(told) + len(part) > size:
            return told, parts[place:]
        told += part
    return told, []


def _shown(calendar: Calendar, name: str, place: Round, zone: str) -> Json | None:
    """An item as it is now; what is not in the window, or not any more, is removed."""
    item = calendar.find(name)
    if item is None or name not in place.known or not _inside(item, place):
        return {"@odata.type": "#microsoft.graph.event", "id": name, "@removed": {"reason": "deleted"}}
    if item.kind == "occurrence":
        return views.sparse(item, zone)
    return {"@odata.type": "#microsoft.graph.event"} | views.event(item, zone)


def _inside(item: Item, place: Round) -> bool:
    if item.recurrence is not None:
        return next(item.instances(place.low, place.high), None) is not None
    return item.start < place.high and (item.end > place.low or item.start >= place.low)


def _link(graph: FakeGraph, place: Round) -> str:
    """A link under a token that says nothing."""
    token = "R0usmc" + hashlib.sha256(f"round {graph.tick()}".encode()).hexdigest()[:32]
    graph.rounds[token] = place
    return f"{graph.root.removesuffix('/v1.0')}{place.base}?{place.word}={token}"
