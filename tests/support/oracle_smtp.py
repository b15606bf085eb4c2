"""An SMTP sink in a process of its own, which remembers on disk exactly what it took.

``python oracle_smtp.py LOG [MANNERS]`` listens on a free loopback port and prints it. Each message is one
line of JSON in LOG, written and synced before the sink says 250, so that LOG is the truth about what a
sender achieved, whenever either of the two is killed. MANNERS is :class:`Manners` as JSON.
"""

from __future__ import annotations

import json
import os
import random
import socketserver
import sys
import threading
import time
from dataclasses import dataclass, field
from email.parser import BytesHeaderParser
from pathlib import Path
from typing import BinaryIO, cast

_writing = threading.Lock()

FAULTS = (
    "busy at the recipient",
    "busy at the dot",
    "dropped at the dot",
    "kept and dropped",
    "kept and closing",
    "kept, then closing",
    "endless banner",
    "slow banner",
)
"""What a mail server can do to us: HOSTILE 20, 25, 26 and 28. Who is called ``nobody`` is refused (27)."""

_BANNERS = frozenset({"endless banner", "slow banner"})


@dataclass
class Manners:
    """How the sink behaves: ``slow`` seconds at most before it keeps a message, and again before it says so.

    ``faults`` is how likely something of FAULTS is at each banner and each message; ``seed`` decides when.
    """

    slow: float = 0.0
    faults: float = 0.0
    seed: int = 0
    chance: random.Random = field(init=False)

    def __post_init__(self) -> None:
        """Begin the series of accidents."""
        self.chance = random.Random(self.seed)

    def rest(self) -> None:
        """Take one's time."""
        if self.slow:
            time.sleep(self.chance.uniform(0, self.slow))

    def banner(self) -> str:
        """What goes wrong with this connection, if anything."""
        return self._fault(self.faults / 4, sorted(_BANNERS))

    def message(self) -> str:
        """What goes wrong with this message, if anything."""
        return self._fault(self.faults, [one for one in FAULTS if one not in _BANNERS])

    def _fault(self, likely: float, those: list[str]) -> str:
        return self.chance.choice(those) if self.chance.random() < likely else ""


class _HangUpError(Exception):
    """The sink wants no more of this connection."""


class Session(socketserver.StreamRequestHandler):
    """One connection."""

    disable_nagle_algorithm = True

    def handle(self) -> None:
        """Speak enough SMTP for any client; take every message unless it goes wrong."""
        self._oracle = cast("Oracle", self.server)
        self._manners = self._oracle.manners
        self._sender, self._recipients, self._fault = "", list[str](), ""
        try:
            self._welcome()
            while line := self.rfile.readline(4096).decode("utf-8", "replace").rstrip("\r\n"):
                self._obey(line)
        except (_HangUpError, OSError):
            return

    def _welcome(self) -> None:
        fault = self._manners.banner()
        if fault == "endless banner":
            while True:
                self._say("220-and another thing")
        for byte in "220-one moment\r\n" if fault == "slow banner" else "":
            self.wfile.write(byte.encode())
            time.sleep(0.01)
        self._say("220 oracle.example")

    def _obey(self, line: str) -> None:
        verb = line.split(" ", 1)[0].upper()
        if verb == "EHLO":
            self._say("250-oracle.example\r\n250-8BITMIME\r\n250 SMTPUTF8")
        elif verb == "MAIL":
            self._sender, self._recipients, self._fault = _address(line), [], self._manners.message()
            self._say("250 ok")
        elif verb == "RCPT":
            self._address(_address(line))
        elif verb == "DATA":
            self._say("354 go ahead")
            self._take(self._data())
        elif verb == "QUIT":
            self._say("221 bye")
            raise _HangUpError
        else:
            self._say("250 ok")

    def _address(self, address: str) -> None:
        if address.startswith("nobody"):
            self._say("550 5.1.1 nobody of that name")
        elif self._fault == "busy at the recipient":
            self._say("450 4.2.0 try again")
        else:
            self._recipients.append(address)
            self._say("250 ok")

    def _data(self) -> bytes:
        """The message up to its final dot."""
        lines = []
        while (line := self.rfile.readline()) != b".\r\n":
            if not line.endswith(b"\n"):
                raise _HangUpError  # the client vanished before the dot
            lines.append(line.removeprefix(b"."))
        return b"".join(lines)

    def _take(self, data: bytes) -> None:
        fault = self._fault
        self._manners.rest()
        if fault == "busy at the dot":
            self._say("451 4.3.0 try again")
            return
        if fault == "dropped at the dot":
            raise _HangUpError
        self._oracle.keep(self._sender, self._recipients, data)
        self._manners.rest()
        if fault == "kept and dropped":
            raise _HangUpError
        if fault == "kept and closing":
            self._say("421 4.3.2 closing")
            raise _HangUpError
        self._say("250 kept")
        if fault == "kept, then closing":
            self._say("421 4.3.2 closing")
            raise _HangUpError

    def _say(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())


class Oracle(socketserver.ThreadingTCPServer):
    """The sink and its log."""

    daemon_threads = True

    def __init__(self, log: BinaryIO, manners: Manners) -> None:
        super().__init__(("127.0.0.1", 0), Session)
        self._log = log
        self.manners = manners

    def keep(self, sender: str, recipients: list[str], data: bytes) -> None:
        """Write one message to the log and to the disk."""
        headers = BytesHeaderParser().parsebytes(data)
        entry = {
            "at": time.time(),
            "sender": sender,
            "recipients": recipients,
            "message_id": str(headers["Message-ID"] or ""),
            "subject": str(headers["Subject"] or ""),
            "data": data.decode("utf-8", "replace"),
        }
        with _writing:
            self._log.write(json.dumps(entry).encode() + b"\n")
            self._log.flush()
            os.fsync(self._log.fileno())

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that was killed is no error of ours."""


def _address(line: str) -> str:
    return line.partition("<")[2].partition(">")[0]


def main() -> None:
    """Serve until killed."""
    manners = Manners(**json.loads(sys.argv[2])) if len(sys.argv) > 2 else Manners()
    with Path(sys.argv[1]).open("ab") as log, Oracle(log, manners) as server:
        sys.stdout.write(f"{server.server_address[1]}\n")
        sys.stdout.flush()
        server.serve_forever()


if __name__ == "__main__":
    main()
