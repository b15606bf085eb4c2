"""Reads one inbox: which mails answer one of our messages, and who may answer it.

A mail counts only where it names a message of ours, or its meeting, and is from whom that was sent to. What
programs send is never an answer. One bad mail never keeps the others from being read.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta

import structlog
from sqlalchemy import Connection

from connectors.base import (
    ConnectorError,
    Cursor,
    CursorExpired,
    Inbox,
    Incoming,
    LimitExceeded,
    NeedsLogin,
    NotSupported,
    Rejected,
)
from daemon.answers import Answering
from daemon.clock import Clock
from daemon.config.settings import Settings
from daemon.replies import imip, telling
from daemon.replies.letter_in import LetterIn, read_letter
from daemon.replies.taking import Taken, Taker
from daemon.store import deliveries, optouts, replies, restored
from daemon.store.deliveries import Delivery
from daemon.store.engine import Store
from daemon.store.errors import StoreError
from daemon.store.replies import InboxRow

log = structlog.get_logger()

MOST_HAULS = 20
"""How often the next messages are fetched in one go."""

OVERLAP = timedelta(hours=1)
"""How much of what came before the last look is looked at again where a server forgot where we were."""

PATIENCE = 2
"""Failures in a row before the owner is told of one that may mend itself."""

FORGED = "The receiving mail server says that it may not be from them, so I did nothing with it."
FROM_ELSEWHERE = "I wrote to {to}, and this came from another address, so I did nothing with it."
BEFORE_RESTORE = (
    "It came before my memory was restored from a backup. Perhaps I acted on it then; now I did nothing."
)
FAILED = "I stumbled over it and did nothing with it; the log has the details."
BOUNCED = "A mail to {to} came back, for another address than that."

_STOP = re.compile(r"\s*(stop|unsubscribe|parar)\s*[.!]?\s*", re.IGNORECASE)
_OURS = re.compile(r"<rebookd\.[0-9a-f]{40}@")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadReport:
    """What one look brought: how many mails came, how many were replies; ``error`` where it failed.

    ``for_owner`` says that only the owner can mend that.
    """

    mails: int = 0
    replies: int = 0
    error: str = ""
    for_owner: bool = False


class ReplyReader:
    """Reads the replies in one inbox. For one thread at a time."""

    def __init__(
        self,
        store: Store,
        settings: Settings,
        clock: Clock,
        inbox: Inbox,
        answering: Answering,
        *,
        stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        self._store = store
        self._settings = settings
        self._clock = clock
        self._inbox = inbox
        self._taker = Taker(answering, settings)
        self._stopping = stopping

    def read(self) -> ReadReport:
        """Take what arrived since the last look. Raises StoreError alone."""
        mails = taken = 0
        for _ in range(MOST_HAULS):
            with self._store.read() as conn:
                row = replies.inbox(conn, self._inbox.name)
            try:
                haul = self._inbox.fetch(row.cursor, (row.read_at or self._clock.now()) - OVERLAP)
            except ConnectorError as error:
                return self._failed(row, error, ReadReport(mails=mails, replies=taken))
            for one in haul.messages:
                if self._stopping():
                    return ReadReport(mails=mails, replies=taken)
                mails += 1
                taken += self._deal_with(one)
            with self._store.write() as conn:
                replies.keep(conn, InboxRow(name=row.name, cursor=haul.cursor, read_at=self._clock.now()))
            if not haul.more:
                break
        return ReadReport(mails=mails, replies=taken)

    def close(self) -> None:
        """Let go of connections."""
        self._inbox.close()

    def _failed(self, row: InboxRow, error: ConnectorError, so_far: ReadReport) -> ReadReport:
        """Remember it; the owner is told at once where only they can mend it."""
        now = self._clock.now()
        for_owner = isinstance(error, NeedsLogin | Rejected | NotSupported)
        lost = isinstance(error, CursorExpired | LimitExceeded)
        row = replace(
            row,
            cursor=Cursor() if lost else row.cursor,
            failures=row.failures + 1,
            error=str(error),
            error_since=row.error_since or now,
        )
        log.warning("replies not read", inbox=row.name, problem=str(error))
        with self._store.write() as conn:
            replies.keep(conn, row)
            if for_owner or row.failures >= PATIENCE:
                telling.tell_of_inbox(conn, row, str(error), self._settings.owner, now)
        return replace(so_far, error=str(error), for_owner=for_owner)

    def _deal_with(self, incoming: Incoming) -> bool:
        """Take one mail; whether it was a reply."""
        letter = read_letter(incoming.raw, whole=incoming.whole)
        key = letter.message_id or f"{self._inbox.name}/{incoming.id}"
        with self._store.read() as conn:
            if _OURS.match(letter.message_id) or replies.was_seen(conn, key):
                return False
            party = self._party(conn, letter)
        if not party:
            return False
        try:
            taken = self._taken(letter, party)
        except StoreError:
            raise
        except Exception:
            log.exception("a reply could not be dealt with", about=party[0].id)
            taken = Taken(became=telling.TOLD, tell=FAILED)
        now = self._clock.now()
        with self._store.write() as conn:
            if taken.tell:
                owner = self._settings.owner
                telling.tell_of_reply(
                    conn, letter, key=key, about=party[0], why=taken.tell, owner=owner, now=now
                )
            replies.saw(conn, key, telling.TOLD if taken.tell else taken.became, now)
        log.info("reply read", about=party[0].id, became=taken.became)
        return True

    def _party(self, conn: Connection, letter: LetterIn) -> list[Delivery]:
        """The deliveries of the message that it is about; none for a mail that is not our business."""
        found = next((party for one in letter.follows if (party := replies.of_message(conn, one))), [])
        person = not letter.automatic or letter.generated
        if not found and person and letter.sender is not None:
            answers = imip.answers_in(letter, self._settings.owner.zone)
            if answers:
                about = replies.about(conn, {one.uid for one in answers}, letter.sender)
                found = [one for answer in answers if (one := imip.answered(answer, about))][:1]
            elif _STOP.fullmatch(letter.subject):
                last = replies.last_to(conn, letter.sender)
                found = [last] if last else []
        if not found or any(one.key is None for one in found):
            return []
        # The message itself, which lists leave out, shows how its times were numbered.
        return [deliveries.get(conn, found[0].id) or found[0], *found[1:]]

    def _taken(self, letter: LetterIn, party: list[Delivery]) -> Taken:
        """What becomes of a mail about one of our messages."""
        first, mine = party[0], self._settings.owner.addresses
        if letter.bounces:
            return self._bounced(letter, first)
        is_stop = bool(_STOP.fullmatch(letter.subject))
        if letter.automatic and not (letter.generated and (letter.calendars or is_stop)):
            return Taken(became="automatic")
        if letter.sender != first.to and not (letter.sender in mine and first.to in mine):
            if letter.sender in mine:
                return Taken(became="mine")
            return Taken(became=telling.TOLD, tell=FROM_ELSEWHERE.format(to=first.to))
        if letter.forged:
            return Taken(became=telling.TOLD, tell=FORGED)
        if is_stop and first.to not in mine:
            return self._taker.stop(first)
        if self._is_forgotten(letter):
            return Taken(became=telling.TOLD, tell=BEFORE_RESTORE)
        return self._by_calendar(letter, party) or self._taker.take(letter, party)

    def _is_forgotten(self, letter: LetterIn) -> bool:
        """Whether a state that was lost may have taken it."""
        with self._store.read() as conn:
            put_back = restored.of(conn)
        return put_back is not None and (letter.came_at is None or letter.came_at <= put_back.at)

    def _by_calendar(self, letter: LetterIn, party: list[Delivery]) -> Taken | None:
        """What a calendar part answers; None where there is no such part."""
        answers = imip.answers_in(letter, self._settings.owner.zone)
        taken: Taken | None = None
        for answer in answers:
            delivery = imip.answered(answer, party)
            sender = letter.sender
            if delivery is None or sender is None:
                continue
            asked = self._taker.question(delivery)
            if asked is None or imip.is_stale(answer, asked.occurrence):
                continue
            partstat = imip.partstat_of(answer, sender)
            if answer.method == "COUNTER" and answer.span is not None and sender in answer.partstats:
                taken = self._taker.counter(delivery, answer.span, letter.text)
            elif answer.method == "REPLY" and partstat is not None:
                taken = self._taker.answer(delivery, partstat)
        return taken or (Taken(became="another meeting") if answers else None)

    def _bounced(self, letter: LetterIn, first: Delivery) -> Taken:
        """A message of ours did not arrive."""
        now, owner = self._clock.now(), self._settings.owner
        final = [one for one in letter.bounces if one.for_good]
        if not final or first.to in owner.addresses:
            return Taken(became="not for good")
        for bounce in final:
            if bounce.address == first.to:
                with self._store.write() as conn:
                    optouts.add(
                        conn, str(first.to), f"mail comes back: {bounce.status} {bounce.why}"[:300], now
                    )
                    telling.tell_of_bounce(conn, bounce, first, owner, now)
                return Taken(became="bounced")
        return Taken(became=telling.TOLD, tell=BOUNCED.format(to=first.to))


__all__ = ["ReadReport", "ReplyReader"]
