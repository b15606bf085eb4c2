"""Mistakes in what the owner wrote, in plain words, each with its own place.

Pydantic stops at the first raising validator of a model and speaks its own language. :class:`Strict`
collects every mistake of a mapping at once and turns each into a :class:`Fault`, which travels through
pydantic inside a :class:`Faults` (a ``ValueError``) and is unpacked again by :func:`faults_of`.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, ModelWrapValidatorHandler, ValidationError, model_validator
from pydantic_core import ErrorDetails

Loc = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Fault:
    """One mistake: what is wrong, what to do about it, and where below the thing that was validated.

    ``at`` says whether the key or the value at ``loc`` is meant; a ``secret`` one's place is never shown.
    """

    message: str
    help: str = ""
    loc: Loc = ()
    at: Literal["key", "value"] = "value"
    secret: bool = False

    def under(self, *prefix: str | int) -> Fault:
        """The same mistake seen from further up."""
        return replace(self, loc=(*prefix, *self.loc))


class Faults(ValueError):
    """One or more mistakes found by a validator of ours."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("; ".join(fault.message for fault in self.faults))


def fault(message: str, hint: str = "", *loc: str | int, at: Literal["key", "value"] = "value") -> Faults:
    """A single mistake, ready to raise."""
    return Faults([Fault(message, hint, loc, at)])


def closest(word: str, words: Iterable[str]) -> str:
    """``did you mean 'x'?`` for the word nearest to ``word``, or nothing."""
    folded = {each.casefold(): each for each in words}
    near = difflib.get_close_matches(word.casefold()[:60], folded, n=1, cutoff=0.6)
    return f"did you mean '{folded[near[0]]}'?" if near else ""


def not_one_of(word: object, words: Iterable[str], *, what: str = "one of") -> Fault:
    """The mistake of a word outside a closed list."""
    known = tuple(words)
    text = word if isinstance(word, str) else shown(word)
    return Fault(f"'{brief(text)}' is not {what} {', '.join(known)}", closest(text, known))


def not_yet(word: str, *loc: str | int, at: Literal["key", "value"] = "value") -> Fault:
    """The mistake of using what only a later version knows."""
    return Fault(f"`{word}` is not in this version", "take it out for now", loc, at)


def brief(text: str, most: int = 60) -> str:
    """Text short enough to quote in one line."""
    line = " ".join(text.split())
    return line if len(line) <= most else line[: most - 1] + "…"


