"""Google's sync: nothing lost, nothing told twice, nothing removed for want of an answer."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from connectors.base import (
    ConnectorError,
    Cursor,
    CursorExpired,
    Known,
    LimitExceeded,
    NeedsLogin,
    Retryable,
)
from connectors.google_sync import SIZES
from connectors.http import Limits
from rules.model import CalendarRef, Interval, PartStat
from tests.support.fake_google import faults
from tests.support.google_account import JO, ME, GoogleAccount, connect, google_account
from tests.support.ics import WINDOW

HOUR = timedelta(hours=1)
WEEKLY = ["RRULE:FREQ=WEEKLY;COUNT=4"]


@pytest.fixture
def account() -> Iterator[GoogleAccount]:
    """Dana's account."""
    with google_account() as found:
        yield found


def at(day: int, hour: int = 9) -> datetime:
    """A time in March 2026."""
    return datetime(2026, 3, day, hour, tzinfo=UTC)


def theirs(account: GoogleAccount, title: str, day: int = 9, recurrence: list[str] | None = None) -> str:
    """Jo's meeting with Dana, who accepted; its id."""
    people = {ME: "accepted", "bo@acme.example": "accepted"}
    jo = account.google.users[JO].primary
    return jo.event(title, at(day), at(day) + HOUR, people, recurrence=recurrence)


def test_an_idle_poll_is_one_request_for_each_calendar(account: GoogleAccount) -> None:
    """Nothing but the change lists is asked, and no calendar is read again; so for hours."""
    work = account.me.calendar("Work")
    refs = [account.ref, CalendarRef(account="acme", id=work.id)]
    for _ in range(2):
        assert [info.ref for info in account.connector.calendars()] == refs
    cursors = {ref: account.connector.poll(ref, WINDOW, Known()).cursor for ref in refs}
    account.google.requests.clear()
    for _ in range(5):
        account.connector.calendars()
        assert account.connector.changed_calendars(cursors) == frozenset()
    assert [request.route for request in account.google.requests] == ["calendar.events.list"] * 10
    assert account.google.connections == 1


def test_a_change_costs_no_further_request(account: GoogleAccount) -> None:
    """What the idle question was answered is what the poll goes on from."""
    account.poll()
    account.calendar.event("New", at(3), at(3) + HOUR)
    account.google.requests.clear()
    assert account.connector.changed_calendars({account.ref: account.cursor}) == {account.ref}
    assert [one.title for each in account.poll().changed for one in each.occurrences] == ["New"]
    assert len(account.google.requests) == 1
    assert account.poll().changed == ()


def test_a_token_is_renewed_while_nothing_changes(account: GoogleAccount) -> None:
    """The stored cursor is as old as the last change; what is asked is the newest token."""
    account.poll()
    for _ in range(2):
        assert account.connector.changed_calendars({account.ref: account.cursor}) == frozenset()
    first, second = account.google.seen("calendar.events.list")[-2:]
    assert first.one("syncToken") != second.one("syncToken")
    account.calendar.event("New", at(3), at(3) + HOUR)
    assert len(account.poll().changed) == 1


def test_the_first_list_begins_at_the_window(account: GoogleAccount) -> None:
    """History is not read; a series that goes on is, and so is what is moved out of the past later."""
    year_ago = datetime(2025, 3, 2, 9, tzinfo=UTC)
    old = account.calendar.event("Old", year_ago, year_ago + HOUR)
    account.calendar.event(
        "Weekly",
        year_ago,
        year_ago + HOUR,
        recurrence=["RRULE:FREQ=WEEKLY"],
    )
    assert {one.title for one in (account.poll(), account.occurrences())[1]} == {"Weekly"}
    account.google.move(old, at(20))
    account.poll()
    assert "Old" in {one.title for one in account.occurrences()}


