"""How CalDAV servers differ and misbehave, on the wire, and what the daemon is told of it."""

from __future__ import annotations

import gzip
import itertools
import time
from collections.abc import Iterator
from typing import Literal

import pytest

from connectors.base import (
    ChangeSet,
    Conflict,
    ConnectorError,
    Cursor,
    CursorExpired,
    Known,
    LimitExceeded,
    NeedsLogin,
    NotSupported,
    Rejected,
    Retryable,
)
from connectors.caldav import CalDavConnector
from connectors.http import Limits
from rules.model import CalendarRef, Occurrence
from tests.support.fake_dav import CALENDAR, Answer, FakeDav, Request, fake_dav
from tests.support.ics import LISBON, WINDOW, event

XML = {"Content-Type": "application/xml; charset=utf-8"}


@pytest.fixture
def dav() -> Iterator[FakeDav]:
    """A well-behaved server with two events, until a test says otherwise."""
    with fake_dav() as server:
        server.put("a.ics", event(uid="a"))
        server.put("b.ics", event(uid="b"))
        yield server


def connect(
    dav: FakeDav, *, seconds: float = 5.0, body_bytes: int = 1 << 20, batch: int = 200
) -> CalDavConnector:
    """A connector without waiting between tries."""
    limits = Limits(seconds=seconds, body_bytes=body_bytes, wait_seconds=0)
    return CalDavConnector(
        "own", dav.url, username="dana", password="pässword", home_zone=LISBON, limits=limits, batch=batch
    )


def poll(connector: CalDavConnector, dav: FakeDav, known: Known | None = None) -> ChangeSet:
    """Poll the one calendar."""
    ref = CalendarRef(account="own", id=dav.url.rstrip("/") + CALENDAR)
    return connector.poll(ref, WINDOW, known or Known())


def known(changes: ChangeSet) -> Known:
    """What a store would hold after these changes."""
    return Known(cursor=changes.cursor, etags=lambda: {each.href: each.etag for each in changes.changed})


def only(method: str, containing: str, answer: Answer) -> object:
    """Answer just these requests specially."""

    def before(request: Request) -> Answer | None:
        return answer if request.method == method and containing in request.body else None

    return before


def test_discovery_from_a_bare_host(dav: FakeDav) -> None:
    """The host alone leads over .well-known, principal and home to the calendars."""
    [info] = connect(dav).calendars()
    assert (info.name, info.ref.id) == ("Work", dav.url.rstrip("/") + CALENDAR)
    assert not info.capabilities.schedules


def test_scheduling_is_told_by_the_dav_header(dav: FakeDav) -> None:
    """RFC 6638: a server that delivers invitations says so."""
    dav.dav += ", calendar-auto-schedule"
    [info] = connect(dav).calendars()
    assert info.capabilities.schedules


@pytest.mark.parametrize("name", ["Work", "work", CALENDAR, "URL"])
def test_calendars_are_chosen_by_name_segment_or_url(dav: FakeDav, name: str) -> None:
    """Display name in any case, last path segment, path and URL all choose it."""
    chosen = dav.url.rstrip("/") + CALENDAR if name == "URL" else name
    connector = CalDavConnector("own", dav.url, calendars=[chosen])
    assert [info.name for info in connector.calendars()] == ["Work"]


def test_unknown_calendar_name_lists_those_there(dav: FakeDav) -> None:
    """A misspelt name is an error that names the calendars there are."""
    with pytest.raises(ConnectorError, match=r"no calendar 'Wrok'; it has: Work\."):
        CalDavConnector("own", dav.url, calendars=["Wrok"]).calendars()


@pytest.mark.parametrize("kind", ["basic", "digest", "auto", "bearer"])
def test_sign_in(dav: FakeDav, kind: Literal["basic", "digest", "auto", "bearer"]) -> None:
    """Basic, Digest, Digest found out by itself, and Bearer; wrong ones need the owner."""
    if kind == "bearer":
        dav.bearer = "secret"
    else:
        dav.credentials, dav.digest = ("dana", "pässword"), kind in {"digest", "auto"}
    good = CalDavConnector("own", dav.url, username="dana", password="pässword", token="secret", auth=kind)
    if kind == "auto":
        good = CalDavConnector("own", dav.url, username="dana", password="pässword")
    assert len(good.calendars()) == 1
    bad = CalDavConnector("own", dav.url, username="dana", password="wrong", token="wrong", auth=kind)
    with pytest.raises(NeedsLogin) as caught:
        bad.calendars()
    assert "wrong" not in str(caught.value)


