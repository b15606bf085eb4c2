"""The answer pages in a real browser: from the link in a mail to the moved meeting, small and by keyboard."""

from __future__ import annotations

import email
import email.policy
import re
import signal
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from daemon.links import Purpose
from daemon.web.server import Server
from tests.acceptance.test_daemon import living, mailed
from tests.support.browser import NEEDED, chromium
from tests.support.house import house
from tests.support.visitor import JO, Desk

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = NEEDED

RULES = """\
version: 1
guard: {max_per_run: 10000, max_per_hour: 10000, first_sync: act}
rules:
  - name: move
    when: unconfirmed
    then:
      - {step: other, do: reschedule, at: 7d before start, slots: 3, within: 7 business days}
"""

LOUD = """() => [...document.querySelectorAll('main *, footer *')].flatMap(one => {
  const seen = one.getBoundingClientRect(), style = getComputedStyle(one);
  if (!seen.width || ![...one.childNodes].some(node => node.nodeType == 3 && node.data.trim())) return [];
  const light = text => {
    const [r, g, b] = text.match(/[\\d.]+/g).map(Number).map(c => c / 255)
      .map(c => c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  let below = one;
  while (below && getComputedStyle(below).backgroundColor == 'rgba(0, 0, 0, 0)') below = below.parentElement;
  const [a, b] = [light(style.color), light(getComputedStyle(below).backgroundColor)].sort((x, y) => y - x);
  const contrast = (a + 0.05) / (b + 0.05);
  return contrast < 4.5 ? [one.outerHTML.slice(0, 80) + ' ' + contrast.toFixed(2)] : [];
})"""
"""Texts whose contrast is below 4.5 : 1 (WCAG 2.2, 1.4.3)."""

SMALL = """() => [...document.querySelectorAll('button,summary,select,input,textarea,a')].flatMap(one => {
  const target = one.closest('label.slot') || one, seen = target.getBoundingClientRect();
  return seen.width && (seen.height < 44 || seen.width < 44) && one.type != 'hidden'
    ? [one.outerHTML.slice(0, 80) + ' ' + seen.width + 'x' + seen.height] : [];
})"""
"""What is to be pressed and is smaller than 44 by 44 pixels (WCAG 2.2, 2.5.5)."""


def free_port() -> int:
    """A port that nobody has."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One for all of these."""
    with chromium() as found:
        yield found


class Pages(Desk):
    """An office that serves its pages, in which other threads may ask."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.root = f"http://127.0.0.1:{self.port}"
        super().__init__(folder, public_url=self.root)
        self.server = Server(self.app, f"127.0.0.1:{self.port}")
        self.server.start()

    def end(self) -> None:
        """No more visitors."""
        self.server.stop()
        assert self.server.join(8)
        self.office.close()

    def answered(self, path: str, **fields: str) -> None:
        """Somebody answered before; playwright's own loop is in the way of asking from this thread."""
        with ThreadPoolExecutor(1) as aside:
            aside.submit(self.visitor.answer, path, **fields).result()


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pages]:
    """One desk for all of these."""
    made = Pages(tmp_path_factory.mktemp("pages"))
    yield made
    made.end()


def opened(browser: Browser, url: str, troubles: list[str] | None = None, **context: object) -> Page:
    """A page in a window of its own; what its browser complains of, and what it asks elsewhere, is noted."""
    page = browser.new_context(**{"timezone_id": "America/New_York", **context}).new_page()  # type: ignore[arg-type]
    if troubles is not None:
        page.on("console", lambda said: troubles.append(said.text))
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on("request", lambda sent: sent.url.startswith(url[:20]) or troubles.append(sent.url))
    page.goto(url)
    page.wait_for_load_state()
    return page


def test_a_click_moves_the_meeting(tmp_path: Path, browser: Browser) -> None:
    """The installed daemon mails a link; a time is picked in the browser; the calendar shows it then."""
    port = free_port()
    with house(tmp_path, RULES, poll_every="1s") as place:
        config = place.folder / "config.yaml"
        more = f"answers: {{public_url: 'http://127.0.0.1:{port}', listen: '127.0.0.1:{port}'}}\n"
        config.write_text(config.read_text() + more)
        place.put("kickoff", 50)
        before = place.dav.request("GET", "/dana/work/kickoff.ics").text
        with living(place, tmp_path) as life:
            assert life.waits(lambda: mailed(place, JO))
            raw = place.taken()[-1]["data"]
            text = (
                email.message_from_string(raw, policy=email.policy.default).get_body(("plain",)).get_content()
            )
            page = opened(browser, re.findall(rf"http://127\.0\.0\.1:{port}/a/\S+", text)[0])
            assert place.dav.request("GET", "/dana/work/kickoff.ics").text == before, (
                "looking changes nothing"
            )
            page.get_by_role("radio").nth(1).check()
            page.get_by_role("button", name="Take this time").click()
            assert page.get_by_role("heading", name="A new time is agreed").is_visible()
            assert life.waits(lambda: place.dav.request("GET", "/dana/work/kickoff.ics").text != before)
            after = place.dav.request("GET", "/dana/work/kickoff.ics").text
            assert "UID:kickoff" in after
            assert "SEQUENCE:1" in after
            life.process.send_signal(signal.SIGHUP)
            assert life.logs("configuration reloaded")
            assert life.log.read_text().count("answer pages are served") == 1, (
                "nobody is turned away meanwhile"
            )
            page.reload()
            assert page.get_by_role("heading", name="A new time is agreed").is_visible()
            assert life.stop() == 0
    assert "Traceback" not in life.log.read_text()


