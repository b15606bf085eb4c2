"""Drafts in the owner's own mailbox, by IMAP (RFC 3501, 6154).

Every call signs in anew, has one deadline and reads a bounded number of bytes. Only messages of ours are
touched, found by their Message-ID or their ``X-Rebookd-Id``: a mail program may give a draft another
Message-ID when it is edited or sent.
"""

from __future__ import annotations

import imaplib
import re
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Literal

from imap_tools import BaseMailBox, ImapToolsError, MailMessageFlags
from imap_tools.errors import MailboxAppendError, MailboxLoginError
from imap_tools.folder import FolderInfo

from connectors.base import DraftState, NeedsLogin, Rejected, Retryable, Unreachable
from connectors.deadline import guard, guard_tls, over, remaining, within

Security = Literal["tls", "starttls", "none"]

CALL_SECONDS = 60.0
"""What one call may take, from connecting to the last answer."""

CONNECT_SECONDS = 15.0
MAX_BYTES = 4 * 1024 * 1024
"""What a server may say in one call."""

_NAMES = {"drafts": ("drafts",), "sent": ("sent", "sent items", "sent messages", "sent mail")}
_FOR_NOW = re.compile(r"\[(UNAVAILABLE|INUSE|LIMIT|SERVERBUG|OVERQUOTA|CONTACTADMIN)\b", re.IGNORECASE)
_MESSAGE_ID = re.compile(r'<[^\x00-\x20\x7f-\U0010ffff"\\<>]{1,500}>')
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f]+")
_ODD_ANSWERS = (ValueError, LookupError, AttributeError, TypeError)
"""What the libraries stumble into when an answer is not what the protocol says."""


