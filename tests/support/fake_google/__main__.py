"""Run the fake by hand: ``python -m tests.support.fake_google DIR [PORT]``.

DIR gets ``client_secret.json`` and ``service_account.json``. Dana's calendar has a few meetings around
now. What others do is told over HTTP, each a GET: ``/_fake/state``, ``/_fake/answer?event&who&status``,
``/_fake/move?event&start``, ``/_fake/cancel?event``, ``/_fake/remove?event&who``,
``/_fake/event?summary&start&minutes&who…[&conference]``, ``/_fake/call?code&start&end&name…``,
``/_fake/fail?route&status&reason&times`` and ``/_fake/heal``.
"""

from __future__ import annotations

import json
import signal
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from tests.support.fake_google.control import DANA, JO
from tests.support.fake_google.server import fake_google
from tests.support.fake_google.world import FakeGoogle


def _furnish(google: FakeGoogle) -> None:
    """Dana, Jo, and a few meetings: one ahead without an answer, one weekly, one over with its call."""
    dana, jo = google.user(DANA, "Dana Reyes"), google.user(JO, "Jo")
    zone = ZoneInfo("Europe/Lisbon")
    hour = datetime.now(UTC).astimezone(zone).replace(minute=0, second=0, microsecond=0)
    ahead, past, half = hour + timedelta(days=1), hour - timedelta(hours=2), timedelta(minutes=30)
    guests = {DANA: "accepted", JO: "needsAction"}
    dana.primary.event("Kickoff review", ahead, ahead + half, guests)
    weekly = ["RRULE:FREQ=WEEKLY"]
    dana.primary.event("Weekly", ahead + half, ahead + 2 * half, guests, recurrence=weekly)
    accepted = {DANA: "accepted", JO: "accepted"}
    dana.primary.event("Design talk", past, past + half, accepted, conference="abc-defg-hij")
    call = google.meet.record("abc-defg-hij", DANA, past, past + half)
    call.signed_in(dana)
    jo.primary.event("Busy", ahead + 3 * half, ahead + 5 * half)


def main() -> None:
    """Serve until interrupted."""
    folder = Path(sys.argv[1])
    port = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    folder.mkdir(parents=True, exist_ok=True)
    done = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: done.set())
    with fake_google(port=port) as google:
        _furnish(google)
        google.by_hand = True
        (folder / "client_secret.json").write_text(json.dumps(google.oauth.client_secret()))
        (folder / "service_account.json").write_text(json.dumps(google.oauth.service_account(DANA, JO)))
        sys.stdout.write(f"{google.root}\n")
        sys.stdout.flush()
        done.wait()


main()
