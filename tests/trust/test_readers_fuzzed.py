"""Readers of what strangers send, fed damaged copies of real things: they announce errors, nothing else."""

from __future__ import annotations

import json
import random
import time
import warnings
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from connectors.base import ConnectorError, Resource
from connectors.caldav_xml import read_multistatus
from connectors.google_resource import Shelf as GoogleShelf
from connectors.google_resource import Whole as GoogleWhole
from connectors.ical_answers import calendar_answers
from connectors.ical_write import itip_counter, itip_request, moved
from connectors.outlook_events import Mailbox
from connectors.outlook_resource import Shelf as OutlookShelf
from connectors.outlook_resource import Whole as OutlookWhole
from connectors.recurrence import MAX_OCCURRENCES, read_resource
from connectors.signed import whole_letters
from daemon.config.problems import ConfigProblems
from daemon.config.settings import load
from daemon.replies.letter_in import read_letter
from rules.model import Address, CalendarRef
from tests.support import damage
from tests.support.hostile import meeting
from tests.support.ics import COPY, LISBON, WINDOW
from tests.support.letters import utc
from tests.support.offices import World, at
from tests.support.replies import bounce, calendar_reply, reply
from tests.support.visitor import RULES
from tests.trust.conftest import Trial

ROOT = Path(__file__).parents[2]
GOLDEN = [path.read_bytes().decode() for path in sorted((ROOT / "tests" / "golden").glob("*.ics"))]
SECONDS = 5.0
"""More than the two seconds that one resource may cost: other work runs beside."""

REF = CalendarRef(account="acme", id="calendar")
JO, ME = Address("jo@acme.example"), Address("dana@va.example")
GOOGLE = GoogleShelf(REF, LISBON, LISBON)
OUTLOOK = OutlookShelf(REF, Mailbox(me=ME, mine=frozenset({ME}), alias=ME), LISBON)


def _google(**more: Any) -> dict[str, Any]:
    usual = {
        "id": "ev1",
        "etag": '"1"',
        "status": "confirmed",
        "iCalUID": "ev1@google.com",
        "summary": "Kickoff",
        "created": "2026-01-05T10:11:12.000Z",
        "updated": "2026-01-06T10:11:12.345Z",
        "start": {"dateTime": "2026-03-02T09:00:00Z", "timeZone": LISBON},
        "end": {"dateTime": "2026-03-02T10:00:00Z", "timeZone": LISBON},
        "organizer": {"email": "dana@va.example", "self": True},
        "attendees": [{"email": "jo@acme.example", "displayName": "Jo", "responseStatus": "needsAction"}],
        "conferenceData": {
            "conferenceId": "abc-defg-hij",
            "entryPoints": [{"uri": "https://meet.example/a"}],
        },
        "extendedProperties": {"private": {"label": "held"}},
        "sequence": 1,
    }
    return usual | more


def _when(text: str) -> dict[str, str]:
    return {"dateTime": text, "timeZone": "UTC"}


def _outlook(**more: Any) -> dict[str, Any]:
    usual = {
        "@odata.etag": 'W/"1"',
        "id": "ev1",
        "type": "singleInstance",
        "iCalUId": "kickoff",
        "subject": "Kickoff",
        "start": _when("2026-03-02T09:00:00.0000000"),
        "end": _when("2026-03-02T10:00:00.0000000"),
        "originalStartTimeZone": "GMT Standard Time",
        "originalEndTimeZone": "GMT Standard Time",
        "isOrganizer": True,
        "organizer": {"emailAddress": {"name": "Dana Reyes", "address": "Dana@va.example"}},
        "attendees": [
            {
                "type": "required",
                "status": {"response": "none", "time": "0001-01-01T00:00:00Z"},
                "emailAddress": {"name": "Jo", "address": "jo@acme.example"},
            }
        ],
        "responseStatus": {"response": "organizer", "time": "0001-01-01T00:00:00Z"},
        "createdDateTime": "2026-01-01T00:00:00Z",
        "lastModifiedDateTime": "2026-01-01T00:00:00Z",
    }
    return usual | more


