"""What holds for every request to the answer pages: who gets in, what browsers are told, and how often."""

from __future__ import annotations

import asyncio
import re
import tomllib
from base64 import b64encode
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace

import pytest

from daemon.links import Links, Purpose
from daemon.store import answers
from daemon.store.errors import StoreAway, StoreError
from daemon.web import forms
from daemon.web.app import build
from daemon.web.limits import MOST_VISITORS, Bucket, visitor
from daemon.web.words import words
from tests.support.offices import at
from tests.support.visitor import KEY, URL, Desk, Seen, Visitor

FORM = {"content-type": "application/x-www-form-urlencoded"}


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """An office with answer pages and one question to Jo."""
    made = Desk(tmp_path_factory.mktemp("desk"))
    made.asked()
    yield made
    made.office.close()


@pytest.fixture
def path(desk: Desk) -> str:
    """Where the question is answered."""
    return desk.path(desk.left())


def said(desk: Desk) -> int:
    """How many answers were kept."""
    with desk.store.read() as conn:
        return len(answers.since(conn, at(-1000)))


def test_a_page_of_nobodys_says_nothing(desk: Desk, path: str) -> None:
    """Forged, cut short, of another purpose, another key, another life of the state: all the same 404."""
    token = path.rpartition("/")[2]
    delivery = desk.left()
    others = [
        f"/a/{token[:-1]}",
        f"/a/{token}x",
        f"/stop/{token}",
        f"/a/{desk.path(delivery, Purpose.STOP).rpartition('/')[2]}",
        f"/a/{desk.path(delivery, Purpose.PICK).rpartition('/')[2]}",
        f"/a/{desk.path(delivery, Purpose.CHECK_IN).rpartition('/')[2]}",
        f"/a/{Links(URL, ['x' * 40]).token(Purpose.CONFIRM, delivery.id, 'x')}",
        f"/a/{desk.links.token(Purpose.CONFIRM, delivery.id, 'AAAAAAAAAAAA')}",
        f"/a/{desk.links.token(Purpose.CONFIRM, 999, 'AAAAAAAAAAAA')}",
        "/a/",
        "/a/%00",
        "/a/" + "a" * 5000,
        "/",
        "/stop",
        "/favicon.ico",
        "/a/../a/x",
    ]
    pages = {(seen.status, seen.words) for seen in map(desk.visitor.get, others)}
    assert len(pages) == 1
    ((status, text),) = pages
    assert status == 404
    assert "This link leads nowhere" in text
    assert "Dana" not in text
    assert "rebookd" not in text
    for one in others[:9]:
        assert desk.visitor.post(one, do="yes").status == 404


def test_a_form_needs_the_seal_of_its_own_page(desk: Desk, path: str) -> None:
    """Without it, with that of another page, or sent from another site, nothing is done."""
    seal = desk.visitor.get(path).field("seal")
    stop = desk.visitor.get(desk.path(desk.left(), Purpose.STOP)).field("seal")
    for wrong in ("", stop, seal[:-1], seal + "A", "é", "." * 50):
        seen = desk.visitor.post(path, seal=wrong, do="yes")
        assert seen.status == 403
        assert "nothing was done" in seen.words
    there = {**FORM, "sec-fetch-site": "cross-site"}
    assert desk.visitor.ask(path, "POST", f"seal={seal}&do=yes".encode(), there).status == 403
    assert not said(desk)


def test_a_seal_of_an_older_key_is_believed(desk: Desk, path: str) -> None:
    """A page that was open while the key was changed can still be sent."""
    seal = desk.visitor.get(path).field("seal")
    new = build(desk.office.answering, Links(URL, ["n" * 40, KEY]))
    assert Visitor(new).post(path, seal=seal, do="nothing we know").status == 400


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND"])
def test_other_methods_do_nothing(desk: Desk, path: str, method: str) -> None:
    """405, and which there are."""
    seen = desk.visitor.ask(path, method)
    assert seen.status == 405
    assert set(seen.headers["allow"].split(", ")) >= {"GET", "HEAD"} or seen.headers["allow"] == "POST"
    assert not said(desk)


def test_a_look_at_the_head_alone_has_the_same_headers(desk: Desk, path: str) -> None:
    """HEAD is GET without the page."""
    assert desk.visitor.ask(path, "HEAD").headers == desk.visitor.get(path).headers


def _everywhere(desk: Desk, path: str) -> list[Seen]:
    visit = desk.visitor
    seal = visit.get(path).field("seal")
    return [
        visit.get(path),
        visit.get("/a/nothing"),
        visit.post(path, do="yes"),
        visit.post(path, seal=seal, do="other"),
        visit.ask(path, "PUT"),
        visit.get(desk.path(desk.left(), Purpose.STOP)),
    ]


