"""A new time with others through Outlook: proposals, new meetings, and when people are free."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from connectors.base import (
    Conflict,
    ConnectorError,
    NeedsLogin,
    NewMeeting,
    Rejected,
    Retryable,
    Uncertain,
)
from rules.model import Address, Attendee, CalendarRef, CuType, Interval, Occurrence, PartStat, Role
from tests.support import faults
from tests.support.fake_graph.graph_errors import error
from tests.support.followed import Followed
from tests.support.ics import WINDOW
from tests.support.outlook_account import JO, ME, NOW, OutlookAccount, connect, outlook_account

HOUR = timedelta(hours=1)
SPAN = Interval(datetime(2026, 3, 11, 14, tzinfo=UTC), datetime(2026, 3, 11, 15, tzinfo=UTC))
BO = Address("bo@elsewhere.example")
CREATE, SCHEDULE = "events.create", "getSchedule"


@pytest.fixture
def account() -> Iterator[OutlookAccount]:
    """Dana's mailbox."""
    with outlook_account() as found:
        yield found


def at(day: int, hour: int = 9) -> datetime:
    """A time in March 2026."""
    return datetime(2026, 3, day, hour, tzinfo=UTC)


A_WEEK = Interval(at(6), at(13))


def weekly(count: int = 3) -> dict[str, Any]:
    """Every Monday from the ninth of March, so many times."""
    pattern = {"type": "weekly", "interval": 1, "daysOfWeek": ["monday"], "firstDayOfWeek": "monday"}
    span = {"type": "numbered", "startDate": "2026-03-09", "numberOfOccurrences": count}
    return {"pattern": pattern, "range": span}


def theirs(account: OutlookAccount, **fields: Any) -> Occurrence:
    """Jo's meeting with Dana."""
    jo = account.graph.users[JO].primary
    jo.event("Theirs", at(9), at(9) + HOUR, {ME: "accepted"}, **fields)
    account.poll()
    return account.occurrences()[0]


class Commits:
    """Counts how often it was committed to."""

    def __init__(self, error: Exception | None = None) -> None:
        self.count = 0
        self.error = error

    def __call__(self) -> None:
        """The next byte may make the server keep it."""
        self.count += 1
        if self.error:
            raise self.error


def propose(account: OutlookAccount, one: Occurrence, commits: Commits, *, decline: bool = False) -> None:
    """Wednesday at two."""
    account.connector.propose(one, SPAN, words="Wednesday?", decline=decline, committing=commits)


@pytest.mark.parametrize("series", [False, True])
@pytest.mark.parametrize(
    ("decline", "route", "said"),
    [(False, "tentativelyAccept", PartStat.TENTATIVE), (True, "decline", PartStat.DECLINED)],
)
def test_another_time_is_proposed_once(
    account: OutlookAccount, *, series: bool, decline: bool, route: str, said: PartStat
) -> None:
    """The organiser is told by Exchange, once, and sees who asks for which time; the meeting stays."""
    commits = Commits()
    before = theirs(account, recurrence=weekly() if series else None)
    propose(account, before, commits, decline=decline)
    assert (commits.count, account.graph.count(f"events.{route}")) == (1, 1)
    [told] = account.graph.notices
    assert (told.to, told.kind, told.comment, told.by) == (JO, "response", "Wednesday?", ME)
    jos = CalendarRef(account="acme", id=account.graph.users[JO].primary.id)
    seen = Followed(connector=connect(account.graph, JO), ref=jos)
    seen.poll()
    first, *others = seen.occurrences()
    assert (first.start_utc, first.attendees[0].partstat) == (at(9), said)
    assert first.attendees[0].proposed == SPAN
    assert {one.attendees[0].proposed for one in others} <= {None}
    seen.connector.close()


def test_a_proposal_that_cannot_be_is_not_sent(account: OutlookAccount) -> None:
    """Where the organiser takes none, or is me: Graph would answer 400, and nothing is committed to."""
    commits = Commits()
    with pytest.raises(Rejected, match="takes no proposals"):
        propose(account, theirs(account, allowNewTimeProposals=False), commits)
    account.calendar.event("Mine", at(8), at(8) + HOUR, {JO: "none"})
    account.poll()
    with pytest.raises(Rejected, match="yours to move"):
        propose(account, account.occurrences()[0], commits)
    assert commits.count == 0
    assert {request.method for request in account.graph.requests} == {"GET"}


