"""A small IMAP server on loopback that keeps folders and does what a test tells it to."""

from __future__ import annotations

import base64
import re
import socket
import ssl
import threading
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from types import TracebackType
from typing import Self

from tests.support.fake_smtp import CERTIFICATE, HERE

PLAIN = "IMAP4rev1 STARTTLS AUTH=PLAIN"


@dataclass
class Mail:
    """One message in a folder."""

    uid: int
    raw: bytes
    flags: set[str] = field(default_factory=set)
    day: date = date.max

    def has(self, name: str, value: str) -> bool:
        """Whether a header of that name holds the value."""
        head = self.raw.partition(b"\r\n\r\n")[0].decode("utf-8", "replace")
        return any(
            line.lower().startswith(f"{name.lower()}:") and value.lower() in line.lower()
            for line in head.split("\r\n")
        )


@dataclass
class Folder:
    """A folder: its flags, its messages, its UIDVALIDITY and the UID of its next message."""

    flags: str = ""
    mails: list[Mail] = field(default_factory=list)
    validity: int = 1
    next_uid: int = 1


@dataclass(frozen=True)
class Say:
    """What to say to one command instead of the usual: ``text`` after its tag, or ``raw`` bytes.

    ``forever`` is repeated until the other side hangs up, ``pause`` seconds apart; ``do`` still does what
    was asked; ``drop`` hangs up.
    """

    text: str = ""
    raw: bytes = b""
    forever: bytes = b""
    pause: float = 0.0
    do: bool = False
    drop: bool = False


