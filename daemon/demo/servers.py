"""A calendar server and a mail server for the demo, inside this process, on loopback ports of their own."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import socket
import threading
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from socketserver import TCPServer, ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

import radicale.app
import radicale.config
from aiosmtpd.smtp import SMTP, Envelope, Session

LOOPBACK = "127.0.0.1"


def free_port() -> int:
    """A port of the loopback that nobody has just now."""
    with socket.create_server((LOOPBACK, 0)) as probe:
        return int(probe.getsockname()[1])


@dataclass(frozen=True, slots=True)
class CalendarServer:
    """Where the calendars are, and the password of every user there."""

    url: str
    password: str


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True

    def server_bind(self) -> None:
        """Take the port, without asking a name server what this machine is called."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = LOOPBACK, int(self.server_address[1])
        self.setup_environ()


class _Handler(WSGIRequestHandler):
    disable_nagle_algorithm = True

    def log_message(self, *_: object) -> None:
        """Say nothing of each request."""


@contextlib.contextmanager
def calendar_server(folder: Path, users: Collection[str]) -> Iterator[CalendarServer]:
    """Radicale with these users, whose collections lie in ``folder``."""
    logging.getLogger("radicale").setLevel(logging.CRITICAL)
    folder.mkdir(parents=True)
    password = secrets.token_urlsafe(12)
    accounts = folder / "users"
    accounts.write_text("".join(f"{user}:{password}\n" for user in users), encoding="utf-8")
    configuration = radicale.config.load()
    configuration.update(
        {
            "auth": {
                "type": "htpasswd",
                "htpasswd_filename": str(accounts),
                "htpasswd_encryption": "plain",
                "delay": "0",
            },
            "storage": {"filesystem_folder": str(folder), "_filesystem_fsync": "False"},
        },
        "the demo",
        privileged=True,
    )
    with _Server((LOOPBACK, 0), _Handler) as server:
        server.set_app(radicale.app.Application(configuration))
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), name="calendars", daemon=True)
        thread.start()
        try:
            yield CalendarServer(f"http://{LOOPBACK}:{server.server_port}/", password)
        finally:
            server.shutdown()
            thread.join()


@dataclass
class Sink:
    """A mail server that delivers nothing: every message becomes a file in ``folder``.

    Without slots: aiosmtpd looks at every member, which fails on a slotted dataclass before Python 3.11.3.
    """

    folder: Path
    port: int = 0
    taken: list[tuple[Path, bytes]] = field(default_factory=list)

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's name
        """Keep one message (RFC 5321 section 4.1.1.4)."""
        content = envelope.original_content or b""
        path = self.folder / f"{len(self.taken) + 1}-{','.join(envelope.rcpt_tos)}.eml"
        path.write_bytes(content)
        self.taken.append((path, content))
        return "250 kept"


@contextlib.contextmanager
def mail_sink(folder: Path) -> Iterator[Sink]:
    """The sink, listening."""
    logging.getLogger("mail.log").setLevel(logging.CRITICAL)
    folder.mkdir(parents=True, exist_ok=True)
    sink = Sink(folder)
    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(
        loop.create_server(lambda: SMTP(sink, hostname="sink.va.example", loop=loop), LOOPBACK, 0)
    )
    sink.port = int(server.sockets[0].getsockname()[1])
    thread = threading.Thread(target=loop.run_forever, name="mail sink", daemon=True)
    thread.start()
    try:
        yield sink
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        server.close()
        loop.run_until_complete(_end_all())
        loop.close()


async def _end_all() -> None:
    """Break off whatever conversation is still open."""
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
