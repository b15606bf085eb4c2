"""The small languages inside the owner's files: durations, moments, hours, patterns, addresses.

Each type parses one kind of text, refuses everything else in a plain sentence, prints itself back as
the owner wrote it and describes itself to JSON Schema.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Annotated, Any, ClassVar, Literal, Self, get_args

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    WithJsonSchema,
)
from pydantic_core import CoreSchema, core_schema

from rules.faults import Fault, Faults, brief, fault, not_one_of, shown
from rules.model import Address

LONGEST = timedelta(days=366)
"""No duration in the owner's files is longer than this."""

LONGEST_BUSINESS = 260
"""The same in business days."""

Schema = dict[str, Any]


class Text:
    """Base of types written as one piece of text."""

    __slots__ = ()
    what: ClassVar[str]
    examples: ClassVar[tuple[str, ...]]
    pattern: ClassVar[str] = ""
    more: ClassVar[str] = ""

    @classmethod
    def parse(cls, text: str) -> Self:
        """The value that ``text`` means. Raises ``ValueError`` with a sentence for the owner."""
        raise NotImplementedError

    @classmethod
    def _read(cls, value: object) -> Self:
        if isinstance(value, cls):
            return value
        if not isinstance(value, str):
            raise cls._not_text(value)
        return cls.parse(value)

    @classmethod
    def _not_text(cls, value: object) -> Faults:
        return fault(f"{cls.what} is expected here, not {shown(value)}", f"write it like {cls.examples[0]}")

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            cls._read, serialization=core_schema.to_string_ser_schema()
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, _schema: CoreSchema, _handler: GetJsonSchemaHandler) -> Schema:
        found: Schema = {"type": "string", "description": cls.what + cls.more, "examples": list(cls.examples)}
        return found | ({"pattern": cls.pattern} if cls.pattern else {})


_UNITS = {
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), timedelta(seconds=1)),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), timedelta(minutes=1)),
    **dict.fromkeys(("h", "hour", "hours"), timedelta(hours=1)),
    **dict.fromkeys(("d", "day", "days"), timedelta(days=1)),
    **dict.fromkeys(("w", "week", "weeks"), timedelta(weeks=1)),
}
_PART = re.compile(r"\s*(\d{1,8})\s*([a-z]+)")
_BUSINESS = re.compile(r"(\d{1,8})\s*business\s+days?")
_SPAN = r"[0-9]+ *[A-Za-z][A-Za-z0-9 ]*"


@dataclass(frozen=True, slots=True)
class Span(Text):
    """A length of time: either elapsed time (``delta``) or a number of the owner's business days."""

    what: ClassVar[str] = "a length of time with its unit"
    examples: ClassVar[tuple[str, ...]] = ("48h", "15m", "1h30m", "7d", "2 weeks", "5 business days")
    pattern: ClassVar[str] = rf"^{_SPAN}$"

    delta: timedelta = timedelta(0)
    business_days: int = 0
    text: str = field(default="0m", compare=False)

    def __str__(self) -> str:
        return self.text

    def __bool__(self) -> bool:
        return bool(self.delta or self.business_days)

    @classmethod
    def _not_text(cls, value: object) -> Faults:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return fault("write a unit, such as 48h", "s, m, h, d, w and business days are units")
        return super(Span, cls)._not_text(value)

    @classmethod
    def parse(cls, text: str) -> Self:
        """``48h``, ``1h30m``, ``2 days``, ``1 week``, ``5 business days``; at most 366 days."""
        words = " ".join(text.lower().split())
        if re.fullmatch(r"[\d.]+", words):
            raise fault("write a unit, such as 48h", "s, m, h, d, w and business days are units")
        if words.startswith("-"):
            raise fault("a length of time cannot be negative", "say before or after instead")
        if business := _BUSINESS.fullmatch(words):
            days = int(business[1])
            if days > LONGEST_BUSINESS:
                raise fault(f"{LONGEST_BUSINESS} business days is the longest allowed")
            return cls(business_days=days, text=words)
        return cls(delta=_elapsed(words), text=words)


def _elapsed(words: str) -> timedelta:
    total, at = timedelta(0), 0
    while at < len(words):
        part = _PART.match(words, at)
        if part is None:
            raise fault(
                f"'{brief(words)}' is not a length of time", f"write it like {', '.join(Span.examples)}"
            )
        count, unit = int(part[1]), _UNITS.get(part[2])
        if unit is None:
            raise fault(
                f"'{brief(part[2])}' is not a unit of time", "s, m, h, d, w and business days are units"
            )
        if count > LONGEST / unit:
            raise fault("366 days is the longest allowed")
        total, at = total + count * unit, part.end()
    if total > LONGEST:
        raise fault("366 days is the longest allowed")
    if not words:
        raise fault("nothing is written here", f"write it like {', '.join(Span.examples)}")
    return total


def span(text: str) -> Span:
    """A span from its text, for defaults in code."""
    return Span.parse(text)


def _longer_than_nothing(value: Span) -> Span:
    if not value:
        raise fault("must be longer than nothing")
    return value


PositiveSpan = Annotated[Span, AfterValidator(_longer_than_nothing)]
"""A span longer than nothing."""

Anchor = Literal["start", "end"]


