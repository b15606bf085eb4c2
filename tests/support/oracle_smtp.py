"""An SMTP sink in a process of its own, which remembers on disk exactly what it took.

``python oracle_smtp.py LOG`` listens on a free loopback port and prints it. Each message is one line of
JSON in LOG, written and synced before the sink says 250, so that LOG is the truth about what a sender
achieved, whenever either of the two is killed.
"""

from __future__ import annotations

import json
import os
import socketserver
import sys
import threading
from email.parser import BytesHeaderParser
from pathlib import Path
from typing import BinaryIO, cast

_writing = threading.Lock()


class Session(socketserver.StreamRequestHandler):
    """One connection."""

    disable_nagle_algorithm = True

    def handle(self) -> None:
        """Speak enough SMTP for any client; take every message."""
        sender, recipients = "", list[str]()
        self._say("220 oracle.example")
        while line := self.rfile.readline(4096).decode("utf-8", "replace").rstrip("\r\n"):
            verb = line.split(" ", 1)[0].upper()
            if verb == "EHLO":
                self._say("250-oracle.example\r\n250-8BITMIME\r\n250 SMTPUTF8")
            elif verb == "MAIL":
                sender, recipients = _address(line), []
                self._say("250 ok")
            elif verb == "RCPT":
                recipients.append(_address(line))
                self._say("250 ok")
            elif verb == "DATA":
                self._say("354 go ahead")
                data = self._data()
                if data is None:
                    return
                cast("Oracle", self.server).keep(sender, recipients, data)
                self._say("250 kept")
            elif verb == "QUIT":
                self._say("221 bye")
                return
            else:
                self._say("250 ok")

    def _data(self) -> bytes | None:
        """The message up to its final dot; None when the client vanished before it."""
        lines = []
        while (line := self.rfile.readline()) != b".\r\n":
            if not line.endswith(b"\n"):
                return None
            lines.append(line.removeprefix(b"."))
        return b"".join(lines)

    def _say(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())


class Oracle(socketserver.ThreadingTCPServer):
    """The sink and its log."""

    daemon_threads = True

    def __init__(self, log: BinaryIO) -> None:
        super().__init__(("127.0.0.1", 0), Session)
        self._log = log

    def keep(self, sender: str, recipients: list[str], data: bytes) -> None:
        """Write one message to the log and to the disk."""
        headers = BytesHeaderParser().parsebytes(data)
        entry = {
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
    with Path(sys.argv[1]).open("ab") as log, Oracle(log) as server:
        sys.stdout.write(f"{server.server_address[1]}\n")
        sys.stdout.flush()
        server.serve_forever()


if __name__ == "__main__":
    main()
