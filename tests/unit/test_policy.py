"""The rules file: its grammar, what must fit together, and the objects it becomes."""

from __future__ import annotations

from datetime import time
from typing import Any

import pytest
from pydantic import ValidationError

from rules.detections import Keep
from rules.policy import Conflict, Do, Guard, Missed, Mode, Policy, Rule, Unaccounted, Unconfirmed
from tests.support.plain_rules import LATE_STEP, STEP, mistakes, rule


def test_a_policy_has_calm_defaults() -> None:
    """What is not written is quiet, limited and automatic only where said so."""
    policy = Policy.model_validate({"version": 1, "rules": [rule()]})
    assert policy.guard == Guard(
        max_per_run=20, max_per_hour=30, per_recipient_per_day=3, quiet_hours=None, first_sync="quiet"
    )
    (one,) = policy.rules
    assert (one.mode, one.inhibited_by, one.description) == (Mode.AUTO, (), "")
    (step,) = one.then
    assert (step.slots, str(step.within), str(step.notice), step.until) == (3, "5 business days", "4h", None)


def test_the_whole_grammar_is_read() -> None:
    """Every key of the manual arrives in the object it names."""
    policy = Policy.model_validate(
        {
            "version": 1,
            "guard": {"max_per_run": 5, "quiet_hours": "20:00-08:00", "first_sync": "act"},
            "rules": [
                rule(
                    match={
                        "account": "acme",
                        "calendar": ["Client calls", "cl*"],
                        "client": "Acme",
                        "organizer": "me",
                        "title": {"contains": ["kickoff", "review"]},
                        "location": "room",
                        "attendee": "*@acme.example",
                        "recurring": False,
                    },
                    when={"unconfirmed": {"tentative": "counts", "min_age": "2h"}},
                    inhibited_by="clash",
                    mode="draft",
                    then=[
                        {
                            "step": "ask",
                            "do": "confirm",
                            "at": "48h before start",
                            "until": "28h before start",
                        },
                        {
                            "step": "move",
                            "do": "reschedule",
                            "at": "4h before start",
                            "slots": 5,
                            "notice": "1h",
                        },
                    ],
                ),
                rule(name="missed", when={"missed": {"presume": "never_confirmed"}}, then=[LATE_STEP]),
                rule(name="open", when="unaccounted", then=[LATE_STEP]),
                rule(name="clash", when={"conflict": {"keep": ["client:Acme", "longest", "organizer:me"]}}),
            ],
        }
    )
    first, missed, unaccounted, clash = policy.rules
    assert policy.guard.quiet_hours is not None
    assert policy.guard.quiet_hours.covers(time(23))
    assert first.when == Unconfirmed.model_validate({"tentative": "counts", "min_age": "2h"})
    assert first.match.title is not None
    assert first.match.title.tester()("kickoff")
    assert first.match.calendar is not None
    assert [str(pattern) for pattern in first.match.calendar] == ["Client calls", "cl*"]
    assert [step.do for step in first.then] == [Do.CONFIRM, Do.RESCHEDULE]
    assert isinstance(missed.when, Missed)
    assert missed.when.presume == ("never_confirmed",)
    assert unaccounted.when == Unaccounted()
    assert isinstance(clash.when, Conflict)
    assert clash.when.keep == (Keep("client", "Acme"), Keep("longest"), Keep("organizer", "me"))


def test_a_policy_is_frozen_and_built_in_code_too() -> None:
    """Objects are accepted where text is, and nothing can be changed afterwards."""
    one = Rule.model_validate(rule(when=Unconfirmed(by="me")))
    policy = Policy(version=1, rules=(one,))
    assert policy.rules[0] is one
    with pytest.raises(ValidationError):
        one.mode = Mode.DRAFT  # type: ignore[misc]


