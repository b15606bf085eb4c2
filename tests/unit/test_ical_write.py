"""Writing calendars: a move changes the times and nothing else, and iTIP says what it must."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import icalendar
import pytest

from connectors.base import Rejected
from connectors.ical_write import LONGEST, MOST_PIECES, itip_counter, itip_request, labelled, moved
from rules.model import Address, PartStat
from tests.support.ics import LISBON, calendar, event, occurrences, starts, vevent

NOW = datetime(2026, 2, 20, 12, tzinfo=UTC)
NEW = datetime(2026, 4, 1, 15, tzinfo=ZoneInfo(LISBON))
HOUR = timedelta(hours=1)
PEOPLE = (
    "ORGANIZER;CN=Dana:mailto:dana@va.example",
    "ATTENDEE;PARTSTAT=ACCEPTED;CN=Dana:mailto:Dana@va.example",
    'ATTENDEE;PARTSTAT=ACCEPTED;CN="Doe, Jo";X-NUM-GUESTS=0:mailto:jo@acme.example',
    'ATTENDEE;PARTSTAT=DELEGATED;DELEGATED-TO="mailto:jo@acme.example":mailto:sam@acme.example',
)
ALARM = "BEGIN:VALARM\r\nACTION:DISPLAY\r\nTRIGGER:-PT10M\r\nDESCRIPTION:x\r\nEND:VALARM"


def read(text: str) -> icalendar.Calendar:
    """The library's own view of what was written."""
    return icalendar.Calendar.from_ical(text)


def test_a_single_meeting_moves() -> None:
    """New times in the same zone, SEQUENCE+1, others' answers void, everything else as it was."""
    lines = ["SUMMARY:Kick-off\\, now", "SEQUENCE:4", "X-CLIENT;X-P=1:kept", *PEOPLE, ALARM]
    text = moved(event(*lines), None, NEW, NEW + HOUR, now=NOW, home_zone=LISBON)
    [found] = occurrences(text)
    assert (found.start, found.tzid, found.sequence, found.modified) == (NEW, LISBON, 5, NOW)
    assert found.end - found.start == HOUR
    assert [each.partstat for each in found.attendees] == [
        PartStat.ACCEPTED,
        PartStat.NEEDS_ACTION,
        PartStat.DELEGATED,
    ]
    assert "DTSTART;TZID=Europe/Lisbon:20260401T150000" in text
    assert "DURATION:PT1H" in text
    for kept in (
        "X-CLIENT;X-P=1:kept",
        "SUMMARY:Kick-off\\, now",
        'CN="Doe, Jo"',
        "TRIGGER:-PT10M",
        "UID:kickoff",
    ):
        assert kept in text


@pytest.mark.parametrize(
    ("start", "written"),
    [
        ("DTSTART:20260302T090000Z", "DTSTART:20260401T140000Z"),
        ("DTSTART:20260302T090000", "DTSTART:20260401T150000"),
        (
            "DTSTART;TZID=W. Europe Standard Time:20260302T090000",
            "DTSTART;TZID=W. Europe Standard Time:20260401T160000",
        ),
    ],
)
def test_times_are_written_as_the_event_writes_them(start: str, written: str) -> None:
    """UTC stays UTC, floating floating, and a Windows name keeps its spelling."""
    assert written in moved(event("SUMMARY:x", start=start), None, NEW, NEW + HOUR, now=NOW, home_zone=LISBON)


def test_another_length_replaces_the_duration() -> None:
    """DURATION gives way to DTEND when the length changes."""
    text = moved(event(), None, NEW, NEW + 2 * HOUR, now=NOW, home_zone=LISBON)
    assert "DURATION" not in text
    [found] = occurrences(text)
    assert found.end - found.start == 2 * HOUR


def test_an_instance_becomes_an_override() -> None:
    """One instance of a series moves; the series and the other instances stay."""
    raw = event("RRULE:FREQ=WEEKLY;COUNT=3", "SEQUENCE:1", *PEOPLE, ALARM)
    text = moved(raw, "20260309T090000Z", NEW, NEW + HOUR, now=NOW, home_zone=LISBON)
    assert starts(text) == ["2026-03-02 09:00", "2026-03-16 09:00", "2026-04-01 15:00"]
    override = occurrences(text)[2]
    assert (override.key.recurrence_id, override.sequence) == ("20260309T090000Z", 2)
    assert "RECURRENCE-ID;TZID=Europe/Lisbon:20260309T090000" in text
    again = moved(text, "20260309T090000Z", NEW + HOUR, NEW + 2 * HOUR, now=NOW, home_zone=LISBON)
    assert len(list(read(again).walk("VEVENT"))) == 2
    assert occurrences(again)[2].sequence == 3


