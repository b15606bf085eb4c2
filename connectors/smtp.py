"""Mail out by SMTP submission (RFC 6409), with the moment of commitment told.

The body goes first; then ``committing`` is called; then the final dot. What happens before the dot is
certain: the server keeps nothing (RFC 5321 section 4.1.1.4). What it answers to the dot is certain, too.
Only a dot without an answer is :class:`~connectors.base.Uncertain`.
"""

from __future__ import annotations

import base64
import re
import ssl
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Literal

from connectors.base import ConnectorError, NeedsLogin, Receipt, Rejected, Retryable, Uncertain, Unreachable
from connectors.smtp_wire import Deadline, Reply, Wire, WireError

Security = Literal["starttls", "tls", "none"]
Method = Literal["auto", "plain", "login", "xoauth2"]

CONNECT_SECONDS = 30.0
"""To connect, encrypt, greet and sign in."""

MESSAGE_SECONDS = 60.0
"""To hand over the addresses and the whole message but its final dot."""

ANSWER_SECONDS = 120.0
"""To answer to the final dot. All three together stay below the lease of a delivery."""

QUIT_SECONDS = 3.0

_ADDRESS = re.compile(r"[^\s<>\x00-\x20\x7f-\x9f]+@[^\s<>@\x00-\x20\x7f-\x9f]+")
_LINE_END = re.compile(rb"\r\n|\r|\n")
_HEADER_END = re.compile(rb"\r?\n\r?\n")
_SOH, _NUL = "\x01", "\0"
_CLOSING = 421
_WANTS_LOGIN = frozenset({530, 534, 535, 538})


