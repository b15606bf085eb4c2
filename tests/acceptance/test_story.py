"""The product as its user meets it: the installed command, a real calendar server, a real mail server."""

from __future__ import annotations

import email
import email.policy
import json
import os
import subprocess
from collections.abc import Iterator
from datetime import datetime
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from tests.support import prefork
from tests.support.house import COMMAND, House, house
from tests.support.week import RULES, Week

FIRST_MAILS = {
    ("clash", "move", "di@umbrella.example"),
    ("confirm", "ask", "jo@acme.example"),
    ("confirm", "move", "al@acme.example"),
    ("no-show", "offer", "bo@initech.example"),
    ("ask-me", "was-it-held", "dana@va.example"),
}


@pytest.fixture
def week(tmp_path: Path) -> Iterator[Week]:
    """The week, before rebookd ever looked."""
    with house(tmp_path, RULES) as place:
        yield Week(place)


def _is_instant(value: object) -> bool:
    """RFC 3339, with an offset."""
    return isinstance(value, str) and datetime.fromisoformat(value).tzinfo is not None


def test_from_the_first_look_to_nobody_mailed_twice(tmp_path: Path) -> None:
    """Check, plan, one round, an answer, explain, another round, a mark: each mail leaves once."""
    every = {"calendars", "check", "explain", "mark", "outbox", "plan", "run", "status"}
    with house(tmp_path, RULES, from_nothing=every) as place:
        _lives_through(Week(place))
        assert not place.from_nothing


def _lives_through(week: Week) -> None:
    place = week.place
    checked = place.json("check", "--online")
    assert isinstance(checked, dict)
    assert (checked["ok"], checked["errors"]) == (True, [])
    _offers_two_calendars(place)
    shown = _plans_without_acting(week)

    assert "5 sent" in place.run("run", "--once").stdout
    assert sorted(week.recipients()) == sorted(to for _, _, to in FIRST_MAILS)
    _lists_what_left(week)
    _sends_what_was_shown(week, shown)

    assert _explained(week)["outcome"] == "waiting"
    week.put("kickoff", 40, {"jo@acme.example": "ACCEPTED"}, "Kickoff review")
    place.run("run", "--once")
    trace = _explained(week)
    assert (trace["outcome"], trace["because"][-1]["value"]) == ("no", "ACCEPTED")

    assert "is marked missed" in place.run("mark", "retro", "missed").stdout
    assert "1 sent" in place.run("run", "--once").stdout
    place.run("run", "--once")
    assert len(week.recipients()) == 6
    assert week.recipients()[-1] == "cy@initech.example"
    message_ids = [one["message_id"] for one in place.taken()]
    assert len(set(message_ids)) == 6
    _tells_its_status(week)


def _offers_two_calendars(place: House) -> None:
    found = place.json("calendars")
    assert isinstance(found, list)
    assert [(one["account"], one["name"]) for one in found] == [("own", "Other"), ("own", "Work")]


def _plans_without_acting(week: Week) -> str:
    """The words of the mails that ``plan --show`` printed."""
    done = week.place.run("plan", "--json", "--detailed-exitcode", check=False)
    assert done.returncode == 10
    plan = json.loads(done.stdout)
    assert _is_instant(plan["now"])
    assert {(one["rule"], one["step"], one["to"]) for one in plan["intents"]} == FIRST_MAILS
    keys = {
        "rule",
        "step",
        "do",
        "account",
        "calendar",
        "uid",
        "recurrence_id",
        "start",
        "to",
        "subject",
        "reason",
    }
    for one in plan["intents"]:
        assert keys <= one.keys()
        assert _is_instant(one["start"])
        assert one["subject"]
        assert one["reason"]
    assert plan["problems"] == []
    for one in plan["upcoming"]:
        assert {"at", "rule", "step", "uid"} <= one.keys()
        assert _is_instant(one["at"])
    shown = week.place.run("plan", "--show").stdout
    assert "Sorry we missed you: Weekly sync" in shown
    assert "Reply with the number that suits you" in shown
    assert week.recipients() == []
    assert not (week.place.folder / "state.db").exists()
    return shown


def _sends_what_was_shown(week: Week, shown: str) -> None:
    """``plan --show`` printed the exact mails, and no time is offered to two clients."""
    messages = [
        email.message_from_string(one["data"], policy=email.policy.default) for one in week.place.taken()
    ]
    offered = [line for one in messages for line in _offers(_text(one))]
    assert len(offered) == len(set(offered)) == 9
    assert sorted(_offers(shown)) == sorted(offered)


def _text(message: object) -> str:
    """The plain part of a mail."""
    assert isinstance(message, EmailMessage)
    body = message.get_body(("plain",))
    assert body is not None
    return str(body.get_content())


