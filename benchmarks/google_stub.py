"""A server that says what Google's Calendar would, page by page, as fast as bytes leave; and those pages."""

from __future__ import annotations

import json
import random
import sys
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

PAGE = 2500
SERIES = 28
_PEOPLE = ("jo", "bo", "kim", "lee", "sam", "alex", "robin", "noor", "mara", "tomas")
_TITLES = ("Kickoff review", "Weekly sync", "Quarterly numbers", "Interview, second round", "Café with Zoë")
_ANSWERS = ("needsAction", "accepted", "accepted", "tentative", "declined")


def write_pages(folder: Path, count: int, around: datetime) -> None:
    """``count`` events between 30 days before ``around`` and 120 after, as events.list gives them."""
    choice = random.Random(1)
    events = [_event(number, around, choice) for number in range(count)]
    pages = [events[first : first + PAGE] for first in range(0, count, PAGE)]
    head = {"kind": "calendar#events", "timeZone": "Europe/Lisbon"}
    for number, items in enumerate(pages):
        last = number == len(pages) - 1
        following = {"nextSyncToken": "token"} if last else {"nextPageToken": str(number + 1)}
        (folder / f"page-{number}.json").write_text(json.dumps({**head, **following, "items": items}))
    (folder / "idle.json").write_text(json.dumps({**head, "nextSyncToken": "token", "items": []}))


def _event(number: int, around: datetime, choice: random.Random) -> dict[str, Any]:
    day = around + timedelta(days=choice.randrange(-30, 120))
    start = day.replace(
        hour=choice.randrange(8, 18), minute=choice.choice((0, 15, 30)), second=0, microsecond=0
    )
    name = f"{choice.getrandbits(128):032x}"
    domain = choice.choice(("acme.example", "initech.example", "globex.example"))
    guests: list[dict[str, Any]] = [
        {
            "email": f"{one}@{domain}",
            "displayName": f"{one.title()} Silva",
            "responseStatus": choice.choice(_ANSWERS),
        }
        for one in choice.sample(_PEOPLE, choice.choice((1, 1, 2, 2, 3, 6)))
    ]
    guests.append({"email": "dana@va.example", "self": True, "responseStatus": "accepted"})
    code = f"{number % 900 + 100}-abcd-xyz"
    event = {
        "id": name,
        "etag": f'"{choice.getrandbits(52)}"',
        "status": "confirmed",
        "iCalUID": f"{name}@google.com",
        "summary": choice.choice(_TITLES),
        "location": "Room 4, second floor",
        "start": {"dateTime": start.isoformat(), "timeZone": "Europe/Lisbon"},
        "end": {"dateTime": (start + timedelta(minutes=30)).isoformat(), "timeZone": "Europe/Lisbon"},
        "organizer": {"email": "dana@va.example", "displayName": "Dana Reyes", "self": True},
        "creator": {"email": "dana@va.example"},
        "attendees": guests,
        "eventType": "default",
        "sequence": 1,
        "created": "2026-01-05T10:11:12.000Z",
        "updated": "2026-01-06T08:09:10.123Z",
        "hangoutLink": f"https://meet.example/{code}",
        "conferenceData": {
            "conferenceId": code,
            "conferenceSolution": {"key": {"type": "hangoutsMeet"}},
        },
    }
    if number % SERIES:
        return event
    end = f";UNTIL={start + timedelta(weeks=40):%Y%m%dT%H%M%SZ}" if number // SERIES % 2 else ""
    return event | {"recurrence": [f"RRULE:FREQ=WEEKLY{end}"]}


class _Stub(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    folder: Path

    def do_GET(self) -> None:
        """Whatever calendar is asked for, its page."""
        query = parse_qs(urlsplit(self.path).query)
        name = f"page-{query['pageToken'][0]}" if "pageToken" in query else "page-0"
        if "syncToken" in query:
            name = "idle"
        body = (self.folder / f"{name}.json").read_bytes()
        self.send_response(200)
        self.send_header("Content-Type", "application/json; charset=UTF-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


def main(folder: Path, count: int) -> None:
    """Write the pages, tell the port on standard output, serve until standard input ends."""
    write_pages(folder, count, datetime.now(UTC))
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Stub", (_Stub,), {"folder": folder}))
    server.daemon_threads = True
    print(server.server_port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
