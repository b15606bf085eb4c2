"""Opening the state file: made whole, or refused with the cure."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text

from daemon.store import StoreError, agenda, deliveries, migrations, open_store, opening
from daemon.store.codec import encode
from daemon.store.engine import engine_for
from daemon.store.lock import lock
from daemon.store.migrate import REVISIONS
from daemon.store.notes import note, noted
from daemon.store.schema import metadata
from daemon.store.types import to_microseconds
from tests.support.meetings import NOW, meeting
from tests.support.stores import intent


def test_new_file_is_whole_private_and_ours(tmp_path: Path) -> None:
    """A missing file is made with mode 0600, WAL and full durability, and can be opened again."""
    path = tmp_path / "state.db"
    store = open_store(path, NOW)
    with store.read() as conn:
        assert conn.execute(text("PRAGMA journal_mode")).scalar_one() == "wal"
        assert conn.execute(text("PRAGMA synchronous")).scalar_one() == 2
        assert conn.execute(text("PRAGMA foreign_keys")).scalar_one() == 1
    modes = {stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()}
    store.close()
    assert modes == {0o600}
    again = open_store(str(path), NOW)
    assert again.identity == store.identity == "rebookd-20260302T090000.000000Z"
    again.close()
    assert [file.name for file in tmp_path.iterdir()] == ["state.db"]


def test_migrations_build_the_schema(tmp_path: Path) -> None:
    """The tables the migrations build are the tables the queries use."""
    store = open_store(tmp_path / "state.db", NOW)
    with store.read() as conn:
        context = MigrationContext.configure(conn)
        assert compare_metadata(context, metadata) == []
    store.close()


def test_an_older_file_keeps_everything(tmp_path: Path) -> None:
    """A file of the first version is brought up to this one with all it holds, and mails nobody again."""
    path = tmp_path / "state.db"
    tables = first_version(path)
    store = open_store(path, NOW)
    with store.read() as conn:
        for table, row in tables.items():
            found = conn.execute(text(f"SELECT * FROM {table}")).one()._asdict()
            assert {name: found[name] for name in row} == row
        assert compare_metadata(MigrationContext.configure(conn), metadata) == []
        (delivery,) = deliveries.list_(conn)
        (one,) = agenda.by_uids(conn, ["kickoff"])
    assert (delivery.turn, delivery.group, delivery.carried_by) == (1, "", None)
    assert one.title == "Kickoff"
    with store.write() as conn:
        assert deliveries.add(conn, [delivery.intent], NOW) == []
    store.close()


def first_version(path: Path) -> dict[str, dict[str, object]]:
    """Make a state file as the first version left it, one row in each table; the rows."""
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    key = intent().intent_key
    at = to_microseconds(NOW)
    rows: dict[str, dict[str, object]] = {
        "accounts": {
            "name": "acme",
            "kind": "caldav",
            "seen_at": at,
            "error_kind": "",
            "error": "",
            "failures": 0,
        },
        "calendars": {
            "id": 1,
            "account": "acme",
            "ref": "acme-calendar",
            "name": "Acme",
            "cursor": "c1",
            "first_seen_at": at,
            "seen_at": at,
            "events": 1,
            "schedules": 0,
            "horizon_end": at,
        },
        "resources": {
            "id": 1,
            "calendar_id": 1,
            "href": "/a.ics",
            "etag": "1",
            "uid": "kickoff",
            "raw": "BEGIN:VCALENDAR",
            "recurring": 0,
            "broken": "",
            "observed_at": at,
        },
        "occurrences": {
            "id": 1,
            "resource_id": 1,
            "uid": "kickoff",
            "recurrence_id": "",
            "start": at,
            "end": at,
            "timed": 1,
            "long": 0,
            "title": "Kickoff",
            "record": encode(meeting(title="Kickoff")),
            "wake_at": at,
        },
        "people": {"address": "jo@acme.example", "start": at, "occurrence_id": 1},
        "attendance": {"uid": "kickoff", "recurrence_id": "", "held": "held", "source": "you", "at": at},
        "deliveries": {
            "id": 7,
            "intent_key": key,
            "state": "sent",
            "rule": "confirm-acme",
            "step": "ask",
            "do": "confirm",
            "mode": "auto",
            "detector": "unconfirmed",
            "tone": "",
            "account": "acme",
            "calendar": "acme-calendar",
            "uid": "kickoff",
            "recurrence_id": "",
            "start": to_microseconds(intent().start),
            "to": "jo@acme.example",
            "people": '["jo@acme.example"]',
            "due": at,
            "until": at,
            "reason": "nobody answered",
            "subject": "Kickoff",
            "message_id": "<7@va.example>",
            "raw": b"mail",
            "offered": "[]",
            "attempts": 1,
            "next_try_at": at,
            "error": "",
            "lease_by": "",
            "created_at": at,
            "changed_at": at,
            "sent_at": at,
        },
    }
    engine = engine_for(str(path), "default", journal="DELETE")
    with engine.begin() as conn:
        config.attributes["connection"] = conn
        command.upgrade(config, "0001")
        opening._sign(conn, NOW, "default")
        for table, row in rows.items():
            names = ", ".join(f'"{name}"' for name in ("owner", *row))
            marks = ", ".join(f":{name}" for name in ("owner", *row))
            words = f"INSERT INTO {table} ({names}) VALUES ({marks})"
            conn.execute(text(words), {"owner": "default", **row})
    engine.dispose()
    return rows


def test_every_revision_is_known() -> None:
    """The list that saves importing Alembic at every start is the list of scripts."""
    import daemon.store.migrations as scripts

    folder = ScriptDirectory(str(Path(scripts.__file__).parent))
    assert tuple(script.revision for script in folder.walk_revisions())[::-1] == REVISIONS


def test_every_table_has_its_owner() -> None:
    """One deployment can serve several owners from the first migration on."""
    assert all("owner" in table.c for table in metadata.tables.values())


def test_owners_do_not_see_each_other(tmp_path: Path) -> None:
    """Two owners share a file and nothing else."""
    dana = open_store(tmp_path / "state.db", NOW, "dana")
    eve = open_store(tmp_path / "state.db", NOW, "eve")
    with dana.write() as conn:
        note(conn, "colour", "red")
    with eve.read() as conn:
        assert noted(conn, "colour") is None
    with dana.read() as conn:
        assert noted(conn, "colour") == "red"
    dana.close()
    eve.close()


def empty(path: Path) -> None:
    """Leave a file of no length."""
    path.write_bytes(b"")


def foreign(path: Path) -> None:
    """Leave somebody else's database."""
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE meta (key TEXT, value TEXT)")
    other.close()


