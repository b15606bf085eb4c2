"""P7: the right instant in the right zone, held against an opinion that has nothing of zoneinfo in it."""

from __future__ import annotations

import os
import random
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path

import pytest
from babel.core import get_global

from connectors.recurrence import Copy, read_resource
from daemon.mail.spoken_time import LANGUAGES, spoken, zone
from daemon.store import agenda
from rules.explain import explain
from rules.model import CalendarRef, Interval, Occurrence, Timing
from tests.support import tzif
from tests.support.ics import calendar, vevent
from tests.support.meetings import policy, rule, snapshot, step
from tests.support.stores import fresh_store
from tests.support.stores import put as put_into
from tests.trust.conftest import Trial

FIRST, LAST = datetime(2024, 1, 1, tzinfo=UTC), datetime(2031, 1, 1, tzinfo=UTC)
WINDOW = Interval(FIRST - timedelta(days=10), LAST + timedelta(days=10))
HOME = CalendarRef(account="acme", id="acme-calendar")
LENGTH = 30 * 60

ODD = (
    "Africa/Cairo",
    "Africa/Casablanca",
    "America/Asuncion",
    "America/New_York",
    "America/Nuuk",
    "Antarctica/Troll",
    "Asia/Almaty",
    "Asia/Gaza",
    "Asia/Kathmandu",
    "Asia/Kolkata",
    "Australia/Lord_Howe",
    "Etc/GMT+12",
    "Etc/UTC",
    "Europe/Dublin",
    "Europe/Lisbon",
    "Pacific/Apia",
    "Pacific/Chatham",
    "Pacific/Kiritimati",
)
"""Half an hour of summer time or two, a winter time that is negative, none in Ramadan, changes of the law."""

MACHINE_DEPENDENT = "Factory"
"""The one zone of tzdata that names no place."""


@dataclass(frozen=True)
class Case:
    """One event: its name, how its start is written, and the moment that start means (seconds since 1970)."""

    uid: str
    start: str
    at: int
    timing: Timing = Timing.TIMED


