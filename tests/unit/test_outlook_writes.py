"""What is written to Outlook: times and categories alone, never over a change, and told by Exchange once."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from connectors.base import Conflict, ConnectorError, NeedsLogin, Rejected, Resource, Retryable
from rules.model import Occurrence, PartStat
from tests.support import faults
from tests.support.fake_graph.graph_errors import error
from tests.support.outlook_account import JO, ME, OutlookAccount, outlook_account
from tests.support.wire import Answer, Request

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
BO = "bo@elsewhere.example"
PATCH = "events.patch"
NEW_YORK = "Eastern Standard Time"


@pytest.fixture
def account() -> Iterator[OutlookAccount]:
    """Dana's mailbox."""
    with outlook_account() as found:
        yield found


def at(day: int, hour: int = 9, month: int = 3) -> datetime:
    """A time in 2026, in March where nothing else is said."""
    return datetime(2026, month, day, hour, tzinfo=UTC)


def weekly(count: int = 3) -> dict[str, Any]:
    """Every Monday from the ninth of March, so many times."""
    pattern = {"type": "weekly", "interval": 1, "daysOfWeek": ["monday"], "firstDayOfWeek": "monday"}
    span = {"type": "numbered", "startDate": "2026-03-09", "numberOfOccurrences": count}
    return {"pattern": pattern, "range": span}


def mine(account: OutlookAccount, **fields: Any) -> Occurrence:
    """Dana's meeting with Jo, who has an account, and Bo, who has none."""
    account.calendar.event("Kickoff", at(9), at(9) + HOUR, {JO: "accepted", BO: "accepted"}, **fields)
    account.poll()
    return account.occurrences()[0]


def theirs(account: OutlookAccount, **fields: Any) -> Occurrence:
    """Jo's meeting with Dana."""
    jo = account.graph.users[JO].primary
    jo.event("Theirs", at(9), at(9) + HOUR, {ME: "accepted"}, **fields)
    account.poll()
    return account.occurrences()[0]


def move(account: OutlookAccount, one: Occurrence) -> Resource:
    """A day later."""
    return account.connector.move(one, one.start + DAY, one.end + DAY)


def answers(one: Occurrence) -> set[PartStat]:
    """What its guests said."""
    return {who.partstat for who in one.attendees}


def test_a_move_is_told_to_each_guest_once(account: OutlookAccount) -> None:
    """Exchange mails everybody by itself, and so we do not."""
    before = mine(account)
    [after] = move(account, before).occurrences
    assert (after.start, after.end) == (before.start + DAY, before.end + DAY)
    assert sorted((each.to, each.kind) for each in account.graph.notices) == [(BO, "update"), (JO, "update")]
    [jos] = account.graph.users[JO].primary.items.values()
    assert jos.start == at(10)
    account.poll()
    assert account.held[before.href].occurrences == (after,)


def test_a_move_sends_the_times_alone(account: OutlookAccount) -> None:
    """Nothing else goes over the wire, so that no answer and no note can be lost; If-Match guards it."""
    before = mine(account, location="Room 4", body="Agenda", categories=["Blue"])
    move(account, before)
    [request] = account.graph.seen(PATCH)
    assert request.json == {
        "start": {"dateTime": "2026-03-10T09:00:00", "timeZone": "GMT Standard Time"},
        "end": {"dateTime": "2026-03-10T10:00:00", "timeZone": "GMT Standard Time"},
    }
    assert request.headers["if-match"] == before.etag
    item = account.graph.find(before.href)
    assert (item.fields["location"], item.fields["body"], len(item.guests)) == ("Room 4", "Agenda", 2)


def test_an_event_in_another_zone_stays_there(account: OutlookAccount) -> None:
    """The new time is given in the event's own zone by its Windows name, across the change of the clocks."""
    start = at(6, 15)
    account.calendar.event("T", start, start + HOUR, {JO: "accepted"}, zone=NEW_YORK)
    account.poll()
    [before] = account.occurrences()
    assert (f"{before.start:%d %H:%M}", before.tzid) == ("06 10:00", "America/New_York")
    [after] = account.connector.move(before, at(9, 14), at(9, 15)).occurrences
    assert (f"{after.start:%d %H:%M}", after.tzid) == ("09 10:00", "America/New_York")  # a Sunday between
    times = account.graph.seen(PATCH)[0].json
    assert times["start"] == {"dateTime": "2026-03-09T10:00:00", "timeZone": NEW_YORK}


