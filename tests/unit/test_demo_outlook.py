"""The demo's stand-in for Microsoft says nothing that Graph could not say."""

from __future__ import annotations

from datetime import UTC, datetime

from daemon.demo.outlook import CALENDAR, TENANT, OutlookServer
from daemon.demo.story import CALENDARS, DANA, MOMENTS, OUTLOOK, PRICING
from tests.support.authority import trusted
from tests.support.fake_graph.server import fake_graph
from tests.support.fake_graph.views import event

MAILBOX = f"/v1.0/users/{DANA.address}"


def stand_in() -> OutlookServer:
    """With the one meeting of its account, as it is at the end of the day."""
    made = OutlookServer(DANA.address, CALENDARS[OUTLOOK], "https://127.0.0.1:1/")
    made.save(PRICING)
    for moment in MOMENTS:
        for _, meeting in moment.deeds:
            if meeting.account == OUTLOOK:
                made.save(meeting)
    return made


def test_an_event_has_the_fields_of_graphs_events() -> None:
    """Each in the shape that the fake of the tests, which is faithful, gives it."""
    told = stand_in().answer("GET", f"{MAILBOX}/calendars/{CALENDAR}/calendarView/delta", {})
    assert told is not None
    [shown] = told["value"]
    start = datetime(2026, 3, 4, 14, tzinfo=UTC)
    with trusted(), fake_graph(lambda: start) as graph:
        dana = graph.user(DANA.address, DANA.name)
        name = dana.primary.event("Pricing call", start, start, {"di@umbrella.example": "none"})
        graph.answer(name, "di@umbrella.example", "tentativelyAccepted", propose=(start, start))
        real = event(graph.find(name))
    assert shown.keys() <= real.keys()
    assert shown["attendees"][0].keys() == real["attendees"][0].keys()
    for field in ("start", "organizer", "originalStartTimeZone", "createdDateTime"):
        assert type(shown[field]) is type(real[field])
        assert len(str(shown["start"])) == len(str(real["start"]))


def test_a_round_goes_on_from_its_link() -> None:
    """What was told before is not told again."""
    made = stand_in()
    told = made.answer("GET", f"{MAILBOX}/calendars/{CALENDAR}/calendarView/delta", {})
    assert told is not None
    token = told["@odata.deltaLink"].partition("$deltatoken=")[2]
    again = made.answer("GET", f"{MAILBOX}/calendars/{CALENDAR}/calendarView/delta", {"$deltatoken": token})
    assert again is not None
    assert again["value"] == []
    assert made.answer("GET", f"/{TENANT}/v2.0/.well-known/openid-configuration", {})
    assert made.answer("GET", f"{MAILBOX}/calendars/{CALENDAR}/events/ff", {}) is None
