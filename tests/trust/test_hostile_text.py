"""Whatever strangers write into titles and names stays text: in mails, on the terminal, in the log."""

from __future__ import annotations

import io
import json
import logging
import re
import sys
from collections.abc import Callable, Iterator
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import cast

import pytest
import structlog
from click.testing import CliRunner

from connectors.base import Receipt
from connectors.ical import parse
from daemon import logs
from daemon.__main__ import main
from rules.model import Address
from tests.support.hostile import meeting, texts
from tests.support.offices import at
from tests.support.visitor import Desk
from tests.trust.conftest import Trial

ALWAYS = {
    *("From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "X-Auto-Response-Suppress"),
    *("List-Unsubscribe", "List-Unsubscribe-Post", "Content-Language", "Content-Type", "MIME-Version"),
}
BATCH = 100
HIDDEN = "\u202e\u200b"
"""Behind each UID: what is no control character to iCalendar, and moves what stands on a terminal."""

UNSEEN = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\u200b\u200e\u200f\ufeff]"
)


def _sent(folder: Path, batch: list[str]) -> list[tuple[str, str, bytes]]:
    """Ask one person about a meeting for each text; text, person, and the bytes that left."""
    folder.mkdir()
    desk = Desk(folder)
    left: list[tuple[str, bytes]] = []

    def send(sender: str, to: list[str], message: bytes, committing: Callable[[], None]) -> Receipt:
        committing()
        assert sender == "dana@va.example"
        assert len(to) == 1
        left.append((to[0], message))
        return Receipt()

    desk.mailer.send = send  # type: ignore[method-assign, assignment]
    people = {f"guest{number}@acme.example": text for number, text in enumerate(batch)}
    for number, (who, text) in enumerate(people.items()):
        uid = f"meeting-{number}"
        desk.put("acme", uid, meeting(uid, at(40), {who: "NEEDS-ACTION"}, title=text, name=text))
    desk.round(0.01)
    assert set(desk.states().values()) == {"sent"}
    desk.office.close()
    asked = [(to, raw) for to, raw in left if to != "dana@va.example"]
    assert sorted(to for to, _ in asked) == sorted(people)
    return [(people[to], to, raw) for to, raw in asked]


def _is_sound(text: str, to: str, raw: bytes) -> None:
    """The headers are ours, once each; one person is written to; every part is what it says."""
    for how in (policy.default, policy.compat32):
        read = message_from_bytes(raw, policy=how)
        assert set(read.keys()) == ALWAYS, text
        assert len(read.keys()) == len(ALWAYS)
        # A program that reads it and writes it anew, as filters do, finds nothing to unfold.
        again = message_from_bytes(read.as_bytes(), policy=how)
        assert set(again.keys()) == ALWAYS, text
    mail = cast("EmailMessage", message_from_bytes(raw, policy=policy.default))
    assert [one.addr_spec for one in mail["To"].addresses] == [to]
    assert [one.addr_spec for one in mail["From"].addresses] == ["dana@va.example"]
    assert "=?" not in str(mail["Subject"])
    assert not UNSEEN.search(str(mail["Subject"]))
    assert raw.isascii()
    assert raw.count(b"\r\n") == raw.count(b"\n") == raw.count(b"\r")
    parts = {part.get_content_type(): part for part in mail.walk() if not part.is_multipart()}
    assert set(parts) == {"text/plain", "text/html", "text/calendar"}
    plain, html = (
        str(parts[kind].get_content()).replace("\r\n", "\n") for kind in ("text/plain", "text/html")
    )
    assert not UNSEEN.search(plain)
    # long lines are wrapped wherever there is a space, but nothing of theirs begins a paragraph
    assert not re.search(r"(\A|\n\n)(Bcc|X-Evil|ATTENDEE)", plain)
    assert set(re.findall(r"<(script|img|iframe|svg|form|base|input|details|style)\b", html)) <= {"style"}
    assert html.count("<style") <= 2
    assert not re.search(r"<[^>]*\son\w+\s*=", html)
    for link in re.findall(r'(?:href|src|action)="([^"]*)"', html):
        assert link.startswith(("https://meet.va.example/", "mailto:dana@va.example")), link
    calendar = parse(str(parts["text/calendar"].get_content()), "UTC")
    [event] = calendar.events
    assert [one.address for one in event.details["attendees"]] == [Address(to)]


@pytest.mark.promise("security", "hostile titles and names in mails")
def test_mails_hold_no_header_of_a_strangers(tmp_path: Path, trial: Trial) -> None:
    """Through the whole house: from the calendar to the bytes that leave, read back by two readers."""
    corpus = texts(trial.size(20, 900))
    checked = 0
    for start in range(0, len(corpus), BATCH):
        for text, to, raw in _sent(tmp_path / str(start), corpus[start : start + BATCH]):
            _is_sound(text, to, raw)
            checked += 1
    assert checked == len(corpus)
    trial.saw(f"{checked} mails", "each to one person, with the same headers")


