"""Gmail v1: send, drafts, search by Message-ID, labels. What was sent stays visible as bytes."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email import message_from_bytes
from email.message import Message as Mime
from email.policy import compat32
from email.utils import getaddresses
from typing import TYPE_CHECKING, Any

from tests.support.fake_google.call import Call, decode, encode, serves
from tests.support.fake_google.errors import GoogleError, not_found
from tests.support.wire import Answer

if TYPE_CHECKING:
    from tests.support.fake_google.world import FakeGoogle

_SYSTEM = ("INBOX", "SENT", "DRAFT", "TRASH", "SPAM", "UNREAD", "STARRED", "IMPORTANT")
_HIDDEN = {"TRASH", "SPAM"}


@dataclass
class Mail:
    """Every mailbox.

    ``keeps_message_id`` False: a sent mail gets a Message-ID of Gmail's own. ``search_lag`` is how long a
    message is not found by searching yet.
    """

    google: FakeGoogle
    keeps_message_id: bool = True
    search_lag: timedelta = timedelta(0)
    boxes: dict[str, Box] = field(default_factory=dict)

    def box(self, user: str) -> Box:
        """A user's mailbox."""
        return self.boxes.setdefault(user, Box(self, user))


@dataclass
class Stored:
    """One message in a mailbox."""

    id: str
    thread: str
    raw: bytes
    labels: set[str]
    at: datetime

    @property
    def mime(self) -> Mime:
        """Parsed."""
        return message_from_bytes(self.raw, policy=compat32)


@dataclass
class Box:
    """One user's mail: messages by id, drafts by their own id, further labels by id."""

    mail: Mail
    user: str
    messages: dict[str, Stored] = field(default_factory=dict)
    drafts: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    added: list[tuple[str, frozenset[str]]] = field(default_factory=list)
    """The history: every message that was ever added, with its labels then."""
    forgotten: int = 0
    """History before this id is no longer known."""
    aliases: set[str] = field(default_factory=set)

    @property
    def sent(self) -> list[bytes]:
        """What was sent, in order."""
        return [each.raw for each in self.messages.values() if "SENT" in each.labels]

    @property
    def waiting(self) -> list[bytes]:
        """The drafts that wait, in order."""
        return [self.messages[message].raw for message in self.drafts.values()]

    def keep(self, raw: bytes, *labels: str) -> Stored:
        """Put a message in."""
        number = f"{0x18E0000000000000 + self.mail.google.tick():x}"
        thread = next((each.thread for each in self.messages.values() if _replies(raw, each.mime)), number)
        made = Stored(number, thread, raw, set(labels), self.mail.google.now())
        self.messages[number] = made
        self.added.append((number, frozenset(labels)))
        return made

    def deliver(self, raw: bytes) -> Stored:
        """A mail arrives."""
        return self.keep(raw, "INBOX", "UNREAD")

    def send(self, raw: bytes) -> Stored:
        """A mail leaves, and arrives at those who are users. Raises GoogleError."""
        parsed = message_from_bytes(raw, policy=compat32)
        to = [each for name in ("To", "Cc", "Bcc") for each in parsed.get_all(name, [])]
        people = [address for _, address in getaddresses(to) if address]
        if not people:
            raise GoogleError(400, "invalidArgument", "Recipient address required")
        raw = self._stamped(raw, parsed)
        for address in people:
            if address in self.mail.google.users and address != self.user:
                self.mail.box(address).deliver(raw)
        return self.keep(raw, "SENT")

    def _stamped(self, raw: bytes, parsed: Mime) -> bytes:
        """Gmail writes From itself where the address is not the user's, and a Message-ID where none is."""
        addresses = [address for _, address in getaddresses(parsed.get_all("From", []))]
        changed = False
        if [each for each in addresses if each not in {self.user, *self.aliases}] or not addresses:
            del parsed["From"]
            parsed["From"] = self.user
            changed = True
        if "Message-ID" not in parsed or not self.mail.keeps_message_id:
            del parsed["Message-ID"]
            parsed["Message-ID"] = f"<CA{self.mail.google.tick():024d}@mail.gmail.com>"
            changed = True
        if "Bcc" in parsed:
            del parsed["Bcc"]
            changed = True
        return parsed.as_bytes() if changed else raw

    def draft(self, raw: bytes) -> str:
        """Lay down a draft; its id."""
        name = f"r{self.mail.google.tick():019d}"
        self.drafts[name] = self.keep(raw, "DRAFT").id
        return name

    def discard(self, draft: str) -> None:
        """The owner throws a draft away for good."""
        self.messages.pop(self.drafts.pop(draft))

    def send_draft(self, draft: str) -> Stored:
        """The owner sends a draft: a new message, the draft is gone."""
        old = self.messages[self.drafts[draft]]
        sent = self.send(old.raw)
        sent.thread = old.thread
        self.discard(draft)
        return sent


