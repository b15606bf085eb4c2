"""iCalendar text → content lines (RFC 5545 section 3.1), fast where the text is plain.

The pattern below recognises what nearly every calendar program writes. Whatever it does not wholly
recognise is handed to the icalendar library, and what that refuses too is read as well as can be and
reported: a line is never skipped in silence.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from icalendar.parser import Contentline

Params = dict[str, str]
_NONE: Params = {}

MOST_LINES = 105_000
"""Lines one text may have; nothing is read of one that has more."""

_LONGEST = 64 * 1024
"""A longer line is not handed to the library, which walks it letter by letter; nor is more read of a list."""

_LONGEST_UNUSUAL = 256 * 1024
"""Letters of one text that are handed to the library."""

_LONGEST_PARAMS = 16 * 1024
"""Letters of one line's parameters that are read as plain."""

_LONGEST_HEAD = 2 * 1024
"""Letters before the value of a malformed line that are looked at."""

_KEPT = frozenset({"CN", "CUTYPE", "DELEGATED-TO", "EMAIL", "PARTSTAT", "RANGE", "ROLE", "TZID"})
_BEGIN_OR_END = frozenset({"", "B", "b", "E", "e"})
_UID = frozenset({"UID"})

_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_FOLD = re.compile(r"(?<!\n)\n+[ \t]")
_BLANK = re.compile(r"\n{2,}")
# Possessive, since what could be tried again otherwise is remembered letter by letter.
_PLAIN = re.compile(
    r'([A-Za-z0-9-]++)((?:;[A-Za-z0-9-]++=(?:"[^"\\^\n]*+"|[^";:,\\^\n]*+))*+):(.*)', re.DOTALL
)
_PARAM = re.compile(r';([A-Za-z0-9-]+)=(?:"([^"]*)"|([^;]*))')
_LENIENT = re.compile(r';\s*([A-Za-z0-9-]+)\s*=\s*(?:"([^"]*)"|([^;:]*))')


class Line(NamedTuple):
    """One property: its name in capitals, the parameters we know, its value as written (escapes and all)."""

    name: str
    params: Params
    value: str


@dataclass(slots=True)
class Component:
    """One VEVENT's wanted lines, and what could not be read of it."""

    lines: list[Line] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Calendar:
    """What a text holds: its events, its time zones (TZID → whole text), its other components' UIDs."""

    events: list[Component] = field(default_factory=list)
    zones: dict[str, str] = field(default_factory=dict)
    other_uids: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)


def without_controls(text: str) -> str:
    """A text without what none of iCalendar may hold (RFC 5545 section 3.1) and some readers end lines at."""
    return _CONTROLS.sub("", text)


def unfold(text: str, most: int) -> list[str]:
    """Logical lines, so many and the rest as one.

    Only CR LF and LF end a line; a fold may follow blank lines, as in the library.
    """
    text = text.removeprefix("\ufeff").replace("\r\n", "\n")
    if "\n\n" in text:
        text = _BLANK.sub("\n", _FOLD.sub("", text))
    else:
        text = text.replace("\n ", "").replace("\n\t", "")
    return text.split("\n", most)


def scan(text: str, wanted: frozenset[str]) -> Calendar:
    """Read the ``wanted`` properties of every VEVENT in ``text``. Never raises."""
    lines = unfold(text, MOST_LINES)
    if len(lines) > MOST_LINES:
        uids = [line[4:] for line in lines if line[:4].upper() == "UID:"]
        return Calendar(other_uids=uids[:1], broken=[f"it has more than {MOST_LINES} lines"])
    scanner = _Scanner(lines, wanted)
    scanner.run()
    return scanner.calendar


class _Scanner:
    """Follows BEGIN and END, and keeps what stands directly in an event."""

    def __init__(self, lines: list[str], wanted: frozenset[str]) -> None:
        self.calendar = Calendar()
        self._lines = lines
        self._open: list[str] = []
        self._event: Component | None = None
        self._zone_start = 0
        self._take = _Taker(wanted).take
        self._take_uid = _Taker(_UID).take

    def run(self) -> None:
        for number, line in enumerate(self._lines):
            initial = line[:1]
            if initial in _BEGIN_OR_END and self._mark(line, number):
                continue
            if self._event is not None:
                if self._open[-1] == "VEVENT":
                    self._take(line, self._event.lines.append, self._event.broken)
            elif initial in {"U", "u"} and len(self._open) == 2:
                self._take_uid(line, self._keep_uid, [])
        if self._event is not None or self._open:
            self.calendar.broken.append("its text ends in the middle")

    def _mark(self, line: str, number: int) -> bool:
        """Follow the line if it is a BEGIN or END, or empty."""
        head = line[:6].upper()
        if head == "BEGIN:":
            self._begin(line[6:].strip().upper(), number)
        elif head[:4] == "END:":
            self._end(line[4:].strip().upper(), number)
        else:
            return not line
        return True

    def _begin(self, name: str, number: int) -> None:
        self._open.append(name)
        if name == "VEVENT" and self._event is None:
            self._event = Component()
        elif name == "VTIMEZONE":
            self._zone_start = number

    def _end(self, name: str, number: int) -> None:
        if not self._open or self._open[-1] != name:
            self.calendar.broken.append("its components are not closed in order")
            if name not in self._open:
                return
            while self._open[-1] != name:
                self._open.pop()
        self._open.pop()
        if name == "VEVENT" and self._event is not None and "VEVENT" not in self._open:
            self.calendar.events.append(self._event)
            self._event = None
        elif name == "VTIMEZONE":
            _keep_zone(self.calendar, self._lines[self._zone_start : number + 1])
        elif "VEVENT" not in self._open:
            self._event = None

    def _keep_uid(self, line: Line) -> None:
        self.calendar.other_uids.append(line.value)


