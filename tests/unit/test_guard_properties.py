"""The guards hold for any flood: whatever comes due, however fast, to whomever."""

from __future__ import annotations

import tempfile
from datetime import datetime, timedelta
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.clock import SetClock
from daemon.store import deliveries
from rules.delivery import State
from rules.model import Address
from tests.support.meetings import ME, NOW
from tests.support.sending import SinkMailer, outbox
from tests.support.stores import fresh_store, intent

HOUR = timedelta(hours=1)
PEOPLE = tuple(Address(f"p{number}@acme.example") for number in range(3))

GUARDS = st.fixed_dictionaries(
    {
        "max_per_run": st.integers(1, 4),
        "max_per_hour": st.integers(1, 4),
        "per_recipient_per_day": st.integers(1, 3),
    }
)
BURSTS = st.lists(
    st.tuples(st.integers(0, 8), st.lists(st.sampled_from((*PEOPLE, ME)), max_size=6)), min_size=1, max_size=5
)


@given(GUARDS, BURSTS)
@settings(max_examples=8, deadline=None)
def test_no_flood_passes_the_guards(guard: dict[str, int], bursts: list[tuple[int, list[Address]]]) -> None:
    """Per hour and per person, to the minute; too much at once sends nothing to anybody else."""
    with tempfile.TemporaryDirectory() as folder:
        store = fresh_store(Path(folder))
        clock = SetClock(NOW)
        sender = outbox(store, SinkMailer(), clock, guard=guard)
        for number in range(9):
            clock.at = NOW + number * HOUR / 2
            some = [to for half_hours, people in bursts if half_hours == number for to in people]
            with store.write() as conn:
                new = [intent(f"m{number}.{place}", to=to) for place, to in enumerate(some)]
                made = deliveries.add(conn, new, clock.at)
            sender.run(clock.at)
            if sum(to != ME for to in some) > guard["max_per_run"]:
                with store.read() as conn:
                    fresh = [one for one in deliveries.list_(conn) if one.id in made and one.to != ME]
                assert {one.state for one in fresh} == {State.HELD}
        with store.read() as conn:
            every = [one for one in deliveries.list_(conn) if one.sent_at is not None and one.to != ME]
        store.close()
    left = sorted(one.sent_at for one in every if one.sent_at is not None)
    assert _most(left, HOUR) <= guard["max_per_hour"]
    for to in PEOPLE:
        mine = sorted(one.sent_at for one in every if one.sent_at is not None and one.to == to)
        assert _most(mine, 24 * HOUR) <= guard["per_recipient_per_day"]


def _most(moments: list[datetime], within: timedelta) -> int:
    """How many of them lie in any span of that length."""
    return max((sum(start <= at < start + within for at in moments) for start in moments), default=0)
