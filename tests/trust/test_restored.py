"""P1 across a restore: however an old state comes back into its place, nobody is mailed a second time."""

from __future__ import annotations

import collections
import random
import shutil
import tempfile
from datetime import timedelta
from pathlib import Path

import pytest

from connectors.base import Retryable
from daemon.store import deliveries, open_store
from daemon.store.backup import back_up, put_back
from daemon.store.deliveries import Delivery
from rules.delivery import PERHAPS_SENT, State
from rules.model import PartStat
from tests.support.house import event
from tests.support.offices import World
from tests.trust.conftest import Trial

RULES = """\
version: 1
guard: {max_per_run: 10000, max_per_hour: 10000, per_recipient_per_day: 10000, first_sync: act}
digest: {at: "08:00", on: weekdays}
rules:
  - name: ask
    when: unconfirmed
    then:
      - {step: ask, do: confirm, at: 7d before start, until: 24h before start}
      - {step: move, do: reschedule, at: 20h before start, until: 1h before start}
      - {step: tell, do: notify, at: 2h before start}
  - name: no
    mode: MODE
    when: {declined: {grace: 30m}}
    then:
      - {step: other, do: reschedule, at: 14d before start, until: 1h before start}
  - name: called-off
    when: cancelled
    then:
      - {step: another, do: reschedule, at: 7d before start, until: 1h before start}
  - name: clash
    when: {conflict: {keep: [account:own]}}
    then:
      - {step: move, do: reschedule, at: 7d before start, until: 1h before start}
  - name: no-show
    when: missed
    then:
      - {step: offer, do: reschedule, at: 15m after end, until: 2 days after end}
      - {step: again, do: reschedule, at: 10h after end, until: 3 days after end}
  - name: was-it-held
    when: unaccounted
    then:
      - {step: ask-me, do: check_in, at: 10m after end, until: 1 day after end}
"""
ME = "dana@va.example"
WAYS = ("restore", "cp of a backup", "cp of the file")