def test_browsers_are_told_to_load_and_keep_nothing(desk: Desk, path: str) -> None:
    """Every answer: a policy without any source but the page's own style and script, by their hashes."""
    for seen in _everywhere(desk, path):
        policy = seen.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; ")
        assert "unsafe" not in policy
        for part in ("form-action 'self'", "frame-ancestors 'none'", "base-uri 'none'"):
            assert part in policy
        assert seen.headers["referrer-policy"] == "no-referrer"
        assert seen.headers["x-content-type-options"] == "nosniff"
        assert seen.headers["cache-control"] == "no-store"
        assert seen.headers["strict-transport-security"].startswith("max-age=")
        assert "set-cookie" not in seen.headers
        for tag, source in (("style", "style-src"), ("script", "script-src")):
            for inline in re.findall(rf"<{tag}>(.*?)</{tag}>", seen.text, re.DOTALL):
                digest = b64encode(sha256(inline.encode()).digest()).decode()
                assert f"{source} 'sha256-{digest}'" in policy


def test_strict_transport_is_only_asked_for_over_https(tmp_path: Path) -> None:
    """A page tried out on this machine does not bind its browser."""
    desk = Desk(tmp_path, public_url="http://127.0.0.1:8470")
    assert "strict-transport-security" not in desk.visitor.get("/a/x").headers
    desk.office.close()


def test_pages_are_small_and_refer_to_nothing_outside(desk: Desk, path: str) -> None:
    """Below 30 KiB each; no address but mailto: and its own path."""
    for seen in _everywhere(desk, path):
        assert len(seen.text.encode()) < 30 * 1024
        found = re.findall(r'(?:src|href|action)="([^"]*)"|url\(([^)]*)\)', seen.text)
        for address in filter(None, (one or other for one, other in found)):
            assert re.match(r"mailto:dana@va\.example$|/a/|/stop/|data:,$", address), address


def test_pages_can_be_read_by_everybody(desk: Desk, path: str) -> None:
    """One main part and one heading, a language, a name for every field; no id twice."""
    for seen in _everywhere(desk, path):
        assert seen.text.count("<main>") == seen.text.count("<h1>") == 1
        assert '<html lang="en">' in seen.text
        assert re.search(r"<title>[^<]+</title>", seen.text)
        bare = re.sub(r"<label.*?</label>", "", seen.text, flags=re.DOTALL)
        assert not re.findall(r"<(?:select|textarea|input(?! type=\"hidden\"))", bare)
        ids = re.findall(r'\bid="([^"]+)"', seen.text)
        assert len(ids) == len(set(ids))
        for named in re.findall(r'aria-describedby="([^"]+)"', seen.text):
            assert named in ids


