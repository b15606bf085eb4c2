"""The state in PostgreSQL: reached, ours, with the fence between owners up, in time, and who works on it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from sqlalchemy import Connection, text

from daemon.doctor.checks import Check, doubtful, fine, refused, wrong
from daemon.doctor.state import NAME, worked_on
from daemon.store import migrate, postgresql
from daemon.store.database import asked, holders, refuse_unfit
from daemon.store.errors import StoreError
from rules.delivery import SLACK

_ROLE = text("SELECT rolname, rolsuper OR rolbypassrls AS passes FROM pg_roles WHERE rolname = current_user")


def checks(said: str, now: datetime) -> Iterator[Check]:
    """Everything about one database, which is not changed."""
    try:
        name = postgresql.shown(postgresql.address(said))
        with asked(said) as conn:
            refuse_unfit(conn, name)
            yield from present(conn, name)
            yield from fenced(conn, name)
            yield from in_time(conn, now)
            cure = "sudo systemctl enable --now rebookd, or rebookd-worker@1"
            yield worked_on(", ".join(holders(conn)), cure)
    except StoreError as error:
        yield refused(NAME, error, "psql, with the same address, may say more")


def present(conn: Connection, name: str) -> Iterator[Check]:
    """Its tables are of this version, or will be."""
    at = migrate.revision(conn)
    if at is None:
        yield fine(NAME, f"{name} is there; its tables are made by the first run")
    elif at not in migrate.REVISIONS:
        yield wrong(NAME, f"{name} was written by a newer rebookd", "install that version again")
    elif at != migrate.REVISIONS[-1]:
        yield fine(NAME, f"{name} is there; its tables are brought up to date by the next run")
    else:
        yield fine(NAME, f"{name} is there and up to date")


def fenced(conn: Connection, name: str) -> Iterator[Check]:
    """The database itself keeps owners apart, but not for roles that may pass over that."""
    role = conn.execute(_ROLE).one()
    if role.passes:
        yield doubtful(
            NAME,
            f"the role {role.rolname} passes over the row-level security that keeps owners apart",
            f"give rebookd a role without rights of its own, and {name} to that role",
        )


def in_time(conn: Connection, now: datetime) -> Iterator[Check]:
    """The two machines agree on the time, since all workers compare times with each other."""
    off = (postgresql.clock_of(conn) - now).total_seconds()
    if abs(off) > SLACK.total_seconds():
        yield wrong(
            "clock",
            f"the clock is {abs(off) / 60:.0f} minutes {'behind' if off > 0 else 'ahead of'} the database's",
            "set both clocks: timedatectl set-ntp true",
        )