@pytest.mark.promise("security", "hostile titles on the terminal")
def test_the_terminal_shows_text(tmp_path: Path, trial: Trial) -> None:
    """Commands that name meetings print nothing that moves a cursor, reorders or begins a line."""
    corpus = [text for text in texts(trial.size(12, 300)) if text.strip()]
    desk = Desk(tmp_path)
    for number, text in enumerate(corpus):
        uid = f"m{number}{HIDDEN}"
        people = {f"guest{number}@acme.example": "NEEDS-ACTION"}
        desk.put("acme", uid, meeting(uid, at(40), people, title=text, name=text))
    desk.round(0.01)
    desk.office.close()
    commands = [["status"], ["outbox", "list"], ["silence", "list"], ["replay", "--since", "1d"]]
    for number in range(0, len(corpus), trial.size(1, 10)):
        commands += [["explain", f"m{number}{HIDDEN}"], ["outbox", "show", str(number + 1)]]
    shown = 0
    for command in commands:
        for more in ([], ["--json"]):
            if more and {"silence", "show"} & set(command):
                continue
            done = CliRunner().invoke(main, ["--config", str(tmp_path / "config.yaml"), *command, *more])
            assert done.exit_code == 0, (command, done.output)
            assert not done.output.replace("\n", "").translate(_JOINS).strip(" ").translate(_SEEN), command
            shown += 1
            if more:
                json.loads(done.stdout)
    trial.saw(f"{shown} commands over {len(corpus)} titles", "nothing but text")


class _Seen(dict[int, str | None]):
    """Takes away what can be seen."""

    def __missing__(self, code: int) -> str | None:
        return None if chr(code).isprintable() else chr(code)


_SEEN = _Seen()
_JOINS = {0x200D: None}


class _Stream(io.StringIO):
    """Standard error, perhaps a terminal."""

    def __init__(self, *, terminal: bool) -> None:
        super().__init__()
        self._terminal = terminal

    def isatty(self) -> bool:
        """Whether somebody watches."""
        return self._terminal


@pytest.fixture
def streams(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[bool], _Stream]]:
    """Logging set up for a stream of its own; all as before afterwards."""
    before, root = structlog.get_config(), logging.getLogger()
    handlers, level = root.handlers, root.level

    def set_up(terminal: bool) -> _Stream:
        stream = _Stream(terminal=terminal)
        monkeypatch.setattr(sys, "stderr", stream)
        root.handlers = []
        logs.configure()
        return stream

    yield set_up
    structlog.configure(**before)
    root.handlers, root.level = handlers, level


def _log(text: str) -> int:
    """Log it in every way there is; how many entries that makes."""
    log, library = structlog.get_logger(), logging.getLogger("library")
    log.info("a thing", title=text, people=[text], more={"name": text})
    library.error("the server said %s", text)
    try:
        int(text + "x")
    except ValueError:
        log.exception("it failed", title=text)
        library.exception("it failed: %s", text)
    return 4


@pytest.mark.promise("security", "log forging")
def test_no_entry_of_the_log_is_forged(
    streams: Callable[[bool], _Stream], monkeypatch: pytest.MonkeyPatch, trial: Trial
) -> None:
    """One line for each entry, with the priority we gave it; on a terminal nothing but text."""
    corpus = [*texts(trial.size(80, 3000)), 'x"}\n{"event": "forged", "level": "critical"}', "\n<0>forged"]
    made = 0
    for journal in (False, True):
        monkeypatch.setenv("JOURNAL_STREAM", "8:1") if journal else monkeypatch.delenv(
            "JOURNAL_STREAM", raising=False
        )
        stream = streams(False)
        entries = sum(map(_log, corpus))
        lines = stream.getvalue().split("\n")
        assert lines.pop() == ""
        assert len(lines) == entries
        for line in lines:
            priority, rest = line[:3], line[3:] if journal else line
            told = json.loads(rest)
            if journal:
                assert priority == {"info": "<6>", "error": "<3>"}[told["level"]]
            assert told["event"] != "forged"
            assert told["level"] in {"info", "error"}
            assert rest.isascii()
        made += entries
    monkeypatch.setenv("NO_COLOR", "1")
    stream = streams(True)
    entries = sum(map(_log, corpus))
    begun = 0
    for line in stream.getvalue().split("\n"):
        assert line.isprintable(), line
        assert (
            not line
            or line.startswith("    ")
            or re.match(r"2\d{3}-\d\d-\d\dT[\d:.]+Z \[(info |error)", line)
        )
        begun += line.startswith("2")
    assert begun == entries
    trial.saw(f"{made + entries} entries", "one line each, none forged")
