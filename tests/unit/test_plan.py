"""The decision: what is sent, to whom, when, and what is left alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from rules.model import (
    Account,
    Address,
    Attendance,
    Attendee,
    Held,
    Intent,
    PartStat,
    Role,
    Status,
    Timing,
)
from rules.plan import evaluate
from tests.support.meetings import (
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
    snapshot,
    step,
    steps,
)

LADDER = policy(
    rule(
        "unconfirmed",
        step("ask", "confirm", "48h before start", "28h before start"),
        step("move", "reschedule", "4h before start", "1h before start"),
        step("tell", "notify", "1h before start"),
    )
)


@pytest.mark.parametrize(
    ("hours", "expected"),
    [(1, []), (2, ["ask"]), (21.9, ["ask"]), (22, []), (46, ["move"]), (49, ["tell"]), (50, [])],
)
def test_a_step_acts_within_its_half_open_time(hours: float, expected: list[str]) -> None:
    """``at`` is included, ``until`` is not."""
    assert [name for name, _ in steps(plan(LADDER, meeting(), hours=hours))] == expected


def test_what_was_sent_is_not_planned_again() -> None:
    """A recorded key ends the step, whatever its state."""
    first = plan(LADDER, meeting(), hours=2)
    assert plan(LADDER, meeting(), hours=3, done=sent(first)).intents == ()


def test_a_moved_meeting_rearms_the_ladder() -> None:
    """The start is part of the key."""
    first = plan(LADDER, meeting(), hours=2)
    assert steps(plan(LADDER, meeting(starts=51), hours=3, done=sent(first))) == [("ask", JO)]


def test_one_meeting_in_two_calendars_is_one() -> None:
    """The same UID in two accounts gives one mail (P1)."""
    assert len(plan(LADDER, meeting(), meeting(account="own"), hours=2).intents) == 1


def test_an_answer_in_either_copy_counts() -> None:
    """A copy that never hears answers does not cause a mail."""
    yes = meeting(account="own", people={JO: PartStat.ACCEPTED})
    assert plan(LADDER, meeting(), yes, hours=2).intents == ()


def test_only_the_later_of_two_open_steps_is_sent() -> None:
    """A ladder that slept does not send two mails at once."""
    rules = policy(
        rule(
            "unconfirmed",
            step("ask", "confirm", "48h before start"),
            step("move", "reschedule", "4h before start"),
        )
    )
    assert steps(plan(rules, meeting(), hours=47)) == [("move", JO)]


def test_each_silent_attendee_gets_one_mail_and_the_others_none() -> None:
    """Only required people who have not answered are asked."""
    people = {JO: PartStat.NEEDS_ACTION, BO: PartStat.ACCEPTED, "al@acme.example": PartStat.NEEDS_ACTION}
    assert steps(plan(LADDER, meeting(people=people), hours=2)) == [("ask", "al@acme.example"), ("ask", JO)]


@pytest.mark.parametrize(
    "change",
    [
        {"status": Status.CANCELLED},
        {"timing": Timing.ALL_DAY},
        {"timing": Timing.FLOATING},
        {"timing": Timing.UNKNOWN_ZONE},
        {"attendees": ()},
        {"attendees": (Attendee(address=JO, role=Role.OPTIONAL),)},
        {"organizer": BO, "attendees": (Attendee(address=JO),)},
        {"organizer": BO, "attendees": (Attendee(address=ME, partstat=PartStat.TENTATIVE),)},
    ],
)
def test_what_is_not_eligible_is_left_alone(change: dict[str, object]) -> None:
    """Cancelled, untimed, nobody required, not mine, or only tentative by me."""
    assert plan(LADDER, replace(meeting(), **change), hours=2).intents == ()


def test_attendees_without_organizer_are_mine() -> None:
    """A calendar of mine without ORGANIZER counts as organised by me."""
    assert steps(plan(LADDER, replace(meeting(), organizer=None), hours=2)) == [("ask", JO)]


def test_the_organizer_counts_as_having_said_yes() -> None:
    """Somebody else's meeting that I accepted has nobody left to ask."""
    mine = Attendee(address=ME, partstat=PartStat.ACCEPTED)
    assert plan(LADDER, replace(meeting(), organizer=BO, attendees=(mine,)), hours=2).intents == ()


def test_a_delegate_stands_for_who_delegated() -> None:
    """RFC 5545 section 3.2.5: the delegate is asked."""
    who = Attendee(address=JO, partstat=PartStat.DELEGATED, delegated_to=BO)
    assert steps(plan(LADDER, replace(meeting(), attendees=(who,)), hours=2)) == [("ask", BO)]


