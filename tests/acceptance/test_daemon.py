"""The running daemon: what it tells systemd, how it reloads, stops, and refuses a twin."""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.house import RULES, House, house

PATIENCE = 30.0


class Life:
    """A running daemon and what it said to systemd."""

    def __init__(self, place: House, notify: Path, **more: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(notify))
        self.socket.settimeout(0.1)
        self.said = ""
        self.log = place.folder / "daemon.log"
        with self.log.open("wb") as stderr:
            self.process = subprocess.Popen(
                place.command("run"),
                env=place.environment(NOTIFY_SOCKET=str(notify), **more),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=stderr,
            )

    def hears(self, word: str) -> bool:
        """Whether systemd hears this within our patience."""
        return self.waits(lambda: word in self.said)

    def logs(self, word: str) -> bool:
        """Whether this appears in the log within our patience."""
        return self.waits(lambda: word in self.log.read_text())

    def waits(self, ready: object) -> bool:
        """Wait for something, listening all the while."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            with contextlib.suppress(TimeoutError):
                self.said += self.socket.recv(4096).decode() + "\n"
            if ready():  # type: ignore[operator]
                return True
        return False

    def stop(self) -> int:
        """Ask it to stop; its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(10)


@contextlib.contextmanager
def living(place: House, tmp_path: Path, **more: str) -> Iterator[Life]:
    """A daemon that is up."""
    life = Life(place, tmp_path / "notify", **more)
    try:
        assert life.hears("READY=1"), life.log.read_text()
        yield life
    finally:
        if life.process.poll() is None:
            life.process.kill()
            life.process.wait()
        life.socket.close()


def mailed(place: House, address: str) -> bool:
    """Whether the sink took a message to this address."""
    return any(address in one["recipients"] for one in place.taken())


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """One house for all of these."""
    with house(tmp_path_factory.mktemp("daemon"), poll_every="1s") as found:
        yield found


def test_it_polls_decides_and_sends_by_itself(place: House, tmp_path: Path) -> None:
    """A meeting put into the calendar while it runs is asked about; READY, STATUS, WATCHDOG, STOPPING."""
    with living(place, tmp_path, WATCHDOG_USEC="2000000") as life:
        assert life.hears("STATUS=")
        assert life.hears("WATCHDOG=1")
        place.put("fresh", 30, to="fresh@acme.example")
        assert life.waits(lambda: mailed(place, "fresh@acme.example"))
        assert life.stop() == 0
        with contextlib.suppress(TimeoutError):
            life.said += life.socket.recv(4096).decode()
        assert "STOPPING=1" in life.said
        assert '"level": "info"' in life.log.read_text(), "not on a terminal the log is JSON"


def test_a_second_daemon_is_refused(place: House, tmp_path: Path) -> None:
    """The lock names the pid of the first; also for one round."""
    with living(place, tmp_path) as life:
        second = place.run("run", "--once", check=False)
        assert second.returncode == 1
        assert str(life.process.pid) in second.stderr
        assert "Traceback" not in second.stderr
        assert life.stop() == 0


def test_a_broken_file_keeps_the_old_configuration(place: House, tmp_path: Path) -> None:
    """HOSTILE 31: SIGHUP with a mistake says file:line:column, and the old rules go on."""
    rules = place.folder / "rules.yaml"
    try:
        with living(place, tmp_path) as life:
            rules.write_text(RULES.replace("unconfirmed", "unconfirmd"))
            life.process.send_signal(signal.SIGHUP)
            assert life.hears("RELOADING=1")
            assert life.logs("rules.yaml:5:11: error: 'unconfirmd'")
            place.put("after-broken", 40, to="after@acme.example")
            assert life.waits(lambda: mailed(place, "after@acme.example"))
            rules.write_text(RULES.replace("at: 7d before start", "at: 8d before start"))
            place.put("eighth-day", 7.5 * 24, to="eighth@acme.example")
            life.process.send_signal(signal.SIGHUP)
            assert life.logs("configuration reloaded")
            assert life.waits(
                lambda: any("eighth@acme.example" in one["recipients"] for one in place.taken())
            )
            assert life.stop() == 0
    finally:
        rules.write_text(RULES)


def test_stopping_in_a_burst_leaves_nothing_half_done(place: House, tmp_path: Path) -> None:
    """HOSTILE 37: SIGTERM while sending; what had not left leaves next time, once."""
    for number in range(25):
        place.put(f"burst-{number}", 50 + number, to=f"burst{number}@acme.example")
    with living(place, tmp_path) as life:
        assert life.waits(lambda: any("burst" in one["recipients"][0] for one in place.taken()))
        assert life.stop() == 0
    rows = place.json("outbox", "list")
    assert isinstance(rows, list)
    assert not {row["state"] for row in rows} & {"claimed", "committing"}
    place.run("-q", "run", "--once")
    sent = [one["recipients"][0] for one in place.taken() if "burst" in one["recipients"][0]]
    assert sorted(sent) == sorted(f"burst{number}@acme.example" for number in range(25))
