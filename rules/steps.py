"""When the steps of a rule open and lapse for one occurrence."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import NamedTuple

from rules.fields import Moment, Span
from rules.hours import WorkingHours
from rules.model import Occurrence
from rules.policy import MOST_TURNS, Rule, Silent, Step

LATE = timedelta(days=1)
"""How long a step after the meeting stays open when the rule names no ``until``."""

PATIENT = timedelta(days=90)
"""The same where the question is about silence."""


class Timed(NamedTuple):
    """One turn of a step: when it opens and lapses, and when the first turn opens (UTC)."""

    step: Step
    turn: int
    due: datetime
    until: datetime
    first: datetime


def hours_of(rule: Rule, hours: WorkingHours) -> WorkingHours:
    """The working hours in which the rule counts business days."""
    return hours if rule.time_zone is None else replace(hours, zone=rule.time_zone)


def timed(rule: Rule, occurrence: Occurrence, hours: WorkingHours) -> list[Timed]:
    """Every turn of every step, in the order of the rule; ``hours`` are the owner's."""
    counted = hours_of(rule, hours)
    return [one for step in rule.then for one in _turns(rule, step, occurrence, counted)]


def _turns(rule: Rule, step: Step, occurrence: Occurrence, hours: WorkingHours) -> list[Timed]:
    """Each turn lasts until the next one opens."""
    first, until = _window(rule, step, occurrence, hours)
    every = step.repeat_every or rule.repeat_every
    if every is None:
        return [Timed(step, 1, first, until, first)]
    opens = [first]
    while len(opens) < (step.at_most or rule.at_most or MOST_TURNS):
        again = later(first, every, hours, times=len(opens))
        if again >= until:
            break
        opens.append(again)
    ends = [*opens[1:], until]
    return [
        Timed(step, turn, due, end, first)
        for turn, (due, end) in enumerate(zip(opens, ends, strict=True), start=1)
    ]


def _window(rule: Rule, step: Step, occurrence: Occurrence, hours: WorkingHours) -> tuple[datetime, datetime]:
    """When the step opens and when it lapses (UTC, half-open).

    Without ``until`` a step before the start lapses at the start, any other some time after it opened.
    """
    due = instant(step.at, occurrence, hours)
    if step.until is not None:
        return due, instant(step.until, occurrence, hours)
    if due < occurrence.start_utc:
        return due, occurrence.start_utc
    return due, due + (PATIENT if isinstance(rule.when, Silent) else LATE)


def instant(moment: Moment, occurrence: Occurrence, hours: WorkingHours) -> datetime:
    """The instant (UTC) a moment such as ``48h before start`` names for this occurrence."""
    anchor = occurrence.start_utc if moment.anchor == "start" else occurrence.end_utc
    return later(anchor, moment.span, hours, times=1 if moment.after else -1)


def later(at: datetime, span: Span, hours: WorkingHours, times: int = 1) -> datetime:
    """``at`` (UTC) so many spans later; earlier where ``times`` is negative."""
    if span.business_days:
        return hours.shift(at, times * span.business_days)
    return at + times * span.delta
