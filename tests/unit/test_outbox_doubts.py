"""A message of which nobody knows whether it left is looked for, and never sent again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest

from connectors.base import NeedsLogin, Retryable, Uncertain
from daemon.clock import SetClock
from daemon.doubts import LOOK_FOR, PATIENCE
from daemon.outbox import Outbox
from daemon.store import Store, deliveries
from daemon.store.deliveries import Delivery
from rules.delivery import State
from tests.support.meetings import ME, NOW
from tests.support.sending import Crash, CrashingStore, SinkMailer, outbox, raising
from tests.support.stores import fresh_store, intent

pytestmark = pytest.mark.usefixtures("dialect")

MINUTE = timedelta(minutes=1)
DOUBT = Uncertain("the connection broke after the last byte")


@dataclass
class FindingMailer(SinkMailer):
    """A mailer that can look into the sent mail; the first ``late`` searches find nothing yet."""

    late: int = 0
    blind: bool = False
    errors: list[Exception] = field(default_factory=list)
    looked: list[str] = field(default_factory=list)

    def find(self, message_id: str) -> bool | None:
        """Whether it is there."""
        self.looked.append(message_id)
        if self.errors:
            raise self.errors.pop(0)
        self.late -= 1
        return None if self.blind else self.late < 0 and bool(self.kept)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """One message is due."""
    opened = fresh_store(tmp_path)
    with opened.write() as conn:
        deliveries.add(conn, [intent("kickoff")], NOW)
    yield opened
    opened.close()


class Desk:
    """An outbox with its mailer, its clock and what became of everything."""

    def __init__(self, store: Store, mailer: FindingMailer) -> None:
        self.store = store
        self.mailer = mailer
        self.clock = SetClock(NOW + MINUTE)
        self.outbox: Outbox = outbox(store, mailer, self.clock)

    def run(self, later: timedelta = timedelta()) -> None:
        """Let time pass and send what is due."""
        self.clock.at += later
        self.outbox.run(self.clock.now())

    def all(self) -> list[Delivery]:
        """Every delivery, notices too."""
        with self.store.read() as conn:
            return deliveries.list_(conn)

    @property
    def states(self) -> list[tuple[str, State]]:
        """The step and state of each."""
        return [(one.step, one.state) for one in self.all()]


def doubted(store: Store, **more: object) -> Desk:
    """One message left and its server's answer was lost."""
    desk = Desk(store, FindingMailer(after=[raising(DOUBT)], **more))
    desk.run()
    return desk


def test_a_message_that_is_found_was_sent(store: Store) -> None:
    """At once, in the same run; its owner is told nothing."""
    desk = doubted(store)
    assert desk.states == [("ask", State.SENT), ("unknown", State.SUPERSEDED)]
    asked = desk.all()[0]
    assert asked.sent_at == NOW + MINUTE
    assert desk.mailer.looked == [asked.message_id]
    desk.run(PATIENCE * 2)
    assert len(desk.mailer.kept) == 1


def test_a_mailbox_may_take_its_time(store: Store) -> None:
    """Looked for again after a pause; found before the owner is told of the doubt."""
    desk = doubted(store, late=2)
    assert desk.states == [("ask", State.UNKNOWN), ("unknown", State.PENDING)]
    for _ in range(30):
        desk.run(timedelta(seconds=1))
    assert len(desk.mailer.looked) == 2
    desk.run(MINUTE)
    assert desk.states == [("ask", State.SENT), ("unknown", State.SUPERSEDED)]


def test_what_is_not_found_is_told_and_never_sent_again(store: Store) -> None:
    """No proof that it did not leave: the owner decides, and it is looked for ever more seldom."""
    desk = Desk(store, FindingMailer(between=[raising(DOUBT)], late=999))
    desk.run()
    desk.run(PATIENCE)
    assert desk.states == [("ask", State.UNKNOWN), ("unknown", State.SENT)]
    for _ in range(24 * 6):
        desk.run(10 * MINUTE)
    assert desk.states[0] == ("ask", State.UNKNOWN)
    assert len(desk.mailer.looked) < 35
    before = len(desk.mailer.looked)
    desk.run(LOOK_FOR)
    assert len(desk.mailer.looked) == before
    [told] = desk.mailer.kept
    assert "unknown" in told


def test_a_doubt_that_was_told_is_taken_back(store: Store) -> None:
    """Whoever was told that nobody knows is told that it left after all, once."""
    desk = doubted(store, late=2)
    desk.run(PATIENCE)
    desk.run(10 * MINUTE)
    assert desk.states == [("ask", State.SENT), ("unknown", State.SENT), ("found", State.SENT)]
    news = desk.all()[-1]
    assert news.subject.startswith("Sent after all:")
    assert news.to == ME


def test_a_crash_after_the_last_byte_is_looked_into(store: Store) -> None:
    """The next start finds what a dead sender left, and finds it sent."""
    crashing = CrashingStore(store, writes_left=99, after=False)
    mailer = FindingMailer(after=[raising(Crash())])
    with pytest.raises(Crash):
        outbox(crashing, mailer, SetClock(NOW + MINUTE)).run(NOW + MINUTE)
    desk = Desk(store, mailer)
    desk.run(timedelta(hours=1))
    assert desk.states == [("ask", State.SENT), ("unknown", State.SUPERSEDED)]
    assert len(mailer.kept) == 1


@pytest.mark.parametrize("error", [Retryable("no answer"), NeedsLogin("sign in"), ValueError("odd")])
def test_a_mailbox_that_cannot_be_looked_at_changes_nothing(store: Store, error: Exception) -> None:
    """It is left alone for a while, and asked again."""
    desk = doubted(store, errors=[error])
    desk.run(timedelta(seconds=1))
    assert desk.states == [("ask", State.UNKNOWN), ("unknown", State.PENDING)]
    assert len(desk.mailer.looked) == 1
    desk.run(MINUTE)
    assert desk.states[0] == ("ask", State.SENT)


def test_who_may_not_look_is_asked_seldom(store: Store) -> None:
    """A sign-in without leave to read: the owner is told, as of any doubt."""
    desk = doubted(store, blind=True)
    for _ in range(50):
        desk.run(MINUTE)
    assert len(desk.mailer.looked) == 1
    assert desk.states == [("ask", State.UNKNOWN), ("unknown", State.SENT)]


def test_messages_that_left_as_one_are_found_as_one(tmp_path: Path) -> None:
    """One search, and all of the group were sent."""
    store = fresh_store(tmp_path)
    with store.write() as conn:
        deliveries.add(conn, [intent(uid, group="ask jo") for uid in ("a", "b")], NOW)
    desk = doubted(store)
    assert [state for step, state in desk.states if step == "ask"] == [State.SENT, State.SENT]
    assert len(desk.mailer.looked) == 1
    assert desk.states[-1] == ("unknown", State.SUPERSEDED)
    store.close()


def test_the_owners_word_counts_first(store: Store) -> None:
    """What the owner wants sent again is no doubt any more."""
    desk = doubted(store, late=99)
    with store.write() as conn:
        deliveries.retry(conn, desk.all()[0].id, desk.clock.now())
    desk.run(MINUTE)
    assert desk.states[0] == ("ask", State.SENT)
    assert len(desk.mailer.kept) == 2
