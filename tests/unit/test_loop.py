"""The loop over many owners: whose turn it is, and who is let go."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from daemon.clock import SetClock
from daemon.crew import PAUSE
from daemon.loop import MOST_IN_A_TICK, Daemon
from daemon.store.errors import StoreError
from tests.support.meetings import NOW
from tests.unit.test_deployment import write


class _Crew:
    """A crew without threads."""

    def __init__(self) -> None:
        self.turns, self.pause, self.failure = 0, PAUSE, None

    def tick(self, crews: int) -> None:
        """One turn."""
        self.turns += 1


def _daemon(folder: Path, count: int) -> Daemon:
    found = Daemon(folder, SetClock(NOW))
    found._crews = {f"owner-{number}": _Crew() for number in range(count)}  # type: ignore[misc]
    return found


INTERRUPTED = """
import signal, sys, threading, time
from pathlib import Path
from daemon import loop
from daemon.clock import SystemClock

loop.NAP = 0.001
modules = {loop.__file__, threading.__file__}

def interrupted(daemon, where):
    lines = 0

    def line(frame, event, arg):
        nonlocal lines
        lines += event == "line"
        if event == "line" and lines == where:
            signal.raise_signal(signal.SIGTERM)
        return line

    def look(frame, event, arg):
        return line if frame.f_code.co_filename in modules else None

    daemon._open = lambda: True
    daemon._begin = daemon._end = lambda *_: None
    sys.settrace(look)
    daemon.run()
    sys.settrace(None)

for where in range(40, 400):
    interrupted(loop.Daemon(Path("nowhere"), SystemClock()), where)
    print(where)
"""


def test_a_signal_may_come_at_any_moment() -> None:
    """Whatever line the loop is at, it ends."""
    command = [sys.executable, "-c", INTERRUPTED]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.split()[-1] == "399"


def test_a_few_owners_have_their_turn_each_second(tmp_path: Path) -> None:
    """As one alone has."""
    found = _daemon(tmp_path, 3)
    for _ in range(4):
        found._tick()
    assert [crew.turns for crew in found._crews.values()] == [4, 4, 4]  # type: ignore[attr-defined]


def test_many_owners_take_turns_and_none_is_passed_over(tmp_path: Path) -> None:
    """A tick costs no more with many; whoever comes waits for all before them, whoever goes leaves no gap."""
    found = _daemon(tmp_path, 3 * MOST_IN_A_TICK)
    for _ in range(3):
        found._tick()
    assert {crew.turns for crew in found._crews.values()} == {1}  # type: ignore[attr-defined]
    del found._crews["owner-0"]
    found._crews["new"] = _Crew()  # type: ignore[assignment]
    for _ in range(3):
        found._tick()
    assert {name: crew.turns for name, crew in found._crews.items() if crew.turns != 2} == {"new": 1}  # type: ignore[attr-defined]


def test_a_state_that_fails_takes_its_owner_alone(tmp_path: Path) -> None:
    """The others go on and it is tried again; where nobody is left the daemon ends with the failure."""
    write(tmp_path, "dana.yaml", state="dana.db")
    write(tmp_path, "eli.yaml", state="eli.db")
    found = Daemon(tmp_path, SetClock(NOW))
    found._deployment.open()
    try:
        found._begin(found._deployment.offices)
        assert found._let_go_of_failed() is None
        found._crews["eli"].failure = StoreError("the disk is full")
        assert found._let_go_of_failed() is None
        assert list(found._crews) == ["dana"]
        assert found._deployment.missing == ["eli"]
        found._minutely()
        assert sorted(found._crews) == ["dana", "eli"]
        for crew in found._crews.values():
            crew.failure = StoreError("the disk is full")
        with pytest.raises(StoreError):
            raise found._let_go_of_failed() or AssertionError
    finally:
        found._end(found._crews.values())
        found._deployment.close()
