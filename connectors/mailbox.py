"""What mailboxes that are reached through their provider's own API have in common."""

from __future__ import annotations

import re
from collections.abc import Callable
from email import message_from_bytes, policy
from email.utils import getaddresses
from typing import TypeVar

from connectors.base import ConnectorError, NeedsLogin, NotSupported, Rejected, Retryable

Answer = TypeVar("Answer")

MARK = "X-Rebookd-Id"
"""The header that names a draft where its mail program gives it a Message-ID of its own."""

LOOK_BACK = 25
"""How many of the newest sent messages are looked at for one that was a draft."""

_HEADER_NAME = re.compile(r"[!-9;-~]{1,200}")
_MESSAGE_ID = re.compile(r"<[^\s<>\"']{1,500}>")


def refuse_others(message: bytes, recipients: object) -> None:
    """Raise Rejected where the provider, which reads them in the message, would send it to other people."""
    parsed = message_from_bytes(message, policy=policy.compat32)
    values = [str(value) for name in ("To", "Cc", "Bcc") for value in parsed.get_all(name, [])]
    told = {address.lower() for _, address in getaddresses(values) if address}
    if told != recipients:
        raise Rejected("The message names other recipients than it is meant for, so it was not sent.")


def searchable(message_id: str) -> str:
    """A Message-ID that may stand in a search, without its brackets. Raises Rejected."""
    if not _MESSAGE_ID.fullmatch(message_id):
        raise Rejected("This is no Message-ID that can be searched for.")
    return message_id[1:-1]


def headers_alone(told: object) -> bytes:
    """A message of which only its headers were told, each with ``name`` and ``value``."""
    rows = [one for one in told if isinstance(one, dict)] if isinstance(told, list) else []
    lines = [
        " ".join(f"{one.get('name')}: {one.get('value')}".split())
        for one in rows
        if _HEADER_NAME.fullmatch(str(one.get("name")))
    ]
    return "".join(f"{line}\r\n" for line in [*lines, ""]).encode("utf-8", "replace")


def asked(ask: Callable[[], Answer]) -> Answer:
    """An answer. Raises NeedsLogin, Rejected, and Retryable for anything else."""
    try:
        return ask()
    except (NeedsLogin, Rejected, Retryable):
        raise
    except NotSupported as error:
        raise Rejected(str(error)) from error
    except ConnectorError as error:
        raise Retryable(str(error)) from error


__all__ = ["LOOK_BACK", "MARK", "asked", "headers_alone", "refuse_others", "searchable"]
