"""What every inbox promises, on IMAP, Gmail and Outlook: all that comes, once, and nothing in it changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from connectors import gmail_inbox, imap_inbox, outlook_inbox
from connectors.base import ConnectorError, Cursor, Inbox, NeedsLogin, Rejected
from connectors.gmail_inbox import GmailInbox
from connectors.google_client import GoogleClient, google_pace
from connectors.http import Limits
from connectors.imap_inbox import MOST_SAID, ImapInbox
from connectors.imap_wire import ImapServer
from connectors.outlook_client import GraphClient, graph_pace
from connectors.outlook_inbox import OutlookInbox
from tests.support.authority import trusted
from tests.support.fake_google.server import fake_google
from tests.support.fake_google.world import FakeGoogle
from tests.support.fake_graph.server import fake_graph
from tests.support.fake_graph.world import FakeGraph
from tests.support.fake_imap import FakeImap
from tests.support.google_ics import StaticToken

ME = "dana@va.example"
NOW = datetime(2026, 3, 1, 8, tzinfo=UTC)
KINDS = ["imap", "gmail", "outlook"]


@dataclass
class Box:
    """One inbox and what a test does to it from outside. ``state`` is all that may not change by reading."""

    inbox: Inbox
    deliver: Callable[[bytes], None]
    forget: Callable[[], None]
    state: Callable[[], object]
    module: Any
    wait: Callable[[float], None]


@pytest.fixture(params=KINDS)
def box(request: pytest.FixtureRequest) -> Iterator[Box]:
    """Each kind."""
    with ExitStack() as stack:
        clock = _Clock()
        yield {"imap": _imap, "gmail": _gmail, "outlook": _outlook}[request.param](stack, clock)


class _Clock:
    """A clock to set."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now

    def wait(self, hours: float) -> None:
        """Time passes."""
        self.now += timedelta(hours=hours)


def _imap(stack: ExitStack, clock: _Clock) -> Box:
    server = stack.enter_context(FakeImap())
    where = ImapServer(
        "localhost",
        server.port,
        security="none",
        username="dana",
        password=lambda: "hunter2",
        call_seconds=10,
        most_bytes=MOST_SAID,
    )
    folder = server.folders["INBOX"]

    def forget() -> None:
        folder.validity += 1

    return Box(
        inbox=ImapInbox(where),
        deliver=lambda raw: server.deliver("INBOX", raw, day=clock.now.date()),
        forget=forget,
        state=lambda: [(mail.uid, mail.raw, set(mail.flags)) for mail in folder.mails],
        module=imap_inbox,
        wait=clock.wait,
    )


def gmail_of(google: FakeGoogle, *scopes: str) -> GmailInbox:
    """Dana's Gmail inbox."""
    token = StaticToken(google.oauth.token(ME, *scopes))
    limits = Limits(redirects=0, wait_seconds=0.01, body_bytes=400_000)
    return GmailInbox(
        GoogleClient(token, google.root, account="acme", pace=google_pace(), limits=limits), "acme"
    )


def _gmail(stack: ExitStack, clock: _Clock) -> Box:
    google = stack.enter_context(fake_google(clock))
    google.oauth.lifetime = timedelta(days=999)
    google.user(ME)
    held = google.mail.box(ME)

    def forget() -> None:
        held.forgotten = len(held.added) + 1

    def deliver(raw: bytes) -> None:
        held.deliver(raw)

    return Box(
        inbox=gmail_of(google),
        deliver=deliver,
        forget=forget,
        state=lambda: [(one.id, one.raw, set(one.labels)) for one in held.messages.values()],
        module=gmail_inbox,
        wait=clock.wait,
    )


def outlook_of(graph: FakeGraph, *scopes: str) -> OutlookInbox:
    """Dana's Outlook inbox."""
    token = StaticToken(graph.grants.mint(ME, *(scopes or ("User.Read", "Mail.Read"))))
    limits = Limits(redirects=0, wait_seconds=0.01, body_bytes=400_000)
    return OutlookInbox(
        GraphClient(token, graph.root, account="acme", pace=graph_pace(), limits=limits), "acme"
    )


def _outlook(stack: ExitStack, clock: _Clock) -> Box:
    stack.enter_context(trusted())
    graph = stack.enter_context(fake_graph(clock))
    graph.user(ME)
    held = graph.mail.box(ME)

    def deliver(raw: bytes) -> None:
        held.keep(raw, "inbox")

    return Box(
        inbox=outlook_of(graph),
        deliver=deliver,
        forget=lambda: None,  # there is nothing that Exchange could forget
        state=lambda: [(one.id, one.raw, one.folder, one.version) for one in held.messages.values()],
        module=outlook_inbox,
        wait=clock.wait,
    )


def mail(number: int, body: str = "hello") -> bytes:
    """A mail that can be told from others."""
    return f"From: jo@acme.example\r\nMessage-ID: <{number}@acme.example>\r\n\r\n{body}\r\n".encode()


def numbers(box: Box, cursor: Cursor, since: datetime = NOW - timedelta(hours=1)) -> tuple[list[int], Cursor]:
    """Which mails one look brings, and where it ended."""
    haul = box.inbox.fetch(cursor, since)
    return [int(one.raw.split(b"<")[1].split(b"@")[0]) for one in haul.messages], haul.cursor


