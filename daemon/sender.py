"""Carry a delivery, and the others of its group, from the claim to its end.

::

    claim ─► limits ─► read again ─► prepare ─► keep it ─► hand over ─► commit ─► final dot
      durable                                   durable                 durable

What shares a message is claimed, committed and settled in one transaction each, so that a crash finds
all of it in one state.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

import structlog

from connectors.base import ConnectorError, NeedsLogin, Receipt, Retryable, Uncertain, Unreachable
from daemon import brakes
from daemon.carriers import MAIL, REPEATABLE, Carrier, Parcel
from daemon.clock import Clock
from daemon.drafting import Drafting
from daemon.lease import LEASE
from daemon.ledger import Ledger
from daemon.outcome import Decision, SendReport
from daemon.store import deliveries
from daemon.store.deliveries import ACTIONS, NOTICE, Delivery
from daemon.store.engine import Store
from daemon.store.errors import StoreAway, StoreError
from daemon.store.watermark import Watermark
from rules.delivery import Event, ForbiddenMove, State
from rules.policy import Guard

log = structlog.get_logger()

FIRST_PAUSE = timedelta(minutes=1)
LONGEST_PAUSE = timedelta(hours=1)
MOST_OBEYED = timedelta(days=1)
"""The longest wait that a server may ask for."""

FRESH = timedelta(seconds=1)
"""So long a look counts. Where preparing and the mail server take longer, there is another before the dot."""

PUSHED = timedelta(hours=1)
"""How far a message that makes the outbox fail is pushed ahead, so that it cannot spin."""

DROPS = {
    State.LAPSED: Event.LAPSE,
    State.SUPERSEDED: Event.SUPERSEDE,
    State.SUPPRESSED: Event.SUPPRESS,
}

Party = list[Delivery]
"""Deliveries that leave together; the first leads."""


class _FencedError(Exception):
    """The claim is no longer ours, its step is over, or it is not called for any more: nothing may leave."""


class Sender:
    """Takes deliveries one message at a time. ``mine`` are the owner's addresses."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        ledger: Ledger,
        *,
        carrier: Callable[[Delivery], Carrier],
        recheck: Callable[[Delivery], Decision],
        drafting: Drafting,
        guard: Guard,
        mine: frozenset[str],
    ) -> None:
        self._store = store
        self._clock = clock
        self._ledger = ledger
        self._carrier = carrier
        self._recheck = recheck
        self._drafting = drafting
        self._guard = guard
        self._mine = mine
        self._watermark = Watermark(store)
        self._closed: set[str] = set()

    def begin(self) -> None:
        """A new run: every place is tried anew."""
        self._closed.clear()

    def send(self, due: Delivery, report: SendReport) -> None:
        """Carry one due delivery, with those of its group, as far as they get.

        A fault in it never touches the next one. Raises StoreError.
        """
        carrier = self._carrier(due)
        if carrier.place(due) in self._closed:
            return
        party = self._within_limits(self._claim(due), report)
        begun = self._clock.now()
        party = self._looked_at(party, report)
        if not party:
            return
        looked = begun if len(party) > 1 else self._clock.now()
        parcel = self._prepared(carrier, party, report)
        if parcel is None and len(party) > 1:
            # perhaps one of them cannot be written: each by itself, so that it fails alone
            self._postpone(party[1:], self._clock.now(), "it could not share a message", report)
            party = party[:1]
            parcel = self._prepared(carrier, party, report)
        if parcel is not None:
            self._hand_over(party, parcel, carrier.place(due), report, looked)

    def _claim(self, due: Delivery) -> Party:
        """The delivery and whoever of its group was let through with it, all under one lease."""
        now, who = self._clock.now(), self._ledger.who
        with self._store.write() as conn:
            current = deliveries.get(conn, due.id)
            if current is None or current.next_try_at > now:
                return []  # it went with another of its group meanwhile
            leader = deliveries.claim(conn, due.id, who, now, LEASE)
            if leader is None:
                return []
            others = [one for one in deliveries.companions(conn, leader) if one.cleared_at is not None]
            claimed = [
                deliveries.claim(conn, one.id, who, now, LEASE) for one in others[: brakes.MOST_TOGETHER - 1]
            ]
        return [leader, *(one for one in claimed if one is not None)]

    def _within_limits(self, party: Party, report: SendReport) -> Party:
        """All or none: they share a recipient, and leave as one message."""
        if not party:
            return []
        leader, now = party[0], self._clock.now()
        with self._store.read() as conn:
            stopped = brakes.has_opted_out(conn, leader, self._mine)
            limit = brakes.wait(conn, leader, self._mine, self._guard, now)
        if stopped:
            self._ledger.settle(party, Event.SUPPRESS, report, why=brakes.ASKED_TO_STOP)
        elif limit is not None:
            self._postpone(party, limit.at, limit.why, report)
        else:
            return party
        return []

    def _looked_at(self, party: Party, report: SendReport) -> Party:
        """Those that may still go after a last look at each."""
        begun, going = self._clock.now(), []
        for one in party:
            if self._clock.now() - begun > LEASE / 2:
                self._postpone([one], self._clock.now(), "the others took long to look at", report)
            elif self._may_go(one, report):
                going.append(one)
        return going

    def _may_go(self, delivery: Delivery, report: SendReport) -> bool:
        if delivery.do == NOTICE:
            return True
        try:
            if not self._drafting.withdraw(delivery, report):
                return False
            decision = self._recheck(delivery)
        except StoreError:
            raise
        except ConnectorError as error:
            asked = error.retry_after if isinstance(error, Retryable) else None
            at = self._clock.now() + pause(delivery.attempts + 1, asked)
            self._postpone([delivery], at, str(error), report)
            return False
        except Exception as error:
            log.exception("a message could not be looked at again", id=delivery.id)
            self._push([delivery], error, report)
            return False
        if decision.at is not None:
            self._postpone([delivery], decision.at, decision.why, report)
        elif decision.state is not None:
            self._ledger.settle([delivery], DROPS[decision.state], report, why=decision.why)
        elif decision.kind == "hold":
            mode = decision.mode or delivery.mode
            self._ledger.settle([delivery], Event.HOLD, report, why=decision.why, mode=mode)
        return decision.kind == "go"

    def _prepared(self, carrier: Carrier, party: Party, report: SendReport) -> Parcel | None:
        """What leaves; None when it cannot be prepared, which is settled unless there are several."""
        try:
            return carrier.prepare(party)
        except StoreError:
            raise
        except Exception as error:
            if len(party) > 1:
                log.info("several messages cannot be prepared as one", ids=[one.id for one in party])
            elif isinstance(error, Retryable):
                at = self._clock.now() + pause(party[0].attempts + 1, error.retry_after)
                self._postpone(party, at, str(error), report)
            elif isinstance(error, ConnectorError):
                self._ledger.settle(party, Event.REFUSE, report, why=str(error))
            else:
                log.exception("a message could not be prepared", id=party[0].id)
                self._push(party, error, report)
        return None

    def _hand_over(
        self, party: Party, parcel: Parcel, place: str, report: SendReport, looked: datetime
    ) -> None:
        kept = self._keep(party, parcel)
        if not kept:
            return
        committing, passed = self._fence(kept, looked, report), False

        def commit() -> None:
            nonlocal passed
            committing()
            passed = True

        try:
            receipt = parcel.hand_over(commit)
        except StoreAway as error:
            if passed:
                raise
            # whatever became of that commit: the server was given no chance to keep it
            at = self._clock.now() + pause(kept[0].attempts, None)
            self._ledger.settle(kept, Event.FAIL, report, why=str(error), next_try_at=at)
        except StoreError:
            raise
        except _FencedError:
            log.info("a message was stopped before its final dot", ids=[one.id for one in kept])
        except ConnectorError as error:
            self._after_error(kept, error, place, report)
        except Exception as error:
            log.exception("handing over failed", id=kept[0].id)
            self._after_fault(kept, error, report)
        else:
            self._accepted(kept, receipt, report)

    def _keep(self, party: Party, parcel: Parcel) -> Party:
        """Make what is about to leave durable; nothing when somebody has taken one of them from us."""
        leader = party[0]
        try:
            with self._store.write() as conn:
                for one, offered in zip(party, parcel.offered, strict=True):
                    kept = deliveries.fill(
                        conn,
                        one.id,
                        mine=self._ledger.who,
                        attempts=one.attempts + 1,
                        subject=parcel.subject,
                        message_id=parcel.message_id,
                        raw=parcel.raw if one is leader else None,
                        offered=offered,
                        carried_by=None if one is leader else leader.id,
                    )
                    _insist(ours=kept)
                found = [deliveries.get(conn, one.id) for one in party]
        except _FencedError:
            log.info("a message was no longer ours to send", ids=[one.id for one in party])
            return []
        return [one for one in found if one is not None]

    def _fence(self, party: Party, looked: datetime, report: SendReport) -> Callable[[], None]:
        """What makes ``committing`` durable, and stops a message that is not ours or not true any more.

        ``looked`` is when its meetings were last looked at. Those that may still go wait for the next run.
        """

        def committing() -> None:
            if self._clock.now() - looked > FRESH:
                going = [self._may_go(one, report) for one in party]  # each is settled by itself
                _insist(ours=all(going))
            now = self._clock.now()
            with self._store.write() as conn:
                for one in party:
                    current = deliveries.get(conn, one.id)
                    lease = current.lease_until if current else None
                    _insist(ours=lease is not None and now < min(lease, one.until))
                    try:
                        moved = deliveries.move(conn, one.id, Event.COMMIT, now, mine=self._ledger.who)
                    except ForbiddenMove as error:
                        raise _FencedError from error
                    _insist(ours=moved)
                count = self._watermark.rise(conn)
            self._watermark.keep(count)

        return committing

    def _accepted(self, party: Party, receipt: Receipt, report: SendReport) -> None:
        words = receipt.refused.get(party[0].to)
        if words is not None:
            self._ledger.settle(party, Event.REFUSE, report, why=words)
            return
        # whoever took it over meanwhile could only doubt; the server's word settles that
        self._ledger.settle(party, Event.ACCEPT, report, lease=None, sent_at=self._clock.now())

    def _after_error(self, party: Party, error: ConnectorError, place: str, report: SendReport) -> None:
        """The other side said what happened; all but a doubt means that nothing was kept."""
        repeatable = party[0].do in REPEATABLE
        if isinstance(error, Uncertain) and not repeatable and self._is_committed(party):
            self._ledger.settle(party, Event.DOUBT, report, why=str(error))
        elif isinstance(error, Retryable | NeedsLogin | Uncertain):
            self._fail(party, error, place, report)
        else:
            self._ledger.settle(party, Event.REFUSE, report, why=str(error))

    def _after_fault(self, party: Party, error: Exception, report: SendReport) -> None:
        """Something of ours broke: whether the message left depends on how far it came."""
        if not self._is_committed(party):
            self._push(party, error, report)
        elif party[0].do in REPEATABLE:
            report.failed += [(one.id, f"{type(error).__name__}: {error}") for one in party]
            at = self._clock.now() + PUSHED
            self._ledger.settle(party, Event.FAIL, report, why=_fault(error), next_try_at=at)
        else:
            why = f"rebookd failed ({type(error).__name__}) while it was on its way"
            self._ledger.settle(party, Event.DOUBT, report, why=why)

    def _is_committed(self, party: Party) -> bool:
        with self._store.read() as conn:
            current = deliveries.get(conn, party[0].id)
        return current is not None and current.state is State.COMMITTING

    def _fail(self, party: Party, error: ConnectorError, place: str, report: SendReport) -> None:
        """Certainly not kept: try again later. A place out of reach is left alone for this run."""
        asked = error.retry_after if isinstance(error, Retryable) else None
        at = self._clock.now() + pause(party[0].attempts, asked)
        self._ledger.settle(party, Event.FAIL, report, why=str(error), next_try_at=at)
        if isinstance(error, Unreachable | NeedsLogin):
            self._closed.add(place)
            if place == MAIL:
                report.stopped, report.trouble = str(error), error

    def _postpone(self, party: Sequence[Delivery], at: datetime, why: str, report: SendReport) -> None:
        for one in party:
            until = min(at, one.until)
            self._ledger.settle([one], Event.POSTPONE, report, why=why, next_try_at=until)

    def _push(self, party: Party, error: Exception, report: SendReport) -> None:
        report.failed += [(one.id, f"{type(error).__name__}: {error}") for one in party]
        self._postpone(party, self._clock.now() + PUSHED, _fault(error), report)


def _insist(*, ours: bool) -> None:
    if not ours:
        raise _FencedError


def _fault(error: Exception) -> str:
    return f"it could not be prepared ({type(error).__name__}); rebookd's log has the details"


def pause(attempts: int, asked: float | None) -> timedelta:
    """How long to wait after so many attempts: 1, 2, 4 … 60 minutes, or as long as the server asked."""
    usual = min(FIRST_PAUSE * (1 << min(max(attempts - 1, 0), 10)), LONGEST_PAUSE)
    return max(usual, min(timedelta(seconds=asked or 0), MOST_OBEYED))


def carriers_by_do(mail: Carrier, others: Mapping[str, Carrier]) -> Callable[[Delivery], Carrier]:
    """Who carries a delivery: by its ``do``, and mail for everything that names no other."""
    return lambda delivery: others[delivery.do] if delivery.do in ACTIONS and delivery.do in others else mail
