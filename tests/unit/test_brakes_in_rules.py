"""Brakes that the decision itself holds: how far a rule may go, silences, opt-outs, quiet hours, caution."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rules.caution import caution
from rules.fields import Pattern
from rules.match import Silence, SilenceMatch
from rules.model import Address, Attendee, CuType, PartStat, Plan, Status
from rules.policy import Mode, Policy
from tests.support.meetings import (
    AL,
    BO,
    JO,
    ME,
    account,
    at,
    meeting,
    owner,
    plan,
    policy,
    rule,
    sent,
    step,
    steps,
    theirs,
)

ASK = step("ask", "confirm", "48h before start", "2h before start")
TELL = step("tell", "notify", "48h before start", "2h before start")
LABEL = step("label", "mark", "48h before start", "2h before start", label="open")
CALL = step("call", "webhook", "48h before start", "2h before start", webhook="crm")
BOTH = rule("unconfirmed", ASK, TELL)
ALL = rule("unconfirmed", ASK, TELL, LABEL, CALL)


def modes(found: Plan) -> dict[str, str]:
    """How far each step may go by itself."""
    return {one.step: one.mode for one in found.intents}


def withheld(found: Plan) -> dict[str, str]:
    """Which steps are withheld, and why."""
    return {one.step: one.why for one in found.withheld}


@pytest.mark.parametrize("of_rule", list(Mode))
@pytest.mark.parametrize("of_account", [Mode.OBSERVE, Mode.APPROVE, Mode.AUTO])
@pytest.mark.parametrize("demoted", [Mode.OBSERVE, Mode.DRAFT, None])
def test_the_least_of_rule_demotion_and_account_decides(
    of_rule: Mode, of_account: Mode, demoted: Mode | None
) -> None:
    """What tells me alone asks nobody's approval, and the account does not hold it back."""
    rules = policy(ALL | {"mode": of_rule})
    rules = rules.model_copy(update={"demoted": {"rule": demoted} if demoted else {}})
    accounts = {"acme": account(mode=of_account, now=at(3))}
    found = plan(rules, meeting(), hours=3, accounts=accounts)
    mine = [of_rule, *([demoted] if demoted else [])]
    least = min([*mine, of_account], key=list(Mode).index)
    expected = {} if least is Mode.OBSERVE else dict.fromkeys(("ask", "label", "call"), least)
    if Mode.OBSERVE not in mine:
        expected["tell"] = Mode.AUTO
    assert modes(found) == expected
    observed = dict.fromkeys({"ask", "tell", "label", "call"} - set(expected), "mode is observe")
    assert withheld(found) == observed


def silenced(match: dict[str, Any], days: float = 1, comment: str = "") -> Policy:
    """The rules with one silence of so many days from NOW."""
    silence = Silence(id=7, match=SilenceMatch.model_validate(match), until=at(24 * days), comment=comment)
    return policy(BOTH).model_copy(update={"silences": (silence,)})


def test_a_silence_holds_everything_back_until_it_ends() -> None:
    """Me included; the plan wakes at its end and the step is then sent."""
    rules = silenced({"title": "kickoff"}, comment="audit week")
    found = plan(rules, meeting(), hours=3)
    assert found.intents == ()
    why = "silence 7 (audit week) until Tue 2026-03-03 09:00"
    assert withheld(found) == {"ask": why, "tell": why}
    assert found.wake_at[meeting().key] == at(24)
    assert [(one.step, one.at) for one in plan(rules, meeting()).upcoming] == [
        ("ask", at(24)),
        ("tell", at(24)),
    ]
    assert len(plan(rules, meeting(), hours=24).intents) == 2


@pytest.mark.parametrize(
    ("match", "fits"),
    [
        ({"rule": "ru*"}, True),
        ({"rule": "other"}, False),
        ({"rule": "rule", "client": "Acme"}, True),
        ({"client": "Initech"}, False),
        ({"attendee": "jo@*"}, True),
        ({"not": {"attendee": "jo@*"}}, False),
    ],
)
def test_a_silence_asks_what_a_rule_may_ask_and_which_rule(match: dict[str, Any], *, fits: bool) -> None:
    """Every key given must fit."""
    accounts = {"acme": account(client="Acme", now=at(3))}
    found = plan(silenced(match), meeting(), hours=3, accounts=accounts)
    assert (not found.intents) is fits


def test_of_several_silences_the_longest_counts_and_a_past_one_does_not() -> None:
    """A step that lapses meanwhile is gone."""
    both = silenced({"title": "kickoff"}, 0.2).silences + silenced({"rule": "rule"}, 0.4).silences
    rules = policy(BOTH).model_copy(update={"silences": both})
    assert {one.until for one in plan(rules, meeting(), hours=3).withheld} == {at(9.6)}
    assert len(plan(rules, meeting(), hours=10).intents) == 2
    long = silenced({}, 9)
    assert plan(long, meeting(), hours=47.9).intents == ()
    assert plan(long, meeting(), hours=48).withheld == ()


