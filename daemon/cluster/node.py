"""One machine among many: its worker, its queue, and its offices, which the daemon keeps and serves."""

from __future__ import annotations

from collections.abc import Mapping

from daemon.beats import Beats
from daemon.clock import Clock
from daemon.cluster import schema
from daemon.cluster.queue import Queue
from daemon.cluster.worker import GRACE, Worker
from daemon.config.settings import Settings
from daemon.crew import Crew
from daemon.deployment import Deployment
from daemon.engine import Key, Step
from daemon.office import Office
from daemon.store import postgresql
from daemon.store.engine import Store
from daemon.store.errors import StoreAway, StoreError

PATIENCE = 120.0
"""Seconds without a sign of life after which the worker counts as stuck."""


class Member(Crew):
    """An office that workers work for: it has no threads of its own."""

    def begin(self) -> None:
        """Take up what nobody works on any more. Raises StoreError."""
        with self._named():
            self.office.start(alone=False)

    def submit(self, step: Step, key: Key, run_at: object = None) -> None:
        """The queue is asked, not the member."""

    def tick(self, crews: int = 1) -> None:
        """The worker ticks."""


class Node:
    """Joins a daemon to the others on the same database."""

    member = Member

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._queue: Queue | None = None
        self._worker: Worker | None = None
        self._conninfo = ""
        self._deployment: Deployment | None = None

    def make(self, settings: Settings, store: Store) -> Office:
        """An office whose answers have mail sent by whichever worker is free. Raises StoreError."""
        if store.is_file:
            raise StoreError(
                f"Workers share a database, and {store.path} is a file; write state: postgresql://… or leave "
                "out --worker."
            )
        return Office(settings, store, self._clock, nudge=lambda: self._nudge(settings.name))

    def open(self, deployment: Deployment) -> None:
        """Join the queue of these offices' database. Raises StoreError."""
        places = sorted({office.settings.memory for office in deployment.offices.values()})
        if len(places) > 1:
            shown = " and ".join(postgresql.shown(place) for place in places)
            raise StoreError(
                f"Workers share one database, and the owners name {shown}; give all the same state:."
            )
        schema.prepare(places[0])
        self._deployment = deployment
        self._conninfo = postgresql.conninfo(places[0])
        self._queue = Queue(self._conninfo, self._clock, lambda: deployment.offices)
        self._queue.open()

    def start(self, crews: Mapping[str, Crew], beats: Beats) -> None:
        """Work. ``crews`` hear when their state failed, ``beats`` that the worker lives."""

        def fail(name: str, error: StoreError) -> None:
            crew = crews.get(name)
            if crew is not None:
                crew.failure = crew.failure or error

        if self._queue is None or self._deployment is None:
            raise RuntimeError("open comes first")
        deployment = self._deployment
        self._worker = Worker(
            self._conninfo,
            self._queue,
            lambda: deployment.offices,
            fail,
            lambda: beats.beat("worker", PATIENCE),
        )
        self._worker.start()

    def stop(self) -> None:
        """Take nothing more."""
        if self._worker is not None:
            self._worker.stop()

    def close(self) -> None:
        """Wait for what is in hand, and let go of every connection."""
        if self._worker is not None:
            self._worker.stop()
            self._worker.join(GRACE)
        if self._queue is not None:
            self._queue.close()

    def _nudge(self, owner: str) -> None:
        """Have an answer's mail sent soon; where the queue is away the tick finds it."""
        if self._queue is not None:
            try:
                self._queue.submit(Step.DELIVER, Key(owner=owner))
            except StoreAway:
                return
