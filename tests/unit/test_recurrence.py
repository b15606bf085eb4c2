"""Series become occurrences: right in every frequency, across changes of clocks, at a bounded cost."""

from __future__ import annotations

import resource as system
from datetime import UTC, datetime, timedelta
from itertools import takewhile

import pytest
from dateutil import rrule
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.base import Resource
from connectors.recurrence import MAX_OCCURRENCES, read_resource
from connectors.recurrence_rule import RuleError, read_rule, walls
from rules.model import Interval, Status, Timing
from tests.support.ics import COPY, WINDOW, calendar, event, occurrences, starts, vevent

DAYS = ["MO", "TU", "WE", "TH", "FR", "SA", "SU"]
LIMIT_SECONDS = 2.0


def bounded(raw: str, window: Interval = WINDOW) -> Resource:
    """Read a resource and show that it cost less than two seconds of processor time."""
    before = system.getrusage(system.RUSAGE_SELF)
    found = read_resource(raw, COPY, window)
    after = system.getrusage(system.RUSAGE_SELF)
    assert after.ru_utime - before.ru_utime < LIMIT_SECONDS
    return found


def wall(year: int, month: int, day: int, hour: int = 0) -> datetime:
    """A wall time."""
    return datetime.fromisoformat(f"{year:04}-{month:02}-{day:02}T{hour:02}:00:00")


def test_weekly_stays_at_its_hour_across_a_change_of_clocks() -> None:
    """Wall time counts, the zone is applied last."""
    found = occurrences(
        event("RRULE:FREQ=WEEKLY;COUNT=6", start="DTSTART;TZID=Europe/Lisbon:20260316T090000")
    )
    assert {f"{each.start:%H:%M}" for each in found} == {"09:00"}
    assert {f"{each.start_utc:%H:%M}" for each in found} == {"09:00", "08:00"}
    assert [each.key.recurrence_id for each in found][:3] == [
        "20260316T090000Z",
        "20260323T090000Z",
        "20260330T080000Z",
    ]


def test_hostile_10_spring_gap() -> None:
    """HOSTILE 10, RFC 5545 3.3.5: 02:30 in New York's gap takes the offset before it, so 03:30 EDT."""
    raw = event("RRULE:FREQ=DAILY;COUNT=3", start="DTSTART;TZID=America/New_York:20260307T023000")
    assert [each.start.isoformat() for each in occurrences(raw)] == [
        "2026-03-07T02:30:00-05:00",
        "2026-03-08T03:30:00-04:00",
        "2026-03-09T02:30:00-04:00",
    ]
    assert occurrences(raw)[1].end_utc - occurrences(raw)[1].start_utc == timedelta(hours=1)


def test_hostile_11_autumn_overlap() -> None:
    """HOSTILE 11, RFC 5545 3.3.5: 01:30 that comes twice means the first."""
    autumn = Interval(datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC))
    [found] = occurrences(event(start="DTSTART;TZID=America/New_York:20261101T013000"), autumn)
    assert found.start_utc == datetime(2026, 11, 1, 5, 30, tzinfo=UTC)


def test_exdate_rdate_and_period() -> None:
    """Excluded, added, and added with a length of its own; a bare date excludes that day's instance."""
    raw = event(
        "RRULE:FREQ=DAILY;COUNT=5",
        "EXDATE;TZID=Europe/Lisbon:20260303T090000",
        "EXDATE:20260304T090000Z",
        "EXDATE;VALUE=DATE:20260305",
        "RDATE;TZID=Europe/Lisbon:20260310T150000,20260302T090000",
        "RDATE;VALUE=PERIOD:20260311T100000Z/PT3H,20260312T100000Z/20260312T101500Z",
    )
    assert [(f"{each.start:%d %H:%M}", each.end_utc - each.start_utc) for each in occurrences(raw)] == [
        ("02 09:00", timedelta(hours=1)),
        ("06 09:00", timedelta(hours=1)),
        ("10 15:00", timedelta(hours=1)),
        ("11 10:00", timedelta(hours=3)),
        ("12 10:00", timedelta(minutes=15)),
    ]


