"""What a visitor sent: read within bounds, and understood or refused with a sentence of ours."""

from __future__ import annotations

import asyncio
import email
import email.policy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from urllib.parse import parse_qsl
from zoneinfo import ZoneInfo

from starlette.requests import Request

from daemon.answers import LONGEST_WORDS, MOST_TIMES
from daemon.mail.foreign_text import clean_lines
from rules.model import Interval

MOST_BYTES = 16 * 1024
SECONDS = 10.0
"""A form is no larger, and arrives within so many seconds."""

MOST_FIELDS = 100
FARTHEST = timedelta(days=366)
SHORTEST = timedelta(minutes=15)


class Refused(Exception):
    """What was sent is not taken: ``status``, and the name of the sentences that say so."""

    def __init__(self, status: int, name: str) -> None:
        super().__init__(name)
        self.status = status
        self.name = name


class Mistake(Exception):
    """What was filled in needs another look; ``name`` is the sentence that says which."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


@dataclass(frozen=True, slots=True)
class Form:
    """The fields of one form, each with everything that was sent for it."""

    fields: Mapping[str, Sequence[str]]

    def one(self, name: str) -> str:
        """The first of a field, or nothing."""
        return self.fields.get(name, ("",))[0]

    def all(self, name: str) -> Sequence[str]:
        """Everything sent for a field."""
        return self.fields.get(name, ())

    @property
    def words(self) -> str:
        """What they wrote, without what cannot be seen."""
        return clean_lines(self.one("words"), LONGEST_WORDS)


async def read_form(request: Request) -> Form:
    """The form of a request. Raises :class:`Refused`."""
    body = bytearray()
    try:
        async with asyncio.timeout(SECONDS):
            async for piece in request.stream():
                body += piece
                if len(body) > MOST_BYTES:
                    raise Refused(413, "large")
    except TimeoutError:
        raise Refused(408, "slow") from None
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    try:
        pairs = (
            _parts(bytes(body), request.headers["content-type"])
            if kind == "multipart/form-data"
            else parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=MOST_FIELDS, errors="strict")
        )
    except (ValueError, LookupError):
        raise Refused(400, "strange") from None
    fields: dict[str, list[str]] = {}
    for name, value in pairs:
        fields.setdefault(name, []).append(value)
    return Form(fields)


def _parts(body: bytes, kind: str) -> list[tuple[str, str]]:
    """The fields of a ``multipart/form-data`` body, as RFC 8058 lets mail programs send one."""
    head = f"Content-Type: {kind}\r\n\r\n".encode("latin-1")
    message = email.message_from_bytes(head + body, policy=email.policy.HTTP)
    found = []
    for part in message.iter_parts() if message.is_multipart() else ():
        name = part.get_param("name", header="content-disposition")
        payload = part.get_payload(decode=True)
        if isinstance(name, str) and isinstance(payload, bytes):
            found.append((name, payload.decode()))
    return found[:MOST_FIELDS]


def wished(form: Form, zone: ZoneInfo, length: timedelta, now: datetime) -> list[Interval]:
    """The times somebody asks for, each as long as the meeting. Raises :class:`Mistake`."""
    found = []
    for number in range(1, MOST_TIMES + 1):
        day, clock = form.one(f"date{number}").strip(), form.one(f"time{number}").strip()
        if day and clock:
            start = _instant(day, clock, zone)
            if start <= now:
                raise Mistake("error_past")
            if start > now + FARTHEST:
                raise Mistake("error_far")
            found.append(Interval(start, start + max(length, SHORTEST)))
        elif day or clock:
            raise Mistake("error_incomplete")
    if not found and not form.words.strip():
        raise Mistake("error_nothing")
    return list(dict.fromkeys(found))


def _instant(day: str, clock: str, zone: ZoneInfo) -> datetime:
    """A wall time as an instant in UTC; of one that comes twice, the first."""
    try:
        wall = datetime.combine(date.fromisoformat(day), time.fromisoformat(clock)).replace(
            second=0, microsecond=0
        )
        if wall.tzinfo is not None:
            raise Mistake("error_incomplete")
        at = wall.replace(tzinfo=zone).astimezone(UTC)
    except (ValueError, OverflowError):
        raise Mistake("error_incomplete") from None
    if at.astimezone(zone).replace(tzinfo=None) != wall:
        raise Mistake("error_gap")
    return at


def slot_word(slot: Interval) -> str:
    """An offered time as a form names it."""
    return f"{slot.start.timestamp():.0f}-{slot.end.timestamp():.0f}"
