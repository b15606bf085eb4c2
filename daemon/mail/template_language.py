"""The small template language of mails: Jinja2's variables, conditions and loops over plain data.

Calls, assignments, arithmetic, includes and macros are left out, so that a template can neither
reach anything but the data it is given nor grow without bound.
"""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import Any

from jinja2 import StrictUndefined, Template, TemplateSyntaxError, nodes
from jinja2.exceptions import TemplateError as JinjaError
from jinja2.runtime import LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment

LARGEST_SOURCE = 64 * 1024
"""The largest template file read, in bytes."""

LARGEST_OUTPUT = 128 * 1024
"""The longest text a template may produce, in characters."""

FILTERS = ("capitalize", "default", "first", "last", "length", "lower", "title", "trim", "upper")
"""The filters a template may use."""

LOOP = ("first", "index", "last", "length")
"""What a template may ask of ``loop``."""

_NODES = (
    *(nodes.Template, nodes.Output, nodes.TemplateData, nodes.If, nodes.For, nodes.Name, nodes.Const),
    *(nodes.Getattr, nodes.Compare, nodes.Operand, nodes.And, nodes.Or, nodes.Not, nodes.CondExpr),
    *(nodes.Concat, nodes.Filter, nodes.Test),
)
_TESTS = ("defined", "undefined")
_DEEPEST_LOOP = 2

Shape = Mapping[str, "Shape | None"]
"""Which names there are; below each, those of its parts. None for text, numbers and yes or no."""


class TemplateError(Exception):
    """A template cannot be used; one sentence that begins with ``file:line:``."""

    def __init__(self, path: Path, line: int, sentence: str) -> None:
        super().__init__(f"{path}:{line}: {sentence}")
        self.path = path
        self.line = line
        self.sentence = sentence


@dataclass(frozen=True, slots=True)
class Compiled:
    """A checked template, ready to be filled in."""

    path: Path
    template: Template

    def render(self, values: Mapping[str, Any]) -> str:
        """The template filled in. Raises :class:`TemplateError`."""
        parts: list[str] = []
        size = 0
        try:
            for part in self.template.generate(values):
                size += len(part)
                if size > LARGEST_OUTPUT:
                    raise TemplateError(self.path, 1, "the mail would become too long; write a shorter one")
                parts.append(part)
        except (JinjaError, ArithmeticError, LookupError, TypeError, ValueError, RecursionError) as error:
            line = _line_of(error, str(self.path))
            raise TemplateError(self.path, line, f"this cannot be filled in ({error})") from error
        return "".join(parts)


def compile_template(path: Path, source: str, shape: Shape) -> Compiled:
    """Check a template against the names it may use.

    Escapes what it shows when the file is called ``*.html``. Raises :class:`TemplateError`.
    """
    fail = partial(TemplateError, path)
    if len(source) > LARGEST_SOURCE:
        raise fail(1, f"the template is larger than {LARGEST_SOURCE // 1024} KiB; write a shorter one")
    for number, line in enumerate(source.split("\n"), start=1):
        if any(char < " " and char != "\t" for char in line):
            raise fail(number, "there is a control character in this line; remove it")
    try:
        tree = _ENVIRONMENT.parse(_LONE_TAG.sub(r"\1\n\2%}", source), filename=str(path))
        _Check(path, shape).walk(tree, dict(shape), loops=0)
        code = _ENVIRONMENT.compile(tree, name=path.name, filename=str(path))
    except TemplateSyntaxError as error:
        raise fail(error.lineno, _sentence(error)) from error
    except RecursionError as error:
        raise fail(1, "the template nests too deeply; write a simpler one") from error
    return Compiled(path, Template.from_code(_ENVIRONMENT, code, {}))


