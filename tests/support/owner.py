"""The owner at their dashboard: a world in which there is something to see, and their browser."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from html import unescape
from pathlib import Path
from urllib.parse import urlencode

from sqlalchemy import text

from daemon.beats import Beats
from daemon.dashboard.app import build
from daemon.store import Store, agreements, attendance, optouts, silences
from daemon.store.agreements import Kind, Stage
from rules.model import CalendarRef, Held, Identity, Interval, OccurrenceKey
from tests.support.house import event
from tests.support.offices import World, at
from tests.support.visitor import Seen, Visitor

JO, AL, BO = "jo@acme.example", "al@acme.example", "bo@acme.example"
RULES = """\
version: 1
guard: {first_sync: act, per_recipient_per_day: 50, max_per_hour: 500, max_per_run: 200}
rules:
  - name: ask
    when: unconfirmed
    mode: approve
    then:
      - {step: ask, do: confirm, at: 48h before start, until: 2h before start}
  - name: no
    when: {declined: {grace: 0s}}
    then:
      - {step: other, do: reschedule, at: 14d before start, until: 1h before start}
"""
HOSTILE = "<script>alert(1)</script>\u202e\"'><img src=x onerror=alert(2)>"


class Desk(World):
    """A world with a meeting in every state, and somebody who looks at its dashboard."""

    def __init__(self, folder: Path, *, title: str = "Kickoff") -> None:
        super().__init__(folder, RULES, accounts=("acme", "own"), config="dashboard: {}\n")
        self.beats = Beats()
        self.round()
        self.put("acme", "kickoff", event("kickoff", at(30), {JO: "NEEDS-ACTION"}, title=title))
        self.put("acme", "review", event("review", at(26), {AL: "DECLINED"}, title="Design review"))
        self.put("acme", "sync", event("sync", at(50), {BO: "ACCEPTED"}, title="Budget sync"))
        self.put("own", "dentist", event("dentist", at(74), {AL: "ACCEPTED"}, title="Tax advice"))
        self.put("acme", "retro", event("retro", at(74.25), {BO: "ACCEPTED"}, title="Retro"))
        for uid, hours in (
            ("past-held", -2.0),
            ("past-missed", -3.0),
            ("past-mine", -4.0),
            ("past-open", -5.0),
        ):
            name = uid.replace("past-", "Call ")
            self.put("acme", uid, event(uid, at(hours), {JO: "ACCEPTED"}, title=name))
        self.round(0.1)
        now = self.clock.now()
        with self.store.write() as conn:
            for uid, held in (
                ("past-held", Held.HELD),
                ("past-missed", Held.MISSED_BY_ATTENDEE),
                ("past-mine", Held.MISSED_BY_ME),
            ):
                attendance.mark(conn, Identity(uid=uid, recurrence_id=None), held, "you", now)
            silences.add(
                conn, {"account": "own"}, starts_at=now, ends_at=at(100), comment="a quiet week", now=now
            )
            optouts.add(conn, "*@closed.example", "asked by phone", now)
            moved = agreements.take(
                conn,
                OccurrenceKey(
                    calendar=CalendarRef(account="acme", id=self.ref), uid="sync", recurrence_id=None
                ),
                start=at(20),
                slot=Interval(at(50), at(50.5)),
                kind=Kind.MOVE,
                address=BO,
                delivery=None,
                now=now,
            )
            assert moved is not None
            agreements.settle(conn, moved.id, Stage.DONE, now)

    @property
    def ref(self) -> str:
        """The id of the calendar in the account acme."""
        with self.store.read() as conn:
            return str(conn.execute(text("SELECT ref FROM calendars WHERE account='acme'")).scalar_one())

    def visit(self, password: str | None = None, **headers: str) -> Owner:
        """The owner's browser."""
        app = build(self.office, self.beats, password)
        return Owner(app, {"host": "127.0.0.1:8471", "sec-fetch-site": "same-origin", **headers})

    def dump(self) -> list[str]:
        """Everything the store holds, as SQL."""
        return dumped(self.store)


def dumped(store: Store) -> list[str]:
    """Everything a store holds, as SQL."""
    with store.read() as conn:
        raw = conn.connection.driver_connection
        assert raw is not None
        lines: Iterator[str] = raw.iterdump()
        return list(lines)


@dataclass
class Owner(Visitor):
    """Looks, and presses buttons."""

    headers: dict[str, str] = field(default_factory=dict)

    def forms(self, path: str = "/") -> dict[str, dict[str, str]]:
        """The forms of a page with their hidden fields, by where they post to."""
        found = {}
        for action, body in re.findall(
            r'<form action="(/(?:message|silence)/[^"]+)" method="post"[^>]*>(.*?)</form>',
            self.get(path).text,
            re.DOTALL,
        ):
            fields = re.findall(r'name="(\w+)" value="([^"]*)"', body)
            found[action] = {name: unescape(value) for name, value in fields}
        return found

    def press(self, action: str, page: str = "/", headers: Mapping[str, str] | None = None) -> Seen:
        """Press the button that posts there."""
        body = urlencode(self.forms(page)[action]).encode()
        kind = {"content-type": "application/x-www-form-urlencoded"}
        return self.ask(action, "POST", body, {**kind, **(headers or {})})