def test_credentials_leave_with_the_first_request(dav: FakeDav) -> None:
    """A server that answers strangers with 207 still learns who we are."""
    connect(dav).calendars()
    assert all(request.headers.get("authorization", "").startswith("Basic ") for request in dav.requests)


def test_digest_alone_never_sends_the_password(dav: FakeDav) -> None:
    """With auth: digest nothing but Digest leaves."""
    dav.credentials, dav.digest = ("dana", "x"), True
    CalDavConnector("own", dav.url, username="dana", password="x", auth="digest").calendars()
    assert not any("Basic" in request.headers.get("authorization", "") for request in dav.requests)


@pytest.mark.parametrize("ctag", [True, False])
def test_idle_poll_is_one_request(dav: FakeDav, ctag: bool) -> None:
    """A PROPFIND on the home answers for all calendars; sync-token stands in for a missing getctag."""
    dav.ctag = ctag
    connector = connect(dav)
    [info] = connector.calendars()
    first = poll(connector, dav)
    connector.changed_calendars({info.ref: first.cursor})
    second = poll(connector, dav, known(first))
    dav.requests.clear()
    assert connector.changed_calendars({info.ref: second.cursor}) == frozenset()
    assert len(dav.requests) == 1
    dav.put("c.ics", event(uid="c"))
    assert connector.changed_calendars({info.ref: second.cursor}) == {info.ref}


@pytest.mark.parametrize("status", [400, 403, 409, 410, 412])
def test_a_bad_token_in_any_dialect_expires_the_cursor(dav: FakeDav, status: int) -> None:
    """Whatever way a server refuses a token, the daemon hears CursorExpired."""
    dav.bad_token = Answer(status, b'<error xmlns="DAV:"><valid-sync-token/></error>')
    with pytest.raises(CursorExpired):
        poll(connect(dav), dav, Known(cursor=Cursor('["", "stale"]')))


def test_hostile_22_gone_for_ever(dav: FakeDav) -> None:
    """HOSTILE 22: 410 to every sync-collection ends in comparing etags, without a loop."""
    dav.before = only("REPORT", "sync-collection", Answer(410))  # type: ignore[assignment]
    connector = connect(dav)
    with pytest.raises(CursorExpired):
        poll(connector, dav, Known(cursor=Cursor('["", "t1"]')))
    changes = poll(connector, dav)
    assert changes.full
    assert len(changes.changed) == 2
    again = poll(connector, dav, known(changes))
    assert (again.full, len(again.kept), again.changed) == (True, 2, ())


def test_a_server_that_lists_everything_for_a_bad_token(dav: FakeDav) -> None:
    """A 207 with everything and no error hides what was removed, so it counts as a forgotten token."""
    connector = connect(dav)
    first = poll(connector, dav)
    dav.history = ["a.ics", "b.ics", "a.ics", "b.ics"]
    with pytest.raises(CursorExpired):
        poll(connector, dav, known(first))


def test_without_sync_collection_etags_are_compared(dav: FakeDav) -> None:
    """No sync-collection: changes and removals are found from a listing of etags."""
    dav.sync = False
    connector = connect(dav)
    first = poll(connector, dav)
    dav.put("a.ics", event("SUMMARY:New", uid="a"))
    dav.remove("b.ics")
    dav.put("c.ics", event(uid="c"))
    changes = poll(connector, dav, known(first))
    assert changes.full
    assert {each.uid for each in changes.changed} == {"a", "c"}
    assert changes.kept == frozenset()
    assert dav.count("REPORT", "calendar-multiget") == 2


def test_truncated_pages_are_followed(dav: FakeDav) -> None:
    """RFC 6578 section 3.6: a 507 inside the answer means there is more."""
    dav.page = 1
    for number in range(5):
        dav.put(f"{number}.ics", event(uid=str(number)))
    changes = poll(connect(dav), dav)
    assert len(changes.changed) == 7
    assert dav.count("REPORT", "sync-collection") == 7


