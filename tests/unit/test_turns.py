"""Whole calendars are read few at a time, and a slow one keeps nobody waiting for long."""

from __future__ import annotations

import threading

import pytest

from daemon import turns


def _reader(begun: list[int], number: int, end: threading.Event) -> threading.Thread:
    def read() -> None:
        with turns.whole_read():
            begun.append(number)
            end.wait(20)

    thread = threading.Thread(target=read)
    thread.start()
    return thread


def _eventually(begun: list[int], count: int) -> bool:
    tick = threading.Event()
    for _ in range(400):
        if len(begun) >= count:
            return True
        tick.wait(0.02)
    return False


def test_few_whole_calendars_are_read_at_a_time() -> None:
    """The fourth begins when one of three ends."""
    begun: list[int] = []
    ends = [threading.Event() for _ in range(5)]
    threads = [_reader(begun, number, end) for number, end in enumerate(ends)]
    assert _eventually(begun, turns.AT_ONCE)
    assert len(begun) == turns.AT_ONCE
    ends[begun[0]].set()
    assert _eventually(begun, turns.AT_ONCE + 1)
    for end in ends:
        end.set()
    for thread in threads:
        thread.join(20)
    assert sorted(begun) == [0, 1, 2, 3, 4]


def test_whoever_takes_long_no_longer_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Servers that never end hold up the others for the patience at most."""
    monkeypatch.setattr(turns, "PATIENCE", 0.05)
    begun: list[int] = []
    end = threading.Event()
    threads = [_reader(begun, number, end) for number in range(turns.AT_ONCE + 2)]
    assert _eventually(begun, turns.AT_ONCE + 2)
    end.set()
    for thread in threads:
        thread.join(20)