def test_an_instance_after_a_change_for_the_future() -> None:
    """The new override starts from the change that speaks for it, across a change of clocks."""
    raw = calendar(
        vevent("RRULE:FREQ=WEEKLY;COUNT=6", "SUMMARY:Old"),
        vevent(
            "RECURRENCE-ID;RANGE=THISANDFUTURE;TZID=Europe/Lisbon:20260316T090000",
            "DTSTART;TZID=Europe/Lisbon:20260316T110000",
            "DTEND;TZID=Europe/Lisbon:20260316T113000",
            "SUMMARY:New",
        ),
    )
    request = itip_request(raw, "20260330T080000Z", now=NOW, home_zone=LISBON)
    [instance] = read(request).walk("VEVENT")
    assert str(instance["SUMMARY"]) == "New"
    assert "RANGE" not in request
    assert instance["DTSTART"].dt.astimezone(UTC) == datetime(2026, 3, 30, 10, tzinfo=UTC)
    assert instance["DTEND"].dt - instance["DTSTART"].dt == HOUR / 2


def test_what_cannot_be_moved_is_refused() -> None:
    """An all-day event, a meeting that is not there, and a damaged text."""
    for raw, key in (
        (event("SUMMARY:x", start="DTSTART;VALUE=DATE:20260302"), None),
        (event("RECURRENCE-ID:20260302T090000Z"), "20260309T090000Z"),
        (event("RECURRENCE-ID:20260302T090000Z"), None),
        ("BEGIN:VCALENDAR", None),
        (calendar(), None),
    ):
        with pytest.raises(Rejected):
            moved(raw, key, NEW, NEW + HOUR, now=NOW, home_zone=LISBON)


@pytest.mark.parametrize(("letters", "count"), [("x", LONGEST), ("a,", MOST_PIECES)])
def test_what_is_too_long_is_not_touched(letters: str, count: int) -> None:
    """The library would walk it for minutes; the meeting stays as it is, and a mail quotes none."""
    raw = event("CATEGORIES:" + letters * count)
    with pytest.raises(Rejected, match="too long to be written anew"):
        moved(raw, None, NEW, NEW + HOUR, now=NOW)
    with pytest.raises(Rejected, match="too long to be written anew"):
        itip_request(raw, None, now=NOW)


def test_request_is_the_meeting_as_it_stands() -> None:
    """RFC 5546 3.2.2: METHOD, same UID, SEQUENCE and times, all attendees; no alarm, no private notes."""
    text = itip_request(
        event("SEQUENCE:4", "X-SECRET:fee 900", *PEOPLE, ALARM), None, now=NOW, home_zone=LISBON
    )
    message = read(text)
    [meeting] = message.walk("VEVENT")
    assert message["METHOD"] == "REQUEST"
    assert (str(meeting["UID"]), meeting["SEQUENCE"], len(meeting["ATTENDEE"])) == ("kickoff", 4, 3)
    assert meeting["DTSTART"].dt.astimezone(UTC) == datetime(2026, 3, 2, 9, tzinfo=UTC)
    assert meeting["DTSTAMP"].dt == NOW
    assert "VALARM" not in text
    assert "SECRET" not in text


def test_request_brings_its_zone_or_speaks_utc() -> None:
    """Every TZID in a message has its VTIMEZONE; without one the times are UTC."""
    zone = "BEGIN:VTIMEZONE\r\nTZID:Europe/Lisbon\r\nBEGIN:STANDARD\r\nDTSTART:19700101T000000\r\n"
    zone += "TZOFFSETFROM:+0000\r\nTZOFFSETTO:+0000\r\nEND:STANDARD\r\nEND:VTIMEZONE"
    kept = itip_request(calendar(zone, vevent()), None, now=NOW, home_zone=LISBON)
    assert "BEGIN:VTIMEZONE" in kept
    assert "DTSTART;TZID=Europe/Lisbon:" in kept
    bare = itip_request(event(), None, now=NOW, home_zone=LISBON)
    assert "TZID" not in bare
    assert "DTSTART:20260302T090000Z" in bare


