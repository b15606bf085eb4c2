"""An Outlook mailbox as one account's way for mail to leave, and as the place where its drafts lie.

Exchange takes recipients and sender from the message itself. It keeps our Message-ID, by which a message can
be found again where the sign-in allows reading. A draft keeps its immutable id when it is sent.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from urllib.parse import quote

from connectors.base import DraftState, Receipt, Rejected, Uncertain
from connectors.mailbox import LOOK_BACK, MARK, asked, refuse_others, searchable
from connectors.outlook_client import GraphClient, Json, items_of, not_whole
from connectors.signed import Refused

_ACCEPTED = 202
_FIELDS = "id,isDraft,parentFolderId"


class OutlookMail:
    """One account's mailbox; see :class:`connectors.base.Mailer` and :class:`connectors.base.Drafts`.

    ``sender`` is the address that mails are from. Not safe to share between threads, nor is its client.
    """

    def __init__(self, client: GraphClient, sender: str) -> None:
        self._client = client
        self._sender = sender.lower()
        self._places: dict[str, str] = {}

    @contextmanager
    def session(self) -> Iterator[None]:
        """Nothing is held open: a message that must leave once takes a connection of its own."""
        yield

    def send(
        self,
        sender: str,  # noqa: ARG002 - Exchange reads it in the message
        recipients: Sequence[str],
        message: bytes,
        committing: Callable[[], None],
    ) -> Receipt:
        """Hand over one message. Raises Rejected where it names other recipients than these."""
        refuse_others(message, {address.lower() for address in recipients})
        answer = self._client.hand_over("sendMail", base64.b64encode(message), "text/plain", committing)
        if answer.status_code != _ACCEPTED:
            raise Uncertain(f"Microsoft did not say whether it took the message (HTTP {answer.status_code}).")
        return Receipt(response="Microsoft took it")

    def find(self, message_id: str) -> bool | None:
        """Whether a message is among the sent ones; None where the sign-in does not allow to look.

        It may take Exchange some minutes to file what was sent. Raises NeedsLogin and Retryable.
        """
        try:
            return any(not one["isDraft"] for one in self._named(message_id))
        except Rejected:
            return None

    def check(self) -> None:
        """Reach the mailbox, and make sure that it sends as the configured address."""
        try:
            profile = self._get("", **{"$select": "mail,userPrincipalName,proxyAddresses"})
        except Refused as error:
            if error.status != 403:
                raise
            return  # it may send and nothing else, which it was reached to say
        first = str(profile.get("mail") or profile.get("userPrincipalName") or "").lower()
        others = (str(one).lower().partition(":") for one in profile.get("proxyAddresses") or ())
        own = {first, *(address for kind, _, address in others if kind == "smtp")}
        if first and self._sender not in own:
            raise Rejected(
                f"Outlook would send as {first}, not as {self._sender}; make that address one of the "
                "mailbox's own, or change mail: from."
            )

    def put(self, raw: bytes, message_id: str) -> None:
        """Lay down one draft; nothing where it lies already."""
        if self._waiting(message_id) is None:
            made = asked(lambda: self._client.send("POST", "messages", base64.b64encode(raw)))
            self._places[message_id] = str(made.get("id") or "")

    def state(self, message_id: str) -> DraftState:
        """Whether it still waits, was sent, or is gone."""
        found = self._found(message_id)
        if found and all(one["isDraft"] for one in found):
            return DraftState.WAITING
        self._places.pop(message_id, None)
        return DraftState.SENT if found else DraftState.GONE

    def remove(self, message_id: str) -> None:
        """Take it away if it still waits."""
        place = self._waiting(message_id)
        if place is None:
            return
        try:
            asked(lambda: self._client.send("DELETE", f"messages/{quote(place, safe='')}"))
        except Refused as error:
            if error.status != 404:
                raise

    def _waiting(self, message_id: str) -> str | None:
        """Where the draft lies now."""
        return next((one["id"] for one in self._found(message_id) if one["isDraft"]), None)

    def _found(self, message_id: str) -> list[Json]:
        """The draft, or what it was sent as, by what it is surest known by; what was thrown away is gone."""
        for look in (self._placed, self._named, self._marked):
            found = [one for one in look(message_id) if not one["isDraft"] or self._is_kept(one)]
            if found:
                self._places[message_id] = found[0]["id"]
                return found
        return []

    def _placed(self, message_id: str) -> list[Json]:
        """The message that was laid down here; an edited one may have another Message-ID."""
        known = self._places.get(message_id)
        if not known:
            return []
        try:
            return _messages([self._get(f"messages/{quote(known, safe='')}", **{"$select": _FIELDS})])
        except Refused as error:
            if error.status == 404:
                return []
            raise

    def _named(self, message_id: str) -> list[Json]:
        """Every message of that Message-ID, in whatever folder."""
        query = {"$filter": f"internetMessageId eq '<{searchable(message_id)}>'", "$select": _FIELDS}
        return asked(lambda: _messages(self._client.pages("messages", **query)))

    def _marked(self, message_id: str) -> list[Json]:
        """Those of the newest drafts and sent messages that carry our mark."""
        query = {
            "$select": f"{_FIELDS},internetMessageHeaders",
            "$top": str(LOOK_BACK),
            "$orderby": "receivedDateTime desc",
        }
        newest = (self._get(f"mailFolders/{one}/messages", **query) for one in ("drafts", "sentitems"))
        return [
            one
            for page in newest
            for one in _messages(items_of(page))
            if any(
                str(header.get("name", "")).lower() == MARK.lower()
                and str(header.get("value", "")).strip() == searchable(message_id)
                for header in one.get("internetMessageHeaders") or ()
            )
        ]

    def _is_kept(self, message: Json) -> bool:
        """Whether it was not thrown away."""
        thrown = self._get("mailFolders/deleteditems", **{"$select": "id"})
        return message.get("parentFolderId") != thrown.get("id")

    def _get(self, where: str, **query: str) -> Json:
        return asked(lambda: self._client.get(where, **query))


def _messages(told: Iterable[Json]) -> list[Json]:
    """What was told of messages. Raises Retryable where it does not say what they are."""
    found = list(told)
    if not all(isinstance(one.get("id"), str) and isinstance(one.get("isDraft"), bool) for one in found):
        raise not_whole()
    return found


__all__ = ["OutlookMail"]
