"""What would be sent now and what is next, worked out on a copy of the store."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from connectors.base import Rejected
from daemon import horizon
from daemon.brakes import MOST_TOGETHER
from daemon.carriers import Parcel
from daemon.decide import remember
from daemon.mail.message import Mail
from daemon.office import Office
from daemon.poll import Progress, Trouble
from daemon.store import agenda, deliveries
from rules.delivery import State
from rules.model import Account, Identity, Intent, Interval, Plan, Snapshot, Upcoming, Withheld
from rules.plan import evaluate
from rules.policy import Mode

Written = Mail | Parcel | Rejected

MOST_CONTACTS = 1000
"""Of how many people it is looked whether they have gone quiet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Foresight:
    """The answer of ``rebookd plan``. ``held`` wait for the owner's word before they leave."""

    now: datetime
    intents: tuple[Intent, ...]
    held: tuple[Intent, ...]
    upcoming: tuple[Upcoming, ...]
    withheld: tuple[Withheld, ...]
    troubles: tuple[Trouble, ...]


def foresee(office: Office, at: datetime | None = None, progress: Progress | None = None) -> Foresight:
    """Poll into the office's store (a copy!) and evaluate everything, now or at another time.

    At another time every account is taken as just read, and what is queued by then as left.
    """
    now = office.clock.now()
    reports = office.poll_all(progress)
    troubles = [trouble for report in reports for trouble in report.troubles]
    troubles += [
        Trouble(account=report.account, kind="unreadable", message=resource.broken, calendar=info.name)
        for report in reports
        for info, resource in report.broken
    ]
    then = at or now
    with office.store.read() as conn:
        waiting = [*deliveries.list_(conn, State.PENDING), *deliveries.list_(conn, State.RETRYING)]
    plan = _evaluated(office, then, as_just_read=at is not None)
    if office.decider.asks_of_contacts:
        with office.store.write() as conn:
            news = remember(conn, plan, then)
        if news:  # somebody may have gone quiet
            plan = _evaluated(office, then, as_just_read=at is not None)
    queued = [one.intent for one in waiting if one.key is not None and one.due <= then < one.until]
    auto = [one for one in plan.intents if one.mode == Mode.AUTO and not one.hold]
    return Foresight(
        now=then,
        intents=tuple(sorted([*queued, *auto], key=lambda one: (one.due, one.intent_key))),
        held=tuple(one for one in plan.intents if one.mode != Mode.AUTO or one.hold),
        upcoming=plan.upcoming,
        withheld=plan.withheld,
        troubles=tuple(troubles),
    )


def _evaluated(office: Office, then: datetime, *, as_just_read: bool) -> Plan:
    """The plan for everything in the store."""
    span = horizon.window(then)
    with office.store.read() as conn:
        subjects = agenda.between(conn, span.start, span.end)
        known = {one.key for one in subjects}
        subjects += office.decider.last_held(conn, span.end, MOST_CONTACTS, besides=known)
        policy = office.decider.policy(conn, then)
        seen = office.decider.snapshot(conn, subjects, then)
    return evaluate(_as_seen_at(seen, then) if as_just_read else seen, policy, then)


def write_all(office: Office, intents: Iterable[Intent], now: datetime) -> dict[str, Written]:
    """Each mail, label or webhook by its intent's key, as it would leave, or why it cannot be written.

    In order: a time offered in one is offered to nobody else. Intents of one group share a mail.
    """
    intents = list(intents)
    mails: dict[str, Written] = {
        one.intent_key: _deed(office, one) for one in intents if one.do in office.carriers
    }
    promised: list[tuple[Identity, Interval]] = []
    for party in _parties(one for one in intents if one.do not in office.carriers):
        leader, *others = party
        meetings = {one.identity for one in party}
        taken = [slot for identity, slot in promised if identity not in meetings]
        try:
            mail = office.scribe.write(leader, now, taken, others)
        except Rejected as error:
            mails |= dict.fromkeys((one.intent_key for one in party), error)
        else:
            mails |= dict.fromkeys((one.intent_key for one in party), mail)
            for one, slots in zip(party, mail.offered_for, strict=True):
                promised += [(one.identity, slot) for slot in slots]
    return mails


def _deed(office: Office, intent: Intent) -> Written:
    try:
        return office.carriers[intent.do].prepare([intent])
    except Rejected as error:
        return error


def _parties(intents: Iterable[Intent]) -> list[list[Intent]]:
    """Those that would share a mail, each party at the place of its first."""
    parties: dict[tuple[str, ...], list[Intent]] = {}
    for one in intents:
        alone = one.mode == Mode.DRAFT or not one.group
        key = (one.intent_key,) if alone else (one.group, one.to, one.mode)
        parties.setdefault(key, []).append(one)
    return [
        party[at : at + MOST_TOGETHER]
        for party in parties.values()
        for at in range(0, len(party), MOST_TOGETHER)
    ]


def _as_seen_at(seen: Snapshot, then: datetime) -> Snapshot:
    def fresh(account: Account) -> Account:
        return account if account.seen_at is None else replace(account, seen_at=then)

    return replace(
        seen,
        accounts={name: fresh(account) for name, account in seen.accounts.items()},
        calendars={ref: replace(one, seen_at=then) for ref, one in seen.calendars.items()},
    )
