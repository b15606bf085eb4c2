"""P8 over whole offices: what ``explain`` says of every meeting is what then happens, and when."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from daemon.explanation import Explanation, explain
from daemon.store import agenda, deliveries
from tests.support.house import event
from tests.support.offices import World, at
from tests.trust.conftest import Trial

RULES = """\
version: 1
guard: {first_sync: act, max_per_run: 1000, max_per_hour: 1000, per_recipient_per_day: 1000}
rules:
  - name: ask
    when: unconfirmed
    inhibited_by: [clash]
    then:
      - {step: ask, do: confirm, at: 48h before start, until: 28h before start, repeat_every: 6h}
      - {step: move, do: reschedule, at: 4h before start, until: 1h before start}
  - name: "no"
    when: {declined: {grace: 1h}}
    then:
      - {step: other, do: reschedule, at: 40h before start, until: 1h before start}
  - name: missed
    when: {missed: {presume: [never_confirmed]}}
    then:
      - {step: offer, do: reschedule, at: 45m after end, until: 1d after end}
  - name: held
    when: unaccounted
    then:
      - {step: ask-me, do: check_in, at: 40m after end, until: 1d after end}
  - name: clash
    when: conflict
    then:
      - {step: move, do: reschedule, at: 30h before start, until: 2h before start}
"""

Step = tuple[str, str, str, str]
"""Rule, step, UID and address."""


def _explained(world: World) -> list[Explanation]:
    now = world.clock.now()
    with world.store.read() as conn:
        found = agenda.between(conn, at(-100), at(1000))
    return [explain(world.store, world.settings, one, now) for one in found]


def _queued(world: World) -> set[tuple[int, Step]]:
    with world.store.read() as conn:
        rows = deliveries.list_(conn)
    return {(one.id, (one.rule, one.step, one.key.uid, one.to)) for one in rows if one.key is not None}


def _new(world: World, now: datetime) -> set[Step]:
    """What is queued by a look at this moment."""
    before = {number for number, _ in _queued(world)}
    world.clock.at = now
    world.office.poll("acme")
    world.office.poll("own")
    world.office.decide()
    return {step for number, step in _queued(world) if number not in before}


def _world(folder: Path, seed: int) -> World:
    folder.mkdir()
    world, chance = World(folder, RULES, ["acme", "own"]), random.Random(seed)
    for number in range(12):
        hours = chance.choice([-1, 3, 20, 29, 30, 30.25, 45, 49, 60, 60.25])
        people = {f"g{number}@acme.example": chance.choice(["NEEDS-ACTION", "ACCEPTED", "DECLINED"])}
        text = event(f"m{number}", at(hours), people, title=chance.choice(["Review", "[no-show] Review"]))
        world.put(chance.choice(["acme", "own"]), f"m{number}", text)
    return world


@pytest.mark.promise("P8", "random meetings are explained, then lived through: what was said is what happens")
def test_what_is_explained_is_what_happens(tmp_path: Path, trial: Trial) -> None:
    """Each rule is named with its predicates; what is said to be next comes then, and nothing else before."""
    told = came = 0
    for seed in range(trial.size(1, 15)):
        world = _world(tmp_path / str(seed), seed)
        names = [rule.name for rule in world.settings.policy.rules]
        _new(world, world.clock.now())
        for _ in range(trial.size(4, 20)):
            said = _explained(world)
            for one in said:
                assert [trace.rule for trace in one.traces] == names
                assert all(trace.because for trace in one.traces)
                assert all(each.field for trace in one.traces for each in trace.because)
            told += len(said)
            ahead = [step for one in said for step in one.upcoming]
            if not ahead:
                break
            then = min(step.at for step in ahead)
            assert then > world.clock.now()
            if then - world.clock.now() > timedelta(seconds=2):
                assert _new(world, then - timedelta(seconds=1)) == set(), "nobody said that"
            wanted = {(step.rule, step.step, step.key.uid, step.to) for step in ahead if step.at == then}
            assert _new(world, then) == wanted
            came += len(wanted)
        world.office.close()
        world.store.close()
    assert came
    trial.saw(f"{told} explanations", f"every rule named in each; {came} steps foretold, all at their second")
