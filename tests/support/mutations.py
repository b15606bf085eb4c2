"""An owner's files with one mistake in each, and where it is.

Two files are mistaken in a seeded variety of ways: keys, values, YAML, bytes, and what lies where a file is
expected.
"""

from __future__ import annotations

import os
import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

CONFIG = """\
version: 1
me:
  name: Dana Reyes
  addresses: [dana@va.example, dana@acme.example]
  time_zone: Europe/Lisbon
  working_hours: {mon-thu: "09:00-17:30", fri: "09:00-13:00"}
accounts:
  own:
    caldav:
      url: "@URL@"
      username: "@USER@"
      password: {env: DAV_PASSWORD}
    poll_every: 1s
    client: Acme
mail:
  from: Dana Reyes <dana@va.example>
  smtp:
    host: 127.0.0.1
    port: @PORT@
    security: none
rules: [rules.yaml]
"""

RULES = """\
version: 1
guard:
  max_per_run: 10000
  max_per_hour: 10000
  first_sync: act
rules:
  - name: confirm
    description: Everybody confirms a week ahead.
    match:
      account: own
      organizer: me
    when: unconfirmed
    mode: auto
    then:
      - step: ask
        do: confirm
        at: @DAYS@d before start
        until: 1h before start
  - name: no-show
    match:
      client: Acme
      title: {contains: [kickoff, review]}
    when:
      missed:
        by: attendee
        settle: 10m
    then:
      - step: offer
        do: reschedule
        at: 1h after end
        until: 2d after end
        slots: 3
        template: sorry-we-missed-you
"""

OTHER_DAYS = 3
"""What the rules say after a mistake was made in them: had they been taken, a meeting would show it."""

_KEY = re.compile(r"^(?P<before> *(?:- )?)(?P<key>[a-z_-]+):(?: (?P<value>.*))?$")

WRONG_VALUES = {
    "config.yaml": {
        "time_zone": "Europe/Lisbonn",
        "poll_every": "5 fortnights",
        "security": "startls",
        "port": "seventy",
        "from": "nobody at all",
    },
    "rules.yaml": {
        "max_per_run": "-1",
        "first_sync": "loud",
        "account": "owm",
        "client": "Acmee",
        "when": "unconfirmd",
        "mode": "automatic",
        "do": "confrim",
        "at": "48h befor start",
        "until": "1 hour before sunset",
        "slots": "many",
        "settle": "soon",
        "by": "nobody",
        "template": "sorry-we-mist-you",
    },
}
"""A value that does not fit, for keys of each file where its own column is named."""


@dataclass(frozen=True)
class Mutation:
    """One mistake: what kind, in which file, and the line and column to be named, where they are plain.

    ``text`` is what the file holds then, ``make`` what lies there instead.
    """

    kind: str
    file: str
    text: bytes = b""
    line: int | None = None
    column: int | None = None
    told_in: str = ""
    make: Callable[[Path], None] | None = None

    @property
    def place(self) -> str | None:
        """``rules.yaml:9:15`` or ``rules.yaml:9:``, as the log names it; None where it is not plain."""
        if self.line is None:
            return None
        return f"{self.told_in or self.file}:{self.line}:{self.column or ''}"

    def apply(self, folder: Path) -> None:
        """Put it in the place of the right file."""
        path = folder / self.file
        if self.make is None:
            path.write_bytes(self.text)
        else:
            path.unlink()
            self.make(path)


def put_right(folder: Path, texts: dict[str, str]) -> None:
    """Undo whatever a mutation did."""
    for name, text in texts.items():
        path = folder / name
        if path.is_dir() and not path.is_symlink():
            path.rmdir()
        elif not path.is_file() or path.is_symlink():
            path.unlink(missing_ok=True)
        path.write_text(text, encoding="utf-8")


def mutations(texts: dict[str, str], count: int, seed: int = 20260302) -> list[Mutation]:
    """So many, in a fixed order that begins with one of each kind. ``texts`` are the right files by name."""
    chance = random.Random(seed)
    files = {name: text.replace(_asks(7), _asks(OTHER_DAYS)) for name, text in texts.items()}
    found = list(_one_each(texts, files, chance))
    while len(found) < count:
        name = chance.choice(list(files))
        make = chance.choice(_SOMEWHERE)
        found.append(make(name, files[name].split("\n"), chance))
    return found[:count]


