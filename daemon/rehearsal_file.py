"""The grammar of rule tests (``rules.test.yaml``)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Annotated, ClassVar, Literal, Self

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from daemon.config.holiday_calendar import HolidayCode
from rules.faults import Fault, Faults, Strict, fault, not_one_of, shown
from rules.fields import MailAddress, OneOrMany, Pattern, Span, Text, span
from rules.fields import address as read_address
from rules.match import SilenceMatch
from rules.model import Address, Held, PartStat
from rules.policy import Mode, Policy, Rule
from rules.timetable import WeeklyHours, Zone

_SIGN = re.compile(r"^([+-]?)\s*(.+)$")


@dataclass(frozen=True, slots=True)
class Offset(Text):
    """A moment of a rehearsal: an offset from its clock, or a full date and time."""

    what: ClassVar[str] = "an offset from the clock"
    examples: ClassVar[tuple[str, ...]] = ("50h", "-1h", "2 days", "2026-03-02T09:00:00Z")

    delta: timedelta = timedelta(0)
    instant: datetime | None = None
    text: str = field(default="0m", compare=False)

    def __str__(self) -> str:
        return self.text

    @classmethod
    def parse(cls, text: str) -> Self:
        """``50h``, ``-90m``, ``2 days`` or RFC 3339."""
        if "T" in text and text[:1].isdigit():
            return cls(instant=_instant(text), text=text)
        found = _SIGN.match(text.strip())
        sign, words = found.groups() if found else ("", text)
        span = Span.parse(words)
        if span.business_days:
            raise fault("an offset cannot be in business days", "write hours or days")
        return cls(delta=-span.delta if sign == "-" else span.delta, text=text)

    def after(self, clock: datetime) -> datetime:
        """The moment it names, in UTC, when the rehearsal starts at ``clock``."""
        return (self.instant or clock + self.delta).astimezone(UTC)


def _instant(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise fault(f"'{text}' is not a date and time with its offset", "write it like 2026-03-02T09:00:00Z")
    return found


def _clock(value: object) -> datetime:
    if isinstance(value, datetime):
        return value
    if not isinstance(value, str):
        raise fault(f"a date and time is expected here, not {shown(value)}", "write 2026-03-02T09:00:00Z")
    return _instant(value)


def _answers(value: object) -> dict[Address, PartStat]:
    if not isinstance(value, dict):
        raise fault(f"addresses with their answers are expected here, not {shown(value)}")
    found: dict[Address, PartStat] = {}
    faults: list[Fault] = []
    words = ", ".join(one.value for one in PartStat)
    for key, answer in value.items():
        try:
            found[read_address(key)] = PartStat(str(answer).upper())
        except Faults as error:
            faults += [one.under(key) for one in error.faults]
        except ValueError:
            faults.append(Fault(f"'{shown(answer)}' is not one of {words}", loc=(key,)))
    if faults:
        raise Faults(faults)
    return found


def _recipient(value: object) -> str:
    return value if isinstance(value, str) and value and "@" not in value else read_address(value)


Recipient = Annotated[str, BeforeValidator(_recipient), WithJsonSchema({"type": "string"})]
Clock = Annotated[datetime, BeforeValidator(_clock)]
Answers = Annotated[dict[Address, PartStat], BeforeValidator(_answers)]


class Given(Strict):
    """A meeting in a calendar."""

    account: str = "own"
    """The account whose calendar holds it."""
    calendar: str = "calendar"
    """The calendar's name."""
    uid: str
    """Its UID; the same in two accounts is one meeting."""
    title: str = ""
    """Its title."""
    location: str = ""
    """Where it is."""
    starts: Offset
    """When it starts."""
    time_zone: Zone | None = None
    """The time zone it is written in; without it, mine."""
    lasts: Span = span("30m")
    """How long it is."""
    organizer: MailAddress | None = None
    """Who organises; nobody on a calendar that is mine means me."""
    attendees: Answers = Field(default_factory=dict)
    """Each attendee's answer."""
    optional: Annotated[tuple[MailAddress, ...], OneOrMany()] = ()
    """Which of the attendees are optional."""
    created: Offset | None = None
    """When it was made; without it, a week before the clock, or when it appears."""
    categories: Annotated[tuple[str, ...], OneOrMany()] = ()
    """Its categories, such as a mark of mine."""
    all_day: bool = False
    """It has a date and no time."""
    floating: bool = False
    """Its time names no time zone."""
    transparent: bool = False
    """It does not take my time."""
    private: bool = False
    """Its title is nobody else's business."""
    cancelled: bool = False
    """It is cancelled."""
    recurring: bool = False
    """It belongs to a series."""
    recurrence_id: str | None = None
    """Which one of its series it is."""
    final: bool = False
    """It is the last of its series."""

    @property
    def name(self) -> str:
        """What a moment may call it: its UID, or UID/RECURRENCE-ID for one of a series."""
        return self.uid if self.recurrence_id is None else f"{self.uid}/{self.recurrence_id}"


