"""P3 on each kind of account: whatever its server says instead of the calendar, no mail and no removal."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from daemon.store import agenda, calendars
from tests.support.house import event
from tests.support.misled import KINDS, ONCE, Misled
from tests.support.offices import World, at
from tests.trust.conftest import Trial

RULES = """\
version: 1
guard: {first_sync: act, max_per_run: 500, max_per_hour: 500, per_recipient_per_day: 50}
rules:
  - name: confirm
    when: unconfirmed
    then:
      - {step: ask, do: confirm, at: 48h before start, until: 12h before start}
  - name: "no"
    when: {declined: {grace: 10m}}
    then:
      - {step: other, do: reschedule, at: 14d before start, until: 1h before start}
  - name: clash
    when: conflict
    then:
      - {step: move, do: reschedule, at: 14d before start, until: 1h before start}
"""

ME, ANN = "dana@va.example", "ann@acme.example"
ASKS = 24
SENDING = 0.3
EVERY = 2
"""Hours between two meetings that come due."""


@dataclass
class Story:
    """An office with an account that is misled and a neighbour that is not."""

    world: World
    account: Misled
    chance: random.Random
    hour: int = 0
    asked: set[str] = field(default_factory=set)
    settled: set[str] = field(default_factory=set)
    rounds: int = 0
    told: int = 0

    def begin(self) -> None:
        """Meetings that come due one by one; a no that has its replacement; a stranger's next door."""
        account, world = self.account, self.world
        account.holds("refused", 300, {ANN: "ACCEPTED"})
        for number in range(12):
            account.holds(f"calm-{number}", 310 + number, {f"calm{number}@acme.example": "ACCEPTED"})
        for number in range(ASKS):
            account.holds(f"ask-{number}", 49 + EVERY * number, {_guest("ask", number): "NEEDS-ACTION"})
            start = at(50 + EVERY * number)
            text = event(f"own-{number}", start, {_guest("own", number): "NEEDS-ACTION"})
            world.put("own", f"own-{number}", text)
        for number in range(45):
            account.strange(f"ask{number}", 12.5 + 2 * number, {f"v{number}@other.example": "NEEDS-ACTION"})
        self.pass_hour()
        account.put("refused", 300, {ANN: "DECLINED"})
        account.holds("again", 330, {ANN: "ACCEPTED"})
        self.pass_hour()

    def pass_hour(self, fault: str = "", *, sending: bool = False) -> None:
        """An hour and a round in it, all of it or only its sending under a fault; look at what came of it."""
        self.hour += 1
        self.rounds += 1
        world, before = self.world, len(self.world.mailer.kept)
        world.clock.at = at(self.hour)
        if fault and not sending:
            self.account.faults[fault]()
        for name in ("acme", "own"):
            world.office.poll(name)
        world.office.decide()
        if fault and sending:
            self.account.faults[fault]()
        world.office.send()
        self._look(world.mailer.to[before:], fault)

    def mend(self) -> None:
        """The server tells the truth again, and everything that is due goes."""
        self.account.heal()
        self.pass_hour()
        with self.world.store.read() as conn:
            assert not calendars.accounts(conn)["acme"].error

    def _look(self, mails: list[str], fault: str) -> None:
        self.told += mails.count(ME)
        others = {to for to in mails if to != ME}
        assert len(others) == len([to for to in mails if to != ME]), "twice"
        due = {_guest("ask", number) for number in range(ASKS) if 1 + EVERY * number <= self.hour}
        neighbours = {_guest("own", number) for number in range(ASKS) if 2 + EVERY * number == self.hour}
        missing = due - self.asked - self.settled
        assert others - missing == neighbours, f"{fault}: {others - missing}"
        assert fault or missing <= others, f"not asked: {missing - others}"
        self.asked |= others - neighbours
        assert self.stored() == self.account.truth, fault

    def stored(self) -> set[str]:
        """The titles of what is held of the account."""
        with self.world.store.read() as conn:
            found = agenda.between(conn, at(-100), at(2000))
        return {one.title for one in found if one.key.calendar.account == "acme" and not one.removed_at}

    def answer_one(self) -> None:
        """Somebody who was not asked yet says yes; nobody has to ask them."""
        number = self.chance.randrange(ASKS)
        if 49 + EVERY * number - 48 > self.hour + 1:
            self.settled.add(_guest("ask", number))
            self.account.put(f"ask-{number}", 49 + EVERY * number, {_guest("ask", number): "ACCEPTED"})


def _guest(kind: str, number: int) -> str:
    return f"{kind}{number}@acme.example"


@contextmanager
def _story(folder: Path, kind: str, seed: int) -> Iterator[Story]:
    folder.mkdir()
    world = World(folder, RULES, ["acme", "own"])
    with KINDS[kind](world) as account:
        world.office._connect = lambda _, name: account.connect() if name == "acme" else world.calendars[name]
        story = Story(world, account, random.Random(seed))
        story.begin()
        yield story
        world.office.close()
        world.store.close()


@pytest.fixture(autouse=True)
def _small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages of five, so that there is a middle to fail in."""
    for module in ("google_sync", "outlook_sync"):
        monkeypatch.setattr(f"connectors.{module}.SIZES", (5,))


@pytest.mark.promise("P3", "HTML, cut off, 410 mid-page, missing, shrunk, empty, a stranger's, and at random")
@pytest.mark.parametrize("kind", KINDS)
def test_whatever_a_server_says_instead_nothing_is_removed_and_nobody_mailed(
    tmp_path: Path, trial: Trial, kind: str
) -> None:
    """Each fault at reading and at sending; afterwards exactly what is due goes."""
    struck = rounds = mails = 0
    for seed in range(trial.size(1, 4)):
        with _story(tmp_path / str(seed), kind, seed) as story:
            order = [(fault, sending) for fault in story.account.faults for sending in (False, True)]
            story.chance.shuffle(order)
            if not trial.full:
                order = [(fault, story.chance.random() < SENDING) for fault in story.account.faults]
            for fault, sending in order:
                story.answer_one()
                longest = story.chance.randint(1, 3) if fault not in ONCE and trial.full else 1
                for _ in range(1 if sending else longest):
                    story.pass_hour(fault, sending=sending)
                    story.account.heal()
                    struck += 1
                story.mend()
            rounds += story.rounds
            mails += len(story.asked)
            assert story.told, "the owner was told of nothing"
    trial.saw(
        f"{kind}: {struck} faults, {rounds} rounds",
        f"0 removed, 0 mails from a fault; {mails} due, each sent once",
    )


@pytest.mark.parametrize("kind", KINDS)
def test_what_may_be_true_is_believed_at_the_second_read_or_the_owners_word(
    tmp_path: Path, kind: str
) -> None:
    """The guard is no wall: two agreeing reads empty a calendar; a stranger's needs the owner."""
    with _story(tmp_path / "story", kind, 1) as story:
        story.account.faults["replaced"]()
        for _ in range(3):
            story.world.round(0.1)
        assert story.stored() == story.account.truth
        with story.world.store.write() as conn:
            assert calendars.accept_shrink(conn, "acme")
        story.world.round(0.1)
        assert not story.stored() & story.account.truth
        assert story.stored()
        story.account.faults["empty"]()
        story.world.round(0.1)
        assert story.stored()
        story.world.round(0.1)
        assert not story.stored()
