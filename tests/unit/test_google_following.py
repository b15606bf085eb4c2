"""Whoever follows the changes of a Google calendar has what a full read has, whatever people did."""

from __future__ import annotations

import contextlib
import random
from datetime import UTC, datetime, timedelta

import pytest

from connectors.base import Cursor, CursorExpired, Known
from tests.support.google_account import JO, ME, GoogleAccount, google_account
from tests.support.ics import WINDOW

HOUR = timedelta(hours=1)
WEEKLY = ["RRULE:FREQ=WEEKLY;COUNT=4"]


def at(day: int, hour: int = 9) -> datetime:
    """A time in March 2026."""
    return datetime(2026, 3, day, hour, tzinfo=UTC)


KINDS = ["new", "series", "series", "invite", "forget"] + 2 * [
    "move",
    "cancel",
    "answer",
    "remove",
    "edit",
    "rule",
]


class People:
    """Dana and Jo at work in their calendars, as chance has it; the events there are, and which recur."""

    def __init__(self, account: GoogleAccount, seed: int) -> None:
        self.google, self.mine, self.jo = account.google, account.calendar, account.google.users[JO].primary
        self.choice = random.Random(seed)
        self.events = [(self.mine.event("first", at(2), at(2) + HOUR, {JO: "accepted"}), False)]

    def act(self) -> None:
        """Something that people do. Raises KeyError or StopIteration where nobody can do that any more."""
        what = self.choice.choice(KINDS)
        day = at(self.choice.randrange(2, 28), self.choice.randrange(8, 18))
        if what == "forget":
            self.mine.forget_tokens()
        elif what in {"new", "series"}:
            self._invite(day, recurs=what == "series")
        elif what == "invite":
            series = self.jo.event("x", day, day + HOUR, {"bo@acme.example": "accepted"}, recurrence=WEEKLY)
            self.events.append((series, True))
            self.google.edit(self.google.instance(series, day + 7 * 24 * HOUR), attendees=[{"email": ME}])
        else:
            name, recurs = self.choice.choice(self.events)
            if what == "rule" and recurs:
                self.google.edit(name, recurrence=["RRULE:FREQ=WEEKLY;COUNT=3"])
            elif what == "edit":
                self.google.edit(name, attendees=[{"email": ME}, {"email": JO}], summary=f"at {day}")
            else:
                self._do(what, self._some_instance(name) if recurs else name, day)

    def _invite(self, day: datetime, *, recurs: bool) -> None:
        calendar = self.choice.choice([self.jo, self.mine])
        rules = ["RRULE:FREQ=WEEKLY;COUNT=6", "RRULE:FREQ=DAILY;COUNT=5"]
        rule = [self.choice.choice(rules)] if recurs else None
        guest = {ME if calendar is self.jo else JO: "accepted"}
        self.events.append((calendar.event("e", day, day + HOUR, guest, recurrence=rule), recurs))

    def _some_instance(self, name: str) -> str:
        """Of a series mostly one instance, else all of it."""
        holder, item = self.google.copies(name)[0]
        if not item.recurring or self.choice.random() < 0.3:
            return name
        return self.choice.choice(list(holder.instances(item, None, at(31) + 60 * 24 * HOUR))).id

    def _do(self, what: str, name: str, day: datetime) -> None:
        if what == "move":
            self.google.move(name, day)
        elif what == "cancel":
            self.google.cancel(name)
        elif what == "answer":
            answer = self.choice.choice(["accepted", "declined", "tentative"])
            self.google.answer(name, self.choice.choice([ME, JO]), answer)
        elif what == "remove":
            self.google.delete_own_copy(name, ME)


@pytest.mark.parametrize("seed", range(4))
def test_following_is_reading(seed: int) -> None:
    """After any change by anybody, sync by token and a fresh read hold the same, to the letter."""
    with google_account() as account:
        people = People(account, seed)
        for _ in range(40):
            with contextlib.suppress(KeyError, StopIteration):
                people.act()
            if people.choice.random() < 0.3:
                _follow(account)
        _follow(account)
        other = account.fresh()
        assert {one.href: one for one in other.poll(account.ref, WINDOW, Known()).changed} == account.held
        other.close()


def _follow(account: GoogleAccount) -> None:
    """Poll as the daemon does."""
    try:
        account.poll()
    except CursorExpired:
        account.cursor = Cursor()
        account.poll()
