"""Ladders: when steps open, repeat, overtake each other, share a message, and start over."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from rules.model import Attendance, Done, Held, Intent, Occurrence, PartStat, Plan
from rules.policy import Policy, Rule
from rules.steps import timed
from tests.support.meetings import (
    AL,
    BO,
    JO,
    ME,
    NOW,
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
)

DAILY = policy(
    rule(
        "unconfirmed",
        step("ask", "confirm", "48h before start", "4h before start"),
        repeat_every="12h",
        at_most=3,
    )
)


def turns(one: Rule, meeting_: Occurrence, zone: str = "UTC") -> list[tuple[str, int, float, float]]:
    """Step, turn, and when it opens and lapses in hours from NOW."""
    found = timed(one, meeting_, owner(zone).hours)
    hours = lambda when: (when - NOW).total_seconds() / 3600  # noqa: E731 - a word for this place alone
    return [(each.step.step, each.turn, hours(each.due), hours(each.until)) for each in found]


def test_a_repeated_step_takes_turns_that_do_not_overlap() -> None:
    """Every twelve hours, three times, the last until the step lapses."""
    assert turns(DAILY.rules[0], meeting()) == [("ask", 1, 2, 14), ("ask", 2, 14, 26), ("ask", 3, 26, 46)]


def test_a_step_has_its_own_word_on_repeating() -> None:
    """It beats the rule's; other steps follow the rule."""
    rules = policy(
        rule(
            "unconfirmed",
            step("ask", "confirm", "48h before start", "24h before start", repeat_every="8h", at_most=2),
            step("tell", "notify", "3h before start"),
            repeat_every="2h",
        )
    )
    assert turns(rules.rules[0], meeting()) == [
        ("ask", 1, 2, 10),
        ("ask", 2, 10, 26),
        ("tell", 1, 47, 49),
        ("tell", 2, 49, 50),
    ]


def test_without_a_limit_repeating_ends_all_the_same() -> None:
    """Twenty times at most."""
    rules = policy(rule("unconfirmed", step("tell", "notify", "48h before start", repeat_every="1h")))
    assert len(turns(rules.rules[0], meeting())) == 20


def test_each_turn_is_sent_once_and_a_missed_one_is_not_made_up_for() -> None:
    """A daemon that slept through a turn sends only the present one."""
    first = plan(DAILY, meeting(), hours=2)
    assert [one.turn for one in first.intents] == [1]
    assert plan(DAILY, meeting(), hours=13, done=sent(first)).intents == ()
    assert [one.turn for one in plan(DAILY, meeting(), hours=14, done=sent(first)).intents] == [2]
    assert [one.turn for one in plan(DAILY, meeting(), hours=27, done=sent(first)).intents] == [3]
    assert plan(DAILY, meeting(), hours=2).wake_at[meeting().key] == at(14)


def test_a_later_step_ends_the_turns_of_an_earlier_one() -> None:
    """Once other times are offered nobody is asked again whether the old one suits."""
    rules = policy(
        rule(
            "unconfirmed",
            step("ask", "confirm", "48h before start", repeat_every="10h"),
            step("move", "reschedule", "24h before start"),
            step("tell", "notify", "24h before start", repeat_every="10h"),
        )
    )
    assert steps(plan(rules, meeting(), hours=25)) == [("ask", JO)]
    assert steps(plan(rules, meeting(), hours=33)) == [("move", JO), ("tell", ME)]
    assert steps(plan(rules, meeting(), hours=37)) == [("move", JO), ("tell", ME)]


def test_a_move_starts_the_ladder_over_and_moving_back_does_not_repeat_it() -> None:
    """The start is part of the key."""
    first = plan(DAILY, meeting(), hours=2)
    moved = plan(DAILY, meeting(starts=51), hours=3, done=sent(first))
    assert steps(moved) == [("ask", JO)]
    assert plan(DAILY, meeting(), hours=4, done=sent(first) | sent(moved)).intents == ()


def test_steps_may_hang_on_either_end() -> None:
    """Before and after, start and end."""
    rules = policy(
        rule(
            "unaccounted",
            step("one", "notify", "1h after start", "5h after end"),
            step("two", "notify", "at end", "1 business day after end"),
        )
    )
    friday = meeting(starts=96, lasts=2)
    assert turns(rules.rules[0], friday) == [("one", 1, 97, 103), ("two", 1, 98, 98 + 72)]


