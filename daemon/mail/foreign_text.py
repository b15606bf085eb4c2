"""Text that strangers wrote (titles, names, UIDs), made fit to stand in a mail."""

from __future__ import annotations

import re
import shlex
import unicodedata
from collections.abc import Iterable

from rules.model import Marks

SHOWN = 120
"""The longest title or name we show, in characters."""

_ZWJ = "\u200d"
_INVISIBLE = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
_TAGS = range(0xE0000, 0xE1000)  # tag characters and variation selectors that only carry hidden text
_NO_CHARACTERS = range(0xFDD0, 0xFDF0)  # with the last two of each plane, never to be one
_GONE = frozenset({"Cc", "Cf", "Cs", "Co"})


def clean(text: str, limit: int = SHOWN) -> str:
    """One line of visible text: no line breaks, controls, direction changes or zero-width characters.

    A zero-width joiner stays where it holds an emoji together. Runs of white space become one space;
    what is longer than ``limit`` characters ends in an ellipsis.
    """
    # Nothing beyond this can be shown, so a title of megabytes costs no more than a long one.
    spaced = "".join(" " if c.isspace() else c for c in text[: limit * 20])
    kept = [c for at, c in enumerate(spaced) if _visible(c) or (c == _ZWJ and _joins_emoji(spaced, at))]
    line = " ".join("".join(kept).split())
    return line if len(line) <= limit else line[: limit - 1].rstrip(" " + _ZWJ) + "…"


def clean_lines(text: str, limit: int = 8000) -> str:
    """The same for text of several lines: each keeps its indentation, none its controls."""
    lines = text[:limit].replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return "\n".join((_indent(line) + clean(line, limit)).rstrip() for line in lines).strip("\n")


def without_marks(title: str, marks: Marks) -> str:
    """The title without the prefixes by which the owner marks attendance, such as ``[no-show]``."""
    prefixes = [p.casefold() for p in (*marks.held, *marks.missed, *marks.missed_by_me) if p.strip()]
    bare = title.strip()
    while found := _first_prefix(bare, prefixes):
        bare = bare[len(found) :].strip()
    return bare


def shell_word(text: str) -> str:
    """The text as one word for a shell, showing every character that would not show by itself.

    Plain words are quoted as POSIX says; others in the ``$'…'`` form that bash, zsh and ksh read.
    """
    if text == clean(text, len(text) + 1):
        return shlex.quote(text)
    return "$'" + "".join(_shell_octet(o) for o in text.encode("utf-8", "replace")) + "'"


def _visible(char: str) -> bool:
    code = ord(char)
    is_no_character = code & 0xFFFE == 0xFFFE or code in _NO_CHARACTERS
    gone = is_no_character or code in _TAGS or char in _INVISIBLE
    return not gone and unicodedata.category(char) not in _GONE


def _joins_emoji(text: str, at: int) -> bool:
    before = text[:at].rstrip("\ufe0f\U0001f3fb\U0001f3fc\U0001f3fd\U0001f3fe\U0001f3ff")[-1:]
    after = text[at + 1 : at + 2]
    return bool(before and after) and {unicodedata.category(before), unicodedata.category(after)} == {"So"}


def _indent(line: str) -> str:
    return " " * min(len(line) - len(line.lstrip(" ")), 40)


def _first_prefix(title: str, prefixes: Iterable[str]) -> str:
    return next((p for p in prefixes if title[: len(p)].casefold() == p), "")


def _shell_octet(octet: int) -> str:
    char = chr(octet)
    return char if re.fullmatch(r"[A-Za-z0-9@%+=:,./_ -]", char) else f"\\x{octet:02x}"
