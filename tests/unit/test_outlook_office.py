"""An Outlook account in an office: what its polls bring into the store, and what rules make of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from daemon.__main__ import main
from daemon.store import agenda, calendars
from rules.model import Occurrence, PartStat, Status
from tests.support import faults
from tests.support.authority import trusted
from tests.support.fake_graph.graph_errors import error
from tests.support.fake_graph.server import fake_graph
from tests.support.fake_graph.world import FakeGraph
from tests.support.house import event
from tests.support.meetings import NOW
from tests.support.offices import World
from tests.support.outlook_account import JO, ME, connect

HOUR = timedelta(hours=1)
DELTA = "calendarView.delta"
RULES = """\
version: 1
rules:
  - name: gone
    when: cancelled
    then:
      - {step: again, do: reschedule, at: 7d before start, until: 1h before start}
  - name: away
    when: away
    then:
      - {step: move, do: reschedule, at: 7d before start, until: 1h before start}
  - name: no
    when: declined
    then:
      - {step: other, do: reschedule, at: 14d before start, until: 1h before start, within: 10 business days}
  - name: ask
    when: {unconfirmed: {tentative: counts}}
    then:
      - {step: ask, do: confirm, at: 48h before start, until: 4h before start}
"""


@dataclass
class Room:
    """Dana's office on her Outlook mailbox, and Jo, who has one, too."""

    world: World
    graph: FakeGraph

    def theirs(self, title: str, hours: float, **fields: Any) -> str:
        """Jo's meeting that Dana accepted."""
        start = at(hours)
        return self.graph.users[JO].primary.event(title, start, start + HOUR, {ME: "accepted"}, **fields)

    def mine(self, title: str, hours: float, jo: str = "accepted", **fields: Any) -> str:
        """Dana's own meeting with Jo."""
        start = at(hours)
        return self.graph.users[ME].primary.event(title, start, start + HOUR, {JO: jo}, **fields)

    def stored(self) -> list[Occurrence]:
        """Everything in the store, by start."""
        with self.world.store.read() as conn:
            return agenda.between(conn, at(-1000), at(9000))

    def body(self) -> str:
        """The text of the last mail."""
        text = self.world.mailer.kept[-1][1].get_body(("plain",))
        assert text is not None
        return str(text.get_content())


def at(hours: float) -> datetime:
    """So many hours after the story begins, on a Monday at 09:00."""
    return NOW + timedelta(hours=hours)


@contextmanager
def room(folder: Path, config: str = "", accounts: tuple[str, ...] = ("acme",)) -> Iterator[Room]:
    """An office that has read its account once, when there was nothing in it but old meetings."""
    world = World(folder, RULES, accounts, config=config)
    with trusted(), fake_graph(lambda: world.clock.at) as graph:
        graph.user(ME, "Dana Reyes")
        graph.user(JO, "Jo")
        world.calendars["acme"] = connect(graph, ME)  # type: ignore[assignment]
        found = Room(world, graph)
        for number in range(12):
            found.mine(f"old {number}", -100 - number)
        world.round()
        yield found
        world.calendars["acme"].close()


def test_asked_once_and_never_again_after_a_yes(tmp_path: Path) -> None:
    """Who has not answered is asked; a yes ends it, and is seen by one request."""
    with room(tmp_path) as found:
        kickoff = found.mine("Kickoff", 40, jo="none")
        assert found.world.round(0.5) == [JO]
        assert found.world.round(0.5) == []
        found.graph.answer(kickoff, JO, "accepted")
        found.graph.requests.clear()
        assert found.world.round(0.5) == []
        assert [request.route for request in found.graph.requests] == [DELTA]
        [one] = [one for one in found.stored() if one.title == "Kickoff"]
        assert one.attendees[0].partstat is PartStat.ACCEPTED


def test_a_meeting_without_a_wish_for_answers_is_left_alone(tmp_path: Path) -> None:
    """Nobody is asked for a yes that the invitation did not ask for."""
    with room(tmp_path) as found:
        found.mine("Town hall", 40, jo="none", responseRequested=False)
        assert found.world.round(1) == []