def garbage(path: Path) -> None:
    """Leave something that is no database."""
    path.write_bytes(b"PK\x03\x04" + bytes(5000))


def folder(path: Path) -> None:
    """Leave a folder."""
    path.mkdir()


def newer(path: Path) -> None:
    """Leave what a later version would."""
    open_store(path, NOW).close()
    with sqlite3.connect(path) as later:
        later.execute("UPDATE alembic_version SET version_num = '9999'")
    later.close()


def damaged(path: Path) -> None:
    """Leave our own file with a page of noise in it."""
    open_store(path, NOW).close()
    whole = bytearray(path.read_bytes())
    for page in range(1, len(whole) // 4096):
        whole[page * 4096 : page * 4096 + 64] = b"\xff" * 64
    path.write_bytes(whole)


def cut(path: Path) -> None:
    """Leave the first half of our own file."""
    open_store(path, NOW).close()
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])


def orphaned_journal(path: Path) -> None:
    """Leave the journal of a file that is gone."""
    path.with_name("state.db-wal").write_bytes(b"x" * 100)


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (empty, "is empty, so rebookd no longer knows whom it mailed; restore it from a backup"),
        (foreign, "is not a state file of rebookd"),
        (garbage, "is not a state file of rebookd"),
        (folder, "is not a file"),
        (newer, "was written by a newer rebookd"),
        (damaged, "damaged"),
        (cut, "damaged"),
        (orphaned_journal, "is gone, but its journal state.db-wal is still there"),
    ],
)
def test_doubtful_file_is_refused_and_left_as_it_is(
    tmp_path: Path, spoil: Callable[[Path], None], says: str
) -> None:
    """Forgetting whom we mailed is worse than not starting; what is refused is not touched."""
    path = tmp_path / "state.db"
    spoil(path)
    before = path.read_bytes() if path.is_file() else b""
    with pytest.raises(StoreError, match=says):
        open_store(path, NOW)
    assert (path.read_bytes() if path.is_file() else b"") == before


