"""A mail's HTML, made from its text so that both always say the same."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from markupsafe import Markup, escape

from daemon.mail.letter import OWNER_NAMES
from daemon.mail.template_files import TEMPLATES
from daemon.mail.template_language import Compiled, Shape, list_of, read_template

_BLOCK: Shape = {**OWNER_NAMES, **dict.fromkeys(("heading", "tell_me", "address", "label"))}
_LAYOUT: Shape = {"language": None, "body": None, "footer": list_of({"text": None, "address": None})}
_PARAGRAPH = Markup('<p style="margin:0 0 16px">{}</p>\n')
_CODE = Markup(
    '<pre class="box" style="margin:0 0 16px;padding:10px 12px;border-radius:6px;background:#f1f3f6;'
    "font:13px/1.5 ui-monospace,Menlo,Consolas,monospace;white-space:pre-wrap;overflow-wrap:anywhere;"
    'user-select:all;-webkit-user-select:all">{}</pre>\n'
)


_HEADING = Markup('<p style="margin:24px 0 8px;font-weight:600">{}</p>\n')
_LIST = Markup('<ul style="margin:0 0 16px;padding:0 0 0 20px">{}</ul>\n')
_ITEM = Markup('<li style="margin:0 0 6px">{}</li>\n')


def block(name: str, values: Mapping[str, Any]) -> Markup:
    """One of the drawn parts, ``when``, ``proposals`` or ``link``."""
    return Markup(_drawn(name).render(values))  # nosec B704 # noqa: S704 - rendered with escaping on


def page(body: Markup, footer: str, language: str, stop: str = "") -> str:
    """The whole document around a body; the footer is plain text in paragraphs, one perhaps ``stop``."""
    texts = [" ".join(part.split()) for part in _parts(footer)]
    small = [{"text": text, "address": stop if text == stop else ""} for text in texts]
    return _layout().render({"language": language, "body": body, "footer": small})


def paragraphs(text: str, blocks: Mapping[str, Markup]) -> Markup:
    """Plain text as HTML.

    Empty lines part paragraphs; a paragraph whose every line is indented is shown as a command; lines
    that start with ``- `` below one that does not are a list below its heading; a paragraph that is one
    of ``blocks`` becomes that block.
    """
    return Markup("").join(_paragraph(part, blocks) for part in _parts(text))


def _parts(text: str) -> list[str]:
    return [part.strip("\n") for part in re.split(r"\n\s*\n", text) if part.strip()]


def _paragraph(part: str, blocks: Mapping[str, Markup]) -> Markup:
    if part in blocks:
        return blocks[part]
    lines = part.split("\n")
    if all(line.startswith("  ") for line in lines):
        return _CODE.format("\n".join(line.strip() for line in lines))
    heading, *items = lines
    if items and not heading.startswith("- ") and all(line.startswith("- ") for line in items):
        listed = Markup("").join(_ITEM.format(line.removeprefix("- ")) for line in items)
        return _HEADING.format(heading) + _LIST.format(listed)
    return _PARAGRAPH.format(Markup("<br>\n").join(escape(line) for line in lines))


@cache
def _drawn(name: str) -> Compiled:
    return read_template(TEMPLATES / f"{name}.html", _BLOCK)


@cache
def _layout() -> Compiled:
    return read_template(TEMPLATES / "layout.html", _LAYOUT)
