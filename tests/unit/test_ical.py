"""Reading events: addresses, answers, zones, lengths, and what is said of the broken ones."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from connectors import ical_lines
from connectors.ical import Parsed, parse
from connectors.ical_lines import MOST_LINES, split_list, unescape
from connectors.ical_times import duration, read_wall
from connectors.ical_zones import known_zone
from connectors.recurrence import read_resource
from rules.model import CuType, Occurrence, PartStat, Role, Timing
from tests.support.ics import COPY, LISBON, WINDOW, calendar, event, occurrences, vevent


def one(*lines: str, start: str = "DTSTART;TZID=Europe/Lisbon:20260302T090000") -> Occurrence:
    """The single occurrence of an event."""
    [found] = occurrences(event(*lines, start=start))
    return found


def broken(raw: str) -> Parsed:
    """A text that is not wholly readable."""
    parsed = parse(raw, LISBON)
    assert parsed.broken.startswith("This event is not wholly readable")
    return parsed


@pytest.mark.parametrize(
    ("line", "address"),
    [
        ("ATTENDEE:mailto:jo@acme.example", "jo@acme.example"),
        ("ATTENDEE:MAILTO:Alice@Acme.example", "alice@acme.example"),
        ("ATTENDEE:MailTo: lice@acme.example", "lice@acme.example"),
        ("ATTENDEE:mailto:jo%40acme.example", "jo@acme.example"),
        ("ATTENDEE:mailto:<jo@acme.example>", "jo@acme.example"),
        ("ATTENDEE;EMAIL=jo@acme.example:urn:uuid:1", "jo@acme.example"),
        ("ATTENDEE:jo@acme.example", "jo@acme.example"),
        ("ATTENDEE:/principals/users/jo/", "/principals/users/jo/"),
    ],
)
def test_addresses(line: str, address: str) -> None:
    """A mailto prefix of any case goes, letters never do; EMAIL stands in for another URI."""
    [attendee] = one(line).attendees
    assert attendee.address == address


def test_answers_and_roles_with_their_defaults() -> None:
    """RFC 5545 3.2.3, 3.2.12, 3.2.16: unknown types are UNKNOWN, unknown answers NEEDS-ACTION."""
    found = one(
        "ATTENDEE:mailto:a@x.example",
        "ATTENDEE;PARTSTAT=declined;ROLE=OPT-PARTICIPANT;CUTYPE=room:mailto:b@x.example",
        "ATTENDEE;PARTSTAT=X-LATER;ROLE=X-BOSS;CUTYPE=X-ROBOT:mailto:c@x.example",
        'ATTENDEE;PARTSTAT=DELEGATED;DELEGATED-TO="mailto:E@x.example","mailto:f@x.example":mailto:d@x.example',
    ).attendees
    assert [(each.partstat, each.role, each.cutype) for each in found] == [
        (PartStat.NEEDS_ACTION, Role.REQUIRED, CuType.INDIVIDUAL),
        (PartStat.DECLINED, Role.OPTIONAL, CuType.ROOM),
        (PartStat.NEEDS_ACTION, Role.REQUIRED, CuType.UNKNOWN),
        (PartStat.DELEGATED, Role.REQUIRED, CuType.INDIVIDUAL),
    ]
    assert found[3].delegated_to == "e@x.example"


@pytest.mark.parametrize(
    ("params", "name"),
    [
        ('CN="Doe; Jo, Dr: x"', "Doe; Jo, Dr: x"),
        ("CN=Doe\\, Jo", "Doe, Jo"),
        ("CN=Doe, Jo", "Doe, Jo"),
        ("CN=Jo ^'Ace^' Lee^nx^^", 'Jo "Ace" Lee\nx^'),
        ('CN="Émile";X-A=b', "Émile"),
        ("CN=", ""),
        ('X-NOTE="a:b;CN=no";CN=Jo', "Jo"),
    ],
)
def test_odd_names(params: str, name: str) -> None:
    """Whatever a name holds, it and the attendee arrive whole."""
    [attendee] = one(f"ATTENDEE;{params};PARTSTAT=ACCEPTED:mailto:jo@acme.example").attendees
    assert attendee.name == name
    assert (attendee.address, attendee.partstat) == ("jo@acme.example", PartStat.ACCEPTED)


@pytest.mark.parametrize("params", ['CN=Jo "Ace" Lee', 'CN="Jo', 'CN=Jo";X="', "CN", ";CN=Jo"])
def test_a_malformed_attendee_is_kept_and_told(params: str) -> None:
    """No attendee is lost to bad quoting, and the owner hears of it."""
    parsed = broken(event(f"ATTENDEE;{params};PARTSTAT=DECLINED:mailto:jo@acme.example"))
    [attendee] = parsed.events[0].details["attendees"]
    assert attendee.address == "jo@acme.example"


def test_a_folded_quoted_parameter_hides_nobody() -> None:
    """Folds may fall anywhere, inside quotes and inside a letter's line, before a tab or a blank."""
    raw = event('ATTENDEE;CN="Doe, Jo";PARTSTAT=ACCEPTED:mailto:jo@acme.example')
    at = raw.index("ATTENDEE")
    for cut in range(at + 1, raw.index("example") + 5):
        for fold in ("\r\n ", "\r\n\t", "\n "):
            [attendee] = parse(raw[:cut] + fold + raw[cut:], LISBON).events[0].details["attendees"]
            assert (attendee.address, attendee.name) == ("jo@acme.example", "Doe, Jo")


