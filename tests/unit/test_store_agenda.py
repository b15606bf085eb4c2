"""Asking the agenda: the right occurrences, by index alone."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, event

from daemon.store import (
    Store,
    agenda,
    attendance,
    contacts,
    deliveries,
    departures,
    history,
    silences,
)
from daemon.store.deliveries import Delivery
from rules.model import Attendance, Encounter, Held, Identity, Met, PartStat, Status, Timing
from tests.support.meetings import BO, JO, NOW, meeting
from tests.support.stores import ACME, OWN, fresh_store, intent, put, resource

pytestmark = pytest.mark.usefixtures("dialect")

HOUR = timedelta(hours=1)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An empty store."""
    opened = fresh_store(tmp_path)
    yield opened
    opened.close()


def test_due_gives_the_longest_waiting_first(store: Store) -> None:
    """What is due comes in the order it became due, what sleeps or waits does not come."""
    put(store, *(resource(meeting(uid)) for uid in "abcd"), full=True)
    keys = {uid: meeting(uid).key for uid in "abcd"}
    with store.write() as conn:
        agenda.set_wake(
            conn,
            {keys["a"]: NOW + HOUR, keys["b"]: NOW - HOUR, keys["c"]: None, keys["d"]: NOW - 2 * HOUR},
        )
        assert [one.key.uid for one in agenda.due(conn, NOW, 10)] == ["d", "b"]
        assert [one.key.uid for one in agenda.due(conn, NOW, 1)] == ["d"]
        assert agenda.next_wake(conn) == NOW - 2 * HOUR
        agenda.wake(conn, [keys["c"]], NOW)
        assert [one.key.uid for one in agenda.due(conn, NOW, 10)] == ["d", "b", "c"]


def test_waking_an_account_or_all(store: Store) -> None:
    """Waking an account leaves the others asleep, and long past meetings in any case."""
    put(store, resource(meeting("a")), resource(meeting("old", starts=-24 * 40)), full=True)
    put(store, resource(meeting("b", account="own")), ref=OWN, full=True)
    with store.write() as conn:
        agenda.set_wake(conn, dict.fromkeys((one.key for one in agenda.due(conn, NOW, 10)), None))
        agenda.wake_account(conn, "own", NOW)
        assert [one.key.uid for one in agenda.due(conn, NOW, 10)] == ["b"]
        agenda.wake_all(conn, NOW)
        assert sorted(one.key.uid for one in agenda.due(conn, NOW, 10)) == ["a", "b"]


def test_overlapping_is_half_open_and_finds_long_ones(store: Store) -> None:
    """Meetings that only touch do not overlap; one that began days ago does; all-day ones never."""
    put(
        store,
        resource(meeting("inside", starts=10)),
        resource(meeting("touches before", starts=9, lasts=1)),
        resource(meeting("touches after", starts=12)),
        resource(meeting("a week long", starts=-100, lasts=168)),
        resource(meeting("cancelled", starts=11, status=Status.CANCELLED)),
        resource(meeting("all day", starts=0, lasts=24, timing=Timing.ALL_DAY)),
        full=True,
    )
    with store.read() as conn:
        found = agenda.overlapping(conn, NOW + 10 * HOUR, NOW + 12 * HOUR, 10)
        assert [one.key.uid for one in found] == ["a week long", "inside", "cancelled"]
        assert len(agenda.overlapping(conn, NOW + 10 * HOUR, NOW + 12 * HOUR, 2)) == 2
        starting = agenda.between(conn, NOW + 9 * HOUR, NOW + 12 * HOUR)
        assert [one.key.uid for one in starting] == ["touches before", "inside", "cancelled"]


@given(
    st.lists(st.tuples(st.integers(-80, 80), st.integers(0, 100)), max_size=12),
    st.integers(-80, 80),
    st.integers(1, 60),
)
@settings(max_examples=25, deadline=None)
def test_overlapping_equals_the_plain_definition(
    tmp_path_factory: pytest.TempPathFactory, spans: list[tuple[int, int]], start: int, lasts: int
) -> None:
    """However long the meetings are, the two indexes together find what the definition says."""
    store = fresh_store(tmp_path_factory.mktemp("agenda"))
    made = [meeting(str(n), starts=begin, lasts=hours) for n, (begin, hours) in enumerate(spans)]
    if made:
        put(store, *(resource(one) for one in made), full=True)
    begin, end = NOW + start * HOUR, NOW + (start + lasts) * HOUR
    with store.read() as conn:
        found = {one.key.uid for one in agenda.overlapping(conn, begin, end, 100)}
    store.close()
    assert found == {one.key.uid for one in made if one.start < end and one.end > begin}


