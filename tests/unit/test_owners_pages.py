"""Several owners at one place: a link and a password open what is their owner's, and nothing else."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import structlog
import structlog.testing
from starlette.types import ASGIApp

from daemon.beats import Beats
from daemon.dashboard.serving import Board, FrontDoor
from daemon.links import Links, Purpose
from daemon.web.places import Places
from daemon.web.serving import AnswerPages, Desk, together
from tests.support.owners import Member
from tests.support.owners import together as members
from tests.support.visitor import KEY, URL, Visitor

NAMES = ("dana", "eli")


@pytest.fixture
def owners(tmp_path: Path) -> Iterator[list[Member]]:
    """Two owners who ask the same person about a meeting of the same name, and sign with the same key."""
    found = members(tmp_path, NAMES)
    for one in found:
        one.meet("acme", "kickoff", 30, "NEEDS-ACTION", "jo@acme.example")
        one.office.round()
    yield found
    found[0].store.close()


def _desks(owners: list[Member]) -> dict[str, Desk]:
    made = {}
    for one in owners:
        assert one.office.links is not None
        made[one.name] = Desk(one.office, one.office.links)
    return made


def test_a_link_opens_its_owners_page_alone(owners: list[Member]) -> None:
    """With one key for all: at another's pages it is lost, at a shared place it leads to its owner's."""
    dana, eli = owners
    shared = Visitor(together(_desks(owners)))
    for mine, other in ((dana, eli), (eli, dana)):
        assert mine.paths()
        for path in mine.paths():
            assert mine.pages.get(path).status == 200
            assert other.pages.get(path).status == 404
            assert shared.get(path).words == mine.pages.get(path).words
            assert shared.get(path).status == 200
    assert shared.get("/a/nonsense").status == 404
    assert shared.get("/").status == 404


def test_an_answer_and_a_stop_count_for_their_owner_alone(
    owners: list[Member], monkeypatch: pytest.MonkeyPatch
) -> None:
    """At a shared place, too."""
    dana, eli = owners
    shared = Visitor(together(_desks(owners)))
    ask, stop = dana.paths()
    before = eli.record()
    logged = structlog.testing.LogCapture()
    said = structlog.wrap_logger(
        None,
        processors=[structlog.contextvars.merge_contextvars, logged],
        wrapper_class=structlog.make_filtering_bound_logger("info"),
    )
    monkeypatch.setattr("daemon.answers.log", said)
    assert "thank" in shared.answer(ask, do="yes").words.lower()
    assert [(one["event"], one["owner"]) for one in logged.entries] == [("answered", "dana")]
    shared.answer(stop, do="stop")
    assert eli.record() == before
    eli.meet("acme", "review", 31, "NEEDS-ACTION", "jo@acme.example")
    dana.meet("acme", "review", 31, "NEEDS-ACTION", "jo@acme.example")
    for one in owners:
        one.office.round()
    assert len(eli.mailer.kept) == 2
    assert len(dana.mailer.kept) == 1, "they asked Dana to stop, not Eli"


def test_links_of_a_configuration_that_stands_alone_stay_valid() -> None:
    """What was mailed before there were owners is signed as ever; what is another's is not."""
    alone, default = Links(URL, [KEY]), Links(URL, [KEY], "default")
    assert alone.is_alike(default)
    other = Links(URL, [KEY], "dana")
    assert not alone.is_alike(other)
    assert not other.is_alike(Links(URL, ["o" * 40], "dana"))
    token = alone.token(Purpose.CONFIRM, 7, "digest")
    assert default.read(token) == (Purpose.CONFIRM, 7, "digest")
    assert other.read(token) is None


def test_two_who_could_open_each_others_pages_are_not_both_served(
    owners: list[Member], capsys: pytest.CaptureFixture[str]
) -> None:
    """One key and one name in two states: the second has no pages, and the log says what to do."""
    structlog.reset_defaults()  # whatever a test before this has made of them
    dana, eli = owners
    pages = AnswerPages()
    pages.put("dana", dana.office)
    eli.office.__dict__["links"] = dana.office.links
    pages.put("eli", eli.office)
    assert "give one of them a key of its own" in capsys.readouterr().out


def _door(owners: list[Member], missing: int = 0) -> FrontDoor:
    boards = {one.name: Board(one.office, Beats(), f"{one.name}-word", one.name) for one in owners}
    return FrontDoor(boards, lambda: missing)


def _as(name: str, word: str) -> dict[str, str]:
    return {"authorization": "Basic " + base64.b64encode(f"{name}:{word}".encode()).decode()}


