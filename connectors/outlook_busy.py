"""When other people are busy, as far as Exchange shows it to this mailbox (Graph's getSchedule)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from connectors.outlook_client import GraphClient, Json, items_of
from connectors.outlook_events import instant
from rules.model import Address, Interval

MOST = 20
"""People asked about in one question."""

LONGEST = timedelta(days=42)
"""The longest span of one question."""

_FREE = frozenset({"free", "workingElsewhere"})


def free_busy(
    client: GraphClient, addresses: Sequence[Address], window: Interval
) -> dict[Address, list[Interval] | None]:
    """When each is busy in the window; None where that cannot be seen. Raises ConnectorError."""
    found: dict[Address, list[Interval] | None] = {address: [] for address in addresses}
    for first in range(0, len(addresses), MOST):
        some = addresses[first : first + MOST]
        begin = window.start
        while begin < window.end:
            end = min(begin + LONGEST, window.end)
            for address, busy in _asked(client, some, Interval(begin, end)).items():
                known = found[address]
                found[address] = None if busy is None or known is None else [*known, *busy]
            begin = end
    return found


def _asked(
    client: GraphClient, addresses: Sequence[Address], span: Interval
) -> dict[Address, list[Interval] | None]:
    body = {
        "schedules": list(addresses),
        "startTime": _when(span.start),
        "endTime": _when(span.end),
        "availabilityViewInterval": 60,
    }
    said = items_of(client.send("POST", "calendar/getSchedule", body))
    told = {str(one.get("scheduleId") or "").lower(): one for one in said}
    return {address: _busy(told.get(address)) for address in addresses}


def _busy(told: Json | None) -> list[Interval] | None:
    if told is None or told.get("error") or not isinstance(told.get("scheduleItems"), list):
        return None
    try:
        return [
            Interval(instant(one["start"]), instant(one["end"]))
            for one in told["scheduleItems"]
            if one.get("status") not in _FREE
        ]
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError):
        return None


def _when(at: datetime) -> Json:
    return {"dateTime": at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S"), "timeZone": "UTC"}


__all__ = ["free_busy"]
