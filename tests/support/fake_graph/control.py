"""What people do by hand, asked for over HTTP; only where the fake runs as a program."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from tests.support.fake_graph import graph_errors
from tests.support.fake_graph.times import stamp
from tests.support.wire import Answer, Request

if TYPE_CHECKING:
    from tests.support.fake_graph.world import FakeGraph

DANA, JO = "dana@acme.example", "jo@acme.example"


def serve(graph: FakeGraph, request: Request) -> Answer:
    """Do it, and tell the state as it is then."""
    asked = {name: values[0] for name, values in request.query.items()}
    act = _ACTS.get(request.path.removeprefix("/_fake/"))
    if act is None:
        return Answer.of(404, {"error": f"one of {', '.join(_ACTS)}"})
    act(graph, asked, request)
    return Answer.of(200, _state(graph))


def _answer(graph: FakeGraph, asked: dict[str, str], request: Request) -> None:
    start = _time(asked["propose"]) if "propose" in asked else None
    length = timedelta(minutes=int(asked.get("minutes", "30")))
    graph.answer(asked["event"], asked["who"], asked["status"], (start, start + length) if start else None)


def _event(graph: FakeGraph, asked: dict[str, str], request: Request) -> None:
    start = _time(asked["start"])
    more: dict[str, Any] = {"onlineMeeting": {"joinUrl": asked["join"]}} if "join" in asked else {}
    if "organizer" in asked:
        more["organizer"] = asked["organizer"]
    end = start + timedelta(minutes=int(asked.get("minutes", "30")))
    guests: dict[str, Any] = dict.fromkeys(request.query.get("who", []), "none")
    graph.users[asked.get("user", DANA)].primary.event(asked["subject"], start, end, guests, **more)


def _call(graph: FakeGraph, asked: dict[str, str], request: Request) -> None:
    report = graph.teams.record(asked["join"], DANA, _time(asked["start"]), _time(asked["end"]))
    for who in request.query.get("who", []):
        user = graph.user_of(who)
        report.attended(who if "@" in who else None, user.name if user else who)


def _fail(graph: FakeGraph, asked: dict[str, str], request: Request) -> None:
    times = int(asked["times"]) if "times" in asked else None
    wait = float(asked["retry_after"]) if "retry_after" in asked else None
    effect = graph_errors.error(int(asked["status"]), asked.get("code", ""), retry_after=wait)
    graph.fail(asked["route"], effect, times=times)


def _away(graph: FakeGraph, asked: dict[str, str], request: Request) -> None:
    start, end = (_time(asked[name]) if name in asked else None for name in ("start", "end"))
    graph.users[asked.get("user", DANA)].away(start, end)


_ACTS: dict[str, Callable[[FakeGraph, dict[str, str], Request], None]] = {
    "answer": _answer,
    "move": lambda graph, asked, _: graph.move(asked["event"], _time(asked["start"])),
    "cancel": lambda graph, asked, _: graph.cancel(asked["event"]),
    "remove": lambda graph, asked, _: graph.delete(asked["event"], asked["who"]),
    "event": _event,
    "call": _call,
    "away": _away,
    "send_draft": lambda graph, asked, _: graph.mail.send_draft(asked["user"], asked["message"]),
    "delete_draft": lambda graph, asked, _: graph.mail.delete_draft(asked["user"], asked["message"]),
    "fail": _fail,
    "heal": lambda graph, asked, _: graph.heal(),
    "state": lambda graph, asked, _: None,
}


def _time(text: str) -> datetime:
    """A time with its offset, whose plus sign may have become a space on its way."""
    return datetime.fromisoformat(text.replace(" ", "+"))


def _state(graph: FakeGraph) -> dict[str, Any]:
    """Everything worth looking at."""
    return {
        "events": {
            f"{calendar.owner.email} {calendar.name}": [
                {
                    "id": item.id,
                    "type": item.kind,
                    "subject": item.fields["subject"],
                    "start": stamp(item.start),
                    "isOrganizer": item.mine,
                    "isCancelled": item.fields["isCancelled"],
                    "categories": item.fields["categories"],
                    "response": item.response,
                    "attendees": {guest.address: guest.response for guest in item.guests},
                }
                for item in calendar.items.values()
            ]
            for calendar in graph.calendars.values()
        },
        "notices": [{"to": each.to, "kind": each.kind, "event": each.event} for each in graph.notices],
        "sent": {
            who: [raw.decode("utf-8", "replace") for raw in box.sent] for who, box in graph.mail.boxes.items()
        },
        "drafts": {who: [each.id for each in box.inside("drafts")] for who, box in graph.mail.boxes.items()},
        "requests": Counter(each.route for each in graph.requests),
        "most_at_once": graph.most_at_once,
        "problems": graph.problems,
    }
