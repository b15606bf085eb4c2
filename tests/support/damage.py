"""Damaged copies of real texts and trees, the same for a seed, by who knows their grammar."""

from __future__ import annotations

import copy
import random
from collections.abc import Sequence
from typing import Any

from tests.support.hostile import PIECES

NUMBERS = ("0", "-1", "999999999999", "99991231T235959Z", "00010101T000000", "20260230T250061", "1E309", "٣")
WORDS = (
    "FREQ=SECONDLY",
    "FREQ=MINUTELY;COUNT=1000000000",
    "FREQ=YEARLY;BYMONTHDAY=30;BYMONTH=2",
    "INTERVAL=0",
    "RRULE:FREQ=DAILY;BYSETPOS=-366;BYDAY=MO",
    "DURATION:-PT99999999H",
    "DURATION:P",
    "RANGE=THISANDFUTURE",
    "TZID=America/Nowhere",
    "TZID=../../etc/passwd",
    'CN="',
    "^n^'",
    "BEGIN:VEVENT",
    "END:VEVENT",
    "END:VCALENDAR",
    "DTSTART;VALUE=DATE:20260302",
    "RDATE;VALUE=PERIOD:20260302T000000Z/P1W",
    "ATTENDEE:mailto:",
    "UID:",
    "SEQUENCE:-1",
    "&a [*a]",
    "<<: *a",
    "!!python/object/apply:os.system [reboot]",
    "? {}",
    "- - - -",
    "'",
    '"',
    "|",
    "\t",
    "%YAML 9.9",
    "\ufeff",
    "\x00",
    "\ud7ff",
    "\r",
    "\n",
    ":",
    ";",
    "\\",
    "\\N",
    "=?utf-8?q?=0D=0ABcc:_e@x.example?=",
    "--",
    "=\r\n",
    "Content-Transfer-Encoding: base64\r\n",
    "Content-Type: multipart/mixed; boundary=x\r\n",
    "charset=utf-7",
    "charset=\x00",
)
VALUES: tuple[Any, ...] = (
    None,
    True,
    -1,
    0,
    10**30,
    1e308,
    float("nan"),
    "",
    " ",
    [],
    {},
    [[]],
    {"": {}},
    "\ud800",
    "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:59.9999999Z",
    "2026-02-30T09:00:00",
    "2026-03-29T01:30:00",
    "Customized Time Zone",
    "UTC+99:99",
    ["RRULE:FREQ=SECONDLY"],
    ["RRULE:FREQ=DAILY;INTERVAL=0", "EXDATE:x"],
    {"dateTime": "x"},
    {"email": 7},
    "x" * 70000,
)


def text(chance: random.Random, originals: Sequence[str]) -> str:
    """One of these texts, damaged in one to four places: lines, words, numbers and letters of it."""
    lines = chance.choice(originals).split("\n")
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(lines))
        if chance.random() < 0.5:
            _move_lines(chance, lines, at, originals)
        else:
            lines[at] = _other(chance, lines[at])
        lines = lines or [""]
    return "\n".join(lines)


def _move_lines(chance: random.Random, lines: list[str], at: int, originals: Sequence[str]) -> None:
    match chance.randrange(6):
        case 0:
            del lines[at : at + chance.choice((1, 1, 1, 5))]
        case 1:
            lines[at:at] = [lines[at]] * chance.choice((1, 2, 50))
        case 2:
            lines.insert(at, chance.choice(chance.choice(originals).split("\n")))
        case 3:
            lines.insert(at, chance.choice(WORDS))
        case 4:
            other = chance.randrange(len(lines))
            lines[at], lines[other] = lines[other], lines[at]
        case _:
            lines[at:] = [lines[at][: chance.randint(0, len(lines[at]))]]


def _other(chance: random.Random, line: str) -> str:
    head, colon, value = line.partition(":")
    match chance.randrange(4):
        case 0:
            return head + colon + chance.choice((*WORDS, *NUMBERS, *PIECES))
        case 1:
            return chance.choice(WORDS) + colon + value
        case 2:
            cut = chance.randint(0, len(line))
            return line[:cut] + chance.choice((*WORDS, *PIECES)) + line[cut + chance.randint(0, 2) :]
        case _:
            digits = [place for place, char in enumerate(line) if char.isdigit()]
            place = chance.choice(digits) if digits else 0
            return line[:place] + chance.choice(NUMBERS) + line[place + 1 :]


def tree(chance: random.Random, originals: Sequence[Any]) -> Any:
    """One of these JSON values, in one to three places something else."""
    made = copy.deepcopy(chance.choice(originals))
    for _ in range(chance.randint(1, 3)):
        places = list(_places(made))
        if not places:
            break
        holder, key = chance.choice(places)
        match chance.randrange(5):
            case 0:
                del holder[key]
            case 1:
                holder[key] = [copy.deepcopy(holder[key])] * chance.choice((1, 3))
            case 2:
                holder[key] = chance.choice(PIECES)
            case 3:
                holder[key] = copy.deepcopy(chance.choice(places)[0])
            case _:
                holder[key] = copy.deepcopy(chance.choice(VALUES))
    return made


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Each place in a tree: what holds it, and under which key."""
    found: list[tuple[Any, Any]] = []
    todo = [value]
    while todo and len(found) < 500:
        holder = todo.pop()
        if isinstance(holder, dict | list):
            keys = list(holder) if isinstance(holder, dict) else range(len(holder))
            found += [(holder, key) for key in keys]
            todo += [holder[key] for key in keys]
    return found
