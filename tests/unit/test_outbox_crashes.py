"""A crash at every step of sending, against a sink that keeps what it accepted.

The sink is the oracle: nobody is mailed twice, nothing due is lost, and whatever may have left is either
known to have left or shown as unknown.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import cast

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from sqlalchemy import Connection, text

from connectors.base import Rejected, Retryable, Uncertain, Unreachable
from daemon.clock import SetClock
from daemon.outbox import Decision
from daemon.store import Store, StoreError, deliveries, open_store
from rules.delivery import FINAL, State
from rules.model import Address
from tests.support.meetings import NOW
from tests.support.sending import Crash, CrashingStore, SinkMailer, outbox, raising, write
from tests.support.stores import fresh_store, intent, of_a_file, place

MAY_HAVE_LEFT = {State.COMMITTING, State.UNKNOWN}


FAULTS: dict[str, Callable[[SinkMailer], None]] = {
    "crash before the mark": lambda m: m.before.append(raising(Crash())),
    "crash after the mark": lambda m: m.between.append(raising(Crash())),
    "crash after the server kept it": lambda m: m.after.append(raising(Crash())),
    "busy": lambda m: m.before.append(raising(Retryable("busy"))),
    "no route": lambda m: m.before.append(raising(Unreachable("no route"))),
    "refused": lambda m: m.between.append(raising(Rejected("no"))),
    "busy at the dot": lambda m: m.between.append(raising(Retryable("busy"))),
    "hung up, not kept": lambda m: m.between.append(raising(Uncertain("hung up"))),
    "hung up, kept": lambda m: m.after.append(raising(Uncertain("hung up"))),
    "fault of ours": lambda m: m.between.append(raising(ZeroDivisionError())),
}


class Sending(RuleBasedStateMachine):
    """Messages come due while the sender dies in every way it can."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.store = fresh_store(Path(self.folder.name))
        self.clock = SetClock(NOW)
        self.mailer = SinkMailer()
        self.queued = 0

    def restart(self) -> None:
        """The process is gone and comes back: only the file and the sink remember."""
        self.store.close()
        self.store = open_store(place(Path(self.folder.name)), NOW)
        self.mailer = SinkMailer(kept=self.mailer.kept)

    def run(self, store: object | None = None, crash_in: str = "") -> None:
        """One run of a new process."""
        die = raising(Crash())
        steps = {
            "recheck": {"recheck": lambda _: die() or Decision.go()},
            "compose": {"compose": lambda one, others: die() or write(one, others)},
        }
        used = cast("Store", store or self.store)
        try:
            outbox(used, self.mailer, self.clock, **steps.get(crash_in, {})).run(self.clock.now())
        except Crash:
            self.restart()

    @rule(size=st.integers(1, 3))
    def come_due(self, size: int) -> None:
        """New messages to people who were not written to yet."""
        with self.store.write() as conn:
            for _ in range(size):
                self.queued += 1
                to = Address(f"p{self.queued}@acme.example")
                until = self.clock.at + timedelta(hours=9)
                deliveries.add(conn, [intent(f"m{self.queued}", to=to, until=until)], self.clock.at)

    @rule(size=st.integers(2, 4))
    def come_due_together(self, size: int) -> None:
        """New messages of one group, which share one mail, about meetings with one person."""
        with self.store.write() as conn:
            start = self.queued
            self.queued += size
            to = Address(f"g{start}@acme.example")
            until = self.clock.at + timedelta(hours=9)
            group = [
                intent(f"m{n + 1}", to=to, until=until, group=f"ask {to}") for n in range(start, self.queued)
            ]
            deliveries.add(conn, group, self.clock.at)

    @rule(fault=st.sampled_from(sorted(FAULTS)), after=st.integers(0, 2))
    def run_with_a_fault(self, fault: str, after: int) -> None:
        """The mailer fails, or the process dies in it, at the first message or a later one."""
        for planned in (self.mailer.before, self.mailer.between, self.mailer.after):
            planned[:] = [None] * after
        FAULTS[fault](self.mailer)
        self.run()

    @rule(step=st.sampled_from(["recheck", "compose"]))
    def run_and_die_before_sending(self, step: str) -> None:
        """The process dies while it looks again, or writes."""
        self.run(crash_in=step)

    @rule(writes=st.integers(1, 12), after=st.booleans())
    def run_and_die_at_a_write(self, writes: int, after: bool) -> None:
        """The process dies at any of its writes, just before or just after it is durable."""
        self.run(CrashingStore(self.store, writes, after))

    @rule(minutes=st.sampled_from([1, 6, 61, 60 * 10]))
    def wait(self, minutes: int) -> None:
        """Time passes."""
        self.clock.at += timedelta(minutes=minutes)

    @invariant()
    def nobody_is_mailed_twice_and_nothing_is_lost(self) -> None:
        """What the sink kept and what the store believes agree, at every moment."""
        kept = Counter(self.mailer.kept)
        with self.store.read() as conn:
            states = {one.intent_key: one.state for one in deliveries.list_(conn)}
        assert set(kept.values()) <= {1}
        for key, state in states.items():
            if state is State.SENT:
                assert kept[key] == 1
            elif state not in MAY_HAVE_LEFT:
                assert kept[key] == 0, state
        assert sum(1 for key in states if not key.startswith("rebookd")) == self.queued

    def teardown(self) -> None:
        """Left in peace, every message comes to an end, and the owner knows of every doubt."""
        for planned in (self.mailer.before, self.mailer.between, self.mailer.after):
            planned.clear()
        for _ in range(4):
            self.run()
            self.clock.at += timedelta(hours=5)
        self.nobody_is_mailed_twice_and_nothing_is_lost()
        with self.store.read() as conn:
            everything = deliveries.list_(conn)
        assert {one.state for one in everything} <= FINAL
        told = {one.intent_key.split("\x1f")[2].split("/")[0] for one in everything if one.step == "unknown"}
        doubts = {
            str(one.carried_by or one.id)
            for one in everything
            if one.state is State.UNKNOWN and one.do != "notice"
        }
        assert doubts == told
        self.store.close()
        self.folder.cleanup()


