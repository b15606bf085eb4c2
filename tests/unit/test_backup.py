"""``rebookd backup`` and ``restore``: a copy is whole or not there, and an old state knows that it is one."""

from __future__ import annotations

import shutil
import sqlite3
import stat
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from daemon.__main__ import main
from daemon.exits import FAILED
from daemon.store import StoreError, deliveries, open_store, restored
from daemon.store.backup import back_up, put_back
from daemon.store.lock import lock
from daemon.store.watermark import Watermark, beside
from rules.delivery import PERHAPS_SENT, Event, State
from rules.model import Restored
from tests.support.databases import empty_database
from tests.support.house import event
from tests.support.meetings import JO, NOW
from tests.support.offices import CONFIG, World, at
from tests.support.stores import fresh_store, intent

RULES = """\
version: 1
guard: {first_sync: act}
rules:
  - name: ask
    when: unconfirmed
    then: [{step: ask, do: confirm, at: 48h before start, until: 2h before start}]
"""


def run(folder: Path, *words: str) -> Result:
    """One command, with a configuration in the folder."""
    return CliRunner().invoke(main, ["--config", str(folder / "config.yaml"), *words])


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Jo was asked about a meeting."""
    made = World(tmp_path, RULES)
    made.put("acme", "kickoff", event("kickoff", at(40), {JO: "NEEDS-ACTION"}))
    assert made.round() == [JO]
    return made


def test_a_backup_is_made_while_the_state_is_open(world: World) -> None:
    """It is private, whole, says that it is one, and is not written over without being asked."""
    copy = world.folder / "copy.db"
    done = run(world.folder, "backup", str(copy))
    assert done.exit_code == 0, done.output
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert not list(world.folder.glob(".copy.db-*"))
    again = run(world.folder, "backup", str(copy))
    assert again.exit_code == FAILED
    assert "--force" in again.output
    assert run(world.folder, "backup", str(copy), "--force").exit_code == 0
    store = open_store(copy, NOW)
    with store.read() as conn:
        assert restored.backup_of(conn) is not None
        assert len(deliveries.list_(conn)) == 1
    store.close()


@pytest.mark.parametrize("target", ["state.db", ".", "nowhere/copy.db"])
def test_a_backup_that_cannot_be_made_says_why(world: World, target: str) -> None:
    """In one sentence; the state stays as it is."""
    done = run(world.folder, "backup", str(world.folder / target))
    assert done.exit_code == FAILED
    assert "should not have happened" not in done.output
    assert len(done.output.splitlines()) == 1


def test_a_damaged_state_gives_no_backup(world: World) -> None:
    """The last good backup is not replaced by a bad one."""
    state, copy = world.folder / "state.db", world.folder / "copy.db"
    back_up(state, copy, NOW)
    good = copy.read_bytes()
    world.store.close()
    bad = bytearray(state.read_bytes())
    for page in range(2, len(bad) // 4096):
        bad[page * 4096 : page * 4096 + 64] = b"\xff" * 64
    state.write_bytes(bad)
    with pytest.raises(StoreError, match="damaged"):
        back_up(state, copy, NOW, force=True)
    assert copy.read_bytes() == good


def test_a_restore_keeps_what_it_replaces_and_waits_for_the_daemon_to_stop(world: World) -> None:
    """While one runs nothing is replaced."""
    state, copy = world.folder / "state.db", world.folder / "copy.db"
    back_up(state, copy, NOW)
    with lock(state):
        refused = run(world.folder, "restore", str(copy))
    assert refused.exit_code == FAILED
    assert "already running" in refused.output
    world.store.close()
    done = run(world.folder, "restore", str(copy))
    assert done.exit_code == 0, done.output
    (kept,) = world.folder.glob("state.db.before-*")
    with closing(sqlite3.connect(kept)) as old:
        assert old.execute("SELECT count(*) FROM deliveries").fetchone() == (1,)


@pytest.mark.parametrize(
    "words", [[], ["copy.db", "--in-place"], ["config.yaml"], ["missing.db"], ["state.db"]]
)
def test_a_restore_of_nothing_is_refused(world: World, words: list[str]) -> None:
    """The state stays as it is."""
    before = (world.folder / "state.db").read_bytes()
    paths = [str(world.folder / one) if one.endswith((".db", ".yaml")) else one for one in words]
    done = run(world.folder, "restore", *paths)
    assert done.exit_code in {1, 2}
    assert "should not have happened" not in done.output
    assert (world.folder / "state.db").read_bytes() == before


def test_a_machine_put_back_whole_can_be_told(world: World) -> None:
    """Where the watermark came back with the state, the owner says that it is old."""
    world.store.close()
    done = run(world.folder, "restore", "--in-place")
    assert done.exit_code == 0, done.output
    world.store = open_store(world.folder / "state.db", world.clock.at)
    world.office = world.open()
    with world.store.read() as conn:
        assert restored.of(conn) is not None


@pytest.mark.postgresql
def test_a_database_put_back_is_told_to_every_owner(tmp_path: Path) -> None:
    """One word holds for all whose rows it has, also for those whose own files are broken just then."""
    place = empty_database()
    names = ["dana", "eli", "fay"]
    for name in names:
        open_store(place, NOW, name).close()
        (tmp_path / name).mkdir()
        (tmp_path / name / "rules.yaml").write_text("version: 1\nrules: []\n")
        accounts = "  own: {caldav: {url: https://dav.example/, username: d, password: {env: X}}}"
        text = CONFIG.format(accounts=accounts) + f"state: {place}\n"
        (tmp_path / name / "config.yaml").write_text(text + ("colour: red\n" if name == "fay" else ""))
    words = ["--config", str(tmp_path), "restore", "--in-place"]
    with lock(place, shared=True):
        assert "already running" in CliRunner().invoke(main, words).output
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 0, done.output
    for name in names:
        with closing(open_store(place, NOW, name)) as store, store.read() as conn:
            assert restored.backup_of(conn) is not None, name


def test_what_waited_in_a_backup_waits_for_the_owner(tmp_path: Path) -> None:
    """Whatever its state was then; what was on its way is unknown, and told."""
    world = World(tmp_path, RULES)
    with world.store.write() as conn:
        ids = deliveries.add(conn, [intent(f"m{number}") for number in range(5)], NOW)
        deliveries.claim(conn, ids[1], "x", NOW, timedelta(minutes=5))
        deliveries.claim(conn, ids[2], "x", NOW, timedelta(minutes=5))
        deliveries.move(conn, ids[2], Event.COMMIT, NOW)
        deliveries.claim(conn, ids[3], "x", NOW, timedelta(minutes=5))
        deliveries.move(conn, ids[3], Event.FAIL, NOW)
        deliveries.move(conn, ids[4], Event.HOLD, NOW, error="waits for your approval")
        restored.say_backup(conn, NOW)
    world.office = world.open()
    with world.store.read() as conn:
        rows = {one.id: one for one in deliveries.list_(conn)}
    assert [rows[one].state for one in ids] == [State.HELD] * 2 + [State.UNKNOWN] + [State.HELD] * 2
    assert {rows[one].error for one in ids if one != ids[2]} == {PERHAPS_SENT}
    assert [one.step for one in rows.values() if one.rule == "rebookd"] == ["unknown", "restored"]


def test_an_approved_one_leaves_and_a_new_meeting_does_by_itself(world: World) -> None:
    """Held is not lost, and life goes on."""
    state, copy = world.folder / "state.db", world.folder / "copy.db"
    back_up(state, copy, world.clock.at)
    world.put("acme", "review", event("review", at(41), {JO: "NEEDS-ACTION"}))
    assert world.round(0.1) == [JO]
    world.store.close()
    put_back(copy, state, world.clock.at)
    world.store = open_store(state, world.clock.at)
    world.office = world.open()
    assert world.round(0.1) == ["dana@va.example"]
    with world.store.read() as conn:
        (held,) = deliveries.list_(conn, State.HELD)
    assert held.error == PERHAPS_SENT
    with world.store.write() as conn:
        deliveries.approve(conn, held.id, world.clock.at)
    assert world.round(0.1) == [JO]
    world.put("acme", "retro", event("retro", at(42), {JO: "NEEDS-ACTION"}))
    assert world.round(2) == [JO]


def test_the_watermark_knows_an_older_file(tmp_path: Path) -> None:
    """Fewer than the file beside it: older. A state begun anew is not; what cannot be read is."""
    store = fresh_store(tmp_path)
    mark = Watermark(store)
    with store.write() as conn:
        count = mark.rise(conn)
    mark.keep(count)
    with store.read() as conn:
        assert not mark.is_behind(conn)
    mark.keep(count + 1)
    with store.read() as conn:
        assert mark.is_behind(conn)
    path = beside(store.path)
    assert path is not None
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.write_text("rebookd-another 7")
    with store.read() as conn:
        assert mark.is_behind(conn)
    path.write_bytes(b"\xff\xfe")
    with store.read() as conn:
        assert mark.is_behind(conn)
    path.write_bytes(b"")
    with store.read() as conn:
        assert not mark.is_behind(conn)
    store.close()


def test_a_watermark_that_cannot_be_written_stops_the_mail(world: World) -> None:
    """Nothing leaves that a restored state could not know of; nothing of it is sent again."""
    path = beside(world.store.path)
    assert path is not None
    path.unlink()
    path.mkdir()
    world.put("acme", "review", event("review", at(41), {JO: "NEEDS-ACTION"}))
    world.clock.at += timedelta(hours=1)
    with pytest.raises(StoreError, match="so nothing is sent"):
        world.office.round()
    assert world.mailer.to == [JO]


def test_a_backup_over_the_journal_of_another_file_is_refused(world: World) -> None:
    """SQLite would write that journal into it."""
    state, copy = world.folder / "state.db", world.folder / "copy.db"
    back_up(state, copy, NOW)
    world.store.close()
    shutil.copy(copy, state)
    (world.folder / "state.db-wal").write_bytes(b"x" * 100)
    with pytest.raises(StoreError, match="use: rebookd restore"):
        open_store(state, NOW)


def test_what_counts_as_perhaps_done() -> None:
    """What was due by the restore, of a meeting that did not turn up later."""
    put_back_ = Restored(at=NOW, known={"acme": at(1)})
    assert put_back_.perhaps_done(NOW, "acme", None)
    assert put_back_.perhaps_done(NOW, "acme", at(1))
    assert put_back_.perhaps_done(NOW, "own", at(9))
    assert not put_back_.perhaps_done(NOW, "acme", at(1.1))
    assert not put_back_.perhaps_done(at(0.1), "acme", None)
