"""Sending: once each, in one named state each, within the limits, and the owner is told."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from connectors.base import NeedsLogin, Rejected, Retryable, Uncertain, Unreachable
from daemon.clock import SetClock
from daemon.lease import holder
from daemon.mail.message import Mail
from daemon.outbox import Decision
from daemon.store import Store, StoreError, deliveries
from daemon.store.deliveries import Delivery
from rules.delivery import Event, State
from rules.model import Address
from tests.support.meetings import JO, ME, NOW
from tests.support.sending import SinkMailer, outbox, raising, write
from tests.support.stores import fresh_store, intent, span

pytestmark = pytest.mark.usefixtures("dialect")

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
LEASE = timedelta(minutes=5)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An empty store."""
    opened = fresh_store(tmp_path)
    yield opened
    opened.close()


def queue(store: Store, *uids: str, **more: object) -> list[int]:
    """Queue one message for each meeting."""
    with store.write() as conn:
        return deliveries.add(conn, [intent(uid, **more) for uid in uids], NOW)


def crowd(store: Store, size: int) -> list[int]:
    """Queue one message to each of so many people."""
    with store.write() as conn:
        people = [Address(f"p{n}@acme.example") for n in range(size)]
        return deliveries.add(conn, [intent(f"m{n}", to=who) for n, who in enumerate(people)], NOW)


def look(store: Store, id_: int) -> Delivery:
    """The delivery as it is now."""
    with store.read() as conn:
        found = deliveries.get(conn, id_)
    assert found is not None
    return found


def notices(store: Store) -> list[Delivery]:
    """What the owner was or will be told."""
    with store.read() as conn:
        return [one for one in deliveries.list_(conn) if one.do == deliveries.NOTICE]


def test_due_messages_leave_once_in_one_session(store: Store) -> None:
    """Everything due is sent on one connection, kept as it was sent, and never sent again."""
    first, second = queue(store, "a", "b")
    mailer = SinkMailer()
    sender = outbox(store, mailer)
    report = sender.run(NOW)
    assert report.counts == {State.SENT: 2}
    assert (len(mailer.kept), mailer.sessions) == (2, 1)
    one = look(store, first)
    assert (one.state, one.attempts, one.message_id) == (State.SENT, 1, f"<{first}@va.example>")
    assert one.raw == intent("a").intent_key.encode()
    assert one.sent_at == NOW + MINUTE
    assert sender.run(NOW + HOUR).outcomes == []
    assert look(store, second).state is State.SENT


def test_offered_times_are_kept(store: Store) -> None:
    """What was offered can be recognised in the answer."""

    def offering(*_: object) -> Mail:
        return Mail(
            sender=ME,
            recipients=(JO,),
            subject="s",
            message_id="<1@x>",
            raw=b"x",
            text="",
            offered=(span(20),),
        )

    (made,) = queue(store, "a")
    outbox(store, compose=offering).run(NOW)
    assert look(store, made).offered == (span(20),)


@pytest.mark.parametrize(
    ("decision", "state", "why"),
    [
        (Decision.drop(State.SUPERSEDED, "Jo accepted"), State.SUPERSEDED, "Jo accepted"),
        (Decision.drop(State.LAPSED, "too late"), State.LAPSED, "too late"),
        (Decision.drop(State.SUPPRESSED, "Jo asked to stop"), State.SUPPRESSED, "Jo asked to stop"),
        (Decision.hold("look at it"), State.HELD, "look at it"),
        (Decision.later(NOW + HOUR, "quiet hours"), State.PENDING, "quiet hours"),
    ],
)
def test_the_last_look_decides(store: Store, decision: Decision, state: State, why: str) -> None:
    """Nothing stale is sent: what the last look says is done, and said."""
    (made,) = queue(store, "a")
    mailer = SinkMailer()
    outbox(store, mailer, recheck=lambda _: decision).run(NOW)
    one = look(store, made)
    assert (one.state, one.error, mailer.kept) == (state, why, [])
    if state is State.PENDING:
        assert one.next_try_at == NOW + HOUR


