"""The queue of many workers: what is submitted is there once, and what is due is found again."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from daemon.cluster.queue import BUSY, LONGEST, Queue
from daemon.engine import Key, Step
from daemon.store import deliveries, postgresql
from tests.support.cluster import Cluster, cluster
from tests.support.meetings import NOW

pytestmark = pytest.mark.postgresql

MINUTE = timedelta(minutes=1)
ALL = {
    (Step.POLL, "acme"),
    (Step.POLL, "own"),
    (Step.DECIDE, ""),
    (Step.DELIVER, ""),
}
"""The steps of each owner here."""


@pytest.fixture
def at(tmp_path: Path) -> Iterator[Cluster]:
    """Two owners and nothing in the queue."""
    with cluster(tmp_path, ("dana", "eli")) as made:
        yield made


def _calm(at: Cluster) -> None:
    """Everything was done a moment ago, and is due in an hour."""
    for name, office in at.offices.items():
        for step, account in ALL:
            at.queue.submit(step, Key(owner=name, account=account), office.clock.now() + 60 * MINUTE)


def test_a_wish_is_there_once(at: Cluster) -> None:
    """Whoever wishes the same again changes nothing; another account, step or owner is another wish."""
    for _ in range(2):
        at.queue.submit(Step.DECIDE, Key(owner="dana"))
    for key in (Key(owner="dana", account="acme"), Key(owner="dana", account="own"), Key(owner="eli")):
        at.queue.submit(Step.POLL, key)
    assert at.jobs() == [
        ("decide", "dana", ""),
        ("poll", "dana", "acme"),
        ("poll", "dana", "own"),
        ("poll", "eli", ""),
    ]


def test_deliveries_come_first_and_first_reads_last(at: Cluster) -> None:
    """Whatever was wished before: a delivery, a decision, a poll, and then what may take minutes."""
    at.owners["dana"].office.poll("acme")
    for account in ("own", "acme"):
        at.queue.submit(Step.POLL, Key(owner="dana", account=account))
    at.queue.submit(Step.DECIDE, Key(owner="dana"))
    at.queue.submit(Step.DELIVER, Key(owner="dana"))
    assert [(step, account) for step, _, account in at.jobs()] == [
        ("deliver", ""),
        ("decide", ""),
        ("poll", "acme"),
        ("poll", "own"),
    ]


def test_what_is_for_later_waits_in_the_store(at: Cluster) -> None:
    """No job is in the queue for it; the tick submits it when its time has come."""
    _calm(at)
    at.queue.tick()
    assert at.jobs() == []
    at.queue.submit(Step.POLL, Key(owner="eli", account="own"), NOW + 5 * MINUTE)
    at.owners["eli"].clock.at = NOW + 6 * MINUTE
    at.queue.tick()
    assert at.jobs() == [("poll", "eli", "own")]


def test_a_newcomer_has_everything_to_do(at: Cluster) -> None:
    """Of an owner of whom nothing is noted, everything is due, and two who tick submit it once."""
    office = at.offices["dana"]
    assert set(at.queue.due(office)) == ALL
    other = Queue(postgresql.conninfo(at.url), office.clock, lambda: at.offices)
    other.open()
    at.queue.tick()
    other.tick()
    other.close()
    assert len(at.jobs()) == len(ALL) * 2


def test_a_job_that_is_lost_is_found_again(at: Cluster) -> None:
    """A queue that is emptied forgets nothing: what is due is in the store."""
    at.queue.tick()
    before = at.jobs()
    at.sql("DELETE FROM procrastinate_jobs")
    at.queue.tick()
    assert sorted(at.jobs()) == sorted(before)


def test_what_waits_in_the_outbox_is_due(at: Cluster) -> None:
    """A message to one owner is due for that owner alone, at its moment."""
    _calm(at)
    dana = at.owners["dana"]
    with dana.store.write() as conn:
        deliveries.add_notice(
            conn,
            "test",
            "1",
            "dana@va.example",
            subject="Hello",
            body="Hello",
            now=NOW,
            until=NOW + 60 * MINUTE,
            wait=2 * MINUTE,
        )
    assert at.queue.due(dana.office) == []
    dana.clock.at = NOW + 3 * MINUTE
    assert at.queue.due(dana.office) == [(Step.DELIVER, "")]
    assert at.queue.due(at.offices["eli"]) == []


def test_a_poll_under_way_is_not_due(at: Cluster) -> None:
    """Unless it takes unbelievably long, or whoever did it is known to be gone."""
    _calm(at)
    office, poll = at.offices["dana"], (Step.POLL, "acme")
    at.queue.again(*_at(poll, at))
    assert at.queue.due(office) == [poll]
    at.queue.begin(*_at(poll, at))
    assert at.queue.due(office) == []
    at.owners["dana"].clock.at = NOW + BUSY
    assert at.queue.due(office) == [poll]


def _at(poll: tuple[Step, str], at: Cluster) -> tuple[Step, object, str]:
    return poll[0], at.offices["dana"], poll[1]


def test_a_clock_that_ran_ahead_puts_nothing_off_for_long(at: Cluster) -> None:
    """What was noted for a moment far away is due at once."""
    _calm(at)
    at.queue.submit(Step.POLL, Key(owner="dana", account="acme"), NOW + LONGEST + 2 * MINUTE)
    assert at.queue.due(at.offices["dana"]) == [(Step.POLL, "acme")]
