"""The questions asked before a meeting: when each says yes, no, and that it cannot know."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from rules.model import Address, Attendee, CuType, Occurrence, PartStat, Role, Status, Timing
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
    step,
    steps,
    theirs,
    traced,
)

MOVE = step("move", "reschedule", "30 days before start")
TELL = step("tell", "notify", "30 days before start")

DECLINED = policy(rule("declined", MOVE))


def no(who: Address = JO, *, answered: datetime | None = None, **more: Any) -> Attendee:
    """Somebody who said no."""
    return Attendee(address=who, partstat=PartStat.DECLINED, answered_at=answered, **more)


def refused(*, answered: datetime | None = NOW, **more: Any) -> Occurrence:
    """A meeting that Jo declined."""
    fields: dict[str, Any] = {"attendees": (no(answered=answered),)}
    return meeting(**fields | more)


def test_declined_waits_its_grace_for_a_new_time() -> None:
    """Half an hour after the no was seen, and the plan wakes then."""
    early = plan(DECLINED, refused(), hours=0.25)
    assert (early.intents, early.wake_at[refused().key]) == ((), at(0.5))
    late = plan(DECLINED, refused(), hours=0.5)
    assert steps(late) == [("move", JO)]
    assert late.intents[0].reason == "jo@acme.example said no to this time"


def test_declined_counts_grace_in_business_days_too() -> None:
    """A no on Friday has the weekend besides."""
    patient = policy(rule({"declined": {"grace": "1 business day"}}, MOVE))
    one = refused(answered=at(96), starts=240)
    assert plan(patient, one, hours=96 + 71).intents == ()
    assert steps(plan(patient, one, hours=96 + 72)) == [("move", JO)]


def test_a_no_older_than_our_knowledge_has_waited_enough() -> None:
    """Nobody saw it come, so there is no grace left to give."""
    assert steps(plan(DECLINED, refused(answered=None))) == [("move", JO)]


@pytest.mark.parametrize(
    "people",
    [
        (Attendee(address=JO, partstat=PartStat.TENTATIVE),),
        (Attendee(address=JO),),
        (Attendee(address=JO, partstat=PartStat.ACCEPTED), no(AL, role=Role.OPTIONAL)),
        (Attendee(address=JO), no(Address("room@acme.example"), cutype=CuType.ROOM)),
    ],
    ids=["tentative", "silence", "optional", "room"],
)
def test_only_the_no_of_somebody_needed_is_a_no(people: tuple[Attendee, ...]) -> None:
    """Maybe, silence, optional people and rooms decline nothing."""
    assert plan(DECLINED, replace(refused(), attendees=people), hours=9).intents == ()


def test_the_no_of_a_delegate_counts() -> None:
    """RFC 5545 section 3.2.5: Bo stands for Jo."""
    gone = Attendee(address=JO, partstat=PartStat.DELEGATED, delegated_to=BO)
    assert steps(plan(DECLINED, replace(refused(), attendees=(gone, no(BO))))) == [("move", BO)]


def test_a_no_to_an_earlier_time_is_stale() -> None:
    """It is not a no to the new time; the new time is unconfirmed instead."""
    moved = replace(refused(), time_changed_at=at(1))
    assert plan(DECLINED, moved, hours=9).intents == ()
    asked = policy(rule("unconfirmed", step("ask", "confirm", "48h before start")))
    assert steps(plan(asked, moved, hours=9)) == [("ask", JO)]
    assert plan(asked, refused(), hours=9).intents == ()


def test_declined_is_unknown_where_answers_are_not_trusted() -> None:
    """And unknown mails nobody."""
    accounts = {"acme": account(rsvp_trusted=False, now=at(9))}
    assert plan(DECLINED, refused(), hours=9, accounts=accounts).intents == ()
    assert traced(DECLINED, refused(), hours=9, accounts=accounts).outcome == "unknown"


@pytest.mark.parametrize("question", ["declined", "unconfirmed"])
def test_hidden_guests_leave_it_unknown(question: str) -> None:
    """A calendar that leaves guests out says nothing about those it shows, either."""
    one = refused(guests_hidden=True) if question == "declined" else meeting(guests_hidden=True)
    asked = policy(rule(question, MOVE))
    assert plan(asked, one, hours=9).intents == ()
    assert traced(asked, one, hours=9).outcome == "unknown"
    assert plan(asked, replace(one, guests_hidden=False), hours=9).intents


@pytest.mark.parametrize(
    ("change", "replaced"),
    [
        ({"created": at(1)}, True),
        ({"created": at(-9), "time_changed_at": at(1)}, True),
        ({"created": at(-9)}, False),
        ({"created": at(1), "attendees": (Attendee(address=BO),)}, False),
        ({"created": at(1), "status": Status.CANCELLED}, False),
        ({"created": at(1), "timing": Timing.ALL_DAY}, False),
        (
            {
                "created": at(1),
                "organizer": JO,
                "attendees": (Attendee(address=ME, partstat=PartStat.DECLINED),),
            },
            False,
        ),
    ],
    ids=["made since", "moved since", "older", "others", "cancelled", "all day", "declined by me"],
)
def test_a_replacement_ends_declined(change: dict[str, Any], *, replaced: bool) -> None:
    """Another meeting with the same people, made or moved since the no."""
    other = replace(meeting("again", starts=70), **change)
    assert (not plan(DECLINED, refused(), other, hours=9).intents) is replaced


def test_declined_ends_at_the_start() -> None:
    """What has begun is not moved."""
    assert traced(DECLINED, refused(), hours=50).outcome == "no"


CANCELLED = policy(rule("cancelled", MOVE, TELL))


def gone(**more: Any) -> Occurrence:
    """A meeting of Bo's that I had accepted and Bo cancelled."""
    fields: dict[str, Any] = {"status": Status.CANCELLED, "cancelled_at": NOW, "sequence": 2}
    return theirs(**fields | more)