def test_what_comes_is_brought_once_in_order(box: Box) -> None:
    """From the first look on, byte for byte; an idle look brings nothing."""
    box.deliver(mail(1))
    first, cursor = numbers(box, Cursor())
    assert first == [1]
    assert numbers(box, cursor)[0] == []
    for number in (2, 3):
        box.wait(1)
        box.deliver(mail(number))
    found, cursor = numbers(box, cursor)
    assert found == [2, 3]
    haul = box.inbox.fetch(cursor, NOW)
    assert (haul.messages, haul.more) == ((), False)
    box.inbox.close()


def test_bytes_are_those_that_came(box: Box) -> None:
    """Lines, letters and all."""
    raw = mail(1, "Olá\r\n\r\n.\r\n)\r\n* OK") + "é".encode() * 500
    box.deliver(raw)
    [one] = box.inbox.fetch(Cursor(), NOW - timedelta(hours=1)).messages
    assert (one.raw, one.whole) == (raw, True)


def test_nothing_is_changed_by_reading(box: Box) -> None:
    """Not moved, not deleted, not marked as read."""
    for number in range(3):
        box.deliver(mail(number))
    before = box.state()
    numbers(box, Cursor())
    assert box.state() == before


def test_one_look_brings_so_much_and_the_next_the_rest(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is lost or repeated on the way, by number or by size."""
    monkeypatch.setattr(box.module, "MOST", 4)
    for number in range(10):
        box.deliver(mail(number))
    found: list[int] = []
    cursor, more = Cursor(), True
    looks = 0
    while more:
        haul = box.inbox.fetch(cursor, NOW - timedelta(hours=1))
        found += [int(one.raw.split(b"<")[1].split(b"@")[0]) for one in haul.messages]
        cursor, more, looks = haul.cursor, haul.more, looks + 1
    assert (found, looks) == (list(range(10)), 3)
    monkeypatch.setattr(box.module, "MOST_BYTES", 100)
    for number in range(20, 23):
        box.deliver(mail(number))
    haul = box.inbox.fetch(cursor, NOW)
    assert haul.more
    assert len(haul.messages) < 3


def test_a_mail_that_is_too_large_is_told_by_its_head(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its headers are there, and it is known not to be whole."""
    monkeypatch.setattr(imap_inbox, "LARGEST", 400_000)
    box.deliver(mail(1, "x" * 900_000))
    box.deliver(mail(2))
    one, two = box.inbox.fetch(Cursor(), NOW - timedelta(hours=1)).messages
    assert (one.whole, two.whole) == (False, True)
    assert b"Message-ID: <1@acme.example>\r\n" in one.raw
    assert len(one.raw) <= 400_000


def test_a_place_that_was_forgotten_brings_what_came_since(box: Box) -> None:
    """A folder made anew, a history too old: once more by time, and nothing older."""
    box.deliver(mail(1))
    _, cursor = numbers(box, Cursor())
    box.wait(24 * 5)
    box.deliver(mail(2))
    box.forget()
    found, cursor = numbers(box, cursor, NOW + timedelta(days=4))
    assert found == [2]
    assert numbers(box, cursor)[0] == []


@pytest.mark.parametrize("value", ["nonsense", "{}", "[]", '{"history": 5, "waiting": 3}', "0/0"])
def test_a_cursor_that_is_none_is_no_trouble(box: Box, value: str) -> None:
    """It begins anew."""
    box.deliver(mail(1))
    assert numbers(box, Cursor(value))[0] == [1]


def test_what_was_sent_and_other_folders_are_not_read() -> None:
    """The inbox alone: no sent mail, no drafts, no junk."""
    with fake_google(lambda: NOW) as google:
        google.user(ME)
        held = google.mail.box(ME)
        held.keep(mail(1), "SENT")
        held.keep(mail(2), "SPAM")
        held.deliver(mail(3))
        inbox = gmail_of(google)
        haul = inbox.fetch(Cursor(), NOW - timedelta(hours=1))
        assert len(haul.messages) == 1
        held.keep(mail(4), "DRAFT")
        held.deliver(mail(5))
        assert [one.raw for one in inbox.fetch(haul.cursor, NOW).messages] == [mail(5)]
        assert google.problems == []


def test_what_may_not_be_read_needs_the_owner() -> None:
    """A sign-in without the permission; a wrong password; a folder that is not there."""
    with fake_google(lambda: NOW) as google:
        google.user(ME)
        with pytest.raises(NeedsLogin):
            gmail_of(google, "https://www.googleapis.com/auth/gmail.send").fetch(Cursor(), NOW)
    with trusted(), fake_graph(lambda: NOW) as graph:
        graph.user(ME)
        with pytest.raises(ConnectorError) as caught:
            outlook_of(graph, "User.Read", "Mail.Send").fetch(Cursor(), NOW)
        assert isinstance(caught.value, NeedsLogin | Rejected)
    with FakeImap() as server:
        where = ImapServer(
            "localhost", server.port, security="none", username="dana", password=lambda: "wrong"
        )
        with pytest.raises(NeedsLogin):
            ImapInbox(where).fetch(Cursor(), NOW)
        where = ImapServer(
            "localhost", server.port, security="none", username="dana", password=lambda: "hunter2"
        )
        with pytest.raises(Rejected, match=r"set mail\.imap\.inbox"):
            ImapInbox(where, "Replies").fetch(Cursor(), NOW)