def test_a_yes_from_before_the_move_is_stale() -> None:
    """RFC 6638 section 3.2.8: the time changed after the answer."""
    who = Attendee(address=JO, partstat=PartStat.ACCEPTED, answered_at=NOW - timedelta(days=2))
    moved = replace(meeting(), attendees=(who,), time_changed_at=NOW - timedelta(days=1))
    assert steps(plan(LADDER, moved, hours=2)) == [("ask", JO)]
    fresh = replace(who, answered_at=NOW)
    assert plan(LADDER, replace(moved, attendees=(fresh,)), hours=2).intents == ()


def test_tentative_counts_only_where_the_rule_says_so() -> None:
    """``tentative: counts``."""
    maybe = meeting(people={JO: PartStat.TENTATIVE})
    assert plan(LADDER, maybe, hours=2).intents == ()
    counts = policy(
        rule({"unconfirmed": {"tentative": "counts"}}, step("ask", "confirm", "48h before start"))
    )
    assert steps(plan(counts, maybe, hours=2)) == [("ask", JO)]


def test_min_age_lets_a_fresh_invitation_rest() -> None:
    """And the plan wakes when it is old enough."""
    rules = policy(rule({"unconfirmed": {"min_age": "2h"}}, step("ask", "confirm", "48h before start")))
    fresh = replace(meeting(), created=at(2))
    resting = plan(rules, fresh, hours=2.5)
    assert resting.intents == ()
    assert resting.wake_at[fresh.key] == at(4)
    assert steps(plan(rules, fresh, hours=4)) == [("ask", JO)]


def test_untrusted_answers_are_unknown_and_mail_nobody() -> None:
    """``rsvp: untrusted``: unknown never mails a client (P5)."""
    accounts = {"acme": account(rsvp_trusted=False, now=at(2))}
    assert plan(LADDER, meeting(), hours=2, accounts=accounts).intents == ()


def test_my_own_unanswered_invitation_is_told_to_me_alone() -> None:
    """``by: me``."""
    rules = policy(rule({"unconfirmed": {"by": "me"}}, step("tell", "notify", "24h before start")))
    mine = replace(meeting(), organizer=BO, attendees=(Attendee(address=ME),))
    assert steps(plan(rules, mine, hours=30)) == [("tell", ME)]


MISSED = policy(
    rule("missed", step("offer", "reschedule", "15m after end", "2 days after end"), name="no-show"),
    rule("unaccounted", step("was-it", "check_in", "10m after end", "1 day after end"), name="ask-me"),
)


def test_time_alone_never_accuses() -> None:
    """Without evidence only the owner is asked (P5)."""
    assert steps(plan(MISSED, meeting(starts=-1), hours=0)) == [("was-it", ME)]


@pytest.mark.parametrize(
    ("held", "expected"),
    [(Held.MISSED_BY_ATTENDEE, [("offer", JO)]), (Held.HELD, []), (Held.MISSED_BY_ME, [])],
)
def test_the_owners_word_decides(held: Held, expected: list[tuple[str, str]]) -> None:
    """Evidence of one kind is no evidence of another."""
    word = {"kickoff": Attendance(held=held, source="the owner's word", at=NOW)}
    assert steps(plan(MISSED, meeting(starts=-1), attendance=word)) == expected


def test_a_label_made_in_a_calendar_app_is_evidence() -> None:
    """A title prefix or a category, in any case."""
    by_title = replace(meeting(starts=-1), title="[No-Show] Kickoff")
    by_category = replace(meeting(starts=-1), categories=("No-show",))
    assert steps(plan(MISSED, by_title)) == steps(plan(MISSED, by_category)) == [("offer", JO)]


def test_presumption_is_the_owners_choice_and_speaks_softly() -> None:
    """``presume: [never_confirmed]`` reads silence as absence, a no as a no."""
    rules = policy(
        rule({"missed": {"presume": ["never_confirmed"]}}, step("offer", "reschedule", "15m after end"))
    )
    silent = plan(rules, meeting(starts=-1))
    assert steps(silent) == [("offer", JO)]
    assert silent.intents[0].tone == "presumed"
    assert plan(rules, meeting(starts=-1, people={JO: PartStat.DECLINED})).intents == ()
    assert plan(rules, meeting(starts=-1, people={JO: PartStat.ACCEPTED})).intents == ()


