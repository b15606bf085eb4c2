"""Messages of which nobody knows whether they left: looked for in the sent mail, never sent again.

What is found was sent. What is not found proves nothing: a mailbox may take its time, or name a message
otherwise. It stays unknown and is looked for again, ever more seldom.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

import structlog

from connectors.base import ConnectorError, Finder
from daemon.clock import Clock
from daemon.ledger import Ledger
from daemon.outbox_notices import tell_found
from daemon.outcome import SendReport
from daemon.store import deliveries
from daemon.store.deliveries import ACTIONS, Delivery
from daemon.store.engine import Store
from rules.delivery import Event, State

log = structlog.get_logger()

WAITS = tuple(timedelta(seconds=seconds) for seconds in (20, 60, 300, 900))
LONGEST_WAIT = timedelta(hours=1)
"""How long to leave a message alone after it was not found once, twice …"""

LOOK_FOR = timedelta(days=2)
"""How long a message is looked for."""

PATIENCE = timedelta(minutes=3)
"""How long the owner is not yet told of a doubt that may settle itself."""

MOST = 20
"""How many messages one run looks for."""

FOUND = "found in your sent mail"


class Doubts:
    """Looks for unknown messages; does nothing where nobody can look (``finder`` is None).

    ``tell`` is where the owner is told things.
    """

    def __init__(
        self, store: Store, clock: Clock, ledger: Ledger, finder: Finder | None, *, tell: str
    ) -> None:
        self._store = store
        self._clock = clock
        self._ledger = ledger
        self._finder = finder
        self._tell = tell
        self._looked: dict[str, tuple[int, datetime]] = {}

    def settle(self, report: SendReport) -> None:
        """Look for those whose time has come. Raises StoreError, and nothing for what the mailbox does."""
        if self._finder is None:
            return
        now = self._clock.now()
        parties = self._parties(now)
        self._looked = {id_: when for id_, when in self._looked.items() if id_ in parties}
        for id_ in [each for each in parties if self._is_due(each, now)][:MOST]:
            try:
                found = self._finder.find(id_)
            except ConnectorError as error:
                log.info("the sent mail cannot be looked at", error=str(error))
                self._rest(parties, now)
                return
            except Exception:
                log.exception("looking into the sent mail failed")
                self._rest(parties, now)
                return
            if found:
                self._found(parties[id_], report, now)
            else:
                self._postpone(id_, now, knows=found is not None)

    def _parties(self, now: datetime) -> dict[str, list[Delivery]]:
        """What may be looked for, by Message-ID: deliveries that shared a message share its fate."""
        with self._store.read() as conn:
            unknown = deliveries.list_(conn, State.UNKNOWN)
        parties: dict[str, list[Delivery]] = {}
        for one in unknown:
            if one.do not in ACTIONS and one.message_id and now - one.changed_at < LOOK_FOR:
                parties.setdefault(one.message_id, []).append(one)
        for party in parties.values():
            party.sort(key=lambda one: (one.carried_by is not None, one.id))
        return parties

    def _is_due(self, message_id: str, now: datetime) -> bool:
        if message_id not in self._looked:
            return True
        at = self._looked[message_id][1]
        return at <= now or at > now + LONGEST_WAIT  # the latter where the clock was set back

    def _rest(self, message_ids: Iterable[str], now: datetime) -> None:
        for each in message_ids:
            self._postpone(each, now)

    def _postpone(self, message_id: str, now: datetime, *, knows: bool = True) -> None:
        tries = self._looked.get(message_id, (0, now))[0]
        wait = WAITS[tries] if knows and tries < len(WAITS) else LONGEST_WAIT
        self._looked[message_id] = (tries + 1, now + wait)

    def _found(self, party: Sequence[Delivery], report: SendReport, now: datetime) -> None:
        for one in party:
            self._ledger.settle([one], Event.ACCEPT, report, lease=None, why=FOUND, sent_at=one.changed_at)
        with self._store.write() as conn:
            tell_found(conn, party, self._tell, now)
