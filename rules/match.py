"""Which meetings a rule, or a silence, looks at."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Self

from pydantic import Field, model_validator

from rules.faults import Fault, Faults, Strict
from rules.fields import OneOrMany, Pattern
from rules.matchers import LengthQuestion, NumberQuestion, Organizer, TextQuestion
from rules.timetable import DayPart, Days

DEEPEST = 5
"""How deep ``any``, ``all`` and ``not`` may be nested."""


class Match(Strict):
    """Which meetings to look at; every key given must fit."""

    account: Annotated[tuple[Pattern, ...], OneOrMany()] | None = Field(None, examples=["acme"])
    """Names of accounts."""
    calendar: Annotated[tuple[Pattern, ...], OneOrMany()] | None = Field(None, examples=["Client calls"])
    """Names or addresses of calendars."""
    client: Annotated[tuple[Pattern, ...], OneOrMany()] | None = Field(None, examples=["Acme"])
    """Clients, as the accounts name them."""
    organizer: Organizer | None = Field(None, examples=["me", "them", "*@acme.example"])
    """Who organises: me, them, or an address."""
    title: TextQuestion | None = Field(None, examples=["review", {"contains": ["kickoff", "review"]}])
    """What the title says."""
    location: TextQuestion | None = Field(None, examples=["Room 4"])
    """What the location says."""
    category: Annotated[tuple[Pattern, ...], OneOrMany()] | None = Field(None, examples=["billable"])
    """Categories; one of the meeting's that fits is enough."""
    attendee: Annotated[tuple[Pattern, ...], OneOrMany()] | None = Field(None, examples=["*@acme.example"])
    """Addresses; one attendee who fits is enough."""
    attendees: NumberQuestion | None = Field(None, examples=[1, {"at_most": 5}])
    """How many people are invited besides me; rooms and resources do not count."""
    duration: LengthQuestion | None = Field(None, examples=["30m", {"at_least": "15m"}])
    """How long the meeting is."""
    weekday: Annotated[tuple[Days, ...], OneOrMany()] | None = Field(None, examples=["mon-thu"])
    """On which days it starts, in the rule's time zone."""
    hour: Annotated[tuple[DayPart, ...], OneOrMany()] | None = Field(None, examples=["09:00-12:00"])
    """In which part of the day it starts, in the rule's time zone."""
    recurring: Annotated[bool, Field(strict=True)] | None = Field(None, examples=[True])
    """Only meetings of a series (true) or only single ones (false)."""
    any: Annotated[tuple[Match, ...], OneOrMany()] | None = Field(
        None, examples=[[{"title": "kickoff"}, {"category": "billable"}]]
    )
    """Questions of which one must fit."""
    all: Annotated[tuple[Match, ...], OneOrMany()] | None = Field(
        None, examples=[[{"attendee": "*@acme.example"}, {"attendee": "*@globex.example"}]]
    )
    """Questions that must all fit."""
    not_: Annotated[tuple[Match, ...], OneOrMany()] | None = Field(
        None, alias="not", examples=[{"title": "internal"}]
    )
    """Questions of which none may fit."""

    @model_validator(mode="after")
    def _sense(self) -> Self:
        faults = [
            Fault("an empty question fits every meeting", "ask something, or take it out", (key, place))
            for key, some in (("any", self.any), ("all", self.all), ("not", self.not_))
            for place, one in enumerate(some or ())
            if not one.model_fields_set
        ]
        faults += [
            Fault("nothing is written here", "ask something, or take the key out", (name.rstrip("_"),), "key")
            for name in type(self).model_fields
            if name in self.model_fields_set and getattr(self, name) is None
        ]
        if _depth(self) > DEEPEST:
            faults.append(Fault(f"questions are nested deeper than {DEEPEST}", "write several rules instead"))
        if faults:
            raise Faults(faults)
        return self


def _depth(match: Match) -> int:
    inner = [*(match.any or ()), *(match.all or ()), *(match.not_ or ())]
    return 1 + max((_depth(one) for one in inner), default=0) if inner else 0


class SilenceMatch(Match):
    """Which messages a silence holds back; every key given must fit."""

    rule: Annotated[tuple[Pattern, ...], OneOrMany()] | None = Field(None, examples=["confirm-*"])
    """Names of rules."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """The owner's word to hold back what fits until then (UTC), and why."""

    id: int
    match: SilenceMatch
    until: datetime
    comment: str = ""
