"""Mistakes in the owner's files, each with its file, line and column, printed the way compilers do."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field

_WIDEST = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One mistake. Line and column count from 1, columns in characters.

    ``source`` is the line it stands on with secrets masked, ``width`` how many characters are meant.
    """

    file: str
    line: int
    column: int
    message: str
    help: str = ""
    source: str = field(default="", compare=False)
    width: int = field(default=1, compare=False)

    def as_dict(self) -> dict[str, str | int]:
        """The shape that ``check --json`` prints."""
        return {
            "file": self.file,
            "line": self.line,
            "column": self.column,
            "message": self.message,
            "help": self.help,
        }

    def __str__(self) -> str:
        """``rules.yaml:9:15: error: …`` with the line, carets under the place, and help."""
        lines = [f"{self.file}:{self.line}:{self.column}: error: {printable(self.message)}"]
        if self.source.strip():
            before, meant, after = self._around()
            lines += [f"{self.line:5} | {before}{meant}{after}".rstrip()]
            lines += [f"      | {' ' * _cells(before)}{'^' * max(1, _cells(meant))}"]
        if self.help:
            lines.append(f"      = help: {printable(self.help)}")
        return "\n".join(lines)

    def _around(self) -> tuple[str, str, str]:
        """The line before, at and behind the place; a long one is cut."""
        start = self.column - 1
        end = start + min(self.width, _WIDEST)
        before, meant, after = self.source[:start], self.source[start:end], self.source[end:]
        if len(before) > _WIDEST:
            before = "…" + before[-_WIDEST:]
        room = max(0, 2 * _WIDEST - len(before) - len(meant))
        after = after[:room] + "…" if len(after) > room else after
        return printable(before), printable(meant), printable(after)


class ConfigProblems(Exception):
    """The owner's files cannot be used; every mistake found in them, in the order of files and lines."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = list(problems)
        super().__init__("\n".join(map(str, self.problems)))


def printable(text: str) -> str:
    """Text that moves no cursor and reorders nothing on a terminal."""
    return "".join(
        " " if char == "\t" else char if char.isprintable() else f"\\u{ord(char):04x}" for char in text
    )


def _cells(text: str) -> int:
    """How many terminal cells the text takes."""
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1
        for char in text
    )
