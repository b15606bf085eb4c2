"""Machines that share their work: what one mailed another answers, each by its own files and clock."""

from __future__ import annotations

import os
import re
import shutil
import signal
from pathlib import Path

import pytest
import requests

from tests.support.agency import Agency, agency
from tests.support.postgresql import shared_server
from tests.support.servers import free_port
from tests.support.verdict import arrivals
from tests.support.visitor import Seen

pytestmark = pytest.mark.postgresql

PAGES = """\
answers: {{public_url: 'https://meet.va.example', listen: '127.0.0.1:{port}', key: {{file: ../../links.key}}}}
"""
ANSWERED = "You said that you’ll be there"


def _machine(at: Agency, name: str) -> int:
    """Copy the files to one more machine; where it serves its pages."""
    port = free_port()
    shutil.copytree(at.folder / "owners", at.folder / name)
    for config in (at.folder / name).glob("*/config.yaml"):
        config.write_text(config.read_text() + PAGES.format(port=port))
    return port


def _links(at: Agency) -> dict[str, str]:
    """The path of the link that each guest was mailed."""
    found = {}
    for one in arrivals(at):
        link = re.search(r"https://meet\.va\.example(/a/\S+)", one.text)
        if link is not None:
            found[one.to[0]] = link[1]
    return found


def _is_served(port: int) -> bool:
    """Whether anything answers there, be it that one comes too often."""
    try:
        requests.get(f"http://127.0.0.1:{port}/", timeout=5)
    except requests.ConnectionError:
        return False
    return True


def _seen(answer: requests.Response) -> Seen:
    return Seen(answer.status_code, answer.headers, answer.text)


def test_machines_share_their_work(tmp_path: Path) -> None:
    """A link of a dead machine is answered at another; an owner comes by SIGHUP; a wrong clock closes."""
    (tmp_path / "links.key").write_text("k" * 40)
    with agency(tmp_path, shared_server(), owners=3, meetings=2) as at:
        (at.folder / "owners/u2").rename(at.folder / "u2")
        here, there = _machine(at, "here"), _machine(at, "there")
        first = at.begin("here")
        at.wait(lambda: len(_links(at)) == 4, 30)
        at.kill(first)
        (at.folder / "there clock").write_text(str(at.passed))
        second = at.begin(
            "there", OWN_TIME=str(at.folder / "there clock"), OWN_TIME_THEIRS=str(at.folder / "clock")
        )
        at.wait(lambda: _is_served(there), 30)
        page = f"http://127.0.0.1:{there}{_links(at)['guest-u1-0@acme.example']}"
        seal = _seen(requests.get(page, timeout=10)).field("seal")
        done = _seen(requests.post(page, {"seal": seal, "do": "yes"}, timeout=10))
        assert done.status == 200
        assert ANSWERED in done.words

        at.begin("here")
        at.wait(lambda: _is_served(here), 30)
        assert ANSWERED in _seen(requests.get(page.replace(str(there), str(here)), timeout=10)).words

        for machine, port in (("here", here), ("there", there)):
            shutil.copytree(at.folder / "u2", at.folder / machine / "u2")
            config = at.folder / machine / "u2/config.yaml"
            config.write_text(config.read_text() + PAGES.format(port=port))
        for one in at.workers:
            os.kill(one.pid or 0, signal.SIGHUP)
        at.wait(lambda: len(_links(at)) == 6, 30)

        (at.folder / "there clock").write_text(str(at.passed - 600))
        at.wait(lambda: not _is_served(there), 30)
        assert "10 minutes behind PostgreSQL's" in at.said()
        assert _is_served(here)
        (at.folder / "there clock").write_text(str(at.passed))
        at.wait(lambda: _is_served(there), 60)
        assert second.is_alive()
        assert at.end() == [0, 0]
        assert "Traceback" not in at.said()
        assert len({one.message_id for one in arrivals(at)}) == len(arrivals(at))
