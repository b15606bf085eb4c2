"""A web server on loopback that is told things, and answers what a test tells it to."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass
class Hook:
    """A web server of one answer: it reads a whole request, says ``answer`` and hangs up.

    ``silent`` never answers.
    """

    answer: bytes = b"HTTP/1.1 204 No Content\r\n\r\n"
    silent: bool = False
    url: str = ""
    heard: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    def serve(self, client: socket.socket, stop: threading.Event) -> None:
        """One request."""
        data = b""
        while b"\r\n\r\n" not in data:
            data += _more(client)
        head, _, body = data.partition(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines[1:])}
        while len(body) < int(headers["content-length"]):
            body += _more(client)
        self.heard.append((headers, body))
        if self.silent:
            stop.wait(10)
        client.sendall(self.answer)


def _more(client: socket.socket) -> bytes:
    """The next bytes. Raises ConnectionError when the client has hung up."""
    data = client.recv(65536)
    if not data:
        raise ConnectionError
    return data


@contextlib.contextmanager
def serving(hook: Hook) -> Iterator[Hook]:
    """The server on a free port of the loopback."""
    listener = socket.create_server(("127.0.0.1", 0))
    hook.url = f"http://127.0.0.1:{listener.getsockname()[1]}/told?by=us"
    stop = threading.Event()

    def run() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            with client, contextlib.suppress(OSError):
                hook.serve(client, stop)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield hook
    finally:
        stop.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)
