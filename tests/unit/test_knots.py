"""Knots of overlapping meetings: found and settled as the definition says, which is slower."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import example, given, settings
from hypothesis import strategies as st

from rules.knots import MOST_RIVALS, knots
from rules.model import Interval, Occurrence
from tests.support.meetings import meeting

DAYS = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 6)), min_size=1, max_size=14)


def span(one: Occurrence) -> Interval:
    """The time it takes."""
    return Interval(one.start_utc, one.end_utc)


def walked(one: Occurrence, every: list[Occurrence]) -> list[Occurrence]:
    """What overlaps it, and what overlaps that, and so on."""
    knot = [one]
    for found in knot:
        knot += [other for other in every if other not in knot and span(other).overlaps(span(found))]
    return knot


def rank(one: Occurrence) -> tuple[object, ...]:
    """Any fixed order that is not the order of time."""
    return one.key.uid[-1], one.key.uid


@settings(max_examples=150)
@given(DAYS)
def test_knots_and_who_gives_way_are_as_defined(places: list[tuple[int, int]]) -> None:
    """Also for meetings without length, and those that touch without overlapping."""
    every = [meeting(f"m{number}", starts=at, lasts=lasts) for number, (at, lasts) in enumerate(places)]
    found = knots(every)
    for one in every:
        knot = walked(one, every)
        assert set(found[one.identity].meetings) == set(knot)
        kept: list[Occurrence] = []
        for other in sorted(knot, key=rank):
            rivals = [before for before in kept if span(before).overlaps(span(other))]
            if not rivals:
                kept.append(other)
            if other is one:
                assert list(found[one.identity].settled("any", rank).get(one.identity, ())) == rivals


PLACES = ("", "Room 4", "room  4", "Dock 3", "https://meet.example/x", "Zoom")
GROUND = {"Room 4": 1, "room  4": 1, "Dock 3": 2}
WAY = timedelta(minutes=30)


def clash(one: Occurrence, other: Occurrence) -> bool:
    """Whether they overlap, or lie at two places with less than the way between them."""
    here, there = GROUND.get(one.location), GROUND.get(other.location)
    wide = Interval(one.start_utc - WAY, one.end_utc + WAY)
    return span(one).overlaps(span(other)) or bool(
        here and there and here != there and wide.overlaps(span(other))
    )


@settings(max_examples=100)
@example([(0, 3, "Room 4"), (0, 4, ""), (6, 1, "Dock 3")])
@given(st.lists(st.tuples(st.integers(0, 60), st.integers(1, 6), st.sampled_from(PLACES)), max_size=10))
def test_with_travel_who_gives_way_is_as_defined(places: list[tuple[int, int, str]]) -> None:
    """Whatever the knots are, the best ranked of those that clash stays, in steps of ten minutes."""
    every = [
        meeting(f"m{number}", starts=at / 6, lasts=lasts / 6, location=place)
        for number, (at, lasts, place) in enumerate(places)
    ]
    found = knots(every, WAY)
    kept: list[Occurrence] = []
    for one in sorted(every, key=rank):
        rivals = tuple(other for other in kept if clash(one, other))
        assert found[one.identity].settled("any", rank).get(one.identity, ()) == rivals
        if not rivals:
            kept.append(one)


def test_a_knot_is_settled_once_for_each_ranking() -> None:
    """Another ranking is another question."""
    first, second = meeting("a", starts=1), meeting("b", starts=1)
    knot = knots([first, second])[first.identity]
    assert knot.settled("uid", lambda one: (one.key.uid,)) == {second.identity: (first,)}
    assert knot.settled("backwards", lambda one: (-ord(one.key.uid),)) == {first.identity: (second,)}


def test_one_above_very_many_gives_way_to_some_of_them() -> None:
    """So that many long meetings above many short ones cost no square; the others stay as they are."""
    short = [meeting(f"b{number:03}", starts=number, lasts=0.5) for number in range(3 * MOST_RIVALS)]
    long = meeting("z", starts=0, lasts=4 * MOST_RIVALS)
    settled = knots([*short, long])[long.identity].settled("short first", lambda one: (one.key.uid,))
    assert settled == {long.identity: tuple(short[:MOST_RIVALS])}
