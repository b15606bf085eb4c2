"""An account whose server tells untruths: what it holds in truth, and ways to be wrong about it.

Every kind of account has a stranger on the same server, and the same list of faults.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from connectors.base import CalendarConnector
from connectors.caldav import CalDavConnector
from connectors.google import GoogleConnector
from connectors.google_client import GoogleClient, google_pace
from connectors.http import Limits
from connectors.outlook import OutlookConnector
from connectors.outlook_client import GraphClient, graph_pace
from rules.model import Address
from tests.support import fake_dav, faults
from tests.support.authority import trusted
from tests.support.fake_google import faults as google_faults
from tests.support.fake_google.server import fake_google
from tests.support.fake_graph.graph_errors import error as graph_error
from tests.support.fake_graph.server import fake_graph
from tests.support.google_account import Idle
from tests.support.house import event
from tests.support.ics import LISBON
from tests.support.offices import World, at
from tests.support.outlook_account import SCOPES

ME, STRANGER = "dana@va.example", "eve@other.example"
HALF = timedelta(minutes=30)

ONCE = ("missing calendar", "shrunk", "empty")
"""Faults that may be the truth, so that a second read that agrees is believed. No number of them makes
another true; only the owner's word does that for a stranger's calendar."""

Answers = dict[str, str]


class Changing:
    """An access token that may become somebody else's."""

    def __init__(self, token: str) -> None:
        self.token = token

    def access_token(self) -> str:
        """The token of whoever it is now."""
        return self.token

    def forget(self, token: str) -> None:
        """There is no other."""


@dataclass
class Misled:
    """An account of Dana's called ``acme``: how meetings get into it, and what goes wrong with its server."""

    connect: Callable[[], CalendarConnector]
    put: Callable[[str, float, Answers], None]
    strange: Callable[[str, float, Answers], None]
    faults: dict[str, Callable[[], None]]
    heal: Callable[[], None]
    truth: set[str] = field(default_factory=set)

    def holds(self, title: str, hours: float, answers: Answers) -> None:
        """Put a meeting of Dana's, so many hours after the story began."""
        self.truth.add(title)
        self.put(title, hours, answers)


