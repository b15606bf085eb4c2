"""Pages in real Chromium, with strangers' words in them and strangers' pages before them: nothing happens."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import urlencode

import pytest
from starlette.types import ASGIApp

from daemon.dashboard.app import build as build_dashboard
from daemon.links import Purpose
from daemon.store import answers
from daemon.web.server import Server
from tests.support import owner
from tests.support.browser import NEEDED, chromium
from tests.support.hostile import meeting, texts
from tests.support.offices import at
from tests.support.servers import free_port
from tests.support.visitor import Desk
from tests.trust.conftest import Trial

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

FORM = {"content-type": "application/x-www-form-urlencoded"}
INJECT = """() => {
  const add = html => document.body.insertAdjacentHTML('beforeend', html);
  add('<img src=x onerror="pwned()"><img src="OTHER/pixel"><iframe src="OTHER/frame"></iframe>');
  add('<link rel=stylesheet href="OTHER/style"><object data="OTHER/object"></object>');
  add('<a id=j href="javascript:pwned()">');
  for (const made of [{text: 'pwned()'}, {src: 'OTHER/script.js'}, {src: 'data:text/javascript,pwned()'}])
    document.body.append(Object.assign(document.createElement('script'), made));
  document.getElementById('j').click();
  fetch('OTHER/fetch').catch(() => 0);
  navigator.sendBeacon('OTHER/beacon', 'x');
  const form = Object.assign(document.createElement('form'), {action: 'OTHER/form', method: 'post'});
  document.body.append(form);
  form.submit();
}"""
"""What a script of a stranger's would try, were there a way in."""


class Elsewhere:
    """Another site: what was asked of it, and the one page it shows."""

    def __init__(self) -> None:
        self.page = ""
        self.asked: list[str] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version: ClassVar[str] = "HTTP/1.0"

            def do_GET(self) -> None:
                outer.asked.append(self.path)
                self.send_response(200)
                self.send_header("Content-Type", "text/html")
                self.end_headers()
                self.wfile.write(outer.page.encode())

            def do_POST(self) -> None:
                self.do_GET()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://localhost:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        """No more visitors."""
        self._server.shutdown()
        self._thread.join(5)
        self._server.server_close()


@pytest.fixture
def elsewhere() -> Iterator[Elsewhere]:
    """Somebody else's site."""
    made = Elsewhere()
    yield made
    made.close()


@contextlib.contextmanager
def _served(app: ASGIApp, port: int) -> Iterator[None]:
    server = Server(app, f"127.0.0.1:{port}")
    server.start()
    for _ in range(200):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.05)
    try:
        yield
    finally:
        server.stop()
        assert server.join(10)


def _answer_desk(folder: Path, corpus: list[str], port: int) -> tuple[Desk, list[str]]:
    """Somebody asked about a meeting for each text, and where each is answered."""
    folder.mkdir()
    desk = Desk(folder, public_url=f"http://127.0.0.1:{port}")
    for number, text in enumerate(corpus):
        who = f"guest{number}@acme.example"
        raw = meeting(f"m{number}", at(40), {who: "NEEDS-ACTION"}, title=text, name=text)
        desk.put("acme", f"m{number}", raw)
    desk.round(0.01)
    left = [desk.left(f"guest{number}@acme.example", "ask") for number in range(len(corpus))]
    return desk, [desk.path(one) for one in left] + [desk.path(left[0], Purpose.STOP)]


def _watched(browser: Browser) -> tuple[Page, list[str]]:
    """A new window, in which ``pwned()`` would leave a trace; and what went on in it."""
    page = browser.new_context().new_page()
    page.add_init_script("window.pwned = () => { document.documentElement.dataset.pwned = 'yes' }")
    went: list[str] = []
    page.on("request", lambda sent: went.append(sent.url))
    page.on("dialog", lambda dialog: (went.append("dialog"), dialog.dismiss()))
    page.on("console", lambda said: went.append(f"console {said.text}"))
    page.on("pageerror", lambda error: went.append(f"error {error}"))
    return page, went


