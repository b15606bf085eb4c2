"""What every calendar connector owes the daemon, shown on memory, CalDAV, Google and Outlook alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from connectors.base import (
    CalendarConnector,
    CalendarInfo,
    ChangeSet,
    Conflict,
    ConnectorError,
    Creator,
    Cursor,
    CursorExpired,
    Known,
    NewMeeting,
)
from connectors.caldav import CalDavConnector
from connectors.google import GoogleConnector
from connectors.google_client import GoogleClient
from connectors.memory import MemoryConnector
from connectors.outlook import OutlookConnector
from connectors.outlook_client import GraphClient
from rules.model import Address, Attendee, Interval, PartStat
from tests.support import google_ics, graph_ics
from tests.support.authority import trusted
from tests.support.fake_google.server import fake_google
from tests.support.fake_graph.server import fake_graph
from tests.support.ics import LISBON, WINDOW, calendar, event, vevent
from tests.support.servers import Server, radicale_server, xandikos_server

OUTLOOK_SCOPES = ("User.Read", "Calendars.ReadWrite", "MailboxSettings.Read")
ATTENDEES = ("ORGANIZER:mailto:dana@va.example", "ATTENDEE;PARTSTAT=ACCEPTED;CN=Jo:mailto:jo@acme.example")


LATER = Interval(datetime(2027, 1, 1, tzinfo=UTC), datetime(2027, 3, 1, tzinfo=UTC))


class Subject:
    """A connector together with a way to change its calendar from outside.

    ``tells_sequence``: its server shows SEQUENCE. ``later`` is a window that needs no asking, after WINDOW.
    """

    def __init__(
        self,
        connector: CalendarConnector,
        put: Callable[[str, str], None],
        remove: Callable[[str], None],
        forget: Callable[[Cursor], Cursor],
        name_of: Callable[[str], str] = lambda href: href.rpartition("/")[2],
        *,
        tells_sequence: bool = True,
        later: Interval = LATER,
    ) -> None:
        self.tells_sequence, self.later = tells_sequence, later
        self.connector, self.put, self.remove, self.forget = connector, put, remove, forget
        self.name_of = name_of

    @property
    def work(self) -> CalendarInfo:
        """The calendar named Work."""
        return next(info for info in self.connector.calendars() if info.name == "Work")

    def poll(self, known: Known | None = None, window: Interval = WINDOW) -> ChangeSet:
        """Poll it."""
        return self.connector.poll(self.work.ref, window, known or Known())


def _served(server: Server, base: str) -> Subject:
    connector = CalDavConnector(
        "own", server.url, username=server.user, password=server.password, home_zone=LISBON
    )

    def put(name: str, raw: str) -> None:
        server.request("PUT", base + name, raw, **{"Content-Type": "text/calendar; charset=utf-8"})

    return Subject(
        connector,
        put,
        lambda name: (server.request("DELETE", base + name), None)[1],
        lambda cursor: Cursor('["x", "http://radicale.org/ns/sync/0000"]'),
    )


@contextmanager
def _google() -> Iterator[Subject]:
    with fake_google() as google:
        work = google.user("dana@va.example", "Dana Reyes").calendar("Work")
        google.users["dana@va.example"].calendar("Home")
        tokens = google_ics.StaticToken(google.oauth.token("dana@va.example"))
        connector = GoogleConnector("own", GoogleClient(tokens, google.root), home_zone=LISBON)

        def forget(cursor: Cursor) -> Cursor:
            work.forget_tokens()
            return cursor

        yield Subject(
            connector,
            partial(google_ics.put, google, work),
            partial(google_ics.remove, google, work),
            forget,
            google_ics.name_of,
        )
        connector.close()


@contextmanager
def _outlook() -> Iterator[Subject]:
    with trusted(), fake_graph() as graph:
        dana = graph.user("dana@va.example", "Dana Reyes")
        shelf = graph_ics.Shelf(graph, dana.calendar("Work"))
        dana.calendar("Home")
        tokens = google_ics.StaticToken(graph.grants.mint("dana@va.example", *OUTLOOK_SCOPES))
        connector = OutlookConnector(
            "own", GraphClient(tokens, graph.root), mine=[Address("dana@va.example")], home_zone=LISBON
        )

        def forget(cursor: Cursor) -> Cursor:
            graph.forget_rounds()
            return cursor

        # Exchange expands series, in a window that reaches two days further than was looked at, at least.
        later = Interval(WINDOW.end, WINDOW.end + timedelta(days=2))
        yield Subject(
            connector, shelf.put, shelf.remove, forget, shelf.name_of, tells_sequence=False, later=later
        )
        connector.close()


@pytest.fixture(params=["memory", "radicale", "xandikos", "google", "outlook"])
def subject(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Subject]:
    """Each implementation in turn."""
    if request.param == "memory":
        memory = MemoryConnector("own", names=("Work", "Home"), home_zone=LISBON)

        def forget(cursor: Cursor) -> Cursor:
            memory.forget_cursors()
            return cursor

        yield Subject(memory, memory.put, memory.remove, forget)
        return
    if request.param in {"google", "outlook"}:
        with _google() if request.param == "google" else _outlook() as subject:
            yield subject
        return
    serve = radicale_server if request.param == "radicale" else xandikos_server
    base = "/dana/work/" if request.param == "radicale" else "/dana/calendars/work/"
    with serve(tmp_path, calendars=("work", "home")) as server:
        subject = _served(server, base)
        yield subject
        subject.connector.close()


def test_life_of_a_calendar(subject: Subject) -> None:
    """From the first full poll over additions, changes and removals, nothing is lost or told twice."""
    names = {info.name for info in subject.connector.calendars()}
    assert {"Work", "Home"} <= names
    work = subject.work

    empty = subject.poll()
    assert (empty.full, empty.changed, empty.kept) == (True, (), frozenset())

    subject.put("a.ics", event("SUMMARY:Kickoff", *ATTENDEES))
    subject.put("b.ics", event("RRULE:FREQ=WEEKLY;COUNT=3", uid="weekly"))
    first = subject.poll()
    assert first.full
    assert {each.uid: len(each.occurrences) for each in first.changed} == {"kickoff": 1, "weekly": 3}
    assert {each.uid: each.recurring for each in first.changed} == {"kickoff": False, "weekly": True}
    [kickoff] = next(each for each in first.changed if each.uid == "kickoff").occurrences
    assert kickoff.title == "Kickoff"
    assert kickoff.start == datetime(2026, 3, 2, 9, tzinfo=UTC)
    assert kickoff.tzid == LISBON
    assert [(each.address, each.name, each.partstat) for each in kickoff.attendees] == [
        ("jo@acme.example", "Jo", PartStat.ACCEPTED)
    ]
    assert kickoff.href
    assert kickoff.etag
    assert kickoff.key.calendar == work.ref

    etags = {each.href: each.etag for each in first.changed}
    quiet = subject.poll(Known(cursor=first.cursor, etags=lambda: etags))
    assert not quiet.full
    assert (quiet.changed, quiet.removed) == ((), frozenset())

    again = subject.poll(Known(etags=lambda: etags))
    assert (again.full, again.changed, again.kept) == (True, (), frozenset(etags))

    subject.connector.changed_calendars({work.ref: quiet.cursor})
    settled = subject.poll(Known(cursor=quiet.cursor, etags=lambda: etags))
    assert subject.connector.changed_calendars({work.ref: settled.cursor}) == frozenset()

    subject.put("a.ics", event("SUMMARY:Kickoff again", *ATTENDEES))
    subject.put("c.ics", event(uid="third"))
    subject.remove("b.ics")
    assert subject.connector.changed_calendars({work.ref: settled.cursor}) == {work.ref}
    told: list[tuple[int, int]] = []
    changes = subject.connector.poll(
        work.ref,
        WINDOW,
        Known(cursor=settled.cursor, etags=lambda: etags),
        lambda done, total: told.append((done, total)),
    )
    assert not changes.full
    assert {each.uid for each in changes.changed} == {"kickoff", "third"}
    assert {subject.name_of(href) for href in changes.removed} == {"b.ics"}
    assert told[-1] == (2, 2)

    expired = subject.forget(changes.cursor)
    with pytest.raises(CursorExpired):
        subject.poll(Known(cursor=expired, etags=lambda: etags))


def test_moving(subject: Subject) -> None:
    """A move keeps UID, zone and answers' owners, raises SEQUENCE, and refuses to overwrite a change."""
    subject.put("a.ics", event("SUMMARY:Kickoff", *ATTENDEES))
    subject.put("s.ics", event("RRULE:FREQ=WEEKLY;COUNT=3", *ATTENDEES, uid="weekly"))
    found = {each.uid: each for each in subject.poll().changed}

    [before] = found["kickoff"].occurrences
    moved = subject.connector.move(before, before.start + timedelta(days=1), before.end + timedelta(days=1))
    [after] = moved.occurrences
    assert (after.key, after.tzid) == (before.key, before.tzid)
    assert after.sequence == before.sequence + subject.tells_sequence
    assert (after.start - before.start, after.end - before.end) == (timedelta(days=1), timedelta(days=1))
    assert after.attendees[0].partstat is PartStat.NEEDS_ACTION
    assert after.etag != before.etag
    with pytest.raises(Conflict):
        subject.connector.move(before, before.start, before.end)

    second = found["weekly"].occurrences[1]
    subject.connector.move(second, second.start + timedelta(hours=2), second.end + timedelta(hours=2))
    resource = subject.connector.read(subject.work.ref, second.href, WINDOW)
    assert resource is not None
    assert [f"{each.start:%d %H:%M}" for each in resource.occurrences] == ["02 09:00", "09 11:00", "16 09:00"]
    assert [each.key for each in resource.occurrences] == [each.key for each in found["weekly"].occurrences]

    subject.remove("a.ics")
    assert subject.connector.read(subject.work.ref, before.href, WINDOW) is None
    with pytest.raises(Conflict):
        subject.connector.move(after, before.start, before.end)


