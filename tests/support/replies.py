"""Mails as they come in: replies as people's programs write them, bounces, automatic replies, lists."""

from __future__ import annotations

from email.utils import format_datetime

from daemon.store.deliveries import Delivery
from tests.support.meetings import NOW

QUOTE = (
    "On Mon, 2 Mar 2026 at 09:00, Dana Reyes <dana@va.example> wrote:\r\n> Would 2 suit you?\r\n> stop\r\n"
)


def reply(
    text: str,
    *,
    to: str = "<rebookd.0@va.example>",
    sender: str = "Jo <jo@acme.example>",
    name: str = "1",
    kind: str = "text/plain; charset=utf-8",
    subject: str = "Re: Another time for Kickoff?",
    headers: str = "",
) -> bytes:
    """A reply to the message of that Message-ID; ``headers`` are further lines."""
    head = (
        f"Return-Path: <{sender.partition('<')[2].rstrip('>') or sender}>\r\n{headers}"
        f"From: {sender}\r\nTo: Dana Reyes <dana@va.example>\r\nSubject: {subject}\r\n"
        f"Date: {format_datetime(NOW)}\r\nMessage-ID: <{name}@mail.acme.example>\r\n"
    )
    if to:
        head += f"In-Reply-To: {to}\r\nReferences: <earlier@va.example> {to}\r\n"
    return f"{head}MIME-Version: 1.0\r\nContent-Type: {kind}\r\n\r\n{text}\r\n".encode()


def to_delivery(text: str, delivery: Delivery, **more: str) -> bytes:
    """A reply to what left."""
    return reply(text, to=delivery.message_id, **more)


def bounce(
    to: str,
    *,
    address: str = "jo@acme.example",
    status: str = "5.1.1",
    action: str = "failed",
    original: str = "",
    name: str = "bounce",
) -> bytes:
    """A report as Postfix writes it (RFC 3464)."""
    more = f"Original-Recipient: rfc822;{original}\r\n" if original else ""
    return (
        "Return-Path: <>\r\nFrom: MAILER-DAEMON@mx.va.example (Mail Delivery System)\r\n"
        "Subject: Undelivered Mail Returned to Sender\r\nTo: dana@va.example\r\n"
        "Auto-Submitted: auto-replied\r\n"
        f"Message-ID: <{name}@mx.va.example>\r\nMIME-Version: 1.0\r\n"
        'Content-Type: multipart/report; report-type=delivery-status; boundary="A.1/mx"\r\n\r\n'
        "--A.1/mx\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\nThis is the mail system.\r\n\r\n"
        "--A.1/mx\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.va.example\r\n\r\n"
        f"{more}Final-Recipient: rfc822; {address}\r\nAction: {action}\r\nStatus: {status}\r\n"
        "Diagnostic-Code: smtp; 550 5.1.1 <jo@acme.example>: Recipient address rejected: User unknown\r\n\r\n"
        "--A.1/mx\r\nContent-Type: message/rfc822\r\n\r\nFrom: dana@va.example\r\n"
        f"Message-ID: {to}\r\nSubject: Kickoff\r\n\r\nHello\r\n\r\n--A.1/mx--\r\n"
    ).encode()


EXCHANGE_BOUNCE = (
    "From: Microsoft Outlook <MicrosoftExchange329e71ec88ae4615bbc36ab6ce41109e@acme.example>\r\n"
    "To: dana@va.example\r\nSubject: Undeliverable: Kickoff\r\nAuto-Submitted: auto-replied\r\n"
    "Message-ID: <exchange@acme.example>\r\nIn-Reply-To: {to}\r\nReferences: {to}\r\n"
    "X-MS-Exchange-Message-Is-Ndr:\r\n"
    "MIME-Version: 1.0\r\n"
    'Content-Type: multipart/report; report-type=delivery-status; boundary="_000_"\r\n\r\n'
    "--_000_\r\nContent-Type: multipart/alternative; boundary=_001_\r\n\r\n--_001_\r\n"
    "Content-Type: text/html\r\n\r\n"
    "<p>Your message couldn't be delivered.</p>\r\n--_001_--\r\n"
    "--_000_\r\nContent-Type: message/delivery-status\r\n\r\n"
    "Reporting-MTA: dns;AM0PR01.prod.exchangelabs.com\r\n\r\n"
    "Final-Recipient: rfc822;jo@acme.example\r\nAction: failed\r\nStatus: 5.1.10\r\n"
    "Diagnostic-Code: smtp;550 5.1.10 RESOLVER.ADR.RecipientNotFound; not found\r\n\r\n"
    "--_000_\r\nContent-Type: message/rfc822\r\n\r\nMessage-ID: {to}\r\nSubject: Kickoff\r\n\r\n"
    "Hello\r\n--_000_--\r\n"
)

