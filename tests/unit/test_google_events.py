"""What a Google event means, from plain JSON."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.google_events import LABELS, is_dismissed, is_mine, parsed, plain
from connectors.google_resource import Shelf, Whole
from connectors.recurrence import Copy, expand
from rules.attendance import is_away
from rules.model import CalendarRef, CuType, Marks, Occurrence, PartStat, Role, Status, Timing
from tests.support.ics import LISBON, WINDOW

SHELF = Shelf(CalendarRef(account="acme", id="dana@va.example"), LISBON, LISBON)


def event(**fields: Any) -> dict[str, Any]:
    """An event of an hour on 2 March; None takes a field away."""
    usual = {
        "id": "ev1",
        "etag": '"1"',
        "status": "confirmed",
        "iCalUID": "ev1@google.com",
        "summary": "Kickoff",
        "start": {"dateTime": "2026-03-02T09:00:00Z", "timeZone": LISBON},
        "end": {"dateTime": "2026-03-02T10:00:00Z", "timeZone": LISBON},
        "organizer": {"email": "dana@va.example", "self": True},
    }
    return {name: value for name, value in (usual | fields).items() if value is not None}


def occurrences(master: dict[str, Any] | None, *changed: dict[str, Any]) -> tuple[Occurrence, ...]:
    """What it is shown as; it must be wholly readable."""
    whole = Whole(master, {one["id"]: one for one in changed})
    resource = SHELF.resource("ev1", whole, WINDOW)
    assert not resource.broken, resource.broken
    return resource.occurrences


def one(**fields: Any) -> Occurrence:
    """The one occurrence of such an event."""
    [found] = occurrences(event(**fields))
    return found


def test_an_event_has_the_fields_that_rules_look_at() -> None:
    """Everything Google says of a meeting, in the words of RFC 5545."""
    found = one(
        location="Room 4",
        status="tentative",
        transparency="transparent",
        visibility="confidential",
        sequence=3,
        created="2026-01-05T10:11:12.000Z",
        updated="2026-01-06T10:11:12.345Z",
        organizer={"email": "Jo@Acme.example", "displayName": "Jo"},
        attendees=[
            {"email": "Dana@VA.example", "self": True, "responseStatus": "accepted"},
            {
                "email": "bo@acme.example",
                "displayName": "Bo",
                "responseStatus": "needsAction",
                "optional": True,
            },
            {"email": "c_1@resource.calendar.google.com", "resource": True, "responseStatus": "declined"},
        ],
        extendedProperties={"private": {LABELS: '["Sales", "Q1"]'}},
    )
    assert (found.title, found.location, found.sequence) == ("Kickoff", "Room 4", 3)
    assert (found.status, found.transparent, found.private) == (Status.TENTATIVE, True, True)
    assert (found.organizer, found.organizer_name) == ("jo@acme.example", "Jo")
    assert found.created == datetime(2026, 1, 5, 10, 11, 12, tzinfo=UTC)
    assert found.modified == datetime(2026, 1, 6, 10, 11, 12, 345000, tzinfo=UTC)
    assert found.categories == ("Sales", "Q1")
    assert [(who.address, who.partstat, who.role, who.cutype) for who in found.attendees] == [
        ("dana@va.example", PartStat.ACCEPTED, Role.REQUIRED, CuType.INDIVIDUAL),
        ("bo@acme.example", PartStat.NEEDS_ACTION, Role.OPTIONAL, CuType.INDIVIDUAL),
        ("c_1@resource.calendar.google.com", PartStat.DECLINED, Role.REQUIRED, CuType.RESOURCE),
    ]


def test_the_time_is_kept_in_the_events_own_zone() -> None:
    """The offset is the calendar's, the zone the event's: wall time and TZID are the event's."""
    found = one(
        start={"dateTime": "2026-03-02T14:00:00Z", "timeZone": "America/New_York"},
        end={"dateTime": "2026-03-02T15:00:00Z", "timeZone": "Asia/Tokyo"},
    )
    assert (f"{found.start:%H:%M}", found.tzid) == ("09:00", "America/New_York")
    assert f"{found.end:%d %H:%M %Z}" == "03 00:00 JST"