@pytest.mark.parametrize(
    ("keys", "loc", "message"),
    [
        ({"name": "rebookd"}, ("name",), "'rebookd' is the daemon's own name"),
        ({"name": "a b"}, ("name",), "'a b' is not a name"),
        ({"then": []}, ("then",), "an empty list does nothing"),
        ({"then": [STEP, STEP]}, ("then", 1, "step"), "two steps are called 'tell'"),
        ({"inhibited_by": ["one"]}, ("inhibited_by", 0), "a rule cannot inhibit itself"),
        ({"inhibited_by": ["two"]}, ("inhibited_by", 0), "'two' is not a rule; rules are one"),
        (
            {"then": [STEP | {"until": "2h before start"}]},
            ("then", 0, "until"),
            "'until: 2h before start' is not after 'at: 1h before start'",
        ),
        (
            {"when": "missed", "then": [LATE_STEP | {"until": "1h before start"}]},
            ("then", 0, "until"),
            "'until: 1h before start' is not after 'at: 1h after end'",
        ),
        ({"then": [STEP | {"slots": 3}]}, ("then", 0, "slots"), "'slots' goes with do: reschedule only"),
        ({"then": [STEP | {"do": "reschedule", "slots": 11}]}, ("then", 0, "slots"), "must be at most 10"),
        ({"then": [STEP | {"do": "reschedule", "slots": True}]}, ("then", 0, "slots"), "a whole number is"),
        ({"then": [STEP | {"do": "reschedule", "within": "0h"}]}, ("then", 0, "within"), "must be longer"),
        (
            {"when": {"unconfirmed": {"by": "me"}}, "then": [STEP | {"do": "confirm"}]},
            ("then", 0, "do"),
            "with 'by: me' only I am told",
        ),
        (
            {"when": "unaccounted", "then": [LATE_STEP | {"do": "reschedule"}]},
            ("then", 0, "do"),
            "only I am told of an unaccounted meeting",
        ),
        (
            {"when": "conflict", "then": [STEP | {"do": "confirm"}]},
            ("then", 0, "do"),
            "'confirm' goes with 'unconfirmed', not 'conflict'",
        ),
        (
            {"then": [STEP | {"do": "confirm", "at": "at start"}]},
            ("then", 0, "at"),
            "a meeting is confirmed before it starts",
        ),
        ({"then": [LATE_STEP]}, ("then", 0, "at"), "'unconfirmed' is asked only before the start"),
        ({"when": "missed"}, ("then", 0, "at"), "'missed' is known only after the end"),
        (
            {"when": {"missed": {"by": "me", "presume": ["tentative"]}}, "then": [LATE_STEP]},
            ("when", "missed", "presume"),
            "'presume' is about attendees",
        ),
        (
            {"when": {"conflict": {"keep": ["longest", "longest"]}}},
            ("when", "conflict", "keep", 1),
            "'longest' is already in this list",
        ),
        (
            {"when": {"conflict": {"keep": [{"account": "acme"}]}}},
            ("when", "conflict", "keep", 0),
            "'account: acme' has a space",
        ),
        (
            {"when": {"conflict": {"keep": "shortest"}}},
            ("when", "conflict", "keep", 0),
            "'shortest' is not one",
        ),
        ({"when": {}}, ("when",), "'when' asks exactly one question"),
        ({"when": {"missed": {}, "conflict": {}}}, ("when", "conflict"), "'when' asks exactly one question"),
        ({"match": {"title": {}}}, ("match", "title"), "nothing is asked here"),
        ({"match": {"organizer": "jo"}}, ("match", "organizer"), "'jo' is neither me, them nor an address"),
        (
            {"match": {"recurring": "yes"}},
            ("match", "recurring"),
            "true or false is expected here, not 'yes'",
        ),
    ],
)
def test_what_does_not_fit_together_is_said_once_at_its_place(
    keys: dict[str, Any], loc: tuple[str | int, ...], message: str
) -> None:
    """Each mistake is one fault, at the value or key that is wrong."""
    (found,) = mistakes(rule(**keys))
    assert found.loc == ("rules", 0, *loc)
    assert found.message.startswith(message)


def test_rule_names_are_unique_and_inhibit_in_no_circle() -> None:
    """Each end of a circle and each second name is pointed at."""
    found = mistakes(
        rule(name="a", inhibited_by="b"), rule(name="b", inhibited_by=["c"]), rule(name="c", inhibited_by="a")
    )
    assert [fault.loc for fault in found] == [("rules", index, "inhibited_by", 0) for index in range(3)]
    assert found[0].message == "'a' and 'b' inhibit each other"
    (twice,) = mistakes(rule(), rule())
    assert (twice.loc, twice.message) == (("rules", 1, "name"), "two rules are called 'one'")


def test_moments_that_depend_on_the_meeting_may_stand_together() -> None:
    """A step from before the start until after the end is possible, as are mixed kinds of days."""
    for at, until in (
        ("1h before end", "1h after start"),
        ("1 business day before start", "2h before start"),
    ):
        step = STEP | {"at": at, "until": until}
        Rule.model_validate(rule(then=[step]))


def test_every_mistake_is_found_at_once() -> None:
    """Mistakes in several rules, a wrong key beside a wrong value, all in one go."""
    found = mistakes(
        rule(nam="x", mode="aut"),
        rule(name=3, when={"unconfirmed": {"by": "you", "tentativ": 1}}),
        "rule",  # type: ignore[arg-type]
        guard={"max_per_run": 0, "first_sync": "loud"},
    )
    assert [(fault.loc, fault.message) for fault in found] == [
        (("guard", "max_per_run"), "must be at least 1"),
        (("guard", "first_sync"), "'loud' is not one of quiet, act"),
        (("rules", 0, "nam"), "unknown key 'nam'"),
        (("rules", 0, "mode"), "'aut' is not one of observe, draft, approve, auto"),
        (("rules", 1, "name"), "a name is expected here, not 3"),
        (("rules", 1, "when", "unconfirmed", "tentativ"), "unknown key 'tentativ'"),
        (("rules", 1, "when", "unconfirmed", "by"), "'you' is not one of attendee, me"),
        (("rules", 2), "a mapping of keys and values is expected here, not 'rule'"),
    ]


def test_a_misspelt_key_does_not_also_count_as_missing() -> None:
    """One problem per mistake: `nmae` explains why there is no `name`."""
    keys = rule()
    keys["nmae"] = keys.pop("name")
    (found,) = mistakes(keys)
    assert (found.message, found.help, found.at) == ("unknown key 'nmae'", "did you mean 'name'?", "key")
    del keys["nmae"]
    (found,) = mistakes(keys)
    assert (found.message, found.loc, found.at) == ("'name' is missing", ("rules", 0), "key")
    assert found.help == "write it like name: confirm-acme"
