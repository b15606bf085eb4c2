"""One rule held against one occurrence: what was asked, what each step would do, and when to look again.

Both the plan and the explanation are read off this; there is no second implementation.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from rules.detectors import DETECTORS
from rules.eligible import eligibility
from rules.fields import Moment
from rules.hours import WorkingHours, quiet_until
from rules.matching import predicates
from rules.model import Address, Because, Intent, Occurrence
from rules.policy import TELLS_ME, Mode, Policy, Rule, Step, Unconfirmed
from rules.verdict import Verdict
from rules.view import View

LATE = timedelta(days=1)
"""How long a step after the meeting stays open when the rule names no ``until``."""


class Outcome(StrEnum):
    """What one rule makes of one occurrence."""

    NOT_MATCHED = "not_matched"
    NOT_ELIGIBLE = "not_eligible"
    NO = "no"
    UNKNOWN = "unknown"
    INHIBITED = "inhibited"
    HOLDS = "holds"


class Stage(StrEnum):
    """Where one step stands for one recipient."""

    AHEAD = "ahead"
    OPEN = "open"
    DONE = "done"
    OVERTAKEN = "overtaken"
    WITHHELD = "withheld"
    PASSED = "passed"


@dataclass(frozen=True, slots=True, kw_only=True)
class StepLook:
    """One step for one recipient. ``again`` is when a withheld step may act (UTC; None = never)."""

    step: Step
    to: Address
    due: datetime
    until: datetime
    stage: Stage
    why: str = ""
    again: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One rule held against one occurrence. ``wake`` are the future instants that may change it (UTC)."""

    rule: Rule
    occurrence: Occurrence
    outcome: Outcome
    because: tuple[Because, ...]
    verdict: Verdict | None = None
    steps: tuple[StepLook, ...] = ()
    wake: tuple[datetime, ...] = ()

    @property
    def wake_at(self) -> datetime | None:
        """The next instant at which this may look different."""
        return min(self.wake, default=None)


class Timed(NamedTuple):
    """A step with the instants (UTC) at which it opens and lapses."""

    step: Step
    due: datetime
    until: datetime


