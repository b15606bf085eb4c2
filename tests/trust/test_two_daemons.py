"""P1 and P2 with two real daemons on one state: refused, and without the lock that refuses it."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import pytest

from rules.delivery import OPEN, State
from tests.support.house import House, house
from tests.support.lives import Lives
from tests.support.own_time import AFTER_DOT, BEFORE_COMMIT, BEFORE_DOT
from tests.support.strace import wait_until_stopped
from tests.support.verdict import OWNER, arrivals, judge, rows
from tests.trust.conftest import Trial

PATIENCE = 90.0
PAST_A_LEASE = 6 * 60


def _until(condition: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.05)


@contextlib.contextmanager
def _two(lives: Lives, **environment: str) -> Iterator[list[ForkServerProcess]]:
    """Two daemons, the second after the lock was taken from under the first."""
    lock = lives.place.state.with_name("state.db.lock")
    processes: list[ForkServerProcess] = []
    try:
        for _ in range(2):
            lock.unlink(missing_ok=True)
            processes.append(lives.begin("run", **environment))
            _until(lambda: lock.exists() and bool(lock.read_text()), "a daemon does not start")
        yield processes
    finally:
        for process in processes:
            process.kill()
            process.join()


def _end(*processes: ForkServerProcess) -> None:
    """Let them finish what is in hand, and stop."""
    for process in processes:
        process.terminate()
    for process in processes:
        process.join(PATIENCE)
        assert process.exitcode is not None, "a daemon does not stop"


def _is_over(place: House, mails: int) -> bool:
    asked = [one for one in rows(place) if one.rule == "confirm"]
    return len(asked) == mails and not any(one.state in OPEN for one in asked)


@pytest.mark.promise("P1, P2", "two daemons on one state, the lock file deleted under the first")
def test_two_daemons_mail_nobody_twice(tmp_path: Path, trial: Trial) -> None:
    """With its lock the second is refused; without it both send one burst, and share it."""
    bursts, size = trial.size(1, 8), trial.size(12, 40)
    wanted: set[tuple[str, str]] = set()
    with house(tmp_path, manners={"slow": 0.01}, poll_every="1s") as place:
        lives = Lives(place)
        with _two(lives) as both:
            second = place.run("run", "--once", check=False)
            assert "is already running" in second.stderr, second
            for _ in range(bursts):
                for _ in range(size):
                    uid, address = f"meeting-{len(wanted)}", f"guest{len(wanted)}@acme.example"
                    place.put(uid, 72 + len(wanted) / 20, to=address)
                    wanted.add((uid, address))
                _until(lambda: _is_over(place, len(wanted)), "the burst is not sent")
            _end(*both)
        verdict = judge(place, wanted, lives.restarts)
    trial.saw(f"{bursts} bursts of {size}", str(verdict))


@pytest.mark.promise("P1, P2", "stopped (SIGSTOP) past its lease beside a second daemon, then continued")
def test_a_sleeper_that_wakes_mails_nobody_twice(tmp_path: Path, trial: Trial) -> None:
    """Stopped before the commit it sends nothing later; stopped after it, its mail is unknown and told."""
    places = [BEFORE_COMMIT, BEFORE_DOT, AFTER_DOT] * trial.size(1, 5)
    wanted: set[tuple[str, str]] = set()
    with house(tmp_path) as place:
        lives = Lives(place)
        for number, where in enumerate(places):
            uid, address = f"meeting-{number}", f"guest{number}@acme.example"
            wanted.add((uid, address))
            _sleep_and_wake(lives, uid, address, where, tmp_path / f"stopped-{number}")
        verdict = judge(place, wanted, lives.restarts)
    trial.saw(f"{len(places)} stops", str(verdict))


def _sleep_and_wake(lives: Lives, uid: str, address: str, where: str, marker: Path) -> None:
    """One mail, whose sender stops on its way, is overtaken, and goes on."""
    place = lives.place

    def mine() -> list[str]:
        return [one.state for one in rows(place) if one.to == address]

    def kept() -> int:
        return sum(address in one.to for one in arrivals(place))

    def told() -> bool:
        (one,) = [one for one in rows(place) if one.to == address]
        return any(each.to == (OWNER,) and one.message_id in each.text for each in arrivals(place))

    place.put(uid, 72, to=address)
    with _two(lives, OWN_TIME_STOP=where, OWN_TIME_STOPPED=str(marker)) as both:
        _until(lambda: marker.exists() and bool(marker.read_text()), "nobody came there")
        (sleeper,) = [one for one in both if one.pid == int(marker.read_text())]
        (heir,) = [one for one in both if one is not sleeper]
        wait_until_stopped(int(marker.read_text()))
        assert mine() == [State.CLAIMED if where == BEFORE_COMMIT else State.COMMITTING]
        lives.later(PAST_A_LEASE)
        overtaken = State.SENT if where == BEFORE_COMMIT else State.UNKNOWN
        _until(lambda: mine() == [overtaken], "the other daemon does not take it over")
        if where != BEFORE_COMMIT:
            _until(told, "the owner is not told of the doubt")
        before = kept()
        assert before == (0 if where == BEFORE_DOT else 1)
        assert sleeper.pid is not None
        os.kill(sleeper.pid, signal.SIGCONT)
        if where != BEFORE_COMMIT:
            _until(lambda: mine() == [State.SENT], "the sleeper does not say what became of its mail")
        _end(sleeper, heir)
    assert kept() == 1
