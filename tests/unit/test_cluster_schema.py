"""The queue's own tables: changed before a new version works, and cleared of the old when none of it does."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import text

from daemon.cluster import schema
from daemon.store import postgresql
from tests.support.postgresql import shared_server

pytestmark = pytest.mark.postgresql


@pytest.fixture
def said() -> str:
    """An empty database."""
    server = shared_server()
    return server.url(server.database())


def _ask(said: str, query: str) -> list[object]:
    engine = postgresql.engine_for(postgresql.address(said), "")
    try:
        with engine.execution_options(writing=True).begin() as conn:
            found = conn.execute(text(query))
            return list(found.scalars()) if found.returns_rows else []
    finally:
        engine.dispose()


def _columns(said: str) -> list[object]:
    query = "SELECT column_name FROM information_schema.columns WHERE table_name = 'procrastinate_jobs'"
    return [name for name in _ask(said, query) if str(name).startswith("new_")]


def test_what_takes_away_waits_until_no_worker_is_at_work(
    said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever is at work by the old version keeps what it needs; each change is made once."""
    schema.prepare(said)
    _ask(said, "INSERT INTO procrastinate_workers (last_heartbeat) VALUES (now())")
    changes = tmp_path / "migrations"
    changes.mkdir()
    for name, column in (("99.00.00_01_pre_more", "new_first"), ("99.00.00_50_post_less", "new_last")):
        (changes / f"{name}.sql").write_text(f"ALTER TABLE procrastinate_jobs ADD COLUMN {column} text")
    monkeypatch.setattr("daemon.cluster.schema.resources.files", lambda _: tmp_path)
    schema.prepare(said)
    assert _columns(said) == ["new_first"]
    schema.prepare(said)
    assert _columns(said) == ["new_first"]
    _ask(said, "UPDATE procrastinate_workers SET last_heartbeat = now() - interval '2 minutes'")
    schema.prepare(said)
    schema.prepare(said)
    assert sorted(map(str, _columns(said))) == ["new_first", "new_last"]


def test_the_tables_that_are_there_are_left_alone(said: str) -> None:
    """Also by a version that knows fewer changes than were made."""
    schema.prepare(said)
    _ask(said, "COMMENT ON TABLE procrastinate_jobs IS 'rebookd: 99.99.99_01_pre_later.sql'")
    schema.prepare(said)
    (comment,) = _ask(said, "SELECT obj_description('procrastinate_jobs'::regclass)")
    assert comment == "rebookd: 99.99.99_01_pre_later.sql"
