"""What an Outlook event means, from plain JSON."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.outlook_events import KEPT, Mailbox, trimmed, uid_of
from connectors.outlook_resource import Shelf, Whole
from connectors.outlook_series import last_day
from rules.attendance import is_away
from rules.model import (
    Address,
    CalendarRef,
    CuType,
    Interval,
    Marks,
    Occurrence,
    PartStat,
    Role,
    Status,
    Timing,
)
from rules.people import my_answer, organized_by_me
from tests.support.fake_graph.uids import foreign, new_global_id
from tests.support.ics import LISBON, WINDOW
from tests.support.meetings import owner

ME, JO, BO = (Address(one) for one in ("dana@va.example", "jo@acme.example", "bo@acme.example"))
MINE = Mailbox(me=ME, mine=frozenset({ME}), alias=ME)
SHELF = Shelf(CalendarRef(account="acme", id="calendar"), MINE, LISBON)
GMT = "GMT Standard Time"
UTC_TIME = "2026-03-02T09:00:00.0000000"


def when(text: str, zone: str = "UTC") -> dict[str, str]:
    """A time as Graph writes it."""
    return {"dateTime": text, "timeZone": zone}


def who(address: str, name: str = "", response: str = "none", kind: str = "required") -> dict[str, Any]:
    """A guest."""
    return {
        "type": kind,
        "status": {"response": response, "time": "0001-01-01T00:00:00Z"},
        "emailAddress": {"name": name or address, "address": address},
    }


def event(**fields: Any) -> dict[str, Any]:
    """Dana's own meeting of an hour with Jo on 2 March; None takes a field away."""
    usual = {
        "@odata.etag": 'W/"1"',
        "id": "ev1",
        "type": "singleInstance",
        "iCalUId": "kickoff",
        "subject": "Kickoff",
        "start": when(UTC_TIME),
        "end": when("2026-03-02T10:00:00.0000000"),
        "originalStartTimeZone": GMT,
        "originalEndTimeZone": GMT,
        "isOrganizer": True,
        "organizer": {"emailAddress": {"name": "Dana Reyes", "address": "Dana@va.example"}},
        "attendees": [who(JO, "Jo")],
        "responseStatus": {"response": "organizer", "time": "0001-01-01T00:00:00Z"},
        "responseRequested": True,
        "showAs": "busy",
    }
    return trimmed({name: value for name, value in (usual | fields).items() if value is not None})


