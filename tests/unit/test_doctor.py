"""``rebookd doctor`` finds what is wrong on a machine, and names what cures it."""

from __future__ import annotations

import json
import os
import shutil
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dns.resolver
import pytest
from click.testing import CliRunner

from daemon.__main__ import main
from daemon.config.secret import Secret
from daemon.config.settings import load
from daemon.doctor import database, secrets, service, state, work
from daemon.doctor import time as clock
from daemon.doctor.checks import Check, Finding, looked
from daemon.doctor.dns import Domain
from daemon.store import moved, open_store, restored
from daemon.store.lock import lock
from daemon.store.migrate import REVISIONS
from tests.support.databases import empty_database
from tests.support.fake_dav import fake_dav
from tests.support.fake_dns import fake_dns
from tests.support.fake_smtp import FakeSmtp
from tests.support.meetings import NOW
from tests.support.offices import World
from tests.support.postgresql import SUPERUSER, shared_server

RULES = """\
version: 1
rules:
  - name: ask
    when: unconfirmed
    then: [{step: ask, do: confirm, at: 48h before start}]
"""
DOMAIN = "va.example"
GOOD = {
    DOMAIN: ["v=spf1 include:mail.example -all", "another=record"],
    f"default._domainkey.{DOMAIN}": [f"v=DKIM1; k=rsa; p={'MIIB' * 100}"],
    f"_dmarc.{DOMAIN}": ["v=DMARC1; p=none"],
}


def found(checks: list[Check]) -> dict[Finding, list[str]]:
    """What was found, by how it stands."""
    return {one: [each.message for each in checks if each.finding is one] for one in Finding}


def test_a_domain_in_order_is_fine() -> None:
    """SPF, DKIM under a usual name, DMARC; keys longer than one string are put together."""
    with fake_dns(GOOD) as resolver:
        checks = list(Domain(DOMAIN, resolver).checks())
    assert [one.finding for one in checks] == [Finding.OK] * 3


@pytest.mark.parametrize(
    ("records", "says"),
    [
        ({DOMAIN: []}, "no SPF record"),
        ({DOMAIN: ["v=spf1 -all", "v=spf1 ~all"]}, "2 SPF records"),
        ({DOMAIN: ["v=spf1 +all"]}, "lets everybody send"),
        ({f"default._domainkey.{DOMAIN}": None}, "no DKIM key"),
        ({f"default._domainkey.{DOMAIN}": ["v=DKIM1; p="], f"_dmarc.{DOMAIN}": None}, "no DMARC record"),
    ],
)
def test_a_domain_that_lacks_something_is_told(records: dict[str, list[str] | None], says: str) -> None:
    """Each with what to write where."""
    known = {name: texts for name, texts in (GOOD | records).items() if texts is not None}
    with fake_dns(known) as resolver:
        checks = list(Domain(DOMAIN, resolver).checks())
    (told,) = [one for one in checks if says in one.message]
    assert told.cure


def test_keys_under_other_names_are_believed_to_be_there() -> None:
    """Where something is below _domainkey, only its owner knows under which name."""
    known = {name: texts for name, texts in GOOD.items() if "_domainkey" not in name}
    with fake_dns(known | {f"x2026._domainkey.{DOMAIN}": ["v=DKIM1; p=MIIB"]}) as resolver:
        assert Domain(DOMAIN, resolver).dkim().finding is Finding.OK


def test_a_domain_below_another_has_its_dmarc() -> None:
    """The record of the domain above counts."""
    with fake_dns(GOOD) as resolver:
        assert Domain(f"mail.{DOMAIN}", resolver).dmarc().finding is Finding.OK


def test_a_silent_dns_is_one_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    """It costs seconds, not minutes, and hides nothing else."""
    monkeypatch.setattr("daemon.doctor.dns.SECONDS", 0.2)
    resolver = dns.resolver.Resolver(configure=False)
    resolver.nameservers, resolver.port = ["127.0.0.1"], 9
    (told,) = Domain(DOMAIN, resolver).checks()
    assert told.finding is Finding.WARNING
    assert "does not answer" in told.message


