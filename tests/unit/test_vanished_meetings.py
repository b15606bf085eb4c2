"""Polls that find an invitation gone: what the office remembers of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from daemon.store import agenda
from rules.model import Occurrence
from tests.support.ics import calendar, vevent
from tests.support.offices import World, at

RULES = """\
version: 1
rules:
  - name: confirm
    when: unconfirmed
    then:
      - {step: ask, do: confirm, at: 48h before start, until: 2h before start}
"""


def invitation(uid: str, *lines: str, hours: float = 100) -> str:
    """Jo's meeting, which I accepted."""
    return calendar(
        vevent(
            *lines,
            f"DTSTART:{at(hours):%Y%m%dT%H%M%SZ}",
            f"DTEND:{at(hours + 1):%Y%m%dT%H%M%SZ}",
            "SUMMARY:Review",
            "ORGANIZER:mailto:jo@acme.example",
            "ATTENDEE;PARTSTAT=ACCEPTED:mailto:jo@acme.example",
            "ATTENDEE;PARTSTAT=ACCEPTED:mailto:dana@va.example",
            uid=uid,
        )
    )


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Two accounts; one holds twenty invitations and a series."""
    found = World(tmp_path, RULES, ["acme", "own"])
    for number in range(20):
        found.put("acme", f"i{number}", invitation(f"i{number}", hours=100 + number))
    found.put("acme", "weekly", invitation("weekly", "RRULE:FREQ=WEEKLY;COUNT=5"))
    found.round()
    return found


def remembered(world: World) -> list[Occurrence]:
    """What vanished and is remembered."""
    with world.store.read() as conn:
        found = agenda.between(conn, at(0), at(3000))
    return [one for one in found if one.removed_at]


def test_a_poll_that_misses_an_invitation_remembers_it(world: World) -> None:
    """A resource that is gone, and an instance taken out of a series that stays."""
    world.calendars["acme"].remove("/i3.ics")
    second = f"EXDATE:{at(100 + 168):%Y%m%dT%H%M%SZ}"
    world.put("acme", "weekly", invitation("weekly", "RRULE:FREQ=WEEKLY;COUNT=5", second))
    world.round(1)
    found = {one.key.uid: one for one in remembered(world)}
    assert set(found) == {"i3", "weekly"}
    assert {(one.status, one.cancelled_at, one.removed_at) for one in found.values()} == {
        ("CANCELLED", at(1), at(1))
    }
    assert found["weekly"].start_utc == at(268)


def test_a_full_read_keeps_what_is_remembered(world: World) -> None:
    """A server that forgot our cursor is read in full: the remembered stay, and count nowhere."""
    world.calendars["acme"].remove("/i3.ics")
    world.round(1)
    world.calendars["acme"].forget_cursors()
    world.put("acme", "new", invitation("new", hours=300))
    world.round(1)
    assert [one.key.uid for one in remembered(world)] == ["i3"]
    world.round(25)  # the horizon rolls
    assert [one.key.uid for one in remembered(world)] == ["i3"]


def test_a_move_to_another_account_is_no_cancellation(world: World) -> None:
    """The invitation turns up in another calendar of mine, in the same round or the next one."""
    world.calendars["acme"].remove("/i3.ics")
    world.round(1)
    world.put("own", "i3", invitation("i3", hours=103))
    world.calendars["acme"].remove("/i4.ics")
    world.put("own", "i4", invitation("i4", hours=104))
    world.round(1)
    assert remembered(world) == []


def test_a_calendar_that_shrinks_cancels_nothing(world: World) -> None:
    """What a second look believes to be gone was not cancelled by twenty people at once."""
    for number in range(12):
        world.calendars["acme"].remove(f"/i{number}.ics")
    world.round(1)
    world.round(1)
    with world.store.read() as conn:
        left = {one.key.uid for one in agenda.between(conn, at(0), at(3000))}
    assert left == {f"i{number}" for number in range(12, 20)} | {"weekly"}
