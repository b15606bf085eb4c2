"""A whole rebookd on loopback: a real CalDAV server, a real sink, and the installed command."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from tests.support import prefork
from tests.support.servers import Server, radicale_server

COMMAND = Path(sys.executable).with_name("rebookd")
ORACLE = Path(__file__).with_name("oracle_smtp.py")

RULES = """\
version: 1
guard: {max_per_run: 10000, max_per_hour: 10000, first_sync: act}
rules:
  - name: confirm
    when: unconfirmed
    then:
      - {step: ask, do: confirm, at: 7d before start}
"""


@dataclass(frozen=True)
class House:
    """A folder with a configuration, a calendar server and the log of what the sink took.

    Commands in ``from_nothing`` start once as a shell starts them; else the same program is forked with its
    imports made.
    """

    folder: Path
    dav: Server
    log: Path
    from_nothing: set[str] = field(default_factory=set)

    def command(self, *words: str) -> list[str]:
        """A command line of the installed program."""
        return [str(COMMAND), "--config", str(self.folder / "config.yaml"), *words]

    def run(self, *words: str, check: bool = True, timeout: float = 60) -> subprocess.CompletedProcess[str]:
        """Run one command to its end."""
        if words[0] in self.from_nothing:
            self.from_nothing.remove(words[0])
            done = subprocess.run(
                self.command(*words),
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=timeout,
                check=False,
            )
        else:
            done = prefork.run("daemon", self.command(*words)[1:], self.environment(), timeout)
        if check:
            assert done.returncode == 0, done.stdout + done.stderr
        return done

    def environment(self, **more: str) -> dict[str, str]:
        """The environment of the program."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith("REBOOKD")}
        return kept | {"DAV_PASSWORD": self.dav.password, "NO_COLOR": "1"} | more

    def json(self, *words: str) -> object:
        """What a command prints as JSON."""
        return json.loads(self.run(*words, "--json").stdout)

    @property
    def state(self) -> Path:
        """The state file."""
        return self.folder / "state.db"

    def start(self, *words: str, module: str = "daemon", **environment: str) -> ForkServerProcess:
        """Start a command and let it run; what it says is added to the file ``said``."""
        said = str(self.folder / "said")
        return prefork.start(
            module,
            self.command(*words)[1:],
            environment=self.environment(**environment),
            stdout=said,
            stderr=said,
        )

    def taken(self) -> list[dict[str, str]]:
        """Every message the sink took, in order."""
        if not self.log.exists():
            return []
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    def put(
        self,
        uid: str,
        hours: float,
        *,
        to: str = "jo@acme.example",
        others: Collection[str] = (),
        **more: str,
    ) -> None:
        """Put a half-hour meeting of mine, ``hours`` from now, into the calendar."""
        people = dict.fromkeys([to, *others], "NEEDS-ACTION")
        text = event(uid, datetime.now(UTC) + timedelta(hours=hours), people, **more)
        self.dav.request("PUT", f"/dana/work/{uid}.ics", text, **{"Content-Type": "text/calendar"})


def event(
    uid: str, start: datetime, people: dict[str, str], *, title: str = "Kickoff review", more: str = ""
) -> str:
    """A meeting that I organise."""
    form = "%Y%m%dT%H%M%SZ"
    made = datetime(2026, 1, 1, tzinfo=UTC)
    lines = [
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        "PRODID:-//example//test//EN",
        "BEGIN:VEVENT",
        f"UID:{uid}",
        f"DTSTAMP:{made:{form}}",
        f"CREATED:{made:{form}}",
        f"DTSTART:{start:{form}}",
        f"DTEND:{start + timedelta(minutes=30):{form}}",
        f"SUMMARY:{title}",
        "ORGANIZER:mailto:dana@va.example",
        *(f"ATTENDEE;PARTSTAT={partstat}:mailto:{address}" for address, partstat in people.items()),
        *([more] if more else []),
        "END:VEVENT",
        "END:VCALENDAR",
        "",
    ]
    return "\r\n".join(lines)


@contextlib.contextmanager
def oracle(log: Path, manners: Mapping[str, float] | None = None) -> Iterator[int]:
    """The durable sink; gives its port."""
    words = [sys.executable, str(ORACLE), str(log), json.dumps(dict(manners or {}))]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield int(process.stdout.readline())
        finally:
            process.kill()


@contextlib.contextmanager
def house(
    tmp_path: Path,
    rules: str = RULES,
    *,
    from_nothing: Collection[str] = (),
    manners: Mapping[str, float] | None = None,
    **account: str,
) -> Iterator[House]:
    """Everything running, one account called ``own``, nothing in its calendar yet.

    ``manners`` are those of the sink.
    """
    folder = tmp_path / "house"
    folder.mkdir()
    log = tmp_path / "sink.jsonl"
    with radicale_server(tmp_path) as dav, oracle(log, manners) as port:
        more = "".join(f"    {key}: {value}\n" for key, value in account.items())
        (folder / "rules.yaml").write_text(rules)
        (folder / "config.yaml").write_text(
            "version: 1\n"
            "me: {name: Dana Reyes, addresses: [dana@va.example], time_zone: Europe/Lisbon}\n"
            "accounts:\n  own:\n"
            f"    caldav: {{url: '{dav.url}', username: {dav.user}, password: {{env: DAV_PASSWORD}}}}\n{more}"
            "mail:\n  from: Dana Reyes <dana@va.example>\n"
            f"  smtp: {{host: 127.0.0.1, port: {port}, security: none}}\n"
        )
        yield House(folder=folder, dav=dav, log=log, from_nothing=set(from_nothing))
