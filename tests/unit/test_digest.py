"""The owner's digest: when it comes, what it tells and in which order, and that it comes once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from connectors.base import Rejected, Unreachable
from daemon import digest
from daemon.mail.digest_words import SECTIONS, write
from daemon.store import contacts, deliveries
from rules.model import Address, Encounter, Met, PartStat
from rules.policy import Digest
from tests.support.house import event
from tests.support.meetings import meeting, owner
from tests.support.offices import World, at

JO = "jo@acme.example"
WEEKDAYS = Digest.model_validate({"at": "08:00", "on": "weekdays"})
RULES = """\
version: 1
guard: {first_sync: act}
digest: {at: 08:00, on: weekdays}
rules:
  - name: confirm
    when: unconfirmed
    then:
      - {step: ask, do: confirm, at: 48h before start, until: 24h before start}
  - name: move
    when: declined
    mode: approve
    then:
      - {step: offer, do: reschedule, at: 7d before start}
"""


def lisbon(day: int, hour: int, minute: int = 0, month: int = 3) -> datetime:
    """An instant of 2026; Lisbon is at UTC until 29 March."""
    return datetime(2026, month, day, hour, minute, tzinfo=UTC)


def due(
    now: datetime, last: datetime, zone: str = "Europe/Lisbon", wanted: Digest = WEEKDAYS
) -> datetime | None:
    """When the digest of that moment was meant to be."""
    return digest.due(wanted, owner(zone), now, last)


def test_it_is_due_once_on_each_of_its_days() -> None:
    """From its time on until it was written; not on a Saturday; Monday's after Friday's."""
    friday = lisbon(6, 8)
    assert due(lisbon(6, 7, 59), lisbon(5, 8)) is None
    assert due(friday, lisbon(5, 8)) == friday
    assert due(lisbon(6, 8, 5), lisbon(5, 8)) == friday
    assert due(lisbon(6, 8, 6), lisbon(6, 8, 5)) is None
    assert due(lisbon(7, 8), friday) is None
    assert due(lisbon(9, 8), friday) == lisbon(9, 8)


def test_a_digest_that_would_be_half_a_day_late_is_left_to_the_next() -> None:
    """After a day of downtime nobody reads yesterday's news twice."""
    assert due(lisbon(6, 19, 59), lisbon(2, 8)) == lisbon(6, 8)
    assert due(lisbon(6, 20), lisbon(2, 8)) is None
    evening = Digest.model_validate({"at": "23:00"})
    assert due(lisbon(7, 2), lisbon(2, 8), wanted=evening) == lisbon(6, 23)


def test_it_keeps_to_the_clock_on_the_wall() -> None:
    """Summer time, an hour that the clocks skip, and one they show twice: once each, in the owner's zone."""
    assert due(lisbon(30, 7), lisbon(27, 8)) == lisbon(30, 7), "08:00 in summer is 07:00 UTC"
    skipped, twice = (Digest.model_validate({"at": time}) for time in ("02:30", "01:30"))
    assert due(lisbon(8, 7, 30), lisbon(7, 9), "America/New_York", skipped) == lisbon(8, 7, 30)
    first = due(lisbon(1, 5, 45, month=11), lisbon(31, 9, month=10), "America/New_York", twice)
    assert first == lisbon(1, 5, 30, month=11)
    assert due(lisbon(1, 6, 45, month=11), lisbon(1, 5, 46, month=11), "America/New_York", twice) is None


def told(world: World) -> str | None:
    """The digest queued at this moment, as its notice holds it; None when none was."""
    digest.tell(world.store, world.settings, world.clock.now())
    with world.store.read() as conn:
        rows = [row for row in deliveries.list_(conn) if row.step == "digest"]
    if not rows or rows[-1].created_at != world.clock.now():
        return None
    assert rows[-1].to == "dana@va.example"
    return f"{rows[-1].subject}\n{rows[-1].reason}"


