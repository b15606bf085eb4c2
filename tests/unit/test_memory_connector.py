"""What a test can do with calendars in memory beyond the contract."""

from __future__ import annotations

import pytest

from connectors.base import Known, NeedsLogin, Retryable
from connectors.memory import MemoryConnector
from tests.support.ics import LISBON, WINDOW, event


def test_scripted_faults_come_once_each_in_order() -> None:
    """Faults are raised by the next calls that would ask a server; then it works again."""
    memory = MemoryConnector("own", home_zone=LISBON, schedules=True)
    [info] = memory.calendars()
    assert info.capabilities.schedules
    memory.put("a.ics", event())
    memory.fail(Retryable("down", 5), NeedsLogin("who are you?"))
    with pytest.raises(Retryable):
        memory.poll(info.ref, WINDOW, Known())
    with pytest.raises(NeedsLogin):
        memory.read(info.ref, "a.ics", WINDOW)
    assert len(memory.poll(info.ref, WINDOW, Known()).changed) == 1


def test_a_text_can_be_looked_at_and_replaced() -> None:
    """Putting again changes the etag; raw shows what is stored."""
    memory = MemoryConnector("own", home_zone=LISBON)
    [info] = memory.calendars()
    memory.put("a.ics", event())
    before = memory.read(info.ref, "a.ics", WINDOW)
    memory.put("a.ics", event("SUMMARY:Again"))
    after = memory.read(info.ref, "a.ics", WINDOW)
    assert before is not None
    assert after is not None
    assert before.etag != after.etag
    assert "Again" in memory.raw("a.ics")
