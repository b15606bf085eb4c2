"""The last look before a mail leaves: read the meeting again, and ask the rules again (P4)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from datetime import timedelta

import structlog

from connectors.base import CalendarConnector, ConnectorError, Retryable
from daemon import horizon
from daemon.clock import Clock
from daemon.decide import WAITS, Decider
from daemon.outcome import Decision
from daemon.store import agenda, calendars
from daemon.store.deliveries import NOTICE, Delivery
from daemon.store.engine import Store
from rules.delivery import ANSWERED, State
from rules.model import Address, CalendarRef, Occurrence, OccurrenceKey, Plan, Snapshot
from rules.plan import evaluate
from rules.policy import Mode, Policy
from rules.steps import timed

log = structlog.get_logger()

WAIT = timedelta(minutes=2)
"""How long a message waits when its meeting cannot be read again."""

MOST = 6
"""How many other resources (copies, rivals of a clash) are read again for one message."""

Connect = Callable[[str], CalendarConnector]
Place = tuple[CalendarRef, str]


class Recheck:
    """Reads a delivery's meeting from its server and evaluates it anew. For one thread.

    ``mine`` are the owner's addresses: what they accepted and then vanishes may have been cancelled.
    """

    def __init__(
        self,
        store: Store,
        decider: Decider,
        connect: Connect,
        clock: Clock,
        *,
        mine: Collection[Address] = (),
    ) -> None:
        self._mine = mine
        self._store = store
        self._decider = decider
        self._connect = connect
        self._clock = clock

    def __call__(self, delivery: Delivery) -> Decision:
        """Whether it may leave now. Never raises for anything a server did."""
        if delivery.key is None or delivery.do == NOTICE or delivery.do in ANSWERED:
            return Decision.go()  # no rule asks for it, so none can say that it is no longer wanted
        with self._store.read() as conn:
            subject = agenda.meeting(conn, delivery.key, delivery.people)
            if subject is None:
                return Decision.drop(State.SUPERSEDED, "the meeting is gone")
            related = self._decider.snapshot(conn, [subject], self._clock.now()).context
        try:
            if not self._refresh(subject):
                return self._until_a_poll_agrees(delivery, "the meeting")
        except ConnectorError as error:
            asked = error.retry_after if isinstance(error, Retryable) else None
            wait = max(WAIT, timedelta(seconds=asked or 0))
            return Decision.later(self._clock.now() + wait, f"the meeting cannot be read: {error}")
        return self._judge(delivery, delivery.key, gone=self._refresh_others(subject, related))

    def _judge(self, delivery: Delivery, key: OccurrenceKey, gone: set[Place]) -> Decision:
        now = self._clock.now()
        if now >= delivery.until:
            return Decision.drop(State.LAPSED, "its time passed")
        with self._store.read() as conn:
            subject = agenda.meeting(conn, key, delivery.people)
            if subject is None:
                return Decision.drop(State.SUPERSEDED, "this occurrence is gone")
            seen = _without(self._decider.snapshot(conn, [subject], now), gone)
            policy = self._decider.policy(conn, now)
        seen.done.pop(delivery.intent_key, None)
        plan = evaluate(seen, policy, now)
        for one in plan.intents:
            if one.intent_key == delivery.intent_key:
                return _go_as_far_as(one.mode, delivery)
        for held in plan.withheld:
            if (held.rule, held.step, held.to) == (delivery.rule, delivery.step, delivery.to):
                return Decision.later(held.until or now + WAIT, held.why)
        if delivery.start is not None and subject.start_utc != delivery.start:
            return Decision.drop(State.SUPERSEDED, "the meeting was moved")
        if self._is_wanted_late(delivery, subject, plan, policy):
            return Decision.go()
        if gone:
            return self._until_a_poll_agrees(delivery, "a meeting that this is about")
        return Decision.drop(State.SUPERSEDED, "the meeting no longer calls for it")

    def _until_a_poll_agrees(self, delivery: Delivery, what: str) -> Decision:
        """Wait: that one answer does not know a meeting may be the fault of a server that knows none."""
        now = self._clock.now()
        if now >= delivery.until:
            return Decision.drop(State.LAPSED, "its time passed")
        return Decision.later(now + WAIT, f"{what} is not there; the next poll decides")

    def _is_wanted_late(self, delivery: Delivery, subject: Occurrence, plan: Plan, policy: Policy) -> bool:
        """Whether the owner asked for it after its step had passed, and its rule still holds."""
        rule = next((rule for rule in policy.rules if rule.name == delivery.rule), None)
        if rule is None:
            return False
        turns = [
            one
            for one in timed(rule, subject, self._decider.hours)
            if (one.step.step, one.turn) == (delivery.step, delivery.turn)
        ]
        if not turns or delivery.until <= turns[0].until:
            return False
        return any(one.rule == delivery.rule and one.key == delivery.key for one in plan.findings)

    def _refresh_others(self, subject: Occurrence, related: Iterable[Occurrence]) -> set[Place]:
        """Read copies and rivals again; those that are gone."""
        gone: set[Place] = set()
        for one in _others(subject, related):
            try:
                if not self._refresh(one):
                    gone.add((one.key.calendar, one.href))
            except ConnectorError as error:
                log.info("a related meeting cannot be read again", uid=one.key.uid, error=str(error))
        return gone

    def _refresh(self, occurrence: Occurrence) -> bool:
        """Read one meeting again and take in what changed; whether it is still there.

        What is gone is left for the next poll to remove: one answer is too little to forget it. What is only
        remembered cannot be read again.
        """
        if not occurrence.href:
            return True
        ref, now = occurrence.key.calendar, self._clock.now()
        found = self._connect(ref.account).read(ref, occurrence.href, horizon.window(now))
        if found is None:
            return False
        with self._store.write() as conn:
            calendars.reread(conn, ref, occurrence.href, found, now, mine=self._mine)
        return True


def _go_as_far_as(mode: str, delivery: Delivery) -> Decision:
    """What went by itself when it was queued waits where its rule goes less far by now."""
    if delivery.mode == Mode.AUTO and mode in WAITS:
        return Decision.hold(WAITS[Mode(mode)], mode)
    return Decision.go()


def _without(seen: Snapshot, gone: set[Place]) -> Snapshot:
    context = tuple(one for one in seen.context if (one.key.calendar, one.href) not in gone)
    return replace(seen, context=context)


def _others(subject: Occurrence, related: Iterable[Occurrence]) -> list[Occurrence]:
    """Copies first, then whatever overlaps; each resource once, and not too many."""
    mine = (subject.key.calendar, subject.href)
    found: dict[Place, Occurrence] = {}
    for one in sorted(related, key=lambda one: (one.identity != subject.identity, one.start_utc)):
        is_related = one.identity == subject.identity or (
            one.start_utc < subject.end_utc and subject.start_utc < one.end_utc
        )
        place = (one.key.calendar, one.href)
        if is_related and place != mine:
            found.setdefault(place, one)
    return list(found.values())[:MOST]