def _asks(days: int) -> str:
    return f"at: {days}d before start"


def _one_each(texts: dict[str, str], files: dict[str, str], chance: random.Random) -> Iterator[Mutation]:
    for name, text in files.items():
        lines = text.split("\n")
        for make in _SOMEWHERE:
            yield make(name, lines, chance)
        yield Mutation("byte order mark", name, b"\xef\xbb\xbf" + text.encode(), 1, 1)
        yield Mutation("UTF-16", name, text.encode("utf-16"), 1, 1)
        yield Mutation("empty", name, b"", 1, 1)
        yield Mutation("only a comment", name, b"# nothing\n", 1, 1)
        yield Mutation("huge", name, text.encode() + b"# more\n" * 50_000, 1, 1)
        yield Mutation("another document", name, f"{text}---\na: 1\n".encode(), len(lines), 1)
        yield Mutation("a list", name, b"- a\n- b\n", 1, 1)
        yield Mutation("binary", name, bytes(range(128, 256)) * 20, 1, 1)
        for kind, put in _INSTEAD.items():
            told, told_in = {"line": 1, "column": 1}, ""
            if name == "rules.yaml":  # it is not there: who names it is at fault
                told_in = "config.yaml"
                names = [line[:6] == "rules:" for line in texts["config.yaml"].split("\n")]
                told = {"line": names.index(True) + 1, "column": 9}
            yield Mutation(kind, name, make=put, told_in=told_in, **told)
        for key, value in WRONG_VALUES[name].items():
            number, found = next(each for each in _keys(lines) if each[1]["key"] == key and each[1]["value"])
            column = found.start("value")
            yield _changed(f"wrong {key}", name, lines, number, f"{lines[number][:column]}{value}", column)


def _keys(lines: list[str]) -> list[tuple[int, re.Match[str]]]:
    """The lines that hold a key, each with its match."""
    return [(number, found) for number, line in enumerate(lines) if (found := _KEY.match(line))]


def _changed(  # noqa: PLR0917 - each of them says one thing of a line
    kind: str, name: str, lines: list[str], number: int, line: str, column: int | None, below: int = 0
) -> Mutation:
    """One line replaced; the fault is there, or so many lines below."""
    text = "\n".join([*lines[:number], line, *lines[number + 1 :]])
    place = (None, None) if column is None else (number + 1 + below, column + 1)
    return Mutation(kind, name, text.encode(), *place)


def _inside(kind: str, name: str, lines: list[str], number: int, line: str) -> Mutation:
    """The same with a fault somewhere in the line."""
    return replace(_changed(kind, name, lines, number, line, 0), column=None)


def _misspelt_key(name: str, lines: list[str], chance: random.Random) -> Mutation:
    number, found = chance.choice(_keys(lines))
    at = found.start("key")
    parents = {"own", "caldav", "missed", "smtp"}
    while found["key"] in parents:  # an account may have any name, and a kind is told as one
        number, found = chance.choice(_keys(lines))
        at = found.start("key")
    return _changed("misspelt key", name, lines, number, f"{lines[number][:at]}x{lines[number][at:]}", at)


def _second_key(name: str, lines: list[str], chance: random.Random) -> Mutation:
    number, found = chance.choice([each for each in _keys(lines) if each[1]["value"]])
    indent = " " * len(found["before"])
    again = f"{indent}{found['key']}: {found['value']}"
    return _changed("second key", name, lines, number, f"{lines[number]}\n{again}", len(indent), below=1)


def _value(kind: str, value: str) -> Callable[[str, list[str], random.Random], Mutation]:
    """A value that no key may have."""

    def make(name: str, lines: list[str], chance: random.Random) -> Mutation:
        number, found = chance.choice([each for each in _keys(lines) if each[1]["value"]])
        column = found.start("value")
        return _changed(kind, name, lines, number, lines[number][:column] + value, column)

    return make


