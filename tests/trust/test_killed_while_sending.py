"""P1 and P2 against the real process: killed at any moment, it mails nobody twice and loses nothing."""

from __future__ import annotations

import collections
import random
import time
from pathlib import Path

import pytest

from tests.support import prefork
from tests.support.house import House, house
from tests.trust.conftest import Trial


def _kill_while_sending(place: House, chance: random.Random) -> None:
    """Start the daemon and kill it a moment after the first message of this life, or before."""
    before = place.log.stat().st_size if place.log.exists() else 0
    process = prefork.start("daemon", place.command("-q", "run")[1:], environment=place.environment())
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and process.is_alive():
        if place.log.exists() and place.log.stat().st_size > before:
            break
        if chance.random() < 0.002:
            break
        time.sleep(0.005)
    time.sleep(chance.uniform(0, 0.12))
    process.kill()
    process.join()


@pytest.mark.promise("P1, P2", "killed -9 at random while it sends")
def test_kills_give_no_duplicate_and_lose_nothing(tmp_path: Path, trial: Trial) -> None:
    """Kill -9 again and again: every meeting ends sent exactly once, or unknown and told to the owner."""
    kills = trial.size(15, 300)
    meetings = 3 * kills
    chance = random.Random(20260302)
    with house(tmp_path) as place:
        for number in range(meetings):
            place.put(f"meeting-{number}", 24 + number / 10, to=f"guest{number}@acme.example")
        for _ in range(kills):
            _kill_while_sending(place, chance)
        place.run("-q", "run", "--once", timeout=120)
        place.run("-q", "run", "--once", timeout=120)
        rows = place.json("outbox", "list")
        taken = place.taken()
    assert isinstance(rows, list)
    asked = {row["uid"]: row for row in rows if row["rule"] == "confirm"}
    arrived = collections.Counter(one["message_id"] for one in taken if "guest" in one["recipients"][0])
    assert len(asked) == meetings
    assert {row["state"] for row in asked.values()} <= {"sent", "unknown"}
    assert max(arrived.values()) == 1, "somebody was mailed twice"
    for row in asked.values():
        if row["state"] == "sent":
            assert arrived[row["message_id"]] == 1, "a message said to be sent never arrived"
    uncertain = [row["id"] for row in asked.values() if row["state"] == "unknown"]
    told = [row for row in rows if row["rule"] == "rebookd" and row["step"] == "unknown"]
    assert len(told) == len(uncertain)
    assert arrived.total() + len(uncertain) >= meetings
    trial.saw(f"{kills} kills", f"0 duplicates, 0 lost, {len(uncertain)} unknown, each told")
