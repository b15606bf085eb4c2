"""The last look before a mail leaves: read the meeting again, and ask the rules again (P4)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import timedelta

import structlog

from connectors.base import (
    CalendarConnector,
    CalendarInfo,
    Capabilities,
    ChangeSet,
    ConnectorError,
    Retryable,
)
from daemon import horizon
from daemon.clock import Clock
from daemon.decide import Decider
from daemon.outbox import Decision
from daemon.store import agenda, calendars
from daemon.store.deliveries import NOTICE, Delivery
from daemon.store.engine import Store
from rules.delivery import State
from rules.model import Occurrence, OccurrenceKey
from rules.plan import evaluate

log = structlog.get_logger()

WAIT = timedelta(minutes=2)
"""How long a message waits when its meeting cannot be read again."""

MOST = 6
"""How many other resources (copies, rivals of a clash) are read again for one message."""

Connect = Callable[[str], CalendarConnector]


class Recheck:
    """Reads a delivery's meeting from its server and evaluates it anew. For one thread."""

    def __init__(self, store: Store, decider: Decider, connect: Connect, clock: Clock) -> None:
        self._store = store
        self._decider = decider
        self._connect = connect
        self._clock = clock

    def __call__(self, delivery: Delivery) -> Decision:
        """Whether it may leave now. Never raises for anything a server did."""
        if delivery.key is None or delivery.do == NOTICE:
            return Decision.go()
        try:
            self._read_again(delivery.key)
        except Retryable as error:
            wait = timedelta(seconds=error.retry_after or 0)
            return Decision.later(self._clock.now() + max(WAIT, wait), f"the meeting cannot be read: {error}")
        except ConnectorError as error:
            return Decision.later(self._clock.now() + WAIT, f"the meeting cannot be read: {error}")
        return self._judge(delivery, delivery.key)

    def _judge(self, delivery: Delivery, key: OccurrenceKey) -> Decision:
        now = self._clock.now()
        if now >= delivery.until:
            return Decision.drop(State.LAPSED, "its time passed")
        with self._store.read() as conn:
            subject = agenda.get(conn, [key]).get(key)
            if subject is None:
                return Decision.drop(State.SUPERSEDED, "the meeting is gone")
            seen = self._decider.snapshot(conn, [subject], now)
        seen.done.pop(delivery.intent_key, None)
        plan = evaluate(seen, self._decider.policy, now)
        if any(one.intent_key == delivery.intent_key for one in plan.intents):
            return Decision.go()
        for held in plan.withheld:
            if (held.rule, held.step, held.to) == (delivery.rule, delivery.step, delivery.to):
                return Decision.later(held.until or now + WAIT, held.why)
        if delivery.start is not None and subject.start_utc != delivery.start:
            return Decision.drop(State.SUPERSEDED, "the meeting was moved")
        return Decision.drop(State.SUPERSEDED, "the meeting no longer calls for it")

    def _read_again(self, key: OccurrenceKey) -> None:
        """Read the meeting, its copies and what it clashes with, and take in what changed."""
        with self._store.read() as conn:
            subject = agenda.get(conn, [key]).get(key)
            if subject is None:
                return
            seen = self._decider.snapshot(conn, [subject], self._clock.now())
        self._refresh(subject)
        for one in _others(subject, seen.context):
            try:
                self._refresh(one)
            except ConnectorError as error:
                log.info("a related meeting cannot be read again", uid=one.key.uid, error=str(error))

    def _refresh(self, occurrence: Occurrence) -> None:
        ref = occurrence.key.calendar
        now = self._clock.now()
        span = horizon.window(now)
        found = self._connect(ref.account).read(ref, occurrence.href, span)
        with self._store.write() as conn:
            row = next((row for row in calendars.calendars(conn, ref.account) if row.ref == ref), None)
            if row is None:
                return
            changes = (
                ChangeSet(cursor=row.cursor, changed=(found,))
                if found is not None
                else ChangeSet(cursor=row.cursor, removed=frozenset({occurrence.href}))
            )
            info = CalendarInfo(ref=ref, name=row.name, capabilities=Capabilities(schedules=row.schedules))
            calendars.apply(conn, info, changes, now, row.horizon_end)


def _others(subject: Occurrence, context: Iterable[Occurrence]) -> list[Occurrence]:
    """Copies first, then whatever overlaps; each resource once, and not too many."""
    mine = (subject.key.calendar, subject.href)
    found: dict[object, Occurrence] = {}
    for one in sorted(context, key=lambda one: (one.identity != subject.identity, one.start_utc)):
        related = one.identity == subject.identity or (
            one.start_utc < subject.end_utc and subject.start_utc < one.end_utc
        )
        resource = (one.key.calendar, one.href)
        if related and resource != mine:
            found.setdefault(resource, one)
    return list(found.values())[:MOST]
