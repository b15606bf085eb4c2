"""From the store to the outbox: judge what changed or came due, and once more just before sending."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import structlog
from sqlalchemy import Connection

from daemon.attendance import within
from daemon.config.settings import Settings
from daemon.standing import in_force
from daemon.store import agenda, answers, attendance, calendars, contacts, deliveries, records, restored
from daemon.store.engine import Store
from daemon.surroundings import Gatherer
from rules.delivery import State
from rules.hours import WorkingHours
from rules.model import (
    Account,
    CalendarSeen,
    Intent,
    Met,
    Occurrence,
    OccurrenceKey,
    Plan,
    Snapshot,
)
from rules.plan import evaluate
from rules.policy import Mode, Policy

log = structlog.get_logger()

BATCH = 500
PUSHED = timedelta(hours=1)
"""How far an occurrence that makes the decision fail is pushed ahead, so that it cannot spin."""

WAITS = {Mode.APPROVE: "waits for your approval", Mode.DRAFT: "a draft: it leaves when you approve it"}
"""Why a message is held at once, by how far its rule may go."""


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
        self._gatherer = Gatherer(settings.policy, settings.owner)

    @property
    def hours(self) -> WorkingHours:
        """The owner's working hours, in which business days are counted."""
        return self._settings.owner.hours

    @property
    def asks_of_contacts(self) -> bool:
        """Whether any rule is about people gone quiet."""
        return self._gatherer.asks_of_contacts

    def policy(self, conn: Connection, now: datetime) -> Policy:
        """The rules with what the owner has said since: silences, opt-outs, demotions."""
        return in_force(conn, self._settings.policy, now)

    def tick(self, now: datetime, *, stopping: Callable[[], bool] = lambda: False) -> Decided:
        """Judge everything due at ``now`` (UTC), batch by batch, and store what should be sent."""
        decided = Decided()
        while not stopping():
            with self._store.read() as conn:
                due = self._due(conn, now)
                if not due:
                    break
                seen = self.snapshot(conn, due, now)
                policy = self.policy(conn, now)
            plan = self._evaluate(seen, policy, now, decided)
            with self._store.write() as conn:
                self._put(conn, plan, now)
            decided.judged += len(due)
            decided.planned += plan.intents
        return decided

    def _due(self, conn: Connection, now: datetime) -> list[Occurrence]:
        """The meetings to look at: those whose time has come, and those last held with people in question."""
        due = agenda.due(conn, now, BATCH)
        if not self.asks_of_contacts:
            return due
        return [*due, *self.last_held(conn, now, BATCH, besides={one.key for one in due})]

    def last_held(
        self, conn: Connection, until: datetime, most: int, besides: Collection[OccurrenceKey] = ()
    ) -> list[Occurrence]:
        """The meetings last held with people who want to be looked at by ``until`` (UTC).

        As the calendar shows them, or as they are remembered where it no longer does.
        """
        if not self.asks_of_contacts:
            return []
        lasts = {one.last.key: one.last for one in contacts.due(conn, until, most) if one.last is not None}
        wanted = {key: one for key, one in lasts.items() if key not in besides}
        return list((wanted | agenda.get(conn, wanted)).values())

    def _put(self, conn: Connection, plan: Plan, now: datetime) -> None:
        auto = [one for one in plan.intents if one.mode == Mode.AUTO]
        deliveries.add(conn, auto, now)
        for mode, why in WAITS.items():
            waiting = [one for one in plan.intents if one.mode == mode]
            deliveries.add(conn, waiting, now, state=State.HELD, error=why)
        agenda.set_wake(conn, plan.wake_at)
        contacts.set_wake(conn, plan.wake_at)
        remember(conn, plan, now)

    def _evaluate(self, seen: Snapshot, policy: Policy, now: datetime, decided: Decided) -> Plan:
        """The plan; an occurrence that makes it fail is left out and pushed ahead."""
        try:
            return evaluate(seen, policy, now, foresee=False)
        except Exception:
            log.exception("a decision failed, judging one by one")
        plan = Plan(now=now)
        for one in seen.subjects:
            try:
                found = evaluate(replace(seen, subjects=(one,)), policy, now, foresee=False)
            except Exception as error:
                log.exception("one occurrence cannot be judged", uid=one.key.uid)
                decided.failed.append((one.key, str(error)))
                found = Plan(now=now, wake_at={one.key: now + PUSHED})
            plan = _joined(plan, found)
        return plan

    def snapshot(self, conn: Connection, subjects: Sequence[Occurrence], now: datetime) -> Snapshot:
        """The subjects with everything their detectors look at."""
        around = self._gatherer.gather(conn, subjects, now)
        return replace(self.frame(conn, subjects, around.meetings), contacts=around.contacts)

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
                records_within=within(self._settings, name),
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
            records=records.of(conn, identities),
            done=deliveries.done(conn, identities),
            acknowledgements=answers.acknowledgements(conn, identities),
            restored=restored.of(conn),
            calendars={
                row.ref: CalendarSeen(name=row.name, seen_at=row.seen_at, first_seen_at=row.first_seen_at)
                for row in calendars.calendars(conn)
            },
        )


def remember(conn: Connection, plan: Plan, now: datetime) -> bool:
    """Add to the history with people what the plan noted; whether that was news."""
    words = [
        contacts.Word(one.address, one.encounter, one.occurrence if one.encounter.met is Met.HELD else None)
        for one in plan.noted
    ]
    return contacts.note_all(conn, words, now)


def _joined(plan: Plan, other: Plan) -> Plan:
    return replace(
        plan,
        intents=(*plan.intents, *other.intents),
        findings=(*plan.findings, *other.findings),
        wake_at=plan.wake_at | other.wake_at,
        noted=(*plan.noted, *other.noted),
    )
