"""What follows from a step: when an account is polled again."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from connectors.base import Retryable
from daemon import steps
from daemon.engine import Step
from tests.support.offices import World
from tests.support.visitor import RULES

EVERY = timedelta(minutes=5)


@pytest.mark.parametrize(
    ("takes", "waits"),
    [
        (timedelta(), EVERY),
        (timedelta(seconds=40), EVERY - timedelta(seconds=40)),
        (timedelta(minutes=7), EVERY * 0.1),
        (timedelta(days=365), EVERY * 0.1),
        (-timedelta(days=365), EVERY),
    ],
    ids=["at once", "a while", "longer than the interval", "the clock runs ahead", "the clock is set back"],
)
def test_an_interval_counts_from_where_the_poll_began(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, takes: timedelta, waits: timedelta
) -> None:
    """News wait for one interval; a slow server is still left alone for a while, whatever the clock does."""
    world = World(tmp_path, RULES)
    usual = world.calendars["acme"].calendars

    def slow() -> object:
        world.clock.at += takes
        return usual()

    monkeypatch.setattr(world.calendars["acme"], "calendars", slow)
    (again,) = [one for one in steps.poll(world.office, "acme") if one.step is Step.POLL]
    assert again.run_at == world.clock.at + waits


def test_a_server_that_asks_for_time_gets_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From when it asked."""
    world = World(tmp_path, RULES)

    def busy() -> object:
        world.clock.at += timedelta(seconds=40)
        raise Retryable("busy", retry_after=900)

    monkeypatch.setattr(world.calendars["acme"], "calendars", busy)
    (again,) = [one for one in steps.poll(world.office, "acme") if one.step is Step.POLL]
    assert again.run_at == world.clock.at + timedelta(seconds=900)