@pytest.mark.parametrize(
    ("zone", "start", "told"),
    [
        ("GMT Standard Time", at(24, 23, 10), ("2026-10-25T00:00:00", "GMT Standard Time")),
        ("GMT Standard Time", at(25, 0, 10), ("2026-10-25T00:00:00", "UTC")),
        ("GMT Standard Time", at(25, 1, 10), ("2026-10-25T01:00:00", "UTC")),
        ("GMT Standard Time", at(25, 2, 10), ("2026-10-25T02:00:00", "GMT Standard Time")),
        ("GMT Standard Time", at(29, 1), ("2026-03-29T02:00:00", "GMT Standard Time")),
        ("tzone://Microsoft/Utc", at(10), ("2026-03-10T09:00:00", "UTC")),
        ("tzone://Microsoft/Custom", at(10), ("2026-03-10T09:00:00", "UTC")),
        ("Europe/Paris", at(10), ("2026-03-10T10:00:00", "Europe/Paris")),
    ],
)
def test_a_time_that_would_not_be_clear_is_told_in_utc(
    account: OutlookAccount, zone: str, start: datetime, told: tuple[str, str]
) -> None:
    """An hour that autumn brings twice, and a zone that has no name to write: the instant stays right."""
    account.calendar.event("T", at(9), at(9) + HOUR, {JO: "accepted"}, zone=zone)
    account.poll()
    [after] = account.connector.move(account.occurrences()[0], start, start + HOUR).occurrences
    assert (after.start_utc, after.end_utc) == (start, start + HOUR)
    time = account.graph.seen(PATCH)[0].json["start"]
    assert (time["dateTime"], time["timeZone"]) == told


def test_one_meeting_of_a_series_moves_alone(account: OutlookAccount) -> None:
    """The instance gets its own times under its old name, a second time too; the others stay."""
    mine(account, recurrence=weekly())
    for _ in range(2):
        second = account.occurrences()[1]
        [after] = account.connector.move(second, second.start + 2 * HOUR, second.end + 2 * HOUR).occurrences
        account.poll()
        assert after == account.occurrences()[1]
    found = account.occurrences()
    assert [f"{one.start:%d %H:%M}" for one in found] == ["09 09:00", "16 13:00", "23 09:00"]
    assert found[1].key.recurrence_id == "20260316T090000Z"
    assert (answers(found[1]), answers(found[0])) == ({PartStat.NEEDS_ACTION}, {PartStat.ACCEPTED})


def test_one_meeting_of_a_series_does_not_pass_another(account: OutlookAccount) -> None:
    """Exchange keeps their order: what it refuses is told in its own words."""
    first = mine(account, recurrence=weekly())
    with pytest.raises(Rejected, match="adjacent occurrence"):
        account.connector.move(first, at(17), at(17) + HOUR)


def test_somebody_elses_meeting_is_not_moved(account: OutlookAccount) -> None:
    """Exchange would refuse, or change our copy alone: nothing is tried."""
    with pytest.raises(Rejected, match="only its organiser"):
        move(account, theirs(account))
    assert account.graph.count(PATCH) == 0


