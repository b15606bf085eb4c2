"""What the owner is told about their outbox: a refusal, a doubt, a flood, a rule that is trusted less."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection

from daemon.store import deliveries
from daemon.store.deliveries import NOTICE, Delivery
from rules.delivery import AGREE, PROPOSE, Event, ForbiddenMove
from rules.policy import Do

KEEP_TRYING = timedelta(days=2)
"""How long a notice may wait for the mail server."""

MOST_AGAIN = 3
"""How often a notice of which nobody knows whether it left is told again."""

AGAIN_AFTER = timedelta(minutes=10)
"""How long the second such try waits, and once more as long each that follows."""

_AGAIN = "/again"


def tell_refused(conn: Connection, party: Sequence[Delivery], why: str, to: str, now: datetime) -> None:
    """Queue the news that what carried these was refused for good; never about a notice."""
    leader = party[0]
    failed = {
        Do.MARK.value: "This label could not be put on its event:",
        Do.WEBHOOK.value: f"This could not be told to your webhook {leader.to}:",
        AGREE: f"{leader.reason}, but the calendar could not be changed. Please do it by hand:",
        PROPOSE: f"{leader.reason}, but its organiser could not be asked. Please write to them:",
    }.get(leader.do, f"This message to {leader.to} could not be sent:")
    _tell(
        conn,
        leader,
        "refused",
        to,
        now,
        subject=f"Not {'sent' if _is_mail(leader) else 'done'}: {_named(leader)}",
        body=(
            f"{failed}\n\n    {_named(leader)}\n\nThe reason given was:\n\n    {why}\n\n"
            f"It is not tried again by itself. Once the cause is mended, {_again(party)} "
            f"{'sends' if _is_mail(leader) else 'does'} it."
        ),
    )


def tell_unknown(
    conn: Connection,
    party: Sequence[Delivery],
    why: str,
    to: str,
    now: datetime,
    *,
    wait: timedelta = timedelta(),
) -> None:
    """Queue the news that nobody knows whether what carried these left; a notice itself is told again.

    It leaves after ``wait``, if the doubt has not settled itself by then.
    """
    leader = party[0]
    if leader.do == NOTICE:
        _tell_again(conn, leader, now, wait)
        return
    if _is_mail(leader):
        doubt = f"I do not know whether this message reached {leader.to}:"
        advice = (
            "I do not send it again by myself, since it may have arrived. Please look into your sent mail or "
            f"ask. If it did not arrive, {_again(party)} sends it."
        )
        name = "Message-ID"
    else:
        doubt = f"I do not know whether your webhook {leader.to} was told this:"
        advice = (
            "I do not tell it again by myself. Please look there for its id. If it was not told, "
            f"{_again(party)} tells it."
        )
        name = "webhook-id"
    _tell(
        conn,
        leader,
        "unknown",
        to,
        now,
        subject=f"{'Sent' if _is_mail(leader) else 'Told'} or not? {_named(leader)}",
        body=(
            f"{doubt}\n\n    {_named(leader)}\n    {name}: {leader.message_id}\n\nWhat happened:\n\n"
            f"    {why}\n\n{advice}"
        ),
        wait=wait,
    )


def _tell_again(conn: Connection, notice: Delivery, now: datetime, wait: timedelta) -> None:
    """Queue a notice once more: never to be told is worse than to be told twice, in other words."""
    kind, key = deliveries.fence_of(notice)
    before = key.count(_AGAIN)
    if before >= MOST_AGAIN:
        return
    first = before == 0
    again = "You may know this already: I am not sure that the mail that told you so arrived.\n\n"
    deliveries.add_notice(
        conn,
        kind,
        key + _AGAIN,
        notice.to,
        subject=f"Again: {notice.subject}" if first else notice.subject,
        body=again + notice.reason if first else notice.reason,
        now=now,
        until=notice.until,
        wait=max(wait, before * AGAIN_AFTER),
    )


def tell_found(conn: Connection, party: Sequence[Delivery], to: str, now: datetime) -> None:
    """The doubt about what carried these is settled: whoever was told of it is told so, nobody else."""
    for one in party:
        if one.do == NOTICE:
            kind, key = deliveries.fence_of(one)
            told = deliveries.notice(conn, kind, key + _AGAIN, one.to)
        else:
            told = deliveries.notice(conn, "unknown", _about(one), to)
        if told is None:
            continue
        try:
            deliveries.move(conn, told.id, Event.SUPERSEDE, now, error="the message was found")
        except ForbiddenMove:
            _tell(
                conn,
                one,
                "found",
                to,
                now,
                subject=f"Sent after all: {_named(one)}",
                body=(
                    f"I was not sure whether this message reached {one.to}. It is in your sent mail, so it "
                    f"left, and nothing is to be done:\n\n    {_named(one)}\n    Message-ID: {one.message_id}"
                ),
            )


def tell_flood(conn: Connection, messages: int, most: int, to: str, now: datetime) -> None:
    """Queue the news that too much came due at once and nothing of it was sent."""
    deliveries.add_notice(
        conn,
        "flood",
        now.isoformat(),
        to,
        subject=f"{messages} messages came due at once; none was sent",
        body=(
            f"{messages} messages to other people, labels or webhooks came due at the same moment. The guard "
            f"allows {most}, so none of them left: something may be wrong with a calendar or a rule.\n\n"
            "`rebookd outbox list --state held` shows them, `rebookd outbox approve --all` lets them go, and "
            "`rebookd outbox cancel ID` drops one."
        ),
        now=now,
        until=now + KEEP_TRYING,
    )


def tell_demoted(conn: Connection, rule: str, to: str, now: datetime, *, mode: str, digest: str) -> None:
    """Queue the news that a rule goes less far by itself from now on."""
    deliveries.add_notice(
        conn,
        "demoted",
        f"{rule}/{mode}/{digest}",
        to,
        subject=f"Rule {rule} is now mode {mode}",
        body=(
            f"Two messages of rule {rule} in a row were rejected; it is now {mode}. "
            "Change the rule to lift this."
        ),
        now=now,
        until=now + KEEP_TRYING,
    )


def _is_mail(delivery: Delivery) -> bool:
    return delivery.do not in (Do.MARK, Do.WEBHOOK)


def _named(delivery: Delivery) -> str:
    return delivery.subject or f"{delivery.rule}, {delivery.step}"


def _again(party: Sequence[Delivery]) -> str:
    return f"`rebookd outbox retry {' '.join(str(one.id) for one in party)}`"


def _about(delivery: Delivery) -> str:
    """What tells one try of a delivery from its others."""
    return f"{delivery.id}/{delivery.attempts}"


def _tell(
    conn: Connection,
    delivery: Delivery,
    kind: str,
    to: str,
    now: datetime,
    *,
    subject: str,
    body: str,
    wait: timedelta = timedelta(),
) -> None:
    if delivery.do == NOTICE:
        return
    deliveries.add_notice(
        conn,
        kind,
        _about(delivery),
        to,
        subject=subject,
        body=body,
        now=now,
        until=now + KEEP_TRYING,
        wait=wait,
    )