def theirs(answer: str = "accepted", *others: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """Jo's meeting, as it lies in my calendar."""
    usual = {
        "isOrganizer": False,
        "organizer": {"emailAddress": {"name": "Jo", "address": JO}},
        "attendees": [who(ME), *others],
        "responseStatus": {"response": answer, "time": "2026-03-01T09:00:00Z"},
    }
    return event(**usual | fields)


def occurrences(whole: Whole, shelf: Shelf = SHELF) -> tuple[Occurrence, ...]:
    """What it is shown as; it must be wholly readable."""
    resource = shelf.resource("ev1", whole, WINDOW)
    assert not resource.broken, resource.broken
    return resource.occurrences


def one(shown: dict[str, Any] | None = None, shelf: Shelf = SHELF, **fields: Any) -> Occurrence:
    """The one occurrence of such an event."""
    [found] = occurrences(Whole(shown or event(**fields)), shelf)
    return found


def test_an_event_has_the_fields_that_rules_look_at() -> None:
    """Everything Graph says of a meeting, in the words of RFC 5545."""
    found = one(
        location={"displayName": "Room 4"},
        sensitivity="confidential",
        categories=["Sales", "Q1"],
        createdDateTime="2026-01-05T10:11:12.1234567Z",
        lastModifiedDateTime="2026-01-06T10:11:12Z",
        attendees=[
            who("Jo@Acme.example", "Jo", "tentativelyAccepted"),
            who("bo@acme.example", "bo@acme.example", "declined", "optional"),
            who("room4@acme.example", "Room 4", "accepted", "resource"),
        ],
    )
    assert (found.title, found.location, found.private) == ("Kickoff", "Room 4", True)
    assert (found.organizer, found.organizer_name) == (ME, "Dana Reyes")
    assert found.created == datetime(2026, 1, 5, 10, 11, 12, 123456, tzinfo=UTC)
    assert found.categories == ("Sales", "Q1")
    assert [(each.address, each.name, each.partstat, each.role, each.cutype) for each in found.attendees] == [
        ("jo@acme.example", "Jo", PartStat.TENTATIVE, Role.REQUIRED, CuType.INDIVIDUAL),
        ("bo@acme.example", "", PartStat.DECLINED, Role.OPTIONAL, CuType.INDIVIDUAL),
        ("room4@acme.example", "Room 4", PartStat.ACCEPTED, Role.REQUIRED, CuType.RESOURCE),
    ]


@pytest.mark.parametrize(
    ("fields", "shown"),
    [
        ({"showAs": "free"}, (Status.CONFIRMED, True, False)),
        ({"showAs": "workingElsewhere"}, (Status.CONFIRMED, True, False)),
        ({"showAs": "tentative"}, (Status.TENTATIVE, False, False)),
        ({"showAs": "oof"}, (Status.CONFIRMED, False, True)),
        ({"showAs": "unknown"}, (Status.CONFIRMED, False, False)),
        ({"isCancelled": True}, (Status.CANCELLED, False, False)),
        ({"isCancelled": True, "showAs": "free"}, (Status.CANCELLED, True, False)),
    ],
)
def test_what_it_is_shown_as(fields: dict[str, Any], shown: tuple[Status, bool, bool]) -> None:
    """Free and elsewhere take no time, tentative does, out of office is my absence."""
    found = one(**fields)
    assert (found.status, found.transparent, found.away) == shown
    assert is_away(found, Marks()) is shown[2]


def test_my_answer_stands_apart_from_the_guests() -> None:
    """On a copy of somebody else's meeting the list knows nothing; responseStatus does."""
    answers = {
        "accepted": PartStat.ACCEPTED,
        "declined": PartStat.DECLINED,
        "tentativelyAccepted": PartStat.TENTATIVE,
        "notResponded": PartStat.NEEDS_ACTION,
        "none": PartStat.NEEDS_ACTION,
    }
    for answer, partstat in answers.items():
        found = one(theirs(answer))
        assert my_answer(found, owner()) is partstat
        assert not organized_by_me(found, owner())
    in_a_group = one(theirs("accepted", attendees=[who("all@acme.example")]))
    assert my_answer(in_a_group, owner()) is PartStat.ACCEPTED


def test_a_mailbox_may_call_me_otherwise() -> None:
    """Personal accounts go by an address I never use; it is me all the same."""
    odd = Address("outlook_7f@outlook.example")
    shelf = replace(SHELF, mailbox=replace(MINE, alias=odd))
    mine = event(organizer={"emailAddress": {"name": "Dana", "address": odd}})
    assert one(mine, shelf).organizer == ME
    invited = theirs("declined", attendees=[who(odd)])
    assert [(each.address, each.partstat) for each in one(invited, shelf).attendees] == [
        (ME, PartStat.DECLINED)
    ]


def test_a_calendar_of_somebody_else_is_told_as_it_stands() -> None:
    """Whoever shares theirs with me: what is theirs there is not mine."""
    shelf = replace(SHELF, mailbox=Mailbox(me=None, mine=frozenset({ME}), alias=JO))
    jos = event(organizer={"emailAddress": {"name": "Jo", "address": JO}}, attendees=[who(BO)])
    assert one(jos, shelf).organizer == JO
    assert [each.address for each in one(jos, shelf).attendees] == [BO]
    assert not one(event(attendees=[], showAs="oof"), shelf).away


@pytest.mark.parametrize(
    ("shown", "hidden"),
    [
        (event(), False),
        (event(attendees=[who(JO), who(BO)]), False),
        (theirs(), False),
        (theirs("accepted", who(JO)), False),
        (theirs("accepted", who(BO)), True),
        (theirs("accepted", who("room4@acme.example", kind="resource")), False),
        (theirs(hideAttendees=True), True),
        (event(hideAttendees=True), False),
    ],
)
def test_whose_answers_can_be_seen(shown: dict[str, Any], hidden: bool) -> None:
    """The organiser sees all; a guest sees no other guest's answer, but needs none of the organiser's."""
    assert one(shown).guests_hidden is hidden


def test_a_meeting_that_asks_for_no_answer_is_never_unconfirmed() -> None:
    """Graph calls it responseRequested, RFC 5545 RSVP."""
    assert one().rsvp
    assert not one(responseRequested=False).rsvp


def test_a_proposal_is_the_organisers_to_see() -> None:
    """It comes with the guest's answer; nonsense in its place is none."""
    guest = who(JO, "Jo", "declined")
    span = {"start": when("2026-03-05T14:00:00"), "end": when("2026-03-05T15:00:00")}
    [jo] = one(attendees=[guest | {"proposedNewTime": span}]).attendees
    start = datetime(2026, 3, 5, 14, tzinfo=UTC)
    assert (jo.partstat, jo.proposed) == (PartStat.DECLINED, Interval(start, start + timedelta(hours=1)))
    for odd in ({}, {"start": when("x"), "end": when("y")}, {"start": span["end"], "end": span["start"]}):
        [jo] = one(attendees=[guest | {"proposedNewTime": odd}]).attendees
        assert (jo.partstat, jo.proposed) == (PartStat.DECLINED, None)


def test_only_the_organiser_has_the_records_of_a_call() -> None:
    """The join address stands for the call where its reports may be read."""
    call = {"onlineMeeting": {"joinUrl": "https://teams.example/l/1"}}
    assert one(**call).conference == "https://teams.example/l/1"
    assert one(theirs(**call)).conference == ""


def test_a_block_of_time_has_no_organiser() -> None:
    """Nobody is invited: nobody is ever asked."""
    found = one(attendees=[])
    assert (found.organizer, found.attendees) == (None, ())
    assert not organized_by_me(found, owner())


@pytest.mark.parametrize(
    ("zone", "shown", "tzid"),
    [
        (GMT, "09:00", LISBON),
        ("Eastern Standard Time", "04:00", "America/New_York"),
        ("America/New_York", "04:00", "America/New_York"),
        ("UTC", "09:00", "UTC"),
        ("tzone://Microsoft/Utc", "09:00", "UTC"),
        (None, "09:00", LISBON),
    ],
)
def test_the_time_is_shown_in_its_own_zone(zone: str | None, shown: str, tzid: str) -> None:
    """Windows names mean IANA zones; the owner's own where it keeps the same time."""
    found = one(originalStartTimeZone=zone, originalEndTimeZone=zone)
    assert (f"{found.start:%H:%M}", found.tzid, found.timing) == (shown, tzid, Timing.TIMED)


def test_a_zone_that_no_table_knows_is_an_error_to_see() -> None:
    """It is shown in my zone, not acted on, and told."""
    resource = SHELF.resource("ev1", Whole(event(originalStartTimeZone="tzone://Microsoft/Custom")), WINDOW)
    [found] = resource.occurrences
    assert (found.timing, found.start_utc.hour) == (Timing.UNKNOWN_ZONE, 9)
    assert "no table knows its time zone 'tzone://Microsoft/Custom'" in resource.broken


def test_a_whole_day_is_no_time() -> None:
    """Midnight to midnight, wherever it is read."""
    found = one(isAllDay=True, start=when("2026-03-02T00:00:00"), end=when("2026-03-03T00:00:00"))
    assert (found.timing, f"{found.start:%d %H:%M %Z}", f"{found.end:%d %H:%M}") == (
        Timing.ALL_DAY,
        "02 00:00 WET",
        "03 00:00",
    )


def test_the_uid_is_that_of_every_calendar() -> None:
    """The bytes of an instance's date are no part of it; a UID from elsewhere is unwrapped (MS-OXCICAL)."""
    made = new_global_id(datetime(2026, 1, 1, tzinfo=UTC), 1)
    series, instance = (uid_of({"iCalUId": made.text(day)}) for day in (None, date(2026, 3, 9)))
    assert series == instance == made.text()
    assert uid_of({"iCalUId": foreign("abc@google.example").text()}) == "abc@google.example"
    assert uid_of({"iCalUId": foreign("abc@google.example").text(date(2026, 3, 9))}) == "abc@google.example"
    assert uid_of({"iCalUId": "plain@elsewhere.example"}) == "plain@elsewhere.example"
    assert uid_of({"id": "ev1"}) == "ev1"
    assert uid_of({"iCalUId": made.text()[:40]}) == made.text()[:40]


def test_one_meeting_of_a_series_alone_is_known_by_its_day() -> None:
    """I was invited to that instance: in the organiser's calendar it is one of many."""
    made = new_global_id(datetime(2026, 1, 1, tzinfo=UTC), 1)
    found = one(iCalUId=made.text(date(2026, 3, 2)))
    assert (found.key.uid, found.key.recurrence_id) == (made.text(), "20260302T090000Z")
    moved = one(iCalUId=made.text(date(2026, 3, 1)))
    assert moved.key.recurrence_id == "20260301"


SPAN = {"type": "numbered", "startDate": "2026-03-02", "numberOfOccurrences": 3}


@pytest.mark.parametrize(
    ("pattern", "span", "last"),
    [
        ({"type": "daily", "interval": 2}, SPAN, "2026-03-06"),
        ({"type": "weekly", "interval": 1, "daysOfWeek": ["monday", "wednesday"]}, SPAN, "2026-03-09"),
        ({"type": "absoluteMonthly", "interval": 1, "dayOfMonth": 2}, SPAN, "2026-05-02"),
        (
            {"type": "absoluteMonthly", "interval": 1, "dayOfMonth": 31},
            SPAN | {"startDate": "2026-03-31"},
            "2026-05-31",
        ),
        (
            {"type": "relativeMonthly", "interval": 1, "daysOfWeek": ["friday"], "index": "last"},
            SPAN | {"startDate": "2026-03-27"},
            "2026-05-29",
        ),
        ({"type": "absoluteYearly", "interval": 1, "month": 3, "dayOfMonth": 2}, SPAN, "2028-03-02"),
        (
            {"type": "relativeYearly", "interval": 1, "month": 3, "daysOfWeek": ["monday"], "index": "first"},
            SPAN,
            "2028-03-06",
        ),
        ({"type": "daily", "interval": 1}, {"type": "endDate", "endDate": "2026-03-20"}, "2026-03-20"),
        ({"type": "daily", "interval": 1}, {"type": "noEnd", "endDate": "0001-01-01"}, None),
        ({"type": "lunar"}, SPAN, None),
        ({"type": "daily", "interval": 0}, SPAN, "2026-03-04"),
        (5, 6, None),
    ],
)
def test_when_a_series_ends(pattern: Any, span: Any, last: str | None) -> None:
    """By its date, or by counting; nonsense has no end that could be told."""
    found = last_day({"pattern": pattern, "range": span})
    assert found == (date.fromisoformat(last) if last else None)


def test_what_is_kept_is_short() -> None:
    """Of all that Graph sends, the long text is not kept, and what is empty neither."""
    kept = trimmed(event() | {"body": {"content": "long"}, "categories": [], "recurrence": None})
    assert set(kept) <= {*KEPT.split(","), "@odata.etag"}
    assert not {"body", "categories", "recurrence"} & kept.keys()


JUNK: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.just("2026-03-02T09:00:00Z"),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["dateTime", "timeZone", "emailAddress", "address", "response", "x"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=6,
)
FIELDS = sorted({*KEPT.split(","), "@odata.etag"} - {"id"})


@given(
    st.dictionaries(st.sampled_from(FIELDS), JUNK, max_size=4),
    st.dictionaries(st.sampled_from(FIELDS), JUNK, max_size=4),
    st.sampled_from(["singleInstance", "seriesMaster"]),
)
@settings(max_examples=300, deadline=None)
def test_no_event_stops_the_reading_of_a_calendar(
    odd: dict[str, Any], instance: dict[str, Any], kind: str
) -> None:
    """Whatever Graph should send in place of a field, it is told in one sentence, and nothing is raised."""
    master = trimmed(event() | odd | {"type": kind})
    whole = Whole(master, {"i1": {"id": "i1", **instance}, "i2": {"start": odd.get("start"), "end": None}})
    resource = SHELF.resource("ev1", whole, WINDOW)
    again = SHELF.resource("ev1", Whole.read(resource.raw), WINDOW, resource.raw)
    assert again.occurrences == resource.occurrences
    assert resource.occurrences or resource.broken or kind == "seriesMaster" or odd
