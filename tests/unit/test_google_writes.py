"""What is written to Google: times and labels alone, never over a change, and one notice to each guest."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest

from connectors.base import Conflict, ConnectorError, NeedsLogin, Rejected, Resource, Retryable
from rules.model import Address, Interval, Occurrence, PartStat
from tests.support.fake_google import faults
from tests.support.google_account import JO, ME, GoogleAccount, google_account
from tests.support.ics import WINDOW
from tests.support.wire import Answer, Request

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
BO = "bo@elsewhere.example"
PATCH = "calendar.events.patch"


@pytest.fixture
def account() -> Iterator[GoogleAccount]:
    """Dana's account."""
    with google_account() as found:
        yield found


def at(day: int, hour: int = 9) -> datetime:
    """A time in March 2026."""
    return datetime(2026, 3, day, hour, tzinfo=UTC)


def mine(account: GoogleAccount, **fields: object) -> Occurrence:
    """Dana's meeting with Jo, who has an account, and Bo, who has none."""
    account.calendar.event("Kickoff", at(9), at(9) + HOUR, {JO: "accepted", BO: "accepted"}, **fields)  # type: ignore[arg-type]
    account.poll()
    return account.occurrences()[0]


def move(account: GoogleAccount, one: Occurrence) -> Resource:
    """A day later."""
    return account.connector.move(one, one.start + DAY, one.end + DAY)


def test_a_move_is_told_to_each_guest_once(account: GoogleAccount) -> None:
    """Google mails everybody because we ask it to, and so we do not (RFC 6638 says the same of servers)."""
    before = mine(account)
    [after] = move(account, before).occurrences
    assert (after.start, after.sequence) == (before.start + DAY, before.sequence + 1)
    assert [(each.to, each.kind) for each in account.google.notices] == [(JO, "update"), (BO, "update")]
    [jos] = [item for calendar, item in account.google.copies(before.href) if calendar.id == JO]
    assert jos.body["start"]["dateTime"].startswith("2026-03-10T09:00")


def test_a_move_sends_the_times_alone(account: GoogleAccount) -> None:
    """Nothing else goes over the wire, so that no answer and no note can be lost; If-Match guards it."""
    before = mine(account, location="Room 4", recurrence=["RRULE:FREQ=WEEKLY;COUNT=3"])
    move(account, before)
    [request] = account.google.seen(PATCH)
    assert set(request.json) == {"start", "end"}
    assert request.json["start"]["timeZone"] == before.tzid
    assert request.headers["if-match"]
    assert request.one("sendUpdates") == "all"


def test_a_meeting_without_guests_is_told_to_nobody(account: GoogleAccount) -> None:
    """There is nobody to mail."""
    account.calendar.event("Alone", at(9), at(9) + HOUR)
    account.poll()
    move(account, account.occurrences()[0])
    assert account.google.seen(PATCH)[0].one("sendUpdates") == "none"


def test_one_meeting_of_a_series_moves_alone(account: GoogleAccount) -> None:
    """The instance gets its own times under its old name, a second time too; the others stay."""
    mine(account, recurrence=["RRULE:FREQ=WEEKLY;COUNT=3"])
    for _ in range(2):
        second = account.occurrences()[1]
        account.connector.move(second, second.start + 2 * HOUR, second.end + 2 * HOUR)
        account.poll()
    found = account.occurrences()
    assert [f"{one.start:%d %H:%M}" for one in found] == ["09 09:00", "16 13:00", "23 09:00"]
    assert found[1].key.recurrence_id == "20260316T090000Z"
    assert {who.partstat for who in found[1].attendees} == {PartStat.NEEDS_ACTION}
    assert {who.partstat for who in found[0].attendees} == {PartStat.ACCEPTED}


def test_somebody_elses_meeting_is_not_moved(account: GoogleAccount) -> None:
    """Google would refuse, or change our copy alone: nothing is tried. With guestsCanModify it may be."""
    jo = account.google.users[JO].primary
    name = jo.event("Theirs", at(9), at(9) + HOUR, {ME: "accepted"})
    account.poll()
    with pytest.raises(Rejected, match="only its organiser"):
        move(account, account.occurrences()[0])
    assert account.google.count(PATCH) == 0
    account.google.edit(name, guestsCanModify=True)
    account.poll()
    move(account, account.occurrences()[0])
    assert account.google.copies(name)[0][1].body["start"]["dateTime"].startswith("2026-03-10")


