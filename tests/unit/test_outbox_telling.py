"""That the owner really is told: first, soon, and again where the news itself may be lost."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from connectors.base import Uncertain
from daemon.clock import SetClock
from daemon.lease import LEASE, place
from daemon.outbox_notices import MOST_AGAIN
from daemon.store import Store, deliveries
from daemon.store.deliveries import Delivery
from rules.delivery import Event, State
from rules.model import Address
from tests.support.meetings import NOW
from tests.support.sending import SinkMailer, outbox, raising
from tests.support.stores import fresh_store, intent

HOUR = timedelta(hours=1)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An empty store."""
    opened = fresh_store(tmp_path)
    yield opened
    opened.close()


def queue(store: Store, size: int) -> list[int]:
    """Queue one message to each of so many people."""
    with store.write() as conn:
        people = [Address(f"p{n}@acme.example") for n in range(size)]
        return deliveries.add(conn, [intent(f"m{n}", to=who) for n, who in enumerate(people)], NOW)


def leave_committing(store: Store, id_: int, who: str) -> None:
    """What a sender leaves that died just before its final dot."""
    with store.write() as conn:
        deliveries.claim(conn, id_, who, NOW, LEASE)
        deliveries.move(conn, id_, Event.COMMIT, NOW, mine=who)


def notices(store: Store) -> list[Delivery]:
    """What the owner was or will be told."""
    with store.read() as conn:
        return [one for one in deliveries.list_(conn) if one.do == deliveries.NOTICE]


def kinds(mailer: SinkMailer) -> list[str]:
    """What the sink kept, in order: the step of each message, or what kind of notice it is."""
    return [key.split("\x1f")[1] for key in mailer.kept]


def test_what_a_crash_left_is_told_before_anything_else_leaves(store: Store) -> None:
    """However many messages wait, the news of a doubt does not wait for them."""
    first, *_ = queue(store, 5)
    leave_committing(store, first, "elsewhere:1:x")
    mailer = SinkMailer()
    outbox(store, mailer, SetClock(NOW + HOUR)).run(NOW + HOUR)
    assert kinds(mailer) == ["unknown", "ask", "ask", "ask", "ask"]


def test_a_doubt_in_the_middle_of_a_burst_is_told_before_the_next_message(store: Store) -> None:
    """A slow server and a long queue do not keep the owner from hearing of it."""
    queue(store, 3)
    mailer = SinkMailer(after=[raising(Uncertain("hung up"))])
    outbox(store, mailer).run(NOW)
    assert kinds(mailer) == ["ask", "unknown", "ask", "ask"]


@pytest.mark.parametrize(
    "who",
    [f"{place()}:{os.getppid()}:then", "an-old-container:1:then"],
    ids=["number given to another", "new name"],
)
def test_at_the_start_no_lease_is_waited_for(store: Store, who: str) -> None:
    """Whoever starts alone takes everything up at once, even where the dead one seems to live."""
    claimed, committing = queue(store, 2)
    leave_committing(store, committing, who)
    with store.write() as conn:
        deliveries.claim(conn, claimed, who, NOW, LEASE)
    sender = outbox(store, clock=SetClock(NOW))
    assert not sender.recover(NOW).outcomes, "beside another its lease has to end first"
    report = sender.recover(NOW, alone=True)
    assert report.counts == {State.PENDING: 1, State.UNKNOWN: 1}
    assert len(notices(store)) == 1


def _times() -> Iterator[datetime]:
    return (NOW + n * HOUR for n in itertools.count())


def test_news_that_may_be_lost_is_told_again_in_other_words(store: Store) -> None:
    """A notice in doubt is followed by another that says so; the message it is about is not sent again."""
    queue(store, 1)
    doubt = raising(Uncertain("hung up"))
    mailer = SinkMailer(between=[doubt, doubt])
    sender = outbox(store, mailer)
    sender.run(NOW)
    first, second = notices(store)
    assert (first.state, second.state) == (State.UNKNOWN, State.SENT)
    assert second.subject == f"Again: {first.subject}"
    assert second.reason.endswith(first.reason)
    assert second.reason.startswith("You may know this already")
    assert kinds(mailer) == ["unknown"]


def test_news_is_told_again_only_so_often(store: Store) -> None:
    """A server that takes everything and never says so does not get the same news for ever."""
    queue(store, 1)
    clock = SetClock(NOW)
    mailer = SinkMailer(after=[raising(Uncertain("hung up"))] * 50)
    sender = outbox(store, mailer, clock)
    for at in itertools.islice(_times(), 12):
        clock.at = at
        sender.run(at)
    assert [one.state for one in notices(store)] == [State.UNKNOWN] * (1 + MOST_AGAIN)
    assert len(mailer.kept) == 2 + MOST_AGAIN