def shown(value: object) -> str:
    """A plain value as the owner would write it in YAML."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    return f"'{brief(value)}'" if isinstance(value, str) else str(value)


def _inline(value: object) -> str:
    """A plain value in one line of YAML."""
    if isinstance(value, list):
        return f"[{', '.join(map(_inline, value))}]"
    return str(value)


def faults_of(error: ValidationError) -> list[Fault]:
    """Every mistake inside a pydantic error, in plain words."""
    found: list[Fault] = []
    for detail in error.errors(include_url=False):
        inner = detail.get("ctx", {}).get("error")
        if isinstance(inner, Faults):
            found.extend(each.under(*detail["loc"]) for each in inner.faults)
        elif not _only_echoes(detail):
            found.append(_in_plain_words(detail))
    return [replace(each, loc=each.loc[:-1], at="key") if _about_key(each) else each for each in found]


def _only_echoes(detail: ErrorDetails) -> bool:
    """Whether a list is called too short only because its entries are wrong."""
    if detail["type"] != "too_short" or not isinstance(detail["input"], list | tuple | Mapping):
        return False
    return bool(len(detail["input"]) >= detail["ctx"]["min_length"])


def _about_key(found: Fault) -> bool:
    """Whether pydantic says that the key itself is wrong, not what it holds."""
    return bool(found.loc) and found.loc[-1] == "[key]"


def _in_plain_words(detail: ErrorDetails) -> Fault:
    loc, value, ctx = detail["loc"], detail["input"], detail.get("ctx", {})
    if detail["type"] in {"literal_error", "enum"}:
        words = re.findall(r"'([^']*)'", ctx["expected"]) or [str(ctx["expected"])]
        if value is None:
            return Fault("nothing is written here", f"write one of {', '.join(words)}", loc)
        if len(words) == 1:
            return Fault(f"must be {words[0]}, not {shown(value)}", loc=loc)
        return not_one_of(value, words).under(*loc)
    if detail["type"] == "value_error":
        return Fault(str(ctx["error"]), loc=loc)
    say = _PLAIN.get(detail["type"])
    return say(value, ctx, loc) if say else Fault("this value does not fit here", loc=loc)


_Say = Callable[[Any, dict[str, Any], Loc], Fault]


def _expected(what: str, hint: str = "") -> _Say:
    def say(value: object, _ctx: dict[str, Any], loc: Loc) -> Fault:
        return Fault(f"{what} is expected here, not {shown(value)}", hint, loc)

    return say


def _text(value: object, _ctx: dict[str, Any], loc: Loc) -> Fault:
    hint = f'write it in quotes: "{value}"' if isinstance(value, int | float) else ""
    return Fault(f"text is expected here, not {shown(value)}", hint, loc)


_MISSING = "'{}' is missing"

_PLAIN: dict[str, _Say] = {
    "missing": lambda _, __, loc: Fault(_MISSING.format(loc[-1]), loc=loc[:-1], at="key"),
    "string_type": _text,
    "bool_type": _expected("true or false"),
    **dict.fromkeys(
        ("int_type", "int_parsing", "int_from_float", "int_parsing_size"), _expected("a whole number")
    ),
    **dict.fromkeys(("tuple_type", "list_type"), _expected("a list", "write it in brackets: [one, two]")),
    **dict.fromkeys(("model_type", "dict_type"), _expected("a mapping of keys and values")),
    "greater_than_equal": lambda _, ctx, loc: Fault(f"must be at least {ctx['ge']}", loc=loc),
    "less_than_equal": lambda _, ctx, loc: Fault(f"must be at most {ctx['le']}", loc=loc),
    "too_short": lambda _, ctx, loc: Fault(f"needs at least {ctx['min_length']} entry", loc=loc),
    "string_too_short": lambda _, __, loc: Fault("must not be empty", loc=loc),
    "string_too_long": lambda _, ctx, loc: Fault(f"must be at most {ctx['max_length']} long", loc=loc),
}


class Strict(BaseModel):
    """A frozen mapping of the owner's files that knows its keys and reports every mistake in it.

    ``later`` names the keys that only a later version understands.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    later: ClassVar[frozenset[str]] = frozenset()

    @model_validator(mode="wrap")
    @classmethod
    def _all_mistakes(cls, data: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        if isinstance(data, cls):
            return data
        if not isinstance(data, Mapping):
            raise fault(f"a mapping of keys and values is expected here, not {shown(data)}")
        known = [info.alias or name for name, info in cls.model_fields.items()]
        unknown = [str(key) for key in data if key not in known]
        found = [cls._unknown(key, known) for key in unknown]
        try:
            value = handler({key: data[key] for key in data if key in known})
        except ValidationError as error:
            excused = cls._excused(unknown, known)
            found.extend(
                cls._with_example(each)
                for each in faults_of(error)
                if each.loc or each.message not in excused
            )
        if found:
            raise Faults(found)
        return value

    @classmethod
    def _excused(cls, unknown: list[str], known: list[str]) -> set[str]:
        """What need not be said again, since a misspelt key or one of a later version explains it."""
        meant = [name for name in known if any(cls._near(key, known) == name for key in unknown)]
        return {_MISSING.format(name) for name in (known if cls.later & set(unknown) else meant)}

    @classmethod
    def _with_example(cls, found: Fault) -> Fault:
        """A missing key with an example of it."""
        if found.loc or found.help:
            return found
        for name, info in cls.model_fields.items():
            key = info.alias or name
            if info.examples and found.message == _MISSING.format(key):
                return replace(found, help=f"write it like {key}: {_inline(info.examples[0])}")
        return found

    @staticmethod
    def _near(key: str, known: Iterable[str]) -> str:
        return closest(key, known).removeprefix("did you mean '").removesuffix("'?")

    @classmethod
    def _unknown(cls, key: str, known: list[str]) -> Fault:
        if key in cls.later:
            return not_yet(key, key, at="key")
        hint = closest(key, known) or (f"keys here are {', '.join(known)}" if known else "it has no options")
        return Fault(f"unknown key '{brief(key)}'", hint, (key,), "key")
