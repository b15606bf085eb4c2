"""An agency on loopback: many owners on one PostgreSQL, and workers as processes of their own."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import psycopg

from tests.support import prefork
from tests.support.house import RULES, oracle
from tests.support.postgresql import Server
from tests.support.verdict import QUERY, Row

CONFIG = """\
version: 1
me: {{name: Dana Reyes, addresses: [dana@va.example], time_zone: Europe/Lisbon}}
state: {state}
rules: ../rules.yaml
accounts:
  own:
    poll_every: {poll_every}
    caldav: {{url: '{url}{user}/', username: {user}, password: {{env: SECRET}}}}
mail:
  from: Dana Reyes <dana@va.example>
  smtp: {{host: 127.0.0.1, port: {port}, security: none}}
"""


@dataclass
class Agency:
    """A folder with a configuration per owner, their calendars, and the workers that were started."""

    folder: Path
    server: Server
    database: str
    log: Path
    wanted: set[tuple[str, str]]
    workers: list[ForkServerProcess] = field(default_factory=list)
    passed: float = 0.0

    def later(self, seconds: float) -> None:
        """Let so much time pass on the workers' clock."""
        self.passed += seconds
        aside = self.folder / "clock.new"
        aside.write_text(str(self.passed))
        aside.replace(self.folder / "clock")

    def begin(self, owners: str = "owners", **environment: str) -> ForkServerProcess:
        """Start a worker for the owners in a folder; what it says is added to the file ``said``."""
        said = str(self.folder / "said")
        process = prefork.start(
            "tests.support.own_time",
            ["--config", str(self.folder / owners), "-q", "run", "--worker"],
            environment={
                "SECRET": "x",
                "NO_COLOR": "1",
                "PATH": "/usr/bin:/bin",
                "OWN_TIME": str(self.folder / "clock"),
                "OWN_TIME_HURRY": "1",
                **environment,
            },
            stdout=said,
            stderr=said,
        )
        self.workers.append(process)
        return process

    def said(self) -> str:
        """Everything the workers logged."""
        path = self.folder / "said"
        return path.read_text() if path.exists() else ""

    def arrived(self) -> int:
        """How many messages the sink took."""
        return self.log.read_bytes().count(b"\n") if self.log.exists() else 0

    def rows(self) -> list[Row]:
        """The outbox of everybody."""
        with self.server.connect(self.database) as conn:
            return [Row(*values) for values in conn.execute(QUERY.encode()).fetchall()]

    def count(self, states: frozenset[str]) -> int:
        """How many messages are in one of these states; none where there is no outbox yet."""
        with self.server.connect(self.database) as conn:
            try:
                query = "SELECT count(*) FROM deliveries WHERE state = ANY(%s)"
                found = conn.execute(query, [[str(state) for state in states]]).fetchone()
            except psycopg.errors.UndefinedTable:
                return 0
            return int(found[0]) if found else 0

    def wait(self, condition: Callable[[], bool], seconds: float) -> None:
        """Until something is so, while every worker lives."""
        until = time.monotonic() + seconds
        while not condition():
            assert all(one.is_alive() for one in self.workers), f"a worker ended: {self.said()[-2000:]}"
            assert time.monotonic() < until, f"it never came to that: {self.said()[-2000:]}"
            time.sleep(0.05)

    def kill(self, process: ForkServerProcess) -> None:
        """End a worker as if its machine had failed."""
        process.kill()
        process.join()
        self.workers.remove(process)

    def end(self) -> list[int | None]:
        """Stop all workers as their service would; how each ended."""
        for one in self.workers:
            one.terminate()
        for one in self.workers:
            one.join(20)
        codes = [one.exitcode for one in self.workers]
        self.workers = [one for one in self.workers if one.exitcode is None]
        return codes


@contextlib.contextmanager
def agency(
    folder: Path,
    server: Server,
    *,
    owners: int,
    meetings: int,
    slow: float = 0.0,
    poll_every: str = "5m",
    rules: str = RULES,
) -> Iterator[Agency]:
    """So many owners with so many meetings each, all of which ask for a mail now; nobody at work yet."""
    port_file = folder / "port"
    words = [str(port_file), str(owners), str(meetings), "30", "120"]
    dav = prefork.start("tests.support.busy_dav", words)
    database, log = server.database(), folder / "sink.jsonl"
    users = [f"u{number}" for number in range(owners)]
    wanted = {
        (f"{user}-{number}", f"guest-{user}-{number}@acme.example")
        for user in users
        for number in range(meetings)
    }
    found = Agency(folder, server, database, log, wanted)
    try:
        until = time.monotonic() + 30
        while not port_file.exists():
            assert time.monotonic() < until, "the calendar server does not start"
            time.sleep(0.02)
        url = f"http://127.0.0.1:{port_file.read_text()}/"
        with oracle(log, {"slow": slow, "seed": 1}) as port:
            (folder / "owners").mkdir()
            (folder / "owners" / "rules.yaml").write_text(rules)
            for user in users:
                place = folder / "owners" / user
                place.mkdir()
                (place / "config.yaml").write_text(
                    CONFIG.format(
                        state=server.url(database), url=url, user=user, port=port, poll_every=poll_every
                    )
                )
            found.later(0)
            try:
                yield found
            finally:
                for one in list(found.workers):
                    found.kill(one)
    finally:
        dav.kill()
        dav.join()
