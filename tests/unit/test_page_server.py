"""The answer pages on the wire: where they listen, how they end, and what nobody can do to them."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest
import requests

from daemon.links import Purpose
from daemon.store import agreements
from daemon.web import server as wire
from daemon.web.server import CannotListen, Server, listening
from daemon.web.serving import serve
from tests.support.house import event
from tests.support.offices import at
from tests.support.visitor import AL, JO, Desk


def free_port() -> int:
    """A port that nobody has."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


def until(holds: Callable[[], object], seconds: float = 5.0) -> bool:
    """Whether it holds before long."""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        if holds():
            return True
        time.sleep(0.01)
    return False


def answers_at(family: int, place: object) -> bool:
    """Whether somebody listens there."""
    with socket.socket(socket.AddressFamily(family)) as probe:
        return probe.connect_ex(place) == 0  # type: ignore[arg-type]


@contextlib.contextmanager
def served(desk: Desk, place: str) -> Iterator[Server]:
    """The pages, at a place."""
    server = Server(desk.app, place)
    server.start()
    try:
        yield server
    finally:
        server.stop()
        assert server.join(8)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """An office with answer pages."""
    made = Desk(tmp_path)
    yield made
    made.office.close()


def test_pages_over_tcp(desk: Desk) -> None:
    """Looking and answering with a client of the real world; no word of which server it is."""
    path, port = desk.asked(), free_port()
    with served(desk, f"127.0.0.1:{port}"):
        assert until(lambda: answers_at(socket.AF_INET, ("127.0.0.1", port)))
        url = f"http://127.0.0.1:{port}{path}"
        page = requests.get(url, timeout=5)
        assert page.status_code == 200
        assert "server" not in page.headers
        assert requests.head(url, timeout=5).content == b""
        seal = page.text.split('name="seal" value="')[1].split('"')[0]
        done = requests.post(url, data={"seal": seal, "do": "yes"}, timeout=5)
        assert [one.status_code for one in done.history] == [303]
        assert "You said that you’ll be there" in done.text
    assert not answers_at(socket.AF_INET, ("127.0.0.1", port))


def test_pages_over_a_unix_socket(desk: Desk, tmp_path: Path) -> None:
    """A dead socket file in the way is replaced; the file goes when the pages do."""
    path, place = desk.asked(), tmp_path / "answers.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(place))
    with served(desk, f"unix:{place}"):
        assert until(lambda: answers_at(socket.AF_UNIX, str(place)))
        with socket.socket(socket.AF_UNIX) as one:
            one.settimeout(5)
            one.connect(str(place))
            one.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
            said = b"".join(iter(lambda: one.recv(65536), b""))
        assert said.startswith(b"HTTP/1.1 200")
        assert b"Can you make it?" in said
    assert not place.exists()


