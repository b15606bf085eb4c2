"""Reads an Outlook calendar: our connector, which makes plain records of the events, or requests and json."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from benchmarks.cloud_reader import AnyToken, measure

PAGE = 200
"""As large as ours asks for, so that both are told the same."""


def ours(url: str) -> tuple[Callable[[], int], Callable[[], object]]:
    """The connector's first poll and its idle one."""
    from connectors.base import Cursor, Known
    from connectors.outlook import OutlookConnector
    from connectors.outlook_client import GraphClient, graph_pace
    from rules.model import Address, CalendarRef, Interval

    pace = graph_pace(sleep=lambda _: None)  # the pace Microsoft asks for is not what is measured
    client = GraphClient(AnyToken(), f"{url}v1.0", pace=pace)
    connector = OutlookConnector("own", client, mine=[Address("dana@va.example")], home_zone="Europe/Lisbon")
    ref = connector.calendars()[0].ref
    now = datetime.now(UTC)
    window = Interval(now - timedelta(days=30), now + timedelta(days=120))
    cursors: dict[CalendarRef, Cursor] = {}

    def first() -> int:
        changes = connector.poll(ref, window, Known())
        cursors[ref] = changes.cursor
        return len(changes.changed)

    return first, lambda: connector.changed_calendars(cursors)


def theirs(url: str) -> tuple[Callable[[], int], Callable[[], object]]:
    """Every page read, and its events and series kept as they came."""
    import requests

    session = requests.Session()
    session.headers.update({"Authorization": "Bearer token", "Prefer": f"odata.maxpagesize={PAGE}"})
    session.get(f"{url}v1.0/me/calendars").json()
    links: list[str] = []

    def page(link: str) -> dict[str, list[dict[str, object]]]:
        found: dict[str, list[dict[str, object]]] = json.loads(session.get(link).content)
        return found

    def first() -> int:
        events: dict[str, dict[str, object]] = {}
        link = f"{url}v1.0/me/calendars/primary/calendarView/delta"
        while link:
            answer = page(link)
            events |= {str(one["id"]): one for one in answer["value"]}
            links.append(str(answer.get("@odata.deltaLink") or ""))
            link = str(answer.get("@odata.nextLink") or "")
        return sum(not one.get("seriesMasterId") for one in events.values())

    return first, lambda: page(links[-1])


if __name__ == "__main__":
    measure(sys.argv[2], *{"ours": ours, "theirs": theirs}[sys.argv[1]](sys.argv[2]))
