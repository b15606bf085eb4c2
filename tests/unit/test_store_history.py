"""What was true before: kept when something changes, for half a year."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from daemon.store import Store, agenda, calendars, history
from rules.model import PartStat
from tests.support.meetings import JO, NOW, meeting
from tests.support.stores import ACME, HORIZON, fresh_store, put, resource

pytestmark = pytest.mark.usefixtures("dialect")

LATER = NOW + timedelta(hours=1)
DAY = timedelta(days=1)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An empty store."""
    opened = fresh_store(tmp_path)
    yield opened
    opened.close()


def past(store: Store, since: datetime = NOW - DAY) -> list[tuple[str, str, datetime]]:
    """UID, title and end of truth of everything kept."""
    with store.read() as conn:
        return [(key.uid, one.title, until) for key, one, until in history.versions(conn, since)]


def test_only_what_changes_leaves_a_past(store: Store) -> None:
    """The first sync leaves none, nor does reading the same again or moving to another href."""
    put(store, resource(meeting("a")), resource(meeting("b")), full=True)
    put(store, resource(meeting("a"), etag="2"), kept=["/b.ics"], full=True, now=LATER)
    put(store, resource(meeting("a"), href="/new.ics"), removed=["/a.ics"], now=LATER)
    assert past(store) == []


def test_an_old_version_comes_back_as_it_was(store: Store) -> None:
    """Every field that a rule could look at, under its key, until it changed."""
    old = meeting("a", people={JO: PartStat.ACCEPTED})
    put(store, resource(old), full=True)
    put(store, resource(replace(old, title="New"), etag="2"), now=LATER)
    with store.read() as conn:
        ((key, one, until),) = history.versions(conn, NOW)
        assert list(history.versions(conn, LATER)) == []
    assert (key, until) == (old.key, LATER)
    assert one == replace(old, href="", etag="", observed_at=None)


def test_removals_leave_a_past(store: Store) -> None:
    """A resource that goes, an instance that rolls out of the window, a calendar that is forgotten."""
    put(store, *(resource(meeting(uid, recurring=True, title=uid)) for uid in "abc"), full=True)
    put(store, removed=["/a.ics"], now=LATER)
    with store.write() as conn:
        emptied = replace(resource(meeting("b")), occurrences=())
        calendars.roll(conn, ACME, [emptied], LATER + DAY, HORIZON + DAY)
        calendars.seen(conn, ACME, LATER + 2 * DAY)
        calendars.forget_calendar(conn, ACME)
    assert past(store) == [("a", "a", LATER), ("b", "b", LATER + DAY), ("c", "c", LATER + 2 * DAY)]


def test_the_past_is_forgotten_after_half_a_year(store: Store) -> None:
    """What had ceased to be true 180 days before a roll of the horizon goes with the next."""
    put(store, *(resource(meeting(uid)) for uid in "ab"), full=True)
    put(store, removed=["/a.ics"], now=NOW)
    put(store, removed=["/b.ics"], now=NOW + 2 * DAY)
    with store.write() as conn:
        calendars.roll(conn, ACME, [], NOW + 181 * DAY, HORIZON + 181 * DAY)
    assert [uid for uid, *_ in past(store)] == ["a", "b"], "a clock that runs ahead for an hour loses nothing"
    with store.write() as conn:
        calendars.roll(conn, ACME, [], NOW + 182 * DAY, HORIZON + 182 * DAY)
    assert [uid for uid, *_ in past(store)] == ["b"]


def test_what_was_there_at_the_first_read_never_appeared(store: Store) -> None:
    """Nor did an instance that the window only came to show."""
    first, far = meeting("a", recurring=True), meeting("a", starts=24 * 121, recurring=True)
    far = replace(far, key=replace(far.key, recurrence_id="20260701T110000Z"))
    put(store, resource(first, recurring=True), full=True)
    with store.write() as conn:
        fresh = resource(first, far, recurring=True, etag="2")
        calendars.reread(conn, ACME, "/a.ics", fresh, LATER)
        assert {one.appeared_at for one in agenda.between(conn, NOW, NOW + 200 * DAY)} == {None}
    put(store, resource(meeting("new")), now=LATER)
    with store.read() as conn:
        assert {
            one.appeared_at for one in agenda.between(conn, NOW, NOW + 200 * DAY) if one.key.uid == "new"
        } == {LATER}
