"""Taking in what polls found: what is written, what counts as a change, and who wakes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from connectors.base import ChangeSet, Cursor
from daemon.store import Store, agenda, calendars
from rules.model import Address, Attendee, Occurrence, OccurrenceKey, PartStat, Timing
from tests.support.meetings import BO, JO, NOW, meeting
from tests.support.stores import ACME, HORIZON, OWN, fresh_store, info, put, resource

pytestmark = pytest.mark.usefixtures("dialect")

LATER = NOW + timedelta(minutes=5)
FAR = NOW + timedelta(days=30)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An empty store."""
    opened = fresh_store(tmp_path)
    yield opened
    opened.close()


def all_of(store: Store) -> dict[OccurrenceKey, Occurrence]:
    """Everything stored."""
    with store.read() as conn:
        found = agenda.between(conn, NOW - timedelta(days=999), NOW + timedelta(days=999))
    return {one.key: one for one in found}


def lull(store: Store) -> None:
    """Put everything to sleep."""
    with store.write() as conn:
        agenda.set_wake(conn, dict.fromkeys(all_of(store)))


def awake(store: Store, now: datetime = LATER) -> set[str]:
    """The UIDs of what waits to be looked at."""
    with store.read() as conn:
        return {one.key.uid for one in agenda.due(conn, now, 1000)}


def series(*days: int, hour: float = 50, uid: str = "weekly", etag: str = "1") -> list[Occurrence]:
    """Instances of one series, each under its original start."""
    found = []
    for day in days:
        one = meeting(uid, starts=hour + 24 * day, recurring=True)
        name = one.start.strftime("%Y%m%dT%H%M%SZ")
        found.append(replace(one, key=replace(one.key, recurrence_id=name), etag=etag))
    return found


def test_first_read_stores_and_wakes_everything(store: Store) -> None:
    """What is read comes back as it was, with when it was read, and is looked at at once."""
    a, b = meeting("a"), meeting("b", starts=70)
    applied = put(store, resource(a), resource(b), full=True)
    assert applied.changed_keys == {a.key, b.key}
    assert applied.events == 2
    stored = all_of(store)
    assert stored[a.key] == replace(a, href="/a.ics", etag="1", observed_at=NOW)
    assert awake(store, NOW) == {"a", "b"}


def test_same_content_read_again_wakes_nobody(store: Store) -> None:
    """A new etag and a new reading are no change; only the time of observation moves on."""
    put(store, resource(meeting("a")), full=True)
    lull(store)
    applied = put(store, resource(meeting("a"), etag="2"), now=LATER)
    assert applied.changed_keys == frozenset()
    assert awake(store) == set()
    (one,) = all_of(store).values()
    assert (one.etag, one.observed_at) == ("2", LATER)


def test_kept_resources_are_observed(store: Store) -> None:
    """What a full read found unchanged was seen now."""
    put(store, resource(meeting("a")), resource(meeting("b")), full=True)
    put(store, kept=["/a.ics", "/b.ics"], full=True, now=LATER)
    assert {one.observed_at for one in all_of(store).values()} == {LATER}


OTHERS = {BO: PartStat.ACCEPTED}


def test_moved_meeting_is_dated_and_wakes_its_neighbours(store: Store) -> None:
    """A move wakes what it overlapped, what it overlaps now, its copies and its people's other meetings."""
    put(
        store,
        resource(meeting("moved", starts=50)),
        resource(meeting("before", starts=50.25)),
        resource(meeting("after", starts=60.25)),
        resource(meeting("touching", starts=50.5, people=OTHERS)),
        resource(meeting("far", starts=90, people=OTHERS)),
        resource(meeting("theirs", starts=95)),
        full=True,
    )
    put(store, resource(meeting("moved", starts=50, account="own")), ref=OWN, full=True)
    lull(store)
    put(store, resource(meeting("moved", starts=60), etag="2"), now=LATER)
    assert awake(store) == {"moved", "before", "after", "theirs"}
    with store.read() as conn:
        assert len(agenda.due(conn, LATER, 10)) == 5
    one = all_of(store)[meeting("moved").key]
    assert one.time_changed_at == LATER


