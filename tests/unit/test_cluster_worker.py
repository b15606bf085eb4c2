"""A worker does what is due, survives its database, and takes up what others left."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from procrastinate.exceptions import ConnectorException
from procrastinate.jobs import Status
from procrastinate.manager import JobManager
from sqlalchemy import text

from daemon.cluster import jobs, worker
from daemon.cluster.jobs import Jobs
from daemon.engine import Key, Step
from daemon.store import deliveries, open_store
from daemon.store.errors import StoreError
from rules.delivery import State
from tests.support.cluster import Cluster, cluster, until
from tests.support.meetings import NOW
from tests.support.owners import Member

pytestmark = pytest.mark.postgresql

NAMES = ("dana", "eli", "fay", "gil", "hana")


@pytest.fixture
def at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    """Five owners of two accounts each; workers look and give up on others soon."""
    monkeypatch.setattr(worker, "TICK", "* * * * * *")
    monkeypatch.setattr(worker, "HEARTBEAT", 0.3)
    monkeypatch.setattr(worker, "GONE", 2.0)
    with cluster(tmp_path, NAMES) as made:
        yield made


def _tell(one: Member, subject: str) -> None:
    """Something is to be mailed to an owner."""
    with one.store.write() as conn:
        deliveries.add_notice(
            conn,
            "test",
            subject,
            f"{one.name}@va.example",
            subject=subject,
            body=subject,
            now=NOW,
            until=NOW + timedelta(hours=1),
        )


def _subjects(one: Member) -> list[str]:
    return [str(mail["Subject"]) for _, mail in one.mailer.kept]


def test_two_workers_do_everything_once(at: Cluster) -> None:
    """Nobody submits anything: each owner's guest is asked, once, and no mail is left behind."""
    for one in at.owners.values():
        one.meet("acme", "kickoff", 30, "NEEDS-ACTION", "jo@acme.example")
    at.begin()
    at.begin()
    until(lambda: all(one.rows(State.SENT) for one in at.owners.values()))
    assert [one.mailer.to for one in at.owners.values()] == [["jo@acme.example"]] * len(NAMES)
    assert not at.failures


def test_a_first_read_keeps_no_mail_waiting(at: Cluster) -> None:
    """While more accounts are read than a worker reads at once, a mail leaves."""
    free, reading = threading.Event(), threading.Semaphore(0)

    def stuck(usual: Any) -> Any:
        def calendars() -> Any:
            reading.release()
            assert free.wait(60)
            return usual()

        return calendars

    patched: list[Any] = [calendar for one in at.owners.values() for calendar in one.calendars.values()]
    for calendar in patched:
        calendar.calendars = stuck(calendar.calendars)
    at.begin()
    try:
        for _ in range(worker.AT_ONCE["slow"]):
            assert reading.acquire(timeout=20)
        _tell(at.owners["eli"], "Hello")
        at.queue.submit(Step.DELIVER, Key(owner="eli"))
        until(lambda: _subjects(at.owners["eli"]) == ["Hello"])
    finally:
        free.set()


def test_what_a_killed_worker_left_is_taken_up(at: Cluster) -> None:
    """Its job is freed and done, even where the same wish waits behind it and the queue holds it once."""
    _tell(at.owners["dana"], "Hello")
    at.queue.submit(Step.DELIVER, Key(owner="dana"))
    ((gone,),) = at.sql("SELECT worker_id FROM procrastinate_register_worker_v1()")
    assert at.sql("SELECT id FROM procrastinate_fetch_job_v2(ARRAY['soon']::varchar[], %s)", gone)
    at.queue.submit(Step.DELIVER, Key(owner="dana"))
    assert at.jobs() == [("deliver", "dana", "")] * 2
    at.sql("UPDATE procrastinate_workers SET last_heartbeat = now() - interval '1 hour'")
    at.begin()
    until(lambda: _subjects(at.owners["dana"]) == ["Hello"])
    until(lambda: not at.sql("SELECT id FROM procrastinate_jobs WHERE worker_id = %s", gone))


def test_broken_connections_end_no_worker(at: Cluster) -> None:
    """The server hangs up on everybody again and again; what is wished afterwards is done."""
    at.begin()
    dana = at.owners["dana"]
    for subject in ("One", "Two"):
        until(lambda: bool(at.sql("SELECT 1 FROM procrastinate_workers")))
        at.sql(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity "
            "WHERE datname = current_database() AND usename = current_user AND pid <> pg_backend_pid()"
        )
        _write(dana, subject)
        until(lambda subject=subject: subject in _subjects(dana))  # type: ignore[misc]
    assert _subjects(dana) == ["One", "Two"]
    assert not at.failures


def _write(one: Member, subject: str) -> None:
    """A connection that was just broken may be met once."""
    try:
        _tell(one, subject)
    except StoreError:
        _tell(one, subject)


def test_the_end_of_a_job_is_said_until_it_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that was away when a job ended is told later, or the job's lock would stay for ever."""
    told: list[int] = []

    async def finish(_: JobManager, job_id: int, status: Status, delete_job: bool) -> None:
        del status, delete_job
        told.append(job_id)
        if len(told) < 3:
            raise ConnectorException from psycopg.OperationalError("away")
        if len(told) > 3:
            raise ConnectorException from psycopg.errors.RaiseException("ended elsewhere")

    monkeypatch.setattr(JobManager, "finish_job_by_id_async", finish)
    monkeypatch.setattr(jobs, "PAUSE", 0)
    manager = Jobs(None)  # type: ignore[arg-type]
    asyncio.run(manager.finish_job_by_id_async(7, Status.SUCCEEDED, delete_job=True))
    assert told == [7, 7, 7]
    asyncio.run(manager.finish_job_by_id_async(8, Status.SUCCEEDED, delete_job=True))
    assert told == [7, 7, 7, 8]


def test_a_worker_goes_on_while_a_later_version_changes_the_tables(at: Cluster) -> None:
    """Of a state that grew a column and a revision, it sends on; one that starts anew refuses it in words."""
    at.begin()
    dana = at.owners["dana"]
    _tell(dana, "Before")
    until(lambda: _subjects(dana) == ["Before"])
    with dana.store.write() as conn:
        conn.execute(text("ALTER TABLE deliveries ADD COLUMN later_thing text NOT NULL DEFAULT ''"))
        conn.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    try:
        _tell(dana, "After")
        until(lambda: _subjects(dana) == ["Before", "After"])
        with pytest.raises(StoreError, match="written by a newer rebookd; install that version"):
            open_store(at.url, NOW)
        assert not at.failures
    finally:
        with dana.store.write() as conn:
            conn.execute(text("ALTER TABLE deliveries DROP COLUMN later_thing"))
            conn.execute(text("UPDATE alembic_version SET version_num = '0005'"))