def test_a_replacement_ends_the_apologies() -> None:
    """A later meeting with the same people, made since, makes an offer pointless."""
    word = {"kickoff": Attendance(held=Held.MISSED_BY_ATTENDEE, source="the owner's word", at=NOW)}
    again = replace(meeting("again", starts=30, people={JO: PartStat.ACCEPTED}), created=NOW)
    assert plan(MISSED, meeting(starts=-1), again, attendance=word).intents == ()


CLASH = policy(
    rule(
        {"conflict": {"keep": ["account:acme"]}},
        step("move", "reschedule", "7d before start", "2h before start"),
    )
)


def test_the_lower_ranked_side_of_a_clash_moves_and_never_both() -> None:
    """``keep:`` decides; its person alone is written to."""
    rival = meeting("other", account="initech", people={BO: PartStat.ACCEPTED})
    assert steps(plan(CLASH, meeting(), rival)) == [("move", BO)]


def test_touching_meetings_do_not_clash() -> None:
    """Times are half-open."""
    rival = meeting("other", starts=50.5, account="initech", people={BO: PartStat.ACCEPTED})
    assert plan(CLASH, meeting(), rival).intents == ()


def test_in_a_knot_only_what_does_not_fit_moves() -> None:
    """A–B–C in a chain: moving B frees C."""
    first = meeting("a", starts=50, lasts=1)
    middle = meeting("b", starts=50.5, lasts=1, account="initech", people={BO: PartStat.ACCEPTED})
    last = meeting(
        "c", starts=51.2, lasts=1, account="initech", people={"al@initech.example": PartStat.ACCEPTED}
    )
    last = replace(last, created=NOW)
    assert steps(plan(CLASH, first, middle, last)) == [("move", BO)]


@pytest.mark.parametrize(
    "change",
    [{"transparent": True}, {"status": Status.CANCELLED}, {"organizer": JO}, {"timing": Timing.ALL_DAY}],
)
def test_what_does_not_take_my_time_clashes_with_nothing(change: dict[str, object]) -> None:
    """Transparent, cancelled, not mine, or all-day."""
    rival = replace(meeting("other", account="initech", people={BO: PartStat.ACCEPTED}), **change)
    assert plan(CLASH, replace(meeting()), rival).intents == ()


def test_a_clash_with_a_calendar_out_of_sight_is_unknown() -> None:
    """Stale data of another account moves nobody's meeting (P3)."""
    rival = meeting("other", account="initech", people={BO: PartStat.ACCEPTED})
    accounts = {"acme": account("acme", seen_at=NOW - timedelta(hours=5)), "initech": account("initech")}
    assert plan(CLASH, meeting(), rival, accounts=accounts).intents == ()


def test_an_inhibited_rule_keeps_silent() -> None:
    """``inhibited_by`` looks at the same meeting."""
    ask = rule("unconfirmed", step("ask", "confirm", "60h before start"), name="ask", inhibited_by=["clash"])
    clash = rule(
        {"conflict": {"keep": ["account:acme"]}}, step("move", "reschedule", "7d before start"), name="clash"
    )
    rival = meeting("other", account="initech", people={BO: PartStat.NEEDS_ACTION})
    found = plan(policy(ask, clash), meeting(), rival)
    assert sorted((one.rule, one.to) for one in found.intents) == [("ask", JO), ("clash", BO)]


def test_a_blind_account_stops_its_own_conclusions_only() -> None:
    """P3: the neighbour goes on."""
    accounts = {
        "acme": Account(name="acme", seen_at=at(0), first_seen_at=NOW - timedelta(days=9)),
        "own": account("own", now=at(2)),
    }
    found = plan(LADDER, meeting(), meeting("b", account="own"), hours=2, accounts=accounts)
    assert [one.key.uid for one in found.intents] == ["b"]
    assert "has not been seen since" in found.withheld[0].why


@pytest.mark.parametrize(
    "news",
    [{"appeared_at": NOW + timedelta(hours=4)}, {"time_changed_at": NOW + timedelta(hours=4)}],
    ids=["appeared", "moved"],
)
def test_what_is_new_since_the_first_sync_is_no_past(news: dict[str, datetime]) -> None:
    """A meeting made or moved after the first read is asked about, however late its step opened."""
    rules = policy(rule("unconfirmed", step("ask", "confirm", "48h before start")))
    accounts = {"acme": account(first_seen_at=at(3), now=at(5))}
    assert plan(rules, meeting(), hours=5, accounts=accounts).intents == ()
    assert len(plan(rules, replace(meeting(), **news), hours=5, accounts=accounts).intents) == 1


