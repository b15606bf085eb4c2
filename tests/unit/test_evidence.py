"""Which evidence of a meeting counts, and how long it is waited for."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from rules.attendance import attendance_of
from rules.model import Attendance, Held, PartStat
from tests.support.meetings import AL, JO, ME, NOW, account, at, meeting, plan, policy, rule, snapshot, step

OVER = replace(meeting(starts=-1, people={JO: PartStat.ACCEPTED}), conference="abc-mnop-xyz")
RECORD = {"kickoff": Attendance(held=Held.MISSED_BY_ATTENDEE, source="Google Meet", at=NOW)}
WORD = {"kickoff": Attendance(held=Held.HELD, source="the owner's word", at=NOW)}
ASKING = policy(
    rule("missed", step("offer", "reschedule", "5m after end", "1 day after end")),
    rule("unaccounted", step("ask", "check_in", "5m after end", "1 day after end"), name="ask"),
    quiet_hours=None,
)
SLOW = {"acme": account(records_within=timedelta(hours=1))}


def test_the_owners_word_then_a_mark_then_records() -> None:
    """Records count where nobody said anything; a mark in the calendar more; the owner's word most."""
    marked = replace(OVER, title="[missed-by-me] Kickoff")
    seen = snapshot(OVER, attendance={}, records=RECORD)
    assert attendance_of(OVER.identity, (OVER,), seen) == RECORD["kickoff"]
    label = attendance_of(OVER.identity, (marked,), seen)
    assert label is not None
    assert label.held is Held.MISSED_BY_ME
    assert attendance_of(OVER.identity, (marked,), replace(seen, attendance=WORD)) == WORD["kickoff"]


def test_what_was_known_of_another_time_counts_no_more() -> None:
    """A meeting that moved since is judged anew, by the owner's word and by records."""
    moved = replace(OVER, start=at(1), end=at(2))
    assert attendance_of(OVER.identity, (moved,), snapshot(moved, attendance=WORD, records=RECORD)) is None


def test_records_are_waited_for() -> None:
    """While the records of its call may still come nobody is written to, the owner least of all."""
    assert plan(ASKING, OVER, accounts=SLOW).intents == ()
    assert plan(ASKING, OVER, accounts=SLOW).wake_at[OVER.key] == at(0.5)
    assert [one.to for one in plan(ASKING, OVER, accounts=SLOW, records=RECORD).intents] == [JO]
    late = {"acme": replace(SLOW["acme"], seen_at=at(0.5))}
    assert [one.to for one in plan(ASKING, OVER, hours=0.5, accounts=late).intents] == [ME]


def test_whoever_said_no_is_not_written_to() -> None:
    """Al said no and missed nothing; Jo had said yes."""
    both = meeting(starts=-1, people={JO: PartStat.ACCEPTED, AL: PartStat.DECLINED})
    assert [one.to for one in plan(ASKING, both, records=RECORD).intents] == [JO]


def test_without_a_call_nothing_is_waited_for() -> None:
    """A meeting without a call, or in an account without records, is asked about at once."""
    for one, accounts in ((replace(OVER, conference=""), SLOW), (OVER, {"acme": account()})):
        assert [each.to for each in plan(ASKING, one, accounts=accounts).intents] == [ME]
