"""What a rule may ask of a meeting's text, organiser, length and number of people."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BeforeValidator,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import CoreSchema, core_schema

from rules.faults import Strict, fault, shown
from rules.fields import OneOrMany, Pattern, Schema, Span


def _words(value: object) -> str:
    if not isinstance(value, str):
        raise fault(f"text is expected here, not {shown(value)}", f'write it in quotes: "{shown(value)}"')
    if not value.strip():
        raise fault("nothing is written here", "write some words of the text")
    return value


Words = Annotated[str, BeforeValidator(_words), WithJsonSchema({"type": "string", "minLength": 1})]


class Bare:
    """Annotation of a mapping that may be written as one bare value: ``{key: value}``."""

    def __init__(self, key: str, kind: str | list[str], description: str, hint: str) -> None:
        self._key = key
        self._bare = {"type": kind, "description": description}
        self._hint = hint

    def _spelled_out(self, value: object) -> object:
        if isinstance(value, Mapping) and not value:
            raise fault("nothing is asked here", self._hint)
        return value if isinstance(value, Mapping | Strict) else {self._key: value}

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """The mapping's own schema behind the spelling out of a bare value."""
        return core_schema.no_info_before_validator_function(self._spelled_out, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> Schema:
        """The bare value, or the mapping."""
        return {"oneOf": [self._bare, handler(schema)]}


_TEXT = Bare(
    "contains",
    "string",
    "words the text contains",
    "write words, or {contains: [words]}, or {glob: pattern}",
)


class TextMatch(Strict):
    """What is asked of a text; upper and lower case are the same. All keys given must fit."""

    contains: Annotated[tuple[Words, ...], OneOrMany()] = ()
    """Words of which any one is in the text."""
    glob: Annotated[tuple[Pattern, ...], OneOrMany()] = ()
    """Patterns of which any one fits the whole text; * stands for any text, ? for one character."""
    any_of: Annotated[tuple[Words, ...], OneOrMany()] = ()
    """Texts of which any one is the whole text."""
    not_: Annotated[TextMatch, _TEXT] | None = Field(None, alias="not", examples=["internal"])
    """What must not fit."""

    def __str__(self) -> str:
        parts = (("contains", self.contains), ("glob", self.glob), ("any of", self.any_of))
        said = [f"{name} {', '.join(map(str, each))}" for name, each in parts if each]
        return " and ".join([*said, *([f"not {self.not_}"] if self.not_ else [])])

    def tester(self) -> Callable[[str], bool]:
        """What says whether a case-folded text fits, made once for many texts."""
        tests = tuple(self._tests())
        if len(tests) == 1:
            return tests[0]

        def fits(folded: str) -> bool:
            for test in tests:  # noqa: SIM110 - asked for every title; all() costs half as much again
                if not test(folded):
                    return False
            return True

        return fits

    def _tests(self) -> Iterator[Callable[[str], bool]]:
        """Each thing asked of the folded text."""
        if self.contains:
            yield _contains(tuple(word.casefold() for word in self.contains))
        if self.any_of:
            whole = frozenset(text.casefold().strip() for text in self.any_of)
            yield lambda folded: folded.strip() in whole
        if self.glob:
            globs = tuple(pattern.matches for pattern in self.glob)
            yield globs[0] if len(globs) == 1 else lambda folded: any(glob(folded) for glob in globs)
        if self.not_ is not None:
            fits = self.not_.tester()
            yield lambda folded: not fits(folded)


def _contains(words: tuple[str, ...]) -> Callable[[str], bool]:
    if len(words) == 1:
        word = words[0]
        return lambda folded: word in folded

    def one(folded: str) -> bool:
        for word in words:  # noqa: SIM110 - the same
            if word in folded:
                return True
        return False

    return one


TextQuestion = Annotated[TextMatch, _TEXT]
"""What is asked of a text: words it contains, or a mapping."""


class Length(Strict):
    """How long a meeting is."""

    exactly: Span | None = None
    """This long."""
    at_least: Span | None = Field(None, examples=["15m"])
    """This long or longer."""
    at_most: Span | None = Field(None, examples=["2h"])
    """This long or shorter."""

    @model_validator(mode="after")
    def _sense(self) -> Self:
        for key in ("exactly", "at_least", "at_most"):
            given = getattr(self, key)
            if given is not None and given.business_days:
                raise fault("a meeting's length is not in business days", "write hours or minutes", key)
        if self.at_least and self.at_most and self.at_most.delta < self.at_least.delta:
            raise fault("'at_most' is less than 'at_least'", "nothing could fit", "at_most")
        return self

    def __str__(self) -> str:
        return _bounds(self.exactly, self.at_least, self.at_most)

    def matches(self, length: timedelta) -> bool:
        """Whether something this long fits."""
        if self.exactly is not None and length != self.exactly.delta:
            return False
        if self.at_least is not None and length < self.at_least.delta:
            return False
        return self.at_most is None or length <= self.at_most.delta


_Count = Annotated[int, Field(strict=True, ge=0, le=100_000)]


class Number(Strict):
    """How many there are."""

    exactly: _Count | None = None
    """This many."""
    at_least: _Count | None = Field(None, examples=[2])
    """This many or more."""
    at_most: _Count | None = Field(None, examples=[5])
    """This many or fewer."""

    @model_validator(mode="after")
    def _sense(self) -> Self:
        if self.at_least is not None and self.at_most is not None and self.at_most < self.at_least:
            raise fault("'at_most' is less than 'at_least'", "nothing could fit", "at_most")
        return self

    def __str__(self) -> str:
        return _bounds(self.exactly, self.at_least, self.at_most)

    def matches(self, count: int) -> bool:
        """Whether this many fits."""
        if self.exactly is not None and count != self.exactly:
            return False
        if self.at_least is not None and count < self.at_least:
            return False
        return self.at_most is None or count <= self.at_most


def _bounds(exactly: object, at_least: object, at_most: object) -> str:
    pairs = (("", exactly), ("at least ", at_least), ("at most ", at_most))
    return " and ".join(f"{word}{value}" for word, value in pairs if value is not None)


LengthQuestion = Annotated[
    Length, Bare("exactly", "string", "exactly this long", "write 30m, or {at_least: 15m, at_most: 2h}")
]
"""What is asked of a length of time: exactly one, or a mapping of bounds."""

NumberQuestion = Annotated[
    Number, Bare("exactly", "integer", "exactly this many", "write 1, or {at_least: 2, at_most: 5}")
]
"""What is asked of a number: exactly one, or a mapping of bounds."""


def _organizer(value: object) -> str | Pattern:
    if isinstance(value, Pattern):
        return value
    if not isinstance(value, str):
        raise fault(f"me, them or an address is expected here, not {shown(value)}")
    if value in {"me", "them"}:
        return value
    if "@" not in value and "*" not in value:
        raise fault(
            f"'{value}' is neither me, them nor an address", "write an address, such as *@acme.example"
        )
    return Pattern.parse(value)


Organizer = Annotated[
    Literal["me", "them"] | Pattern,
    BeforeValidator(_organizer),
    WithJsonSchema(
        {"type": "string", "description": "me, them, or an address where * stands for any text"},
    ),
]
"""Who organises a meeting."""