def test_forms_are_bounded(desk: Desk, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Too large, too slow, or nothing that can be read: refused, and nothing kept."""
    assert desk.visitor.ask(path, "POST", b"words=" + b"x" * (17 * 1024), FORM).status == 413
    assert desk.visitor.ask(path, "POST", pieces=[b"x" * 4096] * 5, headers=FORM).status == 413
    assert desk.visitor.ask(path, "POST", b"do=%ff%fe", FORM).status == 400
    assert desk.visitor.ask(path, "POST", b"\xff\xfe=1", FORM).status == 400
    assert desk.visitor.ask(path, "POST", b"&".join([b"a=1"] * 200), FORM).status == 400
    odd = {"content-type": "multipart/form-data; boundary=b"}
    assert desk.visitor.ask(path, "POST", b"--b\r\nnothing", odd).status == 403
    monkeypatch.setattr(forms, "SECONDS", 0.05)
    asyncio.run(_trickle(desk.visitor, path))
    assert not said(desk)


async def _trickle(one: Visitor, path: str) -> None:
    """A body of which more is always to come."""
    status = []

    async def receive() -> dict[str, object]:
        await asyncio.sleep(0.02)
        return {"type": "http.request", "body": b"a", "more_body": True}

    async def send(message: dict[str, object]) -> None:
        status.append(message.get("status"))

    scope = one.scope(path, "POST", FORM)
    await one.app(scope, receive, send)  # type: ignore[arg-type]
    assert status[0] == 408


def test_who_comes_too_often_waits(desk: Desk, path: str) -> None:
    """429 with the seconds to wait; answers cost more than looks; others are let in meanwhile."""
    now = [0.0]
    app = build(desk.office.answering, desk.links, bucket=Bucket(lambda: now[0], burst=10, per_second=2))
    one, other = (Visitor(app, {"x-forwarded-for": ip}) for ip in ("192.0.2.1", "192.0.2.2"))
    assert {one.get(path).status for _ in range(10)} == {200}
    busy = one.get(path)
    assert (busy.status, busy.headers["retry-after"]) == (429, "1")
    assert "too many requests" in busy.words
    assert other.get(path).status == 200
    now[0] += 0.5
    assert one.get(path).status == 200
    sent = one.post(path, do="yes")
    assert (sent.status, sent.headers["retry-after"]) == (429, "3")


def test_addresses_are_remembered_only_so_many() -> None:
    """Whoever comes from ever new addresses fills no memory."""
    bucket = Bucket(lambda: 0.0)
    for number in range(MOST_VISITORS + 100):
        bucket.wait(str(number))
    assert len(bucket._left) == MOST_VISITORS


@pytest.mark.parametrize(
    ("peer", "forwarded", "counts_for"),
    [
        ("192.0.2.7", None, "192.0.2.7"),
        ("192.0.2.7", "198.51.100.1", "192.0.2.7"),
        ("127.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("127.0.0.1", "10.0.0.1, 198.51.100.1", "198.51.100.1"),
        ("::1", "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("::ffff:127.0.0.1", "198.51.100.1", "198.51.100.1"),
        (None, "198.51.100.1", "198.51.100.1"),
        ("127.0.0.1", "unknown", "this machine"),
        ("127.0.0.1", None, "this machine"),
    ],
)
def test_whom_a_request_counts_for(peer: str | None, forwarded: str | None, counts_for: str) -> None:
    """A web server on this machine or a socket is believed, in what it wrote itself; nobody else is."""
    headers = [(b"x-forwarded-for", forwarded.encode())] if forwarded else []
    scope = {"type": "http", "client": (peer, 1) if peer else None, "headers": headers}
    assert visitor(scope) == counts_for


def test_a_broken_store_is_a_page_too(desk: Desk, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """503 with a plain sentence, and no word of what broke; the log has no address of a page."""
    logged: list[tuple[object, ...]] = []
    monkeypatch.setattr("daemon.web.guard.log", SimpleNamespace(exception=lambda *told: logged.append(told)))

    def broken(*_: object) -> None:
        raise StoreError("the disk is full")

    monkeypatch.setattr("daemon.answers.Answering.question", broken)
    seen = desk.visitor.get(path)
    assert seen.status == 503
    assert "Something went wrong here" in seen.words
    assert "disk" not in seen.text
    assert logged == [("an answer page failed",)]


def test_a_database_that_is_away_is_told_in_a_sentence(
    desk: Desk, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The visitor may come again; the log says what is the matter, and shows no traceback."""
    logged: list[dict[str, object]] = []
    monkeypatch.setattr(
        "daemon.web.guard.log", SimpleNamespace(warning=lambda _, **told: logged.append(told))
    )

    def away(*_: object) -> None:
        raise StoreAway("it restarts")

    monkeypatch.setattr("daemon.answers.Answering.question", away)
    assert desk.visitor.get(path).status == 503
    assert logged == [{"problem": "it restarts"}]


def test_both_languages_say_the_same() -> None:
    """The same sentences with the same blanks, in both forms of number."""
    folder = Path(__file__).parents[2] / "daemon" / "web" / "words"
    en, pt = (tomllib.loads((folder / f"{tag}.toml").read_text(encoding="utf-8")) for tag in ("en", "pt"))
    assert list(en) == list(pt)
    for name, sentence in en.items():
        assert _blanks(sentence) == _blanks(pt[name]), name
    assert words("pt-BR").say("others_first", count=1) == "Ainda tem de escolher mais uma pessoa."
    assert words("pt").say("others_first", count=2) == "Ainda têm de escolher mais 2 pessoas."
    assert words("de").code == "en"


def _blanks(sentence: str | dict[str, str]) -> object:
    if isinstance(sentence, str):
        return set(re.findall(r"\{(\w+)\}", sentence))
    return {form: _blanks(text) for form, text in sentence.items()}


def test_every_sentence_is_used() -> None:
    """None is left behind, and none is missing."""
    folder = Path(__file__).parents[2] / "daemon" / "web"
    code = "".join(p.read_text(encoding="utf-8") for p in folder.rglob("*") if p.suffix in {".py", ".html"})
    built = re.compile(r"(agreed|moved|gone|over)_(title|lead)|agreed_\w+|\w+_(title|lead)")
    for name in words("en").sentences:
        assert f'"{name}"' in code or built.fullmatch(name), name
