"""A folder with one configuration for each owner: which there are, what is wrong, and what a reload does."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from daemon.__main__ import main
from daemon.clock import SetClock
from daemon.config.deployment import load_all
from daemon.config.problems import ConfigProblems
from daemon.deployment import Deployment
from daemon.store import calendars
from tests.support.meetings import NOW

CONFIG = """\
version: 1
me: {{name: {title}, addresses: [{name}@va.example], time_zone: Europe/Lisbon}}
state: {state}
rules: [{rules}]
accounts:
  own: {{caldav: {{url: dav.va.example, username: {name}, password: {{env: NONE}}}}}}
mail: {{from: {name}@va.example, smtp: {{host: 127.0.0.1, port: 9, security: none}}}}
"""
RULES = """\
version: 1
rules:
  - {name: ask, when: unconfirmed, then: [{step: ask, do: confirm, at: 48h before start}]}
"""


def write(folder: Path, name: str, more: str = "", *, state: str = "", rules: str = "") -> Path:
    """One owner's configuration: ``dana/config.yaml`` or ``dana.yaml``, the rules shared by all."""
    (folder / "rules.yaml").write_text(RULES)
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    deep = path.parent != folder
    owner = path.parent.name if deep else path.stem
    up = "../" if deep else ""
    text = CONFIG.format(
        name=owner.lower(),
        title=owner.title(),
        state=state or f"{up}state.db",
        rules=rules or f"{up}rules.yaml",
    )
    path.write_text(text + more)
    return path


def run(folder: Path, *words: str) -> Result:
    """A command over the folder."""
    return CliRunner().invoke(main, ["--config", str(folder), *words])


def test_folders_and_files_are_owners_and_nothing_else_is(tmp_path: Path) -> None:
    """A folder with a config.yaml, a file with accounts:; not rules, templates, tests, hidden files."""
    write(tmp_path, "dana/config.yaml")
    write(tmp_path, "eli.yaml")
    (tmp_path / "templates").mkdir()
    (tmp_path / "rules.test.yaml").write_text("rules: rules.yaml\ntests: []\n")
    (tmp_path / ".old.yaml").write_text("accounts: {}\n")
    found = load_all(tmp_path)
    assert found.is_many
    assert found.every_problem() == []
    assert {name: (one.name, one.tenant) for name, one in found.settings.items()} == {
        "dana": ("dana", "dana"),
        "eli": ("eli", "eli"),
    }


def test_a_configuration_that_stands_alone_is_as_it_was(tmp_path: Path) -> None:
    """A folder that holds config.yaml is one configuration, whatever else lies there."""
    write(tmp_path, "config.yaml", state="state.db", rules="rules.yaml")
    write(tmp_path, "eli/config.yaml")
    done = run(tmp_path, "check")
    assert done.exit_code == 0, done.output
    assert "eli" not in done.output
    found = load_all(tmp_path / "config.yaml")
    assert [(one.name, one.tenant) for one in found.settings.values()] == [("default", "default")]


def test_every_mistake_of_everybody_is_told_at_once_with_its_place(tmp_path: Path) -> None:
    """File, line and column; also a name nobody can have, and what two owners cannot both have."""
    write(tmp_path, "dana.yaml", "dashboard: {lissen: 1}\n")
    write(tmp_path, "eli.yaml").write_text("accounts: [\n")
    write(tmp_path, "Fay.yaml")
    write(tmp_path, "gil.yaml")
    write(tmp_path, "gil/config.yaml")
    write(tmp_path, "hal.yaml", "owner: ian\n")
    write(tmp_path, "ian.yaml")
    done = run(tmp_path, "check")
    assert done.exit_code == 3
    for said in (
        "dana.yaml:8:13: error:",
        "eli.yaml:",
        "Fay.yaml:1:1: error: an owner's name has lower-case letters",
        "gil.yaml:1:1: error: gil has a configuration already",
        "ian.yaml:3:8: error: hal is kept as 'ian' in the same state already",
    ):
        assert said in done.stderr, (said, done.stderr)
    told = json.loads(run(tmp_path, "check", "--json").stdout)
    assert not told["ok"]
    assert {one["owner"] for one in told["errors"]} == {"dana", "eli", "Fay", "gil", "ian"}