CHANGES: dict[str, Callable[[OutlookAccount, str], None]] = {
    "edit": lambda account, name: account.graph.edit(name, subject="New"),
    "answer": lambda account, name: account.graph.answer(name, JO, "declined"),
    "move": lambda account, name: account.graph.move(name, account.graph.find(name).start + HOUR),
    "cancel": lambda account, name: account.graph.cancel(name),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("series", [False, True])
def test_a_meeting_that_changed_is_not_written_to(
    account: OutlookAccount, change: str, *, series: bool
) -> None:
    """Whatever changed in it since it was read, or it is gone: a Conflict, and nothing was sent."""
    before = mine(account, recurrence=weekly() if series else None)
    name = account.graph.instance(before.href, at(9)) if series else before.href
    CHANGES[change](account, name)
    with pytest.raises(Conflict):
        move(account, before)
    with pytest.raises(Conflict):
        account.connector.label(before, "[held]")
    assert account.graph.count(PATCH) == 0


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_of_a_neighbour_is_none(account: OutlookAccount, change: str) -> None:
    """What became of another meeting of the series does not matter to this one."""
    first = mine(account, recurrence=weekly())
    changed = account.graph.instance(first.href, at(23))
    CHANGES[change](account, changed)
    account.connector.label(first, "[held]")
    account.poll()
    [after] = move(account, account.occurrences()[0]).occurrences
    assert after.categories == ("[held]",)


@pytest.mark.parametrize("series", [False, True])
def test_a_change_while_it_is_written_is_kept(account: OutlookAccount, *, series: bool) -> None:
    """Between our reading and our writing: If-Match refuses it."""
    before = mine(account, recurrence=weekly() if series else None)
    name = account.graph.instance(before.href, at(9)) if series else before.href

    def change(_: Request) -> None:
        account.graph.heal()
        account.graph.edit(name, subject="New")

    account.graph.fail(PATCH, faults.Effect(prepare=change))
    with pytest.raises(Conflict, match="was changed"):
        move(account, before)
    assert account.graph.find(name).start == at(9)


def without_etag(_: Request, whole: Answer) -> Answer:
    """The same without what would guard a change."""
    told = {name: value for name, value in json.loads(whole.body).items() if name != "@odata.etag"}
    return Answer.of(whole.status, told)


def test_nothing_is_written_unguarded(account: OutlookAccount) -> None:
    """Without an etag nobody would know what was written over."""
    first = mine(account, recurrence=weekly())
    account.graph.fail("events.get", faults.Effect(spoil=without_etag), after=1)
    with pytest.raises(Retryable, match="not whole"):
        move(account, first)
    assert account.graph.count(PATCH) == 0


@pytest.mark.parametrize(
    ("effect", "raised"),
    [
        (error(412), Conflict),
        (error(409), Conflict),
        (error(404), Conflict),
        (error(410), Conflict),
        (error(403), Rejected),
        (error(400), Rejected),
        (error(401), NeedsLogin),
        (error(429, retry_after=3), Retryable),
        (error(500), Retryable),
        (error(503), Retryable),
        (faults.dropped(kept=False), Retryable),
        (faults.truncated(), Retryable),
        (faults.html(), ConnectorError),
    ],
)
def test_a_write_that_fails_is_made_once(
    account: OutlookAccount, effect: faults.Effect, raised: type[ConnectorError]
) -> None:
    """Every refusal is named by the next move, and a write is never repeated by itself."""
    before = mine(account)
    account.graph.fail(PATCH, effect, times=None)
    with pytest.raises(raised):
        move(account, before)
    assert account.graph.count(PATCH) == 1


def test_a_write_whose_answer_was_lost_is_not_made_again(account: OutlookAccount) -> None:
    """The server had moved it: the next try finds it changed."""
    before = mine(account)
    account.graph.fail(PATCH, faults.dropped(kept=True))
    with pytest.raises(Retryable):
        move(account, before)
    with pytest.raises(Conflict):
        move(account, before)
    assert len(account.graph.notices) == 2


def test_a_label_is_nobody_elses_business(account: OutlookAccount) -> None:
    """One more category of this mailbox: nobody is told, nobody else sees it."""
    before = mine(account, categories=["Blue"])
    [after] = account.connector.label(before, "[no-show]").occurrences
    assert (after.categories, after.attendees) == (("Blue", "[no-show]"), before.attendees)
    [request] = account.graph.seen(PATCH)
    assert request.json == {"categories": ["Blue", "[no-show]"]}
    assert request.headers["if-match"]
    assert account.graph.notices == []
    [jos] = account.graph.users[JO].primary.items.values()
    assert jos.fields["categories"] == []
    account.poll()
    assert account.occurrences()[0].categories == ("Blue", "[no-show]")


def test_a_label_is_put_once(account: OutlookAccount) -> None:
    """In any case of letters; where it is there already nothing is written, though it changed meanwhile."""
    before = mine(account)
    account.connector.label(before, "[No-Show]")
    [after] = account.connector.label(before, "[no-show]").occurrences
    assert after.categories == ("[No-Show]",)
    assert account.graph.count(PATCH) == 1


def test_a_guest_may_label_an_invitation(account: OutlookAccount) -> None:
    """Of somebody else's meeting, one of its series alone."""
    theirs(account, recurrence=weekly())
    account.connector.label(account.occurrences()[1], "[held]")
    account.poll()
    assert [one.categories for one in account.occurrences()] == [(), ("[held]",), ()]
    assert account.graph.notices == []


def test_a_lone_instance_can_be_labelled(account: OutlookAccount) -> None:
    """One meeting of a series that is not in my calendar."""
    one = theirs(account, instance_of=at(9).date())
    assert account.connector.label(one, "[held]").occurrences[0].categories == ("[held]",)