def test_answer_is_dated_when_it_is_first_seen(store: Store) -> None:
    """An answer that arrives under our eyes has a date; the same answer read again keeps it."""
    put(store, resource(meeting("a")), full=True)
    yes = meeting("a", people={JO: PartStat.ACCEPTED})
    put(store, resource(yes, etag="2"), now=LATER)
    put(store, resource(replace(yes, title="Renamed"), etag="3"), now=FAR)
    (one,) = all_of(store).values()
    assert one.attendees == (Attendee(address=JO, partstat=PartStat.ACCEPTED, answered_at=LATER),)
    assert one.time_changed_at is None


def test_partial_result_removes_only_what_it_names(store: Store) -> None:
    """Absence from a partial result means nothing."""
    put(store, resource(meeting("a")), resource(meeting("b")), full=True)
    applied = put(store, resource(meeting("c")), now=LATER)
    assert applied.removed_keys == frozenset()
    applied = put(store, removed=["/a.ics", "/never-seen.ics"], now=LATER)
    assert {key.uid for key in applied.removed_keys} == {"a"}
    assert {key.uid for key in all_of(store)} == {"b", "c"}


def test_full_result_removes_what_is_absent(store: Store) -> None:
    """In a full result what neither changed nor stayed is gone, and what it overlapped wakes."""
    put(
        store,
        resource(meeting("a")),
        resource(meeting("b")),
        resource(meeting("c", starts=99, people=OTHERS)),
        full=True,
    )
    lull(store)
    applied = put(store, kept=["/b.ics", "/c.ics"], full=True, now=LATER)
    assert {key.uid for key in applied.removed_keys} == {"a"}
    assert applied.events == 2
    assert awake(store) == {"b"}


def test_meeting_that_moves_to_another_href_stays_itself(store: Store) -> None:
    """The same UID under a new name keeps its past, and is not reported as removed."""
    put(store, resource(meeting("a"), href="/old.ics"), full=True)
    put(store, resource(meeting("a", starts=51), href="/old.ics", etag="2"), now=LATER)
    lull(store)
    applied = put(store, resource(meeting("a", starts=51), href="/new.ics"), removed=["/old.ics"], now=FAR)
    assert applied.removed_keys == applied.changed_keys == frozenset()
    (one,) = all_of(store).values()
    assert (one.href, one.time_changed_at) == ("/new.ics", LATER)


def test_one_uid_in_two_resources(store: Store) -> None:
    """Where a server keeps a UID twice, either copy may go without taking the other along."""
    put(store, resource(meeting("a"), href="/1.ics"), resource(meeting("a"), href="/2.ics"), full=True)
    assert len(all_of(store)) == 1
    lull(store)
    again = (resource(meeting("a"), href="/1.ics"), resource(meeting("a"), href="/2.ics"))
    assert put(store, *again, now=LATER).changed_keys == frozenset()
    assert awake(store) == set()
    put(store, removed=["/1.ics"], now=LATER)
    (one,) = all_of(store).values()
    assert one.href == "/2.ics"


def test_one_key_twice_in_a_resource(store: Store) -> None:
    """Two instances under one RECURRENCE-ID: the last one counts, nothing breaks."""
    one = series(0)[0]
    put(store, resource(one, replace(one, title="Second")), full=True)
    assert [found.title for found in all_of(store).values()] == ["Second"]


def test_new_override_counts_as_moved(store: Store) -> None:
    """An instance moved by itself was moved now (RFC 5545 section 3.8.4.4); its siblings were not."""
    first, second = series(0, 7)
    put(store, resource(first, second, recurring=True), full=True)
    moved = replace(second, start=second.start + timedelta(hours=1), end=second.end + timedelta(hours=1))
    applied = put(store, resource(first, moved, etag="2", recurring=True), now=LATER)
    assert applied.changed_keys == {second.key}
    stored = all_of(store)
    assert stored[second.key].time_changed_at == LATER
    assert stored[first.key].time_changed_at is None


