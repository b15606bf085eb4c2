"""Open a state file, or refuse: forgetting whom we mailed is worse than not starting.

The header is read before SQLite touches the file, so that nobody else's database is changed. A new
file is made aside and linked into place whole, so that a crash never leaves an empty one.
"""

from __future__ import annotations

import os
import sqlite3
import tempfile
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection, select, text
from sqlalchemy.exc import DatabaseError

from daemon.store import migrate, moved, postgresql
from daemon.store.durable import sync_folder
from daemon.store.engine import Store, cure, engine_for
from daemon.store.errors import StoreError
from daemon.store.schema import meta
from daemon.store.upsert import insert

APPLICATION_ID = 0x5265626B
"""``Rebk`` in the SQLite header: this file is ours."""

PRODUCT = "rebookd"
_PRECIOUS = ("deliveries", "meta", "optouts")
"""The tables that keep anybody from being mailed twice, or against their will."""

_MAGIC = b"SQLite format 3\x00"


def open_store(
    path_or_url: str | Path,
    now: datetime,
    owner: str = "default",
    *,
    check: bool = True,
    for_copy: bool = False,
) -> Store:
    """Create the state file, or make sure that it is ours, whole and writable, and open it.

    ``now`` (UTC) dates a new file. ``check`` reads the whole file for damage. Raises StoreError with
    the cure for an empty, damaged, foreign, newer or read-only file. The address of a database is opened
    as :mod:`daemon.store.database` says. ``for_copy`` opens what went elsewhere, too, and gives a database
    no name of its own.
    """
    if postgresql.is_address(str(path_or_url)):
        from daemon.store.database import open_database  # noqa: PLC0415 - few need it

        return open_database(str(path_or_url), now, owner, for_copy=for_copy)
    path = _path(path_or_url)
    try:
        if not path.exists():
            _create(path, now, owner)
        look_at_header(path)
        return _open(path, owner, check=check, for_copy=for_copy)
    except (sqlite3.DatabaseError, DatabaseError, UnicodeDecodeError) as error:
        raise cure(str(path), error) from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise StoreError(
            f"The state file {path} cannot be used ({reason}); check its folder's permissions and space."
        ) from error


def _path(path_or_url: str | Path) -> Path:
    said = str(path_or_url)
    return Path(said.removeprefix("sqlite:///")).expanduser().resolve()


def look_at_header(path: Path) -> None:
    """Refuse what is no state file of ours, before SQLite touches it. Raises StoreError."""
    if not path.is_file():
        raise StoreError(f"{path} is not a file; give 'state:' the path of a file, such as state.db.")
    with path.open("rb") as file:
        header = file.read(100)
    if not header:
        raise StoreError(
            f"{path} is empty, so rebookd no longer knows whom it mailed; restore it from a backup, "
            "or delete it to begin anew."
        )
    if not header.startswith(_MAGIC) or int.from_bytes(header[68:72], "big") != APPLICATION_ID:
        raise StoreError(
            f"{path} is not a state file of rebookd, or is damaged; restore it from a backup, or give "
            "'state:' another path."
        )
    _look_at_journal(path, header)


def _look_at_journal(path: Path, header: bytes) -> None:
    """Refuse a journal that was not written for this file: SQLite would write it into it."""
    journal = path.with_name(f"{path.name}-wal")
    if header[18] == 1 and journal.exists() and journal.stat().st_size:
        raise StoreError(
            f"{path} was put back while the journal of the file before it, {journal.name}, is still there; "
            f"delete {journal} and {path}-shm, or use: rebookd restore"
        )


def _create(path: Path, now: datetime, owner: str) -> None:
    if not path.parent.is_dir():
        raise StoreError(
            f"The folder {path.parent} does not exist; create it, or give 'state:' another path."
        )
    journal = path.with_name(f"{path.name}-wal")
    if journal.exists() and journal.stat().st_size:
        raise StoreError(
            f"{path} is gone, but its journal {journal.name} is still there; put the file back, "
            "or delete both to begin anew."
        )
    descriptor, aside = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    os.close(descriptor)
    try:
        engine = engine_for(aside, owner, journal="DELETE")
        try:
            with engine.execution_options(writing=True).begin() as conn:
                migrate.upgrade(conn, str(path))
                _sign(conn, now, owner)
        finally:
            engine.dispose()
        try:
            os.link(aside, path)
        except FileExistsError:
            return
        sync_folder(path.parent)
    finally:
        Path(aside).unlink()


def _sign(conn: Connection, now: datetime, owner: str) -> None:
    conn.execute(text(f"PRAGMA application_id = {APPLICATION_ID}"))
    facts = {"product": PRODUCT, "store": now.strftime(f"{PRODUCT}-%Y%m%dT%H%M%S.%fZ")}
    conn.execute(
        insert(meta).on_conflict_do_nothing(),
        [{"owner": owner, "key": key, "value": value} for key, value in facts.items()],
    )


def _open(path: Path, owner: str, *, check: bool, for_copy: bool) -> Store:
    engine = engine_for(str(path), owner)
    try:
        if check:
            with engine.connect() as conn:
                look_for_damage(conn, path)
        with engine.execution_options(writing=True).begin() as conn:
            migrate.upgrade(conn, str(path))
            # a file that cannot be written says so at the first statement that would
            conn.execute(text("UPDATE meta SET value = value WHERE 0"))
            identity = identity_of(conn, path)
            if not for_copy:
                moved.refuse(conn, str(path))
    except BaseException:
        engine.dispose()
        raise
    engine.dispose()  # connections made from here on know the planner's statistics
    return Store(engine, str(path), identity)


def look_for_damage(conn: Connection, path: Path, *, thorough: bool = False) -> None:
    """Read the whole file. Raises StoreError where it is damaged.

    The precious tables are held against their indexes, which a quick look leaves out; ``thorough``
    does so with every table.
    """
    tables = set(conn.execute(text("SELECT name FROM sqlite_master")).scalars())
    precious = [f"integrity_check({table})" for table in _PRECIOUS if table in tables]
    for check in ("integrity_check",) if thorough else ("quick_check", *precious):
        said = str(conn.execute(text(f"PRAGMA {check}")).scalars().first())
        if said != "ok":
            first = said.removeprefix("*** in database main ***").strip().partition("\n")[0]
            raise StoreError(f"{path} is damaged ({first}); restore it from a backup.")


def identity_of(conn: Connection, path: Path) -> str:
    """Which state this is. Raises StoreError where it does not say that it is one."""
    facts = {row.key: row.value for row in conn.execute(select(meta.c.key, meta.c.value))}
    if facts.get("product") != PRODUCT or "store" not in facts:
        raise StoreError(
            f"{path} does not say that it is rebookd's; restore it from a backup, "
            "or give 'state:' another path."
        )
    return str(facts["store"])