class SmtpMailer:
    """One mail server. For one thread at a time.

    ``password`` and ``token`` (an OAuth access token for XOAUTH2; empty for none) are asked for at every
    sign-in, so that a renewed one is taken up. Without ``username`` nobody signs in.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        security: Security = "starttls",
        username: str = "",
        password: Callable[[], str] = str,
        token: Callable[[], str] = str,
        auth: Method = "auto",
        helo: str | None = None,
        context: ssl.SSLContext | None = None,
        connect_seconds: float = CONNECT_SECONDS,
        message_seconds: float = MESSAGE_SECONDS,
        answer_seconds: float = ANSWER_SECONDS,
    ) -> None:
        self._host = host
        self._port = port
        self._security = security
        self._username = username
        self._password = password
        self._token = token
        self._auth = auth
        self._helo = helo
        self._context = context
        self._connect_seconds = connect_seconds
        self._message_seconds = message_seconds
        self._answer_seconds = answer_seconds
        self._keep = False
        self._wire: Wire | None = None
        self._offers: dict[str, str] = {}

    @contextmanager
    def session(self) -> Iterator[None]:
        """Keep one connection open for a burst of messages; it is made with the first."""
        self._keep = True
        try:
            yield
        finally:
            self._keep = False
            self._quit()

    def check(self) -> None:
        """Reach the server and sign in, sending nothing. Raises Unreachable or NeedsLogin."""
        self._quit()
        self._connect()
        self._quit()

    def send(
        self, sender: str, recipients: Sequence[str], message: bytes, committing: Callable[[], None]
    ) -> Receipt:
        """Hand over one message; see :class:`connectors.base.Mailer`.

        Raises Unreachable, NeedsLogin, Retryable, Rejected or Uncertain, and whatever ``committing`` raises.
        """
        for address in (sender, *recipients):
            _check_address(address)
        body = prepared(message)
        try:
            wire = self._begin(sender, self._parameters(sender, recipients, message, len(body)))
            refused = self._address(wire, recipients)
            return self._finish(wire, body, committing, refused)
        except BaseException:
            # half a message may be on the wire: the connection must not be used again
            self._drop()
            raise
        finally:
            if not self._keep:
                self._quit()

    def _begin(self, sender: str, parameters: Callable[[], str]) -> Wire:
        """A connection that took MAIL; a new one where the kept one has gone stale."""
        if self._wire is not None:
            with suppress(WireError):
                reply = self._mail(self._wire, sender, parameters)
                if reply.code != _CLOSING:
                    self._make_sure(reply, f"mail from {sender}")
                    return self._wire
            self._drop()
        wire = self._connect()
        with self._certain():
            self._make_sure(self._mail(wire, sender, parameters), f"mail from {sender}")
        return wire

    def _mail(self, wire: Wire, sender: str, parameters: Callable[[], str]) -> Reply:
        return wire.command(f"MAIL FROM:<{sender}>{parameters()}", Deadline(self._message_seconds))

    def _address(self, wire: Wire, recipients: Sequence[str]) -> dict[str, str]:
        """RCPT and DATA; the refused recipients with the server's words."""
        deadline = Deadline(self._message_seconds)
        refused: dict[str, Reply] = {}
        with self._certain():
            for address in recipients:
                reply = wire.command(f"RCPT TO:<{address}>", deadline)
                if not reply.ok:
                    refused[address] = reply
            if len(refused) == len(recipients):
                # one that may be tried again keeps the message alive
                again = next((one for one in refused.values() if one.temporary), None)
                raise self._refusal(again or next(iter(refused.values())), f"mail to {', '.join(recipients)}")
            reply = wire.command("DATA", deadline)
        if reply.code != 354:
            raise self._refusal(reply, "the message")
        return {address: str(reply) for address, reply in refused.items()}

    def _finish(
        self, wire: Wire, body: bytes, committing: Callable[[], None], refused: dict[str, str]
    ) -> Receipt:
        """The message itself, the durable mark, the final dot."""
        with self._certain():
            wire.send(body, Deadline(self._message_seconds))
            if wire.has_spoken():
                raise Retryable(f"The mail server {self._host} broke off in the middle of the message.")
        committing()
        deadline = Deadline(self._answer_seconds)
        try:
            wire.send(b".\r\n", deadline)
            reply = wire.reply(deadline)
        except WireError as error:
            raise Uncertain(
                f"The mail server {self._host} {error} after the whole message was handed over."
            ) from error
        if reply.code // 100 == 3 or reply.code == _CLOSING:
            # a server that is going down may have kept the message before it said so
            raise Uncertain(f"The mail server {self._host} answered to the whole message with: {reply}")
        self._make_sure(reply, "the message")
        return Receipt(refused=refused, response=str(reply))

    def _parameters(
        self, sender: str, recipients: Sequence[str], message: bytes, size: int
    ) -> Callable[[], str]:
        """The parameters of MAIL, once the server has said what it can do."""
        is_8bit = not message.isascii()
        header = _HEADER_END.split(message, maxsplit=1)[0]
        is_utf8 = not (header.isascii() and all(address.isascii() for address in (sender, *recipients)))

        def parameters() -> str:
            most = self._offers.get("SIZE", "")
            if most.isdecimal() and 0 < int(most) < size:
                raise Rejected(f"The message has {size} bytes; the mail server {self._host} takes {most}.")
            if is_8bit and "8BITMIME" not in self._offers:
                raise Rejected(f"The mail server {self._host} does not take 8-bit messages.")
            if is_utf8 and "SMTPUTF8" not in self._offers:
                raise Rejected(f"The mail server {self._host} does not take addresses beyond ASCII.")
            return "".join(
                (
                    f" SIZE={size}" if "SIZE" in self._offers else "",
                    " BODY=8BITMIME" if is_8bit else "",
                    " SMTPUTF8" if is_utf8 else "",
                )
            )

        return parameters

    def _connect(self) -> Wire:
        """A new connection, encrypted, greeted and signed in."""
        deadline = Deadline(self._connect_seconds)
        with self._certain():
            wire = self._wire = Wire.open(self._host, self._port, deadline)
            try:
                if self._security == "tls":
                    wire.secure(self._tls(), self._host, deadline)
                self._welcome(wire.reply(deadline))
                self._greet(wire, deadline)
                if self._security == "starttls":
                    self._start_tls(wire, deadline)
                if self._username:
                    self._sign_in(wire, deadline)
            except BaseException:
                self._drop()
                raise
        return wire

    def _welcome(self, reply: Reply) -> None:
        if not reply.ok:
            raise Unreachable(f"The mail server {self._host} turns us away: {reply}")

    def _greet(self, wire: Wire, deadline: Deadline) -> None:
        reply = wire.command(f"EHLO {self._helo or wire.local_address}", deadline)
        self._welcome(reply)
        self._offers = {}
        for line in reply.lines[1:]:
            word, _, rest = line.replace("=", " ", 1).partition(" ")
            known = self._offers.get(word.upper())
            self._offers[word.upper()] = f"{known} {rest.strip()}" if known else rest.strip()

    def _start_tls(self, wire: Wire, deadline: Deadline) -> None:
        if "STARTTLS" not in self._offers:
            raise Unreachable(
                f"The mail server {self._host} does not offer STARTTLS on port {self._port}; "
                "set security: tls (usually port 465), or none."
            )
        self._welcome(wire.command("STARTTLS", deadline))
        wire.secure(self._tls(), self._host, deadline)
        self._greet(wire, deadline)

    def _tls(self) -> ssl.SSLContext:
        if self._context is None:
            self._context = ssl.create_default_context()
        return self._context

    def _sign_in(self, wire: Wire, deadline: Deadline) -> None:
        token = self._token()
        method = self._method(has_token=bool(token))
        secret = token if method == "xoauth2" else self._password()
        first, *more = _credentials(method, self._username, secret)
        reply = wire.command(first, deadline)
        for words in more:
            if reply.code == 334:
                reply = wire.command(words, deadline)
        if reply.code == 235:
            return
        said = str(reply)
        for words in (secret, *first.split(), *more):  # a server may repeat what it did not understand
            said = said.replace(words, "…") if len(words) > 3 else said
        if reply.temporary:
            raise Unreachable(f"The mail server {self._host} cannot sign us in now: {said}")
        raise NeedsLogin(
            f"The mail server {self._host} does not accept the user name {self._username} "
            f"with its {'access token' if method == 'xoauth2' else 'password'}: {said}"
        )

    def _method(self, *, has_token: bool) -> Method:
        """How to sign in. Raises NeedsLogin when the server offers no way we know."""
        offered = self._offers.get("AUTH", "").upper().split()
        if self._auth != "auto":
            wanted: list[Method] = [self._auth]
        elif has_token:
            wanted = ["xoauth2"]
        else:
            wanted = ["plain", "login"]
        for method in wanted:
            if method.upper() in offered:
                return method
        raise NeedsLogin(
            f"The mail server {self._host} offers {', '.join(offered) or 'no way'} to sign in, not "
            f"{' or '.join(method.upper() for method in wanted)}; look at mail.smtp in the configuration."
        )

    def _make_sure(self, reply: Reply, what: str) -> None:
        if not reply.ok:
            raise self._refusal(reply, what)

    def _refusal(self, reply: Reply, what: str) -> ConnectorError:
        """The error that names the next move after a refusal of ``what``."""
        said = f"The mail server {self._host} does not take {what}: {reply}"
        if reply.code == _CLOSING:
            return Unreachable(said)
        if reply.code in _WANTS_LOGIN:
            return NeedsLogin(said)
        return Rejected(said) if reply.code // 100 == 5 else Retryable(said)

    @contextmanager
    def _certain(self) -> Iterator[None]:
        """Where a lost connection means that nothing was kept."""
        try:
            yield
        except WireError as error:
            raise Unreachable(f"The mail server {self._host} {error}.") from error

    def _quit(self) -> None:
        if self._wire is not None:
            with suppress(WireError):
                self._wire.command("QUIT", Deadline(QUIT_SECONDS))
            self._drop()

    def _drop(self) -> None:
        if self._wire is not None:
            self._wire.close()
            self._wire = None


