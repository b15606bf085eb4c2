"""The rules file: what to look for, and which steps follow.

Reading a file gives a :class:`RulesFile`; all of an owner's files together make one :class:`Policy`.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from rules.detections import (
    Away,
    Cancelled,
    Conflict,
    Declined,
    Detector,
    Ending,
    Keep,
    Missed,
    Silent,
    Unaccounted,
    Unconfirmed,
    When,
)
from rules.faults import Fault, Faults, Strict, not_one_of
from rules.fields import (
    Moment,
    Name,
    NonEmpty,
    OneOrMany,
    Pattern,
    PositiveSpan,
    Span,
    Version,
    duplicates,
    span,
)
from rules.match import Match, Silence, SilenceMatch
from rules.matchers import Words
from rules.timetable import Clock, DayPart, Days, Zone

RESERVED = "rebookd"
"""The rule name that notices of the daemon itself go by."""


class Mode(StrEnum):
    """How far a rule may go by itself."""

    OBSERVE = "observe"
    DRAFT = "draft"
    APPROVE = "approve"
    AUTO = "auto"


class Do(StrEnum):
    """What a step does."""

    CONFIRM = "confirm"
    RESCHEDULE = "reschedule"
    CHECK_IN = "check_in"
    NOTIFY = "notify"
    MARK = "mark"
    WEBHOOK = "webhook"


TO_OTHERS = frozenset({Do.CONFIRM, Do.RESCHEDULE})
"""What writes to other people."""

TELLS_ME = frozenset({Do.CHECK_IN, Do.NOTIFY})
"""What goes to the owner alone."""


class Guard(Strict):
    """Limits that hold whatever the rules say."""

    max_per_run: Annotated[int, Field(strict=True, ge=1, le=1_000_000, examples=[20])] = 20
    """More mails than this due at one moment send nothing and tell me instead."""
    max_per_hour: Annotated[int, Field(strict=True, ge=1, le=1_000_000, examples=[30])] = 30
    """The most mails in any hour; the others wait."""
    per_recipient_per_day: Annotated[int, Field(strict=True, ge=1, le=10_000, examples=[3])] = 3
    """The most mails to one address in 24 hours."""
    quiet_hours: DayPart | None = None
    """A part of the day when no mail leaves, in my time zone and in the recipient's where it is known; a
    step due then waits for its end."""
    first_sync: Literal["quiet", "act"] = "quiet"
    """Whether steps already open when an account was first read are sent too (act) or not (quiet)."""


MOST_TURNS = 20
"""No step is repeated more often."""

_ONLY_WITH = {
    Do.RESCHEDULE: ("slots", "within", "notice", "when_over"),
    Do.MARK: ("label",),
    Do.WEBHOOK: ("webhook",),
}


class Step(Strict):
    """One thing to do, in its time."""

    step: Name = Field(examples=["ask"])
    """The step's name, unique in its rule."""
    do: Do = Field(examples=["reschedule"])
    """confirm asks the attendees; reschedule offers free times; check_in asks me; notify tells me; mark
    puts a label on the event; webhook calls a system of mine."""
    at: Moment = Field(examples=["48h before start"])
    """When the step opens."""
    until: Moment | None = None
    """When the step lapses; without it, when it no longer makes sense."""
    slots: Annotated[int, Field(strict=True, ge=1, le=10)] = 3
    """reschedule: how many times to offer."""
    within: PositiveSpan = span("5 business days")
    """reschedule: how far ahead the offered times may lie."""
    notice: Span = span("4h")
    """reschedule: how soon the first offered time may be."""
    when_over: Literal["new", "move"] = "new"
    """reschedule: what a new time makes of a meeting that is over: another one, linked to it, or the same one
    moved."""
    template: Name | None = Field(None, examples=["sorry-we-missed-you"])
    """The template of the mail; without it, the built-in one."""
    label: Words | None = Field(None, examples=["unconfirmed"])
    """mark: the category to put on the event; without it, `rebookd`."""
    webhook: Name | None = Field(None, examples=["crm"])
    """webhook: which of the configuration's webhooks to call."""
    repeat_every: PositiveSpan | None = Field(None, examples=["1 day"])
    """Do it again so often while the step is open; without it, as the rule says."""
    at_most: Annotated[int, Field(strict=True, ge=1, le=MOST_TURNS)] | None = Field(None, examples=[3])
    """How many times in all."""

    @property
    def category(self) -> str:
        """The category that a mark puts on the event."""
        return self.label or "rebookd"

    @model_validator(mode="after")
    def _sense(self) -> Self:
        faults = [
            Fault(f"'{key}' goes with do: {do.value} only", "take it out", (key,), "key")
            for do, keys in _ONLY_WITH.items()
            for key in keys
            if key in self.model_fields_set and self.do is not do
        ]
        if self.template is not None and self.do in {Do.MARK, Do.WEBHOOK}:
            faults.append(Fault("no mail is written here", "take it out", ("template",), "key"))
        if self.do is Do.WEBHOOK and self.webhook is None:
            hint = "name one in the configuration's webhooks, like webhook: crm"
            faults.append(Fault("'webhook' needs its name", hint, ("do",)))
        if self.until is not None and _not_after(self.at, self.until):
            faults.append(
                Fault(
                    f"'until: {self.until}' is not after 'at: {self.at}'",
                    "the step could never run",
                    ("until",),
                )
            )
        if faults:
            raise Faults(faults)
        return self