def test_overrides_in_and_out_of_the_window() -> None:
    """An instance moved out is gone, one moved in is there, a cancelled one says so."""
    window = Interval(datetime(2026, 3, 9, tzinfo=UTC), datetime(2026, 3, 23, tzinfo=UTC))
    raw = calendar(
        vevent("RRULE:FREQ=WEEKLY"),
        vevent("RECURRENCE-ID:20260302T090000Z", start="DTSTART:20260312T100000Z"),
        vevent("RECURRENCE-ID:20260309T090000Z", start="DTSTART:20260401T100000Z"),
        vevent(
            "RECURRENCE-ID;TZID=Europe/Lisbon:20260316T090000",
            "STATUS:CANCELLED",
            start="DTSTART:20260316T090000Z",
        ),
    )
    assert [
        (each.key.recurrence_id, each.start_utc.day, each.status) for each in occurrences(raw, window)
    ] == [
        ("20260302T090000Z", 12, Status.CONFIRMED),
        ("20260316T090000Z", 16, Status.CANCELLED),
    ]


def test_override_without_master() -> None:
    """An invitation to one instance only is that one occurrence, under the series' own name."""
    [found] = occurrences(event("RECURRENCE-ID:20260309T090000Z", start="DTSTART:20260310T090000Z"))
    assert (found.key.recurrence_id, found.recurring) == ("20260309T090000Z", True)


def test_this_and_future() -> None:
    """RFC 5545 3.2.13: from that instance on, the change's time, length and words count."""
    raw = calendar(
        vevent("RRULE:FREQ=WEEKLY;COUNT=5", "SUMMARY:Old"),
        vevent(
            "RECURRENCE-ID;RANGE=THISANDFUTURE;TZID=Europe/Lisbon:20260316T090000",
            "DTSTART;TZID=Europe/Lisbon:20260317T110000",
            "DTEND;TZID=Europe/Lisbon:20260317T113000",
            "SUMMARY:New",
        ),
    )
    found = occurrences(raw)
    assert [(f"{each.start:%d %H:%M}", each.title) for each in found] == [
        ("02 09:00", "Old"),
        ("09 09:00", "Old"),
        ("17 11:00", "New"),
        ("24 11:00", "New"),
        ("31 11:00", "New"),
    ]
    assert found[-1].end_utc - found[-1].start_utc == timedelta(minutes=30)
    assert found[-1].key.recurrence_id == "20260330T080000Z"


def test_overlapping_the_window_counts() -> None:
    """An occurrence is in the half-open window when it overlaps it; a moment at its opening does."""
    start = "DTSTART:20260302T090000Z"
    raw = event("RRULE:FREQ=DAILY;COUNT=3", "DURATION:PT1H", start=start)

    def days(first: str, last: str) -> list[int]:
        window = Interval(datetime.fromisoformat(first + "Z"), datetime.fromisoformat(last + "Z"))
        return [each.start_utc.day for each in occurrences(raw, window)]

    assert days("2026-03-02T09:30", "2026-03-03T09:00") == [2]
    assert days("2026-03-02T10:00", "2026-03-03T09:01") == [3]
    assert days("2026-03-04T10:00", "2026-03-05T10:00") == []
    [moment] = occurrences(
        event("DURATION:PT0S", start=start),
        Interval(datetime(2026, 3, 2, 9, tzinfo=UTC), datetime(2026, 3, 2, 10, tzinfo=UTC)),
    )
    assert moment.start == moment.end


def test_until_in_every_spelling() -> None:
    """UNTIL in UTC, in wall time, as a date, and for days: always inclusive."""
    for until in ("20260304T090000Z", "20260304T090000", "20260304"):
        assert len(starts(event(f"RRULE:FREQ=DAILY;UNTIL={until}"))) == 3
    days = event("RRULE:FREQ=DAILY;UNTIL=20260304", start="DTSTART;VALUE=DATE:20260302")
    assert [each.key.recurrence_id for each in occurrences(days)] == ["20260302", "20260303", "20260304"]
    assert len(starts(event("RRULE:FREQ=DAILY;UNTIL=20260304T085959Z"))) == 2


