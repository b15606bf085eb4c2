"""What matters of a mail that came in, read from its bytes. Never raises, whatever they are."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import getaddresses, parsedate_to_datetime

from daemon.mail.headers import PLUS
from daemon.replies.mail_parts import Mime, header, headers, held_in, leaves, parsed, text_of
from daemon.replies.plain_text import newest, plain
from rules.model import Address

MOST_IDS = 40
"""Message-IDs of a conversation that are looked at, the latest first."""

LONGEST_CALENDAR = 256 * 1024

_ID = re.compile(r"<[!-;=?-~]{1,400}>")
_MACHINES = re.compile(
    r"(mailer-daemon|postmaster|no-?reply|do-?not-?reply|bounces?|nobody)([+._-][^@]*)?@", re.IGNORECASE
)
_AUTOMATIC_SUBJECT = re.compile(
    r"\s*(automatic reply|auto(matic)?[- ]?(reply|response|antwort)|out of (the )?office|autoreply"
    r"|resposta autom[aá]tica|aus[eê]ncia (tempor|autom)|fora do escrit[oó]rio|undeliver(able|ed)"
    r"|delivery status notification|mail delivery (failed|failure|subsystem)|returned mail)\b",
    re.IGNORECASE,
)
_LISTS = ("List-Id", "List-Post", "List-Help", "List-Subscribe", "List-Unsubscribe", "Mailing-List")
_RESPONDERS = (
    "X-Autoreply",
    "X-Autorespond",
    "X-AutoReply-From",
    "X-Auto-Response-Suppress",
    "X-Vacation",
    "X-Mail-Autoreply",
)
_WENT_TO = ("To", "Cc", "Delivered-To", "X-Original-To", "Envelope-To")
_PLUS = re.compile(rf"\+{PLUS}([0-9a-f]{{40}})@([a-z0-9.-]{{1,200}})$")
_BULK = frozenset({"bulk", "junk", "list", "auto_reply"})
_COMMENT = re.compile(r"\([^()]*\)")
_VERDICT = re.compile(r"\s*(dmarc|dkim|spf)\s*=\s*([a-z]+)", re.IGNORECASE)
_DELAYED = re.compile(r"warning|delay", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounce:
    """A server says that a mail did not arrive (RFC 3464): whose address, why, and whether for good."""

    address: Address
    status: str
    why: str

    @property
    def for_good(self) -> bool:
        """Whether it is of type 5.x.x."""
        return self.status.startswith("5.")


@dataclass(frozen=True, slots=True, kw_only=True)
class CalendarPart:
    """A calendar part: its method as the mail says it, and its text."""

    method: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LetterIn:
    """One mail. ``follows`` are the Message-IDs that it answers, the nearest first.

    ``automatic`` says why it was not written by a person, empty where it may be; ``generated`` that it says
    no more than that a program made it, perhaps at a person's click. ``forged`` is the receiving server's
    word that it is not from whom it says. ``text`` is what they wrote themselves; ``whole`` is False where
    not all of the mail was read. ``came_at`` is when it was written or arrived, whichever says the earlier.
    """

    message_id: str = ""
    sender: Address | None = None
    subject: str = ""
    follows: tuple[str, ...] = ()
    automatic: str = ""
    generated: bool = False
    forged: bool = False
    text: str = ""
    whole: bool = True
    came_at: datetime | None = None
    calendars: tuple[CalendarPart, ...] = ()
    bounces: tuple[Bounce, ...] = ()


def read_letter(raw: bytes, *, whole: bool = True) -> LetterIn:
    """The mail of these bytes."""
    mail, complete = parsed(raw)
    parts = list(leaves(mail))
    report = mail.get_content_type() == "multipart/report" or bool(header(mail, "X-Failed-Recipients"))
    bounces, returned = _bounces(mail, parts) if report else ((), ())
    automatic, generated = _automatic(mail, report=report)
    return LetterIn(
        message_id=next(iter(_ids(header(mail, "Message-ID"))), ""),
        sender=_sender(mail),
        subject=header(mail, "Subject")[:500],
        follows=_follows(mail, returned),
        automatic=automatic,
        generated=generated,
        forged=_is_forged(mail),
        text=_text(parts),
        whole=whole and complete,
        came_at=_came_at(mail),
        calendars=_calendars(parts),
        bounces=bounces,
    )


def _came_at(mail: Mime) -> datetime | None:
    """By its own date, and by the server that received it last; None where neither says."""
    said = [header(mail, "Date"), header(mail, "Received").rpartition(";")[2]]
    found = []
    for one in said:
        with suppress(ValueError, IndexError, TypeError, OverflowError):
            at = parsedate_to_datetime(one.strip())
            found.append((at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC))
    return min(found, default=None)


def _sender(mail: Mime) -> Address | None:
    """The one address it is from; None where it names none or several."""
    values = list(headers(mail, "From"))
    found = {address.strip().lower() for _, address in _addresses(values) if "@" in address}
    if len(values) != 1 or len(found) != 1:
        return None
    return Address(found.pop())


def _addresses(values: list[str]) -> list[tuple[str, str]]:
    try:
        return getaddresses([value[:2000] for value in values[:10]])
    except (ValueError, IndexError, TypeError):
        return []


def _follows(mail: Mime, returned: tuple[str, ...]) -> tuple[str, ...]:
    nearest = _ids(header(mail, "In-Reply-To"))
    others = _ids(" ".join(headers(mail, "References")))[::-1]
    return tuple(dict.fromkeys([*returned, *nearest, *_tagged(mail), *others]))[:MOST_IDS]


def _tagged(mail: Mime) -> list[str]:
    """The Message-IDs that the plus-addresses it went to name."""
    values = [value for name in _WENT_TO for value in headers(mail, name)]
    found = (_PLUS.search(address.strip().lower()) for _, address in _addresses(values))
    return [f"<rebookd.{one[1]}@{one[2]}>" for one in found if one]


def _ids(value: str) -> list[str]:
    return _ID.findall(value.replace("> <", "><"))


def _automatic(mail: Mime, *, report: bool) -> tuple[str, bool]:
    """Why it is no person's mail; and whether it says no more than that a program made it."""
    said = header(mail, "Auto-Submitted").partition(";")[0].strip().lower()
    reasons = [
        "it is a report" if report else "",
        "it is from a list" if any(name in mail for name in _LISTS) else "",
        "it is an automatic reply" if any(name in mail for name in _RESPONDERS) else "",
        "it is bulk mail" if header(mail, "Precedence").strip().lower() in _BULK else "",
        "it has no sender to answer to" if header(mail, "Return-Path").replace(" ", "") == "<>" else "",
        "it is from a machine" if _MACHINES.match(_sender(mail) or "") else "",
        "it is an automatic reply" if _AUTOMATIC_SUBJECT.match(header(mail, "Subject")) else "",
    ]
    reason = next((one for one in reasons if one), "")
    if said and said != "no":
        generated = said == "auto-generated" and not reason
        return reason or "it was sent automatically", generated
    return reason, False