def test_missing_folder_is_named(tmp_path: Path) -> None:
    """A folder is never invented."""
    with pytest.raises(StoreError, match="does not exist; create it"):
        open_store(tmp_path / "nowhere" / "state.db", NOW)


AS_NOBODY = """
import os, sys, tempfile
from datetime import UTC, datetime
from daemon.store import StoreError, agenda, deliveries, migrations, open_store, opening
from daemon.store.codec import encode
from daemon.store.engine import engine_for
from daemon.store.lock import lock
with tempfile.TemporaryDirectory() as name:  # imports all that a stranger might not be able to read
    open_store(name + "/state.db", datetime.now(UTC)).close()
if os.getuid() == 0:
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
now = datetime.now(UTC)
for use in (lambda: open_store(sys.argv[1], now).close(), lambda: lock(sys.argv[1]).__enter__()):
    try:
        use()
    except StoreError as error:
        print(error)
    else:
        print("opened")
"""


@pytest.mark.parametrize("what", ["new file", "old file in a read-only folder", "read-only file"])
def test_read_only_state_is_refused(what: str) -> None:
    """A state that cannot be written is refused at the start, with the cure, not at the first mail."""
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        path = place / "state.db"
        if what != "new file":
            open_store(path, NOW).close()
            path.chmod(0o444 if what == "read-only file" else 0o666)
        place.chmod(0o777 if what == "read-only file" else 0o555)
        done = subprocess.run(
            [sys.executable, "-c", AS_NOBODY, str(path)],
            capture_output=True,
            text=True,
            check=False,
            cwd=Path(__file__).parents[2],
        )
        place.chmod(0o755)
    opening, locking = done.stdout.splitlines()
    assert "cannot be" in opening
    assert "permissions" in opening or "write access" in opening
    assert locking == "opened" if what == "read-only file" else "cannot be written" in locking


def test_second_daemon_is_refused_and_told_who_runs(tmp_path: Path) -> None:
    """The lock names the process that holds it, and is free again after it."""
    path = tmp_path / "state.db"
    with lock(path):
        with pytest.raises(StoreError, match=rf"\(pid {os.getpid()}\) is already running on .*state\.db"):
            lock(path).__enter__()
        assert stat.S_IMODE((tmp_path / "state.db.lock").stat().st_mode) == 0o600
    with lock(path):
        pass


def test_killed_while_making_the_file_leaves_none(tmp_path: Path) -> None:
    """The file appears whole or not at all, so a crash at birth never looks like a forgotten memory."""
    code = (
        "import os, sys; from datetime import UTC, datetime; from daemon.store import open_store, opening\n"
        "opening._sign = lambda *a: os._exit(9)\n"
        "open_store(sys.argv[1], datetime.now(UTC))\n"
    )
    path = tmp_path / "state.db"
    done = subprocess.run([sys.executable, "-c", code, str(path)], check=False, cwd=Path(__file__).parents[2])
    assert done.returncode == 9
    assert not path.exists()
    open_store(path, NOW).close()


def test_copied_file_opens(tmp_path: Path) -> None:
    """A backup is a copy of the file while nobody runs."""
    open_store(tmp_path / "state.db", NOW).close()
    shutil.copy(tmp_path / "state.db", tmp_path / "backup.db")
    open_store(tmp_path / "backup.db", NOW).close()