def test_business_days_are_counted_where_the_rule_says() -> None:
    """Friday 20:00 UTC is Saturday in Tokyo: one business day later is Monday there, 20:00 UTC on Sunday."""
    plain = rule("unaccounted", step("tell", "notify", "1 business day after end"))
    friday = meeting(starts=106.5)
    assert friday.end == at(107)
    for zone, hours in ((None, 107 + 72), ("Asia/Tokyo", 107 + 48)):
        rules = policy(plain | ({"time_zone": zone} if zone else {}))
        assert turns(rules.rules[0], friday)[0][2] == hours


def test_business_days_keep_the_wall_time_over_a_change_of_clocks() -> None:
    """Lisbon's clocks go forward on 29 March 2026: three days later by the clock is an hour less."""
    rules = policy(rule("unaccounted", step("tell", "notify", "1 business day after end")))
    friday = meeting(starts=96 + 21 * 24)
    assert turns(rules.rules[0], friday, "Europe/Lisbon")[0][2] == 96 + 21 * 24 + 0.5 + 71


GROUPED = policy(
    rule(
        "unconfirmed",
        step("ask", "confirm", "48h before start"),
        step("tell", "notify", "48h before start"),
        group_by="contact",
        group_wait="15m",
    )
)


def grouped(policy: Policy, *meetings: Occurrence, **more: Any) -> dict[str, list[tuple[str, str]]]:
    """Which messages of which meetings share one."""
    found: dict[str, list[tuple[str, str]]] = {}
    for one in plan(policy, *meetings, hours=10, **more).intents:
        found.setdefault(one.group, []).append((one.key.uid, one.to))
    return found


def test_one_person_gets_one_message_about_several_meetings() -> None:
    """And so do I about that person; each meeting keeps its own record."""
    found = plan(GROUPED, meeting("a"), meeting("b", starts=51), hours=10).intents
    assert {one.wait.total_seconds() for one in found} == {900}
    assert len({one.intent_key for one in found}) == 4
    assert sorted(grouped(GROUPED, meeting("a"), meeting("b", starts=51)).values()) == [
        [("a", ME), ("b", ME)],
        [("a", JO), ("b", JO)],
    ]


def test_ten_minutes_is_the_wait_that_nobody_named() -> None:
    """And nothing waits that is not grouped."""
    bare = rule("unconfirmed", step("ask", "confirm", "48h before start"))
    assert [one.wait.total_seconds() for one in plan(policy(bare), meeting(), hours=3).intents] == [0]
    late = policy(bare | {"group_by": "contact"})
    assert [one.wait.total_seconds() for one in plan(late, meeting(), hours=3).intents] == [600]


def test_clients_never_share_a_message_even_with_one_person() -> None:
    """P11: the wall stands between Jo's meetings for Acme and for Initech."""
    accounts = {
        "acme": account(client="Acme", now=at(10)),
        "own": account("own", client="Acme", now=at(10)),
        "initech": account("initech", client="Initech", now=at(10)),
    }
    some = [meeting("a"), meeting("b", account="own"), meeting("c", account="initech")]
    found = grouped(GROUPED, *some, accounts=accounts)
    assert sorted(sorted(uid for uid, _ in each) for each in found.values()) == [
        ["a", "b"],
        ["a", "b"],
        ["c"],
        ["c"],
    ]


def test_about_other_people_i_get_another_message() -> None:
    """What tells me about Jo does not tell me about Bo."""
    found = grouped(GROUPED, meeting("a"), meeting("b", people={BO: PartStat.NEEDS_ACTION}))
    assert all(len(each) == 1 for each in found.values())


def test_one_knot_writes_to_one_person_once_at_once() -> None:
    """Two meetings with Bo give way to one with Jo: one message, and no waiting for others."""
    clash = policy(
        rule({"conflict": {"keep": "account:acme"}}, step("move", "reschedule", "7d before start"))
    )
    bo = {BO: PartStat.ACCEPTED}
    kept = meeting("kept", lasts=2)
    one, two = (meeting(uid, starts=50 + n, account="own", people=bo) for n, uid in enumerate(("x", "y")))
    far = meeting("far", starts=90)
    other = meeting("z", starts=90, account="own", people=bo)
    found = plan(clash, kept, one, two, far, other).intents
    assert [(each.key.uid, each.to) for each in found] == [("x", BO), ("y", BO), ("z", BO)]
    first, second, third = found
    assert first.group == second.group != third.group
    assert first.wait.total_seconds() == 0


