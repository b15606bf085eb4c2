"""What a rule's ``when:`` may ask: a bare word, or a mapping of one word to its options."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, GetCoreSchemaHandler, GetJsonSchemaHandler, model_validator
from pydantic_core import CoreSchema, core_schema

from rules.faults import Faults, Strict, closest, fault, not_one_of, shown
from rules.fields import OneOrMany, PositiveSpan, Schema, Span, Text, duplicates, span


class Detector(Strict):
    """One question asked of a meeting; ``word`` is its name in the file."""

    word: ClassVar[str]


class Unconfirmed(Detector):
    """Ahead, and somebody needed has not said yes."""

    word: ClassVar[str] = "unconfirmed"

    by: Literal["attendee", "me"] = "attendee"
    """Whose answer is missing: a required attendee's, or mine."""
    tentative: Literal["counts", "ignored"] = "ignored"
    """Whether a tentative answer counts as unconfirmed."""
    min_age: Span | None = Field(None, examples=["2h"])
    """Leave younger invitations alone."""


class Declined(Detector):
    """Ahead, somebody needed said no, and nothing replaces it."""

    word: ClassVar[str] = "declined"

    grace: Span = span("30m")
    """How long to wait for a new time after the no."""


class Cancelled(Detector):
    """The other side cancelled, and nothing replaces it."""

    word: ClassVar[str] = "cancelled"

    grace: Span = span("30m")
    """How long to wait for a new meeting after the cancellation."""


class Away(Detector):
    """Ahead, and it lies in a time when I am out of office."""

    word: ClassVar[str] = "away"


class Silent(Detector):
    """Somebody I used to meet has gone quiet; asked of the last meeting held with them."""

    word: ClassVar[str] = "silent"

    at_least: PositiveSpan = span("21d")
    """No shorter silence counts, however often we used to meet."""


class Ending(Detector):
    """The last meeting of a series is near, and nothing follows it."""

    word: ClassVar[str] = "ending"

    within: PositiveSpan = span("30d")
    """How far ahead the last meeting may be."""


class Missed(Detector):
    """Over, and there is evidence that it did not take place."""

    word: ClassVar[str] = "missed"

    by: Literal["attendee", "me"] = "attendee"
    """Who was not there."""
    presume: Annotated[tuple[Literal["never_confirmed", "tentative"], ...], OneOrMany()] = ()
    """Without evidence, count a meeting as missed when its attendee never said yes, or only maybe."""
    settle: Span = span("5m")
    """How long after the end to wait for evidence."""

    @model_validator(mode="after")
    def _sense(self) -> Self:
        if faults := duplicates(self.presume):
            raise Faults(each.under("presume") for each in faults)
        if self.presume and self.by == "me":
            raise fault(
                "'presume' is about attendees", "take it out, or write by: attendee", "presume", at="key"
            )
        return self


class Unaccounted(Detector):
    """Over, and nothing says whether it took place."""

    word: ClassVar[str] = "unaccounted"

    settle: Span = span("5m")
    """How long after the end to wait for evidence."""


LONGEST_TRAVEL = timedelta(hours=12)
"""No way between two meetings takes longer."""

_NAMED = ("account", "client", "calendar")
_BARE = ("earliest_created", "latest_created", "most_attendees", "longest")
_KEEP = (*(f"{kind}:NAME" for kind in _NAMED), *_BARE, "organizer:me", "organizer:them")


@dataclass(frozen=True, slots=True)
class Keep(Text):
    """One criterion for which of two overlapping meetings stays; ``value`` is empty for a bare word."""

    what: ClassVar[str] = "which of two overlapping meetings stays"
    examples: ClassVar[tuple[str, ...]] = (
        "account:acme",
        "client:Acme",
        "earliest_created",
        "organizer:them",
    )
    pattern: ClassVar[str] = rf"^(({'|'.join(_NAMED)}):.+|organizer:(me|them)|{'|'.join(_BARE)})$"

    kind: str
    value: str = ""

    def __str__(self) -> str:
        return f"{self.kind}:{self.value}" if self.value else self.kind

    @classmethod
    def _not_text(cls, value: object) -> Faults:
        if isinstance(value, Mapping) and len(value) == 1:
            (kind, name), *_ = value.items()
            return fault(f"'{kind}: {name}' has a space", f"write {kind}:{name} in one piece")
        return super(Keep, cls)._not_text(value)

    @classmethod
    def parse(cls, text: str) -> Self:
        """``account:NAME``, ``client:NAME``, ``calendar:NAME``, ``organizer:me`` or a bare word."""
        kind, colon, value = (part.strip() for part in text.partition(":"))
        if (kind in _NAMED and value) or (kind == "organizer" and value in {"me", "them"}):
            return cls(kind, value)
        if kind in _BARE and not colon:
            return cls(kind)
        if kind in _NAMED:
            raise fault(f"'{kind}' needs a name", f"write it like {kind}:acme")
        raise Faults([not_one_of(text, _KEEP)])