def test_the_start_is_the_first_instance() -> None:
    """RFC 5545 3.8.5.3: DTSTART counts as the first of a COUNT even where the rule does not match it."""
    raw = event("RRULE:FREQ=WEEKLY;BYDAY=WE;COUNT=3")
    assert starts(raw) == ["2026-03-02 09:00", "2026-03-04 09:00", "2026-03-11 09:00"]


def test_two_masters_of_one_uid() -> None:
    """The later version counts, and the owner is told."""
    raw = calendar(vevent("SEQUENCE:1", "SUMMARY:Old"), vevent("SEQUENCE:2", "SUMMARY:New"))
    found = read_resource(raw, COPY, WINDOW)
    assert [each.title for each in found.occurrences] == ["New"]
    assert "there twice" in found.broken


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        ("FREQ=SECONDLY", "minute or second"),
        ("FREQ=MINUTELY;COUNT=1000000000", "minute or second"),
        ("FREQ=DAILY;INTERVAL=0", "every 0 units"),
    ],
    ids=["hostile-1", "hostile-2", "hostile-3"],
)
def test_hostile_1_to_3_rules_without_end(rule: str, says: str) -> None:
    """HOSTILE 1, 2, 3: refused before expansion and told; a neighbour in the same resource lives."""
    found = bounded(calendar(vevent(f"RRULE:{rule}"), vevent(uid="other")))
    assert says in found.broken
    assert {each.key.uid for each in found.occurrences} == {"kickoff", "other"}


def test_a_tiny_rule_by_minutes_is_followed() -> None:
    """Three a minute apart are harmless."""
    assert len(starts(event("RRULE:FREQ=MINUTELY;COUNT=3"))) == 3


def test_hostile_4_a_hundred_thousand_exdates() -> None:
    """HOSTILE 4: dates outside the window are never read; those inside exclude."""
    first = datetime(1900, 1, 1, tzinfo=UTC)
    dates = ",".join(f"{first + timedelta(hours=11 * n):%Y%m%dT%H%M%SZ}" for n in range(100_000))
    found = bounded(event("RRULE:FREQ=DAILY", f"EXDATE:{dates},20260303T090000Z"))
    days = {f"{each.start:%m%d}" for each in found.occurrences}
    assert "0303" not in days
    assert "0302" in days
    assert not found.broken


def test_hostile_5_leap_day_yearly() -> None:
    """HOSTILE 5: 29 February comes in leap years only."""
    century = Interval(datetime(2027, 1, 1, tzinfo=UTC), datetime(2041, 1, 1, tzinfo=UTC))
    raw = event("RRULE:FREQ=YEARLY", start="DTSTART:20240229T090000Z")
    assert [each.start.year for each in occurrences(raw, century)] == [2028, 2032, 2036, 2040]


@pytest.mark.parametrize(
    "rule",
    [
        "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30",
        "FREQ=WEEKLY;BYDAY=MO;BYSETPOS=8",
        "FREQ=HOURLY;BYMONTH=2;BYMONTHDAY=30",
        "FREQ=YEARLY;BYDAY=53MO;BYMONTHDAY=31;BYYEARDAY=1",
        "FREQ=YEARLY;BYHOUR=" + ",".join(map(str, range(24))) + ";BYMINUTE=" + ",".join(map(str, range(60)))
        + ";BYSECOND=" + ",".join(map(str, range(60))) + ";BYDAY=" + ",".join(DAYS),
        "FREQ=HOURLY",
        "FREQ=DAILY;COUNT=1000000000",
        "FREQ=DAILY;INTERVAL=99999999999999999999",
        "FREQ=YEARLY;RSCALE=HEBREW",
        "FREQ=WEEKLY;BYMONTHDAY=3",
        "FREQ=FORTNIGHTLY",
        "BYDAY=MO",
        "FREQ=DAILY;BYHOUR=x",
        "FREQ=MONTHLY;BYDAY=99MO",
        "FREQ=DAILY;BYMONTHDAY=0",
    ],
)  # fmt: skip
def test_rules_that_never_match_or_never_end_are_bounded(rule: str) -> None:
    """Whatever a rule says, it costs less than two seconds and the first instance is there."""
    found = bounded(event(f"RRULE:{rule}", "SUMMARY:Hard"))
    assert found.occurrences[0].title == "Hard"
    assert len(found.occurrences) <= MAX_OCCURRENCES


