"""What becomes of a meeting in all its mailboxes when somebody changes, cancels, leaves or answers it."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from tests.support.fake_graph.events import OWN, Guest, Item, deliver, shown_as
from tests.support.fake_graph.graph_errors import GraphError
from tests.support.fake_graph.patterns import moved as moved_pattern

if TYPE_CHECKING:
    from tests.support.fake_graph.world import FakeGraph

Json = dict[str, Any]
Change = dict[str, Any]
"""Attributes of an item by name; those of Graph under ``fields``."""

_TIMED = ("start", "end", "all_day", "recurrence")


@dataclass
class Notice:
    """A mail that Exchange sent by itself, to whom and about which event of the sender's.

    ``kind`` is invitation, update, cancellation or response; of a response, ``response`` and ``proposed`` say
    which.
    """

    to: str
    kind: str
    event: str
    by: str
    response: str = ""
    comment: str = ""
    proposed: tuple[datetime, datetime] | None = None


def copies(graph: FakeGraph, item: Item) -> list[Item]:
    """The other copies of an event or instance, the organiser's first."""
    found = []
    for calendar in graph.calendars.values():
        for each in calendar.items.values():
            if each.uid != item.uid or each is item.root:
                continue
            if each.day == item.day:
                found.append(each)
            elif item.day is not None and each.has(item.day):
                found.append(each.instance(item.day))
    return sorted(found, key=lambda each: not each.mine)


def amend(graph: FakeGraph, item: Item, change: Change) -> Item:
    """Change a meeting as its organiser; every copy follows, and Exchange tells the guests.

    A change of time takes the answers back. Raises GraphError where an instance would pass its neighbours.
    """
    if item.master is not None and "start" in change:
        _hold_between(item, change["start"])
    shared = _shared(change)
    moved = any(name in change and change[name] != getattr(item, name) for name in _TIMED)
    before = {each.address for each in item.guests}
    target = _apply(graph, item.kept(), change, moved=moved)
    after = {each.address: each for each in target.guests}
    if shared:
        for other in copies(graph, target):
            gone = not other.mine and not other.calendar.owner.addresses & {name.lower() for name in after}
            if gone and "guests" in change:
                _call_off(other)
            else:
                _apply(graph, other.kept(), shared, moved=moved)
    if target.mine and shared:
        for guest in target.guests:
            _restore(graph, target, guest)
    _tell(graph, target, change, before)
    return target


def _restore(graph: FakeGraph, item: Item, guest: Guest) -> None:
    """A guest who has no copy, or not any more, gets one by the mail that tells of the change."""
    user = graph.user_of(guest.address)
    if user is None or any(each.calendar.owner is user for each in (item, *copies(graph, item))):
        return
    for series in copies(graph, item.master) if item.master is not None else ():
        if series.calendar.owner is user and item.day in series.gone:
            series.gone.discard(item.day)
            kept = series.instance(item.day).kept()
            kept.start, kept.end, kept.response, kept.responded = item.start, item.end, "notResponded", None
            kept.fields |= {name: value for name, value in item.fields.items() if name not in OWN}
            kept.fields["showAs"] = "tentative"
            kept.touch()
            return
    deliver(item, guest)


def _shared(change: Change) -> Change:
    """What of a change reaches the other copies."""
    made = {name: value for name, value in change.items() if name != "fields"}
    fields = {name: value for name, value in change.get("fields", {}).items() if name not in OWN}
    return made | ({"fields": fields} if fields else {})


def _hold_between(item: Item, start: datetime) -> None:
    assert item.master is not None
    assert item.day is not None
    before, after = item.master.neighbours(item.day)
    day = start.astimezone(item.master.start.tzinfo).date()
    if (before is not None and day <= before) or (after is not None and day >= after):
        message = "Modified occurrence is crossing or overlapping adjacent occurrence."
        raise GraphError(400, "ErrorOccurrenceCrossingBoundary", message)