def test_a_proposal_for_what_is_gone_is_a_conflict(account: OutlookAccount) -> None:
    """There is nothing left to answer."""
    commits = Commits()
    before = theirs(account)
    account.graph.delete(before.href, ME)
    with pytest.raises(Conflict, match="no longer"):
        propose(account, before, commits)
    assert commits.count == 0


@pytest.mark.parametrize(
    ("effect", "raised"),
    [
        (faults.dropped(kept=True), Uncertain),
        (faults.dropped(kept=False), Uncertain),
        (error(500), Uncertain),
        (faults.html(), Uncertain),
        (error(400), Rejected),
        (error(404), Conflict),
        (error(401), NeedsLogin),
        (error(429, retry_after=3), Retryable),
    ],
)
def test_a_proposal_is_never_made_twice(
    account: OutlookAccount, effect: faults.Effect, raised: type[ConnectorError]
) -> None:
    """A clear answer is no doubt, and all else is; either way it was sent once."""
    commits = Commits()
    before = theirs(account)
    account.graph.fail("events.tentativelyAccept", effect, times=None)
    with pytest.raises(raised):
        propose(account, before, commits)
    assert (commits.count, account.graph.count("events.tentativelyAccept")) == (1, 1)


def test_a_fence_that_closes_stops_a_proposal(account: OutlookAccount) -> None:
    """The error comes back unchanged, and not a byte of what was asked for has left."""
    with pytest.raises(KeyError, match="ours"):
        propose(account, theirs(account), Commits(KeyError("ours")))
    assert {request.body for request in account.graph.seen("events.tentativelyAccept")} <= {b""}


def new(**more: Any) -> NewMeeting:
    """Another kickoff with Jo."""
    start = datetime(2026, 3, 11, 14, tzinfo=ZoneInfo("Europe/Lisbon"))
    fields: dict[str, Any] = {"made_at": NOW, "title": "Kickoff", "start": start, "end": start + HOUR}
    return NewMeeting(**fields | {"attendees": (Attendee(address=Address(JO), name="Jo"),)} | more)


def test_a_meeting_is_made_once_for_its_key(account: OutlookAccount) -> None:
    """However often it is asked for; everybody is invited by Exchange, once."""
    first = account.connector.create(account.ref, new(), "key-1")
    assert account.connector.create(account.ref, new(), "key-1") == first
    account.graph.fail(CREATE, faults.dropped(kept=True))
    with pytest.raises(Retryable):
        account.connector.create(account.ref, new(title="Next"), "key-2")
    account.connector.create(account.ref, new(title="Next"), "key-2")
    assert [(told.to, told.kind) for told in account.graph.notices] == [(JO, "invitation")] * 2
    names = [request.json["transactionId"] for request in account.graph.seen(CREATE)]
    assert (len(set(names)), {len(name) for name in names}) == (2, {36})
    account.poll()
    assert [one.title for one in account.occurrences()] == ["Kickoff", "Next"]
    assert account.held[first.href].occurrences == first.occurrences


def test_a_new_meeting_says_what_was_asked_for(account: OutlookAccount) -> None:
    """Its zone, who has to come, who may, the room, and that it is held in a call."""
    people = (
        Attendee(address=Address(JO), name="Jo"),
        Attendee(address=BO, role=Role.OPTIONAL),
        Attendee(address=Address("room@acme.example"), cutype=CuType.ROOM),
    )
    made = new(attendees=people, location="Room 4", words="As agreed.", online=True, related="kickoff")
    [one] = account.connector.create(account.ref, made, "key").occurrences
    [kept] = account.calendar.items.values()
    assert list(kept.extended.values()) == ["kickoff"]
    assert (one.start, one.end, one.tzid) == (made.start, made.end, "Europe/Lisbon")
    assert (one.title, one.location, one.organizer) == ("Kickoff", "Room 4", ME)
    found = {who.address: (who.role, who.cutype, who.partstat) for who in one.attendees}
    waits = PartStat.NEEDS_ACTION
    assert found == {
        JO: (Role.REQUIRED, CuType.INDIVIDUAL, waits),
        BO: (Role.OPTIONAL, CuType.INDIVIDUAL, waits),
        "room@acme.example": (Role.REQUIRED, CuType.RESOURCE, waits),
    }
    sent = account.graph.seen(CREATE)[0].json
    assert sent["start"] == {"dateTime": "2026-03-11T14:00:00", "timeZone": "Europe/Lisbon"}
    assert (sent["isOnlineMeeting"], sent["body"]["content"]) == (True, "As agreed.")