def test_what_private_and_transparent_mean() -> None:
    """RFC 5545 3.8.1.3: an unknown class is private; alarms and other components lend no fields."""
    assert [one(f"CLASS:{each}").private for each in ("PUBLIC", "private", "CONFIDENTIAL", "X-FAMILY")] == [
        False,
        True,
        True,
        True,
    ]
    found = one(
        "TRANSP:transparent", "BEGIN:VALARM", "SUMMARY:alarm", "ATTENDEE:mailto:bell@x.example", "END:VALARM"
    )
    assert (found.transparent, found.title, found.attendees) == (True, "", ())


@pytest.mark.parametrize(
    ("tzid", "zone"),
    [
        ("Europe/Lisbon", "Europe/Lisbon"),
        ("europe/lisbon", "Europe/Lisbon"),
        ("W. Europe Standard Time", "Europe/Berlin"),
        ("GMT Standard Time", "Europe/London"),
        ("/freeassociation.sourceforge.net/Europe/Lisbon", "Europe/Lisbon"),
        ("/mozilla.org/20050126_1/America/Argentina/Buenos_Aires", "America/Argentina/Buenos_Aires"),
        ("/Europe/Stockholm", "Europe/Stockholm"),
        ("tzone://Microsoft/Utc", "UTC"),
        ("localtime", None),
        ("../../etc/passwd", None),
        ("Customized Time Zone", None),
        ("", None),
    ],
)
def test_zone_names(tzid: str, zone: str | None) -> None:
    """IANA, Windows and prefixed names are known; anything else is visibly not."""
    found = known_zone(tzid)
    assert (found.key if found else None) == zone


LYING = """BEGIN:VTIMEZONE
TZID:Europe/Lisbon
BEGIN:STANDARD
DTSTART:19700101T000000
TZOFFSETFROM:+0900
TZOFFSETTO:+0900
END:STANDARD
END:VTIMEZONE"""


def test_a_known_name_beats_a_lying_definition() -> None:
    """The IANA zone counts, whatever the VTIMEZONE of that name says."""
    [found] = occurrences(calendar(LYING, vevent()))
    assert (found.start_utc, found.timing) == (datetime(2026, 3, 2, 9, tzinfo=UTC), Timing.TIMED)


def test_a_zone_of_its_own_is_followed() -> None:
    """An unknown TZID is read by the VTIMEZONE beside it; X-LIC-LOCATION names the zone it means."""
    own = LYING.replace("Europe/Lisbon", "Corner Office")
    [found] = occurrences(calendar(own, vevent(start="DTSTART;TZID=Corner Office:20260302T090000")))
    assert (found.start_utc, found.tzid) == (datetime(2026, 3, 2, 0, tzinfo=UTC), "Corner Office")
    located = own.replace("BEGIN:STANDARD", "X-LIC-LOCATION:America/New_York\nBEGIN:STANDARD", 1)
    [found] = occurrences(calendar(located, vevent(start="DTSTART;TZID=Corner Office:20260302T090000")))
    assert (found.start_utc, found.tzid) == (datetime(2026, 3, 2, 14, tzinfo=UTC), "America/New_York")


