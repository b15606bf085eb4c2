"""The engine of many machines: steps are jobs in PostgreSQL, and whichever worker is free does them.

Jobs are only wishes to look. What must not be forgotten is in the store, and the tick submits it again; so a
job that is lost costs a few seconds, and one that is done twice finds nothing left to do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

import structlog
from procrastinate import App, SyncPsycopgConnector
from procrastinate.exceptions import AlreadyEnqueued, ConnectorException

from daemon.clock import Clock
from daemon.engine import Key, Step
from daemon.office import Office
from daemon.steps import first, is_due
from daemon.store import agenda, calendars, contacts, deliveries
from daemon.store.errors import StoreAway
from daemon.store.notes import forget, note, noted, noted_all

log = structlog.get_logger()

SOON, SLOW = "soon", "slow"
QUEUES = {Step.POLL: SLOW, Step.READ: SLOW, Step.DECIDE: SOON, Step.DELIVER: SOON}
"""Each queue has workers of its own, so that a mail never waits behind a first read of a large calendar."""

PRIORITIES = {Step.DELIVER: 30, Step.DECIDE: 20, Step.READ: 10, Step.POLL: 10}
FIRST_READ = 0
"""The priority of an account's first poll, which may take minutes."""

BUSY = timedelta(minutes=15)
"""How long a step that began counts as under way, should nobody notice how it ended."""

EVERY = timedelta(minutes=1)
"""How often is decided and sent though nothing seems due: for digests, leases and steps that are over."""

LONGEST = timedelta(days=2)
"""Nothing is ever put off for longer, but by a clock that ran ahead."""

DUE = "due: "
SETTLED = "answers settled"


class Queue:
    """Puts steps into the queue, and finds those that are due. ``offices`` are everybody's, by name."""

    def __init__(self, conninfo: str, clock: Clock, offices: Callable[[], Mapping[str, Office]]) -> None:
        self._clock = clock
        self._offices = offices
        self._app = App(
            connector=SyncPsycopgConnector(conninfo=conninfo, min_size=0, max_size=8, timeout=10.0)
        )

    def open(self) -> None:
        """Be ready to submit."""
        self._app.open()

    def close(self) -> None:
        """Let go of every connection."""
        self._app.close()

    def submit(self, step: Step, key: Key, run_at: datetime | None = None) -> None:
        """Have a step done at ``run_at`` (UTC) or soon. Raises StoreError.

        What is to be done later is noted in the store, where the tick finds it in time.
        """
        office = self._offices().get(key.owner)
        if run_at is not None and run_at > self._clock.now():
            if office is not None:
                with office.store.write() as conn:
                    note(conn, _due(step, key.account), run_at.isoformat())
            return
        lock = f"{step} {key}"
        job = self._app.configure_task(
            step,
            queue=QUEUES[step],
            lock=lock,
            queueing_lock=lock,
            priority=FIRST_READ if office is not None and _is_first(office, step, key) else PRIORITIES[step],
        )
        try:
            job.defer(owner=key.owner, account=key.account)
        except AlreadyEnqueued:
            pass  # somebody wished the same
        except ConnectorException as error:
            raise StoreAway("The queue cannot be reached now; see that PostgreSQL runs.") from error

    def begin(self, step: Step, office: Office, account: str) -> None:
        """Note that a step is under way, so that the tick leaves it alone."""
        if step in {Step.POLL, Step.READ}:
            with office.store.write() as conn:
                note(conn, _due(step, account), (self._clock.now() + BUSY).isoformat())

    def again(self, step: Step, office: Office, account: str) -> None:
        """What was under way is due at once: whoever did it is gone."""
        with office.store.write() as conn:
            forget(conn, _due(step, account))

    def tick(self) -> None:
        """Submit everything that is due. Whoever's state cannot be read has to wait for the next tick."""
        for name, office in self._offices().items():
            try:
                for step, account in self.due(office):
                    self.submit(step, Key(owner=name, account=account))
            except StoreAway as error:
                log.warning("what is due cannot be found out now", owner=name, problem=str(error))
                return
            except Exception:
                log.exception("what is due cannot be found out", owner=name)

    def due(self, office: Office) -> list[tuple[Step, str]]:
        """The steps of an office whose time has come. Raises StoreError."""
        now = self._clock.now()
        with office.store.read() as conn:
            noted_ = noted_all(conn, DUE)
            found = {
                (step, account)
                for step, account in first(office)
                if is_due(_instant(noted_.get(_due(step, account))), now, LONGEST)
            }
            wakes = agenda.next_wake(conn), contacts.next_wake(conn)
            if any(wake is not None and wake <= now for wake in wakes):
                found.add((Step.DECIDE, ""))
            send = deliveries.next_try(conn)
            if send is not None and send <= now:
                found.add((Step.DELIVER, ""))
        return sorted(found)

    def has_news(self, office: Office) -> bool:
        """Whether every account is seen, and one was read since this was last asked, by any worker."""
        with office.store.read() as conn:
            rows, last = calendars.accounts(conn), noted(conn, SETTLED)
        mine = [rows.get(name) for name in office.settings.accounts]
        seen = [row.seen_at for row in mine if row is not None and not row.error and row.seen_at is not None]
        if len(seen) < len(mine) or not seen or max(seen).isoformat() == last:
            return False
        with office.store.write() as conn:
            note(conn, SETTLED, max(seen).isoformat())
        return True


def _due(step: Step, account: str) -> str:
    return f"{DUE}{step} {account}"


def _instant(said: str | None) -> datetime | None:
    return datetime.fromisoformat(said) if said else None


def _is_first(office: Office, step: Step, key: Key) -> bool:
    if step is not Step.POLL:
        return False
    with office.store.read() as conn:
        row = calendars.accounts(conn).get(key.account)
    return row is None or row.first_seen_at is None
