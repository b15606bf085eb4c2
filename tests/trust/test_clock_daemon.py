"""The real daemon while its clock is set and its machine sleeps: libfaketime and SIGSTOP."""

from __future__ import annotations

import collections
import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.house import House, house
from tests.trust.conftest import Trial

PATIENCE = 60.0
SMALL = ("+8h", "+0")
FULL = ("+8h", "+0", "-8h", "+0", "+365d", "+0", "-365d", "+0", "+365d", "-8h", "-365d", "+8h", "+0")


def _library() -> str | None:
    """Where libfaketime is, if it is here."""
    found = sorted(Path("/usr/lib").glob("**/faketime/libfaketimeMT.so.1"))
    return str(found[0]) if found else None


@dataclass
class _Life:
    """A running daemon with a clock to set."""

    place: House
    process: subprocess.Popen[bytes]
    clock: Path
    log: Path

    def set_clock(self, offset: str) -> None:
        """Have its clock show so much more or less than ours."""
        fresh = self.clock.with_suffix(".new")
        fresh.write_text(offset + "\n")
        fresh.rename(self.clock)

    def waits(self, ready: Callable[[], bool]) -> None:
        """Wait for something while it lives."""
        deadline = time.monotonic() + PATIENCE
        while not ready():
            assert self.process.poll() is None, self.log.read_text()[-3000:]
            assert time.monotonic() < deadline, self.log.read_text()[-3000:]
            time.sleep(0.02)

    def reads(self, uid: str, hours: float) -> None:
        """Put a meeting into the calendar; it is read, whatever the clock shows."""
        before = self.log.read_text().count("calendar read")
        self.place.put(uid, hours, to=f"{uid}@acme.example")
        self.waits(lambda: self.log.read_text().count("calendar read") > before)

    def asked(self, uid: str) -> bool:
        """Whether its guest was written to."""
        return any(f"{uid}@acme.example" in one["recipients"] for one in self.place.taken())


@contextlib.contextmanager
def _living(place: House, library: str) -> Iterator[_Life]:
    clock, log = place.folder / "clock", place.folder / "daemon.log"
    clock.write_text("+0\n")
    environment = place.environment(
        LD_PRELOAD=library,
        FAKETIME_TIMESTAMP_FILE=str(clock),
        FAKETIME_NO_CACHE="1",
        FAKETIME_DONT_FAKE_MONOTONIC="1",
        DONT_FAKE_MONOTONIC="1",
    )
    with log.open("wb") as stderr:
        process = subprocess.Popen(
            place.command("-v", "run"),
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
        )
    life = _Life(place, process, clock, log)
    try:
        life.waits(lambda: '"running"' in log.read_text())
        yield life
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


@pytest.mark.promise("P1, P2", "the clock of the running daemon is set, and it is stopped for an hour")
def test_a_daemon_whose_clock_jumps(tmp_path: Path, trial: Trial) -> None:
    """Each meeting is asked about once, as soon as its step is open on the clock there is."""
    library = _library()
    if library is None:
        pytest.skip("libfaketime is not here; Debian has it in faketime")
    jumps = FULL if trial.full else SMALL
    with house(tmp_path, poll_every="1s") as place, _living(place, library) as life:
        waiting: list[str] = []
        for number, offset in enumerate(jumps):
            life.set_clock(offset)
            uid = f"m{number}"
            life.reads(uid, 40 + number)
            waiting.append(uid)
            if not offset.endswith("365d"):  # the step is open: at once for this one, and for those before
                for each in waiting:
                    life.waits(lambda each=each: life.asked(each))  # type: ignore[misc]
                waiting.clear()
            else:
                assert not life.asked(uid), "asked a year too early or too late"
        os.kill(life.process.pid, signal.SIGSTOP)
        life.set_clock("+1h")
        place.put("slept", 30, to="slept@acme.example")
        os.kill(life.process.pid, signal.SIGCONT)
        life.waits(lambda: life.asked("slept"))
        life.process.terminate()
        assert life.process.wait(20) == 0
        assert "Traceback" not in life.log.read_text()
        rows = place.json("outbox", "list")
        taken = collections.Counter(one["message_id"] for one in place.taken())
    assert isinstance(rows, list)
    assert {row["state"] for row in rows} == {"sent"}, json.dumps(rows)
    assert max(taken.values()) == 1, "somebody was mailed twice"
    assert len(taken) == len(jumps) + 1
    trial.saw(f"{len(jumps)} jumps, 1 sleep", f"{taken.total()} mails, 0 twice, 0 lost, 0 left idle")
