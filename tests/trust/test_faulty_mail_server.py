"""P1 and P2 with a mail server that breaks its word in every way, while the daemon is killed as well."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.support.house import house
from tests.support.lives import Lives
from tests.support.verdict import judge
from tests.trust.conftest import Trial


@pytest.mark.promise("P1, P2", "each fault of a mail server (HOSTILE 20, 25-28), and kill -9")
def test_faults_and_kills_give_no_duplicate_and_lose_nothing(tmp_path: Path, trial: Trial) -> None:
    """450, 451, 421, a lost connection on either side of keeping, endless banners, and one of two refused."""
    meetings, kills = trial.size(8, 150), trial.size(2, 60)
    chance = random.Random(26)
    wanted = set()
    with house(tmp_path, manners={"slow": 0.02, "faults": 0.4, "seed": 26}) as place:
        lives = Lives(place)
        for number in range(meetings):
            uid, first = f"meeting-{number}", f"guest{number}@acme.example"
            second = f"{'nobody' if number % 8 == 0 else 'other'}{number}@acme.example"
            place.put(uid, 120 + number / 10, to=first, others=[second])
            wanted |= {(uid, first), (uid, second)}
        for _ in range(kills):
            lives.cut_short(chance, within=0.3)
            lives.later(chance.uniform(120, 1800))
        lives.settle()
        verdict = judge(place, wanted, lives.restarts)
    assert verdict.unknown or not trial.full, "no fault left a doubt: the experiment shows nothing"
    trial.saw(f"{len(wanted)} mails, {kills} kills", str(verdict))
