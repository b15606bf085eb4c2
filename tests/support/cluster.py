"""Owners on a PostgreSQL with a queue: what tests of workers share."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from daemon.cluster import schema
from daemon.cluster.queue import Queue
from daemon.cluster.worker import Worker
from daemon.office import Office
from daemon.store import postgresql
from daemon.store.errors import StoreError
from tests.support.owners import Member, together
from tests.support.stores import place, stores_on

PATIENCE = 20.0
"""Seconds after which something that has to happen is taken not to."""


@dataclass
class Cluster:
    """Owners, their queue and the workers that were started; ``failures`` is what those said went wrong."""

    url: str
    owners: dict[str, Member]
    queue: Queue
    offices: dict[str, Office]
    failures: list[tuple[str, StoreError]] = field(default_factory=list)
    workers: list[Worker] = field(default_factory=list)

    def begin(self) -> Worker:
        """Start a worker."""
        worker = Worker(
            postgresql.conninfo(self.url),
            self.queue,
            lambda: self.offices,
            lambda name, error: self.failures.append((name, error)),
            lambda: None,
        )
        self.workers.append(worker)
        worker.start()
        return worker

    def sql(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """Ask the database itself."""
        with psycopg.connect(postgresql.conninfo(self.url), autocommit=True) as conn:
            asked = conn.execute(query.encode(), values)
            return asked.fetchall() if asked.description else []

    def jobs(self) -> list[tuple[Any, ...]]:
        """What is in the queue: the task and its key, in the order in which it would be done."""
        return self.sql(
            "SELECT task_name, args->>'owner', args->>'account' FROM procrastinate_jobs "
            "WHERE task_name <> 'tick' ORDER BY priority DESC, id"
        )


def until(condition: Callable[[], bool], seconds: float = PATIENCE) -> None:
    """Wait for something that another thread does."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came to that"
        time.sleep(0.02)


@contextmanager
def cluster(folder: Path, names: Sequence[str]) -> Iterator[Cluster]:
    """These owners, with nothing in the queue."""
    with stores_on("postgresql"):
        members = together(folder, names)
        url = str(place(folder))
    schema.prepare(url)
    owners = {one.name: one for one in members}
    offices = {name: one.office for name, one in owners.items()}
    queue = Queue(postgresql.conninfo(url), members[0].clock, lambda: offices)
    made = Cluster(url, owners, queue, offices)
    for table in ("procrastinate_jobs", "procrastinate_workers", "procrastinate_periodic_defers"):
        made.sql(f"DELETE FROM {table}")
    queue.open()
    try:
        yield made
    finally:
        for worker in made.workers:
            worker.stop()
        assert all(worker.join(PATIENCE) for worker in made.workers), "a worker does not end"
        queue.close()
        members[0].store.close()