class Moved(Strict):
    """New times of a meeting."""

    starts: Offset
    """When it starts now."""
    lasts: Span | None = None
    """How long it is now; without it, as long as before."""


Mark = Literal["held", "missed", "missed-by-me"]


class SilenceGiven(Strict):
    """A silence that I put over some messages."""

    match: Annotated[SilenceMatch, WithJsonSchema({"type": "object"})] = Field(examples=[{"client": "Acme"}])
    """Which messages: what a rule's `match:` may ask, and `rule:`."""
    for_: Span = Field(alias="for", examples=["3d"])
    """How long."""

    @model_validator(mode="after")
    def _sense(self) -> Self:
        faults = []
        if not self.match.model_fields_set:
            faults.append(Fault("nothing is named here", "write it like match: {client: Acme}", ("match",)))
        if self.for_.business_days or not self.for_:
            faults.append(Fault("a silence lasts hours or days", "write it like 3d", ("for",)))
        if faults:
            raise Faults(faults)
        return self


class Expected(Strict):
    """A message that must leave; only what is written is compared."""

    rule: str
    """The rule that asks for it."""
    step: str
    """The step of that rule."""
    to: Recipient | None = None
    """Whom it goes to: an address, or the name of a webhook."""
    do: str | None = None
    """What the step does."""
    uid: str | None = None
    """The meeting it is about."""
    held: bool | None = None
    """Whether it waits for my word before it leaves, as a draft or for approval."""


class Moment(Strict):
    """Something that happens, and what must have left since the moment before."""

    at: Offset
    """When it happens."""
    add: Annotated[tuple[Given, ...], OneOrMany()] = ()
    """Meetings that appear."""
    answer: dict[str, Answers] = Field(default_factory=dict)
    """Attendees' answers, by UID."""
    move: dict[str, Moved] = Field(default_factory=dict)
    """Meetings that get other times, by UID."""
    cancel: Annotated[tuple[str, ...], OneOrMany()] = ()
    """UIDs of meetings that are cancelled."""
    remove: Annotated[tuple[str, ...], OneOrMany()] = ()
    """UIDs of meetings that vanish."""
    mark: dict[str, Mark] = Field(default_factory=dict)
    """What the owner says became of a meeting, by UID."""
    attendance: dict[str, Held] = Field(default_factory=dict)
    """What a record of attendance says of a meeting, by UID."""
    silence: Annotated[tuple[SilenceGiven, ...], OneOrMany()] = ()
    """Messages I hold back for a while."""
    optout: Annotated[tuple[Pattern, ...], OneOrMany()] = ()
    """Addresses that ask not to be written to; * stands for any text."""
    blind: Annotated[tuple[str, ...], OneOrMany()] = ()
    """Accounts that can no longer be read."""
    see: Annotated[tuple[str, ...], OneOrMany()] = ()
    """Accounts that can be read again."""
    expect: tuple[Expected, ...] | None = None
    """Exactly what must have left; without it, anything may."""


class AccountGiven(Strict):
    """What is known of an account."""

    client: str | None = None
    """The client the account belongs to."""
    time_zone: Zone | None = None
    """Where its people are; their quiet hours count too."""
    rsvp: Literal["trusted", "untrusted"] = "trusted"
    """Whether answers in this account are to be believed."""
    mode: Mode = Mode.AUTO
    """How far rules may go by themselves for this account."""