def test_cancelled_holds_after_its_grace_until_replaced() -> None:
    """Bo is offered other times unless Bo made a new meeting."""
    waiting = plan(CANCELLED, gone(), hours=0.4)
    assert (waiting.intents, waiting.wake_at[gone().key]) == ((), at(0.5))
    assert steps(plan(CANCELLED, gone(), hours=0.5)) == [("move", BO), ("tell", ME)]
    again = theirs("again", starts=70, created=at(0.2), me=PartStat.NEEDS_ACTION)
    assert plan(CANCELLED, gone(), again, hours=9).intents == ()


@pytest.mark.parametrize(
    "change",
    [
        {"organizer": ME, "attendees": (Attendee(address=JO, partstat=PartStat.ACCEPTED),)},
        {"organizer": None, "attendees": (Attendee(address=JO),)},
        {"attendees": (Attendee(address=ME, partstat=PartStat.DECLINED),)},
        {"attendees": (Attendee(address=ME),)},
        {"attendees": ()},
        {"status": Status.CONFIRMED},
        {"timing": Timing.ALL_DAY},
    ],
    ids=["mine", "nobody's", "declined", "unanswered", "not invited", "stands", "all day"],
)
def test_only_their_cancellation_of_what_i_accepted_counts(change: dict[str, Any]) -> None:
    """My own cancellations and what I never accepted leave no hole."""
    assert plan(CANCELLED, replace(gone(), **change), hours=9).intents == ()


def test_what_vanished_is_told_to_me_alone() -> None:
    """I may have deleted it myself; nobody else hears of it, and nothing is left to label."""
    marking = policy(rule("cancelled", MOVE, TELL, step("label", "mark", "30 days before start", label="x")))
    vanished = gone(removed_at=NOW)
    found = plan(marking, vanished, hours=9)
    assert steps(found) == [("tell", ME)]
    assert found.intents[0].tone == "removed"
    assert found.intents[0].reason == "it vanished from the calendar; they may have cancelled it"


def test_a_cancelled_meeting_is_labelled_where_it_still_lies_in_its_calendar() -> None:
    """What is only remembered has nothing to put a label on."""
    marking = policy(rule("cancelled", step("label", "mark", "30 days before start", label="x")))
    assert steps(plan(marking, gone(href="/kickoff.ics"), hours=9)) == [("label", ME)]
    assert plan(marking, gone(), hours=9).intents == ()


def test_what_vanished_from_one_calendar_and_lies_in_another_has_not_vanished() -> None:
    """The living copy speaks; the other is at rest, and can be explained all the same."""
    vanished, living = gone(removed_at=NOW), theirs(account="own")
    found = plan(CANCELLED, vanished, living, hours=9)
    assert found.intents == ()
    assert found.wake_at[vanished.key] is None
    assert traced(CANCELLED, vanished, living, hours=9).outcome == "not_eligible"


