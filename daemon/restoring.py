"""A state that was put back from a backup is taken up: whatever it may have sent since waits for the owner.

It is known by what a backup says of itself, or by the watermark beside it, which knows of more messages.
"""

from __future__ import annotations

from datetime import datetime

import structlog
from sqlalchemy import Connection

from daemon.loading import loading
from daemon.outbox_notices import KEEP_TRYING, tell_unknown
from daemon.store import agenda, deliveries, drafts, restored
from daemon.store.engine import Store
from daemon.store.watermark import Watermark
from rules.delivery import PERHAPS_SENT, Event, State

log = structlog.get_logger()

BROKEN_OFF = "it was on its way when the backup was made that the state was restored from"


def take_up(store: Store, tell: str, now: datetime) -> bool:
    """Take up a state that was put back, if it was, and tell the owner; whether it was. Raises StoreError."""
    mark = Watermark(store)
    with store.read() as conn:
        made = restored.backup_of(conn)
        behind = mark.is_behind(conn)
        count = mark.count(conn)
    found = mark.beside()
    if made is None and not behind:
        if found != (store.identity, count):
            mark.keep(count)
        return False
    with store.write() as conn:
        made = made or restored.last_sign(conn, now)
        restored.begin(conn, made, now)
        held = _hold(conn, tell, now)
        _tell(conn, made, held, tell, now)
        _skip_digest(conn, now)
        agenda.wake_all(conn, now)
        count = mark.rise(conn, found[1] if found else 0)
    mark.keep(count)
    log.warning("restored from a backup", made=made.isoformat(), held=held)
    return True


def _hold(conn: Connection, tell: str, now: datetime) -> int:
    """Leave everything that was under way to the owner; how much that is."""
    held = 0
    laid = drafts.list_(conn)
    for state in (State.PENDING, State.RETRYING, State.CLAIMED):
        for one in deliveries.list_(conn, state):
            held += deliveries.move(conn, one.id, Event.HOLD, now, error=PERHAPS_SENT)
    for one in deliveries.list_(conn, State.HELD):
        if one.error != PERHAPS_SENT and one.id not in laid:
            held += deliveries.move(conn, one.id, Event.DRAFT, now, error=PERHAPS_SENT)
    for one in deliveries.list_(conn, State.COMMITTING):
        deliveries.move(conn, one.id, Event.DOUBT, now, error=BROKEN_OFF)
        tell_unknown(conn, [one], BROKEN_OFF, tell, now)
    return held


def _skip_digest(conn: Connection, now: datetime) -> None:
    """The digest of today was perhaps written; the next is of what happens from now on."""
    with loading:
        from daemon import digest  # noqa: PLC0415 - its words are memory that few need

    digest.skip(conn, now)


def _tell(conn: Connection, made: datetime, held: int, tell: str, now: datetime) -> None:
    deliveries.add_notice(
        conn,
        "restored",
        now.isoformat(),
        tell,
        subject=f"My memory is that of {made:%Y-%m-%d %H:%M} UTC",
        body=(
            f"The state file was restored from a backup, or an older copy of it was put in its place. What I "
            f"know ends at {made:%Y-%m-%d %H:%M} UTC; what I sent since then I cannot know.\n\n"
            f"So nothing that was due by now leaves by itself: {held or 'no'} messages that waited in the "
            "backup are held, and so is what the rules still find due once your calendars were read again. "
            "Please look into your sent mail. `rebookd outbox list --state held` shows them, "
            "`rebookd outbox approve ID` sends one that never left, and what you leave alone lapses.\n\n"
            "What comes due from now on is sent as usual, and so is what new meetings call for. Opt-outs, "
            "silences, approvals and answers on my pages since then are forgotten; please give "
            "me the ones that still matter again."
        ),
        now=now,
        until=now + KEEP_TRYING,
    )
