"""What people do by hand, asked for over HTTP; only where the fake runs as a program."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from tests.support.fake_google import faults
from tests.support.wire import Answer, Request

if TYPE_CHECKING:
    from tests.support.fake_google.world import FakeGoogle

DANA, JO = "dana@acme.example", "jo@acme.example"


def serve(google: FakeGoogle, request: Request) -> Answer:
    """Do it, and tell the state as it is then."""
    asked = {name: values[0] for name, values in request.query.items()}
    act = _ACTS.get(request.path.removeprefix("/_fake/"))
    if act is None:
        return Answer.of(404, {"error": f"one of {', '.join(_ACTS)}"})
    act(google, asked, request)
    return Answer.of(200, _state(google))


def _event(google: FakeGoogle, asked: dict[str, str], request: Request) -> None:
    start = _time(asked["start"])
    more: dict[str, Any] = {"conference": asked["conference"]} if "conference" in asked else {}
    guests = {DANA: "accepted"} | dict.fromkeys(request.query.get("who", []), "needsAction")
    end = start + timedelta(minutes=int(asked.get("minutes", "30")))
    google.calendars[DANA].event(asked["summary"], start, end, guests, **more)


def _call(google: FakeGoogle, asked: dict[str, str], request: Request) -> None:
    call = google.meet.record(asked["code"], DANA, _time(asked["start"]), _time(asked["end"]))
    for name in request.query.get("name", []):
        user = next((user for user in google.users.values() if user.name == name), None)
        call.signed_in(user or name)


def _fail(google: FakeGoogle, asked: dict[str, str], request: Request) -> None:
    times = int(asked["times"]) if "times" in asked else None
    google.fail(asked["route"], faults.error(int(asked["status"]), asked.get("reason", "")), times=times)


_ACTS: dict[str, Callable[[FakeGoogle, dict[str, str], Request], None]] = {
    "answer": lambda google, asked, _: google.answer(asked["event"], asked["who"], asked["status"]),
    "move": lambda google, asked, _: google.move(asked["event"], _time(asked["start"])),
    "cancel": lambda google, asked, _: google.cancel(asked["event"]),
    "remove": lambda google, asked, _: google.delete_own_copy(asked["event"], asked["who"]),
    "event": _event,
    "call": _call,
    "fail": _fail,
    "heal": lambda google, asked, _: google.heal(),
    "state": lambda google, asked, _: None,
}


def _time(text: str) -> datetime:
    """A time with its offset, whose plus sign may have become a space on its way."""
    return datetime.fromisoformat(text.replace(" ", "+"))


def _state(google: FakeGoogle) -> dict[str, Any]:
    """Everything worth looking at."""
    return {
        "events": {
            name: [
                {
                    key: item.body.get(key)
                    for key in ("id", "status", "summary", "start", "attendees", "sequence")
                }
                for item in calendar.items.values()
            ]
            for name, calendar in google.calendars.items()
        },
        "notices": [vars(notice) for notice in google.notices],
        "sent": {
            user: [raw.decode("utf-8", "replace") for raw in box.sent]
            for user, box in google.mail.boxes.items()
        },
        "drafts": {user: len(box.drafts) for user, box in google.mail.boxes.items()},
        "requests": Counter(each.route for each in google.requests),
        "problems": google.problems,
    }
