"""Drafts in the owner's mailbox: laid down, looked after, and taken away once they are no longer wanted.

A delivery of a rule in ``mode: draft`` stays held while its draft lies there. What becomes of the draft
by the owner's hand becomes of the delivery, and the other way round. That a draft may lie there is
durable before it is laid, and stays so until it is known to be gone.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import structlog

from connectors.base import ConnectorError, Drafts, DraftState, Rejected, Retryable
from daemon import brakes
from daemon.carriers import Compose, make_sure
from daemon.clock import Clock
from daemon.ledger import Ledger
from daemon.outbox_notices import tell_flood
from daemon.outcome import Decision, SendReport
from daemon.store import deliveries, demotions, drafts
from daemon.store.deliveries import Delivery
from daemon.store.drafts import Draft
from daemon.store.engine import Store
from daemon.store.errors import StoreError
from rules.delivery import Event, ForbiddenMove, State
from rules.model import Interval
from rules.policy import Guard

log = structlog.get_logger()

LOOK_EVERY = timedelta(minutes=10)
"""How often a draft is looked after."""

FIRST_REST = timedelta(minutes=1)
LONGEST_REST = timedelta(minutes=30)
"""How long the mailbox is left alone after it failed."""

MOST_TIME = timedelta(minutes=1)
"""How long one run looks after drafts."""

PUSHED = timedelta(hours=1)
"""How far a draft that cannot be written is pushed ahead."""

IN_MAILBOX = "a draft in your mailbox"
DELETED = "you deleted the draft"

_ENDS = {
    State.LAPSED: Event.LAPSE,
    State.SUPERSEDED: Event.SUPERSEDE,
    State.SUPPRESSED: Event.SUPPRESS,
}


class Drafting:
    """Looks after the drafts of one mailbox; does nothing where there is none (``box`` is None)."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        ledger: Ledger,
        box: Drafts | None,
        *,
        recheck: Callable[[Delivery], Decision],
        compose: Compose,
        guard: Guard,
        mine: frozenset[str],
        tell: str,
        stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        self._store = store
        self._clock = clock
        self._ledger = ledger
        self._box = box
        self._recheck = recheck
        self._compose = compose
        self._guard = guard
        self._mine = mine
        self._tell = tell
        self._stopping = stopping
        self._rests: Interval | None = None
        self._failures = 0

    def run(self, report: SendReport) -> None:
        """Lay down and look after what is due. Raises StoreError, and nothing else."""
        now = self._clock.now()
        if self._box is None or (self._rests is not None and self._rests.start <= now < self._rests.end):
            return
        with self._store.read() as conn:
            known = drafts.list_(conn)
            due = deliveries.drafts(conn, now)
            leftover = deliveries.ended(conn, known)
        due = self._unless_flood(due, known, now)
        try:
            for one in due:
                if not self._is_over(now):
                    self._attend(self._box, one, known.get(one.id), report)
            for one in leftover:
                if not self._is_over(now):
                    self._clear_away(self._box, one, known[one.id], report)
        except ConnectorError as error:
            asked = error.retry_after if isinstance(error, Retryable) else None
            rest = max(
                min(FIRST_REST * (1 << min(self._failures, 10)), LONGEST_REST), timedelta(seconds=asked or 0)
            )
            self._failures += 1
            self._rests = Interval(self._clock.now(), self._clock.now() + rest)
            log.warning("the mailbox of drafts is left alone for a while", error=str(error))
        else:
            self._failures = 0

    def _is_over(self, begun: datetime) -> bool:
        """Whether the rest must wait for the next run: other messages want to leave, too."""
        return self._stopping() or self._clock.now() - begun > MOST_TIME

    def withdraw(self, delivery: Delivery, report: SendReport) -> bool:
        """Take away the draft of what is about to be sent; False when the owner sent it by hand.

        Raises ConnectorError when nobody can say.
        """
        if self._box is None:
            return True
        with self._store.read() as conn:
            draft = drafts.get(conn, delivery.id)
        if draft is None:
            return True
        self._box.remove(draft.message_id)
        # asked only now: what is no longer there cannot be sent any more
        if self._box.state(draft.message_id) is DraftState.SENT:
            self._sent_by_hand(delivery, report, lease="")
            return False
        self._forget(delivery)
        return True

    def _unless_flood(self, due: list[Delivery], known: dict[int, Draft], now: datetime) -> list[Delivery]:
        """What is due, without new drafts where they are too many at once."""
        fresh = [one for one in due if one.id not in known]
        if len(fresh) <= self._guard.max_per_run:
            return due
        with self._store.write() as conn:
            for one in fresh:
                deliveries.move(conn, one.id, Event.DRAFT, now, error=brakes.FLOOD)
            tell_flood(conn, len(fresh), self._guard.max_per_run, self._tell, now)
        log.warning("a flood of drafts is held", drafts=len(fresh), allowed=self._guard.max_per_run)
        return [one for one in due if one.id in known]

    def _attend(self, box: Drafts, delivery: Delivery, draft: Draft | None, report: SendReport) -> None:
        """Do what one delivery needs. Raises ConnectorError when the mailbox does not do its part."""
        try:
            if draft is None:
                self._write(box, delivery, report)
            else:
                self._look_after(box, delivery, draft, report)
        except Rejected as error:
            self._wait(delivery, PUSHED, str(error))
        except ConnectorError as error:
            self._wait(delivery, FIRST_REST, str(error))
            raise
        except ForbiddenMove:
            log.info("a draft's message was settled elsewhere", id=delivery.id)
        except StoreError:
            raise
        except Exception as error:
            log.exception("a draft could not be looked after", id=delivery.id)
            report.failed.append((delivery.id, f"{type(error).__name__}: {error}"))
            why = f"its draft failed ({type(error).__name__}); rebookd's log has the details"
            self._wait(delivery, PUSHED, why)

    def _write(self, box: Drafts, delivery: Delivery, report: SendReport) -> None:
        if not self._is_wanted(delivery, report):
            return
        try:
            mail = self._compose(delivery, ())
        except ConnectorError as error:
            self._wait(delivery, PUSHED, str(error))
            return
        make_sure(delivery, mail)
        now = self._clock.now()
        with self._store.write() as conn:
            deliveries.move(
                conn,
                delivery.id,
                Event.DRAFT,
                now,
                message_id=mail.message_id,
                subject=mail.subject,
                raw=mail.raw,
                offered=mail.offered,
                error=delivery.error,
            )
            drafts.laying(conn, delivery.id, mail.message_id)
            current = deliveries.get(conn, delivery.id)
        if current is not None:
            draft = Draft(delivery=delivery.id, message_id=mail.message_id, laid=False)
            self._lay(box, current, draft)

    def _lay(self, box: Drafts, delivery: Delivery, draft: Draft) -> None:
        with self._store.read() as conn:
            current = deliveries.get(conn, delivery.id)
        box.put(_marked(current.raw or b"" if current else b"", draft.message_id), draft.message_id)
        with self._store.write() as conn:
            drafts.laid(conn, draft)
        self._wait(delivery, LOOK_EVERY, IN_MAILBOX)
        log.info("a draft was put into the mailbox", id=delivery.id, to=delivery.to)

    def _look_after(self, box: Drafts, delivery: Delivery, draft: Draft, report: SendReport) -> None:
        match box.state(draft.message_id):
            case DraftState.SENT:
                self._sent_by_hand(delivery, report, lease=None)
            case DraftState.GONE if draft.laid:
                self._ledger.settle([delivery], Event.SUPPRESS, report, why=DELETED, lease=None)
                self._forget(delivery)
            case DraftState.GONE:
                if self._is_wanted(delivery, report):
                    self._lay(box, delivery, draft)
            case DraftState.WAITING:
                if self._is_wanted(delivery, report):
                    with self._store.write() as conn:
                        drafts.laid(conn, draft)
                    self._wait(delivery, LOOK_EVERY, IN_MAILBOX)
                else:
                    self._clear_away(box, delivery, draft, report)

    def _is_wanted(self, delivery: Delivery, report: SendReport) -> bool:
        """Whether the meeting still calls for it; what it does not call for is settled."""
        if self._clock.now() >= delivery.until:
            why = "its step was over before you sent it"
            self._ledger.settle([delivery], Event.LAPSE, report, why=why, lease=None)
            return False
        with self._store.read() as conn:
            stopped = brakes.has_opted_out(conn, delivery, self._mine)
        if stopped:
            self._ledger.settle([delivery], Event.SUPPRESS, report, why=brakes.ASKED_TO_STOP, lease=None)
            return False
        decision = self._recheck(delivery)
        if decision.state is not None:
            self._ledger.settle([delivery], _ENDS[decision.state], report, why=decision.why, lease=None)
        elif decision.at is not None:
            with self._store.read() as conn:
                lies = drafts.get(conn, delivery.id) is not None
            if not lies:
                self._wait(delivery, decision.at - self._clock.now(), decision.why)
            return lies
        return decision.state is None

    def _clear_away(self, box: Drafts, delivery: Delivery, draft: Draft, report: SendReport) -> None:
        """Remove the draft of what came to an end, unless the owner was quicker."""
        box.remove(draft.message_id)
        if box.state(draft.message_id) is DraftState.SENT:
            self._sent_by_hand(delivery, report, lease=None)
        else:
            self._forget(delivery)

    def _sent_by_hand(self, delivery: Delivery, report: SendReport, *, lease: str | None) -> None:
        self._ledger.settle([delivery], Event.BY_HAND, report, lease=lease, sent_at=self._clock.now())
        with self._store.write() as conn:
            drafts.gone(conn, delivery.id)
            demotions.approved(conn, delivery.rule)

    def _forget(self, delivery: Delivery) -> None:
        with self._store.write() as conn:
            drafts.gone(conn, delivery.id)

    def _wait(self, delivery: Delivery, span: timedelta, why: str) -> None:
        """Look at it again after ``span``, if it is still held; that is no change of what it is."""
        now = self._clock.now()
        with self._store.write() as conn:
            current = deliveries.get(conn, delivery.id)
            if current is not None and current.state is State.HELD:
                at = min(now + span, delivery.until)
                since = current.changed_at
                deliveries.move(conn, delivery.id, Event.DRAFT, since, error=why, next_try_at=at)


def _marked(raw: bytes, message_id: str) -> bytes:
    """The message with a second name, for mail programs that give it a Message-ID of their own."""
    return f"X-Rebookd-Id: {message_id[1:-1]}\r\n".encode() + raw
