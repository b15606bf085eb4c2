"""Which occurrence of a series is its last one: right in any window, and without walking there."""

from __future__ import annotations

import resource as system
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.recurrence import read_resource
from rules.model import Interval, Occurrence, Status
from tests.support.ics import COPY, calendar, event, vevent

MARCH = datetime(2026, 3, 2, 9, tzinfo=UTC)
EVER = Interval(MARCH - timedelta(days=400), MARCH + timedelta(days=4000))


def window(first: int, days: int) -> Interval:
    """So many days, that many days after 2 March 2026."""
    begins = MARCH.replace(hour=0) + timedelta(days=first)
    return Interval(begins, begins + timedelta(days=days))


def expanded(raw: str, span: Interval = EVER) -> tuple[Occurrence, ...]:
    """The occurrences in a window."""
    return read_resource(raw, COPY, span).occurrences


def finals(raw: str, span: Interval = EVER) -> list[str]:
    """The days of those that are the last of their series."""
    return [f"{each.start:%m-%d}" for each in expanded(raw, span) if each.final]


def changed(day: str, *lines: str, start: str = "") -> str:
    """A changed instance of the series that starts on 2 March 2026 at nine."""
    start = start or day
    return vevent(
        f"RECURRENCE-ID;TZID=Europe/Lisbon:{day}T090000",
        f"DTSTART;TZID=Europe/Lisbon:{start}T090000",
        f"DTEND;TZID=Europe/Lisbon:{start}T100000",
        *lines,
    )


def mornings(number: int) -> str:
    """So many dates in a row, from 2027 on."""
    first = datetime(2027, 1, 1, 9, tzinfo=UTC)
    return ",".join(f"{first + timedelta(days=day):%Y%m%dT%H%M%SZ}" for day in range(number))


@pytest.mark.parametrize("rule", ["FREQ=WEEKLY;COUNT=4", "FREQ=WEEKLY;UNTIL=20260323T090000Z"])
def test_only_the_last_is_final_in_any_window(rule: str) -> None:
    """Head, middle and tail of a series of four weeks."""
    raw = event(f"RRULE:{rule}")
    assert finals(raw) == ["03-23"]
    assert finals(raw, window(0, 21)) == []
    assert finals(raw, window(7, 1)) == []
    assert finals(raw, window(20, 5)) == ["03-23"]
    assert finals(raw, window(22, 5)) == []
    assert [each.final for each in expanded(raw)] == [False, False, False, True]


def test_what_has_no_end_has_no_last() -> None:
    """Endless, single, ending too far away to know, with a rule of exceptions, or without its master."""
    for lines in (
        ("RRULE:FREQ=WEEKLY",),
        (),
        ("RRULE:FREQ=YEARLY;INTERVAL=90;UNTIL=21900101",),
        ("RRULE:FREQ=WEEKLY;COUNT=4", "EXRULE:FREQ=WEEKLY;INTERVAL=2;COUNT=2"),
        ("RRULE:FREQ=WEEKLY;COUNT=4", "RRULE:FREQ=DAILY"),
    ):
        assert finals(event(*lines), window(0, 40)) == []
    assert finals(calendar(changed("20260309"))) == []
    assert finals(event("RRULE:FREQ=HOURLY;COUNT=5000"), EVER) == []


def test_dates_alone_end_too() -> None:
    """A set of RDATEs, whichever order they are in, and however far the last is."""
    raw = event("RDATE;TZID=Europe/Lisbon:20260601T090000,20260310T090000", "RDATE:20800101T090000Z")
    assert finals(raw, window(0, 200)) == []
    raw = event("RDATE;TZID=Europe/Lisbon:20260601T090000,20260310T090000")
    assert finals(raw, window(0, 30)) == []
    assert finals(raw, window(30, 200)) == ["06-01"]
    assert finals(event("RRULE:FREQ=DAILY;COUNT=3", "RDATE:20260401T080000Z"), window(0, 9)) == []


