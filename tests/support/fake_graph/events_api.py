"""Reading and writing one event: get, instances, patch, create, delete, and a guest's answer."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from typing import Any

from tests.support.fake_graph import meetings, views
from tests.support.fake_graph.call import Call, Handler, serves
from tests.support.fake_graph.changing import change_of
from tests.support.fake_graph.events import Item
from tests.support.fake_graph.graph_errors import denied, invalid
from tests.support.fake_graph.meetings import Change
from tests.support.fake_graph.times import bound, read
from tests.support.wire import Answer

Json = dict[str, Any]

_ANSWERS = {"accept": "accepted", "tentativelyAccept": "tentativelyAccepted", "decline": "declined"}
_ORGANISERS = ("start", "end", "isAllDay", "recurrence", "attendees")
_CALENDARS = ("", "/calendar", "/calendars/{calendar}")


def _serves_everywhere(
    route: str, verb: str, path: str, scope: str, odata: tuple[str, ...] = ()
) -> Callable[[Handler], Handler]:
    """The paths below a mailbox, its default calendar and any of its calendars mean the same event."""

    def keep(handler: Handler) -> Handler:
        for each in _CALENDARS:
            serves(route, verb, each + path, scope, shared=True, odata=odata)(handler)
        return handler

    return keep


@_serves_everywhere("events.get", "GET", "/events/{event}", "Calendars.Read", odata=("$select",))
def get(call: Call) -> Answer:
    """One event, series or instance."""
    made = _entity(call, call.event())
    return Answer.of(200, select_event(call, made), {"ETag": made["@odata.etag"]})


def select_event(call: Call, made: Json) -> Json:
    """What the request wants of an event."""
    return views.select(made, call.option("$select"))


def _entity(call: Call, item: Item) -> Json:
    return {"@odata.context": call.context("events/$entity")} | views.event(item, call.zone)


@_serves_everywhere(
    "events.instances",
    "GET",
    "/events/{event}/instances",
    "Calendars.Read",
    odata=("$select", "$top", "$skip"),
)
def instances(call: Call) -> Answer:
    """A page of the instances of a series in a window, each in full."""
    low, high = (
        bound(call.option("startDateTime"), "StartDateTime"),
        bound(call.option("endDateTime"), "EndDateTime"),
    )
    master, zone = call.event(), call.zone
    if master.recurrence is None:
        raise invalid("Expand series can only be performed against a series.", "ErrorInvalidOperation")
    found = sorted(master.instances(low, high), key=lambda each: each.start)
    rows = [select_event(call, views.event(each, zone)) for each in found]
    return call.paged(rows, 10, 1000, "events")


@_serves_everywhere(
    "calendarView", "GET", "/calendarView", "Calendars.Read", odata=("$select", "$top", "$skip")
)
def calendar_view(call: Call) -> Answer:
    """A page of what touches a window: instances in full, no series."""
    low, high = (
        bound(call.option("startDateTime"), "StartDateTime"),
        bound(call.option("endDateTime"), "EndDateTime"),
    )
    found = [each for each in call.calendar().view(low, high) if each.recurrence is None]
    zone = call.zone
    rows = [
        select_event(call, views.event(each, zone)) for each in sorted(found, key=lambda each: each.start)
    ]
    return call.paged(rows, 10, 1000, "calendarView")


@_serves_everywhere("events.patch", "PATCH", "/events/{event}", "Calendars.ReadWrite")
def patch(call: Call) -> Answer:
    """Change an event. Exchange tells the guests by itself where they have to know."""
    item, given = call.event(), call.body()
    call.match(item)
    if not item.mine and any(name in given for name in _ORGANISERS) and not call.graph.guests_may_move:
        raise denied()
    change = change_of(call, item, given)
    item = meetings.amend(call.graph, item, change) if item.mine else _alone(item, change)
    made = _entity(call, item)
    return Answer.of(200, made, {"ETag": made["@odata.etag"]})


def _alone(item: Item, change: Change) -> Item:
    """Change a guest's copy and no other."""
    kept = item.kept()
    for name, value in change.items():
        if name == "fields":
            kept.fields |= value
        else:
            setattr(kept, name, value)
    kept.touch()
    return kept


