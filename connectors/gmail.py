"""Gmail as one account's way for mail to leave, and as the mailbox where its drafts lie.

Gmail takes recipients and sender from the message itself. It keeps our Message-ID, by which a message can be
found again where the sign-in allows reading. A draft that was edited in Gmail may get another one; it is
then known by its id and its thread, as long as this program runs.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from googleapiclient.http import HttpRequest

from connectors.base import DraftState, Receipt, Rejected, Retryable, Uncertain
from connectors.google_client import GoogleClient, MissingScope, Refused
from connectors.mailbox import LOOK_BACK, MARK, asked, refuse_others, searchable

_ME = "me"
_SENT = ["SENT"]


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a draft lies: Gmail's ids of it, of its message and of its thread."""

    draft: str
    message: str
    thread: str


class Gmail:
    """One account's mailbox; see :class:`connectors.base.Mailer` and :class:`connectors.base.Drafts`.

    ``sender`` is the address that mails are from. Not safe to share between threads, nor is its client.
    """

    def __init__(self, client: GoogleClient, sender: str) -> None:
        self._client = client
        self._sender = sender.lower()
        self._places: dict[str, _Place] = {}

    @contextmanager
    def session(self) -> Iterator[None]:
        """Nothing is held open: a message that must leave once takes a connection of its own."""
        yield

    def send(
        self,
        sender: str,  # noqa: ARG002 - Gmail reads it in the message
        recipients: Sequence[str],
        message: bytes,
        committing: Callable[[], None],
    ) -> Receipt:
        """Hand over one message. Raises Rejected where it names other recipients than these."""
        refuse_others(message, {address.lower() for address in recipients})
        request = self._messages.send(userId=_ME, body={"raw": _encoded(message)}, fields="id")
        answer = self._client.hand_over(request, committing)
        if not answer.get("id"):
            raise Uncertain("Gmail did not say whether it took the message.")
        return Receipt(response=f"Gmail took it as {answer['id']}")

    def find(self, message_id: str) -> bool | None:
        """Whether a message is among the sent ones; None where the sign-in does not allow to look.

        It may take Gmail some minutes to find what was sent. Raises NeedsLogin and Retryable.
        """
        try:
            return bool(self._sent(message_id))
        except (MissingScope, Rejected):
            return None

    def check(self) -> None:
        """Reach the mailbox, and make sure that it sends as the configured address."""
        try:
            profile = self._asked(self._client.gmail.users().getProfile(userId=_ME))
        except MissingScope:
            return  # it may send and nothing else, which it was reached to say
        own = str(profile.get("emailAddress", "")).lower()
        if own == self._sender:
            return
        with suppress(MissingScope):
            told = self._asked(self._client.gmail.users().settings().sendAs().list(userId=_ME))
            others = {
                str(one.get("sendAsEmail", "")).lower()
                for one in told.get("sendAs", ())
                if one.get("isPrimary") or one.get("verificationStatus") == "accepted"
            }
            if self._sender not in others:
                raise Rejected(
                    f"Gmail would send as {own}, not as {self._sender}; add that address to it under "
                    "'Send mail as', or change mail: from."
                )

    def put(self, raw: bytes, message_id: str) -> None:
        """Lay down one draft; nothing where it lies already."""
        if self._waiting(message_id) is not None:
            return
        body = {"message": {"raw": _encoded(raw)}}
        self._keep(message_id, self._asked(self._drafts.create(userId=_ME, body=body)))

    def state(self, message_id: str) -> DraftState:
        """Whether it still waits, was sent, or is gone."""
        place = self._places.get(message_id)
        if self._waiting(message_id) is not None:
            return DraftState.WAITING
        sent = bool(self._sent(message_id)) or self._was_sent(message_id, place)
        self._places.pop(message_id, None)
        return DraftState.SENT if sent else DraftState.GONE

    def remove(self, message_id: str) -> None:
        """Take it away if it still waits."""
        place = self._waiting(message_id)
        if place is not None:
            with _gone_already():
                self._asked(self._drafts.delete(userId=_ME, id=place.draft))

    @property
    def _messages(self) -> Any:
        return self._client.gmail.users().messages()

    @property
    def _drafts(self) -> Any:
        return self._client.gmail.users().drafts()

    def _waiting(self, message_id: str) -> _Place | None:
        """Where the draft lies now."""
        known = self._places.get(message_id)
        if known is not None:
            with _gone_already():
                return self._keep(
                    message_id, self._asked(self._drafts.get(userId=_ME, id=known.draft, format="minimal"))
                )
            return None
        wanted = self._drafts.list(userId=_ME, q=_query(message_id), maxResults=1)
        found = self._asked(wanted).get("drafts")
        return self._keep(message_id, found[0]) if found else None

    def _keep(self, message_id: str, draft: dict[str, Any]) -> _Place:
        try:
            message = draft["message"]
            place = _Place(str(draft["id"]), str(message["id"]), str(message["threadId"]))
        except (KeyError, TypeError) as error:
            raise Retryable("Gmail's answer about a draft is not whole.") from error
        self._places[message_id] = place
        return place

    def _sent(self, message_id: str) -> list[dict[str, Any]]:
        """What was sent under this Message-ID, thrown away since or not."""
        request = self._messages.list(
            userId=_ME, labelIds=_SENT, q=_query(message_id), includeSpamTrash=True, maxResults=1
        )
        found: list[dict[str, Any]] = self._asked(request).get("messages", [])
        return found

    def _was_sent(self, message_id: str, place: _Place | None) -> bool:
        """Whether one of the newest sent messages is what became of the draft."""
        request = self._messages.list(userId=_ME, labelIds=_SENT, includeSpamTrash=True, maxResults=LOOK_BACK)
        for row in self._asked(request).get("messages", []):
            if place is not None:
                if row.get("threadId") == place.thread and _number(row.get("id")) >= _number(place.message):
                    return True
            elif self._is_marked(str(row.get("id")), message_id):
                return True
        return False

    def _is_marked(self, id_: str, message_id: str) -> bool:
        request = self._messages.get(userId=_ME, id=id_, format="metadata", metadataHeaders=[MARK])
        with _gone_already():
            headers = self._asked(request).get("payload", {}).get("headers", ())
            return any(str(one.get("value", "")).strip() == message_id.strip("<>") for one in headers)
        return False

    def _asked(self, request: HttpRequest) -> dict[str, Any]:
        return asked(lambda: self._client.execute(request))


@contextmanager
def _gone_already() -> Iterator[None]:
    """What is not there any more is no trouble."""
    try:
        yield
    except Refused as refused:
        if refused.status != 404:
            raise


def _query(message_id: str) -> str:
    return f"rfc822msgid:{searchable(message_id)}"


def _encoded(message: bytes) -> str:
    return base64.urlsafe_b64encode(message).decode("ascii")


def _number(id_: object) -> int:
    """Gmail's ids are numbers that grow with time."""
    try:
        return int(str(id_), 16)
    except ValueError:
        return 0


__all__ = ["Gmail"]
