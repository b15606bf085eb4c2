"""The way to Microsoft Graph: where requests go, how often, what they carry, and what a no means."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest

from connectors.base import ConnectorError, LimitExceeded, NeedsLogin, NotSupported, Retryable, Unreachable
from connectors.http import Limits
from connectors.outlook_client import AT_ONCE, GraphClient, graph_pace
from connectors.pace import Pace
from connectors.signed import Refused
from tests.support import faults
from tests.support.authority import trusted
from tests.support.fake_graph.graph_errors import error
from tests.support.fake_graph.server import fake_graph
from tests.support.fake_graph.world import FakeGraph
from tests.support.google_account import Idle
from tests.support.google_ics import StaticToken
from tests.support.outlook_account import ME, NOW, SCOPES

LIST = "calendars.list"
LIMITS = Limits(seconds=5, redirects=0, body_bytes=1 << 20, wait_seconds=0.001)
IMMUTABLE = 'IdType="ImmutableId"'


@pytest.fixture
def graph() -> Iterator[FakeGraph]:
    """A Graph with Dana, who has three calendars."""
    with trusted(), fake_graph(lambda: NOW) as made:
        user = made.user(ME)
        user.calendar("Work")
        user.calendar("Home")
        yield made


def connect(graph: FakeGraph, *, limits: Limits = LIMITS, pace: Pace | None = None) -> GraphClient:
    """A client of Dana's."""
    token = StaticToken(graph.grants.mint(ME, *SCOPES))
    return GraphClient(token, graph.root, account="acme", pace=pace, limits=limits)


def events(graph: FakeGraph, count: int) -> list[str]:
    """The paths of so many events of Dana's."""
    make = graph.users[ME].primary.event
    return [f"events/{make(f'e{number}', NOW, NOW)}?$select=subject" for number in range(count)]


class Renewed:
    """Tokens that can be renewed; ``forgotten`` are those that were not taken."""

    def __init__(self, *tokens: str) -> None:
        self.left = list(tokens)
        self.forgotten: list[str] = []

    def access_token(self) -> str:
        """The first that was not forgotten."""
        return self.left[0]

    def forget(self, token: str) -> None:
        """Go on to the next, if there is one."""
        self.forgotten.append(token)
        self.left = [one for one in self.left if one != token] or self.left


@pytest.mark.parametrize(
    ("effect", "raised", "words"),
    [
        (error(400, "BadRequest", "No\nsuch\x00 thing."), Refused, r"HTTP 400\). No such thing\.$"),
        (error(401), NeedsLogin, "no longer accepts the sign-in; run: rebookd auth acme$"),
        (error(403), Refused, "does not allow reading this with this sign-in. Access is denied"),
        (error(403, "Authorization_RequestDenied", "Not enough."), Refused, "not allow reading.*Not enough"),
        (error(403, "MailboxNotEnabledForRESTAPI"), NotSupported, "no mailbox"),
        (error(404, "ErrorInvalidUser"), NotSupported, "no mailbox"),
        (error(404), Refused, "HTTP 404.*was not found"),
        (error(412), Refused, "HTTP 412.*change key"),
        (error(429, retry_after=7), Retryable, "slow down"),
        (error(500), Retryable, "internal problem"),
        (error(501), Unreachable, "does not do what was asked"),
        (error(503), Retryable, "not available"),
        (error(503, retry_after=7), Retryable, "slow down"),
        (error(504), Retryable, "internal problem"),
        (faults.html(), ConnectorError, "web page"),
        (faults.html(502), Retryable, "internal problem"),
        (faults.html(403), Refused, "HTTP 403"),
        (faults.answer(304), Refused, "HTTP 304"),
        (faults.answer(200, b"[]"), Retryable, "not whole"),
        (faults.answer(200, b"[" * 100_000), Retryable, "not whole"),
        (faults.truncated(), Retryable, "not whole"),
        (faults.cut_off(), Retryable, "broke off"),
        (faults.dropped(kept=False), Retryable, "reached"),
        (faults.redirect("https://elsewhere.example/"), ConnectorError, "elsewhere.example; it was not"),
        (faults.redirect("/v1.0/me/events"), ConnectorError, "keeps redirecting"),
        (faults.gzip_bomb(64), LimitExceeded, "more than 1024 KiB"),
        (faults.endless(), LimitExceeded, "more than 1024 KiB"),
    ],
)
def test_every_no_names_the_next_move(
    graph: FakeGraph, effect: faults.Effect, raised: type[ConnectorError], words: str
) -> None:
    """By the class of the error, and in a sentence on one line; nothing but the configured host is asked."""
    graph.fail(LIST, effect, times=None)
    with pytest.raises(raised, match=words) as caught:
        list(connect(graph).pages("calendars"))
    assert raised is not ConnectorError or type(caught.value) is ConnectorError
    assert str(caught.value).isprintable()


