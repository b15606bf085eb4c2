"""The words of the owner's digest, from the templates called ``digest``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from daemon.mail.spoken_time import language
from daemon.mail.template_files import TEMPLATES
from daemon.mail.template_language import Compiled, Shape, list_of, read_template

SECTIONS: dict[str, tuple[str, ...]] = {
    "missed": ("title", "short", "people"),
    "unanswered": ("title", "short", "people"),
    "wished": ("title", "short", "people", "asked"),
    "held": ("id", "to", "title", "short", "rule", "step"),
    "sent": ("to", "subjects"),
    "troubled": ("id", "to", "subject", "state", "why"),
    "dark": ("people", "title", "day"),
    "unseen": ("name", "since", "why"),
    "upcoming": ("hour", "to", "title", "short", "rule", "step"),
}
"""The lists a digest is made of, in the order it tells them, and the parts of their items, all text."""

DIGEST_NAMES: Shape = {
    **{name: list_of(dict.fromkeys(parts)) for name, parts in SECTIONS.items()},
    "more": dict.fromkeys(SECTIONS),
    "held_ids": None,
    "troubled_ids": None,
    "quiet": None,
    "day": None,
    "zone": None,
}
"""What the template may use: the lists, how many items each leaves out, and whether all are empty."""


def write(values: Mapping[str, Any], tag: str) -> tuple[str, str]:
    """Subject and text of a digest in a language such as ``pt``."""
    first, _, text = _template(language(tag).code).render(values).partition("\n")
    return first.partition(":")[2].strip(), re.sub(r"\n{3,}", "\n\n", text).strip("\n")


@cache
def _template(code: str) -> Compiled:
    return read_template(TEMPLATES / code / "digest.txt", DIGEST_NAMES)
