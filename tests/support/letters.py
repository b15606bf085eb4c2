"""Letters to compose, and what a mail program makes of the mails."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any
from zoneinfo import ZoneInfo

from daemon.mail.letter import Letter
from daemon.mail.message import Mail
from rules.hours import WorkingHours
from rules.model import Address, Attendee, CalendarRef, Interval, Occurrence, OccurrenceKey, Owner

DANA = Owner(
    name="Dana Reyes", addresses=(Address("dana@va.example"),), hours=WorkingHours(zone="Europe/Lisbon")
)
DAY = timedelta(days=1)
JO = Address("jo@acme.example")
LISBON = ZoneInfo("Europe/Lisbon")
REQUEST = ("REQUEST", "BEGIN:VCALENDAR\r\nMETHOD:REQUEST\r\nEND:VCALENDAR\r\n")

KINDS: dict[str, dict[str, Any]] = {
    "confirm": {"do": "confirm", "slots": (), "calendar_part": REQUEST},
    "another-time": {},
    "something-came-up": {"detector": "conflict"},
    "sorry-we-missed-you": {"detector": "missed"},
    "missed-each-other": {"detector": "missed", "tone": "presumed"},
    "sorry-i-missed-it": {"detector": "missed", "tone": "by_me"},
    "you-cannot-make-it": {"detector": "declined"},
    "it-was-cancelled": {"detector": "cancelled"},
    "not-available": {"detector": "away"},
    "it-has-been-a-while": {"detector": "silent"},
    "our-last-meeting": {"detector": "ending"},
    "check-in": {"do": "check_in", "detector": "unaccounted", "to": DANA.addresses[0], "slots": ()},
    "notify": {"do": "notify", "detector": "conflict", "to": DANA.addresses[0], "slots": ()},
}
"""What makes a letter of each built-in kind."""

OTHERS = [name for name in KINDS if name not in {"check-in", "notify"}]
"""The kinds that others read."""


def utc(month: int, day: int, hour: int, minute: int = 0) -> datetime:
    """An instant of 2026."""
    return datetime(2026, month, day, hour, minute, tzinfo=UTC)


def occurrence(**more: Any) -> Occurrence:
    """Dana's kickoff review with Jo on 3 March 2026, 15:00 in Lisbon."""
    plain: dict[str, Any] = {
        "key": OccurrenceKey(calendar=CalendarRef(account="acme", id="c"), uid="kickoff"),
        "start": datetime(2026, 3, 3, 15, tzinfo=LISBON),
        "end": datetime(2026, 3, 3, 15, 30, tzinfo=LISBON),
        "title": "Kickoff review",
        "organizer": DANA.addresses[0],
        "attendees": (
            Attendee(address=JO, name="Jo"),
            Attendee(address=Address("sam@acme.example"), name="Sam"),
        ),
    }
    return Occurrence(**plain | more)


def letter(**more: Any) -> Letter:
    """A letter that offers Jo, in New York, three other times."""
    plain: dict[str, Any] = {
        "do": "reschedule",
        "detector": "unconfirmed",
        "owner": DANA,
        "sender": "Dana Reyes <dana@va.example>",
        "to": JO,
        "to_name": "Jo",
        "zone": "America/New_York",
        "occurrence": occurrence(),
        "people": (JO,),
        "slots": tuple(
            Interval(utc(3, day, hour), utc(3, day, hour, 30)) for day, hour in ((4, 15), (5, 16), (9, 14))
        ),
        "reason": "jo@acme.example has not said yes to this time",
        "intent_key": "confirm-acme\x1fask\x1fkickoff\x1f20260303T150000Z\x1fjo@acme.example",
        "now": utc(3, 1, 9),
        "rule": "confirm-acme",
        "step": "ask",
    }
    return Letter(**plain | more)


def together(**more: Any) -> Letter:
    """A letter about three meetings: the second has no title, the third no free times."""
    kickoff = letter(**more)
    moved = {"slots": tuple(Interval(one.start + DAY, one.end + DAY) for one in kickoff.slots[:2])}
    others = (
        letter(**more | moved, occurrence=occurrence(title=""), intent_key="second"),
        letter(**more | {"slots": ()}, occurrence=occurrence(title="Retro"), intent_key="third"),
    )
    return replace(kickoff, companions=others)


def opened(mail: Mail) -> EmailMessage:
    """The mail as a mail program reads it."""
    message = message_from_bytes(mail.raw, policy=policy.default)
    assert isinstance(message, EmailMessage)
    for part in message.walk():
        assert not part.defects
    return message


def html(mail: Mail) -> str:
    """Its HTML part."""
    part = opened(mail).get_body(("html",))
    assert part is not None
    return str(part.get_content()).replace("\r\n", "\n")


def everything(mail: Mail) -> str:
    """Every word a recipient could find in it: decoded headers and parts."""
    message = opened(mail)
    parts = [str(part.get_content()) for part in message.walk() if not part.is_multipart()]
    return "\n".join([*map(str, message.values()), *parts])
