"""The fake Graph's face: who may ask what, how fast, in one go, and how it goes wrong on request."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.support import faults
from tests.support.fake_graph import graph_errors
from tests.support.fake_graph.client import IMMUTABLE, Client
from tests.support.fake_graph.server import fake_graph
from tests.support.fake_graph.world import FakeGraph

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
DANA, JO, PAT = "dana@acme.example", "jo@acme.example", "pat@personal.example"


def at(day: int, hour: int = 9) -> datetime:
    """A moment of March."""
    return datetime(2026, 3, day, hour, tzinfo=UTC)


@pytest.fixture
def graph() -> Iterator[FakeGraph]:
    """A Graph with Dana, Jo, and Pat who has a personal account."""
    with fake_graph(lambda: NOW, tls=False) as world:
        world.user(DANA, "Dana Reyes", aliases=("reyes@acme.example",))
        world.user(JO, "Jo")
        world.user(PAT, "Pat", personal=True)
        yield world


def test_over_tls() -> None:
    """The root is https, under the tests' own authority; the clock is the injected one."""
    with fake_graph(lambda: NOW) as graph:
        graph.user(DANA, "Dana Reyes")
        answer = Client(graph, DANA).ask("GET", "/me")
        assert graph.root.startswith("https://127.0.0.1:")
        assert answer.json()["userPrincipalName"] == DANA
        assert answer.headers["Date"] == "Sun, 01 Mar 2026 12:00:00 GMT"
        assert answer.headers["Preference-Applied"] == 'IdType="ImmutableId"'


def test_who_am_i(graph: FakeGraph) -> None:
    """Aliases are told where they are asked for, and personal accounts have none."""
    dana = Client(graph, DANA)
    assert "proxyAddresses" not in dana.get("/me")
    told = dana.get("/me?$select=mail,proxyAddresses")
    assert told["proxyAddresses"] == [f"SMTP:{DANA}", "smtp:reyes@acme.example"]
    assert Client(graph, PAT).get("/me?$select=proxyAddresses")["proxyAddresses"] == []


def test_calendars_in_pages(graph: FakeGraph) -> None:
    """Ten to a page, or as many as asked, with links that keep what was asked."""
    for number in range(11):
        graph.users[DANA].calendar(f"Project {number}", can_edit=number > 0)
    dana = Client(graph, DANA)
    page = dana.get("/me/calendars?$select=name,canEdit,isDefaultCalendar,owner")
    assert len(page["value"]) == 10
    first = page["value"][0]
    assert (first["name"], first["isDefaultCalendar"], first["owner"]["address"]) == ("Calendar", True, DANA)
    assert page["value"][1]["canEdit"] is False
    rest = dana.get(page["@odata.nextLink"])
    assert [each["name"] for each in rest["value"]] == ["Project 9", "Project 10"]
    assert rest["value"][0].keys() == first.keys()
    assert "@odata.nextLink" not in rest
    assert len(dana.get("/me/calendars?$top=3")["value"]) == 3
    assert dana.get("/me/calendar")["id"] == first["id"]


def test_tokens_and_scopes(graph: FakeGraph) -> None:
    """No token and a revoked one are 401; each route needs its scope, and ReadWrite holds Read."""
    dana = Client(graph, DANA, "Calendars.ReadWrite")
    assert dana.get("/me/calendars")
    for verb, path in (
        ("GET", "/me"),
        ("POST", "/me/sendMail"),
        ("GET", "/me/mailboxSettings"),
        ("GET", "/me/messages"),
    ):
        assert dana.refused(verb, path, {}) == (403, "ErrorAccessDenied")
    mine = graph.users[DANA].primary.event("Talk", at(2), at(2, 10))
    reader = Client(graph, DANA, "Calendars.Read")
    assert reader.refused("PATCH", f"/me/events/{mine}", {"categories": []}) == (403, "ErrorAccessDenied")
    graph.grants.revoke(dana.token)
    answer = dana.ask("GET", "/me/calendars")
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "InvalidAuthenticationToken")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer ")
    inner = answer.json()["error"]["innerError"]
    assert inner["request-id"] == answer.headers["request-id"]
    assert inner["date"] == "2026-03-01T12:00:00"
    assert requests.get(f"{graph.root}/me", timeout=5).status_code == 401


