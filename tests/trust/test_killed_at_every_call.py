"""P1 and P2 against the real process: killed at each call that writes, syncs or sends, one by one."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import strace
from tests.support.house import House, house
from tests.support.lives import Lives
from tests.support.own_time import PARTS
from tests.support.verdict import judge
from tests.trust.conftest import Trial

SEND = PARTS[-1]
DOT = r'".\r\n"'


class Deaths:
    """One house in which each life has one new mail to send, and dies at one call."""

    def __init__(self, place: House, log: Path) -> None:
        self._place = place
        self._log = log
        self.lives = Lives(place)
        self.wanted: set[tuple[str, str]] = set()

    def live(self, part: str, *inject: str) -> bool:
        """One round, under strace in one part of it; whether it was killed there. Else it ends well."""
        number = len(self.wanted)
        uid, address = f"meeting-{number}", f"guest{number}@acme.example"
        self._place.put(uid, 72 + number / 20, to=address)
        self.wanted.add((uid, address))
        process = self.lives.begin("run", "--once", OWN_TIME_HELD=part)
        ended = strace.trace(process, self._log, *inject)
        assert ended in {0, -signal.SIGKILL}, (self._place.folder / "said").read_text()
        return ended != 0

    def recover(self) -> None:
        """An ordinary round. That of the next death, or of the end, is one more."""
        process = self.lives.begin("run", "--once")
        process.join(strace.PATIENCE)
        assert process.exitcode == 0, "the round after a death fails"
        self.lives.later(300)

    def every_call(self) -> Iterator[tuple[str, str, int]]:
        """Every call of every part of a round, until the part ends unhurt."""
        for part in PARTS:
            for call in strace.CALLS:
                number = 1
                while self.live(part, *strace.kill_at(call, number)):
                    yield part, call, number
                    number += 1

    def around_the_dot(self) -> Iterator[tuple[str, str, int]]:
        """The first write of the commit, the final dot, and the first write of the mark ``sent``.

        Not their syncs: what was written outlives the death of a process.
        """
        assert not self.live(SEND)
        calls = strace.read(self._log)
        dot = next(place for place, (_, _, line) in enumerate(calls) if DOT in line)
        body = max(place for place, (call, _, _) in enumerate(calls[:dot]) if call == "sendto")
        for call, number, _ in (calls[place] for place in (body + 1, dot, dot + 1)):
            assert self.live(SEND, *strace.kill_at(call, number)), f"{call} {number} was never reached"
            yield SEND, call, number


@pytest.mark.promise("P1, P2", "killed -9 at every write, sync and send")
def test_death_at_each_call_gives_no_duplicate_and_loses_nothing(tmp_path: Path, trial: Trial) -> None:
    """Whichever call is the last, the mail leaves once, or is unknown and told to the owner."""
    strace.needed()
    kills = 0
    with house(tmp_path) as place:
        deaths = Deaths(place, tmp_path / "calls")
        deaths.recover()  # makes the state
        for _ in deaths.every_call() if trial.full else deaths.around_the_dot():
            deaths.recover()
            kills += 1
        deaths.lives.settle()
        verdict = judge(place, deaths.wanted, deaths.lives.restarts)
    assert verdict.unknown, "no death fell between the commit and the answer"
    trial.saw(f"{kills} calls", str(verdict))
