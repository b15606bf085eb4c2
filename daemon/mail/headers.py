"""The headers of our mails (RFC 5322, RFC 3834, RFC 2369, RFC 8058) and how they form a conversation."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime
from hashlib import sha256
from urllib.parse import quote

from daemon.mail.mime import Mailbox, address_line, text_line

PLUS = "rebookd-"
"""What stands after the plus of an address that names a mail, before its digest."""

_LONGEST_LOCAL = 64  # RFC 5321 section 4.5.3.1.1
_LONGEST_THREAD = 10
_MESSAGE_ID = re.compile(r"<[!-;=?-~]{1,200}@[!-;=?-~]{1,200}>")


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """From whom, to whom, when, and as part of which conversation.

    ``sent`` is in the sender's zone. ``key`` names this mail among all; ``earlier`` are the message
    ids it follows, oldest first. ``can_stop`` offers to write no more, ``stop`` where a click does it. With
    ``plus``, replies go to an address that names the mail.
    """

    sender: Mailbox
    to: Mailbox
    subject: str
    sent: datetime
    key: str
    language: str
    earlier: Sequence[str] = ()
    can_stop: bool = False
    stop: str = ""
    plus: bool = False

    @property
    def digest(self) -> str:
        """A word that follows from the key alone."""
        return sha256(self.key.encode("utf-8", "replace")).hexdigest()[:40]

    @property
    def message_id(self) -> str:
        """The same for the same key and sender, so that a mail can be found again."""
        return f"<rebookd.{self.digest}@{self.sender.domain}>"

    def headers(self) -> list[tuple[str, str]]:
        """Name and folded value of each header, all ASCII."""
        return [
            ("From", address_line("From", self.sender)),
            ("To", address_line("To", self.to)),
            *self._reply_to(),
            ("Subject", text_line("Subject", self.subject)),
            ("Date", format_datetime(self.sent)),
            ("Message-ID", self.message_id),
            *self._thread(),
            ("Auto-Submitted", "auto-generated"),
            ("X-Auto-Response-Suppress", "OOF, AutoReply"),
            *self._stop(),
            ("Content-Language", self.language),
        ]

    def _reply_to(self) -> list[tuple[str, str]]:
        local, _, domain = self.sender.address.rpartition("@")
        tagged = f"{local}+{PLUS}{self.digest}"
        if not self.plus or len(tagged) > _LONGEST_LOCAL:
            return []
        named = Mailbox(name=self.sender.name, address=f"{tagged}@{domain}")
        return [("Reply-To", address_line("Reply-To", named))]

    def _thread(self) -> list[tuple[str, str]]:
        before = [one for one in self.earlier if _MESSAGE_ID.fullmatch(one) and one != self.message_id]
        if not before:
            return []
        # A long conversation is named by its first message and its latest (RFC 5322 section 3.6.4).
        named = before if len(before) <= _LONGEST_THREAD else [before[0], *before[1 - _LONGEST_THREAD :]]
        return [("In-Reply-To", before[-1]), ("References", "\r\n ".join(named))]

    def _stop(self) -> list[tuple[str, str]]:
        if not self.can_stop:
            return []
        by_mail = f"<mailto:{quote(self.sender.address, safe='@')}?subject=stop>"
        if not self.stop:
            return [("List-Unsubscribe", by_mail)]
        both = ("List-Unsubscribe", f"<{self.stop}>,\r\n {by_mail}")
        if not self.stop.startswith("https://"):  # RFC 8058 section 3.1
            return [both]
        return [both, ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click")]
