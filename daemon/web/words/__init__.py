"""What the answer pages say, in the languages that mails speak."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from daemon.mail.spoken_time import language

_FOLDER = Path(__file__).parent


class Words:
    """The sentences of one language, by name."""

    def __init__(self, code: str, sentences: Mapping[str, str | Mapping[str, str]]) -> None:
        self.code = code
        self.sentences = sentences

    def say(self, name: str, **values: object) -> str:
        """A sentence with its blanks filled in; where it has a ``count``, in the form that goes with it."""
        found = self.sentences[name]
        if not isinstance(found, str):
            found = found["one" if values.get("count") == 1 else "other"]
        return found.format_map(values)


def words(tag: str) -> Words:
    """The words for a language tag; English where there are none of it."""
    return _read(language(tag).code)


@cache
def _read(code: str) -> Words:
    with (_FOLDER / f"{code}.toml").open("rb") as file:
        return Words(code, tomllib.load(file))