@pytest.mark.parametrize(
    ("effect", "raised"),
    [
        (error(403), Rejected),
        (error(400), Rejected),
        (error(401), NeedsLogin),
        (error(429, retry_after=3), Retryable),
        (error(503), Retryable),
        (faults.truncated(), Retryable),
        (faults.answer(201, b"{}"), Retryable),
        (faults.answer(202), Retryable),
        (faults.html(), ConnectorError),
    ],
)
def test_a_meeting_that_cannot_be_made_says_so(
    account: OutlookAccount, effect: faults.Effect, raised: type[ConnectorError]
) -> None:
    """By the next move; it is not tried again by itself."""
    account.graph.fail(CREATE, effect, times=None)
    with pytest.raises(raised):
        account.connector.create(account.ref, new(), "key")
    assert account.graph.count(CREATE) == 1


def test_when_others_are_busy(account: OutlookAccount) -> None:
    """Whatever is not certainly free; None for whom Exchange does not know, which is not "free"."""
    jo = account.graph.users[JO].primary
    shown = ("busy", "tentative", "oof", "unknown", "free", "workingElsewhere")
    for hour, show in enumerate(shown, start=9):
        jo.event(show, at(9, hour), at(9, hour) + HOUR, showAs=show, zone="Eastern Standard Time")
    jo.event("Weekly", at(9, 18), at(9, 18) + HOUR, recurrence=weekly())
    window = Interval(at(9), at(17, 0))
    found = account.connector.free_busy([Address(JO), BO], window)
    starts = [at(9, 9), at(9, 10), at(9, 11), at(9, 12), at(9, 18), at(16, 18)]
    assert found == {JO: [Interval(one, one + HOUR) for one in starts], BO: None}
    assert account.connector.free_busy([], window) == {}


def test_many_people_are_asked_about_in_turns(account: OutlookAccount) -> None:
    """Twenty at a time; each has their own answer."""
    people = [Address(f"a{number}@elsewhere.example") for number in range(44)] + [Address(JO)]
    account.graph.users[JO].primary.event("T", at(9), at(9) + HOUR)
    found = account.connector.free_busy(people, A_WEEK)
    assert list(found) == people
    assert {one for one in people if found[one] is not None} == {JO}
    assert [len(request.json["schedules"]) for request in account.graph.seen(SCHEDULE)] == [20, 20, 5]


def test_a_long_time_is_asked_about_in_pieces(account: OutlookAccount) -> None:
    """Of no more than 42 days, which join without a gap."""
    jo = account.graph.users[JO].primary
    starts = [WINDOW.start + timedelta(days=days) for days in (0, 41, 42, 83, 100)]
    for start in starts:
        jo.event("T", start, start + HOUR)
    found = account.connector.free_busy([Address(JO)], WINDOW)
    assert found == {JO: [Interval(start, start + HOUR) for start in starts]}
    spans = [
        tuple(request.json[name]["dateTime"][:10] for name in ("startTime", "endTime"))
        for request in account.graph.seen(SCHEDULE)
    ]
    assert spans == [("2026-02-01", "2026-03-15"), ("2026-03-15", "2026-04-26"), ("2026-04-26", "2026-06-01")]


@pytest.mark.parametrize(
    "told",
    [
        b'{"value": []}',
        b'{"value": [{"scheduleId": "jo@acme.example"}]}',
        b'{"value": [{"scheduleId": "jo@acme.example", "scheduleItems": [{"status": "busy"}]}]}',
        b'{"value": [{"scheduleId": "jo@acme.example", "scheduleItems": [5]}]}',
        b'{"value": [{"scheduleId": "jo@acme.example", "scheduleItems": [], "error": {"message": "x"}}]}',
    ],
)
def test_who_is_not_told_of_is_not_free(account: OutlookAccount, told: bytes) -> None:
    """An answer that does not say, in one of its pieces, is none."""
    account.graph.fail(SCHEDULE, faults.answer(200, told), after=1)
    assert account.connector.free_busy([Address(JO)], WINDOW) == {JO: None}


@pytest.mark.parametrize(
    ("effect", "raised"), [(error(403), Rejected), (error(429), Retryable), (faults.truncated(), Retryable)]
)
def test_a_question_that_fails_is_told(
    account: OutlookAccount, effect: faults.Effect, raised: type[ConnectorError]
) -> None:
    """A personal account has no such thing."""
    account.graph.fail(SCHEDULE, effect, times=None)
    with pytest.raises(raised):
        account.connector.free_busy([Address(JO)], A_WEEK)
