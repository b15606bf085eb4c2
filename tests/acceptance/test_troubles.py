"""What goes wrong, as the user of the installed command meets it: exit codes, words, and no mail too many."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.house import House, house
from tests.support.week import RULES, Week


@pytest.fixture
def week(tmp_path: Path) -> Iterator[Week]:
    """The week, before rebookd ever looked."""
    with house(tmp_path, RULES) as place:
        yield Week(place)


def test_a_wrong_password_asks_for_a_sign_in(week: Week) -> None:
    """Exit 4 wherever the server is asked; the owner is told, and nobody else hears anything."""
    place = week.place
    config = place.folder / "config.yaml"
    config.write_text(config.read_text().replace("{env: DAV_PASSWORD}", "{file: wrong}"))
    (place.folder / "wrong").write_text("not it")
    (place.folder / "wrong").chmod(0o600)
    for words in (["check", "--online"], ["plan"], ["run", "--once"]):
        done = place.run(*words, check=False)
        assert done.returncode == 4, (words, done.stdout, done.stderr)
        assert "not it" not in done.stdout + done.stderr
    status = place.json("status")
    assert isinstance(status, dict)
    assert status["accounts"][0]["error"]
    assert [(one["recipients"], one["subject"][:16]) for one in place.taken()] == [
        (["dana@va.example"], "I cannot see own")
    ]


def test_a_calendar_server_that_is_away_is_a_passing_trouble(week: Week) -> None:
    """Exit 5, named in the output and in ``plan --json``; nobody is mailed about it the first time."""
    place = week.place
    config = place.folder / "config.yaml"
    config.write_text(config.read_text().replace(place.dav.url, "http://127.0.0.1:9/"))
    for words in (["calendars"], ["run", "--once"], ["plan", "--json"]):
        done = place.run(*words, check=False)
        assert done.returncode == 5, (words, done.stdout, done.stderr)
        assert "Traceback" not in done.stderr
    problems = json.loads(done.stdout)["problems"]
    assert [(one["account"], one["kind"]) for one in problems] == [("own", "no answer")]
    assert problems[0]["message"]
    assert place.taken() == []


def test_a_mail_server_that_is_away_delays_and_doubles_nothing(week: Week) -> None:
    """Exit 5 and everything waits; when the server is back each mail leaves once."""
    place = week.place
    config = place.folder / "config.yaml"
    good = config.read_text()
    port = good.partition("port: ")[2].partition(",")[0]
    config.write_text(good.replace(f"port: {port}", "port: 9"))
    away = place.run("run", "--once", check=False)
    assert away.returncode == 5
    assert "rebookd: mail: " in away.stderr
    states = {row["id"]: row["state"] for row in week.rows()}
    assert sorted(states.values()) == ["pending"] * 4 + ["retrying"]
    config.write_text(good)
    place.run("run", "--once")
    assert len(week.recipients()) == len(set(week.recipients())) == 4
    assert sorted(row["state"] for row in week.rows()) == ["retrying"] + ["sent"] * 4


def test_mistakes_are_told_where_they_are(week: Week) -> None:
    """Exit 3 with file:line:column for every mistake of both files, and the same as JSON."""
    place = week.place
    config, rules = place.folder / "config.yaml", place.folder / "rules.yaml"
    config.write_text(config.read_text().replace("Europe/Lisbon", "Europe/Lisboa"))
    rules.write_text(RULES.replace("when: unconfirmed", "when: unconfirmd"))
    column = 11
    line = next(n for n, text in enumerate(rules.read_text().splitlines(), 1) if "unconfirmd" in text)
    for words in (["check"], ["run", "--once"]):
        done = place.run(*words, check=False)
        assert done.returncode == 3, words
        assert f"{rules}:{line}:{column}: error: 'unconfirmd' is not one of" in done.stderr
        assert "did you mean 'unconfirmed'?" in done.stderr
        assert f"{config}:2:" in done.stderr
    done = place.run("check", "--json", check=False)
    assert (done.returncode, done.stderr) == (3, "")
    found = json.loads(done.stdout)
    assert found["ok"] is False
    assert len(found["errors"]) == 2
    for one in found["errors"]:
        assert {"file", "line", "column", "message", "help"} <= one.keys()
    last = found["errors"][-1]
    assert (last["file"], last["line"], last["column"]) == (str(rules), line, column)


def test_a_calendar_that_empties_is_not_believed_at_once(tmp_path: Path) -> None:
    """A sudden shrink removes nothing and is told; ``accept-shrink`` is the owner's word for it."""
    with house(tmp_path, RULES) as place:
        for number in range(15):
            place.put(f"meeting-{number}", 100 + number, title="Sync")
        place.run("run", "--once")
        assert _events(place) == 15
        for number in range(13):
            place.dav.request("DELETE", f"/dana/work/meeting-{number}.ics")
        doubted = place.run("run", "--once", check=False)
        assert doubted.returncode == 5
        assert "suddenly holds 2 of its 15 events" in doubted.stderr
        assert _events(place) == 15
        assert "The next poll believes Work" in place.run("accept-shrink", "own").stdout
        place.run("run", "--once")
        assert _events(place) == 2
        nothing = place.run("accept-shrink", "own", check=False)
        assert (nothing.returncode, nothing.stderr) == (1, "Error: nothing in own is in doubt\n")
        assert [one["recipients"] for one in place.taken()] == [["dana@va.example"]]


def _events(place: House) -> int:
    status = place.json("status")
    assert isinstance(status, dict)
    return int(status["accounts"][0]["calendars"][0]["events"])
