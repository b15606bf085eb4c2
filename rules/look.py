"""One rule held against one occurrence: what was asked, what each step would do, and when to look again.

Both the plan and the explanation are read off this; there is no second implementation.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from rules.caution import caution
from rules.delivery import PERHAPS_SENT, is_settled
from rules.detectors import DETECTORS
from rules.eligible import eligibility
from rules.hours import quiet_until
from rules.matching import all_hold, looked, predicates
from rules.model import Account, Address, Because, Intent, Occurrence, Status
from rules.policy import TELLS_ME, TO_OTHERS, Do, Mode, Policy, Rule, Silence, Step
from rules.sieve import Sieve
from rules.steps import Timed, timed
from rules.verdict import Verdict
from rules.view import View

GROUP_WAIT = timedelta(minutes=10)
"""How long the first message of a group waits for others when its rule does not say."""


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
    """One turn of a step for one recipient.

    ``again`` is when a withheld step may act (UTC; None = never), ``mode`` how far it may go by itself,
    ``hold`` why it needs the owner's word first.
    """

    step: Step
    turn: int
    to: Address
    due: datetime
    until: datetime
    stage: Stage
    mode: Mode
    why: str = ""
    again: datetime | None = None
    hold: str = ""


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


class Examiner:
    """Holds the rules of a policy against the occurrences of a view at the view's instant."""

    def __init__(self, policy: Policy, view: View) -> None:
        self.policy = policy
        self.view = view
        self._rules = {rule.name: rule for rule in policy.rules}
        home = view.owner.zone
        self._predicates = {
            rule.name: predicates(rule.match, view, rule.time_zone or home) for rule in policy.rules
        }
        self.sieve = Sieve([self._predicates[rule.name] for rule in policy.rules])
        self._silenced = [(one, predicates(one.match, view, home)) for one in policy.silences]

    def matches(self, rule: Rule, occurrence: Occurrence) -> bool:
        """Whether the rule looks at this occurrence at all."""
        return all_hold(self._predicates[rule.name], occurrence)

    def matching(self, occurrences: Sequence[Occurrence]) -> list[list[Rule]]:
        """For each occurrence the rules that look at it, in their order."""
        rules = self.policy.rules
        found = self.sieve.fitting(self.sieve.read(occurrences))
        return [[rules[place] for place in places] for places in found]

    def look(self, rule: Rule, occurrence: Occurrence, *, now: datetime | None = None) -> Look:
        """Everything about one rule and one occurrence, now or, if nothing changes, at a later ``now``."""
        now = now or self.view.now
        matched = tuple(looked(one, occurrence) for one in self._predicates[rule.name])
        if not all(one.holds for one in matched):
            return Look(rule=rule, occurrence=occurrence, outcome=Outcome.NOT_MATCHED, because=matched)
        eligible = eligibility(occurrence, self.view, rule.when)
        because = (*matched, *eligible)
        if not all(one.holds for one in eligible):
            return Look(rule=rule, occurrence=occurrence, outcome=Outcome.NOT_ELIGIBLE, because=because)
        verdict = DETECTORS[type(rule.when)](occurrence, rule.when, self.view, now)
        because += verdict.because
        inhibitor, turning = self._inhibitor(rule, occurrence, now) if verdict.holds else (None, ())
        if inhibitor is not None:
            because += (
                Because(predicate="not inhibited", holds=False, field="inhibited_by", value=inhibitor),
            )
        outcome = _outcome(verdict, inhibitor)
        turns = timed(rule, occurrence, self.view.owner.hours)
        holds = outcome is Outcome.HOLDS
        steps = tuple(self._steps(rule, occurrence, verdict, turns, now=now)) if holds else ()
        again = {one.again for one in steps if one.again is not None}
        edges = {at for one in turns for at in (one.due, one.until)}
        instants = {*verdict.wake, *turning} | edges | again
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
        assert look.verdict is not None  # nosec B101 # noqa: S101 - an open step has one
        return Intent(
            rule=look.rule.name,
            step=step.step.step,
            do=step.step.do.value,
            mode=step.mode.value,
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
            turn=step.turn,
            group=self._group(look, look.verdict, step),
            wait=_wait(look.rule),
            hold=step.hold,
        )

    def _group(self, look: Look, verdict: Verdict, step: StepLook) -> str:
        """What this message may share with others: rule, step, person and client; empty for nothing.

        Nothing of one client ever shares a message with anything of another.
        """
        if step.step.do in {Do.MARK, Do.WEBHOOK}:
            return ""
        together = verdict.cluster if step.step.do in TO_OTHERS else ""
        if look.rule.group_by is None and not together:
            return ""
        account = self.view.account(look.occurrence)
        wall = account.client or account.name
        about = verdict.people if step.step.do in TELLS_ME else ()
        shared = "" if look.rule.group_by else together
        return "\x1f".join((look.rule.name, step.step.step, step.to, wall, *about, shared))

    def _inhibitor(
        self, rule: Rule, occurrence: Occurrence, now: datetime
    ) -> tuple[str | None, tuple[datetime, ...]]:
        """The first rule of ``inhibited_by`` that holds for any copy of this meeting.

        And when any of them may answer otherwise (UTC).
        """
        turning: list[datetime] = []
        for name in rule.inhibited_by:
            other = self._rules[name]
            for copy in self.view.copies(occurrence.identity):
                if not self.matches(other, copy):
                    continue
                if not all(one.holds for one in eligibility(copy, self.view, other.when)):
                    continue
                verdict = DETECTORS[type(other.when)](copy, other.when, self.view, now)
                turning += verdict.wake
                if verdict.holds:
                    return name, tuple(turning)
        return None, tuple(turning)

    def _steps(
        self, rule: Rule, occurrence: Occurrence, verdict: Verdict, turns: Sequence[Timed], *, now: datetime
    ) -> Iterator[StepLook]:
        """Each of the rule's turns for each of its recipients, in their order."""
        touched = self.view.touched(occurrence)
        since = max((at for at in (verdict.since, touched) if at), default=None)
        for one in turns:
            overtaken = one.step.do in TO_OTHERS and any(
                other.step.do in TO_OTHERS and one.first < other.first <= now for other in turns
            )
            for to in self._recipients(one.step, occurrence, verdict):
                yield self._step(rule, occurrence, one, to, now=now, overtaken=overtaken, since=since)

    def _recipients(self, step: Step, occurrence: Occurrence, verdict: Verdict) -> tuple[Address, ...]:
        if step.do in TO_OTHERS:
            return verdict.people
        is_remembered = occurrence.status is Status.CANCELLED and not occurrence.href
        if step.do is Do.MARK and is_remembered:
            return ()  # there is nothing left to put a label on
        if step.do is Do.WEBHOOK:
            return (Address(step.webhook or ""),)
        return self.view.owner.addresses[:1]

    def _step(
        self,
        rule: Rule,
        occurrence: Occurrence,
        one: Timed,
        to: Address,
        *,
        now: datetime,
        overtaken: bool,
        since: datetime | None,
    ) -> StepLook:
        """Where one turn stands for one recipient, why, and when it may act if it is withheld."""
        mode = self._mode(rule, occurrence, one.step)
        stage, why, again = self._stage(rule, occurrence, one, to, now=now, mode=mode)
        if stage is Stage.OPEN and self._is_old_news(occurrence, one.first, since):
            stage, why = Stage.WITHHELD, "it was already due when its calendar was first read"
        if stage in {Stage.OPEN, Stage.WITHHELD} and overtaken:
            stage, why, again = Stage.OVERTAKEN, "a later step of this rule is open", None
        return StepLook(
            step=one.step,
            turn=one.turn,
            to=to,
            due=one.due,
            until=one.until,
            stage=stage,
            mode=mode,
            why=why,
            again=again,
            hold=self._hold(occurrence, one, to),
        )

    def _hold(self, occurrence: Occurrence, one: Timed, to: Address) -> str:
        """Why the step needs the owner's word first; empty when it does not."""
        restored = self.view.snapshot.restored
        account = occurrence.key.calendar.account
        if restored is not None and restored.perhaps_done(one.due, account, occurrence.appeared_at):
            return PERHAPS_SENT
        return caution(to, occurrence) if one.step.do in TO_OTHERS else ""

    def _mode(self, rule: Rule, occurrence: Occurrence, step: Step) -> Mode:
        """How far the step may go by itself: the least of what rule, demotion and account allow.

        What only tells the owner needs nobody's approval.
        """
        allowed = [rule.mode, self.policy.demoted.get(rule.name, Mode.AUTO)]
        if step.do not in TELLS_ME:
            allowed.append(Mode(self.view.account(occurrence).mode))
        least = min(allowed, key=list(Mode).index)
        return Mode.AUTO if step.do in TELLS_ME and least is not Mode.OBSERVE else least

    def _stage(
        self, rule: Rule, occurrence: Occurrence, one: Timed, to: Address, *, now: datetime, mode: Mode
    ) -> tuple[Stage, str, datetime | None]:
        key = Intent.key_of(
            rule.name, one.step.step, occurrence.identity, occurrence.start, to, turn=one.turn
        )
        done = self.view.snapshot.done.get(key)
        if done is not None and is_settled(done.state, done.at, now):
            return Stage.DONE, f"{done.state} {self.view.said(done.at)}", None
        if now < one.due:
            return Stage.AHEAD, "", one.due
        if now >= one.until:
            return Stage.PASSED, "its time passed", None
        if mode is Mode.OBSERVE:
            return Stage.WITHHELD, "mode is observe", None
        account = self.view.account(occurrence)
        blind = self._out_of_sight(occurrence, one.step)
        if blind is not None:
            seen = self.view.seen_at(blind)
            since = f"since {self.view.said(seen)}" if seen else "yet"
            return Stage.WITHHELD, f"{self.view.account(blind).name} has not been seen {since}", None
        if one.step.do in TO_OTHERS and any(pattern.matches(to) for pattern in self.policy.optouts):
            return Stage.WITHHELD, f"{to} asked not to be written to", None
        silence = self._silence(rule, occurrence)
        if silence is not None and silence.until > now:
            comment = f" ({silence.comment})" if silence.comment else ""
            why = f"silence {silence.id}{comment} until {self.view.said(silence.until)}"
            return Stage.WITHHELD, why, silence.until
        return self._quiet(account, one, now)

    def _out_of_sight(self, occurrence: Occurrence, step: Step) -> Occurrence | None:
        """The copy of the meeting that cannot be seen and might say otherwise; None without one.

        What goes to others waits for every copy, since any may hold the answer; what tells me, for this one.
        """
        others = self.view.copies(occurrence.identity) if step.do in TO_OTHERS else ()
        return next((one for one in (occurrence, *others) if self.view.is_blind(one)), None)

    def _silence(self, rule: Rule, occurrence: Occurrence) -> Silence | None:
        """The silence that lasts longest of those that fit."""
        fitting = [
            one
            for one, asked in self._silenced
            if (one.match.rule is None or any(pattern.matches(rule.name) for pattern in one.match.rule))
            and all_hold(asked, occurrence)
        ]
        return max(fitting, key=lambda one: one.until, default=None)

    def _is_old_news(self, occurrence: Occurrence, due: datetime, since: datetime | None) -> bool:
        """Whether a step was already open, for the same reason, when its calendar was first read (P9)."""
        if self.policy.guard.first_sync != "quiet":
            return False
        first = self.view.first_seen_at(occurrence)
        return first is None or max(due, since or due) < first

    def _quiet(self, account: Account, one: Timed, now: datetime) -> tuple[Stage, str, datetime | None]:
        quiet = self.policy.guard.quiet_hours
        if quiet is None or one.step.do in {Do.MARK, Do.WEBHOOK}:
            return Stage.OPEN, "", None
        zones = {self.view.owner.zone}
        if one.step.do in TO_OTHERS and account.time_zone:
            zones.add(account.time_zone)
        ends = now
        while ends < one.until:
            later = [quiet_until(quiet.start, quiet.end, zone, ends) for zone in sorted(zones)]
            still = max((at for at in later if at is not None), default=None)
            if still is None:
                break
            ends = still
        if ends == now:
            return Stage.OPEN, "", None
        if ends >= one.until:
            return (
                Stage.WITHHELD,
                f"quiet hours outlast it, so it lapses at {self.view.said(one.until)}",
                None,
            )
        return Stage.WITHHELD, f"quiet hours until {self.view.said(ends)}", ends


def _wait(rule: Rule) -> timedelta:
    """How long the first message of a group waits for others."""
    if rule.group_by is None:
        return timedelta(0)
    return rule.group_wait.delta if rule.group_wait is not None else GROUP_WAIT


def _outcome(verdict: Verdict, inhibitor: str | None) -> Outcome:
    if verdict.holds is None:
        return Outcome.UNKNOWN
    if not verdict.holds:
        return Outcome.NO
    return Outcome.INHIBITED if inhibitor else Outcome.HOLDS
