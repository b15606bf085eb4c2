"""One person's Outlook mailbox on the fake, its connector, and a memory such as the store's."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from connectors.http import Limits
from connectors.outlook import OutlookConnector
from connectors.outlook_client import GraphClient, graph_pace
from rules.model import Address, CalendarRef
from tests.support.authority import trusted
from tests.support.fake_graph.events import Calendar
from tests.support.fake_graph.server import fake_graph
from tests.support.fake_graph.world import FakeGraph, User
from tests.support.followed import Followed
from tests.support.google_account import Idle
from tests.support.google_ics import StaticToken
from tests.support.ics import LISBON

ME = "dana@va.example"
JO = "jo@acme.example"
NOW = datetime(2026, 3, 1, 8, tzinfo=UTC)
SCOPES = ("User.Read", "Calendars.ReadWrite", "MailboxSettings.Read")


@dataclass(kw_only=True)
class OutlookAccount(Followed):
    """Dana's mailbox, and what a store would hold of her primary calendar."""

    graph: FakeGraph
    me: User
    clock: Idle
    connector: OutlookConnector

    @property
    def calendar(self) -> Calendar:
        """Her primary calendar."""
        return self.me.primary


def connect(
    graph: FakeGraph,
    user: str = ME,
    *,
    clock: Idle | None = None,
    mine: Sequence[str] = (),
    calendars: Sequence[str] | None = None,
    limits: Limits | None = None,
    scopes: Sequence[str] = SCOPES,
) -> OutlookConnector:
    """A connector of somebody's, whose waiting costs no time."""
    clock = clock or Idle()
    client = GraphClient(
        StaticToken(graph.grants.mint(user, *scopes)),
        graph.root,
        account="acme",
        pace=graph_pace(monotonic=clock.now, sleep=clock.sleep),
        limits=limits or Limits(redirects=0, wait_seconds=0.01),
    )
    own = [Address(one) for one in mine or (user,)]
    return OutlookConnector("acme", client, mine=own, calendars=calendars, home_zone=LISBON)


@contextmanager
def outlook_account(
    now: Callable[[], datetime] = lambda: NOW, limits: Limits | None = None
) -> Iterator[OutlookAccount]:
    """Dana's mailbox, with Jo as another user; the server's clock stands unless ``now`` says otherwise."""
    with trusted(), fake_graph(now) as graph:
        me = graph.user(ME, "Dana Reyes")
        graph.user(JO, "Jo")
        clock = Idle()
        account = OutlookAccount(
            connector=connect(graph, clock=clock, limits=limits),
            ref=CalendarRef(account="acme", id=me.primary.id),
            graph=graph,
            me=me,
            clock=clock,
        )
        yield account
        account.connector.close()
