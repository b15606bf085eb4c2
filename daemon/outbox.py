"""Send what is due, each message once.

::

    claim ─► limits ─► read again ─► compose ─► keep the bytes ─► hand over ─► commit ─► final dot
      durable                                     durable                        durable

A crash before ``commit`` leaves a message that certainly did not leave: it is taken up again. A crash
after it leaves one that may have: it becomes ``unknown`` and the owner is told. No transaction is open
while the network is waited for, and the claim is a lease: a sender that lost it sends nothing.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal, Self

import structlog

from connectors.base import ConnectorError, Mailer, NeedsLogin, Receipt, Retryable, Uncertain, Unreachable
from daemon import brakes
from daemon.clock import Clock
from daemon.lease import LEASE, has_ended, holder, is_dead
from daemon.mail.message import Mail
from daemon.outbox_notices import tell_flood, tell_refused, tell_unknown
from daemon.store import deliveries
from daemon.store.deliveries import NOTICE, Delivery
from daemon.store.engine import Store
from daemon.store.errors import StoreError
from rules.delivery import Event, ForbiddenMove, State
from rules.model import Owner
from rules.policy import Guard

log = structlog.get_logger()

FIRST_PAUSE = timedelta(minutes=1)
LONGEST_PAUSE = timedelta(hours=1)
MOST_OBEYED = timedelta(days=1)
"""The longest wait that a server may ask for."""

PUSHED = timedelta(hours=1)
"""How far a message that makes the outbox fail is pushed ahead, so that it cannot spin."""

MOST = 10_000
"""How many due messages one run looks at."""

LARGEST = 1 << 20
"""No message of ours has this many bytes."""

FLOOD = "flood"
"""The error of what the flood brake holds."""

BROKEN_OFF = "rebookd stopped while the message was on its way"


@dataclass(frozen=True, slots=True)
class Decision:
    """What the last look before sending says."""

    kind: Literal["go", "drop", "later", "hold"]
    why: str = ""
    at: datetime | None = None
    state: State | None = None

    @classmethod
    def go(cls) -> Self:
        """Send it."""
        return cls("go")

    @classmethod
    def drop(cls, state: State, why: str) -> Self:
        """Do not send it: ``state`` is LAPSED, SUPERSEDED or SUPPRESSED."""
        return cls("drop", why, state=state)

    @classmethod
    def later(cls, at: datetime, why: str) -> Self:
        """Look again at ``at`` (UTC)."""
        return cls("later", why, at=at)

    @classmethod
    def hold(cls, why: str) -> Self:
        """Wait for the owner's word."""
        return cls("hold", why)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one delivery in a run, and why."""

    id: int
    state: State
    why: str = ""


@dataclass(slots=True)
class SendReport:
    """What one run did.

    ``stopped`` says why it ended before everything due was tried, if it did; ``trouble`` is the mail
    server's part in that.
    """

    outcomes: list[Outcome] = field(default_factory=list)
    failed: list[tuple[int, str]] = field(default_factory=list)
    stopped: str = ""
    trouble: Unreachable | NeedsLogin | None = None

    @property
    def counts(self) -> Counter[State]:
        """How many deliveries ended the run in each state."""
        return Counter(one.state for one in self.outcomes)


_DROPS = {
    State.LAPSED: Event.LAPSE,
    State.SUPERSEDED: Event.SUPERSEDE,
    State.SUPPRESSED: Event.SUPPRESS,
}


class _FencedError(Exception):
    """The claim is no longer ours, or its step is over: nothing may leave."""


class Outbox:
    """The one sender. One run at a time; ``who`` names it in the leases it takes."""

    def __init__(
        self,
        store: Store,
        mailer: Mailer,
        clock: Clock,
        *,
        recheck: Callable[[Delivery], Decision],
        compose: Callable[[Delivery], Mail],
        guard: Guard,
        owner: Owner,
        stopping: Callable[[], bool] = lambda: False,
        who: str | None = None,
    ) -> None:
        self._store = store
        self._mailer = mailer
        self._clock = clock
        self._recheck = recheck
        self._compose = compose
        self._guard = guard
        self._mine = frozenset(owner.addresses)
        self._tell = owner.addresses[0]
        self._stopping = stopping
        self._running = threading.Lock()
        self.who = who or holder(clock.now())

    def run(self, now: datetime) -> SendReport:
        """Send everything due at ``now`` (UTC). Raises StoreError, and nothing else."""
        report = SendReport()
        with self._running:
            self._recover(now, report)
            self._lapse(now, report)
            with self._mailer.session():
                self._deliver_all(self._let_through(now, report), report)
                if not report.stopped:
                    self._deliver_all(self._fresh_notices(report), report)
        return report

    def recover(self, now: datetime) -> SendReport:
        """Take up what a dead sender left: ``claimed`` waits again, ``committing`` becomes unknown."""
        report = SendReport()
        with self._running:
            self._recover(now, report)
        return report

    def _recover(self, now: datetime, report: SendReport) -> None:
        with self._store.read() as conn:
            orphans = [one for one in deliveries.under_way(conn) if self._is_orphan(one, now)]
        for one in orphans:
            if one.state is State.CLAIMED:
                self._settle(one, Event.RELEASE, report, lease=one.lease_by)
            else:
                self._settle(one, Event.DOUBT, report, lease=one.lease_by, why=BROKEN_OFF)

    def _is_orphan(self, delivery: Delivery, now: datetime) -> bool:
        """Whether its sender is gone. At the start of a run, what is ours is left over, too."""
        by = delivery.lease_by
        return has_ended(delivery.lease_until, now) or by == self.who or is_dead(by)

    def _lapse(self, now: datetime, report: SendReport) -> None:
        with self._store.read() as conn:
            overdue = deliveries.overdue(conn, now)
        for one in overdue:
            why = one.error or "its step was over before it could be sent"
            self._settle(one, Event.LAPSE, report, lease=None, why=why)

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
        with self._store.write() as conn:
            for id_ in held:
                with suppress(ForbiddenMove):
                    deliveries.move(conn, id_, Event.HOLD, now, error=FLOOD)
            tell_flood(conn, flood, self._guard.max_per_run, self._tell, now)
        report.outcomes += [Outcome(id=one.id, state=State.HELD, why=FLOOD) for one in flood]
        log.warning("a flood is held", messages=len(flood), allowed=self._guard.max_per_run)
        return [one for one in due if one.id not in held]

    def _fresh_notices(self, report: SendReport) -> list[Delivery]:
        """The notices that this run itself gave rise to."""
        tried = {one.id for one in report.outcomes} | {id_ for id_, _ in report.failed}
        with self._store.read() as conn:
            due = deliveries.due(conn, self._clock.now(), MOST)
        return [one for one in due if one.do == NOTICE and one.id not in tried]

    def _deliver_all(self, due: list[Delivery], report: SendReport) -> None:
        for one in due:
            if self._stopping():
                report.stopped = "rebookd is stopping"
            if report.stopped:
                return
            now = self._clock.now()
            with self._store.write() as conn:
                claimed = deliveries.claim(conn, one.id, self.who, now, LEASE)
            if claimed is not None:
                self._deliver(claimed, report)

    def _deliver(self, delivery: Delivery, report: SendReport) -> None:
        """Carry one claimed delivery as far as it gets. A fault in it never touches the next one."""
        now = self._clock.now()
        try:
            with self._store.read() as conn:
                limit = brakes.wait(conn, delivery, self._mine, self._guard, now)
            if limit is not None:
                self._postpone(delivery, limit.at, limit.why, report)
                return
            decision = Decision.go() if delivery.do == NOTICE else self._recheck(delivery)
            if decision.kind != "go":
                self._heed(delivery, decision, report)
                return
            mail = self._compose(delivery)
            _make_sure(delivery, mail)
        except StoreError:
            raise
        except Retryable as error:
            pause = _pause(delivery.attempts + 1, error.retry_after)
            self._postpone(delivery, self._clock.now() + pause, str(error), report)
        except ConnectorError as error:
            self._settle(delivery, Event.REFUSE, report, why=str(error))
        except Exception as error:
            log.exception("a message could not be prepared", id=delivery.id)
            self._push(delivery, error, report)
        else:
            self._hand_over(delivery, mail, report)

    def _heed(self, delivery: Delivery, decision: Decision, report: SendReport) -> None:
        if decision.at is not None:
            self._postpone(delivery, decision.at, decision.why, report)
        elif decision.state is not None:
            self._settle(delivery, _DROPS[decision.state], report, why=decision.why)
        else:
            self._settle(delivery, Event.HOLD, report, why=decision.why)

    def _hand_over(self, delivery: Delivery, mail: Mail, report: SendReport) -> None:
        attempts = delivery.attempts + 1
        kept = {
            "subject": mail.subject,
            "message_id": mail.message_id,
            "raw": mail.raw,
            "offered": mail.offered,
        }
        with self._store.write() as conn:
            if not deliveries.fill(conn, delivery.id, mine=self.who, attempts=attempts, **kept):
                return
            filled = deliveries.get(conn, delivery.id)
        if filled is None:
            return
        try:
            receipt = self._mailer.send(mail.sender, mail.recipients, mail.raw, self._fence(filled))
        except StoreError:
            raise
        except _FencedError:
            log.info("a message was no longer ours to send", id=delivery.id)
        except ConnectorError as error:
            self._after_error(filled, error, report)
        except Exception as error:
            log.exception("the mailer failed", id=delivery.id)
            self._after_fault(filled, error, report)
        else:
            self._accepted(filled, receipt, report)

    def _fence(self, delivery: Delivery) -> Callable[[], None]:
        """What makes ``committing`` durable, and stops a message that is not ours any more."""

        def committing() -> None:
            now = self._clock.now()
            if now >= delivery.until:
                raise _FencedError
            with self._store.write() as conn:
                current = deliveries.get(conn, delivery.id)
                if current is None or current.lease_until is None or current.lease_until <= now:
                    raise _FencedError
                try:
                    ours = deliveries.move(conn, delivery.id, Event.COMMIT, now, mine=self.who)
                except ForbiddenMove as error:
                    raise _FencedError from error
                if not ours:
                    raise _FencedError

        return committing

    def _accepted(self, delivery: Delivery, receipt: Receipt, report: SendReport) -> None:
        words = receipt.refused.get(delivery.to)
        if words is not None:
            self._settle(delivery, Event.REFUSE, report, why=words)
            return
        # whoever took it over meanwhile could only doubt; the server's word settles that
        self._settle(delivery, Event.ACCEPT, report, lease=None, sent_at=self._clock.now())

    def _after_error(self, delivery: Delivery, error: ConnectorError, report: SendReport) -> None:
        """The mailer said what happened; all but a doubt means that the message was not kept."""
        if isinstance(error, Uncertain) and self._is_committed(delivery):
            self._settle(delivery, Event.DOUBT, report, why=str(error))
        elif isinstance(error, Retryable | NeedsLogin | Uncertain):
            self._fail(delivery, error, report)
        else:
            self._settle(delivery, Event.REFUSE, report, why=str(error))

    def _after_fault(self, delivery: Delivery, error: Exception, report: SendReport) -> None:
        """The mailer broke: whether the message left depends on how far it came."""
        if self._is_committed(delivery):
            why = f"the mailer failed ({type(error).__name__}) while the message was on its way"
            self._settle(delivery, Event.DOUBT, report, why=why)
        else:
            self._push(delivery, error, report)

    def _is_committed(self, delivery: Delivery) -> bool:
        with self._store.read() as conn:
            current = deliveries.get(conn, delivery.id)
        return current is not None and current.state is State.COMMITTING

    def _fail(self, delivery: Delivery, error: ConnectorError, report: SendReport) -> None:
        """Certainly not kept: try again later. A server out of reach ends the run."""
        asked = error.retry_after if isinstance(error, Retryable) else None
        at = self._clock.now() + _pause(delivery.attempts, asked)
        self._settle(delivery, Event.FAIL, report, why=str(error), next_try_at=at)
        if isinstance(error, Unreachable | NeedsLogin):
            report.stopped, report.trouble = str(error), error

    def _postpone(self, delivery: Delivery, at: datetime, why: str, report: SendReport) -> None:
        at = min(at, delivery.until)
        self._settle(delivery, Event.POSTPONE, report, why=why, next_try_at=at)

    def _push(self, delivery: Delivery, error: Exception, report: SendReport) -> None:
        why = f"it could not be prepared ({type(error).__name__}); rebookd's log has the details"
        report.failed.append((delivery.id, f"{type(error).__name__}: {error}"))
        self._postpone(delivery, self._clock.now() + PUSHED, why, report)

    def _settle(
        self,
        delivery: Delivery,
        event: Event,
        report: SendReport,
        *,
        why: str = "",
        lease: str | None = "",
        **fields: object,
    ) -> None:
        """Make ``event`` durable, with the notice it calls for; let go if somebody else came first.

        ``lease`` is the one it must lie under: ours unless said otherwise, None for any.
        """
        now = self._clock.now()
        mine = self.who if lease == "" else lease
        with self._store.write() as conn:
            try:
                moved = deliveries.move(conn, delivery.id, event, now, mine=mine, error=why, **fields)
            except ForbiddenMove:
                moved = False
            if not moved:
                log.info("a message was settled elsewhere", id=delivery.id, event=event)
                return
            after = deliveries.get(conn, delivery.id)
            if after is None:
                return
            if after.state is State.REFUSED:
                tell_refused(conn, after, why, self._tell, now)
            elif after.state is State.UNKNOWN:
                tell_unknown(conn, after, why, self._tell, now)
        report.outcomes.append(Outcome(id=after.id, state=after.state, why=why))
        log.info(
            "delivery", id=after.id, state=after.state, to=after.to, why=why, uid=after.key and after.key.uid
        )


def _make_sure(delivery: Delivery, mail: Mail) -> None:
    """Refuse a mail that is not what the delivery is about."""
    if mail.recipients != (delivery.to,):
        raise ValueError(f"a mail to {delivery.to} was addressed to {', '.join(mail.recipients)}")
    if not mail.sender or not mail.message_id or not 0 < len(mail.raw) <= LARGEST:
        raise ValueError("a mail lacks its sender, its Message-ID or its text, or is too large")


def _pause(attempts: int, asked: float | None) -> timedelta:
    """How long to wait after so many attempts: 1, 2, 4 … 60 minutes, or as long as the server asked."""
    usual = min(FIRST_PAUSE * (1 << min(max(attempts - 1, 0), 10)), LONGEST_PAUSE)
    return max(usual, min(timedelta(seconds=asked or 0), MOST_OBEYED))
