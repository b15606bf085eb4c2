"""An IMAP folder where replies arrive (RFC 3501): looked at read-only, fetched without marking.

The cursor holds UIDVALIDITY and the next UID. Where the folder was made anew, reading begins with the days
that were not read yet.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from imap_tools import BaseMailBox
from imap_tools.errors import MailboxFolderSelectError

from connectors.base import Cursor, Haul, Incoming, Rejected, Retryable
from connectors.imap_wire import ImapServer

MOST = 50
"""Messages that one look brings."""

LARGEST = 8 * 1024 * 1024
"""Bytes of one message that are read; of a larger one, its beginning."""

MOST_BYTES = 24 * 1024 * 1024
"""Bytes of messages after which a look ends."""

MOST_SAID = 2 * MOST_BYTES
"""What a server may say in one look, lists of numbers included."""

_CURSOR = re.compile(r"(\d{1,10})/(\d{1,10})")
_UID = re.compile(rb"\bUID (\d{1,10})\b", re.IGNORECASE)
_SIZE = re.compile(rb"\bRFC822\.SIZE (\d{1,12})\b", re.IGNORECASE)
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class ImapInbox:
    """One folder; see :class:`connectors.base.Inbox`. ``server`` may say :data:`MOST_SAID` in a call."""

    def __init__(self, server: ImapServer, folder: str = "INBOX") -> None:
        self.name = f"{folder} on {server.host}"
        self._server = server
        self._folder = folder

    def fetch(self, cursor: Cursor, since: datetime) -> Haul:
        """The next messages by UID."""
        with self._server.signed_in() as mailbox:
            validity, following = self._examine(mailbox)
            known = _CURSOR.fullmatch(cursor.value)
            if known and int(known[1]) == validity:
                first = int(known[2])
                # A range up to * always holds the last message, however low its number.
                wanted = [] if following == first else _search(mailbox, f"UID {first}:*")
            else:
                first = 1
                wanted = _search(mailbox, f"SINCE {_day(since - timedelta(days=1))}")
            uids = sorted({uid for uid in wanted if uid >= first})
            messages = self._messages(mailbox, uids[:MOST])
            more = len(uids) > len(messages)
            after = [uid + 1 for uid, _ in messages]
            first = after[-1] if more else max([first, following, *after])
        return Haul(
            messages=tuple(one for _, one in messages if one is not None),
            cursor=Cursor(f"{validity}/{first}"),
            more=more,
        )

    def close(self) -> None:
        """Nothing is held open between two looks."""

    def _examine(self, mailbox: BaseMailBox) -> tuple[int, int]:
        """Open the folder read-only: its UIDVALIDITY, and the UID its next message gets (0: not told)."""
        try:
            mailbox.folder.set(self._folder, readonly=True)
        except MailboxFolderSelectError as error:
            raise Rejected(
                f"The mailbox on {self._server.host} has no folder {self._folder!r}; set mail.imap.inbox."
            ) from error
        validity, following = (_number(mailbox, word) for word in ("UIDVALIDITY", "UIDNEXT"))
        if not validity:
            raise Rejected(f"The mail server {self._server.host} does not number its messages for good.")
        return validity, following

    def _messages(self, mailbox: BaseMailBox, uids: Sequence[int]) -> list[tuple[int, Incoming | None]]:
        """Each with its bytes, as far as one look goes; None for one that is gone meanwhile."""
        if not uids:
            return []
        sizes = _sizes(mailbox, uids)
        found: list[tuple[int, Incoming | None]] = []
        spent = 0
        for uid in uids:
            size = min(sizes.get(uid, LARGEST + 1), LARGEST)
            if found and spent + size > MOST_BYTES:
                break
            spent += size
            raw = _body(mailbox, uid) if uid in sizes else None
            whole = sizes.get(uid, 0) <= LARGEST
            found.append((uid, None if raw is None else Incoming(id=str(uid), raw=raw, whole=whole)))
        return found


def _search(mailbox: BaseMailBox, criteria: str) -> list[int]:
    data = _asked(mailbox, "SEARCH", criteria)
    return [int(word) for line in data if isinstance(line, bytes) for word in line.split()]


def _sizes(mailbox: BaseMailBox, uids: Sequence[int]) -> dict[int, int]:
    named = ",".join(map(str, uids))
    found: dict[int, int] = {}
    for line in _asked(mailbox, "FETCH", named, "(UID RFC822.SIZE)"):
        text = line[0] if isinstance(line, tuple) else line
        uid, size = (re.search(one, text or b"") for one in (_UID, _SIZE))
        if uid and size:
            found[int(uid[1])] = int(size[1])
    return found


def _body(mailbox: BaseMailBox, uid: int) -> bytes | None:
    """The message's bytes, so many as are read. PEEK leaves it unread."""
    for part in _asked(mailbox, "FETCH", str(uid), f"(UID BODY.PEEK[]<0.{LARGEST}>)"):
        if isinstance(part, tuple) and len(part) > 1 and isinstance(part[1], bytes):
            return part[1]
    return None


def _asked(mailbox: BaseMailBox, *words: str) -> list[Any]:
    kind, data = mailbox.client.uid(*words)
    if kind != "OK":
        raise Retryable("The mail server would not show what is in the inbox.")
    return list(data or ())


def _number(mailbox: BaseMailBox, word: str) -> int:
    _, data = mailbox.client.response(word)
    value = data[-1] if data else None
    return int(value) if isinstance(value, bytes) and value.isdigit() else 0


def _day(at: datetime) -> str:
    """RFC 3501's date, whose months are English everywhere."""
    return f"{at.day}-{_MONTHS[at.month - 1]}-{at.year}"


__all__ = ["LARGEST", "MOST", "MOST_SAID", "ImapInbox"]