@pytest.mark.parametrize(("first_sync", "count"), [("quiet", 0), ("act", 1)])
def test_the_first_sync_never_mails_about_the_past(first_sync: str, count: int) -> None:
    """What was due before the first complete read stays unsent, unless the owner wants it (P9)."""
    rules = policy(rule("unconfirmed", step("ask", "confirm", "48h before start")), first_sync=first_sync)
    accounts = {"acme": account(first_seen_at=at(3), now=at(3))}
    assert len(plan(rules, meeting(), hours=3, accounts=accounts).intents) == count


def test_quiet_hours_move_a_step_to_their_end_or_let_it_lapse() -> None:
    """In the owner's zone."""
    steps_ = (
        step("ask", "confirm", "48h before start", "28h before start"),
        step("tell", "notify", "30h before start", "29h before start"),
    )
    rules = policy(rule("unconfirmed", *steps_), quiet_hours="10:00-16:00")
    waiting = plan(rules, meeting(), hours=2)
    assert waiting.intents == ()
    assert waiting.withheld[0].until == at(7)
    assert waiting.wake_at[meeting().key] == at(7)
    assert [name for name, _ in steps(plan(rules, meeting(), hours=7))] == ["ask"]


def test_business_days_skip_weekend_and_holiday() -> None:
    """Friday's end plus one business day is Monday; Tuesday when Monday is a holiday."""
    rules = policy(
        rule(
            {"missed": {"presume": ["never_confirmed"]}},
            step("again", "reschedule", "1 business day after end", "9 days after end"),
        )
    )
    friday = meeting(starts=4 * 24)  # Friday 09:00
    assert evaluate(snapshot(friday, now=at(4 * 24 + 72)), rules, at(4 * 24 + 72)).intents == ()
    assert len(evaluate(snapshot(friday, now=at(4 * 24 + 72.5)), rules, at(4 * 24 + 72.5)).intents) == 1


def test_observe_plans_nothing_and_says_so() -> None:
    """``mode: observe``."""
    rules = policy(rule("unconfirmed", step("ask", "confirm", "48h before start"), mode="observe"))
    found = plan(rules, meeting(), hours=2)
    assert found.intents == ()
    assert found.withheld[0].why == "mode is observe"
    assert [one.rule for one in found.findings] == ["rule"]


def test_upcoming_is_what_opens_next_if_nothing_changes() -> None:
    """One entry for the step that follows."""
    found = plan(LADDER, meeting(), hours=1)
    assert [(one.at, one.step, one.to) for one in found.upcoming] == [(at(2), "ask", JO)]


def test_upcoming_follows_a_step_to_the_end_of_the_quiet_hours_it_opens_in() -> None:
    """What waits for quiet hours to end is announced for that moment."""
    rules = policy(rule("unconfirmed", step("ask", "confirm", "48h before start")), quiet_hours="10:00-16:00")
    found = plan(rules, meeting())
    assert [(one.at, one.step, one.to) for one in found.upcoming] == [(at(7), "ask", JO)]


@pytest.mark.parametrize(
    ("match", "fits"),
    [
        ({"account": "acme"}, True),
        ({"account": "a*"}, True),
        ({"account": ["own", "initech"]}, False),
        ({"organizer": "me"}, True),
        ({"organizer": "them"}, False),
        ({"organizer": "*@va.example"}, True),
        ({"title": "KICKOFF"}, True),
        ({"title": {"contains": ["nope", "review"]}}, True),
        ({"title": {"glob": "kick*"}}, True),
        ({"title": {"glob": "kick"}}, False),
        ({"attendee": "*@acme.example"}, True),
        ({"attendee": ["*@other.example"]}, False),
        ({"recurring": False}, True),
        ({"client": "Acme"}, True),
        ({"client": "Initech"}, False),
        ({"calendar": "acme-*"}, True),
    ],
)
def test_match_picks_meetings(match: dict[str, object], *, fits: bool) -> None:
    """Every key given must fit."""
    rules = policy(rule("unconfirmed", step("ask", "confirm", "48h before start"), match=match))
    accounts = {"acme": account(client="Acme", now=at(2))}
    assert bool(plan(rules, meeting(), hours=2, accounts=accounts).intents) is fits


def test_intents_carry_what_the_message_needs() -> None:
    """Reason for the owner, people, and the step's bounds in UTC."""
    (one,) = plan(LADDER, meeting(), hours=2).intents
    assert isinstance(one, Intent)
    assert (one.due, one.until) == (at(2), at(22))
    assert one.people == (JO,)
    assert "jo@acme.example" in one.reason
    assert one.due.tzinfo is UTC
    assert owner().zone == "UTC"
    assert Address(ME) == ME
