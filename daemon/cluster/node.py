"""One machine among many: its worker, its queue, and its offices, which the daemon keeps and serves."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta

import structlog

from daemon.beats import Beats
from daemon.clock import Clock
from daemon.cluster import schema
from daemon.cluster.queue import Queue
from daemon.cluster.worker import GRACE, Worker
from daemon.config.settings import Settings
from daemon.crew import Crew
from daemon.deployment import Deployment
from daemon.engine import Key, Step
from daemon.memory import share_heaps
from daemon.office import Office
from daemon.store import postgresql
from daemon.store.engine import Store
from daemon.store.errors import StoreAway, StoreError
from rules.delivery import SLACK

log = structlog.get_logger()

PATIENCE = 120.0
"""Seconds without a sign of life after which the worker counts as stuck."""


class Member(Crew):
    """An office that workers work for: it has no threads of its own. ``wait`` is for what they do to it."""

    def __init__(
        self, office: Office, owner: str, beats: Beats, wait: Callable[[Office, float], list[str]]
    ) -> None:
        super().__init__(office, owner)
        self.beats = beats
        self._wait = wait
        self._has_begun = False

    def begin(self) -> None:
        """Take up what nobody works on any more; a database that is away is waited for. Raises StoreError."""
        try:
            with self._named():
                self.office.start(alone=False)
            self._has_begun = True
        except StoreAway as error:
            log.warning("the state is away; trying again", problem=str(error))

    def submit(self, step: Step, key: Key, run_at: object = None) -> None:
        """The queue is asked, not the member."""

    def tick(self, crews: int = 1) -> None:  # noqa: ARG002 - as a crew does
        """The worker ticks; what the beginning could not do is done now."""
        if not self._has_begun:
            try:
                self.begin()
            except StoreError as error:
                self.failure = self.failure or error

    def join(self, deadline: float) -> list[str]:
        """Wait for what is done to it, up to this monotonic time; what is late."""
        late = self._wait(self.office, deadline)
        if not late:
            self.office.close()
        return [self._part(one) for one in late]


class Node:
    """Joins a daemon to the others on the same database."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._beats = Beats()
        self._queue: Queue | None = None
        self._worker: Worker | None = None
        self._conninfo = ""
        self._crews: Mapping[str, Crew] = {}
        self.is_resting = False
        self._deployment: Deployment | None = None

    def make(self, settings: Settings, store: Store) -> Office:
        """An office whose answers have mail sent by whichever worker is free. Raises StoreError."""
        if store.is_file:
            raise StoreError(
                f"Workers share a database, and {store.path} is a file; write state: postgresql://… or leave "
                "out --worker."
            )
        return Office(settings, store, self._clock, nudge=lambda: self._nudge(settings.name))

    def member(self, office: Office, owner: str) -> Member:
        """A crew for an office."""
        return Member(office, owner, self._beats, self._wait)

    def open(self, deployment: Deployment) -> None:
        """Join the queue of these offices' database. Raises StoreError."""
        places = sorted({office.settings.memory for office in deployment.offices.values()})
        if len(places) > 1:
            shown = " and ".join(postgresql.shown(place) for place in places)
            raise StoreError(
                f"Workers share one database, and the owners name {shown}; give all the same state:."
            )
        self._deployment = deployment
        off = self._off()
        if abs(off) > SLACK:
            raise StoreAway(f"{_said(off)}; set it right, and work begins.")
        schema.prepare(places[0])
        self._conninfo = postgresql.conninfo(places[0])
        self._queue = Queue(self._conninfo, self._clock, lambda: deployment.offices)
        self._queue.open()

    def start(self, crews: Mapping[str, Crew]) -> None:
        """Work. ``crews`` hear when their state failed."""
        self._crews = crews
        share_heaps()
        self._begin()

    def hold(self) -> None:
        """Work only by a clock that is PostgreSQL's, as all others do; ``is_resting`` is what came of it."""
        try:
            off = self._off()
        except StoreError:
            return  # the worker waits for it, too
        if abs(off) > SLACK and not self.is_resting:
            log.error("nothing is done until the clock is right", problem=_said(off))
            self.is_resting = True
            self.stop()
        elif abs(off) <= SLACK and self.is_resting and (self._worker is None or self._worker.join(0)):
            log.info("the clock is right again")
            self.is_resting = False
            self._begin()
        if self.is_resting:
            self._beats.beat("worker", PATIENCE)

    def _off(self) -> timedelta:
        """How far this machine's clock is ahead of PostgreSQL's. Raises StoreError."""
        for office in self._deployment.offices.values() if self._deployment else ():
            with office.store.read() as conn:
                return self._clock.now() - postgresql.clock_of(conn)
        return timedelta()

    def _begin(self) -> None:
        def fail(name: str, error: StoreError) -> None:
            crew = self._crews.get(name)
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
            lambda: self._beats.beat("worker", PATIENCE),
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

    def _wait(self, office: Office, deadline: float) -> list[str]:
        return self._worker.doing.wait(office, deadline) if self._worker is not None else []

    def _nudge(self, owner: str) -> None:
        """Have an answer's mail sent soon; where the queue is away the tick finds it."""
        if self._queue is not None:
            try:
                self._queue.submit(Step.DELIVER, Key(owner=owner))
            except StoreAway:
                return


def _said(off: timedelta) -> str:
    where = "ahead of" if off > timedelta() else "behind"
    return f"The clock of this machine is {abs(off).total_seconds() / 60:.0f} minutes {where} PostgreSQL's"