def test_too_many_occurrences_are_cut_and_told() -> None:
    """A thousand in a window are enough."""
    found = bounded(event("RRULE:FREQ=HOURLY"))
    assert len(found.occurrences) == MAX_OCCURRENCES
    assert "only its first 1000" in found.broken


def test_many_rules_are_refused() -> None:
    """A resource with a heap of rules is not expanded."""
    found = bounded(event(*["RRULE:FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30"] * 50))
    assert (found.occurrences, "50 rules" in found.broken) == ((), True)


@pytest.mark.parametrize(
    "lines",
    [
        ["RDATE:" + ",".join(["20260303T090000Z"] * 300_000)],
        ["RDATE:" + ",".join(f"20260303T{n // 3600:02}{n // 60 % 60:02}{n % 60:02}Z" for n in range(80_000))],
        ["X-A:" + "\n" * 8_000_000],
        ["ATTENDEE;CN=" + "\\," * 2_000_000 + ":mailto:jo@acme.example"],
        ['ATTENDEE;CN="' + "a;" * 2_000_000 + ":mailto:jo@acme.example"],
        ["DESCRIPTION:" + "x" * 8_000_000],
    ],
    ids=["same-rdates", "other-rdates", "blank-lines", "escapes", "open-quote", "description"],
)
def test_a_swollen_event_is_bounded(lines: list[str]) -> None:
    """Megabytes of anything are read in less than two seconds and lose no occurrence."""
    assert bounded(event(*lines)).occurrences


def test_many_own_zones_are_bounded() -> None:
    """Zones a calendar brings along are slow to interpret, so only a few are."""
    definition = (
        "BEGIN:VTIMEZONE\r\nTZID:z{n}\r\nBEGIN:STANDARD\r\nDTSTART:16010101T000000\r\nTZOFFSETFROM:+0100\r\n"
        "RRULE:FREQ=YEARLY;BYMONTH=10;BYDAY=-1SU\r\nTZOFFSETTO:+0200\r\nEND:STANDARD\r\nEND:VTIMEZONE"
    )
    zones = [definition.replace("{n}", str(n)) for n in range(200)]
    events = [vevent(uid=str(n), start=f"DTSTART;TZID=z{n}:20260302T090000") for n in range(200)]
    found = bounded(calendar(*zones, *events)).occurrences
    assert len(found) == 200
    assert {each.timing for each in found} == {Timing.TIMED, Timing.UNKNOWN_ZONE}


def test_the_ends_of_the_calendar() -> None:
    """Years 1 and 9999 raise nothing."""
    for start in ("00010101T000000Z", "99991231T235959Z"):
        bounded(event("RRULE:FREQ=DAILY", "DURATION:P9D", start=f"DTSTART:{start}"))
    wide = Interval(datetime(9999, 1, 1, tzinfo=UTC), datetime.max.replace(tzinfo=UTC))
    bounded(event("RRULE:FREQ=DAILY", start="DTSTART;TZID=America/New_York:20260101T000000"), wide)


def test_floating_and_unknown_series_keep_their_timing() -> None:
    """What may not be acted on says so in every occurrence."""
    for start, timing in (
        ("DTSTART:20260302T090000", Timing.FLOATING),
        ("DTSTART;TZID=Nowhere:20260302T090000", Timing.UNKNOWN_ZONE),
    ):
        assert {each.timing for each in occurrences(event("RRULE:FREQ=WEEKLY;COUNT=3", start=start))} == {
            timing
        }


def numbers(low: int, high: int) -> st.SearchStrategy[str]:
    """A short list of numbers without 0."""
    one = st.integers(low, high).filter(bool)
    return st.lists(one, min_size=1, max_size=3, unique=True).map(lambda found: ",".join(map(str, found)))


weekdays = st.lists(st.sampled_from(DAYS), min_size=1, max_size=4, unique=True).map(",".join)
ordinals = st.lists(
    st.tuples(st.sampled_from(["", "1", "2", "-1", "5"]), st.sampled_from(DAYS)).map("".join),
    min_size=1,
    max_size=3,
    unique=True,
).map(",".join)