def at_eight(world: World, day: int) -> None:
    """Eight in the morning of a day of March."""
    world.clock.at = lisbon(day, 8)


def test_the_first_round_only_takes_note(tmp_path: Path) -> None:
    """Nothing of before is told; the first digest comes at the next moment, and once."""
    world = World(tmp_path, RULES)
    world.round()
    assert told(world) is None
    at_eight(world, 3)
    world.round()
    text = told(world)
    assert text is not None
    assert "All is quiet" in text
    world.round(0.1)
    assert told(world) is None
    with world.store.read() as conn:
        assert [row.step for row in deliveries.list_(conn)] == ["digest"]


def test_after_a_start_it_waits_for_the_accounts(tmp_path: Path) -> None:
    """What was not tried yet is not called unseen; close to its end the digest waits no longer."""
    world = World(tmp_path, RULES)
    world.round()
    at_eight(world, 3)
    assert told(world) is None
    world.office.poll("acme")
    assert told(world) is not None
    at_eight(world, 4)
    assert told(world) is None
    world.clock.at += timedelta(hours=11)
    text = told(world)
    assert text is not None
    assert "What I cannot see:\n- acme, since Tue 3 March 08:00" in text


def ordered(text: str, words: Sequence[str]) -> bool:
    """Whether these stand in the text, in this order."""
    places = [text.find(word) for word in words]
    assert -1 not in places, [word for word, place in zip(words, places, strict=True) if place < 0]
    return places == sorted(places)


def test_it_tells_my_own_misses_first(tmp_path: Path) -> None:
    """What I missed and left open, what waits, what was sent, whom it went to, what is next, in order."""
    world = World(tmp_path, RULES, accounts=("acme", "own"))
    world.round()
    told(world)
    missed = event("missed", at(1), {JO: "ACCEPTED"}, title="[missed-by-me] Standup")
    world.put("acme", "missed", missed.replace("DTSTAMP", "LAST-MODIFIED:20260302T120000Z\r\nDTSTAMP"))
    invited = event("open", at(60), {"dana@va.example": "NEEDS-ACTION"}, title="Budget")
    world.put(
        "own", "open", invited.replace("ORGANIZER:mailto:dana@va.example", "ORGANIZER:mailto:bo@own.example")
    )
    world.put("acme", "no", event("no", at(100), {"sam@acme.example": "DECLINED"}, title="Retro"))
    world.put("acme", "asked", event("asked", at(47), {JO: "NEEDS-ACTION"}, title="Kickoff"))
    world.put("acme", "later", event("later", at(72), {"al@acme.example": "NEEDS-ACTION"}, title="Planning"))
    assert world.round(4) == [JO]
    at_eight(world, 3)
    world.round()
    text = told(world)
    assert text is not None
    assert "waits" in text.split("\n")[0]
    assert ordered(text, [
        "You were not there:\n- Standup, Mon 2 March 10:00 (jo@acme.example)\n",
        "Invitations you have not answered:\n- Budget, Wed 4 March 21:00 (bo@own.example)\n",
        "Waiting for your word:\n- ", "to sam@acme.example about Retro, Fri 6 March 13:00 (move, offer)",
        "    rebookd outbox approve ",
        "Sent since the last digest:\n- jo@acme.example: Can you make it to Kickoff, Wed 4 March 08:00?\n",
        "Next today, if nothing changes:\n",
        "- 09:00 to al@acme.example about Planning, Thu 5 March 09:00 (confirm, ask)\n",
        "Times are those of Europe/Lisbon.",
    ])  # fmt: skip
    world.round(2)
    at_eight(world, 4)
    world.round()
    text = told(world)
    assert text is not None
    assert "You were not there" not in text, "it was told yesterday"
    assert "al@acme.example: Can you make it" in text


