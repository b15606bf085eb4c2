"""A worker: does jobs from the queue, ticks, and takes up what workers that are gone have left."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

import structlog
from procrastinate import App, PsycopgConnector
from procrastinate.exceptions import ProcrastinateException
from procrastinate.jobs import Job, Status

from daemon import steps
from daemon.cluster.queue import EVERY, QUEUES, SLOW, SOON, Queue
from daemon.engine import Key, Step
from daemon.memory import give_back
from daemon.office import Office
from daemon.store.errors import StoreAway, StoreError

log = structlog.get_logger()

AT_ONCE = {SOON: 4, SLOW: 8}
"""So many jobs of each queue a worker does side by side; polls wait for servers most of their time."""

TICK = "*/5 * * * * *"
"""When is looked for what is due: cron's fields, seconds first is last."""

HEARTBEAT = 5.0
GONE = 20.0
"""Seconds without a heartbeat after which a worker counts as gone."""

GRACE = 8.0
"""Seconds a stop waits for what is in hand."""

LONGEST_PAUSE = 15.0
"""Seconds between two tries to reach the database again."""


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
        self._queue = queue
        self._offices = offices
        self._fail = fail
        self._alive = alive
        self._stop = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ending: asyncio.Event | None = None
        self._app = App(
            connector=PsycopgConnector(conninfo=conninfo, min_size=1, max_size=6),
            periodic_defaults={"max_delay": 10},
        )
        for step in Step:
            self._app.task(name=step, queue=QUEUES[step])(self._job(step))
        ticking = self._app.task(name="tick", queue=SOON, queueing_lock="tick", priority=50)(self._tick)
        self._app.periodic(cron=TICK)(ticking)
        self._thread = threading.Thread(target=self._run, name="worker", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Finish what is in hand, and take nothing more."""
        self._stop.set()
        loop, ending = self._loop, self._ending
        if loop is not None and ending is not None:
            loop.call_soon_threadsafe(ending.set)

    def join(self, seconds: float) -> bool:
        """Wait for the end; whether it came."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        """Work, and begin anew whenever the database was away."""
        wait = 1.0
        while not self._stop.is_set():
            self._alive()
            try:
                asyncio.run(self._work())
                wait = 1.0
            except ProcrastinateException as error:
                log.warning("the queue is away; trying again", problem=str(error) or type(error).__name__)
            except Exception:
                log.exception("the worker failed; beginning anew")
            self._stop.wait(wait)
            wait = min(2 * wait, LONGEST_PAUSE)

    async def _work(self) -> None:
        self._loop, self._ending = asyncio.get_running_loop(), asyncio.Event()
        # one thread for each job, or slow polls would keep mails waiting after all
        self._loop.set_default_executor(ThreadPoolExecutor(sum(AT_ONCE.values()) + 2, "job"))
        if self._stop.is_set():
            return
        async with self._app.open_async():
            ending = asyncio.create_task(self._ending.wait())
            workers = [
                asyncio.create_task(
                    self._app.run_worker_async(
                        queues=[queue],
                        name=queue,
                        concurrency=count,
                        delete_jobs="always",
                        install_signal_handlers=False,
                        shutdown_graceful_timeout=GRACE,
                        fetch_job_polling_interval=2.0,
                        update_heartbeat_interval=HEARTBEAT,
                        stalled_worker_timeout=GONE,
                    )
                )
                for queue, count in AT_ONCE.items()
            ]
            await asyncio.wait([ending, *workers], return_when=asyncio.FIRST_COMPLETED)
            for task in (ending, *workers):
                task.cancel()
            await asyncio.gather(ending, *workers, return_exceptions=True)

    async def _tick(self, timestamp: int) -> None:  # noqa: ARG002 - Procrastinate's signature
        self._alive()
        await self._take_up()
        await asyncio.to_thread(self._queue.tick)

    async def _take_up(self) -> None:
        """Free the locks of jobs whose workers are gone, and submit them anew.

        They are not put back into the queue as they are: the same wish may wait there already, and the
        queue holds no wish twice.
        """
        manager = self._app.job_manager
        for job in await manager.get_stalled_jobs(seconds_since_heartbeat=GONE):
            await manager.finish_job(job, status=Status.FAILED, delete_job=True)
            if job.task_name in set(Step):
                log.warning("a worker is gone; its work is taken up", step=job.task_name, **job.task_kwargs)
                await asyncio.to_thread(self._begin_anew, job)
        await manager.prune_stalled_workers(GONE)

    def _begin_anew(self, job: Job) -> None:
        step, about = Step(job.task_name), job.task_kwargs
        key = Key(owner=str(about["owner"]), account=str(about["account"]))
        office = self._offices().get(key.owner)
        if office is not None:
            self._queue.again(step, office, key.account)
            self._queue.submit(step, key)

    def _job(self, step: Step) -> Callable[[str, str], None]:
        def do(owner: str, account: str) -> None:
            office = self._offices().get(owner)
            if office is None or office.stopping.is_set():
                return  # this machine's files do not know them now; the tick of another will
            with structlog.contextvars.bound_contextvars(owner=owner):
                self._do(step, office, Key(owner=owner, account=account))
            give_back()

        return do

    def _do(self, step: Step, office: Office, key: Key) -> None:
        """Do it, whatever it raises: what went wrong is tried again when the tick finds it due."""
        try:
            self._queue.begin(step, office, key.account)
            if step is Step.DECIDE and self._queue.has_news(office):
                office.answering.settle(office.clock.now())
            for one in steps.do(step, office, key.account):
                self._queue.submit(one.step, Key(owner=key.owner, account=one.account), one.run_at)
            if step in {Step.DECIDE, Step.DELIVER}:
                self._queue.submit(step, key, office.clock.now() + EVERY)
        except StoreAway as error:
            log.warning("the state is away; trying again", step=step, problem=str(error))
        except StoreError as error:
            self._fail(key.owner, error)
        except Exception:
            log.exception("unexpected failure, carrying on", step=step, account=key.account)