def test_a_time_that_the_other_side_asks_for_comes_first(tmp_path: Path) -> None:
    """Jo declines with another time, which is free: it leads the offer, said to be theirs."""
    with room(tmp_path) as found:
        kickoff = found.mine("Kickoff", 100)
        found.world.round(1)
        asked = at(72 + 5), at(72 + 6)
        found.graph.answer(kickoff, JO, "declined", propose=asked)
        assert found.world.round(0.1) == []
        told = CliRunner().invoke(main, ["--config", str(tmp_path), "explain", "Kickoff", "--text"])
        assert "jo@acme.example said no, and asks for Thu 2026-03-05 14:00" in told.output
        assert found.world.round(1) == [JO]
        body = found.body()
        assert "Thank you for proposing another time for our meeting:" in body
        assert "You asked for Thu 5 March 14:00 instead. That time is free on my side." in body
        first = next(line for line in body.splitlines() if line.startswith("  1. "))
        assert "Thu 5 March 2026, 14:00–15:00" in first
        assert found.world.round(1) == []


def test_a_time_that_is_taken_is_not_offered_however_much_it_is_asked_for(tmp_path: Path) -> None:
    """The others are; the mail does not call it free."""
    with room(tmp_path) as found:
        kickoff = found.mine("Kickoff", 100)
        found.graph.users[ME].primary.event("Workshop", at(76), at(77))
        found.world.round(1)
        found.graph.answer(kickoff, JO, "tentativelyAccepted", propose=(at(76), at(77)))
        assert found.world.round(0.1) + found.world.round(1) == [JO]
        assert "You asked for" not in found.body()
        assert "Thu 5 March 2026, 13:00" not in found.body()


def test_the_digest_tells_who_asked_for_another_time(tmp_path: Path) -> None:
    """In the morning, with the time they would rather have."""
    with room(tmp_path, config='digest: {at: "08:00"}\n') as found:
        kickoff = found.mine("Kickoff", 100)
        found.world.round(1)
        found.graph.answer(kickoff, JO, "declined", propose=(at(77), at(78)))
        found.world.round(1)
        found.world.round(23)
        found.world.round(0.1)
        texts = [mail.get_body(("plain",)) for to, mail in found.world.mailer.kept if to == ME]
        digest = " ".join(str(text.get_content()) for text in texts if text is not None)
        said = "jo@acme.example: Kickoff, Fri 6 March 13:00, rather at Thu 5 March 14:00"
        assert f"Asked for another time: - {said}" in " ".join(digest.split())


def test_a_cancellation_is_answered_and_my_own_removal_is_not(tmp_path: Path) -> None:
    """The other side cancelled: I offer other times. I took it out myself: the client hears nothing."""
    with room(tmp_path) as found:
        cancelled, removed = found.theirs("Cancelled", 100), found.theirs("Removed", 104)
        found.world.round(1)
        found.graph.cancel(cancelled)
        found.graph.delete(removed, ME)
        assert found.world.round(1) + found.world.round(3) == [JO]
        [one] = [one for one in found.stored() if "Cancelled" in one.title]
        assert (one.status, one.removed_at) == (Status.CANCELLED, None)
        assert found.world.round(1) == []


def test_out_of_office_is_away_by_its_kind_and_by_automatic_replies(tmp_path: Path) -> None:
    """An event shown as oof, or replies that are scheduled, move the meetings in it; and end with it."""
    with room(tmp_path) as found:
        found.mine("Review", 100)
        found.mine("Sync", 120)
        found.world.round(1)
        found.graph.users[ME].primary.event("Surfing", at(98), at(102), showAs="oof")
        assert found.world.round(1) == [JO]
        found.graph.users[ME].away(at(118), at(130))
        sent = [to for _ in range(14) for to in found.world.round(0.1)]
        assert sent == [JO]
        away = [one for one in found.stored() if one.title == "Automatic replies"]
        assert [(one.start_utc, one.away) for one in away] == [(at(118), True)]
        found.graph.users[ME].automatic_replies["status"] = "disabled"
        for _ in range(14):
            found.world.round(0.1)
        assert [one for one in found.stored() if one.title == "Automatic replies"] == []


