"""The ways in which what a step asks for leaves: a mail, a label on an event, a POST to a webhook.

Each is prepared first and kept, then handed over with the same discipline: ``committing`` is called once,
just before the step after which the other side may have kept it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from connectors.base import (
    CalendarConnector,
    Conflict,
    Mailer,
    Receipt,
    Rejected,
    Retryable,
)
from daemon.clock import Clock
from daemon.config.problems import printable
from daemon.config.settings import Settings
from daemon.mail.message import Mail
from daemon.store import agenda
from daemon.store.deliveries import ACTIONS, Delivery
from daemon.store.engine import Store
from daemon.webhook_body import body, identity_of
from rules.delivery import AGREE
from rules.model import Intent, Interval, Occurrence
from rules.policy import Do, Step

REPEATABLE = frozenset({Do.MARK.value, AGREE})
"""What does nothing when it is done twice: a doubt about it is settled by doing it again."""

MAIL = "mail"
"""The place of everything that leaves through the mail server."""

LARGEST = 1 << 20
"""No message of ours has this many bytes."""

Compose = Callable[[Delivery, Sequence[Delivery]], Mail]
HandOver = Callable[[Callable[[], None]], Receipt]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    """What leaves at once, for one delivery or several; ``offered`` are the times proposed in each."""

    subject: str
    hand_over: HandOver
    message_id: str = ""
    raw: bytes | None = None
    offered: Sequence[tuple[Interval, ...]] = ((),)

    @property
    def words(self) -> str:
        """What leaves, as its owner reads it, where it is no mail."""
        return words_of(self.subject, self.raw)


def words_of(subject: str, raw: bytes | None) -> str:
    """A label or a webhook as its owner reads it: what was done, and the JSON that was told."""
    told = "\n".join(map(printable, raw.decode().splitlines())) if raw else ""
    return f"{printable(subject)}\n\n{told}".rstrip()


class Carrier(Protocol):
    """One way of leaving."""

    def place(self, delivery: Delivery) -> str:
        """Where it goes: when one place cannot be reached, the others still can."""
        ...

    def prepare(self, party: Sequence[Delivery]) -> Parcel:
        """What leaves for these deliveries, which share a recipient. Raises ConnectorError."""
        ...


class MailCarrier:
    """Mails, written at the last moment."""

    def __init__(self, mailer: Mailer, compose: Compose) -> None:
        self._mailer = mailer
        self._compose = compose

    def place(self, delivery: Delivery) -> str:  # noqa: ARG002 - all go through one server
        """The mail server."""
        return MAIL

    def prepare(self, party: Sequence[Delivery]) -> Parcel:
        """One mail about all of them."""
        leader, *others = party
        if leader.do in ACTIONS:
            raise Rejected(f"'{leader.do}' cannot be done here")
        mail = self._compose(leader, others)
        make_sure(leader, mail)
        return Parcel(
            subject=mail.subject,
            message_id=mail.message_id,
            raw=mail.raw,
            offered=offered_in(mail, len(party)),
            hand_over=lambda committing: self._mailer.send(
                mail.sender, mail.recipients, mail.raw, committing
            ),
        )


def make_sure(delivery: Delivery, mail: Mail) -> None:
    """Refuse a mail that is not what the delivery is about. Raises ValueError."""
    if mail.recipients != (delivery.to,):
        raise ValueError(f"a mail to {delivery.to} was addressed to {', '.join(mail.recipients)}")
    if not mail.sender or not mail.message_id or not 0 < len(mail.raw) <= LARGEST:
        raise ValueError("a mail lacks its sender, its Message-ID or its text, or is too large")


def offered_in(mail: Mail, size: int) -> Sequence[tuple[Interval, ...]]:
    """The times proposed for each of the mail's deliveries."""
    return mail.offered_for if len(mail.offered_for) == size else [mail.offered, *[()] * (size - 1)]


class Steps:
    """The steps of the present rules, by rule and step."""

    def __init__(self, settings: Settings) -> None:
        self._steps = {(rule.name, step.step): step for rule in settings.policy.rules for step in rule.then}

    def of(self, delivery: Delivery | Intent) -> Step:
        """The step a delivery came from. Raises Rejected when the rules no longer have it."""
        step = self._steps.get((delivery.rule, delivery.step))
        if step is None or step.do.value != delivery.do:
            raise Rejected("the rules no longer have this step")
        return step


class MarkCarrier:
    """Labels on events, put on by their calendar's own connector."""

    def __init__(self, store: Store, settings: Settings, connect: Callable[[str], CalendarConnector]) -> None:
        self._store = store
        self._steps = Steps(settings)
        self._connect = connect

    def place(self, delivery: Delivery) -> str:
        """The event's account."""
        return f"account {delivery.key.calendar.account if delivery.key else ''}"

    def prepare(self, party: Sequence[Delivery | Intent]) -> Parcel:
        """The label of one delivery's step. Raises Rejected where there is nothing to put it on."""
        (delivery,) = party
        label = self._steps.of(delivery).category
        occurrence = meeting_of(self._store, delivery)
        if not occurrence.href:
            raise Rejected("the event is no longer in the calendar, so it cannot be labelled")

        def hand_over(committing: Callable[[], None]) -> Receipt:
            connector = self._connect(occurrence.key.calendar.account)
            committing()
            try:
                connector.label(occurrence, label)
            except Conflict as error:
                raise Retryable(f"the event changed while it was labelled: {error}") from error
            return Receipt(response=f"labelled {label}")

        return Parcel(subject=f"Label '{label}' on: {occurrence.title}", hand_over=hand_over)


class Poster(Protocol):
    """An address of the owner's that takes signed POSTs."""

    def send(self, body: bytes, key: str, sent_at: datetime, committing: Callable[[], None]) -> Receipt:
        """Hand over one JSON text; see :class:`connectors.webhook.Webhook`."""
        ...


class WebhookCarrier:
    """Signed POSTs to the owner's own systems."""

    def __init__(
        self, store: Store, settings: Settings, clock: Clock, connect: Callable[[str], Poster]
    ) -> None:
        self._store = store
        self._settings = settings
        self._clock = clock
        self._steps = Steps(settings)
        self._connect = connect

    def place(self, delivery: Delivery) -> str:
        """The webhook, by its name in the configuration."""
        return f"webhook {delivery.to}"

    def prepare(self, party: Sequence[Delivery | Intent]) -> Parcel:
        """The JSON of one delivery. Raises Rejected where its meeting is gone."""
        (delivery,) = party
        self._steps.of(delivery)
        occurrence = meeting_of(self._store, delivery)
        account = self._settings.accounts.get(occurrence.key.calendar.account)
        now = self._clock.now()
        key = self._settings.outward(delivery.intent_key)
        raw = body(delivery, key, occurrence, account.client if account else None, now)
        return Parcel(
            subject=f"Tell {delivery.to} about: {occurrence.title}",
            message_id=identity_of(key),
            raw=raw,
            hand_over=lambda committing: self._connect(delivery.to).send(raw, key, now, committing),
        )


def meeting_of(store: Store, delivery: Delivery | Intent) -> Occurrence:
    """The meeting a delivery is about, as the store has it now. Raises Rejected when it is gone."""
    with store.read() as conn:
        found = agenda.meeting(conn, delivery.key, delivery.people) if delivery.key else None
    if found is None:
        raise Rejected("the meeting is no longer in the calendar")
    return found
