"""sendMail, drafts, and finding a mail again by its Message-ID."""

from __future__ import annotations

import base64
import binascii
import re
from datetime import UTC, datetime
from email.header import decode_header, make_header
from email.utils import getaddresses
from typing import Any

from tests.support.fake_graph.call import Call, serves
from tests.support.fake_graph.graph_errors import GraphError, invalid, not_found
from tests.support.fake_graph.mailboxes import FOLDERS, Box, Message
from tests.support.fake_graph.times import stamp
from tests.support.fake_graph.views import select
from tests.support.wire import Answer

Json = dict[str, Any]

_LIST = ("$select", "$filter", "$top", "$skip", "$orderby")
_CLAUSE = re.compile(
    r"\s*(\w+)\s+(eq|ne|ge|gt|le|lt)\s+('(?:[^']|'')*'|[\w:.+-]+)\s*(and\s+|$)", re.IGNORECASE
)
_FILTERED = {"internetmessageid": "internetMessageId", "isdraft": "isDraft", "subject": "subject",
             "parentfolderid": "parentFolderId", "createddatetime": "createdDateTime",
             "receiveddatetime": "receivedDateTime", "sentdatetime": "sentDateTime"}  # fmt: skip


@serves("sendMail", "POST", "/sendMail", "Mail.Send", items=False)
def send_mail(call: Call) -> Answer:
    """Send a MIME message; nothing is said of what became of it."""
    raw = _mime(call)
    call.user.mailbox.send(raw)
    return Answer(202)


@serves("messages.create", "POST", "/messages", "Mail.ReadWrite")
def create(call: Call) -> Answer:
    """Lay down a MIME message as a draft."""
    box = call.user.mailbox
    made = box.put_draft(_mime(call))
    return Answer.of(201, {"@odata.context": call.context("messages/$entity")} | _message(box, made))


@serves("messages.list", "GET", "/messages", "Mail.Read", odata=_LIST)
def list_messages(call: Call) -> Answer:
    """A page of all messages, whatever folder they are in."""
    return _listed(call, list(call.user.mailbox.messages.values()))


@serves("mailFolders.messages", "GET", "/mailFolders/{folder}/messages", "Mail.Read", odata=_LIST)
def list_folder(call: Call) -> Answer:
    """A page of the messages of a folder."""
    box = call.user.mailbox
    return _listed(call, box.inside(box.folder(call.args["folder"])))


@serves("mailFolders.get", "GET", "/mailFolders/{folder}", "Mail.Read", items=False, odata=("$select",))
def get_folder(call: Call) -> Answer:
    """A folder by its well-known name or its id."""
    box = call.user.mailbox
    name = box.folder(call.args["folder"])
    made: Json = {"@odata.context": call.context("mailFolders/$entity"), "id": box.folder_id(name)}
    made |= {"displayName": FOLDERS[name], "parentFolderId": box.folder_id("msgfolderroot")}
    made |= {"childFolderCount": 0, "unreadItemCount": 0, "totalItemCount": len(box.inside(name))}
    return Answer.of(200, select(made | {"isHidden": False}, call.option("$select"), "mailFolder"))


@serves("messages.get", "GET", "/messages/{message}", "Mail.Read", odata=("$select",))
def get(call: Call) -> Answer:
    """One message; its headers are told where they are asked for."""
    box, found = call.user.mailbox, _found(call)
    made = {"@odata.context": call.context("messages/$entity")} | _message(box, found)
    wanted = call.option("$select")
    if not wanted:
        return Answer.of(200, made)
    return Answer.of(200, select(made | _headers(found), wanted, "message"))


@serves("messages.mime", "GET", "/messages/{message}/$value", "Mail.Read")
def mime(call: Call) -> Answer:
    """One message as bytes."""
    return Answer(200, _found(call).raw, {"Content-Type": "text/plain"})


@serves("messages.send", "POST", "/messages/{message}/send", "Mail.Send")
def send(call: Call) -> Answer:
    """Send a draft."""
    found = _found(call)
    if not found.draft:
        raise invalid("The message is not a draft.", "ErrorInvalidOperation")
    call.user.mailbox.send_draft(found.id)
    return Answer(202)


@serves("messages.delete", "DELETE", "/messages/{message}", "Mail.ReadWrite")
def delete(call: Call) -> Answer:
    """Throw a message away."""
    call.user.mailbox.remove(_found(call))
    return Answer(204)