@pytest.mark.parametrize(
    ("start", "timing", "tzid", "shown"),
    [
        ({"dateTime": "2026-03-02T11:00:00+02:00"}, Timing.TIMED, LISBON, "02 09:00"),
        ({"dateTime": "2026-03-02T09:00:00Z", "timeZone": "Mars/Base"}, Timing.TIMED, LISBON, "02 09:00"),
        (
            {"dateTime": "2026-03-02T09:00:00", "timeZone": "Mars/Base"},
            Timing.UNKNOWN_ZONE,
            "Mars/Base",
            "02 09:00",
        ),
        ({"date": "2026-03-02"}, Timing.ALL_DAY, LISBON, "02 00:00"),
    ],
)
def test_times_without_a_known_zone(start: dict[str, str], timing: Timing, tzid: str, shown: str) -> None:
    """Where the offset says the instant, the zone's name does not matter; else it is not guessed."""
    end = {"date": "2026-03-03"} if "date" in start else {"dateTime": "2026-03-02T10:00:00Z"}
    found = one(start=start, end=end)
    assert (found.timing, found.tzid, f"{found.start:%d %H:%M}") == (timing, tzid, shown)


def test_the_second_of_two_equal_wall_times() -> None:
    """01:30 happens twice on 25 October in Lisbon; the offset says which (HOSTILE 11)."""
    window = type(WINDOW)(datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC))
    for offset, hour in (("+01:00", 0), ("Z", 1)):
        start = {"dateTime": f"2026-10-25T01:30:00{offset}", "timeZone": LISBON}
        end = {"dateTime": "2026-10-25T03:00:00Z", "timeZone": LISBON}
        for rule in (None, ["RRULE:FREQ=YEARLY"]):
            raw = event(start=start, end=end, recurrence=rule)
            [found] = SHELF.resource("ev1", Whole(raw), window).occurrences
            if rule is None or hour == 0:
                assert found.start_utc == datetime(2026, 10, 25, hour, 30, tzinfo=UTC)


def test_a_series_keeps_its_wall_time() -> None:
    """Weekly at 09:00 stays at 09:00 across the change of clocks; EXDATE and COUNT are followed."""
    found = occurrences(
        event(
            recurrence=["RRULE:FREQ=WEEKLY;COUNT=6", "EXDATE;TZID=Europe/Lisbon:20260309T090000"],
            end={"dateTime": "2026-03-02T09:30:00Z", "timeZone": LISBON},
        )
    )
    assert [f"{each.start:%m-%d %H:%M}" for each in found] == [
        "03-02 09:00",
        "03-16 09:00",
        "03-23 09:00",
        "03-30 09:00",
        "04-06 09:00",
    ]
    assert [each.final for each in found] == [False, False, False, False, True]
    assert {each.end - each.start for each in found} == {found[0].end - found[0].start}


def instance(day: int, **fields: Any) -> dict[str, Any]:
    """A changed instance of the weekly series."""
    original = {"dateTime": f"2026-03-{day:02d}T09:00:00Z", "timeZone": LISBON}
    usual = event(
        id=f"ev1_202603{day:02d}T090000Z",
        etag=f'"{day}"',
        recurringEventId="ev1",
        originalStartTime=original,
        start={"dateTime": f"2026-03-{day:02d}T15:00:00Z", "timeZone": LISBON},
        end={"dateTime": f"2026-03-{day:02d}T16:00:00Z", "timeZone": LISBON},
    )
    return {name: value for name, value in (usual | fields).items() if value is not None}


WEEKLY = ["RRULE:FREQ=WEEKLY;COUNT=4"]


def test_changed_instances_have_their_original_name() -> None:
    """OriginalStartTime is the RECURRENCE-ID, wherever the instance lies now (RFC 5545 section 3.8.4.4)."""
    found = occurrences(event(recurrence=WEEKLY), instance(9))
    assert [(each.key.recurrence_id, f"{each.start:%d %H:%M}") for each in found][:2] == [
        ("20260302T090000Z", "02 09:00"),
        ("20260309T090000Z", "09 15:00"),
    ]
    assert {each.key.uid for each in found} == {"ev1@google.com"}


def test_a_cancelled_instance_is_shown_no_more() -> None:
    """Of an instance that was cancelled Google keeps no more than its name: the series goes on without it."""
    gone = instance(9, status="cancelled", start=None, end=None, iCalUID=None, organizer=None, summary=None)
    found = occurrences(event(recurrence=WEEKLY), gone)
    assert [f"{each.start:%d}" for each in found] == ["02", "16", "23"]


def test_an_instance_i_removed_is_one_i_declined() -> None:
    """What I took out of my calendar keeps its details: the other side did not cancel it."""
    people = [
        {"email": "dana@va.example", "self": True, "responseStatus": "accepted"},
        {"email": "jo@acme.example", "responseStatus": "accepted"},
    ]
    theirs = {"organizer": {"email": "jo@acme.example"}, "attendees": people}
    found = occurrences(event(recurrence=WEEKLY, **theirs), instance(9, status="cancelled", **theirs))
    assert [each.status for each in found] == [Status.CONFIRMED] * 4
    assert [each.attendees[0].partstat for each in found] == [
        PartStat.ACCEPTED,
        PartStat.DECLINED,
        PartStat.ACCEPTED,
        PartStat.ACCEPTED,
    ]
    assert found[1].attendees[1].partstat is PartStat.ACCEPTED