class Story:
    """Two weeks of somebody's calendars, played at random, with one state that is put back once."""

    def __init__(self, folder: Path, chance: random.Random) -> None:
        self.chance = chance
        self.folder = folder
        mode = chance.choice(["auto", "auto", "approve"])
        self.world = World(folder, RULES.replace("MODE", mode), accounts=("acme", "own"))
        self.meetings: dict[str, tuple[str, float, dict[str, str], str, str]] = {}
        self.world.round()

    def live(self, moments: int) -> None:
        """So many moments: something happens in a calendar or on an answer page, and a round is done."""
        for _ in range(moments):
            for _ in range(self.chance.randrange(3)):
                self.chance.choice(
                    [self.invite, self.invite, self.change, self.change, self.answer, self.say]
                )()
            if self.chance.random() < 0.1:
                self.world.calendars[self.chance.choice(["acme", "own"])].fail(Retryable("busy"))
            if self.chance.random() < 0.3:
                self.world.mailer.errors += [Retryable("busy")] * self.chance.randrange(4)
            self.world.round(self.chance.choice([0.02, 0.3, 1, 4, 9]))

    def invite(self) -> None:
        """A new meeting in some hours or days, in one calendar or in both."""
        number = len(self.meetings)
        people = {
            f"guest{number}@acme.example": self.chance.choice(["NEEDS-ACTION", "NEEDS-ACTION", "ACCEPTED"])
        }
        hours = self.hours + self.chance.uniform(0.5, 200)
        places = self.chance.choice(["acme", "own", "acme own"])
        self.put(f"m{number}", places, hours, people, title="Review", more="")

    def change(self) -> None:
        """A meeting moves, is answered, called off, or marked as missed."""
        if not self.meetings:
            return
        uid = self.chance.choice(sorted(self.meetings))
        places, hours, people, title, more = self.meetings[uid]
        what = self.chance.randrange(5)
        if what == 0:
            hours = self.hours + self.chance.uniform(0.5, 200)
        elif what in {1, 2}:
            people = dict.fromkeys(
                people, self.chance.choice(["DECLINED", "DECLINED", "ACCEPTED", "TENTATIVE"])
            )
        elif what == 3:
            more = "STATUS:CANCELLED"
        elif hours < self.hours:
            title = self.chance.choice(["[no-show] Review", "[held] Review"])
        self.put(uid, places, hours, people, title=title, more=more)

    def put(
        self, uid: str, places: str, hours: float, people: dict[str, str], *, title: str, more: str
    ) -> None:
        """Write a meeting into its calendars."""
        self.meetings[uid] = (places, hours, people, title, more)
        start = self.world.began + timedelta(hours=hours)
        for place in places.split():
            self.world.put(place, uid, event(uid, start, people, title=title, more=more))

    def answer(self) -> None:
        """Somebody clicks in a mail that left."""
        sent = [one for one in self.rows(State.SENT) if one.key is not None and one.to != ME]
        if not sent:
            return
        one = self.chance.choice(sent)
        said = self.chance.choice([PartStat.ACCEPTED, PartStat.DECLINED])
        if one.offered:
            self.world.office.answering.pick(one.id, [self.chance.choice(one.offered)], "page")
        else:
            self.world.office.answering.confirm(one.id, said, "page")

    def say(self) -> None:
        """The owner lets go what waits for their approval, unless they were warned of it."""
        for one in self.rows(State.HELD):
            if one.error != PERHAPS_SENT and self.chance.random() < 0.5:
                with self.world.store.write() as conn:
                    deliveries.approve(conn, one.id, self.world.clock.at)

    @property
    def hours(self) -> float:
        """How many hours the story has lasted."""
        return (self.world.clock.at - self.world.began) / timedelta(hours=1)

    def rows(self, state: State | None = None) -> list[Delivery]:
        """The outbox."""
        with self.world.store.read() as conn:
            return deliveries.list_(conn, state)

    def copy(self, way: str) -> Path:
        """Keep the state as it is now."""
        state, kept = self.folder / "state.db", self.folder / "kept.db"
        if way == "cp of the file":
            self.world.store.close()  # as a tool that copies files while nothing runs
            shutil.copy(state, kept)
            self.reopen()
        else:
            back_up(state, kept, self.world.clock.at)
        return kept

    def put_back(self, kept: Path, way: str) -> None:
        """Put the state back as it was kept."""
        state = self.folder / "state.db"
        self.world.store.close()
        if way == "restore":
            put_back(kept, state, self.world.clock.at)
        else:
            shutil.copy(kept, state)
        self.reopen()

    def reopen(self) -> None:
        """Start anew on the file in place."""
        self.world.store = open_store(self.folder / "state.db", self.world.clock.at)
        self.world.office = self.world.open()


@pytest.mark.promise("P1", "an old backup put back at random, by restore and by cp, and life goes on")
def test_an_old_backup_mails_nobody_twice(trial: Trial) -> None:
    """Whatever happened since the backup: no message leaves twice, and what is new is still sent."""
    stories = trial.size(1, 25)
    mails = held = lost = fresh = 0
    for number in range(stories):
        chance = random.Random(20260302 + number)
        way = WAYS[number % len(WAYS)]
        with tempfile.TemporaryDirectory() as name:
            story = Story(Path(name), chance)
            story.live(chance.randrange(3, 15))
            kept = story.copy(way)
            before = len(story.world.mailer.kept)
            story.live(chance.randrange(1, 12))
            left = len(story.world.mailer.kept)
            story.put_back(kept, way)
            story.live(20)
            ids = collections.Counter(str(mail["Message-ID"]) for _, mail in story.world.mailer.kept)
            doubles = [each for each, times in ids.items() if times > 1]
            assert not doubles, f"story {number}, {way}: {[_shown(story, each) for each in doubles]}"
            told = [one for one in story.rows() if one.step == "restored"]
            assert len(told) == (left > before or way != "cp of the file"), f"story {number}"
            lost += left - before
            mails += len(ids)
            fresh += len(story.world.mailer.kept) - left
            held += sum(one.error == PERHAPS_SENT for one in story.rows())
            story.world.store.close()
    assert lost
    assert fresh
    assert held
    result = f"0 of {mails} mails twice, {held} held for the owner"
    trial.saw(f"{stories} stories, {lost} mails forgotten", result)


def _shown(story: Story, message_id: str) -> list[tuple[str, str]]:
    return [
        (to, str(mail["Subject"])) for to, mail in story.world.mailer.kept if mail["Message-ID"] == message_id
    ]