def _is_forged(mail: Mime) -> bool:
    """Whether the topmost verdict, which the receiving server wrote if it writes any, is a failed DMARC.

    Anybody can write such a header below it, or above where the server writes none: therefore nothing is
    ever believed because of one, and a failure is only ever a reason not to act.
    """
    verdict = header(mail, "Authentication-Results")
    for _ in range(5):
        verdict = _COMMENT.sub(" ", verdict)
    found = [_VERDICT.match(part) for part in verdict.split(";")]
    return any(one and one[1].lower() == "dmarc" and one[2].lower() == "fail" for one in found)


def _text(parts: list[Mime]) -> str:
    """What they wrote: of the first plain part, else of the first HTML part."""
    for kind, read in (("text/plain", str), ("text/html", plain)):
        for part in parts:
            if part.get_content_type() == kind and not _is_attached(part):
                found = newest(read(text_of(part)))
                if found:
                    return found
    return ""


def _is_attached(part: Mime) -> bool:
    return header(part, "Content-Disposition").lower().startswith("attachment") or bool(
        part.get_param("name", "")
    )


def _calendars(parts: list[Mime]) -> tuple[CalendarPart, ...]:
    found: list[CalendarPart] = []
    for part in parts:
        if part.get_content_type() == "text/calendar" and len(found) < 5:
            method = part.get_param("method", "")
            named = method.upper() if isinstance(method, str) else ""
            found.append(CalendarPart(method=named, text=text_of(part, LONGEST_CALENDAR)))
    return tuple(found)


def _bounces(mail: Mime, parts: list[Mime]) -> tuple[tuple[Bounce, ...], tuple[str, ...]]:
    """What a report says of each address, and the Message-IDs of the mail it is about."""
    found: list[Bounce] = []
    returned: list[str] = []
    for part in parts:
        kind = part.get_content_type()
        if kind == "message/delivery-status":
            found += _of_status(part)
        elif kind in {"message/rfc822", "text/rfc822-headers", "message/rfc822-headers"}:
            returned += _ids(header(_inner(part), "Message-ID"))
    if not found and not _DELAYED.search(header(mail, "Subject")):
        # Older Exim says it in a header alone.
        named = header(mail, "X-Failed-Recipients").split(",")[:20]
        found = [
            Bounce(address=Address(one.strip().lower()), status="5.0.0", why="the mail server gave up")
            for one in named
            if "@" in one
        ]
    if not returned:
        returned = [one for part in parts for one in _ids_quoted(part)]
    return tuple(found[:20]), tuple(returned[:5])


def _of_status(part: Mime) -> list[Bounce]:
    """One for each recipient whose delivery failed."""
    found = []
    for block in held_in(part)[:50]:
        if header(block, "Action").strip().lower() != "failed":
            continue
        named = header(block, "Original-Recipient") or header(block, "Final-Recipient")
        address = named.rpartition(";")[2].strip().strip("<>").lower()
        status = re.match(r"\s*([245]\.\d{1,3}\.\d{1,3})", header(block, "Status"))
        why = header(block, "Diagnostic-Code").partition(";")[2].strip()[:300]
        if "@" in address:
            said = status[1] if status else ""
            found.append(Bounce(address=Address(address), status=said, why=why or said))
    return found


def _inner(part: Mime) -> Mime:
    """The mail that a part holds, or its headers."""
    for inner in held_in(part):
        return inner
    return parsed(text_of(part).encode("utf-8", "replace"))[0]


def _ids_quoted(part: Mime) -> list[str]:
    """Message-IDs in the text of a report that returns the mail within it."""
    if part.get_content_maintype() != "text":
        return []
    lines = text_of(part, 16 * 1024).split("\n")
    return [one for line in lines if line.lower().startswith("message-id:") for one in _ids(line)]


__all__ = ["Bounce", "CalendarPart", "LetterIn", "read_letter"]