def test_counter_is_complete() -> None:
    """RFC 5546 3.2.7: same UID and SEQUENCE, proposed times, the organizer, the one who proposes."""
    raw = event("RRULE:FREQ=WEEKLY;COUNT=3", "SEQUENCE:4", "SUMMARY:Status", *PEOPLE)
    text = itip_counter(
        raw, "20260309T090000Z", NEW, NEW + HOUR, Address("jo@acme.example"), now=NOW, home_zone=LISBON
    )
    message = read(text)
    [meeting] = message.walk("VEVENT")
    assert message["METHOD"] == "COUNTER"
    assert (str(meeting["UID"]), meeting["SEQUENCE"], str(meeting["SUMMARY"])) == ("kickoff", 4, "Status")
    assert meeting["RECURRENCE-ID"].dt.astimezone(UTC) == datetime(2026, 3, 9, 9, tzinfo=UTC)
    assert meeting["DTSTART"].dt.astimezone(UTC) == NEW.astimezone(UTC)
    assert meeting["DTEND"].dt.astimezone(UTC) == (NEW + HOUR).astimezone(UTC)
    assert str(meeting["ORGANIZER"]) == "mailto:dana@va.example"
    assert str(meeting["ATTENDEE"]) == "mailto:jo@acme.example"
    assert "RRULE" not in text


def test_reading_back_loses_nobody() -> None:
    """A move of a meeting with many odd attendees keeps every one of them."""
    lines = [f'ATTENDEE;CN="Guest, {n}; x: y";EMAIL=g{n}@x.example:urn:uuid:{n}' for n in range(50)]
    [found] = occurrences(moved(event(*lines), None, NEW, NEW + HOUR, now=NOW, home_zone=LISBON))
    assert [each.address for each in found.attendees] == [f"g{n}@x.example" for n in range(50)]


def test_a_label_changes_one_line() -> None:
    """A category more, whatever is in it; the rest of the text is the library's own round trip of it."""
    lines = ["SUMMARY:Kick-off\\, now", "SEQUENCE:4", "CATEGORIES;LANGUAGE=en:Sales,a\\,b", *PEOPLE, ALARM]
    before = event(*lines)
    text = labelled(before, None, "x, y;\r\nz", home_zone=LISBON)
    assert text is not None
    plain = read(before).to_ical().decode()
    assert [line for line in text.splitlines() if line not in plain.splitlines()] == [
        "CATEGORIES:x\\, y\\;\\nz"
    ]
    [found] = occurrences(text)
    assert found.categories == ("Sales", "a,b", "x, y;\nz")
    assert labelled(text, None, "SALES", home_zone=LISBON) is None


def test_a_label_on_one_instance_makes_an_override_at_its_own_time() -> None:
    """Of a series in a zone, all day, or changed from some instance on; its neighbours stay without."""
    weekly = ["RRULE:FREQ=WEEKLY;COUNT=3", "CATEGORIES:Sales", *PEOPLE]
    text = labelled(event(*weekly), "20260309T090000Z", "[held]", home_zone=LISBON)
    assert text is not None
    assert starts(text) == starts(event(*weekly))
    assert [each.categories for each in occurrences(text)] == [("Sales",), ("Sales", "[held]"), ("Sales",)]
    assert [each.attendees for each in occurrences(text)] == [
        each.attendees for each in occurrences(event(*weekly))
    ]
    assert [each.final for each in occurrences(text)] == [False, False, True]
    days = event("RRULE:FREQ=DAILY;COUNT=3", start="DTSTART;VALUE=DATE:20260302")
    text = labelled(days, "20260303", "[held]", home_zone=LISBON)
    assert text is not None
    assert starts(text) == starts(days)
    assert [each.categories for each in occurrences(text)] == [(), ("[held]",), ()]
    with pytest.raises(Rejected):
        labelled(calendar(vevent(*PEOPLE, "RECURRENCE-ID:20260309T090000Z")), None, "x")
