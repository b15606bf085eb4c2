"""The owner's files as a whole: what they become, where secrets come from, what editors are told."""

from __future__ import annotations

import json
import re
from datetime import date, time, timedelta
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from connectors.imap import ImapDrafts
from connectors.webhook import Webhook
from daemon import wiring
from daemon.config.model import Config
from daemon.config.servers import is_loopback
from daemon.config.settings import (
    ConfigProblems,
    Secret,
    SecretUnavailable,
    find_config,
    load,
    load_policy,
    read_yaml,
    schema,
    validate,
)
from daemon.rehearsal_file import RehearsalFile
from daemon.rehearse import rehearse
from rules.policy import RulesFile
from tests.support.files import CONFIG, RULES, write

REPOSITORY = Path(__file__).parents[2]


def test_the_manuals_files_become_settings(tmp_path: Path) -> None:
    """Owner, accounts, mail and rules arrive as what the other rooms work with."""
    path = write(tmp_path)
    settings = load(path)
    owner = settings.owner
    assert (owner.name, owner.addresses) == ("Dana Reyes", ("dana@va.example", "dana@acme.example"))
    assert (owner.zone, owner.language) == ("Europe/Lisbon", "en")
    assert owner.hours.weekly[4] == ((time(9), time(13)),)
    assert owner.hours.weekly[5] == ()
    assert date(2026, 12, 25) in owner.hours.holidays
    assert date(2026, 12, 24) not in owner.hours.holidays
    assert [rule.name for rule in settings.policy.rules] == ["confirm-acme", "no-show", "ask-me", "clash"]
    acme = settings.accounts["acme"]
    assert (acme.client, acme.calendars) == ("Acme", ("primary", "Client calls"))
    assert acme.poll_every.delta == timedelta(minutes=5)
    assert settings.config.mail.sender.name == "Dana Reyes"
    assert settings.config.mail.smtp.port_number == 587
    assert settings.state == tmp_path / "state.db"
    assert settings.files == (path, tmp_path / "rules.yaml")
    seen = settings.seen_accounts()
    assert (seen["acme"].client, seen["own"].rsvp_trusted) == ("Acme", True)


def test_what_is_not_written_has_its_usual_value(tmp_path: Path) -> None:
    """The shortest configuration is enough."""
    short = """\
version: 1
me: {name: Dana, addresses: dana@va.example, time_zone: UTC}
accounts: {own: {caldav: {url: dav.va.example}}}
mail: {from: dana@va.example, smtp: {host: localhost, security: tls}}
"""
    settings = load(write(tmp_path, short, rules="version: 1\nrules: []\n"))
    assert settings.config.rules == ("rules.yaml",)
    assert settings.owner.hours.weekly[0] == ((time(9), time(17)),)
    assert settings.owner.marks.missed == ("[no-show]",)
    assert settings.config.mail.smtp.port_number == 465
    assert settings.accounts["own"].caldav.auth == "auto"


def test_scalars_stay_what_they_look_like(tmp_path: Path) -> None:
    """17:30, on, NO and 010 are text, as everybody but YAML 1.1 reads them."""
    path = tmp_path / "x.yaml"
    path.write_text(
        "a: 17:30\nb: on\nc: NO\nd: 010\ne: 09:00-17:30\nf: 2026-03-02\ng: 1_000\nh: 0x10\ni: .inf\nj: yes\n"
        "k: 10\nl: -3\nm: 1.5\nn: true\no: False\np: null\nq: ~\nr:\ns: '10'\nt: \"true\"\n"
        "u: 99999999999999999999\non: 1\n1: x\nnull: y\n"
    )
    data = read_yaml(path).data
    assert [data[key] for key in "abcdefghij"] == [
        *("17:30", "on", "NO", "010", "09:00-17:30", "2026-03-02", "1_000", "0x10", ".inf", "yes")
    ]
    assert [data[key] for key in "klmnopqrstu"] == [
        *(10, -3, 1.5, True, False, None, None, None, "10", "true", "99999999999999999999")
    ]
    assert (data["on"], data["1"], data["null"]) == (1, "x", "y")


