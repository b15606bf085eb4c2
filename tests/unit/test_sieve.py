"""The sieve answers for all rules at once; the predicates answer for each by itself: they never differ."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from rules.match import Match
from rules.matching import all_hold, predicates
from rules.model import Address, Occurrence, PartStat
from rules.sieve import Sieve
from rules.view import View
from tests.support.meetings import ME, NOW, meeting, snapshot

ADDRESSES = st.sampled_from([ME, "jo@acme.example", "bo@initech.example", "al@acme.example"])
QUESTIONS: list[dict[str, Any]] = [
    {"account": "ac*"},
    {"client": "*"},
    {"calendar": "*calendar"},
    {"organizer": "me"},
    {"organizer": "them"},
    {"organizer": "*@initech.example"},
    {"title": "kickoff"},
    {"title": {"contains": ["Kickoff", "x"], "not": {"glob": "*straße"}}},
    {"location": {"any_of": [" Online", "Room"]}},
    {"category": "b*"},
    {"attendee": ["*@acme.example", "bo*"]},
    {"attendees": {"at_most": 1}},
    {"duration": {"at_least": "1h"}},
    {"weekday": "mon-tue"},
    {"hour": "22:00-11:00"},
    {"recurring": False},
]
MEETINGS = st.builds(
    lambda number, **more: meeting(f"m{number}", **more),
    st.integers(0, 99),
    starts=st.sampled_from([0, 2.5, 14, 26, 100]),
    lasts=st.sampled_from([0.25, 1, 2]),
    account=st.sampled_from(["acme", "own"]),
    people=st.dictionaries(ADDRESSES, st.sampled_from(PartStat), max_size=3),
    title=st.sampled_from(["Kickoff", "KICKOFF Straße", "", "x"]),
    location=st.sampled_from(["", "online ", "Room"]),
    categories=st.sampled_from([(), ("Billable",), ("private", "b")]),
    organizer=st.none() | ADDRESSES.map(Address),
    recurring=st.booleans(),
)


def asked() -> st.SearchStrategy[dict[str, Any]]:
    """A match of up to three keys, and matches joined."""
    flat = st.lists(st.sampled_from(QUESTIONS), min_size=1, max_size=3).map(
        lambda some: {key: value for one in some for key, value in one.items()}
    )
    inner = st.recursive(
        flat,
        lambda deeper: st.builds(
            lambda plain, word, some: plain | {word: some},
            flat,
            st.sampled_from(["any", "all", "not"]),
            st.lists(deeper, min_size=1, max_size=2),
        ),
        max_leaves=3,
    )
    return st.just({}) | inner


@settings(max_examples=120, deadline=None)
@given(st.lists(asked(), max_size=5), st.lists(MEETINGS, max_size=6))
def test_all_at_once_is_as_each_by_itself(matches: list[dict[str, Any]], some: list[Occurrence]) -> None:
    """For any rules and meetings, and also where no rule asks anything or nothing is asked about."""
    view = View(snapshot(*some), NOW)
    questions = [predicates(Match.model_validate(one), view, "Europe/Lisbon") for one in matches]
    sieve = Sieve(questions)
    assert sieve.fitting(sieve.read(some)) == [
        tuple(place for place, each in enumerate(questions) if all_hold(each, one)) for one in some
    ]
