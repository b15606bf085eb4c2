"""Send what is due, each message once.

A crash before ``commit`` leaves a message that certainly did not leave: it is taken up again. A crash
after it leaves one that may have: it becomes ``unknown`` and the owner is told. No transaction is open
while the network is waited for, and the claim is a lease: a sender that lost it sends nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from datetime import datetime, timedelta

import structlog

from connectors.base import Drafts, Finder, Mailer
from daemon import brakes
from daemon.carriers import MAIL, REPEATABLE, Carrier, Compose, MailCarrier
from daemon.clock import Clock
from daemon.doubts import PATIENCE, Doubts
from daemon.drafting import Drafting
from daemon.lease import has_ended, holder, is_dead
from daemon.ledger import Ledger
from daemon.outbox_notices import tell_flood
from daemon.outcome import Decision, Outcome, SendReport
from daemon.sender import Sender, carriers_by_do
from daemon.store import deliveries
from daemon.store.deliveries import NOTICE, Delivery
from daemon.store.engine import Store
from rules.delivery import INVITE, Event, ForbiddenMove, State
from rules.model import Owner
from rules.policy import Guard

log = structlog.get_logger()

MOST = 10_000
"""How many due messages one run looks at."""

TOLD = frozenset({State.REFUSED, State.UNKNOWN})
"""What the owner is told of each message that comes to it."""

BROKEN_OFF = "rebookd stopped while the message was on its way"


class Outbox:
    """The one sender. One run at a time; ``who`` names it in the leases it takes.

    ``carriers`` are for each ``do`` that is no mail; ``drafts`` is where the drafts of rules with
    ``mode: draft`` are put, if anywhere.
    """

    def __init__(
        self,
        store: Store,
        mailer: Mailer,
        clock: Clock,
        *,
        recheck: Callable[[Delivery], Decision],
        compose: Compose,
        guard: Guard,
        owner: Owner,
        carriers: Mapping[str, Carrier] | None = None,
        drafts: Drafts | None = None,
        stopping: Callable[[], bool] = lambda: False,
        who: str | None = None,
    ) -> None:
        self._store = store
        self._mailer = mailer
        self._clock = clock
        self._guard = guard
        self._mine = frozenset(owner.addresses)
        self._tell = owner.addresses[0]
        self._stopping = stopping
        self._running = threading.Lock()
        self.who = who or holder(clock.now())
        finder = mailer if isinstance(mailer, Finder) else None
        self._ledger = Ledger(store, clock, self.who, self._tell, PATIENCE if finder else timedelta())
        self._doubts = Doubts(store, clock, self._ledger, finder, tell=self._tell)
        self._drafting = Drafting(
            store,
            clock,
            self._ledger,
            drafts,
            recheck=recheck,
            compose=compose,
            guard=guard,
            mine=self._mine,
            tell=self._tell,
            stopping=stopping,
        )
        self._carrier = carriers_by_do(MailCarrier(mailer, compose), carriers or {})
        self._sender = Sender(
            store,
            clock,
            self._ledger,
            carrier=self._carrier,
            recheck=recheck,
            drafting=self._drafting,
            guard=guard,
            mine=self._mine,
        )

    def run(self, now: datetime) -> SendReport:
        """Send everything due at ``now`` (UTC). Raises StoreError, and nothing else."""
        report = SendReport()
        with self._running:
            self._recover(now, report)
            self._doubts.settle(report)
            self._drafting.run(report)
            self._lapse(now, report)
            self._sender.begin()
            with self._mailer.session():
                due = self._let_through(now, report)
                self._send_all(sorted(due, key=lambda one: one.do != NOTICE), report)
                self._doubts.settle(report)
                self._send_all(self._fresh(report), report)
        return report

    def recover(self, now: datetime, *, alone: bool = False) -> SendReport:
        """Take up what a dead sender left: ``claimed`` waits again, ``committing`` becomes unknown.

        ``alone`` says that nobody else can be sending, so that no lease has to end first: the number of a
        dead process may be another's by now, and a new container has a new name.
        """
        report = SendReport()
        with self._running:
            self._recover(now, report, alone=alone)
        return report

    def _recover(self, now: datetime, report: SendReport, *, alone: bool = False) -> None:
        with self._store.read() as conn:
            orphans = [one for one in deliveries.under_way(conn) if alone or self._is_orphan(one, now)]
        parties: dict[tuple[int, str], list[Delivery]] = {}
        for one in orphans:
            if one.state is State.CLAIMED:
                self._ledger.settle([one], Event.RELEASE, report, lease=one.lease_by)
            else:
                parties.setdefault((one.carried_by or one.id, one.lease_by), []).append(one)
        for (leader, by), party in parties.items():
            party.sort(key=lambda one: (one.id != leader, one.id))
            if party[0].do in REPEATABLE:
                self._ledger.settle(party, Event.FAIL, report, lease=by, why=BROKEN_OFF, next_try_at=now)
            else:
                self._ledger.settle(party, Event.DOUBT, report, lease=by, why=BROKEN_OFF)

    def _is_orphan(self, delivery: Delivery, now: datetime) -> bool:
        """Whether its sender is gone. At the start of a run, what is ours is left over, too."""
        by = delivery.lease_by
        return has_ended(delivery.lease_until, now) or by == self.who or is_dead(by)

    def _lapse(self, now: datetime, report: SendReport) -> None:
        with self._store.read() as conn:
            overdue = deliveries.overdue(conn, now)
        for one in overdue:
            why = one.error or "its step was over before it could be sent"
            self._ledger.settle([one], Event.LAPSE, report, lease=None, why=why)

    def _let_through(self, now: datetime, report: SendReport) -> list[Delivery]:
        """What is due; nothing of it to others when that would be a flood."""
        with self._store.read() as conn:
            due = deliveries.due(conn, now, MOST)
        flood = brakes.flooding(due, self._mine, self._guard)
        if not flood:
            with self._store.write() as conn:
                deliveries.clear(conn, [one.id for one in due if one.cleared_at is None], now)
            return due
        held = {one.id for one in flood}
        messages = brakes.messages(flood)
        with self._store.write() as conn:
            for id_ in held:
                with suppress(ForbiddenMove):
                    deliveries.move(conn, id_, Event.HOLD, now, error=brakes.FLOOD)
            tell_flood(conn, messages, self._guard.max_per_run, self._tell, now)
        report.outcomes += [Outcome(id=one.id, state=State.HELD, why=brakes.FLOOD) for one in flood]
        log.warning("a flood is held", messages=messages, allowed=self._guard.max_per_run)
        return [one for one in due if one.id not in held]

    def _fresh(self, report: SendReport, kinds: Collection[str] = (NOTICE, INVITE)) -> list[Delivery]:
        """What this run itself gave rise to: notices, and invitations to a time that was agreed on."""
        if report.stopped:
            return []
        tried = {one.id for one in report.outcomes} | {id_ for id_, _ in report.failed}
        with self._store.read() as conn:
            due = deliveries.due(conn, self._clock.now(), MOST)
        return [one for one in due if one.do in kinds and one.id not in tried]

    def _send_all(self, due: list[Delivery], report: SendReport) -> None:
        """Send these; what the owner must know of one leaves before the next."""
        for one in due:
            if self._stopping():
                report.stopped = "rebookd is stopping"
                return
            if report.stopped and self._carrier(one).place(one) == MAIL:
                continue
            seen = len(report.outcomes)
            self._sender.send(one, report)
            if any(outcome.state in TOLD for outcome in report.outcomes[seen:]):
                self._send_all(self._fresh(report, {NOTICE}), report)


__all__ = ["MOST", "Decision", "Outbox", "Outcome", "SendReport"]
