"""Who holds a delivery, for how long, and whether they are still alive."""

from __future__ import annotations

import os
import socket
from datetime import datetime, timedelta

LEASE = timedelta(minutes=5)
"""How long a claim holds. Longer than the longest deadline of a mailer for one message."""


def holder(started: datetime) -> str:
    """The name under which this process takes leases: ``host:pid:since``."""
    return f"{socket.gethostname()}:{os.getpid()}:{started.isoformat()}"


def has_ended(until: datetime | None, now: datetime) -> bool:
    """Whether a lease is over, or was given before the clock was set back by more than a lease."""
    return until is None or until <= now or until > now + LEASE


def is_dead(who: str) -> bool:
    """Whether a holder ran on this host and is gone, or had this process's own number before it."""
    host, _, rest = who.partition(":")
    pid = rest.partition(":")[0]
    if host != socket.gethostname() or not pid.isdecimal():
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
