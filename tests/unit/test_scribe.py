"""What a letter is given: times that are really free, the reader's zone and language, the iTIP part."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path

import pytest

from connectors.memory import MemoryConnector
from daemon.config.settings import load
from daemon.store import deliveries
from tests.support.house import event
from tests.support.offices import World, at

RULES = """\
version: 1
guard: {first_sync: act}
rules:
  - name: confirm
    when: unconfirmed
    then:
      - {step: ask, do: confirm, at: 48h before start, until: 24h before start}
      - {step: move, do: reschedule, at: 20h before start, slots: 3, within: 2 business days, notice: 1h}
  - name: clash
    when: {conflict: {keep: [account:acme]}}
    then:
      - {step: move, do: reschedule, at: 7d before start}
"""
JO = "jo@acme.example"


def offered(world: World) -> list[datetime]:
    """The starts offered in the last mail, from the store."""
    with world.store.read() as conn:
        return [span.start for span in deliveries.list_(conn)[-1].offered]


def calendar_of(mail: EmailMessage) -> tuple[str, str] | None:
    """The method and text of the calendar part; None without one."""
    for part in mail.walk():
        if part.get_content_type() == "text/calendar":
            return str(part.get_param("method")), part.get_content()
    return None


def busy(uid: str, start: datetime, hours: float, more: str = "") -> str:
    """A block of time without guests."""
    text = event(uid, start, {}, more=more).replace("ORGANIZER:mailto:dana@va.example\r\n", "")
    end = start + timedelta(hours=hours)
    return text.replace(
        f"DTEND:{start + timedelta(minutes=30):%Y%m%dT%H%M%SZ}", f"DTEND:{end:%Y%m%dT%H%M%SZ}"
    )


def test_offered_times_are_free_in_every_calendar(tmp_path: Path) -> None:
    """Other accounts, unanswered invitations and all-day absences block; transparent ones do not."""
    world = World(tmp_path, RULES, accounts=("acme", "own"))
    world.put("acme", "kickoff", event("kickoff", at(20), {JO: "NEEDS-ACTION"}))  # Tuesday 05:00
    tuesday = datetime(2026, 3, 3, tzinfo=UTC)
    world.put("own", "morning", busy("morning", tuesday.replace(hour=9), 3))
    invited = event("invited", tuesday.replace(hour=13), {"dana@va.example": "NEEDS-ACTION"})
    world.put("own", "invited", invited.replace("ORGANIZER:mailto:dana", "ORGANIZER:mailto:bo"))
    away = busy("away", tuesday, 1).replace("DTSTART:20260303T000000Z", "DTSTART;VALUE=DATE:20260304")
    away = away.replace("DTEND:20260303T010000Z", "DTEND;VALUE=DATE:20260305")
    world.put("own", "away", away)
    world.put("own", "free", busy("free", tuesday.replace(hour=14), 3, more="TRANSP:TRANSPARENT"))
    assert world.round() == [JO]
    starts = offered(world)
    assert starts
    for start in starts:
        assert start.date() == tuesday.date(), "Wednesday is taken, Thursday is too far"
        assert start.hour >= 12
        assert start != tuesday.replace(hour=13)


def test_a_time_offered_to_one_is_not_offered_to_another(tmp_path: Path) -> None:
    """Two people picking the same slot would be the next clash."""
    world = World(tmp_path, RULES)
    for uid, guest in (("a", JO), ("b", "bo@initech.example")):
        world.put("acme", uid, event(uid, at(19 + 2 * (uid == "b")), {guest: "NEEDS-ACTION"}))
    world.round()
    world.round(1)
    with world.store.read() as conn:
        first, second = (set(one.offered) for one in deliveries.list_(conn))
    assert first
    assert second
    assert not any(one.overlaps(other) for one in first for other in second)


@pytest.mark.parametrize("schedules", [False, True])
def test_the_invitation_goes_along_unless_the_server_delivers_it(tmp_path: Path, *, schedules: bool) -> None:
    """RFC 6638: exactly one notice reaches the attendee."""
    world = World(tmp_path, RULES)
    if schedules:
        world.calendars["acme"] = MemoryConnector("acme", schedules=True)
    world.put("acme", "kickoff", event("kickoff", at(47), {JO: "NEEDS-ACTION"}))
    assert world.round() == [JO]
    part = calendar_of(world.mailer.kept[0][1])
    if schedules:
        assert part is None
    else:
        assert part is not None
        method, text = part
        assert method.upper() == "REQUEST"
        assert "METHOD:REQUEST" in text
        assert "UID:kickoff" in text


def test_somebody_elses_meeting_is_countered(tmp_path: Path) -> None:
    """RFC 5546 section 3.2.7: a COUNTER with the first offered time goes to the organiser."""
    world = World(tmp_path, RULES, accounts=("acme", "own"))
    theirs = event("theirs", at(30), {"dana@va.example": "ACCEPTED"})
    world.put(
        "own", "theirs", theirs.replace("ORGANIZER:mailto:dana@va.example", "ORGANIZER:mailto:bo@own.example")
    )
    world.put("acme", "mine", event("mine", at(30), {JO: "ACCEPTED"}))
    assert world.round() == ["bo@own.example"]
    part = calendar_of(world.mailer.kept[0][1])
    assert part is not None
    method, text = part
    assert method.upper() == "COUNTER"
    assert f"DTSTART:{offered(world)[0]:%Y%m%dT%H%M%SZ}" in text
    assert "mine" not in text


def test_the_reader_gets_their_own_language_and_zone(tmp_path: Path) -> None:
    """``language`` and ``time_zone`` of the account; the owner's times stand beside."""
    world = World(tmp_path, RULES)
    path = tmp_path / "config.yaml"
    path.write_text(
        path.read_text().replace("client: Acme", "client: Acme, language: pt, time_zone: America/New_York")
    )
    world.settings = load(path)
    world.office = world.open()
    world.put("acme", "kickoff", event("kickoff", at(47), {JO: "NEEDS-ACTION"}))
    world.round()
    mail = world.mailer.kept[0][1]
    assert mail["Content-Language"].startswith("pt")
    body = mail.get_body(("plain",))
    assert body is not None
    assert "America/New_York (UTC-05:00)" in body.get_content()
    assert "Europe/Lisbon" in body.get_content()


def test_followups_are_threaded(tmp_path: Path) -> None:
    """In-Reply-To and References name the mail before."""
    world = World(tmp_path, RULES)
    world.put("acme", "kickoff", event("kickoff", at(48), {JO: "NEEDS-ACTION"}))
    world.round()
    world.round(28.5)
    first, second = (mail for _, mail in world.mailer.kept)
    assert second["In-Reply-To"] == first["Message-ID"]
    assert first["Message-ID"] in second["References"]
