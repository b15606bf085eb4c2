"""Who holds a delivery, for how long, and whether they are still alive."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path

LEASE = timedelta(minutes=5)
"""How long a claim holds. Longer than the longest deadline of a mailer for one message."""

_PLACE = ("/proc/sys/kernel/random/boot_id", "/proc/self/ns/pid")


def holder(started: datetime) -> str:
    """The name under which this process takes leases: ``place:pid:since``."""
    return f"{place()}:{os.getpid()}:{started.isoformat()}"


@cache
def place() -> str:
    """Where numbers of processes mean the same: a host since it was started, or a container on it.

    Containers may bear the same host name, and each counts its processes from 1.
    """
    return "/".join((socket.gethostname().replace(":", "-"), *(map(_told, _PLACE))))


def _told(file: str) -> str:
    with suppress(OSError):
        path = Path(file)
        return str(path.readlink() if path.is_symlink() else path.read_text()).strip("pid:[]\n")
    return ""


def has_ended(until: datetime | None, now: datetime) -> bool:
    """Whether a lease is over, or was given before the clock was set back by more than a lease."""
    return until is None or until <= now or until > now + LEASE


def is_dead(who: str) -> bool:
    """Whether a holder ran at this place and is gone, or had this process's own number before it."""
    where, _, rest = who.partition(":")
    pid = rest.partition(":")[0]
    if where != place() or not pid.isdecimal():
        return False
    if int(pid) == os.getpid():
        return True
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False