def test_who_opted_out_is_not_written_to_and_i_am_told_all_the_same() -> None:
    """By address or pattern; it is about who receives, not about who takes part."""
    rules = policy(BOTH).model_copy(update={"optouts": (Pattern.parse("*@ACME.example"),)})
    people = {JO: PartStat.NEEDS_ACTION, BO: PartStat.NEEDS_ACTION}
    found = plan(rules, meeting(people=people), hours=3)
    assert steps(found) == [("ask", BO), ("tell", ME)]
    assert withheld(found) == {"ask": "jo@acme.example asked not to be written to"}
    mine = policy(BOTH).model_copy(update={"optouts": (Pattern.parse(ME),)})
    assert steps(plan(mine, meeting(), hours=3)) == [("ask", JO), ("tell", ME)]


def quiet(
    part: str, *, hours: float, zone: str = "UTC", theirs: str | None = None, steps_: Any = BOTH
) -> Plan:
    """The plan under quiet hours, mine in ``zone`` and the recipient's in ``theirs``."""
    accounts = {"acme": account(time_zone=theirs, now=at(hours))}
    return plan(
        policy(steps_, quiet_hours=part), meeting(), hours=hours, owner=owner(zone), accounts=accounts
    )


def test_quiet_hours_of_the_recipient_count_for_the_recipient_alone() -> None:
    """At noon in UTC it is 21:00 in Tokyo."""
    found = quiet("20:00-08:00", hours=3, theirs="Asia/Tokyo")
    assert steps(found) == [("tell", ME)]
    # Tokyo wakes at 23:00 UTC, when I sleep; I wake at 08:00 UTC.
    assert found.withheld[0].until == at(23)
    assert found.wake_at[meeting().key] == at(23)
    assert steps(quiet("20:00-08:00", hours=23, theirs="Asia/Tokyo")) == [("ask", JO), ("tell", ME)]


def test_quiet_hours_of_two_zones_that_never_end_together_let_a_step_lapse() -> None:
    """Open from 08:00 to 20:00 here and there, twelve hours apart: there is no common minute."""
    found = quiet("20:00-08:00", hours=3, theirs="Pacific/Kwajalein")
    assert steps(found) == [("tell", ME)]
    assert found.withheld[0].until is None
    assert found.withheld[0].why == "quiet hours outlast it, so it lapses at Wed 2026-03-04 09:00"


def test_marks_and_webhooks_sleep_never() -> None:
    """Nobody is woken by them."""
    assert sorted(modes(quiet("09:00-20:00", hours=3, steps_=ALL))) == ["call", "label"]


def test_the_plan_looks_again_when_quiet_hours_end_where_the_rule_sleeps() -> None:
    """What opens in them is announced for their end."""
    assert [(one.step, one.at) for one in quiet("10:00-15:00", hours=0).upcoming] == [
        ("ask", at(6)),
        ("tell", at(6)),
    ]


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("no-reply@acme.example", "nobody reads"),
        ("jo.noreply@acme.example", "nobody reads"),
        ("do_not_reply@acme.example", "nobody reads"),
        ("notifications@acme.example", "nobody reads"),
        ("mailer-daemon@acme.example", "nobody reads"),
        ("bounces+1@acme.example", "nobody reads"),
        ("team@acme.example", "a mailing list"),
        ("dev-team@acme.example", "a mailing list"),
        ("all.staff@acme.example", "a mailing list"),
        ("x@lists.acme.example", "a mailing list"),
        ("x@groups.acme.example", "a mailing list"),
        ("room4@acme.example", "a room"),
        ("meeting-room.blue@acme.example", "a room"),
        ("c_188@resource.calendar.google.com", "a room"),
        ("jo@acme.example", ""),
        ("rooney@acme.example", ""),
        ("allan@acme.example", ""),
        ("teamer@acme.example", ""),
        ("noreen.reply@acme.example", ""),
        ("listener@acme.example", ""),
    ],
)
def test_what_is_no_person_needs_my_word(address: str, why: str) -> None:
    """Machines, lists and rooms by their addresses; people with like names are people."""
    found = caution(Address(address), meeting())
    assert why in found
    assert bool(found) is bool(why)


