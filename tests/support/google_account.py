"""One person's Google account on the fake, its connector, and a memory such as the store's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

from connectors.base import ChangeSet, Cursor, Known, Resource
from connectors.google import GoogleConnector
from connectors.google_client import GoogleClient, google_pace
from connectors.http import Limits
from rules.model import CalendarRef, Interval, Occurrence
from tests.support.fake_google.events import Calendar
from tests.support.fake_google.server import fake_google
from tests.support.fake_google.world import FakeGoogle, User
from tests.support.google_ics import StaticToken
from tests.support.ics import LISBON, WINDOW

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


@dataclass
class GoogleAccount:
    """Dana's account; ``held`` is what a store would hold of her primary calendar."""

    google: FakeGoogle
    me: User
    clock: Idle
    connector: GoogleConnector
    cursor: Cursor = field(default_factory=Cursor)
    held: dict[str, Resource] = field(default_factory=dict)

    @property
    def calendar(self) -> Calendar:
        """Her primary calendar."""
        return self.me.primary

    @property
    def ref(self) -> CalendarRef:
        """The same, as the daemon calls it."""
        return CalendarRef(account="acme", id=self.calendar.id)

    @property
    def known(self) -> Known:
        """What the store would tell a poll."""
        return Known(
            cursor=self.cursor,
            etags=lambda: {href: one.etag for href, one in self.held.items()},
            raw=lambda href: self.held[href].raw if href in self.held else None,
        )

    def poll(self, window: Interval = WINDOW) -> ChangeSet:
        """Poll, and take in what it says as the store does."""
        changes = self.connector.poll(self.ref, window, self.known)
        if changes.full:
            self.held = {href: one for href, one in self.held.items() if href in changes.kept}
        for href in changes.removed:
            self.held.pop(href, None)
        self.held |= {one.href: one for one in changes.changed}
        self.cursor = changes.cursor
        return changes

    def occurrences(self) -> list[Occurrence]:
        """Everything held, by start."""
        found = [each for one in self.held.values() for each in one.occurrences]
        return sorted(found, key=lambda one: (one.start_utc, one.key))

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
        account = GoogleAccount(google, me, clock, connect(google, clock, limits=limits))
        yield account
        account.connector.close()
