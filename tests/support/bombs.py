"""Events that must not hurt us (HOSTILE 1–17, and more), as a CalDAV server, Google and Graph send them.

Each invites Mallory, who is asked to confirm only where the event is odd, but sound.
"""

from __future__ import annotations

import copy
import random
from datetime import datetime, timedelta
from typing import Any

Json = dict[str, Any]

COUNT = 10_000
MALLORY = "mallory@acme.example"
MEGABYTES = 6 * 1024 * 1024
TOO_LONG = range(18, 25)
"""Beyond those of HOSTILE. The first two are of series, the last three only iCalendar can have."""

LONG_TITLE, CROWD, LONG_UID, LONG_ADDRESS, LINES, PARAMETERS, LABELS = TOO_LONG

SOUND = frozenset({5, 9, 10, 11, 14, 15, 16, 17, LONG_TITLE, LABELS})
"""Odd, but meetings all the same, which begin when they say."""

LONG = "".join(random.Random(20260302).choices("abcdefghijklmnopqrstuvwxyz0123456789", k=6000))
"""Which no database makes shorter."""

TITLES = {
    14: "Kickoff\r\nBcc: evil@x.example",
    15: "<img src=x onerror=alert(1)>",
    16: "\u202eevil\u200b \U0001f469\u200d\U0001f4bb\u2066 review",
    17: "=?utf-8?q?Hi=0D=0ABcc:_evil@x.example?=",
    LONG_TITLE: "x" * MEGABYTES,
}
RULES = {
    1: "RRULE:FREQ=SECONDLY",
    2: "RRULE:FREQ=MINUTELY;COUNT=1000000000",
    3: "RRULE:FREQ=DAILY;INTERVAL=0",
    4: "RRULE:FREQ=DAILY;COUNT=3",
    5: "RRULE:FREQ=YEARLY",
    LONG_TITLE: "RRULE:FREQ=WEEKLY",
    CROWD: "RRULE:FREQ=DAILY",
}
_FIRST = datetime(1990, 1, 1, 10)  # noqa: DTZ001 - wall time
EXDATES = "EXDATE:" + ",".join(
    f"{_FIRST + timedelta(hours=hour):%Y%m%dT%H%M%SZ}" for hour in range(280_000, 380_000)
)
_LEAP = "20240229T100000Z"
_TIMES = {
    5: (f"DTSTART:{_LEAP}", "DURATION:PT30M"),
    7: (),
    8: ("DTSTART:20260230T100000Z", "DTEND:20260230T103000Z"),
    9: ("DTSTART:20260304T100000Z", "DTEND:20260304T090000Z"),
    10: ("DTSTART;TZID=America/New_York:20260308T023000", "DURATION:PT30M"),
    11: ("DTSTART;TZID=Australia/Sydney:20260405T023000", "DURATION:PT30M"),
    12: ("DTSTART:20260304T100000", "DTEND:20260304T103000"),
    13: ("DTSTART;VALUE=DATE:20260304", "DTEND;VALUE=DATE:20260305"),
}
_USUAL = ("DTSTART:20260304T110000Z", "DTEND:20260304T113000Z")


def uid(number: int) -> str:
    """The UID of that bomb."""
    return f"hostile-{LONG if number == LONG_UID else number}"


def _people(number: int) -> list[str]:
    people = [MALLORY]
    if number in {6, CROWD}:
        people += [f"guest{other}@acme.example" for other in range(COUNT)]
    return [*people, f"{LONG}@acme.example"] if number == LONG_ADDRESS else people