def _not_after(at: Moment, until: Moment) -> bool:
    """Whether ``until`` certainly comes no later than ``at``; False where it depends on the meeting."""
    if at.anchor != until.anchor:
        return at.anchor == "end" and not at.is_before and not until.is_after
    mixed = {bool(one.span.business_days) for one in (at, until) if one.span}
    if len(mixed) > 1:
        return at.is_after and until.is_before
    return _signed(until) <= _signed(at)


def _signed(moment: Moment) -> float:
    size = moment.span.business_days or moment.span.delta.total_seconds()
    return size if moment.after else -size


def _not_reserved(name: str) -> str:
    if name == RESERVED:
        raise Faults([Fault(f"'{RESERVED}' is the daemon's own name", "give the rule another name")])
    return name


class Rule(Strict):
    """A question about meetings and the steps that follow when the answer is yes."""

    name: Annotated[Name, AfterValidator(_not_reserved)] = Field(examples=["confirm-acme"])
    """The rule's name, unique among all rules."""
    description: str = Field("", examples=["Acme confirms two days ahead; else I offer another time."])
    """What it is for, in my own words."""
    match: Match = Match()
    """Which meetings it looks at; without it, all."""
    when: When = Field(examples=["unconfirmed"])
    """The question asked of each meeting."""
    inhibited_by: Annotated[tuple[Name, ...], OneOrMany()] = Field((), examples=[["clash"]])
    """Rules that silence this one for a meeting while they hold for it."""
    mode: Mode = Mode.AUTO
    """observe only records; draft puts mails among my drafts; approve waits for my word; auto sends."""
    time_zone: Zone | None = None
    """Where business days, weekdays and hours of this rule are counted; without it, where I am."""
    group_by: Literal["contact"] | None = None
    """contact: what this rule finds for one person within `group_wait` becomes one message."""
    group_wait: Span | None = Field(None, examples=["15m"])
    """How long the first message of a group waits for others; 10m without it."""
    repeat_every: PositiveSpan | None = Field(None, examples=["1 day"])
    """Do each step again so often while it is open."""
    at_most: Annotated[int, Field(strict=True, ge=1, le=MOST_TURNS)] | None = Field(None, examples=[3])
    """How many times in all."""
    then: Annotated[tuple[Step, ...], *NonEmpty]
    """The steps, each done once for a meeting at its time, unless it repeats."""

    @model_validator(mode="after")
    def _sense(self) -> Self:
        faults = [
            Fault(
                f"two steps are called '{step.step}'", "give each step its own name", ("then", index, "step")
            )
            for index, step in enumerate(self.then)
            if step.step in [other.step for other in self.then[:index]]
        ]
        faults += [each.under("inhibited_by") for each in duplicates(self.inhibited_by)]
        if self.group_wait is not None and self.group_by is None:
            faults.append(
                Fault("'group_wait' needs 'group_by'", "add group_by: contact", ("group_wait",), "key")
            )
        if self.group_wait is not None and self.group_wait.business_days:
            faults.append(Fault("a group does not wait for days", "write it like 15m", ("group_wait",)))
        if self.at_most is not None and self.repeat_every is None:
            faults.append(
                Fault("'at_most' needs 'repeat_every'", "add repeat_every: 1 day", ("at_most",), "key")
            )
        for index, step in enumerate(self.then):
            found = _fits(self.when, step)
            if step.at_most is not None and step.repeat_every is None and self.repeat_every is None:
                hint = "add repeat_every: 1 day"
                found.append(Fault("'at_most' needs 'repeat_every'", hint, ("at_most",), "key"))
            faults += [each.under("then", index) for each in found]
        if faults:
            raise Faults(faults)
        return self