def test_apps_and_others(graph: FakeGraph) -> None:
    """An app has no /me; a person may ask for themselves by address, and for others where shared."""
    app = Client(graph, "", "Calendars.Read", app=True)
    assert app.refused("GET", "/me/calendars") == (400, "BadRequest")
    assert len(app.get(f"/users/{DANA}/calendars")["value"]) == 1
    assert app.refused("GET", "/users/nobody@acme.example/calendars") == (404, "ErrorInvalidUser")
    dana = Client(graph, DANA)
    assert len(dana.get(f"/users/{DANA}/calendars")["value"]) == 1
    theirs = graph.users[JO].calendar("Team")
    assert dana.get(f"/users/{JO}/calendars")["value"] == []
    theirs.share(DANA)
    assert [each["name"] for each in dana.get(f"/users/{JO}/calendars")["value"]] == ["Team"]
    name = theirs.event("Talk", at(2), at(2, 10))
    assert dana.get(f"/users/{JO}/events/{name}")["subject"] == "Talk"
    assert dana.refused("PATCH", f"/users/{JO}/events/{name}", {"subject": "x"}) == (403, "ErrorAccessDenied")
    assert dana.refused("GET", f"/users/{JO}/calendar") == (403, "ErrorAccessDenied")
    assert dana.refused("GET", f"/users/{JO}/messages") == (403, "ErrorAccessDenied")


def test_schedules(graph: FakeGraph) -> None:
    """Busy times of colleagues, an error for who is unknown, and not more than twenty."""
    jo = graph.users[JO].primary
    jo.event("Talk", at(2, 9), at(2, 10))
    jo.event("Trip", at(2, 11), at(2, 12), showAs="oof")
    series = {"pattern": {"type": "daily", "interval": 1}}
    jo.event("Perhaps", at(1, 13), at(1, 14), showAs="tentative", recurrence=series)
    body: dict[str, Any] = {
        "schedules": [JO, "nobody@acme.example"],
        "startTime": {"dateTime": "2026-03-02T09:00:00", "timeZone": "UTC"},
        "endTime": {"dateTime": "2026-03-02T15:00:00", "timeZone": "UTC"},
        "availabilityViewInterval": 60,
    }
    dana = Client(graph, DANA)
    known, unknown = dana.ask("POST", "/me/calendar/getSchedule", body).json()["value"]
    assert known["availabilityView"] == "203010"
    assert [each["status"] for each in known["scheduleItems"]] == ["busy", "oof", "tentative"]
    assert "subject" not in known["scheduleItems"][0]
    assert unknown["error"]["responseCode"] == "ErrorMailRecipientNotFound"
    body["schedules"] = [f"p{number}@acme.example" for number in range(21)]
    assert dana.refused("POST", "/me/calendar/getSchedule", body)[0] == 400
    assert Client(graph, PAT).refused("POST", "/me/calendar/getSchedule", body)[0] == 403


def test_automatic_replies(graph: FakeGraph) -> None:
    """Disabled, scheduled between two moments, or always; personal accounts too."""
    path = "/me/mailboxSettings/automaticRepliesSetting"
    dana = Client(graph, DANA)
    assert dana.get(path)["status"] == "disabled"
    graph.users[DANA].away(at(3), at(6))
    told = dana.get(path)
    assert told["status"] == "scheduled"
    assert told["scheduledEndDateTime"] == {"dateTime": "2026-03-06T09:00:00.0000000", "timeZone": "UTC"}
    graph.users[PAT].away()
    assert Client(graph, PAT).get(path)["status"] == "alwaysEnabled"


