"""P1 and P2 with many workers: they are killed, their PostgreSQL is restarted, and nobody is mailed twice."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from rules.delivery import FINAL, OPEN
from tests.support.agency import Agency, agency
from tests.support.own_time import AFTER_DOT, BEFORE_COMMIT, BEFORE_DOT
from tests.support.postgresql import Server, own_server
from tests.support.strace import wait_until_stopped
from tests.support.verdict import judge_outbox
from tests.trust.conftest import FULL, Trial

pytestmark = pytest.mark.postgresql

LEASE = 301
"""Seconds after which nobody waits any more for whoever is gone."""


@pytest.fixture
def server() -> Iterator[Server]:
    """A server that may be restarted."""
    yield from own_server()


@pytest.mark.promise("P1, P2", "workers killed -9 and their PostgreSQL restarted while they send")
def test_kills_and_restarts_give_no_duplicate_and_lose_nothing(
    tmp_path: Path, server: Server, trial: Trial
) -> None:
    """Every due mail ends sent exactly once, or unknown and told; a restart ends no worker."""
    chance = random.Random(20260302)
    owners, meetings, workers = trial.size(3, 25), trial.size(10, 200), trial.size(2, 4)
    kills = restarts = 0
    with agency(tmp_path, server, owners=owners, meetings=meetings, slow=trial.size(60, 20) / 1000) as at:
        for _ in range(workers):
            at.begin()
        at.wait(lambda: at.arrived() > 2, 60)
        end = time.monotonic() + 900
        while at.arrived() < len(at.wanted) * 0.9 and (trial.full or restarts < 1):
            assert time.monotonic() < end, f"the work does not go on: {at.said()[-2000:]}"
            at.kill(chance.choice(at.workers))
            at.begin()
            kills += 1
            _rest(at, chance, trial)
            server.stop(chance.choice([signal.SIGINT, signal.SIGQUIT]))
            server.start()
            restarts += 1
            _rest(at, chance, trial)
        _settle(at)
        assert at.end() == [0] * workers
        verdict = judge_outbox(at, at.rows(), at.wanted)
    trial.saw(f"{len(at.wanted)} mails, {workers} workers, {kills} kills, {restarts} restarts", str(verdict))


def _rest(at: Agency, chance: random.Random, trial: Trial) -> None:
    """Let them send some mails, a few seconds' worth; whoever ends by themselves fails."""
    enough = at.arrived() + (chance.randint(40, 120) if trial.full else 3)
    until = time.monotonic() + trial.size(2, 20)
    while time.monotonic() < until and at.arrived() < enough:
        assert all(one.is_alive() for one in at.workers), f"a worker ended: {at.said()[-2000:]}"
        time.sleep(0.02)


def _settle(at: Agency) -> None:
    """Until all there is to do is done: by whoever lives, and once the leases of the dead are over."""
    end = time.monotonic() + 240
    while time.monotonic() < end:
        at.later(LEASE)
        pause = time.monotonic() + 5
        while time.monotonic() < pause:
            if not at.count(OPEN) and at.count(FINAL) >= len(at.wanted):
                return
            time.sleep(0.1)


@pytest.mark.skipif(not FULL, reason="takes half a minute; played at full size only")
@pytest.mark.promise("P1, P2", "a worker stopped (SIGSTOP) past its lease beside another, then continued")
def test_a_stopped_worker_is_fenced(tmp_path: Path, server: Server, trial: Trial) -> None:
    """Its work is taken up by the other; when it goes on, what it had in hand leaves once or is told."""
    places = (BEFORE_COMMIT, BEFORE_DOT, AFTER_DOT)
    unknown = 0
    for number, place in enumerate(places):
        folder = tmp_path / str(number)
        folder.mkdir()
        with agency(folder, server, owners=2, meetings=3) as at:
            marker = folder / "stopped"
            for _ in range(2):
                at.begin(OWN_TIME_STOP=place, OWN_TIME_STOPPED=str(marker))
            at.wait(lambda marker=marker: marker.exists() and marker.read_text().endswith("\n"), 60)  # type: ignore[misc]
            stopped = int(marker.read_text())
            wait_until_stopped(stopped)
            _settle(at)
            assert not at.count(OPEN), f"the other does not take it up: {at.said()[-2000:]}"
            os.kill(stopped, signal.SIGCONT)
            _settle(at)
            assert at.end() == [0, 0]
            verdict = judge_outbox(at, at.rows(), at.wanted)
            unknown += verdict.unknown
    trial.saw(f"{len(places)} stops", f"0 twice, 0 lost, {unknown} unknown, each told")
