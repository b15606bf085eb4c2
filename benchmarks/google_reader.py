"""A process that reads a Google calendar from nothing and then asks again and again whether it changed.

Either our connector, which makes plain records of the events, or Google's client library by itself. What it
cost goes to standard output; loading the libraries, and their first building of a request, are left out.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

IDLE = 200


def main(who: str, url: str) -> None:
    """Measure one of the two."""
    first, again = {"ours": _ours, "library": _library}[who](url)
    before = _peak_mb()
    events, wall, cpu = _timed(first)
    peak = _peak_mb()
    _, idle_wall, idle_cpu = _timed(lambda: [again() for _ in range(IDLE)] and 0)
    print(
        json.dumps(
            {
                "events": events,
                "wall": wall,
                "cpu": cpu,
                "grown": peak - before,
                "idle_wall": idle_wall / IDLE,
                "idle_cpu": idle_cpu / IDLE,
            }
        )
    )


def _timed(work: Callable[[], int]) -> tuple[int, float, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    found = work()
    return found, time.perf_counter() - wall, time.process_time() - cpu


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


class _Token:
    def access_token(self) -> str:
        """Any."""
        return "token"


def _ours(url: str) -> tuple[Callable[[], int], Callable[[], object]]:
    from connectors.base import Cursor, Known
    from connectors.google import GoogleConnector
    from connectors.google_client import GoogleClient, google_pace
    from rules.model import CalendarRef, Interval

    pace = google_pace(sleep=lambda _: None)  # the pace Google asks for is not what is measured
    connector = GoogleConnector("own", GoogleClient(_Token(), url, pace=pace), home_zone="Europe/Lisbon")
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


def _library(url: str) -> tuple[Callable[[], int], Callable[[], object]]:
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
    main(sys.argv[1], sys.argv[2])
