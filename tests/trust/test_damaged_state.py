"""P1 with a state file damaged at any place: it is refused, or nobody is mailed again because of it."""

from __future__ import annotations

import collections
import random
import shutil
from pathlib import Path

import pytest

from daemon.store import StoreError, open_store
from tests.support.house import event
from tests.support.offices import World, at
from tests.trust.conftest import Trial

RULES = """\
version: 1
guard: {max_per_run: 10000, max_per_hour: 10000, per_recipient_per_day: 10000, first_sync: act}
rules:
  - name: ask
    when: unconfirmed
    then:
      - {step: ask, do: confirm, at: 7d before start}
      - {step: move, do: reschedule, at: 30h before start}
"""
PAGE = 4096
MEETINGS = 12


@pytest.fixture
def world(tmp_path: Path) -> World:
    """An office that has written to a dozen people, its state closed."""
    made = World(tmp_path, RULES)
    for number in range(MEETINGS):
        guest = f"guest{number}@acme.example"
        made.put("acme", f"m{number}", event(f"m{number}", at(10 + number), {guest: "NEEDS-ACTION"}))
    assert len(made.round()) == MEETINGS
    made.store.close()
    return made


def outcome(world: World, spoilt: bytes) -> str:
    """What becomes of a state with these bytes: refused in one sentence, or opened, and no harm done."""
    for leftover in world.folder.glob("state.db*"):
        if leftover.name != "state.db.watermark":
            leftover.unlink()
    path = world.folder / "state.db"
    path.write_bytes(spoilt)
    try:
        world.store = open_store(path, world.clock.at)
    except StoreError as error:
        said = str(error)
    else:
        said = ""
    if said:
        assert "\n" not in said
        assert "restore it from a backup" in said or "another path" in said, said
        return "refused"
    before = len(world.mailer.kept)
    try:
        world.office = world.open()
        world.office.round()
    except StoreError:
        return "stopped"
    finally:
        world.store.close()
    again = collections.Counter(str(mail["Message-ID"]) for _, mail in world.mailer.kept)
    doubles = [each for each, times in again.items() if times > 1]
    assert not doubles, f"{len(doubles)} were mailed twice"
    del world.mailer.kept[before:]
    return "opened, no harm"


def spoilt(whole: bytes, page: int, chance: random.Random) -> bytes:
    """The file with some bytes of one page changed: one bit, one byte, or a stretch of noise."""
    bytes_ = bytearray(whole)
    place = page * PAGE + chance.randrange(PAGE)
    kind = chance.randrange(3)
    if kind == 0:
        bytes_[place] ^= 1 << chance.randrange(8)
    elif kind == 1:
        bytes_[place] = chance.randrange(256)
    else:
        size = min(chance.choice([16, 512, PAGE]), len(bytes_) - place)
        bytes_[place : place + size] = chance.randbytes(size)
    return bytes(bytes_)


@pytest.mark.promise("P1", "bytes of the state file flipped, page by page; and the file cut at each page")
def test_a_damaged_state_is_refused_or_harmless(world: World, trial: Trial) -> None:
    """Whatever became of the file, nobody whom it remembers is mailed again."""
    whole = (world.folder / "state.db").read_bytes()
    pages = len(whole) // PAGE
    chance = random.Random(20260302)
    seen: collections.Counter[str] = collections.Counter()
    for _ in range(trial.size(1, 6)):
        for page in range(0, pages, trial.size(24, 1)):
            seen[outcome(world, spoilt(whole, page, chance))] += 1
    for page in range(0, pages, trial.size(24, 1)):
        cut = outcome(world, whole[: page * PAGE])
        assert cut == "refused", f"cut after page {page} of {pages}: {cut}"
        seen[cut] += 1
    assert outcome(world, whole) == "opened, no harm"
    assert seen["refused"]
    told = ", ".join(f"{times} {what}" for what, times in sorted(seen.items()))
    trial.saw(f"{seen.total()} damages, {pages} pages", f"0 mailed twice: {told}")
    shutil.rmtree(world.folder, ignore_errors=True)
