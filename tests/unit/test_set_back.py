"""The clock was set back: nothing that is remembered lies ahead, waits keep their length, the rest renews."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon import horizon
from daemon.hindsight import Hindsight
from daemon.store import Store, agenda, attendance, calendars, contacts, deliveries, departures, silences
from daemon.store.schema import metadata
from daemon.store.set_back import STAMPED, in_order, latest, set_back
from daemon.store.types import Instant
from rules.delivery import Event, State
from rules.model import Attendee, CalendarSeen, Encounter, Held, Met, PartStat
from tests.support.meetings import ME, NOW, account, meeting, plan, policy, rule, step
from tests.support.stores import ACME, fresh_store, intent, put, resource

pytestmark = pytest.mark.usefixtures("dialect")

HOUR = timedelta(hours=1)
YEAR = timedelta(days=365)
AHEAD = NOW + YEAR

OTHERWISE = {
    ("answers", "at"),
    ("attendance", "at"),
    ("call_records", "at"),
    ("calendars", "horizon_end"),
    ("call_records", "start"),
    ("contacts", "wake_at"),
    ("deliveries", "due"),
    ("deliveries", "start"),
    ("deliveries", "until"),
    ("history", "start"),
    ("history", "end"),
    ("occurrences", "start"),
    ("occurrences", "end"),
    ("occurrences", "wake_at"),
    ("people", "start"),
    ("agreements", "start"),
    ("agreements", "new_start"),
    ("agreements", "new_end"),
    ("answers", "start"),
    ("silences", "starts_at"),
    ("silences", "ends_at"),
    ("silences", "created_at"),
}
"""Columns that say when meetings and steps are, that stay, or that are put right in their own way."""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An empty one."""
    made = fresh_store(tmp_path)
    yield made
    made.close()


def test_every_time_that_is_stored_is_thought_of() -> None:
    """Each column with an instant was stamped by the clock, or is known to speak of something else."""
    stamped = {(table.name, name) for table, names in STAMPED.items() for name in names}
    known = {
        (table.name, column.name)
        for table in metadata.tables.values()
        for column in table.columns
        if isinstance(column.type, Instant)
    }
    assert stamped | OTHERWISE == known
    assert not stamped & OTHERWISE


def test_what_left_lately_still_counts(store: Store) -> None:
    """A message that left ten minutes before the clock was set back left ten minutes ago."""
    with store.write() as conn:
        (id_,) = deliveries.add(conn, [intent()], NOW)
        at = AHEAD - HOUR / 6
        deliveries.claim(conn, id_, "me", at, HOUR)
        deliveries.move(conn, id_, Event.COMMIT, at)
        deliveries.move(conn, id_, Event.ACCEPT, at, sent_at=at)
        set_back(conn, NOW, YEAR)
    with store.read() as conn:
        assert departures.sent_since(conn, NOW - HOUR) == [NOW - HOUR / 6]
        assert departures.sent_since(conn, NOW + HOUR) == [], "and not for another year"


def test_a_wait_is_as_long_as_it_was(store: Store) -> None:
    """What was to be tried again in 20 minutes is tried again in 20 minutes."""
    with store.write() as conn:
        (id_,) = deliveries.add(conn, [intent()], NOW)
        deliveries.claim(conn, id_, "me", AHEAD, HOUR)
        deliveries.move(conn, id_, Event.POSTPONE, AHEAD, next_try_at=AHEAD + HOUR / 3)
        set_back(conn, NOW, YEAR)
        (one,) = deliveries.list_(conn)
    assert one.next_try_at == NOW + HOUR / 3


@pytest.mark.parametrize("state", [State.PENDING, State.HELD])
def test_what_lapsed_ahead_of_time_is_asked_for_again(store: Store, state: State) -> None:
    """It is queued anew as the rules say now; what really lapsed stays so, and so does what was sent."""
    with store.write() as conn:
        (id_,) = deliveries.add(conn, [intent()], NOW)
        deliveries.move(conn, id_, Event.LAPSE, AHEAD)
        set_back(conn, NOW, YEAR)
        assert deliveries.add(conn, [intent()], NOW, state=state) == [id_]
        assert [one.state for one in deliveries.list_(conn)] == [state]
        deliveries.move(conn, id_, Event.LAPSE, NOW)
        assert deliveries.add(conn, [intent()], NOW + HOUR) == []


