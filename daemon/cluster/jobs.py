"""How jobs end in the queue, whatever becomes of its server meanwhile."""

from __future__ import annotations

import asyncio

import psycopg
import structlog
from procrastinate.exceptions import ConnectorException
from procrastinate.jobs import Status
from procrastinate.manager import JobManager

log = structlog.get_logger()

TRIES = 15
PAUSE = 1.0
"""Seconds between two tries."""


class Jobs(JobManager):
    """Procrastinate's own, but for one thing: that a job is done is said again where the server was away.

    A worker survives a short absence of its server without noticing; a job whose end got lost in it would
    keep its lock for as long as that worker lives.
    """

    async def finish_job_by_id_async(self, job_id: int, status: Status, delete_job: bool) -> None:
        """Say how it ended. That somebody else has ended it meanwhile is no trouble."""
        for left in reversed(range(TRIES)):
            try:
                await super().finish_job_by_id_async(job_id, status, delete_job)
            except ConnectorException as error:
                if not isinstance(error.__cause__, psycopg.OperationalError):
                    log.info("a job was ended elsewhere", job=job_id)
                    return
                if not left:
                    raise
                await asyncio.sleep(PAUSE)
            else:
                return