def test_series_moved_as_a_whole_counts_as_moved(store: Store) -> None:
    """New instances in place of vanished ones are moved ones: an old yes was not said to them."""
    put(store, resource(*series(0, 7), recurring=True), full=True)
    put(store, resource(*series(1, 8), etag="2", recurring=True), now=LATER)
    assert {one.time_changed_at for one in all_of(store).values()} == {LATER}


def test_longer_series_does_not_count_as_moved(store: Store) -> None:
    """Instances that are merely added were never at another time."""
    put(store, resource(*series(0, 7), recurring=True), full=True)
    put(store, resource(*series(0, 7, 14), etag="2", recurring=True), now=LATER)
    assert {one.time_changed_at for one in all_of(store).values()} == {None}


def test_rolling_the_horizon_is_no_observation_and_no_move(store: Store) -> None:
    """Instances that roll in are new, those that roll out are gone, and no server was asked."""
    put(store, resource(*series(0, 7), recurring=True), resource(meeting("single")), full=True)
    lull(store)
    with store.write() as conn:
        held = {one.href for one in calendars.resources(conn, ACME, recurring_only=True)}
        applied = calendars.roll(
            conn, ACME, [resource(*series(7, 14), recurring=True)], LATER, HORIZON + timedelta(days=1)
        )
        (row,) = calendars.calendars(conn)
    assert held == {"/weekly.ics"}
    assert row.horizon_end == HORIZON + timedelta(days=1)
    assert len(applied.changed_keys) == len(applied.removed_keys) == 1
    assert {(one.observed_at, one.time_changed_at) for one in all_of(store).values()} == {(NOW, None)}


def test_single_event_beyond_the_horizon_is_rolled_again(store: Store) -> None:
    """A resource without an occurrence in the window may have one when the window moves."""
    put(store, replace(resource(meeting("far")), occurrences=()), resource(meeting("near")), full=True)
    with store.read() as conn:
        assert [one.href for one in calendars.resources(conn, ACME, recurring_only=True)] == ["/far.ics"]
        assert len(list(calendars.resources(conn, ACME))) == 2


def test_first_read_of_a_second_calendar_wakes_the_first(store: Store) -> None:
    """Old meetings may clash with what a new calendar brings."""
    put(store, resource(meeting("a")), full=True)
    lull(store)
    put(store, resource(meeting("b", starts=90, account="own")), ref=OWN, full=True)
    assert awake(store) == {"a", "b"}


def test_waking_keeps_the_queue_in_order(store: Store) -> None:
    """What already waits keeps its place when a neighbour changes."""
    put(store, resource(meeting("a")), resource(meeting("b")), full=True)
    put(store, resource(meeting("b", title="New"), etag="2"), now=LATER)
    with store.read() as conn:
        assert [one.key.uid for one in agenda.due(conn, LATER, 10)] == ["a", "b"]
        assert agenda.next_wake(conn) == NOW


def test_reread_leaves_the_calendar_alone(store: Store) -> None:
    """One meeting read by itself changes that meeting, not the cursor, the freshness or a doubt."""
    put(store, resource(meeting("a")), resource(meeting("b")), full=True)
    with store.write() as conn:
        calendars.set_shrink(conn, ACME, "token")
        before = calendars.calendars(conn)
        fresh = resource(meeting("a", title="New"), etag="2")
        assert calendars.reread(conn, ACME, "/a.ics", fresh, LATER).changed_keys
        assert calendars.calendars(conn) == before
        assert calendars.etags(conn, ACME) == {"/a.ics": "2", "/b.ics": "1"}
        assert calendars.reread(conn, ACME, "/a.ics", None, LATER).removed_keys
        assert calendars.etags(conn, ACME) == {"/b.ics": "1"}


