"""The outbox's memory: one row per intent for ever, moved only along the table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import update

from daemon.store import Store, deliveries, departures
from daemon.store.deliveries import NOTICE
from daemon.store.schema import deliveries as deliveries_table
from rules.delivery import Event, ForbiddenMove, State
from rules.model import Intent
from tests.support.meetings import BO, JO, ME, NOW
from tests.support.stores import fresh_store, intent, span

pytestmark = pytest.mark.usefixtures("dialect")

LEASE = timedelta(minutes=5)
HOUR = timedelta(hours=1)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An empty store."""
    opened = fresh_store(tmp_path)
    yield opened
    opened.close()


def test_an_intent_is_queued_once_for_ever(store: Store) -> None:
    """The same intent, in the same batch or years later, whatever became of it, makes no second row."""
    with store.write() as conn:
        (first,) = deliveries.add(conn, [intent(), intent()], NOW)
        deliveries.cancel(conn, first, NOW)
        assert deliveries.add(conn, [intent()], NOW + 9999 * HOUR) == []
        (moved,) = deliveries.add(conn, [replace(intent(), start=intent().start + HOUR)], NOW)
        assert moved != first


def test_the_intent_comes_back_as_it_was(store: Store) -> None:
    """Everything the rules said is there when the message is written."""
    said = intent(template="sorry", tone="softer")
    with store.write() as conn:
        (made,) = deliveries.add(conn, [said], NOW, state=State.HELD, error="draft")
        found = deliveries.get(conn, made)
    assert found is not None
    assert found.intent == said
    assert (found.state, found.error, found.identity) == (State.HELD, "draft", said.identity)


def test_done_is_everything_about_a_meeting(store: Store) -> None:
    """By intent key, with the state reached and since when; other instances stay out."""
    other = replace(intent().key, recurrence_id="20260304T110000Z")
    with store.write() as conn:
        first, _ = deliveries.add(conn, [intent(), intent(key=other)], NOW)
        deliveries.cancel(conn, first, NOW + HOUR)
        done = deliveries.done(conn, [intent().identity])
    assert {key: (one.state, one.at) for key, one in done.items()} == {
        intent().intent_key: ("suppressed", NOW + HOUR)
    }


def test_a_notice_is_told_once_and_has_no_meeting(store: Store) -> None:
    """The same trouble is told to one address once; its words wait in the row."""
    with store.write() as conn:
        more = {"subject": "Not sent", "body": "Because.", "now": NOW, "until": NOW + HOUR}
        made = deliveries.add_notice(conn, "refused", "7", ME, **more)
        assert made is not None
        assert deliveries.add_notice(conn, "refused", "7", ME, **more) is None
        found = deliveries.get(conn, made)
    assert found is not None
    assert (found.do, found.key, found.subject, found.reason) == (NOTICE, None, "Not sent", "Because.")
    with pytest.raises(ValueError, match="no rule"):
        _ = found.intent


def test_only_one_sender_gets_a_delivery(store: Store) -> None:
    """A claim is exclusive; a stranger can neither fill nor move what somebody else holds."""
    with store.write() as conn:
        (made,) = deliveries.add(conn, [intent()], NOW)
        held = deliveries.claim(conn, made, "a", NOW, LEASE)
        assert held is not None
        assert (held.state, held.lease_by, held.lease_until) == (State.CLAIMED, "a", NOW + LEASE)
        assert deliveries.claim(conn, made, "b", NOW, LEASE) is None
        assert not deliveries.fill(conn, made, mine="b", attempts=1)
        assert not deliveries.move(conn, made, Event.COMMIT, NOW, mine="b")
        assert deliveries.move(conn, made, Event.COMMIT, NOW, mine="a")
        assert deliveries.move(conn, made, Event.ACCEPT, NOW, mine="a", sent_at=NOW)
        after = deliveries.get(conn, made)
        assert after is not None
        assert (after.state, after.lease_by, after.lease_until, after.sent_at) == (State.SENT, "", None, NOW)


def test_a_message_cancelled_under_way_cannot_be_committed(store: Store) -> None:
    """The owner's cancel takes the claim away."""
    with store.write() as conn:
        (made,) = deliveries.add(conn, [intent()], NOW)
        deliveries.claim(conn, made, "a", NOW, LEASE)
        assert deliveries.cancel(conn, made, NOW)
        assert not deliveries.move(conn, made, Event.COMMIT, NOW, mine="a")