def _is_untouched(page: Page) -> None:
    assert page.evaluate("document.documentElement.dataset.pwned") is None
    foreign = 'iframe, object, embed, base, [onerror], [onload], [ontoggle], [onfocus], [hx-get*="x.example"]'
    assert page.evaluate(f"document.querySelectorAll('{foreign}').length") == 0


@NEEDED
@pytest.mark.promise("security", "hostile titles on pages in Chromium")
def test_no_script_of_a_strangers_runs(elsewhere: Elsewhere, tmp_path: Path, trial: Trial) -> None:
    """Answer pages and dashboard: no script, no request elsewhere, nothing for their policy to refuse."""
    corpus = texts(trial.size(3, 120))
    with chromium() as browser:
        seen = _answer_pages(browser, elsewhere, tmp_path, corpus)
        seen += _dashboard(browser, elsewhere, tmp_path / "dashboard", corpus[:40])
    trial.saw(f"{seen} pages", "no script of theirs ran, nothing went elsewhere; injected ones were refused")


def _answer_pages(browser: Browser, elsewhere: Elsewhere, folder: Path, corpus: list[str]) -> int:
    seen = 0
    for start in range(0, len(corpus), 40):
        batch, port = corpus[start : start + 40], free_port()
        desk, paths = _answer_desk(folder / str(start), batch, port)
        with _served(desk.app, port):
            page, went = _watched(browser)
            for path in paths:
                page.goto(f"http://127.0.0.1:{port}{path}")
                _is_untouched(page)
            page.wait_for_load_state("networkidle")
            assert [one for one in went if not one.startswith(f"http://127.0.0.1:{port}/")] == []
            _tries_everything(page, elsewhere)
            page.context.close()
        desk.office.close()
        seen += len(paths)
    return seen


def _dashboard(browser: Browser, elsewhere: Elsewhere, folder: Path, corpus: list[str]) -> int:
    folder.mkdir()
    desk, port = owner.Desk(folder, title=corpus[0]), free_port()
    for number, text in enumerate(corpus):
        people = {f"guest{number}@acme.example": "NEEDS-ACTION"}
        desk.put("acme", f"m{number}", meeting(f"m{number}", at(40), people, title=text, name=text))
    desk.round(0.01)
    paths = ["/", "/message/1", *(f"/meeting?of=m{number}" for number in range(len(corpus)))]
    with _served(build_dashboard(desk.office, desk.beats), port):
        page, went = _watched(browser)
        for path in paths:
            page.goto(f"http://127.0.0.1:{port}{path}")
            _is_untouched(page)
        page.wait_for_load_state("networkidle")
        assert [one for one in went if not one.startswith(f"http://127.0.0.1:{port}/")] == []
        _tries_everything(page, elsewhere)
        page.context.close()
    desk.office.close()
    return len(paths)


def _tries_everything(page: Page, elsewhere: Elsewhere) -> None:
    """Even a script that was already in the page could tell nobody (Content Security Policy)."""
    elsewhere.asked.clear()
    page.evaluate(INJECT.replace("OTHER", elsewhere.url))
    page.wait_for_timeout(150)
    assert page.evaluate("document.documentElement.dataset.pwned") is None
    assert elsewhere.asked == []


@NEEDED
@pytest.mark.promise("security, P10", "CSRF: forms, requests and frames of another site in Chromium")
def test_another_site_changes_nothing(elsewhere: Elsewhere, tmp_path: Path, trial: Trial) -> None:
    """Though it knows address and seal: a form that sends itself, a fetch, the page in a frame of its own."""
    port, other_port = free_port(), free_port()
    desk, [path, stop] = _answer_desk(tmp_path / "answers", ["Kickoff"], port)
    (tmp_path / "board").mkdir()
    board = owner.Desk(tmp_path / "board")
    app = build_dashboard(board.office, board.beats)
    forms = owner.Owner(app, {"host": f"127.0.0.1:{other_port}", "sec-fetch-site": "same-origin"}).forms()
    targets = [
        (f"http://127.0.0.1:{port}{path}", {"seal": desk.visitor.get(path).field("seal"), "do": "yes"}),
        (f"http://127.0.0.1:{port}{stop}", {"seal": desk.visitor.get(stop).field("seal"), "do": "stop"}),
        *((f"http://127.0.0.1:{other_port}{action}", fields) for action, fields in forms.items()),
    ]
    before, board_before = _kept(desk), board.dump()
    tried = 0
    with _served(desk.app, port), _served(app, other_port), chromium() as browser:
        for url, fields in targets if trial.full else targets[1:2]:
            for attack in _attacks(url, fields):
                elsewhere.page = attack
                page = browser.new_context().new_page()
                page.goto(elsewhere.url + "/trap")
                page.wait_for_load_state("networkidle")
                for frame in page.frames[1:]:
                    assert not frame.url.startswith("http://127.0.0.1"), "shown in a frame"
                page.context.close()
                tried += 1
    assert _kept(desk) == before
    assert board.dump() == board_before
    desk.office.close()
    board.office.close()
    trial.saw(f"{tried} attacks", "nothing was changed, no page shown in a frame")


