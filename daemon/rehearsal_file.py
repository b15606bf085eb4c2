"""The grammar of rule tests (``rules.test.yaml``)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from rules.faults import Fault, Faults, Strict, fault, shown
from rules.fields import OneOrMany, Span, Text
from rules.fields import address as read_address
from rules.model import Address, PartStat

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


def _addresses(value: object) -> tuple[Address, ...]:
    if not isinstance(value, list):
        raise fault(f"a list of addresses is expected here, not {shown(value)}", "write [me@example.net]")
    return tuple(read_address(one) for one in value)


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


Clock = Annotated[datetime, BeforeValidator(_clock)]
Answers = Annotated[dict[Address, PartStat], BeforeValidator(_answers)]
Zone = Annotated[str, Field(examples=["Europe/Lisbon"])]


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
    lasts: Span = Span(delta=timedelta(minutes=30), text="30m")
    """How long it is."""
    organizer: str | None = None
    """Who organises; nobody on a calendar that is mine means me."""
    attendees: Answers = Field(default_factory=dict)
    """Each attendee's answer."""
    optional: Annotated[tuple[str, ...], OneOrMany()] = ()
    """Which of the attendees are optional."""
    created: Offset = Offset(delta=timedelta(days=-7), text="-7d")
    """When it was made."""
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


class Moved(Strict):
    """New times of a meeting."""

    starts: Offset
    """When it starts now."""
    lasts: Span | None = None
    """How long it is now; without it, as long as before."""


Mark = Literal["held", "missed", "missed-by-me"]


class Expected(Strict):
    """A message that must leave; only what is written is compared."""

    rule: str
    """The rule that asks for it."""
    step: str
    """The step of that rule."""
    to: Annotated[Address, BeforeValidator(read_address)] | None = None
    """Whom it goes to."""
    do: str | None = None
    """What the step does."""
    uid: str | None = None
    """The meeting it is about."""


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
    rsvp: Literal["trusted", "untrusted"] = "trusted"
    """Whether answers in this account are to be believed."""


class RuleTest(Strict):
    """One story: a clock, what is given, and what happens."""

    name: str
    """What the story shows."""
    clock: Clock
    """When it starts; offsets count from here."""
    me: Annotated[tuple[Address, ...], BeforeValidator(_addresses), Field(min_length=1)]
    """Every address that is me."""
    time_zone: Zone = "UTC"
    """My time zone."""
    accounts: dict[str, AccountGiven] = Field(default_factory=dict)
    """What is known of accounts, by name."""
    given: tuple[Given, ...] = ()
    """The meetings there are at first."""
    timeline: Annotated[tuple[Moment, ...], Field(min_length=1)]
    """What happens, in order."""

    @model_validator(mode="after")
    def _sense(self) -> Self:
        faults: list[Fault] = []
        known = {one.uid for one in self.given}
        last: datetime | None = None
        for index, moment in enumerate(self.timeline):
            at = moment.at.after(self.clock)
            if last is not None and at < last:
                faults.append(
                    Fault(
                        "time runs forward: this is before the moment above it", "", ("timeline", index, "at")
                    )
                )
            last = at
            known |= {one.uid for one in moment.add}
            faults += [
                Fault(
                    f"no meeting is called '{uid}'",
                    f"meetings are {', '.join(sorted(known))}",
                    ("timeline", index, key),
                )
                for key, uids in _named(moment)
                for uid in uids
                if uid not in known
            ]
        if faults:
            raise Faults(faults)
        return self


def _named(moment: Moment) -> list[tuple[str, Any]]:
    keys = ("answer", "move", "cancel", "remove", "mark")
    return [(key, getattr(moment, key)) for key in keys]


class RehearsalFile(Strict):
    """A file of rule tests."""

    rules: str = "rules.yaml"
    """The rules file to rehearse, relative to this one."""
    tests: Annotated[tuple[RuleTest, ...], Field(min_length=1)]
    """The stories."""


__all__ = ["Expected", "Given", "Mark", "Moment", "RehearsalFile", "RuleTest"]