def prepared(message: bytes) -> bytes:
    """The message as it goes over the wire: CRLF line ends, dots doubled, without the final dot.

    Raises Rejected for a header that holds a stray line end.
    """
    header = _HEADER_END.split(message, maxsplit=1)[0]
    if b"\r" in header.replace(b"\r\n", b"\n") or b"\0" in message:
        raise Rejected("The message holds control characters where none may be; it was not sent.")
    lines = _LINE_END.split(message.removesuffix(b"\n").removesuffix(b"\r"))
    return b"".join((b"." + line if line.startswith(b".") else line) + b"\r\n" for line in lines)


def _check_address(address: str) -> None:
    if not _ADDRESS.fullmatch(address) or len(address.encode()) > 254:
        raise Rejected(f"{address!r} is not a mail address.")


def _credentials(method: Method, username: str, secret: str) -> tuple[str, ...]:
    """The lines that sign in: AUTH itself, then the answer to each 334 (RFC 4954, RFC 4616)."""
    if method == "xoauth2":
        # a 334 carries the reason for a refusal; an empty line asks for the verdict
        return f"AUTH XOAUTH2 {_base64(f'user={username}{_SOH}auth=Bearer {secret}{_SOH}{_SOH}')}", ""
    if method == "plain":
        return (f"AUTH PLAIN {_base64(_NUL.join(('', username, secret)))}",)
    return "AUTH LOGIN", _base64(username), _base64(secret)


def _base64(words: str) -> str:
    return base64.b64encode(words.encode()).decode("ascii")