def test_a_shared_dashboard_needs_passwords_and_a_place_of_its_own(tmp_path: Path) -> None:
    """Whoever reaches a dashboard without a password is its owner, and of two that cannot be."""
    write(tmp_path, "dana.yaml", "dashboard: {}\n")
    write(tmp_path, "eli.yaml", "dashboard: {password: {env: ELI}}\n")
    write(tmp_path, "fay.yaml", "answers: {public_url: 'https://a.example', listen: '127.0.0.1:8471'}\n")
    done = run(tmp_path, "check")
    assert "dana.yaml:8:1: error: eli has a dashboard at 127.0.0.1:8471 too" in done.stderr
    assert "eli.yaml:8:12: error: the answer pages of fay listen here" in done.stderr


def test_an_empty_folder_and_an_unknown_owner_are_told(tmp_path: Path) -> None:
    """With what to do instead."""
    done = run(tmp_path, "check")
    assert done.exit_code == 3
    assert "there is no configuration in this folder" in done.stderr
    write(tmp_path, "dana.yaml")
    done = run(tmp_path, "--owner", "dan", "status")
    assert done.exit_code == 3
    assert "no owner is called 'dan'; there are dana" in done.stderr
    done = CliRunner().invoke(main, ["--config", str(tmp_path / "dana.yaml"), "--owner", "dana", "status"])
    assert "leave --owner out" in done.stderr


def _open(folder: Path) -> Deployment:
    found = Deployment(folder, SetClock(NOW))
    found.open()
    return found


def test_a_reload_takes_up_lets_go_and_keeps_whoever_is_broken(tmp_path: Path) -> None:
    """One owner's broken file touches nobody else; a file that is gone lets its owner go."""
    for name in ("dana", "eli", "fay"):
        write(tmp_path, f"{name}.yaml")
    found = _open(tmp_path)
    try:
        before = dict(found.offices)
        assert sorted(before) == ["dana", "eli", "fay"]
        write(tmp_path, "dana.yaml", "colour: red\n")
        (tmp_path / "eli.yaml").unlink()
        write(tmp_path, "gil.yaml")
        changes = found.reload()
        assert {name: office is None for name, office in changes.items()} == {
            "eli": True,
            "fay": False,
            "gil": False,
        }
        assert sorted(found.offices) == ["dana", "fay", "gil"]
        assert found.offices["dana"] is before["dana"]
        assert found.offices["fay"] is not before["fay"]
        (tmp_path / "fay.yaml").write_text("")
        assert "fay" not in found.reload(), "an emptied file is a mistake, not a farewell"
        assert found.missing == []
        write(tmp_path, "dana.yaml", state="other.db")
        assert "dana" not in found.reload(), "the state cannot change while running"
        for each in ("dana", "gil"):
            (tmp_path / f"{each}.yaml").unlink()
        write(tmp_path, "hal.yaml", "owner: gil\n")
        write(tmp_path, "ida.yaml", "owner: ida\n")
        assert {"dana": True, "gil": True, "hal": False, "ida": False}.items() <= {
            name: office is None for name, office in found.reload().items()
        }.items(), "whoever is renamed takes their memory along"
    finally:
        found.close()


def test_whoever_cannot_begin_is_left_out_and_tried_again(tmp_path: Path) -> None:
    """A broken file or state at the start is its owner's alone; with nobody left every mistake is told."""
    write(tmp_path, "dana.yaml")
    write(tmp_path, "eli.yaml", "colour: red\n")
    write(tmp_path, "fay.yaml", state="missing/state.db")
    found = _open(tmp_path)
    try:
        assert sorted(found.offices) == ["dana"]
        assert found.missing == ["eli", "fay"]
        (tmp_path / "missing").mkdir()
        assert list(found.retry()) == ["fay"]
        write(tmp_path, "eli.yaml")
        found.reload()
        assert found.missing == []
    finally:
        found.close()
    for name in ("dana", "eli", "fay"):
        write(tmp_path, f"{name}.yaml", "colour: red\n")
    with pytest.raises(ConfigProblems, match=r"dana.yaml:8:1(?s:.)*eli.yaml:8:1(?s:.)*fay.yaml:8:1"):
        _open(tmp_path)


