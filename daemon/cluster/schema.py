"""Procrastinate's own tables beside ours: made when they are missing, and brought up to its version.

Its changes come in two parts: what must be there before a new version runs, and what may be taken away only
when no old one runs any more. So the second part waits until no worker is at work.
"""

from __future__ import annotations

from importlib import resources

from procrastinate.schema import SchemaManager
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from daemon.store import postgresql

_JOBS = "procrastinate_jobs"
_MARK = "rebookd: "
_AT_WORK = "SELECT count(*) FROM procrastinate_workers WHERE last_heartbeat > now() - interval '1 minute'"


def prepare(said: str) -> None:
    """Have the queue's tables in the database ``said``. Raises StoreError."""
    url = postgresql.address(said)
    engine = postgresql.engine_for(url, "")
    try:
        with engine.execution_options(writing=True).begin() as conn:
            conn.exec_driver_sql(f"SELECT pg_advisory_xact_lock({postgresql.key('queue', '')})")
            _prepare(conn)
    except DBAPIError as error:
        raise postgresql.cure(postgresql.shown(url), error) from error
    finally:
        engine.dispose()


def _prepare(conn: Connection) -> None:
    changes = sorted(
        one.name
        for one in (resources.files("procrastinate.sql") / "migrations").iterdir()
        if one.name.endswith(".sql")
    )
    if conn.execute(text("SELECT to_regclass(:name)"), {"name": _JOBS}).scalar_one() is None:
        _run(conn, SchemaManager.get_schema())
        _mark(conn, changes[-1])
        return
    known = conn.execute(
        text("SELECT obj_description(CAST(:name AS regclass))"), {"name": _JOBS}
    ).scalar_one()
    last = str(known or "").removeprefix(_MARK)
    missing = [name for name in changes if name > last] if last else []
    for name in missing:
        if "_post_" in name and conn.execute(text(_AT_WORK)).scalar_one():
            return
        _run(conn, (resources.files("procrastinate.sql") / "migrations" / name).read_text("utf-8"))
        _mark(conn, name)


def _run(conn: Connection, script: str) -> None:
    conn.exec_driver_sql(script, execution_options={"no_parameters": True})


def _mark(conn: Connection, name: str) -> None:
    _run(conn, f"COMMENT ON TABLE {_JOBS} IS '{_MARK}{name}'")