def test_an_unknown_zone_is_held_not_guessed() -> None:
    """No table and no VTIMEZONE: the occurrence says so; a zone that changes every second is none."""
    raw = event(start="DTSTART;TZID=Nowhere/Known:20260302T090000")
    [found] = occurrences(raw)
    assert (found.timing, found.tzid) == (Timing.UNKNOWN_ZONE, "Nowhere/Known")
    busy = LYING.replace("Europe/Lisbon", "Busy").replace("TZOFFSETTO", "RRULE:FREQ=SECONDLY\nTZOFFSETTO")
    [found] = occurrences(calendar(busy, vevent(start="DTSTART;TZID=Busy:20260302T090000")))
    assert found.timing is Timing.UNKNOWN_ZONE


def test_hostile_12_floating() -> None:
    """HOSTILE 12: a time without a zone is marked floating and read in the owner's zone."""
    found = one(start="DTSTART:20260402T090000")
    assert (found.timing, found.tzid) == (Timing.FLOATING, LISBON)
    assert found.start.isoformat() == "2026-04-02T09:00:00+01:00"


def test_hostile_13_all_day_across_zones() -> None:
    """HOSTILE 13: a date is that day in the owner's zone, its end the next midnight."""
    raw = event(start="DTSTART;VALUE=DATE:20260329")
    for zone, start, end in (
        ("Europe/Lisbon", "2026-03-29T00:00:00+00:00", "2026-03-30T00:00:00+01:00"),
        ("Pacific/Auckland", "2026-03-29T00:00:00+13:00", "2026-03-30T00:00:00+13:00"),
    ):
        [found] = occurrences(raw, home_zone=zone)
        assert (found.timing, found.start.isoformat(), found.end.isoformat()) == (Timing.ALL_DAY, start, end)


def test_utc_wins_over_a_tzid() -> None:
    """RFC 5545 3.2.19: a TZID has no say over a time that ends in Z."""
    assert one(start="DTSTART;TZID=Europe/Berlin:20260402T090000Z").start_utc == datetime(
        2026, 4, 2, 9, tzinfo=UTC
    )


def test_lengths() -> None:
    """DURATION, DTEND in another zone, and neither: RFC 5545 3.6.1."""
    lisbon = "DTSTART;TZID=Europe/Lisbon:20260302T090000"
    assert one(lisbon, "DURATION:P1DT30M").end_utc == datetime(2026, 3, 3, 9, 30, tzinfo=UTC)
    flight = one(lisbon, "DTEND;TZID=America/New_York:20260302T120000")
    assert flight.end.isoformat() == "2026-03-02T12:00:00-05:00"
    bare = one(lisbon)
    assert bare.start == bare.end
    days = one("DTSTART;VALUE=DATE:20260302", "DTEND;VALUE=DATE:20260305")
    assert days.end_utc - days.start_utc == timedelta(days=3)


@pytest.mark.parametrize("value", ["PT", "P", "1H", "PT1H30", "P-1D", "PT99999999999999H"])
def test_not_a_duration(value: str) -> None:
    """RFC 5545 3.3.6."""
    with pytest.raises(ValueError, match="DURATION"):
        duration(value)


@pytest.mark.parametrize(
    "value",
    ["2026030", "20260302T09000", "20260230", "20260302T250000", "٢٠٢٦٠٣٠٢", "2026-03-2", "20260302T090000X"],
)
def test_not_a_date(value: str) -> None:
    """Nothing but RFC 5545 3.3.4 and 3.3.5 is a date."""
    with pytest.raises(ValueError):  # noqa: PT011 - whichever way it is not one
        read_wall(value)


def test_a_leap_second_is_the_second_before() -> None:
    """RFC 5545 3.3.12."""
    assert read_wall("20161231T235960Z").second == 59


def test_text_escapes() -> None:
    """RFC 5545 3.3.11: each escape once, in lists split at bare commas only."""
    assert unescape(r"a\nb\Nc\,d\;e\\nf\x") == "a\nb\nc,d;e\\nf\\x"
    assert split_list(r"Client\, paid,,b\\,c") == ["Client, paid", "b\\", "c"]


def test_hostile_6_ten_thousand_attendees() -> None:
    """HOSTILE 6: every one of 10,000 attendees arrives, once, however many occurrences share them."""
    lines = [f'ATTENDEE;CN="Guest, {n}":mailto:g{n}@x.example' for n in range(10_000)]
    found = occurrences(event("RRULE:FREQ=DAILY;COUNT=3", *lines))
    assert len(found[0].attendees) == 10_000
    assert found[0].attendees is found[-1].attendees


