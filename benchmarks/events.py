"""Calendar objects as Google, Outlook and Apple write them, always the same for the same arguments."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import datetime, timedelta

SERIES = 28
_FORM = "%Y%m%dT%H%M%S"
_PEOPLE = ("jo", "bo", "kim", "lee", "sam", "alex", "robin", "noor", "mara", "tomas")
_CLIENTS = ("acme.example", "initech.example", "globex.example")
_TITLES = ("Kickoff review", "Weekly sync", "Quarterly numbers", "Interview\\, second round", "Café with Zoë")
_STATS = ("NEEDS-ACTION", "ACCEPTED", "ACCEPTED", "TENTATIVE", "DECLINED")
_TEXT = (
    "Agenda:\\n1. Where we stand\\n2. What is blocked\\; who can help\\n3. Next steps\\n\\nJoin: "
    "https://meet.example/abc-defg-hij \\nDial in: +351 21 000 0000\\, PIN 123 456#\\n\\n"
)

_LISBON = """\
BEGIN:VTIMEZONE
TZID:{tzid}
BEGIN:STANDARD
DTSTART:19961027T020000
RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=10
TZNAME:WET
TZOFFSETFROM:+0100
TZOFFSETTO:+0000
END:STANDARD
BEGIN:DAYLIGHT
DTSTART:19970330T010000
RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=3
TZNAME:WEST
TZOFFSETFROM:+0000
TZOFFSETTO:+0100
END:DAYLIGHT
END:VTIMEZONE
"""


def objects(count: int, around: datetime, *, seed: int = 1) -> Iterator[tuple[str, str]]:
    """``count`` objects (UID, text) as a calendar of some years holds them, by turns in each dialect.

    They lie between four years before ``around`` and 120 days after. Every 28th began a weekly series;
    half of those have ended meanwhile.
    """
    choice = random.Random(seed)
    for number in range(count):
        start = (around + timedelta(days=choice.randrange(-4 * 365, 120))).replace(
            hour=choice.randrange(8, 18),
            minute=choice.choice((0, 15, 30)),
            second=0,
            microsecond=0,
            tzinfo=None,
        )
        rule = ""
        if number % SERIES == 0:
            ended = number // SERIES % 2
            start = min(start, around.replace(tzinfo=None) - timedelta(days=400 if ended else 20))
            rule = "RRULE:FREQ=WEEKLY" + (f";UNTIL={start + timedelta(weeks=40):{_FORM}}Z" if ended else "")
        uid = f"{seed}-{number}-{choice.randrange(1 << 64):016x}"
        write = (_google, _outlook, _apple)[number % 3]
        yield uid, write(uid, start, rule, choice)


def weekly_series(count: int, begun: datetime, *, seed: int = 1) -> str:
    """One calendar of ``count`` series of several rhythms that began around ``begun`` (wall time, Lisbon)."""
    choice = random.Random(seed)
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//example//bench//EN"]
    lines += _LISBON.format(tzid="Europe/Lisbon").split("\n")[:-1]
    rules = (
        "FREQ=WEEKLY",
        "FREQ=WEEKLY;BYDAY=TU,TH",
        "FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,WE,FR",
        "FREQ=DAILY;BYDAY=MO,TU,WE,TH,FR",
        "FREQ=MONTHLY;BYDAY=2TU",
        "FREQ=MONTHLY;BYMONTHDAY=15",
        "FREQ=DAILY;INTERVAL=3",
    )
    for number in range(count):
        start = (begun + timedelta(days=choice.randrange(60))).replace(
            hour=choice.randrange(8, 18), minute=0, second=0, tzinfo=None
        )
        lines += [
            "BEGIN:VEVENT",
            f"UID:series-{number}",
            "DTSTAMP:20260101T000000Z",
            f"DTSTART;TZID=Europe/Lisbon:{start:{_FORM}}",
            f"DTEND;TZID=Europe/Lisbon:{start + timedelta(minutes=30):{_FORM}}",
            f"RRULE:{rules[number % len(rules)]}",
            "SUMMARY:Weekly sync",
            "ORGANIZER:mailto:dana@va.example",
            "ATTENDEE;PARTSTAT=ACCEPTED:mailto:jo@acme.example",
            "END:VEVENT",
        ]
    return "\r\n".join([*lines, "END:VCALENDAR", ""])


def _guests(choice: random.Random) -> list[tuple[str, str, str]]:
    """Address, name and answer of one to six people."""
    domain = choice.choice(_CLIENTS)
    names = choice.sample(_PEOPLE, choice.choice((1, 1, 2, 2, 3, 6)))
    return [(f"{name}@{domain}", f"{name.title()} Silva", choice.choice(_STATS)) for name in names]


def _google(uid: str, start: datetime, rule: str, choice: random.Random) -> str:
    end = start + timedelta(minutes=30)
    times = [f"DTSTART:{start:{_FORM}}Z", f"DTEND:{end:{_FORM}}Z"]
    if rule:
        zone = "TZID=Europe/Lisbon"
        times = [f"DTSTART;{zone}:{start:{_FORM}}", f"DTEND;{zone}:{end:{_FORM}}", rule]
    people = [
        f"ATTENDEE;CUTYPE=INDIVIDUAL;ROLE=REQ-PARTICIPANT;PARTSTAT={stat};RSVP=TRUE;CN={name};"
        f"X-NUM-GUESTS=0:mailto:{address}"
        for address, name, stat in _guests(choice)
    ]
    return _calendar(
        "-//Google Inc//Google Calendar 70.9054//EN",
        "Europe/Lisbon" if rule else "",
        [
            *times,
            f"DTSTAMP:{start:{_FORM}}Z",
            "ORGANIZER;CN=Dana Reyes:mailto:dana@va.example",
            f"UID:{uid}",
            *people,
            "X-GOOGLE-CONFERENCE:https://meet.google.example/abc-defg-hij",
            "CREATED:20260105T101112Z",
            f"DESCRIPTION:{_TEXT * choice.randrange(1, 4)}",
            "LAST-MODIFIED:20260106T080910Z",
            "LOCATION:Room 4\\, second floor",
            "SEQUENCE:1",
            "STATUS:CONFIRMED",
            f"SUMMARY:{choice.choice(_TITLES)}",
            "TRANSP:OPAQUE",
        ],
    )


def _outlook(uid: str, start: datetime, rule: str, choice: random.Random) -> str:
    zone = 'TZID="GMT Standard Time"'
    people = [
        f"ATTENDEE;ROLE=REQ-PARTICIPANT;PARTSTAT={stat};RSVP=TRUE;CN={name}:mailto:{address}"
        for address, name, stat in _guests(choice)
    ]
    html = "<html><body><p>" + "Please join us. &nbsp\\; " * choice.randrange(8, 30) + "</p></body></html>"
    return _calendar(
        "Microsoft Exchange Server 2010",
        "GMT Standard Time",
        [
            'ORGANIZER;CN="Reyes, Dana":mailto:dana@va.example',
            *people,
            f"DESCRIPTION;LANGUAGE=en-US:{_TEXT * choice.randrange(1, 3)}",
            f"X-ALT-DESC;FMTTYPE=text/html:{html}",
            *([rule] if rule else []),
            f"UID:{uid}",
            f"SUMMARY;LANGUAGE=en-US:{choice.choice(_TITLES)}",
            f"DTSTART;{zone}:{start:{_FORM}}",
            f"DTEND;{zone}:{start + timedelta(hours=1):{_FORM}}",
            "CLASS:PUBLIC",
            "PRIORITY:5",
            f"DTSTAMP:{start:{_FORM}}Z",
            "TRANSP:OPAQUE",
            "STATUS:CONFIRMED",
            "SEQUENCE:0",
            "LOCATION;LANGUAGE=en-US:Microsoft Teams Meeting",
            "X-MICROSOFT-CDO-APPT-SEQUENCE:0",
            "X-MICROSOFT-CDO-BUSYSTATUS:BUSY",
            "X-MICROSOFT-CDO-INTENDEDSTATUS:BUSY",
            "X-MICROSOFT-CDO-ALLDAYEVENT:FALSE",
            "X-MICROSOFT-CDO-IMPORTANCE:1",
            "X-MICROSOFT-DONOTFORWARDMEETING:FALSE",
            "BEGIN:VALARM",
            "DESCRIPTION:REMINDER",
            "TRIGGER;RELATED=START:-PT15M",
            "ACTION:DISPLAY",
            "END:VALARM",
        ],
    )


def _apple(uid: str, start: datetime, rule: str, choice: random.Random) -> str:
    zone = "TZID=Europe/Lisbon"
    people = [
        f'ATTENDEE;CN="{name}";CUTYPE=INDIVIDUAL;EMAIL="{address}";PARTSTAT={stat};ROLE=REQ-PARTICIPANT;'
        f'SCHEDULE-STATUS="2.0":mailto:{address}'
        for address, name, stat in _guests(choice)
    ]
    return _calendar(
        "-//Apple Inc.//macOS 14.5//EN",
        "Europe/Lisbon",
        [
            *people,
            "CREATED:20260105T101112Z",
            f"DTEND;{zone}:{start + timedelta(minutes=45):{_FORM}}",
            f"DTSTAMP:{start:{_FORM}}Z",
            f"DTSTART;{zone}:{start:{_FORM}}",
            "LAST-MODIFIED:20260106T080910Z",
            f"NOTES;X-PLAIN=1:{_TEXT}",
            'ORGANIZER;CN="Dana Reyes";EMAIL="dana@va.example":mailto:dana@va.example',
            *([rule] if rule else []),
            "SEQUENCE:2",
            f"SUMMARY:{choice.choice(_TITLES)}",
            "TRANSP:OPAQUE",
            f"UID:{uid}",
            "X-APPLE-CREATOR-IDENTITY:com.apple.calendar",
            "X-APPLE-CREATOR-TEAM-IDENTITY:0000000000",
            'X-APPLE-STRUCTURED-LOCATION;VALUE=URI;X-APPLE-RADIUS=70;X-TITLE="Largo 1":geo:38.7,-9.1',
            "BEGIN:VALARM",
            "ACTION:DISPLAY",
            "DESCRIPTION:Reminder",
            "TRIGGER:-PT30M",
            f"UID:alarm-{uid}",
            "END:VALARM",
        ],
    )


def _calendar(product: str, tzid: str, event: list[str]) -> str:
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", f"PRODID:{product}", "CALSCALE:GREGORIAN"]
    if tzid:
        lines += _LISBON.format(tzid=tzid).split("\n")[:-1]
    lines += ["BEGIN:VEVENT", *event, "END:VEVENT", "END:VCALENDAR"]
    return "\r\n".join(map(_folded, lines)) + "\r\n"


def _folded(line: str) -> str:
    """RFC 5545 section 3.1: no line longer than 75 octets, and no character split."""
    if len(line) < 75 and line.isascii():
        return line
    parts: list[bytes] = []
    rest = line.encode()
    while len(rest) > 74:
        cut = 74
        while rest[cut] & 0xC0 == 0x80:
            cut -= 1
        parts.append(rest[:cut])
        rest = rest[cut:]
    return b"\r\n ".join([*parts, rest]).decode()
