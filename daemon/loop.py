"""The running daemon: a crew of threads for each owner's office, and a one-second tick that decides.

`schedule` only ticks. Due times live in the store, because `schedule` neither replays missed runs nor
survives a raising job or a clock set back.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import schedule
import structlog

from daemon.beats import Beats
from daemon.clock import Clock
from daemon.crew import AWAY, PAUSE, Crew
from daemon.deployment import Deployment
from daemon.loading import loading
from daemon.office import Office
from daemon.store import calendars, deliveries
from daemon.store.errors import StoreAway, StoreError
from daemon.systemd import Notifier

if TYPE_CHECKING:
    from daemon.cluster.node import Node
    from daemon.dashboard.serving import Dashboards
    from daemon.web.server import Server
    from daemon.web.serving import AnswerPages

log = structlog.get_logger()

TICK = 1
"""Seconds between two ticks."""

NAP = 0.25
"""Seconds between two looks at what was signalled."""

GRACE = 8.0
"""Seconds a stop waits for what is in hand."""

STATUS_EVERY = 60
"""Seconds between two lines for `systemctl status`, and between two tries for owners without an office."""

HOLD_EVERY = 5
"""Seconds between two looks whether the states are still held by this process."""

STATUS_PATIENCE = 300.0
"""Seconds without a sign of life after which that counts as stuck."""

MOST_IN_A_TICK = 20
"""So many owners have their turn in one tick: more of them wait a little longer, and cost no more."""

_MOST_NAMED = 10


class Daemon:
    """Runs everybody's office until it is told to stop; lives on the main thread.

    With a ``node`` it is a worker among others, who share the work out among themselves.
    """

    def __init__(self, config: Path, clock: Clock, only: str | None = None, node: Node | None = None) -> None:
        self._notifier = Notifier()
        self._node = node
        self._deployment = Deployment(
            config,
            clock,
            only=only,
            make=node.make if node else None,
            tell=lambda _: self._notifier.alive(),
            shared=node is not None,
        )
        self._beats = Beats()
        self._is_stopping = self._is_reloading = False
        self._never = threading.Event()  # time.sleep() may fail where the clock is set meanwhile
        self._crews: dict[str, Crew] = {}
        self._answers: AnswerPages | None = None
        self._dashboards: Dashboards | None = None
        self._turns: list[str] = []
        self._fed = 0.0

    def run(self) -> None:
        """Run until SIGTERM or SIGINT.

        Raises ConfigProblems where nobody has a usable configuration, StoreError when no state can be
        trusted.
        """
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._hear)
        try:
            if not self._open():
                return
            self._begin(self._deployment.offices)
            if self._node is not None:
                self._node.start(self._crews)
            self._notifier.ready(self._watching())
            failure = self._turn()
            self._notifier.stopping()
            log.info("stopping")
            if self._node is not None:
                self._node.stop()
            self._end(self._crews.values(), self._stop_serving())
        finally:
            if self._node is not None:
                self._node.close()
            self._deployment.close()
        if failure is not None:
            raise failure

    def _hear(self, number: int, _frame: object) -> None:
        # an Event's set() would wait for ever where the same thread was just about to wait for it
        if number == signal.SIGHUP:
            self._is_reloading = True
        else:
            self._is_stopping = True

    def _open(self) -> bool:
        """Open what there is; False where a worker is stopped while it waits for its database."""
        if self._node is None:
            self._deployment.open()
            return True
        while not self._is_stopping:
            try:
                if not self._deployment.offices:
                    self._deployment.open()
                self._node.open(self._deployment)
            except StoreAway as error:
                log.warning("it cannot begin yet; trying again", problem=str(error))
                self._never.wait(AWAY)
            else:
                return True
        return False

    def _turn(self) -> StoreError | None:
        """Tick until something ends it; the failure that did, if any."""
        ticker = schedule.Scheduler()
        ticker.every(TICK).seconds.do(self._tick)
        if self._notifier.watchdog_every:
            ticker.every(max(1, int(self._notifier.watchdog_every))).seconds.do(self._feed_watchdog)
        ticker.every(HOLD_EVERY).seconds.do(self._hold)
        ticker.every(STATUS_EVERY).seconds.do(self._minutely)
        ran = time.monotonic()
        while not self._is_stopping:
            due = any(job.should_run for job in ticker.jobs)
            ticker.run_pending()
            if due:
                ran = time.monotonic()
            elif time.monotonic() - ran > 5 * TICK:
                for job in ticker.jobs:  # the clock was set back and `schedule` sleeps
                    job.run()  # type: ignore[no-untyped-call]
                ran = time.monotonic()
            failure = self._let_go_of_failed()
            if failure is not None:
                return failure
            if self._is_reloading:
                self._is_reloading = False
                self._take_new_configuration()
            self._never.wait(NAP)
        return None

    def _begin(self, offices: dict[str, Office]) -> None:
        """A crew for each of these offices, and their pages. Raises StoreError for one that stands alone."""
        is_many = self._deployment.is_many
        for name, office in offices.items():
            make = self._node.member if self._node else Crew
            crew = self._crews[name] = make(office, name if is_many else "")
            try:
                crew.begin()
            except StoreError as error:
                crew.failure = error
            except Exception as error:
                log.exception("an office cannot begin", owner=name)
                crew.failure = StoreError(f"The office cannot begin: {error}")
            if crew.failure is not None and not is_many:
                raise crew.failure
            self._serve(name, crew)
            log.info(
                "running",
                accounts=sorted(office.settings.accounts),
                rules=len(office.settings.policy.rules),
                **({"owner": name} if is_many else {}),
            )
        for crew in self._crews.values():
            crew.pause = PAUSE * max(1.0, len(self._crews) / MOST_IN_A_TICK)
        self._settle()

    def _serve(self, name: str, crew: Crew) -> None:
        """Open an office's pages, from the next time they are settled."""
        office = crew.office
        if office.settings.config.answers is not None and self._answers is None:
            with loading:
                from daemon.web.serving import AnswerPages  # noqa: PLC0415 - memory that only answer pages need

            self._answers = AnswerPages()
        if office.settings.config.dashboard is not None and self._dashboards is None:
            with loading:
                from daemon.dashboard.serving import Dashboards  # noqa: PLC0415 - memory that only they need

            self._dashboards = Dashboards(lambda: len(self._deployment.missing))
        if self._answers is not None:
            self._answers.put(name, office)
        if self._dashboards is not None:
            self._dashboards.put(name, office, crew.beats, is_many=self._deployment.is_many)

    def _serve_no_more(self, name: str) -> None:
        for pages in (self._answers, self._dashboards):
            if pages is not None:
                pages.take(name)

    def _settle(self) -> None:
        """Have the pages served as they are to be now: by a worker that rests, not at all."""
        closed = self._node is not None and self._node.is_resting
        for pages in (self._answers, self._dashboards):
            if pages is not None:
                pages.settle(closed=closed)

    def _stop_serving(self) -> list[Server]:
        return [
            server
            for pages in (self._answers, self._dashboards)
            for server in (pages.stop() if pages is not None else ())
        ]

    def _end(self, crews: Iterable[Crew], servers: Iterable[Server] = ()) -> None:
        """Let everyone finish what is in hand, and nothing more."""
        crews, deadline = list(crews), time.monotonic() + GRACE
        for crew in crews:
            crew.stop()
        late = [name for crew in crews for name in crew.join(deadline)]
        late += [one.name for one in servers if not one.join(max(0.0, deadline - time.monotonic()))]
        if late:
            log.warning("left behind; nothing of it is lost", threads=late)

    def _take_new_configuration(self) -> None:
        """Reload; whoever's files are broken keeps the old configuration, and the log says why."""
        self._notifier.reloading()
        try:
            changes = self._deployment.reload()
            if changes:
                self._end(self._crews.pop(name) for name in changes if name in self._crews)
                for name in [name for name, office in changes.items() if office is None]:
                    self._serve_no_more(name)
                    log.info("let go", owner=name)
                self._begin({name: office for name, office in changes.items() if office is not None})
                log.info("configuration reloaded")
        finally:
            self._notifier.ready(self._watching())

    def _let_go_of_failed(self) -> StoreError | None:
        """Stop whoever's state failed; the failure, where nobody is left or there is only one."""
        failed = {name: crew for name, crew in self._crews.items() if crew.failure is not None}
        failures = [crew.failure for crew in failed.values()]
        if not failed or len(failed) == len(self._crews):
            return next(iter(failures), None)
        self._end(failed.values())
        for name, crew in failed.items():
            del self._crews[name]
            self._serve_no_more(name)
            self._deployment.let_go(name)
            log.error("let go for now; it is tried again", owner=name, problem=str(crew.failure))
        self._settle()
        return None

    def _tick(self) -> None:
        for name in self._in_turn():
            if self._is_stopping:
                return
            self._crews[name].tick(len(self._crews))
            every = self._notifier.watchdog_every
            if every and time.monotonic() - self._fed > every:
                self._feed_watchdog()  # the turns of many take their time

    def _in_turn(self) -> list[str]:
        """Whose turn it is: everybody's, or of many those who waited longest."""
        waiting = [name for name in self._turns if name in self._crews]
        waiting += [name for name in self._crews if name not in self._turns]
        now, later = waiting[:MOST_IN_A_TICK], waiting[MOST_IN_A_TICK:]
        self._turns = later + now
        return now

    def _feed_watchdog(self) -> None:
        self._fed = time.monotonic()
        everybody = (self._beats, *(crew.beats for crew in self._crews.values()))
        stuck = list(dict.fromkeys(part for beats in everybody for part in beats.stuck()))
        if stuck:
            log.error("stuck; the watchdog is not fed", parts=stuck)
        else:
            self._notifier.alive()

    def _hold(self) -> None:
        """Whoever's state another process took while its server was away has lost it."""
        if self._node is not None:
            self._node.hold()
            self._settle()
        for name, error in self._deployment.lost().items():
            if name in self._crews:
                self._crews[name].failure = self._crews[name].failure or error

    def _minutely(self) -> None:
        self._beats.beat("status", STATUS_PATIENCE)
        try:
            if self._deployment.missing:
                self._begin(self._deployment.retry())
            self._notifier.status(self._how_it_goes())
        except Exception:
            log.exception("unexpected failure, carrying on", part="status")
        self._beats.beat("status", STATUS_PATIENCE)

    def _watching(self) -> str:
        accounts = sum(len(crew.office.settings.accounts) for crew in self._crews.values())
        if not self._deployment.is_many:
            return f"watching {accounts} accounts"
        missing = self._deployment.missing
        without = f", without {_some(missing)}" if missing else ""
        return f"watching {accounts} accounts of {len(self._crews)} owners{without}"

    def _how_it_goes(self) -> str:
        failing, counts = [], dict[str, int]()
        for name, crew in self._crews.items():
            office = crew.office
            try:
                with office.store.read() as conn:
                    rows, mine = calendars.accounts(conn), deliveries.counts(conn)
            except StoreAway:
                return f"{self._watching()}; the state is away"
            except StoreError as error:
                crew.failure = crew.failure or error
                continue
            prefix = f"{name}/" if self._deployment.is_many else ""
            failing += [
                f"{prefix}{one}" for one in office.settings.accounts if one in rows and rows[one].error
            ]
            for state, count in mine.items():
                counts[state] = counts.get(state, 0) + count
        seen = self._watching() + (f", cannot see {_some(sorted(failing))}" if failing else "")
        outbox = ", ".join(f"{count} {state}" for state, count in sorted(counts.items()))
        return f"{seen}; outbox: {outbox or 'empty'}"


def _some(names: list[str]) -> str:
    """The first of many names."""
    more = len(names) - _MOST_NAMED
    return ", ".join(names[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
