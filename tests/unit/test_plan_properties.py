"""What holds of every decision, whatever the meetings."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from rules.explain import explain
from rules.model import Attendance, Done, Held, Occurrence, PartStat, Snapshot, Status
from rules.plan import evaluate
from tests.support.meetings import BO, JO, ME, NOW, account, meeting, policy, rule, snapshot, step

POLICY = policy(
    rule(
        {"unconfirmed": {"tentative": "counts", "min_age": "1h"}},
        step("ask", "confirm", "6h before start", "3h before start"),
        step("move", "reschedule", "2h before start"),
        step("tell", "notify", "30m before start"),
        name="ask",
        inhibited_by=["clash"],
    ),
    rule(
        {"missed": {"presume": ["never_confirmed"]}},
        step("offer", "reschedule", "15m after end", "2h after end"),
        name="miss",
    ),
    rule("unaccounted", step("check", "check_in", "10m after end", "3h after end"), name="check"),
    rule(
        {"conflict": {"keep": ["account:acme"]}},
        step("move", "reschedule", "7d before start", "1h before start"),
        name="clash",
    ),
    quiet_hours="20:00-08:00",
)


@st.composite
def meetings(draw: st.DrawFn) -> Occurrence:
    """A meeting within half a day of NOW."""
    who = draw(st.lists(st.sampled_from([JO, BO, "al@acme.example"]), max_size=2, unique=True))
    one = meeting(
        draw(st.sampled_from(["a", "b", "c", "d"])),
        starts=draw(st.integers(-24, 60)) / 4,
        lasts=draw(st.integers(1, 8)) / 4,
        account=draw(st.sampled_from(["acme", "own"])),
        people={address: draw(st.sampled_from(list(PartStat))) for address in who},
    )
    return replace(
        one,
        status=draw(st.sampled_from([Status.CONFIRMED, Status.CONFIRMED, Status.CANCELLED])),
        transparent=draw(st.booleans()),
        organizer=draw(st.sampled_from([ME, ME, None, BO])),
        created=draw(st.sampled_from([None, NOW - timedelta(minutes=20), NOW - timedelta(days=3)])),
    )


@st.composite
def snapshots(draw: st.DrawFn) -> Snapshot:
    """Up to five meetings and what is known of them."""
    found = {one.key: one for one in draw(st.lists(meetings(), max_size=5))}
    held = draw(st.dictionaries(st.sampled_from(["a", "b", "c"]), st.sampled_from(list(Held)), max_size=2))
    trusted = draw(st.booleans())
    return snapshot(
        *found.values(),
        accounts={name: account(name, rsvp_trusted=trusted) for name in ("acme", "own")},
        attendance={uid: Attendance(held=value, source="word", at=NOW) for uid, value in held.items()},
    )


@given(snapshots(), st.randoms(use_true_random=False))
@settings(max_examples=150, deadline=None)
def test_the_order_of_input_does_not_matter(seen: Snapshot, shuffle: random.Random) -> None:
    """Shuffled subjects, same plan."""
    mixed = list(seen.subjects)
    shuffle.shuffle(mixed)
    assert evaluate(replace(seen, subjects=tuple(mixed)), POLICY, NOW) == evaluate(seen, POLICY, NOW)


@given(snapshots())
@settings(max_examples=150, deadline=None)
def test_after_delivery_nothing_is_left_to_plan(seen: Snapshot) -> None:
    """Keys are unique and end their step."""
    plan = evaluate(seen, POLICY, NOW)
    keys = [one.intent_key for one in plan.intents]
    assert len(keys) == len(set(keys))
    done = {key: Done(key=key, state="sent", at=NOW) for key in keys}
    assert evaluate(replace(seen, done=done), POLICY, NOW).intents == ()


@given(snapshots())
@settings(max_examples=150, deadline=None)
def test_no_intent_outside_its_time(seen: Snapshot) -> None:
    """``at`` ≤ now < ``until``, and outside the quiet hours."""
    for one in evaluate(seen, POLICY, NOW).intents:
        assert one.due <= NOW < one.until


@given(snapshots())
@settings(max_examples=150, deadline=None)
def test_unknown_mails_nobody_but_the_owner(seen: Snapshot) -> None:
    """Where answers and attendance are unknown, only the owner hears."""
    blind = replace(
        seen,
        accounts={name: replace(one, rsvp_trusted=False) for name, one in seen.accounts.items()},
        attendance={},
    )
    clashing = {one.rule for one in evaluate(blind, POLICY, NOW).intents if one.to != ME}
    assert clashing <= {"clash"}


@given(snapshots())
@settings(max_examples=60, deadline=None)
def test_the_plan_wakes_before_its_answer_changes(seen: Snapshot) -> None:
    """Brute force over a ten-minute grid: until ``wake_at`` every evaluation plans the same."""
    plan = evaluate(seen, POLICY, NOW)
    for key, wake in plan.wake_at.items():
        before = {one.intent_key for one in plan.intents if one.key == key}
        for minutes in range(10, 20 * 60, 10):
            later = NOW + timedelta(minutes=minutes)
            if wake is not None and later >= wake:
                break
            fresh = {name: replace(one, seen_at=later) for name, one in seen.accounts.items()}
            then = evaluate(replace(seen, accounts=fresh), POLICY, later)
            assert {one.intent_key for one in then.intents if one.key == key} == before


@given(snapshots())
@settings(max_examples=60, deadline=None)
def test_the_explanation_never_contradicts_the_plan(seen: Snapshot) -> None:
    """A step said to be open is exactly a step that is planned."""
    planned = {(one.rule, one.step, one.to, one.key.uid) for one in evaluate(seen, POLICY, NOW).intents}
    explained = {
        (trace.rule, step.step, step.to, one.key.uid)
        for one in seen.subjects
        for trace in explain(seen, POLICY, one, NOW)
        for step in trace.steps
        if step.stage == "open"
    }
    assert explained == planned
