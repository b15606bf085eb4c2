"""What rules make of a meeting and what became of its messages, in sentences for their owner."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import datetime

from daemon.store.delivery_row import Delivery
from rules.delivery import AGREE, PROPOSE, State
from rules.explain import RuleTrace, StepTrace
from rules.hours import zone
from rules.model import Because, Owner, Upcoming
from rules.policy import Mode, Policy

_DOING = {
    "confirm": "asks {} to confirm",
    "reschedule": "offers {} other times",
    "check_in": "asks {} whether it took place",
    "notify": "tells {}",
    "mark": "labels it in its calendar",
    "webhook": "calls the webhook {}",
}

_UNLESS = {
    "unconfirmed": "unless the answer comes first",
    "declined": "unless they change their mind or a new time is found first",
    "cancelled": "unless another meeting takes its place first",
    "missed": "unless it turns out to have taken place",
    "unaccounted": "unless somebody says before what became of it",
    "conflict": "unless one of the two moves first",
    "away": "unless the meeting or the absence moves first",
    "silent": "unless something is heard of them first",
    "ending": "unless another meeting with them is planned first",
}

_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)")

_BECAME = {
    State.CLAIMED: "is leaving right now",
    State.COMMITTING: "is leaving right now",
    State.REFUSED: "was refused",
    State.UNKNOWN: "may or may not have arrived, and is never sent again by itself",
    State.LAPSED: "did not leave in its time",
    State.SUPERSEDED: "was no longer called for, so it did not leave",
    State.SUPPRESSED: "will not leave",
}


class Speaker:
    """Says things in the owner's time zone, and ``you`` for their addresses."""

    def __init__(self, owner: Owner, policy: Policy) -> None:
        self._owner = owner
        self._rules = {rule.name: rule for rule in policy.rules}

    def at(self, instant: datetime) -> str:
        """An instant as the owner's clock and calendar show it."""
        return f"{instant.astimezone(zone(self._owner.zone)):%a %Y-%m-%d %H:%M}"

    def headline(self, trace: RuleTrace, upcoming: Sequence[Upcoming] = ()) -> str:
        """One plain sentence: what the rule does about the meeting, when, or why nothing."""
        said = {
            "due": self._due,
            "withheld": self._withheld,
            "done": self._done,
        }.get(trace.outcome)
        if said is not None:
            return said(trace)
        if trace.outcome == "waiting":
            return self._waiting(trace, upcoming)
        if trace.outcome == "lapsed":
            return f"it applies ({trace.reason}), but the time of its steps is over"
        if trace.outcome == "not_matched":
            return f"not about this meeting: {self._not_so(trace)}"
        if trace.outcome == "inhibited":
            return f"stands back, since the rule {_value(trace, 'inhibited_by')} holds for this meeting"
        if trace.outcome == "not_eligible":
            return f"does not apply: {self._not_so(trace)}"
        doubt = f"cannot tell, so nothing leaves: {trace.reason}" if trace.outcome == "unknown" else ""
        return doubt or self._nothing(trace, upcoming)

    def _nothing(self, trace: RuleTrace, upcoming: Sequence[Upcoming]) -> str:
        if not upcoming:
            return f"nothing to do: {self._not_so(trace)}"
        first = upcoming[0]
        doing = self._doing(self._what(first), [one.to for one in upcoming if one.step == first.step])
        return f"nothing yet; if nothing changes, it {doing} on {self.at(first.at)}"

    def coming(self, upcoming: Sequence[Upcoming]) -> str:
        """The next thing that will happen, if nothing changes."""
        first = upcoming[0]
        same = [one for one in upcoming if (one.rule, one.step, one.at) == (first.rule, first.step, first.at)]
        doing = self._doing(self._what(first), [one.to for one in same])
        return f"{self.at(first.at)}: {first.rule} {doing}, {self._unless(first.rule)}"

    def _due(self, trace: RuleTrace) -> str:
        now = [one for one in trace.steps if one.stage == "open"]
        held = next((one for one in now if one.hold or one.mode != Mode.AUTO), None)
        word = _approval(held) if held else ""
        return f"{self._all(now)} now{word} ({trace.reason})"

    def _waiting(self, trace: RuleTrace, upcoming: Sequence[Upcoming]) -> str:
        ahead = [one for one in trace.steps if one.stage == "ahead"]
        due = min(one.due for one in ahead)
        first = [one for one in ahead if one.due == due]
        at = next((one.at for one in upcoming if one.step == first[0].step), due)  # quiet hours may delay it
        word = _approval(first[0])
        return (
            f"waiting ({trace.reason}); {self._all(first)} on {self.at(at)}{word}, {self._unless(trace.rule)}"
        )

    def _withheld(self, trace: RuleTrace) -> str:
        held = [one for one in trace.steps if one.stage == "withheld"]
        return f"holds back what would be due: {self._all(held[:1])}; {held[0].why}"

    def _done(self, trace: RuleTrace) -> str:
        done = [one for one in trace.steps if one.stage == "done"]
        said = "; ".join(f"{self._doing(one.do, [one.to])}, {_done(one)}" for one in done)
        return f"has done its part: {said} ({trace.reason})"

    def step(self, one: StepTrace) -> str:
        """One step for one recipient: what it does, in which time, where it stands."""
        turn = f", turn {one.turn}" if one.turn > 1 else ""
        span = f"from {self.at(one.due)} until {self.at(one.until)}"
        stands = {
            "ahead": "its time has not come",
            "open": f"due now{_approval(one)}",
            "done": _done(one),
            "overtaken": f"not needed: {one.why}",
            "withheld": f"held back: {one.why}",
            "passed": one.why,
        }[one.stage]
        return f"{one.step}{turn}: {self._doing(one.do, [one.to])}, {span} — {stands}"

    def delivery(self, one: Delivery) -> str:
        """What became of one message."""
        what = f"{one.rule}/{one.step} to {self._name(one.to)}"
        error = f" ({one.error})" if one.error else ""
        if one.state is State.SENT:
            if one.do in {AGREE, PROPOSE}:
                done = "is in the calendar since" if one.do == AGREE else "was proposed to its organiser"
                return f"the time that was agreed on {done} {self.at(one.sent_at or one.changed_at)}"
            along = f", together with message {one.carried_by}" if one.carried_by else ""
            return f"{what} left {self.at(one.sent_at or one.changed_at)}{along}"
        if one.state is State.HELD:
            why = f": {one.error}" if one.error else ""
            until = f"until {self.at(one.until)}"
            return f"{what} is held{why}; let it go {until} with: rebookd outbox approve {one.id}"
        if one.state in {State.PENDING, State.RETRYING}:
            word = "is tried again" if one.state is State.RETRYING else "leaves"
            return f"{what} {word} {self.at(one.next_try_at)} or soon after{error}"
        return f"{what} {_BECAME[one.state]}{error}, {self.at(one.changed_at)}"

    def _not_so(self, trace: RuleTrace) -> str:
        """The first thing asked that is not so, with what says it."""
        failed = next((one for one in trace.because if one.holds is False), None)
        return f"“{failed.predicate}” is not so ({self.told(failed)})" if failed else trace.reason

    def told(self, look: Because) -> str:
        """The field that answered a question, and what it holds."""
        value = _INSTANT.sub(lambda found: self.at(datetime.fromisoformat(found[0])), look.value)
        return f"{look.field}: {value or 'empty'}"

    def _what(self, one: Upcoming) -> str:
        steps = {step.step: step.do.value for step in self._rules[one.rule].then}
        return steps[one.step]

    def _all(self, steps: Iterable[StepTrace]) -> str:
        """What several steps do, each said once with all its people."""
        people: dict[tuple[str, str], list[str]] = {}
        for one in steps:
            people.setdefault((one.step, one.do), []).append(one.to)
        return " and ".join(self._doing(do, to) for (_, do), to in people.items())

    def _doing(self, do: str, people: Iterable[str]) -> str:
        return _DOING[do].format(" and ".join(dict.fromkeys(map(self._name, people))))

    def _name(self, address: str) -> str:
        return "you" if address in self._owner.addresses else address

    def _unless(self, rule: str) -> str:
        return _UNLESS[self._rules[rule].when.word]


def _approval(one: StepTrace) -> str:
    """That a message needs the owner's word, and why."""
    if one.hold:
        return f", once you approve it ({one.hold})"
    if one.mode in {Mode.APPROVE, Mode.DRAFT}:
        return f", once you approve it (mode: {one.mode})"
    return ""


def _done(one: StepTrace) -> str:
    """That a step was dealt with: what became of its message, and when."""
    state, _, when = one.why.partition(" ")
    if one.do in {"mark", "webhook"}:
        return f"{'done' if state == State.SENT else state} {when}"
    return f"message {one.why}"


def _value(trace: RuleTrace, field: str) -> str:
    return next((one.value for one in trace.because if one.field == field), "")