def wall(seconds: int) -> str:
    """Seconds as iCalendar writes them."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y%m%dT%H%M%S}"


def _shown(at: int, offset: int) -> datetime:
    return datetime.fromtimestamp(at + offset, UTC).replace(tzinfo=None)


def _changes(clocks: tzif.Clocks) -> list[tzif.Change]:
    return [one for one in clocks.changes if FIRST.timestamp() <= one.at < LAST.timestamp()]


def _walls(clocks: tzif.Clocks) -> Iterator[int]:
    """Wall times around each change, to the second; or one in each half of each year."""
    for one in _changes(clocks):
        low, high = sorted((one.at + one.before, one.at + one.after))
        yield from (low - 3600, low - 1, low, (low + high) // 2, high - 1, high, high + 3600)
    for year in range(2024, 2031):
        for month in (1, 7):
            yield int(datetime(year, month, 15, 9, 30, tzinfo=UTC).timestamp())


def _singles(tzid: str, clocks: tzif.Clocks) -> list[Case]:
    """An event at each of the wall times, in the zone, in UTC, floating, and all day."""
    found = []
    for seconds in dict.fromkeys(_walls(clocks)):
        at, written = clocks.moment(seconds), wall(seconds)
        midnight = seconds - seconds % tzif.DAY
        found += [
            Case(f"zoned-{written}", f"DTSTART;TZID={tzid}:{written}", at),
            Case(f"utc-{written}", f"DTSTART:{wall(at)}Z", at),
            Case(f"floating-{written}", f"DTSTART:{written}", at, Timing.FLOATING),
            Case(
                f"day-{written}",
                f"DTSTART;VALUE=DATE:{written[:8]}",
                clocks.moment(midnight),
                Timing.ALL_DAY,
            ),
        ]
    return found


def _text(cases: Iterable[Case], *components: str) -> str:
    lines = {Timing.ALL_DAY: ()}
    return calendar(
        *components,
        *(vevent(*lines.get(one.timing, ("DURATION:PT30M",)), uid=one.uid, start=one.start) for one in cases),
    )


def _read(text: str, home: str, href: str) -> tuple[Occurrence, ...]:
    found = read_resource(text, Copy(calendar=HOME, href=href, etag="1", home_zone=home), WINDOW)
    assert not found.broken, found.broken
    return found.occurrences


def _same(cases: Sequence[Case], found: Iterable[Occurrence]) -> None:
    by_uid = {one.key.uid: one for one in found}
    for case in cases:
        one = by_uid.pop(case.uid)
        assert one.start_utc.timestamp() == case.at, (case, one.start)
        assert one.timing is case.timing, (case, one.timing)
        if case.timing is not Timing.ALL_DAY:
            assert one.end_utc.timestamp() == case.at + LENGTH, (case, one.end)
    assert not by_uid


def _series(name: str, clocks: tzif.Clocks, home: str) -> int:
    """A daily series across each change, at the wall times around it; how many occurrences it has."""
    count = 0
    for number, change in enumerate(_changes(clocks)):
        low, high = sorted((change.at + change.before, change.at + change.after))
        for seconds in (low - 1800, (low + high) // 2, high + 1800):
            first = seconds - 3 * tzif.DAY
            raw = calendar(
                vevent(
                    "RRULE:FREQ=DAILY;COUNT=7",
                    "DURATION:PT30M",
                    uid=f"daily-{number}",
                    start=f"DTSTART;TZID={name}:{wall(first)}",
                )
            )
            expected = [clocks.moment(first + day * tzif.DAY) for day in range(7)]
            found = _read(raw, home, "/daily.ics")
            assert [one.start_utc.timestamp() for one in found] == expected, (name, wall(seconds))
            keys = [f"{datetime.fromtimestamp(at, UTC):%Y%m%dT%H%M%SZ}" for at in expected]
            assert [one.key.recurrence_id for one in found] == keys
            count += len(found)
    return count


def _offset(seconds: int) -> str:
    sign, minutes = "-" if seconds < 0 else "+", abs(seconds) // 60
    return f"UTC{sign}{minutes // 60:02}:{minutes % 60:02}"


def _is_said_right(one: Occurrence, name: str, clocks: tzif.Clocks) -> None:
    """The mail's words for it: date, hours, zone and offset."""
    at, until = int(one.start_utc.timestamp()), int(one.end_utc.timestamp())
    said = spoken(Interval(one.start_utc, one.end_utc), zone(one.tzid, "UTC"), None, LANGUAGES["en"])["text"]
    begins, ends = (_shown(each, clocks.offset(each)) for each in (at, until))
    before, after = _offset(clocks.offset(at)), _offset(clocks.offset(until))
    later = "" if ends.date() == begins.date() or f"{ends:%H:%M}" == "00:00" else f"{_day(ends)}, "
    if before != after:
        hours = f"{begins:%H:%M} ({before}) – {later}{ends:%H:%M} ({after}) {name}"
    else:
        dash = " – " if later else "–"
        label = "UTC" if name in {"UTC", "Etc/UTC"} else f"{name} ({before})"
        hours = f"{begins:%H:%M}{dash}{later}{ends:%H:%M} {label}"
    assert said == f"{_day(begins)}, {hours}"


def _day(at: datetime) -> str:
    weekday = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")[at.weekday()]
    months = "January February March April May June July August September October November December"
    return f"{weekday} {at.day} {months.split()[at.month - 1]} {at.year}"


def _own_definition(tzid: str, clocks: tzif.Clocks) -> str:
    """A VTIMEZONE that lists every change, as a calendar brings one along for a zone of its own."""
    parts = [
        (
            "BEGIN:STANDARD",
            "DTSTART:19700101T000000",
            f"TZOFFSETFROM:{_plain(clocks.first)}",
            f"TZOFFSETTO:{_plain(clocks.first)}",
            "END:STANDARD",
        )
    ]
    for one in clocks.changes:
        kind = "DAYLIGHT" if one.after > one.before else "STANDARD"
        parts.append(
            (
                f"BEGIN:{kind}",
                f"DTSTART:{wall(one.at + one.before)}",
                f"TZOFFSETFROM:{_plain(one.before)}",
                f"TZOFFSETTO:{_plain(one.after)}",
                f"END:{kind}",
            )
        )
    lines = ["BEGIN:VTIMEZONE", f"TZID:{tzid}", *(line for part in parts for line in part), "END:VTIMEZONE"]
    return "\r\n".join(lines)


def _plain(seconds: int) -> str:
    return _offset(seconds).removeprefix("UTC").replace(":", "")


def _brought_along(name: str, clocks: tzif.Clocks) -> int:
    """The same wall times in a zone that only the calendar itself knows."""
    tzid = f"Dana's clocks of {name.replace('/', ' ')}"
    cases = [
        Case(f"own-{wall(seconds)}", f'DTSTART;TZID="{tzid}":{wall(seconds)}', clocks.moment(seconds))
        for seconds in dict.fromkeys(_walls(clocks))
    ]
    _same(cases, _read(_text(cases, _own_definition(tzid, clocks)), "Europe/Lisbon", "/own.ics"))
    return len(cases)


