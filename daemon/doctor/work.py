"""How the work goes: what is read, what is in doubt, what was restored."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from sqlalchemy import Connection

from daemon import health
from daemon.config.settings import Settings
from daemon.doctor.checks import Check, doubtful, fine, wrong
from daemon.health import SIGN_IN
from daemon.store import deliveries, restored
from rules.delivery import PERHAPS_SENT, State


def checks(conn: Connection, settings: Settings, now: datetime) -> Iterator[Check]:
    """Accounts, the outbox, and whether the state is an old one."""
    yield from accounts(conn, settings, now)
    yield from doubts(conn)
    yield from put_back(conn)


def accounts(conn: Connection, settings: Settings, now: datetime) -> Iterator[Check]:
    """When each was last read."""
    for one in health.look(conn, settings, now).accounts:
        if one.state == SIGN_IN:
            yield wrong("accounts", f"{one.name}: {one.error.rstrip('.')}", f"rebookd auth {one.name}")
        elif one.seen_at is None:
            yield doubtful("accounts", f"{one.name} was never read", "rebookd run --once")
        elif one.stale:
            said = f" ({one.error.rstrip('.')})" if one.error else ""
            yield wrong(
                "accounts",
                f"{one.name} was not read since {one.seen_at:%Y-%m-%d %H:%M} UTC{said}",
                "rebookd check --online",
            )
        elif one.error:
            yield doubtful("accounts", f"{one.name}: {one.error.rstrip('.')}", "rebookd check --online")
        else:
            yield fine("accounts", f"{one.name} is fresh")


def doubts(conn: Connection) -> Iterator[Check]:
    """Messages that wait for the owner to look."""
    counts = deliveries.counts(conn)
    unknown, refused = counts.get(State.UNKNOWN, 0), counts.get(State.REFUSED, 0)
    if unknown:
        yield doubtful(
            "outbox",
            f"nobody knows of {unknown} messages whether they left",
            "look into your sent mail: rebookd outbox list --state unknown",
        )
    if refused:
        yield doubtful("outbox", f"{refused} messages were refused", "rebookd outbox list --state refused")
    held = sum(one.error == PERHAPS_SENT for one in deliveries.list_(conn, State.HELD))
    if held:
        yield doubtful(
            "outbox",
            f"{held} messages are held since they were perhaps sent before a restore",
            "rebookd outbox list --state held",
        )
    if not (unknown or refused or held):
        yield fine("outbox", "nothing waits for your word because of a fault")


def put_back(conn: Connection) -> Iterator[Check]:
    """A backup that nobody has worked on yet."""
    made = restored.backup_of(conn)
    if made is not None:
        yield doubtful(
            "state",
            f"the state is a backup of {made:%Y-%m-%d %H:%M} UTC",
            "the next run holds what was perhaps sent since then",
        )
