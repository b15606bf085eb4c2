"""Whatever goes wrong at Microsoft Graph, nothing is removed, and the error names the next move."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from connectors.base import ConnectorError, Cursor, CursorExpired, Known, LimitExceeded, NeedsLogin, Retryable
from connectors.http import Limits
from connectors.outlook_sync import SIZES
from rules.model import CalendarRef
from tests.support import faults
from tests.support.fake_graph.graph_errors import error, repeated_page
from tests.support.ics import WINDOW
from tests.support.outlook_account import JO, ME, OutlookAccount, outlook_account

HOUR = timedelta(hours=1)
DELTA = "calendarView.delta"
FAR = datetime(2027, 6, 1, 9, tzinfo=UTC)


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


@pytest.mark.parametrize("gone", [(410, "SyncStateNotFound"), (400, "SyncStateNotFound")])
def test_a_forgotten_round_expires_the_cursor(account: OutlookAccount, gone: tuple[int, str]) -> None:
    """Said in either way."""
    account.poll()
    account.graph.gone = gone
    account.graph.forget_rounds()
    with pytest.raises(CursorExpired):
        account.poll()
    account.cursor = Cursor()
    mine(account, "New")
    assert (account.poll().full, titles(account)) == (True, ["New"])


@pytest.mark.parametrize("page", [1, 2, 3])
def test_hostile_22_gone_on_any_page(
    account: OutlookAccount, monkeypatch: pytest.MonkeyPatch, page: int
) -> None:
    """HOSTILE 22: 410 on any page of a round expires the cursor; the full read that follows is whole."""
    monkeypatch.setattr("connectors.outlook_sync.SIZES", (2,))
    account.poll()
    for day in range(2, 8):
        mine(account, f"e{day}", day)
    account.graph.fail(DELTA, error(410, "SyncStateNotFound"), page=page)
    with pytest.raises(CursorExpired):
        account.poll()
    assert account.held == {}
    account.cursor = Cursor()
    assert len(account.poll().changed) == 6


def test_hostile_22_gone_for_ever(account: OutlookAccount) -> None:
    """HOSTILE 22: 410 to every round is CursorExpired each time, after one request."""
    account.connector.calendars()
    account.graph.fail(DELTA, error(410, "SyncStateNotFound"), times=None)
    for _ in range(2):
        account.graph.requests.clear()
        with pytest.raises(CursorExpired):
            account.poll()
        assert len(account.graph.requests) == 1


@pytest.mark.parametrize("cursor", ["", "nonsense", '[0, "link", "2026-06-01", 1]', "[1]", "5", "{}"])
def test_a_cursor_of_another_version_asks_for_everything(account: OutlookAccount, cursor: str) -> None:
    """What we cannot read is no cursor."""
    mine(account, "a")
    changes = account.connector.poll(account.ref, WINDOW, Known(cursor=Cursor(cursor)))
    assert (changes.full, len(changes.changed)) == (True, 1)


def test_a_page_that_names_itself_ends(account: OutlookAccount) -> None:
    """A list that goes round in circles is an error, never a calendar."""
    mine(account, "a")
    account.graph.fail(DELTA, repeated_page(), times=None)
    with pytest.raises(Retryable, match="not whole"):
        account.poll()
    assert account.graph.count(DELTA) < 5


def test_a_page_too_large_is_asked_for_in_smaller_ones() -> None:
    """Events come with all their text: a calendar of long ones is read in small pages."""
    with outlook_account(limits=Limits(redirects=0, body_bytes=150_000)) as account:
        for number in range(40):
            mine(account, f"e{number}", 2 + number % 20, body="long " * 1_000)
        assert len(account.poll().changed) == 40
        sizes = [request.headers["prefer"].rpartition("=")[2] for request in account.graph.seen(DELTA)]
        assert sizes[:3] == [str(size) for size in SIZES]
        mine(account, "giant", 25, body="long " * 40_000)
        with pytest.raises(LimitExceeded):
            account.poll()


@pytest.mark.parametrize(
    ("effect", "raised", "words"),
    [
        (error(401), NeedsLogin, "rebookd auth acme"),
        (error(403), ConnectorError, "any more"),
        (error(404), ConnectorError, "any more"),
        (error(429, retry_after=7), Retryable, "slow down"),
        (error(429, retry_at=timedelta(minutes=5)), Retryable, "slow down"),
        (error(500), Retryable, "internal problem"),
        (error(503), Retryable, "not available"),
        (error(504), Retryable, "internal problem"),
        (faults.html(), ConnectorError, "web page"),
        (faults.answer(200, b'{"value": 5, "@odata.deltaLink": "x"}'), Retryable, "not whole"),
        (faults.answer(200, b'{"value": [5], "@odata.deltaLink": "x"}'), Retryable, "not whole"),
        (faults.answer(200, b"{}"), Retryable, "not whole"),
        (faults.answer(200, b'{"value": []}'), Retryable, "not whole"),
        (faults.answer(200, b"[]"), Retryable, "not whole"),
        (faults.answer(200, b"[" * 100_000), Retryable, "not whole"),
        (faults.answer(200, b""), Retryable, "not whole"),
        (faults.truncated(), Retryable, "not whole"),
        (faults.cut_off(), Retryable, "broke off"),
        (faults.dropped(kept=False), Retryable, "reached"),
        (faults.redirect("https://elsewhere.example/"), ConnectorError, "elsewhere.example"),
        (faults.gzip_bomb(64), LimitExceeded, "more than"),
        (faults.endless(), LimitExceeded, "more than"),
    ],
)
def test_whatever_goes_wrong_removes_nothing(
    effect: faults.Effect, raised: type[ConnectorError], words: str
) -> None:
    """Every failure is named by the next move and leaves the calendar as it is known (P3)."""
    with outlook_account(limits=Limits(redirects=0, wait_seconds=0.001, body_bytes=1 << 20)) as account:
        mine(account, "a")
        account.poll()
        before = dict(account.held), account.cursor
        account.graph.fail(DELTA, effect, times=None)
        with pytest.raises(raised, match=words):
            account.poll()
        assert (account.held, account.cursor) == before
        account.graph.heal()
        account.clock.at += 4000
        mine(account, "b")
        assert len(account.poll().changed) == 1


def test_a_link_to_another_host_is_not_followed(account: OutlookAccount) -> None:
    """Whatever an answer says, only the configured host is asked."""
    body = b'{"value": [], "@odata.nextLink": "https://elsewhere.example/v1.0/me/x"}'
    account.graph.fail(DELTA, faults.answer(200, body))
    with pytest.raises(ConnectorError, match="not the host in the configuration"):
        account.poll()


@pytest.mark.parametrize("effect", [error(429, retry_after=9), error(500), error(503)])
def test_a_look_up_that_fails_removes_nothing(account: OutlookAccount, effect: faults.Effect) -> None:
    """What could not be looked up is neither believed nor forgotten: the round is asked again."""
    gone = mine(account, "a")
    account.poll()
    account.graph.delete(gone, ME)
    account.graph.fail("events.get", effect, times=None)
    with pytest.raises(Retryable):
        account.poll()
    assert set(account.held) == {gone}
    account.graph.heal()
    account.clock.at += 100
    assert account.poll().removed == {gone}


def test_a_broken_calendar_spares_the_others(account: OutlookAccount) -> None:
    """One calendar's refusal is told when it is polled; the question which changed still has its answer."""
    work = account.me.calendar("Work")
    ref = CalendarRef(account="acme", id=work.id)
    cursors = {each: account.connector.poll(each, WINDOW, Known()).cursor for each in (account.ref, ref)}
    account.graph.fail(DELTA, error(403), times=None, when=lambda request: work.id[-12:-4] in request.path)
    mine(account, "a")
    assert account.connector.changed_calendars(cursors) == {account.ref, ref}
    with pytest.raises(ConnectorError, match="any more"):
        account.connector.poll(ref, WINDOW, Known(cursor=cursors[ref]))
    assert len(account.connector.poll(account.ref, WINDOW, Known(cursor=cursors[account.ref])).changed) == 1


def test_a_server_that_is_down_is_not_asked_for_every_calendar(account: OutlookAccount) -> None:
    """Two failures in a row speak for the whole account."""
    refs = [CalendarRef(account="acme", id=account.me.calendar(f"c{number}").id) for number in range(6)]
    cursors = {ref: account.connector.poll(ref, WINDOW, Known()).cursor for ref in refs}
    account.graph.requests.clear()
    account.graph.fail(DELTA, error(500), times=None)
    with pytest.raises(Retryable):
        account.connector.changed_calendars(cursors)
    assert len(account.graph.requests) == 2
