"""What a meeting that is over adds to the history with its people."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from rules.model import Attendance, Attendee, Held, Met, Occurrence, PartStat, Status, Timing
from tests.support.meetings import AL, BO, JO, ME, NOW, account, at, meeting, plan, policy, rule, step, theirs

RULES = policy(rule("unconfirmed", step("ask", "confirm", "48h before start")))


def over(**more: Any) -> Occurrence:
    """A meeting of mine with Jo, who accepted; it ended half an hour ago."""
    fields: dict[str, Any] = {"starts": -1, "people": {JO: PartStat.ACCEPTED}}
    return meeting(**fields | more)


def noted(*meetings: Occurrence, hours: float = 0, **more: Any) -> list[tuple[str, Met]]:
    """Who met me, and what it came to."""
    found = plan(RULES, *meetings, hours=hours, **more).noted
    return [(one.address, one.encounter.met) for one in found]


@pytest.mark.parametrize(
    ("answer", "met"),
    [
        (PartStat.ACCEPTED, Met.HELD),
        (PartStat.DECLINED, Met.DECLINED),
        (PartStat.NEEDS_ACTION, Met.UNANSWERED),
        (PartStat.TENTATIVE, None),
    ],
)
def test_without_evidence_the_answer_decides(answer: PartStat, met: Met | None) -> None:
    """A yes counts as held, which accuses nobody; a maybe says nothing."""
    assert noted(over(people={JO: answer})) == ([(JO, met)] if met else [])


@pytest.mark.parametrize(
    ("held", "met"),
    [
        (Held.HELD, Met.HELD),
        (Held.MISSED_BY_ATTENDEE, Met.MISSED),
        (Held.MISSED_BY_ME, Met.MISSED_BY_ME),
        (Held.UNKNOWN, Met.UNANSWERED),
    ],
)
def test_evidence_decides_before_the_answer(held: Held, met: Met) -> None:
    """Unless it says that nobody knows."""
    word = {"kickoff": Attendance(held=held, source="the owner's word", at=NOW)}
    assert noted(over(people={JO: PartStat.NEEDS_ACTION}), attendance=word) == [(JO, met)]


def test_a_meeting_counts_once_it_is_over_and_the_plan_wakes_for_it() -> None:
    """At its very end, once, whatever the copies."""
    ahead = plan(RULES, over(starts=1))
    assert (ahead.noted, ahead.wake_at[over().key]) == ((), at(1))
    later = plan(RULES, over(starts=1), hours=1.25)
    assert (later.noted, later.wake_at[over().key]) == ((), at(1.5))
    assert noted(over(starts=1), over(starts=1, account="own"), hours=1.5) == [(JO, Met.HELD)]
    (one,) = plan(RULES, over()).noted
    assert (one.encounter.identity, one.encounter.at, one.occurrence) == (
        over().identity,
        at(-0.5),
        over(),
    )


def test_an_answer_to_an_earlier_time_is_no_answer() -> None:
    """RFC 6638 section 3.2.8: the meeting moved after the yes."""
    assert noted(over(time_changed_at=at(-9))) == [(JO, Met.UNANSWERED)]


def test_untrusted_answers_add_nothing_but_the_organizer_is_believed() -> None:
    """Who invites me means to come."""
    accounts = {"acme": account(rsvp_trusted=False)}
    assert noted(over(), accounts=accounts) == []
    assert noted(theirs(starts=-1), accounts=accounts) == [(BO, Met.HELD)]


def test_their_cancellation_counts_mine_and_what_vanished_do_not() -> None:
    """Nobody is blamed for what I did, or may have done."""
    called_off = theirs(starts=-1, status=Status.CANCELLED)
    assert noted(called_off) == [(BO, Met.CANCELLED)]
    assert noted(replace(called_off, removed_at=NOW)) == []
    assert noted(over(status=Status.CANCELLED)) == []


@pytest.mark.parametrize(
    "change",
    [
        {"organizer": BO, "attendees": (Attendee(address=ME, partstat=PartStat.DECLINED),)},
        {"organizer": BO, "attendees": (Attendee(address=ME),)},
        {"timing": Timing.ALL_DAY},
        {"attendees": ()},
    ],
    ids=["declined by me", "unanswered by me", "all day", "alone"],
)
def test_what_i_did_not_want_is_no_meeting(change: dict[str, Any]) -> None:
    """Nor is one that has no time, or nobody else."""
    assert noted(replace(over(), **change)) == []


def test_everybody_required_has_their_own_entry() -> None:
    """A delegate stands for who delegated; optional people are not met."""
    people = (
        Attendee(address=JO, partstat=PartStat.DELEGATED, delegated_to=BO),
        Attendee(address=BO, partstat=PartStat.ACCEPTED),
        Attendee(address=AL, partstat=PartStat.DECLINED),
    )
    assert noted(over(attendees=people)) == [(BO, Met.HELD), (AL, Met.DECLINED)]
