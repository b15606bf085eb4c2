"""How mistakes in the rules file are told: each key of the grammar, wrong in each way, at its place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from daemon.config.settings import ConfigProblems, load
from tests.support.files import RULES, write
from tests.support.plain_rules import LATE_STEP, STEP, mistakes, rule

MARK = STEP | {"do": "mark", "label": "open"}
CALL = STEP | {"do": "webhook", "webhook": "crm"}


@pytest.mark.parametrize(
    ("keys", "loc", "message"),
    [
        ({"match": {"weekday": "funday"}}, ("match", "weekday", 0), "'funday' is not a day of the week"),
        (
            {"match": {"weekday": "mon-wed-fri"}},
            ("match", "weekday", 0),
            "'mon-wed-fri' is not a range of days",
        ),
        ({"match": {"weekday": "mon,mon"}}, ("match", "weekday", 0), "'mon,mon' names a day twice"),
        ({"match": {"weekday": []}}, ("match", "weekday"), "an empty list matches nothing"),
        ({"match": {"hour": "9-12"}}, ("match", "hour", 0), "'9-12' is not a span of the day"),
        ({"match": {"hour": "09:00-09:00"}}, ("match", "hour", 0), "it starts and ends at the same time"),
        ({"match": {"hour": 9}}, ("match", "hour", 0), "a part of the day is expected here, not 9"),
        ({"match": {"duration": 30}}, ("match", "duration", "exactly"), "write a unit, such as 48h"),
        ({"match": {"duration": {}}}, ("match", "duration"), "nothing is asked here"),
        ({"match": {"duration": {"min": "1h"}}}, ("match", "duration", "min"), "unknown key 'min'"),
        (
            {"match": {"duration": {"at_least": "2h", "at_most": "1h"}}},
            ("match", "duration", "at_most"),
            "'at_most' is less than 'at_least'",
        ),
        (
            {"match": {"duration": {"at_least": "1 business day"}}},
            ("match", "duration", "at_least"),
            "a meeting's length is not in business days",
        ),
        (
            {"match": {"attendees": "two"}},
            ("match", "attendees", "exactly"),
            "a whole number is expected here",
        ),
        (
            {"match": {"attendees": True}},
            ("match", "attendees", "exactly"),
            "a whole number is expected here",
        ),
        ({"match": {"attendees": -1}}, ("match", "attendees", "exactly"), "must be at least 0"),
        (
            {"match": {"attendees": {"at_least": 5, "at_most": 2}}},
            ("match", "attendees", "at_most"),
            "'at_most' is less than 'at_least'",
        ),
        (
            {"match": {"category": {"contains": "x"}}},
            ("match", "category", 0),
            "a name or address is expected",
        ),
        ({"match": {"any": []}}, ("match", "any"), "an empty list matches nothing"),
        (
            {"match": {"any": [{"title": "x"}, {}]}},
            ("match", "any", 1),
            "an empty question fits every meeting",
        ),
        ({"match": {"all": "x"}}, ("match", "all", 0), "a mapping of keys and values is expected here"),
        ({"match": {"not": {"titel": "x"}}}, ("match", "not", 0, "titel"), "unknown key 'titel'"),
        ({"match": {"not": None}}, ("match", "not"), "nothing is written here"),
        ({"match": {"client": None}}, ("match", "client"), "nothing is written here"),
        (
            {"match": {"not": {"not": {"not": {"not": {"not": {"not": {"title": "x"}}}}}}}},
            ("match",),
            "questions are nested deeper than 5",
        ),
        ({"match": {"title": {"regex": "x"}}}, ("match", "title", "regex"), "unknown key 'regex'"),
        ({"match": {"title": {"any_of": []}}}, ("match", "title", "any_of"), "an empty list matches nothing"),
        ({"match": {"location": {"not": {}}}}, ("match", "location", "not"), "nothing is asked here"),
        ({"match": {"location": 4}}, ("match", "location", "contains", 0), "text is expected here, not 4"),
        ({"group_by": "client"}, ("group_by",), "must be contact, not 'client'"),
        ({"group_wait": "5m"}, ("group_wait",), "'group_wait' needs 'group_by'"),
        (
            {"group_by": "contact", "group_wait": "1 business day"},
            ("group_wait",),
            "a group does not wait for days",
        ),
        ({"time_zone": "Lisbon"}, ("time_zone",), "'Lisbon' is not a time zone"),
        ({"repeat_every": "0m"}, ("repeat_every",), "must be longer than nothing"),
        ({"at_most": 3}, ("at_most",), "'at_most' needs 'repeat_every'"),
        ({"repeat_every": "1h", "at_most": 21}, ("at_most",), "must be at most 20"),
        ({"repeat_every": "1h", "at_most": True}, ("at_most",), "a whole number is expected here"),
        ({"then": [STEP | {"at_most": 2}]}, ("then", 0, "at_most"), "'at_most' needs 'repeat_every'"),
        ({"then": [STEP | {"repeat_every": 2}]}, ("then", 0, "repeat_every"), "write a unit, such as 48h"),
        ({"then": [MARK | {"label": " "}]}, ("then", 0, "label"), "nothing is written here"),
        ({"then": [MARK | {"template": "mine"}]}, ("then", 0, "template"), "no mail is written here"),
        ({"then": [STEP | {"label": "x"}]}, ("then", 0, "label"), "'label' goes with do: mark only"),
        ({"then": [STEP | {"do": "webhook"}]}, ("then", 0, "do"), "'webhook' needs its name"),
        ({"then": [CALL | {"webhook": "a b"}]}, ("then", 0, "webhook"), "'a b' is not a name"),
        (
            {"then": [STEP | {"webhook": "crm"}]},
            ("then", 0, "webhook"),
            "'webhook' goes with do: webhook only",
        ),
        (
            {"when": {"declined": {"grace": "soon"}}},
            ("when", "declined", "grace"),
            "'soon' is not a length of",
        ),
        ({"when": {"cancelled": {"grac": "1h"}}}, ("when", "cancelled", "grac"), "unknown key 'grac'"),
        ({"when": {"away": {"by": "me"}}}, ("when", "away", "by"), "unknown key 'by'"),
        ({"when": {"ending": {"within": "0d"}}}, ("when", "ending", "within"), "must be longer than nothing"),
        (
            {"when": {"conflict": {"travel": "13h"}}},
            ("when", "conflict", "travel"),
            "travel takes 12h at most",
        ),
        (
            {"when": {"conflict": {"travel": "1 business day"}}},
            ("when", "conflict", "travel"),
            "travel takes 12h at most",
        ),
        ({"when": "silent"}, ("then", 0, "at"), "silence is counted from the end of the last meeting"),
        ({"when": "declined", "then": [LATE_STEP]}, ("then", 0, "at"), "'declined' is asked only before"),
        (
            {"when": "away", "then": [STEP | {"at": "at start"}]},
            ("then", 0, "at"),
            "'away' is asked only before",
        ),
        (
            {"when": "cancelled", "then": [STEP | {"do": "confirm"}]},
            ("then", 0, "do"),
            "'confirm' goes with 'unconfirmed', not 'cancelled'",
        ),
    ],
)
def test_each_key_says_what_is_wrong_with_it(
    keys: dict[str, Any], loc: tuple[str | int, ...], message: str
) -> None:
    """One fault for one mistake, at the key or value that is wrong."""
    (found,) = mistakes(rule(**keys))
    assert found.loc == ("rules", 0, *loc)
    assert found.message.startswith(message)


@pytest.mark.parametrize(
    ("digest", "loc", "message"),
    [
        ({"at": "8"}, ("digest", "at"), "'8' is not a time of the day"),
        ({"at": "24:00"}, ("digest", "at"), "'24:00' is not a time of the day"),
        ({"at": "08:00", "on": "funday"}, ("digest", "on", 0), "'funday' is not a day of the week"),
        ({"on": "weekdays"}, ("digest",), "'at' is missing"),
    ],
)
def test_a_digest_says_what_is_wrong_with_it(
    digest: dict[str, Any], loc: tuple[str | int, ...], message: str
) -> None:
    """The same at the top of the file."""
    (found,) = mistakes(rule(), digest=digest)
    assert (found.loc, found.message[: len(message)]) == (loc, message)


@pytest.mark.parametrize(
    ("old", "new", "head", "hint"),
    [
        (
            "organizer: me",
            "weekday: funday",
            "8:37: error: 'funday' is not a day of",
            "did you mean 'sunday'?",
        ),
        ("organizer: me", "not: {titel: x}", "8:34: error: unknown key 'titel'", "did you mean 'title'?"),
        ("organizer: me", "any: [{}]", "8:34: error: an empty question fits every", "ask something"),
        ("organizer: me", "category: ", "8:28: error: nothing is written here", "ask something"),
        ("organizer: me", "duration: 30", "8:38: error: write a unit, such as 48h", "s, m, h, d, w and"),
        ("mode: auto", "at_most: 3", "11:5: error: 'at_most' needs 'repeat_every'", "add repeat_every"),
        (
            "mode: auto",
            "group_wait: 5m",
            "11:5: error: 'group_wait' needs 'group_by'",
            "add group_by: contact",
        ),
        (
            "mode: auto",
            "time_zone: Lisbon",
            "11:16: error: 'Lisbon' is not a time zone",
            "did you mean 'Europe/",
        ),
        ("do: notify,", "do: webhook,", "16:27: error: 'webhook' needs its name", "name one in the"),
        (
            "when: unaccounted",
            "when: {away: {by: me}}",
            "24:19: error: unknown key 'by'",
            "it has no options",
        ),
        (
            "earliest_created]}",
            "longest], travel: 13h}",
            "28:62: error: travel takes 12h at most",
            "write it",
        ),
    ],
)
def test_a_mistake_in_the_rules(tmp_path: Path, old: str, new: str, head: str, hint: str) -> None:
    """One mistake gives one problem with its place and a way out."""
    rules = RULES.replace(old, new, 1)
    assert rules != RULES
    with pytest.raises(ConfigProblems) as raised:
        load(write(tmp_path, rules=rules))
    (found,) = raised.value.problems
    assert str(found).replace(f"{tmp_path}/", "").startswith(f"rules.yaml:{head}")
    assert found.help.startswith(hint)
