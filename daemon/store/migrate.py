"""Bring a state file to the schema this version knows. Alembic is only imported when there is work."""

from __future__ import annotations

from importlib.resources import as_file, files

from sqlalchemy import Connection, inspect, text

from daemon.store import planner
from daemon.store.errors import StoreError

REVISIONS = ("0001", "0002", "0003", "0004", "0005")
"""Every revision, oldest first; a test compares it with the migration scripts."""


def revision(conn: Connection) -> str | None:
    """The revision the file is at; None for a file without tables of ours."""
    if not inspect(conn).has_table("alembic_version"):
        return None
    return conn.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()


def upgrade(conn: Connection, path: str) -> None:
    """Run what is missing, in the caller's transaction. Raises StoreError for a newer file."""
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
    planner.teach(conn)
