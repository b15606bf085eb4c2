"""An office in a process of its own, under limits, that says what its rounds took.

``python -m tests.support.measured_office PLAY RESULT`` reads what to play, plays it and writes what it saw.
"""

from __future__ import annotations

import json
import resource
import ssl
import sys
import time
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from connectors.base import CalendarConnector
from connectors.http import Limits
from daemon.demo import authority
from daemon.store import agenda, deliveries
from rules.model import Address
from tests.support import prefork
from tests.support.google_ics import StaticToken
from tests.support.offices import World

_KIB = 1024
_MIB = 1024 * _KIB
HEADROOM = 512 * _MIB
"""What the process may take beyond its start before the system stops it: twice what is promised."""

CPU_SECONDS = 120

RULES_FILE = """\
version: 1
guard: {first_sync: act}
rules:
  - name: confirm
    when: unconfirmed
    then:
      - {step: ask, do: confirm, at: 7d before start}
"""


@dataclass(kw_only=True)
class Play:
    """Accounts (kind, url and token of each), and how many hours pass before each round.

    An account may say how many ``seconds`` a request of it may take. ``marks`` is a folder in which each
    round is announced by an empty file of its number.
    """

    folder: str
    accounts: dict[str, dict[str, str]]
    rounds: list[float]
    marks: str = ""
    certificates: str = ""


@dataclass(kw_only=True)
class Seen:
    """What the rounds took, and what came of them; memory is in KiB, at its highest."""

    cpu: float = 0
    peak: int = 0
    grown: int = 0
    slowest: float = 0
    mails: list[dict[str, Any]] = field(default_factory=list)
    states: dict[str, str] = field(default_factory=dict)
    notices: list[str] = field(default_factory=list)
    troubles: list[list[str]] = field(default_factory=list)
    stored: dict[str, list[str]] = field(default_factory=dict)


def play(what: Play, *, patience: float = 300) -> Seen:
    """Play it in a child process. Whatever kills that is an AssertionError with its last words."""
    folder = Path(what.folder)
    folder.mkdir(parents=True, exist_ok=True)
    told, result, said = folder / "play.json", folder / "result.json", folder / "said.txt"
    told.write_text(json.dumps(asdict(what)))
    process = prefork.start(
        "tests.support.measured_office", [str(told), str(result)], stdout=str(said), stderr=str(said)
    )
    process.join(patience)
    if process.exitcode is None:
        process.kill()
        process.join()
    assert process.exitcode == 0, f"ended with {process.exitcode}: {said.read_text()[-3000:]}"
    return Seen(**json.loads(result.read_text()))


def _connector(name: str, of: dict[str, str]) -> CalendarConnector:
    seconds = float(of.get("seconds", 60))
    limits = Limits(seconds=seconds, wait_seconds=0.01)
    home_zone = "Europe/Lisbon"
    if of["kind"] == "caldav":
        from connectors.caldav import CalDavConnector

        return CalDavConnector(
            name, of["url"], username="dana", password="secret", home_zone=home_zone, limits=limits
        )
    limits = Limits(seconds=seconds, wait_seconds=0.01, redirects=0)
    token = StaticToken(of["token"])
    if of["kind"] == "google":
        from connectors.google import GoogleConnector
        from connectors.google_client import GoogleClient, google_pace

        google = GoogleClient(token, of["url"], account=name, pace=google_pace(), limits=limits)
        return GoogleConnector(name, google, home_zone=home_zone)
    from connectors.outlook import OutlookConnector
    from connectors.outlook_client import GraphClient, graph_pace

    graph = GraphClient(token, of["url"], account=name, pace=graph_pace(), limits=limits)
    return OutlookConnector(name, graph, mine=[Address("dana@va.example")], home_zone=home_zone)


def _status(name: str) -> int:
    """A line of the kernel's account of this process, in KiB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1])
    raise KeyError(name)


def _play(what: Play) -> Seen:
    world = World(Path(what.folder), RULES_FILE, list(what.accounts))
    for name, of in what.accounts.items():
        world.calendars[name] = _connector(name, of)  # type: ignore[assignment]
    seen = Seen()
    data = _status("VmData") * _KIB + HEADROOM
    resource.setrlimit(resource.RLIMIT_DATA, (data, data))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    Path("/proc/self/clear_refs").write_text("5")
    before, cpu = _status("VmRSS"), time.process_time()
    for number, hours in enumerate(what.rounds):
        if what.marks:
            (Path(what.marks) / str(number)).touch()
        world.clock.at += timedelta(hours=hours)
        began = time.monotonic()
        done = world.office.round()
        seen.slowest = max(seen.slowest, time.monotonic() - began)
        seen.troubles += [
            [str(number), one.account, one.kind, one.message] for poll in done.polls for one in poll.troubles
        ]
    seen.cpu, seen.peak = time.process_time() - cpu, _status("VmHWM")
    seen.grown = seen.peak - before
    seen.mails = [
        {"to": to, "headers": sorted(set(mail.keys())), "subject": str(mail["Subject"])}
        for to, mail in world.mailer.kept
    ]
    with world.store.read() as conn:
        rows = deliveries.list_(conn)
        found = agenda.between(conn, datetime(2025, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC))
    seen.states = {f"{row.key.uid if row.key else row.step}/{row.to}": row.state.value for row in rows}
    seen.notices = [row.step for row in rows if row.key is None]
    for one in found:
        seen.stored.setdefault(one.key.calendar.account, []).append(one.key.uid)
    world.office.close()
    world.store.close()
    return seen


def _main(told: str, result: str) -> None:
    what = Play(**json.loads(Path(told).read_text()))
    trusting = authority.trusted(Path(what.certificates)) if what.certificates else nullcontext()
    with trusting:
        ssl.create_default_context()
        Path(result).write_text(json.dumps(asdict(_play(what))))


if __name__ == "__main__":
    _main(*sys.argv[1:])
