"""Short ways to fill a store."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from connectors.base import CalendarInfo, Capabilities, ChangeSet, Cursor, Resource
from daemon.store import Store, open_store
from daemon.store.calendars import Applied, apply
from rules.model import Address, CalendarRef, Intent, Interval, Occurrence
from tests.support.meetings import JO, ME, NOW, meeting

HORIZON = NOW + timedelta(days=120)
ACME = CalendarRef(account="acme", id="acme-calendar")
OWN = CalendarRef(account="own", id="own-calendar")


_databases: dict[Path, str] = {}
_left_open: list[Store] = []
_kind = [os.environ.get("REBOOKD_TESTS_ON", "sqlite")]

of_a_file = pytest.mark.skipif(_kind[0] != "sqlite", reason="it is about a file")
"""A test that looks into the file, or starts a process that names it."""


@contextmanager
def stores_on(dialect: str) -> Iterator[None]:
    """Until the end of the block stores are made on this dialect."""
    _kind.append(dialect)
    try:
        yield
    finally:
        _kind.pop()
        _databases.clear()


def forget_stores() -> None:
    """Close what a test has left open: databases do not go with their folder."""
    while _left_open:
        _left_open.pop().close()


def place(folder: Path) -> Path | str:
    """Where the last :func:`fresh_store` of this folder lies."""
    return _databases.get(folder, folder / "state.db")


def fresh_store(folder: Path) -> Store:
    """An empty store of ``folder``, without running the migrations again for every test."""
    if _kind[-1] == "postgresql":
        from tests.support.databases import empty_database  # most tests do without

        _databases[folder] = empty_database()
        _left_open.append(opened := open_store(_databases[folder], NOW))
        return opened
    (folder / "state.db").write_bytes(_empty_file())
    return open_store(folder / "state.db", NOW, check=False)


@cache
def _empty_file() -> bytes:
    with tempfile.TemporaryDirectory() as name:
        open_store(Path(name) / "state.db", NOW).close()
        return (Path(name) / "state.db").read_bytes()


def info(ref: CalendarRef = ACME, *, schedules: bool = False) -> CalendarInfo:
    """A calendar named like its account."""
    return CalendarInfo(ref=ref, name=ref.account, capabilities=Capabilities(schedules=schedules))


def resource(*occurrences: Occurrence, etag: str = "1", href: str = "", **more: Any) -> Resource:
    """The resource that holds these occurrences of one UID."""
    first = occurrences[0]
    href = href or f"/{first.key.uid}.ics"
    placed = tuple(replace(one, href=href, etag=etag) for one in occurrences)
    fields: dict[str, Any] = {"uid": first.key.uid, "raw": "BEGIN:VCALENDAR"}
    return Resource(href=href, etag=etag, occurrences=placed, **(fields | more))


def put(
    store: Store,
    *changed: Resource,
    ref: CalendarRef = ACME,
    now: datetime = NOW,
    removed: Iterable[str] = (),
    cancelled: Iterable[str] = (),
    dismissed: Iterable[str] = (),
    kept: Iterable[str] = (),
    full: bool = False,
    mine: Collection[Address] = (ME,),
) -> Applied:
    """Take in one poll's result."""
    changes = ChangeSet(
        changed=changed,
        removed=frozenset(removed),
        cancelled=frozenset(cancelled),
        dismissed=frozenset(dismissed),
        kept=frozenset(kept),
        cursor=Cursor(now.isoformat()),
        full=full,
    )
    with store.write() as conn:
        return apply(conn, info(ref), changes, now, HORIZON, mine=mine)


def intent(uid: str = "kickoff", *, to: Address = JO, step: str = "ask", **more: Any) -> Intent:
    """An intent to ask about a meeting, open for a day."""
    subject = meeting(uid)
    fields: dict[str, Any] = {
        "rule": "confirm-acme",
        "do": "confirm",
        "mode": "auto",
        "key": subject.key,
        "start": subject.start,
        "people": (to,),
        "due": NOW,
        "until": NOW + timedelta(days=1),
        "reason": "nobody answered",
        "detector": "unconfirmed",
    }
    return Intent(step=step, to=to, **fields | more)


def span(hours: float, lasts: float = 1) -> Interval:
    """A span of time that begins so many hours from NOW."""
    return Interval(NOW + timedelta(hours=hours), NOW + timedelta(hours=hours + lasts))