def _replies(raw: bytes, earlier: Mime) -> bool:
    name = earlier.get("Message-ID")
    head = message_from_bytes(raw, policy=compat32)
    return bool(name) and name in f"{head.get('In-Reply-To', '')} {head.get('References', '')}".split()


@serves("gmail.users.getProfile")
def profile(call: Call) -> dict[str, Any]:
    """The address of the mailbox."""
    box = _box(call)
    return {
        "emailAddress": box.user,
        "messagesTotal": len(box.messages),
        "threadsTotal": len({each.thread for each in box.messages.values()}),
        "historyId": str(len(box.added) + 1),
    }


@serves("gmail.users.settings.sendAs.list")
def list_send_as(call: Call) -> dict[str, Any]:
    """The addresses the user may send as."""
    own = {"sendAsEmail": call.user.email, "isPrimary": True, "isDefault": True}
    others = [{"sendAsEmail": each, "verificationStatus": "accepted"} for each in sorted(_box(call).aliases)]
    return {"sendAs": [own, *others]}


@serves("gmail.users.messages.send")
def send(call: Call) -> dict[str, Any]:
    """A message leaves."""
    return _brief(_box(call).send(_raw(call, call.body)))


@serves("gmail.users.history.list")
def list_history(call: Call) -> dict[str, Any]:
    """What was added after a history id, oldest first. Raises GoogleError for one that is too old."""
    box, start = _box(call), int(call.args["startHistoryId"])
    if start < box.forgotten:
        raise GoogleError(404, "notFound", "Requested entity was not found.")
    if call.get("historyTypes", ["messageAdded"]) != ["messageAdded"]:
        call.google.problems.append("the fake knows no history but that of added messages")
    rows = []
    for number, (name, labels) in enumerate(box.added, start=2):
        if number <= start or (call.get("labelId") and call.args["labelId"] not in labels):
            continue
        thread = box.messages[name].thread if name in box.messages else name
        brief = {"id": name, "threadId": thread, "labelIds": sorted(labels)}
        told = {"id": name, "threadId": thread}
        rows.append({"id": str(number), "messages": [told], "messagesAdded": [{"message": brief}]})
    answer = _page(call, "history", rows)
    del answer["resultSizeEstimate"]
    return answer | {"historyId": str(len(box.added) + 1)}


@serves("gmail.users.messages.list")
def list_messages(call: Call) -> dict[str, Any]:
    """A page of messages, newest first."""
    found = [each for each in reversed(_box(call).messages.values()) if _wanted(call, each)]
    return _page(call, "messages", [{"id": each.id, "threadId": each.thread} for each in found])


@serves("gmail.users.messages.get")
def get_message(call: Call) -> dict[str, Any]:
    """One message."""
    stored = _box(call).messages.get(call.args["id"])
    if stored is None:
        raise GoogleError(404, "notFound", "Requested entity was not found.")
    return _shown(call, stored)


