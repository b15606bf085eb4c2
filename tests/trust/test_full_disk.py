"""P1 and P2 on a full disk: from some write on nothing can be kept, so nothing leaves without its mark."""

from __future__ import annotations

import contextlib
import itertools
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.exits import FAILED
from tests.support import strace
from tests.support.house import House, house
from tests.support.lives import Lives
from tests.support.verdict import arrivals, judge
from tests.trust.conftest import Trial

CURES = ("free some space", "check its free space", "permissions and space")
"""What is said of a full disk, whichever file met it first."""


class Full:
    """One house whose disk is full from some write on, each time with one new mail to send."""

    def __init__(self, place: House, log: Path) -> None:
        self.place = place
        self.lives = Lives(place)
        self.wanted: set[tuple[str, str]] = set()
        self.refused = 0
        self._log = log

    def due(self) -> None:
        """One mail more is due."""
        number = len(self.wanted)
        uid, address = f"meeting-{number}", f"guest{number}@acme.example"
        self.place.put(uid, 72 + number / 20, to=address)
        self.wanted.add((uid, address))

    def full_from(self, number: int, call: str = "pwrite64") -> bool:
        """A round that meets a full disk at its n-th write and at each after it; whether it got that far."""
        self.due()
        said = self.place.folder / "said"
        said.unlink(missing_ok=True)
        self.lives.restarts.append(time.time())
        process = self.place.start(
            "-q", "run", "--once", module="tests.support.held", OWN_TIME=str(self.lives.clock)
        )
        code = strace.trace(process, self._log, "-e", f"inject={call}:error=ENOSPC:when={number}+")
        words = said.read_text()
        assert "should not have happened" not in words
        assert code in {0, FAILED}, words
        if code == FAILED:
            assert any(cure in words for cure in CURES), words
            self.refused += 1
        return "(INJECTED)" in self._log.read_text("utf-8", "replace")

    def recover(self) -> None:
        """An ordinary round, with space again."""
        process = self.lives.begin("run", "--once")
        process.join(strace.PATIENCE)
        assert process.exitcode == 0, (self.place.folder / "said").read_text()
        self.lives.later(300)


@pytest.mark.promise("P1, P2", "disk full from each write on")
def test_a_disk_that_fills_at_any_write_costs_no_mail_and_doubles_none(tmp_path: Path, trial: Trial) -> None:
    """The round ends with one sentence that names the cure; once there is space, all is as it should be."""
    strace.needed()
    with house(tmp_path) as place:
        full = Full(place, tmp_path / "calls")
        full.recover()  # makes the state
        met = 0
        for number in itertools.count(1) if trial.full else (1, 20, 40):
            if not full.full_from(number):
                break  # a round makes no more writes than this
            met += 1
            full.recover()
        full.lives.settle()
        verdict = judge(place, full.wanted, full.lives.restarts)
    assert full.refused
    trial.saw(f"{met} writes", f"{full.refused} rounds refused; {verdict}")


@contextlib.contextmanager
def small_disk(folder: Path, size: str) -> Iterator[None]:
    """A disk of that size in place of a folder; the test is skipped where none may be mounted."""
    words = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(words, capture_output=True, check=False).returncode:
        pytest.skip("no disk may be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.mark.promise("P1, P2", "a real disk of 1 MiB, filled up before each round")
def test_a_disk_without_space_sends_nothing_until_there_is_some(tmp_path: Path, trial: Trial) -> None:
    """Some rounds send, some refuse; in the end each mail has arrived once, or is unknown and told."""
    rounds = trial.size(3, 30)
    folder = tmp_path / "disk"
    folder.mkdir()
    with small_disk(folder, "1m"), house(tmp_path) as place:
        state = folder / "state.db"
        config = place.folder / "config.yaml"
        config.write_text(config.read_text() + f"state: {state}\n")
        (place.folder / "state.db").symlink_to(state)  # where the judge looks
        full = Full(place, tmp_path / "calls")
        full.recover()
        filler, refused = folder / "filler", 0
        for number in range(rounds):
            full.due()
            left = shutil.disk_usage(folder).free
            filler.write_bytes(b"x" * max(0, left - 16384 * (number % 40)))
            before = len(arrivals(place))
            process = full.lives.begin("run", "--once")
            process.join(strace.PATIENCE)
            assert process.exitcode in {0, FAILED}
            if process.exitcode == FAILED:
                refused += 1
                assert any(cure in (place.folder / "said").read_text() for cure in CURES)
                assert len(arrivals(place)) - before <= 1
            filler.unlink()
            full.recover()
        full.lives.settle()
        verdict = judge(place, full.wanted, full.lives.restarts)
    assert refused
    trial.saw(f"{refused} of {rounds} rounds refused", str(verdict))