def test_a_place_that_cannot_be_had_is_told_once_and_tried_again(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The daemon works on; as soon as the port is free, the pages are there."""
    told: list[dict[str, object]] = []
    quiet = SimpleNamespace(error=lambda _, **more: told.append(more), info=lambda *_, **__: None)
    monkeypatch.setattr(wire, "log", quiet)
    monkeypatch.setattr(wire, "AGAIN", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        server = Server(desk.app, f"127.0.0.1:{port}")
        server.start()
        assert until(lambda: told)
        time.sleep(0.2)
    assert len(told) == 1
    assert f"another program listens at 127.0.0.1:{port}; stop it" in str(told[0]["problem"])
    assert until(lambda: answers_at(socket.AF_INET, ("127.0.0.1", port)))
    assert requests.get(f"http://127.0.0.1:{port}/a/x", timeout=5).status_code == 404
    server.stop()
    assert server.join(8)


@pytest.mark.parametrize(
    ("place", "why"),
    [
        ("192.0.2.1:8470", "is no address of this machine"),
        ("unix:{folder}/none/answers.sock", "the folder of .* is not there"),
        ("unix:{folder}/file", "is there already and is no socket"),
    ],
)
def test_what_is_wrong_with_a_place_is_told(tmp_path: Path, place: str, why: str) -> None:
    """In a sentence that says what to do."""
    (tmp_path / "file").write_text("mine")
    with pytest.raises(CannotListen, match=why), listening(place.format(folder=tmp_path)):
        raise AssertionError("nobody can listen there")
    assert (tmp_path / "file").read_text() == "mine"


def test_a_connection_that_only_trickles_ends(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that never finishes its first line is closed, and so is one that sends too much of a head."""
    monkeypatch.setattr(wire, "LIFE", 0.3)
    port = free_port()
    with served(desk, f"127.0.0.1:{port}"):
        assert until(lambda: answers_at(socket.AF_INET, ("127.0.0.1", port)))
        with socket.create_connection(("127.0.0.1", port), timeout=5) as slow:
            slow.sendall(b"GET /a/x HTT")
            assert slow.recv(100) == b""
        with socket.create_connection(("127.0.0.1", port), timeout=5) as large:
            with contextlib.suppress(OSError):
                large.sendall(b"GET /a/x HTTP/1.1\r\nX: " + b"x" * 100_000)
            assert b" 400 " in large.recv(100)


def test_who_waits_when_it_ends_is_answered(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stop lets a request that is in hand finish."""
    path, port = desk.asked(), free_port()
    question = desk.office.answering.question

    def slowly(*given: int) -> object:
        time.sleep(0.5)
        return question(*given)

    monkeypatch.setattr("daemon.answers.Answering.question", lambda _self, id_: slowly(id_))
    with ThreadPoolExecutor(1) as pool, served(desk, f"127.0.0.1:{port}"):
        assert until(lambda: answers_at(socket.AF_INET, ("127.0.0.1", port)))
        waiting = pool.submit(requests.get, f"http://127.0.0.1:{port}{path}", timeout=5)
        time.sleep(0.2)
    assert waiting.result().status_code == 200


def test_an_office_serves_its_pages(tmp_path: Path) -> None:
    """At the place its configuration names; without a key it says so and works on."""
    port = free_port()
    desk = Desk(tmp_path, listen=f"127.0.0.1:{port}")
    server = serve(desk.office)
    assert server is not None
    assert until(lambda: answers_at(socket.AF_INET, ("127.0.0.1", port)))
    server.stop()
    assert server.join(8)
    (tmp_path / "links.key").unlink()
    assert serve(desk.open()) is None
    desk.office.close()


def test_of_many_who_want_one_hour_one_gets_it(tmp_path: Path) -> None:
    """Fifty forms at once, from two people of two meetings: one agreement, fresh times for all others."""
    desk = Desk(tmp_path)
    port = free_port()
    people = ({JO: "ACCEPTED"}, {AL: "ACCEPTED"})
    for number, invited in enumerate(people):
        desk.put("acme", f"m{number}", event(f"m{number}", at(60 + number), invited))
    desk.round(0.01)
    for number, invited in enumerate(people):
        desk.put(
            "acme", f"m{number}", event(f"m{number}", at(60 + number), dict.fromkeys(invited, "DECLINED"))
        )
    desk.round(0.01)
    desk.round(1)
    jos, als = desk.left(JO, "other"), desk.left(AL, "other")
    desk.offer(als, jos.offered)
    with served(desk, f"127.0.0.1:{port}"):
        assert until(lambda: answers_at(socket.AF_INET, ("127.0.0.1", port)))
        urls = [f"http://127.0.0.1:{port}{desk.path(one, Purpose.PICK)}" for one in (jos, als)]
        pages = [requests.get(url, timeout=10).text for url in urls]
        seals = [page.split('name="seal" value="')[1].split('"')[0] for page in pages]
        slot = pages[0].split('name="slot" value="')[1].split('"')[0]
        assert slot in pages[1]

        def pick(number: int) -> str:
            who = number % 2
            form = {"seal": seals[who], "do": "pick", "slot": slot}
            return requests.post(urls[who], data=form, timeout=60).text

        with ThreadPoolExecutor(50) as pool:
            texts = list(pool.map(pick, range(50)))
    with desk.store.read() as conn:
        taken = agreements.standing(conn, at(-1000))
    assert len(taken) == 1
    winner = 0 if taken[0].key.uid == "m0" else 1
    for number, text in enumerate(texts):
        if number % 2 == winner:
            assert "A new time is agreed" in text
        else:
            assert "has just been taken. These are still free" in text
            assert f'value="{slot}"' not in text
            assert text.count('name="slot"') >= 2
    desk.office.close()
