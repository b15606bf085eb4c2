"""Sync tokens of the fake Google tell the whole truth, whatever people do."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.support.fake_google import FakeGoogle, fake_google
from tests.support.fake_google.client import service

LISBON = ZoneInfo("Europe/Lisbon")
DANA, JO = "dana@acme.example", "jo@acme.example"
ACTS: tuple[Callable[[FakeGoogle, str, random.Random], None], ...] = (
    lambda google, name, dice: google.answer(name, JO, dice.choice(["accepted", "declined"])),
    lambda google, name, dice: google.move(name, at(dice.randrange(6, 20), dice.randrange(8, 18))),
    lambda google, name, dice: google.edit(name, summary=f"Talk {dice.random()}"),
    lambda google, name, dice: google.cancel(name),
    lambda google, name, dice: google.delete_own_copy(name, JO),
)


def at(day: int, hour: int = 9) -> datetime:
    """A moment in March 2026 in Lisbon."""
    return datetime(2026, 3, day, hour, tzinfo=LISBON)


class _Mirror:
    """A copy of the primary calendar, kept by sync tokens."""

    def __init__(self, events: Any) -> None:
        self.events, self.held, self.token = events, dict[str, Any](), None
        self.gone: set[str] = set()
        self.follow()

    def follow(self) -> None:
        """Take over what changed."""
        since = {"syncToken": self.token} if self.token else {}
        page = self.events.list(calendarId="primary", **since).execute()
        self.token = page["nextSyncToken"]
        self.held |= {each["id"]: each for each in page["items"]}
        self.gone |= {name for name, each in self.held.items() if _is_gone(each)}
        self.held = {name: each for name, each in self.held.items() if self._alive(each)}

    def _alive(self, each: dict[str, Any]) -> bool:
        return not {each["id"], each.get("recurringEventId")} & self.gone

    def fresh(self) -> dict[str, Any]:
        """What a full list tells."""
        return {each["id"]: each for each in self.events.list(calendarId="primary").execute()["items"]}


def _is_gone(each: dict[str, Any]) -> bool:
    return bool(each["status"] == "cancelled" and "recurringEventId" not in each)


@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_mirror_by_tokens_equals_a_full_list(seed: int) -> None:
    """Whatever people do, who follows the sync tokens holds what a fresh full list tells, in every copy."""
    with fake_google(lambda: datetime(2026, 3, 1, 12, tzinfo=UTC)) as google:
        google.user(DANA, "Dana Reyes")
        google.user(JO, "Jo")
        dice = random.Random(seed)
        mine = google.users[DANA].primary
        weekly = ["RRULE:FREQ=WEEKLY;COUNT=4"]
        people = {DANA: "accepted", JO: "needsAction"}
        names = [mine.event("Talk", at(day), at(day, 10), people) for day in (2, 3)]
        series = [mine.event("Weekly", at(day), at(day, 10), people, recurrence=weekly) for day in (4, 5)]
        mirrors = {user: _Mirror(service(google, "calendar", user).events()) for user in (DANA, JO)}
        done = 0
        for _ in range(15):
            chosen = dice.choice(names + series)
            if chosen in series and dice.random() < 0.7:
                day = 4 + series.index(chosen) + 7 * dice.randrange(3)
                chosen = google.instance(chosen, at(day))
            act = dice.choice(ACTS)
            with contextlib.suppress(KeyError):
                act(google, chosen, dice)
                done += 1
            for mirror in mirrors.values():
                mirror.follow()
        assert done > 5
        for mirror in mirrors.values():
            assert mirror.held == mirror.fresh()