def test_a_last_one_that_is_out_hands_over() -> None:
    """Excluded or cancelled, alone or with all that follow, seen or not."""
    weekly = "RRULE:FREQ=WEEKLY;COUNT=4"
    for without in (
        event(weekly, "EXDATE;TZID=Europe/Lisbon:20260323T090000"),
        event(weekly, "EXDATE;VALUE=DATE:20260323"),
        calendar(vevent(weekly), changed("20260323", "STATUS:CANCELLED")),
    ):
        assert finals(without) == ["03-16"]
        assert finals(without, window(14, 3)) == ["03-16"]
        assert finals(without, window(0, 10)) == []
    rest = changed("20260316", "STATUS:CANCELLED").replace(
        "RECURRENCE-ID;", "RECURRENCE-ID;RANGE=THISANDFUTURE;"
    )
    assert finals(calendar(vevent(weekly), rest), window(0, 10)) == ["03-09"]
    assert finals(event(weekly, "STATUS:CANCELLED")) == []


def test_a_moved_instance_may_be_the_last() -> None:
    """What counts is when it takes place."""
    weekly = vevent("RRULE:FREQ=WEEKLY;COUNT=4")
    later = calendar(weekly, changed("20260309", start="20260501"))
    assert finals(later) == ["05-01"]
    assert finals(later, window(0, 30)) == []
    earlier = calendar(weekly, changed("20260323", start="20260311"))
    assert finals(earlier, window(0, 20)) == ["03-16"]


def test_all_day_series_end_too() -> None:
    """UNTIL as a date."""
    raw = event("RRULE:FREQ=DAILY;UNTIL=20260304", start="DTSTART;VALUE=DATE:20260302")
    assert finals(raw) == ["03-04"]


@pytest.mark.parametrize(
    "lines",
    [
        ("RRULE:FREQ=DAILY;COUNT=1000000000",),
        ("RRULE:FREQ=HOURLY;BYMONTH=2;BYMONTHDAY=30;UNTIL=20700101T000000Z",),
        ("RRULE:FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30;COUNT=3",),
        ("RRULE:FREQ=DAILY;COUNT=40000", f"EXDATE:{mornings(30_000)}"),
        (f"RDATE:{mornings(49_000)}",),
    ],
    ids=["billion", "never", "never-counted", "excluded", "dates"],
)  # fmt: skip
def test_looking_for_the_end_is_bounded(lines: tuple[str, ...]) -> None:
    """Less than two seconds of processor time, whatever lies beyond the window."""
    before = system.getrusage(system.RUSAGE_SELF).ru_utime
    read_resource(event(*lines), COPY, window(0, 60))
    assert system.getrusage(system.RUSAGE_SELF).ru_utime - before < 2


@settings(max_examples=60, deadline=None)
@given(
    freq=st.sampled_from(["DAILY", "DAILY;INTERVAL=3", "WEEKLY;BYDAY=MO,TH", "MONTHLY;BYDAY=-1FR"]),
    end=st.one_of(
        st.integers(1, 12).map(lambda count: f"COUNT={count}"),
        st.integers(0, 90).map(lambda days: f"UNTIL={MARCH + timedelta(days=days):%Y%m%dT%H%M%SZ}"),
    ),
    out=st.sets(st.integers(0, 12), max_size=4),
    moved=st.dictionaries(st.integers(0, 12), st.integers(-20, 40), max_size=3),
    cancelled=st.sets(st.integers(0, 12), max_size=3),
    opens=st.integers(-5, 120),
    days=st.integers(1, 60),
)  # fmt: skip
def test_any_window_agrees_with_the_whole(  # noqa: PLR0917 - Hypothesis gives them by name
    freq: str,
    end: str,
    out: set[int],
    moved: dict[int, int],
    cancelled: set[int],
    opens: int,
    days: int,
) -> None:
    """The final one is the latest that stands among all occurrences there are, where the window has it."""
    rule = f"RRULE:FREQ={freq};{end}"
    plain = expanded(event(rule))
    excluded = [f"EXDATE:{plain[at].key.recurrence_id}" for at in out if at < len(plain)]
    changes = []
    for at in {*moved, *cancelled}:
        if at < len(plain):
            day = f"{plain[at].start:%Y%m%d}"
            start = f"{plain[at].start + timedelta(days=moved.get(at, 0), minutes=1):%Y%m%d}"
            changes.append(changed(day, *["STATUS:CANCELLED"] * (at in cancelled), start=start))
    raw = calendar(vevent(rule, *excluded), *changes)
    standing = [each for each in expanded(raw) if each.status is not Status.CANCELLED]
    latest = max((each.start_utc for each in standing), default=None)
    found = expanded(raw, window(opens, days))
    marked = [each for each in found if each.final]
    assert len(marked) == any(
        each.start_utc == latest for each in found if each.status is not Status.CANCELLED
    )
    assert all(each.start_utc == latest for each in marked)