def test_forbidden_and_missing(store: Store) -> None:
    """What the table forbids raises; what is not there is False."""
    with store.write() as conn:
        (made,) = deliveries.add(conn, [intent()], NOW)
        with pytest.raises(ForbiddenMove):
            deliveries.approve(conn, made, NOW)
        assert not deliveries.cancel(conn, 999, NOW)
        assert not deliveries.retry(conn, 999, NOW)
        assert deliveries.get(conn, 999) is None
        assert deliveries.claim(conn, 999, "a", NOW, LEASE) is None


def test_the_rendered_message_is_kept(store: Store) -> None:
    """The bytes, the offered times and the Message-ID stay with the delivery; lists leave the bytes out."""
    offered = (span(20), span(30))
    with store.write() as conn:
        (made,) = deliveries.add(conn, [intent()], NOW)
        deliveries.claim(conn, made, "a", NOW, LEASE)
        assert deliveries.fill(conn, made, mine="a", raw=b"\x00mail", message_id="<1@x>", offered=offered)
        found = deliveries.get(conn, made)
        (listed,) = deliveries.list_(conn)
    assert found is not None
    assert (found.raw, found.message_id, found.offered) == (b"\x00mail", "<1@x>", offered)
    assert (listed.raw, listed.offered) == (None, offered)


def test_due_overdue_and_next(store: Store) -> None:
    """What may be tried now, what is over, and when to look again."""
    with store.write() as conn:
        assert deliveries.next_try(conn) is None
        soon, late, over = deliveries.add(
            conn, [intent("a"), intent("b"), intent("c", until=NOW - HOUR)], NOW - 2 * HOUR
        )
        deliveries.claim(conn, late, "a", NOW, LEASE)
        deliveries.move(conn, late, Event.FAIL, NOW, mine="a", next_try_at=NOW + HOUR)
        assert [one.id for one in deliveries.due(conn, NOW, 10)] == [soon, over]
        assert [one.id for one in deliveries.due(conn, NOW + HOUR, 10)] == [soon, over, late]
        assert [one.id for one in deliveries.due(conn, NOW, 1)] == [soon]
        assert [one.id for one in deliveries.overdue(conn, NOW)] == [over]
        deliveries.cancel(conn, soon, NOW)
        deliveries.cancel(conn, over, NOW)
        assert deliveries.next_try(conn) == NOW + HOUR
        assert deliveries.counts(conn) == {State.SUPPRESSED: 2, State.RETRYING: 1}
        assert [one.id for one in deliveries.list_(conn, State.RETRYING)] == [late]


def sent(store: Store, uid: str, hours_ago: float, to: str = JO, **more: object) -> int:
    """Leave a message that was sent so long ago."""
    at = NOW - hours_ago * HOUR
    with store.write() as conn:
        (made,) = deliveries.add(conn, [intent(uid, to=to, people=(to,), **more)], at)
        deliveries.claim(conn, made, "a", at, LEASE)
        deliveries.fill(conn, made, mine="a", message_id=f"<{made}@va.example>")
        deliveries.move(conn, made, Event.COMMIT, at, mine="a")
        deliveries.move(conn, made, Event.ACCEPT, at, mine="a", sent_at=at)
    return made


def test_what_left_counts_for_the_limits(store: Store) -> None:
    """Sent and perhaps sent count, since when and to whom; the owner can be left out."""
    for uid, ago, to in (("a", 3, JO), ("b", 2, JO), ("c", 1, BO), ("d", 0.5, ME)):
        sent(store, uid, ago, to)
    with store.write() as conn:
        (doubt,) = deliveries.add(conn, [intent("e")], NOW)
        deliveries.claim(conn, doubt, "a", NOW, LEASE)
        deliveries.move(conn, doubt, Event.COMMIT, NOW, mine="a")
        deliveries.move(conn, doubt, Event.DOUBT, NOW, mine="a")
        everyone = departures.sent_since(conn, NOW - 2.5 * HOUR)
        assert everyone == [NOW - 2 * HOUR, NOW - HOUR, NOW - 0.5 * HOUR, NOW]
        assert len(departures.sent_since(conn, NOW - 2.5 * HOUR, besides={ME, BO})) == 2
        assert departures.sent_to_since(conn, JO, NOW - 9 * HOUR) == [NOW - 3 * HOUR, NOW - 2 * HOUR, NOW]


def test_ladder_is_one_thread_per_meeting_and_address(store: Store) -> None:
    """References name what this address already got about this meeting, oldest first."""
    second = sent(store, "a", 1, step="move")
    first = sent(store, "a", 2)
    sent(store, "a", 3, BO)
    sent(store, "b", 3)
    with store.read() as conn:
        ladder = departures.ladder(conn, intent("a").identity, JO)
    assert ladder == (f"<{first}@va.example>", f"<{second}@va.example>")


