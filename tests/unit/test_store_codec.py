"""Occurrences survive the store exactly."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.store.codec import carry_over, decode, decode_time, encode, encode_time
from rules.model import (
    Address,
    Attendee,
    CalendarRef,
    CuType,
    Interval,
    Occurrence,
    OccurrenceKey,
    PartStat,
    Role,
    Status,
    Timing,
)
from tests.support.meetings import BO, JO, NOW, meeting

ZONES = st.sampled_from(
    [
        UTC,
        ZoneInfo("UTC"),
        ZoneInfo("Europe/Lisbon"),
        ZoneInfo("America/New_York"),
        ZoneInfo("Asia/Kathmandu"),
    ]
)
WALLS = st.datetimes(NOW.replace(year=1990, tzinfo=None), NOW.replace(year=2060, tzinfo=None))
TIMES = st.builds(
    lambda at, zone, fold: at.replace(tzinfo=zone, fold=fold if isinstance(zone, ZoneInfo) else 0),
    WALLS,
    ZONES,
    st.integers(0, 1),
)
INSTANT = WALLS.map(lambda at: at.replace(tzinfo=UTC, fold=0))
INSTANTS = st.none() | INSTANT
TEXTS = st.text(max_size=20)
PEOPLE = st.builds(
    Attendee,
    address=TEXTS.map(Address),
    name=TEXTS,
    partstat=st.sampled_from(PartStat),
    role=st.sampled_from(Role),
    cutype=st.sampled_from(CuType),
    delegated_to=st.none() | TEXTS.map(Address),
    answered_at=INSTANTS,
    proposed=st.none() | st.builds(Interval, INSTANT, INSTANT),
)
OCCURRENCES = st.builds(
    Occurrence,
    key=st.builds(
        OccurrenceKey,
        calendar=st.builds(CalendarRef, account=TEXTS, id=TEXTS),
        uid=TEXTS,
        recurrence_id=st.none() | TEXTS,
    ),
    start=TIMES,
    end=TIMES,
    title=TEXTS,
    tzid=TEXTS,
    timing=st.sampled_from(Timing),
    status=st.sampled_from(Status),
    transparent=st.booleans(),
    private=st.booleans(),
    organizer=st.none() | TEXTS.map(Address),
    organizer_name=TEXTS,
    attendees=st.lists(PEOPLE, max_size=3).map(tuple),
    sequence=st.integers(0, 99),
    created=INSTANTS,
    modified=INSTANTS,
    location=TEXTS,
    categories=st.lists(TEXTS, max_size=2).map(tuple),
    recurring=st.booleans(),
    href=TEXTS,
    etag=TEXTS,
    observed_at=INSTANTS,
    time_changed_at=INSTANTS,
    appeared_at=INSTANTS,
    relabelled_at=INSTANTS,
    cancelled_at=INSTANTS,
    removed_at=INSTANTS,
    final=st.booleans(),
    away=st.booleans(),
    guests_hidden=st.booleans(),
    rsvp=st.booleans(),
    conference=TEXTS,
)


def there_and_back(one: Occurrence) -> Occurrence:
    """What the store gives back for it."""
    return decode(encode(one), key=one.key, href=one.href, etag=one.etag, observed_at=one.observed_at)


@given(OCCURRENCES)
@settings(max_examples=100, deadline=None)
def test_every_field_comes_back(one: Occurrence) -> None:
    """Every field of the model, with its type, its wall time, its zone and its fold."""
    back = there_and_back(one)
    for field in fields(Occurrence):
        was, now = getattr(one, field.name), getattr(back, field.name)
        assert repr(was) == repr(now), field.name
    assert encode(back) == encode(one)


def test_zone_stays_a_name() -> None:
    """Wall time and zone are kept, so that a later change of the zone's rules moves the instant."""
    second = datetime(2026, 10, 25, 1, 30, tzinfo=ZoneInfo("Europe/Lisbon"), fold=1)
    assert encode_time(second) == "2026-10-25T01:30:00~ Europe/Lisbon"
    assert decode_time(encode_time(second)).utcoffset() == timedelta(0)
    assert decode_time(encode_time(second.replace(fold=0))).utcoffset() == timedelta(hours=1)