def test_unchanged_objects_are_not_read_again(dav: FakeDav) -> None:
    """Some servers report unchanged objects; the same etag means nothing to read."""
    connector = connect(dav)
    for number in range(5):
        dav.put(f"{number}.ics", event(uid=str(number)))
    first = poll(connector, dav)
    dav.history += ["0.ics"]
    dav.put("a.ics", event("SUMMARY:New", uid="a"))
    dav.requests.clear()
    changes = poll(connector, dav, known(first))
    assert [each.uid for each in changes.changed] == ["a"]
    assert "0.ics" not in "".join(request.body for request in dav.requests)


def test_absolute_and_escaped_hrefs_are_one(dav: FakeDav) -> None:
    """However the server spells an href, it is the same object with the same name."""
    dav.put("jo%40x y.ics".replace(" ", "%20"), event(uid="odd"))
    plain = {each.href for each in poll(connect(dav), dav).changed}
    dav.absolute_hrefs = True
    assert {each.href for each in poll(connect(dav), dav).changed} == plain


def test_batches(dav: FakeDav) -> None:
    """Objects are read in batches, and progress is told after each."""
    told: list[tuple[int, int]] = []
    ref = CalendarRef(account="own", id=dav.url.rstrip("/") + CALENDAR)
    dav.put("c.ics", event(uid="c"))
    connect(dav, batch=2).poll(ref, WINDOW, Known(), lambda done, total: told.append((done, total)))
    assert told == [(2, 3), (3, 3)]


def test_an_object_passed_over_is_asked_for_alone(dav: FakeDav) -> None:
    """A multiget that keeps silent about an object does not make it vanish."""
    dav.passed_over = {CALENDAR + "a.ics"}
    assert {each.uid for each in poll(connect(dav), dav).changed} == {"a", "b"}


def test_an_object_nobody_hands_out_fails_the_poll(dav: FakeDav) -> None:
    """Silence in the multiget and no answer alone: the poll fails, the calendar does not shrink."""
    dav.passed_over = {CALENDAR + "a.ics"}
    dav.before = lambda request: Answer(406) if request.method == "GET" else None
    with pytest.raises(Retryable, match="only part of the calendar"):
        poll(connect(dav), dav)


def test_truncated_xml_fails_the_poll(dav: FakeDav) -> None:
    """Half an answer is an error, never half a calendar."""
    body = b'<?xml version="1.0"?><multistatus xmlns="DAV:"><response><href>/dav/dana/work/a.ics</href>'
    dav.before = only("REPORT", "sync-collection", Answer(207, body, XML))  # type: ignore[assignment]
    with pytest.raises(Retryable, match="not well-formed"):
        poll(connect(dav), dav)


def test_hostile_24_a_login_page_is_no_calendar(dav: FakeDav) -> None:
    """HOSTILE 24: HTTP 200 with HTML is an error at every request, never "no calendars"."""
    page = Answer(200, b"<!DOCTYPE html><html><body>Please sign in", {"Content-Type": "text/html"})
    connector = connect(dav)
    [info] = connector.calendars()
    first = poll(connector, dav)
    dav.before = lambda request: page
    for attempt in (
        lambda: connect(dav).calendars(),
        connector.calendars,
        lambda: connector.changed_calendars({info.ref: first.cursor}),
        lambda: poll(connector, dav, known(first)),
        lambda: poll(connector, dav),
        lambda: connector.read(info.ref, CALENDAR + "a.ics", WINDOW),
    ):
        with pytest.raises(ConnectorError, match="web page, not calendar data"):
            attempt()