def _colon(name: str, lines: list[str], chance: random.Random) -> Mutation:
    """What only the reader of YAML itself finds."""
    number, found = chance.choice([each for each in _keys(lines) if each[1]["value"]])
    column = found.start("value")
    return _changed("a second colon", name, lines, number, lines[number][:column] + "a: b", column + 1)


def _wrong_type(name: str, lines: list[str], chance: random.Random) -> Mutation:
    number, found = chance.choice([each for each in _keys(lines) if each[1]["value"]])
    return _inside("wrong type", name, lines, number, lines[number][: found.start("value")] + "[[1, 2], [3]]")


def _merge_key(name: str, lines: list[str], chance: random.Random) -> Mutation:
    number, found = chance.choice([each for each in _keys(lines) if each[1]["value"]])
    indent = " " * len(found["before"])
    line = f"{lines[number]}\n{indent}<<: {{a: 1}}"
    return _changed("merge key", name, lines, number, line, len(indent), below=1)


def _tab(name: str, lines: list[str], chance: random.Random) -> Mutation:
    number, _ = chance.choice([each for each in _keys(lines) if each[1]["before"]])
    return _changed("tab", name, lines, number, "\t" + lines[number].lstrip(), 0)


def _unseen(name: str, lines: list[str], chance: random.Random) -> Mutation:
    number, _ = chance.choice(_keys(lines))
    column = chance.randint(0, len(lines[number]))
    sign = chance.choice("\0\x1b\u2028\ufeff" if (number, column) != (0, 0) else "\0\x1b")
    shown = lines[number][:column] + sign + lines[number][column:]
    return _changed("unseen character", name, lines, number, shown, column)


def _latin(name: str, lines: list[str], chance: random.Random) -> Mutation:
    number, _ = chance.choice(_keys(lines))
    before = "\n".join([*lines[: number + 1]]) + "  # caf"
    after = "\n" + "\n".join(lines[number + 1 :])
    column = len(lines[number]) + len("  # caf") + 1
    return Mutation("latin-1", name, before.encode() + b"\xe9" + after.encode(), number + 1, column)


def _shifted(name: str, lines: list[str], chance: random.Random) -> Mutation:
    number, _ = chance.choice([each for each in _keys(lines) if each[1]["before"]])
    line = f" {lines[number]}" if chance.random() < 0.5 else lines[number][1:]
    return _changed("indentation", name, lines, number, line, None)


def _cut(name: str, lines: list[str], chance: random.Random) -> Mutation:
    raw = "\n".join(lines).encode()
    return Mutation("cut off", name, raw[: chance.randint(1, len(raw) - 20)])


def _gone(name: str, lines: list[str], chance: random.Random) -> Mutation:
    number, _ = chance.choice(_keys(lines))
    return Mutation("a line gone", name, "\n".join(lines[:number] + lines[number + 1 :]).encode())


def _open_bracket(name: str, lines: list[str], chance: random.Random) -> Mutation:
    number, found = chance.choice([each for each in _keys(lines) if each[1]["value"]])
    line = (
        lines[number][: found.start("value")] + chance.choice(["[", "{", '"', "'"]) + (found["value"] or "")
    )
    return _changed("open bracket", name, lines, number, line, None)


_SOMEWHERE: tuple[Callable[[str, list[str], random.Random], Mutation], ...] = (
    _misspelt_key,
    _second_key,
    _wrong_type,
    _value("alias", "*that"),
    _value("anchor", "&that 1"),
    _value("tag", "!!python/object:os.system 1"),
    _merge_key,
    _colon,
    _tab,
    _unseen,
    _latin,
    _shifted,
    _cut,
    _gone,
    _open_bracket,
)


def _loop(path: Path) -> None:
    path.symlink_to(path.name)


_INSTEAD: dict[str, Callable[[Path], None]] = {
    "missing": lambda _: None,
    "a folder": Path.mkdir,
    "a pipe": os.mkfifo,
    "a link to itself": _loop,
    "a link to nowhere": lambda path: path.symlink_to("nowhere"),
}