def test_batch(graph: FakeGraph) -> None:
    """Many requests in one, each with its own answer; one of them can be throttled alone."""
    calendar = graph.users[DANA].primary
    one, two = (calendar.event(name, at(2), at(2, 10)) for name in ("One", "Two"))
    dana = Client(graph, DANA)
    headers = {"Prefer": 'IdType="ImmutableId"'}
    asked = [
        {"id": str(number), "method": "GET", "url": f"/me/events/{name}?$select=subject", "headers": headers}
        for number, name in enumerate((one, two, "missing"))
    ]
    effect = graph_errors.error(429, retry_after=3)
    graph.fail("events.get", effect, when=lambda request: two in request.path)
    answer = dana.ask("POST", "/$batch", {"requests": asked})
    told = {each["id"]: each for each in answer.json()["responses"]}
    assert [told[str(number)]["status"] for number in range(3)] == [200, 429, 404]
    assert told["0"]["body"]["subject"] == "One"
    assert told["1"]["headers"]["Retry-After"] == "3"
    assert told["1"]["body"]["error"]["code"] == "ApplicationThrottled"
    assert [each.batched for each in graph.seen("events.get")] == [True] * 3
    many = [{"id": str(number), "method": "GET", "url": "/me"} for number in range(21)]
    assert dana.refused("POST", "/$batch", {"requests": many}) == (400, "MaximumValueExceeded")


def test_four_at_once(graph: FakeGraph) -> None:
    """Four requests of one mailbox may be under way; a fifth is refused, another mailbox's is not."""
    go = threading.Event()
    graph.fail("me", faults.held(go), times=4)
    clients = [Client(graph, DANA) for _ in range(4)]
    fifth, other = Client(graph, DANA), Client(graph, JO)
    streams = [each.session.get(f"{graph.root}/me", stream=True, timeout=5) for each in clients]
    refused = fifth.ask("GET", "/me")
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "ApplicationThrottled")
    assert refused.headers["Retry-After"] == "7"
    assert other.get("/me")["mail"] == JO
    go.set()
    assert [each.json()["mail"] for each in streams] == [DANA] * 4
    assert fifth.get("/me")["mail"] == DANA
    assert graph.most_at_once == 5