def test_a_slow_answer_has_an_end(graph: FakeGraph) -> None:
    """A byte now and then keeps nobody waiting (slow-loris)."""
    graph.fail(LIST, faults.slow(0.02), times=None)
    with pytest.raises(Retryable, match=r"did not answer within 0\.3 seconds"):
        connect(graph, limits=Limits(seconds=0.3, redirects=0, wait_seconds=0.001)).get("calendars")


def test_the_reasons_of_a_refusal_are_kept(graph: FakeGraph) -> None:
    """Graph's own words, the inner ones too."""
    told = {"code": "outer", "message": "m", "innerError": {"code": "inner", "innererror": {"code": "last"}}}
    graph.fail(LIST, faults.answer(400, json.dumps({"error": told}).encode()))
    with pytest.raises(Refused) as caught:
        connect(graph).get("calendars")
    assert caught.value.status == 400
    assert caught.value.reasons == {"outer", "inner", "last"}


@pytest.mark.parametrize(
    ("effect", "wait", "rest"),
    [
        (error(429, retry_after=7), 7, 7),
        (error(429, retry_at=timedelta(minutes=5)), 300, 300),
        (error(503, retry_after=7), 7, 7),
        (error(429), None, 10),
    ],
)
def test_a_pause_is_kept_by_all(
    graph: FakeGraph, effect: faults.Effect, wait: float | None, rest: float
) -> None:
    """However long it was asked for, no client of the account asks anything meanwhile, and then they do."""
    clock = Idle()
    pace = graph_pace(monotonic=clock.now, sleep=clock.sleep)
    graph.fail(LIST, effect)
    with pytest.raises(Retryable) as caught:
        connect(graph, pace=pace).get("calendars")
    assert caught.value.retry_after == wait
    for passed in (0, rest - 1):
        clock.at += passed
        with pytest.raises(Retryable, match="asked us to wait") as caught:
            connect(graph, pace=pace).get("me")
        assert caught.value.retry_after == rest - passed
    assert len(graph.requests) == 1
    clock.at += 1
    assert connect(graph, pace=pace).get("calendars")


def test_a_pause_stops_whoever_waits(graph: FakeGraph) -> None:
    """For a slot or for its turn: the pause that began meanwhile is kept."""
    pace = Pace("Microsoft", burst=10, per_minute=600, at_once=1)
    client, begun = connect(graph, pace=pace), threading.Event()

    def ask() -> None:
        begun.set()
        client.get("calendars")

    with ThreadPoolExecutor(1) as pool:
        with pace.slot():
            waiting = pool.submit(ask)
            begun.wait(5)
            with pytest.raises(TimeoutError):
                waiting.result(0.05)
            pace.pause(60)
        with pytest.raises(Retryable, match="asked us to wait"):
            waiting.result(5)
    clock = Idle()
    late = Pace("M", burst=1, per_minute=1, monotonic=clock.now, sleep=lambda _: late.pause(60))
    late.take()
    with pytest.raises(Retryable, match="asked us to wait"):
        late.take()
    assert graph.requests == []


def test_no_more_than_four_at_once(graph: FakeGraph) -> None:
    """Over all threads of a mailbox; a fifth would be turned away (Graph's limit per app and mailbox)."""
    graph.fail("calendar*", faults.slow(0.01, pieces=2), times=None)
    pace = graph_pace()
    with ThreadPoolExecutor(10) as pool:
        list(pool.map(lambda _: connect(graph, pace=pace).get("calendars"), range(40)))
    assert graph.most_at_once == AT_ONCE
    assert {request.status for request in graph.requests} == {200}


def test_a_batch_counts_for_all_its_parts(graph: FakeGraph) -> None:
    """It waits until nothing else is under way, since Graph asks the mailbox for four parts at once."""
    clock = Idle()
    pace = Pace(
        "M", burst=2 * AT_ONCE, per_minute=60, at_once=AT_ONCE, monotonic=clock.now, sleep=clock.sleep
    )
    client, paths = connect(graph, pace=pace), events(graph, 2 * AT_ONCE)
    with ThreadPoolExecutor(1) as pool:
        with pace.slot():
            looking = pool.submit(client.look_up, paths)
            with pytest.raises(TimeoutError):
                looking.result(0.05)
            assert graph.requests == []
        assert len(looking.result(5)) == len(paths)
    assert clock.slept == []
    client.get("calendars")
    assert clock.slept == [1.0]