def test_zone_without_a_name_keeps_its_offset() -> None:
    """A zone that only one calendar knows comes back as the offset it had."""
    odd = datetime(2026, 3, 2, 9, tzinfo=timezone(timedelta(hours=5, minutes=37), "LMT"))
    assert decode_time(encode_time(odd)) == odd
    assert decode_time(encode_time(odd)).utcoffset() == odd.utcoffset()


def test_observation_and_etag_are_no_content() -> None:
    """Reading again, or an etag that changed for nothing, makes no different text."""
    one = meeting()
    assert encode(replace(one, etag="2", href="/other.ics", observed_at=NOW + timedelta(days=1))) == encode(
        one
    )


def test_carry_over_dates_a_move() -> None:
    """A start or end that differs was moved now; one that does not keeps what was known."""
    old = replace(meeting(), time_changed_at=NOW - timedelta(days=3))
    moved = carry_over(replace(old, time_changed_at=None, end=old.end + timedelta(minutes=5)), old, NOW)
    still = carry_over(replace(old, time_changed_at=None, title="New title"), old, NOW)
    assert moved.time_changed_at == NOW
    assert still.time_changed_at == NOW - timedelta(days=3)


def test_carry_over_compares_instants() -> None:
    """The same instant in another zone is not a move."""
    old = meeting()
    same = replace(old, start=old.start.astimezone(ZoneInfo("Asia/Tokyo")), tzid="Asia/Tokyo")
    assert carry_over(same, old, NOW).time_changed_at is None


def test_carry_over_dates_an_answer() -> None:
    """Who answers differently answered now; the others keep their date; a newcomer has none."""
    day = timedelta(days=1)
    answered = Attendee(address=BO, partstat=PartStat.ACCEPTED, answered_at=NOW - day)
    old = replace(meeting(), attendees=(Attendee(address=JO), answered))
    new = replace(
        old,
        attendees=(
            Attendee(address=JO, partstat=PartStat.ACCEPTED),
            replace(answered, answered_at=None),
            Attendee(address=Address("kim@acme.example"), partstat=PartStat.ACCEPTED),
        ),
    )
    assert [who.answered_at for who in carry_over(new, old, NOW).attendees] == [NOW, NOW - day, None]


def test_carry_over_dates_a_proposal() -> None:
    """Who asks for another time, or yet another, answered when that was seen."""
    first, second = (
        Interval(NOW + timedelta(days=day), NOW + timedelta(days=day, hours=1)) for day in (3, 4)
    )
    silent = meeting()
    asked = replace(silent, attendees=(replace(silent.attendees[0], proposed=first),))
    seen = carry_over(asked, silent, NOW)
    assert seen.attendees[0].answered_at == NOW
    later = NOW + timedelta(hours=1)
    assert carry_over(asked, seen, later).attendees[0].answered_at == NOW
    again = replace(silent, attendees=(replace(silent.attendees[0], proposed=second),))
    assert carry_over(again, seen, later).attendees[0].answered_at == later


def test_carry_over_dates_a_cancellation() -> None:
    """Cancelled under our eyes was cancelled now; what was cancelled when first seen has no date."""
    live, gone = meeting(), meeting(status=Status.CANCELLED)
    day = timedelta(days=1)
    assert carry_over(gone, live, NOW).cancelled_at == NOW
    assert (
        carry_over(replace(gone, title="x"), replace(gone, cancelled_at=NOW - day), NOW).cancelled_at
        == NOW - day
    )
    assert carry_over(replace(gone, title="x"), gone, NOW).cancelled_at is None
    assert carry_over(live, replace(gone, cancelled_at=NOW), NOW).cancelled_at is None
