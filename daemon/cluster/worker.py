"""A worker: does jobs from the queue, ticks, and takes up what workers that are gone have left."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Mapping

import psycopg
import structlog
from procrastinate import App, PsycopgConnector
from procrastinate.exceptions import ProcrastinateException
from procrastinate.jobs import Job, Status

from daemon import steps
from daemon.cluster.doing import Doing
from daemon.cluster.jobs import Jobs
from daemon.cluster.queue import EVERY, QUEUES, SLOW, SOON, Queue
from daemon.cluster.threads import Threads
from daemon.engine import Key, Step
from daemon.memory import give_back
from daemon.office import Office
from daemon.store.errors import StoreAway, StoreError

log = structlog.get_logger()

AT_ONCE = {SOON: 4, SLOW: 8}
"""So many jobs of each queue a worker does side by side; polls wait for servers most of their time."""

TICK = "* * * * * */5"
"""When is looked for what is due: the fields of cron, and seconds after them."""

HEARTBEAT = 5.0
GONE = 20.0
"""Seconds without a heartbeat after which a worker counts as gone."""

GRACE = 8.0
"""Seconds a stop waits for what is in hand."""

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 10.0
"""Seconds between two tries to reach the database again."""

LASTED = 2.0
"""Seconds after which what worked counts as having worked."""

PERSEVERANCE = 60.0
"""Seconds for which whoever sends waits for a state that is away, to end what they have in hand."""


class Worker:
    """Runs in a thread of its own until it is stopped.

    ``fail`` hears of an owner whose state failed, ``alive`` again and again that the worker lives.
    """

    def __init__(
        self,
        conninfo: str,
        queue: Queue,
        offices: Callable[[], Mapping[str, Office]],
        fail: Callable[[str, StoreError], None],
        alive: Callable[[], None],
    ) -> None:
        self.doing = Doing()
        self._conninfo = conninfo
        self._queue = queue
        self._offices = offices
        self._fail = fail
        self._alive = alive
        self._stop = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ending: asyncio.Event | None = None
        self._thread = threading.Thread(target=self._run, name="worker", daemon=True)

    def start(self) -> None:
        """Begin."""
        # what they say of a server that is away is said here, in a sentence
        for library in ("procrastinate", "psycopg.pool"):
            logging.getLogger(library).setLevel(logging.CRITICAL)
        self._thread.start()

    def stop(self) -> None:
        """Finish what is in hand, and take nothing more."""
        self._stop.set()
        loop, ending = self._loop, self._ending
        if loop is not None and ending is not None and not loop.is_closed():
            loop.call_soon_threadsafe(ending.set)

    def join(self, seconds: float) -> bool:
        """Wait for the end; whether it came."""
        if self._thread.ident is not None:
            self._thread.join(seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        """Work until stopped; whatever breaks, it begins anew."""
        while not self._stop.is_set():
            try:
                asyncio.run(self._work())
            except Exception:
                log.exception("the worker failed; beginning anew")
                self._stop.wait(1.0)

    async def _work(self) -> None:
        self._loop, self._ending = asyncio.get_running_loop(), asyncio.Event()
        self._loop.set_default_executor(Threads())
        if not self._stop.is_set():
            await asyncio.gather(*(self._serve(queue, self._ending) for queue in AT_ONCE))

    async def _serve(self, queue: str, ending: asyncio.Event) -> None:
        """Do the jobs of one queue, and begin anew whenever the database was away.

        What one queue still has in hand then keeps the other from nothing.
        """
        pause = FIRST_PAUSE
        while not ending.is_set():
            self._alive()
            app, began = self._app(queue), time.monotonic()
            try:
                async with app.open_async():
                    await self._until(ending, app, queue)
            except (ProcrastinateException, psycopg.Error) as error:
                if isinstance(error.__cause__, psycopg.errors.ForeignKeyViolation):
                    log.warning("it was taken for gone, having slept; beginning anew", queue=queue)
                else:
                    log.warning("the queue is away; trying again", queue=queue, problem=_first_line(error))
            except Exception:
                log.exception("unexpected failure, beginning anew", queue=queue)
            pause = FIRST_PAUSE if time.monotonic() - began > LASTED else min(2 * pause, LONGEST_PAUSE)
            waiting = asyncio.create_task(ending.wait())
            await asyncio.wait([waiting], timeout=pause)
            waiting.cancel()

    async def _until(self, ending: asyncio.Event, app: App, queue: str) -> None:
        """Work until told to end. Raises what ended it otherwise."""
        working = asyncio.create_task(
            app.run_worker_async(
                queues=[queue],
                name=queue,
                concurrency=AT_ONCE[queue],
                delete_jobs="always",
                install_signal_handlers=False,
                shutdown_graceful_timeout=GRACE,
                fetch_job_polling_interval=2.0,
                update_heartbeat_interval=HEARTBEAT,
                stalled_worker_timeout=GONE,
            )
        )
        waiting = asyncio.create_task(ending.wait())
        await asyncio.wait([waiting, working], return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        working.cancel()
        try:
            await working
        except asyncio.CancelledError:
            return

    def _app(self, queue: str) -> App:
        connector = PsycopgConnector(conninfo=self._conninfo, min_size=1, max_size=4, timeout=10.0)
        app = App(connector=connector, periodic_defaults={"max_delay": 10})
        app.job_manager = Jobs(connector)
        for step in Step:
            if QUEUES[step] == queue:
                app.task(name=step, queue=queue)(self._job(step))
        if queue == SOON:

            async def tick(timestamp: int) -> None:  # noqa: ARG001 - Procrastinate's signature
                await self._tick(app)

            app.periodic(cron=TICK)(
                app.task(name="tick", queue=SOON, queueing_lock="tick", priority=50)(tick)
            )
        return app

    async def _tick(self, app: App) -> None:
        self._alive()
        try:
            await self._take_up(app)
        except ProcrastinateException as error:
            log.warning("the queue is away; trying again", problem=_first_line(error))
        else:
            await asyncio.to_thread(self._queue.tick)

    async def _take_up(self, app: App) -> None:
        """Free the locks of jobs whose workers are gone, and submit them anew.

        They are not put back into the queue as they are: the same wish may wait there already, and the
        queue holds no wish twice.
        """
        for job in await app.job_manager.get_stalled_jobs(seconds_since_heartbeat=GONE):
            await app.job_manager.finish_job(job, status=Status.FAILED, delete_job=True)
            if job.task_name in set(Step):
                log.warning("a worker is gone; its work is taken up", step=job.task_name, **job.task_kwargs)
                await asyncio.to_thread(self._begin_anew, job)
        await app.job_manager.prune_stalled_workers(GONE)

    def _begin_anew(self, job: Job) -> None:
        step, about = Step(job.task_name), job.task_kwargs
        key = Key(owner=str(about["owner"]), account=str(about["account"]))
        office = self._offices().get(key.owner)
        if office is None:
            return
        try:
            self._queue.again(step, office, key.account)
            self._queue.submit(step, key)
        except StoreError as error:
            log.warning("the tick takes it up", step=step, problem=str(error))

    def _job(self, step: Step) -> Callable[[str, str], None]:
        def do(owner: str, account: str) -> None:
            office = self._offices().get(owner)
            if office is None or office.stopping.is_set():
                return  # this machine's files do not know them now; the tick of another will
            key = Key(owner=owner, account=account)
            with (
                structlog.contextvars.bound_contextvars(owner=owner),
                self.doing.take(office, step, account) as mine,
            ):
                if mine:
                    self._do(step, office, key)
            give_back()

        return do

    def _do(self, step: Step, office: Office, key: Key) -> None:
        """Do it, whatever it raises: what went wrong is tried again when the tick finds it due."""
        until, pause = time.monotonic() + PERSEVERANCE, FIRST_PAUSE
        while True:
            try:
                self._try(step, office, key)
            except StoreAway as error:
                log.warning("the state is away; trying again", step=step, problem=str(error))
                # what it had claimed is free for nobody else before the lease ends: it ends that itself
                if step is not Step.DELIVER or time.monotonic() > until or office.stopping.wait(pause):
                    return
                pause = min(2 * pause, LONGEST_PAUSE)
            except StoreError as error:
                self._fail(key.owner, error)
                return
            except Exception:
                log.exception("unexpected failure, carrying on", step=step, account=key.account)
                return
            else:
                return

    def _try(self, step: Step, office: Office, key: Key) -> None:
        self._queue.begin(step, office, key.account)
        if step is Step.DECIDE and self._queue.has_news(office):
            office.answering.settle(office.clock.now())
        for one in steps.do(step, office, key.account):
            self._queue.submit(one.step, Key(owner=key.owner, account=one.account), one.run_at)
        if step in {Step.DECIDE, Step.DELIVER}:
            self._queue.submit(step, key, office.clock.now() + EVERY)


def _first_line(error: Exception) -> str:
    cause = error.__cause__ or error
    return next(iter(str(cause).splitlines()), "") or type(error).__name__