def test_a_lone_instance_of_somebody_elses_series() -> None:
    """Invited to one meeting of a series, I see that one under its own name."""
    [found] = occurrences(None, instance(9))
    assert (found.key.recurrence_id, found.recurring) == ("20260309T090000Z", True)


def test_out_of_office_is_an_absence() -> None:
    """An event of that kind is away whatever its title, and whatever the marks say."""
    found = one(eventType="outOfOffice", summary="Gone fishing")
    assert is_away(found, Marks(away=()))
    assert not is_away(one(summary="Gone fishing"), Marks())


@pytest.mark.parametrize("kind", ["birthday", "workingLocation", "fromGmail"])
def test_what_is_no_meeting_has_nobody_to_ask(kind: str) -> None:
    """A booking that Google found in a mail names an organizer that nobody is."""
    found = one(
        eventType=kind,
        organizer={"email": "unknownorganizer@calendar.google.com"},
        attendees=[{"email": "dana@va.example", "self": True}],
    )
    assert (found.organizer, found.attendees) == (None, ())
    assert found.transparent is (kind != "fromGmail")


def test_focus_time_takes_time() -> None:
    """Focus time is mine alone, and blocks."""
    found = one(eventType="focusTime")
    assert (found.transparent, found.attendees, found.away) == (False, (), False)


def test_a_secondary_calendar_is_nobody() -> None:
    """Its meetings are organised by whoever made them, not by the calendar's own address."""
    found = one(
        organizer={"email": "c_1@group.calendar.google.com", "displayName": "Work", "self": True},
        creator={"email": "dana@va.example"},
    )
    assert (found.organizer, found.organizer_name) == ("dana@va.example", "")


@pytest.mark.parametrize(
    ("fields", "hidden"),
    [
        ({"attendeesOmitted": True}, True),
        ({"guestsCanSeeOtherGuests": False, "organizer": {"email": "jo@acme.example"}}, True),
        ({"guestsCanSeeOtherGuests": False}, False),
        ({"attendees": [{"displayName": "Somebody", "responseStatus": "accepted"}]}, True),
        ({}, False),
    ],
)
def test_guests_that_cannot_be_seen(fields: dict[str, Any], hidden: bool) -> None:
    """Where Google leaves guests out, nothing is concluded from those that are left."""
    assert one(**fields).guests_hidden is hidden


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        (
            {
                "conferenceData": {
                    "conferenceId": "abc-defg-hij",
                    "conferenceSolution": {"key": {"type": "hangoutsMeet"}},
                }
            },
            "abc-defg-hij",
        ),
        ({"conferenceData": {"conferenceId": "12345", "conferenceSolution": {"key": {"type": "addOn"}}}}, ""),
        ({"hangoutLink": "https://meet.google.com/abc-defg-hij?hs=1"}, "abc-defg-hij"),
        ({"hangoutLink": "https://meet.example/abc"}, ""),
        ({}, ""),
    ],
)
def test_the_code_of_its_call(fields: dict[str, Any], code: str) -> None:
    """Only Google's own calls have records of who came."""
    assert one(**fields).conference == code


@pytest.mark.parametrize("kept", ["", "no JSON", '{"a": 1}', "[1, null]", "[" * 100_000])
def test_labels_that_are_none_of_ours(kept: str) -> None:
    """Whatever stands in the property, the event is read."""
    assert one(extendedProperties={"private": {LABELS: kept}}).categories == ()


@pytest.mark.parametrize(
    "fields",
    [
        {"start": None},
        {"start": {"dateTime": "2026-02-30T09:00:00Z"}},
        {"start": {"dateTime": 5}},
        {"start": "today"},
        {"attendees": "everybody"},
        {"attendees": [5]},
        {"organizer": "dana"},
        {"recurrence": ["RRULE:FREQ=SECONDLY"]},
        {"recurrence": ["RRULE:FREQ=DAILY;INTERVAL=0"]},
        {"recurrence": ["RRULE"]},
        {"recurrence": ["RRULE:FREQ=DAILY;COUNT=3", "EXDATE:yesterday"]},
        {"recurrence": 5},
    ],
)
def test_nonsense_is_told_and_spares_its_neighbours(fields: dict[str, Any]) -> None:
    """HOSTILE 1, 3, 7, 8: one event that makes no sense is a sentence for the owner, never an exception."""
    resource = SHELF.resource("ev1", Whole(event(**fields)), WINDOW)
    assert resource.broken.endswith(".")
    assert SHELF.resource("ev1", Whole(event()), WINDOW).occurrences