def _long_lines(number: int) -> list[str]:
    """What only iCalendar can have."""
    if number == LINES:
        return ["RDATE:20260305T100000Z"] * (MEGABYTES // 24)
    if number == PARAMETERS:
        some = ";".join(f"X-{other}=^n" for other in range(5000))
        return [f"ATTENDEE;{some}:mailto:{MALLORY}"] * (MEGABYTES // 50_000)
    return ["CATEGORIES:" + "a," * (MEGABYTES // 2)] if number == LABELS else []


def ics(number: int) -> str:
    """As a CalDAV server has it."""
    title = TITLES.get(number, f"Bomb {number}").replace("\r\n", "\\n")
    name = f';CN="{TITLES[17]}"' if number == 17 else ""
    lines = [
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        "PRODID:-//example//test//EN",
        "BEGIN:VEVENT",
        f"UID:{uid(number)}",
        "DTSTAMP:20260101T000000Z",
        *_TIMES.get(number, _USUAL),
        f"SUMMARY:{title}",
        "ORGANIZER:mailto:dana@va.example",
        *(f"ATTENDEE;PARTSTAT=NEEDS-ACTION{name}:mailto:{one}" for one in _people(number)),
        *_long_lines(number),
        *([RULES[number]] if number in RULES else []),
        *([EXDATES] if number == 4 else []),
        "END:VEVENT",
        "END:VCALENDAR",
        "",
    ]
    return "\r\n".join(lines)


def google(number: int, good: Json) -> Json:
    """As Google has it, made from an event it sent."""
    item = copy.deepcopy(good) | {"id": f"hostile{number}", "iCalUID": uid(number), "etag": f'"{number}"'}
    item |= {"summary": TITLES.get(number, f"Bomb {number}")}
    item["start"], item["end"] = _google_times(number)
    guest = {"responseStatus": "needsAction"} | ({"displayName": TITLES[17]} if number == 17 else {})
    item["attendees"] = [guest | {"email": one} for one in _people(number)]
    if number in RULES:
        item["recurrence"] = [RULES[number], *([EXDATES] if number == 4 else [])]
    if number == 7:
        del item["start"]
    return item


def graph(number: int, good: Json) -> list[Json]:
    """As Microsoft Graph has it, made from an event it sent; it expands series by itself."""
    item = copy.deepcopy(good) | {"id": f"hostile{number}", "iCalUId": uid(number)}
    item |= {"subject": TITLES.get(number, f"Bomb {number}"), "@odata.etag": f'W/"{number}"'}
    start, end = _graph_times(number)
    item |= {"start": start, "end": end}
    guest = copy.deepcopy(good["attendees"][0])
    name = TITLES[17] if number == 17 else "Mallory"
    item["attendees"] = [guest | {"emailAddress": {"address": one, "name": name}} for one in _people(number)]
    if number == 7:
        del item["start"]
    if number == 13:
        item["isAllDay"] = True
    if number == 1:
        return [item | {"type": "seriesMaster"}, *_instances(item, 5_000, timedelta(minutes=1))]
    if number in {LONG_TITLE, CROWD}:
        apart = timedelta(days=7 if number == LONG_TITLE else 1)
        return [item | {"type": "seriesMaster"}, *_instances(item, 20, apart)]
    return [item]


def _instances(master: Json, count: int, apart: timedelta) -> list[Json]:
    """With so much as Graph tells of them."""
    first = datetime(2026, 3, 4, 11)  # noqa: DTZ001 - in UTC, as Graph writes it
    return [
        {
            "id": f"{master['id']}-{number}",
            "type": "occurrence",
            "seriesMasterId": master["id"],
            "start": _graph_time(first + number * apart),
            "end": _graph_time(first + number * apart + timedelta(seconds=30)),
        }
        for number in range(count)
    ]


def _google_times(number: int) -> tuple[Json, Json]:
    def at(text: str, zone: str = "UTC") -> Json:
        return {"dateTime": text, "timeZone": zone}

    return {
        5: (at("2024-02-29T10:00:00Z"), at("2024-02-29T10:30:00Z")),
        8: (at("2026-02-30T10:00:00Z"), at("2026-02-30T10:30:00Z")),
        9: (at("2026-03-04T10:00:00Z"), at("2026-03-04T09:00:00Z")),
        10: (at("2026-03-08T02:30:00", "America/New_York"), at("2026-03-08T03:30:00", "America/New_York")),
        11: (at("2026-04-05T02:30:00", "Australia/Sydney"), at("2026-04-05T03:00:00", "Australia/Sydney")),
        12: (at("2026-03-04T10:00:00", ""), at("2026-03-04T10:30:00", "")),
        13: ({"date": "2026-03-04"}, {"date": "2026-03-05"}),
    }.get(number, (at("2026-03-04T11:00:00Z"), at("2026-03-04T11:30:00Z")))


def _graph_times(number: int) -> tuple[Json, Json]:
    def at(text: str, zone: str = "UTC") -> Json:
        return {"dateTime": text, "timeZone": zone}

    return {
        8: (at("2026-02-30T10:00:00"), at("2026-02-30T10:30:00")),
        9: (at("2026-03-04T10:00:00"), at("2026-03-04T09:00:00")),
        10: (
            at("2026-03-08T02:30:00", "Eastern Standard Time"),
            at("2026-03-08T03:30:00", "Eastern Standard Time"),
        ),
        11: (
            at("2026-04-05T02:30:00", "AUS Eastern Standard Time"),
            at("2026-04-05T03:00:00", "AUS Eastern Standard Time"),
        ),
        12: (at("2026-03-04T10:00:00", "No Such Zone"), at("2026-03-04T10:30:00", "No Such Zone")),
        13: (at("2026-03-04T00:00:00"), at("2026-03-05T00:00:00")),
    }.get(number, (at("2026-03-04T11:00:00"), at("2026-03-04T11:30:00")))


def _graph_time(at: datetime) -> Json:
    return {"dateTime": f"{at:%Y-%m-%dT%H:%M:%S.0000000}", "timeZone": "UTC"}
