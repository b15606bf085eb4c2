"""The inbox of an Outlook mailbox, where replies arrive: read by time of arrival, nothing in it is changed.

The cursor holds the latest time of arrival and what arrived shortly before it: Exchange may file a message a
little later than another that arrived after it.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

from connectors.base import Cursor, Haul, Incoming, LimitExceeded
from connectors.mailbox import asked, headers_alone
from connectors.outlook_client import GraphClient, Json, not_whole
from connectors.signed import Refused

MOST = 50
"""Messages that one look brings."""

MOST_BYTES = 24 * 1024 * 1024
"""Bytes of messages after which a look ends."""

OVERLAP = timedelta(minutes=10)
"""How much later than its time of arrival a message may be filed."""

_STAMP = "%Y-%m-%dT%H:%M:%SZ"
_INBOX = "mailFolders/inbox/messages"


class OutlookInbox:
    """One mailbox's inbox; see :class:`connectors.base.Inbox`. Not safe to share, nor is its client."""

    def __init__(self, client: GraphClient, account: str) -> None:
        self.name = f"the Outlook inbox of {account}"
        self._client = client

    def fetch(self, cursor: Cursor, since: datetime) -> Haul:
        """What arrived since the latest, besides what was fetched."""
        latest, known = _read(cursor)
        start = latest - OVERLAP if latest else since
        fresh, more = asked(lambda: self._fresh(start, known))
        messages: list[Incoming] = []
        taken: list[tuple[str, datetime]] = []
        spent = 0
        for id_, at in fresh:
            if spent >= MOST_BYTES:
                more = True
                break
            taken.append((id_, at))
            found = self._message(id_)
            if found is not None:
                messages.append(found)
                spent += len(found.raw)
        after = max([at for _, at in taken] + ([latest] if latest else [since.replace(microsecond=0)]))
        held = {**known, **dict(taken)}
        kept = {id_: at for id_, at in held.items() if at >= after - OVERLAP}
        return Haul(messages=tuple(messages), cursor=_written(after, kept), more=more)

    def close(self) -> None:
        """Let go of connections."""
        self._client.close()

    def _fresh(self, start: datetime, known: dict[str, datetime]) -> tuple[list[tuple[str, datetime]], bool]:
        """The ids and times of arrival of what is new, the oldest first; and whether there is more."""
        found: list[tuple[str, datetime]] = []
        pages = self._client.pages(
            _INBOX,
            **{
                "$filter": f"receivedDateTime ge {start.astimezone(UTC).strftime(_STAMP)}",
                "$orderby": "receivedDateTime asc",
                "$select": "id,receivedDateTime",
                "$top": "100",
            },
        )
        for row in pages:
            id_, at = _place(row)
            if id_ in known:
                continue
            if len(found) == MOST:
                return found, True
            found.append((id_, at))
        return found, False

    def _message(self, id_: str) -> Incoming | None:
        """One message; None where it is gone meanwhile."""
        where = f"messages/{quote(id_, safe='')}"
        try:
            try:
                return Incoming(id=id_, raw=self._client.answer(f"{where}/$value").content)
            except LimitExceeded:
                told = asked(lambda: self._client.get(where, **{"$select": "id,internetMessageHeaders"}))
                return Incoming(id=id_, raw=headers_alone(told.get("internetMessageHeaders")), whole=False)
        except Refused as refused:
            if refused.status == 404:
                return None
            raise


def _place(row: Json) -> tuple[str, datetime]:
    try:
        return str(row["id"]), _instant(str(row["receivedDateTime"]))
    except (KeyError, ValueError) as error:
        raise not_whole() from error


def _instant(text: str) -> datetime:
    return datetime.strptime(text[:19] + "Z", _STAMP).replace(tzinfo=UTC)


def _read(cursor: Cursor) -> tuple[datetime | None, dict[str, datetime]]:
    try:
        held = json.loads(cursor.value)
        return _instant(held["latest"]), {str(id_): _instant(at) for id_, at in held["known"].items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        return None, {}


def _written(latest: datetime, known: dict[str, datetime]) -> Cursor:
    held = {id_: at.strftime(_STAMP) for id_, at in known.items()}
    return Cursor(json.dumps({"latest": latest.strftime(_STAMP), "known": held}))


__all__ = ["OutlookInbox"]
