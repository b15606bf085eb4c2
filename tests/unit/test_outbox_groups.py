"""Several messages to one person about one thing leave as one, and everything else holds for them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from connectors.base import Rejected, Retryable, Uncertain
from daemon.clock import SetClock
from daemon.mail.message import Mail
from daemon.outbox import Decision
from daemon.store import Store, deliveries
from daemon.store.deliveries import Delivery
from rules.delivery import State
from rules.model import Address
from tests.support.meetings import JO, NOW
from tests.support.sending import SinkMailer, outbox, raising, write
from tests.support.stores import fresh_store, intent, span

pytestmark = pytest.mark.usefixtures("dialect")

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An empty store."""
    opened = fresh_store(tmp_path)
    yield opened
    opened.close()


def queue(store: Store, *uids: str, group: str = "ask jo", to: Address = JO) -> list[int]:
    """Queue one message for each meeting, all of one group."""
    with store.write() as conn:
        return deliveries.add(conn, [intent(uid, to=to, group=group) for uid in uids], NOW)


def look(store: Store, *ids: int) -> list[Delivery]:
    """The deliveries as they are now."""
    with store.read() as conn:
        found = [deliveries.get(conn, id_) for id_ in ids]
    return [one for one in found if one is not None]


def notices(store: Store) -> list[Delivery]:
    """What the owner was or will be told."""
    with store.read() as conn:
        return [one for one in deliveries.list_(conn) if one.do == deliveries.NOTICE]


class Counting:
    """Writes mails, and remembers who shared each."""

    def __init__(self, never: int | None = None) -> None:
        self.parties: list[list[int]] = []
        self._never = never

    def __call__(self, delivery: Delivery, companions: Sequence[Delivery]) -> Mail:
        """One more mail; a fault where one of them cannot be written."""
        party = [one.id for one in (delivery, *companions)]
        if self._never in party:
            raise Rejected("its template fails")
        self.parties.append(party)
        return write(delivery, companions)


def test_a_group_leaves_as_one_message(store: Store) -> None:
    """One mail; each of its deliveries is sent, the first keeps the words, the others name it."""
    ids = queue(store, "a", "b", "c")
    mailer, mails = SinkMailer(), Counting()
    assert outbox(store, mailer, compose=mails).run(NOW).counts == {State.SENT: 3}
    assert mails.parties == [ids]
    assert len(mailer.kept) == 3
    leader, *others = look(store, *ids)
    assert (leader.carried_by, leader.raw is not None) == (None, True)
    assert {one.carried_by for one in others} == {leader.id}
    assert {(one.message_id, one.subject, one.raw) for one in others} == {
        (leader.message_id, leader.subject, None)
    }


def test_other_people_and_groups_stay_apart(store: Store) -> None:
    """Only what shares its group and its recipient shares a message."""
    first = queue(store, "a", "b")
    second = queue(store, "c", "d", group="move jo")
    third = queue(store, "e", to=Address("bo@acme.example"))
    alone = queue(store, "f", "g", group="")
    mails = Counting()
    outbox(store, compose=mails, guard={"per_recipient_per_day": 9}).run(NOW)
    assert mails.parties == [first, second, third, [alone[0]], [alone[1]]]


def test_no_message_is_endless(store: Store) -> None:
    """At most twenty share one; the next takes the rest."""
    queue(store, *(f"m{n}" for n in range(23)))
    mails = Counting()
    outbox(store, compose=mails).run(NOW)
    assert [len(party) for party in mails.parties] == [20, 3]


@pytest.mark.parametrize("which", [0, 1, 2])
@pytest.mark.parametrize(
    ("decision", "state"),
    [
        (Decision.drop(State.SUPERSEDED, "Jo accepted"), State.SUPERSEDED),
        (Decision.later(NOW + HOUR, "cannot be read"), State.PENDING),
        (Decision.hold("look at it"), State.HELD),
    ],
)
def test_each_is_looked_at_by_itself(store: Store, which: int, decision: Decision, state: State) -> None:
    """What one meeting no longer calls for is left out; when the first is, the next one leads."""
    ids = queue(store, "a", "b", "c")
    mails = Counting()
    again = lambda one: decision if one.id == ids[which] else Decision.go()  # noqa: E731
    outbox(store, compose=mails, recheck=again).run(NOW)
    left = [id_ for id_ in ids if id_ != ids[which]]
    assert mails.parties == [left]
    assert [one.state for one in look(store, *left)] == [State.SENT] * 2
    assert look(store, ids[which])[0].state is state


def test_one_that_cannot_be_written_fails_alone(store: Store) -> None:
    """The others leave without it."""
    ids = queue(store, "a", "b", "c")
    mailer = SinkMailer()
    outbox(store, mailer, compose=Counting(never=ids[1])).run(NOW)
    assert [one.state for one in look(store, *ids)] == [State.SENT, State.REFUSED, State.SENT]
    assert len(notices(store)) == 1