def test_of_a_crowd_nobody_is_written_to_without_my_word() -> None:
    """More than ten people; rooms are no people, and I am told at once."""
    people = {Address(f"p{n}@acme.example"): PartStat.ACCEPTED for n in range(9)} | {
        JO: PartStat.NEEDS_ACTION
    }
    ten = meeting(people=people)
    room = Attendee(address=Address("r@acme.example"), cutype=CuType.ROOM)
    ten = replace(ten, attendees=(*ten.attendees, room))
    assert {one.hold for one in plan(policy(BOTH), ten, hours=3).intents} == {""}
    more = replace(ten, attendees=(*ten.attendees, Attendee(address=AL, partstat=PartStat.ACCEPTED)))
    holds = {one.step: one.hold for one in plan(policy(BOTH), more, hours=3).intents}
    assert holds == {"ask": "11 people are invited", "tell": ""}


@given(st.text(max_size=80), st.text(max_size=40))
@settings(max_examples=60, deadline=None)
def test_any_address_is_judged(name: str, host: str) -> None:
    """No address fails, and a long hostile one costs nothing."""
    caution(Address(f"{name}@{host}"), meeting())
    caution(Address("all-" * 2000 + "x@" + "lists." * 2000), meeting())


NEWS = policy(rule("declined", step("move", "reschedule", "30 days before start"), TELL))


def test_a_no_from_before_the_first_read_is_the_past() -> None:
    """P9; the same no seen after it is news."""
    accounts = {"acme": account(first_seen_at=at(1), now=at(9))}
    old = meeting(people={JO: PartStat.DECLINED})
    found = plan(NEWS, old, hours=9, accounts=accounts)
    assert steps(found) == [("tell", ME)]  # opened after the first read
    assert withheld(found) == {"move": "it was already due when its calendar was first read"}
    fresh = replace(old, attendees=(replace(old.attendees[0], answered_at=at(2)),))
    assert steps(plan(NEWS, fresh, hours=9, accounts=accounts)) == [("move", JO), ("tell", ME)]


def test_a_cancellation_from_before_the_first_read_is_the_past() -> None:
    """One seen later is news."""
    rules = policy(rule("cancelled", step("move", "reschedule", "30 days before start")))
    accounts = {"acme": account(first_seen_at=at(1), now=at(9))}
    old = theirs(status=Status.CANCELLED, sequence=1)
    assert plan(rules, old, hours=9, accounts=accounts).intents == ()
    assert steps(plan(rules, replace(old, cancelled_at=at(2)), hours=9, accounts=accounts)) == [("move", BO)]


@pytest.mark.parametrize(
    ("when", "change"),
    [
        ({"ending": {"within": "45h"}}, {"recurring": True, "final": True}),
        ({"unconfirmed": {"min_age": "5h"}}, {"created": at(0)}),
    ],
    ids=["ending", "unconfirmed"],
)
def test_what_comes_true_by_time_after_the_first_read_is_news(when: Any, change: dict[str, Any]) -> None:
    """Its step opened before the first read, but there was nothing to say yet."""
    rules = policy(rule(when, step("tell", "notify", "30 days before start")))
    one = meeting(**change)
    for first, count in ((4, 1), (6, 0)):
        accounts = {"acme": account(first_seen_at=at(first), now=at(9))}
        assert len(plan(rules, one, hours=9, accounts=accounts).intents) == count


def test_a_turn_of_a_step_that_was_open_at_the_first_read_is_the_past_too() -> None:
    """The ladder began before rebookd came."""
    rules = policy(rule("unconfirmed", ASK, repeat_every="6h"))
    accounts = {"acme": account(first_seen_at=at(3), now=at(9))}
    assert plan(rules, meeting(), hours=9, accounts=accounts).intents == ()


def test_nothing_is_planned_in_a_blind_account_and_its_return_brings_it_back() -> None:
    """P3 and P2: nothing is lost either."""
    blind = {"acme": account(seen_at=at(3) - timedelta(minutes=30))}
    found = plan(policy(ALL), meeting(), hours=3, accounts=blind)
    assert found.intents == ()
    assert set(withheld(found).values()) == {"acme has not been seen since Mon 2026-03-02 11:30"}
    assert len(plan(policy(ALL), meeting(), hours=3).intents) == 4


def test_a_copy_out_of_sight_may_hold_the_answer() -> None:
    """P3: nobody else is written to while any copy is blind; I am told, since that accuses nobody."""
    accounts = {"acme": account(seen_at=at(-2)), "own": account("own", now=at(3))}
    found = plan(policy(BOTH), meeting(), meeting(account="own"), hours=3, accounts=accounts)
    assert steps(found) == [("tell", ME)]
    assert "acme has not been seen since" in withheld(found)["ask"]


def test_after_delivery_a_demotion_plans_nothing_again() -> None:
    """The key does not hold the mode."""
    done = sent(plan(policy(ALL), meeting(), hours=3))
    demoted = policy(ALL).model_copy(update={"demoted": {"rule": Mode.APPROVE}})
    assert plan(demoted, meeting(), hours=4, done=done).intents == ()
