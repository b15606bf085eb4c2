"""P5 and P6 over whole offices: whom nobody may accuse, and which meeting nobody may touch yet."""

from __future__ import annotations

import random
import re
from datetime import datetime
from pathlib import Path

import pytest

from daemon.store import agenda, attendance
from rules.model import Held
from tests.support.house import event
from tests.support.offices import World, at
from tests.support.visitor import AL, JO, ME, Desk
from tests.trust.conftest import Trial

RULES = """\
version: 1
guard: {{first_sync: act, max_per_run: 1000, max_per_hour: 1000, per_recipient_per_day: 1000}}
rules:
  - name: missed
    when: {missed}
    then:
      - {{step: offer, do: reschedule, at: 45m after end, until: 2d after end}}
  - name: held
    when: unaccounted
    then:
      - {{step: ask-me, do: check_in, at: 45m after end, until: 1d after end}}
"""

PRESUMING = "{missed: {presume: [never_confirmed]}}"

WORDS = {None: None, "held": Held.HELD, "missed": Held.MISSED_BY_ATTENDEE, "mine": Held.MISSED_BY_ME}


@pytest.mark.promise("P5", "meetings end with any evidence, or none: marks, words and answers at random")
def test_nobody_is_accused_without_evidence(tmp_path: Path, trial: Trial) -> None:
    """Whom something says to have been away is written to, in words as sure as that; and nobody else."""
    ended = accused = 0
    for seed in range(trial.size(1, 25)):
        folder, chance = tmp_path / str(seed), random.Random(seed)
        folder.mkdir()
        presuming = seed % 2 == 1
        world = World(folder, RULES.format(missed=PRESUMING if presuming else "missed"))
        sure: set[str] = set()
        soft: set[str] = set()
        words: dict[str, Held] = {}
        for number in range(20):
            uid, to = f"m{number}", f"g{number}@acme.example"
            answer = chance.choice(["NEEDS-ACTION", "ACCEPTED", "TENTATIVE"])
            mark = chance.choice(["", "", "", "[no-show] ", "[held] "])
            word = WORDS[chance.choice([None, None, *WORDS])]
            world.put("acme", uid, event(uid, at(1), {to: answer}, title=f"{mark}Review"))
            if word is not None:
                words[uid] = word
            missed = word is Held.MISSED_BY_ATTENDEE or (word is None and mark == "[no-show] ")
            if missed:
                sure.add(to)
            elif presuming and word is None and not mark and answer == "NEEDS-ACTION":
                soft.add(to)
        world.round()
        world.clock.at = at(1.6)
        _say(world, words)
        for hours in (0.2, 1, 5, 20):
            world.round(hours)
        written = [to for to in world.mailer.to if to != ME]
        assert sorted(written) == sorted(sure | soft), set(written) ^ (sure | soft)
        for to, mail in world.mailer.kept:
            part = mail.get_body(("plain",))
            assert part is not None
            assert to not in soft or "seem to have missed" in " ".join(part.get_content().split())
        ended, accused = ended + 20, accused + len(written)
        world.office.close()
        world.store.close()
    trial.saw(f"{ended} meetings ended", f"0 accused without evidence; {accused} written to, each with cause")


def _say(world: World, words: dict[str, Held]) -> None:
    """The owner's word on some of them."""
    with world.store.write() as conn:
        for one in agenda.between(conn, at(-1), at(10)):
            if one.key.uid in words:
                attendance.mark(conn, one.identity, words[one.key.uid], "you", world.clock.now())


def _times(text: str) -> tuple[str, int]:
    """When a meeting starts and its SEQUENCE, as the calendar has them."""
    start = re.search(r"^DTSTART[^:\r\n]*:(\S+)", text, re.MULTILINE)
    sequence = re.search(r"^SEQUENCE:(\d+)", text, re.MULTILINE)
    assert start is not None
    return start[1], int(sequence[1]) if sequence else 0


@pytest.mark.promise("P6", "offers are answered at random by two people: looked at, refused, picked, changed")
def test_a_meeting_stays_until_all_agree_and_then_moves_once(tmp_path: Path, trial: Trial) -> None:
    """The event is untouched until both picked one time; then the same UID moves, SEQUENCE one higher."""
    acts = moved = 0
    for seed in range(trial.size(1, 25)):
        folder, chance = tmp_path / str(seed), random.Random(seed)
        folder.mkdir()
        desk = Desk(folder)
        paths = {JO: desk.offered(people={JO: "ACCEPTED", AL: "ACCEPTED"})}
        paths[AL] = desk.path(desk.left(AL, "other"))
        before = desk.calendars["acme"].raw("/kickoff.ics")
        picked: dict[str, set[str]] = {}
        while not picked.get(JO, set()) & picked.get(AL, set()) and len(paths) == 2 and acts < 10_000:
            who = chance.choice([JO, AL])
            page = desk.visitor.get(paths[who])
            slots = [part.split('"')[0] for part in page.text.split('name="slot" value="')[1:]]
            acts += 1
            luck = chance.random()
            if luck < 0.4 or not slots:
                desk.visitor.get(paths[who])
            elif luck < 0.5:
                desk.visitor.post(paths[who], seal="forged", do="pick", slot=slots[0])
            else:
                some = chance.sample(slots, min(len(slots), chance.randint(1, 2)))
                desk.visitor.answer(paths[who], do="pick", slot=some)
                picked[who] = set(some)
            agreed = picked.get(JO, set()) & picked.get(AL, set())
            if not agreed:
                desk.round(0.05)
                assert desk.calendars["acme"].raw("/kickoff.ics") == before, "it moved before all agreed"
        for _ in range(2):
            desk.round(0.05)
        after = desk.calendars["acme"].raw("/kickoff.ics")
        start, sequence = _times(after)
        starts = {datetime.fromtimestamp(int(slot.split("-")[0]), tz=at(0).tzinfo) for slot in agreed}
        assert start in {f"{each:%Y%m%dT%H%M%SZ}" for each in starts}
        assert sequence == _times(before)[1] + 1
        assert "UID:kickoff" in after
        assert after.count("BEGIN:VEVENT") == 1
        moved += 1
        desk.office.close()
        desk.store.close()
    trial.saw(
        f"{acts} looks and answers", f"untouched until agreed; {moved} of {moved} moved, SEQUENCE+1, once"
    )
