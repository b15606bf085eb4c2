"""A Google account in an office: what its polls bring into the store, and what rules make of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from daemon.store import agenda, calendars
from rules.model import Occurrence, PartStat, Status
from tests.support.fake_google import faults
from tests.support.fake_google.server import fake_google
from tests.support.fake_google.world import FakeGoogle
from tests.support.google_account import JO, ME, connect
from tests.support.meetings import NOW
from tests.support.offices import World

HOUR = timedelta(hours=1)
WEEKLY = ["RRULE:FREQ=WEEKLY;COUNT=3"]
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
"""


@dataclass
class Room:
    """Dana's office on her Google account, and Jo, who has one, too."""

    world: World
    google: FakeGoogle

    def theirs(self, title: str, hours: float, **fields: Any) -> str:
        """Jo's meeting that Dana accepted."""
        start = at(hours)
        return self.google.users[JO].primary.event(title, start, start + HOUR, {ME: "accepted"}, **fields)

    def mine(self, title: str, hours: float, **fields: Any) -> str:
        """Dana's own meeting with Jo."""
        start = at(hours)
        return self.google.users[ME].primary.event(title, start, start + HOUR, {JO: "accepted"}, **fields)

    def stored(self) -> list[Occurrence]:
        """Everything in the store, by start."""
        with self.world.store.read() as conn:
            return agenda.between(conn, at(-1000), at(3000))


def at(hours: float) -> datetime:
    """So many hours after the story begins."""
    return NOW + timedelta(hours=hours)


@contextmanager
def room(folder: Path) -> Iterator[Room]:
    """An office that has read its account once, when there was nothing in it but old meetings."""
    world = World(folder, RULES, ["acme"])
    with fake_google(lambda: world.clock.at) as google:
        google.user(ME, "Dana Reyes")
        google.user(JO, "Jo")
        google.oauth.lifetime = timedelta(days=999)
        world.calendars["acme"] = connect(google)  # type: ignore[assignment]
        found = Room(world, google)
        for number in range(12):
            found.mine(f"old {number}", -100 - number)
        world.round()
        yield found


def test_a_changed_instance_finds_its_series_in_the_store(tmp_path: Path) -> None:
    """A poll is given the stored text of a series, so that one request brings a change."""
    with room(tmp_path) as found:
        series = found.mine("Weekly", 300, recurrence=WEEKLY)
        found.world.round(1)
        found.google.answer(found.google.instance(series, at(300 + 168)), JO, "declined")
        found.google.requests.clear()
        found.world.round(1)
        assert [request.route for request in found.google.requests] == ["calendar.events.list"]
        people = [one.attendees[0].partstat for one in found.stored() if one.title == "Weekly"]
        assert people == [PartStat.ACCEPTED, PartStat.DECLINED, PartStat.ACCEPTED]


def test_a_cancellation_is_answered_and_my_own_removal_is_not(tmp_path: Path) -> None:
    """The other side cancelled: I offer other times. I took it out myself: that is the end of it."""
    with room(tmp_path) as found:
        cancelled, removed = found.theirs("Cancelled", 100), found.theirs("Removed", 104)
        found.world.round(1)
        found.google.cancel(cancelled)
        found.google.delete_own_copy(removed, ME)
        assert found.world.round(1) + found.world.round(3) == [JO]
        [one] = [one for one in found.stored() if one.title in {"Cancelled", "Removed"}]
        assert (one.title, one.status, one.removed_at) == ("Cancelled", Status.CANCELLED, None)
        assert found.world.round(1) == []


def test_out_of_office_is_away_without_any_word(tmp_path: Path) -> None:
    """An event of kind outOfOffice makes the meetings in it move, whatever it is called."""
    with room(tmp_path) as found:
        found.mine("Review", 100)
        found.world.round(1)
        found.google.users[ME].primary.event("Surfing", at(90), at(130), eventType="outOfOffice")
        assert found.world.round(1) == [JO]


def test_a_forgotten_token_is_one_full_read(tmp_path: Path) -> None:
    """410: everything is read once, nothing that was known is lost, and what ended is no removal."""
    with room(tmp_path) as found:
        found.mine("Ahead", 100)
        found.world.round(1)
        before = [(one.title, one.start_utc) for one in found.stored()]
        found.google.users[ME].primary.forget_tokens()
        found.world.round(40 * 24)
        after = [(one.title, one.start_utc) for one in found.stored()]
        assert after == before
        with found.world.store.read() as conn:
            [row] = calendars.calendars(conn)
        assert (row.events, row.shrink_seen) == (13, None)


def test_a_failing_google_is_told_and_changes_nothing(tmp_path: Path) -> None:
    """Whatever Google answers instead of events, the account is said to be blind and its meetings stay."""
    with room(tmp_path) as found:
        found.mine("Ahead", 100)
        found.world.round(1)
        before = found.stored()
        for effect in (faults.html(), faults.truncated(), faults.error(403, "forbidden"), faults.error(401)):
            found.google.heal()
            found.google.fail("calendar.*", effect, times=None)
            found.world.round(0.1)
            with found.world.store.read() as conn:
                assert calendars.accounts(conn)["acme"].error
            assert [one.key for one in found.stored()] == [one.key for one in before]


@pytest.mark.parametrize(
    ("visible", "failing", "offered"),
    [(True, False, "11 March"), (False, False, "9 March"), (True, True, "9 March")],
)
def test_no_time_is_offered_when_the_other_is_busy(
    tmp_path: Path, *, visible: bool, failing: bool, offered: str
) -> None:
    """Where Google shows when Jo is busy, only her free times are offered; a failure hinders nothing."""
    with room(tmp_path) as found:
        jo = found.google.users[JO].primary
        jo.busy_visible = False
        jo.roles |= {ME: "freeBusyReader"} if visible else {}
        jo.event("Trip", at(0), at(9 * 24))
        if failing:
            found.google.fail("calendar.freebusy.query", faults.error(403, "forbidden"), times=None)
        found.mine("Review", 100)
        found.world.round(1)
        found.google.users[ME].primary.event("Off", at(90), at(130), eventType="outOfOffice")
        assert found.world.round(1) == [JO]
        [(_, mail)] = found.world.mailer.kept
        body = mail.get_body(("plain",))
        assert body is not None
        first = next(line for line in body.get_content().splitlines() if line.startswith("  1. "))
        assert f" {offered} 2026" in first
        assert found.google.count("calendar.freebusy.query") == 1
