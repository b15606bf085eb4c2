"""Our scanner against the icalendar library: equal on generated events and on the files libraries ship."""

from __future__ import annotations

import warnings
from datetime import date, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import icalendar
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.ical import Event, parse
from rules.model import Timing
from tests.support.ics import LISBON, calendar

# Where we differ on purpose, and why.
NO_START = "the library keeps an event whose start it could not read; we leave it out and say so"
ENDS_EARLY = "the end lies before the start; the library keeps it, we say so and take the start"
MORE_LENIENT = "the library drops an event with a stray semicolon in DTSTART; we read it and say so"
ON_PURPOSE = {
    "broken_dtstart.ics": NO_START,
    "issue_1081_invalid_start_valid_end.ics": NO_START,
    "issue_1081_invalid_start_and_end.ics": NO_START,
    "end_before_start_event.ics": ENDS_EARLY,
    "issue_132_swapped_start_and_end.ics": ENDS_EARLY,
    "broken_ical.ics": MORE_LENIENT,
}
PACKAGES = ("icalendar", "recurring_ical_events")


def shipped() -> list[Path]:
    """Every .ics file of the installed packages."""
    found: list[Path] = []
    for name in PACKAGES:
        spec = find_spec(name)
        if spec is not None and spec.origin is not None:
            found += sorted(Path(spec.origin).parent.rglob("*.ics"))
    return found


def many(value: Any) -> list[Any]:
    """A property that may be missing, single or a list."""
    return value if isinstance(value, list) else [] if value is None else [value]


def text(component: Any, name: str) -> str:
    """A text property as the library reads it."""
    values = many(component.get(name))
    return str(values[0]) if values else ""


def parameter(prop: Any, name: str, default: str = "") -> str:
    """A property parameter; a list, which an unquoted comma makes, put together again."""
    value = prop.params.get(name, default)
    return ",".join(value) if isinstance(value, list) else str(value)


def theirs(component: Any) -> dict[str, Any]:
    """What the library says of an event, in plain values."""
    start = many(component.get("DTSTART"))[0].dt
    wall = (
        start.replace(tzinfo=None)
        if isinstance(start, datetime)
        else datetime.combine(start, datetime.min.time())
    )
    categories = [
        str(name) for group in many(component.get("CATEGORIES")) for name in getattr(group, "cats", [group])
    ]
    broken_dates = any(
        not hasattr(each, "dts")
        for each in many(component.get("EXDATE"))
        if type(each).__name__ == "vDDDLists"
    )
    return {
        "uid": text(component, "UID").strip(),
        "title": text(component, "SUMMARY"),
        "location": text(component, "LOCATION"),
        "status": text(component, "STATUS").upper() or "CONFIRMED",
        "transparent": text(component, "TRANSP").upper() == "TRANSPARENT",
        "categories": [name.strip() for name in categories if name.strip()],
        "attendees": [
            (
                parameter(each, "CN"),
                parameter(each, "PARTSTAT", "NEEDS-ACTION").upper(),
                str(each).lower().removeprefix("mailto:").strip(),
            )
            for each in many(component.get("ATTENDEE"))
        ],
        "organizer": [parameter(each, "CN") for each in many(component.get("ORGANIZER"))][:1],
        "start": wall,
        "all_day": not isinstance(start, datetime),
        "offset": start.utcoffset() if isinstance(start, datetime) else None,
        "rules": len(many(component.get("RRULE"))),
        "exdates": None
        if broken_dates
        else sum(
            len(each.dts) for each in many(component.get("EXDATE")) if type(each).__name__ == "vDDDLists"
        ),
    }


def ours(event: Event) -> dict[str, Any]:
    """The same of our reading."""
    details, zone = event.details, event.start.zone
    timed = zone.timing is Timing.TIMED
    return {
        "uid": event.uid,
        "title": details["title"],
        "location": details["location"],
        "status": details["status"].value,
        "transparent": details["transparent"],
        "categories": list(details["categories"]),
        "attendees": [(each.name, each.partstat.value, each.address) for each in details["attendees"]],
        "organizer": [details["organizer_name"]] if details["organizer"] else [],
        "start": event.start.wall,
        "all_day": zone.timing is Timing.ALL_DAY,
        "offset": event.start.aware.utcoffset() if timed else None,
        "rules": len(event.rrules),
        "exdates": sum(len([item for item in each.text.split(",") if item]) for each in event.exdates),
    }


