"""Who may see the dashboard, and what may act: everything else is refused and changes nothing."""

from __future__ import annotations

import stat
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.responses import PlainTextResponse

from daemon.dashboard import serving
from daemon.dashboard.guard import is_here
from daemon.web.server import Server
from tests.support.owner import Desk, Owner

PASSWORD = "correct horse"


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """A meeting in every state, one message that is held and one that left."""
    made = Desk(tmp_path)
    yield made
    made.office.close()


def basic(word: str, name: str = "me") -> dict[str, str]:
    """The header that a browser sends."""
    return {"authorization": f"Basic {b64encode(f'{name}:{word}'.encode()).decode()}"}


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "none"},
        {"sec-fetch-site": "", "origin": "http://127.0.0.1:8471"},
    ],
)
def test_a_form_from_elsewhere_does_nothing(desk: Desk, headers: dict[str, str]) -> None:
    """Even with the right seal."""
    owner, before = desk.visit(), desk.dump()
    done = owner.press("/message/2/approve", headers=headers)
    assert (done.status, desk.dump() == before) == (403, True)
    assert "Nothing was changed" in done.words


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://127.0.0.1:8471", 303),
        ("http://127.0.0.1:9999", 403),
        ("http://evil.example", 403),
        ("null", 403),
        (None, 403),
    ],
)
def test_where_a_browser_says_no_site_its_origin_counts(desk: Desk, origin: str | None, status: int) -> None:
    """It must be the very address that was asked."""
    owner = Owner(desk.visit().app, {"host": "127.0.0.1:8471"})
    assert owner.press("/message/2/cancel", headers={"origin": origin} if origin else {}).status == status


@pytest.mark.parametrize("seal", ["", "0" * 64, "é", None])
def test_a_form_without_its_seal_does_nothing(desk: Desk, seal: str | None) -> None:
    """Nor with the seal of another button, or of another process."""
    owner, before = desk.visit(), desk.dump()
    others = [owner.forms()["/message/2/cancel"]["seal"], desk.visit().forms()["/message/2/approve"]["seal"]]
    for one in [seal] if seal is not None else others:
        assert owner.post("/message/2/approve", seal=one).status == 403
    assert owner.post("/message/2/approve").status == 403
    assert owner.ask("/message/2/approve", "POST", b"x" * 100_000).status == 413
    assert desk.dump() == before


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example:8471", "192.0.2.7:8471", "", "[::1"]
)
def test_without_a_password_only_names_of_this_machine_open_it(desk: Desk, host: str) -> None:
    """A name that somebody pointed here is theirs, and so is what its pages would read."""
    owner, before = Owner(desk.visit().app, {"host": host, "sec-fetch-site": "same-origin"}), desk.dump()
    for path in ("/", "/healthz", "/metrics", "/message/2"):
        found = owner.get(path)
        assert (found.status, "Kickoff" in found.text) == (403, False)
    assert "only opens under the name localhost" in owner.get("/").words
    assert owner.post("/message/2/approve", seal="x").status == 403
    assert desk.dump() == before


@pytest.mark.parametrize("host", ["localhost", "localhost:9000", "127.0.0.1:8471", "127.9.9.9", "[::1]:8471"])
def test_names_of_this_machine(host: str) -> None:
    """With any port, since ssh forwards from any."""
    assert is_here(host)


def test_a_password_is_asked_for(desk: Desk) -> None:
    """With any user name and under any host; whether all is well is told without it."""
    owner = desk.visit(PASSWORD, host="desk.va.example")
    for path in ("/", "/metrics", "/message/1", "/htmx.min.js", "/nowhere"):
        found = owner.get(path)
        assert (found.status, found.headers["www-authenticate"][:5]) == (401, "Basic")
        assert "Design review" not in found.text
        assert owner.ask(path, headers=basic("wrong")).status in {401, 429}
    assert owner.get("/healthz").status == 200
    assert owner.ask("/", headers=basic(PASSWORD, "anybody")).status == 200
    assert owner.ask("/", headers={"authorization": "Basic !!!"}).status == 401
    assert owner.ask("/", headers={"authorization": "Bearer x"}).status == 401


def test_guessing_is_slowed_down_for_each_address(desk: Desk) -> None:
    """After ten wrong ones not even the right one is looked at; whoever knows it is never slowed."""
    owner = desk.visit(PASSWORD, host="desk.va.example")
    assert [owner.ask("/healthz").status] + [
        owner.ask("/htmx.min.js", headers=basic(PASSWORD)).status for _ in range(15)
    ] == [200] * 16
    assert [owner.ask("/", headers=basic("x")).status for _ in range(12)] == [401] * 10 + [429] * 2
    refused = owner.ask("/", headers=basic(PASSWORD))
    assert (refused.status, int(refused.headers["retry-after"]) <= 30) == (429, True)
    owner.peer = ("198.51.100.9", 1)
    assert owner.ask("/", headers=basic(PASSWORD)).status == 200


def test_what_browsers_are_told(desk: Desk) -> None:
    """Only our own style and script, no frames, nothing kept, nothing told to other sites."""
    owner = desk.visit()
    for path in ("/", "/message/1", "/nowhere"):
        headers = owner.get(path).headers
        policy = headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; style-src 'sha256-")
        assert "unsafe" not in policy
        for word in ("script-src 'self'", "form-action 'self'", "frame-ancestors 'none'", "base-uri 'none'"):
            assert word in policy
        assert (headers["cache-control"], headers["x-content-type-options"]) == ("no-store", "nosniff")
        assert headers["referrer-policy"] == "same-origin"
    script = owner.get("/htmx.min.js")
    assert "max-age=31536000" in script.headers["cache-control"]
    assert script.headers["content-type"].startswith("text/javascript")


def test_its_socket_is_for_the_owner_alone(tmp_path: Path) -> None:
    """Who reaches it needs no password, so nobody else may."""
    place = tmp_path / "d.sock"
    server = Server(PlainTextResponse("x"), f"unix:{place}", what="dashboard pages", mode=serving.FOR_OWNER)
    server.start()
    for _ in range(100):
        if place.exists() and stat.S_IMODE(place.stat().st_mode) == 0o600:
            break
        time.sleep(0.05)
    assert stat.S_IMODE(place.stat().st_mode) == 0o600
    server.stop()
    assert server.join(5)


def test_a_password_that_cannot_be_read_opens_nothing(desk: Desk) -> None:
    """The daemon works on, and nothing is served without it."""
    text = (
        (desk.folder / "config.yaml")
        .read_text()
        .replace("dashboard: {}", "dashboard: {password: {file: none}}")
    )
    (desk.folder / "config.yaml").write_text(text)
    from daemon.config.settings import load

    desk.office.settings = load(desk.folder / "config.yaml")
    assert serving.serve(desk.office, desk.beats) is None


def test_it_has_the_colours_of_the_answer_pages() -> None:
    """In light and in dark, and nothing else of theirs."""
    from daemon.dashboard.pages import STYLE

    assert STYLE.count("--accent:") == 2
    assert STYLE.count("* { box-sizing") == 1


def test_a_daemon_without_a_dashboard_carries_nothing_of_it() -> None:
    """What it needs is loaded when there is one."""
    program = "import sys, daemon.loop, daemon.commands.work; print(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in done.stdout.split()} | set(done.stdout.split())
    assert loaded.isdisjoint(
        {"starlette", "uvicorn", "prometheus_client", "daemon.dashboard", "daemon.health"}
    )