def _lists_what_left(week: Week) -> None:
    rows = week.rows()
    assert {(row["rule"], row["step"], row["to"]) for row in rows} == FIRST_MAILS
    keys = {
        "id",
        "state",
        "rule",
        "step",
        "do",
        "uid",
        "to",
        "message_id",
        "attempts",
        "error",
        "created_at",
        "sent_at",
    }
    for row in rows:
        assert keys <= row.keys()
        assert (row["state"], row["attempts"], row["error"]) == ("sent", 1, "")
        assert _is_instant(row["created_at"])
        assert _is_instant(row["sent_at"])
    taken = {one["message_id"]: one for one in week.place.taken()}
    for row in rows:
        assert taken[row["message_id"]]["recipients"] == [row["to"]]
    offer = next(row for row in rows if row["rule"] == "no-show")
    assert "Shall we find a new time?" in week.place.run("outbox", "show", str(offer["id"])).stdout
    raw = week.place.run("outbox", "show", "--raw", str(offer["id"])).stdout
    message = email.message_from_string(raw, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    assert message["To"] == "bo@initech.example"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Message-ID"] == offer["message_id"]


def _explained(week: Week) -> dict[str, Any]:
    """What the first rule makes of the kickoff."""
    found = week.place.json("explain", "kickoff")
    assert isinstance(found, dict)
    assert (found["uid"], found["title"]) == ("kickoff", "Kickoff review")
    assert _is_instant(found["start"])
    assert [one["rule"] for one in found["rules"]] == ["confirm", "no-show", "ask-me", "clash"]
    for trace in found["rules"]:
        assert {"rule", "outcome", "because", "next_at"} <= trace.keys()
        for because in trace["because"]:
            assert {"predicate", "holds", "field", "value", "observed_at"} <= because.keys()
    confirm: dict[str, Any] = found["rules"][0]
    return confirm


def _tells_its_status(week: Week) -> None:
    found = week.place.json("status")
    assert isinstance(found, dict)
    account = found["accounts"][0]
    assert {"name", "kind", "state", "last_ok", "calendars", "error"} <= account.keys()
    assert (account["name"], account["kind"], account["state"], account["error"]) == (
        "own",
        "caldav",
        "ok",
        "",
    )
    assert _is_instant(account["last_ok"])
    assert [(one["name"], one["events"], one["fresh"]) for one in account["calendars"]] == [
        ("Other", 1, True),
        ("Work", 4, True),
    ]
    assert found["outbox"] == {"sent": 6}
    assert all(_is_instant(one["at"]) and one["what"] for one in found["next"])


def _offers(text: str) -> list[str]:
    """The numbered times in a mail, without their numbers."""
    lines = [line.removeprefix("    │").strip() for line in text.splitlines()]
    return [line[3:] for line in lines if line[:3] in {"1. ", "2. ", "3. "}]


def test_held_mails_wait_for_a_word(week: Week) -> None:
    """With approve and draft nothing leaves until the owner says so; what is cancelled never does."""
    place = week.place
    rules = RULES.replace("when: {missed", "mode: approve\n    when: {missed")
    rules = rules.replace("when: {conflict", "mode: draft\n    when: {conflict")
    rules = rules.replace("    when: unaccounted", "    mode: observe\n    when: unaccounted")
    (place.folder / "rules.yaml").write_text(rules)
    place.run("run", "--once")
    assert sorted(week.recipients()) == ["al@acme.example", "jo@acme.example"]
    held = {row["rule"]: row["id"] for row in week.rows() if row["state"] == "held"}
    assert held.keys() == {"no-show", "clash"}
    place.run("outbox", "approve", str(held["no-show"]))
    place.run("outbox", "cancel", str(held["clash"]))
    place.run("run", "--once")
    place.run("run", "--once")
    assert week.recipients()[2:] == ["bo@initech.example"]
    again = place.run("outbox", "approve", str(held["no-show"]), check=False)
    assert (again.returncode, again.stderr) == (
        1,
        f"Error: message {held['no-show']} is sent; it cannot be approved\n",
    )


def test_the_first_minutes(tmp_path: Path) -> None:
    """Init writes files that check and test accept, keeps what is there, and the schemas are its own."""
    folder = tmp_path / "rebookd"
    assert _command("init", str(folder), installed=True).returncode == 0
    names = {"config.yaml", "rules.yaml", "rules.test.yaml", "config.schema.json", "rules.schema.json"}
    assert {path.name for path in folder.iterdir()} == names
    (folder / "rules.yaml").write_text(RULES)
    again = _command("init", str(folder))
    assert (again.returncode, "use --force" in again.stderr) == (1, True)
    assert (folder / "rules.yaml").read_text() == RULES
    assert _command("init", "--force", str(folder)).returncode == 0
    assert _command("--config", str(folder), "check").returncode == 0
    stories = folder / "rules.test.yaml"
    passed = _command("test", str(stories), installed=True)
    assert (passed.returncode, passed.stdout.splitlines()[-1]) == (0, "4 passed, 0 failed")
    stories.write_text(stories.read_text().replace("to: jo@acme.example}]}", "to: sam@acme.example}]}", 1))
    failed = _command("test", str(stories))
    assert (failed.returncode, failed.stdout.splitlines()[-1]) == (1, "3 passed, 1 failed")
    assert "expected and missing" in failed.stdout
    assert "sent and not expected" in failed.stdout
    schema = json.loads(_command("schema", "rules", installed=True).stdout)
    assert schema == json.loads((folder / "rules.schema.json").read_text())


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["outbix"], 2, "Did you mean 'outbox'?"),
        (["run", "--onse"], 2, "--once"),
        (["plan", "--at", "tomorrow"], 2, "write it like 2026-03-02T09:00:00Z"),
        (["--config", "nowhere.yaml", "check"], 3, "nowhere.yaml"),
    ],
)
def test_a_slip_of_the_keyboard_is_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], code: int, said: str
) -> None:
    """Usage mistakes exit 2 with a suggestion, a missing configuration 3."""
    monkeypatch.chdir(tmp_path)
    done = _command(*words)
    assert done.returncode == code, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def _command(*words: str, installed: bool = False) -> subprocess.CompletedProcess[str]:
    """Run a command where there is no house: the installed one from nothing, or forked."""
    if not installed:
        return prefork.run("daemon", words, os.environ, 60)
    return subprocess.run(
        [str(COMMAND), *words],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