def test_window_rolls_without_asking(subject: Subject) -> None:
    """The kept text gives the occurrences of another window, and one bad part spares its neighbours."""
    subject.put("s.ics", event("RRULE:FREQ=MONTHLY", uid="monthly"))
    [resource] = subject.poll().changed
    rolled = subject.connector.expand(subject.work.ref, resource, subject.later)
    expected = ["2026-06-02"] if subject.later != LATER else ["2027-01-02", "2027-02-02"]
    assert [f"{each.start:%Y-%m-%d}" for each in rolled.occurrences] == expected
    assert resource.occurrences[0].start == datetime(2026, 3, 2, 9, tzinfo=UTC)


def test_unknown_calendar_is_an_error(subject: Subject) -> None:
    """A calendar that is not there is an error, never an empty one."""
    missing = type(subject.work.ref)(account="own", id=subject.work.ref.id.rstrip("/") + "-gone/")
    with pytest.raises(ConnectorError):
        subject.connector.poll(missing, WINDOW, Known())


def test_override_travels(subject: Subject) -> None:
    """An instance moved by somebody else is seen at its new time under its old name."""
    raw = calendar(
        vevent("RRULE:FREQ=WEEKLY;COUNT=2"),
        vevent(
            "RECURRENCE-ID;TZID=Europe/Lisbon:20260309T090000",
            "DTSTART;TZID=Europe/Lisbon:20260310T150000",
            "DTEND;TZID=Europe/Lisbon:20260310T160000",
        ),
    )
    subject.put("o.ics", raw)
    [resource] = subject.poll().changed
    assert [(each.key.recurrence_id, f"{each.start:%d %H:%M}") for each in resource.occurrences] == [
        ("20260302T090000Z", "02 09:00"),
        ("20260309T090000Z", "10 15:00"),
    ]


