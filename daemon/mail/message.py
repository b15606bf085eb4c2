"""One mail, ready to leave."""

from __future__ import annotations

from dataclasses import dataclass

from rules.model import Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """One composed mail.

    ``raw`` is the complete message as it goes to the server: 7-bit, CRLF, no line over 998 octets
    (RFC 5322 section 2.1.1). ``sender`` and ``recipients`` are bare addresses for the envelope (RFC
    5321). ``message_id`` keeps its angle brackets. ``text`` is the plain part as a person reads it;
    ``offered`` are the proposed times in the order they are numbered (UTC), ``offered_for`` the same times
    apart for each meeting of the mail.
    """

    sender: str
    recipients: tuple[str, ...]
    subject: str
    message_id: str
    raw: bytes
    text: str
    offered: tuple[Interval, ...] = ()
    offered_for: tuple[tuple[Interval, ...], ...] = ()