@pytest.mark.parametrize("change", ["edit", "answer", "cancel", "instance"])
def test_a_meeting_that_changed_is_not_written_to(account: GoogleAccount, change: str) -> None:
    """Whatever changed since it was read, the move is a Conflict and nothing was sent."""
    before = mine(account, recurrence=["RRULE:FREQ=WEEKLY;COUNT=3"])
    changes: dict[str, Callable[[], None]] = {
        "edit": lambda: account.google.edit(before.href, summary="New"),
        "answer": lambda: account.google.answer(before.href, JO, "declined"),
        "cancel": lambda: account.google.cancel(before.href),
        "instance": lambda: account.google.move(account.google.instance(before.href, at(16)), at(17)),
    }
    changes[change]()
    with pytest.raises(Conflict):
        move(account, before)
    with pytest.raises(Conflict):
        account.connector.label(before, "[held]")
    assert account.google.count(PATCH) == 0


def without_cancelled(_: Request, whole: Answer) -> Answer:
    """The same list without what is cancelled."""
    told = json.loads(whole.body)
    told["items"] = [one for one in told["items"] if one["status"] != "cancelled"]
    return Answer.of(whole.status, told)


@pytest.mark.parametrize("by_uid", [True, False])
def test_a_cancelled_neighbour_is_no_change(account: GoogleAccount, *, by_uid: bool) -> None:
    """Of a series one meeting goes, the others can be moved, whether or not a UID finds what is gone."""
    mine(account, recurrence=["RRULE:FREQ=WEEKLY;COUNT=4"])
    if not by_uid:
        spoiled = faults.Effect(spoil=without_cancelled)
        account.google.fail(
            "calendar.events.list", spoiled, times=None, when=lambda one: "iCalUID" in one.query
        )
    first, second, third, _ = account.occurrences()
    account.google.cancel(account.google.instance(first.href, at(16)))
    with pytest.raises(Conflict):
        account.connector.label(second, "[held]")
    account.connector.move(first, first.start + HOUR, first.end + HOUR)
    found = account.connector.read(account.ref, first.href, WINDOW)
    assert found is not None
    assert [f"{one.start:%d %H}" for one in found.occurrences] == ["09 10", "23 09", "30 09"]
    account.poll()
    assert account.held[first.href] == found
    with pytest.raises(Conflict):  # its neighbour has moved meanwhile
        account.connector.move(third, third.start + HOUR, third.end + HOUR)


@pytest.mark.parametrize(
    ("effect", "error"),
    [
        (faults.error(412), Conflict),
        (faults.error(404), Conflict),
        (faults.error(410, "deleted"), Conflict),
        (faults.error(403, "forbidden"), Rejected),
        (faults.error(400, "invalid"), Rejected),
        (faults.error(409), Rejected),
        (faults.error(401), NeedsLogin),
        (faults.error(429, retry_after=3), Retryable),
        (faults.error(500), Retryable),
        (faults.dropped(kept=False), Retryable),
        (faults.html(), ConnectorError),
    ],
)
def test_a_write_that_fails_is_made_once(
    account: GoogleAccount, effect: faults.Effect, error: type[ConnectorError]
) -> None:
    """Every refusal is named by the next move, and a write is never repeated by itself."""
    before = mine(account)
    account.google.fail(PATCH, effect, times=None)
    with pytest.raises(error):
        move(account, before)
    assert account.google.count(PATCH) == 1


def test_a_write_whose_answer_was_lost_is_not_made_again(account: GoogleAccount) -> None:
    """The server had moved it: the next try finds it changed."""
    before = mine(account)
    account.google.fail(PATCH, faults.dropped(kept=True))
    with pytest.raises(Retryable):
        move(account, before)
    with pytest.raises(Conflict):
        move(account, before)
    assert len(account.google.notices) == 2


def test_a_used_up_quota_stops_writing_for_an_hour(account: GoogleAccount) -> None:
    """403 quotaExceeded lasts for hours: no write is tried meanwhile, while reading goes on."""
    before = mine(account)
    account.google.fail(PATCH, faults.error(403, "quotaExceeded"))
    with pytest.raises(Retryable) as caught:
        move(account, before)
    assert caught.value.retry_after == 3600
    for _ in range(3):
        with pytest.raises(Retryable):
            move(account, before)
    assert account.google.count(PATCH) == 1
    account.poll()
    account.clock.at += 3601
    assert move(account, before).occurrences


