"""A mail as its reader sees it, for a terminal."""

from __future__ import annotations

import email
import email.policy

from daemon.config.problems import printable


def readable(raw: bytes) -> str:
    """A message's headers that matter and its plain part."""
    message = email.message_from_bytes(raw, policy=email.policy.default)
    headers = [
        f"{name}: {printable(str(message[name]))}"
        for name in ("From", "To", "Subject", "Date")
        if message[name]
    ]
    body = message.get_body(("plain",))
    text = body.get_content() if body is not None else ""
    return "\n".join([*headers, "", text.rstrip()])
