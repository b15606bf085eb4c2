"""A server that says what Google's Calendar would, page by page, and those pages."""

from __future__ import annotations

import json
import random
import sys
from datetime import UTC, datetime, timedelta
from email.message import Message
from typing import Any

from benchmarks.cloud_stub import Query, serve

PAGE = 2500
SERIES = 28
_PEOPLE = ("jo", "bo", "kim", "lee", "sam", "alex", "robin", "noor", "mara", "tomas")
_TITLES = ("Kickoff review", "Weekly sync", "Quarterly numbers", "Interview, second round", "Café with Zoë")
_ANSWERS = ("needsAction", "accepted", "accepted", "tentative", "declined")


def pages(count: int, around: datetime) -> dict[str, bytes]:
    """``count`` events between 30 days before ``around`` and 120 after, as events.list gives them.

    Each page is under the token that asks for it, the first under none.
    """
    choice = random.Random(1)
    events = [_event(number, around, choice) for number in range(count)]
    head = {"kind": "calendar#events", "timeZone": "Europe/Lisbon"}
    found = {"idle": json.dumps({**head, "nextSyncToken": "idle", "items": []}).encode()}
    for first in range(0, count, PAGE):
        after = first + PAGE
        following = {"nextPageToken": str(after)} if after < count else {"nextSyncToken": "idle"}
        told = {**head, **following, "items": events[first:after]}
        found[str(first) if first else ""] = json.dumps(told).encode()
    return found


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


def main(count: int) -> None:
    """Make the pages and serve them, whatever calendar is asked for."""
    ready = pages(count, datetime.now(UTC))

    def answer(_path: str, query: Query, _headers: Message) -> bytes:
        return ready["idle" if "syncToken" in query else query.get("pageToken", [""])[0]]

    serve(answer)


if __name__ == "__main__":
    main(int(sys.argv[1]))
