"""A Radicale full of events on loopback, and the two clients that read it: ours and vdirsyncer."""

from __future__ import annotations

import contextlib
import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path

import requests

from benchmarks.events import objects
from benchmarks.measure import Cost, child
from benchmarks.resident import Resident
from connectors.caldav_xml import sync_collection
from daemon.clock import SystemClock
from tests.support.servers import Server, radicale_server

_CONFIG = """\
version: 1
me: {{name: Dana Reyes, addresses: [dana@va.example], time_zone: Europe/Lisbon}}
accounts:
  own:
    caldav: {{url: '{url}', username: {user}, password: {{env: DAV_PASSWORD}}}}
    poll_every: {every}
mail:
  from: Dana Reyes <dana@va.example>
  smtp: {{host: 127.0.0.1, port: 9, security: none}}
"""
_RULES = """\
version: 1
rules:
  - name: confirm
    when: unconfirmed
    mode: observe
    then:
      - {step: ask, do: confirm, at: 48h before start, until: 2h before start}
  - name: clash
    when: {conflict: {keep: [earliest_created]}}
    mode: observe
    then:
      - {step: move, do: reschedule, at: 7d before start, until: 3h before start}
"""
_VDIRSYNCER = """\
[general]
status_path = "{folder}/status/"

[pair bench]
a = "remote"
b = "local"
collections = ["from a"]

[storage remote]
type = "caldav"
url = "{url}"
username = "{user}"
password = "{password}"

[storage local]
type = "filesystem"
path = "{folder}/events/"
fileext = ".ics"
"""


@dataclass(frozen=True)
class Household:
    """The server and where its files lie; ``calendars`` are the names of its collections."""

    server: Server
    folder: Path
    calendars: tuple[str, ...]
    each: int

    @property
    def events(self) -> int:
        """How many there are in all."""
        return len(self.calendars) * self.each

    def ours(self, folder: Path, *, url: str = "", every: str = "1d") -> Path:
        """Write a configuration of ours into ``folder``; its path."""
        config = folder / "config.yaml"
        config.write_text(_CONFIG.format(url=url or self.server.url, user=self.server.user, every=every))
        (folder / "rules.yaml").write_text(_RULES)
        return config

    def rebookd(self, folder: Path, *words: str) -> Cost:
        """Run the installed command on the configuration in ``folder``."""
        command = Path(sys.executable).with_name("rebookd")
        config = str(folder / "config.yaml")
        return child([str(command), "--config", config, *words], folder=folder, env=self.environment)

    def poll_once(self, folder: Path) -> Cost:
        """Poll the configuration in ``folder`` in a process of its own, as ``rebookd run --once`` begins."""
        command = [sys.executable, "-m", "benchmarks.poll_once", str(folder / "config.yaml")]
        return child(command, folder=folder, env=self.environment)

    def resident(self, config: Path) -> Resident:
        """Ours as a process that stays."""
        return Resident(config, self.environment)

    def vdirsyncer(self, folder: Path, *, url: str = "") -> Vdirsyncer:
        """Theirs, not yet run, with its files in ``folder``."""
        text = _VDIRSYNCER.format(
            folder=folder, url=url or self.server.url, user=self.server.user, password=self.server.password
        )
        (folder / "vdirsyncer.conf").write_text(text)
        return Vdirsyncer(folder)

    def change(self, number: int) -> None:
        """Give ``number`` events, spread over the calendars, another title, each by a PUT."""
        for count in range(number):
            name = self.calendars[count % len(self.calendars)]
            files = sorted(self._collection(name).glob("*.ics"))
            file = files[count // len(self.calendars) * 7 % len(files)]
            text = re.sub(r"(?m)^(SUMMARY[^:]*:)", r"\1Moved: ", file.read_bytes().decode())
            self.server.request(
                "PUT", f"/{self.server.user}/{name}/{file.name}", text, **{"Content-Type": "text/calendar"}
            )

    @property
    def environment(self) -> dict[str, str]:
        """What a client of ours needs to sign in."""
        kept = {
            name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "LANG", "TMPDIR"}
        }
        return {**kept, "DAV_PASSWORD": self.server.password, "PYTHONPATH": str(Path(__file__).parents[1])}

    def _collection(self, name: str) -> Path:
        return self.folder / "radicale/collections/collection-root" / self.server.user / name


@dataclass(frozen=True)
class Vdirsyncer:
    """vdirsyncer with its local folder; every call is one process from start to end."""

    folder: Path

    def discover(self) -> Cost:
        """Find the calendars, and say yes to making a folder for each."""
        return self._run("discover", answers="y\n" * 100)

    def sync(self) -> Cost:
        """Bring the folder up to date."""
        return self._run("sync")

    def first_sync(self) -> Cost:
        """Both, from nothing."""
        found, synced = self.discover(), self.sync()
        return Cost(wall=found.wall + synced.wall, cpu=found.cpu + synced.cpu)

    def count(self) -> int:
        """How many events it holds."""
        return sum(1 for _ in (self.folder / "events").rglob("*.ics"))

    def _run(self, word: str, answers: str = "") -> Cost:
        command = Path(sys.executable).with_name("vdirsyncer")
        config = str(self.folder / "vdirsyncer.conf")
        return child([str(command), "-v", "WARNING", "-c", config, word], folder=self.folder, answers=answers)


@contextlib.contextmanager
def household(folder: Path, calendars: int, each: int) -> Iterator[Household]:
    """Fill the server's folders directly, and let it read them once, so that its cache favours nobody."""
    names = tuple(f"calendar-{number}" for number in range(calendars))
    today = SystemClock().now().astimezone(UTC)
    with radicale_server(folder, calendars=names) as server:
        made = Household(server, folder, names, each)
        for number, name in enumerate(names):
            collection = made._collection(name)  # noqa: SLF001 - its own factory
            for uid, text in objects(each, today, seed=number + 1):
                (collection / f"{uid}.ics").write_bytes(text.encode())
        for name in names:
            _warm(server, f"{server.url}{server.user}/{name}/")
        yield made


def _warm(server: Server, url: str) -> None:
    """Have the whole collection listed: Radicale parses what it has not seen, for minutes."""
    answer = requests.request(
        "REPORT", url, data=sync_collection(""), auth=(server.user, server.password), timeout=600
    )
    answer.raise_for_status()
