"""Drafts by IMAP: laid down once, found again, taken away, and never at the cost of anything else."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from connectors.base import ConnectorError, DraftState, NeedsLogin, Rejected, Retryable, Unreachable
from connectors.imap import ImapDrafts
from tests.support.fake_imap import FakeImap, Folder, Say
from tests.support.fake_smtp import trusting
from tests.support.servers import free_port

ID = "<1234@va.example>"
RAW = (
    b"From: dana@va.example\r\nTo: jo@acme.example\r\nMessage-ID: <1234@va.example>\r\n"
    b"X-Rebookd-Id: 1234@va.example\r\nSubject: Kickoff\r\n\r\nHello Jo\r\n"
)
OTHER = b"Message-ID: <other@va.example>\r\nSubject: Not ours\r\n\r\n"
DRAFTS, SENT = "Entw&APw-rfe", "Gesendet"


@pytest.fixture
def server() -> Iterator[FakeImap]:
    """A mailbox with folders in another language than ours."""
    with FakeImap() as running:
        yield running


def drafts(server: FakeImap, **more: Any) -> ImapDrafts:
    """Its drafts."""
    given: dict[str, Any] = {
        "security": "none",
        "username": "dana",
        "password": lambda: "hunter2",
        "context": trusting(),
        "call_seconds": 5.0,
    }
    return ImapDrafts("localhost", server.port, **(given | more))


@pytest.mark.parametrize("security", ["none", "tls", "starttls"])
def test_a_draft_is_laid_down_once_found_and_taken_away(security: str) -> None:
    """By special use whatever the folder is called, under every kind of protection."""
    with FakeImap(tls=security == "tls") as server:
        server.deliver(DRAFTS, OTHER)
        mailbox = drafts(server, security=security)
        mailbox.check()
        assert mailbox.state(ID) is DraftState.GONE
        mailbox.put(RAW, ID)
        mailbox.put(RAW, ID)
        [_, mail] = server.folders[DRAFTS].mails
        assert (mail.raw, mail.flags) == (RAW, {"\\Draft", "\\Seen"})
        assert mailbox.state(ID) is DraftState.WAITING
        mailbox.remove(ID)
        mailbox.remove(ID)
        assert [mail.raw for mail in server.folders[DRAFTS].mails] == [OTHER]
        assert mailbox.state(ID) is DraftState.GONE


@pytest.mark.parametrize("header", [b"Message-ID: <1234@va.example>", b"X-Rebookd-Id: 1234@va.example"])
def test_a_sent_draft_is_found_even_under_another_message_id(server: FakeImap, header: bytes) -> None:
    """Some mail programs give a draft a new Message-ID when it is sent."""
    server.deliver(SENT, header + b"\r\nSubject: Kickoff\r\n\r\n")
    assert drafts(server).state(ID) is DraftState.SENT


def test_what_others_marked_as_deleted_is_not_expunged(server: FakeImap) -> None:
    """Only our own message goes; without UIDPLUS it is only marked, which counts as gone."""
    server.deliver(DRAFTS, OTHER, "\\Deleted")
    for after, left in (("IMAP4rev1 UIDPLUS", 1), ("IMAP4rev1", 2)):
        server.after = after
        mailbox = drafts(server)
        mailbox.put(RAW, ID)
        mailbox.remove(ID)
        assert len(server.folders[DRAFTS].mails) == left
        assert mailbox.state(ID) is DraftState.GONE
    assert not [command for command in server.commands if command.startswith(("EXPUNGE", "CLOSE"))]


def test_looking_changes_nothing(server: FakeImap) -> None:
    """Only a removal opens a folder for writing; no message is ever fetched."""
    mailbox = drafts(server)
    mailbox.check()
    mailbox.put(RAW, ID)
    mailbox.state(ID)
    assert not [one for one in server.commands if one.startswith(("SELECT", "UID FETCH", "UID STORE"))]


def test_a_drop_after_the_append_leaves_one_draft(server: FakeImap) -> None:
    """The second try looks first."""
    server.script["APPEND"] = [Say(do=True, drop=True)]
    mailbox = drafts(server)
    with pytest.raises(Retryable):
        mailbox.put(RAW, ID)
    mailbox.put(RAW, ID)
    assert len(server.folders[DRAFTS].mails) == 1


@pytest.mark.parametrize("before", ["IMAP4rev1", "IMAP4rev1 AUTH=PLAIN LOGINDISABLED"])
def test_signing_in(server: FakeImap, before: str) -> None:
    """With odd characters too; a wrong password needs the owner and is never repeated to them."""
    server.before = before
    for password in ('sp ace"\\', "pässword", "two\r\nlines"):
        server.users["dana"] = password
        drafts(server, password=partial(str, password)).check()
    with pytest.raises(NeedsLogin, match="does not accept the user name dana") as caught:
        drafts(server, password=lambda: "s3cret").check()
    assert "s3cret" not in f"{caught.value!r} {caught.value.__cause__!r}"


def test_a_server_that_cannot_sign_in_now_is_tried_again(server: FakeImap) -> None:
    """RFC 5530: UNAVAILABLE is no wrong password."""
    server.script["AUTHENTICATE"] = [Say("NO [UNAVAILABLE] backend down")]
    with pytest.raises(Unreachable, match="now"):
        drafts(server).check()


def test_folders_by_name(server: FakeImap) -> None:
    """Named ones, usual ones, and none: the owner is told what there is."""
    server.folders = {
        "INBOX": Folder(),
        "INBOX.Drafts": Folder(),
        "INBOX.Sent Items": Folder(),
        "X": Folder(),
    }
    mailbox = drafts(server)
    mailbox.put(RAW, ID)
    assert len(server.folders["INBOX.Drafts"].mails) == 1
    named = drafts(server, drafts="X")
    named.put(RAW, ID)
    assert len(server.folders["X"].mails) == 1
    with pytest.raises(Rejected, match=r"no folder 'Y'; set mail.imap.drafts to one of: INBOX, INBOX.Drafts"):
        drafts(server, drafts="Y").check()
    del server.folders["INBOX.Sent Items"]
    with pytest.raises(Rejected, match="no folder of sent mail"):
        drafts(server, drafts="INBOX").state(ID)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (Say("NO [OVERQUOTA] full"), Retryable),
        (Say("NO [TRYCREATE] no such folder"), Rejected),
        (Say(drop=True), Retryable),
    ],
)
def test_a_refused_draft(server: FakeImap, answer: Say, error: type[ConnectorError]) -> None:
    """For now, for good, or broken off."""
    server.script["APPEND"] = [answer]
    with pytest.raises(ConnectorError) as caught:
        drafts(server).put(RAW, ID)
    assert type(caught.value) is error


@pytest.mark.parametrize(
    "verb", ["CONNECT", "CAPABILITY", "AUTHENTICATE", "LIST", "EXAMINE", "UID SEARCH", "LOGOUT"]
)
@pytest.mark.parametrize(
    "answer",
    [
        Say(forever=b"*", pause=0.01),
        Say(forever=b"* OK still here\r\n", pause=0.005),
        Say(forever=b"* 1 FETCH (BODY {70000}\r\n" + b"x" * 70000 + b")\r\n"),
        Say(raw=b"* 1 FETCH (BODY {99999999999}\r\n", drop=True),
        Say(raw=b"* LIST (\\Drafts) NIL {3}\r\nabc\r\n* SEARCH {1}\r\nx\r\n\xff\xfe\r\n", drop=True),
        Say(raw=b"* LIST (\\Drafts\r\n* SEARCH x y\r\n* BYE go away\r\n", drop=True),
    ],
    ids=["trickle", "chatter", "flood", "literal", "odd", "bye"],
)
def test_hostile_20_a_server_that_does_not_stop(server: FakeImap, verb: str, answer: Say) -> None:
    """HOSTILE 20: endless, slow, huge or odd answers end at the deadline or the size, as an error."""
    server.script[verb] = [answer]
    begun = time.monotonic()
    if verb == "LOGOUT":
        drafts(server, call_seconds=0.3).state(ID)
    else:
        with pytest.raises(Retryable):
            drafts(server, call_seconds=0.3).state(ID)
    assert time.monotonic() - begun < 5


def test_whom_we_do_not_talk_to(server: FakeImap) -> None:
    """Nobody there, no trust, no STARTTLS; each says what to do."""
    gone = ImapDrafts("localhost", free_port(), username="dana", password=str)
    with pytest.raises(Unreachable, match="could not be reached"):
        gone.check()
    server.before = "IMAP4rev1"
    with pytest.raises(Unreachable, match="does not offer STARTTLS"):
        drafts(server, security="starttls").check()
    with pytest.raises(Unreachable, match="TLS"):
        drafts(server, security="tls", call_seconds=2.0).check()
    with FakeImap(tls=True) as other, pytest.raises(Unreachable, match="certificate"):
        drafts(other, security="tls", context=None).check()


@pytest.mark.parametrize("message_id", ["", "x", "<a b>", '<a"b>', "<a\r\nA1 LOGOUT>", "<ä@x.example>", "<>"])
def test_only_a_plain_message_id_is_searched_for(server: FakeImap, message_id: str) -> None:
    """Nothing that could end the command."""
    with pytest.raises(Rejected):
        drafts(server).put(RAW, message_id)
    assert server.commands == []
