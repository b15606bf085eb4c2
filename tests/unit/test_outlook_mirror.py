"""The Outlook connector, going on from round to round, holds what a fresh look finds."""

from __future__ import annotations

import contextlib
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from rules.model import Occurrence
from tests.support.authority import trusted
from tests.support.fake_graph.graph_errors import GraphError
from tests.support.fake_graph.server import fake_graph
from tests.support.fake_graph.world import FakeGraph
from tests.support.followed import Followed
from tests.support.ics import LISBON
from tests.support.outlook_account import connect

DANA, JO, AL = "dana@va.example", "jo@acme.example", "al@acme.example"
WEEKLY = {
    "pattern": {"type": "weekly", "interval": 1, "daysOfWeek": ["wednesday"], "firstDayOfWeek": "monday"},
    "range": {"type": "numbered", "startDate": "2026-03-04", "numberOfOccurrences": 4},
}
FAR = timedelta(days=400)


def at(day: int, hour: int = 9) -> datetime:
    """A moment in March 2026 in Lisbon."""
    return datetime(2026, 3, day, hour, tzinfo=ZoneInfo(LISBON))


def _mirror(graph: FakeGraph, user: str) -> Followed:
    """One person's primary calendar, kept as the store keeps it."""
    connector = connect(graph, user, calendars=["primary"])
    return Followed(connector, connector.calendars()[0].ref)


def _act(graph: FakeGraph, name: str, dice: random.Random) -> None:
    """Somebody does something to an event or an instance."""
    day, hour = dice.randrange(6, 20), dice.randrange(8, 18)
    match dice.randrange(8):
        case 0:
            graph.answer(name, JO, dice.choice(["accepted", "declined", "tentativelyAccepted"]))
        case 1:
            graph.answer(name, JO, "declined", propose=(at(day, hour), at(day, hour + 1)))
        case 2:
            graph.move(name, at(day, hour))
        case 3:
            graph.edit(name, subject=f"Talk {day} {hour}")
        case 4:
            graph.cancel(name)
        case 5:
            graph.delete(name, JO)
        case 6:
            graph.edit(name, attendees={DANA: "none", AL: "none"})
        case _:
            graph.move(name, at(day, hour) + FAR)


def _seen(mirror: Followed) -> list[Occurrence]:
    """What is held, without the marks of the round that it was read in."""
    return [replace(one, etag="") for one in mirror.occurrences()]


@pytest.mark.parametrize("seed", range(8))
def test_following_equals_looking_afresh(seed: int) -> None:
    """After any row of changes, also of guests and single instances, every guest's mirror is exact.

    Whatever real servers differ in: telling a series again or not, before its instances or after them.
    """
    dice = random.Random(seed)
    now = datetime(2026, 3, 1, 12, tzinfo=UTC)
    with trusted(), fake_graph(lambda: now) as graph, contextlib.ExitStack() as stack:
        for knob in ("tells_masters", "masters_last", "tells_vanished", "keeps_declined", "splits_series"):
            setattr(graph, knob, dice.random() < 0.5)
        for person in (DANA, JO, AL):
            graph.user(person)
        mine = graph.users[DANA].primary
        people = {DANA: "accepted", JO: "none"}
        names = [mine.event("Talk", at(day), at(day, 10), people) for day in (2, 3)]
        series = [mine.event("Weekly", at(4), at(4, 10), people, recurrence=WEEKLY) for _ in range(2)]
        mirrors = {person: _mirror(graph, person) for person in graph.users}
        done = 0
        for _ in range(15):
            chosen = dice.choice(names + series)
            with contextlib.suppress(KeyError, GraphError):
                if chosen in series and dice.random() < 0.7:
                    chosen = graph.instance(chosen, at(4 + 7 * dice.randrange(4)))
                _act(graph, chosen, dice)
                done += 1
            for mirror in mirrors.values():
                if dice.random() < 0.7:
                    mirror.poll()
        assert done > 3
        for person, mirror in mirrors.items():
            stack.callback(mirror.connector.close)
            mirror.poll()
            fresh = _mirror(graph, person)
            stack.callback(fresh.connector.close)
            fresh.poll()
            assert _seen(mirror) == _seen(fresh)