def test_a_cancellation_in_either_copy_counts_if_it_is_the_newest() -> None:
    """RFC 5546 section 2.1.5: the higher SEQUENCE speaks."""
    stale = theirs(account="own", sequence=1)
    assert steps(plan(CANCELLED, gone(), stale, hours=9)) == [("move", BO), ("tell", ME)]
    assert plan(CANCELLED, gone(), replace(stale, sequence=3), hours=9).intents == ()


def test_a_cancelled_meeting_in_a_blind_account_is_silent() -> None:
    """P3: what cannot be seen concludes nothing."""
    accounts = {"acme": account(seen_at=NOW)}
    found = plan(CANCELLED, gone(), hours=9, accounts=accounts)
    assert found.intents == ()
    assert {one.why for one in found.withheld} == {"acme has not been seen since Mon 2026-03-02 09:00"}


AWAY = policy(rule("away", MOVE))


def holiday(**more: Any) -> Occurrence:
    """A day of mine out of office, over the kickoff."""
    fields: dict[str, Any] = {"title": "Out of Office: sun", "organizer": None, "attendees": ()}
    return meeting(
        "sun", **{"starts": 48, "lasts": 24, "account": "own", "transparent": True} | fields | more
    )


def test_away_is_any_overlap_with_an_absence_of_mine() -> None:
    """Wholly or in part; touching is not overlapping."""
    assert steps(plan(AWAY, meeting(), holiday())) == [("move", JO)]
    assert steps(plan(AWAY, meeting(lasts=1), holiday(starts=50.5))) == [("move", JO)]
    assert plan(AWAY, meeting(), holiday(starts=50.5)).intents == ()
    assert plan(AWAY, meeting()).intents == ()


@pytest.mark.parametrize(
    ("change", "is_mine"),
    [
        ({"title": "Sun", "categories": ("Away",)}, True),
        ({"title": "[away] sun"}, True),
        ({"timing": Timing.ALL_DAY}, True),
        ({"organizer": ME}, True),
        ({"title": "Back from out of office"}, False),
        ({"status": Status.CANCELLED}, False),
        ({"organizer": BO, "attendees": (Attendee(address=ME, partstat=PartStat.ACCEPTED),)}, False),
    ],
    ids=["category", "prefix", "all day", "organised by me", "elsewhere in the title", "cancelled", "Bo's"],
)
def test_what_says_that_i_am_away(change: dict[str, Any], *, is_mine: bool) -> None:
    """A title's beginning or a category of an event of mine; a colleague's absence is not mine."""
    assert bool(plan(AWAY, meeting(), holiday(**change)).intents) is is_mine


def test_an_absence_out_of_sight_is_unknown_unless_another_can_be_seen() -> None:
    """Stale data of another account moves no meeting."""
    accounts = {"acme": account(), "own": account("own", seen_at=at(-5))}
    assert traced(AWAY, meeting(), holiday(), accounts=accounts).outcome == "unknown"
    seen = replace(holiday(account="acme"), key=replace(holiday(account="acme").key, uid="too"))
    assert traced(AWAY, meeting(), holiday(), seen, accounts=accounts).outcome == "due"


def test_an_absence_clashes_with_nothing_and_is_not_away_itself() -> None:
    """Nobody is written to about the absence."""
    assert plan(AWAY, holiday(transparent=False), holiday(account="acme")).intents == ()


def test_an_absence_entered_after_the_first_sync_is_news() -> None:
    """The step opened long before, for another answer."""
    accounts = {"acme": account(first_seen_at=at(-1)), "own": account("own", first_seen_at=at(-1))}
    assert plan(AWAY, meeting(), holiday(), accounts=accounts).intents == ()
    assert len(plan(AWAY, meeting(), holiday(appeared_at=NOW), accounts=accounts).intents) == 1
    assert len(plan(AWAY, meeting(), holiday(relabelled_at=NOW), accounts=accounts).intents) == 1


ENDING = policy(rule("ending", step("renew", "reschedule", "20 days before start")))


def last(**more: Any) -> Occurrence:
    """The last of a weekly series, in ten days."""
    fields: dict[str, Any] = {"starts": 240, "recurring": True, "final": True}
    return meeting(people={JO: PartStat.ACCEPTED}, **fields | more)


def test_ending_holds_for_the_last_of_a_series_within_reach() -> None:
    """Not for one that goes on, and not before its time."""
    assert steps(plan(ENDING, last())) == [("renew", JO)]
    assert plan(ENDING, last(final=False)).intents == ()
    near = policy(rule({"ending": {"within": "7d"}}, step("renew", "reschedule", "20 days before start")))
    early = plan(near, last())
    assert (early.intents, early.wake_at[last().key]) == ((), at(72))
    assert steps(plan(near, last(), hours=72)) == [("renew", JO)]


