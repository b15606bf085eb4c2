"""Outlook's rounds: nothing lost, nothing told twice, nothing removed for want of an answer."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from connectors.base import ConnectorError, Cursor, Known
from connectors.outlook_sync import MOST_LOOKED_UP
from rules.model import CalendarRef, PartStat, Status
from tests.support.ics import WINDOW
from tests.support.outlook_account import JO, ME, OutlookAccount, connect, outlook_account

HOUR = timedelta(hours=1)
DELTA = "calendarView.delta"
FAR = datetime(2027, 6, 1, 9, tzinfo=UTC)


def weekly(count: int = 4, day: str = "monday", first: str = "2026-03-09") -> dict[str, Any]:
    """Every week, so many times."""
    pattern = {"type": "weekly", "interval": 1, "daysOfWeek": [day], "firstDayOfWeek": "monday"}
    span = {"type": "numbered", "startDate": first, "numberOfOccurrences": count}
    return {"pattern": pattern, "range": span}


@pytest.fixture
def account() -> Iterator[OutlookAccount]:
    """Dana's mailbox."""
    with outlook_account() as found:
        yield found


def at(day: int, hour: int = 9) -> datetime:
    """A time in March 2026."""
    return datetime(2026, 3, day, hour, tzinfo=UTC)


def mine(account: OutlookAccount, title: str, day: int = 9, **more: Any) -> str:
    """Dana's meeting with Jo; its id."""
    return account.calendar.event(title, at(day), at(day) + HOUR, {JO: "accepted"}, **more)


def titles(account: OutlookAccount) -> list[str]:
    """What is held, by start."""
    return [one.title for one in account.occurrences()]


def routes(account: OutlookAccount) -> list[str]:
    """What was asked."""
    return [request.route for request in account.graph.requests]


def test_an_idle_poll_is_one_request_for_each_calendar(account: OutlookAccount) -> None:
    """Nothing but the rounds is asked, and no calendar is read again; so for hours."""
    work = account.me.calendar("Work")
    refs = [account.ref, CalendarRef(account="acme", id=work.id)]
    for _ in range(2):
        assert [info.ref for info in account.connector.calendars()] == refs
    cursors = {ref: account.connector.poll(ref, WINDOW, Known()).cursor for ref in refs}
    account.graph.requests.clear()
    for _ in range(5):
        account.connector.calendars()
        assert account.connector.changed_calendars(cursors) == frozenset()
    assert routes(account) == [DELTA] * 10


def test_a_change_costs_no_further_request(account: OutlookAccount) -> None:
    """What the idle question was answered is what the poll goes on from."""
    account.poll()
    account.connector.calendars()
    mine(account, "New")
    account.graph.requests.clear()
    assert account.connector.changed_calendars({account.ref: account.cursor}) == {account.ref}
    account.poll()
    assert (titles(account), routes(account)) == (["New"], [DELTA])
    assert account.poll().changed == ()


def test_links_are_followed_word_for_word(account: OutlookAccount, monkeypatch: pytest.MonkeyPatch) -> None:
    """Graph refuses a link to which anything was added; progress is told page by page."""
    monkeypatch.setattr("connectors.outlook_sync.SIZES", (2, 1))
    for day in range(2, 9):
        mine(account, f"e{day}", day)
    told: list[tuple[int, int]] = []
    changes = account.connector.poll(
        account.ref, WINDOW, Known(), lambda done, total: told.append((done, total))
    )
    assert len(changes.changed) == 7
    assert told == [(2, 2), (4, 4), (6, 6), (7, 7)]
    prefers = {request.headers["prefer"] for request in account.graph.seen(DELTA)}
    assert prefers == {'IdType="ImmutableId", outlook.timezone="UTC", odata.maxpagesize=2'}


