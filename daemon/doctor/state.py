"""The state: there, whole, writable, private, with space to grow, and who works on it."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

from daemon.doctor.checks import Check, doubtful, fine, refused, wrong
from daemon.store import migrate
from daemon.store.backup import read_only
from daemon.store.engine import cure
from daemon.store.errors import StoreError
from daemon.store.lock import holder_of
from daemon.store.opening import look_at_header

NAME = "state"

LEAST = 16 * 1024 * 1024
"""Bytes without which nothing can be kept for long."""

LITTLE = 256 * 1024 * 1024
"""Bytes below which the owner had better know."""

AHEAD = timedelta(minutes=5)
"""How far the newest row may lie ahead of the clock."""


def checks(path: Path, now: datetime) -> Iterator[Check]:
    """Everything about one state file, which is not changed."""
    yield from folder(path.parent)
    if not path.exists():
        yield from absent(path)
        return
    yield from whole(path)
    yield from writable(path)
    yield from private(path)
    yield from in_time(path, now)
    pid = holder_of(path)
    yield worked_on(f"pid {pid}" if pid else "", "sudo systemctl enable --now rebookd")


def folder(where: Path) -> Iterator[Check]:
    """The folder: there, writable, with space."""
    if not where.is_dir():
        yield wrong(NAME, f"the folder {where} does not exist", f"mkdir -p {where}, owned by rebookd's user")
        return
    if not os.access(where, os.W_OK | os.X_OK):
        yield wrong(NAME, f"{where} cannot be written", _writing(where))
    left = shutil.disk_usage(where).free
    said = f"{left // (1024 * 1024)} MiB are free in {where}"
    if left < LEAST:
        yield wrong(NAME, f"the disk is full: {said}", f"free some space: df -h {where}")
    elif left < LITTLE:
        yield doubtful(NAME, f"the disk is nearly full: {said}", f"free some space: df -h {where}")
    else:
        yield fine(NAME, said)


def absent(path: Path) -> Iterator[Check]:
    """No file yet, or no file any more."""
    if Path(f"{path}-wal").exists() or Path(f"{path}.watermark").exists():
        yield wrong(
            NAME,
            f"{path} is gone, though rebookd has worked with it",
            "put it back: rebookd restore FILE",
        )
    else:
        yield fine(NAME, f"{path} is made by the first run")


def whole(path: Path) -> Iterator[Check]:
    """Ours, of this version or an older one, and undamaged."""
    try:
        look_at_header(path)
        with closing(read_only(path)) as conn:
            said = conn.execute("PRAGMA integrity_check(1)").fetchone()[0]
            version = conn.execute("SELECT version_num FROM alembic_version").fetchone()
    except StoreError as error:
        yield refused(NAME, error, "rebookd restore FILE")
        return
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
        yield wrong(NAME, str(cure(str(path), error)).rstrip("."), "rebookd restore FILE")
        return
    except OSError as error:
        yield wrong(NAME, f"{path} cannot be read ({error.strerror})", _writing(path))
        return
    if said != "ok":
        yield wrong(NAME, f"{path} is damaged ({said.splitlines()[0]})", "rebookd restore FILE")
    elif version is None or version[0] not in migrate.REVISIONS:
        yield wrong(NAME, f"{path} was written by a newer rebookd", "install that version again")
    else:
        yield fine(NAME, f"{path} is whole")


def writable(path: Path) -> Iterator[Check]:
    """The file and what SQLite keeps beside it."""
    for each in (path, Path(f"{path}-wal"), Path(f"{path}-shm"), Path(f"{path}.watermark")):
        if each.exists() and not os.access(each, os.R_OK | os.W_OK):
            yield wrong(NAME, f"{each} cannot be written", _writing(each))


def private(path: Path) -> Iterator[Check]:
    """Whom I meet, and what I wrote them, is nobody else's."""
    if not path.exists() or not path.stat().st_mode & (stat.S_IROTH | stat.S_IWOTH):
        return
    if path.parent.stat().st_mode & stat.S_IXOTH:
        yield doubtful(NAME, f"{path} can be read by everybody on this machine", f"chmod 600 {path}")


def in_time(path: Path, now: datetime) -> Iterator[Check]:
    """Nothing in it comes from the future."""
    try:
        with closing(read_only(path)) as conn:
            query = (
                "SELECT max(at) FROM (SELECT max(seen_at) AS at FROM accounts "
                "UNION ALL SELECT max(changed_at) FROM deliveries)"
            )
            newest = conn.execute(query).fetchone()[0]
    except (sqlite3.DatabaseError, UnicodeDecodeError):
        return  # what is wrong with the file is told already
    if newest is not None and newest / 1e6 - now.timestamp() > AHEAD.total_seconds():
        hours = (newest / 1e6 - now.timestamp()) / 3600
        yield wrong(
            "clock",
            f"the clock is {hours:.1f} hours behind the newest entry of the state",
            "set the clock: timedatectl set-ntp true",
        )


def worked_on(by: str, cure: str) -> Check:
    """Who runs."""
    if by:
        return fine("daemon", f"rebookd runs ({by})")
    return doubtful("daemon", "no rebookd runs on this state", cure)


def _writing(path: Path) -> str:
    return f"give rebookd's user write access: chown -R USER {path if path.is_dir() else path.parent}"
