"""An office on calendars in memory, with a mailer that keeps what it is given and a clock to set."""

from __future__ import annotations

import contextlib
import email
import email.policy
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from email.message import EmailMessage
from pathlib import Path

from connectors.base import ConnectorError, Drafts, Receipt
from connectors.memory import MemoryConnector
from daemon.carriers import Poster
from daemon.clock import SetClock
from daemon.config.settings import load
from daemon.office import Office
from daemon.store import Store, deliveries
from tests.support.meetings import NOW
from tests.support.stores import fresh_store, place

CONFIG = """\
version: 1
me: {{name: Dana Reyes, addresses: [dana@va.example], time_zone: Europe/Lisbon}}
accounts:
{accounts}
mail:
  from: Dana Reyes <dana@va.example>
  smtp: {{host: 127.0.0.1, port: 9, security: none}}
"""


class KeepingMailer:
    """Keeps every message; raises what it is told to, before or after it may have been kept."""

    def __init__(self) -> None:
        self.kept: list[tuple[str, EmailMessage]] = []
        self.errors: list[ConnectorError] = []

    @contextlib.contextmanager
    def session(self) -> Iterator[None]:
        """Nothing to hold open."""
        yield

    def send(
        self, sender: str, recipients: Sequence[str], message: bytes, committing: Callable[[], None]
    ) -> Receipt:
        """Take one message."""
        if self.errors:
            raise self.errors.pop(0)
        committing()
        self.kept.append((recipients[0], email.message_from_bytes(message, policy=email.policy.default)))
        return Receipt()

    def check(self) -> None:
        """Always there."""

    @property
    def to(self) -> list[str]:
        """Who was written to, in order."""
        return [address for address, _ in self.kept]


class World:
    """Accounts in memory around one office."""

    def __init__(
        self,
        folder: Path,
        rules: str,
        accounts: Sequence[str] = ("acme",),
        *,
        config: str = "",
        drafts: Drafts | None = None,
        webhooks: Mapping[str, Poster] | None = None,
    ) -> None:
        """``config`` is added to the configuration; ``webhooks`` are those it names there."""
        self.calendars = {name: MemoryConnector(name, home_zone="Europe/Lisbon") for name in accounts}
        self.folder = folder
        self.drafts = drafts
        self.webhooks = webhooks or {}
        self.began = NOW
        self.clock = SetClock(NOW)
        self.mailer = KeepingMailer()
        caldav = "caldav: {url: dav.va.example, username: dana, password: {env: NONE}}"
        listed = "\n".join(f"  {name}: {{{caldav}, client: {name.title()}}}" for name in accounts)
        self.store: Store = fresh_store(folder)
        state = "" if self.store.is_file else f"state: {place(folder)}\n"
        (folder / "config.yaml").write_text(CONFIG.format(accounts=listed) + config + state)
        (folder / "rules.yaml").write_text(rules)
        self.settings = load(folder / "config.yaml")
        self.office = self.open()

    def open(self) -> Office:
        """The office, as after a start of the daemon."""
        office = Office(
            self.settings,
            self.store,
            self.clock,
            connect=lambda _, name: self.calendars[name],
            mailer=self.mailer,
            drafts=self.drafts,
            webhook=lambda _, name: self.webhooks[name],
        )
        office.start()
        return office

    def round(self, hours: float = 0) -> list[str]:
        """Let time pass and do one round; who was written to."""
        self.clock.at += timedelta(hours=hours)
        before = len(self.mailer.kept)
        self.office.round()
        return self.mailer.to[before:]

    def states(self) -> dict[tuple[str, str], str]:
        """The state of every delivery, by UID (or kind of notice) and recipient."""
        with self.store.read() as conn:
            rows = deliveries.list_(conn)
        return {(row.key.uid if row.key else row.step, row.to): row.state.value for row in rows}

    def put(self, account: str, uid: str, text: str) -> None:
        """Put an event into an account's calendar."""
        self.calendars[account].put(f"/{uid}.ics", text)


def at(hours: float) -> datetime:
    """An instant so many hours from NOW."""
    return NOW + timedelta(hours=hours)
