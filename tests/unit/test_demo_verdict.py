"""The demo says honestly what differs from its story."""

from __future__ import annotations

from pathlib import Path

from daemon.demo.story import MOMENTS, Expected, Moment, at
from daemon.demo.verdict import Arrival, differences

ASK = Expected(rule="unanswered", step="ask", to="jo@acme.example")
STORY = (Moment(at=at("10:00"), title="a day before", expected=(ASK,)),)


def _arrival(clock: str = "10:00", *, to: str = ASK.to, rule: str = ASK.rule) -> Arrival:
    step = ASK.step if rule else ""
    return Arrival(at=at(clock), rule=rule, step=step, to=to, subject="Can you?", path=Path("1.eml"))


def test_the_expected_mail_once_is_no_difference() -> None:
    """Every expected mail once, and no other: nothing to say."""
    assert differences(STORY, [_arrival()]) == []


def test_a_missing_mail_is_named() -> None:
    """A mail that never came is told with its rule, recipient and time."""
    assert differences(STORY, []) == ["expected, and never came: unanswered/ask to jo@acme.example at 10:00"]


def test_a_second_copy_is_a_difference() -> None:
    """The same mail twice is once too often."""
    assert differences(STORY, [_arrival(), _arrival()]) == [
        "came 2 times instead of once: unanswered/ask to jo@acme.example at 10:00"
    ]


def test_another_mail_is_a_difference() -> None:
    """A mail that the outbox does not know, or one at the wrong time, is told."""
    assert differences(STORY, [_arrival(), _arrival(rule=""), _arrival("10:40")]) == [
        "came, and was not expected: ?/? to jo@acme.example at 10:00",
        "came, and was not expected: unanswered/ask to jo@acme.example at 10:40",
    ]


def test_the_story_runs_forward_in_time() -> None:
    """The clock is only ever moved ahead, and the day ends before its quiet hours."""
    times = [moment.at for moment in MOMENTS]
    assert times == sorted(set(times))
    assert {one.hour for one in times} <= set(range(8, 20))
