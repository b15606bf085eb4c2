"""Short ways to say what a test needs: owners, accounts, meetings, policies, snapshots."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from rules.explain import RuleTrace, explain
from rules.hours import WorkingHours
from rules.model import (
    Account,
    Address,
    Attendee,
    CalendarRef,
    Done,
    Occurrence,
    OccurrenceKey,
    Owner,
    PartStat,
    Plan,
    Snapshot,
)
from rules.plan import evaluate
from rules.policy import Policy

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
ME = Address("dana@va.example")
JO = Address("jo@acme.example")
BO = Address("bo@initech.example")
AL = Address("al@acme.example")


def owner(zone: str = "UTC", **more: Any) -> Owner:
    """Dana, working office hours."""
    return Owner(name="Dana Reyes", addresses=(ME,), hours=WorkingHours(zone=zone), **more)


def account(name: str = "acme", *, now: datetime = NOW, **more: Any) -> Account:
    """An account read this minute and known for long."""
    return Account(**{"name": name, "seen_at": now, "first_seen_at": NOW - timedelta(days=400)} | more)


def meeting(
    uid: str = "kickoff",
    *,
    starts: float = 50,
    lasts: float = 0.5,
    account: str = "acme",
    people: dict[str, PartStat] | None = None,
    **more: Any,
) -> Occurrence:
    """A meeting ``starts`` hours from NOW that I organise with Jo, who has not answered."""
    start = NOW + timedelta(hours=starts)
    people = {JO: PartStat.NEEDS_ACTION} if people is None else people
    fields: dict[str, Any] = {
        "key": OccurrenceKey(calendar=CalendarRef(account=account, id=f"{account}-calendar"), uid=uid),
        "title": "Kickoff review",
        "start": start,
        "end": start + timedelta(hours=lasts),
        "organizer": ME,
        "attendees": tuple(Attendee(address=Address(a), partstat=p) for a, p in people.items()),
        "created": NOW - timedelta(days=10),
        "observed_at": NOW,
    }
    return Occurrence(**fields | more)


def policy(*rules: dict[str, Any], **guard: Any) -> Policy:
    """A policy of these rules."""
    return Policy.model_validate({"version": 1, "guard": guard, "rules": list(rules)})


def rule(when: Any, *steps: dict[str, Any], name: str = "rule", **more: Any) -> dict[str, Any]:
    """One rule."""
    return {"name": name, "when": when, "then": list(steps), **more}


def step(name: str, do: str, at: str, until: str | None = None, **more: Any) -> dict[str, Any]:
    """One step."""
    return {"step": name, "do": do, "at": at, **({"until": until} if until else {}), **more}


def snapshot(*subjects: Occurrence, now: datetime = NOW, **more: Any) -> Snapshot:
    """These meetings, every account of theirs just read."""
    names = {one.key.calendar.account for one in (*subjects, *more.get("context", ()))}
    fields: dict[str, Any] = {
        "owner": owner(),
        "accounts": {name: account(name, now=now) for name in names},
        "subjects": subjects,
    }
    return Snapshot(**fields | more)


def at(hours: float) -> datetime:
    """An instant so many hours from NOW."""
    return NOW + timedelta(hours=hours)


def plan(policy: Policy, *meetings: Occurrence, hours: float = 0, **more: Any) -> Plan:
    """The plan for these meetings, so many hours from NOW."""
    now = at(hours)
    return evaluate(snapshot(*meetings, now=now, **more), policy, now)


def steps(plan: Plan) -> list[tuple[str, str]]:
    """Which steps act, and towards whom."""
    return [(one.step, one.to) for one in plan.intents]


def sent(plan: Plan) -> dict[str, Done]:
    """Everything the plan wanted, as sent."""
    return {one.intent_key: Done(key=one.intent_key, state="sent", at=plan.now) for one in plan.intents}


def traced(policy: Policy, *meetings: Occurrence, hours: float = 0, **more: Any) -> RuleTrace:
    """What the first rule says of the first meeting, so many hours from NOW."""
    now = at(hours)
    return explain(snapshot(*meetings, now=now, **more), policy, meetings[0], now)[0]


def theirs(uid: str = "kickoff", *, me: PartStat = PartStat.ACCEPTED, **more: Any) -> Occurrence:
    """A meeting that Bo organises, with my answer to it."""
    fields: dict[str, Any] = {"organizer": BO, "attendees": (Attendee(address=ME, partstat=me),)}
    return meeting(uid, **fields | more)
