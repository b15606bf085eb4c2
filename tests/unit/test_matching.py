"""``match:``: each question asked of a meeting, alone and combined, decided and explained alike."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rules.match import Match
from rules.matching import all_hold, looked, predicates
from rules.model import Address, Attendee, CalendarSeen, CuType, Occurrence, PartStat
from rules.sieve import Sieve
from rules.view import View
from tests.support.meetings import AL, BO, JO, NOW, account, meeting, owner, snapshot


def review(**more: Any) -> Occurrence:
    """Wednesday 11:00 UTC, half an hour, with Jo and Al, in a room."""
    people = (
        Attendee(address=JO, partstat=PartStat.ACCEPTED),
        Attendee(address=AL),
        Attendee(address=Address("room4@acme.example"), cutype=CuType.ROOM),
    )
    fields: dict[str, Any] = {
        "attendees": people,
        "location": "Room 4",
        "categories": ("Billable", "Phase 2"),
    }
    return replace(meeting(), **fields | more)


def fits(match: dict[str, Any], one: Occurrence | None = None, zone: str = "UTC") -> bool:
    """Whether the meeting fits, which its explanation must say, too."""
    one = one or review()
    seen = snapshot(
        one,
        owner=owner(zone),
        accounts={"acme": account(client="Acme")},
        calendars={one.key.calendar: CalendarSeen(name="Client calls", seen_at=NOW)},
    )
    asked = predicates(Match.model_validate(match), View(seen, NOW), zone)
    explained = [looked(predicate, one) for predicate in asked]
    assert all(because.predicate and because.field for because in explained)
    sieve = Sieve([asked])
    decided = sieve.fitting(sieve.read([one])) == [(0,)]
    assert all(because.holds for because in explained) is decided
    return decided


@pytest.mark.parametrize(
    ("match", "expected"),
    [
        ({}, True),
        ({"calendar": "client*"}, True),
        ({"calendar": "acme-calendar"}, True),
        ({"calendar": "Client"}, False),
        ({"client": ["Acme", "Initech"]}, True),
        ({"client": "ini*"}, False),
        ({"location": "room"}, True),
        ({"location": {"any_of": ["room 4", "room 5"]}}, True),
        ({"location": {"any_of": "room"}}, False),
        ({"location": {"not": "room"}}, False),
        ({"title": {"glob": "kick*review"}}, True),
        ({"title": {"contains": "kick", "not": {"contains": "internal"}}}, True),
        ({"title": {"contains": "kick", "not": {"glob": "*review"}}}, False),
        ({"title": {"not": {"not": "kickoff"}}}, True),
        ({"category": "billable"}, True),
        ({"category": ["nope", "phase ?"]}, True),
        ({"category": "phase"}, False),
        ({"attendees": 2}, True),
        ({"attendees": {"at_least": 3}}, False),
        ({"attendees": {"at_least": 1, "at_most": 2}}, True),
        ({"duration": "30m"}, True),
        ({"duration": {"at_most": "29m"}}, False),
        ({"duration": {"at_least": "30m", "at_most": "30m"}}, True),
        ({"weekday": "wed"}, True),
        ({"weekday": ["mon-tue", "thu"]}, False),
        ({"weekday": "weekend"}, False),
        ({"hour": "11:00-11:30"}, True),
        ({"hour": "09:00-11:00"}, False),
        ({"hour": ["22:00-06:00", "10:00-12:00"]}, True),
        ({"recurring": True}, False),
        ({"any": [{"title": "nope"}, {"category": "billable"}]}, True),
        ({"any": [{"title": "nope"}, {"category": "nope"}]}, False),
        ({"all": [{"attendee": "jo@*"}, {"attendee": "al@*"}]}, True),
        ({"all": [{"attendee": "jo@*"}, {"attendee": "bo@*"}]}, False),
        ({"not": {"title": "internal"}}, True),
        ({"not": [{"title": "internal"}, {"attendee": "jo@*"}]}, False),
        ({"not": {"title": "kickoff", "category": "nope"}}, True),
        (
            {"not": {"any": [{"title": "nope"}, {"all": [{"duration": "30m"}, {"hour": "10:00-12:00"}]}]}},
            False,
        ),
    ],
)
def test_each_question_is_answered(match: dict[str, Any], *, expected: bool) -> None:
    """Upper and lower case are the same, a list is any one of its entries, every key must fit."""
    assert fits(match) is expected


def test_days_and_hours_are_those_of_the_zone() -> None:
    """Wednesday 23:30 in Lisbon's winter is Thursday morning in Tokyo."""
    late = review(start=meeting(starts=62.5).start, end=meeting(starts=63).start)
    assert fits({"weekday": "wed", "hour": "20:00-24:00"}, late)
    assert fits({"weekday": "thu", "hour": "08:00-09:00"}, late, "Asia/Tokyo")


