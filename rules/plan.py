"""``evaluate(snapshot, policy, now) -> Plan``: match, detect, inhibit, step due?, already done?, guard."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from heapq import heappop, heappush

from rules.contacts import encounters
from rules.look import Examiner, Look, Outcome, Stage, StepLook
from rules.model import Finding, Intent, Noted, Occurrence, OccurrenceKey, Plan, Snapshot, Upcoming, Withheld
from rules.policy import Policy, Rule
from rules.view import View


def evaluate(snapshot: Snapshot, policy: Policy, now: datetime, *, foresee: bool = True) -> Plan:
    """What should happen at ``now`` (aware) for the snapshot's subjects.

    Intents are unique by key and sorted; of two copies of one meeting the first by calendar speaks.
    Without ``foresee`` nothing is ``upcoming``, which spares half of the work.
    """
    view = View(snapshot, now)
    examiner = Examiner(policy, view)
    found = _Found(wake_at={one.key: None for one in snapshot.subjects})
    subjects = view.subjects
    for occurrence, rules in zip(subjects, examiner.matching(subjects), strict=True):
        wakes: list[datetime] = []
        for rule in rules:
            look = examiner.look(rule, occurrence)
            wakes += look.wake[:1]
            for key, one in _ahead(examiner, rule, occurrence, look) if foresee else ():
                found.upcoming.setdefault(key, one)
            if look.outcome is Outcome.HOLDS:
                found.take(examiner, look)
        found.noted += encounters(view, occurrence)
        if occurrence.end_utc > now and view.people(occurrence):
            wakes.append(occurrence.end_utc)  # what it came to goes into the history with its people
        found.wake_at[occurrence.key] = min(wakes, default=None)
    return found.plan(now)


@dataclass(slots=True)
class _Found:
    """What was found so far, by intent key where one message stands for several copies."""

    intents: dict[str, Intent] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    upcoming: dict[str, Upcoming] = field(default_factory=dict)
    withheld: dict[str, Withheld] = field(default_factory=dict)
    wake_at: dict[OccurrenceKey, datetime | None] = field(default_factory=dict)
    noted: list[Noted] = field(default_factory=list)

    def take(self, examiner: Examiner, look: Look) -> None:
        """Take in a rule that holds."""
        self.findings.append(_finding(look))
        for step in look.steps:
            if step.stage is Stage.OPEN:
                intent = examiner.intent(look, step)
                self.intents.setdefault(intent.intent_key, intent)
            elif step.stage is Stage.WITHHELD:
                key = examiner.intent(look, step).intent_key
                self.withheld.setdefault(key, _withheld(look, step))

    def plan(self, now: datetime) -> Plan:
        """All of it, in a fixed order."""
        return Plan(
            now=now,
            intents=tuple(sorted(self.intents.values(), key=lambda one: (one.due, one.intent_key))),
            findings=tuple(sorted(self.findings, key=lambda one: (one.key, one.rule))),
            upcoming=tuple(
                sorted(
                    (one for key, one in self.upcoming.items() if key not in self.intents),
                    key=lambda one: (one.at, one.rule, one.step, one.key, one.to),
                )
            ),
            withheld=tuple(one for key, one in sorted(self.withheld.items()) if key not in self.intents),
            wake_at=self.wake_at,
            noted=tuple(self.noted),
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
    assert look.verdict is not None  # nosec B101 # noqa: S101 - a rule that holds has one
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
