"""The real daemon, on a clock that a test moves, and stopped where a test wants it stopped.

``python -m tests.support.own_time …`` is ``python -m daemon …``. Its clock is off by the seconds in the file
OWN_TIME; so is PostgreSQL's, or by those in OWN_TIME_THEIRS. Where OWN_TIME_STOP names a place, the first
process that comes there stops itself as SIGSTOP does, and leaves its number in the file OWN_TIME_STOPPED.
Where OWN_TIME_HELD names a part of a round, it stops itself before that part, lets anybody trace it, and
exits before the next. Where OWN_TIME_HURRY is set, a worker looks, at the clock too, and gives up on others
each second.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import runpy
import signal
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from connectors.smtp_wire import Deadline, Wire
from daemon.clock import SystemClock
from daemon.office import Office
from daemon.store import postgresql

PARTS = ("start", "poll_all", "decide", "send")
"""The parts of a round, as its office calls them; the first begins with the process."""

BEFORE_COMMIT, BEFORE_DOT, AFTER_DOT = "before the commit", "before the dot", "after the dot"
DOT = b".\r\n"

_PR_SET_PTRACER, _ANYBODY = 0x59616D61, ctypes.c_ulong(-1)


def _shift(file: Path) -> None:
    def now(_: SystemClock) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=float(file.read_text()))

    patched: Any = SystemClock
    patched.now = now
    there, patched = postgresql.clock_of, postgresql
    theirs = Path(os.environ.get("OWN_TIME_THEIRS", file))
    patched.clock_of = lambda conn: there(conn) + timedelta(seconds=float(theirs.read_text()))


def _stop(marker: Path) -> None:
    """Stop, unless another one was here before."""
    with contextlib.suppress(FileExistsError):
        descriptor = os.open(marker, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        os.write(descriptor, f"{os.getpid()}\n".encode())
        os.close(descriptor)
        signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)  # at once, not when another thread sees it


def _stop_at(place: str, marker: Path) -> None:
    spoken, send = Wire.has_spoken, Wire.send

    def has_spoken(self: Wire) -> bool:
        said = spoken(self)  # the last that is done before the commit
        if place == BEFORE_COMMIT:
            _stop(marker)
        return said

    def sending(self: Wire, data: bytes, deadline: Deadline) -> None:
        if data == DOT and place == BEFORE_DOT:
            _stop(marker)
        send(self, data, deadline)
        if data == DOT and place == AFTER_DOT:
            _stop(marker)

    patched: Any = Wire
    patched.has_spoken, patched.send = has_spoken, sending


def _hold() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PTRACER, _ANYBODY, 0, 0, 0)  # where Yama would not have it otherwise
    signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)


def _hold_at(part: str) -> None:
    """Stop before ``part``, and leave as if killed before the next."""
    if part == PARTS[0]:
        _hold()
    else:
        _before(part, _hold)
    following = PARTS[PARTS.index(part) + 1 :]
    if following:
        _before(following[0], lambda: os._exit(0))


def _before(part: str, act: Callable[[], None]) -> None:
    usual = getattr(Office, part)

    def then(self: Office, *args: Any) -> Any:
        act()
        return usual(self, *args)

    setattr(Office, part, then)


def _hurry() -> None:
    from daemon import loop  # most tests do without
    from daemon.cluster import worker

    patched: Any = worker
    patched.TICK, patched.HEARTBEAT, patched.GONE = "* * * * * *", 0.5, 2.0
    patched = loop
    patched.HOLD_EVERY = 1


if __name__ == "__main__":
    if "OWN_TIME_HURRY" in os.environ:
        _hurry()
    if "OWN_TIME_HELD" in os.environ:
        _hold_at(os.environ["OWN_TIME_HELD"])
    _shift(Path(os.environ["OWN_TIME"]))
    if "OWN_TIME_STOP" in os.environ:
        _stop_at(os.environ["OWN_TIME_STOP"], Path(os.environ["OWN_TIME_STOPPED"]))
    runpy.run_module("daemon", run_name="__main__", alter_sys=True)
