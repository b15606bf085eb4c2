"""What every rule makes of one meeting, as the page shows it: the trace of ``rebookd explain``."""

from __future__ import annotations

from dataclasses import dataclass

from daemon.explanation import Explanation
from daemon.explanation_words import Speaker
from daemon.mail.foreign_text import clean
from rules.explain import RuleTrace

LONGEST = 400

_ACTIVE = frozenset({"due", "waiting", "withheld", "done"})
_SIGNS = {True: ("✓", "so"), False: ("✗", "not so"), None: ("?", "not known")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One thing a rule asked: its sign, what that sign means, the question and what answered it."""

    sign: str
    means: str
    predicate: str
    told: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule's part."""

    name: str
    outcome: str
    headline: str
    looks: tuple[Look, ...]
    steps: tuple[str, ...]
    again: str


def rules_of(found: Explanation, speaker: Speaker) -> list[Rule]:
    """Rule by rule: those that act first, those that are not about the meeting last."""
    return [_rule(found, trace, speaker) for trace in sorted(found.traces, key=_rank)]


def _rank(trace: RuleTrace) -> int:
    return 0 if trace.outcome in _ACTIVE else 2 if trace.outcome == "not_matched" else 1


def _rule(found: Explanation, trace: RuleTrace, speaker: Speaker) -> Rule:
    looks = []
    for look in trace.because:
        sign, means = _SIGNS[look.holds]
        told = clean(speaker.told(look), LONGEST)
        if look.observed_at is not None:
            told += f", read {speaker.at(look.observed_at)}"
        looks.append(Look(sign=sign, means=means, predicate=clean(look.predicate, LONGEST), told=told))
    again = trace.next_at if trace.outcome in _ACTIVE else None
    return Rule(
        name=trace.rule,
        outcome=trace.outcome.replace("_", " "),
        headline=clean(speaker.headline(trace, found.upcoming_of(trace.rule)), LONGEST),
        looks=tuple(looks),
        steps=tuple(clean(speaker.step(step), LONGEST) for step in trace.steps),
        again=speaker.at(again) if again is not None else "",
    )