@pytest.fixture
def world(tmp_path: Path) -> World:
    """An office that was read once."""
    made = World(tmp_path, RULES)
    made.round()
    return made


def test_a_state_in_order_is_fine(world: World) -> None:
    """Whole, private, and somebody works on it."""
    path = world.folder / "state.db"
    path.chmod(0o600)
    with lock(path):
        checks = list(state.checks(path, world.clock.at))
    told = found(checks)
    assert not told[Finding.PROBLEM]
    assert any(f"pid {os.getpid()}" in one for one in told[Finding.OK])


def test_what_is_wrong_with_a_state_is_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """No daemon, open to all, from the future, on a full disk."""
    path = world.folder / "state.db"
    path.chmod(0o644)
    world.folder.chmod(0o755)
    usage = shutil.disk_usage(world.folder)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1000))
    checks = list(state.checks(path, world.clock.at - timedelta(hours=9)))
    told = found(checks)
    assert any("disk is full" in one for one in told[Finding.PROBLEM])
    assert any("behind the newest entry" in one for one in told[Finding.PROBLEM])
    assert any("read by everybody" in one for one in told[Finding.WARNING])
    assert any("no rebookd runs" in one for one in told[Finding.WARNING])


@pytest.mark.postgresql
def test_a_database_in_order_is_fine() -> None:
    """Up to date, fenced, in time, and everybody who works on it is named."""
    said = empty_database()
    with lock(said, shared=True), lock(said, shared=True):
        told = found(list(database.checks(said, datetime.now(UTC))))
    assert not told[Finding.PROBLEM]
    assert not told[Finding.WARNING]
    assert any(one.count(f":{os.getpid()}") == 2 for one in told[Finding.OK])
    told = found(list(database.checks(said, datetime.now(UTC))))
    assert told[Finding.WARNING] == ["no rebookd runs on this state"]


@pytest.mark.postgresql
def test_what_is_wrong_with_a_database_is_told(tmp_path: Path) -> None:
    """Its clock or ours, a role that no fence holds, tables of a newer version, nobody there."""
    server, said = shared_server(), empty_database()
    name = said.partition("@/")[2].partition("?")[0]
    mighty = server.url(name, SUPERUSER)
    told = found(list(database.checks(mighty, datetime.now(UTC) - timedelta(hours=9))))
    assert any("540 minutes behind the database's" in one for one in told[Finding.PROBLEM])
    assert any("passes over the row-level security" in one for one in told[Finding.WARNING])
    with server.connect(name) as conn:
        conn.execute("UPDATE alembic_version SET version_num = '9999'")
    newer = found(list(database.checks(said, datetime.now(UTC))))
    assert any("by a newer rebookd" in one for one in newer[Finding.PROBLEM])
    with server.connect(name) as conn:
        conn.execute("UPDATE alembic_version SET version_num = %s", [REVISIONS[-1]])
    nowhere = f"postgresql://rebookd@/{name}?host={tmp_path}"
    (gone,) = database.checks(nowhere, NOW)
    assert gone.finding is Finding.PROBLEM
    assert "cannot be reached now" in gone.message
    assert gone.cure


def test_a_state_that_is_gone_is_told_from_one_that_never_was(tmp_path: Path) -> None:
    """The watermark stays behind."""
    path = tmp_path / "state.db"
    assert found(list(state.checks(path, NOW)))[Finding.PROBLEM] == []
    (tmp_path / "state.db.watermark").touch()
    (told,) = found(list(state.checks(path, NOW)))[Finding.PROBLEM]
    assert "is gone" in told


