"""Pages on the wire: a server in a thread of its own, which the daemon starts and stops."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import structlog
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

log = structlog.get_logger()

MOST_CONNECTIONS = 200
LONGEST_HEAD = 16 * 1024
KEEP_ALIVE = 5
LIFE = 60.0
"""Seconds after which a connection that says nothing more is closed, however slowly it speaks."""

FOR_ALL = 0o666
"""As open as a port of the loopback: the web server before the answer pages has a user of its own."""

AGAIN = 15.0
"""Seconds until a place that could not be had is tried again."""


class CannotListen(Exception):
    """A place cannot be listened at; the text says why, for the owner."""


class Bounded(H11Protocol):
    """HTTP/1.1 of which no connection outlives its use: one that only trickles is closed."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin, and look again in a while."""
        super().connection_made(transport)
        self._ends = self.loop.call_later(LIFE, self._end)

    def connection_lost(self, exc: Exception | None) -> None:
        """No need to look again."""
        self._ends.cancel()
        super().connection_lost(exc)

    def _end(self) -> None:
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()
        else:
            self._ends = self.loop.call_later(KEEP_ALIVE, self._end)


class Server:
    """Serves one application at one place until it is stopped.

    A place that cannot be had is told once in the log and tried again: the daemon works on without it.
    ``what`` is served, configured under ``block``; a Unix socket gets ``mode``.
    """

    def __init__(
        self,
        app: ASGIApp,
        listen: str,
        *,
        what: str = "answer pages",
        block: str = "answers",
        mode: int = FOR_ALL,
    ) -> None:
        self._app = app
        self._listen = listen
        self._what = what
        self._block = block
        self._mode = mode
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._server: uvicorn.Server | None = None
        self._thread = threading.Thread(target=self._run, name=what, daemon=True)

    @property
    def name(self) -> str:
        """The thread's name."""
        return self._thread.name

    def start(self) -> None:
        """Begin to serve, as soon as the place can be had."""
        self._thread.start()

    def stop(self) -> None:
        """Take no more visitors, and let those who are there finish."""
        self._stopping.set()
        with self._lock:
            if self._server is not None:
                self._server.should_exit = True

    def join(self, seconds: float) -> bool:
        """Wait until it has stopped; False when it did not in that time."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        said = ""
        while not self._stopping.is_set():
            try:
                with listening(self._listen, self._block, self._mode) as listener:
                    log.info(f"{self._what} are served", at=self._listen)  # noqa: G004 - one of two words
                    self._serve(listener)
                said = ""
            except CannotListen as error:
                if str(error) != said:
                    why = f"{error}; it is tried again every {AGAIN:g} seconds"
                    log.error(f"no {self._what} for now", problem=why)  # noqa: G004, TRY400
                said = str(error)
            except Exception:
                log.exception("a server failed, starting it anew", what=self._what)
            self._stopping.wait(AGAIN)

    def _serve(self, listener: socket.socket) -> None:
        config = uvicorn.Config(
            self._app,
            http=Bounded,
            ws="none",
            loop="asyncio",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            limit_concurrency=MOST_CONNECTIONS,
            timeout_keep_alive=KEEP_ALIVE,
            timeout_graceful_shutdown=5,
            h11_max_incomplete_event_size=LONGEST_HEAD,
        )
        server = uvicorn.Server(config)
        with self._lock:
            if self._stopping.is_set():
                return
            self._server = server
        server.run(sockets=[listener])


@contextlib.contextmanager
def listening(place: str, block: str = "answers", mode: int = FOR_ALL) -> Iterator[socket.socket]:
    """A socket that listens at ``ADDRESS:PORT`` or ``unix:PATH``. Raises :class:`CannotListen`.

    ``block`` of the configuration names the place; a Unix socket gets ``mode``.
    """
    if place.startswith("unix:"):
        path = Path(place.removeprefix("unix:"))
        made = _unix(path, block, mode)
        inode = path.stat().st_ino
        try:
            yield made
        finally:
            made.close()
            with contextlib.suppress(OSError):
                if path.stat().st_ino == inode:  # not that of whoever came after
                    path.unlink()
        return
    host, _, port = place.rpartition(":")
    host = host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        made = socket.create_server((host, int(port)), family=family, backlog=128)
    except OSError as error:
        raise CannotListen(_why(place, error, block)) from error
    with made:
        yield made


def _unix(path: Path, block: str, mode: int) -> socket.socket:
    """A socket file, in the place of one that nobody listens at any more."""
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    if path.exists() and not path.is_socket():
        made.close()
        raise CannotListen(f"{path} is there already and is no socket; name another path under listen:")
    try:
        if path.exists() and not _is_answered(path):
            path.unlink()
        made.bind(str(path))
        path.chmod(mode)
        made.listen(128)
    except OSError as error:
        made.close()
        raise CannotListen(_why(f"unix:{path}", error, block)) from error
    return made


def _is_answered(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        return probe.connect_ex(str(path)) == 0


def _why(place: str, error: OSError, block: str) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"another program listens at {place}; stop it, or name another place under {block}: listen:"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{place} is no address of this machine; correct {block}: listen:"
    if error.errno in {errno.EACCES, errno.EPERM}:
        return f"rebookd may not listen at {place}; name another place under {block}: listen:"
    if error.errno == errno.ENOENT:
        return f"the folder of {place} is not there; make it, or name another place under {block}: listen:"
    return f"{place} cannot be listened at: {error.strerror}"