class Examiner:
    """Holds the rules of a policy against the occurrences of a view at the view's instant."""

    def __init__(self, policy: Policy, view: View) -> None:
        self.policy = policy
        self.view = view
        self._rules = {rule.name: rule for rule in policy.rules}
        self._predicates = {rule.name: predicates(rule.match, view) for rule in policy.rules}

    def matches(self, rule: Rule, occurrence: Occurrence) -> bool:
        """Whether the rule looks at this occurrence at all."""
        return all(one.holds(occurrence) for one in self._predicates[rule.name])

    def look(self, rule: Rule, occurrence: Occurrence, *, now: datetime | None = None) -> Look:
        """Everything about one rule and one occurrence, now or, if nothing changes, at a later ``now``."""
        now = now or self.view.now
        matched = tuple(one.look(occurrence) for one in self._predicates[rule.name])
        if not all(one.holds for one in matched):
            return Look(rule=rule, occurrence=occurrence, outcome=Outcome.NOT_MATCHED, because=matched)
        asked_of_me = isinstance(rule.when, Unconfirmed) and rule.when.by == "me"
        eligible = eligibility(occurrence, self.view, unanswered_by_me=asked_of_me)
        because = (*matched, *eligible)
        if not all(one.holds for one in eligible):
            return Look(rule=rule, occurrence=occurrence, outcome=Outcome.NOT_ELIGIBLE, because=because)
        verdict = DETECTORS[type(rule.when)](occurrence, rule.when, self.view, now)
        because += verdict.because
        inhibitor = self._inhibitor(rule, occurrence, now) if verdict.holds else None
        if inhibitor is not None:
            because += (
                Because(predicate="not inhibited", holds=False, field="inhibited_by", value=inhibitor),
            )
        outcome = _outcome(verdict, inhibitor)
        steps = tuple(self._steps(rule, occurrence, verdict, now)) if outcome is Outcome.HOLDS else ()
        instants = self._wake(rule, occurrence, verdict) | {one.again for one in steps if one.again}
        return Look(
            rule=rule,
            occurrence=occurrence,
            outcome=outcome,
            because=because,
            verdict=verdict,
            steps=steps,
            wake=tuple(sorted(at for at in instants if at > now)),
        )

    def intent(self, look: Look, step: StepLook) -> Intent:
        """The message an open step asks for."""
        assert look.verdict is not None  # noqa: S101 - an open step has one
        return Intent(
            rule=look.rule.name,
            step=step.step.step,
            do=step.step.do.value,
            mode=look.rule.mode.value,
            key=look.occurrence.key,
            start=look.occurrence.start,
            to=step.to,
            people=look.verdict.people,
            due=step.due,
            until=step.until,
            reason=look.verdict.reason,
            detector=look.rule.when.word,
            tone=look.verdict.tone,
            template=step.step.template,
        )

    def _inhibitor(self, rule: Rule, occurrence: Occurrence, now: datetime) -> str | None:
        """The first rule of ``inhibited_by`` that holds for any copy of this meeting."""
        for name in rule.inhibited_by:
            other = self._rules[name]
            for copy in self.view.copies(occurrence.identity):
                if not self.matches(other, copy):
                    continue
                if not all(one.holds for one in eligibility(copy, self.view)):
                    continue
                if DETECTORS[type(other.when)](copy, other.when, self.view, now).holds:
                    return name
        return None

    def _steps(
        self, rule: Rule, occurrence: Occurrence, verdict: Verdict, now: datetime
    ) -> Iterator[StepLook]:
        """Each step for each of its recipients, in the order of the rule."""
        hours = self.view.owner.hours
        timed = [Timed(step, *window(step, occurrence, hours)) for step in rule.then]
        since = max((at for at in (verdict.since, self.view.touched(occurrence)) if at), default=None)
        for one in timed:
            to_owner = one.step.do in TELLS_ME
            overtaken = not to_owner and any(
                other.step.do not in TELLS_ME and one.due < other.due <= now for other in timed
            )
            for to in self.view.owner.addresses[:1] if to_owner else verdict.people:
                stage, why, again = self._stage(rule, occurrence, one, to, now)
                if stage is Stage.OPEN and self._is_old_news(occurrence, one.due, since):
                    stage, why = Stage.WITHHELD, "it was already due when its calendar was first read"
                if stage in {Stage.OPEN, Stage.WITHHELD} and overtaken:
                    stage, why, again = Stage.OVERTAKEN, "a later step of this rule is open", None
                yield StepLook(
                    step=one.step, to=to, due=one.due, until=one.until, stage=stage, why=why, again=again
                )

    def _stage(
        self, rule: Rule, occurrence: Occurrence, timed: Timed, to: Address, now: datetime
    ) -> tuple[Stage, str, datetime | None]:
        """Where a step stands for one recipient, why, and when a withheld one may act."""
        key = Intent.key_of(rule.name, timed.step.step, occurrence.identity, occurrence.start, to)
        done = self.view.snapshot.done.get(key)
        if done is not None:
            return Stage.DONE, f"{done.state} {self.view.said(done.at)}", None
        if now < timed.due:
            return Stage.AHEAD, "", timed.due
        if now >= timed.until:
            return Stage.PASSED, "its time passed", None
        if rule.mode is Mode.OBSERVE:
            return Stage.WITHHELD, "mode is observe", None
        account = self.view.account(occurrence)
        if self.view.is_blind(occurrence):
            seen = self.view.seen_at(occurrence)
            since = f"since {self.view.said(seen)}" if seen else "yet"
            return Stage.WITHHELD, f"{account.name} has not been seen {since}", None
        return self._quiet(timed.until, now)

    def _is_old_news(self, occurrence: Occurrence, due: datetime, since: datetime | None) -> bool:
        """Whether a step was already open, for the same reason, when its calendar was first read (P9)."""
        if self.policy.guard.first_sync != "quiet":
            return False
        first = self.view.first_seen_at(occurrence)
        return first is None or max(due, since or due) < first

    def _quiet(self, until: datetime, now: datetime) -> tuple[Stage, str, datetime | None]:
        quiet = self.policy.guard.quiet_hours
        ends = quiet_until(quiet.start, quiet.end, self.view.owner.zone, now) if quiet else None
        if ends is None:
            return Stage.OPEN, "", None
        if ends >= until:
            return Stage.WITHHELD, f"quiet hours outlast it, so it lapses at {self.view.said(until)}", None
        return Stage.WITHHELD, f"quiet hours until {self.view.said(ends)}", ends

    def _wake(self, rule: Rule, occurrence: Occurrence, verdict: Verdict) -> set[datetime]:
        """Every instant at which time alone may change the answer."""
        hours = self.view.owner.hours
        return {*verdict.wake, *(at for step in rule.then for at in window(step, occurrence, hours))}


def _outcome(verdict: Verdict, inhibitor: str | None) -> Outcome:
    if verdict.holds is None:
        return Outcome.UNKNOWN
    if not verdict.holds:
        return Outcome.NO
    return Outcome.INHIBITED if inhibitor else Outcome.HOLDS


def window(step: Step, occurrence: Occurrence, hours: WorkingHours) -> tuple[datetime, datetime]:
    """When the step opens and when it lapses (UTC, half-open).

    Without ``until`` a step before the start lapses at the start, any other a day after it opened.
    """
    due = instant(step.at, occurrence, hours)
    if step.until is not None:
        return due, instant(step.until, occurrence, hours)
    if due < occurrence.start_utc:
        return due, occurrence.start_utc
    return due, due + LATE


def instant(moment: Moment, occurrence: Occurrence, hours: WorkingHours) -> datetime:
    """The instant (UTC) a moment such as ``48h before start`` names for this occurrence."""
    anchor = occurrence.start_utc if moment.anchor == "start" else occurrence.end_utc
    if moment.span.business_days:
        return hours.shift(anchor, moment.span.business_days if moment.after else -moment.span.business_days)
    return anchor + moment.span.delta if moment.after else anchor - moment.span.delta
