"""Many accounts at once: memory, freshness, and a slow server that delays nobody but itself.

The installed program runs as it is, with its real threads and clock, against a server in another process.
Time is made dense, not simulated: an hour of intervals of five minutes is played in three minutes, in
intervals of fifteen seconds. Every poll, change and mail of that hour happens, twenty times as close together
as it would.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
import statistics
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.support import prefork
from tests.support.house import COMMAND, oracle
from tests.trust.conftest import Trial

MOST_MEMORY = 300 * 1024
"""KiB that the daemon may hold at its highest."""

INTERVALS = 12
"""In an hour, at five minutes each; small, two do."""

RULES = """\
version: 1
guard: {max_per_run: 1000, max_per_hour: 10000}
rules:
  - name: confirm
    when: unconfirmed
    then:
      - {step: ask, do: confirm, at: 7d before start}
"""


@dataclass
class Load:
    """A daemon at work, and what it knows of the changes that were made."""

    url: str
    state: Path
    pid: int
    alive: Callable[[], bool]
    pending: dict[str, tuple[str, str, float]] = field(default_factory=dict)
    ages: list[tuple[str, float]] = field(default_factory=list)

    def post(self, what: str) -> Any:
        """Tell the server something."""
        with urllib.request.urlopen(
            urllib.request.Request(f"{self.url}{what}", method="POST"), timeout=30
        ) as told:
            return json.load(told)

    def change(self, count: int) -> None:
        """Change so many events now."""
        now = time.monotonic()
        for user, path, etag in self.post(f"_change?n={count}"):
            self.pending[path] = (user, etag, self.pending[path][2] if path in self.pending else now)

    def look(self) -> None:
        """Which of the changes the store knows by now."""
        if not self.pending:
            return
        marks = ",".join("?" * len(self.pending))
        with contextlib.closing(sqlite3.connect(f"file:{self.state}?mode=ro", uri=True)) as conn:
            rows = conn.execute(
                f"SELECT href, etag FROM resources WHERE href IN ({marks})",
                list(self.pending),
            ).fetchall()
        now = time.monotonic()
        for href, etag in rows:
            user, wanted, since = self.pending[href]
            if etag == wanted:
                del self.pending[href]
                self.ages.append((user, now - since))

    def known(self) -> int:
        """How many events the store holds."""
        with contextlib.closing(sqlite3.connect(f"file:{self.state}?mode=ro", uri=True)) as conn:
            return int(conn.execute("SELECT count(*) FROM resources").fetchone()[0])

    def memory(self, name: str) -> int:
        """What the daemon holds (VmRSS) or held at its highest (VmHWM), in KiB."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith(name):
                return int(line.split()[1])
        raise KeyError(name)

    def cpu(self) -> float:
        """Seconds of the processor that the daemon took so far."""
        words = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(words[11]) + int(words[12])) / 100

    def hour(self, changes: int, interval: float, intervals: int = INTERVALS) -> list[tuple[str, float]]:
        """Play an hour's changes evenly, and wait until all are known; whose each was, and its age then."""
        self.ages, length = [], intervals * interval
        began, made = time.monotonic(), 0
        while time.monotonic() < began + length:
            due = int(changes * (time.monotonic() - began) / length) - made
            if due:
                self.change(due)
                made += due
            self.look()
            time.sleep(interval / 50)
        self.change(changes - made)
        self.wait(lambda: self.look() or len(self.pending) <= 0, 20 * interval + 30)
        return self.ages

    def wait(self, condition: Callable[[], bool], patience: float) -> None:
        """Until something is so."""
        until = time.monotonic() + patience
        while not condition():
            assert self.alive(), "the daemon ended"
            assert time.monotonic() < until, "it never came to that"
            time.sleep(0.05)


