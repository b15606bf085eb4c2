"""Reads a Google calendar: our connector, which makes plain records of the events, or the client library."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from benchmarks.cloud_reader import AnyToken, measure


def ours(url: str) -> tuple[Callable[[], int], Callable[[], object]]:
    """The connector's first poll and its idle one."""
    from connectors.base import Cursor, Known
    from connectors.google import GoogleConnector
    from connectors.google_client import GoogleClient, google_pace
    from rules.model import CalendarRef, Interval

    pace = google_pace(sleep=lambda _: None)  # the pace Google asks for is not what is measured
    connector = GoogleConnector("own", GoogleClient(AnyToken(), url, pace=pace), home_zone="Europe/Lisbon")
    ref = CalendarRef(account="own", id="dana@va.example")
    now = datetime.now(UTC)
    window = Interval(now - timedelta(days=30), now + timedelta(days=120))
    cursors: dict[CalendarRef, Cursor] = {}
    connector.changed_calendars({ref: Cursor('[1, "token"]')})

    def first() -> int:
        changes = connector.poll(ref, window, Known())
        cursors[ref] = changes.cursor
        return len(changes.changed)

    return first, lambda: connector.changed_calendars(cursors)


def theirs(url: str) -> tuple[Callable[[], int], Callable[[], object]]:
    """Every page read by the library, and its events kept as they came."""
    from googleapiclient.discovery import build_from_document
    from googleapiclient.discovery_cache import get_static_doc
    from googleapiclient.http import build_http

    document = json.loads(get_static_doc("calendar", "v3"))
    document["rootUrl"] = url
    service = build_from_document(document, http=build_http())
    collection = service.events()
    collection.list(calendarId="primary", syncToken="token").execute()

    def first() -> int:
        events: dict[str, object] = {}
        request = collection.list(calendarId="primary", maxResults=2500)
        while request is not None:
            answer = request.execute()
            events |= {one["id"]: one for one in answer["items"]}
            request = collection.list_next(request, answer)
        return len(events)

    return first, lambda: collection.list(calendarId="primary", syncToken="token").execute()


if __name__ == "__main__":
    measure(sys.argv[2], *{"ours": ours, "theirs": theirs}[sys.argv[1]](sys.argv[2]))
