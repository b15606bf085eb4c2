"""What holds of every decision, whatever the meetings, people, silences and accounts."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import event, given, settings

from rules.explain import explain
from rules.hours import quiet_until
from rules.model import Done, Intent, Plan, Snapshot
from rules.plan import evaluate
from rules.policy import Policy
from tests.support.meetings import ME, NOW, account
from tests.support.worlds import policies, seen, snapshots

FOREIGN = {"confirm", "reschedule"}
"""What writes to somebody else."""


def planned(one: Snapshot, rules: Policy, now: datetime = NOW) -> Plan:
    """The plan with every account just read; the future is nobody's business here."""
    return evaluate(seen(one, now), rules, now, foresee=False)


def done(*intents: Intent) -> dict[str, Done]:
    """All of them sent."""
    return {one.intent_key: Done(key=one.intent_key, state="sent", at=NOW) for one in intents}


def is_quiet(rules: Policy, zones: list[str | None], now: datetime) -> bool:
    """Whether it is night in any of the zones."""
    quiet = rules.guard.quiet_hours
    return quiet is not None and any(
        quiet_until(quiet.start, quiet.end, zone, now) for zone in zones if zone is not None
    )


@given(snapshots(), policies())
@settings(max_examples=60, deadline=None)
def test_the_order_of_input_does_not_matter(one: Snapshot, rules: Policy) -> None:
    """Shuffled subjects, people known and accounts: the same plan, foreseen as well."""
    shuffle = random.Random(7)
    mixed = list(one.subjects)
    shuffle.shuffle(mixed)
    other = replace(
        one,
        subjects=tuple(mixed[: len(mixed) // 2]),
        context=tuple(mixed[len(mixed) // 2 :]),
        contacts=dict(reversed(one.contacts.items())),
        accounts=dict(reversed(one.accounts.items())),
    )
    same = replace(other, subjects=tuple(mixed), context=())
    whole = evaluate(one, rules, NOW)
    assert evaluate(same, rules, NOW) == whole
    part = evaluate(other, rules, NOW)
    judged = {each.key for each in other.subjects}
    assert set(part.findings) == {each for each in whole.findings if each.key in judged}


@given(snapshots(), policies())
@settings(max_examples=60, deadline=None)
def test_after_delivery_nothing_is_left_to_plan(one: Snapshot, rules: Policy) -> None:
    """Keys are unique and end their step, turn by turn."""
    plan = planned(one, rules)
    keys = [each.intent_key for each in plan.intents]
    for each in plan.intents:
        event(each.rule)
    assert len(keys) == len(set(keys))
    assert planned(replace(one, done=done(*plan.intents)), rules).intents == ()


@given(snapshots(), policies())
@settings(max_examples=60, deadline=None)
def test_no_intent_outside_its_time_in_quiet_hours_or_against_a_word(one: Snapshot, rules: Policy) -> None:
    """``at`` ≤ now < ``until``; awake here and there; no opt-out, no silence, nothing from before."""
    for now in (NOW, NOW + timedelta(hours=4), NOW + timedelta(hours=13)):
        for each in planned(one, rules, now).intents:
            assert each.due <= now < each.until
            if each.do in {"mark", "webhook"}:
                continue
            theirs = one.accounts[each.key.calendar.account].time_zone
            zones = [one.owner.zone, theirs if each.do in FOREIGN else None]
            assert not is_quiet(rules, zones, now)
            assert each.do not in FOREIGN or not any(out.matches(each.to) for out in rules.optouts)
            assert all(
                silence.until <= now or not any(name.matches(each.rule) for name in silence.match.rule or ())
                for silence in rules.silences
            )


@given(snapshots(), policies())
@settings(max_examples=60, deadline=None)
def test_unknown_writes_to_nobody_but_the_owner(one: Snapshot, rules: Policy) -> None:
    """Where answers are not trusted and nothing is recorded, what rests on them is silent."""
    trustless = {name: replace(each, rsvp_trusted=False) for name, each in one.accounts.items()}
    unknown = planned(replace(one, accounts=trustless, attendance={}, records={}), rules)
    writing = {each.rule for each in unknown.intents if each.do in FOREIGN}
    assert writing <= {"clash", "away", "gone", "quiet"}
    vanished = {each.key for each in one.subjects if each.removed_at is not None}
    for each in planned(one, rules).intents:
        assert (each.to == ME) is (each.do in {"notify", "check_in", "mark"})
        assert each.key not in vanished or each.rule == "gone"
        assert each.key not in vanished or each.do not in FOREIGN


@pytest.mark.parametrize("gone", ["acme", "own"])
@given(snapshots(), policies())
@settings(max_examples=40, deadline=None)
def test_a_blind_account_concludes_nothing(gone: str, one: Snapshot, rules: Policy) -> None:
    """Nor does anybody count as silent while any account cannot be seen."""
    blind = one.accounts | {gone: account(gone, seen_at=NOW - timedelta(hours=1))}
    for each in evaluate(replace(one, accounts=blind), rules, NOW).intents:
        assert each.key.calendar.account != gone
        assert each.rule != "quiet"


@given(snapshots(), policies())
@settings(max_examples=30, deadline=None)
def test_the_plan_wakes_before_its_answer_changes(one: Snapshot, rules: Policy) -> None:
    """Brute force over a grid: until ``wake_at`` nothing new is found, asked or told.

    What was open may fall silent without a wake when quiet hours begin: the outbox keeps them, too.
    """
    plan = planned(one, rules)
    for minutes in range(15, 16 * 60, 15):
        later = NOW + timedelta(minutes=minutes)
        asleep = [key for key, wake in plan.wake_at.items() if wake is None or later < wake]
        if not asleep:
            break
        then = planned(one, rules, later)
        for key in asleep:
            before = {each.intent_key for each in plan.intents if each.key == key}
            after = {each.intent_key for each in then.intents if each.key == key}
            assert after <= before
            assert after == before or is_quiet(rules, [one.owner.zone, "Asia/Tokyo"], later)
            found = [{each for each in some.findings if each.key == key} for some in (plan, then)]
            assert found[0] == found[1]


@given(snapshots(), policies())
@settings(max_examples=15, deadline=None)
def test_following_the_wakes_sends_what_looking_always_sends(one: Snapshot, rules: Policy) -> None:
    """Each message at the same moment, over half a day, each sent as it is found."""
    always, waking = one, one
    wake = dict.fromkeys((each.key for each in one.subjects), NOW)
    for minutes in range(0, 12 * 60, 15):
        now = NOW + timedelta(minutes=minutes)
        found = planned(always, rules, now)
        always = replace(always, done=always.done | done(*found.intents))
        due = tuple(each for each in one.subjects if (at := wake[each.key]) is not None and at <= now)
        rest = tuple(each for each in one.subjects if each not in due)
        if due:
            slice_ = planned(replace(waking, subjects=due, context=rest), rules, now)
            waking = replace(waking, done=waking.done | done(*slice_.intents))
            wake |= slice_.wake_at
        assert set(waking.done) == set(always.done), now


@given(snapshots(), policies())
@settings(max_examples=40, deadline=None)
def test_the_explanation_never_contradicts_the_plan(one: Snapshot, rules: Policy) -> None:
    """A step said to be open is exactly a step that is planned, in the same manner."""
    whole = {
        (each.rule, each.step, each.turn, each.to, each.mode, each.hold, str(each.identity))
        for each in planned(one, rules).intents
    }
    explained = {
        (trace.rule, step.step, step.turn, step.to, step.mode, step.hold, str(each.identity))
        for each in one.subjects
        for trace in explain(one, rules, each, NOW)
        for step in trace.steps
        if step.stage == "open"
    }
    assert whole <= explained
    assert {each[:4] for each in explained} <= {each[:4] for each in whole}