def test_hostile_7_one_event_without_a_start() -> None:
    """HOSTILE 7: it is left out and told; its neighbours live."""
    raw = calendar(vevent(uid="a"), vevent(start="", uid="b"), vevent(uid="c"))
    parsed = broken(raw)
    assert [each.uid for each in parsed.events] == ["a", "c"]
    assert "no readable start" in parsed.broken


def test_hostile_8_thirtieth_of_february() -> None:
    """HOSTILE 8: a date that does not exist is no date."""
    parsed = broken(calendar(vevent(uid="a"), vevent(start="DTSTART:20260230T090000Z", uid="b")))
    assert [each.uid for each in parsed.events] == ["a"]
    assert "DTSTART '20260230T090000Z' is not a date" in parsed.broken


def test_hostile_9_end_before_start() -> None:
    """HOSTILE 9: the end is taken to be the start, told, and the start does not move."""
    raw = event("DTSTART;TZID=Europe/Lisbon:20260302T090000", "DTEND;TZID=Europe/Lisbon:20260301T090000")
    resource = read_resource(raw, COPY, WINDOW)
    [found] = resource.occurrences
    assert found.start_utc == found.end_utc == datetime(2026, 3, 2, 9, tzinfo=UTC)
    assert "ends before it starts" in resource.broken


def test_hostile_16_strange_letters_arrive_as_they_are() -> None:
    """HOSTILE 16: bidi marks, zero-width joiners and the rare line separators are text, not lines."""
    title = "a\u202eb\u200bc \u2028 \x0b 👩\u200d💻\u0085d"
    assert one(f"SUMMARY:{title}").title == title


def test_hostile_14_and_17_are_only_text_here() -> None:
    """HOSTILE 14, 17: a title's escaped line break and encoded words stay inside the title."""
    assert one(r"SUMMARY:Hi\nBcc: evil@x.example").title == "Hi\nBcc: evil@x.example"
    assert one("SUMMARY:=?utf-8?q?Hi=0D=0ABcc:_evil@x.example?=").organizer is None


def test_half_a_text_is_told() -> None:
    """A text that ends in the middle gives no event from its open end."""
    whole = calendar(vevent(uid="a"), vevent(uid="b"))
    parsed = broken(whole[: whole.rindex("END:VEVENT")])
    assert [each.uid for each in parsed.events] == ["a"]


def test_a_property_twice_is_told() -> None:
    """The first of several counts, and the owner hears of it."""
    parsed = broken(event("SUMMARY:One", "SUMMARY:Two"))
    assert parsed.events[0].details["title"] == "One"


def test_other_components_are_no_trouble() -> None:
    """A task's resource has no occurrence, a UID, and nothing broken."""
    raw = calendar("BEGIN:VTODO\r\nUID:task\r\nSUMMARY:Do\r\nEND:VTODO")
    resource = read_resource(raw, COPY, WINDOW)
    assert (resource.uid, resource.occurrences, resource.broken) == ("task", (), "")


def test_google_writes_the_year_zero_for_unknown() -> None:
    """CREATED:00001231T000000Z is no trouble and no date."""
    assert one("CREATED:00001231T000000Z").created is None


def test_a_text_of_too_many_lines_is_not_read() -> None:
    """Nor in part: half of a series would be another one. Its UID is known all the same."""
    parsed = broken(event(*["COMMENT:x"] * MOST_LINES))
    assert parsed.events == ()
    assert parsed.uid == "kickoff"
    assert f"it has more than {MOST_LINES} lines" in parsed.broken


def test_long_lines_keep_their_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    """The library is asked about a few of the unusual ones, since it walks them letter by letter."""
    asked: list[str] = []
    usual = ical_lines.Contentline.raw_parts

    def raw_parts(line: str) -> object:
        asked.append(line)
        return usual(line)

    monkeypatch.setattr(ical_lines.Contentline, "raw_parts", raw_parts)
    some = ";".join(f"X-{number}=^n" for number in range(1500))
    many = ";".join(f"X-{number}=a" for number in range(5000))
    lines = [f"ATTENDEE;CN=Jo;{some}:mailto:jo{number}@acme.example" for number in range(200)]
    parsed = broken(event(*lines, f"ATTENDEE;CN=Al;{many}:mailto:al@acme.example"))
    (found,) = parsed.events
    people = {one.address: one.name for one in found.details["attendees"]}
    assert people == {f"jo{number}@acme.example": "Jo" for number in range(200)} | {"al@acme.example": "Al"}
    assert sum(map(len, asked)) <= 256 * 1024