SERIES = {"recurrence": ["RRULE:FREQ=WEEKLY;BYDAY=MO", "EXDATE;TZID=Europe/Lisbon:20260309T090000"]}
MOVED = {
    "recurringEventId": "ev1",
    "id": "ev1_20260316T090000Z",
    "originalStartTime": {"dateTime": "2026-03-16T09:00:00Z"},
}
GOOGLE_JSON: list[Any] = [
    {"event": _google(), "changed": {}},
    {"event": _google(**SERIES), "changed": {"ev1_20260316T090000Z": _google(**MOVED)}},
    {"event": _google(start={"date": "2026-03-02"}, end={"date": "2026-03-03"}), "changed": {}},
]
RECURRENCE = {
    "pattern": {"type": "weekly", "interval": 1, "daysOfWeek": ["monday"], "firstDayOfWeek": "monday"},
    "range": {"type": "noEnd", "startDate": "2026-03-02", "recurrenceTimeZone": "GMT Standard Time"},
}
INSTANCES = {
    "i1": {"start": "2026-03-02T09:00:00+00:00", "end": "2026-03-02T10:00:00+00:00"},
    "i2": _outlook(type="exception", id="i2", originalStart="2026-03-09T09:00:00Z", seriesMasterId="ev1"),
}
OUTLOOK_JSON: list[Any] = [
    {"event": _outlook()},
    {"event": _outlook(type="seriesMaster", recurrence=RECURRENCE), "instances": INSTANCES, "until": None},
    {"event": _outlook(isAllDay=True)},
]
LETTERS = [
    raw.decode("latin-1")
    for raw in (
        reply("Yes, that works.\r\n\r\nOn Mon, 2 Mar 2026, Dana wrote:\r\n> Could you let me know?"),
        reply("<p>2 suits me</p><blockquote>1 or 2</blockquote>", kind="text/html; charset=iso-8859-1"),
        reply(
            "=?utf-8?q?No?=", subject="=?utf-8?q?Re=3A_Kickoff?=", headers="Auto-Submitted: auto-replied\r\n"
        ),
        calendar_reply("kickoff", to="<rebookd.0@va.example>"),
        bounce("<rebookd.0@va.example>"),
    )
]
ANSWERS = [text.partition("\r\nBEGIN:")[2] for text in LETTERS if "METHOD:" in text]
XML = [
    """<?xml version="1.0"?>
<d:multistatus xmlns:d="DAV:" xmlns:c="urn:ietf:params:xml:ns:caldav">
<d:response><d:href>/dav/a.ics</d:href><d:propstat><d:prop>
<d:getetag>"1"</d:getetag>
<c:calendar-data>BEGIN:VCALENDAR</c:calendar-data>
</d:prop><d:status>HTTP/1.1 200 OK</d:status></d:propstat></d:response>
<d:response><d:href>/dav/b.ics</d:href><d:status>HTTP/1.1 404 Not Found</d:status></d:response>
<d:sync-token>http://x/1</d:sync-token>
</d:multistatus>"""
]
FILES = {
    path: path.read_text()
    for path in sorted((ROOT / "examples").glob("*/*.yaml"))
    if path.name in {"config.yaml", "rules.yaml"}
}


def _storable(resource: Resource) -> None:
    """What became of it can be kept and shown: every text of it is one, and it stays within its bounds."""
    resource.raw.encode()
    json.dumps([asdict(one) for one in resource.occurrences[:50]], default=str, ensure_ascii=False).encode()
    (resource.uid + resource.broken).encode()
    assert len(resource.occurrences) <= MAX_OCCURRENCES
    for one in resource.occurrences:
        assert one.start_utc <= one.end_utc
        texts = (
            one.key.uid,
            one.title,
            one.location,
            one.organizer_name,
            one.tzid or "",
            one.organizer or "",
        )
        people = [text for who in one.attendees for text in (who.address, who.name)]
        assert all(isinstance(text, str) for text in (*texts, *people, *one.categories, one.conference or ""))
        assert 0 <= one.sequence < 1 << 31


def _a_calendar(chance: random.Random) -> None:
    raw = damage.text(chance, GOLDEN)
    _storable(read_resource(raw, COPY, WINDOW))
    for write in (
        lambda: itip_request(raw, None, now=utc(3, 1, 9)),
        lambda: itip_counter(raw, None, utc(3, 4, 9), utc(3, 4, 10), JO, now=utc(3, 1, 9)),
        lambda: moved(raw, None, utc(3, 4, 9), utc(3, 4, 10), now=utc(3, 1, 9)),
    ):
        if chance.random() < 0.8:
            continue
        try:
            write().encode()
        except ConnectorError:
            continue


def _an_answer(chance: random.Random) -> None:
    for one in calendar_answers(damage.text(chance, [*ANSWERS, *GOLDEN]), LISBON):
        assert one.method in {"REPLY", "COUNTER"}
        assert one.uid


def _a_letter(chance: random.Random) -> None:
    found = read_letter(damage.text(chance, LETTERS).encode("utf-8", "replace"))
    assert found.subject.isprintable()
    assert found.sender is None or found.sender.isprintable()
    (found.text + found.subject + str(found.sender)).encode()


def _a_multistatus(chance: random.Random) -> None:
    try:
        read_multistatus(damage.text(chance, XML).encode(), "https://dav.example/dav/")
    except ConnectorError:
        return