def test_away_finds_whole_days_and_labels(store: Store) -> None:
    """Whatever is not timed, and what is timed and says so by its kind, title or category, in any case."""
    put(
        store,
        resource(meeting("all day", starts=0, lasts=24, timing=Timing.ALL_DAY, title="Lisbon")),
        resource(meeting("weeks long", starts=-500, lasts=600, timing=Timing.ALL_DAY)),
        resource(meeting("floating", starts=10, timing=Timing.FLOATING)),
        resource(meeting("over", starts=-24, lasts=24, timing=Timing.ALL_DAY)),
        resource(meeting("next day", starts=24, lasts=24, timing=Timing.ALL_DAY)),
        resource(meeting("titled", starts=10, title=" [AWAY] dentist")),
        resource(meeting("category", starts=10, categories=("Work", "away"))),
        resource(meeting("days", starts=-60, lasts=100, title="Außer Haus: Porto")),
        resource(meeting("plain", starts=10, categories=("Work",), title='Far away, "away":true')),
        resource(meeting("kind", starts=10, away=True)),
        full=True,
    )
    labels = ["[away]", "AUSSER HAUS"]
    with store.read() as conn:
        found = agenda.away(conn, NOW, NOW + 24 * HOUR, labels)
        assert {one.key.uid for one in found} == {
            "all day",
            "weeks long",
            "floating",
            "titled",
            "category",
            "days",
            "kind",
        }
        assert found == sorted(found, key=lambda one: one.start_utc)
        assert [one.key.uid for one in agenda.away(conn, NOW + 26 * HOUR, NOW + 30 * HOUR, [])] == [
            "weeks long",
            "next day",
        ]


def test_looking_up_by_name(store: Store) -> None:
    """By key, by UID in all calendars, by the same meeting elsewhere, by resource."""
    mine, copy = meeting("a"), meeting("a", account="own")
    instance = replace(mine.key, recurrence_id="20260304T110000Z")
    put(store, resource(mine), resource(replace(mine, key=instance), href="/x.ics"), full=True)
    put(store, resource(copy), ref=OWN, full=True)
    with store.read() as conn:
        assert set(agenda.get(conn, [mine.key, replace(mine.key, uid="none")])) == {mine.key}
        assert {one.key for one in agenda.by_uids(conn, ["a", "a"])} == {mine.key, copy.key, instance}
        assert {one.key for one in agenda.copies(conn, [mine.key])} == {mine.key, copy.key}
        assert [one.key for one in agenda.by_href(conn, ACME, "/x.ics")] == [instance]
        assert agenda.by_href(conn, OWN, "/x.ics") == []


def test_find_by_uid_or_title(store: Store) -> None:
    """An exact UID wins; else any part of the title, in any case and alphabet."""
    put(
        store,
        resource(meeting("review", title="Standup", starts=5)),
        resource(meeting("b", title="Quarterly REVIEW", starts=7)),
        resource(meeting("c", title="Überprüfung, Straße", starts=6)),
        full=True,
    )
    with store.read() as conn:
        assert [one.key.uid for one in agenda.find(conn, "review")] == ["review"]
        assert [one.key.uid for one in agenda.find(conn, "Review")] == ["b"]
        assert [one.key.uid for one in agenda.find(conn, "STRASSE")] == ["c"]
        assert agenda.find(conn, "nothing") == []


def test_with_people(store: Store) -> None:
    """Later meetings that invite any of some addresses; a removed attendee no longer counts."""
    put(
        store,
        resource(meeting("jo", starts=5)),
        resource(meeting("both", starts=9, people={JO: PartStat.ACCEPTED, BO: PartStat.ACCEPTED})),
        resource(meeting("past", starts=-5)),
        full=True,
    )
    with store.read() as conn:
        assert [one.key.uid for one in agenda.with_people(conn, [JO, BO], NOW)] == ["jo", "both"]
        assert [one.key.uid for one in agenda.with_people(conn, [BO], NOW)] == ["both"]
    put(store, resource(meeting("both", starts=9), etag="2"))
    with store.read() as conn:
        assert agenda.with_people(conn, [BO], NOW) == []


def test_attendance_is_one_per_meeting(store: Store) -> None:
    """The last mark counts, for the meeting in every calendar, and no other instance."""
    one = Identity(uid="a", recurrence_id="20260304T110000Z")
    with store.write() as conn:
        attendance.mark(conn, one, Held.UNKNOWN, "guess", NOW)
        attendance.mark(conn, one, Held.MISSED_BY_ATTENDEE, "you", NOW + HOUR)
        expected = Attendance(held=Held.MISSED_BY_ATTENDEE, source="you", at=NOW + HOUR)
        assert attendance.marks(conn, [one, Identity(uid="a")]) == {str(one): expected}