@pytest.mark.parametrize("decision", [Decision.drop(State.SUPERSEDED, "Jo accepted"), Decision.go()])
def test_a_look_that_grew_old_is_repeated_before_the_final_dot(store: Store, decision: Decision) -> None:
    """A mail server that takes its time does not make a stale mail: what changed meanwhile stops it."""
    (made,) = queue(store, "a")
    clock = SetClock(NOW + MINUTE)
    decisions = [Decision.go(), decision]

    def dawdle() -> None:
        clock.at += timedelta(seconds=3)

    mailer = SinkMailer(before=[dawdle])
    outbox(store, mailer, clock, recheck=lambda _: decisions.pop(0)).run(NOW)
    expected = (State.SENT, 1) if decision.kind == "go" else (State.SUPERSEDED, 0)
    assert (look(store, made).state, len(mailer.kept)) == expected
    assert decisions == []


def test_no_transaction_is_open_while_the_network_is_asked(store: Store) -> None:
    """Others can write while a message is looked at, written and handed over."""

    def write_meanwhile(delivery: Delivery) -> Decision:
        queue(store, f"meanwhile-{delivery.id}")
        return Decision.go()

    queue(store, "a")
    mailer = SinkMailer(between=[lambda: queue(store, "while-sending") and None])
    assert outbox(store, mailer, recheck=write_meanwhile).run(NOW).counts == {State.SENT: 1}