@st.composite
def rules(draw: st.DrawFn) -> str:
    """A rule of any frequency with a few parts that go together."""
    freq = draw(st.sampled_from(["YEARLY", "MONTHLY", "WEEKLY", "DAILY", "HOURLY"]))
    parts = [f"FREQ={freq}", f"INTERVAL={draw(st.integers(1, 5))}"]
    if draw(st.booleans()):
        parts.append("WKST=" + draw(st.sampled_from(DAYS)))
    choices: dict[str, st.SearchStrategy[str]] = {"BYMONTH": numbers(1, 12), "BYHOUR": numbers(1, 23)}
    if freq != "WEEKLY":
        choices["BYMONTHDAY"] = numbers(-31, 31)
    if freq == "YEARLY":
        choices["BYYEARDAY"] = numbers(-366, 366)
    choices["BYDAY"] = ordinals if freq in {"YEARLY", "MONTHLY"} else weekdays
    if freq == "HOURLY":
        choices = {name: choices[name] for name in ("BYHOUR", "BYDAY")}
    chosen = draw(st.lists(st.sampled_from(sorted(choices)), max_size=3, unique=True))
    parts += [f"{name}={draw(choices[name])}" for name in chosen]
    if len(parts) > 2 and draw(st.booleans()):
        parts.append("BYSETPOS=" + draw(numbers(-3, 3)))
    if draw(st.booleans()):
        parts.append(f"COUNT={draw(st.integers(1, 60))}")
    return ";".join(parts)


@settings(max_examples=100, deadline=None)
@given(
    rule=rules(),
    start=st.datetimes(wall(2015, 1, 1), wall(2022, 1, 1)).map(lambda at: at.replace(microsecond=0)),
    low=st.datetimes(wall(2014, 1, 1), wall(2026, 1, 1)).map(lambda at: at.replace(microsecond=0)),
)
def test_fast_forward_is_exact(rule: str, start: datetime, low: datetime) -> None:
    """Skipping ahead gives exactly what walking from the start gives, for every frequency and part."""
    high = low + timedelta(days=90)
    # dateutil alone, walking every step from the start; near the year 9999 so that it ends at all.
    later = 7600
    first = start.replace(year=start.year + later)
    try:
        whole = rrule.rrulestr(rule, dtstart=first)
    except ValueError:
        return
    # Where the rule does not match its own start, the start uses up one of a COUNT.
    if "COUNT" in rule and next(iter(whole), None) != first:
        return
    last = high.replace(year=high.year + later)
    walked = [each.replace(year=each.year - later) for each in takewhile(lambda each: each <= last, whole)]
    assert list(walls(read_rule(rule), start, low, high)) == [each for each in walked if low <= each]


@settings(max_examples=150, deadline=None)
@given(
    freq=st.sampled_from(["DAILY", "WEEKLY", "WEEKLY"]),
    interval=st.integers(1, 9),
    days=st.lists(st.sampled_from(DAYS), max_size=5, unique=True),
    wkst=st.sampled_from(DAYS),
    start=st.datetimes(wall(2020, 1, 1), wall(2026, 3, 1)).map(lambda at: at.replace(microsecond=0)),
    low=st.datetimes(wall(2019, 1, 1), wall(2026, 6, 1)).map(lambda at: at.replace(microsecond=0)),
)
def test_plain_rules_are_counted_as_dateutil_does(
    *, freq: str, interval: int, days: list[str], wkst: str, start: datetime, low: datetime
) -> None:
    """Days and weeks are counted without dateutil, and give exactly what it gives."""
    rule = f"FREQ={freq};INTERVAL={interval};WKST={wkst}"
    if days and freq == "WEEKLY":
        rule += ";BYDAY=" + ",".join(days)
    high = low + timedelta(days=60)
    expected = rrule.rrulestr(rule, dtstart=start).between(low, high, inc=True)
    assert list(walls(read_rule(rule), start, low, high)) == expected


def test_rule_errors_are_sentences() -> None:
    """What is wrong with a rule is told in words."""
    with pytest.raises(RuleError, match="no known frequency"):
        read_rule("FREQ=NEVER")
