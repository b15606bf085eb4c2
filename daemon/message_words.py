"""The words of one message: what it says, or said; what it does, or did."""

from __future__ import annotations

from functools import partial

from connectors.base import Rejected
from daemon import wiring
from daemon.carriers import MarkCarrier, WebhookCarrier, words_of
from daemon.carrying_out import AgreementCarrier
from daemon.clock import Clock
from daemon.config.settings import Settings
from daemon.mail.readable import readable
from daemon.mail.scribe import Scribe
from daemon.store import deliveries
from daemon.store.deliveries import ACTIONS, Delivery
from daemon.store.engine import Store
from rules.delivery import AGREE, OPEN, PROPOSE, State
from rules.policy import Do

_MAY_HAVE_LEFT = frozenset({State.SENT, State.UNKNOWN, State.COMMITTING})


def carried(row: Delivery) -> int | None:
    """For what shared a message that may have left: the number under which that is kept."""
    return row.carried_by if row.state in _MAY_HAVE_LEFT else None


def kept(store: Store, row: Delivery) -> Delivery:
    """The delivery whose message says what this one says: itself, or the one it went along with."""
    other = carried(row)
    if other is None:
        return row
    with store.read() as conn:
        return deliveries.get(conn, other) or row


def words(store: Store, settings: Settings, clock: Clock, row: Delivery) -> str:
    """What it says, or said; what it does, or did."""
    if row.do in ACTIONS:
        return _deed(store, settings, clock, row)
    if row.raw:
        return readable(row.raw)
    if row.state not in OPEN:
        return "It was never written."
    try:
        mail = Scribe(store, settings, clock).compose(row)
    except Rejected as error:
        return f"It cannot be written now: {error}"
    return f"It is written when it leaves. Now it would say:\n\n{readable(mail.raw)}"


def _deed(store: Store, settings: Settings, clock: Clock, row: Delivery) -> str:
    """What goes to nobody's mailbox does, or did, and the JSON of a webhook."""
    if row.state not in OPEN:
        return words_of(row.subject or "It was never done.", row.raw)
    connect = partial(wiring.connector, settings)
    agreed = AgreementCarrier(store, settings, clock, connect)
    carriers: dict[str, MarkCarrier | WebhookCarrier | AgreementCarrier] = {
        Do.MARK: MarkCarrier(store, settings, connect),
        Do.WEBHOOK: WebhookCarrier(store, settings, clock, partial(wiring.webhook, settings)),
        AGREE: agreed,
        PROPOSE: agreed,
    }
    try:
        return f"Not done yet. It would be now: {carriers[row.do].prepare([row]).words}"
    except Rejected as error:
        return f"It cannot be done now: {error}"
