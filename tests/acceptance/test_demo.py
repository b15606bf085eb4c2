"""`rebookd demo`, as somebody runs it who has just installed rebookd."""

from __future__ import annotations

import email
import email.policy
import os
import re
import signal
import subprocess
import sys
from email.message import EmailMessage
from pathlib import Path

import pytest

COMMAND = Path(sys.executable).with_name("rebookd")
EXPECTED = [
    ("09:45", "bo@initech.example", "no-show/offer"),
    ("10:00", "jo@acme.example", "unanswered/ask"),
    ("11:55", "dana@va.example", "was-it-held/ask-me"),
    ("14:00", "di@umbrella.example", "clash/move"),
    ("15:00", "di@umbrella.example", "other-time/offer"),
    ("16:00", "jo@acme.example", "unanswered/move"),
    ("16:45", "jo@acme.example", "rebookd/new-time"),
]


def _environment(temporary: Path, **more: str) -> dict[str, str]:
    left_out = {"FORCE_COLOR", "COLUMNS", "TERM", "REBOOKD_CONFIG", "PYTHONDONTWRITEBYTECODE"}
    kept = {name: value for name, value in os.environ.items() if name not in left_out}
    return kept | {"TMPDIR": str(temporary), "NO_COLOR": "1"} | more


def _run(temporary: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the demo with its standard input closed, not merely empty."""
    return subprocess.run(
        ["sh", "-c", '"$@" <&-', "sh", str(COMMAND), "demo", *words],
        env=_environment(temporary),
        cwd=temporary,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def _mails(folder: Path) -> list[EmailMessage]:
    found = [
        email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
        for path in sorted(folder.iterdir())
    ]
    return [one for one in found if isinstance(one, EmailMessage)]


def _words(message: EmailMessage) -> str:
    """Every header and every part that is text, decoded."""
    headers = "\n".join(f"{name}: {value}" for name, value in message.items())
    parts = [part.get_content() for part in message.walk() if part.get_content_maintype() == "text"]
    return "\n".join([headers, *map(str, parts)])


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """One demo without a terminal, and the folder of temporary files it left behind."""
    temporary = tmp_path_factory.mktemp("demo")
    return temporary, _run(temporary)


def test_every_expected_mail_leaves_once(day: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    """It exits 0, and its table lists each mail with its time, recipient and rule."""
    _, done = day
    assert done.returncode == 0, done.stdout + done.stderr
    assert "7 mails left, each once, and no other." in done.stdout
    table = done.stdout.split("What left")[1]
    rows = re.findall(r"^ (\d\d:\d\d) +(\S+@\S+) .* (\S+/\S+) *$", table, re.MULTILINE)
    assert rows == EXPECTED


def test_it_tells_what_was_read_found_sent_and_left_alone(
    day: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    """Polls, findings with their reason, offered times, and why something was not sent."""
    out = " ".join(day[1].stdout.split())
    for words in (
        "acme, initech, umbrella: 2 changed in acme, 3 changed in initech, 1 changed in umbrella",
        "the other side missed it, says Google Meet",
        "it was already due when",
        "al@acme.example has yet to say yes (PARTSTAT: ACCEPTED)",
        "ranks lower (keep: this one is kept)",
        "di@umbrella.example asks for another time: Thu 2026-03-05 15:00",
        "1. Thu 5 March 2026, 10:00–10:30 America/New_York",
        "move is done: sent",
    ):
        assert words in out, words


def test_it_is_plain_and_narrow_and_quiet(day: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    """Without a terminal there is no colour, no line over 80 columns but a path, and no log."""
    _, done = day
    assert done.stderr == ""
    assert "\x1b" not in done.stdout
    assert [line for line in done.stdout.splitlines() if len(line) > 80 and "The mails:" not in line] == []


def test_only_the_mails_stay(day: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    """The folder with the mails is kept and named; nothing else remains."""
    temporary, done = day
    kept = Path(done.stdout.split("The mails: ")[1].strip())
    assert list(temporary.iterdir()) == [kept]
    assert [path.name for path in sorted(kept.iterdir())] == [
        f"{number}-{to}.eml" for number, (_, to, _) in enumerate(EXPECTED, 1)
    ]


def test_clients_hear_nothing_of_each_other(day: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    """No mail to one client names another, its people or its meetings (P11)."""
    temporary, _ = day
    about = {
        "acme": ("acme", "kickoff", "budget", "roadmap", "jo winter", "al okafor"),
        "initech": ("initech", "weekly sync", "retrospective", "handover", "bo larsen", "cy novak"),
        "umbrella": ("umbrella", "pricing", "di marsh"),
    }
    for message in _mails(next(temporary.iterdir())):
        client = str(message["To"]).rpartition("@")[2].partition(".")[0]
        if client == "va":
            continue
        told = _words(message).casefold()
        foreign = [word for other, words in about.items() if other != client for word in words]
        assert [word for word in foreign if word in told] == [], message["Subject"]


def test_everything_can_be_kept_and_looked_into(
    day: tuple[Path, subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    """With --keep the outbox can be listed afterwards; the day went the same; no second day goes there."""
    folder = tmp_path / "kept"
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    done = _run(temporary, "--keep", str(folder))
    assert done.returncode == 0, done.stdout + done.stderr
    assert list(temporary.iterdir()) == []
    assert _story(done.stdout) == _story(day[1].stdout)
    again = _run(temporary, "--keep", str(folder))
    assert again.returncode == 1
    assert "is not empty; name a new folder" in again.stderr
    listed = subprocess.run(
        [str(COMMAND), "--config", str(folder), "outbox", "list"],
        env=_environment(temporary),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert listed.stdout.count(" sent ") == len(EXPECTED) + 1  # the move in the calendar is no mail
    assert len(_mails(folder / "mails")) == len(EXPECTED)


def _story(out: str) -> str:
    """What is told, without the ports, links and folders of one run."""
    day = out.split("The mails:", maxsplit=1)[0]
    told = re.sub(r"127\.0\.0\.1:\d+/(?:(?:a|stop)/\S+)?|port\s+\d+", "", day)
    return " ".join(told.split())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_cleans_up_when_it_is_stopped(tmp_path: Path, number: signal.Signals) -> None:
    """Ctrl-C or a polite kill in the middle leaves no file behind, and no traceback."""
    process = subprocess.Popen(
        [str(COMMAND), "demo"],
        env=_environment(tmp_path, PYTHONUNBUFFERED="1"),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("09:45"):
            break
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode != 0
    assert "Traceback" not in errors
    assert list(tmp_path.iterdir()) == []
