"""The Google connector, going on from cursor to cursor, holds what a fresh look finds."""

from __future__ import annotations

import contextlib
import random
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from connectors.google import GoogleConnector
from connectors.google_client import GoogleClient
from tests.support.fake_google import FakeGoogle, fake_google
from tests.support.followed import Followed
from tests.support.google_ics import StaticToken
from tests.support.ics import LISBON

DANA, JO, AL = "dana@va.example", "jo@acme.example", "al@acme.example"


def at(day: int, hour: int = 9) -> datetime:
    """A moment in March 2026 in Lisbon."""
    return datetime(2026, 3, day, hour, tzinfo=ZoneInfo(LISBON))


def _mirror(google: FakeGoogle, user: str) -> Followed:
    """One person's primary calendar, kept as the store keeps it."""
    client = GoogleClient(StaticToken(google.oauth.token(user)), google.root)
    connector = GoogleConnector("own", client, calendars=["primary"], home_zone=LISBON)
    return Followed(connector, connector.calendars()[0].ref)


def _act(google: FakeGoogle, name: str, dice: random.Random) -> None:
    """Somebody does something to an event or an instance."""
    day, hour = dice.randrange(6, 20), dice.randrange(8, 18)
    match dice.randrange(6):
        case 0:
            google.answer(name, JO, dice.choice(["accepted", "declined", "tentative"]))
        case 1:
            google.move(name, at(day, hour))
        case 2:
            google.edit(name, summary=f"Talk {day} {hour}")
        case 3:
            google.cancel(name)
        case 4:
            google.delete_own_copy(name, JO)
        case _:
            google.edit(name, attendees=[{"email": DANA}, {"email": AL}])


@pytest.mark.parametrize("seed", range(4))
def test_following_equals_looking_afresh(seed: int) -> None:
    """After any row of changes, also of guests and single instances, every guest's mirror is exact."""
    with fake_google(lambda: datetime(2026, 3, 1, 12, tzinfo=UTC)) as google, contextlib.ExitStack() as stack:
        for person in (DANA, JO, AL):
            google.user(person)
        dice, mine = random.Random(seed), google.users[DANA].primary
        people, weekly = {DANA: "accepted", JO: "needsAction"}, ["RRULE:FREQ=WEEKLY;COUNT=4"]
        names = [mine.event("Talk", at(day), at(day, 10), people) for day in (2, 3)]
        series = [mine.event("Weekly", at(day), at(day, 10), people, recurrence=weekly) for day in (4, 5)]
        mirrors = {person: _mirror(google, person) for person in google.users}
        done = 0
        for _ in range(15):
            chosen = dice.choice(names + series)
            if chosen in series and dice.random() < 0.7:
                day = 4 + series.index(chosen) + 7 * dice.randrange(3)
                chosen = google.instance(chosen, at(day))
            with contextlib.suppress(KeyError):
                _act(google, chosen, dice)
                done += 1
            for mirror in mirrors.values():
                if dice.random() < 0.7:
                    mirror.poll()
        assert done > 5
        for person, mirror in mirrors.items():
            stack.callback(mirror.connector.close)
            mirror.poll()
            fresh = _mirror(google, person)
            stack.callback(fresh.connector.close)
            fresh.poll()
            assert mirror.occurrences() == fresh.occurrences()