def test_how_the_work_goes_is_told(world: World) -> None:
    """Fresh at first; later not, and with a backup in place."""
    with world.store.read() as conn:
        assert not found(list(work.checks(conn, world.settings, world.clock.at)))[Finding.PROBLEM]
    with world.store.write() as conn:
        restored.say_backup(conn, world.clock.at)
        told = found(list(work.checks(conn, world.settings, world.clock.at + timedelta(hours=5))))
    assert any("acme was not read since" in one for one in told[Finding.PROBLEM])
    assert any("is a backup of" in one for one in told[Finding.WARNING])


@pytest.mark.parametrize(
    ("secret", "cure"),
    [
        (Secret("file", ("dav.password",)), "install -m 0600"),
        (Secret("env", ("NOWHERE",)), "set NOWHERE"),
        (Secret("credential", ("dav",)), "LoadCredential=dav:"),
        (Secret("command", ("false", "dav")), "false dav"),
    ],
)
def test_a_secret_that_cannot_be_read_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, secret: Secret, cure: str
) -> None:
    """With the command that puts it there."""
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    told = secrets.readable(secret, tmp_path)
    assert told.finding is Finding.PROBLEM
    assert cure in told.cure


def test_a_wrong_clock_is_told() -> None:
    """The first of January 1970 is not today."""
    assert clock.sane(NOW).finding is Finding.OK
    assert clock.sane(NOW.replace(year=1970)).finding is Finding.PROBLEM


def test_a_unit_without_its_credentials_is_told(tmp_path: Path) -> None:
    """Each credential that the configuration names is loaded, from a file that is there."""
    world = World(tmp_path, RULES)
    text = (tmp_path / "config.yaml").read_text()
    (tmp_path / "config.yaml").write_text(text.replace("{env: NONE}", "{credential: dav}"))
    owners = [load(tmp_path / "config.yaml")]
    world.store.close()
    unit = tmp_path / "rebookd.service"
    unit.write_text("[Service]\nExecStart=/opt/rebookd/bin/rebookd run\n")
    (told,) = service.credentials(unit, owners, [tmp_path])
    assert "does not load the credential dav" in told.message
    drop = tmp_path / "rebookd.service.d"
    drop.mkdir()
    (drop / "override.conf").write_text(f"[Service]\nLoadCredential=dav:{tmp_path}/dav\n")
    (told,) = service.credentials(unit, owners, [tmp_path])
    assert "which is not there" in told.message
    (tmp_path / "dav").touch()
    assert list(service.credentials(unit, owners, [tmp_path])) == []


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
@pytest.mark.parametrize("name", service.UNITS)
def test_a_unit_that_systemd_does_not_understand_is_told(tmp_path: Path, name: str) -> None:
    """A misspelt key, and rights that nobody needs."""
    unit = tmp_path / name
    unit.write_text("[Service]\nExecStart=/bin/true\nProtectSytem=strict\n")
    told = found(list(service.checks([], [tmp_path])))
    assert any("does not understand" in one for one in told[Finding.WARNING])
    assert any("more rights" in one for one in told[Finding.WARNING])


def test_a_sign_in_that_google_forgets_soon_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After six of seven days."""
    world = World(tmp_path, RULES)
    folder = tmp_path / "state.db.tokens"
    folder.mkdir(0o700)
    (folder / "acme.token").touch()
    monkeypatch.setattr("connectors.auth.TokenCache.load", lambda *_: "{}")
    now = world.clock.at.fromtimestamp(time.time(), world.clock.at.tzinfo)
    ask = secrets.signed_in
    assert ask(world.settings, "acme", now, timedelta(days=7)).finding is Finding.OK
    assert (
        ask(world.settings, "acme", now + timedelta(days=6.5), timedelta(days=7)).finding is Finding.WARNING
    )
    monkeypatch.setattr("connectors.auth.TokenCache.load", lambda *_: None)
    assert ask(world.settings, "acme", now).cure == "rebookd auth acme"


def test_a_check_that_fails_itself_is_a_finding() -> None:
    """It hinders no other."""
    (told,) = looked("state", lambda: (_ for _ in ()).throw(ValueError("no\nidea")))
    assert told.finding is Finding.WARNING
    assert "no idea" in told.message


CONFIG = """\
version: 1
me: {{name: Dana Reyes, addresses: dana@va.example, time_zone: Europe/Lisbon}}
accounts:
  acme: {{caldav: {{url: "{dav}", username: dana, password: {{env: HUNTER}}}}}}