@pytest.mark.promise("P7", "every zone around every change of its clocks, from the calendar to the mail")
def test_every_zone_around_every_change(tmp_path: Path, trial: Trial) -> None:
    """Zoned, brought along, UTC, floating and all-day, single and daily: read, stored, read back and said."""
    names = tzif.zone_names() if trial.full else [*ODD, MACHINE_DEPENDENT]
    store = fresh_store(tmp_path)
    changes = instants = 0
    for number, name in enumerate(names):
        clocks = tzif.clocks(name)
        if name == MACHINE_DEPENDENT:
            (one,) = _read(
                _text([Case("nowhere", f"DTSTART;TZID={name}:20260302T090000", 0)]), "Europe/Lisbon", "/f"
            )
            assert one.timing is Timing.UNKNOWN_ZONE
            continue
        changes += len(_changes(clocks))
        cases = _singles(name, clocks)
        read = read_resource(
            _text(cases), Copy(calendar=HOME, href=f"/{number}.ics", etag="1", home_zone=name), WINDOW
        )
        assert not read.broken, read.broken
        _same(cases, read.occurrences)
        put_into(store, read)
        with store.read() as conn:
            stored = agenda.by_href(conn, HOME, f"/{number}.ics")
        _same(cases, stored)
        for one in stored:
            if one.timing is Timing.TIMED and one.key.uid.startswith("zoned"):
                _is_said_right(one, name, clocks)
        _are_held_and_explained(stored)
        instants += len(cases) + _series(name, clocks, "Europe/Lisbon")
        if _changes(clocks):
            instants += _brought_along(name, clocks)
    store.close()
    trial.saw(f"{len(names)} zones, {changes} changes", f"{instants} instants, 0 errors")


ASKS = policy(rule("unconfirmed", step("ask", "confirm", "48h before start")))


def _are_held_and_explained(stored: Iterable[Occurrence]) -> None:
    """What names no instant asks for nothing, and the explanation says why."""
    words = {Timing.FLOATING: "names no time zone", Timing.ALL_DAY: "all-day"}
    for timing, why in words.items():
        one = next(each for each in stored if each.timing is timing)
        now = one.start_utc - timedelta(hours=1)
        (trace,) = explain(snapshot(one, now=now), ASKS, one, now)
        assert trace.outcome == "not_eligible"
        assert any(why in each.value and each.holds is False for each in trace.because)


@pytest.mark.promise("P7", "every Windows zone as Outlook names it")
def test_every_windows_zone(trial: Trial) -> None:
    """Each name that is mapped means the clocks of the zone it is mapped to."""
    instants = 0
    mapped = dict(sorted(get_global("windows_zone_mapping").items()))
    for windows, name in mapped.items():
        clocks = tzif.clocks(str(name))
        walls = list(dict.fromkeys(_walls(clocks)))
        if not trial.full:
            walls = random.Random(windows).sample(walls, 3)
        cases = [
            Case(wall(each), f'DTSTART;TZID="{windows}":{wall(each)}', clocks.moment(each)) for each in walls
        ]
        _same(cases, _read(_text(cases), "Europe/Lisbon", "/windows.ics"))
        instants += len(cases)
    trial.saw(f"{len(mapped)} Windows zones", f"{instants} instants, 0 errors")


@pytest.mark.promise("P7", "our own reading of the zones' bytes against zdump")
def test_zdump_agrees(trial: Trial) -> None:
    """The opinion that everything above is held against is that of another program, too."""
    program = shutil.which("zdump", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if program is None:
        pytest.skip("zdump is not here; Debian has it in libc-bin")
    names = tzif.zone_names() if trial.full else list(ODD)
    told = subprocess.run(
        [program, "-v", "-c", "2024,2031", *names],
        env={"TZDIR": str(files("tzdata") / "zoneinfo")},
        capture_output=True,
        text=True,
        check=False,  # it complains of what lies beyond its years
    )
    line = re.compile(r"(\S+)\s+\w+ (\w+\s+\d+ [\d:]+ \d+) UTC? = .* gmtoff=(-?\d+)")
    found = [line.match(each) for each in told.stdout.splitlines()]
    moments = 0
    for name, at, offset in (one.groups() for one in found if one):
        moment = datetime.strptime(at, "%b %d %H:%M:%S %Y").replace(tzinfo=UTC)
        assert tzif.clocks(name).offset(int(moment.timestamp())) == int(offset), (name, at)
        moments += 1
    assert moments >= 2 * sum(len(_changes(tzif.clocks(name))) for name in names)
    trial.saw(f"{len(names)} zones", f"{moments} moments, 0 differences")
