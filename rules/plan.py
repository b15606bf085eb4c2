"""``evaluate(snapshot, policy, now) -> Plan``: match, detect, inhibit, step due?, already done?, guard."""

from __future__ import annotations

from datetime import datetime
from heapq import heappop, heappush

from rules.look import Examiner, Look, Outcome, Stage, StepLook
from rules.model import Finding, Intent, Occurrence, OccurrenceKey, Plan, Snapshot, Upcoming, Withheld
from rules.policy import Policy, Rule
from rules.view import View


def evaluate(snapshot: Snapshot, policy: Policy, now: datetime, *, foresee: bool = True) -> Plan:
    """What should happen at ``now`` (aware) for the snapshot's subjects.

    Intents are unique by key and sorted; of two copies of one meeting the first by calendar speaks.
    Without ``foresee`` nothing is ``upcoming``, which spares half of the work.
    """
    view = View(snapshot, now)
    examiner = Examiner(policy, view)
    intents: dict[str, Intent] = {}
    findings: list[Finding] = []
    upcoming: dict[str, Upcoming] = {}
    withheld: dict[str, Withheld] = {}
    wake_at: dict[OccurrenceKey, datetime | None] = {}
    for occurrence in view.subjects:
        wakes: list[datetime] = []
        for rule in policy.rules:
            if not examiner.matches(rule, occurrence):
                continue
            look = examiner.look(rule, occurrence)
            if look.wake_at is not None:
                wakes.append(look.wake_at)
            for key, one in _ahead(examiner, rule, occurrence, look) if foresee else ():
                upcoming.setdefault(key, one)
            if look.outcome is not Outcome.HOLDS:
                continue
            findings.append(_finding(look))
            for step in look.steps:
                intent = examiner.intent(look, step)
                if step.stage is Stage.OPEN:
                    intents.setdefault(intent.intent_key, intent)
                elif step.stage is Stage.WITHHELD:
                    withheld.setdefault(intent.intent_key, _withheld(look, step))
        wake_at[occurrence.key] = min(wakes, default=None)
    return Plan(
        now=now,
        intents=tuple(sorted(intents.values(), key=lambda one: (one.due, one.intent_key))),
        findings=tuple(sorted(findings, key=lambda one: (one.key, one.rule))),
        upcoming=tuple(
            sorted(
                (one for key, one in upcoming.items() if key not in intents),
                key=lambda one: (one.at, one.rule, one.step, one.key, one.to),
            )
        ),
        withheld=tuple(one for key, one in sorted(withheld.items()) if key not in intents),
        wake_at=wake_at,
    )


def _ahead(examiner: Examiner, rule: Rule, occurrence: Occurrence, look: Look) -> list[tuple[str, Upcoming]]:
    """The rule's next step, if nothing changes until it opens."""
    if look.outcome in {Outcome.NOT_ELIGIBLE, Outcome.NOT_MATCHED}:
        return []
    moments = list(look.wake)
    while moments:
        at = heappop(moments)
        then = examiner.look(rule, occurrence, now=at)
        for again in {one.again for one in then.steps if one.again is not None and one.again > at}:
            if again not in moments:
                heappush(moments, again)  # where quiet hours end
        opening = [one for one in then.steps if one.stage is Stage.OPEN]
        if opening:
            return [
                (
                    examiner.intent(then, one).intent_key,
                    Upcoming(at=at, rule=rule.name, step=one.step.step, key=occurrence.key, to=one.to),
                )
                for one in opening
            ]
    return []


def _finding(look: Look) -> Finding:
    assert look.verdict is not None  # noqa: S101 - a rule that holds has one
    return Finding(
        rule=look.rule.name,
        detector=look.rule.when.word,
        key=look.occurrence.key,
        people=look.verdict.people,
        reason=look.verdict.reason,
        tone=look.verdict.tone,
    )


def _withheld(look: Look, step: StepLook) -> Withheld:
    return Withheld(
        rule=look.rule.name,
        step=step.step.step,
        key=look.occurrence.key,
        to=step.to,
        why=step.why,
        until=step.again,
    )