@pytest.mark.parametrize(("width", "scheme"), [(360, "light"), (1280, "dark")])
def test_every_page_fits_and_can_be_read(tmp_path: Path, browser: Browser, width: int, scheme: str) -> None:
    """No page is wider than its window, no text too faint, no target too small; nobody else is asked."""
    pages = Pages(tmp_path)
    asked = pages.asked("asked", to="asked@acme.example", title="Kickoff review " + "x" * 60)
    stop = pages.path(pages.left("asked@acme.example"), Purpose.STOP)
    said = pages.asked("said", to="said@acme.example")
    pages.answered(
        said, do="other", words="Any morning.\nThursday is best.", date1="2026-03-12", time1="10:00"
    )
    picked = pages.offered("picked", hours=60, title="Quarterly review")
    agreed = pages.offered("agreed", hours=64)
    pages.answered(agreed, do="pick", slot=first_slot(pages, agreed))
    for path, gone in ((asked, 0), (stop, 0), (picked, 0), (agreed, 1), (said, 0), ("/a/none", 1)):
        troubles: list[str] = []
        page = opened(
            browser,
            pages.root + path,
            troubles,
            viewport={"width": width, "height": 740},
            color_scheme=scheme,
        )
        for fold in page.locator("summary").all():
            fold.click()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
        assert page.evaluate(LOUD) == [], path
        assert page.evaluate(SMALL) == [], path
        assert len([one for one in troubles if "410" in one or "404" in one]) == gone
        assert len(troubles) == gone, troubles
        page.context.close()
    pages.end()


def first_slot(pages: Pages, path: str) -> str:
    """The first time a page offers, as its form names it."""
    with ThreadPoolExecutor(1) as aside:
        return aside.submit(pages.visitor.get, path).result().field("slot")


def test_everything_works_without_a_mouse(pages: Pages, browser: Browser) -> None:
    """Tab, space and enter reach every control in the order of the page, and send the form."""
    page = opened(browser, pages.root + pages.asked("keys", to="keys@acme.example"))
    reached = []
    for _ in range(8):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.innerText.trim().split('\\n')[0]"))
        assert page.evaluate("document.activeElement.matches(':focus-visible')")
        if reached[-1] == "I can’t make it":
            page.keyboard.press("Enter")
            break
    assert reached[-3:] == ["Show", "I’ll be there", "I can’t make it"]
    page.get_by_role("status").wait_for()
    assert "can’t make it, and may offer" in page.get_by_role("status").inner_text()


def test_everything_works_without_javascript(pages: Pages, browser: Browser) -> None:
    """The recipient's zone is shown; another is chosen by hand; a wish is meant in the zone that is shown."""
    url = pages.root + pages.asked("plain", to="plain@acme.example")
    page = opened(browser, url, java_script_enabled=False)
    assert "Europe/Lisbon (UTC+00:00)" in page.locator(".event").inner_text()
    page.get_by_label("Show times in").select_option("Asia/Tokyo")
    page.get_by_role("button", name="Show").click()
    assert "Asia/Tokyo (UTC+09:00)" in page.locator(".event").inner_text()
    page.get_by_text("I need another time").click()
    page.get_by_label("In your own words").fill("after lunch")
    page.get_by_label("Date").first.fill("2026-03-12")
    page.get_by_label("From").first.fill("14:00")
    page.get_by_role("button", name="Send").click()
    said = page.get_by_role("status").inner_text()
    assert "after lunch" in said
    assert "Thu 12 March 2026, 14:00–14:30 Asia/Tokyo (UTC+09:00)" in said


@pytest.mark.parametrize(
    ("browsers", "shown"), [("Asia/Calcutta", "Asia/Calcutta (UTC+05:30)"), ("UTC", "UTC")]
)
def test_the_browsers_zone_is_chosen_for_them(
    pages: Pages, browser: Browser, browsers: str, shown: str
) -> None:
    """Also one by its old name; what somebody chose by hand stays chosen."""
    url = pages.root + pages.asked(f"zone-{browsers[:3]}", to=f"{browsers[:3].lower()}@acme.example")
    page = opened(browser, url, timezone_id=browsers)
    page.wait_for_url("**zone=**")
    assert shown in page.locator(".event").inner_text()
    page.get_by_label("Show times in").select_option("Asia/Tokyo")
    page.get_by_role("button", name="Show").click()
    page.wait_for_url("**Tokyo**")
    assert "Asia/Tokyo" in page.locator(".event").inner_text()


def test_a_mistake_is_told_and_nothing_is_typed_twice(pages: Pages, browser: Browser) -> None:
    """The form comes back open, with the sentence above it and what was typed in it."""
    page = opened(browser, pages.root + pages.asked("typo", to="typo@acme.example"))
    page.wait_for_url("**zone=**")
    page.get_by_text("I need another time").click()
    page.get_by_label("In your own words").fill("perhaps")
    page.get_by_label("Date").first.fill("2026-03-12")
    page.get_by_role("button", name="Send").click()
    assert "needs both its date and its hour" in page.get_by_role("alert").inner_text()
    assert page.get_by_label("In your own words").input_value() == "perhaps"
    assert page.get_by_label("Date").first.input_value() == "2026-03-12"
