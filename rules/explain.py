"""What every rule makes of one occurrence, as a readable trace of the very looks that decide."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from rules.look import Examiner, Look, Outcome, Stage
from rules.model import Because, Occurrence, Snapshot
from rules.policy import Policy
from rules.view import View


@dataclass(frozen=True, slots=True, kw_only=True)
class StepTrace:
    """One turn of a step for one recipient: when it is open (UTC), where it stands, and why.

    ``mode`` is how far it may go by itself, ``hold`` why it needs the owner's word all the same.
    """

    step: str
    do: str
    to: str
    due: datetime
    until: datetime
    stage: str
    why: str
    turn: int
    mode: str
    hold: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleTrace:
    """One rule's trace. ``next_at`` is when it will be looked at again (UTC; None = never)."""

    rule: str
    outcome: str
    reason: str
    because: tuple[Because, ...]
    steps: tuple[StepTrace, ...]
    next_at: datetime | None


def explain(
    snapshot: Snapshot, policy: Policy, occurrence: Occurrence, now: datetime
) -> tuple[RuleTrace, ...]:
    """The trace of every rule, matched or not, for one of the snapshot's occurrences."""
    view = View(snapshot, now)
    examiner = Examiner(policy, view)
    copies = view.copies(occurrence.identity)
    # What vanished from one calendar and still lies in another is told as the copy that is there.
    copy = next((one for one in copies if one.key == occurrence.key), copies[0])
    return tuple(_trace(examiner.look(rule, copy)) for rule in policy.rules)


def _trace(look: Look) -> RuleTrace:
    return RuleTrace(
        rule=look.rule.name,
        outcome=_outcome(look),
        reason=_reason(look),
        because=look.because,
        steps=tuple(
            StepTrace(
                step=one.step.step,
                do=one.step.do.value,
                to=one.to,
                due=one.due,
                until=one.until,
                stage=one.stage.value,
                why=one.why,
                turn=one.turn,
                mode=one.mode.value,
                hold=one.hold,
            )
            for one in look.steps
        ),
        next_at=look.wake_at,
    )


def _outcome(look: Look) -> str:
    """The rule's outcome; where it holds, what its most pressing step is doing."""
    if look.outcome is not Outcome.HOLDS:
        return look.outcome.value
    stages = {one.stage for one in look.steps}
    for stage, word in (
        (Stage.OPEN, "due"),
        (Stage.WITHHELD, "withheld"),
        (Stage.AHEAD, "waiting"),
        (Stage.DONE, "done"),
    ):
        if stage in stages:
            return word
    return "lapsed"


def _reason(look: Look) -> str:
    failed = next((one for one in look.because if one.holds is False), None)
    if look.outcome is Outcome.HOLDS:
        return look.verdict.reason if look.verdict else ""
    if look.outcome is Outcome.UNKNOWN:
        return look.verdict.reason if look.verdict else ""
    if look.outcome is Outcome.INHIBITED and failed is not None:
        return f"inhibited by rule {failed.value}"
    return f"{failed.predicate}? no ({failed.field}: {failed.value})" if failed else ""
