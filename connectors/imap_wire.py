"""One mailbox by IMAP (RFC 3501), guarded: what a server says can cost us neither time, memory nor trust.

Every call signs in anew, has one deadline and reads a bounded number of bytes.
"""

from __future__ import annotations

import imaplib
import re
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Literal

from imap_tools import BaseMailBox, ImapToolsError
from imap_tools.errors import MailboxLoginError

from connectors.base import NeedsLogin, Retryable, Unreachable
from connectors.deadline import guard, guard_tls, over, remaining, within
from connectors.reaching import reach

Security = Literal["tls", "starttls", "none"]

CALL_SECONDS = 60.0
"""What one call may take, from connecting to the last answer."""

CONNECT_SECONDS = 15.0
MAX_BYTES = 4 * 1024 * 1024
"""What a server may say in one call that fetches no messages."""

FOR_NOW = re.compile(r"\[(UNAVAILABLE|INUSE|LIMIT|SERVERBUG|OVERQUOTA|CONTACTADMIN)\b", re.IGNORECASE)
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f]+")
_ODD_ANSWERS = (ValueError, LookupError, AttributeError, TypeError)
"""What the libraries stumble into when an answer is not what the protocol says."""


class ImapServer:
    """Where a mailbox lies and how to sign in to it.

    ``password`` is asked for at every sign-in. ``context`` replaces the system's trust. ``most_bytes`` is
    what the server may say in one call. For one thread at a time.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        security: Security = "tls",
        username: str,
        password: Callable[[], str],
        context: ssl.SSLContext | None = None,
        call_seconds: float = CALL_SECONDS,
        most_bytes: int = MAX_BYTES,
    ) -> None:
        self.host = host
        self._port = port
        self._security = security
        self._username = username
        self._password = password
        self._context = context
        self._call_seconds = call_seconds
        self._most_bytes = most_bytes

    @contextmanager
    def signed_in(self) -> Iterator[BaseMailBox]:
        """A mailbox for one call; whatever goes wrong becomes an error that names the next move."""
        with within(self._call_seconds):
            try:
                mailbox = _Mailbox(self.host, self._port, self._security, self._context, self._most_bytes)
            except (OSError, imaplib.IMAP4.error, ImapToolsError, *_ODD_ANSWERS) as error:
                raise Unreachable(f"The mail server {self.host} {self._why(error)}.") from error
            try:
                self._sign_in(mailbox)
                yield mailbox
            except (OSError, imaplib.IMAP4.error, ImapToolsError, *_ODD_ANSWERS) as error:
                raise Retryable(f"The mail server {self.host} {self._why(error)}.") from error
            finally:
                with suppress(OSError, imaplib.IMAP4.error, ImapToolsError, *_ODD_ANSWERS):
                    mailbox.logout()
                with suppress(OSError):
                    mailbox.client.shutdown()

    def _sign_in(self, mailbox: BaseMailBox) -> None:
        password = self._password()
        plain = f"{self._username}{password}".isascii() and f"{self._username}{password}".isprintable()
        try:
            if plain and "AUTH=PLAIN" not in mailbox.client.capabilities:
                mailbox.login(self._username, password, None)
            else:
                mailbox.login_utf8(self._username, password, None)
        except imaplib.IMAP4.abort:
            raise
        except (imaplib.IMAP4.error, MailboxLoginError) as error:
            # What the server says is not repeated: it may quote what it was sent.
            if FOR_NOW.search(str(error)):
                raise Unreachable(f"The mail server {self.host} cannot sign us in now.") from None
            raise NeedsLogin(
                f"The mail server {self.host} does not accept the user name {self._username} with its "
                "password; look at mail.imap in the configuration."
            ) from None

    def _why(self, error: Exception) -> str:
        if isinstance(error, ssl.SSLCertVerificationError):
            return f"has no certificate that is trusted ({error.verify_message})"
        if isinstance(error, TimeoutError) or over():
            return "took too long"
        if isinstance(error, socket.gaierror):
            return "could not be found"
        if isinstance(error, ssl.SSLError):
            return "does not speak TLS as we do; look at mail.imap.security"
        if isinstance(error, OSError):
            return f"could not be reached ({(error.strerror or 'no connection').lower()})"
        if isinstance(error, _NoTlsError):
            return f"does not offer STARTTLS on port {self._port}; set security: tls (usually port 993)"
        if isinstance(error, imaplib.IMAP4.abort):
            return "broke off or said more than we read"
        return "answered in no way that IMAP knows"


class _NoTlsError(imaplib.IMAP4.error):
    """STARTTLS is not offered."""


class _Client(imaplib.IMAP4):
    """A connection whose waits end at the call's deadline, and whose answers have a largest size."""

    def __init__(self, host: str, port: int, context: ssl.SSLContext | None, most_bytes: int) -> None:
        self._context = context
        self._left = most_bytes
        super().__init__(host, port)

    def _create_socket(self, _timeout: float | None) -> socket.socket:
        plain = guard(reach(self.host, self.port, min(remaining(), CONNECT_SECONDS)))
        return self._context.wrap_socket(plain, server_hostname=self.host) if self._context else plain

    def read(self, size: int) -> bytes:
        """Read a literal, unless it is larger than what is left."""
        self._spend(size)
        return super().read(size)

    def readline(self) -> bytes:
        """Read a line."""
        line = super().readline()
        self._spend(len(line))
        return line

    def _spend(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise self.abort("too much")


class _Mailbox(BaseMailBox):
    """imap-tools over such a connection."""

    def __init__(
        self, host: str, port: int, security: Security, context: ssl.SSLContext | None, most_bytes: int
    ) -> None:
        self._where = (host, port)
        self._security = security
        self._context = context
        self._most_bytes = most_bytes
        super().__init__()

    def _get_mailbox_client(self) -> imaplib.IMAP4:
        if self._security == "none":
            return _Client(*self._where, None, self._most_bytes)
        context = guard_tls(self._context or ssl.create_default_context())
        if self._security == "tls":
            return _Client(*self._where, context, self._most_bytes)
        client = _Client(*self._where, None, self._most_bytes)
        try:
            _start_tls(client, context)
        except BaseException:
            with suppress(OSError):
                client.shutdown()
            raise
        return client


def _start_tls(client: _Client, context: ssl.SSLContext) -> None:
    if "STARTTLS" not in client.capabilities:
        raise _NoTlsError
    client.starttls(context)


def said(result: tuple[object, ...]) -> str:
    """The server's own words on one line."""
    words = result[1]
    parts = (
        [each.decode("utf-8", "replace") for each in words if isinstance(each, bytes)]
        if isinstance(words, list)
        else []
    )
    return _CONTROLS.sub(" ", " ".join(parts)).strip()[:200]


__all__ = ["CALL_SECONDS", "FOR_NOW", "ImapServer", "Security", "said"]