def test_a_refused_message_is_one_notice(store: Store) -> None:
    """All of it is refused; the owner is told once, with the command that sends all of it."""
    ids = queue(store, "a", "b")
    outbox(store, SinkMailer(before=[raising(Rejected("550 no"))])).run(NOW)
    assert [one.state for one in look(store, *ids)] == [State.REFUSED] * 2
    (notice,) = notices(store)
    assert f"rebookd outbox retry {ids[0]} {ids[1]}`" in notice.reason


def test_a_doubt_is_shared_and_told_once(store: Store) -> None:
    """Nobody knows of any of them, whether found at once or after a crash."""
    ids = queue(store, "a", "b")
    outbox(store, SinkMailer(between=[raising(Uncertain("hung up"))])).run(NOW)
    assert [one.state for one in look(store, *ids)] == [State.UNKNOWN] * 2
    assert len(notices(store)) == 1


def test_a_message_tried_again_carries_the_same(store: Store) -> None:
    """After a failure all wait for the same moment, and meet again."""
    ids = queue(store, "a", "b")
    clock, mails = SetClock(NOW), Counting()
    sender = outbox(store, SinkMailer(before=[raising(Retryable("busy"))]), clock, compose=mails)
    sender.run(NOW)
    assert [one.state for one in look(store, *ids)] == [State.RETRYING] * 2
    clock.at += MINUTE
    assert sender.run(clock.at).counts == {State.SENT: 2}
    assert mails.parties == [ids, ids]


def test_a_cancelled_one_is_not_in_it(store: Store) -> None:
    """A cancel that comes while the mail is on its way stops it; it leaves without that one."""
    ids = queue(store, "a", "b")

    def cancel() -> None:
        with store.write() as conn:
            deliveries.cancel(conn, ids[1], NOW)

    mailer = SinkMailer(before=[cancel])
    sender = outbox(store, mailer)
    sender.run(NOW)
    assert mailer.kept == []
    sender.run(NOW)
    assert [one.state for one in look(store, *ids)] == [State.SENT, State.SUPPRESSED]
    assert len(mailer.kept) == 1


def test_the_brakes_count_messages(store: Store) -> None:
    """A group is one message for the flood brake, the hourly and the daily limit."""
    queue(store, "a", "b", "c")
    queue(store, "d", "e", to=Address("bo@acme.example"), group="ask bo")
    guard = {"max_per_run": 2, "max_per_hour": 2, "per_recipient_per_day": 1}
    assert outbox(store, guard=guard).run(NOW).counts == {State.SENT: 5}


def test_a_flood_of_groups_is_held(store: Store) -> None:
    """More messages than allowed, however they are grouped."""
    for n in range(3):
        queue(store, f"a{n}", f"b{n}", to=Address(f"p{n}@acme.example"), group=f"ask {n}")
    assert outbox(store, guard={"max_per_run": 2}).run(NOW).counts == {State.HELD: 6, State.SENT: 1}
    assert notices(store)[0].subject.startswith("3 messages came due")


def test_what_came_after_the_flood_brake_is_no_companion(store: Store) -> None:
    """A message that was queued while others were sent has not passed the brake."""
    queue(store, "a", to=Address("bo@acme.example"), group="")
    ids = queue(store, "b")
    late: list[int] = []
    mailer = SinkMailer(between=[lambda: late.extend(queue(store, "c"))])
    mails = Counting()
    outbox(store, mailer, compose=mails).run(NOW)
    assert mails.parties[1] == ids
    assert look(store, *late)[0].state is State.PENDING


def test_approving_one_of_a_group_approves_just_that(store: Store) -> None:
    """Those approved before the next run share a message; the others stay held."""
    with store.write() as conn:
        wanted = [intent(uid, group="ask jo", hold="look at it") for uid in "abc"]
        ids = deliveries.add(conn, wanted, NOW)
        for id_ in ids[:2]:
            deliveries.approve(conn, id_, NOW)
    mails = Counting()
    outbox(store, compose=mails).run(NOW)
    assert mails.parties == [ids[:2]]
    assert look(store, ids[2])[0].state is State.HELD


def test_each_keeps_the_times_offered_for_it(store: Store) -> None:
    """So that an answer to any of them can be recognised."""
    ids = queue(store, "a", "b")

    def offering(delivery: Delivery, companions: Sequence[Delivery]) -> Mail:
        mail = write(delivery, companions)
        return replace(mail, offered=(span(20), span(30)), offered_for=((span(20),), (span(30),)))

    outbox(store, compose=offering).run(NOW)
    assert [one.offered for one in look(store, *ids)] == [(span(20),), (span(30),)]