def test_several_rules_files_become_one_policy(tmp_path: Path) -> None:
    """Rules keep the files' order, may inhibit across files, and take the one guard there is."""
    first = "version: 1\nrules: [{name: a, when: unconfirmed, inhibited_by: b, then: [%s]}]\n"
    second = "version: 1\nguard: {max_per_run: 7}\nrules: [{name: b, when: conflict, then: [%s]}]\n"
    step = "{step: s, do: notify, at: 1h before start}"
    config = CONFIG.replace("[rules.yaml]", "[one.yaml, two.yaml]")
    settings = load(write(tmp_path, config, one=first % step, two=second % step))
    assert [rule.name for rule in settings.policy.rules] == ["a", "b"]
    assert settings.policy.guard.max_per_run == 7


def test_secrets_are_read_from_where_they_lie(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Environment, file, systemd credential and command all give the text without its line break."""
    monkeypatch.setenv("DAV_PASSWORD", "s3cret")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    (tmp_path / "pw").write_text("s3cret\r\n")
    for value in (
        {"env": "DAV_PASSWORD"},
        {"file": "pw"},
        {"credential": "pw"},
        {"command": ["printf", "s3cret\\n"]},
    ):
        assert Secret.parse(value).read(tmp_path) == "s3cret"


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ({"env": "REBOOKD_NOT_SET"}, "the environment variable REBOOKD_NOT_SET is not set"),
        ({"file": "gone"}, "gone cannot be read: No such file or directory"),
        ({"file": "empty"}, "the secret file: empty is empty"),
        ({"file": "binary"}, "is not UTF-8 text"),
        ({"credential": "smtp"}, "the credential smtp is only there under systemd"),
        ({"command": ["rebookd-no-such-program"]}, "the program rebookd-no-such-program is not there"),
        ({"command": ["false"]}, "false failed with exit code 1"),
    ],
)
def test_a_secret_that_cannot_be_read_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: object, why: str
) -> None:
    """One sentence for the owner, never part of a secret."""
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    with pytest.raises(SecretUnavailable, match=re.escape(why)):
        Secret.parse(value).read(tmp_path)


def test_a_secret_everybody_can_read_is_mentioned(tmp_path: Path) -> None:
    """A file open to all gives a caution, a closed one none."""
    (tmp_path / "acme.password").write_text("x")
    (tmp_path / "acme.password").chmod(0o644)
    settings = load(write(tmp_path))
    password = tmp_path / "acme.password"
    assert settings.cautions() == [
        f"{password} can be read by everybody on this machine; run: chmod 600 {password}",
    ]
    (tmp_path / "acme.password").chmod(0o600)
    assert settings.cautions() == []


MORE = (
    CONFIG.replace("    client: Acme\n", "    client: Acme\n    mode: approve\n")
    + """\
webhooks:
  crm: {url: http://localhost:8000/told, secret: {file: crm.secret}}
marks: {away: [Vacation]}
"""
)
"""The configuration with a mailbox for drafts, a webhook, a mode and a mark of one's own."""
MORE = MORE.replace(
    "rules: [rules.yaml]",
    "  imap: {host: 127.0.0.1, username: dana, password: {file: imap.password}}\nrules: rules.yaml",
)


def test_drafts_webhooks_and_an_accounts_mode(tmp_path: Path) -> None:
    """Where drafts are put, whom a webhook tells, and how far rules may go for one account."""
    for name in ("imap.password", "crm.secret"):
        (tmp_path / name).write_text("hunter2\n")
        (tmp_path / name).chmod(0o644)
    settings = load(write(tmp_path, config=MORE))
    imap = settings.config.mail.imap
    assert imap is not None
    assert (imap.host, imap.port_number, imap.security, imap.drafts) == ("127.0.0.1", 993, "tls", None)
    assert settings.config.webhooks["crm"].url == "http://localhost:8000/told"
    assert {name: seen.mode for name, seen in settings.seen_accounts().items()} == {
        "acme": "approve",
        "own": "auto",
    }
    assert settings.owner.marks.away == ("Vacation",)
    assert [caution.split(" ")[0] for caution in settings.cautions()] == [
        str(tmp_path / "imap.password"),
        str(tmp_path / "crm.secret"),
    ]
    assert isinstance(wiring.drafts(settings), ImapDrafts)
    assert isinstance(wiring.webhook(settings, "crm"), Webhook)
    assert wiring.drafts(load(write(tmp_path))) is None


def test_the_configuration_is_looked_for_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Named, then the environment, then here, then the home folder."""
    monkeypatch.chdir(tmp_path)
    home = tmp_path / "home"
    environ = {"XDG_CONFIG_HOME": str(home), "REBOOKD_CONFIG": "elsewhere.yaml"}
    assert find_config("mine.yaml", environ) == Path("mine.yaml")
    assert find_config(str(tmp_path), environ) == tmp_path, "a folder with one configuration for each owner"
    assert find_config(None, environ) == Path("elsewhere.yaml")
    del environ["REBOOKD_CONFIG"]
    (home / "rebookd").mkdir(parents=True)
    (home / "rebookd/config.yaml").touch()
    assert find_config(None, environ) == home / "rebookd/config.yaml"
    (tmp_path / "config.yaml").touch()
    assert find_config(None, environ) == Path("config.yaml")
    assert find_config(str(tmp_path), environ) == tmp_path / "config.yaml"


@pytest.mark.parametrize(
    ("host", "here"), [("localhost", True), ("127.9.9.9", True), ("::1", True), ("a.example", False)]
)
def test_loopback_is_this_machine(host: str, here: bool) -> None:
    """Only there may a password travel in the clear unasked."""
    assert is_loopback(host) is here


def test_the_starter_files_load_and_tell_their_stories(tmp_path: Path) -> None:
    """What `init` writes is valid as it is, and its rule tests pass."""
    starter = resources.files("daemon") / "init"
    for name in ("config.yaml", "rules.yaml", "rules.test.yaml"):
        (tmp_path / name).write_text((starter / name).read_text(encoding="utf-8"), encoding="utf-8")
    settings = load(tmp_path / "config.yaml")
    policy = load_policy(tmp_path / "rules.yaml")
    assert policy == settings.policy
    stories = validate(RehearsalFile, read_yaml(tmp_path / "rules.test.yaml"))
    played = [rehearse(story, policy) for story in stories.tests]
    assert [story.failures for story in played] == [()] * len(played)
    assert set().union(*(story.touched for story in played)) == {rule.name for rule in policy.rules}


@pytest.mark.parametrize("kind", ["config", "rules"])
def test_the_committed_schema_is_the_programs_own(kind: Any) -> None:
    """docs/schema does not drift from what `rebookd schema` prints."""
    committed = (REPOSITORY / f"docs/schema/{kind}.schema.json").read_text(encoding="utf-8")
    assert committed == json.dumps(schema(kind), indent=2, ensure_ascii=False) + "\n"


@pytest.mark.parametrize("kind", ["config", "rules"])
def test_the_schema_explains_every_key(kind: Any) -> None:
    """Every key has a description, and a value to start from unless it is a mapping of further keys."""
    made = schema(kind)
    assert made["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    for model in (made, *made["$defs"].values()):
        assert model.get("additionalProperties", False) is False
        for key, value in model.get("properties", {}).items():
            target = made["$defs"][value["$ref"].rsplit("/", 1)[-1]] if "$ref" in value else {}
            full = {**target, **value}
            assert full.get("description"), key
            told = {"examples", "enum", "const", "default", "oneOf", "properties", "items", "maximum"}
            assert full.keys() & told or key in {"accounts", "webhooks"}, key


@pytest.mark.parametrize(
    ("kind", "file", "text"),
    [
        ("config", Config, CONFIG),
        ("rules", RulesFile, RULES),
        ("config", Config, (REPOSITORY / "daemon/init/config.yaml").read_text(encoding="utf-8")),
        ("rules", RulesFile, (REPOSITORY / "daemon/init/rules.yaml").read_text(encoding="utf-8")),
    ],
)
def test_the_schema_accepts_what_the_program_accepts(tmp_path: Path, kind: Any, file: Any, text: str) -> None:
    """The manual's files and the starter files fit the schema, and not by its accepting anything."""
    (tmp_path / "x.yaml").write_text(text, encoding="utf-8")
    tree = read_yaml(tmp_path / "x.yaml")
    validate(file, tree)
    made = schema(kind)
    assert fits(tree.data, made, made)
    assert not fits(tree.data | {"nonsense": 1}, made, made)
    assert not fits(tree.data | {"version": 2}, made, made)


def fits(value: Any, part: dict[str, Any], whole: dict[str, Any]) -> bool:
    """Whether a value is valid, for the few words of JSON Schema we use."""
    if "$ref" in part:
        part = {
            **whole["$defs"][part["$ref"].rsplit("/", 1)[-1]],
            **{k: v for k, v in part.items() if k != "$ref"},
        }
    kinds = {"object": dict, "array": list, "string": str, "integer": int, "boolean": bool}
    if "type" in part and not isinstance(value, kinds[part["type"]]):
        return False
    if ("const" in part and value != part["const"]) or ("enum" in part and value not in part["enum"]):
        return False
    if "oneOf" in part and sum(fits(value, one, whole) for one in part["oneOf"]) != 1:
        return False
    if isinstance(value, str):
        return len(value) >= part.get("minLength", 0) and bool(re.search(part.get("pattern", ""), value))
    if isinstance(value, list):
        return len(value) >= part.get("minItems", 0) and all(
            fits(each, part.get("items", {}), whole) for each in value
        )
    if isinstance(value, dict):
        return set(part.get("required", ())) <= value.keys() and all(
            any(fits(each, one, whole) for one in _parts(key, part)) for key, each in value.items()
        )
    return part.get("minimum", value) <= value <= part.get("maximum", value)


def _parts(key: str, part: dict[str, Any]) -> list[dict[str, Any]]:
    if key in part.get("properties", {}):
        return [part["properties"][key]]
    matching = [one for pattern, one in part.get("patternProperties", {}).items() if re.search(pattern, key)]
    return matching or ([{}] if part.get("additionalProperties", True) else [])


def test_a_secret_is_never_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither settings nor problems print what a password is."""
    monkeypatch.setenv("DAV_PASSWORD", "hunter2")
    assert "hunter2" not in repr(load(write(tmp_path)))
    for wrong in (
        "password: hunter2",
        "pasword: hunter2",
        "password:\n        hunter2",
        "password: |\n        hunter2",
        "token: hunter2",
        'password: "hunter2',
        "url: https://dana:hunter2@dav.va.example/",
    ):
        text = CONFIG.replace("password: {env: DAV_PASSWORD}", wrong)
        with pytest.raises(ConfigProblems) as raised:
            load(write(tmp_path, text))
        assert "hunter2" not in str(raised.value)
        assert "hunter2" not in json.dumps([problem.as_dict() for problem in raised.value.problems])


def test_a_digest_may_stand_in_either_file_and_only_once(tmp_path: Path) -> None:
    """The configuration's digest counts as the rules' own, and two are one too many."""
    config, rules = tmp_path / "config.yaml", tmp_path / "rules.yaml"
    rules.write_text("version: 1\nrules: []\n")
    config.write_text(CONFIG + "digest: {at: 08:00, on: weekdays}\n")
    digest = load(config).policy.digest
    assert digest is not None
    assert str(digest.at) == "08:00"
    rules.write_text("version: 1\ndigest: {at: 09:00}\nrules: []\n")
    with pytest.raises(ConfigProblems, match="the digest is already in a rules file"):
        load(config)