def test_the_rules_ask_again_for_what_lapsed_ahead_of_time() -> None:
    """A step that is said to have lapsed at a time that has not come is open; one that was sent is not."""
    asks = policy(rule("unconfirmed", step("ask", "confirm", "60h before start")))
    (wanted,) = plan(asks, meeting()).intents

    def intents(state: str, hours: float) -> int:
        done = {wanted.intent_key: deliveries.Done(key=wanted.intent_key, state=state, at=NOW + hours * HOUR)}
        return len(plan(asks, meeting(), done=done).intents)

    assert intents("lapsed", 8) == intents("superseded", 8) == 1
    assert intents("sent", 8) == intents("suppressed", 8) == intents("lapsed", -1) == 0


def test_news_for_the_owner_is_not_lost(store: Store) -> None:
    """A notice that lapsed while the clock was ahead waits as before, since nobody asks for it again."""
    with store.write() as conn:
        until = NOW + 48 * HOUR
        deliveries.add_notice(conn, "flood", "1", ME, subject="s", body="b", now=NOW, until=until)
        (one,) = deliveries.list_(conn)
        deliveries.move(conn, one.id, Event.LAPSE, AHEAD)
        set_back(conn, NOW, YEAR)
        assert [one.state for one in deliveries.list_(conn)] == [State.PENDING]


def test_a_silence_lasts_as_long_as_was_asked_for(store: Store) -> None:
    """Two hours from when it was begun, whatever the clock showed then."""
    with store.write() as conn:
        span = {"starts_at": AHEAD, "ends_at": AHEAD + 2 * HOUR}
        silences.add(conn, {"account": "acme"}, comment="", now=AHEAD, **span)
        set_back(conn, NOW, YEAR)
        (one,) = silences.active(conn, NOW)
        assert one.ends_at == NOW + 2 * HOUR


def test_an_answer_after_a_move_is_no_stale_answer(store: Store) -> None:
    """A move that was seen by a clock ahead came before the yes that is seen by the right one."""
    put(store, resource(meeting()), now=NOW)
    put(store, resource(meeting(starts=74), etag="2"), now=AHEAD)
    with store.write() as conn:
        set_back(conn, NOW, YEAR)
    said = Attendee(address=meeting().attendees[0].address, partstat=PartStat.ACCEPTED)
    put(store, resource(meeting(starts=74, attendees=(said,)), etag="3"), now=NOW + HOUR)
    with store.read() as conn:
        (one,) = agenda.by_uids(conn, ["kickoff"])
    assert one.time_changed_at == NOW
    assert one.attendees[0].answered_at == NOW + HOUR


@pytest.mark.parametrize("moved", [-1, 1], ids=["yes is of the new time", "yes is of the old time"])
def test_a_wrong_clock_does_not_turn_round_what_came_first(store: Store, moved: int) -> None:
    """The new time may be the wrong one: a yes after a move stays after it, and one before it before."""
    said = Attendee(address=meeting().attendees[0].address, partstat=PartStat.ACCEPTED)
    news = [resource(meeting(starts=74), etag="2"), resource(meeting(attendees=(said,)), etag="2")][::-moved]
    both = resource(meeting(starts=74, attendees=(said,)), etag="3")
    for hours, seen in zip([-3, 1, 2], [resource(meeting()), news[0], both], strict=True):
        put(store, seen, now=NOW + hours * HOUR)
    with store.write() as conn:
        set_back(conn, NOW, YEAR)
        (one,) = agenda.by_uids(conn, ["kickoff"])
    answered = one.attendees[0].answered_at
    assert answered is not None
    assert one.time_changed_at is not None
    assert (answered > one.time_changed_at) == (moved < 0)
    assert max(answered, one.time_changed_at) <= NOW


@given(
    st.sets(st.integers(-400, 400)).map(lambda hours: {NOW + one * HOUR for one in hours}),
    st.integers(400, 9000).map(lambda hours: hours * HOUR),
)
def test_the_order_of_what_was_seen_stays(stamps: set[datetime], by: timedelta) -> None:
    """Whatever clock showed it, and whichever of the two is right."""
    right = in_order(stamps, NOW, by)
    assert set(right) == {at for at in stamps if at > NOW}
    moved = [right.get(at, at) for at in sorted(stamps)]
    assert moved == sorted(set(moved))
    assert all(right[at] >= at - by for at in right)
    assert all(at < NOW + timedelta(seconds=1) for at in right.values())


def test_a_word_that_a_meeting_took_place_outlives_a_wrong_clock(store: Store) -> None:
    """Nobody is asked about a meeting that was held because the clock says it is yet to come."""
    with store.write() as conn:
        attendance.mark(conn, meeting().identity, Held.HELD, "you", NOW)
        set_back(conn, NOW - 8 * HOUR, 8 * HOUR)
        assert attendance.marks(conn, [meeting().identity])[str(meeting().identity)].at == NOW