def test_each_sees_their_own_dashboard(owners: list[Member]) -> None:
    """The user name is the owner's; nobody's password opens another's, and an unknown name looks the same."""
    app = _door(owners)
    for one, other in (("dana", "Eli"), ("eli", "Dana")):
        seen = Visitor(app, _as(one, f"{one}-word")).get("/")
        assert seen.status == 200
        assert one.title() in seen.words
        assert other not in seen.words
    for name, word in (("dana", "eli-word"), ("", "dana-word"), ("fay", "fay-word")):
        refused = Visitor(app, _as(name, word)).get("/")
        assert refused.status == 401
        assert "The user name is the name of your configuration" in refused.words
    assert Visitor(app).get("/metrics").status == 401


def test_guesses_count_together(owners: list[Member]) -> None:
    """Whoever tries one name after the other has no more tries than with one."""
    app = _door(owners)
    seen = [Visitor(app, _as(name, "wrong")).get("/").status for name in ("dana", "eli", "fay") * 4]
    assert seen == [401] * 10 + [429] * 2
    assert Visitor(app, _as("dana", "dana-word")).get("/").status == 429


def test_a_button_of_one_does_nothing_for_another(owners: list[Member]) -> None:
    """The number of another's message is no message of mine."""
    dana, eli = owners
    app = _door(owners)
    theirs = eli.rows()[0].id
    mine = Visitor(app, _as("dana", "dana-word"))
    assert mine.get(f"/message/{theirs}").status == 404
    assert mine.get(f"/message/{dana.rows()[0].id}").status == 200


def test_health_is_the_worst_of_all_and_names_nobody(owners: list[Member]) -> None:
    """Without a password, added up; an owner who has no office at all degrades it."""
    told = json.loads(Visitor(_door(owners)).get("/healthz").text)
    assert told == {
        "status": "ok",
        "stuck": 0,
        "accounts": 4,
        "stale": 0,
        "outbox": {"sent": 2},
        "owners": 2,
        "missing": 0,
    }
    assert json.loads(Visitor(_door(owners, 1)).get("/healthz").text)["status"] == "degraded"
    stuck = {one.name: Board(one.office, Beats(), "x", one.name) for one in owners}
    stuck["eli"].beats.beat("send eli", -1)
    seen = Visitor(FrontDoor(stuck)).get("/healthz")
    assert seen.status == 503
    assert json.loads(seen.text)["status"] == "stuck"


def test_numbers_say_whose_they_are_where_there_are_several(owners: list[Member]) -> None:
    """Only their own, each with the owner's name; alone there is no such label."""
    dana = owners[0]
    text = Visitor(_door(owners), _as("dana", "dana-word")).get("/metrics").text
    assert 'rebookd_deliveries{owner="dana",state="sent"} 1.0' in text
    assert 'owner="eli"' not in text
    alone = Board(dana.office, Beats(), None).app(None)
    text = Visitor(alone, {"host": "localhost"}).get("/metrics").text
    assert 'rebookd_deliveries{state="sent"} 1.0' in text


class _Server:
    """Stands in for a server."""

    def __init__(self, app: ASGIApp, place: str) -> None:
        self.app, self.place, self.runs = app, place, False

    def start(self) -> None:
        self.runs = True

    def stop(self) -> None:
        self.runs = False


def test_a_place_is_served_while_anybody_is_there() -> None:
    """Who comes and goes restarts nothing; who moves is no longer at the old place; the last one ends it."""
    made: list[_Server] = []

    def serve(app: ASGIApp, place: str) -> Any:
        made.append(_Server(app, place))
        return made[-1]

    there: dict[str, Mapping[str, str]] = {}

    def gather(who: Mapping[str, str]) -> Any:
        there["now"] = dict(who)

    places: Places[str] = Places(gather, serve)
    places.put("dana", "a", "dana's")
    places.put("eli", "a", "eli's")
    assert places.settle() == []
    assert [(one.place, one.runs) for one in made] == [("a", True)]
    assert there["now"] == {"dana": "dana's", "eli": "eli's"}
    places.put("eli", "b", "eli's")
    assert places.settle() == []
    assert [(one.place, one.runs) for one in made] == [("a", True), ("b", True)]
    places.take("dana")
    assert [one.place for one in places.settle()] == ["a"]  # type: ignore[attr-defined]
    assert [(one.place, one.runs) for one in made] == [("a", False), ("b", True)]
    assert [one.place for one in places.settle(closed=True)] == ["b"]  # type: ignore[attr-defined]
    places.put("fay", "b", "fay's")
    assert places.settle(closed=True) == []
    assert not any(one.runs for one in made)
    places.settle()
    assert [(one.place, one.runs) for one in made] == [("a", False), ("b", False), ("b", True)]
    assert there["now"] == {"eli": "eli's", "fay": "fay's"}
    places.stop()
    assert not any(one.runs for one in made)