@pytest.mark.parametrize("path", shipped(), ids=lambda path: path.name)
def test_equal_on_files_that_libraries_ship(path: Path) -> None:
    """No property and no attendee is read differently from the library, or lost, without saying so."""
    raw = path.read_bytes().decode("utf-8", "replace")
    parsed = parse(raw, LISBON)
    if path.name in ON_PURPOSE:
        assert parsed.broken
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            read = icalendar.Calendar.from_ical(raw, multiple=True)
        except (ValueError, KeyError, IndexError):
            pytest.skip("the library refuses the whole file")
        components = [
            each for whole in read for each in whole.walk("VEVENT") if each.get("DTSTART") is not None
        ]
        expected = [theirs(each) for each in components]
    assert len(parsed.events) == len(expected)
    for event, other in zip(parsed.events, expected, strict=True):
        mine = ours(event)
        if event.start.zone.timing is Timing.UNKNOWN_ZONE:
            # The library makes these floating, or uses a zone it met in some other file.
            mine["offset"] = other["offset"] = None
        if other["exdates"] is None:
            mine["exdates"] = None
        if event.uid and not parsed.broken:
            assert mine == other
        else:
            assert {**mine, "attendees": len(mine["attendees"])} == {
                **other,
                "attendees": len(other["attendees"]),
            }


words = st.text(
    st.characters(min_codepoint=32, max_codepoint=0x1F6FF, exclude_categories=["Cs", "Cc", "Zl", "Zp"]),
    max_size=20,
)
# The library writes a backslash in a parameter in a way it cannot read back.
names = words.map(lambda word: word.replace('"', "'").replace("\\", "/").strip())
addresses = st.from_regex(r"[a-zA-Z0-9.+-]{1,12}@[a-z]{1,8}\.example", fullmatch=True)
moments = st.datetimes(datetime.fromisoformat("1990-01-01"), datetime.fromisoformat("2040-01-01")).map(
    lambda at: at.replace(microsecond=0)
)
people = st.builds(
    lambda who, name, extra: (who, {"CN": name, **extra}),
    addresses,
    names,
    st.dictionaries(
        st.sampled_from(["PARTSTAT", "ROLE", "CUTYPE", "X-NOTE", "DELEGATED-TO"]),
        st.sampled_from(["ACCEPTED", "DECLINED", "OPT-PARTICIPANT", "ROOM", "tentative", "a^b", "x;y:z,w"]),
        max_size=3,
    ),
)


@settings(max_examples=120, deadline=None)
@given(
    title=words,
    place=words,
    labels=st.lists(names.filter(bool), max_size=3),
    start=moments | st.dates(date(1990, 1, 1), date(2040, 1, 1)),
    invited=st.lists(people, max_size=4),
    fold=st.sampled_from(["\r\n ", "\r\n\t"]),
)
def test_equal_on_generated_events(
    *, title: str, place: str, labels: list[str], start: datetime | date, invited: list[Any], fold: str
) -> None:
    """Whatever the library can write, both read alike, however the lines are folded."""
    event = icalendar.Event()
    event.add("UID", "generated")
    event.add("DTSTART", start)
    event.add("SUMMARY", title)
    event.add("LOCATION", place)
    if labels:
        event.add("CATEGORIES", labels)
    for who, params in invited:
        person = icalendar.vCalAddress(f"MAILTO:{who}")
        for key, value in params.items():
            person.params[key] = value
        event.add("ATTENDEE", person, encode=0)
    raw = calendar(event.to_ical().decode().strip()).replace("\r\n ", fold)
    [component] = icalendar.Calendar.from_ical(raw).walk("VEVENT")
    parsed = parse(raw, LISBON)
    assert not parsed.broken
    [mine] = [ours(each) for each in parsed.events]
    other = theirs(component)
    known = {"ACCEPTED", "DECLINED", "TENTATIVE", "NEEDS-ACTION", "DELEGATED"}
    other["attendees"] = [
        (name, status if status in known else "NEEDS-ACTION", who) for name, status, who in other["attendees"]
    ]
    assert mine == other


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=300) | st.binary(max_size=300).map(lambda raw: raw.decode("utf-8", "replace")))
def test_garbage_never_raises(garbage: str) -> None:
    """Any text at all is read without an exception, inside an event or out of it."""
    for raw in (
        garbage,
        calendar("BEGIN:VEVENT", garbage, "END:VEVENT"),
        "BEGIN:VEVENT\r\nDTSTART" + garbage,
    ):
        parse(raw, LISBON)
