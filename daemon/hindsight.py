"""Notices that the clock was set back, and has what was stored meanwhile put right."""

from __future__ import annotations

from datetime import datetime

import structlog

from daemon.store import agenda
from daemon.store.engine import Store
from daemon.store.set_back import latest, set_back
from rules.delivery import SLACK

log = structlog.get_logger()


class Hindsight:
    """Remembers the latest moment there was, also before a restart. For one thread.

    Of many workers on one database, whose clocks agree with its own, the first that notices has it put right.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._latest: datetime | None = None

    def look(self, now: datetime) -> None:
        """Compare ``now`` (UTC) with it. Raises StoreError."""
        if self._latest is None:
            with self._store.read() as conn:
                self._latest = latest(conn) or now
        by = self._latest - now
        if by > SLACK:
            with self._store.write() as conn:
                if self._store.is_file or (latest(conn) or now) - now > SLACK:
                    words = "the clock was set back; everything is looked at again"
                    log.warning(words, seconds=by.total_seconds())
                    set_back(conn, now, by)
                else:
                    agenda.wake_all(conn, now)  # as of now, whatever seemed over before
            self._latest = now
        self._latest = max(self._latest, now)