def test_a_memory_under_another_name_is_not_begun_anew_unasked(tmp_path: Path) -> None:
    """Who grows from one configuration to a folder says whose the memory is: nobody is mailed twice."""
    alone = write(tmp_path, "config.yaml", state="state.db", rules="rules.yaml")
    found = _open(alone)
    with found.offices["default"].store.write() as conn:
        calendars.polled(conn, "own", NOW)
    found.close()
    alone.rename(tmp_path / "dana.yaml")
    with pytest.raises(ConfigProblems, match="remembers default, and nobody called 'dana'") as told:
        _open(tmp_path)
    assert "add owner: default" in str(told.value)
    write(tmp_path, "dana.yaml", "owner: default\n")
    write(tmp_path, "eli.yaml")
    found = _open(tmp_path)
    try:
        assert sorted(found.offices) == ["dana", "eli"]
        with found.offices["dana"].store.read() as conn:
            assert list(calendars.accounts(conn)) == ["own"]
        with found.offices["eli"].store.read() as conn:
            assert list(calendars.accounts(conn)) == []
    finally:
        found.close()


def test_every_command_says_whose_it_is(tmp_path: Path) -> None:
    """Over all owners with the owner named, in text and in JSON; about one only when it is said which."""
    for name in ("dana", "eli"):
        write(tmp_path, f"{name}.yaml")
    done = run(tmp_path, "run", "--once")
    assert done.exit_code == 4, "neither has its password"
    for said in ("dana: 1 account polled", "eli: 1 account polled"):
        assert said in done.stdout
    assert "rebookd: eli: own: " in done.stderr
    status = json.loads(run(tmp_path, "status", "--json").stdout)
    assert [(one["owner"], one["name"]) for one in status["accounts"]] == [("dana", "own"), ("eli", "own")]
    assert status["outbox"] == {"retrying": 2}, "each is told that a sign-in is needed"
    assert "== eli ==" in run(tmp_path, "status").stdout
    one = json.loads(run(tmp_path, "--owner", "eli", "status", "--json").stdout)
    assert [each["owner"] for each in one["accounts"]] == ["eli"]
    plan = json.loads(run(tmp_path, "plan", "--json").stdout)
    assert [each["owner"] for each in plan["problems"]] == ["dana", "eli"]
    outbox = json.loads(run(tmp_path, "outbox", "list", "--json").stdout)
    assert [(one["owner"], one["to"]) for one in outbox] == [
        ("dana", "dana@va.example"),
        ("eli", "eli@va.example"),
    ]
    assert "eli@va.example" in run(tmp_path, "outbox", "list").stdout
    assert run(tmp_path, "calendars").exit_code == 4
    for words in (
        ("optout", "add", "jo@acme.example"),
        ("silence", "list"),
        ("explain", "kickoff"),
        ("mark", "kickoff", "held"),
        ("outbox", "approve", "1"),
        ("accept-shrink", "own"),
        ("auth", "own"),
        ("replay",),
    ):
        done = run(tmp_path, *words)
        assert done.exit_code == 1, words
        assert "say whose: rebookd --owner NAME" in done.stderr
        assert "there are dana, eli" in done.stderr
    assert run(tmp_path, "--owner", "dana", "optout", "add", "jo@acme.example").exit_code == 0
    assert "jo@acme.example" in run(tmp_path, "--owner", "dana", "optout", "list").stdout
    assert run(tmp_path, "--owner", "eli", "optout", "list").stdout == "Nobody has opted out\n"


def test_a_broken_configuration_among_several_stops_no_command(tmp_path: Path) -> None:
    """The others are shown; the mistakes are told, and the exit code says that somebody was left out."""
    write(tmp_path, "dana.yaml")
    write(tmp_path, "eli.yaml", "colour: red\n")
    for words in (("status", "--json"), ("outbox", "list", "--json"), ("run", "--once")):
        done = run(tmp_path, *words)
        assert done.exit_code == 3, words
        assert "dana" in done.stdout or done.stdout == "[]\n"
    assert "eli.yaml:8:1: error:" in run(tmp_path, "status").stderr
    assert run(tmp_path, "--owner", "dana", "status").exit_code == 0
    assert run(tmp_path, "--owner", "eli", "status").exit_code == 3
