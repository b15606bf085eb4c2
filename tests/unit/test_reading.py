"""Whose turn it is to read an account, and who shares a read."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from connectors.base import Retryable
from daemon.reading import Reading
from tests.support.files import RULES
from tests.support.meetings import NOW
from tests.support.offices import World


def test_an_account_is_read_by_one_at_a_time() -> None:
    """Ten that want to read it at once take turns."""
    reading, inside, most = Reading(["acme"]), [0], [0]

    def read() -> bool:
        inside[0] += 1
        most[0] = max(most[0], inside[0])
        time.sleep(0.002)
        inside[0] -= 1
        return True

    with ThreadPoolExecutor(10) as pool:
        list(pool.map(lambda _: reading.take("acme", read), range(10)))
    assert most == [1]


def test_whoever_waits_shares_the_read_that_has_not_begun() -> None:
    """While one read is under way, all who ask share the next one; none is content with the first."""
    reading, reads, gate = Reading(["acme"]), [], threading.Event()

    def read(account: str) -> bool:
        reads.append(account)
        gate.wait(5)
        return True

    with ThreadPoolExecutor(50) as pool:
        first = pool.submit(reading.anew, read)
        while not reads:
            time.sleep(0.001)
        others = [pool.submit(reading.anew, read) for _ in range(49)]
        while pool._work_queue.qsize():
            time.sleep(0.001)
        time.sleep(0.05)
        gate.set()
        assert all(one.result() for one in [first, *others])
    assert len(reads) == 2


def test_who_waits_is_not_kept_for_long() -> None:
    """A calendar that does not answer in time counts as one that cannot be seen."""
    reading, gate = Reading(["acme", "slow"]), threading.Event()
    assert not reading.anew(lambda account: account == "acme" or gate.wait(5), patience=0.05)
    assert not reading.has_news(), "one of them is still being read"
    gate.set()
    assert reading.anew(lambda _: True)
    assert reading.has_news()
    assert not reading.has_news(), "nothing was read since"


def test_a_read_that_breaks_is_one_that_saw_nothing() -> None:
    """Whatever it raises, whoever waits is told that the calendars could not be seen."""
    reading = Reading(["acme"])

    def broken(_: str) -> bool:
        raise RuntimeError("no")

    assert not reading.anew(broken)
    assert not reading.has_news()
    assert reading.anew(lambda _: True)


def test_an_office_reads_every_account_for_somebody_who_waits(tmp_path: Path) -> None:
    """With all of them seen it says so; with one that does not answer it says that, too."""
    world = World(tmp_path, RULES, ["acme", "initech"])
    assert world.office.refresh()
    world.calendars["initech"].fail(Retryable("no answer"))
    assert not world.office.refresh()
    assert world.office.refresh()


def test_times_picked_while_blind_are_settled_once_all_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A decision looks at them again after a read that saw everything, and not before."""
    world = World(tmp_path, RULES, ["acme", "initech"])
    looked: list[object] = []
    monkeypatch.setattr("daemon.answers.Answering.settle", lambda _self, now: looked.append(now) or 0)
    world.office.decide()
    assert not looked
    world.office.poll("acme")
    world.office.decide()
    assert not looked, "nobody knows what initech holds"
    world.office.poll("initech")
    world.office.decide()
    world.office.decide()
    assert looked == [NOW]