GMAIL_BOUNCE = (
    "Return-Path: <>\r\nFrom: Mail Delivery Subsystem <mailer-daemon@googlemail.com>\r\n"
    "To: dana@va.example\r\n"
    "Auto-Submitted: auto-replied\r\nSubject: Delivery Status Notification (Failure)\r\n"
    "References: {to}\r\nIn-Reply-To: {to}\r\nX-Failed-Recipients: jo@acme.example\r\n"
    "Message-ID: <gmail@mail.gmail.com>\r\n"
    'Content-Type: multipart/report; boundary="00b"; report-type=delivery-status\r\n\r\n'
    "--00b\r\nContent-Type: text/plain\r\n\r\n** Address not found **\r\n"
    "--00b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; googlemail.com\r\n\r\n"
    "Final-Recipient: rfc822; jo@acme.example\r\nAction: failed\r\nStatus: 5.1.1\r\n"
    "Diagnostic-Code: smtp; 550-5.1.1 The email account that you tried to reach does not exist.\r\n"
    "\r\n--00b--\r\n"
)

EXIM_BOUNCE = (
    "Return-path: <>\r\nX-Failed-Recipients: jo@acme.example\r\nAuto-Submitted: auto-replied\r\n"
    "From: Mail Delivery System <Mailer-Daemon@mx.va.example>\r\nTo: dana@va.example\r\n"
    "Subject: Mail delivery failed: returning message to sender\r\nMessage-Id: <exim@mx.va.example>\r\n\r\n"
    "A message that you sent could not be delivered.\r\n\r\n  jo@acme.example\r\n"
    "    Unrouteable address\r\n\r\n"
    "------ This is a copy of the message, including all the headers. ------\r\n\r\n"
    "From: dana@va.example\r\nMessage-ID: {to}\r\nSubject: Kickoff\r\n\r\nHello\r\n"
)

BOUNCES = {"exchange": EXCHANGE_BOUNCE, "gmail": GMAIL_BOUNCE, "exim": EXIM_BOUNCE}

AUTOMATIC = {
    "Outlook": "Auto-Submitted: auto-generated\r\nX-Auto-Response-Suppress: All\r\n",
    "Gmail vacation": "Auto-Submitted: auto-replied\r\nPrecedence: bulk\r\nX-Autoreply: yes\r\n",
    "a list": "List-Id: <team.acme.example>\r\nPrecedence: list\r\n",
    "newsletter": "List-Unsubscribe: <https://acme.example/u>\r\n",
    "old vacation": "Precedence: junk\r\n",
    "ticket system": "X-Autorespond: yes\r\n",
    "generated": "Auto-Submitted: auto-generated\r\n",
}
"""The headers of mails that programs write."""


def calendar_reply(
    uid: str,
    *,
    partstat: str = "ACCEPTED",
    method: str = "REPLY",
    sender: str = "jo@acme.example",
    attendee: str = "jo@acme.example",
    sequence: int = 0,
    start: str = "20260304T010000Z",
    end: str = "20260304T013000Z",
    says: str = "",
    to: str = "",
    name: str = "ical",
    headers: str = "",
) -> bytes:
    """An answer as a calendar program mails it (RFC 6047); ``says`` is what the mail calls its method."""
    calendar = (
        f"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//x//y//EN\r\nMETHOD:{method}\r\nBEGIN:VEVENT\r\n"
        f"UID:{uid}\r\n"
        f"DTSTAMP:20260302T100000Z\r\nDTSTART:{start}\r\nDTEND:{end}\r\nSEQUENCE:{sequence}\r\n"
        "ORGANIZER:mailto:dana@va.example\r\n"
        f"ATTENDEE;PARTSTAT={partstat}:MAILTO:{attendee}\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
    )
    body = (
        "--b\r\nContent-Type: text/plain\r\n\r\nJo has answered.\r\n"
        f"--b\r\nContent-Type: text/calendar; charset=utf-8; method={says or method}\r\n\r\n{calendar}--b--"
    )
    return reply(
        body, to=to, sender=sender, name=name, kind="multipart/alternative; boundary=b", headers=headers
    )