def _a_google_event(chance: random.Random) -> None:
    found = damage.tree(chance, GOOGLE_JSON)
    changed = {name: one for name, one in _mapping(found.get("changed")).items() if isinstance(one, dict)}
    kept = {"event": _mapping(found.get("event")), "changed": changed, "zone": LISBON}
    whole, _ = GoogleWhole.read(_as_sent(kept))
    _storable(GOOGLE.resource("ev1", whole, WINDOW))


def _an_outlook_event(chance: random.Random) -> None:
    found = damage.tree(chance, OUTLOOK_JSON)
    others = {name: one for name, one in _mapping(found.get("instances")).items() if isinstance(one, dict)}
    kept = {"event": _mapping(found.get("event")), "instances": others, "until": None}
    _storable(OUTLOOK.resource("ev1", OutlookWhole.read(_as_sent(kept)), WINDOW))


def _as_sent(value: Any) -> str:
    """As it comes out of the session that talks to either."""
    return whole_letters(json.dumps(value).encode()).decode()


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


READERS: dict[str, tuple[Callable[[random.Random], None], int, int]] = {
    "iCalendar and iTIP": (_a_calendar, 40, 2_000),
    "answers by iTIP": (_an_answer, 150, 6_000),
    "replies": (_a_letter, 150, 6_000),
    "CalDAV's XML": (_a_multistatus, 300, 10_000),
    "Google's JSON": (_a_google_event, 300, 10_000),
    "Microsoft's JSON": (_an_outlook_event, 300, 10_000),
}


@pytest.mark.promise("security, P3", "damaged input")
@pytest.mark.parametrize("kind", READERS)
def test_a_reader_only_announces(kind: str, trial: Trial, request: pytest.FixtureRequest) -> None:
    """No exception but those it announces, no text that cannot be kept, no more time than one may cost."""
    read, small, full = READERS[kind]
    slowest = 0.0
    count = trial.size(small, full)
    for seed in range(count):
        before = time.process_time()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # the library's advice on odd zones
                read(random.Random(f"{kind} {seed}"))
        except Exception as error:
            error.add_note(f"the seed was {seed}")
            raise
        slowest = max(slowest, time.process_time() - before)
    assert slowest < SECONDS
    request.node.user_properties.append(("experiment", f"damaged input: {kind}"))
    trial.saw(f"{count} texts", f"nothing unannounced; the slowest took {slowest:.1f} s")


@pytest.mark.promise("security, P3", "damaged input: YAML")
def test_a_damaged_configuration_is_told_with_its_place(tmp_path: Path, trial: Trial) -> None:
    """Damaged copies of the examples are loaded, or every mistake is told with file, line and column."""
    count = trial.size(12, 800)
    refused = 0
    for seed in range(count):
        chance = random.Random(f"YAML {seed}")
        path = chance.choice(list(FILES))
        for each, text in FILES.items():
            if each.parent == path.parent:
                shown = damage.text(chance, [text]) if each == path else text
                (tmp_path / each.name).write_text(shown, encoding="utf-8", newline="")
        before = time.process_time()
        try:
            load(tmp_path / "config.yaml")
        except ConfigProblems as told:
            refused += 1
            for problem in told.problems:
                assert problem.line >= 1
                assert problem.column >= 1
                assert str(problem).replace("\n", "").isprintable()
        assert time.process_time() - before < SECONDS, seed
    trial.saw(f"{count} files", f"{refused} refused with their places, {count - refused} still right")


@pytest.mark.promise("security, P3", "damaged events in a calendar that is watched")
def test_damaged_events_mail_nobody_they_do_not_name(tmp_path: Path, trial: Trial) -> None:
    """Each round ends, the good meeting among them is asked about, and no other address is written to."""
    rounds = trial.size(1, 12)
    mails = damaged = 0
    for number in range(rounds):
        chance = random.Random(f"rounds {number}")
        folder = tmp_path / str(number)
        folder.mkdir()
        world = World(folder, RULES)
        world.round()
        good = meeting("good", at(40), {"jo@acme.example": "NEEDS-ACTION"}, title="Kickoff", name="Jo")
        texts = [
            damage.text(chance, [good.replace("UID:good", f"UID:d{n}").replace("jo@", f"d{n}@")])
            for n in range(10)
        ]
        for n, text in enumerate(texts):
            world.put("acme", f"damaged-{n}", text)
        world.put("acme", "good", good)
        world.round(0.01)
        world.round(1)
        assert world.states()["good", "jo@acme.example"] == "sent"
        known = "\n".join(texts).lower()
        for to in world.mailer.to:
            assert to in {"dana@va.example", "jo@acme.example"} or to in known, to
        mails += len(world.mailer.to)
        damaged += len(texts)
        world.office.close()
    trial.saw(f"{damaged} events, {mails} mails", "no round broke, nobody else was written to")