@serves("gmail.users.drafts.create")
def create_draft(call: Call) -> dict[str, Any]:
    """A draft is laid down."""
    box = _box(call)
    name = box.draft(_raw(call, lambda: call.body().get("message", {})))
    return {"id": name, "message": _brief(box.messages[box.drafts[name]])}


@serves("gmail.users.drafts.list")
def list_drafts(call: Call) -> dict[str, Any]:
    """A page of drafts, newest first."""
    box = _box(call)
    rows = [(name, box.messages[message]) for name, message in reversed(box.drafts.items())]
    told = [
        {"id": name, "message": {"id": stored.id, "threadId": stored.thread}}
        for name, stored in rows
        if _wanted(call, stored)
    ]
    return _page(call, "drafts", told)


@serves("gmail.users.drafts.get")
def get_draft(call: Call) -> dict[str, Any]:
    """One draft."""
    box, name = _box(call), call.args["id"]
    if name not in box.drafts:
        raise GoogleError(404, "notFound", "Requested entity was not found.")
    return {"id": name, "message": _shown(call, box.messages[box.drafts[name]])}


@serves("gmail.users.drafts.update")
def update_draft(call: Call) -> dict[str, Any]:
    """A draft's message is replaced by another."""
    box, name = _box(call), call.args["id"]
    if name not in box.drafts:
        raise GoogleError(404, "notFound", "Requested entity was not found.")
    raw = _raw(call, lambda: call.body().get("message", {}))
    box.messages.pop(box.drafts[name])
    box.drafts[name] = box.keep(raw, "DRAFT").id
    return {"id": name, "message": _brief(box.messages[box.drafts[name]])}


@serves("gmail.users.drafts.delete")
def delete_draft(call: Call) -> Answer:
    """A draft goes, not even to the bin."""
    box, name = _box(call), call.args["id"]
    if name not in box.drafts:
        raise GoogleError(404, "notFound", "Requested entity was not found.")
    box.discard(name)
    return Answer(204)


@serves("gmail.users.drafts.send")
def send_draft(call: Call) -> dict[str, Any]:
    """A draft leaves."""
    box, name = _box(call), call.body(required=("id",))["id"]
    if name not in box.drafts:
        raise GoogleError(404, "notFound", "Requested entity was not found.")
    return _brief(box.send_draft(name))


@serves("gmail.users.labels.list")
def list_labels(call: Call) -> dict[str, Any]:
    """Every label."""
    own = [{"id": name, "name": word, "type": "user"} for name, word in _box(call).labels.items()]
    return {"labels": [{"id": each, "name": each, "type": "system"} for each in _SYSTEM] + own}


@serves("gmail.users.labels.create")
def create_label(call: Call) -> dict[str, Any]:
    """A label more."""
    box, word = _box(call), call.body(required=("name",))["name"]
    if word in (*_SYSTEM, *box.labels.values()):
        raise GoogleError(409, "aborted", "Label name exists or conflicts")
    name = f"Label_{len(box.labels) + 1}"
    box.labels[name] = word
    return {"id": name, "name": word, "type": "user"}


@serves("gmail.users.messages.modify")
def modify(call: Call) -> dict[str, Any]:
    """Labels come and go."""
    stored = _box(call).messages.get(call.args["id"])
    if stored is None:
        raise GoogleError(404, "notFound", "Requested entity was not found.")
    change = call.body()
    stored.labels |= set(change.get("addLabelIds", ()))
    stored.labels -= set(change.get("removeLabelIds", ()))
    return _brief(stored)


def _box(call: Call) -> Box:
    if call.args["userId"] not in ("me", call.user.email):
        raise GoogleError(403, "forbidden", f"Delegation denied for {call.user.email}")
    return call.google.mail.box(call.user.email)