def _apply(graph: FakeGraph, item: Item, change: Change, *, moved: bool) -> Item:
    for name, value in change.items():
        if name == "fields":
            _change_fields(item, value)
        elif name == "guests" and not item.mine:
            item.guests = [replace(each, response="none", time=None, proposed=None) for each in value]
        else:
            setattr(item, name, copy.deepcopy(value))
    if moved and item.recurrence is not None:
        item.exceptions.clear()
        item.gone.clear()
        if "recurrence" not in change:
            item.recurrence = moved_pattern(item.recurrence, item.start)
    if moved and item.mine:
        for guest in item.guests:
            if guest.address.lower() not in item.calendar.owner.addresses:
                guest.response, guest.time, guest.proposed = graph.resets_to, None, None
    elif moved:
        item.response, item.responded = "notResponded", None
        item.fields["showAs"] = "tentative"
    item.touch()
    return item


def _change_fields(item: Item, fields: Json) -> None:
    """Exceptions of a series follow it in what is not their own."""
    for each in item.exceptions.values():
        same = {name: value for name, value in fields.items() if each.fields[name] == item.fields[name]}
        each.fields |= copy.deepcopy(same)
    item.fields |= copy.deepcopy(fields)


def _tell(graph: FakeGraph, item: Item, change: Change, before: set[str]) -> None:
    """The mails Exchange sends after an organiser's change; the owner's own fields are told to nobody."""
    if not item.mine or not _shared(change):
        return
    now = {each.address for each in item.guests}
    only_guests = set(_shared(change)) == {"guests"}
    for address in sorted(before | now):
        if address.lower() in item.calendar.owner.addresses:
            continue
        if address not in now:
            graph.notices.append(Notice(address, "cancellation", item.id, item.organizer.address))
        elif address not in before:
            graph.notices.append(Notice(address, "invitation", item.id, item.organizer.address))
        elif not only_guests:
            graph.notices.append(Notice(address, "update", item.id, item.organizer.address))


def invite(graph: FakeGraph, item: Item) -> None:
    """Tell everybody of a new meeting."""
    for guest in item.guests:
        if guest.address.lower() not in item.calendar.owner.addresses:
            graph.notices.append(Notice(guest.address, "invitation", item.id, item.organizer.address))


def cancel(graph: FakeGraph, item: Item) -> None:
    """The organiser calls a meeting or one instance off: their copy goes, the guests' stay and say so."""
    for other in copies(graph, item):
        if not other.mine:
            _call_off(other)
    if not item.mine:
        _call_off(item)
        return
    for guest in item.guests:
        if guest.address.lower() not in item.calendar.owner.addresses:
            graph.notices.append(Notice(guest.address, "cancellation", item.id, item.organizer.address))
    item.leave()


def _call_off(item: Item) -> None:
    if item.fields["isCancelled"]:
        return
    kept = item.kept()
    subject = f"Canceled: {kept.fields['subject']}"
    kept.fields |= {"isCancelled": True, "subject": subject, "showAs": "free"}
    for each in kept.exceptions.values():
        _call_off(each)
    kept.touch()


def respond(
    graph: FakeGraph,
    item: Item,
    response: str,
    *,
    comment: str = "",
    send: bool = True,
    proposed: tuple[datetime, datetime] | None = None,
) -> None:
    """A guest answers on their copy. What was declined leaves the calendar, unless ``keeps_declined``."""
    organizers = [each for each in copies(graph, item) if each.mine]
    kept = item.kept()
    kept.response, kept.responded = response, graph.now()
    kept.fields["showAs"] = shown_as(response)
    kept.touch()
    if response == "declined" and not graph.keeps_declined:
        kept.leave()
    if not send:
        return
    who = item.calendar.owner
    told = Notice(item.organizer.address, "response", item.id, who.email, response, comment, proposed)
    graph.notices.append(told)
    for each in organizers:
        record(graph, each, who.addresses, response, proposed)


def record(
    graph: FakeGraph,
    item: Item,
    who: frozenset[str],
    response: str,
    proposed: tuple[datetime, datetime] | None,
) -> None:
    """The organiser's copy learns an answer."""
    kept = item.kept()
    guest = next((each for each in kept.guests if each.address.lower() in who), None)
    if guest is None:
        guest = Guest(min(who), min(who), "optional")
        kept.guests.append(guest)
    guest.response, guest.time, guest.proposed = response, graph.now(), proposed
    kept.touch()