LABEL = step("label", "mark", "48h before start", label="open")
CALL = step("call", "webhook", "48h before start", webhook="crm")


def test_a_mark_is_made_once_and_a_webhook_is_called_by_its_name() -> None:
    """Whoever the meeting is with; neither shares a message, neither overtakes a mail."""
    rules = policy(
        rule("unconfirmed", step("ask", "confirm", "49h before start"), LABEL, CALL, group_by="contact")
    )
    found = plan(rules, meeting(people={JO: PartStat.NEEDS_ACTION, AL: PartStat.NEEDS_ACTION}), hours=3)
    assert sorted(steps(found)) == [("ask", AL), ("ask", JO), ("call", "crm"), ("label", ME)]
    assert {one.step: bool(one.group) for one in found.intents} == {
        "ask": True,
        "call": False,
        "label": False,
    }


def test_the_key_tells_turns_apart_and_nothing_else_changes_it() -> None:
    """The first turn's key is that of a step that does not repeat."""
    (one,) = plan(DAILY, meeting(), hours=3).intents
    (again,) = plan(DAILY, meeting(), hours=15).intents
    assert one.intent_key == Intent.key_of("rule", "ask", one.identity, one.start, JO)
    assert again.intent_key == Intent.key_of("rule", "ask", one.identity, one.start, JO, turn=2)
    assert replace(again, turn=1).intent_key == one.intent_key


def test_inhibition_ends_when_the_other_rule_does_and_the_plan_wakes() -> None:
    """Also where the other rule looks at another copy of the meeting."""
    rules = policy(
        rule(
            "unconfirmed",
            step("ask", "confirm", "60h before start"),
            name="ask",
            match={"account": "acme"},
            inhibited_by="no",
        ),
        rule(
            {"declined": {"grace": "5h"}},
            step("t", "notify", "60h before start"),
            name="no",
            match={"account": "own"},
        ),
    )
    refused = meeting(account="own", people={JO: PartStat.NEEDS_ACTION, BO: PartStat.DECLINED})
    refused = replace(
        refused, attendees=(refused.attendees[0], replace(refused.attendees[1], answered_at=NOW))
    )
    both = (meeting(people={JO: PartStat.NEEDS_ACTION}), refused)
    early = plan(rules, *both)
    assert steps(early) == [("ask", JO)]
    assert early.wake_at[both[0].key] == at(5)
    late = plan(rules, *both, hours=5)
    assert [(one.rule, one.to) for one in late.intents] == [("no", ME)]


@pytest.mark.parametrize("state", ["sent", "unknown", "lapsed", "held", "suppressed", "pending"])
def test_whatever_became_of_a_message_it_is_not_planned_again(state: str) -> None:
    """P1 and P2: one key, one record."""
    (one,) = plan(DAILY, meeting(), hours=3).intents
    done = {one.intent_key: Done(key=one.intent_key, state=state, at=at(3))}
    found: Plan = plan(DAILY, meeting(), hours=4, done=done)
    assert (found.intents, found.withheld) == ((), ())


def test_settling_in_business_days_waits_for_them() -> None:
    """A Friday's meeting with a day to settle is judged on Monday."""
    word = {"kickoff": Attendance(held=Held.MISSED_BY_ATTENDEE, source="the owner's word", at=at(97))}
    offer = step("offer", "reschedule", "15m after end", "9 days after end")
    rules = policy(rule({"missed": {"settle": "1 business day"}}, offer))
    friday = meeting(starts=96)
    assert plan(rules, friday, hours=96.5 + 71, attendance=word).intents == ()
    assert steps(plan(rules, friday, hours=96.5 + 72, attendance=word)) == [("offer", JO)]
    asking = policy(
        rule(
            {"unaccounted": {"settle": "1 business day"}},
            step("ask", "check_in", "at end", "9 days after end"),
        )
    )
    assert plan(asking, friday, hours=96.5 + 71).wake_at[friday.key] == at(96.5 + 72)
