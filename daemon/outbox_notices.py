"""What the owner is told about their outbox: a refusal, a doubt, a flood."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Connection

from daemon.store import deliveries
from daemon.store.deliveries import NOTICE, Delivery

KEEP_TRYING = timedelta(days=2)
"""How long a notice may wait for the mail server."""


def tell_refused(conn: Connection, delivery: Delivery, why: str, to: str, now: datetime) -> None:
    """Queue the news that a message was refused for good; never about a notice."""
    what = delivery.subject or f"{delivery.rule}, {delivery.step}"
    _tell(
        conn,
        delivery,
        "refused",
        to,
        now,
        subject=f"Not sent: {what}",
        body=(
            f"This message to {delivery.to} could not be sent:\n\n    {what}\n\nThe reason given was:\n\n"
            f"    {why}\n\nIt is not tried again by itself. Once the cause is mended, "
            f"`rebookd outbox retry {delivery.id}` sends it."
        ),
    )


def tell_unknown(conn: Connection, delivery: Delivery, why: str, to: str, now: datetime) -> None:
    """Queue the news that nobody knows whether a message left; never about a notice."""
    what = delivery.subject or f"{delivery.rule}, {delivery.step}"
    _tell(
        conn,
        delivery,
        "unknown",
        to,
        now,
        subject=f"Sent or not? {what}",
        body=(
            f"I do not know whether this message reached {delivery.to}:\n\n    {what}\n    "
            f"Message-ID: {delivery.message_id}\n\nWhat happened:\n\n    {why}\n\n"
            "I do not send it again by myself, since it may have arrived. Please look into your sent mail or "
            f"ask. If it did not arrive, `rebookd outbox retry {delivery.id}` sends it."
        ),
    )


def tell_flood(conn: Connection, held: list[Delivery], most: int, to: str, now: datetime) -> None:
    """Queue the news that too much came due at once and nothing of it was sent."""
    deliveries.add_notice(
        conn,
        "flood",
        now.isoformat(),
        to,
        subject=f"{len(held)} messages came due at once; none was sent",
        body=(
            f"{len(held)} messages to other people came due at the same moment. The guard allows {most}, so "
            "I sent none of them: something may be wrong with a calendar or a rule.\n\n"
            "`rebookd outbox list --state held` shows them, `rebookd outbox approve --all` lets them go, and "
            "`rebookd outbox cancel ID` drops one."
        ),
        now=now,
        until=now + KEEP_TRYING,
    )


def _tell(
    conn: Connection, delivery: Delivery, kind: str, to: str, now: datetime, *, subject: str, body: str
) -> None:
    if delivery.do == NOTICE:
        return
    about = f"{delivery.id}/{delivery.attempts}"
    deliveries.add_notice(conn, kind, about, to, subject=subject, body=body, now=now, until=now + KEEP_TRYING)