@serves("events.create", "POST", "/calendars/{calendar}/events", "Calendars.ReadWrite", shared=True)
@serves("events.create", "POST", "/calendar/events", "Calendars.ReadWrite", shared=True)
@serves("events.create", "POST", "/events", "Calendars.ReadWrite", shared=True)
def create(call: Call) -> Answer:
    """A new event, and invitations to its guests; the one there is where the transaction is known."""
    calendar, given = call.calendar(), call.body()
    transaction = given.get("transactionId")
    if not calendar.can_edit:
        raise denied()
    item = next(
        (each for each in calendar.items.values() if transaction and each.transaction == transaction), None
    )
    if item is None:
        change = change_of(call, None, given)
        start: datetime | date = change["start"]
        end: datetime | date = change["end"]
        if change.get("all_day"):
            start, end = change["start"].date(), change["end"].date()
        fields = change.get("fields", {})
        guests: dict[str, str | Json] = {
            each.address: {"type": each.kind, "name": each.name} for each in change.get("guests", ())
        }
        made = calendar.event(
            fields.pop("subject", ""),
            start,
            end,
            guests,
            zone=change["zone"],
            recurrence=change.get("recurrence"),
            transaction=transaction,
            **fields,
        )
        item = calendar.items[made]
        item.end_zone = change["end_zone"]
        item.extended = {one["id"]: one["value"] for one in given.get("singleValueExtendedProperties", ())}
        meetings.invite(call.graph, item)
    shown = _entity(call, item)
    place = f"{call.graph.root}/users/{call.user.id}/events/{item.id}"
    return Answer.of(201, shown, {"ETag": shown["@odata.etag"], "Location": place})


@_serves_everywhere("events.delete", "DELETE", "/events/{event}", "Calendars.ReadWrite")
def delete(call: Call) -> Answer:
    """Remove an event; where it is the organiser's, that calls it off."""
    item = call.event()
    call.match(item)
    if item.mine:
        meetings.cancel(call.graph, item)
    else:
        item.leave()
    return Answer(204)


@_serves_everywhere("events.cancel", "POST", "/events/{event}/cancel", "Calendars.ReadWrite")
def cancel(call: Call) -> Answer:
    """The organiser calls a meeting off."""
    item = call.event()
    if not item.mine:
        raise invalid("Your request can't be completed. You need to be an organizer to cancel a meeting.")
    meetings.cancel(call.graph, item)
    return Answer(202)


@_serves_everywhere("events.accept", "POST", "/events/{event}/accept", "Calendars.ReadWrite")
@_serves_everywhere(
    "events.tentativelyAccept", "POST", "/events/{event}/tentativelyAccept", "Calendars.ReadWrite"
)
@_serves_everywhere("events.decline", "POST", "/events/{event}/decline", "Calendars.ReadWrite")
def respond(call: Call) -> Answer:
    """A guest answers, perhaps with another time."""
    item, given = call.event(), {name.lower(): value for name, value in call.body().items()}
    verb = call.method.route.rpartition(".")[2]
    if item.mine:
        message = "Your request can't be completed. You can't respond to this meeting because you're the "
        raise invalid(f"{message}meeting organizer.")
    send = str(given.get("sendresponse", True)).lower() != "false"
    proposed = given.get("proposednewtime")
    if proposed is not None and verb == "accept":
        raise invalid("The parameter 'ProposedNewTime' is not valid for this action.", "RequestBodyRead")
    if proposed is not None and not item.fields["allowNewTimeProposals"]:
        raise invalid("The organizer hasn't allowed new time proposals for this meeting.")
    if proposed is not None and not send:
        raise invalid("SendResponse must be true when a new time is proposed.")
    slot = _slot(proposed) if proposed is not None else None
    comment = str(given.get("comment") or "")
    meetings.respond(call.graph, item, _ANSWERS[verb], comment=comment, send=send, proposed=slot)
    return Answer(202)


def _slot(given: Any) -> tuple[datetime, datetime]:
    fields = {name.lower(): value for name, value in given.items()} if isinstance(given, dict) else {}
    start, end = read(fields.get("start"), "start")[0], read(fields.get("end"), "end")[0]
    if end <= start:
        raise invalid("The proposed time ends before it starts.")
    return start, end
