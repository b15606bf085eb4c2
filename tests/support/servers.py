"""Real CalDAV servers on loopback, in throw-away directories."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import requests

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
def _running(command: list[str], port: int, directory: Path) -> Iterator[None]:
    log = (directory / "server.log").open("wb")
    process = subprocess.Popen(
        command, stdout=log, stderr=subprocess.STDOUT, cwd=directory, env={**os.environ, "PYTHONWARNINGS": ""}
    )
    try:
        deadline = time.monotonic() + _START_SECONDS
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError((directory / "server.log").read_text())
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        log.close()


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
    command = [sys.executable, "-m", "radicale", "--config", str(directory / "config")]
    with _running(command, port, directory):
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
    command = [sys.executable, "-m", "xandikos", "serve", "-d", str(directory / "data"), "-l", "127.0.0.1"]
    command += ["-p", str(port), "--autocreate", "--current-user-principal", f"/{server.user}/"]
    with _running(command, port, directory):
        for name in calendars:
            server.make_calendar(f"/{server.user}/calendars/{name}/", name.title())
        yield server