@contextlib.contextmanager
def load(folder: Path, accounts: int, events: int, interval: float, *, installed: bool) -> Iterator[Load]:
    """A server with so much in it, and the daemon that watches all of it."""
    port_file = folder / "port"
    server = prefork.start("tests.support.busy_dav", [str(port_file), str(accounts), str(events)])
    try:
        until = time.monotonic() + 30
        while not port_file.exists():
            assert time.monotonic() < until
            time.sleep(0.02)
        url = f"http://127.0.0.1:{port_file.read_text()}/"
        with oracle(folder / "sink.jsonl") as port:
            listed = "".join(
                f"  a{number}:\n    poll_every: {round(interval)}s\n"
                f"    caldav: {{url: '{url}u{number}/', username: u{number}, password: {{env: SECRET}}}}\n"
                for number in range(accounts)
            )
            (folder / "rules.yaml").write_text(RULES)
            (folder / "config.yaml").write_text(
                "version: 1\nme: {name: Dana Reyes, addresses: [dana@va.example], time_zone: Europe/Lisbon}\n"
                f"accounts:\n{listed}mail:\n  from: Dana Reyes <dana@va.example>\n"
                f"  smtp: {{host: 127.0.0.1, port: {port}, security: none}}\n"
            )
            words = ["--config", str(folder / "config.yaml"), "-q", "run"]
            environment = {"SECRET": "x", "NO_COLOR": "1", "PATH": "/usr/bin:/bin"}
            if installed:
                log = (folder / "log").open("wb")
                process = subprocess.Popen([str(COMMAND), *words], env=environment, stdout=log, stderr=log)
                alive: Callable[[], bool] = lambda: process.poll() is None  # noqa: E731 - beside its other half
                stop: Any = process
            else:
                log = contextlib.nullcontext()  # type: ignore[assignment]
                forked = prefork.start("daemon", words, environment=environment, stderr=str(folder / "log"))
                alive, stop = forked.is_alive, forked
            try:
                yield Load(url=url, state=folder / "state.db", pid=stop.pid, alive=alive)
            finally:
                stop.kill()
                (stop.wait if installed else stop.join)()
                with log:
                    pass
    finally:
        server.kill()
        server.join()


def _p95(ages: list[tuple[str, float]], without: str = "") -> float:
    """Of the ages, those of one account left out."""
    return statistics.quantiles([age for user, age in ages if user != without], n=20)[-1]


@pytest.mark.promise("P2, P4", "an hour of many accounts, made dense; then another with one slow server")
def test_many_accounts_stay_fresh_in_little_memory(tmp_path: Path, trial: Trial) -> None:
    """Memory stays small, news arrive within an interval, and a slow server delays no other account."""
    accounts, events, changes = trial.size(6, 50), trial.size(100, 2000), trial.size(60, 1000)
    interval = 15.0 if trial.full else 1.0
    with load(tmp_path, accounts, events, interval, installed=trial.full) as at:
        began = time.monotonic()
        at.wait(lambda: at.state.exists() and at.state.stat().st_size > 0, 60)
        at.wait(lambda: _counted(at) == accounts * events, 600)
        first, first_cpu = time.monotonic() - began, at.cpu()
        plain = at.hour(changes, interval, trial.size(2, INTERVALS))
        hour_cpu = at.cpu() - first_cpu
        at.post(f"_slow?user=u0&seconds={interval / 10}")
        slowed = at.hour(changes, interval, trial.size(2, INTERVALS))
        peak, now = at.memory("VmHWM"), at.memory("VmRSS")
    fresh, beside = _p95(plain, "u0"), _p95(slowed, "u0")
    assert peak <= MOST_MEMORY, f"{peak // 1024} MiB"
    if trial.full:
        assert _p95(plain) <= interval, f"{_p95(plain):.2f} s"
    # Sixty changes on a busy machine say little, but enough to see one account wait for another.
    assert beside <= fresh * (1.10 if trial.full else 2), f"{fresh:.2f} s became {beside:.2f} s"
    trial.saw(
        f"{accounts} accounts x {events} events, {changes} changes",
        f"{peak // 1024} MiB at most ({now // 1024} at the end), first read {first:.0f} s "
        f"({first_cpu:.0f} s CPU), "
        f"{hour_cpu:.0f} s CPU for the hour, p95 {fresh / interval:.2f} of an interval, "
        f"{beside / fresh - 1:+.0%} beside a slow server",
    )


def _counted(at: Load) -> int:
    try:
        return at.known()
    except sqlite3.OperationalError:
        return 0  # its tables are being made