def test_nobody_was_met_in_a_meeting_that_is_not_over(store: Store) -> None:
    """What a clock ahead took for held is forgotten; what was held before is not."""
    past, coming = meeting("past", starts=-50), meeting("coming", starts=50)
    jo = past.attendees[0].address
    with store.write() as conn:
        for one in (past, coming):
            met = Encounter(identity=one.identity, at=one.end_utc, met=Met.HELD)
            contacts.note(conn, jo, met, one, AHEAD)
        set_back(conn, NOW, YEAR)
        known = contacts.of(conn, [jo])[jo]
    assert [one.identity.uid for one in known.encounters] == ["past"]
    assert known.last is None


def test_an_account_seen_at_a_time_that_has_not_come_is_not_seen(store: Store) -> None:
    """Until it is read again nothing is concluded from it (P3)."""
    asks = policy(rule("unconfirmed", step("ask", "confirm", "60h before start")))
    seen = CalendarSeen(name="acme", seen_at=AHEAD, first_seen_at=NOW - YEAR)
    found = plan(asks, meeting(), calendars={meeting().key.calendar: seen})
    assert not found.intents
    assert "has not been seen" in found.withheld[0].why
    known = {"acme": replace(account(), seen_at=AHEAD)}
    assert not plan(asks, meeting(), accounts=known).intents


def test_the_horizon_rolls_back() -> None:
    """Occurrences of a year ahead are no substitute for those of now."""
    end = horizon.window(NOW).end
    assert not horizon.is_due_to_roll(end, NOW)
    assert horizon.is_due_to_roll(end + YEAR, NOW)
    assert horizon.is_due_to_roll(end, NOW + YEAR)


def test_it_is_noticed_once_also_after_a_restart(store: Store) -> None:
    """By the daemon that saw the later time, and by one that finds it in the store; a second is nothing."""
    put(store, resource(meeting()), now=NOW)
    with store.write() as conn:
        agenda.set_wake(conn, {meeting().key: None})
    one = Hindsight(store)
    one.look(AHEAD)
    one.look(AHEAD - timedelta(seconds=30))
    assert _wakes(store) is None
    one.look(NOW)
    assert _wakes(store) == NOW
    with store.write() as conn:
        calendars.seen(conn, ACME, AHEAD)
        agenda.set_wake(conn, {meeting().key: None})
    Hindsight(store).look(NOW)
    assert _wakes(store) == NOW
    with store.read() as conn:
        assert latest(conn) == NOW


def test_of_many_workers_one_puts_it_right(store: Store) -> None:
    """What the next would move once more is due in the future, as it should be."""
    workers = [Hindsight(store), Hindsight(store)]
    put(store, resource(meeting()), now=NOW)
    with store.write() as conn:
        (id_,) = deliveries.add(conn, [intent()], NOW)
        calendars.seen(conn, ACME, AHEAD)
        deliveries.claim(conn, id_, "me", AHEAD, HOUR)
        deliveries.move(conn, id_, Event.POSTPONE, AHEAD, next_try_at=AHEAD + HOUR / 3)
    for one in workers:
        one.look(AHEAD)
    for one in workers[: 1 if store.is_file else 2]:
        one.look(NOW)
    with store.read() as conn:
        (found,) = deliveries.list_(conn)
    assert found.next_try_at == NOW + HOUR / 3


def _wakes(store: Store) -> object:
    with store.read() as conn:
        return agenda.next_wake(conn)


def test_a_step_that_is_not_open_any_more_waits(store: Store) -> None:
    """What was queued by the right clock stays untouched while another one shows the year before."""
    with store.write() as conn:
        (id_,) = deliveries.add(conn, [intent()], NOW)
        set_back(conn, NOW - YEAR, YEAR)
        assert deliveries.due(conn, NOW - YEAR + HOUR, 10) == []
        assert [one.id for one in deliveries.due(conn, NOW, 10)] == [id_]


def test_news_for_the_owner_leaves_by_any_clock(store: Store) -> None:
    """A notice is due when it is queued, and so it stays."""
    with store.write() as conn:
        until = NOW + 48 * HOUR
        deliveries.add_notice(conn, "flood", "1", ME, subject="s", body="b", now=NOW, until=until)
        set_back(conn, NOW - YEAR, YEAR)
        (one,) = deliveries.due(conn, NOW - YEAR, 10)
    assert one.until == until - YEAR