def test_a_plain_instance_gets_what_its_series_says(account: OutlookAccount) -> None:
    """Graph tells no more of it than its times: title, people and answers are the series'."""
    mine(account, "Weekly", recurrence=weekly())
    account.poll()
    assert titles(account) == ["Weekly"] * 4
    assert {len(one.attendees) for one in account.occurrences()} == {1}
    assert [one.key.recurrence_id for one in account.occurrences()] == [
        f"202603{day:02}T090000Z" for day in (9, 16, 23)
    ] + ["20260330T080000Z"]
    assert [one.final for one in account.occurrences()] == [False, False, False, True]


@pytest.mark.parametrize("tells_masters", [True, False])
def test_a_series_that_is_told_without_its_master_is_looked_up(
    account: OutlookAccount, monkeypatch: pytest.MonkeyPatch, tells_masters: bool
) -> None:
    """Masters may come on another page than their instances, or not at all."""
    monkeypatch.setattr("connectors.outlook_sync.SIZES", (1,))
    account.graph.tells_masters = tells_masters
    account.graph.masters_last = account.graph.splits_series = True
    series = mine(account, "Weekly", recurrence=weekly())
    account.poll()
    account.graph.edit(series, subject="Weekly talk")
    account.poll()
    assert titles(account) == ["Weekly talk"] * 4


def test_changed_and_vanished_instances_are_seen(account: OutlookAccount) -> None:
    """An answer, a move and a cancellation of single instances; the others stay as they were."""
    series = mine(account, "Weekly", recurrence=weekly())
    account.poll()
    account.graph.answer(account.graph.instance(series, at(16)), JO, "declined")
    account.graph.move_instance(series, at(23), at(24, 15))
    account.graph.delete_instance(series, at(9))
    [changed] = account.poll().changed
    assert changed.href == series
    assert [
        (f"{one.start:%d %H}", one.key.recurrence_id, one.attendees[0].partstat)
        for one in changed.occurrences
    ] == [
        ("16 09", "20260316T090000Z", PartStat.DECLINED),
        ("24 15", "20260323T090000Z", PartStat.NEEDS_ACTION),
        ("30 09", "20260330T080000Z", PartStat.ACCEPTED),
    ]


def test_removed_is_looked_up_before_it_is_believed(account: OutlookAccount) -> None:
    """What was moved out of the round's window is not gone; what was deleted is."""
    moved, deleted, stays = (mine(account, name, day) for name, day in (("a", 3), ("b", 4), ("c", 5)))
    account.poll()
    account.graph.move(moved, FAR)
    account.graph.delete(deleted, ME)
    changes = account.poll()
    assert changes.removed == {deleted}
    assert [(one.href, one.occurrences) for one in changes.changed] == [(moved, ())]
    assert set(account.held) == {moved, stays}
    account.graph.move(moved, at(6))
    account.poll()
    assert titles(account) == ["c", "a"]


def test_a_meeting_called_off_by_its_organiser_stays_and_says_so(account: OutlookAccount) -> None:
    """Exchange keeps the guest's copy, marked; removed by the guest it is no more than gone."""
    jo = account.graph.users[JO].primary
    theirs = jo.event("Theirs", at(9), at(9) + HOUR, {ME: "accepted"})
    account.poll()
    account.graph.cancel(theirs)
    [changed] = account.poll().changed
    assert [one.status for one in changed.occurrences] == [Status.CANCELLED]
    account.graph.delete(changed.href, ME)
    changes = account.poll()
    assert (changes.removed, changes.cancelled) == ({changed.href}, frozenset())


def test_a_deleted_series_costs_a_few_requests(account: OutlookAccount) -> None:
    """Not one for each of its instances."""
    series = mine(account, "Daily", 9, recurrence=weekly(12))
    account.poll()
    account.graph.delete(series, ME)
    account.graph.requests.clear()
    assert account.poll().removed == {series}
    assert routes(account) == [DELTA, "batch", "events.get"]


def test_the_text_of_a_series_serves_until_its_round_ends(account: OutlookAccount) -> None:
    """A horizon that rolls on for some days needs no asking."""
    mine(account, "Weekly", recurrence=weekly(52))
    [resource] = account.poll().changed
    later = type(WINDOW)(WINDOW.start, WINDOW.end + timedelta(days=2))
    account.graph.requests.clear()
    assert len(account.connector.expand(account.ref, resource, later).occurrences) == 13
    assert account.graph.requests == []


