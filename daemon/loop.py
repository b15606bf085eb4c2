"""The running daemon: a thread polls each account, one sends, one reads replies; a one-second tick decides.

`schedule` only ticks. Due times live in the store, because `schedule` neither replays missed runs nor
survives a raising job or a clock set back.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import schedule
import structlog

from connectors.allowance import CHANGES, WHOLE
from connectors.base import ConnectorError
from daemon.beats import Beats
from daemon.clock import Clock
from daemon.config.problems import ConfigProblems
from daemon.config.settings import Settings, load
from daemon.memory import give_back
from daemon.office import Office
from daemon.poll import PollReport
from daemon.store import calendars, deliveries
from daemon.store.engine import Store
from daemon.store.errors import StoreError
from daemon.systemd import Notifier

if TYPE_CHECKING:
    from daemon.web.server import Server

log = structlog.get_logger()

T = TypeVar("T")

TICK = 1
"""Seconds between two ticks."""

GRACE = 8.0
"""Seconds a stop waits for what is in hand."""

LOGIN_AGAIN = timedelta(hours=1)
"""How long an account that needs a sign-in is left alone."""

POLL_PATIENCE = CHANGES.seconds + WHOLE.seconds + 60
DECIDE_PATIENCE = 120.0
SEND_PATIENCE = 300.0
REPLY_PATIENCE = 300.0
"""Seconds without a sign of life after which a part counts as stuck."""

REPLIES_EVERY = timedelta(minutes=1)
"""Between two looks into the inbox."""

STATUS_EVERY = 60
"""Seconds between two lines for `systemctl status`."""


class Daemon:
    """Runs an office until it is told to stop; lives on the main thread."""

    def __init__(self, config: Path, settings: Settings, store: Store, clock: Clock) -> None:
        self._config = config
        self._store = store
        self._clock = clock
        self._notifier = Notifier()
        self._beats = Beats()
        self._stop = threading.Event()
        self._reload = threading.Event()
        self._nudge = threading.Event()
        self._failure: StoreError | None = None
        self._office = Office(settings, store, clock, nudge=self._nudge.set)
        self._threads: list[threading.Thread] = []
        self._servers: list[Server] = []

    def run(self) -> None:
        """Run until SIGTERM or SIGINT. Raises StoreError when the state can no longer be trusted."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._stop.set())
        signal.signal(signal.SIGHUP, lambda *_: self._reload.set())
        self._begin()
        ticker = schedule.Scheduler()
        ticker.every(TICK).seconds.do(self._tick)
        if self._notifier.watchdog_every:
            ticker.every(max(1, int(self._notifier.watchdog_every))).seconds.do(self._feed_watchdog)
        ticker.every(STATUS_EVERY).seconds.do(self._guarded, "status", SEND_PATIENCE, self._say_how_it_goes)
        ran = time.monotonic()
        while not self._stop.is_set() and self._failure is None:
            due = any(job.should_run for job in ticker.jobs)
            ticker.run_pending()
            if due:
                ran = time.monotonic()
            elif time.monotonic() - ran > 5 * TICK:
                ticker.run_all()  # the clock was set back and `schedule` sleeps
                ran = time.monotonic()
            if self._reload.is_set():
                self._reload.clear()
                self._take_new_configuration()
            self._stop.wait(TICK / 4)
        self._notifier.stopping()
        log.info("stopping")
        self._end()
        if self._failure is not None:
            raise self._failure

    def _begin(self) -> None:
        office = self._office
        office.start()
        self._threads = [
            threading.Thread(
                target=self._poll_for_ever, args=(office, name), name=f"poll {name}", daemon=True
            )
            for name in office.settings.accounts
        ]
        self._threads.append(
            threading.Thread(target=self._send_for_ever, args=(office,), name="send", daemon=True)
        )
        if office.settings.config.mail.reads_replies:
            self._threads.append(
                threading.Thread(target=self._read_for_ever, args=(office,), name="replies", daemon=True)
            )
        for thread in self._threads:
            thread.start()
        if office.settings.config.answers is not None:
            from daemon.web.serving import serve  # noqa: PLC0415 - memory that only answer pages need

            self._keep(serve(office))
        if office.settings.config.dashboard is not None:
            from daemon.dashboard import serving  # noqa: PLC0415 - memory that only a dashboard needs

            self._keep(serving.serve(office, self._beats))
        log.info(
            "running", accounts=sorted(office.settings.accounts), rules=len(office.settings.policy.rules)
        )
        self._notifier.ready(f"watching {len(office.settings.accounts)} accounts")

    def _keep(self, server: Server | None) -> None:
        """Remember what is served, to be stopped."""
        if server is not None:
            self._servers.append(server)

    def _end(self) -> None:
        """Let everyone finish what is in hand, and nothing more."""
        self._office.stopping.set()
        self._nudge.set()
        deadline = time.monotonic() + GRACE
        servers, self._servers = self._servers, []
        for server in servers:
            server.stop()
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
            self._beats.forget(thread.name)
        late = [thread.name for thread in self._threads if thread.is_alive()]
        late += [one.name for one in servers if not one.join(max(0.0, deadline - time.monotonic()))]
        if late:
            log.warning("left behind; nothing of it is lost", threads=late)
        else:
            self._office.close()

    def _take_new_configuration(self) -> None:
        """Reload; a broken file keeps the old configuration and says why."""
        self._notifier.reloading()
        try:
            settings = load(self._config)
            if settings.state.resolve() != self._office.settings.state.resolve():
                log.error("the state file cannot change while running; restart for that")
                return
            office = Office(settings, self._store, self._clock, nudge=self._nudge.set)
        except (ConfigProblems, ConnectorError) as error:
            for line in str(error).splitlines():
                log.warning("configuration kept as it was", problem=line)
            return
        else:
            self._end()
            self._office = office
            self._begin()
            log.info("configuration reloaded")
        finally:
            self._notifier.ready("running")

    def _tick(self) -> None:
        self._guarded("decide", DECIDE_PATIENCE, self._decide)

    def _decide(self) -> None:
        decided = self._office.decide()
        for intent in decided.planned:
            log.info("planned", rule=intent.rule, step=intent.step, uid=intent.key.uid, reason=intent.reason)
        if decided.planned:
            self._nudge.set()

    def _poll_for_ever(self, office: Office, account: str) -> None:
        part = threading.current_thread().name
        every = office.settings.accounts[account].poll_every.delta

        def moving(*_: object) -> None:
            """A long first read moves, too."""
            self._beats.beat(part, POLL_PATIENCE)

        while not office.stopping.is_set():
            report = self._guarded(part, POLL_PATIENCE, lambda: office.poll(account, moving))
            wait = pause(report, every).total_seconds()
            self._beats.beat(part, wait + POLL_PATIENCE)
            give_back()
            office.stopping.wait(wait)
        self._beats.forget(part)

    def _send_for_ever(self, office: Office) -> None:
        while not office.stopping.is_set():
            self._guarded("send", SEND_PATIENCE, office.send)
            self._nudge.wait(TICK)
            self._nudge.clear()
        self._beats.forget("send")

    def _read_for_ever(self, office: Office) -> None:
        """Look into the inbox, seldom where only its owner can mend that it cannot be read."""
        while not office.stopping.is_set():
            report = self._guarded("replies", REPLY_PATIENCE, office.read_replies)
            wait = LOGIN_AGAIN if report is not None and report.for_owner else REPLIES_EVERY
            self._beats.beat("replies", wait.total_seconds() + REPLY_PATIENCE)
            give_back()
            office.stopping.wait(wait.total_seconds())
        self._beats.forget("replies")

    def _guarded(self, part: str, patience: float, work: Callable[[], T]) -> T | None:
        """Do it, whatever it raises; only a failing store ends the daemon."""
        self._beats.beat(part, patience)
        try:
            done = work()
        except StoreError as error:
            self._failure = self._failure or error
        except Exception:
            log.exception("unexpected failure, carrying on", part=part)
        else:
            self._beats.beat(part, patience)
            return done
        return None

    def _feed_watchdog(self) -> None:
        stuck = self._beats.stuck()
        if stuck:
            log.error("stuck; the watchdog is not fed", parts=stuck)
        else:
            self._notifier.alive()

    def _say_how_it_goes(self) -> None:
        with self._store.read() as conn:
            rows = calendars.accounts(conn)
            counts = deliveries.counts(conn)
        names = self._office.settings.accounts
        failing = sorted(name for name in names if name in rows and rows[name].error)
        seen = f"watching {len(names)} accounts" + (f", cannot see {', '.join(failing)}" if failing else "")
        outbox = ", ".join(f"{count} {state}" for state, count in sorted(counts.items()))
        self._notifier.status(f"{seen}; outbox: {outbox or 'empty'}")


def pause(report: PollReport | None, every: timedelta) -> timedelta:
    """How long to leave an account alone after a poll."""
    if report is None or report.ok:
        return every
    if any(trouble.kind == "sign-in needed" for trouble in report.troubles):
        return max(every, LOGIN_AGAIN)
    return max(every, timedelta(seconds=report.retry_after or 0))