def read_template(path: Path, shape: Shape) -> Compiled:
    """Read and check a template file. Raises :class:`TemplateError`."""
    try:
        with path.open("rb") as file:
            octets = file.read(LARGEST_SOURCE + 1)
        source = octets.decode("utf-8-sig")
    except OSError as error:
        raise TemplateError(path, 1, f"this file cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        line = octets[: error.start].count(b"\n") + 1
        raise TemplateError(path, line, "this line is not UTF-8 text; save the file as UTF-8") from error
    return compile_template(path, source.replace("\r\n", "\n"), shape)


# A line that is nothing but a tag leaves no empty line behind: its line break moves into the tag,
# where it shows nothing and still counts for line numbers.
_LONE_TAG = re.compile(r"^[ \t]*(\{%(?:(?!%\}).)*?)(-?)%\}[ \t]*\n", re.MULTILINE)


class _PlainData(ImmutableSandboxedEnvironment):
    """Looks names up in mappings only, never on Python objects."""

    def getattr(self, obj: Any, attribute: str) -> Any:
        """The part of a mapping by that name."""
        if isinstance(obj, LoopContext) and attribute in LOOP:
            return getattr(obj, attribute)
        if isinstance(obj, Mapping) and attribute in obj:
            return obj[attribute]
        return self.undefined(obj=obj, name=attribute)


_ENVIRONMENT = _PlainData(
    autoescape=lambda name: bool(name and name.endswith(".html")),
    undefined=StrictUndefined,
    keep_trailing_newline=True,
)


class _Check:
    """Walks a template and refuses what the language does not have."""

    def __init__(self, path: Path, shape: Shape) -> None:
        self._path = path
        self._lists = {name for name, below in shape.items() if below is not None and _LIST in below}

    def walk(self, node: nodes.Node, names: dict[str, Shape | None], loops: int) -> None:
        if not isinstance(node, _NODES):
            word = type(node).__name__.lower()
            raise self._refusal(node, f"'{word}' is not part of mail templates; see the list of what is")
        if isinstance(node, nodes.For):
            self._for(node, names, loops)
            return
        if isinstance(node, nodes.Name):
            self._known(node, node.name, names)
        elif isinstance(node, nodes.Filter):
            self._allowed(node, node.name, FILTERS, "filter")
        elif isinstance(node, nodes.Test):
            self._allowed(node, node.name, _TESTS, "test")
        for child in node.iter_child_nodes():
            self.walk(child, names, loops)
        if isinstance(node, nodes.Getattr):  # after what it is a part of
            self._parts(node, names)

    def _for(self, node: nodes.For, names: dict[str, Shape | None], loops: int) -> None:
        source = node.iter
        if not isinstance(source, nodes.Name) or source.name not in self._lists:
            raise self._refusal(
                node, f"a loop goes over one of {', '.join(sorted(self._lists)) or 'no lists'}"
            )
        if loops >= _DEEPEST_LOOP or node.recursive or not isinstance(node.target, nodes.Name):
            raise self._refusal(node, "a loop has one variable, and no more than two stand in each other")
        item = names[source.name] or {}
        inner = {
            **names,
            node.target.name: {key: below for key, below in item.items() if key != _LIST},
            "loop": dict.fromkeys(LOOP),
        }
        for child in (*node.body, *([node.test] if node.test else ())):
            self.walk(child, inner, loops + 1)
        for child in node.else_:
            self.walk(child, names, loops)

    def _parts(self, node: nodes.Getattr, names: dict[str, Shape | None]) -> None:
        below = self._shape_of(node.node, names)
        self._known(node, node.attr, {} if below is None or _LIST in below else below)

    def _shape_of(self, node: nodes.Node, names: dict[str, Shape | None]) -> Shape | None:
        if isinstance(node, nodes.Name):
            return names.get(node.name)
        if isinstance(node, nodes.Getattr):
            above = self._shape_of(node.node, names)
            return None if above is None else above.get(node.attr)
        return None

    def _known(self, node: nodes.Node, name: str, names: Mapping[str, Any]) -> None:
        if name not in names:
            close = get_close_matches(name, list(names), n=1)
            hint = f"; did you mean '{close[0]}'?" if close else ""
            raise self._refusal(node, f"there is no '{name}' here{hint}")

    def _allowed(self, node: nodes.Node, name: str, allowed: tuple[str, ...], kind: str) -> None:
        if name not in allowed:
            raise self._refusal(node, f"there is no {kind} '{name}'; there are {', '.join(allowed)}")

    def _refusal(self, node: nodes.Node, sentence: str) -> TemplateError:
        return TemplateError(self._path, node.lineno, sentence)


_LIST = "[]"


def list_of(item: Shape) -> Shape:
    """The shape of a list whose items have that shape."""
    return {**item, _LIST: None}


def _sentence(error: TemplateSyntaxError) -> str:
    text = (error.message or "this is not a template").rstrip(".")
    if "nexpected end of template" in text:
        return "a tag above is still open here; close it with {% endif %} or {% endfor %}"
    return text[:1].lower() + text[1:]


def _line_of(error: BaseException, filename: str) -> int:
    lines: Iterator[int] = (
        frame.lineno or 1 for frame in traceback.extract_tb(error.__traceback__) if frame.filename == filename
    )
    return max([1, *lines][-1], 1)