def test_an_end_before_the_start() -> None:
    """HOSTILE 9: such a meeting takes no time."""
    resource = SHELF.resource(
        "ev1", Whole(event(end={"dateTime": "2026-03-01T09:00:00Z", "timeZone": LISBON})), WINDOW
    )
    [found] = resource.occurrences
    assert (found.start, "ends before it starts" in resource.broken) == (found.end, True)


def test_the_text_holds_everything() -> None:
    """Text, event, text: the same; and what is no such text is a ValueError."""
    whole = Whole(event(recurrence=WEEKLY), {"ev1_x": instance(9)})
    text = whole.write(LISBON)
    assert Whole.read(text) == (whole, LISBON)
    for bad in ("", "5", "[]", "{}", "null"):
        with pytest.raises(ValueError, match=r"."):
            Whole.read(bad)


def test_what_is_over() -> None:
    """Of what a later list leaves out, only what had ended is not gone."""
    by = datetime(2026, 3, 10, tzinfo=UTC)
    texts = {
        True: [event(), event(recurrence=["RRULE:FREQ=DAILY;COUNT=3"])],
        False: [event(recurrence=WEEKLY), event(start={"date": "2026-03-10"}, end={"date": "2026-03-11"})],
    }
    for over, some in texts.items():
        assert [SHELF.is_over(Whole(each).write(LISBON), by) for each in some] == [over, over]
    assert SHELF.is_over(Whole(None, {"x": instance(2)}).write(LISBON), by)
    assert not SHELF.is_over("nonsense", by)


ZONES = st.sampled_from([LISBON, "America/New_York", "Asia/Kolkata", "Nowhere/At_All", "UTC", None])


@st.composite
def moments(draw: st.DrawFn) -> dict[str, str]:
    """A time as Google may write it, near the window or far away, and some that are none."""
    kind = draw(st.sampled_from(["offset", "offset", "offset", "utc", "naive", "date", "bad"]))
    at = draw(st.datetimes(datetime(2026, 1, 20), datetime(2026, 6, 10)))  # noqa: DTZ001 - wall time
    zone = draw(ZONES)
    named = {} if zone is None else {"timeZone": zone}
    at = at.replace(second=0, microsecond=0)
    text = {"offset": f"{at.isoformat()}+02:00", "utc": f"{at.isoformat()}Z", "naive": at.isoformat()}
    if kind == "date":
        return {"date": date(at.year, at.month, at.day).isoformat()}
    return {"dateTime": text.get(kind, "soon")} | named


@settings(max_examples=100, deadline=None)
@given(start=moments(), end=moments())
def test_the_short_way_is_the_long_way(start: dict[str, str], end: dict[str, str]) -> None:
    """Single events are read at once, and exactly as the general expansion would read them."""
    raw = event(start=start, end=end)
    copy = Copy(calendar=SHELF.calendar, href="ev1", etag='"1"', home_zone=LISBON)
    at_once = plain(raw, LISBON, copy, WINDOW)
    found, _ = expand(parsed(raw, [], LISBON, LISBON), copy, WINDOW)
    if at_once is not None:
        assert at_once == found
        assert [(each.start.isoformat(), each.start.fold, each.end.isoformat()) for each in at_once] == [
            (each.start.isoformat(), each.start.fold, each.end.isoformat()) for each in found
        ]


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["", "x", "2026-03-02", "P", "\x00"]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(["dateTime", "date", "email", "self", "private"]), inner, max_size=2
        )
    ),
    max_leaves=4,
)


@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_no_event_whatever_it_says_stops_the_reading(data: st.DataObject) -> None:
    """Fields of any shape: the event is read or told to be broken, alone and in a series."""
    names = sorted(event() | {"attendees": 0, "recurrence": 0, "extendedProperties": 0, "eventType": 0})
    fields = data.draw(st.dictionaries(st.sampled_from(names), ANYTHING, max_size=3))
    odd = event(recurrence=WEEKLY) | fields | {"id": "ev1"}
    for whole in (
        Whole(odd),
        Whole(event(recurrence=WEEKLY), {"a": instance(9) | fields}),
        Whole(None, {"a": odd}),
    ):
        resource = SHELF.resource("ev1", whole, WINDOW)
        assert Whole.read(resource.raw)[0] == whole
    assert is_mine(odd) in {True, False}
    assert is_dismissed(odd) in {True, False}
