"""``silent``: who has gone quiet, counted from the meeting last held with them."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from rules.contacts import held, unanswered, usual_gap
from rules.model import Contact, Encounter, Identity, Met, Occurrence, PartStat, Plan, Status
from tests.support.meetings import (
    AL,
    BO,
    JO,
    ME,
    account,
    at,
    meeting,
    plan,
    policy,
    rule,
    step,
    steps,
    theirs,
    traced,
)

DAY = 24
SILENT = policy(rule("silent", step("write", "reschedule", "at end")))


def last(**more: Any) -> Occurrence:
    """The meeting last held with Jo: it ended at NOW."""
    return meeting("last", starts=-0.5, people={JO: PartStat.ACCEPTED}, **more)


def met(days: float, what: Met = Met.HELD) -> Encounter:
    """What a meeting that ended so many days from NOW came to."""
    return Encounter(identity=Identity(uid=f"{what}{days}"), at=at(days * DAY), met=what)


WEEKLY = tuple(met(days) for days in (-21, -14, -7, 0))
TWO_SIGNALS = (met(8, Met.UNANSWERED), met(15, Met.DECLINED))


def jo(*more: Encounter, since: Occurrence | None = None, written: tuple[datetime, ...] = ()) -> Contact:
    """Jo, met every week up to NOW, and what came after."""
    return Contact(address=JO, encounters=(*WEEKLY, *more), last=since or last(), written=written)


def asked(*context: Occurrence, days: float = 30, contact: Contact | None = None, **more: Any) -> Plan:
    """The plan so many days after the last meeting."""
    known = contact or jo(*TWO_SIGNALS)
    return plan(SILENT, last(), hours=days * DAY, context=context, contacts={JO: known}, **more)


def test_silence_is_the_greater_of_twice_the_usual_gap_and_the_least() -> None:
    """Weekly people are silent after the 21 days of ``at_least``; monthly ones after two months."""
    before = asked(days=20.9)
    assert (before.intents, before.wake_at[last().key]) == ((), at(21 * DAY))
    assert steps(asked(days=21)) == [("write", JO)]
    monthly = Contact(address=JO, encounters=(met(-60), met(-30), met(0), *TWO_SIGNALS), last=last())
    assert asked(days=59.9, contact=monthly).intents == ()
    assert steps(asked(days=60, contact=monthly)) == [("write", JO)]


def test_the_least_silence_is_the_owners_choice_and_may_be_business_days() -> None:
    """Fifteen business days are three weeks, ten are two."""
    for written, days in (("15 business days", 21), ("10 business days", 14), ("40d", 40)):
        rules = policy(rule({"silent": {"at_least": written}}, step("tell", "notify", "at end")))
        found = plan(rules, last(), hours=1, contacts={JO: jo(*TWO_SIGNALS)})
        assert found.wake_at[last().key] == at(days * DAY), written


def test_the_usual_gap_is_the_median() -> None:
    """One long summer does not make a habit."""
    ends = [at(days * DAY) for days in (-100, -21, -14, -7, 0)]
    assert usual_gap(ends) == timedelta(days=7).total_seconds()


@pytest.mark.parametrize(
    "contact",
    [
        Contact(address=JO, encounters=(met(-7), met(0), *TWO_SIGNALS), last=last()),
        Contact(address=JO, encounters=(*WEEKLY, met(8, Met.UNANSWERED)), last=last()),
        Contact(address=JO, encounters=(*WEEKLY, *TWO_SIGNALS), last=meeting("later", starts=30)),
        Contact(address=JO, encounters=(*WEEKLY, *TWO_SIGNALS)),
        Contact(address=BO, encounters=(*WEEKLY, *TWO_SIGNALS), last=last()),
        Contact(address=JO, encounters=(*WEEKLY, met(-8, Met.DECLINED), met(-9, Met.MISSED)), last=last()),
        Contact(
            address=JO, encounters=(*WEEKLY, met(8, Met.MISSED_BY_ME), met(9, Met.MISSED_BY_ME)), last=last()
        ),
    ],
    ids=[
        "held twice",
        "one signal",
        "another last",
        "no last",
        "somebody else",
        "old signals",
        "my own misses",
    ],
)
def test_nobody_is_silent_without_habit_signals_and_this_last_meeting(contact: Contact) -> None:
    """Three meetings held, two signals since, and only the last meeting speaks."""
    who = contact.address
    found = plan(SILENT, last(), hours=30 * DAY, contacts={who: contact})
    assert found.intents == ()


def test_a_message_of_mine_is_a_signal_and_the_plan_looks_again_daily() -> None:
    """It may tip the scales any day, so a long silence is looked at every day."""
    one = jo(met(8, Met.UNANSWERED))
    quiet = asked(contact=one)
    assert (quiet.intents, quiet.wake_at[last().key]) == ((), at(31 * DAY))
    wrote = replace(one, written=(at(9 * DAY),))
    assert steps(asked(contact=wrote)) == [("write", JO)]
    assert unanswered(wrote, at(0)) == [
        "left an invitation unanswered 2026-03-10",
        "got a message of mine 2026-03-11",
    ]


def test_an_open_invitation_ahead_is_a_signal_an_accepted_one_ends_the_silence() -> None:
    """What Jo has accepted ahead is no silence."""
    ahead = meeting("ahead", starts=40 * DAY)
    assert steps(asked(ahead, contact=jo(met(8, Met.UNANSWERED)))) == [("write", JO)]
    accepted = meeting("ahead", starts=40 * DAY, people={JO: PartStat.ACCEPTED})
    held_back = asked(accepted)
    assert held_back.intents == ()
    assert held_back.wake_at[last().key] == at(31 * DAY)
    assert len(asked(replace(accepted, status=Status.CANCELLED)).intents) == 1


def test_an_invitation_of_theirs_that_i_declined_says_nothing_against_them() -> None:
    """It is nothing accepted ahead, and no signal either; unanswered by me it is not silence."""
    refused = theirs("ahead", starts=40 * DAY, organizer=JO, me=PartStat.DECLINED)
    assert asked(refused, contact=jo(met(8, Met.UNANSWERED))).intents == ()
    assert len(asked(refused).intents) == 1
    assert asked(theirs("ahead", starts=40 * DAY, organizer=JO, me=PartStat.NEEDS_ACTION)).intents == ()


def test_time_away_does_not_count() -> None:
    """Ten days of holiday, half of them overlapping another, move the day by ten."""
    sun = meeting("sun", starts=5 * DAY, lasts=7 * DAY, title="[away]", organizer=None, attendees=())
    more = meeting("more", starts=10 * DAY, lasts=5 * DAY, title="[away]", organizer=None, attendees=())
    assert asked(sun, more, days=1).wake_at[last().key] == at(31 * DAY)
    late = meeting("late", starts=60 * DAY, lasts=5 * DAY, title="[away]", organizer=None, attendees=())
    assert asked(late, days=1).wake_at[last().key] == at(21 * DAY)
    before = meeting("before", starts=-5 * DAY, lasts=7 * DAY, title="[away]", organizer=None, attendees=())
    assert asked(before, days=1).wake_at[last().key] == at(23 * DAY)


def test_any_account_out_of_sight_makes_silence_unknown() -> None:
    """Jo may have accepted something there."""
    now = at(30 * DAY)
    accounts = {"acme": account(now=now), "own": account("own", seen_at=now - timedelta(hours=9))}
    assert asked(accounts=accounts).intents == ()
    trace = traced(SILENT, last(), hours=30 * DAY, contacts={JO: jo(*TWO_SIGNALS)}, accounts=accounts)
    assert (trace.outcome, trace.reason) == ("unknown", "own cannot be seen")


def test_each_person_of_the_last_meeting_is_asked_by_themselves() -> None:
    """Al still answers; only Jo has gone quiet."""
    both = replace(last(), attendees=meeting(people={JO: PartStat.ACCEPTED, AL: PartStat.ACCEPTED}).attendees)
    contacts = {
        JO: jo(*TWO_SIGNALS, since=both),
        AL: Contact(address=AL, encounters=WEEKLY, last=both),
    }
    assert steps(plan(SILENT, both, hours=30 * DAY, contacts=contacts)) == [("write", JO)]


def test_a_step_of_silence_stays_open_for_three_months() -> None:
    """A step ``at end`` would else have lapsed before anybody is silent."""
    (one,) = asked().intents
    assert (one.due, one.until) == (at(0), at(90 * DAY))


def test_a_silence_that_began_before_the_first_sync_ends_is_news_when_it_grows_too_long() -> None:
    """The step opened long ago; the silence grew too long after the first read."""
    now = at(30 * DAY)
    assert len(asked(accounts={"acme": account(now=now, first_seen_at=at(20 * DAY))}).intents) == 1
    assert asked(accounts={"acme": account(now=now, first_seen_at=at(22 * DAY))}).intents == ()


def test_the_owner_can_be_told_instead() -> None:
    """``notify`` goes to the owner."""
    rules = policy(rule("silent", step("tell", "notify", "30 days after end")))
    assert steps(plan(rules, last(), hours=30 * DAY, contacts={JO: jo(*TWO_SIGNALS)})) == [("tell", ME)]


def test_only_meetings_held_make_a_habit() -> None:
    """In order of time, whatever the order they are remembered in."""
    contact = Contact(address=JO, encounters=(met(0), met(-9, Met.MISSED), met(-7)))
    assert held(contact) == [at(-7 * DAY), at(0)]