def test_a_label_is_nobody_elses_business(account: GoogleAccount) -> None:
    """A private property and a colour of this copy: nobody is told, nobody else sees it, SEQUENCE stays."""
    before = mine(account)
    [after] = account.connector.label(before, "[no-show]").occurrences
    assert (after.categories, after.sequence) == (("[no-show]",), before.sequence)
    assert after.attendees == before.attendees
    [request] = account.google.seen(PATCH)
    assert set(request.json) == {"extendedProperties", "colorId"}
    assert (request.one("sendUpdates"), account.google.notices) == ("none", [])
    [jos] = [item.body for calendar, item in account.google.copies(before.href) if calendar.id == JO]
    assert not jos.keys() & {"extendedProperties", "colorId"}
    assert account.calendar.items[before.href].body["colorId"] == "11"
    account.poll()
    assert account.occurrences()[0].categories == ("[no-show]",)


def test_a_guest_may_label_an_invitation(account: GoogleAccount) -> None:
    """Of somebody else's meeting, one instance too; a colour the owner chose stays."""
    jo = account.google.users[JO].primary
    name = jo.event("T", at(9), at(9) + HOUR, {ME: "accepted"}, recurrence=["RRULE:FREQ=WEEKLY;COUNT=3"])
    account.calendar.items[name].body["colorId"] = "3"
    account.poll()
    account.connector.label(account.occurrences()[1], "[held]")
    account.poll()
    assert [one.categories for one in account.occurrences()] == [(), ("[held]",), ()]
    assert account.calendar.items[account.google.instance(name, at(16))].body["colorId"] == "3"


def test_labels_have_an_end(account: GoogleAccount) -> None:
    """Google keeps 1,024 characters of a property: beyond that the label is refused, not cut."""
    before = mine(account)
    with pytest.raises(Rejected, match="more labels"):
        account.connector.label(before, "x" * 2000)
    assert account.google.count(PATCH) == 0


def test_a_lone_instance_can_be_labelled(account: GoogleAccount) -> None:
    """One meeting of a series that is not in my calendar."""
    jo = account.google.users[JO].primary
    series = jo.event("T", at(9), at(9) + HOUR, {BO: "accepted"}, recurrence=["RRULE:FREQ=WEEKLY;COUNT=3"])
    account.google.edit(account.google.instance(series, at(16)), attendees=[{"email": BO}, {"email": ME}])
    account.poll()
    [one] = account.occurrences()
    assert account.connector.label(one, "[held]").occurrences[0].categories == ("[held]",)


def test_an_event_in_another_zone_stays_there(account: GoogleAccount) -> None:
    """The new time is given in the event's own zone, whatever zone we think in."""
    where = "America/New_York"
    start, end = ({"dateTime": f"2026-03-06T{hour}:00:00-05:00", "timeZone": where} for hour in ("10", "11"))
    account.calendar.event("T", start, end, {JO: "accepted"})
    account.poll()
    [before] = account.occurrences()
    [after] = account.connector.move(before, at(9, 14), at(9, 15)).occurrences
    assert (f"{after.start:%d %H:%M}", after.tzid) == ("09 10:00", where)  # the clocks changed on the 8th
    assert account.google.seen(PATCH)[0].json["start"]["dateTime"] == "2026-03-09T10:00:00-04:00"


def test_when_others_are_busy(account: GoogleAccount) -> None:
    """Busy times of whom Google lets us see; None for everybody else, which is not "free"."""
    jo = account.google.users[JO].primary
    jo.roles[ME] = "freeBusyReader"
    jo.event("Dentist", at(9), at(9) + HOUR)
    jo.event("Free", at(10), at(10) + HOUR, transparency="transparent")
    jo_, bo = Address(JO), Address(BO)
    found = account.connector.free_busy([jo_, bo], WINDOW)
    assert found == {jo_: [Interval(at(9), at(9) + HOUR)], bo: None}
    many = [Address(f"a{number}@elsewhere.example") for number in range(120)]
    assert set(account.connector.free_busy(many, WINDOW).values()) == {None}
    assert account.google.count("calendar.freebusy.query") == 4