TestSending = Sending.TestCase
TestSending.settings = settings(max_examples=25, stateful_step_count=10, deadline=None)


DEATHS: dict[str, Callable[[Sending], None]] = {
    **{fault: lambda world, fault=fault: world.run_with_a_fault(fault, 0) for fault in FAULTS},
    "in recheck": lambda world: world.run_and_die_before_sending("recheck"),
    "in compose": lambda world: world.run_and_die_before_sending("compose"),
    **{
        f"write {n} {'after' if after else 'before'}": lambda world, n=n, after=after: (
            world.run_and_die_at_a_write(n, after)
        )
        for n in range(1, 8)
        for after in (False, True)
    },
}


@pytest.mark.parametrize("together", [False, True], ids=["alone", "together"])
@pytest.mark.parametrize("die", DEATHS.values(), ids=list(DEATHS))
def test_each_death_alone(die: Callable[[Sending], None], together: bool) -> None:
    """Every fault, and a death at every write, with two messages due, or one about two meetings."""
    world = Sending()
    (world.come_due_together if together else world.come_due)(2)
    die(world)
    world.nobody_is_mailed_twice_and_nothing_is_lost()
    world.teardown()


@of_a_file
@pytest.mark.parametrize("pages", range(6))
def test_disk_full_at_each_write(tmp_path: Path, pages: int) -> None:
    """However little room is left, nothing is sent without its mark, and the file opens again."""
    store = fresh_store(tmp_path)
    big = "x" * 9000
    with store.write() as conn:
        people = [Address(f"p{n}@acme.example") for n in range(4)]
        deliveries.add(conn, [intent(f"m{n}", to=to, reason=big) for n, to in enumerate(people)], NOW)
    with store.read() as conn:
        used = conn.execute(text("PRAGMA page_count")).scalar_one()
    mailer = SinkMailer()

    class Small(Store):
        """A store on a disk with little room left."""

        @contextmanager
        def write(self) -> Iterator[Connection]:
            """A transaction that finds the disk full."""
            with super().write() as conn:
                conn.execute(text(f"PRAGMA max_page_count = {used + pages}"))
                yield conn

    small = Small(store._reading, store.path, store.identity)
    heavy = lambda one, _: write(one).__class__(  # noqa: E731
        sender="dana@va.example",
        recipients=(one.to,),
        subject="s",
        message_id="<1@x>",
        raw=one.intent_key.encode() + b" " * 9000,
        text="",
    )
    with pytest.raises(StoreError, match="disk is full; free some space"):
        outbox(small, mailer, compose=heavy).run(NOW)
    store.close()
    again = open_store(tmp_path / "state.db", NOW)
    with again.read() as conn:
        states = Counter(one.state for one in deliveries.list_(conn))
    assert states[State.SENT] + states[State.COMMITTING] >= len(mailer.kept) >= states[State.SENT]
    again.close()


FILLING = """
import resource, signal, sys
from datetime import timedelta
from pathlib import Path
from daemon.store import StoreError, notes, open_store
from tests.support.meetings import NOW
store = open_store(Path(sys.argv[1]) / "state.db", NOW)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), int(sys.argv[2])))
written = 0
try:
    while True:
        with store.write() as conn:
            notes.note(conn, str(written), "x" * 3000)
        written += 1
except StoreError as error:
    print(written, error)
"""


@of_a_file
def test_writes_that_the_system_refuses_lose_nothing_committed(tmp_path: Path) -> None:
    """A real failing write: every commit that returned is there afterwards (SQLite lost 47 of 50 once)."""
    fresh_store(tmp_path).close()
    done = subprocess.run(
        [sys.executable, "-c", FILLING, str(tmp_path), "400000"],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    written, _, sentence = done.stdout.partition(" ")
    assert int(written) > 10
    assert "The state file" in sentence
    store = open_store(tmp_path / "state.db", NOW)
    with store.read() as conn:
        kept = conn.execute(text("SELECT count(*) FROM meta WHERE key GLOB 'note: [0-9]*'")).scalar_one()
    store.close()
    assert kept == int(written)
