"""Rule tests: a story played against the same ``evaluate`` that decides in earnest."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from daemon.rehearsal_file import Expected, RuleTest
from daemon.rehearsal_stage import Sent, Stage
from rules.explain import RuleTrace, StepTrace
from rules.hours import zone
from rules.model import Intent, Occurrence
from rules.policy import Mode, Policy

NEARNESS = (
    "due",
    "withheld",
    "waiting",
    "done",
    "lapsed",
    "inhibited",
    "unknown",
    "no",
    "not_eligible",
    "not_matched",
)
"""The outcomes of a rule, the one nearest to a message first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """A message that was expected and did not leave, and what the rule nearest to it said instead."""

    expected: str
    nearest: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A moment whose messages were not the expected ones. ``at`` is its time in the test's zone."""

    test: str
    moment: int
    at: datetime
    missing: tuple[Missing, ...]
    unexpected: tuple[str, ...]

    def lines(self) -> list[str]:
        """The failure for people, a line each."""
        said = [f"at {_said(self.at)} (moment {self.moment + 1} of the timeline)"]
        for one in self.missing:
            said += [f"  expected and missing: {one.expected}", *(f"    {line}" for line in one.nearest)]
        return said + [f"  sent and not expected: {line}" for line in self.unexpected]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsal:
    """What one test showed: where it failed, every rule that found something, every step that acted."""

    test: str
    failures: tuple[Failure, ...]
    touched: frozenset[str]
    acted: frozenset[tuple[str, str]]


def rehearse(test: RuleTest, policy: Policy) -> Rehearsal:
    """Play one test from moment to moment, waking whenever the plan asked to be woken."""
    stage = Stage(test, policy)
    failures = []
    for number, moment in enumerate(test.timeline):
        at = moment.at.after(test.clock)
        sent = [*stage.advance(at)]
        stage.happen(moment, at)
        sent += stage.act(at)
        if moment.expect is None:
            continue
        missing, unexpected = compare(moment.expect, sent)
        if missing or unexpected:
            failures.append(
                Failure(
                    test=test.name,
                    moment=number,
                    at=at.astimezone(zone(test.time_zone)),
                    missing=tuple(_missing(one, stage) for one in missing),
                    unexpected=tuple(_unexpected(one, stage) for one in unexpected),
                )
            )
    return Rehearsal(
        test=test.name,
        failures=tuple(failures),
        touched=frozenset(stage.touched),
        acted=frozenset(stage.acted),
    )


def untested(policy: Policy, played: Iterable[Rehearsal]) -> list[str]:
    """Each rule that no test touches, and each step of the others that never came to act."""
    played = list(played)
    touched = frozenset[str]().union(*(one.touched for one in played))
    acted = frozenset[tuple[str, str]]().union(*(one.acted for one in played))
    found = []
    for rule in policy.rules:
        if rule.name not in touched:
            found.append(f"rule {rule.name}")
            continue
        found += [
            f"step {step.step} of rule {rule.name}"
            for step in rule.then
            if (rule.name, step.step) not in acted
        ]
    return found


def compare(expected: Iterable[Expected], sent: Iterable[Sent]) -> tuple[list[Expected], list[Sent]]:
    """What is missing and what is too much, each side matched once, the most exact expectations first."""
    left = list(sent)
    missing = []
    for one in sorted(expected, key=lambda one: -len(one.model_fields_set)):
        found = next((each for each in left if _fits(one, each.intent)), None)
        if found is None:
            missing.append(one)
        else:
            left.remove(found)
    return missing, left


def _fits(expected: Expected, intent: Intent) -> bool:
    pairs = (
        (expected.rule, intent.rule),
        (expected.step, intent.step),
        (expected.to, intent.to),
        (expected.do, intent.do),
        (expected.held, _is_held(intent)),
    )
    meant = expected.uid in {None, intent.key.uid, str(intent.identity)}
    return meant and all(wanted is None or wanted == got for wanted, got in pairs)


def _is_held(intent: Intent) -> bool:
    """Whether it waits for the owner's word."""
    return bool(intent.hold) or intent.mode != Mode.AUTO


def _missing(expected: Expected, stage: Stage) -> Missing:
    said = f"{expected.rule}/{expected.step}"
    for word, value in (("do", expected.do), ("to", expected.to), ("about", expected.uid)):
        said += f" {word} {value}" if value else ""
    if expected.held is not None:
        said += ", held for my word" if expected.held else ", not held"
    return Missing(expected=said, nearest=_nearest(expected, stage))


def _nearest(expected: Expected, stage: Stage) -> tuple[str, ...]:
    """What the rule said now of the meeting for which it came nearest to the message."""
    found = [(one, trace) for one, trace in stage.traces(expected.uid) if trace.rule == expected.rule]
    if not found:
        return ("there is no such meeting in any calendar",)
    one, trace = min(found, key=lambda pair: _distance(expected, *pair))
    reason = f": {trace.reason}" if trace.reason else ""
    return (
        f"{trace.rule} about {_name(one)} is {trace.outcome.replace('_', ' ')}{reason}",
        *(_step(step, stage.owner.zone) for step in trace.steps if step.step == expected.step),
    )


def _distance(expected: Expected, one: Occurrence, trace: RuleTrace) -> tuple[int, bool, datetime]:
    outcome = NEARNESS.index(trace.outcome) if trace.outcome in NEARNESS else len(NEARNESS)
    people = {step.to for step in trace.steps if step.step == expected.step}
    return outcome, expected.to is not None and expected.to not in people, one.start_utc


def _step(step: StepTrace, zone_name: str) -> str:
    opens, lapses = (_said(at.astimezone(zone(zone_name))) for at in (step.due, step.until))
    why = f" ({step.why})" if step.why else ""
    return f"its step {step.step} to {step.to} is {step.stage}{why}; its time is {opens} until {lapses}"


def _unexpected(sent: Sent, stage: Stage) -> str:
    one = sent.intent
    meeting = stage.meetings.get(one.key)
    about = _name(meeting) if meeting else one.key.uid
    held = ", held for my word" if _is_held(one) else ""
    at = _said(sent.at.astimezone(zone(stage.owner.zone)))
    return f"{at} {one.rule}/{one.step}: {one.do} to {one.to} about {about}{held}, because {one.reason}"


def _name(one: Occurrence) -> str:
    return f"{one.identity} ({one.title})" if one.title else str(one.identity)


def _said(at: datetime) -> str:
    return f"{at:%a %Y-%m-%d %H:%M}"
