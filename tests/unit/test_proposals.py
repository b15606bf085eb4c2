"""Another time that somebody asks for: an answer, and one that the next message takes up."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from rules.hours import WorkingHours
from rules.model import Attendee, Interval, Occurrence, PartStat
from rules.people import reconciled, wish
from rules.slots import is_free
from tests.support.meetings import AL, JO, NOW, at, meeting, plan, policy, rule, step, steps, traced

ASKED = Interval(at(70), at(70.5))
DECLINED = policy(rule({"declined": {"grace": "1h"}}, step("move", "reschedule", "30 days before start")))
UNCONFIRMED = policy(
    rule({"unconfirmed": {"tentative": "counts"}}, step("ask", "confirm", "60h before start"))
)


def jo(partstat: PartStat = PartStat.TENTATIVE, answered: datetime | None = NOW) -> Attendee:
    """Jo, who asks for another time."""
    return Attendee(address=JO, partstat=partstat, answered_at=answered, proposed=ASKED)


def asked(*people: Attendee) -> Occurrence:
    """A meeting with these people."""
    return meeting(attendees=people or (jo(),))


@pytest.mark.parametrize("partstat", [PartStat.TENTATIVE, PartStat.DECLINED, PartStat.NEEDS_ACTION])
def test_who_asks_for_another_time_is_offered_times(partstat: PartStat) -> None:
    """Said no, maybe or nothing with it: after the grace the ladder for a no begins, and says why."""
    one = asked(jo(partstat))
    assert plan(DECLINED, one, hours=0.5).intents == ()
    [intent] = plan(DECLINED, one, hours=1).intents
    assert (intent.to, intent.do) == (JO, "reschedule")
    assert intent.reason == "jo@acme.example asks for another time: Thu 2026-03-05 07:00"
    trace = traced(DECLINED, one, hours=1)
    assert any("asks for Thu 2026-03-05 07:00" in because.value for because in trace.because)


@pytest.mark.parametrize("partstat", [PartStat.TENTATIVE, PartStat.NEEDS_ACTION])
def test_who_asks_for_another_time_is_not_asked_for_a_yes(partstat: PartStat) -> None:
    """It was an answer; of two people the other one still is."""
    assert plan(UNCONFIRMED, asked(jo(partstat))).intents == ()
    assert steps(plan(UNCONFIRMED, asked(jo(partstat), Attendee(address=AL)))) == [("ask", AL)]


def test_a_proposal_ends_with_a_yes_and_with_a_move() -> None:
    """A yes to the present time, that very time, and any move after it settle what was asked."""
    one = asked()
    assert wish(jo(), one) == ASKED
    assert wish(jo(PartStat.ACCEPTED), one) is None
    assert wish(jo(), replace(one, start=ASKED.start, end=ASKED.end)) is None
    assert wish(jo(), replace(one, time_changed_at=at(1))) is None
    assert wish(jo(answered=at(2)), replace(one, time_changed_at=at(1))) == ASKED


def test_those_who_said_no_are_named_beside_those_who_ask() -> None:
    """One sentence for each kind of answer."""
    one = asked(jo(), Attendee(address=AL, partstat=PartStat.DECLINED, answered_at=NOW))
    reasons = {intent.reason for intent in plan(DECLINED, one, hours=1).intents}
    assert reasons == {
        "al@acme.example said no to this time; jo@acme.example asks for another time: Thu 2026-03-05 07:00"
    }


def test_a_copy_that_knows_of_a_proposal_tells_it() -> None:
    """My other calendar shows the same answer without it."""
    plain = meeting(attendees=(replace(jo(), proposed=None),))
    elsewhere = replace(meeting(account="own"), attendees=(jo(),))
    assert reconciled(plain, [elsewhere]).attendees[0].proposed == ASKED
    assert reconciled(elsewhere, [plain]).attendees[0].proposed == ASKED


def test_a_time_is_free_in_working_hours_alone() -> None:
    """Nothing may overlap it, and it lies within one stretch of work."""
    hours = WorkingHours(zone="Europe/Lisbon")
    slot = Interval(at(1), at(2))
    assert is_free(slot, [Interval(at(0), at(1)), Interval(at(2), at(3))], hours)
    assert not is_free(slot, [Interval(at(0), at(1.5))], hours)
    assert not is_free(Interval(at(7.5), at(8.5)), [], hours)
    assert not is_free(Interval(at(-2), at(-1)), [], hours)
    saturday = timedelta(days=5)
    assert not is_free(Interval(slot.start + saturday, slot.end + saturday), [], hours)