class Conflict(Detector):
    """Two meetings of mine overlap; the one that ranks lower by its `keep` order is to move."""

    word: ClassVar[str] = "conflict"

    keep: Annotated[tuple[Keep, ...], OneOrMany()] = Field(
        (), examples=[["account:acme", "earliest_created"]]
    )
    """Which of the two stays: the first criterion that tells them apart decides."""
    travel: Span | None = Field(None, examples=["30m"])
    """How long I need between two meetings at different places."""

    @model_validator(mode="after")
    def _sense(self) -> Self:
        if faults := duplicates(self.keep):
            raise Faults(each.under("keep") for each in faults)
        if self.travel is not None and (self.travel.business_days or self.travel.delta > LONGEST_TRAVEL):
            raise fault("travel takes 12h at most", "write it like 30m", "travel")
        return self


DETECTORS: dict[str, type[Detector]] = {
    each.word: each
    for each in (
        Unconfirmed,
        Declined,
        Cancelled,
        Missed,
        Unaccounted,
        Conflict,
        Away,
        Silent,
        Ending,
    )
}
"""Every question a rule can ask, by its word."""


@dataclass(frozen=True, slots=True)
class _Asked:
    word: str
    options: object


def _asked(value: object) -> _Asked:
    if isinstance(value, Detector):
        return _Asked(value.word, value)
    if isinstance(value, str):
        if value not in DETECTORS:
            raise Faults([not_one_of(value, DETECTORS)])
        return _Asked(value, {})
    if not isinstance(value, Mapping):
        raise fault(f"one of {', '.join(DETECTORS)} is expected here, not {shown(value)}")
    words = [str(key) for key in value]
    known = [word for word in words if word in DETECTORS]
    if len(words) == 1 and not known:
        wrong = not_one_of(words[0], DETECTORS)
        raise fault(wrong.message, wrong.help, words[0], at="key")
    if len(words) != 1:
        extra = next((word for word in words if word not in known[:1]), None)
        hint = f"write when: {{{known[0]}: {{{extra}: …}}}}" if known and extra else ""
        hint = hint or closest(words[0] if words else "", DETECTORS) or "write when: unconfirmed"
        raise fault("'when' asks exactly one question", hint, *([extra] if extra else []), at="key")
    return _Asked(words[0], {} if value[words[0]] is None else value[words[0]])


class _OneQuestion:
    """Annotation that reads ``when:`` into one detector, its place in errors below its own word."""

    def __get_pydantic_core_schema__(self, _source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        choices: dict[Any, CoreSchema] = {
            word: core_schema.no_info_before_validator_function(_options, handler.generate_schema(each))
            for word, each in DETECTORS.items()
        }
        union = core_schema.tagged_union_schema(choices, discriminator=_word)
        return core_schema.no_info_before_validator_function(_asked, union)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> Schema:
        options = handler(schema)["oneOf"]
        bare = [{"const": word, "description": each.__doc__} for word, each in DETECTORS.items()]
        mapping = {
            "type": "object",
            "properties": dict(zip(DETECTORS, options, strict=True)),
            "additionalProperties": False,
            "minProperties": 1,
            "maxProperties": 1,
        }
        return {"oneOf": [*bare, mapping]}


def _word(asked: _Asked) -> str:
    return asked.word


def _options(asked: _Asked) -> object:
    return asked.options


ANOTHER_MEETING = frozenset({Cancelled.word, Missed.word, Silent.word, Ending.word})
"""Those that look for another meeting, not for another time of the same one."""

When = Annotated[
    Unconfirmed | Declined | Cancelled | Missed | Unaccounted | Conflict | Away | Silent | Ending,
    _OneQuestion(),
]
"""The question a rule asks."""
