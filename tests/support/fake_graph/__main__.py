"""Run the fake by hand: ``python -m tests.support.fake_graph DIR [PORT]``.

DIR gets ``config.yaml`` for Dana's account, to be signed in to at a fake of the identity platform that runs
beside it, and ``graph.json``: the address, a token for Dana, one for an app, and the authority to trust as
SSL_CERT_FILE. Dana's calendar has a few meetings around now. What others do is told over HTTP, each a GET:
``/_fake/state``, ``/_fake/answer?event&who&status[&propose]``, ``/_fake/move?event&start``,
``/_fake/cancel?event``, ``/_fake/remove?event&who``,
``/_fake/event?subject&start&minutes&who…[&organizer][&join]``, ``/_fake/call?join&start&end&who…``,
``/_fake/away[?start&end]``, ``/_fake/send_draft?user&message``, ``/_fake/delete_draft?user&message``,
``/_fake/fail?route&status&code&times`` and ``/_fake/heal``.
"""

from __future__ import annotations

import json
import signal
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from tests.support.authority import certificates
from tests.support.fake_entra.server import fake_entra
from tests.support.fake_graph.control import DANA, JO
from tests.support.fake_graph.server import fake_graph
from tests.support.fake_graph.world import FakeGraph

JOIN = "https://teams.microsoft.com/l/meetup-join/19%3ameeting_design%40thread.v2/0?context=%7b%7d"
SCOPES = (
    "User.Read",
    "Calendars.ReadWrite",
    "Mail.Send",
    "Mail.ReadWrite",
    "MailboxSettings.Read",
    "OnlineMeetings.Read",
    "OnlineMeetingArtifact.Read.All",
)
CONFIG = """\
version: 1
me: {{name: Dana Reyes, addresses: [dana@va.example, dana@acme.example], time_zone: Europe/Lisbon}}
accounts:
  acme: {{outlook: {{client_id: {app}, authority: "{authority}", endpoint: "{root}"}}}}
mail: {{from: Dana Reyes <dana@acme.example>, account: acme}}
"""


def furnish(graph: FakeGraph) -> None:
    """Dana, Jo, and a few meetings: one ahead without an answer, one weekly, one over with its call."""
    dana, jo = graph.user(DANA, "Dana Reyes"), graph.user(JO, "Jo")
    zone = ZoneInfo("Europe/Lisbon")
    hour = datetime.now(UTC).astimezone(zone).replace(minute=0, second=0, microsecond=0)
    ahead, past, half = hour + timedelta(days=1), hour - timedelta(hours=2), timedelta(minutes=30)
    dana.primary.event("Kickoff review", ahead, ahead + half, {JO: "none"})
    days = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
    weekly = {"pattern": {"type": "weekly", "interval": 1, "daysOfWeek": [days[ahead.weekday()]]}}
    dana.primary.event("Weekly", ahead + half, ahead + 2 * half, {JO: "none"}, recurrence=weekly)
    online = {"joinUrl": JOIN}
    dana.primary.event("Design talk", past, past + half, {JO: "accepted"}, onlineMeeting=online)
    report = graph.teams.record(JOIN, DANA, past, past + half)
    report.attended(DANA, dana.name, role="Organizer")
    jo.primary.event("Busy", ahead + 3 * half, ahead + 5 * half)


def main() -> None:
    """Serve until interrupted."""
    folder = Path(sys.argv[1])
    port = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    folder.mkdir(parents=True, exist_ok=True)
    done = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: done.set())
    with fake_graph(port=port) as graph, fake_entra(grants=graph.grants) as entra:
        furnish(graph)
        entra.user(DANA)
        config = CONFIG.format(app=entra.app().client_id, authority=entra.authority, root=graph.root)
        (folder / "config.yaml").write_text(config)
        graph.by_hand = True
        told = {"root": graph.root, "authority": str(certificates() / "ca.pem")}
        told |= {"token": graph.grants.mint(DANA, *SCOPES), "app": graph.grants.mint("", *SCOPES, app=True)}
        (folder / "graph.json").write_text(json.dumps(told, indent=2))
        sys.stdout.write(f"{graph.root}\n")
        sys.stdout.flush()
        done.wait()


if __name__ == "__main__":
    main()
