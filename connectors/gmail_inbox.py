"""The inbox of a Gmail mailbox, where replies arrive: read by its history, nothing in it is changed.

The cursor holds the mailbox's historyId and the messages that are not fetched yet. Where Gmail has forgotten
that history, what arrived since then is listed instead.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from googleapiclient.http import HttpRequest

from connectors.base import Cursor, Haul, Incoming, LimitExceeded, Retryable
from connectors.google_client import GoogleClient, Refused
from connectors.mailbox import asked, headers_alone

MOST = 50
"""Messages that one look brings."""

MOST_BYTES = 24 * 1024 * 1024
"""Bytes of messages after which a look ends."""

MOST_PAGES = 40
_PAGE = 500
_ME = "me"
_INBOX = "INBOX"
_NOT_RECEIVED = frozenset({"SENT", "DRAFT"})


class GmailInbox:
    """One mailbox's inbox; see :class:`connectors.base.Inbox`. Not safe to share, nor is its client."""

    def __init__(self, client: GoogleClient, account: str) -> None:
        self.name = f"the Gmail inbox of {account}"
        self._client = client

    def fetch(self, cursor: Cursor, since: datetime) -> Haul:
        """What the mailbox's history says was added to the inbox."""
        history, waiting = _read(cursor)
        if not waiting:
            history, waiting = self._news(history, since)
        messages: list[Incoming] = []
        looked = spent = 0
        for id_ in waiting[:MOST]:
            found = self._message(id_)
            looked += 1
            if found is not None:
                messages.append(found)
                spent += len(found.raw)
            if spent >= MOST_BYTES:
                break
        left = waiting[looked:]
        return Haul(messages=tuple(messages), cursor=_written(history, left), more=bool(left))

    def close(self) -> None:
        """Let go of connections."""
        self._client.close()

    def _news(self, history: str, since: datetime) -> tuple[str, list[str]]:
        """Where the history stands now, and the ids of what came to the inbox meanwhile, oldest first."""
        if history:
            try:
                return self._changes(history)
            except Refused as refused:
                if refused.status != 404:
                    raise
        now = str(self._asked(self._users.getProfile(userId=_ME)).get("historyId") or "")
        return now, self._listed(since)

    def _changes(self, history: str) -> tuple[str, list[str]]:
        ids: dict[str, None] = {}
        page, now = "", history
        for _ in range(MOST_PAGES):
            more = {"pageToken": page} if page else {}
            answer = self._asked(
                self._users.history().list(
                    userId=_ME,
                    startHistoryId=history,
                    historyTypes="messageAdded",
                    labelId=_INBOX,
                    maxResults=_PAGE,
                    **more,
                )
            )
            for record in _rows(answer, "history"):
                for added in _rows(record, "messagesAdded"):
                    message = added.get("message")
                    if isinstance(message, Mapping) and not _NOT_RECEIVED & {*message.get("labelIds", ())}:
                        ids[str(message.get("id"))] = None
            now = str(answer.get("historyId") or now)
            page = str(answer.get("nextPageToken") or "")
            if not page:
                return now, list(ids)
        raise LimitExceeded("More came to the inbox since the last look than is read at once.")

    def _listed(self, since: datetime) -> list[str]:
        """What arrived since then, oldest first."""
        ids: list[str] = []
        page = ""
        for _ in range(MOST_PAGES):
            more = {"pageToken": page} if page else {}
            query = f"after:{int(since.timestamp())}"
            answer = self._asked(
                self._users.messages().list(userId=_ME, labelIds=[_INBOX], q=query, maxResults=_PAGE, **more)
            )
            ids += [str(row.get("id")) for row in _rows(answer, "messages")]
            page = str(answer.get("nextPageToken") or "")
            if not page:
                return ids[::-1]
        raise LimitExceeded("More came to the inbox since the last look than is read at once.")

    def _message(self, id_: str) -> Incoming | None:
        """One message; None where it is gone meanwhile."""
        try:
            try:
                answer = self._client.execute(self._users.messages().get(userId=_ME, id=id_, format="raw"))
            except LimitExceeded:
                return self._head(id_)
        except Refused as refused:
            if refused.status == 404:
                return None
            raise
        return Incoming(id=id_, raw=_decoded(answer.get("raw")))

    def _head(self, id_: str) -> Incoming:
        """The headers of one that is too large."""
        answer = self._asked(self._users.messages().get(userId=_ME, id=id_, format="metadata"))
        payload = answer.get("payload")
        headers = payload.get("headers") if isinstance(payload, Mapping) else None
        return Incoming(id=id_, raw=headers_alone(headers), whole=False)

    @property
    def _users(self) -> Any:
        return self._client.gmail.users()

    def _asked(self, request: HttpRequest) -> dict[str, Any]:
        return asked(lambda: self._client.execute(request))


def _rows(answer: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    rows = answer.get(name) or []
    if not isinstance(rows, list) or not all(isinstance(one, dict) for one in rows):
        raise Retryable("Gmail's answer about the inbox is not whole.")
    return rows


def _decoded(text: object) -> bytes:
    try:
        return base64.urlsafe_b64decode(str(text or "") + "===")
    except (binascii.Error, ValueError) as error:
        raise Retryable("Gmail sent a message that is not whole.") from error


def _read(cursor: Cursor) -> tuple[str, list[str]]:
    try:
        held = json.loads(cursor.value or "{}")
        return str(held.get("history") or ""), [str(one) for one in held.get("waiting") or ()]
    except (ValueError, AttributeError, TypeError):
        return "", []


def _written(history: str, waiting: list[str]) -> Cursor:
    return Cursor(json.dumps({"history": history, "waiting": waiting}))


__all__ = ["GmailInbox"]