def test_half_a_meeting_is_not_read(dav: FakeDav) -> None:
    """A body that ends before END:VCALENDAR is no news of the meeting, whatever its status says."""
    connector = connect(dav)
    [info] = connector.calendars()
    text = dav.objects[CALENDAR + "a.ics"][1].encode()
    dav.before = lambda request: Answer(200, text[: len(text) // 2], {"Content-Type": "text/calendar"})
    with pytest.raises(Retryable, match="not whole"):
        connector.read(info.ref, CALENDAR + "a.ics", WINDOW)


@pytest.mark.parametrize("kind", ["laughs", "external"])
def test_hostile_18_entities_are_refused(dav: FakeDav, kind: str) -> None:
    """HOSTILE 18: billion laughs and XXE are refused unread."""
    laughs = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    entities = (
        f'<!ENTITY l0 "ha">{laughs}' if kind == "laughs" else '<!ENTITY l9 SYSTEM "file:///etc/passwd">'
    )
    body = (
        f'<?xml version="1.0"?><!DOCTYPE m [{entities}]><multistatus xmlns="DAV:"><response><href>&l9;</href>'
    )
    body += "</response></multistatus>"
    dav.before = only("REPORT", "sync-collection", Answer(207, body.encode(), XML))  # type: ignore[assignment]
    with pytest.raises(ConnectorError):
        poll(connect(dav), dav)


def test_hostile_19_a_gzip_bomb_is_not_inflated(dav: FakeDav) -> None:
    """HOSTILE 19: a small answer that would inflate without end stops at the cap."""
    bomb = gzip.compress(bytes(64 * 1024 * 1024), 9)
    assert len(bomb) < 100_000
    dav.before = only(  # type: ignore[assignment]
        "REPORT", "sync-collection", Answer(207, bomb, {**XML, "Content-Encoding": "gzip"})
    )
    with pytest.raises(LimitExceeded, match="more than 1024 KiB"):
        poll(connect(dav), dav)


def test_an_endless_body_stops_at_the_cap(dav: FakeDav) -> None:
    """An answer without an end is read up to the cap."""
    dav.before = lambda request: Answer(207, headers=XML, chunks=itertools.repeat(b"x" * 65536))
    with pytest.raises(LimitExceeded):
        poll(connect(dav), dav)


def test_hostile_20_slow_loris_body(dav: FakeDav) -> None:
    """HOSTILE 20: a body that trickles in ends at the total deadline, in one try."""

    def trickle() -> Iterator[bytes]:
        while True:
            time.sleep(0.02)
            yield b"<"

    dav.before = lambda request: Answer(207, headers=XML, chunks=trickle())
    with pytest.raises(Retryable, match=r"did not answer within 0\.3 seconds"):
        poll(connect(dav, seconds=0.3), dav)
    assert len(dav.requests) == 1


def test_a_giant_event_spares_its_neighbours(dav: FakeDav) -> None:
    """An object too large to accept is told as broken; the rest of the calendar arrives."""
    dav.put("giant.ics", event("DESCRIPTION:" + "x" * (1 << 20), uid="giant"))
    dav.put("c.ics", event(uid="c"))
    changes = poll(connect(dav), dav)
    assert {each.uid for each in changes.changed if not each.broken} == {"a", "b", "c"}
    [giant] = [each for each in changes.changed if each.broken]
    assert (giant.href, giant.occurrences) == (CALENDAR + "giant.ics", ())


def test_hostile_21_no_redirect_to_another_host(dav: FakeDav) -> None:
    """HOSTILE 21: a 302 elsewhere is refused and told; the other host hears nothing."""
    with fake_dav() as other:
        elsewhere = other.url.replace("127.0.0.1", "localhost")
        dav.before = lambda request: Answer(302, headers={"Location": elsewhere + "dav/"})
        with pytest.raises(ConnectorError, match="redirects to another host, localhost"):
            poll(connect(dav), dav)
        assert other.requests == []


def test_a_redirect_keeps_method_and_body(dav: FakeDav) -> None:
    """On the same host a 302 is followed with the same REPORT, not turned into a GET."""
    dav.before = lambda request: (
        Answer(302, headers={"Location": CALENDAR}) if request.path == CALENDAR.rstrip("/") else None
    )
    ref = CalendarRef(account="own", id=dav.url.rstrip("/") + CALENDAR.rstrip("/"))
    assert len(connect(dav).poll(ref, WINDOW, Known()).changed) == 2


def test_endless_redirects_end(dav: FakeDav) -> None:
    """A redirect loop is an error after a few rounds."""
    dav.before = lambda request: Answer(302, headers={"Location": request.path})
    with pytest.raises(ConnectorError, match="keeps redirecting"):
        poll(connect(dav), dav)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "120"}, 120.0),
        ({"Retry-After": "Wed, 01 Jan 2098 00:05:00 GMT", "Date": "Wed, 01 Jan 2098 00:00:00 GMT"}, 300.0),
        ({"Retry-After": "nonsense"}, None),
        ({}, None),
    ],
)
def test_hostile_23_slow_down(dav: FakeDav, headers: dict[str, str], seconds: float | None) -> None:
    """HOSTILE 23: 429 says how long to wait, in seconds or as a date against the server's own clock."""
    dav.before = lambda request: Answer(429, headers=headers)
    with pytest.raises(Retryable) as caught:
        poll(connect(dav), dav)
    assert caught.value.retry_after == seconds
    assert len(dav.requests) == 1