def _fits(when: Detector, step: Step) -> list[Fault]:
    """What speaks against a step for what its rule asks."""
    if isinstance(when, Unaccounted) and step.do in TO_OTHERS:
        return [Fault("only I am told of an unaccounted meeting", "use check_in or notify", ("do",))]
    if isinstance(when, Unconfirmed) and when.by == "me" and step.do in TO_OTHERS:
        return [Fault("with 'by: me' only I am told", "use check_in or notify", ("do",))]
    if step.do is Do.CONFIRM and not isinstance(when, Unconfirmed):
        return [Fault(f"'confirm' goes with 'unconfirmed', not '{when.word}'", "use reschedule", ("do",))]
    if step.do is Do.CONFIRM and not (step.at.anchor == "start" and step.at.is_before):
        return [Fault("a meeting is confirmed before it starts", "write it like 48h before start", ("at",))]
    if isinstance(when, Missed | Unaccounted) and (step.at.is_before or str(step.at) == "at start"):
        return [Fault(f"'{when.word}' is known only after the end", "write it like 15m after end", ("at",))]
    if isinstance(when, Silent) and (step.at.anchor != "end" or step.at.is_before):
        hint = "write it like at: at end, or 30 days after end"
        return [Fault("silence is counted from the end of the last meeting", hint, ("at",))]
    before_start = Unconfirmed | Declined | Away | Conflict
    if isinstance(when, before_start) and not step.at.is_before:
        hint = "write it like 4h before start"
        return [Fault(f"'{when.word}' is asked only before the start", hint, ("at",))]
    return []


def name_faults(names: Sequence[str | None], inhibited_by: Sequence[Sequence[str]]) -> list[Fault]:
    """What is wrong among the rules' names, each fault at ``(rule's index, key, …)``.

    Takes plain text so that it can look even where other things of a rule are wrong; a name that could
    not be read is None, and an entry that could not is empty.
    """
    faults = [
        Fault(f"two rules are called '{name}'", "give each rule its own name", (index, "name"))
        for index, name in enumerate(names)
        if name is not None and name in names[:index]
    ]
    after: dict[str, Sequence[str]] = {name: by for name, by in zip(names, inhibited_by, strict=True) if name}
    for index, (name, others) in enumerate(zip(names, inhibited_by, strict=True)):
        for place, other in enumerate(others):
            where = (index, "inhibited_by", place)
            if not other:
                continue
            if other == name:
                faults.append(Fault("a rule cannot inhibit itself", "take it out", where))
            elif other not in after and None not in names:
                faults.append(not_one_of(other, after, what="a rule; rules are").under(*where))
            elif name is not None and name in _reachable(other, after):
                faults.append(Fault(f"'{name}' and '{other}' inhibit each other", "break the circle", where))
    return faults


def _reachable(name: str, after: dict[str, Sequence[str]]) -> set[str]:
    seen: set[str] = set()
    todo = [name]
    while todo:
        for other in after.get(todo.pop(), ()):
            if other not in seen:
                seen.add(other)
                todo.append(other)
    return seen


class Digest(Strict):
    """One mail to me about how things stand."""

    at: Clock = Field(examples=["08:00"])
    """When, in my time zone."""
    on: Annotated[tuple[Days, ...], OneOrMany()] = Field(
        (Days.parse("daily"),), json_schema_extra={"default": "daily", "examples": ["weekdays"]}
    )
    """On which days; without it, every day."""


class RulesFile(Strict):
    """One file of rules."""

    version: Version = Field(examples=[1])
    """The version of this file's grammar: 1."""
    guard: Guard = Guard()
    """Limits that hold whatever the rules say."""
    digest: Digest | None = Field(None, examples=[{"at": "08:00", "on": "weekdays"}])
    """When to tell me how things stand."""
    rules: tuple[Rule, ...]
    """The rules; each looks at every meeting by itself."""


class Policy(RulesFile):
    """All rules of one owner, and what the owner has said about them since.

    ``silences`` are those in force, ``optouts`` the addresses nobody may write to, ``demoted`` how far a
    rule may go at most by itself.
    """

    silences: tuple[Silence, ...] = ()
    optouts: tuple[Pattern, ...] = ()
    demoted: dict[str, Mode] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _sense(self) -> Self:
        faults = name_faults([rule.name for rule in self.rules], [rule.inhibited_by for rule in self.rules])
        if faults:
            raise Faults(each.under("rules") for each in faults)
        return self


__all__ = [
    "Away",
    "Cancelled",
    "Conflict",
    "Declined",
    "Detector",
    "Digest",
    "Do",
    "Ending",
    "Guard",
    "Keep",
    "Match",
    "Missed",
    "Mode",
    "Policy",
    "Rule",
    "RulesFile",
    "Silence",
    "SilenceMatch",
    "Silent",
    "Step",
    "Unaccounted",
    "Unconfirmed",
]
