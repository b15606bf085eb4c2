"""Owners whose calendars, people and meetings bear the same names, in one store or each in their own."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from connectors.memory import MemoryConnector
from daemon.clock import SetClock
from daemon.commands.insight import status_of
from daemon.commands.queue import as_dict
from daemon.config.settings import load
from daemon.explanation import as_dict as told
from daemon.explanation import explain
from daemon.links import Purpose, purpose_of
from daemon.store import Store, agenda, deliveries, optouts, silences
from daemon.store.deliveries import Delivery
from daemon.web.app import build
from daemon.web.limits import Bucket
from rules.delivery import State
from tests.support.house import event
from tests.support.meetings import NOW
from tests.support.offices import KeepingMailer, World, at
from tests.support.stores import fresh_store
from tests.support.visitor import Visitor

CONFIG = """\
version: 1
me: {{name: {title}, addresses: [{name}@va.example], time_zone: Europe/Lisbon}}
state: ../state.db
accounts:
{accounts}
mail:
  from: {title} <{name}@va.example>
  smtp: {{host: 127.0.0.1, port: 9, security: none}}
answers: {{public_url: 'https://meet.va.example', key: {{file: ../links.key}}}}
dashboard: {{password: {{file: dashboard.password}}}}
digest: {{at: '08:00'}}
"""
RULES = """\
version: 1
guard: {first_sync: act, per_recipient_per_day: 2, max_per_hour: 4, max_per_run: 3}
rules:
  - name: ask
    when: unconfirmed
    then:
      - {step: ask, do: confirm, at: 48h before start, until: 2h before start}
  - name: no
    when: {declined: {grace: 0s}}
    mode: approve
    then:
      - {step: other, do: reschedule, at: 14d before start, until: 1h before start}
  - name: was-it-held
    when: unaccounted
    then:
      - {step: ask-me, do: check_in, at: 10m after end, until: 1 day after end}
"""
ACCOUNTS = ("acme", "own")
_OURS = re.compile(r"https://meet\.va\.example/\S+")


class Member(World):
    """One owner of several."""

    def __init__(self, folder: Path, name: str, store: Store, clock: SetClock) -> None:
        self.folder = folder / name
        self.folder.mkdir()
        self.name = name
        self.calendars = {each: MemoryConnector(each, home_zone="Europe/Lisbon") for each in ACCOUNTS}
        self.drafts = None
        self.webhooks = {}
        self.began = NOW
        self.there: set[tuple[str, str]] = set()
        self.clock = clock
        self.mailer = KeepingMailer()
        caldav = "caldav: {url: dav.va.example, username: dana, password: {env: NONE}}"
        listed = "\n".join(f"  {each}: {{{caldav}, client: {each.title()}}}" for each in ACCOUNTS)
        (folder / "links.key").write_text("k" * 40)
        (self.folder / "dashboard.password").write_text(f"{name}-word")
        (self.folder / "config.yaml").write_text(
            CONFIG.format(name=name, title=name.title(), accounts=listed)
        )
        (self.folder / "rules.yaml").write_text(RULES)
        self.settings = load(self.folder / "config.yaml", name=name)
        self.store = store.of(self.settings.tenant)
        self.office = self.open()

    @property
    def pages(self) -> Visitor:
        """Somebody at this owner's answer pages."""
        links = self.office.links
        assert links is not None
        return Visitor(build(self.office.answering, links, bucket=Bucket(lambda: 0.0, burst=1e9)))

    def rows(self, state: State | None = None) -> list[Delivery]:
        """Their outbox."""
        with self.store.read() as conn:
            return deliveries.list_(conn, state)

    def paths(self) -> list[str]:
        """Where every link that left leads."""
        links = self.office.links
        assert links is not None
        return [
            urlsplit(links.address(purpose, row)).path
            for row in self.rows(State.SENT)
            for purpose in (purpose_of(row.do), Purpose.STOP)
            if purpose is not None
        ]

    def meet(self, account: str, uid: str, hours: float, partstat: str, to: str) -> None:
        """A meeting in the calendar."""
        text = event(uid, at(hours), {to: partstat}).replace("dana@va.example", f"{self.name}@va.example")
        self.put(account, uid, text)
        self.there.add((account, uid))

    def drop(self, account: str, uid: str) -> None:
        """A meeting is gone."""
        if (account, uid) in self.there:
            self.calendars[account].remove(f"/{uid}.ics")
            self.there.remove((account, uid))

    def answer(self, word: str, which: int) -> None:
        """Somebody answers on the page that one of the messages leads to."""
        paths = self.paths()
        if paths:
            page = self.pages.get(paths[which % len(paths)])
            if 'name="seal"' in page.text:
                self.pages.answer(paths[which % len(paths)], do=word)

    def say(self, word: str, which: int) -> None:
        """Their standing word, and their word on what waits."""
        now = self.clock.now()
        with self.store.write() as conn:
            held = deliveries.list_(conn, State.HELD)
            if word == "silence":
                silences.add(
                    conn,
                    {"account": "acme"},
                    starts_at=now,
                    ends_at=now + timedelta(hours=5),
                    comment="",
                    now=now,
                )
            elif word == "optout":
                optouts.add(conn, f"{'jo' if which % 2 else 'al'}@acme.example", "", now)
            elif held:
                deliveries.approve(conn, held[which % len(held)].id, now)
            agenda.wake_all(conn, now)

    def record(self) -> dict[str, Any]:
        """Everything of theirs that anybody sees, without the numbers that a store gives its rows."""
        now = self.clock.now()
        hidden = {"id", "carried_by"}
        with self.store.read() as conn:
            meetings = sorted(agenda.find(conn, "review"), key=lambda one: str((one.identity, one.key)))
        return {
            "mails": [
                (to, mail["Subject"], mail["Message-ID"], mail["From"], _text(mail))
                for to, mail in self.mailer.kept
            ],
            "outbox": [
                {key: value for key, value in as_dict(row).items() if key not in hidden}
                for row in self.rows()
            ],
            "status": status_of(self.store, self.settings, now),
            "explained": [_bare(told(explain(self.store, self.settings, one, now))) for one in meetings],
            "pages": [self.pages.get(path).words for path in self.paths()],
        }


def _bare(explained: dict[str, Any]) -> str:
    return re.sub(r"('id':|approve|message|retry|show) \d+", "", str(explained))


def _text(mail: Any) -> str:
    return _OURS.sub("", mail.get_body(("plain",)).get_content())


def together(folder: Path, names: Sequence[str]) -> list[Member]:
    """These owners in one store."""
    clock, store = SetClock(NOW), fresh_store(folder)
    return [Member(folder, name, store, clock) for name in names]


def apart(folder: Path, names: Sequence[str]) -> list[Member]:
    """These owners, each in a store of their own."""
    clock, found = SetClock(NOW), []
    for name in names:
        (folder / f"of-{name}").mkdir()
        found.append(Member(folder / f"of-{name}", name, fresh_store(folder / f"of-{name}"), clock))
    return found