def test_a_503_is_tried_again(dav: FakeDav) -> None:
    """A read that meets a 503 without Retry-After gets a second chance within the call."""
    answers = iter([Answer(503), None, None])
    dav.before = lambda request: next(answers, None)
    assert len(poll(connect(dav), dav).changed) == 2


def test_a_write_is_never_repeated(dav: FakeDav) -> None:
    """A PUT that meets a 503 is not sent twice; one that is refused is told as such."""
    connector = connect(dav)
    occurrence = poll(connector, dav).changed[0].occurrences[0]
    for status, error in ((503, Retryable), (403, Rejected)):
        dav.before = lambda request, status=status: Answer(status) if request.method == "PUT" else None  # type: ignore[misc]
        dav.requests.clear()
        with pytest.raises(error):
            connector.move(occurrence, occurrence.start, occurrence.end)
        assert dav.count("PUT") == 1


def test_a_move_stamps_with_the_servers_clock(dav: FakeDav) -> None:
    """DTSTAMP of a moved meeting is the server's own Date; connectors have no clock."""
    connector = connect(dav)
    occurrence = poll(connector, dav).changed[0].occurrences[0]
    moved = connector.move(occurrence, occurrence.start, occurrence.end)
    assert moved.occurrences[0].modified is not None
    assert moved.occurrences[0].modified.year >= 2026


MEETING = (
    "ORGANIZER:mailto:{}",
    "ATTENDEE;PARTSTAT=ACCEPTED:mailto:dana@va.example",
    "ATTENDEE;PARTSTAT=ACCEPTED:mailto:jo@acme.example",
)


def meeting(dav: FakeDav, organizer: str) -> tuple[CalDavConnector, Occurrence]:
    """A calendar with one meeting by this organizer."""
    for name in ("a.ics", "b.ics"):
        dav.remove(name)
    dav.put("m.ics", event(*(line.format(organizer) for line in MEETING), "SEQUENCE:2"))
    connector = connect(dav)
    return connector, poll(connector, dav).changed[0].occurrences[0]


@pytest.mark.parametrize("organizer", ["dana@va.example", "jo@acme.example"])
def test_a_label_is_nobody_elses_business(dav: FakeDav, organizer: str) -> None:
    """SEQUENCE, stamps and answers stay as they are; a second label writes nothing."""
    connector, before = meeting(dav, organizer)
    [after] = connector.label(before, "[held]").occurrences
    assert (after.categories, after.sequence, after.modified) == (("[held]",), 2, before.modified)
    assert after.attendees == before.attendees
    [put] = [request for request in dav.requests if request.method == "PUT"]
    assert put.headers["if-match"] == before.etag
    connector.label(before, "[Held]")
    assert dav.count("PUT") == 1


@pytest.mark.parametrize("organizer", ["dana@va.example", "jo@acme.example"])
def test_a_server_that_might_tell_others_is_not_written_to(dav: FakeDav, organizer: str) -> None:
    """RFC 6638: what an organizer changes is sent out; so is, by some, an attendee's new override."""
    dav.dav += ", calendar-auto-schedule"
    connector, occurrence = meeting(dav, organizer)
    with pytest.raises(NotSupported, match="would tell the other people"):
        connector.label(occurrence, "[held]")
    assert dav.count("PUT") == 0
    dav.put("m.ics", event("SUMMARY:Alone"))
    [alone] = poll(connector, dav).changed[0].occurrences
    assert connector.label(alone, "[held]").occurrences[0].categories == ("[held]",)


def test_a_label_that_crosses_a_change_is_a_conflict(dav: FakeDav) -> None:
    """Changed before it is read again, or between that and the write: nothing is overwritten."""
    connector, occurrence = meeting(dav, "jo@acme.example")
    dav.before = lambda request: Answer(412) if request.method == "PUT" else None
    with pytest.raises(Conflict):
        connector.label(occurrence, "[held]")
    dav.put("m.ics", event("SUMMARY:Other"))
    with pytest.raises(Conflict):
        connector.label(occurrence, "[held]")
