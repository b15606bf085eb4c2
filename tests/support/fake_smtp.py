"""An SMTP server on loopback that does what a test tells it to, byte by byte."""

from __future__ import annotations

import base64
import socket
import ssl
import threading
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

HERE = Path(__file__).parent
CERTIFICATE = HERE / "localhost.pem"


@dataclass(frozen=True)
class Answer:
    """What to say to one command: ``text``, then ``then`` unasked; ``drop`` hangs up after that.

    For the final dot ``keep`` says whether the message was kept. ``forever`` is repeated until the other
    side hangs up, with ``pause`` seconds between two of them.
    """

    text: str = ""
    then: str = ""
    drop: bool = False
    keep: bool = True
    forever: bytes = b""
    pause: float = 0.0


@dataclass(frozen=True)
class Kept:
    """One message that the server took responsibility for."""

    sender: str
    recipients: tuple[str, ...]
    data: bytes


@dataclass
class FakeSmtp:
    """The server. ``script`` holds, for each verb, the answers to its next uses; then the usual ones.

    Besides SMTP's own verbs there are CONNECT (the banner) and DOT (the end of a message). A context
    manager; ``port`` is free.
    """

    offers: tuple[str, ...] = ("8BITMIME", "SMTPUTF8", "SIZE 1000000")
    tls: bool = False
    users: dict[str, str] = field(default_factory=dict)
    script: dict[str, list[Answer]] = field(default_factory=lambda: defaultdict(list))
    kept: list[Kept] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    connections: int = 0
    port: int = 0

    def __enter__(self) -> Self:
        self._stop = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(timeout=5)
        self._listener.close()

    def say(self, verb: str, *answers: Answer | str) -> None:
        """Answer the next uses of a verb like this."""
        self.script.setdefault(verb, []).extend(
            Answer(one) if isinstance(one, str) else one for one in answers
        )

    def _accept(self) -> None:
        while not self._stop.is_set():
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            thread = threading.Thread(target=self._serve, args=(sock,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, sock: socket.socket) -> None:
        conversation = _Conversation(self, sock)
        try:
            conversation.hold()
        except (OSError, _HangUpError):
            pass
        finally:
            conversation.sock.close()


class _HangUpError(Exception):
    pass


class _Conversation:
    def __init__(self, server: FakeSmtp, sock: socket.socket) -> None:
        self.server = server
        self.sock = sock
        self.sock.settimeout(20)
        self.buffer = b""
        self.sender = ""
        self.recipients: list[str] = []

    def hold(self) -> None:
        if self.server.tls:
            self.sock = _encrypted(self.sock)
        self.answer("CONNECT", "220 fake.example")
        while True:
            line = self.line()
            self.server.commands.append(line)
            self.obey(line)

    def obey(self, line: str) -> None:
        verb = line.split(" ", 1)[0].upper()
        if verb == "EHLO":
            offers = ["fake.example", *self.server.offers]
            self.answer(verb, "\r\n".join(f"250-{one}" for one in offers[:-1]) + f"\r\n250 {offers[-1]}")
        elif verb == "STARTTLS":
            self.answer(verb, "220 go ahead")
            self.sock = _encrypted(self.sock)
        elif verb == "MAIL":
            self.sender, self.recipients = _address(line), []
            self.answer(verb, "250 ok")
        elif verb == "RCPT":
            if self.answer(verb, "250 ok").startswith("2"):
                self.recipients.append(_address(line))
        elif verb == "DATA":
            if self.answer(verb, "354 go ahead").startswith("354"):
                self.take()
        elif verb == "QUIT":
            self.answer(verb, "221 bye")
            raise _HangUpError
        elif verb == "AUTH":
            self.sign_in(line)
        else:
            self.answer(verb, "250 ok")

    def take(self) -> None:
        lines = []
        while (line := self.raw_line()) != b".\r\n":
            lines.append(line.removeprefix(b"."))
        script = self.server.script.get("DOT")
        if script is None or not script or script[0].keep:
            self.server.kept.append(Kept(self.sender, tuple(self.recipients), b"".join(lines)))
        self.answer("DOT", "250 kept")

    def sign_in(self, line: str) -> None:
        words = line.split(" ")
        if words[1] == "PLAIN":
            _, user, secret = _decoded(words[2]).split("\0")
        elif words[1] == "XOAUTH2":
            user, secret = (part.split("=", 1)[1] for part in _decoded(words[2]).split("\x01")[:2])
            secret = secret.removeprefix("Bearer ")
        else:
            self.send("334 VXNlcm5hbWU6\r\n")
            user = _decoded(self.line())
            self.send("334 UGFzc3dvcmQ6\r\n")
            secret = _decoded(self.line())
        good = self.server.users.get(user) == secret
        if not good and words[1] == "XOAUTH2":
            self.send("334 eyJzdGF0dXMiOiI0MDEifQ==\r\n")
            self.line()
        self.answer("AUTH", "235 welcome" if good else "535 5.7.8 no")

    def answer(self, verb: str, usual: str) -> str:
        script = self.server.script.get(verb)
        what = script.pop(0) if script else Answer(usual)
        if what.text:
            self.send(f"{what.text}\r\n")
        if what.then:
            self.send(f"{what.then}\r\n")
        while what.forever and not self.server._stop.wait(what.pause):
            self.sock.sendall(what.forever)
        if what.drop:
            raise _HangUpError
        return what.text

    def send(self, text: str) -> None:
        self.sock.sendall(text.encode())

    def line(self) -> str:
        return self.raw_line().decode().rstrip("\r\n")

    def raw_line(self) -> bytes:
        while b"\n" not in self.buffer:
            data = self.sock.recv(65536)
            if not data:
                raise _HangUpError
            self.buffer += data
        line, _, self.buffer = self.buffer.partition(b"\n")
        return line + b"\n"


def _address(line: str) -> str:
    return line.partition("<")[2].partition(">")[0]


def _decoded(text: str) -> str:
    return base64.b64decode(text).decode()


def _encrypted(sock: socket.socket) -> ssl.SSLSocket:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE, HERE / "localhost.key")
    return context.wrap_socket(sock, server_side=True)


def trusting() -> ssl.SSLContext:
    """A client's context that trusts the fake server's certificate, and no other."""
    return ssl.create_default_context(cafile=CERTIFICATE)
