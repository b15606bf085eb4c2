"""What a letter is given: times that are really free, the reader's zone and language, the iTIP part."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path

import pytest

from connectors.base import Rejected
from connectors.memory import MemoryConnector
from daemon.config.settings import load
from daemon.foresight import foresee, write_all
from daemon.mail.message import Mail
from daemon.store import contacts, deliveries
from rules.model import Address, Encounter, Intent, Met
from tests.support.house import event
from tests.support.meetings import meeting
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


TOGETHER = """\
version: 1
guard: {first_sync: act}
rules:
  - name: found
    when: WHEN
    group_by: contact
    group_wait: 10m
    then:
      - {step: move, do: reschedule, at: 14d before start, slots: 2, within: 3 business days}
"""


def text_of(mail: EmailMessage) -> str:
    """What a person reads."""
    body = mail.get_body(("plain",))
    assert body is not None
    return str(body.get_content()).replace("\r\n", "\n")


def test_what_is_found_for_one_person_is_one_mail(tmp_path: Path) -> None:
    """Two meetings of Jo's, their times numbered on, none offered twice, each kept with its delivery."""
    world = World(tmp_path, TOGETHER.replace("WHEN", "unconfirmed"), accounts=("acme", "own"))
    world.put("acme", "a", event("a", at(49), {JO: "NEEDS-ACTION"}, title="Alpha"))
    world.put("acme", "b", event("b", at(50), {JO: "NEEDS-ACTION"}, title="Beta"))
    world.put("own", "c", event("c", at(51), {JO: "NEEDS-ACTION"}, title="Gamma"))
    world.round()
    assert world.round(0.2) == [JO, JO], "one mail for each client, never one for both"
    with world.store.read() as conn:
        rows = deliveries.list_(conn)
    together = [row for row in rows if row.key and row.key.calendar.account == "acme"]
    assert len({row.message_id for row in together}) == 1
    times = [slot for row in together for slot in row.offered]
    assert [len(row.offered) for row in together] == [2, 2]
    assert not any(one.overlaps(other) for at_, one in enumerate(times) for other in times[:at_])
    mail = next(mail for _, mail in world.mailer.kept if "2 meetings" in str(mail["Subject"]))
    assert all(f"\n  {number}. " in text_of(mail) for number in (1, 2, 3, 4))
    assert "Gamma" not in text_of(mail)
    assert calendar_of(mail) is None


def test_after_an_absence_times_lie_after_it(tmp_path: Path) -> None:
    """The offer for a meeting in my holiday is for when I am back, even if the holiday shows as free."""
    world = World(tmp_path, TOGETHER.replace("WHEN", "away"))
    world.put("acme", "kickoff", event("kickoff", at(48), {JO: "ACCEPTED"}))  # Wednesday 09:00
    holiday = busy("off", at(0), 1, more="TRANSP:TRANSPARENT").replace("Kickoff review", "Out of office")
    holiday = holiday.replace("DTSTART:20260302T090000Z", "DTSTART;VALUE=DATE:20260302")
    world.put("acme", "off", holiday.replace("DTEND:20260302T100000Z", "DTEND;VALUE=DATE:20260309"))
    world.round()
    assert world.round(0.2) == [JO]
    assert [start.date().isoformat() for start in offered(world)] == ["2026-03-09", "2026-03-10"]
    assert "I will not be available" in text_of(world.mailer.kept[0][1])
    assert "Out of office" not in str(world.mailer.kept[0][1])


def test_another_meeting_quotes_none(tmp_path: Path) -> None:
    """A series that ends is followed by times after its last day, without an invitation or counter."""
    world = World(tmp_path, TOGETHER.replace("WHEN", "ending"))
    series = event("weekly", at(1), {"dana@va.example": "ACCEPTED"}, more="RRULE:FREQ=WEEKLY;COUNT=2")
    organizer = "ORGANIZER;CN=Bo:mailto:bo@acme.example"
    world.put("acme", "weekly", series.replace("ORGANIZER:mailto:dana@va.example", organizer))
    world.round()
    assert world.round(0.2) == ["bo@acme.example"]
    mail = world.mailer.kept[0][1]
    assert "comes to its last one" in text_of(mail)
    assert calendar_of(mail) is None
    assert min(offered(world)).date().isoformat() == "2026-03-10", "the last one is on the 9th"


def test_a_cancelled_time_is_not_offered_again(tmp_path: Path) -> None:
    """Its hour is free again, but they have just given it up."""
    world = World(tmp_path, TOGETHER.replace("WHEN", "{cancelled: {grace: 0m}}"))
    theirs = event("theirs", at(25), {"dana@va.example": "ACCEPTED"}).replace(
        "ORGANIZER:mailto:dana@va.example", "ORGANIZER:mailto:bo@acme.example"
    )
    world.put("acme", "theirs", theirs)
    world.round()
    world.put("acme", "theirs", theirs.replace("SUMMARY", "STATUS:CANCELLED\r\nSEQUENCE:1\r\nSUMMARY"))
    world.round(0.1)
    assert world.round(0.2) == ["bo@acme.example"]
    assert at(25) not in offered(world)
    assert "Our meeting was cancelled" in text_of(world.mailer.kept[0][1])


def test_a_meeting_long_past_is_remembered_with_its_people(tmp_path: Path) -> None:
    """A mail to somebody who went quiet needs no calendar to hold the last meeting still."""
    world = World(tmp_path, TOGETHER.replace("WHEN", "silent").replace("14d before start", "at end"))
    last = meeting("last", starts=-2000, title="Review of spring")
    intent = Intent(
        rule="found", step="move", do="reschedule", mode="auto", key=last.key, start=last.start,
        to=Address(JO), people=(Address(JO),), due=at(-1), until=at(9), reason="quiet", detector="silent",
    )  # fmt: skip
    with pytest.raises(Rejected, match="no longer in the calendar"):
        world.office.scribe.write(intent, world.clock.now())
    with world.store.write() as conn:
        met = Encounter(identity=last.identity, at=last.end_utc, met=Met.HELD)
        contacts.note(conn, Address(JO), met, last, world.clock.now())
    mail = world.office.scribe.write(intent, world.clock.now())
    assert "our last meeting, “Review of spring”" in " ".join(mail.text.split())
    assert len(mail.offered) == 2


def test_a_shown_plan_shows_one_mail_for_a_group(tmp_path: Path) -> None:
    """What `plan --show` prints for grouped messages is the mail that would leave."""
    world = World(tmp_path, TOGETHER.replace("WHEN", "unconfirmed"))
    world.put("acme", "a", event("a", at(49), {JO: "NEEDS-ACTION"}, title="Alpha"))
    world.put("acme", "b", event("b", at(50), {JO: "NEEDS-ACTION"}, title="Beta"))
    found = foresee(world.office)
    mails = write_all(world.office, found.intents, found.now)
    assert len(mails) == 2
    first, second = mails.values()
    assert first is second
    assert isinstance(first, Mail)
    assert len(first.offered) == 4


def test_clients_never_share_a_mail(tmp_path: Path) -> None:
    """Even if asked to, the scribe writes no mail about meetings of two clients."""
    world = World(tmp_path, TOGETHER.replace("WHEN", "unconfirmed"), accounts=("acme", "own"))
    for account in ("acme", "own"):
        world.put(account, account, event(account, at(49), {JO: "NEEDS-ACTION"}))
    one, other = foresee(world.office).intents
    with pytest.raises(Rejected, match="different clients"):
        world.office.scribe.write(one, world.clock.now(), companions=[other])