def _keep_zone(calendar: Calendar, lines: list[str]) -> None:
    for line in lines:
        if line[:4].upper() == "TZID":
            _, _, tzid = line.partition(":")
            calendar.zones.setdefault(tzid.strip().strip('"'), "\r\n".join(lines))


class _Taker:
    """Reads the ``wanted`` properties, line by line."""

    def __init__(self, wanted: frozenset[str]) -> None:
        self._wanted = wanted
        self._patience = _LONGEST_UNUSUAL

    def take(self, line: str, keep: Callable[[Line], None], broken: list[str]) -> None:
        """Have a line's property kept, if it is wanted; what is wrong with it is told in ``broken``."""
        head, colon, value = line.partition(":")
        if ";" in head:
            head = head.partition(";")[0]
        elif colon and head in self._wanted:
            keep(Line(head, _NONE, value))
            return
        name = head.upper()
        if name not in self._wanted:
            if not colon or not name.isascii() or not name.replace("-", "").isalnum():
                self._take_unusual(line, keep, broken)
            return
        plain = _PLAIN.fullmatch(line)
        if plain is None or len(plain[2]) > _LONGEST_PARAMS:
            self._take_unusual(line, keep, broken)
            return
        params = {
            known: quoted or bare.strip(" \t")
            for key, quoted, bare in _PARAM.findall(plain[2])
            if (known := key.upper()) in _KEPT
        }
        keep(Line(name, params, plain[3]))

    def _take_unusual(self, line: str, keep: Callable[[Line], None], broken: list[str]) -> None:
        self._patience -= len(line)
        if len(line) > _LONGEST or self._patience < 0:
            self._take_malformed(line, keep, broken)
            return
        try:
            name, params, value = Contentline(line).raw_parts()  # type: ignore[no-untyped-call]
        except ValueError:
            self._take_malformed(line, keep, broken)
            return
        if name.upper() in self._wanted:
            said = ((str(key).upper(), item) for key, item in params.items())
            kept = {key: _one(key, item) for key, item in said if key in _KEPT}
            keep(Line(name.upper(), kept, value))

    def _take_malformed(self, line: str, keep: Callable[[Line], None], broken: list[str]) -> None:
        found = re.match(r"\s*([A-Za-z0-9-]+)\s*[;:]", line)
        name = found[1].upper() if found else ""
        if name not in self._wanted:
            if line[:_LONGEST_HEAD].lstrip().upper().startswith(tuple(self._wanted)):
                broken.append(f"a line is garbled ({line[:30]!r})")
            return
        broken.append(f"its {name} line is malformed")
        # The mail address is what matters most; it starts where "mailto:" does, else after the first colon.
        at = line.lower().rfind(":mailto:")
        cut = at if at >= 0 else line.find(":")
        head, value = (line[:cut], line[cut + 1 :]) if cut >= 0 else (line, "")
        params: Params = {}
        for key, quoted, bare in _LENIENT.findall(head[:_LONGEST_HEAD]):
            if (known := key.upper()) in _KEPT:
                params.setdefault(known, quoted or bare.strip('"'))
        keep(Line(name, params, value))


def _one(key: str, value: object) -> str:
    """A parameter's value: of several addresses the first, of anything else the whole as written."""
    if not isinstance(value, list):
        return str(value)
    if key == "DELEGATED-TO":
        return str(value[0]) if value else ""
    return ",".join(map(str, value))


_ESCAPE = re.compile(r"\\([\\;,:\"nN])")


def unescape(value: str) -> str:
    """A TEXT value without its escapes (RFC 5545 section 3.3.11)."""
    if "\\" not in value:
        return value
    return _ESCAPE.sub(lambda found: "\n" if found[1] in "nN" else found[1], value)


_ITEM = re.compile(r"(?:[^\\,]++|\\.)++")


def split_list(value: str) -> list[str]:
    """The items of a TEXT list, split at unescaped commas, without their escapes and empty ones."""
    return [unescape(item) for item in _ITEM.findall(value[:_LONGEST])]
