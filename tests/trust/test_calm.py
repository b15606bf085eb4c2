"""P9 over whole offices: a huge past, floods and nights; the bounds hold at every moment."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from connectors.base import Receipt
from tests.support.house import event
from tests.support.offices import KeepingMailer, World, at
from tests.trust.conftest import Trial

HOUR = timedelta(hours=1)
PER_RUN, PER_HOUR, PER_DAY = 6, 4, 2
ME = "dana@va.example"

RULES = f"""\
version: 1
guard:
  max_per_run: {PER_RUN}
  max_per_hour: {PER_HOUR}
  per_recipient_per_day: {PER_DAY}
  quiet_hours: "20:00-08:00"
rules:
  - name: ask
    when: unconfirmed
    then:
      - {{step: ask, do: confirm, at: 48h before start, until: 2h before start}}
  - name: missed
    when: {{missed: {{presume: [never_confirmed]}}}}
    then:
      - {{step: offer, do: reschedule, at: 45m after end, until: 5d after end}}
"""


class Timed(KeepingMailer):
    """Notes what the clock showed when each message was taken."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        super().__init__()
        self._now = now
        self.at: list[datetime] = []

    def send(
        self, sender: str, recipients: Sequence[str], message: bytes, committing: Callable[[], None]
    ) -> Receipt:
        """Take one message."""
        receipt = super().send(sender, recipients, message, committing)
        self.at.append(self._now())
        return receipt


def _busiest(moments: list[datetime], span: timedelta) -> int:
    return max((sum(first <= one < first + span for one in moments) for first in moments), default=0)


@pytest.mark.promise("P9", "a first sync with a long past, then floods by day and by night")
def test_the_bounds_hold_at_every_moment(tmp_path: Path, trial: Trial) -> None:
    """Nobody hears of the past; never too many in an hour, to one person in a day, at night or at once."""
    left = floods = past = 0
    for seed in range(trial.size(1, 10)):
        folder, chance = tmp_path / str(seed), random.Random(seed)
        folder.mkdir()
        world = World(folder, RULES)
        world.mailer = mailer = Timed(world.clock.now)
        world.office = world.open()
        for number in range(trial.size(40, 300)):
            hours = chance.uniform(-600, -1.5) if number % 6 else chance.uniform(41.5, 47)
            world.put("acme", f"old{number}", event(f"old{number}", at(hours), _guest(f"old{number}")))
            past += 1
        world.round()
        for _ in range(trial.size(8, 20)):
            world.round(2)
        assert not [to for to in mailer.to if to != ME], "the past was mailed about"
        starts: dict[str, datetime] = {}
        for number in range(trial.size(15, 70)):
            if chance.random() < 0.2:
                size = chance.randint(PER_RUN + 1, PER_RUN + 6)
                who = [f"flood{number}x{each}" for each in range(size)]
                floods += 1
            else:
                who = [f"p{chance.randrange(3)}"] if chance.random() < 0.7 else []
            for place, name in enumerate(who):
                uid, start = f"n{number}x{place}", world.clock.at + timedelta(hours=chance.uniform(30, 47))
                world.put("acme", uid, event(uid, start, _guest(name)))
                starts[f"{name}@acme.example"] = start
            before = len(mailer.kept)
            world.round(chance.choice([0.2, 0.5, 1, 5]))
            assert sum(to != ME for to in mailer.to[before:]) <= PER_RUN
        others: dict[str, list[datetime]] = defaultdict(list)
        for to, moment in zip(mailer.to, mailer.at, strict=True):
            if to != ME:
                others[to].append(moment)
        every = [moment for some in others.values() for moment in some]
        assert _busiest(every, HOUR) <= PER_HOUR
        assert all(_busiest(some, 24 * HOUR) <= PER_DAY for some in others.values())
        assert all(8 <= moment.hour < 20 for moment in every), "somebody was mailed at night"
        asked = [to for to, some in others.items() if to.startswith("flood") and some[0] < starts[to]]
        assert not asked, "a flood went out"  # afterwards each may be told, one by one, that it was missed
        left += len(every)
        world.office.close()
        world.store.close()
    assert left
    trial.saw(
        f"{past} old meetings, {floods} floods", f"0 about the past, 0 of a flood; {left} mails within bounds"
    )


def _guest(name: str) -> dict[str, str]:
    return {f"{name}@acme.example": "NEEDS-ACTION"}
