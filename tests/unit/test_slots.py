"""Free times, working hours, business days and quiet hours."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rules.hours import WorkingHours, quiet_until, wall
from rules.model import Interval
from rules.slots import free_slots, gaps

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
WEEK = Interval(MONDAY, MONDAY + timedelta(days=7))
HALF_HOUR = timedelta(minutes=30)


def span(day: int, start: str, end: str) -> Interval:
    """A span on a day of the week of MONDAY."""
    base = MONDAY + timedelta(days=day)
    first, last = time.fromisoformat(start), time.fromisoformat(end)
    return Interval(datetime.combine(base, first, UTC), datetime.combine(base, last, UTC))


def test_offers_spread_over_days_near_the_wished_time() -> None:
    """Three offers, three days, the old time of day."""
    found = free_slots([], WEEK, HALF_HOUR, 3, WorkingHours(), like=time(14))
    assert [one.start.isoformat() for one in found] == [f"2026-03-0{day}T14:00:00+00:00" for day in (2, 3, 4)]


def test_busy_times_are_never_offered() -> None:
    """A full Monday and a busy Tuesday afternoon."""
    busy = [span(0, "08:00", "18:00"), span(1, "12:00", "17:00"), span(1, "11:45", "12:30")]
    first, *_ = free_slots(busy, WEEK, timedelta(hours=1), 3, WorkingHours(), like=time(14))
    assert first == span(1, "10:30", "11:30")


def test_holidays_and_weekends_are_not_offered() -> None:
    """Two working days left: three offers lie on them."""
    hours = WorkingHours(holidays=frozenset(date(2026, 3, day) for day in (2, 3, 4)))
    found = free_slots([], WEEK, HALF_HOUR, 3, hours)
    assert {one.start.date() for one in found} == {date(2026, 3, 5), date(2026, 3, 6)}
    assert len(found) == 3


def test_a_recipient_far_away_is_not_offered_the_night() -> None:
    """09:00–17:00 in Lisbon is offered to New York from 13:00 on; to a zone without overlap, anyway."""
    lisbon = WorkingHours(zone="Europe/Lisbon")
    found = free_slots([], WEEK, HALF_HOUR, 3, lisbon, recipient_zone="America/New_York")
    assert all(one.start.hour >= 13 for one in found)
    assert free_slots(
        [], WEEK, HALF_HOUR, 1, WorkingHours(weekly=((((time(2), time(3))),),) * 7), recipient_zone="UTC"
    )


def test_a_full_calendar_gives_nothing() -> None:
    """No offer rather than a wrong one."""
    assert free_slots([WEEK], WEEK, HALF_HOUR, 3, WorkingHours()) == ()


times = st.integers(0, 7 * 24 * 4).map(lambda quarter: MONDAY + timedelta(minutes=15 * quarter))
intervals = st.builds(
    lambda start, length: Interval(start, start + timedelta(minutes=15 * length)), times, st.integers(1, 20)
)


@given(busy=st.lists(intervals, max_size=30), count=st.integers(1, 6), length=st.integers(1, 8))
@settings(max_examples=150, deadline=None)
def test_every_offer_is_free_working_time(busy: list[Interval], count: int, length: int) -> None:
    """Inside the window and the working hours, overlapping neither a meeting nor another offer."""
    hours, size = WorkingHours(zone="Europe/Lisbon"), timedelta(minutes=15 * length)
    found = free_slots(busy, WEEK, size, count, hours)
    assert len(found) <= count
    for one in found:
        assert one.end - one.start == size
        assert WEEK.start <= one.start
        assert one.end <= WEEK.end
        assert not any(one.overlaps(other) for other in busy)
        assert sum(one.overlaps(other) for other in found) == 1
        assert any(
            opens <= one.start and one.end <= closes for opens, closes in hours.instants(one.start.date())
        )
    assert found == free_slots(list(reversed(busy)), WEEK, size, count, hours)


@given(busy=st.lists(intervals, max_size=30))
@settings(max_examples=150, deadline=None)
def test_gaps_and_busy_times_tile_the_window(busy: list[Interval]) -> None:
    """Every minute of the window is either busy or in exactly one gap."""
    free = list(gaps(busy, WEEK))
    assert all(one.end < other.start for one, other in pairwise(free))
    for quarter in range(0, 7 * 24 * 4, 3):
        at = WEEK.start + timedelta(minutes=15 * quarter)
        is_busy = any(one.start <= at < one.end for one in busy)
        assert is_busy is not any(one.start <= at < one.end for one in free)


@pytest.mark.parametrize(
    ("now", "days", "expected"),
    [
        ("2026-03-06T10:00:00", 1, "2026-03-09T10:00:00"),
        ("2026-03-07T10:00:00", 1, "2026-03-09T10:00:00"),
        ("2026-03-09T10:00:00", -1, "2026-03-06T10:00:00"),
        ("2026-03-27T10:00:00", 1, "2026-03-30T09:00:00"),  # Lisbon springs forward on the 29th
    ],
)
def test_business_days_keep_wall_time(now: str, days: int, expected: str) -> None:
    """Across weekends and the change of clocks."""
    shifted = WorkingHours(zone="Europe/Lisbon").shift(datetime.fromisoformat(now).replace(tzinfo=UTC), days)
    assert shifted == datetime.fromisoformat(expected).replace(tzinfo=UTC)


def test_an_owner_who_never_works_still_has_days() -> None:
    """No endless search."""
    assert WorkingHours(weekly=((),) * 7).shift(MONDAY, 2) == MONDAY + timedelta(days=2)


def test_wall_times_in_gap_and_overlap() -> None:
    """RFC 5545 section 3.3.5: 02:30 in the gap uses the offset before it, 01:30 twice is the first."""
    assert wall(date(2026, 3, 8), time(2, 30), "America/New_York") == datetime(2026, 3, 8, 7, 30, tzinfo=UTC)
    assert wall(date(2026, 11, 1), time(1, 30), "America/New_York") == datetime(
        2026, 11, 1, 5, 30, tzinfo=UTC
    )


@pytest.mark.parametrize(
    ("hour", "until"),
    [
        (19, None),
        (20, "2026-03-03T08:00:00+00:00"),
        (23, "2026-03-03T08:00:00+00:00"),
        (3, "2026-03-02T08:00:00+00:00"),
        (8, None),
    ],
)
def test_quiet_hours_wrap_midnight(hour: int, until: str | None) -> None:
    """20:00–08:00, half-open."""
    found = quiet_until(time(20), time(8), "UTC", MONDAY.replace(hour=hour))
    assert (found.isoformat() if found else None) == until