def test_retries_back_off_and_lapse_with_the_step(store: Store) -> None:
    """1, 2, 4 minutes and so on, as long as the server asks, never past the step's end."""
    (made,) = queue(store, "a", until=NOW + 2 * HOUR)
    clock = SetClock(NOW)
    mailer = SinkMailer(before=[raising(Retryable("busy"))] * 4 + [raising(Retryable("busy", 3600))])
    sender = outbox(store, mailer, clock)
    pauses = []
    for _ in range(5):
        sender.run(clock.at)
        one = look(store, made)
        assert (one.state, one.error) == (State.RETRYING, "busy")
        pauses.append((one.next_try_at - clock.at) // MINUTE)
        clock.at = one.next_try_at
    assert pauses == [1, 2, 4, 8, 60]
    clock.at = NOW + 2 * HOUR
    sender.run(clock.at)
    one = look(store, made)
    assert (one.state, one.error, mailer.kept) == (State.LAPSED, "busy", [])


def test_refusal_is_final_and_told_once_in_the_same_run(store: Store) -> None:
    """5xx: refused, the owner learns of it at once, with the command that tries again."""
    (made,) = queue(store, "a")
    mailer = SinkMailer(before=[raising(Rejected("550 no such person"))])
    sender = outbox(store, mailer)
    assert sender.run(NOW).counts == {State.REFUSED: 1, State.SENT: 1}
    (notice,) = notices(store)
    assert (notice.to, notice.state) == (ME, State.SENT)
    assert "550 no such person" in notice.reason
    assert f"rebookd outbox retry {made}" in notice.reason
    assert sender.run(NOW + HOUR).outcomes == []


def test_doubt_is_final_until_the_owner_speaks(store: Store) -> None:
    """No answer to the dot: unknown, never sent again by itself; the owner's retry sends it, once."""
    (made,) = queue(store, "a")
    mailer = SinkMailer(between=[raising(Uncertain("the server hung up"))])
    clock = SetClock(NOW)
    sender = outbox(store, mailer, clock)
    assert sender.run(NOW).counts == {State.UNKNOWN: 1, State.SENT: 1}
    assert "may have arrived" in notices(store)[0].reason
    clock.at = NOW + HOUR
    assert sender.run(clock.at).outcomes == []
    with store.write() as conn:
        assert deliveries.retry(conn, made, clock.at)
    assert sender.run(clock.at).counts == {State.SENT: 1}
    assert look(store, made).attempts == 2


def test_explicit_refusal_after_the_mark_is_certain(store: Store) -> None:
    """A 4xx to the final dot means not kept: it is tried again."""
    (made,) = queue(store, "a")
    outbox(store, SinkMailer(between=[raising(Retryable("451 later"))])).run(NOW)
    assert look(store, made).state is State.RETRYING


@pytest.mark.parametrize("error", [Unreachable("no route"), NeedsLogin("wrong password")])
def test_server_out_of_reach_ends_the_run(store: Store, error: Exception) -> None:
    """When the server as a whole fails, the other messages are not tried in vain, and not lost."""
    first, second = queue(store, "a", "b")
    report = outbox(store, SinkMailer(before=[raising(error)])).run(NOW)
    assert report.stopped == str(error)
    assert (look(store, first).state, look(store, second).state) == (State.RETRYING, State.PENDING)


@pytest.mark.parametrize("where", ["recheck", "compose", "mailer"])
def test_a_fault_in_one_message_never_touches_the_next(store: Store, where: str) -> None:
    """What raises is pushed an hour ahead and reported; its neighbour is sent."""
    bad, good = queue(store, "a", "b")

    def fail(delivery: Delivery, _: object = ()) -> Mail:
        if delivery.id == bad:
            raise ZeroDivisionError
        return write(delivery)

    def look_again(delivery: Delivery) -> Decision:
        fail(delivery)
        return Decision.go()

    faults = {"recheck": {"recheck": look_again}, "compose": {"compose": fail}, "mailer": {}}
    mailer = SinkMailer(before=[raising(ZeroDivisionError())] if where == "mailer" else [])
    report = outbox(store, mailer, **faults[where]).run(NOW)
    assert [id_ for id_, _ in report.failed] == [bad]
    one = look(store, bad)
    assert (one.state, one.next_try_at) == (State.PENDING, NOW + MINUTE + HOUR)
    assert look(store, good).state is State.SENT


def test_a_broken_mailer_after_the_mark_leaves_a_doubt(store: Store) -> None:
    """A fault of ours on the far side of the mark is as unknown as the network's."""
    (made,) = queue(store, "a")
    outbox(store, SinkMailer(after=[raising(ZeroDivisionError())])).run(NOW)
    assert look(store, made).state is State.UNKNOWN


@pytest.mark.parametrize("recipients", [("evil@x.example",), (JO, "evil@x.example"), ()])
def test_a_mail_to_anyone_else_is_never_handed_over(store: Store, recipients: tuple[str, ...]) -> None:
    """The envelope is the delivery's one address, whatever the composer says."""
    (made,) = queue(store, "a")
    mailer = SinkMailer()

    def stray(*_: object) -> Mail:
        return Mail(sender=ME, recipients=recipients, subject="s", message_id="<1@x>", raw=b"x", text="")

    outbox(store, mailer, compose=stray).run(NOW)
    assert (mailer.kept, look(store, made).state) == ([], State.PENDING)


def test_what_cannot_be_written_is_refused_and_told(store: Store) -> None:
    """A template that does not render is the owner's to mend."""
    (made,) = queue(store, "a")

    def refuse(delivery: Delivery, _: object = ()) -> Mail:
        if delivery.id == made:
            raise Rejected("template 'sorry' does not exist")
        return write(delivery)

    outbox(store, compose=refuse).run(NOW)
    assert look(store, made).state is State.REFUSED
    assert "template 'sorry'" in notices(store)[0].reason


def test_a_flood_sends_nothing_and_tells_the_owner(store: Store) -> None:
    """More than the guard allows at once: all held, the owner's own mail and the notice still leave."""
    ids = crowd(store, 4)
    with store.write() as conn:
        (mine,) = deliveries.add(conn, [intent("mine", to=ME, do="notify")], NOW)
    mailer = SinkMailer()
    sender = outbox(store, mailer, guard={"max_per_run": 3})
    assert sender.run(NOW).counts == {State.HELD: 4, State.SENT: 2}
    assert {look(store, id_).error for id_ in ids} == {"flood"}
    assert look(store, mine).state is State.SENT
    assert "rebookd outbox approve --all" in notices(store)[0].reason
    with store.write() as conn:
        assert all(deliveries.approve(conn, id_, NOW) for id_ in ids)
    assert sender.run(NOW).counts == {State.SENT: 4}


def test_the_guards_number_is_no_flood(store: Store) -> None:
    """Exactly as many as allowed leave; what was let through before is not counted again."""
    crowd(store, 3)
    mailer = SinkMailer(before=[raising(Unreachable("no route"))])
    clock = SetClock(NOW)
    sender = outbox(store, mailer, clock, guard={"max_per_run": 3})
    sender.run(NOW)
    queue(store, "x", "y", "z", to=Address("z@acme.example"))
    clock.at = NOW + HOUR
    assert sender.run(clock.at).counts == {State.SENT: 6}


def test_hourly_limit_delays_until_it_frees(store: Store) -> None:
    """The third message of an hour that allows two leaves when the first is an hour old."""
    ids = crowd(store, 3)
    clock = SetClock(NOW)
    sender = outbox(store, clock=clock, guard={"max_per_hour": 2})
    assert sender.run(NOW).counts == {State.SENT: 2, State.PENDING: 1}
    one = look(store, ids[2])
    assert one.next_try_at == NOW + HOUR
    assert "2 messages in an hour" in one.error
    clock.at = one.next_try_at
    assert sender.run(clock.at).counts == {State.SENT: 1}


def test_daily_limit_of_one_address(store: Store) -> None:
    """One person gets no more than so many in 24 hours; the rest lapses with its step."""
    first, second = queue(store, "a", "b")
    clock = SetClock(NOW)
    sender = outbox(store, clock=clock, guard={"per_recipient_per_day": 1})
    sender.run(NOW)
    assert (look(store, first).state, look(store, second).state) == (State.SENT, State.PENDING)
    assert look(store, second).next_try_at == NOW + 24 * HOUR
    clock.at = NOW + 24 * HOUR
    sender.run(clock.at)
    assert look(store, second).state is State.LAPSED


def test_sigterm_finishes_the_one_in_hand(store: Store) -> None:
    """When asked to stop, the message being sent is finished and the next is not begun."""
    first, second = queue(store, "a", "b")
    asked: list[bool] = []
    mailer = SinkMailer(between=[lambda: asked.append(True)])
    report = outbox(store, mailer, stopping=lambda: bool(asked)).run(NOW)
    assert report.stopped == "rebookd is stopping"
    assert (look(store, first).state, look(store, second).state) == (State.SENT, State.PENDING)


def test_zombie_lease_sends_nothing(store: Store) -> None:
    """A sender that slept past its lease finds it gone at the fence, and keeps its hands still."""
    (made,) = queue(store, "a")
    zombie_mailer, other_mailer = SinkMailer(), SinkMailer()
    zombie_clock, clock = SetClock(NOW), SetClock(NOW + 6 * MINUTE)
    other = outbox(store, other_mailer, clock, who="elsewhere:1:b")

    def sleep_long(_: Delivery) -> Decision:
        other.run(clock.at)
        return Decision.go()

    zombie = outbox(store, zombie_mailer, zombie_clock, who="elsewhere:2:a", recheck=sleep_long)
    zombie.run(NOW)
    assert (len(other_mailer.kept), zombie_mailer.kept) == (1, [])
    assert look(store, made).state is State.SENT


def test_lease_that_ran_out_is_not_committed(store: Store) -> None:
    """Even when nobody else came, a sender past its lease starts over instead of sending late."""
    (made,) = queue(store, "a")
    clock = SetClock(NOW)
    mailer = SinkMailer()

    def sleep_long(_: Delivery) -> Decision:
        clock.at = NOW + 6 * MINUTE
        return Decision.go()

    outbox(store, mailer, clock, recheck=sleep_long).run(NOW)
    assert (mailer.kept, look(store, made).state) == ([], State.CLAIMED)
    assert outbox(store, mailer, clock).run(clock.at).counts == {State.PENDING: 1, State.SENT: 1}


def test_step_that_ended_meanwhile_is_not_committed(store: Store) -> None:
    """A step that ends while its message is on the way is not sent late."""
    (made,) = queue(store, "a", until=NOW + 2 * MINUTE)
    clock = SetClock(NOW)
    mailer = SinkMailer(before=[lambda: setattr(clock, "at", NOW + 3 * MINUTE)])
    sender = outbox(store, mailer, clock)
    sender.run(NOW)
    sender.run(clock.at)
    assert (mailer.kept, look(store, made).state) == ([], State.LAPSED)


def test_cancel_under_way_is_obeyed(store: Store) -> None:
    """The owner's cancel reaches a message that is being sent, up to the mark."""
    (made,) = queue(store, "a")

    def cancel() -> None:
        with store.write() as conn:
            deliveries.cancel(conn, made, NOW)

    mailer = SinkMailer(before=[cancel])
    outbox(store, mailer).run(NOW)
    assert (mailer.kept, look(store, made).state) == ([], State.SUPPRESSED)


@pytest.mark.parametrize(
    ("who", "now", "released"),
    [
        (holder(NOW), NOW, True),
        (holder(NOW).replace(f":{os.getpid()}:", ":999999999:"), NOW, True),
        (holder(NOW).replace("/", "/another-", 1).replace(f":{os.getpid()}:", ":999999999:"), NOW, False),
        ("elsewhere:1:x", NOW, False),
        ("elsewhere:1:x", NOW + 6 * MINUTE, True),
        ("elsewhere:1:x", NOW - 8 * HOUR, True),
    ],
    ids=["same pid", "dead pid", "a like-named container", "alive elsewhere", "lease over", "clock set back"],
)
def test_what_a_dead_sender_left(store: Store, who: str, now: object, released: bool) -> None:
    """Claimed waits again, committing becomes unknown; a living sender's stay untouched."""
    claimed, committing = queue(store, "a", "b")
    with store.write() as conn:
        for id_ in (claimed, committing):
            deliveries.claim(conn, id_, who, NOW, LEASE)
        deliveries.move(conn, committing, Event.COMMIT, NOW, mine=who)
    outbox(store, clock=SetClock(now)).recover(now)
    states = (look(store, claimed).state, look(store, committing).state)
    assert states == ((State.PENDING, State.UNKNOWN) if released else (State.CLAIMED, State.COMMITTING))
    assert len(notices(store)) == int(released)


def test_late_answer_settles_a_doubt(store: Store) -> None:
    """A sender that was given up but does get its 250 says so; the doubt is settled, not resent."""
    (made,) = queue(store, "a")
    heir = outbox(store, clock=SetClock(NOW + HOUR), who="elsewhere:2:b")

    def give_up() -> None:
        heir.recover(NOW + HOUR)
        assert look(store, made).state is State.UNKNOWN

    mailer = SinkMailer(after=[give_up])
    outbox(store, mailer, who="elsewhere:1:a").run(NOW)
    assert look(store, made).state is State.SENT


def test_failed_notice_makes_no_notice(store: Store) -> None:
    """When even the notice is refused there is no second one about it."""
    queue(store, "a")
    outbox(store, SinkMailer(before=[raising(Rejected("550 no"))] * 2)).run(NOW)
    assert [one.state for one in notices(store)] == [State.REFUSED]


def test_store_that_fails_at_the_mark_sends_nothing(store: Store) -> None:
    """Without a durable mark there is no final dot, and the daemon stops."""
    (made,) = queue(store, "a")
    mailer = SinkMailer(before=[raising(StoreError("the disk is full"))])
    with pytest.raises(StoreError, match="the disk is full"):
        outbox(store, mailer).run(NOW)
    assert (mailer.kept, look(store, made).state) == ([], State.CLAIMED)