def test_four_workers_are_never_refused(graph: FakeGraph) -> None:
    """Who keeps to four at once is let through, however fast they are."""
    clients = [Client(graph, DANA) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        jobs = [pool.submit(clients[number].get, "/me") for _ in range(40) for number in range(4)]
        assert {each.result()["mail"] for each in jobs} == {DANA}
    assert graph.most_at_once <= 4


def test_too_many_in_ten_minutes(graph: FakeGraph) -> None:
    """A mailbox has a budget too."""
    graph.limits.per_ten_minutes = 2
    dana = Client(graph, DANA)
    for _ in range(2):
        dana.get("/me")
    assert dana.refused("GET", "/me") == (429, "ApplicationThrottled")


def test_errors_on_demand(graph: FakeGraph) -> None:
    """A route fails as often as asked in Graph's words, and says when to come back."""
    dana = Client(graph, DANA)
    graph.fail("calendars.list", graph_errors.error(503, retry_after=7), times=2)
    graph.fail("calendars.list", graph_errors.error(429, retry_at=timedelta(seconds=90)), after=0)
    waits = [dana.ask("GET", "/me/calendars").headers["Retry-After"] for _ in range(3)]
    assert waits == ["7", "7", "Sun, 01 Mar 2026 12:01:30 GMT"]
    assert dana.get("/me/calendars")
    graph.fail("*", graph_errors.error(504), times=None)
    assert dana.refused("GET", "/me") == (504, "GatewayTimeout")
    graph.heal()
    assert [each.status for each in graph.seen("calendars.list")] == [503, 503, 429, 200]


def test_broken_answers(graph: FakeGraph) -> None:
    """Work that is done and not told of, pages for people, redirects, half a body, a page without end."""
    dana = Client(graph, DANA)
    mine = graph.users[DANA].primary.event("Talk", at(2), at(2, 10))
    for kept in (False, True):
        graph.fail("events.patch", faults.dropped(kept=kept))
        with pytest.raises(requests.exceptions.ConnectionError):
            dana.ask("PATCH", f"/me/events/{mine}", {"categories": ["Asked"]})
        assert (graph.find(mine).fields["categories"] == ["Asked"]) is kept
    graph.fail("events.get", faults.html())
    assert dana.ask("GET", f"/me/events/{mine}").headers["Content-Type"].startswith("text/html")
    graph.fail("events.get", faults.truncated())
    with pytest.raises(ValueError, match=r"Unterminated|Expecting"):
        dana.ask("GET", f"/me/events/{mine}").json()
    graph.fail("calendarView.delta", graph_errors.repeated_page(), times=None)
    page = dana.get("/me/calendarView/delta?startDateTime=2026-03-01&endDateTime=2026-04-01")
    assert dana.get(page["@odata.nextLink"])["value"] == page["value"]


def ask_once(path: str, prefer: str | None) -> None:
    """One request of a Graph of its own, with a preference or with none."""
    with fake_graph(lambda: NOW, tls=False) as graph:
        graph.user(DANA)
        dana = Client(graph, DANA)
        if prefer is None:
            del dana.session.headers["Prefer"]
        dana.ask("GET", path)


def test_what_must_never_happen() -> None:
    """Items asked for without immutable ids fail the test; so does a filter that nobody built."""
    ask_once("/me/calendars", None)
    with pytest.raises(AssertionError, match="immutable ids"):
        ask_once("/me/messages", None)
    with pytest.raises(AssertionError, match="filter"):
        ask_once("/me/messages?$filter=contains(subject,'x')", IMMUTABLE)


def test_unknown_paths(graph: FakeGraph) -> None:
    """What there is not is a bad request, as Graph has it."""
    dana = Client(graph, DANA)
    assert dana.refused("GET", "/me/contacts") == (400, "BadRequest")
    assert dana.refused("DELETE", "/me/calendar") == (400, "BadRequest")
    assert dana.refused("GET", "/me/calendars/none/events/none") == (404, "ErrorItemNotFound")


def test_as_a_program(tmp_path: Path) -> None:
    """It serves until interrupted, with tokens in a file, and does by hand what it is told."""
    command = [sys.executable, "-m", "tests.support.fake_graph", str(tmp_path)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONWARNINGS": ""}
    ) as program:
        try:
            assert program.stdout is not None
            root = program.stdout.readline().strip()
            told = json.loads((tmp_path / "graph.json").read_text())
            assert told["root"] == root
            with requests.Session() as session:
                session.trust_env, session.verify = False, told["authority"]
                session.headers["Authorization"] = f"Bearer {told['token']}"
                bare = root.removesuffix("/v1.0")
                asked = {"subject": "By hand", "start": "2026-03-05T09:00:00+00:00", "who": JO}
                session.get(f"{bare}/_fake/event", params=asked, timeout=5)
                state = session.get(f"{bare}/_fake/state", timeout=5).json()
                events = {each["subject"]: each for each in state["events"][f"{DANA} Calendar"]}
                assert events["By hand"]["attendees"] == {JO: "none"}
                wanted = {"event": events["By hand"]["id"], "who": JO, "status": "accepted"}
                session.get(f"{bare}/_fake/answer", params=wanted, timeout=5)
                event = session.get(f"{root}/me/events/{events['By hand']['id']}", timeout=5).json()
                assert event["attendees"][0]["status"]["response"] == "accepted"
                assert session.get(f"{bare}/_fake/nonsense", timeout=5).status_code == 404
        finally:
            program.terminate()
        assert program.wait(10) == 0
