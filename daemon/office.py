"""One configuration at work: its pollers, its decisions, its outbox, around one store."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property, partial
from typing import TYPE_CHECKING

import structlog
from sqlalchemy import Connection

from connectors.base import AttendanceSource, CalendarConnector, ConnectorError, Drafts, Inbox, Mailer
from daemon import notices, restoring, wiring
from daemon.answers import Answering
from daemon.attendance import AttendanceReader, is_asked
from daemon.carriers import MarkCarrier, Poster, WebhookCarrier
from daemon.carrying_out import AgreementCarrier
from daemon.clock import Clock
from daemon.config.model import Attendance
from daemon.config.settings import Settings
from daemon.decide import Decided, Decider
from daemon.hindsight import Hindsight
from daemon.loading import loading
from daemon.mail.message import Mail
from daemon.outbox import Outbox, SendReport
from daemon.poll import Poller, PollReport, Progress
from daemon.reading import Reading
from daemon.recheck import Recheck
from daemon.store import agenda, restored
from daemon.store.deliveries import Delivery
from daemon.store.engine import Store
from daemon.store.notes import note, noted
from rules.delivery import AGREE, PROPOSE
from rules.policy import Do
from rules.presence import Terms

if TYPE_CHECKING:
    from daemon.links import Links
    from daemon.mail.scribe import Scribe
    from daemon.replies.reader import ReadReport, ReplyReader

Connect = Callable[[Settings, str], CalendarConnector]

_UNREACHED = frozenset({"sign-in needed", "no answer"})
"""Troubles of a poll that would be those of any further request."""

_RULES_NOTE = "rules fingerprint"
_KEY_NOTE = "links signed with"

log = structlog.get_logger()


@dataclass(slots=True)
class Round:
    """What one round did."""

    polls: list[PollReport] = field(default_factory=list)
    replies: ReadReport | None = None
    decided: Decided = field(default_factory=Decided)
    sent: SendReport | None = None


class Office:
    """Everything one configuration needs to poll, decide and send.

    ``nudge`` has the outbox looked at at once; without it, ``nudged`` is set. ``connect``, ``mailer``,
    ``drafts``, ``inbox``, ``webhook`` and ``attendance`` stand in for the configured ones, for tests.
    """

    def __init__(
        self,
        settings: Settings,
        store: Store,
        clock: Clock,
        *,
        nudge: Callable[[], None] | None = None,
        connect: Connect = wiring.connector,
        mailer: Mailer | None = None,
        drafts: Drafts | None = None,
        inbox: Inbox | None = None,
        webhook: Callable[[Settings, str], Poster] = wiring.webhook,
        attendance: Callable[[Settings, str], AttendanceSource] = wiring.attendance,
    ) -> None:
        self.settings = settings
        self.store = store
        self.clock = clock
        self.decider = Decider(store, settings)
        self.stopping = threading.Event()
        self.nudged = threading.Event()
        self._hindsight = Hindsight(store)
        self.answering = Answering(
            store=store, settings=settings, clock=clock, refresh=self.refresh, nudge=nudge or self.nudged.set
        )
        self._inbox = inbox
        self._learnt = False
        self._reading = Reading(settings.accounts)
        self._connect = connect
        self._connectors: dict[tuple[str, str], CalendarConnector] = {}
        self._readers = {
            name: AttendanceReader(
                store,
                name,
                partial(attendance, settings, name),
                clock,
                owner=settings.owner,
                terms=_terms(settings.accounts[name].attendance),
                stopping=self.stopping.is_set,
            )
            for name in settings.accounts
            if is_asked(settings, name)
        }
        agreeing_carrier = AgreementCarrier(store, settings, clock, self._connect_to_send)
        self.carriers: dict[str, MarkCarrier | WebhookCarrier | AgreementCarrier] = {
            Do.MARK: MarkCarrier(store, settings, self._connect_to_send),
            Do.WEBHOOK: WebhookCarrier(store, settings, clock, partial(webhook, settings)),
            AGREE: agreeing_carrier,
            PROPOSE: agreeing_carrier,
        }
        self.outbox = Outbox(
            store,
            mailer or wiring.mailer(settings),
            clock,
            recheck=Recheck(store, self.decider, self._connect_to_send, clock, mine=settings.owner.addresses),
            compose=self._compose,
            guard=settings.policy.guard,
            owner=settings.owner,
            carriers=self.carriers,
            drafts=drafts or wiring.drafts(settings),
            stopping=self.stopping.is_set,
        )

    @cached_property
    def scribe(self) -> Scribe:
        """Who writes the mails; made for the first of them."""
        with loading:
            from daemon.mail.colleagues import Colleagues  # noqa: PLC0415 - with the scribe
            from daemon.mail.scribe import Scribe  # noqa: PLC0415 - templates and zone names: memory few days need

        colleagues = Colleagues(self._connect_to_send)
        return Scribe(self.store, self.settings, self.clock, colleagues, lambda: self.links)

    @cached_property
    def replies(self) -> ReplyReader | None:
        """Who reads what is replied, if anyone; made for the first look."""
        inbox = self._inbox or wiring.inbox(self.settings)
        if inbox is None:
            return None
        with loading:
            from daemon.replies.reader import ReplyReader  # noqa: PLC0415 - with the inbox

        return ReplyReader(
            self.store, self.settings, self.clock, inbox, self.answering, stopping=self.stopping.is_set
        )

    def read_replies(self) -> ReadReport | None:
        """Take what was replied since the last look; None where no inbox is read. Call from one thread."""
        return self.replies.read() if self.replies is not None else None

    @cached_property
    def links(self) -> Links | None:
        """Who makes the addresses of answer pages, where there are any. Raises ConnectorError."""
        if self.settings.config.answers is None:
            return None
        with loading:
            from daemon.links import links  # noqa: PLC0415 - with the pages

        return links(self.settings)

    def start(self, *, alone: bool = True) -> None:
        """Take up what an earlier run left: broken-off deliveries, and rules that changed since.

        ``alone`` says that nobody else works on this state now, which its lock vouches for.
        """
        now = self.clock.now()
        self._hindsight.look(now)
        restoring.take_up(self.store, self.settings.owner.addresses[0], now)
        self.outbox.recover(now, alone=alone)
        with self.store.write() as conn:
            if noted(conn, _RULES_NOTE) != self.settings.fingerprint:
                agenda.wake_all(conn, now)
                note(conn, _RULES_NOTE, self.settings.fingerprint)
            self._look_at_key(conn, now)

    def _look_at_key(self, conn: Connection, now: datetime) -> None:
        """Whether the links that were mailed before, by whichever machine, open here."""
        try:
            links = self.links
        except ConnectorError:
            return  # said where a link is needed
        if links is None:
            return
        marks, before = links.marks(), noted(conn, _KEY_NOTE)
        if before != marks[0]:
            note(conn, _KEY_NOTE, marks[0])
        if before is not None and before not in marks:
            log.warning("links signed with another key open nothing here; give every machine the same")
            notices.tell_of_other_key(conn, marks[0], self.settings.owner, now)

    def poll(self, account: str, progress: Progress | None = None) -> PollReport:
        """Poll one account, and queue what its owner must know of it. Call from one thread each."""
        report = self._read("poll", account, progress)
        refused = None
        reader = self._readers.get(account)
        if reader is not None and not any(one.kind in _UNREACHED for one in report.troubles):
            refused = reader.read(partial(progress, f"calls of {account}") if progress else None)
        if refused is not None:
            with self.store.write() as conn:
                notices.tell_of_refusal(conn, account, refused, self.settings.owner, self.clock.now())
        return report

    def refresh(self) -> bool:
        """Poll every account for somebody who waits; whether all could be seen within a few seconds."""
        return self._reading.anew(lambda account: self._polled("web", account).ok)

    def _read(self, use: str, account: str, progress: Progress | None) -> PollReport:
        """Poll one account when it is its turn."""
        report = PollReport(account=account)

        def read() -> bool:
            nonlocal report
            report = self._polled(use, account, progress)
            return report.ok

        self._reading.take(account, read)
        return report

    def _polled(self, use: str, account: str, progress: Progress | None = None) -> PollReport:
        configured = self.settings.accounts[account]
        poller = Poller(
            self.store,
            account,
            lambda: self._connector(use, account),
            self.clock,
            kind=wiring.kind(configured),
            stale_after=configured.seen(account).stale_after,
            mine=self.settings.owner.addresses,
            decides=use != "web",
        )
        report = poller.poll(progress)
        if any(one.kind == "shrunk" and not one.calendar for one in report.troubles):
            remembering = self._connectors.pop((use, account), None)
            if remembering is not None:
                remembering.close()  # it knows a list of calendars that nobody believes
        with self.store.write() as conn:
            notices.tell_of_poll(conn, report, self.settings.owner, self.clock.now())
        return report

    def poll_all(self, progress: Progress | None = None) -> list[PollReport]:
        """Poll every account side by side."""
        names = list(self.settings.accounts)
        with ThreadPoolExecutor(max_workers=max(1, len(names)), thread_name_prefix="poll") as pool:
            return list(pool.map(lambda name: self.poll(name, progress), names))

    def decide(self) -> Decided:
        """Judge what changed or came due, and queue what its owner must know of it."""
        now = self.clock.now()
        self._hindsight.look(now)
        if not self._is_learnt(now):
            return Decided()
        if self._reading.has_news():
            self.answering.settle(now)
        decided = self.decider.tick(now, stopping=self.stopping.is_set)
        if decided.failed:
            with self.store.write() as conn:
                notices.tell_of_failures(conn, decided.failed, self.settings.owner, now)
        if self.settings.policy.digest is not None:
            with loading:
                from daemon import digest  # noqa: PLC0415 - its words are memory that few need

            digest.tell(self.store, self.settings, now)
        return decided

    def _is_learnt(self, now: datetime) -> bool:
        """Whether enough is known to decide: after a restore, the accounts are read again first."""
        if self._learnt:
            return True
        with self.store.read() as conn:
            self._learnt = restored.is_learnt(conn, self.settings.accounts)
        if self._learnt:
            return True
        with self.store.write() as conn:
            return restored.learn(conn, self.settings.accounts, now)

    def send(self) -> SendReport:
        """Send what is due."""
        return self.outbox.run(self.clock.now())

    def round(self, progress: Progress | None = None) -> Round:
        """Poll, read replies, decide and send, once."""
        polls = self.poll_all(progress)
        return Round(polls=polls, replies=self.read_replies(), decided=self.decide(), sent=self.send())

    def close(self) -> None:
        """Let go of every connection."""
        for connector in self._connectors.values():
            connector.close()
        for reader in self._readers.values():
            reader.close()
        if "replies" in self.__dict__ and self.replies is not None:
            self.replies.close()
        self._connectors.clear()

    def _compose(self, delivery: Delivery, companions: Sequence[Delivery]) -> Mail:
        return self.scribe.compose(delivery, companions)

    def _connect_to_send(self, account: str) -> CalendarConnector:
        return self._connector("send", account)

    def _connector(self, use: str, account: str) -> CalendarConnector:
        """One connector for each use, since each use has a thread of its own."""
        key = (use, account)
        if key not in self._connectors:
            self._connectors[key] = self._connect(self.settings, account)
        return self._connectors[key]


def _terms(configured: Attendance) -> Terms:
    return Terms(grace=configured.grace.delta, min_presence=configured.min_presence.delta)