def _mime(call: Call) -> bytes:
    """The message a request carries in base64. Raises GraphError."""
    if not call.request.headers.get("content-type", "").lower().startswith("text/plain"):
        call.graph.problems.append(f"the fake takes mail as MIME alone, at {call.request.path}")
        raise GraphError(415, "UnsupportedMediaType", "A missing or empty content type header was found.")
    text = re.sub(rb"[\r\n]", b"", call.request.body)
    try:
        raw = base64.b64decode(text, validate=True)
    except binascii.Error as error:
        message = "Invalid base64 string for MIME content."
        raise invalid(message, "ErrorMimeContentInvalidBase64String") from error
    if not raw or not re.match(rb"[\x21-\x39\x3b-\x7e]+:", raw):
        message = "MIME content does not contain all required information, malformed formatting, or empty."
        raise invalid(message, "ErrorMimeContentInvalid")
    return raw


def _found(call: Call) -> Message:
    found = call.user.mailbox.messages.get(call.args["message"])
    if found is None or found.visible > call.graph.now():
        raise not_found()
    return found


def _listed(call: Call, found: list[Message]) -> Answer:
    """A page of messages, the latest first."""
    box, clauses, rows = call.user.mailbox, _clauses(call), []
    for each in _ordered(call, found):
        made = _message(box, each)
        held = all(_compare(made[name], verb, value) for name, verb, value in clauses)
        if held and each.visible <= call.graph.now():
            wanted = call.option("$select")
            rows.append(select(made | _headers(each), wanted, "message") if wanted else made)
    return call.paged(rows, 10, 1000, "messages")


def _ordered(call: Call, found: list[Message]) -> list[Message]:
    """The latest first, or as the request wants them. Raises GraphError."""
    order = (call.option("$orderby") or "").lower().split()
    if not order:
        return sorted(found, key=lambda each: each.version, reverse=True)
    clauses = _clauses(call)
    if order[0] != "receiveddatetime" or (clauses and clauses[0][0] != "receivedDateTime"):
        message = "The restriction or sort order is too complex for this operation."
        raise invalid(message, "InefficientFilter")
    backwards = order[1:] == ["desc"]
    return sorted(found, key=lambda each: (each.sent or each.created, each.version), reverse=backwards)


def _message(box: Box, message: Message) -> Json:
    """A message without its headers."""
    parsed = message.mime
    seed = f"CQAAABYAAAAdhAMRqmYRzZvIAKoAL4Ra{message.version:08d}"
    when = message.sent or message.created
    return {
        "@odata.etag": f'W/"{seed}"',
        "id": message.id,
        "createdDateTime": _second(message.created),
        "lastModifiedDateTime": _second(when),
        "changeKey": seed,
        "categories": [],
        "receivedDateTime": _second(when),
        "sentDateTime": _second(when),
        "hasAttachments": any(part.get_filename() for part in parsed.walk()),
        "internetMessageId": message.internet_id,
        "subject": str(make_header(decode_header(str(parsed.get("Subject", ""))))),
        "bodyPreview": "",
        "importance": "normal",
        "parentFolderId": box.folder_id(message.folder),
        "conversationId": f"AAQkAGZha2U{message.id[-12:]}",
        "isRead": message.folder != "inbox",
        "isDraft": message.draft,
        "from": _people(message, "From")[0] if _people(message, "From") else None,
        "toRecipients": _people(message, "To"),
        "ccRecipients": _people(message, "Cc"),
        "bccRecipients": _people(message, "Bcc"),
    }


def _headers(message: Message) -> Json:
    told = [{"name": name, "value": str(value)} for name, value in message.mime.items()]
    return {"internetMessageHeaders": told}


def _people(message: Message, name: str) -> list[Json]:
    found = getaddresses(message.mime.get_all(name, []))
    return [{"emailAddress": {"name": who or address, "address": address}} for who, address in found]


def _second(at: datetime) -> str:
    return stamp(at.astimezone(UTC).replace(microsecond=0))[:19] + "Z"


def _clauses(call: Call) -> list[tuple[str, str, str]]:
    """What the filter asks: property, comparison, value. Raises GraphError for what is no filter."""
    text, place = (call.option("$filter") or "").rstrip(), 0
    found = []
    while place < len(text):
        match = _CLAUSE.match(text, place)
        name = _FILTERED.get(match[1].lower()) if match else None
        if match is None or name is None:
            call.graph.problems.append(f"the fake does not know the filter {text!r}")
            raise invalid("Invalid filter clause", "BadRequest")
        found.append((name, match[2].lower(), match[3]))
        place = match.end()
    return found


def _compare(value: Any, verb: str, given: str) -> bool:
    wanted: Any = given[1:-1].replace("''", "'") if given.startswith("'") else given
    if given in ("true", "false"):
        wanted = given == "true"
    compared: dict[str, bool] = {"eq": value == wanted, "ne": value != wanted}
    if isinstance(value, str):
        compared |= {"ge": value >= wanted, "gt": value > wanted, "le": value <= wanted, "lt": value < wanted}
    return compared.get(verb, False)
