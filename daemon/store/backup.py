"""Copies of the state file: made while a daemon runs, and put back when none does.

A copy is written aside, read through for damage and synced before it appears under its name, so that what
bears the name is whole. It says of itself that it is a backup.
"""

from __future__ import annotations

import os
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import datetime
from pathlib import Path

from sqlalchemy.exc import DatabaseError

from daemon.store import migrate, restored
from daemon.store.durable import sync_file, sync_folder
from daemon.store.engine import cure, engine_for
from daemon.store.errors import StoreError
from daemon.store.opening import identity_of, look_at_header, look_for_damage


def back_up(state: Path, target: Path, now: datetime, *, force: bool = False) -> None:
    """Copy the state as it is at ``now`` (UTC) to ``target``, which is only replaced with ``force``.

    Raises StoreError; ``target`` is then as it was.
    """
    if target.exists() and target.samefile(state):
        raise StoreError(f"{target} is the state file itself; give the backup another name.")
    if target.is_dir():
        raise StoreError(f"{target} is a folder; name a file in it.")
    if target.exists() and not force:
        raise _there(target)
    with _copied(state, target, now, made=now) as aside:
        if force:
            aside.replace(target)
        else:
            _appear(aside, target)


def put_back(backup: Path, state: Path, now: datetime) -> Path | None:
    """Put a backup into the state's place; where what lay there is kept, if anything.

    Only while nobody has the state open. Raises StoreError; the state is then as it was.
    """
    with _copied(backup, state, now) as aside:
        kept = _kept(state, now)
        aside.replace(state)
    return kept


def read_only(path: Path) -> sqlite3.Connection:
    """A connection that cannot change the file. Raises sqlite3.DatabaseError."""
    return sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)


@contextmanager
def _copied(source: Path, target: Path, now: datetime, made: datetime | None = None) -> Iterator[Path]:
    """A whole copy of ``source``, beside ``target``; it goes away unless it was renamed."""
    if not source.exists():
        raise StoreError(f"there is no {source}")
    try:
        look_at_header(source)
        descriptor, name = tempfile.mkstemp(prefix=f".{target.name}-", dir=target.parent)
        os.close(descriptor)
        aside = Path(name)
        try:
            with closing(read_only(source)) as origin, closing(sqlite3.connect(aside)) as copy:
                origin.backup(copy)
                copy.execute("PRAGMA journal_mode=DELETE").close()
            _label(aside, source, now, made)
            sync_file(aside)
            yield aside
            sync_folder(target.parent)
        finally:
            for leftover in (aside, Path(f"{aside}-journal")):
                with suppress(OSError):
                    leftover.unlink(missing_ok=True)
    except (sqlite3.DatabaseError, DatabaseError, UnicodeDecodeError) as error:
        raise cure(str(source), error) from error
    except OSError as error:
        raise StoreError(
            f"{target} cannot be written ({error.strerror or error}); "
            "check its folder's permissions and space."
        ) from error


def _label(aside: Path, source: Path, now: datetime, made: datetime | None) -> None:
    """Have the copy say of what moment it is, once it is known to be whole and ours."""
    engine = engine_for(str(aside), "default", journal="DELETE")
    try:
        with engine.execution_options(writing=True).begin() as conn:
            look_for_damage(conn, source, thorough=True)
            migrate.upgrade(conn, str(source))
            identity_of(conn, source)
            restored.say_backup(conn, made or restored.last_sign(conn, now))
        with engine.connect() as conn:
            look_for_damage(conn, source, thorough=True)
    finally:
        engine.dispose()


def _appear(aside: Path, target: Path) -> None:
    try:
        os.link(aside, target)
    except FileExistsError as error:
        raise _there(target) from error
    except OSError:  # some disks for backups know no links
        aside.replace(target)


def _there(target: Path) -> StoreError:
    return StoreError(f"{target} is already there; use --force to replace it.")


def _kept(state: Path, now: datetime) -> Path | None:
    """Keep what lies in the state's place under another name, its journal with it."""
    kept = state.with_name(f"{state.name}.before-{now:%Y%m%dT%H%M%S}")
    with suppress(sqlite3.DatabaseError), closing(sqlite3.connect(state)) as old:
        old.execute("PRAGMA wal_checkpoint(TRUNCATE)").close()
    # a journal that is left would be taken for that of the file which comes now
    for ending in ("-wal", "-shm"):
        with suppress(FileNotFoundError):
            Path(f"{state}{ending}").rename(f"{kept}{ending}")
    try:
        os.link(state, kept)
    except FileNotFoundError:
        return None
    except OSError:
        state.rename(kept)
    return kept
