"""From the store to the outbox: judge what changed or came due, and once more just before sending."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import structlog
from sqlalchemy import Connection

from daemon.config.settings import Settings
from daemon.store import agenda, attendance, calendars, deliveries
from daemon.store.engine import Store
from rules.delivery import State
from rules.hours import WorkingHours
from rules.model import (
    Account,
    CalendarSeen,
    Intent,
    Interval,
    Occurrence,
    OccurrenceKey,
    Plan,
    Snapshot,
)
from rules.people import required_people
from rules.plan import evaluate
from rules.policy import Conflict, Missed, Mode, Policy

log = structlog.get_logger()

BATCH = 500
PUSHED = timedelta(hours=1)
"""How far an occurrence that makes the decision fail is pushed ahead, so that it cannot spin."""

KNOT_ROUNDS = 4
"""How often the search for overlapping meetings widens to those that overlap what it found."""

MOST_OVERLAPS = 5000
"""More overlapping meetings than this are not looked at."""

_HELD = {Mode.APPROVE: "waits for your approval", Mode.DRAFT: "a draft: it leaves when you approve it"}


@dataclass(slots=True)
class Decided:
    """What one tick did."""

    judged: int = 0
    planned: list[Intent] = field(default_factory=list)
    failed: list[tuple[OccurrenceKey, str]] = field(default_factory=list)


class Decider:
    """Evaluates slices of the store under one configuration."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        self._settings = settings
        detectors = {type(rule.when) for rule in settings.policy.rules}
        self._needs_overlaps = Conflict in detectors
        self._needs_people = Missed in detectors

    @property
    def policy(self) -> Policy:
        """The rules it decides by."""
        return self._settings.policy

    @property
    def hours(self) -> WorkingHours:
        """The owner's working hours, in which business days are counted."""
        return self._settings.owner.hours

    def tick(self, now: datetime, *, stopping: Callable[[], bool] = lambda: False) -> Decided:
        """Judge everything due at ``now`` (UTC), batch by batch, and store what should be sent."""
        decided = Decided()
        while not stopping():
            with self._store.read() as conn:
                due = agenda.due(conn, now, BATCH)
                if not due:
                    break
                seen = self.snapshot(conn, due, now)
            plan = self._evaluate(seen, now, decided)
            with self._store.write() as conn:
                self._put(conn, plan, now)
            decided.judged += len(due)
            decided.planned += plan.intents
        return decided

    def _put(self, conn: Connection, plan: Plan, now: datetime) -> None:
        auto = [one for one in plan.intents if one.mode == Mode.AUTO]
        deliveries.add(conn, auto, now)
        for mode, why in _HELD.items():
            waiting = [one for one in plan.intents if one.mode == mode]
            deliveries.add(conn, waiting, now, state=State.HELD, error=why)
        agenda.set_wake(conn, plan.wake_at)

    def _evaluate(self, seen: Snapshot, now: datetime, decided: Decided) -> Plan:
        """The plan; an occurrence that makes it fail is left out and pushed ahead."""
        try:
            return evaluate(seen, self.policy, now, foresee=False)
        except Exception:
            log.exception("a decision failed, judging one by one")
        plan = Plan(now=now)
        for one in seen.subjects:
            try:
                found = evaluate(replace(seen, subjects=(one,)), self.policy, now, foresee=False)
            except Exception as error:
                log.exception("one occurrence cannot be judged", uid=one.key.uid)
                decided.failed.append((one.key, str(error)))
                found = Plan(now=now, wake_at={one.key: now + PUSHED})
            plan = _joined(plan, found)
        return plan

    def snapshot(self, conn: Connection, subjects: Sequence[Occurrence], now: datetime) -> Snapshot:
        """The subjects with everything their detectors look at."""
        context = {one.key: one for one in agenda.copies(conn, [one.key for one in subjects])}
        if self._needs_overlaps:
            for one in self._knots(conn, [one for one in subjects if one.end_utc > now]):
                context[one.key] = one
        if self._needs_people:
            for one in self._later_meetings(conn, [one for one in subjects if one.end_utc <= now]):
                context[one.key] = one
        for one in subjects:
            context.pop(one.key, None)
        return self.frame(conn, subjects, tuple(context.values()))

    def frame(
        self, conn: Connection, subjects: Iterable[Occurrence], context: tuple[Occurrence, ...] = ()
    ) -> Snapshot:
        """A snapshot of these occurrences with what is known of their accounts and past."""
        subjects = tuple(subjects)
        identities = {one.identity for one in subjects}
        rows = calendars.accounts(conn)
        accounts = {
            name: replace(
                account,
                seen_at=rows[name].seen_at if name in rows else None,
                first_seen_at=rows[name].first_seen_at if name in rows else None,
            )
            for name, account in self._settings.seen_accounts().items()
        }
        for one in (*subjects, *context):
            name = one.key.calendar.account
            accounts.setdefault(name, Account(name=name))
        return Snapshot(
            owner=self._settings.owner,
            accounts=accounts,
            subjects=subjects,
            context=context,
            attendance=attendance.marks(conn, identities),
            done=deliveries.done(conn, identities),
            calendars={
                row.ref: CalendarSeen(name=row.name, seen_at=row.seen_at, first_seen_at=row.first_seen_at)
                for row in calendars.calendars(conn)
            },
        )

    def _knots(self, conn: Connection, subjects: list[Occurrence]) -> list[Occurrence]:
        """Every meeting that overlaps one of these, directly or through others."""
        found: dict[OccurrenceKey, Occurrence] = {}
        asked: set[Interval] = set()
        spans = _merged(Interval(one.start_utc, one.end_utc) for one in subjects)
        for _ in range(KNOT_ROUNDS):
            wider = [span for span in spans if span not in asked]
            if not wider:
                break
            asked.update(wider)
            for span in wider:
                for one in agenda.overlapping(conn, span.start, span.end, MOST_OVERLAPS):
                    found.setdefault(one.key, one)
            spans = _merged(Interval(one.start_utc, one.end_utc) for one in (*subjects, *found.values()))
        return list(found.values())

    def _later_meetings(self, conn: Connection, subjects: list[Occurrence]) -> list[Occurrence]:
        """Meetings with the people of these that start later."""
        people = {person.address for one in subjects for person in required_people(one, self._settings.owner)}
        if not people:
            return []
        since = min(one.start_utc for one in subjects)
        return agenda.with_people(conn, sorted(people), since)


def _joined(plan: Plan, other: Plan) -> Plan:
    return replace(
        plan,
        intents=(*plan.intents, *other.intents),
        findings=(*plan.findings, *other.findings),
        wake_at=plan.wake_at | other.wake_at,
    )


def _merged(spans: Iterable[Interval]) -> list[Interval]:
    """The same time in as few intervals as possible."""
    merged: list[Interval] = []
    for span in sorted(spans, key=lambda one: (one.start, one.end)):
        if merged and span.start <= merged[-1].end:
            merged[-1] = Interval(merged[-1].start, max(merged[-1].end, span.end))
        else:
            merged.append(span)
    return merged
