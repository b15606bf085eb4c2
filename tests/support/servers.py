"""Real CalDAV servers on loopback, in throw-away directories."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import requests

from tests.support import prefork

_START_SECONDS = 30.0


@dataclass(frozen=True)
class Server:
    """A running server and a user on it."""

    url: str
    user: str = "dana"
    password: str = "correct horse"

    def request(self, method: str, path: str, body: str = "", **headers: str) -> requests.Response:
        """A plain request as the user, for what another program does to the calendar."""
        answer = requests.request(
            method,
            self.url.rstrip("/") + path,
            data=body.encode(),
            headers=headers,
            auth=(self.user, self.password),
            timeout=20,
        )
        answer.raise_for_status()
        return answer

    def make_calendar(self, path: str, name: str) -> None:
        """Create an event calendar."""
        body = (
            '<?xml version="1.0"?><c:mkcalendar xmlns:c="urn:ietf:params:xml:ns:caldav" xmlns:d="DAV:">'
            f"<d:set><d:prop><d:displayname>{name}</d:displayname>"
            '<c:supported-calendar-component-set><c:comp name="VEVENT"/></c:supported-calendar-component-set>'
            "</d:prop></d:set></c:mkcalendar>"
        )
        self.request("MKCALENDAR", path, body, **{"Content-Type": "application/xml"})


def free_port() -> int:
    """A port nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def _running(module: str, words: list[str], port: int, directory: Path) -> Iterator[None]:
    log = directory / "server.log"
    process = prefork.start(module, words, folder=directory, stdout=str(log), stderr=str(log))
    try:
        deadline = time.monotonic() + _START_SECONDS
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            if not process.is_alive() or time.monotonic() > deadline:
                raise RuntimeError(log.read_text())
            time.sleep(0.02)
        yield
    finally:
        process.terminate()
        process.join(10)
        process.kill()
        process.join()


@contextlib.contextmanager
def radicale_server(tmp_path: Path, *, calendars: tuple[str, ...] = ("work",)) -> Iterator[Server]:
    """Radicale with one user, password required, and these calendars."""
    port = free_port()
    directory = tmp_path / "radicale"
    directory.mkdir()
    server = Server(url=f"http://127.0.0.1:{port}/")
    (directory / "users").write_text(f"{server.user}:{server.password}\n")
    (directory / "config").write_text(
        f"[server]\nhosts = 127.0.0.1:{port}\n"
        f"[auth]\ntype = htpasswd\nhtpasswd_filename = {directory}/users\n"
        "htpasswd_encryption = plain\ndelay = 0\n"
        f"[storage]\nfilesystem_folder = {directory}/collections\n"
        "[logging]\nlevel = warning\n"
    )
    with _running("radicale", ["--config", str(directory / "config")], port, directory):
        for name in calendars:
            server.make_calendar(f"/{server.user}/{name}/", name.title())
        yield server


@contextlib.contextmanager
def xandikos_server(tmp_path: Path, *, calendars: tuple[str, ...] = ("work",)) -> Iterator[Server]:
    """Xandikos, which asks for no password, with these calendars."""
    port = free_port()
    directory = tmp_path / "xandikos"
    directory.mkdir()
    server = Server(url=f"http://127.0.0.1:{port}/")
    words = ["serve", "-d", str(directory / "data"), "-l", "127.0.0.1", "-p", str(port)]
    words += ["--autocreate", "--current-user-principal", f"/{server.user}/"]
    with _running("xandikos", words, port, directory):
        for name in calendars:
            server.make_calendar(f"/{server.user}/calendars/{name}/", name.title())
        yield server
