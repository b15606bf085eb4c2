"""The bytes of a mail by parts, whatever a stranger put into it: bounded, and never an error.

The standard library takes time for a mail of many lines or of parts within parts, and trusts what a mail says
of its letters; here both have limits.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator
from email import message_from_bytes, policy
from email.errors import HeaderParseError, MessageError
from email.header import decode_header
from email.message import Message
from typing import TypeAlias

LARGEST = 8 * 1024 * 1024
"""Bytes of a mail that are looked at."""

MOST_LINES = 150_000
MOST_MULTIPARTS = 30
"""Parts of a mail that may hold others; of a mail with more, only the headers are read."""

MOST_STATUSES = 2000
"""Empty lines in a report, of whose parts each may be about another recipient."""

MOST_PARTS = 200
MOST_HEADERS = 128 * 1024
"""Bytes of headers that are looked at."""

LONGEST_HEADER = 4000
LONGEST_TEXT = 64 * 1024
"""Characters of one part that are looked at."""

_MULTIPART = re.compile(rb"multipart/|message/", re.IGNORECASE)
_STATUS = re.compile(rb"message/delivery-status", re.IGNORECASE)
_BLANK = re.compile(rb"\n\r?\n")
_CHARSET = re.compile(
    r"utf-?8|(us-)?ascii|iso-?8859-?\d{1,2}|latin-?\d|(windows|cp)-?125\d|macintosh|koi8-[ru]|utf-?16(-?[lb]e)?"
    r"|gb2312|gbk|gb18030|big5|shift_jis|euc-(jp|kr)|iso-2022-jp|ks_c_5601-1987"
)
"""Character sets that are decoded: not those whose decoding is slow or no decoding at all."""

Mime: TypeAlias = "Message[str, str]"


def parsed(raw: bytes) -> tuple[Mime, bool]:
    """The mail, and whether all of it was read."""
    whole = len(raw) <= LARGEST and raw.count(b"\n") <= MOST_LINES
    whole = whole and len(_MULTIPART.findall(raw)) <= MOST_MULTIPARTS
    whole = whole and not (_STATUS.search(raw) and len(_BLANK.findall(raw)) > MOST_STATUSES)
    head, parted, body = _halves(raw)
    if len(head) > MOST_HEADERS:
        head, whole = head[:MOST_HEADERS].rpartition(b"\n")[0], False
    try:
        return message_from_bytes(head + parted + (body if whole else b""), policy=policy.compat32), whole
    except (MessageError, ValueError, LookupError, AttributeError, RecursionError):
        return Message(policy=policy.compat32), False


def _halves(raw: bytes) -> tuple[bytes, bytes, bytes]:
    found = re.search(rb"\r?\n\r?\n", raw)
    if found is None:
        return raw, b"\n\n", b""
    return raw[: found.start()], found[0], raw[found.end() :]


def header(mail: Mime, name: str) -> str:
    """The first header of that name on one line, decoded (RFC 2047); empty where there is none."""
    return next(headers(mail, name), "")


def headers(mail: Mime, name: str) -> Iterator[str]:
    """Every header of that name, in order."""
    wanted = name.lower()
    for found, value in mail.raw_items():
        if found.lower() == wanted:
            yield decoded(str(value))


def decoded(value: str) -> str:
    """A header's value on one line, with its encoded words decoded."""
    # Letters that nobody encoded stand here as Python's surrogates for their bytes.
    told = value[:LONGEST_HEADER].encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    line = " ".join(told.split())
    if "=?" not in line:
        return _plain(line)
    try:
        parts = decode_header(line)
    except (HeaderParseError, binascii.Error, ValueError):
        return _plain(line)
    text = "".join(
        _letters(part, charset or "ascii") if isinstance(part, bytes) else part for part, charset in parts
    )
    return _plain(" ".join(text.split()))


def leaves(mail: Mime) -> Iterator[Mime]:
    """Every part that holds no others, in order; what hangs on a mail as a mail of its own stays whole."""
    waiting = [mail]
    seen = 0
    while waiting and seen < MOST_PARTS:
        part = waiting.pop()
        seen += 1
        if part.get_content_maintype() == "multipart" and part.is_multipart():
            waiting += reversed(held_in(part))
        else:
            yield part


def held_in(part: Mime) -> list[Mime]:
    """The parts that a part holds."""
    # A part that holds none would be decoded as it says of itself.
    inner = part.get_payload() if part.is_multipart() else None
    return [one for one in inner if isinstance(one, Message)] if isinstance(inner, list) else []


def text_of(part: Mime, longest: int = LONGEST_TEXT) -> str:
    """What a part says, whatever it says of itself."""
    try:
        payload = part.get_payload(decode=True)
        charset = part.get_param("charset", "utf-8")
    except (ValueError, LookupError, AttributeError, TypeError):
        return ""
    if not isinstance(payload, bytes):
        return ""
    name = charset if isinstance(charset, str) else "utf-8"
    return _letters(payload[: longest * 4], name)[:longest].replace("\r\n", "\n").replace("\r", "\n")


def _letters(data: bytes, charset: str) -> str:
    name = charset.strip().strip("\"'").lower()
    if _CHARSET.fullmatch(name):
        try:
            return data.decode(name)
        except (UnicodeError, LookupError):
            pass
    try:
        return data.decode("utf-8")
    except UnicodeError:
        return data.decode("cp1252", "replace")


def _plain(line: str) -> str:
    """Without what no terminal and no mail can show."""
    return "".join(one if one.isprintable() else " " for one in line)