class ImapDrafts:
    """The folders of drafts and of sent mail of one mailbox; see :class:`connectors.base.Drafts`.

    ``password`` is asked for at every sign-in. ``drafts`` and ``sent`` name the folders; empty ones are
    found by their special use. ``context`` replaces the system's trust. For one thread at a time.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        security: Security = "tls",
        username: str,
        password: Callable[[], str],
        drafts: str = "",
        sent: str = "",
        context: ssl.SSLContext | None = None,
        call_seconds: float = CALL_SECONDS,
    ) -> None:
        self._host = host
        self._port = port
        self._security = security
        self._username = username
        self._password = password
        self._folders = {"drafts": drafts, "sent": sent}
        self._context = context
        self._call_seconds = call_seconds

    def put(self, raw: bytes, message_id: str) -> None:
        """Append to the drafts, flagged as a draft and as read; nothing where it lies already."""
        wanted = _criteria(message_id)
        with self._signed_in() as mailbox:
            folder = self._folder(mailbox, "drafts")
            mailbox.folder.set(folder, readonly=True)
            if mailbox.uids(wanted, charset=None):
                return
            try:
                mailbox.append(raw, folder, flag_set=(MailMessageFlags.DRAFT, MailMessageFlags.SEEN))
            except MailboxAppendError as error:
                said = _said(error.command_result)
                kind = Retryable if _FOR_NOW.search(said) else Rejected
                raise kind(f"The mail server {self._host} does not take the draft: {said}") from error

    def state(self, message_id: str) -> DraftState:
        """Whether it is among the drafts, among the sent, or nowhere."""
        wanted = _criteria(message_id)
        with self._signed_in() as mailbox:
            for use, state in (("drafts", DraftState.WAITING), ("sent", DraftState.SENT)):
                mailbox.folder.set(self._folder(mailbox, use), readonly=True)
                if mailbox.uids(wanted, charset=None):
                    return state
        return DraftState.GONE

    def remove(self, message_id: str) -> None:
        """Delete it from the drafts. Where the server cannot expunge one alone it is only marked so."""
        wanted = _criteria(message_id)
        with self._signed_in() as mailbox:
            mailbox.folder.set(self._folder(mailbox, "drafts"))
            found = ",".join(mailbox.uids(wanted, charset=None))
            if not found:
                return
            self._make_sure(mailbox.client.uid("STORE", found, "+FLAGS", r"(\Deleted)"))
            # A plain EXPUNGE would also take what the owner has marked in another program.
            if "UIDPLUS" in _abilities(mailbox):
                self._make_sure(mailbox.client.uid("EXPUNGE", found))

    def check(self) -> None:
        """Sign in and find both folders."""
        with self._signed_in() as mailbox:
            for use in self._folders:
                mailbox.folder.set(self._folder(mailbox, use), readonly=True)

    @contextmanager
    def _signed_in(self) -> Iterator[BaseMailBox]:
        """A mailbox for one call; whatever goes wrong becomes an error that names the next move."""
        with within(self._call_seconds):
            try:
                mailbox = _Mailbox(self._host, self._port, self._security, self._context)
            except (OSError, imaplib.IMAP4.error, ImapToolsError, *_ODD_ANSWERS) as error:
                raise Unreachable(f"The mail server {self._host} {self._why(error)}.") from error
            try:
                self._sign_in(mailbox)
                yield mailbox
            except (OSError, imaplib.IMAP4.error, ImapToolsError, *_ODD_ANSWERS) as error:
                raise Retryable(f"The mail server {self._host} {self._why(error)}.") from error
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
            if _FOR_NOW.search(str(error)):
                raise Unreachable(f"The mail server {self._host} cannot sign us in now.") from None
            raise NeedsLogin(
                f"The mail server {self._host} does not accept the user name {self._username} with its "
                "password; look at mail.imap in the configuration."
            ) from None

    def _folder(self, mailbox: BaseMailBox, use: str) -> str:
        """The folder's name: the configured one, the one with that special use, or the one called so."""
        folders = [each for each in mailbox.folder.list() if not _has(each, r"\Noselect")]
        given = self._folders[use]
        if given:
            found = [each.name for each in folders if each.name == given]
        else:
            special = [each.name for each in folders if _has(each, f"\\{use}")]
            found = special or [each.name for each in folders if _last_part(each) in _NAMES[use]]
        if found:
            return found[0]
        there = ", ".join(_CONTROLS.sub(" ", each.name) for each in folders[:20]) or "none"
        what = (
            f"no folder {given!r}"
            if given
            else f"no folder of {'drafts' if use == 'drafts' else 'sent mail'}"
        )
        raise Rejected(
            f"The mailbox on {self._host} has {what}; set mail.imap.{use} to one of: {there[:300]}."
        )

    def _make_sure(self, result: tuple[str, list[object]]) -> None:
        if result[0] != "OK":
            raise Retryable(f"The mail server {self._host} would not delete the draft: {_said(result)}")

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

    def __init__(self, host: str, port: int, context: ssl.SSLContext | None) -> None:
        self._context = context
        self._left = MAX_BYTES
        super().__init__(host, port)

    def _create_socket(self, _timeout: float | None) -> socket.socket:
        seconds = min(remaining(), CONNECT_SECONDS)
        plain = guard(socket.create_connection((self.host, self.port), seconds))
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
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

    def __init__(self, host: str, port: int, security: Security, context: ssl.SSLContext | None) -> None:
        self._where = (host, port)
        self._security = security
        self._context = context
        super().__init__()

    def _get_mailbox_client(self) -> imaplib.IMAP4:
        if self._security == "none":
            return _Client(*self._where, None)
        context = guard_tls(self._context or ssl.create_default_context())
        if self._security == "tls":
            return _Client(*self._where, context)
        client = _Client(*self._where, None)
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


def _criteria(message_id: str) -> str:
    """The search for one message of ours. Raises Rejected for an id that is none."""
    if not _MESSAGE_ID.fullmatch(message_id):
        raise Rejected("The draft has no usable Message-ID, so it was not put into the mailbox.")
    return f'UNDELETED OR HEADER Message-ID "{message_id}" HEADER X-Rebookd-Id "{message_id[1:-1]}"'


def _abilities(mailbox: BaseMailBox) -> set[str]:
    """What the server can do now: more than it said before the sign-in."""
    _, data = mailbox.client.capability()
    return {
        word.upper()
        for line in data
        if isinstance(line, bytes)
        for word in line.decode("ascii", "replace").split()
    }


def _has(folder: FolderInfo, flag: str) -> bool:
    return flag.lower() in {each.lower() for each in folder.flags}


def _last_part(folder: FolderInfo) -> str:
    return str(folder.name).rpartition(folder.delim)[2].casefold() if folder.delim else folder.name.casefold()


def _said(result: tuple[object, ...]) -> str:
    """The server's own words on one line."""
    words = result[1]
    parts = (
        [each.decode("utf-8", "replace") for each in words if isinstance(each, bytes)]
        if isinstance(words, list)
        else []
    )
    return _CONTROLS.sub(" ", " ".join(parts)).strip()[:200]


__all__ = ["ImapDrafts"]