def _attacks(url: str, fields: dict[str, str]) -> list[str]:
    hidden = "".join(f'<input type=hidden name="{escape(k)}" value="{escape(v)}">' for k, v in fields.items())
    how = f"method: 'POST', credentials: 'include', mode: 'MODE', headers: {FORM!r}"
    send = f"fetch('{url}', {{{how}, body: '{urlencode(fields)}'}})"
    simple = send.replace(repr(FORM), "{}")
    return [
        f'<form id=f action="{escape(url)}" method=post>{hidden}</form><script>f.submit()</script>',
        f"<script>{send.replace('MODE', 'cors')}.catch(() => 0)</script>",
        f"<script>{simple.replace('MODE', 'no-cors')}.catch(() => 0)</script>",
        f'<iframe src="{escape(url)}"></iframe>',
        f'<img src="{escape(url)}?{escape(urlencode(fields))}"><link rel=prerender href="{escape(url)}">',
    ]


def _kept(desk: Desk) -> list[object]:
    with desk.store.read() as conn:
        return [*answers.since(conn, at(-1000)), *sorted(desk.states().items())]


@pytest.mark.promise("security, P10", "CSRF: every way a form can arrive")
def test_only_a_page_of_ours_acts(tmp_path: Path, trial: Trial) -> None:
    """Seal, origin and type of the form in all combinations: only those of the page itself are taken."""
    board = owner.Desk(tmp_path)
    before = board.dump()
    action = "/message/2/approve"
    visit = board.visit()
    fields = visit.forms()[action]
    stolen = next(one for path, one in visit.forms().items() if path != action)["seal"]
    sites = [None, "same-origin", "same-site", "cross-site", "none", "SAME-ORIGIN", "same-origin, cross-site"]
    origins = [
        None,
        "null",
        "http://127.0.0.1:8471",
        "http://127.0.0.1:8471.evil.example",
        "http://evil.example",
    ]
    hosts = ["127.0.0.1:8471", "evil.example", "127.0.0.1.evil.example:8471", "localhost@evil.example", ""]
    seals = [fields["seal"], stolen, "", fields["seal"][:-1], fields["seal"].upper(), "é"]
    kinds = [FORM["content-type"], "text/plain", "application/json", "multipart/form-data; boundary=b"]
    tried = 0
    for site, origin, host, seal, kind in product(sites, origins, hosts, seals, kinds):
        ours = host == hosts[0] and seal == seals[0]
        if ours and (site == "same-origin" or (site is None and origin == origins[2])):
            continue
        if not trial.full and tried % 25 and not ours:
            tried += 1
            continue
        headers = {"host": host, "content-type": kind}
        headers |= {"sec-fetch-site": site} if site else {}
        headers |= {"origin": origin} if origin else {}
        visit.headers.clear()
        seen = visit.ask(action, "POST", urlencode({**fields, "seal": seal}).encode(), headers)
        assert seen.status in {400, 403, 415}, (site, origin, host, seal, kind)
        tried += 1
    assert board.dump() == before
    assert board.visit().press(action).status == 303
    assert board.dump() != before
    board.office.close()
    trial.saw(f"{tried} combinations", "refused; the page's own was taken")
