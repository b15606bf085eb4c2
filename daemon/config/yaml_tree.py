"""YAML as the owner's files may use it, with the place of every key and value.

YAML 1.2 without the parts that surprise: no duplicate keys, anchors, aliases, merge keys, tags or
further documents. A plain scalar is a number, true, false or null only in its one usual spelling, so
that ``17:30``, ``on``, ``NO`` and ``010`` stay text.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
    SequenceStartEvent,
)

from daemon.config.problems import ConfigProblems, Problem
from rules.faults import Fault, Loc, brief

MOST_BYTES = 256 * 1024
MOST_DEPTH = 50
MOST_VALUES = 20_000
MOST_FOUND = 50

_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})")
_DECIMAL = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})(\.[0-9]{1,18})(e[-+]?[0-9]{1,2})?", re.IGNORECASE)
_WORDS: dict[str, bool | None] = {
    "": None,
    "~": None,
    **dict.fromkeys(("null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_UNSEEN = re.compile("[^\t\n\x20-\x7e\xa0-\u2027\u202a-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")
_TAB = re.compile(r"^ *(\t)[\t ]*[^\s#]", re.MULTILINE)
_SECRET = re.compile(r"""((?:pas|psw|pwd|token|secret)[\w-]*["']?\s*:\s*)(?![\s{])(.+)""", re.IGNORECASE)
_USERINFO = re.compile(r"(://)([^/\s@]+)(?=@)")


@dataclass(slots=True)
class Node:
    """A value of the file: where it starts and ends (line and column from 0), and what it holds."""

    start: tuple[int, int]
    end: tuple[int, int]
    plain: object = None
    items: list[Node] | None = None
    keys: dict[str, tuple[Node, Node]] | None = None

    def data(self) -> Any:
        """The value without places."""
        if self.items is not None:
            return [item.data() for item in self.items]
        if self.keys is not None:
            return {key: value.data() for key, (_, value) in self.keys.items()}
        return self.plain


@dataclass(frozen=True, slots=True)
class Tree:
    """One file that could be read. ``problems`` are those that did not stop the reading."""

    file: str
    lines: tuple[str, ...]
    root: Node
    problems: list[Problem] = field(default_factory=list)

    @property
    def data(self) -> Any:
        """The file's content as plain mappings (in order), lists and scalars."""
        return self.root.data()

    def problem_at(
        self, loc: Loc, message: str, hint: str = "", *, at: Literal["key", "value"] = "value"
    ) -> Problem:
        """A problem at the value or key that ``loc`` leads to, or at the nearest one above it."""
        return self.problem(Fault(message, hint, loc, at))

    def problem(self, fault: Fault) -> Problem:
        """The fault at its place in this file."""
        key, value = self._find(fault.loc)
        node = key if key is not None and (fault.at == "key" or _empty(value)) else value
        return _problem(self.file, self.lines, node, fault)

    def _find(self, loc: Loc) -> tuple[Node | None, Node]:
        key, value = None, self.root
        for step in loc:
            if value.keys is not None and str(step) in value.keys:
                key, value = value.keys[str(step)]
            elif value.items is not None and isinstance(step, int) and step < len(value.items):
                key, value = None, value.items[step]
        return key, value


def _empty(node: Node) -> bool:
    return node.start == node.end


def read_yaml(path: Path, *, name: str | None = None) -> Tree:
    """The file at ``path``, called ``name`` in messages. Raises :class:`ConfigProblems`."""
    file = name or str(path)
    try:
        with open(path, "rb", opener=_without_waiting) as stream:
            if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
                raise _unreadable(file, "this is not a file", "write one here with `rebookd init`")
            raw = stream.read(MOST_BYTES + 1)
    except OSError as error:
        hint = "write one with `rebookd init`" if isinstance(error, FileNotFoundError) else ""
        raise _unreadable(
            file, f"this file cannot be read: {error.strerror or 'unknown reason'}", hint
        ) from None
    if len(raw) > MOST_BYTES:
        raise _unreadable(
            file, f"this file is larger than {MOST_BYTES // 1024} KiB", "split the rules over files"
        )
    if raw.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
        raise _unreadable(file, "this file starts with a byte order mark", "save it as UTF-8 without BOM")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        before = raw[: error.start].decode("utf-8")
        line, column = before.count("\n"), len(before) - (before.rfind("\n") + 1)
        raise ConfigProblems(
            [
                Problem(
                    file=file,
                    line=line + 1,
                    column=column + 1,
                    message="this is not UTF-8",
                    help="save it as UTF-8",
                )
            ]
        ) from None
    return parse_yaml(text, file)


def _without_waiting(path: str, flags: int) -> int:
    """Open it; a pipe without waiting for somebody to write into it."""
    return os.open(path, flags | os.O_NONBLOCK)


def _unreadable(file: str, message: str, hint: str) -> ConfigProblems:
    return ConfigProblems([Problem(file=file, line=1, column=1, message=message, help=hint)])


def parse_yaml(text: str, file: str) -> Tree:
    """The text of a file called ``file``. Raises :class:`ConfigProblems`."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    lines = tuple(text.split("\n"))
    for found, message, hint in (
        (_UNSEEN.search(text), "a character that cannot be seen", "take it out, or write the line anew"),
        (_TAB.search(text), "a tab in front of the line", "indent with spaces"),
    ):
        if found:
            start = found.start(found.lastindex or 0)
            place = (text.count("\n", 0, start), start - (text.rfind("\n", 0, start) + 1))
            node = Node(place, (place[0], place[1] + 1))
            raise ConfigProblems([_problem(file, lines, node, Fault(message, hint))])
    builder = _Builder()
    try:
        root = builder.build(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = _not_past_end(mark.line if mark else 0, mark.column if mark else 0, lines)
        fault = _syntax(str(error.problem or error.context or ""))
        found_problems = [_problem(file, lines, Node(place, (place[0], place[1] + 1)), fault)]
        raise ConfigProblems([*builder.problems(file, lines), *found_problems]) from None
    except YAMLError:
        raise _unreadable(file, "this is not YAML", "") from None
    problems = builder.problems(file, lines)
    if root is None or builder.stopped:
        nothing = _unreadable(file, "this file is empty", "write one with `rebookd init`")
        raise ConfigProblems(problems) if problems else nothing
    return Tree(file, lines, root, problems)


def _not_past_end(line: int, column: int, lines: tuple[str, ...]) -> tuple[int, int]:
    """The place, or the end of the last line with something on it."""
    last = max((number for number, text in enumerate(lines) if text.strip()), default=0)
    return (line, column) if line <= last else (last, len(lines[last]))


def _problem(file: str, lines: tuple[str, ...], node: Node, fault: Fault) -> Problem:
    line = min(node.start[0], len(lines) - 1)
    source = lines[line]
    column = min(node.start[1], len(source)) if line == node.start[0] else len(source)
    end = node.end[1] if node.end[0] == line else len(source.rstrip())
    if fault.secret:
        source = source[:column] + "*" * len(source[column:])
    for pattern in (_SECRET, _USERINFO):
        source = pattern.sub(lambda found: found[1] + "*" * len(found[2]), source)
    return Problem(
        file=file,
        line=line + 1,
        column=column + 1,
        message=fault.message,
        help=fault.help,
        source=source,
        width=max(1, end - column),
    )


def _syntax(said: str) -> Fault:
    """What the YAML reader found, in plain words."""
    for sign, message, hint in (
        (
            "mapping values are not allowed",
            "a ':' that does not fit here",
            "put text with ': ' in quotes, or indent",
        ),
        ("could not find expected ':'", "a key without ':'", "write key: value"),
        ("expected <block end>", "this line is not indented like its neighbours", "line it up with them"),
        (
            "did not find expected key",
            "this line is not indented like its neighbours",
            "line it up with them",
        ),
        (
            "expected ',' or",
            "a bracket that is not closed, or a missing comma",
            "check the brackets before here",
        ),
        (
            "did not find expected ','",
            "a bracket that is not closed, or a missing comma",
            "check the brackets",
        ),
        ("unexpected end of stream", "the file ends inside a quoted text", "close the quotes"),
        ("block sequence entries are not allowed", "a list cannot start here", "start it on its own line"),
        ("cannot start any token", "a text cannot start with this character", "put the text in quotes"),
        ("expected the node content", "a value is missing here", "check the brackets and commas"),
        ("escape", "an escape that YAML does not know", "use single quotes for text with backslashes"),
    ):
        if sign in said:
            return Fault(message, hint)
    return Fault("this is not YAML", "check brackets, quotes, colons and indentation")


@dataclass(slots=True)
class _Open:
    """A collection being read; ``key`` waits for its value."""

    node: Node
    key: Node | None = None


class _Builder:
    """Builds nodes from the reader's events without recursion, so depth cannot hurt."""

    def __init__(self) -> None:
        self.found: list[tuple[Node, Fault]] = []
        self.stopped = False
        self._open: list[_Open] = []
        self._root: Node | None = None

    def problems(self, file: str, lines: tuple[str, ...]) -> list[Problem]:
        return [_problem(file, lines, node, fault) for node, fault in self.found]

    def build(self, text: str) -> Node | None:
        documents = values = 0
        for event in _events(text):
            if isinstance(event, DocumentStartEvent):
                documents += 1
                if documents > 1:
                    self._stop(_at(event), "a second document", "keep one document in a file, without ---")
                    break
            elif isinstance(event, NodeEvent):
                self._refuse(event)
                self._take(event)
                values += 1
                if len(self._open) > MOST_DEPTH:
                    self._stop(_at(event), f"nested deeper than {MOST_DEPTH} levels", "take a level out")
                    break
                if values > MOST_VALUES:
                    self._stop(_at(event), f"more than {MOST_VALUES} values in one file", "split it")
                    break
                if len(self.found) >= MOST_FOUND:
                    self.stopped = True
                    break
            elif type(event).__name__ in {"MappingEndEvent", "SequenceEndEvent"}:
                closed = self._open.pop().node
                closed.end = (event.end_mark.line, event.end_mark.column)
        return self._root

    def _stop(self, node: Node, message: str, hint: str) -> None:
        self.found.append((node, Fault(message, hint)))
        self.stopped = True

    def _refuse(self, event: NodeEvent) -> None:
        node = _at(event)
        if isinstance(event, AliasEvent):
            self._stop(node, f"an alias: *{brief(event.anchor)}", "write the value out")
        elif event.anchor is not None:
            self._stop(node, f"an anchor: &{brief(event.anchor)}", "write the value out where it is needed")
        elif tag := getattr(event, "tag", None):
            self._stop(node, f"a tag: {brief(str(tag))}", "take it out; quotes make text")

    def _take(self, event: NodeEvent) -> None:
        node = _at(event)
        if isinstance(event, ScalarEvent):
            node.plain = event.value if event.style else _scalar(event.value)
        elif isinstance(event, SequenceStartEvent):
            node.items = []
        elif isinstance(event, MappingStartEvent):
            node.keys = {}
        self._place(node, event)
        if node.items is not None or node.keys is not None:
            self._open.append(_Open(node))

    def _place(self, node: Node, event: NodeEvent) -> None:
        if not self._open:
            self._root = node
            return
        parent = self._open[-1]
        if parent.node.items is not None:
            parent.node.items.append(node)
        elif parent.key is None:
            parent.key = node
            node.plain = event.value if isinstance(event, ScalarEvent) else ""
            if not isinstance(event, ScalarEvent):
                self._stop(node, "a key must be plain text", "quote a text with brackets or braces")
            elif node.plain == "<<" and not event.style:
                self._stop(node, "a merge key: <<", "write the keys out")
        else:
            self._enter(parent, parent.key, node)
            parent.key = None

    def _enter(self, parent: _Open, key: Node, value: Node) -> None:
        keys, name = parent.node.keys or {}, str(key.plain)
        if name not in keys:
            keys[name] = (key, value)
            parent.node.keys = keys
            return
        first = keys[name][0].start[0] + 1
        self.found.append(
            (key, Fault(f"'{brief(name)}' is already given on line {first}", "keep one of the two"))
        )


def _events(text: str) -> Iterator[Event]:
    return iter(YAML(typ="safe", pure=True).parse(text))


def _at(event: Event) -> Node:
    start, end = event.start_mark, event.end_mark
    return Node((start.line, start.column), (end.line, end.column))


def _scalar(text: str) -> object:
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    return float(text) if _DECIMAL.fullmatch(text) else text
