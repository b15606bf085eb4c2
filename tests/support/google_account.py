"""One person's Google account on the fake, its connector, and a memory such as the store's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from connectors.google import GoogleConnector
from connectors.google_client import GoogleClient, google_pace
from connectors.http import Limits
from rules.model import CalendarRef
from tests.support.fake_google.events import Calendar
from tests.support.fake_google.server import fake_google
from tests.support.fake_google.world import FakeGoogle, User
from tests.support.followed import Followed
from tests.support.google_ics import StaticToken
from tests.support.ics import LISBON

ME = "dana@va.example"
JO = "jo@acme.example"
NOW = datetime(2026, 3, 1, 8, tzinfo=UTC)


class Idle:
    """A monotonic clock that only sleeping moves."""

    def __init__(self) -> None:
        self.at = 1000.0
        self.slept: list[float] = []

    def now(self) -> float:
        """What it shows."""
        return self.at

    def sleep(self, seconds: float) -> None:
        """Time passes."""
        self.slept.append(seconds)
        self.at += seconds


@dataclass(kw_only=True)
class GoogleAccount(Followed):
    """Dana's account, and what a store would hold of her primary calendar."""

    google: FakeGoogle
    me: User
    clock: Idle
    connector: GoogleConnector

    @property
    def calendar(self) -> Calendar:
        """Her primary calendar."""
        return self.me.primary

    def fresh(self, **more: object) -> GoogleConnector:
        """Another connector of hers."""
        return connect(self.google, self.clock, **more)


def connect(
    google: FakeGoogle,
    clock: Idle | None = None,
    *,
    calendars: list[str] | None = None,
    limits: Limits | None = None,
) -> GoogleConnector:
    """A connector of Dana's, whose waiting costs no time."""
    clock = clock or Idle()
    pace = google_pace(monotonic=clock.now, sleep=clock.sleep)
    client = GoogleClient(
        StaticToken(google.oauth.token(ME)),
        google.root,
        account="acme",
        pace=pace,
        limits=limits or Limits(redirects=0, wait_seconds=0.01),
    )
    return GoogleConnector("acme", client, calendars=calendars, home_zone=LISBON)


@contextmanager
def google_account(limits: Limits | None = None) -> Iterator[GoogleAccount]:
    """Dana's account, with Jo as another user; the server's clock stands."""
    with fake_google(lambda: NOW) as google:
        me = google.user(ME, "Dana Reyes")
        google.user(JO, "Jo")
        clock = Idle()
        account = GoogleAccount(
            connector=connect(google, clock, limits=limits),
            ref=CalendarRef(account="acme", id=me.primary.id),
            google=google,
            me=me,
            clock=clock,
        )
        yield account
        account.connector.close()