def test_a_naive_time_is_never_stored(store: Store) -> None:
    """A time without its zone is an error of ours, not a guess."""
    naive = NOW.replace(tzinfo=None)
    with pytest.raises(Exception, match="needs its zone"), store.read() as conn:
        agenda.due(conn, naive, 1)


ENCOUNTER = Encounter(identity=Identity(uid="a"), at=NOW, met=Met.HELD)


def a_grouped_one(conn: Connection) -> Delivery:
    """A delivery that is in a group."""
    (made,) = deliveries.add(conn, [intent("a", group="g")], NOW)
    found = deliveries.get(conn, made)
    assert found is not None
    return found


def a_contact(conn: Connection) -> bool:
    """Make Jo a contact."""
    return contacts.note(conn, JO, ENCOUNTER, meeting("a"), NOW)


ASKED: dict[str, Callable[[Connection], Any]] = {
    "due": lambda conn: agenda.due(conn, NOW, 100),
    "next wake": agenda.next_wake,
    "overlapping": lambda conn: agenda.overlapping(conn, NOW, NOW + HOUR, 10),
    "away": lambda conn: agenda.away(conn, NOW, NOW + HOUR, ["[away]"]),
    "uids": lambda conn: agenda.by_uids(conn, ["a", "b"]),
    "copies": lambda conn: agenda.copies(conn, [meeting("a").key, meeting("b").key]),
    "get": lambda conn: agenda.get(conn, [meeting("a").key]),
    "people": lambda conn: agenda.with_people(conn, [JO, BO], NOW),
    "between": lambda conn: agenda.between(conn, NOW, NOW + HOUR),
    "href": lambda conn: agenda.by_href(conn, ACME, "/a.ics"),
    "set wake": lambda conn: agenda.set_wake(conn, {meeting("a").key: NOW}),
    "wake": lambda conn: agenda.wake(conn, [meeting("a").key], NOW),
    "marks": lambda conn: attendance.marks(conn, [Identity(uid="a")]),
    "done": lambda conn: deliveries.done(conn, [Identity(uid="a"), Identity(uid="b")]),
    "due mail": lambda conn: deliveries.due(conn, NOW, 100),
    "next try": deliveries.next_try,
    "overdue": lambda conn: deliveries.overdue(conn, NOW),
    "under way": deliveries.under_way,
    "ladder": lambda conn: departures.ladder(conn, Identity(uid="a"), JO),
    "add": lambda conn: deliveries.add(conn, [intent("a")], NOW),
    "sent": lambda conn: departures.sent_since(conn, NOW),
    "sent to": lambda conn: departures.sent_to_since(conn, JO, NOW),
    "add to a group": lambda conn: deliveries.add(conn, [intent("a", group="g")], NOW),
    "companions": lambda conn: deliveries.companions(conn, a_grouped_one(conn)),
    "contacts": lambda conn: contacts.of(conn, [JO, BO]),
    "contacts due": lambda conn: contacts.due(conn, NOW, 100),
    "contacts' next wake": contacts.next_wake,
    "set contacts' wake": lambda conn: contacts.set_wake(conn, {meeting("a").key: NOW}),
    "wake people": lambda conn: contacts.wake(conn, [JO, BO], NOW),
    "note": lambda conn: contacts.note(conn, JO, ENCOUNTER, meeting("a"), NOW),
    "written": lambda conn: contacts.of(conn, [JO]) if a_contact(conn) else None,
    "silences": lambda conn: silences.active(conn, NOW),
    "versions": lambda conn: list(history.versions(conn, NOW)),
    "prune": lambda conn: history.prune(conn, NOW),
}


@pytest.mark.parametrize("ask", ASKED.values(), ids=list(ASKED))
def test_a_ticks_questions_walk_an_index(store: Store, ask: Callable[[Connection], Any]) -> None:
    """No question of a tick reads a whole table, nor a whole index in the name of its owner."""
    if not store.is_file:
        pytest.skip("PostgreSQL plans by what a table holds; these hold next to nothing")
    plans: list[str] = []

    def explain(conn: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if statement.startswith(("SELECT", "UPDATE", "DELETE")):
            values = parameters[0] if parameters and isinstance(parameters, list) else parameters
            found = conn.connection.dbapi_connection.execute(f"EXPLAIN QUERY PLAN {statement}", values)
            plans.extend(row[3] for row in found)

    put(store, resource(meeting("a")), full=True)
    event.listen(store._reading, "before_cursor_execute", explain)
    with store.write() as conn:
        ask(conn)
    walks = [line for line in plans if re.match(r"SCAN (?!(\d+ )?CONSTANT)|.*\(owner=\?\)$", line)]
    assert walks == []