def test_calendar_row_and_cursor(store: Store) -> None:
    """What a poll leaves behind: cursor, freshness, size, what the server does by itself."""
    with store.write() as conn:
        assert calendars.cursor(conn, ACME) == Cursor()
        changes = ChangeSet(changed=(resource(meeting("a")),), cursor=Cursor("c1"), full=True)
        calendars.apply(conn, info(schedules=True), changes, NOW, HORIZON)
        calendars.seen(conn, ACME, LATER)
        (row,) = calendars.calendars(conn, "acme")
        assert (row.cursor, row.seen_at, row.events, row.schedules) == (Cursor("c1"), LATER, 1, True)
        assert calendars.cursor(conn, ACME) == Cursor("c1")
        held = calendars.resource(conn, ACME, "/a.ics")
        assert held is not None
        assert (held.raw, held.occurrences) == ("BEGIN:VCALENDAR", ())
        assert calendars.resource(conn, ACME, "/b.ics") is None


def test_shrink_waits_for_the_owner(store: Store) -> None:
    """The doubt about a smaller calendar is kept until it is accepted, and settled by the next result."""
    put(store, resource(meeting("a")), full=True)
    with store.write() as conn:
        assert calendars.accept_shrink(conn, "acme") == []
        calendars.set_shrink(conn, ACME, "token")
        assert calendars.calendars(conn)[0].shrink_seen == "token"
        assert calendars.accept_shrink(conn, "acme") == [ACME]
        assert calendars.calendars(conn)[0].shrink_seen == calendars.SHRINK_ACCEPTED
    put(store, full=True, now=LATER)
    with store.read() as conn:
        assert calendars.calendars(conn)[0].shrink_seen is None


def test_forgotten_calendar_leaves_nothing(store: Store) -> None:
    """A calendar that is no longer configured goes with its meetings; the others wake."""
    put(store, resource(meeting("a")), full=True)
    put(store, resource(meeting("b", account="own")), ref=OWN, full=True)
    lull(store)
    with store.write() as conn:
        calendars.forget_calendar(conn, OWN)
        calendars.forget_calendar(conn, OWN)
    assert {key.uid for key in all_of(store)} == {"a"}
    assert awake(store) == {"a"}


def test_account_remembers_how_its_polls_went(store: Store) -> None:
    """The first complete poll is kept for ever; failures count up and are forgotten by a success."""
    with store.write() as conn:
        assert not calendars.polled(conn, "acme", NOW, kind="caldav")
        calendars.failed(conn, "acme", "no answer", "acme does not answer.", LATER)
        calendars.failed(conn, "acme", "no answer", "acme does not answer.", FAR)
        row = calendars.accounts(conn)["acme"]
        assert (row.failures, row.error_since, row.seen_at) == (2, LATER, NOW)
        assert calendars.polled(conn, "acme", FAR)
        row = calendars.accounts(conn)["acme"]
        assert (row.failures, row.error, row.error_since) == (0, "", None)
        assert (row.first_seen_at, row.seen_at, row.kind) == (NOW, FAR, "caldav")


def test_failed_transaction_keeps_nothing(store: Store) -> None:
    """A poll whose storing breaks off leaves the store as it was, cursor and all."""
    put(store, resource(meeting("a")), full=True)
    before = all_of(store)
    changes = ChangeSet(changed=(resource(meeting("b")),), cursor=Cursor("next"))

    def break_off() -> None:
        with store.write() as conn:
            calendars.apply(conn, info(), changes, LATER, HORIZON)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        break_off()
    assert all_of(store) == before
    with store.read() as conn:
        assert calendars.cursor(conn, ACME) == Cursor(NOW.isoformat())


def test_all_day_events_wake_no_neighbours(store: Store) -> None:
    """A holiday that covers the whole day is nobody's clash."""
    put(store, resource(meeting("a")), full=True)
    lull(store)
    holiday = meeting(
        "holiday",
        starts=40,
        lasts=24,
        timing=Timing.ALL_DAY,
        people={Address("x@y.example"): PartStat.ACCEPTED},
    )
    put(store, resource(holiday), now=LATER)
    assert awake(store) == {"holiday"}
