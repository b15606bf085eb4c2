"""Where a mail's templates are found: beside the rules file, or among those that come with rebookd."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from daemon.mail.letter import OWNER_NAMES, names_for
from daemon.mail.spoken_time import LANGUAGES
from daemon.mail.template_language import Compiled, TemplateError, read_template

TEMPLATES = Path(__file__).parent / "templates"

BUILT_IN = (
    "another-time",
    "confirm",
    "it-has-been-a-while",
    "it-was-cancelled",
    "missed-each-other",
    "new-time",
    "not-at-that-time",
    "not-available",
    "our-last-meeting",
    "please-move-it",
    "something-came-up",
    "sorry-i-missed-it",
    "sorry-we-missed-you",
    "that-time-is-gone",
    "you-cannot-make-it",
)
"""The templates for other people that come with rebookd."""

BUILT_IN_FOR_OWNER = ("check-in", "notify")
"""The templates for the owner that come with rebookd."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A checked template: its text, and the owner's own HTML where they wrote one."""

    text: Compiled
    html: Compiled | None = None


def find_template(name: str, do: str, language: str, templates_dir: Path | None) -> Found:
    """The template of that name for that action: the owner's own files first, then the built-in one.

    The owner's own are ``NAME.txt`` and perhaps ``NAME.html``, read anew each time. Raises
    :class:`TemplateError`.
    """
    names = names_for(do)
    folder = templates_dir if templates_dir is not None else Path()
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", name):
        sentence = "a template's name is made of letters, digits, - and _; give it another name"
        raise TemplateError(folder, 1, sentence)
    text, html = folder / f"{name}.txt", folder / f"{name}.html"
    if templates_dir is not None and (text.is_file() or html.is_file()):
        drawn = read_template(html, names) if html.is_file() else None
        return Found(text=read_template(text, names), html=drawn)
    built_in = BUILT_IN_FOR_OWNER if names is OWNER_NAMES else BUILT_IN
    if name in built_in:
        return Found(text=shipped(f"{language}/{name}.txt"))
    raise TemplateError(text, 1, f"there is no such template; write this file or use {', '.join(built_in)}")


def check_template(name: str, do: str, templates_dir: Path | None = None) -> None:
    """Read and check every file of a template that a step names, filling in nothing.

    Raises :class:`TemplateError`.
    """
    for language in LANGUAGES:
        find_template(name, do, language, templates_dir)


@cache
def shipped(path: str) -> Compiled:
    """One of the files below ``templates/``."""
    return read_template(TEMPLATES / path, OWNER_NAMES)