def test_it_tells_what_cannot_be_seen_and_what_is_in_doubt(tmp_path: Path) -> None:
    """An account that was not read, and a mail that was refused, with the command that sends it."""
    world = World(tmp_path, RULES, accounts=("acme", "own"))
    world.put("acme", "asked", event("asked", at(48), {JO: "NEEDS-ACTION"}, title="Kickoff"))
    told(world)
    world.mailer.errors = [Rejected("550 no such person")]
    world.round()
    at_eight(world, 3)
    world.calendars["acme"].fail(Unreachable("no answer"))
    world.round()
    text = told(world)
    assert text is not None
    assert ordered(text, [
        "Not sent, or nobody knows:\n- 1: to jo@acme.example, Can you make it",
        "refused (550 no such person)",
        "    rebookd outbox retry 1\n",
        "What I cannot see:\n- acme, since Mon 2 March 09:00: no answer\n",
    ])  # fmt: skip
    assert "- own" not in text


@pytest.mark.parametrize("language", ["en", "pt"])
def test_every_section_is_left_out_when_it_is_empty(language: str) -> None:
    """One calm line then; a full list is cut, and says how much it leaves out."""
    nothing: dict[str, Any] = {name: [] for name in SECTIONS} | {
        "more": dict.fromkeys(SECTIONS, 0), "held_ids": "", "troubled_ids": "", "quiet": True,
        "day": "Mon 2 March 2026", "zone": "Europe/Lisbon",
    }  # fmt: skip
    _, text = write(nothing, language)
    assert len(text.split("\n\n")) == 2
    for name, parts in SECTIONS.items():
        item = {part: f"<{part}>" for part in parts}
        _, text = write(
            nothing | {name: [item] * 3, "more": nothing["more"] | {name: 7}, "quiet": False}, language
        )
        listed = [line for line in text.split("\n") if line.startswith("- ")]
        assert len(listed) == 4
        assert "7" in listed[3]
        assert all(f"<{part}>" in listed[0] for part in parts if part != "state")


def test_the_mail_is_the_owners(tmp_path: Path) -> None:
    """It leaves through the outbox like any notice, lists drawn as lists."""
    world = World(tmp_path, RULES)
    world.put("acme", "no", event("no", at(100), {JO: "DECLINED"}, title="Retro <i>"))
    world.round()
    told(world)
    at_eight(world, 3)
    assert world.round() == ["dana@va.example"]
    mail = world.mailer.kept[-1][1]
    assert mail["Subject"] == "Your day, Tue 3 March 2026: mails wait for your word"
    page = mail.get_body(("html",))
    assert page is not None
    assert "<ul" in page.get_content()
    assert "Retro &lt;i&gt;" in page.get_content()


def test_it_tells_who_goes_dark(tmp_path: Path) -> None:
    """Whom a rule finds silent, with the meeting last held; also after everything was said to them."""
    rules = (
        RULES
        + """\
  - name: quiet
    when: {silent: {at_least: 1d}}
    then:
      - {step: offer, do: reschedule, at: at end, until: 21 days after end}
"""
    )
    world = World(tmp_path, rules)
    last = meeting("last", starts=-480, title="Catch-up", people={Address(JO): PartStat.ACCEPTED})
    with world.store.write() as conn:
        for number, met in enumerate([Met.HELD, Met.HELD, Met.HELD, Met.MISSED, Met.UNANSWERED]):
            identity = last.identity if number == 2 else meeting(f"m{number}").identity
            when = last.end_utc + timedelta(days=2 * (number - 2))
            met_then = Encounter(identity=identity, at=when, met=met)
            contacts.note(conn, Address(JO), met_then, last if number == 2 else None, world.clock.now())
    assert world.round() == [JO]
    for day in (3, 4):
        at_eight(world, day)
        world.round()
        text = told(world)
        assert text is not None
        assert "Going quiet:\n- jo@acme.example: nothing since Catch-up, Tue 10 February 2026\n" in text