class RuleTest(Strict):
    """One story: a clock, what is given, and what happens."""

    name: str
    """What the story shows."""
    clock: Clock
    """When it starts; offsets count from here."""
    me: Annotated[tuple[MailAddress, ...], OneOrMany(), Field(min_length=1, examples=[["dana@example.net"]])]
    """Every address that is me; the first is where I am told things."""
    time_zone: Zone = "UTC"
    """My time zone."""
    working_hours: WeeklyHours | None = None
    """When I work; without it, Monday to Friday 09:00-17:00."""
    holidays: HolidayCode | None = None
    """Whose public holidays I keep: a country, or a country and its part."""
    accounts: dict[str, AccountGiven] = Field(default_factory=dict)
    """What is known of accounts, by name."""
    given: tuple[Given, ...] = ()
    """The meetings there are at first."""
    timeline: Annotated[tuple[Moment, ...], Field(min_length=1)]
    """What happens, in order."""

    @model_validator(mode="after")
    def _sense(self) -> Self:
        faults: list[Fault] = []
        names = _Names(set(self.accounts))
        names.learn(self.given)
        last: datetime | None = None
        for index, moment in enumerate(self.timeline):
            at = moment.at.after(self.clock)
            if last is not None and at < last:
                wrong = "time runs forward: this is before the moment above it"
                faults.append(Fault(wrong, "", ("timeline", index, "at")))
            last = at
            names.learn(moment.add)
            faults += [each.under("timeline", index) for each in names.unknown(moment)]
        if faults:
            raise Faults(faults)
        return self


class _Names:
    """The meetings and accounts a story has spoken of so far."""

    def __init__(self, accounts: set[str]) -> None:
        self._accounts = accounts
        self._meetings: set[str] = set()

    def learn(self, given: tuple[Given, ...]) -> None:
        for one in given:
            self._accounts.add(one.account)
            self._meetings |= {one.uid, one.name}

    def unknown(self, moment: Moment) -> list[Fault]:
        """Names in a moment that nothing given has."""
        return [
            Fault(f"no {what} is called '{name}'", f"{what}s are {', '.join(sorted(known))}", (key,))
            for what, known, keys in (
                ("meeting", self._meetings, ("answer", "move", "cancel", "remove", "mark", "attendance")),
                ("account", self._accounts, ("blind", "see")),
            )
            for key in keys
            for name in getattr(moment, key)
            if name not in known
        ]


class RehearsalFile(Strict):
    """A file of rule tests."""

    rules: str = "rules.yaml"
    """The rules file to rehearse, relative to this one."""
    tests: Annotated[tuple[RuleTest, ...], Field(min_length=1)]
    """The stories."""


def strangers(file: RehearsalFile, policy: Policy) -> list[Fault]:
    """Rules, steps and webhooks that a test expects and the policy does not have."""
    rules = {rule.name: rule for rule in policy.rules}
    return [
        fault.under("tests", number, "timeline", place, "expect", index)
        for number, test in enumerate(file.tests)
        for place, moment in enumerate(test.timeline)
        for index, one in enumerate(moment.expect or ())
        if (fault := _stranger(one, rules)) is not None
    ]


def _stranger(one: Expected, rules: Mapping[str, Rule]) -> Fault | None:
    if one.rule not in rules:
        return not_one_of(one.rule, rules, what="a rule; rules are").under("rule")
    steps = {step.step: step for step in rules[one.rule].then}
    if one.step not in steps:
        return not_one_of(one.step, steps, what=f"a step of {one.rule}; steps are").under("step")
    if one.to is not None and "@" not in one.to and one.to != steps[one.step].webhook:
        return Fault(f"'{one.to}' is not a mail address", "write it like dana@example.net", ("to",))
    return None


__all__ = [
    "AccountGiven",
    "Expected",
    "Given",
    "Mark",
    "Moment",
    "Moved",
    "RehearsalFile",
    "RuleTest",
    "strangers",
]
