"""People met before: what is kept of them, and when they are looked at."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.store import Store, agenda, calendars, contacts, deliveries
from rules.delivery import Event
from rules.model import Address, Contact, Encounter, Identity, Met, Occurrence, PartStat
from tests.support.meetings import BO, JO, NOW, meeting
from tests.support.stores import ACME, HORIZON, fresh_store, intent, put, resource

pytestmark = pytest.mark.usefixtures("dialect")

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An empty store."""
    opened = fresh_store(tmp_path)
    yield opened
    opened.close()


def met(uid: str, days_ago: float, what: Met = Met.HELD, instance: str | None = None) -> Encounter:
    """What a meeting so many days ago came to."""
    return Encounter(identity=Identity(uid=uid, recurrence_id=instance), at=NOW - days_ago * DAY, met=what)


def held(uid: str, days_ago: float, **more: Any) -> Occurrence:
    """A meeting with Jo that ended so many days ago."""
    return meeting(uid, starts=-24 * days_ago - 0.5, **more)


def note(
    store: Store,
    uid: str,
    days_ago: float,
    what: Met = Met.HELD,
    *,
    last: Occurrence | None = None,
    address: Address = JO,
) -> bool:
    """Note what a meeting came to; one that was held is kept as the last."""
    if last is None and what is Met.HELD:
        last = held(uid, days_ago)
    with store.write() as conn:
        return contacts.note(conn, address, met(uid, days_ago, what), last, NOW)


def of(store: Store, address: Address = JO) -> Contact:
    """What is known of somebody."""
    with store.read() as conn:
        return contacts.of(conn, [address])[address]


def due(store: Store) -> list[Address]:
    """Who is to be looked at now."""
    with store.read() as conn:
        return [one.address for one in contacts.due(conn, NOW, 10)]


def lull(store: Store) -> None:
    """Nobody is to be looked at."""
    with store.write() as conn:
        contacts.set_wake(conn, {one.last.key: None for one in contacts.due(conn, NOW, 99) if one.last})


def test_encounters_come_back_oldest_first(store: Store) -> None:
    """In whatever order they are heard of; the last meeting held comes back as it was then."""
    note(store, "b", 8)
    note(store, "a", 15, Met.MISSED)
    note(store, "c", 1, Met.DECLINED)
    contact = of(store)
    assert contact.encounters == (met("a", 15, Met.MISSED), met("b", 8), met("c", 1, Met.DECLINED))
    assert contact.last is not None
    assert (contact.last.key, contact.last.end_utc) == (held("b", 8).key, NOW - 8 * DAY)
    with store.read() as conn:
        assert contacts.of(conn, [BO]) == {}


def test_a_later_word_replaces_the_earlier(store: Store) -> None:
    """One word per meeting; the same word again is no news."""
    assert note(store, "a", 8)
    lull(store)
    assert not note(store, "a", 8)
    assert due(store) == []
    assert note(store, "a", 8, Met.MISSED)
    assert of(store).encounters == (met("a", 8, Met.MISSED),)
    assert due(store) == [JO]


def test_the_last_meeting_is_the_one_that_ended_last(store: Store) -> None:
    """An earlier one does not replace it; the same one, seen again with another title, does."""
    note(store, "b", 8)
    note(store, "a", 15)
    assert (last := of(store).last)
    assert last.key.uid == "b"
    note(store, "b", 8, last=held("b", 8, title="Renamed"))
    assert (last := of(store).last)
    assert last.title == "Renamed"
    note(store, "c", 1)
    assert (last := of(store).last)
    assert last.key.uid == "c"


@given(st.permutations(range(30)))
@settings(max_examples=10, deadline=None)
def test_the_newest_are_kept_in_any_order(tmp_path_factory: pytest.TempPathFactory, days: list[int]) -> None:
    """At most 24 encounters, always the newest."""
    store = fresh_store(tmp_path_factory.mktemp("contacts"))
    for day in days:
        note(store, str(day), day)
    found = [one.identity.uid for one in of(store).encounters]
    store.close()
    assert found == [str(day) for day in range(23, -1, -1)]


def test_who_was_never_met_is_never_due(store: Store) -> None:
    """Somebody with whom no meeting was held cannot go silent."""
    note(store, "a", 8, Met.UNANSWERED)
    with store.write() as conn:
        agenda.wake_all(conn, NOW)
    assert due(store) == []
    assert of(store).last is None


def test_waking(store: Store) -> None:
    """By the key of the last meeting, for everybody who shares it; the longest waiting first."""
    both = held("both", 3, people={JO: PartStat.ACCEPTED, BO: PartStat.ACCEPTED})
    note(store, "both", 3, last=both)
    note(store, "both", 3, last=both, address=BO)
    note(store, "other", 3, address=Address("al@x.example"))
    with store.write() as conn:
        contacts.set_wake(conn, {both.key: NOW + HOUR, held("other", 3).key: None})
        assert contacts.due(conn, NOW, 10) == []
        assert contacts.next_wake(conn) == NOW + HOUR
        assert [one.address for one in contacts.due(conn, NOW + HOUR, 10)] == [BO, JO]
        assert [one.address for one in contacts.due(conn, NOW + HOUR, 1)] == [BO]
        contacts.set_wake(conn, {both.key: None})
        assert contacts.next_wake(conn) is None
        agenda.wake_all(conn, NOW)
        assert len(contacts.due(conn, NOW, 10)) == 3


def test_a_change_in_the_calendar_wakes_its_people(store: Store) -> None:
    """A meeting that appears or vanishes changes whether somebody goes silent; an idle poll wakes nobody."""
    note(store, "a", 8)
    note(store, "b", 8, address=BO)
    lull(store)
    ahead = resource(meeting("ahead"))
    put(store, ahead)
    assert due(store) == [JO]
    lull(store)
    put(store, ahead, now=NOW)
    assert due(store) == []
    put(store, removed=["/ahead.ics"])
    assert due(store) == [JO]


def sent(store: Store, uid: str, hours_ago: float, **more: Any) -> None:
    """Leave a message that was sent so long ago."""
    at = NOW - hours_ago * HOUR
    with store.write() as conn:
        (made,) = deliveries.add(conn, [intent(uid, **more)], at)
        deliveries.claim(conn, made, "a", at, HOUR)
        deliveries.move(conn, made, Event.COMMIT, at, mine="a")
        deliveries.move(conn, made, Event.ACCEPT, at, mine="a", sent_at=at)


def test_what_was_written_since_they_were_met(store: Store) -> None:
    """Messages about meetings that left since the last meeting held; notices and others' mail stay out."""
    note(store, "a", 3)
    note(store, "b", 1, Met.MISSED)
    sent(store, "before", 24 * 4)
    sent(store, "x", 10)
    sent(store, "y", 20, do="reschedule")
    sent(store, "z", 5, do="notify")
    sent(store, "w", 5, to=BO)
    with store.write() as conn:
        deliveries.add(conn, [intent("waiting")], NOW)
    assert of(store).written == (NOW - 20 * HOUR, NOW - 10 * HOUR)


def test_who_was_never_met_again_is_forgotten(store: Store) -> None:
    """Two years after the last meeting, when the horizon rolls."""
    note(store, "a", 731)
    note(store, "b", 729, address=BO)
    put(store, resource(meeting("a")), full=True)
    with store.write() as conn:
        calendars.roll(conn, ACME, [], NOW, HORIZON)
        assert set(contacts.of(conn, [JO, BO])) == {BO}