def test_what_ended_is_not_removed_by_a_later_full_list(account: GoogleAccount) -> None:
    """A full list leaves out the past: absence from it is no removal of what was over."""
    account.calendar.event("March", at(2), at(2) + HOUR)
    account.calendar.event("Series", at(3), at(3) + HOUR, recurrence=["RRULE:FREQ=DAILY;COUNT=3"])
    later = datetime(2026, 5, 20, 9, tzinfo=UTC)
    gone = account.calendar.event("Gone", later, later + HOUR)
    june = Interval(datetime(2026, 5, 1, tzinfo=UTC), datetime(2026, 9, 1, tzinfo=UTC))
    account.poll()
    account.google.cancel(gone)
    account.google.purge(gone)
    account.cursor = Cursor()
    changes = account.poll(june)
    assert (changes.full, len(changes.kept), changes.changed) == (True, 2, ())
    assert gone not in account.held


def test_a_changed_instance_joins_its_series(account: GoogleAccount) -> None:
    """It comes without its series, whose text the store gives back; answers and moves are seen."""
    series = theirs(account, "Weekly", recurrence=WEEKLY)
    account.poll()
    account.google.answer(account.google.instance(series, at(16)), ME, "declined")
    account.google.move(account.google.instance(series, at(23)), at(24, 15))
    account.google.requests.clear()
    [changed] = account.poll().changed
    assert (changed.href, account.google.count("calendar.events.get")) == (series, 0)
    mine = [next(who.partstat for who in one.attendees if who.address == ME) for one in changed.occurrences]
    assert mine == [PartStat.ACCEPTED, PartStat.DECLINED, PartStat.NEEDS_ACTION, PartStat.ACCEPTED]
    assert [f"{one.start:%d %H}" for one in changed.occurrences] == ["09 09", "16 09", "24 15", "30 09"]


def test_a_series_is_read_again_where_the_store_has_no_text(account: GoogleAccount) -> None:
    """Without the stored text of a series its changed instance is not left alone: the server is asked."""
    series = theirs(account, "Weekly", recurrence=WEEKLY)
    first = account.poll()
    account.google.move(account.google.instance(series, at(16)), at(17))
    known = Known(cursor=first.cursor, etags=lambda: {one.href: one.etag for one in first.changed})
    [changed] = account.connector.poll(account.ref, WINDOW, known).changed
    assert (changed.href, len(changed.occurrences)) == (series, 4)


def test_invited_to_one_meeting_of_a_series_and_then_to_all(account: GoogleAccount) -> None:
    """A lone instance is a resource of its own until the series comes."""
    jo = account.google.users[JO].primary
    series = jo.event("Weekly", at(9), at(9) + HOUR, {"bo@acme.example": "accepted"}, recurrence=WEEKLY)
    lone = account.google.instance(series, at(16))
    account.google.edit(lone, attendees=[{"email": "bo@acme.example"}, {"email": ME}])
    account.poll()
    assert [(one.key.recurrence_id, one.href) for one in account.occurrences()] == [
        ("20260316T090000Z", lone)
    ]
    read = account.connector.read(account.ref, lone, WINDOW)
    assert read == account.held[lone]
    account.google.edit(series, attendees=[{"email": "bo@acme.example"}, {"email": ME}])
    account.poll()
    assert len(account.occurrences()) == 4
    assert set(account.held) == {series}


def test_a_series_split_off_another_finds_its_lone_instance(account: GoogleAccount) -> None:
    """It is named after the first (this and following), and so are its instances."""
    jo = account.google.users[JO].primary
    first = jo.event("Weekly", at(2), at(2) + HOUR, {"bo@acme.example": "accepted"}, recurrence=WEEKLY)
    split = f"{first}_R20260316T090000"
    jo.event("Later", at(16), at(16) + HOUR, {"bo@acme.example": "accepted"}, recurrence=WEEKLY, id=split)
    other, own = account.google.instance(first, at(9)), account.google.instance(split, at(23))
    for lone in (other, own):
        account.google.edit(lone, attendees=[{"email": "bo@acme.example"}, {"email": ME}])
    account.poll()
    assert set(account.held) == {other, own}
    account.google.edit(split, attendees=[{"email": "bo@acme.example"}, {"email": ME}])
    account.poll()
    assert set(account.held) == {other, split}
    assert len(account.held[split].occurrences) == 4