def test_a_window_that_outgrows_its_round_begins_another() -> None:
    """Once in four weeks, found by the server's clock, each event kept that did not change."""
    now = [datetime(2026, 3, 1, 8, tzinfo=UTC)]
    with outlook_account(lambda: now[0]) as account:
        old, single = mine(account, "Old", 2), mine(account, "Single", 30)
        series = mine(account, "Weekly", recurrence=weekly(52))
        window = WINDOW
        account.poll(window)
        rounds = 0
        for _ in range(60):
            now[0] += timedelta(days=1)
            window = type(window)(window.start + timedelta(days=1), window.end + timedelta(days=1))
            if account.connector.changed_calendars({account.ref: account.cursor}):
                changes = account.poll(window)
                rounds += changes.full
                if changes.full:
                    assert {old, single} <= changes.kept
                    assert [one.href for one in changes.changed] == [series]
        assert rounds == 2
        last = account.held[series].occurrences[-1]
        assert window.end - last.start_utc < timedelta(days=35)


def test_calendars_do_not_roll_on_the_same_day(account: OutlookAccount) -> None:
    """Many calendars would else begin anew at once."""
    from connectors.outlook_sync import round_of

    ends = {round_of(f"calendar {number}", WINDOW).end.date() for number in range(100)}
    assert len(ends) > 20
    assert all(end >= WINDOW.end.date() + timedelta(days=2) for end in ends)


def test_what_is_over_is_not_removed_by_a_later_round(account: OutlookAccount) -> None:
    """A new round leaves out what ended before its window; what is missing in it is looked up."""
    past, gone, far = (mine(account, name, day) for name, day in (("Past", 2), ("Gone", 20), ("Far", 21)))
    ended = mine(account, "Ended", 2, recurrence=weekly(2, first="2026-03-02"))
    account.poll()
    account.graph.delete(gone, ME)
    account.graph.move(far, FAR)
    account.cursor = Cursor()
    shift = timedelta(days=12)
    changes = account.poll(type(WINDOW)(at(2) + shift, WINDOW.end + shift))
    assert changes.full
    assert past in changes.kept
    assert {past, ended, far} == set(account.held)
    assert far in {one.href for one in changes.changed}


def test_a_calendar_suddenly_empty_is_left_to_the_daemon_to_doubt(account: OutlookAccount) -> None:
    """So many missing events are not looked up one by one."""
    etags = {f"gone{number}": "1" for number in range(MOST_LOOKED_UP + 1)}
    account.graph.requests.clear()
    changes = account.connector.poll(account.ref, WINDOW, Known(etags=lambda: etags))
    assert (changes.full, changes.kept, changes.changed) == (True, frozenset(), ())
    assert "batch" not in routes(account)


def test_calendars_are_chosen_by_name(account: OutlookAccount) -> None:
    """primary, a name, or an id; an unknown one is named, with what there is."""
    account.me.calendar("Client calls")
    other = account.me.calendar("Other")
    chosen = connect(account.graph, calendars=["primary", "Client calls", other.id])
    assert [info.name for info in chosen.calendars()] == ["Calendar", "Client calls", "Other"]
    with pytest.raises(ConnectorError, match=r"no calendar 'Nope'; it has: Calendar, Client calls, Other"):
        connect(account.graph, calendars=["Nope"]).calendars()


def test_the_list_of_calendars_is_looked_at_now_and_then(account: OutlookAccount) -> None:
    """A calendar that appears is found after a few polls."""
    for _ in range(2):
        assert len(account.connector.calendars()) == 1
    account.me.calendar("New")
    counts = [len(account.connector.calendars()) for _ in range(13)]
    assert (counts, account.graph.count("calendars.list")) == ([1] * 11 + [2] * 2, 4)
