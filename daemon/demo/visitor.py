"""A client who opens the link in a mail and picks a time: in Chromium where there is one, else by HTTP."""

from __future__ import annotations

import email
import email.policy
import importlib.util
import os
import re
import shutil
import tempfile

import lxml.html
import requests

from daemon.demo.meeting import LISBON

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
"""What Chromium is called."""

_SECONDS = 20.0
_LINK = re.compile(r"https?://\S+/a/[\w.~-]+")


def link_in(mail: bytes) -> str:
    """The address of the page that a mail's text leads to. Raises LookupError where it leads to none."""
    message = email.message_from_bytes(mail, policy=email.policy.default)
    part = message.get_body(("plain",))
    found = _LINK.search(part.get_content()) if part is not None else None
    if found is None:
        raise LookupError("the mail leads to no page")
    return found[0]


def pick(url: str, nth: int) -> tuple[str, str]:
    """Pick the ``nth`` time that the page offers; the heading of the page that comes then, and what shows it.

    Raises LookupError where the page offers no such time, OSError where it cannot be had.
    """
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is not None and importlib.util.find_spec("playwright") is not None:
        heading = _in_a_browser(browser, url, nth)
        if heading is not None:
            return heading, "Chromium"
    return _by_http(url, nth), "plain HTTP"


def _in_a_browser(browser: str, url: str, nth: int) -> str | None:
    """None where the browser does not start."""
    from playwright.sync_api import Error, sync_playwright  # noqa: PLC0415 - not everybody has it

    # A browser puts a socket into its folder of temporary files, whose path must be short.
    with tempfile.TemporaryDirectory(prefix="rebookd-", dir="/tmp") as short, sync_playwright() as driver:  # nosec B108
        try:
            started = driver.chromium.launch(executable_path=browser, env={**os.environ, "TMPDIR": short})
        except Error:
            return None
        with started:
            page = started.new_page(timezone_id=LISBON.key)
            page.goto(url)
            offered = page.locator("input[name=slot]")
            if offered.count() < nth:
                raise LookupError(f"the page offers {offered.count()} times")
            offered.nth(nth - 1).check()
            page.locator("button[value=pick]").click()
            page.wait_for_load_state()
            return page.locator("h1").inner_text()


def _by_http(url: str, nth: int) -> str:
    with requests.Session() as session:
        session.trust_env = False
        page = lxml.html.fromstring(session.get(url, timeout=_SECONDS).content)
        offered = page.xpath("//input[@name='slot']/@value")
        if len(offered) < nth:
            raise LookupError(f"the page offers {len(offered)} times")
        (seal, *_) = page.xpath("//input[@name='seal']/@value")
        filled = {"do": "pick", "slot": offered[nth - 1], "seal": seal}
        answer = session.post(url, data=filled, timeout=_SECONDS)
        return " ".join(lxml.html.fromstring(answer.content).findtext(".//h1", "").split())
