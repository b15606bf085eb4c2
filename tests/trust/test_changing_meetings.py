"""P4: a calendar changes all the while mails leave; no mail contradicts a change older than two seconds."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from email.message import EmailMessage
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from connectors.base import Receipt
from connectors.caldav import CalDavConnector
from daemon.clock import SetClock
from daemon.store import deliveries
from daemon.store.deliveries import Delivery
from tests.support.fake_dav import FakeDav, fake_dav
from tests.support.house import event
from tests.support.ics import LISBON
from tests.support.offices import KeepingMailer, World, at
from tests.trust.conftest import Trial

RULES = """\
version: 1
guard: {first_sync: act, max_per_run: 100000, max_per_hour: 100000, per_recipient_per_day: 100}
rules:
  - name: confirm
    when: unconfirmed
    then:
      - {step: ask, do: confirm, at: 30d before start}
  - name: "no"
    when: {declined: {grace: 0m}}
    then:
      - {step: other, do: reschedule, at: 30d before start, slots: 1}
"""

STALE = 2.0
"""So old (seconds) a change may be that a mail does not know of."""


@dataclass(frozen=True)
class Fact:
    """What is true of a meeting from ``since`` (monotonic) on: when it starts and what its guest says."""

    since: float
    start: datetime
    answer: str
    cancelled: bool = False


@dataclass
class Town:
    """The meetings of a calendar on the wire, and somebody who changes them at random."""

    dav: FakeDav
    chance: random.Random
    facts: dict[str, list[Fact]] = field(default_factory=dict)
    changes: int = 0

    def tell(self, uid: str, fact: Callable[[float], Fact]) -> None:
        """Change a meeting; the instant is that at which the server has it."""
        known = fact(0.0)
        more = "STATUS:CANCELLED" if known.cancelled else ""
        people = {f"{uid}@acme.example": known.answer}
        self.dav.put(f"{uid}.ics", event(uid, known.start, people, title=f"Review {uid}", more=more))
        self.facts.setdefault(uid, []).append(fact(time.monotonic()))

    def change_one(self) -> None:
        """Somebody answers, or I move the meeting or call it off."""
        uid = self.chance.choice(list(self.facts))
        last = self.facts[uid][-1]
        luck = self.chance.random()
        start = last.start + timedelta(minutes=30) if luck < 0.3 else last.start
        answer = (
            self.chance.choice(["ACCEPTED", "DECLINED", "NEEDS-ACTION"]) if luck >= 0.3 else "NEEDS-ACTION"
        )
        cancelled = luck > 0.8
        self.tell(uid, lambda now: Fact(now, start, answer, cancelled))
        self.changes += 1

    def possible(self, uid: str, arrived: float) -> list[Fact]:
        """What a mail that arrived then may say: the last that was true two seconds before, and all since."""
        facts = self.facts[uid]
        old = [number for number, one in enumerate(facts) if one.since <= arrived - STALE]
        return [one for one in facts[old[-1] if old else 0 :] if one.since <= arrived]

    def looks_unanswered(self, uid: str, fact: Fact) -> bool:
        """Whether the guest's word may be one of an earlier time, for all that a calendar shows.

        Who said the same before a move and again after it gave an answer that nobody sees who looked only
        before the one and after the other: answers have no times.
        """
        before = self.facts[uid][: self.facts[uid].index(fact)]
        return any(one.answer == fact.answer and one.start != fact.start for one in before)


class Clocked(KeepingMailer):
    """Notes when each message is taken; taking one lasts a moment."""

    def __init__(self) -> None:
        super().__init__()
        self.arrived: list[float] = []

    def send(self, *words: object) -> Receipt:
        """Take one message."""
        receipt = super().send(*words)  # type: ignore[arg-type]
        self.arrived.append(time.monotonic())
        return receipt


class Running(SetClock):
    """Time goes on, from wherever it was set to."""

    def __init__(self, start: datetime) -> None:
        super().__init__(start)
        self._began = time.monotonic()

    def now(self) -> datetime:
        """The instant it has come to."""
        return self.at + timedelta(seconds=time.monotonic() - self._began)


@contextmanager
def _changing(town: Town, pause: float) -> Iterator[None]:
    """Changes at random, one after the other, until this is over."""
    over = threading.Event()

    def change() -> None:
        while not over.wait(town.chance.uniform(0, pause)):
            town.change_one()

    thread = threading.Thread(target=change)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _agrees(one: Delivery, fact: Fact) -> bool:
    wanted = {"ask": "NEEDS-ACTION", "other": "DECLINED"}[one.step]
    return not fact.cancelled and fact.answer == wanted and fact.start == one.start


def _look_at(one: Delivery, mail: EmailMessage) -> None:
    part = mail.get_body(("plain",))
    assert part is not None
    assert one.start is not None
    shown = one.start.astimezone(ZoneInfo(LISBON))
    assert f"{shown:%H:%M}" in part.get_content(), "it does not say which time it is about"


@pytest.mark.promise(
    "P4", "meetings are moved, cancelled and answered at random while mails about them leave"
)
def test_no_mail_contradicts_a_change_older_than_two_seconds(tmp_path: Path, trial: Trial) -> None:
    """Real threads and real time: what each mail asks for was true within the last two seconds."""
    meetings = trial.size(24, 5000)
    world = World(tmp_path, RULES)
    world.mailer = mailer = Clocked()
    world.clock = Running(world.clock.at)
    world.office = world.open()
    with fake_dav() as dav:
        world.calendars["acme"] = CalDavConnector(  # type: ignore[assignment]
            "acme", dav.url, username="dana", password="secret", home_zone=LISBON
        )
        town = Town(dav, random.Random(4))
        for number in range(meetings):
            start = at(100) + timedelta(minutes=(number % 1200) * 30)
            town.tell(f"m{number}", lambda now, start=start: Fact(now, start, "NEEDS-ACTION"))  # type: ignore[misc]
        world.office.poll("acme")
        world.office.decide()
        with _changing(town, pause=0.1):
            world.office.send()
            for _ in range(3):
                world.clock.at += timedelta(minutes=3)
                world.round()
        world.office.close()
    with world.store.read() as conn:
        rows = {one.message_id: one for one in deliveries.list_(conn) if one.key is not None}
    wrong, untellable = [], 0
    for (_, mail), arrived in zip(mailer.kept, mailer.arrived, strict=True):
        one = rows.get(str(mail["Message-ID"]))
        if one is None or one.key is None:
            continue
        _look_at(one, mail)
        facts = town.possible(one.key.uid, arrived)
        if any(_agrees(one, fact) for fact in facts):
            continue
        asked = [
            replace(fact, answer="NEEDS-ACTION") for fact in facts if town.looks_unanswered(one.key.uid, fact)
        ]
        if any(_agrees(one, fact) for fact in asked):
            untellable += 1
        else:
            wrong.append((one.key.uid, one.step, one.start, arrived, facts))
    assert not wrong, f"{len(wrong)} of {len(mailer.kept)}: {wrong[0]}"
    assert untellable <= len(mailer.kept) / 20, "too many asked who had answered anew"
    assert rows, "no mail left"
    stopped = sum(state == "superseded" for state in world.states().values())
    assert stopped, "no change met a mail on its way: the experiment shows nothing"
    world.store.close()
    trial.saw(
        f"{meetings} meetings, {town.changes} changes",
        f"{len(mailer.kept)} mails, 0 contradict what could be known; {stopped} stopped at the last look",
    )