def test_length_is_elapsed_time() -> None:
    """A meeting over the hour that clocks skip is an hour shorter than it looks."""
    home = ZoneInfo("Europe/Lisbon")
    night = review(
        start=datetime(2026, 3, 29, 0, 30, tzinfo=home), end=datetime(2026, 3, 29, 2, 30, tzinfo=home)
    )
    assert fits({"duration": "1h"}, night)


def test_the_organizer_is_among_those_invited_and_rooms_do_not_count() -> None:
    """Bo organises and lists only me and a room."""
    people = review().attendees[2:]
    theirs = review(organizer=BO, attendees=people)
    assert fits({"attendee": "bo@*", "attendees": 1, "organizer": "them"}, theirs)
    assert fits({"organizer": "*@initech.example"}, theirs)
    assert not fits({"organizer": "me"}, theirs)
    assert fits({"organizer": "me"}, review(organizer=None))
    assert not fits({"organizer": "*"}, review(organizer=None))


ATOMS: list[dict[str, Any]] = [
    {"title": "kickoff"},
    {"title": "nope"},
    {"hour": "10:00-12:00"},
    {"attendees": 9},
    {"category": "billable"},
]
QUESTIONS = st.recursive(
    st.sampled_from(ATOMS),
    lambda inner: st.dictionaries(
        st.sampled_from(["any", "all", "not"]), st.lists(inner, min_size=1, max_size=3), min_size=1
    ),
    max_leaves=6,
)


def _by_definition(question: dict[str, Any]) -> bool:
    """What the words mean."""
    joined = {
        "any": lambda some: any(map(_by_definition, some)),
        "all": lambda some: all(map(_by_definition, some)),
        "not": lambda some: not any(map(_by_definition, some)),
    }
    return all(
        joined[key](value) if key in joined else ATOMS.index({key: value}) in {0, 2, 4}
        for key, value in question.items()
    )


def _deep(question: dict[str, Any]) -> int:
    inner = [one for key in ("any", "all", "not") for one in question.get(key, ())]
    return 1 + max(map(_deep, inner)) if inner else 0


@given(QUESTIONS.filter(lambda question: _deep(question) <= 5))
@settings(max_examples=80, deadline=None)
def test_combined_questions_mean_what_they_say(question: dict[str, Any]) -> None:
    """However any, all and not are nested."""
    assert fits(question) is _by_definition(question)


@given(
    st.lists(QUESTIONS.filter(lambda question: _deep(question) <= 5), min_size=1, max_size=6),
    st.lists(st.tuples(st.sampled_from(["kickoff", "nope"]), st.sampled_from([1, 50])), max_size=4),
)
@settings(max_examples=50, deadline=None)
def test_many_questions_at_once_answer_as_each_alone(
    questions: list[dict[str, Any]], some: list[tuple[str, int]]
) -> None:
    """Whatever values the sieve has met before."""
    meetings = [review(title=title, start=meeting(starts=at).start) for title, at in some]
    view = View(snapshot(review()), NOW)
    asked = [predicates(Match.model_validate(one), view, "UTC") for one in questions]
    sieve = Sieve(asked)
    assert sieve.fitting(sieve.read(meetings)) == [
        tuple(place for place, one in enumerate(asked) if all_hold(one, each)) for each in meetings
    ]
