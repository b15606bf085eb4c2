"""The dashboard in a real browser: it fits, all can read it, and its buttons work with and without script."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from daemon.dashboard.app import build
from daemon.web.server import Server
from tests.support.owner import HOSTILE, JO, Desk

CHROMIUM = Path("/usr/bin/chromium")
AXE = Path(os.environ.get("REBOOKD_AXE", "/usr/share/javascript/axe-core/axe.min.js"))
"""The accessibility checker, where there is one."""

pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason="needs Chromium")


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """A meeting in every state, one of them with a long and hostile title."""
    made = Desk(tmp_path, title=f"Kickoff with a rather long title, as people write them {HOSTILE}")
    yield made
    made.office.close()


@pytest.fixture
def url(desk: Desk) -> Iterator[str]:
    """Where the dashboard is served."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        place = f"127.0.0.1:{free.getsockname()[1]}"
    server = Server(build(desk.office, desk.beats), place, what="dashboard pages", block="dashboard")
    server.start()
    for _ in range(100):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", int(place.rpartition(":")[2]))) == 0:
                break
        time.sleep(0.05)
    yield f"http://{place}"
    server.stop()
    assert server.join(10)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        yield made
        made.close()


@pytest.mark.parametrize(("width", "scheme"), [(360, "light"), (1280, "dark")])
def test_it_fits_and_can_be_read(browser: Any, url: str, width: int, scheme: str) -> None:
    """Nothing is wider than the screen or refused by its own policy, and no rule of axe is broken."""
    context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
    page = context.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    for path in ("/", "/meeting?of=kickoff", "/message/2", "/nowhere"):
        page.goto(url + path)
        page.wait_for_load_state("networkidle")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
        if AXE.exists():
            page.evaluate(AXE.read_text(encoding="utf-8"))
            found = page.evaluate("axe.run()")
            assert [(one["id"], one["nodes"][0]["html"]) for one in found["violations"]] == [], path
    assert [one for one in said if "404" not in one] == []
    context.close()


@pytest.mark.parametrize("script", [True, False])
def test_approve_works_with_and_without_script(browser: Any, desk: Desk, url: str, script: bool) -> None:
    """With it the page stays where it is and is drawn anew; without it, it is loaded again."""
    context = browser.new_context(java_script_enabled=script)
    page = context.new_page()
    loads: list[str] = []
    page.on("domcontentloaded", lambda where: loads.append(where.url))
    page.goto(url)
    page.get_by_role("button", name="Approve message").click()
    page.get_by_role("status").wait_for()
    assert "leaves Mon 2026-03-02 09:06 or soon after" in page.get_by_role("status").inner_text()
    assert desk.states()["kickoff", JO] == "pending"
    assert page.get_by_role("button", name="Approve").count() == 0
    assert len(loads) == (1 if script else 2)
    page.get_by_role("button", name="End silence 1").click()
    page.get_by_text("No silence holds.").wait_for()
    context.close()