def test_replies_without_an_end_are_no_absence(tmp_path: Path) -> None:
    """Nobody knows until when: no meeting is moved for them."""
    with room(tmp_path) as found:
        found.mine("Review", 100)
        found.graph.users[ME].away()
        assert [to for _ in range(14) for to in found.world.round(0.1)] == []


def test_one_meeting_in_two_calendars_is_one(tmp_path: Path) -> None:
    """An invitation from elsewhere keeps its UID inside Exchange, as in Dana's other calendar."""
    with room(tmp_path, accounts=("acme", "own")) as found:
        start = at(40)
        dana = found.graph.users[ME].primary
        dana.event(
            "Kickoff", start, start + HOUR, {ME: "accepted"}, organizer="bo@own.example", uid="x@own.example"
        )
        text = event("x@own.example", start, {JO: "NEEDS-ACTION"}, title="Kickoff")
        found.world.put("own", "x", text)
        assert found.world.round(1) == [JO]
        identities = {one.identity for one in found.stored() if one.title == "Kickoff"}
        assert len(identities) == 1


def test_months_go_by_without_a_loss(tmp_path: Path) -> None:
    """Rounds end and begin, links are forgotten, the horizon rolls; nothing ahead is lost or removed."""
    with room(tmp_path) as found:
        pattern = {"type": "weekly", "interval": 1, "daysOfWeek": ["friday"], "firstDayOfWeek": "monday"}
        series = {"pattern": pattern, "range": {"type": "noEnd", "startDate": "2026-03-06"}}
        found.mine("Weekly", 100, recurrence=series)
        far = found.mine("Far", 24 * 150)
        found.world.round(1)
        for day in range(35):
            if day == 30:
                found.graph.forget_rounds()
            found.world.round(24)
        titles = [one.title for one in found.stored() if one.start_utc > found.world.clock.at]
        assert titles.count("Weekly") == 17
        assert "Far" in titles
        assert found.graph.find(far)
        with found.world.store.read() as conn:
            [row] = calendars.calendars(conn)
        assert row.shrink_seen is None
        fulls = [request for request in found.graph.seen(DELTA) if "startDateTime" in request.query]
        assert len(fulls) <= 5


def test_a_failing_graph_is_told_and_changes_nothing(tmp_path: Path) -> None:
    """Whatever Graph answers instead of events, the account is said to be blind and its meetings stay."""
    with room(tmp_path) as found:
        found.mine("Ahead", 100)
        found.world.round(1)
        before = found.stored()
        for effect in (faults.html(), faults.truncated(), error(403), error(401)):
            found.graph.heal()
            found.graph.fail("*", effect, times=None)
            found.world.round(0.1)
            with found.world.store.read() as conn:
                assert calendars.accounts(conn)["acme"].error
            assert [one.key for one in found.stored()] == [one.key for one in before]


@pytest.mark.parametrize(("failing", "offered"), [(False, "11 March"), (True, "9 March")])
def test_no_time_is_offered_when_the_other_is_busy(tmp_path: Path, *, failing: bool, offered: str) -> None:
    """Where Exchange shows when Jo is busy, only her free times are offered; a failure hinders nothing."""
    with room(tmp_path) as found:
        found.graph.users[JO].primary.event("Trip", at(0), at(9 * 24))
        if failing:
            found.graph.fail("getSchedule", error(403), times=None)
        found.mine("Review", 100)
        found.world.round(1)
        found.graph.users[ME].primary.event("Off", at(90), at(130), showAs="oof")
        assert found.world.round(1) == [JO]
        first = next(line for line in found.body().splitlines() if line.startswith("  1. "))
        assert f" {offered} 2026" in first
        assert found.graph.count("getSchedule") == 1