def _raw(call: Call, message: Any) -> bytes:
    """The message a request carries: base64url in JSON, or as an upload."""
    if call.request.path.startswith("/upload/"):
        if not call.request.headers.get("content-type", "").startswith("message/"):
            raise GoogleError(
                400, "badContent", "Media type is not supported. Valid media types: [message/*]"
            )
        return call.request.body
    text = message().get("raw", "")
    if not text:
        message_wanted = "'raw' RFC822 payload message string or uploading message via /upload/* URL required"
        raise GoogleError(400, "invalidArgument", message_wanted)
    if not re.fullmatch(r"[A-Za-z0-9_\-]*={0,2}", text):
        raise GoogleError(400, "invalidArgument", "Invalid value for ByteString")
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except binascii.Error as error:
        raise GoogleError(400, "invalidArgument", "Invalid value for ByteString") from error


def _brief(stored: Stored) -> dict[str, Any]:
    return {"id": stored.id, "threadId": stored.thread, "labelIds": sorted(stored.labels)}


def _shown(call: Call, stored: Stored) -> dict[str, Any]:
    form = call.get("format", "full")
    made = _brief(stored) | {"sizeEstimate": len(stored.raw), "historyId": str(int(stored.id, 16))}
    made |= {"internalDate": str(int(stored.at.timestamp() * 1000)), "snippet": ""}
    if form == "raw":
        return made | {"raw": base64.urlsafe_b64encode(stored.raw).decode()}
    if form == "minimal":
        return made
    wanted = {name.lower() for name in call.get("metadataHeaders", ())}
    headers = [
        {"name": name, "value": str(value)}
        for name, value in stored.mime.items()
        if not wanted or name.lower() in wanted
    ]
    made["payload"] = {"mimeType": stored.mime.get_content_type(), "headers": headers}
    return made if form == "metadata" else made | {"payload": _part(stored.mime, "") | made["payload"]}


def _part(mime: Mime, number: str) -> dict[str, Any]:
    made: dict[str, Any] = {
        "partId": number,
        "mimeType": mime.get_content_type(),
        "filename": mime.get_filename(""),
    }
    made["headers"] = [{"name": name, "value": str(value)} for name, value in mime.items()]
    if mime.is_multipart():
        made["body"] = {"size": 0}
        inner = [each for each in mime.get_payload() if isinstance(each, Mime)]
        made["parts"] = [_part(each, f"{number}.{n}".strip(".")) for n, each in enumerate(inner)]
        return made
    data = mime.get_payload(decode=True)
    data = data if isinstance(data, bytes) else b""
    return made | {"body": {"size": len(data), "data": base64.urlsafe_b64encode(data).decode()}}


def _wanted(call: Call, stored: Stored) -> bool:
    """Whether a message answers the query. Raises GoogleError for words this fake does not know."""
    if not call.get("includeSpamTrash") and stored.labels & _HIDDEN:
        return False
    if not set(call.get("labelIds", ())) <= stored.labels:
        return False
    words = call.get("q", "").split()
    held = not words or stored.at + call.google.mail.search_lag <= call.google.now()
    for word in words:
        name, colon, value = word.partition(":")
        if name == "rfc822msgid" and colon:
            told = str(stored.mime.get("Message-ID", "")).strip().strip("<>")
            held &= told == value.strip('"').strip("<>") and bool(told)
        elif name == "after" and value.isdigit():
            held &= stored.at.timestamp() >= int(value)
        elif name in ("in", "is", "label") and colon:
            held &= value.upper() in stored.labels or value == "anywhere"
        else:
            call.google.problems.append(f"the fake does not know the Gmail search word {word!r}")
            raise not_found()
    return held


def _page(call: Call, name: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    place = decode(call.args["pageToken"], "pageToken") if "pageToken" in call.args else {}
    offset, size = place.get("offset", 0), min(call.get("maxResults") or 100, 500)
    answer: dict[str, Any] = {"resultSizeEstimate": len(rows)}
    if rows[offset : offset + size]:
        answer[name] = rows[offset : offset + size]
    if offset + size < len(rows):
        answer["nextPageToken"] = encode({"offset": offset + size, "page": place.get("page", 1) + 1})
    return answer
