"""The whole circle on every kind of account: a no, an offer, a click, the meeting moved, one notice each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from connectors.caldav import CalDavConnector
from daemon.links import Links, Purpose
from daemon.store import agenda, deliveries
from daemon.store.deliveries import Delivery
from daemon.web.app import build
from daemon.web.forms import slot_word
from daemon.web.limits import Bucket
from rules.delivery import State
from rules.model import Occurrence, PartStat
from tests.support import google_account, outlook_account
from tests.support.authority import trusted
from tests.support.fake_google.server import fake_google
from tests.support.fake_graph.server import fake_graph
from tests.support.house import event
from tests.support.ics import LISBON
from tests.support.offices import World, at
from tests.support.servers import radicale_server
from tests.support.visitor import JO, KEY, ME, URL, Visitor

HALF = timedelta(minutes=30)
RULES = """\
version: 1
guard: {first_sync: act}
rules:
  - name: no
    when: {declined: {grace: 10m}}
    then:
      - {step: other, do: reschedule, at: 14d before start, until: 1h before start}
"""


@dataclass
class Place:
    """Dana's account on some server: ``decline`` is Jo's no, ``notices`` how often its server told Jo."""

    world: World
    decline: Callable[[], None]
    notices: Callable[[], int]


@contextmanager
def _radicale(folder: Path) -> Iterator[Place]:
    world = _world(folder)
    with radicale_server(folder, calendars=("work",)) as server:
        world.calendars["acme"] = CalDavConnector(  # type: ignore[assignment]
            "acme", server.url, username=server.user, password=server.password, home_zone=LISBON
        )

        def put(answer: str) -> None:
            text = event("kickoff", at(40), {JO: answer}, title="Kickoff")
            kind = {"Content-Type": "text/calendar; charset=utf-8"}
            server.request("PUT", "/dana/work/kickoff.ics", text, **kind)

        put("ACCEPTED")
        world.round()
        yield Place(world, lambda: put("DECLINED"), lambda: 0)


@contextmanager
def _google(folder: Path) -> Iterator[Place]:
    world = _world(folder)
    with fake_google(lambda: world.clock.at) as google:
        google.user(ME, "Dana Reyes")
        google.user(JO, "Jo")
        google.oauth.lifetime = timedelta(days=999)
        world.calendars["acme"] = google_account.connect(google)  # type: ignore[assignment]
        name = google.users[ME].primary.event("Kickoff", at(40), at(40) + HALF, {JO: "accepted"})
        world.round()
        google.notices.clear()
        yield Place(world, lambda: google.answer(name, JO, "declined"), lambda: _updates(google.notices))


@contextmanager
def _outlook(folder: Path) -> Iterator[Place]:
    world = _world(folder)
    with trusted(), fake_graph(lambda: world.clock.at) as graph:
        graph.user(ME, "Dana Reyes")
        graph.user(JO, "Jo")
        world.calendars["acme"] = outlook_account.connect(graph, ME)  # type: ignore[assignment]
        name = graph.users[ME].primary.event("Kickoff", at(40), at(40) + HALF, {JO: "accepted"})
        world.round()
        graph.notices.clear()
        yield Place(world, lambda: graph.answer(name, JO, "declined"), lambda: _updates(graph.notices))


def _updates(notices: Iterable[Any]) -> int:
    return sum(one.to == JO and one.kind == "update" for one in notices)


def _world(folder: Path) -> World:
    folder.joinpath("links.key").write_text(KEY)
    return World(folder, RULES, config=f"answers: {{public_url: '{URL}', key: {{file: links.key}}}}\n")


@pytest.fixture(params=[_radicale, _google, _outlook])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """Each kind of account in turn."""
    with request.param(tmp_path) as made:
        yield made
        made.world.office.close()


def offer(place: Place) -> Delivery:
    """What Jo is sent after her no."""
    place.decline()
    sent = [to for _ in range(6) for to in place.world.round(0.1)]
    assert sent == [JO]
    with place.world.store.read() as conn:
        (found,) = deliveries.list_(conn, State.SENT)
    return found


def open_page(place: Place, sent: Delivery) -> tuple[Visitor, str]:
    """Jo's browser, and where the link of the mail leads."""
    links = Links(URL, [KEY])
    page = build(place.world.office.answering, links, bucket=Bucket(lambda: 0.0, burst=1e9))
    return Visitor(page), links.address(Purpose.PICK, sent).removeprefix(URL)


def kickoff(place: Place) -> Occurrence:
    """The meeting as the store has it."""
    with place.world.store.read() as conn:
        (found,) = [one for one in agenda.between(conn, at(-100), at(900)) if one.title == "Kickoff"]
    return found


def test_a_click_moves_the_meeting_and_each_hears_of_it_once(place: Place) -> None:
    """Same UID, the picked time, one notice: the server's or ours; and then there is silence."""
    before, sent = kickoff(place), offer(place)
    visitor, path = open_page(place, sent)
    slot = sent.offered[1]
    for _ in range(20):
        assert visitor.get(path).status == 200
        assert visitor.ask(path, "HEAD").status == 200
    assert kickoff(place).start_utc == before.start_utc
    visitor.answer(path, do="pick", slot=slot_word(slot))
    ours = place.world.round()
    after = kickoff(place)
    assert (after.start_utc, after.end_utc, after.key.uid) == (slot.start, slot.end, before.key.uid)
    assert after.title == before.title
    assert ours.count(JO) + place.notices() == 1
    assert [to for _ in range(8) for to in place.world.round(1)] == []
    assert place.notices() <= 1
    with place.world.store.read() as conn:
        (told,) = place.world.office.decider.snapshot(conn, [after], place.world.clock.at).subjects
        words = place.world.office.decider.frame(conn, [after]).acknowledgements
    assert [one.partstat for one in words[str(told.identity)] if one.start == slot.start] == [
        PartStat.ACCEPTED
    ]


def test_a_change_that_crosses_the_click_wins(place: Place) -> None:
    """Moved elsewhere while Jo chose: the page says so, and it stays there."""
    sent = offer(place)
    visitor, path = open_page(place, sent)
    connector = place.world.calendars["acme"]
    elsewhere = at(90)
    connector.move(kickoff(place), elsewhere, elsewhere + HALF)
    visitor.answer(path, do="pick", slot=slot_word(sent.offered[0]))
    place.world.round()
    assert kickoff(place).start_utc == elsewhere
    assert visitor.get(path).status == 410
