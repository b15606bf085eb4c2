"""What a state knows about having been put back from a backup, kept in its notes.

A backup says that it is one. Whoever starts on it is put back, and from then on knows since when: what was
due by then may have been done by the state that was lost.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import TypedDict, cast

from sqlalchemy import Connection, func, select

from daemon.store import agenda, calendars
from daemon.store.notes import forget, note, note_for_all, noted
from daemon.store.schema import accounts, deliveries
from rules.model import Restored

LEARNING = timedelta(hours=1)
"""How long after the accounts were read again a meeting that turns up still counts as known before; and how
long one that cannot be read keeps the others waiting."""

_BACKUP = "backup of"
_RESTORED = "restored"


def say_backup(conn: Connection, of: datetime) -> None:
    """This state is a backup of that moment (UTC), unless it says already of which."""
    note_for_all(conn, _BACKUP, of.isoformat())


def backup_of(conn: Connection) -> datetime | None:
    """Of which moment (UTC) this file is a backup; None where it is none, or was taken up."""
    said = noted(conn, _BACKUP)
    return datetime.fromisoformat(said) if said else None


def last_sign(conn: Connection, now: datetime) -> datetime:
    """The last moment (UTC) that this state knows of, up to now."""
    found = [
        conn.execute(select(func.max(column))).scalar_one()
        for column in (accounts.c.seen_at, deliveries.c.changed_at)
    ]
    return min(now, max((at for at in found if at is not None), default=now))


def begin(conn: Connection, of: datetime, now: datetime) -> None:
    """The state of that moment is taken up now."""
    forget(conn, _BACKUP)
    note(conn, _RESTORED, json.dumps({"of": of.isoformat(), "at": now.isoformat(), "read": {}}))


def of(conn: Connection) -> Restored | None:
    """Since when it was put back, and what it has learnt anew; None where it never was."""
    said = _said(conn)
    if said is None:
        return None
    read = {name: datetime.fromisoformat(at) for name, at in said["read"].items()}
    known = max(read.values(), default=None)
    return Restored(
        at=datetime.fromisoformat(said["at"]),
        known={} if known is None else dict.fromkeys(read, known + LEARNING),
    )


def learn(conn: Connection, names: Iterable[str], now: datetime) -> bool:
    """Note which accounts were read since, and have all judged anew then; whether any can be judged yet."""
    said = _said(conn)
    if said is None:
        return True
    at = datetime.fromisoformat(said["at"])
    rows, wanted = calendars.accounts(conn), set(names)
    fresh = {
        name
        for name in wanted - said["read"].keys()
        if name in rows and (seen := rows[name].seen_at) is not None and seen > at
    }
    if fresh:
        said["read"] |= dict.fromkeys(sorted(fresh), now.isoformat())
        note(conn, _RESTORED, json.dumps(said))
        agenda.wake_all(conn, now)
    return wanted <= said["read"].keys() or now >= at + LEARNING


def is_learnt(conn: Connection, names: Iterable[str]) -> bool:
    """Whether nothing is left to be learnt anew."""
    said = _said(conn)
    return said is None or set(names) <= said["read"].keys()


class _Said(TypedDict):
    of: str
    at: str
    read: dict[str, str]


def _said(conn: Connection) -> _Said | None:
    said = noted(conn, _RESTORED)
    return None if said is None else cast("_Said", json.loads(said))