@dataclass(frozen=True, slots=True)
class Moment(Text):
    """A moment told from a meeting's start or end; ``at start`` is a span of nothing, after."""

    what: ClassVar[str] = "a moment before or after the meeting's start or end"
    examples: ClassVar[tuple[str, ...]] = (
        "48h before start",
        "15m after end",
        "1 business day after end",
        "at start",
    )
    pattern: ClassVar[str] = rf"^({_SPAN} +(before|after)|at) +(start|end)$"

    span: Span
    after: bool
    anchor: Anchor
    text: str = field(compare=False)

    def __str__(self) -> str:
        return self.text

    @property
    def is_before(self) -> bool:
        """Whether it lies before its anchor."""
        return bool(self.span) and not self.after

    @property
    def is_after(self) -> bool:
        """Whether it lies after its anchor."""
        return bool(self.span) and self.after

    @classmethod
    def parse(cls, text: str) -> Self:
        """``48h before start``, ``1 business day after end``, ``at start``."""
        words = text.lower().split()
        if len(words) < 2:
            raise fault(
                f"'{brief(text)}' is not {cls.what}", f"write it like {' or '.join(cls.examples[:2])}"
            )
        *length, side, anchor = words
        if anchor not in get_args(Anchor):
            raise Faults([not_one_of(anchor, get_args(Anchor))])
        if side == "at" and not length:
            return cls(Span(), after=True, anchor=_anchor(anchor), text=" ".join(words))
        if side not in {"before", "after"}:
            raise Faults([not_one_of(side, ("before", "after"))])
        if not length:
            raise fault(f"say how long {side} the {anchor}", f"write it like 48h {side} {anchor}")
        return cls(
            Span.parse(" ".join(length)), after=side == "after", anchor=_anchor(anchor), text=" ".join(words)
        )


def _anchor(word: str) -> Anchor:
    return "start" if word == "start" else "end"


@dataclass(frozen=True, slots=True)
class Pattern(Text):
    """A name or address: exact, or a glob where ``*`` is any text and ``?`` any one character.

    Upper and lower case are the same. Matching takes at most time proportional to the product of the
    two lengths: each star takes the first place its following text fits and is never tried again.
    """

    what: ClassVar[str] = "a name or address"
    more: ClassVar[str] = ", where * stands for any text and ? for one character"
    examples: ClassVar[tuple[str, ...]] = ("acme", "*@acme.example", "client-?")

    text: str
    _compiled: re.Pattern[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_compiled", re.compile(_glob(self.text.casefold()), re.DOTALL))

    def __str__(self) -> str:
        return self.text

    @property
    def exact(self) -> bool:
        """Whether it stands for one text only."""
        return "*" not in self.text and "?" not in self.text

    def matches(self, text: str) -> bool:
        """Whether the whole of ``text`` fits."""
        return self._compiled.fullmatch(text.casefold()) is not None

    @classmethod
    def parse(cls, text: str) -> Self:
        """A pattern of 1 to 200 characters."""
        if not text.strip():
            raise fault("nothing is written here", "write a name, or * for any")
        if len(text) > 200:
            raise fault("a pattern is at most 200 characters long")
        return cls(text.strip())


def _glob(pattern: str) -> str:
    first, *rest = (
        "".join("." if char == "?" else re.escape(char) for char in part)
        for part in re.split(r"\*+", pattern)
    )
    if not rest:
        return first
    *middle, last = rest
    return first + "".join(f"(?>.*?{part})" for part in middle) + f".*{last}"


class OneOrMany:
    """Annotation of a tuple that may be written as a single entry instead of a list."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """The tuple's own schema behind the wrapping of a single entry."""
        return core_schema.no_info_before_validator_function(_listed, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> Schema:
        """One entry, or a list of them."""
        many = handler(schema)
        return {"oneOf": [many["items"], {**many, "minItems": 1}]}


def _listed(value: object) -> object:
    if isinstance(value, list | tuple):
        if not value:
            raise fault("an empty list matches nothing", "take the key out, or name at least one")
        return value
    return [value]


def _some(value: object) -> object:
    if isinstance(value, list | tuple) and not value:
        raise fault("an empty list does nothing", "name at least one")
    return value


NonEmpty = (BeforeValidator(_some), Field(json_schema_extra={"minItems": 1}))
"""Annotations of a list that needs an entry."""


def _version(value: object) -> object:
    if type(value) is not int or value != 1:
        raise fault(f"must be 1, not {shown(value)}", "write version: 1")
    return value


Version = Annotated[Literal[1], BeforeValidator(_version)]
"""The version of a file's grammar."""


_ADDRESS = re.compile(r"[^\s@<>,;:\"()\\]{1,64}@[^\s@<>,;:\"()\\]{1,190}")


def address(value: object) -> Address:
    """A mail address in lower case, without ``mailto:``. Raises ``ValueError``."""
    if not isinstance(value, str):
        raise fault(f"a mail address is expected here, not {shown(value)}")
    text = value.strip()
    text = text[7:] if text[:7].lower() == "mailto:" else text
    if not _ADDRESS.fullmatch(text) or not text.isprintable():
        raise fault(f"'{brief(text)}' is not a mail address", "write it like dana@example.net")
    return Address(text.lower())


MailAddress = Annotated[
    Address,
    BeforeValidator(address),
    WithJsonSchema({"type": "string", "description": "a mail address", "pattern": "^[^@ ]+@[^@ ]+$"}),
]
"""A mail address, kept in lower case."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def _name(value: object) -> str:
    if not isinstance(value, str):
        raise fault(f"a name is expected here, not {shown(value)}", f'write it in quotes: "{shown(value)}"')
    if not _NAME.fullmatch(value):
        raise fault(
            f"'{brief(value)}' is not a name", "use up to 64 letters, digits, dots, dashes and underscores"
        )
    return value


Name = Annotated[
    str, BeforeValidator(_name), WithJsonSchema({"type": "string", "pattern": f"^{_NAME.pattern}$"})
]
"""A short name of a rule, step, account or template."""


def duplicates(values: tuple[Any, ...]) -> list[Fault]:
    """A fault at every entry that was already there."""
    return [
        Fault(f"'{value}' is already in this list", "take it out", (index,))
        for index, value in enumerate(values)
        if value in values[:index]
    ]
