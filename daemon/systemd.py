"""Telling systemd how we are (sd_notify(3)), without a library."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping


class Notifier:
    """Sends state lines to ``$NOTIFY_SOCKET``; does nothing outside systemd."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        self._address = environ.get("NOTIFY_SOCKET", "")
        pid = environ.get("WATCHDOG_PID", str(os.getpid()))
        microseconds = environ.get("WATCHDOG_USEC", "0")
        self._watchdog = (
            int(microseconds) / 1e6 if pid == str(os.getpid()) and microseconds.isdigit() else 0.0
        )

    @property
    def watchdog_every(self) -> float:
        """Seconds between two signs of life, half of what systemd allows; 0 where it asks for none."""
        return self._watchdog / 2

    def ready(self, status: str) -> None:
        """The daemon is up, or up again after a reload."""
        self._send(f"READY=1\nSTATUS={_line(status)}")

    def reloading(self) -> None:
        """A reload began (``Type=notify-reload`` wants the monotonic time with it)."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """The daemon is going down."""
        self._send("STOPPING=1")

    def status(self, text: str) -> None:
        """One line for ``systemctl status``."""
        self._send(f"STATUS={_line(text)}")

    def alive(self) -> None:
        """A sign of life for the watchdog."""
        self._send("WATCHDOG=1")

    def _send(self, message: str) -> None:
        if not self._address:
            return
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
            try:
                sock.connect(address)
                sock.sendall(message.encode())
            except OSError:
                return  # systemd is not listening; nothing depends on it


def _line(text: str) -> str:
    return " ".join(text.split())
