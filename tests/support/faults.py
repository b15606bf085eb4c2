"""Ways to go wrong that every service on the wire has in common, for the ``fail`` of its fake."""

from __future__ import annotations

import gzip
import struct
import threading
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase

from tests.support.wire import Answer, Request

LOGIN_PAGE = (
    b"<!doctype html><html><head><title>Sign in</title></head><body>Sign in to continue</body></html>"
)
_MIB = 1024 * 1024


@dataclass(frozen=True)
class Effect:
    """What a fault does: ``refuse`` instead of the work, or ``spoil`` its answer after the work was done."""

    refuse: Callable[[Request, datetime], Answer | Exception] | None = None
    spoil: Callable[[Request, Answer], Answer] | None = None
    prepare: Callable[[Request], None] | None = None


@dataclass
class Fault:
    """An effect with when it strikes: route (wildcards allowed), how often, after how many, on which page."""

    route: str
    effect: Effect
    times: int | None = 1
    after: int = 0
    page: int | None = None
    when: Callable[[Request], bool] | None = None
    struck: int = 0

    def strikes(self, request: Request) -> bool:
        """Whether it hits this request; counts."""
        if not fnmatchcase(request.route, self.route):
            return False
        if self.page is not None and request.page != self.page:
            return False
        if self.when is not None and not self.when(request):
            return False
        if self.after > 0:
            self.after -= 1
            return False
        if self.times is not None and self.struck >= self.times:
            return False
        self.struck += 1
        return True


def html(status: int = 200, body: bytes = LOGIN_PAGE) -> Effect:
    """A page for people where a program asked."""
    headers = {"Content-Type": "text/html; charset=UTF-8"}
    return Effect(refuse=lambda request, now: Answer(status, body, headers))


def answer(status: int, body: bytes = b"", headers: dict[str, str] | None = None) -> Effect:
    """Anything at all, word for word."""
    return Effect(refuse=lambda request, now: Answer(status, body, headers or {}))


def redirect(to: str, status: int = 302) -> Effect:
    """A Location elsewhere."""
    return answer(status, b"", {"Location": to})


def truncated() -> Effect:
    """The work is done; half of the JSON comes back as if it were whole."""

    def spoil(request: Request, whole: Answer) -> Answer:
        return Answer(whole.status, whole.body[: len(whole.body) // 2], whole.headers)

    return Effect(spoil=spoil)


def cut_off() -> Effect:
    """The work is done; the connection closes after half of the promised body."""

    def spoil(request: Request, whole: Answer) -> Answer:
        half = whole.body[: len(whole.body) // 2]
        return Answer(whole.status, half, whole.headers, promised=len(whole.body))

    return Effect(spoil=spoil)


def dropped(*, kept: bool) -> Effect:
    """The connection closes without an answer, after the work was done or before."""
    if kept:
        return Effect(spoil=lambda request, whole: Answer(0, dropped=True))
    return Effect(refuse=lambda request, now: Answer(0, dropped=True))


def gzip_bomb(mebibytes: int = 256) -> Effect:
    """A small gzip that becomes that many MiB of spaces, and is well formed."""

    def refuse(request: Request, now: datetime) -> Answer:
        headers = {"Content-Type": "application/json; charset=UTF-8", "Content-Encoding": "gzip"}
        return Answer(200, _bomb(mebibytes), headers, coded=True)

    return Effect(refuse=refuse)


def _bomb(mebibytes: int) -> bytes:
    block = b" " * _MIB
    squeezer = zlib.compressobj(9, zlib.DEFLATED, -15)
    piece = squeezer.compress(block) + squeezer.flush(zlib.Z_FULL_FLUSH)
    crc = 0
    for _ in range(mebibytes):
        crc = zlib.crc32(block, crc)
    head = gzip.compress(b"", mtime=0)[:10]
    size = mebibytes * _MIB % 2**32
    return head + piece * mebibytes + squeezer.flush(zlib.Z_FINISH) + struct.pack("<II", crc, size)


def slow(pause: float = 0.1, *, pieces: int | None = None, stop: threading.Event | None = None) -> Effect:
    """The true answer with a space every ``pause`` seconds before it, ``pieces`` of them or for ever."""
    halt = stop or threading.Event()

    def spoil(request: Request, whole: Answer) -> Answer:
        def drip() -> Iterator[bytes]:
            given = 0
            while pieces is None or given < pieces:
                yield b" "
                given += 1
                if halt.wait(pause):
                    return
            yield whole.body

        return Answer(whole.status, b"", whole.headers, chunks=drip())

    return Effect(spoil=spoil)


def endless() -> Effect:
    """A body without end."""

    def refuse(request: Request, now: datetime) -> Answer:
        def flood() -> Iterator[bytes]:
            while True:
                yield b" " * 65536

        return Answer(200, b"", {"Content-Type": "application/json; charset=UTF-8"}, chunks=flood())

    return Effect(refuse=refuse)


def held(until: threading.Event) -> Effect:
    """The true answer, whose body comes when the event is set."""

    def spoil(request: Request, whole: Answer) -> Answer:
        def wait() -> Iterator[bytes]:
            until.wait()
            yield whole.body

        return Answer(whole.status, b"", whole.headers, chunks=wait())

    return Effect(spoil=spoil)
