"""Bring a state to the schema this version knows. Alembic is only imported when there is work."""

from __future__ import annotations

from importlib.resources import as_file, files

from sqlalchemy import Connection, inspect, text

from daemon.store import fence, planner, postgresql
from daemon.store.errors import StoreError

REVISIONS = ("0001", "0002", "0003", "0004", "0005")
"""Every revision, oldest first; a test compares it with the migration scripts."""

PATIENCE_SECONDS = 3
"""How long a change of the tables waits for its turn, while everybody's queries wait behind it."""


def revision(conn: Connection) -> str | None:
    """The revision the state is at; None for one without tables of ours."""
    if not inspect(conn).has_table("alembic_version"):
        return None
    return conn.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()


def upgrade(conn: Connection, path: str) -> None:
    """Run what is missing, in the caller's transaction. Raises StoreError for a newer state."""
    at = revision(conn)
    if at == REVISIONS[-1]:
        return
    is_file = conn.dialect.name == "sqlite"
    if not is_file:  # others may be at it, on this machine or another; and nobody is kept waiting for long
        conn.exec_driver_sql(f"SET LOCAL lock_timeout = '{PATIENCE_SECONDS}s'")
        conn.exec_driver_sql(f"SELECT pg_advisory_xact_lock({postgresql.key('upgrade', '')})")
        at = revision(conn)
        if at == REVISIONS[-1]:
            return
    if at is not None and at not in REVISIONS:
        raise StoreError(f"{path} was written by a newer rebookd; install that version again to use it.")
    from alembic import command  # noqa: PLC0415 - 150 ms that only an upgrade needs
    from alembic.config import Config  # noqa: PLC0415 - the same

    with as_file(files("daemon.store") / "migrations") as scripts:
        config = Config(attributes={"connection": conn})
        config.set_main_option("script_location", str(scripts).replace("%", "%%"))
        command.upgrade(config, "head")
    if is_file:
        planner.teach(conn)
    else:
        fence.build(conn)
