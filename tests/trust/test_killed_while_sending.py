"""P1 and P2 against the real process: killed at any moment, it mails nobody twice and loses nothing."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.support.house import house
from tests.support.lives import Lives
from tests.support.verdict import judge
from tests.trust.conftest import Trial


@pytest.mark.promise("P1, P2", "killed -9 at random while it sends")
def test_kills_give_no_duplicate_and_lose_nothing(tmp_path: Path, trial: Trial) -> None:
    """Kill -9 again and again: every mail ends sent exactly once, or unknown and told to the owner."""
    kills = trial.size(4, 300)
    chance = random.Random(20260302)
    wanted = {(f"meeting-{number}", f"guest{number}@acme.example") for number in range(2 * kills)}
    with house(tmp_path, manners={"slow": 0.08, "seed": 1}) as place:
        lives = Lives(place)
        for number, (uid, address) in enumerate(sorted(wanted)):
            place.put(uid, 72 + number / 20, to=address)
        for _ in range(kills):
            lives.cut_short(chance, within=0.15)
            lives.later(300)
        lives.settle()
        verdict = judge(place, wanted, lives.restarts)
    assert verdict.unknown or not trial.full, "no kill met a mail on its way: the experiment shows nothing"
    trial.saw(f"{kills} kills", str(verdict))
