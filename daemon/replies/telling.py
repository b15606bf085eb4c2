"""What the owner is told about replies: those that nobody but they can answer, bounces, a failing inbox."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Connection

from daemon.mail.foreign_text import clean, clean_lines
from daemon.outbox_notices import KEEP_TRYING
from daemon.replies.letter_in import Bounce, LetterIn
from daemon.store import deliveries, replies
from daemon.store.deliveries import Delivery
from daemon.store.replies import InboxRow
from rules.hours import zone
from rules.model import Owner

A_DAY = timedelta(days=1)

MOST_A_DAY = 20
"""Replies in a day that are handed over one by one; then the owner is told that there are more, once."""

QUOTED = 2000
"""Characters of a reply that are quoted."""

TOLD = "told"
"""What became of a reply that was handed to the owner."""


def tell_of_reply(
    conn: Connection, letter: LetterIn, *, key: str, about: Delivery, why: str, owner: Owner, now: datetime
) -> None:
    """Hand a reply to the owner, quoted, once; with so many in a day only that there are more."""
    if replies.count_since(conn, TOLD, now - A_DAY) >= MOST_A_DAY:
        _tell(
            conn,
            owner,
            now,
            kind="replies",
            about=now.date().isoformat(),
            subject="More replies than I pass on in a day",
            body=(
                f"More than {MOST_A_DAY} replies in a day were not clear to me. They are in your inbox, as "
                "every reply is; I pass on no more of them today."
            ),
        )
        return
    words = clean_lines(letter.text, QUOTED) or "(nothing that can be read as text)"
    quoted = "\n".join(f"> {line}" for line in words.split("\n"))
    _tell(
        conn,
        owner,
        now,
        kind="reply",
        about=key,
        subject=f"A reply from {clean(letter.sender or about.to)}: {clean(about.subject)}",
        body=(
            f"{clean(letter.sender or 'Somebody')} wrote in reply to “{clean(about.subject)}”:\n\n"
            f"{quoted}\n\n{why} The mail itself is in your inbox."
        ),
    )


def tell_of_bounce(conn: Connection, bounce: Bounce, about: Delivery, owner: Owner, now: datetime) -> None:
    """Queue the news that an address takes no mail, once for the address."""
    _tell(
        conn,
        owner,
        now,
        kind="bounce",
        about=str(about.to),
        subject=f"Mail to {clean(about.to)} does not arrive",
        body=(
            f"This message came back for good:\n\n    {clean(about.subject)}\n    to {clean(about.to)}\n\n"
            f"The mail server says:\n\n    {clean(bounce.status)} {clean(bounce.why, 300)}\n\n"
            "I write no more to this address. Please look whether it is still right. Once it takes mail "
            f"again:\n\n    rebookd optout remove {clean(about.to)}"
        ),
    )


def tell_of_inbox(conn: Connection, row: InboxRow, why: str, owner: Owner, now: datetime) -> None:
    """Queue the news that replies cannot be read, once per trouble."""
    since = (row.read_at or row.error_since or now).astimezone(zone(owner.zone))
    _tell(
        conn,
        owner,
        now,
        kind="inbox",
        about=f"{row.name}/{row.error_since.isoformat() if row.error_since else ''}",
        subject=f"I cannot read the replies in {clean(row.name)}",
        body=(
            f"Since {since:%Y-%m-%d %H:%M} I cannot read {clean(row.name)}:\n\n    {clean(why, 500)}\n\n"
            "Until I can, replies by mail are not taken as answers; they reach you as ever, and nothing is "
            "lost. If replies are not to be read, write `replies: false` under `mail:`. I keep trying."
        ),
    )


def _tell(
    conn: Connection, owner: Owner, now: datetime, *, kind: str, about: str, subject: str, body: str
) -> None:
    to = owner.addresses[0]
    deliveries.add_notice(conn, kind, about, to, subject=subject, body=body, now=now, until=now + KEEP_TRYING)