def test_the_owners_retry_opens_the_step_again(store: Store) -> None:
    """A lapsed message that the owner wants after all has an hour, and is not held as a flood."""
    with store.write() as conn:
        (made,) = deliveries.add(conn, [intent(until=NOW - HOUR)], NOW - 2 * HOUR)
        deliveries.move(conn, made, Event.LAPSE, NOW, error="too late")
        assert deliveries.retry(conn, made, NOW)
        found = deliveries.get(conn, made)
    assert found is not None
    assert (found.state, found.until, found.cleared_at, found.error) == (State.PENDING, NOW + HOUR, NOW, "")


def grouped(uid: str, **more: object) -> Intent:
    """An intent of Jo's group that waits ten minutes for others."""
    return intent(uid, **{"group": "jo's", "wait": timedelta(minutes=10)} | more)


def test_a_group_waits_for_its_first_message(store: Store) -> None:
    """Later ones of a group leave with the first; other groups, and what was tried already, stay apart."""
    minute = timedelta(minutes=1)
    with store.write() as conn:
        first, alone = deliveries.add(conn, [grouped("a"), intent("x")], NOW)
        (second,) = deliveries.add(conn, [grouped("b")], NOW + 4 * minute)
        (other,) = deliveries.add(conn, [grouped("c", group="bo's", to=BO)], NOW + 4 * minute)
        when = {one.id: one.next_try_at for one in deliveries.list_(conn)}
        assert when == {
            first: NOW + 10 * minute,
            alone: NOW,
            second: NOW + 10 * minute,
            other: NOW + 14 * minute,
        }
        claimed = deliveries.claim(conn, first, "a", NOW + 11 * minute, LEASE)
        assert claimed is not None
        assert (claimed.group, [one.id for one in deliveries.companions(conn, claimed)]) == ("jo's", [second])
        (late,) = deliveries.add(conn, [grouped("d")], NOW + 10 * minute)
        assert [one.id for one in deliveries.companions(conn, claimed)] == [second, late]
        deliveries.claim(conn, second, "a", NOW + 11 * minute, LEASE)
        deliveries.claim(conn, late, "a", NOW + 11 * minute, LEASE)
        (next_,) = deliveries.add(conn, [grouped("e")], NOW + 11 * minute)
        found = deliveries.get(conn, next_)
        assert found is not None
        assert found.next_try_at == NOW + 21 * minute
        single = deliveries.get(conn, alone)
        assert single is not None
        assert deliveries.companions(conn, single) == []


def test_a_group_never_waits_beyond_its_step(store: Store) -> None:
    """The wait ends just before the step does, and never lies in the past."""
    with store.write() as conn:
        (soon,) = deliveries.add(conn, [grouped("a", until=NOW + timedelta(minutes=5))], NOW)
        (over,) = deliveries.add(conn, [grouped("b", group="b", until=NOW + timedelta(seconds=5))], NOW)
        when = {one.id: one.next_try_at for one in deliveries.list_(conn)}
    assert when == {soon: NOW + timedelta(minutes=4), over: NOW}


def test_what_the_rules_hold_is_held(store: Store) -> None:
    """An intent that needs the owner's word is held with the reason, whatever its neighbours are."""
    with store.write() as conn:
        deliveries.add(conn, [intent("a", hold="a list of 40 people"), intent("b")], NOW)
        found = {one.key.uid: (one.state, one.error) for one in deliveries.list_(conn) if one.key}
    assert found == {"a": (State.HELD, "a list of 40 people"), "b": (State.PENDING, "")}


def test_turn_and_group_come_back(store: Store) -> None:
    """A repetition is its own delivery, and knows which turn it is."""
    with store.write() as conn:
        deliveries.add(conn, [grouped("a"), grouped("a", turn=2)], NOW)
        found = [one.intent for one in deliveries.list_(conn)]
    assert [(one.turn, one.group) for one in found] == [(1, "jo's"), (2, "jo's")]


def test_a_message_that_carried_several_counts_once(store: Store) -> None:
    """Limits count messages, not meetings; a thread names each message once."""
    carrier = sent(store, "a", 1)
    carried = sent(store, "a", 1, step="move")
    with store.write() as conn:
        conn.execute(
            update(deliveries_table)
            .where(deliveries_table.c.id == carried)
            .values(carried_by=carrier, message_id=f"<{carrier}@va.example>")
        )
        assert len(departures.sent_since(conn, NOW - 2 * HOUR)) == 1
        assert len(departures.sent_to_since(conn, JO, NOW - 2 * HOUR)) == 1
        assert departures.ladder(conn, intent("a").identity, JO) == (f"<{carrier}@va.example>",)