def test_ending_counts_business_days() -> None:
    """Five of them before a Thursday begin on the Thursday before."""
    near = policy(
        rule({"ending": {"within": "5 business days"}}, step("renew", "reschedule", "20 days before start"))
    )
    assert plan(near, last()).wake_at[last().key] == at(240 - 7 * 24)


@pytest.mark.parametrize(
    ("other", "followed"),
    [
        (meeting("next", starts=400), True),
        (meeting("next", starts=400, people={JO: PartStat.ACCEPTED, BO: PartStat.ACCEPTED}), True),
        (meeting("next", starts=400, people={BO: PartStat.ACCEPTED}), False),
        (meeting("next", starts=400, status=Status.CANCELLED), False),
        (meeting("next", starts=100), False),
    ],
    ids=["same people", "and others", "others", "cancelled", "earlier"],
)
def test_what_follows_ends_ending(other: Occurrence, *, followed: bool) -> None:
    """Any later meeting with the same people continues the engagement."""
    assert (not plan(ENDING, last(), other).intents) is followed


TRAVEL = policy(rule({"conflict": {"keep": "account:acme", "travel": "30m"}}, MOVE))


def after(minutes: float, **more: Any) -> Occurrence:
    """A meeting with Bo so many minutes after the kickoff's end."""
    fields: dict[str, Any] = {"account": "initech", "people": {BO: PartStat.ACCEPTED}, "location": "Dock 3"}
    return meeting("other", starts=50.5 + minutes / 60, **fields | more)


@pytest.mark.parametrize(
    ("here", "there", "clash"),
    [
        ("Room 4", "Dock 3", True),
        ("Room 4", " room  4 ", False),
        ("Room 4", "", False),
        ("Room 4", "https://meet.example/x", False),
        ("Zoom", "Dock 3", False),
    ],
)
def test_travel_lies_between_two_places_only(here: str, there: str, *, clash: bool) -> None:
    """Online and unnamed places need no way."""
    first = replace(meeting(), location=here)
    assert bool(plan(TRAVEL, first, after(20, location=there)).intents) is clash


def test_travel_ends_where_the_way_fits() -> None:
    """Half an hour is enough for half an hour, and overlapping needs no way to clash."""
    first = replace(meeting(), location="Room 4")
    assert plan(TRAVEL, first, after(30)).intents == ()
    assert "leaves less than 30m" in plan(TRAVEL, first, after(29)).intents[0].reason
    assert plan(TRAVEL, first, after(-10)).intents[0].reason.startswith("overlaps ")


def test_keep_tells_organiser_client_and_calendar_apart() -> None:
    """Each criterion decides which of two stays, the first that can."""
    mine, other = meeting(), replace(theirs("other", starts=50, account="initech"), created=NOW)
    accounts = {"acme": account(), "initech": account("initech", client="Initech")}
    for keep, moved in (
        ("organizer:me", "other"),
        ("organizer:them", "kickoff"),
        ("client:Initech", "kickoff"),
        ("calendar:acme-calendar", "other"),
        ("latest_created", "kickoff"),
        ("earliest_created", "other"),
    ):
        rules = policy(rule({"conflict": {"keep": keep}}, MOVE))
        found = plan(rules, mine, other, accounts=accounts).intents
        assert [one.key.uid for one in found] == [moved], keep


def test_the_owners_zone_speaks_in_reasons() -> None:
    """Times in a reason are those of the owner's clock."""
    (one,) = plan(AWAY, meeting(), holiday(), owner=owner("Asia/Tokyo")).intents
    assert "Wed 2026-03-04 18:00" in one.reason


def test_unconfirmed_lets_a_fresh_invitation_rest_for_business_days() -> None:
    """``min_age: 1 business day`` from a Friday is Monday."""
    rules = policy(rule({"unconfirmed": {"min_age": "1 business day"}}, MOVE))
    fresh = replace(meeting(starts=200), created=at(96))
    assert plan(rules, fresh, hours=96 + 71).intents == ()
    assert len(plan(rules, fresh, hours=96 + 72).intents) == 1


def test_a_no_answered_in_another_calendar_counts() -> None:
    """A copy that never hears answers learns it from the one that does."""
    deaf = meeting(account="own")
    assert [one.key.calendar.account for one in plan(DECLINED, refused(), deaf, hours=9).intents] == ["acme"]
    assert plan(DECLINED, refused(), deaf, hours=9).intents[0].to == JO
