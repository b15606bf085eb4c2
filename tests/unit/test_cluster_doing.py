"""What one worker has in hand: nothing twice side by side, and nothing put away under it."""

from __future__ import annotations

import threading
import time

from daemon.beats import Beats
from daemon.cluster.doing import Doing
from daemon.cluster.node import Member
from daemon.cluster.threads import Threads
from daemon.engine import Step


class _Office:
    """An office that only knows whether it was closed."""

    def __init__(self) -> None:
        self.closed = False

    def close(self) -> None:
        """Remember it."""
        self.closed = True


def test_a_step_is_done_by_one_thread_at_a_time() -> None:
    """A second one is turned away, and leaves the first as it was; another account is another step."""
    doing, office = Doing(), _Office()
    with doing.take(office, Step.POLL, "own") as mine:  # type: ignore[arg-type]
        with doing.take(office, Step.POLL, "own") as second:  # type: ignore[arg-type]
            assert (mine, second) == (True, False)
        with doing.take(office, Step.POLL, "acme") as other:  # type: ignore[arg-type]
            assert other
        assert doing.wait(office, 0) == ["poll own"]  # type: ignore[arg-type]
    with doing.take(office, Step.POLL, "own") as again:  # type: ignore[arg-type]
        assert again


def test_an_office_is_closed_when_nothing_is_done_to_it() -> None:
    """A reload waits for what is in hand; what is late keeps its connections."""
    doing, office = Doing(), _Office()
    member = Member(office, "dana", Beats(), doing.wait)  # type: ignore[arg-type]
    begun, free = threading.Event(), threading.Event()

    def work() -> None:
        with doing.take(office, Step.DELIVER, ""):  # type: ignore[arg-type]
            begun.set()
            assert free.wait(30)

    done = Threads().submit(work)
    assert begun.wait(30)
    assert member.join(0) == ["deliver dana"]
    assert not office.closed
    free.set()
    assert member.join(time.monotonic() + 30) == []
    assert office.closed
    assert done.result(30) is None
