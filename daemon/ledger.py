"""What happened to deliveries, made durable together with the notice it calls for."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import timedelta

import structlog

from daemon.clock import Clock
from daemon.outbox_notices import tell_refused, tell_unknown
from daemon.outcome import Outcome, SendReport
from daemon.store import deliveries
from daemon.store.deliveries import Delivery
from daemon.store.engine import Store
from daemon.store.errors import StoreAway
from rules.delivery import Event, ForbiddenMove, State

log = structlog.get_logger()

PAUSES = (0.5, 1, 2, 4, 8, 15, 30)
"""Seconds between tries to write what happened: a minute, of the five that a lease holds."""

rest = time.sleep


class Ledger:
    """Writes for one sender; ``who`` names it in its leases, ``tell`` is where the owner is told things.

    ``patience`` is how long the owner is not told of a doubt that may settle itself.
    """

    def __init__(
        self, store: Store, clock: Clock, who: str, tell: str, patience: timedelta = timedelta()
    ) -> None:
        self._store = store
        self._clock = clock
        self.who = who
        self._tell = tell
        self._patience = patience

    def settle(
        self,
        party: Sequence[Delivery],
        event: Event,
        report: SendReport,
        *,
        why: str = "",
        lease: str | None = "",
        **fields: object,
    ) -> None:
        """Let ``event`` happen to all of ``party``, in one transaction, with one notice if it needs one.

        Whoever was settled elsewhere meanwhile is left alone. ``lease`` is the one they must lie under:
        ours unless said otherwise, None for any. Where the state is away it is waited for: what a server
        answered is known to nobody else.
        """
        mine = self.who if lease == "" else lease
        for wait in (*PAUSES, None):
            try:
                settled = self._written(party, event, why, mine, fields)
            except StoreAway as error:
                if wait is None:
                    raise
                log.warning("the state is away; what happened is written later", problem=str(error))
                rest(wait)
            else:
                break
        for one in settled:
            report.outcomes.append(Outcome(id=one.id, state=one.state, why=why))
            uid = one.key.uid if one.key else None
            log.info("delivery", id=one.id, state=one.state, to=one.to, why=why, uid=uid)

    def _written(
        self,
        party: Sequence[Delivery],
        event: Event,
        why: str,
        mine: str | None,
        fields: Mapping[str, object],
    ) -> list[Delivery]:
        """Write it; those to whom it happened."""
        now = self._clock.now()
        settled: list[Delivery] = []
        with self._store.write() as conn:
            for one in party:
                moved = False
                with suppress(ForbiddenMove):
                    moved = deliveries.move(conn, one.id, event, now, mine=mine, error=why, **fields)
                after = deliveries.get(conn, one.id) if moved else None
                if after is not None:
                    settled.append(after)
                else:
                    log.info("a message was settled elsewhere", id=one.id, what=event)
            if settled and settled[0].state is State.REFUSED:
                tell_refused(conn, settled, why, self._tell, now)
            elif settled and settled[0].state is State.UNKNOWN:
                tell_unknown(conn, settled, why, self._tell, now, wait=self._patience)
        return settled
