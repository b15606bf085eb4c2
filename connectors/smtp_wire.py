"""One SMTP connection, bounded in every direction (RFC 5321).

Python's smtplib gives each read its own timeout, so a server that trickles bytes, or whose banner never
ends, holds it for ever. Here a deadline covers a whole exchange, and a reply has a largest size.
"""

from __future__ import annotations

import re
import select
import socket
import ssl
import time
from dataclasses import dataclass

from connectors.reaching import look_up

MAX_LINE = 8192
MAX_LINES = 128
"""The largest reply we read; RFC 5321 section 4.5.3.1.5 allows lines of 512."""

_CHUNK = 1 << 16
_REPLY = re.compile(rb"([2-5][0-9]{2})(?:([ -])(.*))?", re.DOTALL)
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f]+")
_MAX_TEXT = 300


class WireError(Exception):
    """The connection is of no more use. The text completes the sentence "the mail server …"."""


class Deadline:
    """A moment by which an exchange must be over."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def left(self) -> float:
        """Seconds left. Raises WireError when there are none."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise WireError("took too long")
        return left


@dataclass(frozen=True, slots=True)
class Reply:
    """A server's answer: its code, and its words on one line."""

    code: int
    lines: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether it is a 2xx."""
        return 200 <= self.code < 300

    @property
    def temporary(self) -> bool:
        """Whether it is a 4xx."""
        return 400 <= self.code < 500

    def __str__(self) -> str:
        words = _CONTROLS.sub(" ", " ".join(self.lines)).strip()
        return f"{self.code} {words}"[:_MAX_TEXT].rstrip()


class Wire:
    """A connected socket that speaks in commands and replies."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = bytearray()

    @classmethod
    def open(cls, host: str, port: int, deadline: Deadline) -> Wire:
        """Connect to the first address that answers, leaving time for each. Raises WireError."""
        try:
            addresses = look_up(host, port, deadline.left())
        except OSError as error:
            raise WireError(f"could not be found ({_reason(error)})") from error
        failure: OSError | None = None
        for place, (family, kind, protocol, _, address) in enumerate(addresses):
            seconds = deadline.left() / (len(addresses) - place)
            sock = socket.socket(family, kind, protocol)
            try:
                sock.settimeout(seconds)
                sock.connect(address)
            except OSError as error:
                sock.close()
                failure = error
            else:
                return cls(sock)
        reason = _reason(failure) if failure else "it has no address"
        raise WireError(f"could not be reached ({reason})")

    @property
    def local_address(self) -> str:
        """Our end of the connection as an address literal (RFC 5321 section 4.1.3)."""
        address = self._sock.getsockname()[0]
        return f"[IPv6:{address}]" if ":" in address else f"[{address}]"

    def secure(self, context: ssl.SSLContext, host: str, deadline: Deadline) -> None:
        """Go on in TLS. Raises WireError, also when the server said more before it (RFC 3207 section 6)."""
        if self._buffer:
            raise WireError("sent words of its own before the encryption began")
        try:
            self._sock.settimeout(deadline.left())
            self._sock = context.wrap_socket(self._sock, server_hostname=host)
        except ssl.SSLCertVerificationError as error:
            raise WireError(f"has no valid certificate ({error.verify_message})") from error
        except OSError as error:
            raise WireError(f"could not begin the encryption ({_reason(error)})") from error

    def send(self, data: bytes, deadline: Deadline) -> None:
        """Hand over all the bytes. Raises WireError."""
        rest = memoryview(data)
        try:
            while rest:
                self._sock.settimeout(deadline.left())
                rest = rest[self._sock.send(rest[:_CHUNK]) :]
        except OSError as error:
            raise WireError(f"broke off ({_reason(error)})") from error

    def command(self, line: str, deadline: Deadline) -> Reply:
        """Send one command and read its reply. Raises WireError."""
        self.send(f"{line}\r\n".encode(), deadline)
        return self.reply(deadline)

    def reply(self, deadline: Deadline) -> Reply:
        """Read one reply. Raises WireError for anything that is none."""
        lines: list[str] = []
        while len(lines) < MAX_LINES:
            match = _REPLY.fullmatch(self._line(deadline))
            if match is None:
                raise WireError("answered in no way that SMTP knows")
            lines.append((match[3] or b"").decode("utf-8", "replace"))
            if match[2] != b"-":
                return Reply(int(match[1]), tuple(lines))
        raise WireError("did not stop talking")

    def has_spoken(self) -> bool:
        """Whether the server said something, or hung up, without being asked."""
        if self._buffer:
            return True
        if isinstance(self._sock, ssl.SSLSocket) and self._sock.pending():
            return True
        waiting = select.poll()
        waiting.register(self._sock, select.POLLIN)
        if not waiting.poll(0):
            return False
        try:
            self._sock.settimeout(0)
            data = self._sock.recv(_CHUNK)
        except (ssl.SSLWantReadError, BlockingIOError):
            return False  # a TLS record without words of the server's
        except OSError:
            return True
        self._buffer += data
        return True

    def close(self) -> None:
        """Hang up."""
        self._sock.close()

    def _line(self, deadline: Deadline) -> bytes:
        while (end := self._buffer.find(b"\n")) < 0:
            if len(self._buffer) > MAX_LINE:
                raise WireError("did not stop talking")
            try:
                self._sock.settimeout(deadline.left())
                data = self._sock.recv(_CHUNK)
            except TimeoutError as error:
                raise WireError("took too long") from error
            except OSError as error:
                raise WireError(f"broke off ({_reason(error)})") from error
            if not data:
                raise WireError("hung up")
            self._buffer += data
        line = bytes(self._buffer[:end]).rstrip(b"\r")
        del self._buffer[: end + 1]
        if len(line) > MAX_LINE:
            raise WireError("did not stop talking")
        return line


def _reason(error: OSError) -> str:
    if isinstance(error, TimeoutError):
        return "it took too long"
    return error.strerror or str(error)