@dataclass
class FakeImap:
    """The server. ``script`` holds, for each verb (CONNECT too), answers to its next uses."""

    users: dict[str, str] = field(default_factory=lambda: {"dana": "hunter2"})
    folders: dict[str, Folder] = field(
        default_factory=lambda: {
            "INBOX": Folder(),
            "Entw&APw-rfe": Folder("\\Drafts"),
            "Gesendet": Folder("\\Sent"),
        }
    )
    before: str = PLAIN
    after: str = "IMAP4rev1 UIDPLUS"
    tls: bool = False
    script: dict[str, list[Say]] = field(default_factory=lambda: defaultdict(list))
    commands: list[str] = field(default_factory=list)
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

    def deliver(self, folder: str, raw: bytes, *flags: str, day: date = date.max) -> None:
        """Put a message into a folder, as another program does, on a day; no day is later than any."""
        held = self.folders[folder]
        held.mails.append(Mail(held.next_uid, raw, set(flags), day))
        held.next_uid += 1

    def _accept(self) -> None:
        while not self._stop.is_set():
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
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
    def __init__(self, server: FakeImap, sock: socket.socket) -> None:
        self.server = server
        self.sock = sock
        self.sock.settimeout(20)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""
        self.signed_in = False
        self.folder = Folder()

    def hold(self) -> None:
        if self.server.tls:
            self.encrypt()
        if not self.scripted("*", "CONNECT"):
            self.send("* OK fake.example ready")
        while True:
            line = self.line()
            tag, _, rest = line.partition(" ")
            verb, _, words = rest.partition(" ")
            verb = verb.upper()
            if verb == "UID":
                verb, _, words = words.partition(" ")
                verb = f"UID {verb.upper()}"
            self.server.commands.append(f"{verb} {words}".strip())
            literal = re.search(r"\{(\d+)\}$", words)
            body = self.literal(int(literal[1])) if literal else b""
            if not self.scripted(tag, verb, words, body):
                self.obey(tag, verb, words, body)

    def scripted(self, tag: str, verb: str, words: str = "", body: bytes = b"") -> bool:
        script = self.server.script.get(verb)
        if not script:
            return False
        say = script.pop(0)
        if say.do:
            self.append(words, body)
        if say.text:
            self.send(f"{tag} {say.text}")
        if say.raw:
            self.sock.sendall(say.raw)
        while say.forever and not self.server._stop.wait(say.pause):
            self.sock.sendall(say.forever)
        if say.drop:
            raise _HangUpError
        return True

    def obey(self, tag: str, verb: str, words: str, body: bytes) -> None:
        handler = getattr(self, "_" + verb.lower().replace(" ", "_"), None)
        if handler is None:
            self.send(f"{tag} BAD unknown")
            return
        self.send(f"{tag} {handler(words, body)}")
        if verb == "STARTTLS":
            self.encrypt()
        if verb == "LOGOUT":
            raise _HangUpError

    def _capability(self, _words: str, _body: bytes) -> str:
        self.send(f"* CAPABILITY {self.server.after if self.signed_in else self.server.before}")
        return "OK done"

    def _starttls(self, _words: str, _body: bytes) -> str:
        return "OK begin"

    def _login(self, words: str, _body: bytes) -> str:
        user, password = _strings(words)
        return self.sign_in(user, password)

    def _authenticate(self, _words: str, _body: bytes) -> str:
        self.send("+ ")
        _, user, password = base64.b64decode(self.line()).decode().split("\0")
        return self.sign_in(user, password)

    def sign_in(self, user: str, password: str) -> str:
        self.signed_in = self.server.users.get(user) == password
        return "OK welcome" if self.signed_in else f"NO [AUTHENTICATIONFAILED] not {user} with {password}"

    def _list(self, _words: str, _body: bytes) -> str:
        for name, folder in self.server.folders.items():
            self.send(f'* LIST ({folder.flags or chr(92) + "HasNoChildren"}) "." "{name}"')
        return "OK done"

    def _select(self, words: str, _body: bytes) -> str:
        [name] = _strings(words)
        if name not in self.server.folders:
            return "NO no such folder"
        self.folder = self.server.folders[name]
        self.send(f"* {len(self.folder.mails)} EXISTS")
        self.send(f"* OK [UIDVALIDITY {self.folder.validity}] these UIDs")
        self.send(f"* OK [UIDNEXT {self.folder.next_uid}] the next")
        return "OK [READ-WRITE] done"

    _examine = _select

    def append(self, words: str, body: bytes) -> None:
        flags = re.search(r"\(([^)]*)\)", words)
        self.server.deliver(_strings(words)[0], body, *(flags[1].split() if flags else ()))

    def _append(self, words: str, body: bytes) -> str:
        self.append(words, body)
        return "OK done"

    def _uid_search(self, words: str, _body: bytes) -> str:
        if "HEADER" not in words:
            self.send(f"* SEARCH {' '.join(map(str, self.numbered(words)))}".rstrip())
            return "OK done"
        wanted = re.findall(r'HEADER (\S+) "([^"]*)"', words)
        found = [
            str(mail.uid)
            for mail in self.folder.mails
            if any(mail.has(*one) for one in wanted)
            and not ("UNDELETED" in words and "\\Deleted" in mail.flags)
        ]
        self.send(f"* SEARCH {' '.join(found)}".rstrip())
        return "OK done"

    def numbered(self, words: str) -> list[int]:
        """UID n:* and SINCE (RFC 3501 section 6.4.4); a range up to * always holds the last message."""
        there = [mail.uid for mail in self.folder.mails]
        if since := re.search(r"SINCE (\d{1,2}-\w{3}-\d{4})", words):
            day = datetime.strptime(since[1], "%d-%b-%Y").replace(tzinfo=UTC).date()
            return [mail.uid for mail in self.folder.mails if mail.day >= day]
        first = re.search(r"UID (\d+):\*", words)
        assert first is not None, words
        return [uid for uid in there if uid >= int(first[1]) or uid == max(there)]

    def _uid_fetch(self, words: str, _body: bytes) -> str:
        """Sizes, and bytes; without PEEK the message is read from now on."""
        uids, _, wanted = words.partition(" ")
        for number, mail in enumerate(self.folder.mails, start=1):
            if str(mail.uid) not in uids.split(","):
                continue
            told = [f"UID {mail.uid}"] + ([f"RFC822.SIZE {len(mail.raw)}"] if "SIZE" in wanted else [])
            part = re.search(r"BODY(\.PEEK)?\[\](?:<(\d+)\.(\d+)>)?", wanted)
            if part is None:
                self.send(f"* {number} FETCH ({' '.join(told)})")
                continue
            if not part[1]:
                mail.flags.add("\\Seen")
            start = int(part[2] or 0)
            body = mail.raw[start : start + int(part[3])] if part[3] else mail.raw
            place = f"<{start}>" if part[3] else ""
            self.sock.sendall(
                f"* {number} FETCH ({' '.join(told)} BODY[]{place} {{{len(body)}}}\r\n".encode()
            )
            self.sock.sendall(body + b")\r\n")
        return "OK done"

    def _uid_store(self, words: str, _body: bytes) -> str:
        uids, _, rest = words.partition(" ")
        for mail in self.folder.mails:
            if str(mail.uid) in uids.split(","):
                mail.flags.update(re.findall(r"\\\w+", rest))
        return "OK done"

    def _uid_expunge(self, words: str, _body: bytes) -> str:
        uids = words.split(",")
        self.folder.mails = [
            mail for mail in self.folder.mails if str(mail.uid) not in uids or "\\Deleted" not in mail.flags
        ]
        return "OK done"

    def _logout(self, _words: str, _body: bytes) -> str:
        self.send("* BYE")
        return "OK done"

    def literal(self, size: int) -> bytes:
        self.send("+ go ahead")
        while len(self.buffer) < size:
            self.receive()
        body, self.buffer = self.buffer[:size], self.buffer[size:]
        self.line()
        return body

    def encrypt(self) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(CERTIFICATE, HERE / "localhost.key")
        self.sock = context.wrap_socket(self.sock, server_side=True)

    def send(self, text: str) -> None:
        self.sock.sendall(f"{text}\r\n".encode())

    def line(self) -> str:
        while b"\r\n" not in self.buffer:
            self.receive()
        line, _, self.buffer = self.buffer.partition(b"\r\n")
        return line.decode()

    def receive(self) -> None:
        data = self.sock.recv(65536)
        if not data:
            raise _HangUpError
        self.buffer += data


def _strings(words: str) -> list[str]:
    """The leading words, quoted or not."""
    found = re.findall(r'"((?:[^"\\]|\\.)*)"|([^\s"(]+)', words.partition("(")[0])
    return [re.sub(r"\\(.)", r"\1", quoted) or plain for quoted, plain in found]