@pytest.mark.parametrize("parts", [1, AT_ONCE])
def test_never_more_than_ten_thousand_in_ten_minutes(parts: int) -> None:
    """Whatever is asked, and however it is put together, with little waiting in one piece."""
    clock = Idle()
    pace = graph_pace(monotonic=clock.now, sleep=clock.sleep)
    taken: list[float] = []
    for _ in range(25_000 // parts):
        pace.take(parts)
        taken += [clock.at] * parts
    assert all(later - first >= 600 for first, later in zip(taken, taken[10_000:], strict=False))
    assert max(clock.slept) < 0.3


def test_a_token_that_ended_is_renewed_once(graph: FakeGraph) -> None:
    """Another one is tried, and only where it is not taken either must somebody sign in."""
    good = graph.grants.mint(ME, *SCOPES)
    tokens = Renewed("old", good)
    client = GraphClient(tokens, graph.root, account="acme", limits=LIMITS)
    assert client.get("calendars")["value"]
    assert (tokens.forgotten, len(graph.requests)) == (["old"], 2)
    graph.grants.revoke(good)
    with pytest.raises(NeedsLogin):
        client.get("calendars")
    assert len(graph.requests) == 3
    twice = GraphClient(Renewed("old", "older"), graph.root, account="acme", limits=LIMITS)
    with pytest.raises(NeedsLogin):
        twice.send("POST", "calendar/events", {})
    assert len(graph.requests) == 5


def test_every_request_asks_for_immutable_ids(graph: FakeGraph) -> None:
    """Whatever is asked and however: the other ids change when an item goes to another folder."""
    client = connect(graph)
    name = graph.users[ME].primary.event("T", NOW, NOW + timedelta(hours=1))
    client.get(f"events/{name}", prefer=('outlook.timezone="UTC"',))
    list(client.pages("calendars", **{"$top": "1"}))
    client.send("PATCH", f"events/{name}", {"categories": ["x"]}, etag="*")
    client.look_up([f"events/{name}"])
    with pytest.raises(Refused):
        client.hand_over(f"events/{name}/decline", b"{}", "application/json", lambda: None)
    assert len(graph.requests) == 8
    assert all(request.headers["prefer"].startswith(IMMUTABLE) for request in graph.requests)
    assert graph.requests[0].headers["prefer"] == f'{IMMUTABLE}, outlook.timezone="UTC"'


def test_links_are_followed_word_for_word(graph: FakeGraph) -> None:
    """As Graph gave them, with nothing added; every page is read."""
    link = f"{graph.root}/me/calendars?%24skiptoken=a%2Bb%20c%26d&x='y'"
    for page in ({"value": [{"id": "1"}], "@odata.nextLink": link}, {"value": [{"id": "2"}]}):
        graph.fail(LIST, faults.answer(200, json.dumps(page).encode()))
    found = connect(graph).pages("calendars", **{"$select": "id,name", "$top": "1"})
    assert [one["id"] for one in found] == ["1", "2"]
    first, second = graph.requests
    assert first.query == {"$select": ["id,name"], "$top": ["1"]}
    assert second.query == {"$skiptoken": ["a+b c&d"], "x": ["'y'"]}
    names = [one["name"] for one in connect(graph).pages("calendars", **{"$top": "1"})]
    assert names == ["Calendar", "Work", "Home"]


@pytest.mark.parametrize(
    "link", ["https://elsewhere.example/v1.0/me/calendars", "https://127.0.0.1@elsewhere.example/"]
)
def test_no_link_leads_to_another_host(graph: FakeGraph, link: str) -> None:
    """The token goes to the configured host alone."""
    graph.fail(LIST, faults.answer(200, json.dumps({"value": [], "@odata.nextLink": link}).encode()))
    with pytest.raises(ConnectorError, match="not the host in the configuration"):
        list(connect(graph).pages("calendars"))
    assert len(graph.requests) == 1


@pytest.mark.parametrize("links", [["a", "a"], ["a", "b", "a"]])
def test_a_list_that_circles_ends(graph: FakeGraph, links: list[str]) -> None:
    """A page that was there before is an error, not a list."""
    for link in links:
        page = {"value": [{}], "@odata.nextLink": f"{graph.root}/me/calendars?page={link}"}
        graph.fail(LIST, faults.answer(200, json.dumps(page).encode()))
    with pytest.raises(Retryable, match="not whole"):
        list(connect(graph).pages("calendars"))
    assert len(graph.requests) == len(links)


def test_many_are_looked_up_together(graph: FakeGraph) -> None:
    """In the order they were asked for, None for what is not there; as many at once as Graph does."""
    paths = events(graph, 9)
    paths[3:3] = ["events/gone"]
    found = connect(graph).look_up(paths)
    assert [one and one["subject"] for one in found] == [
        "e0", "e1", "e2", None, "e3", "e4", "e5", "e6", "e7", "e8",
    ]  # fmt: skip
    sizes = [len(request.json["requests"]) for request in graph.seen("batch")]
    assert sizes == [4, 4, 2]
    assert connect(graph).look_up([]) == []


def part(status: int, **more: Any) -> faults.Effect:
    """A batch of one part."""
    told = {"responses": [{"id": "0", "status": status, **more}]}
    return faults.answer(200, json.dumps(told).encode())


@pytest.mark.parametrize(
    ("effect", "raised", "wait"),
    [
        (part(429, headers={"Retry-After": "9"}), Retryable, 9),
        (part(429, headers=None), Retryable, None),
        (part(503, headers={"retry-after": "9"}), Retryable, 9),
        (part(500), Retryable, None),
        (part(401), Retryable, None),
        (part(403, body={"error": {"code": "ErrorAccessDenied"}}), Refused, None),
        (part(200), Retryable, None),
        (part(200, body="PGh0bWw+"), Retryable, None),
        (faults.answer(200, b'{"responses": [{"id": "0"}]}'), Retryable, None),
        (faults.answer(200, b'{"responses": [{"id": "0", "status": 200, "headers": 5}]}'), Retryable, None),
        (faults.answer(200, b'{"responses": []}'), Retryable, None),
        (faults.answer(200, b"{}"), Retryable, None),
        (faults.truncated(), Retryable, None),
        (error(401), NeedsLogin, None),
    ],
)
def test_a_look_up_is_whole_or_none(
    graph: FakeGraph, effect: faults.Effect, raised: type[ConnectorError], wait: float | None
) -> None:
    """Each part is judged as if it had come alone; a part without an answer is not taken for gone."""
    graph.fail("batch", effect, times=None)
    with pytest.raises(raised) as caught:
        connect(graph).look_up(events(graph, 1))
    assert getattr(caught.value, "retry_after", None) == wait


def test_a_throttled_part_pauses_the_account(graph: FakeGraph) -> None:
    """As if it had come alone."""
    clock = Idle()
    client = connect(graph, pace=graph_pace(monotonic=clock.now, sleep=clock.sleep))
    paths = events(graph, 3)
    graph.fail("events.get", error(429, retry_after=9), after=1)
    with pytest.raises(Retryable):
        client.look_up(paths)
    with pytest.raises(Retryable, match="asked us to wait"):
        client.get("calendars")
    clock.at += 9
    assert None not in client.look_up(paths)


def test_an_app_names_whose_mailbox_it_is(graph: FakeGraph) -> None:
    """An app that signs in for itself has no "me", in a batch neither."""
    token = graph.grants.mint("", "Calendars.Read.All", "User.Read.All", app=True)
    client = GraphClient(StaticToken(token), graph.root, user=ME, limits=LIMITS)
    assert client.get("")["mail"] == ME
    assert len(list(client.pages("calendars"))) == 3
    assert client.look_up(events(graph, 1))[0]
    assert all(request.path.startswith(("/v1.0/users/dana@va.example", "/v1.0/$batch"))
               for request in graph.requests)  # fmt: skip
    guest = GraphClient(StaticToken(token), graph.root, user="jo_x.example#EXT#@va.example", limits=LIMITS)
    with pytest.raises(NotSupported):
        guest.get("calendars")
    assert graph.requests[-1].path == "/v1.0/users/jo_x.example%23EXT%23@va.example/calendars"


def test_plain_http_is_for_this_machine_alone() -> None:
    """A token never goes over the network in the clear."""
    with pytest.raises(ConnectorError, match="without encryption"):
        GraphClient(StaticToken("x"), "http://graph.example/v1.0")
