"""P1, P2, P4 and P9 while the clock lies: it jumps by hours and by years, and the machine sleeps."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from connectors.base import Receipt, Retryable, Uncertain
from daemon.lease import LEASE
from daemon.store import deliveries
from daemon.store.deliveries import Delivery
from rules.delivery import OPEN, State
from tests.support.house import event
from tests.support.meetings import NOW
from tests.support.offices import KeepingMailer, World
from tests.trust.conftest import Trial

HOUR = timedelta(hours=1)
YEAR = timedelta(days=365)
MOST_PER_HOUR = 3

RULES = f"""\
version: 1
guard: {{max_per_run: 20, max_per_hour: {MOST_PER_HOUR}, per_recipient_per_day: 9, first_sync: act}}
digest: {{at: "07:00"}}
rules:
  - name: confirm
    when: unconfirmed
    then:
      - {{step: ask, do: confirm, at: 48h before start, until: 28h before start}}
      - {{step: move, do: reschedule, at: 4h before start, until: 1h before start}}
  - name: missed
    when: {{missed: {{presume: [never_confirmed]}}}}
    then:
      - {{step: offer, do: reschedule, at: 15m after end, until: 6h after end}}
"""

WINDOWS = {
    "ask": (-48 * HOUR, -28 * HOUR),
    "move": (-4 * HOUR, -1 * HOUR),
    "offer": (HOUR * 3 / 4, HOUR * 13 / 2),
}
"""Each step as the rules say it, counted from the start of a half-hour meeting."""


class Fickle(KeepingMailer):
    """Keeps every message; now and then the server is busy, or says nothing after the final dot."""

    def __init__(self, chance: random.Random) -> None:
        super().__init__()
        self._chance = chance
        self.calm = False

    def send(
        self, sender: str, recipients: Sequence[str], message: bytes, committing: Callable[[], None]
    ) -> Receipt:
        """Take one message, or not, or leave it in doubt."""
        luck = 0.5 if self.calm else self._chance.random()
        if luck < 0.3:
            raise Retryable("busy")
        receipt = super().send(sender, recipients, message, committing)
        if luck > 0.95:
            raise Uncertain("the connection broke")
        return receipt


@dataclass
class Meeting:
    """One meeting as the calendar holds it: when it starts, and since when its guest has said yes."""

    uid: str
    start: datetime
    accepted_at: datetime | None = None


@dataclass
class Story:
    """One office that lives through jumps. ``true`` is the right time; its clock is off by ``off``."""

    world: World
    mailer: Fickle
    chance: random.Random
    true: datetime = NOW
    off: timedelta = timedelta()
    meetings: dict[tuple[str, datetime], Meeting] = field(default_factory=dict)
    sent: dict[int, Delivery] = field(default_factory=dict)
    lately: list[datetime] = field(default_factory=list)
    coming: list[timedelta] = field(default_factory=list)
    jumps: int = 0

    @property
    def clock(self) -> datetime:
        """What the clock shows."""
        return self.true + self.off

    def put(self, uid: str, start: datetime, answer: str = "NEEDS-ACTION", days: int = 1) -> None:
        """Put a meeting of its own guest, on so many days, into the calendar."""
        self.meetings = {key: one for key, one in self.meetings.items() if one.uid != uid}
        for day in range(days):
            at = start + timedelta(days=day)
            self.meetings[uid, at] = Meeting(uid, at, self.true if answer == "ACCEPTED" else None)
        more = f"RRULE:FREQ=DAILY;COUNT={days}" if days > 1 else ""
        self.world.put("acme", uid, event(uid, start, {f"{uid}@acme.example": answer}, more=more))

    def jump(self) -> None:
        """Set the clock wrong, by much or by more, or right again."""
        was = self.off
        if not self.coming:
            self.coming = [8 * HOUR, -8 * HOUR, YEAR, -YEAR, YEAR, timedelta(), timedelta(), timedelta()]
            self.chance.shuffle(self.coming)
        self.off = self.coming.pop()
        self.jumps += was != self.off
        if self.off > was:
            self.lately.clear()  # for all it knows that much time passed

    def round(self, passed: timedelta) -> None:
        """Let time pass and do one round; whatever left must have been due on the clock as it is."""
        self.true += passed
        self.world.clock.at = self.clock
        self.world.round()
        for one in self.rows():
            if one.id not in self.sent and one.state in {State.SENT, State.UNKNOWN}:
                self.sent[one.id] = one
                if one.step in WINDOWS:
                    self._look_at(one)
        self.lately = [at for at in self.lately if at > self.true - HOUR]
        assert len(self.lately) <= MOST_PER_HOUR, "a burst"

    def _look_at(self, one: Delivery) -> None:
        assert one.key is not None
        assert one.start is not None
        opens, closes = WINDOWS[one.step]
        assert one.start + opens <= self.clock < one.start + closes, f"{one.step} is stale"
        meeting = self.meetings.get((one.key.uid, one.start))
        assert meeting is not None, "asked about a time that the meeting no longer has"
        assert meeting.accepted_at is None, "asked who said yes"
        self.lately.append(self.true)

    def rows(self) -> list[Delivery]:
        """The whole outbox."""
        with self.world.store.read() as conn:
            return deliveries.list_(conn)


def _live(folder: Path, seed: int, rounds: int) -> Story:
    """A day or two in which the clock jumps every third round."""
    folder.mkdir()
    world = World(folder, RULES)
    chance = random.Random(seed)
    world.mailer = mailer = Fickle(chance)
    world.office = world.open()
    story = Story(world, mailer, chance)
    for number in range(14):
        story.put(f"m{number}", NOW + timedelta(hours=5 + 8 * number))
        story.put(f"next-year-{number}", NOW + YEAR + timedelta(hours=34 + 2 * number))
    story.put("daily", NOW + 7 * HOUR, days=5)
    for number in range(rounds):
        if number % 3 == 2:
            story.jump()
        _happens(story, chance.random())
        story.round(timedelta(minutes=chance.choice([1, 10, 60, 90])))
    return story


def _happens(story: Story, luck: float) -> None:
    """What else goes on: a sender dies, the daemon starts anew, people move meetings and answer."""
    world = story.world
    meeting = story.chance.choice([one for one in story.meetings.values() if one.uid[0] == "m"])
    if luck < 0.1:
        with world.store.write() as conn:
            for one in deliveries.due(conn, story.clock + YEAR, 3):
                deliveries.claim(conn, one.id, "elsewhere:1:then", story.clock, LEASE)
    elif luck < 0.2:
        world.office.close()
        world.office = world.open()
    elif luck < 0.3 and meeting.start > story.true + 60 * HOUR:
        story.put(meeting.uid, meeting.start + 24 * HOUR)
    elif luck < 0.4:
        story.put(meeting.uid, meeting.start, "ACCEPTED")


def _settle_down(story: Story) -> int:
    """The clock is right for good; whatever is due from now on, or still is, leaves. How much that is."""
    story.off = timedelta()
    story.mailer.calm = True
    since = story.true
    while story.true < since + 52 * HOUR:
        story.round(HOUR / 3 if story.true < since + 3 * HOUR else 2 * HOUR)
    rows = story.rows()
    left = {(one.key.uid, one.start, one.step) for one in story.sent.values() if one.key}
    wanted = [
        (one.uid, one.start, step)
        for one in story.meetings.values()
        for step, (opens, closes) in WINDOWS.items()
        # an hour or so of its window must be left, for the limits and the pauses after a busy server
        if one.accepted_at is None
        and max(one.start + opens, since) + 3 * HOUR <= one.start + closes <= story.true
    ]
    assert [one for one in wanted if one not in left] == [], "what was still due was never sent"
    late = story.true - 3 * HOUR
    stuck = [one for one in rows if one.state in OPEN and max(one.next_try_at, one.due) < late]
    assert stuck == [], "something waits for ever"
    tomorrow = (since + 24 * HOUR).date().isoformat()
    told = [one.intent_key for one in story.sent.values() if one.step == "digest"]
    assert any(tomorrow in each for each in told), "no digest any more"
    return len(wanted)


@pytest.mark.promise("P1, P2, P4", "the clock jumps by 8 hours and by a year, again and again")
def test_a_lying_clock_gives_no_duplicate_and_no_burst(tmp_path: Path, trial: Trial) -> None:
    """Whatever the clock does, each mail leaves once and within its step; a right clock makes good."""
    jumps = mails = due = 0
    for seed in range(trial.size(1, 15)):
        story = _live(tmp_path / str(seed), seed, 24)
        due += _settle_down(story)
        ids = Counter(str(message["Message-ID"]) for _, message in story.mailer.kept)
        assert max(ids.values()) == 1, f"story {seed}: somebody was mailed twice"
        jumps += story.jumps
        mails += ids.total()
        story.world.store.close()
    trial.saw(f"{jumps} jumps", f"{mails} mails, 0 twice, 0 stale, 0 bursts; {due} due afterwards, all sent")