@contextmanager
def dav(world: World) -> Iterator[Misled]:
    """A CalDAV server on the wire."""
    with fake_dav.fake_dav() as server:
        server.page = 5
        others: dict[str, tuple[str, str]] = {}
        kept: list[Any] = []

        def put(title: str, hours: float, answers: Answers) -> None:
            text = event(title, at(hours), answers, title=title)
            made = f"CREATED:{world.clock.at:%Y%m%dT%H%M%SZ}"
            server.put(f"{title}.ics", text.replace("CREATED:20260101T000000Z", made))

        def strange(title: str, hours: float, answers: Answers) -> None:
            path = f"{fake_dav.CALENDAR}{title}.ics"
            others[path] = (f'"{title}"', event(title, at(hours), answers, title=title))

        def show(objects: dict[str, tuple[str, str]]) -> None:
            kept[:] = [server.objects, server.history]
            names = [path.removeprefix(fake_dav.CALENDAR) for path in objects]
            server.objects, server.history = objects, [*names, "x.ics"]
            server.mark = "x"  # a token is good for the calendar that it was given for

        def answer(made: fake_dav.Answer, *methods: str, token: bool = False) -> None:
            def before(request: fake_dav.Request) -> fake_dav.Answer | None:
                hit = request.method in methods and (not token or "sync-token>t" in request.body)
                return made if hit else None

            server.before = before

        def spoil(change: Callable[[bytes], bytes]) -> None:
            def before(request: fake_dav.Request) -> fake_dav.Answer:
                server.before = lambda request: None
                whole = server.answer(request)
                server.before = before
                return fake_dav.Answer(whole.status, change(whole.body), whole.headers)

            server.before = before

        def heal() -> None:
            server.before = lambda request: None
            server.hidden = False
            if kept:
                server.objects, server.history = kept
                server.mark = "t"
                kept.clear()

        page = fake_dav.Answer(200, faults.LOGIN_PAGE, {"Content-Type": "text/html"})
        gone = fake_dav.Answer(403, b'<error xmlns="DAV:"><valid-sync-token/></error>')
        some = lambda: dict(list(server.objects.items())[: len(server.objects) // 3])  # noqa: E731
        yield Misled(
            connect=lambda: CalDavConnector(
                "acme", server.url, username="dana", password="secret", home_zone=LISBON
            ),
            put=put,
            strange=strange,
            heal=heal,
            faults={
                "html": lambda: answer(page, "PROPFIND", "REPORT", "GET"),
                "truncated": lambda: spoil(lambda body: body[: len(body) // 2]),
                "gone mid-page": lambda: answer(gone, "REPORT", token=True),
                "gone for ever": lambda: answer(fake_dav.Answer(410), "PROPFIND", "REPORT", "GET"),
                "missing calendar": lambda: setattr(server, "hidden", True),
                "shrunk": lambda: show(some()),
                "empty": lambda: show({}),
                "replaced": lambda: show(others),
            },
        )


@contextmanager
def google(world: World) -> Iterator[Misled]:  # noqa: C901 - small things a server can do
    """Google's calendar on the wire."""
    with fake_google(lambda: world.clock.at) as server:
        server.oauth.lifetime = timedelta(days=999)
        me, eve = server.user(ME, "Dana Reyes"), server.user(STRANGER, "Eve")
        me.calendar("Other")
        token, theirs = server.oauth.token(ME), server.oauth.token(STRANGER)
        shown, idle, kept = Changing(token), Idle(), list[Any]()

        def put(title: str, hours: float, answers: Answers) -> None:
            found = next((key for key, one in me.primary.items.items() if one.body["summary"] == title), None)
            if found is not None:
                for who, how in answers.items():
                    server.answer(found, who, _GOOGLE[how])
                return
            guests = {who: _GOOGLE[how] for who, how in answers.items()}
            me.primary.event(title, at(hours), at(hours) + HALF, guests)

        def strange(title: str, hours: float, answers: Answers) -> None:
            guests = {who: _GOOGLE[how] for who, how in answers.items()}
            eve.primary.event(title, at(hours), at(hours) + HALF, guests)

        def show(items: dict[str, Any]) -> None:
            kept[:] = [me.primary.items]
            me.primary.items = items
            me.primary.forget_tokens()

        def heal() -> None:
            server.heal()
            shown.token = token
            if kept:
                me.primary.items = kept.pop()
                me.primary.forget_tokens()
            if not any(each["id"] == me.primary.id and not each.get("deleted") for each in me.listed):
                me.subscribe(me.primary, "owner", primary=True)

        def fail(route: str, effect: faults.Effect, **more: Any) -> Callable[[], None]:
            return lambda: void(server.fail(route, effect, times=None, **more))

        def halfway() -> None:
            me.primary.forget_tokens()
            server.fail("calendar.events.list", google_faults.expired_token(), times=None, page=2)

        def connect() -> CalendarConnector:
            pace = google_pace(monotonic=idle.now, sleep=idle.sleep)
            limits = Limits(redirects=0, wait_seconds=0.01)
            client = GoogleClient(shown, server.root, account="acme", pace=pace, limits=limits)
            return GoogleConnector("acme", client, home_zone=LISBON)

        some = lambda: dict(list(me.primary.items.items())[: len(me.primary.items) // 3])  # noqa: E731
        yield Misled(
            connect=connect,
            put=put,
            strange=strange,
            heal=heal,
            faults={
                "html": fail("calendar.*", faults.html()),
                "truncated": fail("calendar.*", faults.truncated()),
                "gone mid-page": halfway,
                "gone for ever": fail("calendar.events.*", google_faults.expired_token()),
                "missing calendar": lambda: me.unsubscribe(me.primary),
                "shrunk": lambda: show(some()),
                "empty": lambda: show({}),
                "replaced": lambda: show(dict(eve.primary.items)),
                "stranger": lambda: setattr(shown, "token", theirs),
            },
        )


@contextmanager
def outlook(world: World) -> Iterator[Misled]:  # noqa: C901 - small things a server can do
    """Microsoft Graph on the wire."""
    with trusted(), fake_graph(lambda: world.clock.at) as server:
        me, eve = server.user(ME, "Dana Reyes"), server.user(STRANGER, "Eve")
        me.calendar("Other")
        token, theirs = server.grants.mint(ME, *SCOPES), server.grants.mint(STRANGER, *SCOPES)
        shown, idle, kept = Changing(token), Idle(), list[Any]()
        ids: dict[str, str] = {}

        def put(title: str, hours: float, answers: Answers) -> None:
            if title in ids:
                for who, how in answers.items():
                    server.answer(ids[title], who, _GRAPH[how])
                return
            guests: dict[str, Any] = {who: _GRAPH[how] for who, how in answers.items()}
            ids[title] = me.primary.event(title, at(hours), at(hours) + HALF, guests)

        def strange(title: str, hours: float, answers: Answers) -> None:
            guests: dict[str, Any] = {who: _GRAPH[how] for who, how in answers.items()}
            eve.primary.event(title, at(hours), at(hours) + HALF, guests)

        def show(items: dict[str, Any]) -> None:
            kept[:] = [me.primary, me.primary.items]
            me.primary.items = items
            server.forget_rounds()

        def hide() -> None:
            kept[:] = [me.calendars[0], me.calendars[0].items]
            me.calendars.pop(0)
            server.calendars.pop(kept[0].id)

        def heal() -> None:
            server.heal()
            shown.token = token
            if kept:
                calendar, items = kept
                calendar.items = items
                if calendar not in me.calendars:
                    me.calendars.insert(0, calendar)
                    server.calendars[calendar.id] = calendar
                server.forget_rounds()
                kept.clear()

        def fail(route: str, effect: faults.Effect, **more: Any) -> Callable[[], None]:
            return lambda: void(server.fail(route, effect, times=None, **more))

        def halfway() -> None:
            server.forget_rounds()
            server.fail(DELTA, graph_error(410, "SyncStateNotFound"), times=None, page=2)

        def connect() -> CalendarConnector:
            pace = graph_pace(monotonic=idle.now, sleep=idle.sleep)
            limits = Limits(redirects=0, wait_seconds=0.01)
            client = GraphClient(shown, server.root, account="acme", pace=pace, limits=limits)
            return OutlookConnector("acme", client, mine=[Address(ME)], home_zone=LISBON)

        some = lambda: dict(list(me.primary.items.items())[: len(me.primary.items) // 3])  # noqa: E731
        yield Misled(
            connect=connect,
            put=put,
            strange=strange,
            heal=heal,
            faults={
                "html": fail("*", faults.html()),
                "truncated": fail("*", faults.truncated()),
                "gone mid-page": halfway,
                "gone for ever": fail(DELTA, graph_error(410, "SyncStateNotFound")),
                "missing calendar": hide,
                "shrunk": lambda: show(some()),
                "empty": lambda: show({}),
                "replaced": lambda: show(dict(eve.primary.items)),
                "stranger": lambda: setattr(shown, "token", theirs),
            },
        )


KINDS = {"caldav": dav, "google": google, "outlook": outlook}
DELTA = "calendarView.delta"
_GOOGLE = {"NEEDS-ACTION": "needsAction", "ACCEPTED": "accepted", "DECLINED": "declined"}
_GRAPH = {"NEEDS-ACTION": "none", "ACCEPTED": "accepted", "DECLINED": "declined"}


def void(_: object) -> None:
    """What is done for what it does."""
