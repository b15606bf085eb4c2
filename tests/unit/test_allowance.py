"""What one poll may cost in all, however many small answers a server sends."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from connectors import allowance
from connectors.allowance import CHANGES, WHOLE, allowed
from connectors.base import CursorExpired, Retryable, TooMuch
from connectors.caldav import CalDavConnector
from connectors.deadline import remaining, span, within
from connectors.http import GuardedSession, Limits
from connectors.smtp_wire import Deadline, Wire, WireError
from rules.model import CalendarRef
from tests.support.fake_dav import CALENDAR, fake_dav
from tests.support.followed import Followed
from tests.support.google_account import google_account
from tests.support.ics import event
from tests.support.outlook_account import outlook_account

KINDS = ("caldav", "google", "outlook")
HOUR = timedelta(hours=1)
START = datetime(2026, 3, 9, 9, tzinfo=UTC)
WORDS = "long words " * 40


class Calendar(Followed):
    """One calendar of any kind, and a way to put an event with long words into it."""

    put: Any


@pytest.fixture(params=KINDS)
def calendar(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Calendar]:
    """A calendar of which each page or batch holds few events."""
    with ExitStack() as stack:
        if request.param == "caldav":
            dav = stack.enter_context(fake_dav())
            ref = CalendarRef(account="own", id=dav.url.rstrip("/") + CALENDAR)
            made = Calendar(CalDavConnector("own", dav.url, batch=5), ref)
            stack.callback(made.connector.close)
            made.put = lambda name: dav.put(f"{name}.ics", event(f"UID:{name}", f"SUMMARY:{WORDS}"))
        else:
            monkeypatch.setattr(f"connectors.{request.param}_sync.SIZES", (5,))
            account: Any = {"google": google_account, "outlook": outlook_account}[request.param]
            held = stack.enter_context(account())
            made = Calendar(held.connector, held.ref)
            made.put = lambda name: held.calendar.event(f"{name} {WORDS}", START, START + HOUR, {})
        made.kind = request.param  # type: ignore[attr-defined]
        yield made


def _set(monkeypatch: pytest.MonkeyPatch, calendar: Calendar, name: str, body_bytes: int) -> None:
    module = {"caldav": "caldav_sync"}.get(calendar.kind, calendar.kind)  # type: ignore[attr-defined]
    changed = replace(getattr(allowance, name), body_bytes=body_bytes)
    monkeypatch.setattr(f"connectors.{module}.{name}", changed)


def test_many_small_answers_are_counted_together(calendar: Calendar, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each page is well within the limit of one answer; all of them are not, and nothing is used."""
    for number in range(40):
        calendar.put(f"e{number}")
    _set(monkeypatch, calendar, "WHOLE", 20_000)
    with pytest.raises(TooMuch, match="nothing of it was used"):
        calendar.poll()
    _set(monkeypatch, calendar, "WHOLE", 400_000)
    assert len(calendar.poll().changed) == 40


def test_more_changes_than_one_poll_takes_are_read_in_full(
    calendar: Calendar, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody imports a calendar: the cursor counts as expired, and the full read that follows works."""
    calendar.put("first")
    calendar.poll()
    for number in range(40):
        calendar.put(f"e{number}")
    _set(monkeypatch, calendar, "CHANGES", 20_000)
    with pytest.raises(CursorExpired):
        calendar.poll()
    calendar.cursor = type(calendar.cursor)()
    assert len(calendar.poll().changed) == 40


def test_answers_too_large_to_read_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server whose every event is too large is not asked for each of them alone."""
    monkeypatch.setattr("connectors.allowance.MOST_REFUSED", 9)
    with fake_dav() as dav:
        for number in range(200):
            dav.put(f"{number}.ics", event(f"UID:{number}", f"SUMMARY:{'x' * 90_000}"))
        connector = CalDavConnector("own", dav.url, limits=Limits(body_bytes=80_000, wait_seconds=0))
        calendar = Followed(connector, CalendarRef(account="own", id=dav.url.rstrip("/") + CALENDAR))
        with pytest.raises(TooMuch):
            calendar.poll()
        assert dav.count("REPORT", "multiget") == 9 + 1
        connector.close()


def test_the_time_of_a_poll_is_that_of_all_its_requests() -> None:
    """A request has the seconds that are left of the poll, and says of how many."""
    with allowed(WHOLE), within(5):
        assert span() == 5
    with allowed(CHANGES), within(9999):
        assert (span(), remaining() <= 60) == (60, True)
    with fake_dav() as dav:
        session = GuardedSession(dav.url)
        with allowed(replace(CHANGES, seconds=0)), pytest.raises(Retryable, match="within 0 seconds"):
            session.request("GET", dav.url)
        assert dav.requests == []
        session.close()


@pytest.fixture
def silent_names(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A resolver that looks names up for ever."""
    ended = threading.Event()
    real = socket.getaddrinfo

    def ask(host: str, *args: Any, **kwargs: Any) -> Any:
        if kwargs.get("flags"):
            return real(host, *args, **kwargs)
        ended.wait()
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr("connectors.reaching.socket.getaddrinfo", ask)
    yield
    ended.set()


@pytest.mark.usefixtures("silent_names")
def test_the_look_up_of_a_name_is_within_the_deadline() -> None:
    """A name server that never answers holds a request no longer than a server that never answers."""
    began = time.monotonic()
    with pytest.raises(Retryable, match=r"dav\.example did not answer within 0\.2 seconds"):
        GuardedSession("https://dav.example/", limits=Limits(seconds=0.2)).request(
            "GET", "https://dav.example/"
        )
    with pytest.raises(WireError, match="could not be found"):
        Wire.open("mail.example", 25, Deadline(0.2))
    assert time.monotonic() - began < 30


def test_a_name_that_is_none() -> None:
    """What cannot be a host's name is told like one that nobody knows."""
    with pytest.raises(WireError, match="could not be found"):
        Wire.open("a" * 70 + ".example", 25, Deadline(5))
