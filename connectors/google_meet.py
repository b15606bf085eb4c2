"""Who was in a call, by the records of Google Meet (v2), which are kept for 30 days."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn

from connectors.base import LimitExceeded, Retryable
from connectors.google_client import GoogleClient
from rules.model import Call, Interval, Occurrence, Party

Json = dict[str, Any]

MOST_PARTIES = 100
"""A call of more parties says nothing of a meeting."""

_LONGEST = timedelta(days=1)
_PAGES = 20
_CODE = re.compile(r"[A-Za-z0-9_-]{1,128}")
_FOR_EVER = datetime.max.replace(tzinfo=UTC)


class MeetAttendance:
    """The records of the calls that one account organised or may see."""

    name = "Google Meet"

    def __init__(self, client: GoogleClient) -> None:
        self._client = client

    def calls(self, occurrence: Occurrence) -> tuple[Call, ...]:
        """Every call under the meeting's code that shares time with it, with all who were in it.

        Raises Refused (HTTP 403 or 404) where its records may not be seen, MissingScope, NotSupported where
        the API is not switched on, LimitExceeded, and Retryable.
        """
        code = occurrence.conference
        if not _CODE.fullmatch(code):
            return ()
        start, end = occurrence.start_utc, occurrence.end_utc
        wanted = (
            f'space.meeting_code = "{code}" AND start_time >= "{_stamp(start - _LONGEST)}" '
            f'AND start_time < "{_stamp(end)}"'
        )
        api = self._client.meet.conferenceRecords()
        fields = "conferenceRecords(name,startTime,endTime)"
        found = list(self._all(api.list, "conferenceRecords", fields, filter=wanted))
        window = Interval(start, end)
        calls = []
        for one in found:
            begun, over = _begin(one), _time(one.get("endTime"))
            if window.overlaps(Interval(begun, over or _FOR_EVER)):
                calls.append(Call(start=begun, end=over, parties=self._parties(one, over)))
        return tuple(calls)

    def close(self) -> None:
        """Let go of connections."""
        self._client.close()

    def _parties(self, record: Json, over: datetime | None) -> tuple[Party, ...]:
        api = self._client.meet.conferenceRecords().participants()
        who = "participants(name,signedinUser,anonymousUser,phoneUser)"
        found = list(self._all(api.list, "participants", who, parent=_name(record)))
        return tuple(self._party(one, over) for one in found)

    def _party(self, one: Json, over: datetime | None) -> Party:
        api = self._client.meet.conferenceRecords().participants().participantSessions()
        fields = "participantSessions(startTime,endTime)"
        spans = [
            Interval(_begin(session), _time(session.get("endTime")) or over or _FOR_EVER)
            for session in self._all(api.list, "participantSessions", fields, parent=_name(one))
        ]
        signed_in = one.get("signedinUser") or {}
        shown = signed_in or one.get("anonymousUser") or one.get("phoneUser") or {}
        return Party(user=signed_in.get("user", ""), name=shown.get("displayName", ""), spans=tuple(spans))

    def _all(self, method: Any, name: str, fields: str, **arguments: str) -> Iterator[Json]:
        """Every item of a list, page by page. Raises LimitExceeded."""
        token, seen = None, 0
        for _ in range(_PAGES):
            page = self._client.execute(
                method(**arguments, fields=f"{fields},nextPageToken", pageSize=100, pageToken=token)
            )
            items = page.get(name, [])
            seen += len(items)
            if seen > MOST_PARTIES:
                break
            yield from items
            token = page.get("nextPageToken")
            if not token:
                return
        raise LimitExceeded(f"Google Meet's records of one call are longer than {MOST_PARTIES} lines.")


def _stamp(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _name(one: Json) -> str:
    return str(one.get("name") or _nonsense())


def _begin(one: Json) -> datetime:
    return _time(one.get("startTime")) or _nonsense()


def _time(text: Any) -> datetime | None:
    """An instant in UTC; None for nothing. Raises Retryable for what is none."""
    try:
        return None if text is None else datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, TypeError, OverflowError):
        return _nonsense()


def _nonsense() -> NoReturn:
    raise Retryable("Google Meet sent a record that makes no sense; nothing of it was used.")


__all__ = ["MeetAttendance"]
