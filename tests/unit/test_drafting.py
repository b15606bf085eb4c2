"""Drafts in the owner's own mailbox: what becomes of one becomes of its message, and the other way round."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import cast

import pytest

from connectors.imap import ImapDrafts
from daemon.clock import SetClock
from daemon.drafting import IN_MAILBOX, LOOK_EVERY
from daemon.store import Store, deliveries, drafts, optouts
from daemon.store.deliveries import Delivery
from rules.delivery import State
from tests.support.fake_imap import FakeImap, Mail, Say
from tests.support.fake_smtp import trusting
from tests.support.house import event
from tests.support.meetings import NOW
from tests.support.offices import World, at
from tests.support.sending import Crash, CrashingStore, outbox
from tests.support.stores import fresh_store, intent

RULES = """\
version: 1
guard: {max_per_run: 2}
rules:
  - name: confirm
    when: unconfirmed
    mode: draft
    then:
      - {step: ask, do: confirm, at: 48h before start, until: 24h before start}
"""
JO = "jo@acme.example"
ME = "dana@va.example"
DRAFTS, SENT = "Entw&APw-rfe", "Gesendet"


def box(server: FakeImap) -> ImapDrafts:
    """The mailbox of that server."""
    return ImapDrafts(
        "localhost",
        server.port,
        security="none",
        username="dana",
        password=lambda: "hunter2",
        context=trusting(),
        call_seconds=5.0,
    )


class House(World):
    """A world whose rule in ``mode: draft`` has just asked for one message, and the mailbox beside it."""

    def __init__(self, folder: Path, server: FakeImap) -> None:
        self.server = server
        super().__init__(folder, RULES, drafts=box(server))
        for number in range(5):
            self.meet(f"calm-{number}", 1000 + number, "ACCEPTED")
        self.round()
        self.meet("kickoff", 50)
        self.round(2)

    def meet(self, uid: str, hours: float, partstat: str = "NEEDS-ACTION", to: str = JO) -> None:
        """A meeting with one guest."""
        self.put("acme", uid, event(uid, at(hours), {to: partstat}))

    @property
    def lying(self) -> list[Mail]:
        """What lies among the drafts."""
        return [mail for mail in self.server.folders[DRAFTS].mails if "\\Deleted" not in mail.flags]

    def send_by_hand(self) -> None:
        """The owner presses Send in a mail program."""
        self.server.deliver(SENT, self.server.folders[DRAFTS].mails.pop().raw)

    def look(self) -> Delivery:
        """The one delivery."""
        with self.store.read() as conn:
            found = deliveries.get(conn, 1)
        assert found is not None
        return found

    def later(self, span: timedelta = LOOK_EVERY) -> list[str]:
        """Some time later; who was written to."""
        return self.round(span.total_seconds() / 3600)

    def known(self) -> int:
        """How many drafts are still looked after."""
        with self.store.read() as conn:
            return len(drafts.list_(conn))


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """A message of a rule in ``mode: draft`` has come due."""
    with FakeImap() as server:
        yield House(tmp_path, server)


def test_what_comes_due_lies_in_the_mailbox_once(house: House) -> None:
    """Complete, with a name of its own, and no second one; nothing was sent."""
    house.later()
    house.office = house.open()
    house.later()
    (mail,) = house.lying
    assert mail.has("To", JO)
    assert mail.has("X-Rebookd-Id", house.look().message_id[1:-1])
    assert (house.look().state, house.look().error) == ("held", IN_MAILBOX)
    assert house.mailer.kept == []


def test_sent_by_hand_is_sent(house: House) -> None:
    """It counts as sent from then on, and nothing more is looked after."""
    house.send_by_hand()
    house.later()
    assert (house.look().state, house.look().sent_at) == ("sent", house.clock.at)
    assert house.known() == 0


def test_deleted_by_hand_is_dropped(house: House) -> None:
    """The owner does not want it."""
    house.server.folders[DRAFTS].mails.clear()
    house.later()
    assert (house.look().state, house.look().error) == ("suppressed", "you deleted the draft")
    assert house.lying == []


def test_approving_sends_it_and_takes_the_draft_away(house: House) -> None:
    """Never both."""
    with house.store.write() as conn:
        deliveries.approve(conn, 1, house.clock.at)
    assert house.later(timedelta(seconds=1)) == [JO]
    assert (house.look().state, house.lying, house.known()) == ("sent", [], 0)


def test_approving_what_was_just_sent_by_hand_sends_nothing(house: House) -> None:
    """The mailbox is asked once more before anything leaves."""
    house.send_by_hand()
    with house.store.write() as conn:
        deliveries.approve(conn, 1, house.clock.at)
    assert house.later(timedelta(seconds=1)) == []
    assert house.look().state == "sent"


def test_approving_waits_for_a_mailbox_out_of_reach(house: House) -> None:
    """As long as nobody knows whether the draft was sent, nothing leaves."""
    house.server.script["CONNECT"] = [Say(drop=True)]
    with house.store.write() as conn:
        deliveries.approve(conn, 1, house.clock.at)
    assert house.later(timedelta(seconds=1)) == []
    assert house.look().state == "pending"
    assert house.later(timedelta(minutes=2)) == [JO]


@pytest.mark.parametrize("what", ["answered", "cancelled", "optout", "lapsed", "by me"])
def test_what_is_no_longer_called_for_leaves_the_mailbox(house: House, what: str) -> None:
    """Whatever ends the message takes its draft along."""
    if what == "answered":
        house.meet("kickoff", 50, "ACCEPTED")
    elif what == "cancelled":
        house.calendars["acme"].remove("/kickoff.ics")
    elif what == "lapsed":
        house.clock.at += timedelta(hours=24)
    with house.store.write() as conn:
        if what == "optout":
            optouts.add(conn, "*@acme.example", "", house.clock.at)
        elif what == "by me":
            deliveries.cancel(conn, 1, house.clock.at)
    house.later()
    expected = {"optout": "suppressed", "lapsed": "lapsed", "by me": "suppressed"}.get(what, "superseded")
    assert (house.look().state, house.lying, house.known()) == (expected, [], 0)


def test_what_was_sent_by_hand_before_it_lapsed_is_sent(house: House) -> None:
    """Even when it is noticed later."""
    house.send_by_hand()
    with house.store.write() as conn:
        deliveries.cancel(conn, 1, house.clock.at)
    house.later()
    assert house.look().state == "sent"


def test_a_mailbox_out_of_reach_is_tried_again_and_told_to_nobody(tmp_path: Path) -> None:
    """The outbox says why; no mail is made of it."""
    with FakeImap() as server:
        server.script["CONNECT"] = [Say(drop=True)]
        house = House(tmp_path, server)
        assert (house.look().state, house.lying) == ("held", [])
        assert "mail server" in house.look().error
        house.later(timedelta(minutes=5))
        assert (len(house.lying), house.look().error) == (1, IN_MAILBOX)
        assert house.mailer.kept == []


@pytest.mark.parametrize("verb", ["APPEND", "LOGIN", "CONNECT"])
def test_a_crash_while_it_is_laid_leaves_one_draft(tmp_path: Path, verb: str) -> None:
    """Whether the mailbox had taken it or not."""
    with FakeImap() as server:
        server.script[verb] = [Say(do=verb == "APPEND", drop=True)]
        house = House(tmp_path, server)
        house.office = house.open()
        house.later()
        assert len(house.lying) == 1
        assert house.look().error == IN_MAILBOX


def test_a_death_between_mailbox_and_mark_leaves_one_draft(house: House) -> None:
    """The mark was never made: the draft is found, not laid again."""
    with house.store.write() as conn:
        found = drafts.list_(conn)[1]
        drafts.gone(conn, 1)
        drafts.laying(conn, 1, found.message_id)
    house.office = house.open()
    house.later()
    assert len(house.lying) == 1
    with house.store.read() as conn:
        assert drafts.list_(conn)[1].laid


def test_a_flood_of_drafts_is_held(house: House) -> None:
    """More new drafts at once than the guard allows are too many for a folder, too."""
    for number in range(3):
        house.meet(f"m{number}", 49, to=f"p{number}@acme.example")
    assert house.round() == [ME]
    assert len(house.lying) == 1
    assert sorted(house.states().values()) == ["held"] * 4 + ["sent"]


def test_without_a_mailbox_it_is_held_as_ever(tmp_path: Path) -> None:
    """No drafts are configured: it waits for approval."""
    world = World(tmp_path, RULES)
    world.put("acme", "calm", event("calm", at(1000), {JO: "ACCEPTED"}))
    world.round()
    world.put("acme", "kickoff", event("kickoff", at(50), {JO: "NEEDS-ACTION"}))
    assert world.round(2) == []
    with world.store.write() as conn:
        (held,) = deliveries.list_(conn)
        assert "approve" in held.error
        deliveries.approve(conn, held.id, world.clock.at)
    assert world.round() == [JO]


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("writes", range(1, 7))
def test_a_death_at_any_write_leaves_one_draft(tmp_path: Path, writes: int, after: bool) -> None:
    """However far it came, the next process ends with exactly one draft, which it looks after."""
    store = fresh_store(tmp_path)
    clock = SetClock(NOW)
    with FakeImap() as server:
        with store.write() as conn:
            deliveries.add(conn, [intent(mode="draft")], NOW, State.HELD)
        dying = cast("Store", CrashingStore(store, writes, after))
        with contextlib.suppress(Crash):
            outbox(dying, clock=clock, drafts=box(server)).run(NOW)
        clock.at += timedelta(hours=1)
        outbox(store, clock=clock, drafts=box(server)).run(clock.at)
        assert len(server.folders[DRAFTS].mails) == 1
        with store.read() as conn:
            assert deliveries.list_(conn)[0].error == IN_MAILBOX
    store.close()
