"""Which calendars a Google account has (Calendar v3, ``calendarList``), as far as they were chosen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from connectors.base import CalendarInfo, Capabilities, ConnectorError
from connectors.google_client import GoogleClient
from connectors.google_events import Json
from rules.model import CalendarRef

_FIELDS = "nextPageToken,items(id,summary,summaryOverride,primary,accessRole,timeZone,deleted)"


class GoogleCalendars:
    """The ``wanted`` calendars (``primary``, names or ids), None for all that can be read.

    ``zones`` are theirs (IANA), by id.
    """

    def __init__(self, account: str, client: GoogleClient, wanted: Sequence[str] | None) -> None:
        self.zones: dict[str, str] = {}
        self._account = account
        self._client = client
        self._wanted = None if wanted is None else tuple(wanted)

    def read(self) -> list[CalendarInfo]:
        """As they are now. Raises ConnectorError, naming one that is not there."""
        entries: list[Json] = []
        asked: dict[str, Any] = {"showHidden": True} if self._wanted is not None else {}
        collection = self._client.calendar.calendarList()
        while True:
            request = collection.list(maxResults=250, minAccessRole="reader", fields=_FIELDS, **asked)
            answer = self._client.execute(request)
            entries += [one for one in answer.get("items", ()) if one.get("id") and not one.get("deleted")]
            following = answer.get("nextPageToken")
            if not following or following == asked.get("pageToken"):
                break
            asked["pageToken"] = following
        self.zones |= {one["id"]: one.get("timeZone", "") for one in entries}
        if self._wanted is None:
            return [self._info(one) for one in entries]
        chosen: dict[str, CalendarInfo] = {}
        for name in self._wanted:
            matching = [one for one in entries if _is_named(one, name)]
            if not matching:
                there = ", ".join(sorted(_name(one) for one in entries)) or "none"
                raise ConnectorError(f"The Google account has no calendar {name!r}; it has: {there}.")
            chosen |= {one["id"]: self._info(one) for one in matching}
        return list(chosen.values())

    def _info(self, entry: Json) -> CalendarInfo:
        return CalendarInfo(
            ref=CalendarRef(account=self._account, id=entry["id"]),
            name=_name(entry),
            capabilities=Capabilities(
                schedules=True, sync_token=True, writable=entry.get("accessRole") in {"owner", "writer"}
            ),
        )


def _name(entry: Json) -> str:
    return str(entry.get("summaryOverride") or entry.get("summary") or entry["id"])


def _is_named(entry: Json, name: str) -> bool:
    if name == "primary":
        return bool(entry.get("primary"))
    return name in {entry["id"], entry.get("summary"), entry.get("summaryOverride")}


__all__ = ["GoogleCalendars"]