mail: {{from: dana@va.example, smtp: {{host: 127.0.0.1, port: {smtp}, security: none}}}}
"""


def test_the_command_says_all_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """People get lines, machines get JSON; the exit code follows the problems."""
    monkeypatch.setenv("HUNTER", "hunter2")
    monkeypatch.setattr("daemon.doctor.service.PLACES", ())
    (tmp_path / "rules.yaml").write_text(RULES)
    with fake_dav() as dav, FakeSmtp() as smtp, fake_dns(GOOD) as resolver:
        monkeypatch.setattr(dns.resolver, "Resolver", lambda: resolver)
        (tmp_path / "config.yaml").write_text(CONFIG.format(dav=dav.url, smtp=smtp.port))
        words = ["--config", str(tmp_path / "config.yaml"), "doctor"]
        online = CliRunner().invoke(main, [*words, "--online"])
        plain = CliRunner().invoke(main, [*words, "--json"])
        monkeypatch.delenv("HUNTER")
        bad = CliRunner().invoke(main, words)
    assert online.exit_code == 0, online.output
    assert "✓ servers: acme: " in online.output
    assert "✓ servers: mail: " in online.output
    assert "✓ dns: va.example has an SPF record" in online.output
    told = json.loads(plain.stdout)
    assert told["ok"] is True
    assert {tuple(one) for one in told["checks"]} == {("name", "state", "message", "cure")}
    assert bad.exit_code == 1
    assert "✗ secrets: the environment variable HUNTER is not set\n    set HUNTER" in bad.output


@pytest.mark.postgresql
def test_the_command_looks_at_a_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it does not know it leaves as it is; once it is prepared, how the work goes is told, too."""
    monkeypatch.setenv("HUNTER", "hunter2")
    monkeypatch.setattr("daemon.doctor.service.PLACES", ())
    server = shared_server()
    said = server.url(server.database())
    (tmp_path / "rules.yaml").write_text(RULES)
    text = CONFIG.format(dav="https://dav.va.example", smtp=9)
    (tmp_path / "config.yaml").write_text(f"{text}state: {said}\n")
    words = ["--config", str(tmp_path / "config.yaml"), "doctor"]
    before = CliRunner().invoke(main, words)
    assert "its tables are made by the first run" in before.output
    open_store(said, NOW).close()
    after = CliRunner().invoke(main, words)
    assert "is there and up to date" in after.output
    assert "acme was never read" in after.output
    assert (before.exit_code, after.exit_code) == (0, 0)


def test_a_state_that_went_elsewhere_is_a_problem(world: World) -> None:
    """With where it went."""
    with world.store.write() as conn:
        moved.say(conn, "postgresql://rebookd@db.example/rebookd", NOW, "default", done=True)
    done = CliRunner().invoke(main, ["--config", str(world.folder / "config.yaml"), "doctor"])
    assert "this state was moved to postgresql://rebookd@db.example/rebookd" in done.output
    assert done.exit_code == 1


def test_a_configuration_that_does_not_load_is_a_problem(tmp_path: Path) -> None:
    """Its place and its cure are told, and the rest is still looked at."""
    (tmp_path / "config.yaml").write_text("version: 1\n")
    done = CliRunner().invoke(main, ["--config", str(tmp_path / "config.yaml"), "doctor"])
    assert done.exit_code == 1
    assert "✗ configuration: " in done.output
    assert "clock: it is" in done.output


def test_looking_changes_nothing(tmp_path: Path) -> None:
    """A state that is not there is not made."""
    open_store(tmp_path / "other.db", NOW).close()
    before = sorted(tmp_path.iterdir())
    list(state.checks(tmp_path / "state.db", NOW))
    assert sorted(tmp_path.iterdir()) == before
