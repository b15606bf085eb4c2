"""A mail as bytes: headers written and checked by hand, parts by the standard library.

The headers are not left to :mod:`email.message`, since Python before 3.11.10 turns an encoded word
that hides a line break into a header of its own.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from email import policy
from email.header import Header
from email.headerregistry import UniqueSingleAddressHeader
from email.message import EmailMessage
from email.parser import BytesHeaderParser
from typing import cast

from daemon.mail.foreign_text import clean

_POLICY = policy.SMTP.clone(cte_type="7bit")
_LONGEST_LINE = 998  # RFC 5322 section 2.1.1
_ADDRESS = re.compile(
    r"(?=[^@]{1,64}@)[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
    r"@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)*[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
)


class UnsafeMail(Exception):
    """A mail cannot be made as asked; one sentence for the owner."""


@dataclass(frozen=True, slots=True)
class Mailbox:
    """A display name, perhaps empty, and an address fit for a header (RFC 5322 section 3.4)."""

    name: str
    address: str

    @property
    def domain(self) -> str:
        """What stands after the ``@``."""
        return self.address.rpartition("@")[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """The parts of a mail, each a way to read the same; ``calendar`` is (method, iCalendar text)."""

    text: str
    html: str
    calendar: tuple[str, str] | None = None


def mailbox(address: str, name: str = "") -> Mailbox:
    """An address that can be written to, and a display name made safe.

    A domain outside ASCII is written as RFC 5891 says. Raises :class:`UnsafeMail` for anything but
    one plain ``local@domain``.
    """
    local, at, domain = address.strip().rpartition("@")
    try:
        plain = f"{local}{at}{domain if domain.isascii() else domain.encode('idna').decode('ascii')}"
    except UnicodeError:
        plain = ""
    if len(plain) > 254 or "=?" in plain or not _ADDRESS.fullmatch(plain):
        raise UnsafeMail(f"'{clean(address)}' is not an address a mail can be sent to; correct it")
    shown = header_text(name)
    return Mailbox("" if "@" in shown else shown, plain)


def parse_mailbox(text: str) -> Mailbox:
    """``Dana Reyes <dana@va.example>`` or a bare address. Raises :class:`UnsafeMail`."""
    named = re.fullmatch(r"\s*(?P<name>[^<>]*?)\s*<(?P<address>[^<>]*)>\s*", text)
    if named is None:
        return mailbox(text)
    return mailbox(named["address"], named["name"].strip('"'))


def header_text(text: str) -> str:
    """Foreign text fit for a header: one clean line in which no encoded word can form (RFC 2047)."""
    return clean(re.sub(r"=(?=\?)", "= ", clean(text)))


def address_line(name: str, box: Mailbox) -> str:
    """The value of a From or To header."""
    if not box.name:
        return box.address
    if box.name.isascii():
        quoted = box.name.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{quoted}" <{box.address}>'
    return f"{text_line(name, box.name)}\r\n <{box.address}>"


def text_line(name: str, text: str) -> str:
    """The value of a header of free text, folded and encoded where needed (RFC 2047)."""
    charset = "us-ascii" if text.isascii() else "utf-8"
    return Header(text, charset, maxlinelen=76, header_name=name).encode(linesep="\r\n")


def write(headers: Sequence[tuple[str, str]], content: Content, boundary: str) -> bytes:
    """The complete message, ready for SMTP: 7-bit, CRLF. ``boundary`` is any word of letters and digits.

    Raises :class:`UnsafeMail` when what came out is not exactly what was asked for.
    """
    body = EmailMessage(policy=_POLICY)
    body.set_content(content.text, cte="quoted-printable")
    body.add_alternative(content.html, subtype="html", cte="quoted-printable")
    if content.calendar is not None:
        method, calendar = content.calendar
        if f"METHOD:{method}" not in calendar.upper().splitlines():  # RFC 6047 section 2.4
            raise UnsafeMail(f"the calendar part does not say METHOD:{method}, so this mail was not made")
        body.add_alternative(calendar, subtype="calendar", cte="base64", params={"method": method})
    # "=_" can stand in neither quoted-printable nor base64, so no part can hold the boundary.
    body.set_boundary(f"=_{boundary}")
    written = "".join(f"{name}: {value}\r\n" for name, value in headers)
    raw = written.encode("ascii") + body.as_bytes()
    _assert_exactly(raw, [name for name, _ in headers] + body.keys())
    return raw


def _assert_exactly(raw: bytes, names: list[str]) -> None:
    """Read the message back as a mail program would and compare."""
    header, _, _ = raw.partition(b"\r\n\r\n")
    parsed = BytesHeaderParser(policy=policy.default).parsebytes(header + b"\r\n\r\n")
    sound = (
        sorted(parsed.keys()) == sorted(names)
        and len(cast("UniqueSingleAddressHeader", parsed["To"]).addresses) == 1
        and len(cast("UniqueSingleAddressHeader", parsed["From"]).addresses) == 1
        and raw.isascii()
        and b"\0" not in raw
        and raw.count(b"\r\n") == raw.count(b"\n") == raw.count(b"\r")
        and max(map(len, raw.split(b"\r\n"))) <= _LONGEST_LINE
    )
    if not sound:
        raise UnsafeMail("a name or title would have broken this mail's headers, so it was not made")