def test_a_cancellation_is_told_from_my_own_removal(account: GoogleAccount) -> None:
    """Google keeps the details of what I removed by hand, and only the name of what was cancelled."""
    cancelled, removed, mine = (
        theirs(account, "a"),
        theirs(account, "b"),
        account.calendar.event("c", at(4), at(5)),
    )
    account.poll()
    account.google.cancel(cancelled)
    account.google.delete_own_copy(removed, ME)
    account.google.cancel(mine)
    changes = account.poll()
    assert changes.removed == {cancelled, removed, mine}
    assert (changes.cancelled, changes.dismissed) == ({cancelled}, {removed})


def test_pages_are_followed_with_one_token_at_the_end(
    account: GoogleAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    """NextSyncToken comes on the last page only; progress is told page by page."""
    monkeypatch.setattr("connectors.google_sync.SIZES", (2, 1))
    for day in range(2, 9):
        account.calendar.event(f"e{day}", at(day), at(day) + HOUR)
    told: list[tuple[int, int]] = []
    changes = account.connector.poll(
        account.ref, WINDOW, Known(), lambda done, total: told.append((done, total))
    )
    assert len(changes.changed) == 7
    assert told == [(2, 2), (4, 4), (6, 6), (7, 7)]


def test_a_page_too_large_is_asked_for_in_smaller_ones() -> None:
    """A calendar whose events are large is read in small pages; one event too large is an error."""
    with google_account(Limits(redirects=0, body_bytes=40_000)) as account:
        people = {f"guest{number}@acme.example": "accepted" for number in range(12)}
        for number in range(60):
            account.calendar.event(f"e{number}", at(2 + number % 20), at(2 + number % 20) + HOUR, people)
        assert len(account.poll().changed) == 60
        assert account.google.count("calendar.events.list", maxResults=str(SIZES[-1])) == 3
        many = {f"guest{number}@acme.example": "accepted" for number in range(900)}
        account.calendar.event("giant", at(25), at(25) + HOUR, many)
        with pytest.raises(LimitExceeded):
            account.poll()


@pytest.mark.parametrize("status", [400, 410])
def test_a_foreign_token_expires_the_cursor(account: GoogleAccount, status: int) -> None:
    """A token of another calendar, or of another question, is no more than a forgotten one."""
    other = account.me.calendar("Work")
    account.google.foreign_token_status = status
    cursor = account.connector.poll(CalendarRef(account="acme", id=other.id), WINDOW, Known()).cursor
    with pytest.raises(CursorExpired):
        account.connector.poll(account.ref, WINDOW, Known(cursor=cursor))


@pytest.mark.parametrize("cursor", ["", "nonsense", '[0, "token"]', "[1]", "5", "{}"])
def test_a_cursor_of_another_version_asks_for_everything(account: GoogleAccount, cursor: str) -> None:
    """What we cannot read is no cursor."""
    account.calendar.event("a", at(3), at(4))
    changes = account.connector.poll(account.ref, WINDOW, Known(cursor=Cursor(cursor)))
    assert (changes.full, len(changes.changed)) == (True, 1)


@pytest.mark.parametrize("page", [1, 2, 3])
def test_hostile_22_gone_on_any_page(
    account: GoogleAccount, monkeypatch: pytest.MonkeyPatch, page: int
) -> None:
    """HOSTILE 22: 410 on any page of a sync expires the cursor; the full read that follows is whole."""
    monkeypatch.setattr("connectors.google_sync.SIZES", (2,))
    account.poll()
    for day in range(2, 8):
        account.calendar.event(f"e{day}", at(day), at(day) + HOUR)
    account.google.fail("calendar.events.list", faults.expired_token(), page=page)
    with pytest.raises(CursorExpired):
        account.poll()
    assert account.held == {}
    account.cursor = Cursor()
    assert len(account.poll().changed) == 6


def test_hostile_22_gone_for_ever(account: GoogleAccount) -> None:
    """HOSTILE 22: 410 to every list is CursorExpired each time, after one request."""
    account.google.fail("calendar.events.list", faults.expired_token(), times=None)
    for _ in range(2):
        account.google.requests.clear()
        with pytest.raises(CursorExpired):
            account.poll()
        assert len(account.google.requests) == 1


def test_a_page_that_names_itself_ends(account: GoogleAccount) -> None:
    """A list that goes round in circles is an error, never a calendar."""
    account.calendar.event("a", at(3), at(4))
    account.google.fail("calendar.events.list", faults.repeated_page(), times=None)
    with pytest.raises(Retryable, match="only part"):
        account.poll()
    assert account.google.count("calendar.events.list") < 5


@pytest.mark.parametrize(
    ("effect", "error", "words"),
    [
        (faults.error(401), NeedsLogin, "rebookd auth acme"),
        (faults.error(403, "insufficientPermissions"), NeedsLogin, "rebookd auth acme"),
        (faults.error(403, "rateLimitExceeded", retry_after=7), Retryable, "slow down"),
        (faults.error(403, "quotaExceeded"), Retryable, "quota"),
        (faults.error(429, retry_at=timedelta(minutes=5)), Retryable, "slow down"),
        (faults.error(404), ConnectorError, "any more"),
        (faults.error(403, "forbidden"), ConnectorError, "any more"),
        (faults.error(500), Retryable, "internal problem"),
        (faults.error(503), Retryable, "not available"),
        (faults.html(), ConnectorError, "web page"),
        (faults.answer(200, b'{"kind": "calendar#events", "items": 5}'), Retryable, "something else"),
        (faults.answer(200, b'{"items": []}'), Retryable, "something else"),
        (faults.answer(200, b"[]"), Retryable, "not whole"),
        (faults.answer(200, b"[" * 100_000), Retryable, "not whole"),
        (faults.answer(200, b""), Retryable, "something else"),
        (faults.answer(200, b'{"kind": "calendar#events", "items": []}'), Retryable, "only part"),
        (faults.truncated(), Retryable, "not whole"),
        (faults.cut_off(), Retryable, "broke off"),
        (faults.dropped(kept=False), Retryable, "reached"),
        (faults.redirect("https://elsewhere.example/"), ConnectorError, "elsewhere.example"),
        (faults.gzip_bomb(64), LimitExceeded, "more than"),
        (faults.endless(), LimitExceeded, "more than"),
    ],
)
def test_whatever_goes_wrong_removes_nothing(
    effect: faults.Effect, error: type[ConnectorError], words: str
) -> None:
    """Every failure is named by the next move and leaves the calendar as it is known (P3)."""
    with google_account(Limits(redirects=0, wait_seconds=0.001, body_bytes=1 << 20)) as account:
        account.calendar.event("a", at(3), at(4))
        account.poll()
        before = dict(account.held), account.cursor
        account.google.fail("calendar.events.list", effect, times=None)
        with pytest.raises(error, match=words):
            account.poll()
        assert (account.held, account.cursor) == before
        account.google.heal()
        account.clock.at += 4000
        account.calendar.event("b", at(4), at(5))
        assert len(account.poll().changed) == 1


def test_a_server_that_asks_for_patience_gets_it(account: GoogleAccount) -> None:
    """HOSTILE 23: after Retry-After nothing at all is asked until then, for any calendar."""
    work = CalendarRef(account="acme", id=account.me.calendar("Work").id)
    account.google.fail("calendar.events.list", faults.error(429, retry_after=120))
    with pytest.raises(Retryable) as caught:
        account.poll()
    assert caught.value.retry_after == 120
    with pytest.raises(Retryable) as caught:
        account.connector.poll(work, WINDOW, Known())
    assert caught.value.retry_after == pytest.approx(120)
    assert len(account.google.requests) == 1
    account.clock.at += 121
    assert account.poll().full


def test_a_slow_body_ends_at_the_deadline() -> None:
    """HOSTILE 20: a body that trickles in ends with the time for the request."""
    with google_account(Limits(redirects=0, seconds=0.3)) as account:
        account.google.fail("calendar.events.list", faults.slow(0.02), times=None)
        with pytest.raises(Retryable, match="did not answer"):
            account.poll()


def test_a_broken_calendar_spares_the_others(account: GoogleAccount) -> None:
    """One calendar's refusal is told when it is polled; the question which changed still has its answer."""
    work = account.me.calendar("Work")
    ref = CalendarRef(account="acme", id=work.id)
    cursors = {each: account.connector.poll(each, WINDOW, Known()).cursor for each in (account.ref, ref)}
    work.gone = True
    account.calendar.event("a", at(3), at(4))
    assert account.connector.changed_calendars(cursors) == {account.ref, ref}
    with pytest.raises(ConnectorError, match="any more"):
        account.connector.poll(ref, WINDOW, Known(cursor=cursors[ref]))
    assert len(account.connector.poll(account.ref, WINDOW, Known(cursor=cursors[account.ref])).changed) == 1
    assert [info.ref for info in account.connector.calendars()] == [account.ref]


def test_a_server_that_is_down_is_not_asked_for_every_calendar(account: GoogleAccount) -> None:
    """Two failures in a row speak for the whole account."""
    refs = [CalendarRef(account="acme", id=account.me.calendar(f"c{number}").id) for number in range(6)]
    cursors = {ref: account.connector.poll(ref, WINDOW, Known()).cursor for ref in refs}
    account.google.requests.clear()
    account.google.fail("calendar.events.list", faults.error(500), times=None)
    with pytest.raises(Retryable):
        account.connector.changed_calendars(cursors)
    assert len(account.google.requests) == 2


def test_calendars_are_chosen_by_name(account: GoogleAccount) -> None:
    """primary, a name, the name I gave it, or an id; an unknown one is named, with what there is."""
    account.me.calendar("Client calls")
    account.me.calendar("Team", summaryOverride="Acme")
    hidden = account.me.calendar("Hidden", hidden=True)
    chosen = connect(account.google, calendars=["primary", "Client calls", "Acme", hidden.id])
    assert [info.name for info in chosen.calendars()] == [ME, "Client calls", "Acme", "Hidden"]
    with pytest.raises(ConnectorError, match=r"no calendar 'Nope'; it has: .*Client calls"):
        connect(account.google, calendars=["Nope"]).calendars()


def test_what_others_share(account: GoogleAccount) -> None:
    """A calendar of which only free and busy is shown is none; one I may only read cannot be written."""
    jo = account.google.users[JO]
    account.me.subscribe(jo.primary, "reader")
    account.me.subscribe(account.google.user("bo@acme.example").primary, "freeBusyReader")
    found = {info.name: info.capabilities for info in account.connector.calendars()}
    assert {name: each.writable for name, each in found.items()} == {ME: True, JO: False}
    assert all(each.schedules for each in found.values())


def test_the_list_of_calendars_is_looked_at_now_and_then(account: GoogleAccount) -> None:
    """A calendar that appears or goes is found after a few polls, and never believed from one list alone."""
    for _ in range(2):
        assert len(account.connector.calendars()) == 1
    new = account.me.calendar("New")
    counts = [len(account.connector.calendars()) for _ in range(13)]
    assert (counts, account.google.count("calendar.calendarList.list")) == ([1] * 11 + [2] * 2, 4)
    account.me.unsubscribe(new)
    counts = [len(account.connector.calendars()) for _ in range(13)]
    assert (counts, account.google.count("calendar.calendarList.list")) == ([2] * 11 + [1] * 2, 6)
