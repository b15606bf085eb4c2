"""What a rule may ask of a meeting's text and organiser."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    BeforeValidator,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    WithJsonSchema,
)
from pydantic_core import CoreSchema, core_schema

from rules.faults import Strict, fault, shown
from rules.fields import OneOrMany, Pattern, Schema


def _words(value: object) -> str:
    if not isinstance(value, str):
        raise fault(f"text is expected here, not {shown(value)}", f'write it in quotes: "{shown(value)}"')
    if not value.strip():
        raise fault("nothing is written here", "write some words of the text")
    return value


Words = Annotated[str, BeforeValidator(_words), WithJsonSchema({"type": "string", "minLength": 1})]


def _spelled_out(value: object) -> object:
    if isinstance(value, Mapping) and not value:
        raise fault("nothing to look for", "write words, or {contains: [words]}, or {glob: pattern}")
    if isinstance(value, Mapping | TextMatch):
        return value
    return {"contains": _words(value)}


class TextMatch(Strict):
    """Words to look for in a text; upper and lower case are the same. Both keys given must fit."""

    later: ClassVar[frozenset[str]] = frozenset({"any_of", "not"})

    contains: Annotated[tuple[Words, ...], OneOrMany()] = ()
    """Words of which any one is in the text."""
    glob: Annotated[tuple[Pattern, ...], OneOrMany()] = ()
    """Patterns of which any one fits the whole text; * stands for any text, ? for one character."""

    def __str__(self) -> str:
        parts = (("contains", self.contains), ("glob", self.glob))
        return " and ".join(f"{name} {', '.join(map(str, each))}" for name, each in parts if each)

    def matches(self, text: str) -> bool:
        """Whether ``text`` fits."""
        folded = text.casefold()
        if self.contains and not any(word.casefold() in folded for word in self.contains):
            return False
        return not self.glob or any(pattern.matches(text) for pattern in self.glob)


class _WordsOrMapping:
    """Annotation of a text match that may be written as the words alone."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(_spelled_out, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> Schema:
        return {"oneOf": [{"type": "string", "description": "words the text contains"}, handler(schema)]}


TextQuestion = Annotated[TextMatch, _WordsOrMapping()]
"""What is asked of a text: words it contains, or a mapping."""


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