def test_labelling(subject: Subject) -> None:
    """One more category: once, on that occurrence alone, nothing else changed, never over a change.

    When an event was last modified is the server's to say.
    """
    # A server that delivers invitations would tell the attendees of a meeting of mine.
    people = () if subject.work.capabilities.schedules else ATTENDEES
    subject.put("a.ics", event("SUMMARY:Kickoff", "CATEGORIES:Sales,Q1", "SEQUENCE:3", *people))
    subject.put("s.ics", event("RRULE:FREQ=WEEKLY;COUNT=3", *people, uid="weekly"))
    found = {each.uid: each for each in subject.poll().changed}
    [before] = found["kickoff"].occurrences
    [after] = subject.connector.label(before, "[held]").occurrences
    assert after.categories == ("Sales", "Q1", "[held]")
    same = {"categories": before.categories, "etag": before.etag, "modified": before.modified}
    assert replace(after, **same) == before
    again = subject.connector.label(before, "[HELD]")
    assert again.etag == after.etag
    with pytest.raises(Conflict):
        subject.connector.label(before, "other")

    first, second, third = found["weekly"].occurrences
    subject.connector.label(second, "one, two; three")
    resource = subject.connector.read(subject.work.ref, second.href, WINDOW)
    assert resource is not None
    assert [each.categories for each in resource.occurrences] == [(), ("one, two; three",), ()]
    same = {"categories": (), "etag": first.etag, "modified": first.modified}
    bare = [replace(each, **same) for each in resource.occurrences]
    assert bare == [first, second, third]

    subject.remove("a.ics")
    with pytest.raises(Conflict):
        subject.connector.label(after, "other")


def test_creating(subject: Subject) -> None:
    """A new meeting is made once for its key, at its wall time in its zone, nobody of it having answered."""
    assert isinstance(subject.connector, Creator)
    start = datetime(2026, 4, 1, 15, 30, tzinfo=ZoneInfo(LISBON))
    new = NewMeeting(
        made_at=datetime(2026, 3, 2, 9, tzinfo=UTC),
        title="Kickoff, anew",
        start=start,
        end=start + timedelta(minutes=45),
        organizer=Address("dana@va.example"),
        organizer_name="Dana Reyes",
        attendees=(Attendee(address=Address("jo@acme.example"), name="Jo", partstat=PartStat.ACCEPTED),),
        location="Room 4",
        related="kickoff",
    )
    first = subject.poll()
    made = subject.connector.create(subject.work.ref, new, "a key")
    again = subject.connector.create(subject.work.ref, new, "a key")
    assert (again.href, again.uid) == (made.href, made.uid)
    [found] = subject.poll(Known(cursor=first.cursor)).changed
    [one] = found.occurrences
    assert (one.key.uid, found.href) == (made.uid, made.href)
    assert (one.title, one.location, one.start, one.tzid) == ("Kickoff, anew", "Room 4", start, LISBON)
    assert one.end - one.start == timedelta(minutes=45)
    assert [(who.address, who.partstat) for who in one.attendees] == [
        ("jo@acme.example", PartStat.NEEDS_ACTION)
    ]
    assert one.organizer == "dana@va.example"
