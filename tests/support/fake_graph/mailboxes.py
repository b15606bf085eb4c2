"""Mailboxes: what was sent, what waits as a draft, and what becomes of it by hand."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email import message_from_bytes
from email.message import Message as Mime
from email.policy import compat32
from email.utils import getaddresses
from typing import TYPE_CHECKING

from tests.support.fake_graph.events import item_id
from tests.support.fake_graph.graph_errors import GraphError, invalid

if TYPE_CHECKING:
    from tests.support.fake_graph.world import FakeGraph, User

FOLDERS = {
    "inbox": "Inbox",
    "sentitems": "Sent Items",
    "drafts": "Drafts",
    "deleteditems": "Deleted Items",
    "outbox": "Outbox",
    "junkemail": "Junk Email",
    "archive": "Archive",
}


@dataclass
class Message:
    """One mail in a mailbox. ``visible`` is when it can first be found."""

    id: str
    raw: bytes
    folder: str
    draft: bool
    created: datetime
    visible: datetime
    version: int
    sent: datetime | None = None

    @property
    def mime(self) -> Mime:
        """Parsed."""
        return message_from_bytes(self.raw, policy=compat32)

    @property
    def internet_id(self) -> str:
        """Its Message-ID."""
        return " ".join(str(self.mime.get("Message-ID", "")).split())


@dataclass
class Box:
    """One user's mail by id."""

    mail: Mail
    user: User
    messages: dict[str, Message] = field(default_factory=dict)

    @property
    def sent(self) -> list[bytes]:
        """What was sent, in order."""
        return [each.raw for each in self.inside("sentitems")]

    @property
    def drafts(self) -> list[bytes]:
        """The drafts that wait, in order."""
        return [each.raw for each in self.inside("drafts")]

    def inside(self, folder: str) -> list[Message]:
        """The messages of a folder, in order."""
        return [each for each in self.messages.values() if each.folder == folder]

    def folder_id(self, folder: str) -> str:
        """Exchange's id of a well-known folder."""
        return item_id(f"folder {folder} of", int(self.user.id.replace("-", "")[:12], 16))

    def folder(self, name: str) -> str:
        """The well-known name of a folder that is known by either. Raises GraphError."""
        for known in FOLDERS:
            if name.lower() == known or name == self.folder_id(known):
                return known
        raise GraphError(404, "ErrorItemNotFound", "The specified folder could not be found in the store.")

    def keep(self, raw: bytes, folder: str) -> Message:
        """Put a mail in."""
        graph = self.mail.graph
        number, now = graph.tick(), graph.now()
        made = Message(item_id("message", number), raw, folder, folder == "drafts", now, now, number)
        self.messages[made.id] = made
        return made

    def put_draft(self, raw: bytes) -> Message:
        """Lay down a draft."""
        return self.keep(self.mail.stamped(self.user, raw, draft=True), "drafts")

    def send(self, raw: bytes) -> Message:
        """A mail leaves, and arrives at those who are users. Raises GraphError."""
        return self._leave(self.keep(self._ready(raw), "outbox"))

    def send_draft(self, message_id: str) -> Message:
        """The owner sends a draft: the same item, now among the sent ones."""
        waiting = self.messages[message_id]
        if not waiting.draft:
            raise KeyError(message_id)
        waiting.raw = self._ready(waiting.raw)
        return self._leave(waiting)

    def _ready(self, raw: bytes) -> bytes:
        parsed = message_from_bytes(raw, policy=compat32)
        if not _recipients(parsed):
            message = "At least one recipient is not valid., Recipient 'none' is not resolved."
            raise invalid(message, "ErrorInvalidRecipients")
        return self.mail.stamped(self.user, raw, draft=False)

    def _leave(self, message: Message) -> Message:
        mail, graph = self.mail, self.mail.graph
        message.folder, message.draft, message.sent = "sentitems", False, graph.now()
        message.visible, message.version = graph.now() + mail.lag, graph.tick()
        for address in _recipients(message.mime):
            other = graph.user_of(address)
            if other is not None and other is not self.user:
                mail.box(other.email).keep(_without_bcc(message.raw), "inbox")
        return message

    def remove(self, message: Message) -> None:
        """Throw a mail away: first into the deleted ones, from there for good."""
        if message.folder == "deleteditems":
            del self.messages[message.id]
            return
        message.folder, message.version = "deleteditems", self.mail.graph.tick()


class Mail:
    """Every mailbox, by the address of its user.

    ``keeps_message_ids`` False: what is sent gets a Message-ID of Exchange's own. ``sends_from_aliases``: the
    organisation lets people send from their other addresses; else Exchange writes the first one. ``lag`` is
    how long what was sent cannot be found yet.
    """

    def __init__(self, graph: FakeGraph) -> None:
        self.graph = graph
        self.keeps_message_ids = True
        self.sends_from_aliases = False
        self.lag = timedelta(0)
        self.boxes: dict[str, Box] = {}

    def box(self, user: str) -> Box:
        """A user's mailbox."""
        return self.boxes.setdefault(user, Box(self, self.graph.users[user]))

    def send_draft(self, user: str, message_id: str) -> None:
        """The owner sends a draft by hand."""
        with self.graph.lock:
            self.box(user).send_draft(message_id)

    def delete_draft(self, user: str, message_id: str) -> None:
        """The owner throws a draft away by hand."""
        with self.graph.lock:
            box = self.box(user)
            box.remove(box.messages[message_id])

    def stamped(self, user: User, raw: bytes, *, draft: bool) -> bytes:
        """What Exchange writes into a mail itself. Raises GraphError where the sender is somebody else."""
        parsed = message_from_bytes(raw, policy=compat32)
        addresses = [address.lower() for _, address in getaddresses(parsed.get_all("From", []))]
        changed = False
        if any(address not in user.addresses for address in addresses) and not draft:
            message = (
                "The user account which was used to submit this request does not have the right to send "
            )
            raise GraphError(
                403, "ErrorSendAsDenied", f"{message}mail on behalf of the specified sending account."
            )
        alias = any(address != user.email.lower() for address in addresses) and not self.sends_from_aliases
        if not addresses or (alias and not draft):
            del parsed["From"]
            parsed["From"] = f"{user.name} <{user.email}>"
            changed = True
        if "Message-ID" not in parsed or (not draft and not self.keeps_message_ids):
            del parsed["Message-ID"]
            parsed["Message-ID"] = f"<FK0PR01MB{self.graph.tick():08d}@FK0PR01MB0001.prod.outlook.com>"
            changed = True
        return parsed.as_bytes() if changed else raw


def _recipients(parsed: Mime) -> list[str]:
    named = [each for name in ("To", "Cc", "Bcc") for each in parsed.get_all(name, [])]
    return [address for _, address in getaddresses(named) if address]


def _without_bcc(raw: bytes) -> bytes:
    parsed = message_from_bytes(raw, policy=compat32)
    if "Bcc" not in parsed:
        return raw
    del parsed["Bcc"]
    return parsed.as_bytes()
