"""Outlook's mailbox on the wire: what is certain, what nobody knows, and drafts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from email.message import EmailMessage

import pytest

from connectors.base import (
    ConnectorError,
    DraftState,
    NeedsLogin,
    Rejected,
    Retryable,
    Uncertain,
    Unreachable,
)
from connectors.http import Limits
from connectors.mailbox import LOOK_BACK
from connectors.outlook_client import GraphClient
from connectors.outlook_mail import OutlookMail
from tests.support import faults
from tests.support.authority import trusted
from tests.support.fake_graph.graph_errors import error
from tests.support.fake_graph.mailboxes import Box
from tests.support.fake_graph.server import fake_graph
from tests.support.fake_graph.world import FakeGraph
from tests.support.google_ics import StaticToken
from tests.support.meetings import NOW
from tests.support.servers import free_port
from tests.support.wire import Answer

DANA, JO = "dana@acme.example", "jo@initech.example"
ID, OTHER = "<1.confirm@acme.example>", "<AM0PR@eurprd.prod.outlook.com>"
ALL = ("User.Read", "Mail.Send", "Mail.ReadWrite")
SEND = "sendMail"


@pytest.fixture
def graph() -> Iterator[FakeGraph]:
    """A Graph with Dana and Jo."""
    with trusted(), fake_graph(lambda: NOW) as made:
        made.user(DANA, "Dana Reyes", aliases=("reyes@acme.example",))
        made.user(JO)
        yield made


@pytest.fixture
def box(graph: FakeGraph) -> Box:
    """What lies in Dana's mailbox."""
    return graph.users[DANA].mailbox


def outlook(graph: FakeGraph, *scopes: str, sender: str = DANA, seconds: float = 5) -> OutlookMail:
    """Dana's mailbox; without scopes the sign-in allows everything."""
    token = StaticToken(graph.grants.mint(DANA, *(scopes or ALL)))
    limits = Limits(seconds=seconds, redirects=0, wait_seconds=0.01)
    return OutlookMail(GraphClient(token, graph.root, account="acme", limits=limits), sender)


def letter(to: str = JO, message_id: str = ID, **headers: str) -> bytes:
    """A mail from Dana."""
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"], mail["Message-ID"] = DANA, to, "Kickoff: ação", message_id
    for name, value in headers.items():
        mail[name.replace("_", "-")] = value
    mail.set_content("May I ask you to confirm?\n")
    return mail.as_bytes()


class Commits:
    """Counts how often it was committed to."""

    def __init__(self, error: Exception | None = None) -> None:
        self.count = 0
        self.error = error

    def __call__(self) -> None:
        """The next byte may make the server keep it."""
        self.count += 1
        if self.error:
            raise self.error


def test_a_mail_leaves_as_it_was_written(graph: FakeGraph, box: Box) -> None:
    """Committed to once, byte for byte, with our own Message-ID; Jo has it."""
    commits = Commits()
    mailbox = outlook(graph, "Mail.Send")
    with mailbox.session():
        receipt = mailbox.send(DANA, [JO], letter(), commits)
    assert (receipt.refused, receipt.response) == ({}, "Microsoft took it")
    assert commits.count == 1
    assert box.sent == [letter()]
    assert len(graph.users[JO].mailbox.messages) == 1
    assert graph.seen(SEND)[0].headers["content-type"] == "text/plain"


@pytest.mark.parametrize("to", [f"{JO}, bo@initech.example", "bo@initech.example", ""])
def test_a_mail_to_other_people_is_not_sent(graph: FakeGraph, to: str) -> None:
    """Exchange reads the recipients in the message: they must be those it is meant for."""
    commits = Commits()
    with pytest.raises(Rejected, match="other recipients"):
        outlook(graph).send(DANA, [JO], letter(to=to), commits)
    with pytest.raises(Rejected, match="other recipients"):
        outlook(graph).send(DANA, [JO], letter(Bcc="bo@initech.example"), commits)
    assert commits.count == 0
    assert graph.count(SEND) == 0


def test_a_fence_that_closes_stops_the_mail(graph: FakeGraph, box: Box) -> None:
    """The error comes back unchanged, and nothing was sent."""
    with pytest.raises(KeyError, match="ours"):
        outlook(graph).send(DANA, [JO], letter(), Commits(KeyError("ours")))
    assert box.sent == []


@pytest.mark.parametrize(
    "fault",
    [
        faults.dropped(kept=True),
        faults.dropped(kept=False),
        faults.answer(200, b"{}"),
        faults.answer(202, b"<html>"),
        faults.html(),
        faults.html(502),
        error(500),
        error(503, retry_after=5),
        error(504),
        faults.answer(408, b"{}"),
        faults.slow(0.05),
        faults.gzip_bomb(20),
    ],
)
def test_what_nobody_knows_is_called_so(graph: FakeGraph, fault: faults.Effect) -> None:
    """After the message left, only Microsoft's own word says what became of it; it is never sent again."""
    graph.fail(SEND, fault)
    commits = Commits()
    with pytest.raises(Uncertain):
        outlook(graph, seconds=0.6).send(DANA, [JO], letter(), commits)
    assert commits.count == 1
    assert graph.count(SEND) == 1


@pytest.mark.parametrize(
    ("fault", "raised"),
    [
        (error(429, retry_after=30), Retryable),
        (error(409), Retryable),
        (faults.redirect("https://elsewhere.example/"), Retryable),
        (error(401), NeedsLogin),
        (error(400, "ErrorInvalidRecipients"), Rejected),
        (error(403, "ErrorSendAsDenied"), Rejected),
        (error(413, "ErrorMessageSizeExceeded"), Rejected),
    ],
)
def test_what_microsoft_refuses_was_not_kept(
    graph: FakeGraph, box: Box, fault: faults.Effect, raised: type[ConnectorError]
) -> None:
    """A clear answer is no doubt."""
    graph.fail(SEND, fault)
    with pytest.raises(raised):
        outlook(graph).send(DANA, [JO], letter(), Commits())
    assert (box.sent, graph.count(SEND)) == ([], 1)


def test_a_pause_is_kept_before_anything_is_committed_to(graph: FakeGraph) -> None:
    """Who was asked to slow down neither commits nor sends until then, and is told how long."""
    graph.fail(SEND, error(429, retry_after=30))
    mailbox, commits = outlook(graph), Commits()
    for _ in range(2):
        with pytest.raises(Retryable) as told:
            mailbox.send(DANA, [JO], letter(), commits)
        assert told.value.retry_after == pytest.approx(30, abs=5)
        assert not isinstance(told.value, Unreachable)
    assert (commits.count, graph.count(SEND)) == (1, 1)


def test_a_server_that_is_away_was_told_nothing() -> None:
    """No connection, no commitment: it can be tried again without fear."""
    client = GraphClient(StaticToken("t"), f"http://127.0.0.1:{free_port()}/v1.0")
    commits = Commits()
    with pytest.raises(Unreachable):
        OutlookMail(client, DANA).send(DANA, [JO], letter(), commits)
    assert commits.count == 0


def test_what_was_sent_is_found_again(graph: FakeGraph, box: Box) -> None:
    """By its Message-ID, thrown away or not, once it is filed; a draft or another mail does not count."""
    mailbox = outlook(graph, "Mail.ReadBasic")
    box.put_draft(letter())
    assert mailbox.find(ID) is False
    box.send(letter(message_id="<2.other@acme.example>"))
    assert mailbox.find(ID) is False
    graph.mail.lag = timedelta(minutes=1)
    box.send(letter())
    assert mailbox.find(ID) is False
    graph.mail.lag = timedelta(0)
    box.remove(box.send(letter()))
    assert mailbox.find(ID) is True


def test_it_is_looked_for_on_every_page(graph: FakeGraph, box: Box) -> None:
    """What was sent may come after a page of drafts."""
    box.send(letter())
    for _ in range(12):
        box.put_draft(letter())
    assert outlook(graph).find(ID) is True
    assert graph.count("messages.list") == 2


@pytest.mark.parametrize("strange", ["", "<a b@c>", "<x'> or isDraft eq false", 'x"y'])
def test_a_search_is_never_something_else(graph: FakeGraph, strange: str) -> None:
    """What is no Message-ID is not asked for."""
    assert outlook(graph).find(strange) is None
    assert graph.requests == []


def test_a_sign_in_that_may_only_send_cannot_know(graph: FakeGraph) -> None:
    """None, which is neither yes nor no; and checking it succeeds."""
    mailbox = outlook(graph, "Mail.Send")
    assert mailbox.find(ID) is None
    mailbox.check()


def test_checking_says_whom_outlook_sends_as(graph: FakeGraph) -> None:
    """Its own addresses in any case of letters, the aliases among them, and no other."""
    for own in (DANA, "Dana@Acme.Example", "reyes@acme.example"):
        outlook(graph, sender=own).check()
    with pytest.raises(Rejected, match=f"would send as {DANA}, not as dana@va.example"):
        outlook(graph, sender="dana@va.example").check()


@pytest.mark.parametrize(
    ("profile", "own"),
    [
        (b'{"mail": null, "userPrincipalName": "dana@acme.example"}', True),
        (b'{"mail": null, "userPrincipalName": "pat@outlook.example", "proxyAddresses": null}', False),
        (b'{"mail": "d@acme.example", "proxyAddresses": ["sip:dana@acme.example"]}', False),
        (b'{"mail": "d@acme.example", "proxyAddresses": ["smtp:Dana@acme.example"]}', True),
        (b"{}", True),
    ],
)
def test_what_an_account_does_not_tell_is_not_held_against_it(
    graph: FakeGraph, profile: bytes, *, own: bool
) -> None:
    """A personal account has no proxy addresses; one for calls is none for mail."""
    graph.fail("me", faults.answer(200, profile))
    if own:
        outlook(graph).check()
        return
    with pytest.raises(Rejected, match="would send as"):
        outlook(graph).check()


def test_a_draft_is_laid_once_and_looked_after(graph: FakeGraph, box: Box) -> None:
    """Waiting, then gone by the owner's hand: into the deleted ones, and from there for good."""
    mailbox = outlook(graph)
    assert mailbox.state(ID) is DraftState.GONE
    mailbox.put(letter(), ID)
    mailbox.put(letter(), ID)
    outlook(graph).put(letter(), ID)
    assert box.drafts == [letter()]
    assert mailbox.state(ID) is DraftState.WAITING
    assert outlook(graph).state(ID) is DraftState.WAITING
    [draft] = box.inside("drafts")
    for _ in range(2):
        box.remove(draft)
        assert mailbox.state(ID) is DraftState.GONE
        assert outlook(graph).state(ID) is DraftState.GONE


def test_a_draft_whose_answer_was_lost_is_not_laid_again(graph: FakeGraph, box: Box) -> None:
    """The next try finds it."""
    mailbox = outlook(graph)
    graph.fail("messages.create", faults.dropped(kept=True))
    with pytest.raises(Retryable):
        mailbox.put(letter(), ID)
    mailbox.put(letter(), ID)
    assert box.drafts == [letter()]


@pytest.mark.parametrize("keeps", [True, False])
@pytest.mark.parametrize("restarted", [True, False])
def test_a_draft_sent_by_hand_is_known_as_sent(
    graph: FakeGraph, box: Box, *, keeps: bool, restarted: bool
) -> None:
    """By its id, which it keeps; by its Message-ID; or by its mark where Exchange gave it another."""
    graph.mail.keeps_message_ids = keeps
    mailbox = outlook(graph)
    box.send(letter(message_id="<0.earlier@acme.example>"))
    mailbox.put(letter(X_Rebookd_Id=ID.strip("<>")), ID)
    box.send_draft(box.inside("drafts")[0].id)
    assert (outlook(graph) if restarted else mailbox).state(ID) is DraftState.SENT


def test_a_draft_is_known_by_its_id(graph: FakeGraph, box: Box) -> None:
    """Which it keeps, though it lost its Message-ID and its mark."""
    mailbox = outlook(graph)
    mailbox.put(letter(), ID)
    [draft] = box.inside("drafts")
    draft.raw = letter(message_id=OTHER)
    assert mailbox.state(ID) is DraftState.WAITING
    box.send_draft(draft.id)
    assert mailbox.state(ID) is DraftState.SENT


@pytest.mark.parametrize("restarted", [True, False])
def test_an_edited_draft_is_known_by_its_mark(graph: FakeGraph, box: Box, *, restarted: bool) -> None:
    """A mail program that gives it another Message-ID, or sends a copy of it, leaves the mark alone."""
    mailbox = outlook(graph)
    mailbox.put(letter(X_Rebookd_Id=ID.strip("<>")), ID)
    [draft] = box.inside("drafts")
    draft.raw = draft.raw.replace(ID.encode(), OTHER.encode())
    looked = outlook(graph) if restarted else mailbox
    assert looked.state(ID) is DraftState.WAITING
    looked.put(letter(), ID)
    assert len(box.drafts) == 1
    box.send(draft.raw)
    del box.messages[draft.id]
    assert looked.state(ID) is DraftState.SENT
    looked.remove(ID)
    assert len(box.sent) == 1


def test_the_newest_of_many_sent_messages_are_looked_at(graph: FakeGraph, box: Box) -> None:
    """However much was sent before."""
    for number in range(LOOK_BACK + 5):
        box.send(letter(message_id=f"<{number}.earlier@acme.example>"))
    box.send(letter(message_id=OTHER, X_Rebookd_Id=ID.strip("<>")))
    assert outlook(graph).state(ID) is DraftState.SENT


def test_the_mark_of_another_draft_says_nothing(graph: FakeGraph, box: Box) -> None:
    """A ladder's mails look alike; only its own mark names a draft."""
    mailbox = outlook(graph)
    box.send(letter(message_id=OTHER, X_Rebookd_Id="0.earlier@acme.example", In_Reply_To=ID))
    mailbox.put(letter(X_Rebookd_Id=ID.strip("<>")), ID)
    box.remove(box.inside("drafts")[0])
    assert mailbox.state(ID) is DraftState.GONE


@pytest.mark.parametrize("again", [False, True])
def test_a_draft_is_taken_away(graph: FakeGraph, box: Box, *, again: bool) -> None:
    """From this run or an earlier one; what is not there is no trouble."""
    mailbox = outlook(graph)
    mailbox.put(letter(), ID)
    other = outlook(graph) if again else mailbox
    other.remove(ID)
    other.remove(ID)
    assert box.drafts == []
    assert other.state(ID) is DraftState.GONE


def test_a_draft_that_goes_while_it_is_taken_away_is_no_trouble(graph: FakeGraph) -> None:
    """The owner was quicker."""
    mailbox = outlook(graph)
    mailbox.put(letter(), ID)
    graph.fail("messages.delete", error(404))
    mailbox.remove(ID)


@pytest.mark.parametrize(
    ("fault", "raised"),
    [
        (error(503), Retryable),
        (error(429, retry_after=3), Retryable),
        (faults.html(), Retryable),
        (faults.truncated(), Retryable),
        (faults.gzip_bomb(20), Retryable),
        (faults.answer(200, b'{"value": [{"id": "x"}]}'), Retryable),
        (faults.answer(200, b'{"value": [{"isDraft": false}]}'), Retryable),
        (faults.answer(200, b'{"value": 5}'), Retryable),
        (error(401), NeedsLogin),
        (error(400), Rejected),
        (error(403), Rejected),
        (error(404, "MailboxNotEnabledForRESTAPI"), Rejected),
    ],
)
def test_a_mailbox_in_trouble_says_so(
    graph: FakeGraph, fault: faults.Effect, raised: type[ConnectorError]
) -> None:
    """Only in the three words that whoever looks after drafts understands; nothing follows from nonsense."""
    graph.fail("messages.list", fault, times=None)
    with pytest.raises(raised):
        outlook(graph).put(letter(), ID)
    with pytest.raises(raised):
        outlook(graph).state(ID)
    with pytest.raises(raised):
        outlook(graph).remove(ID)


def test_a_draft_of_which_nothing_is_told_is_looked_for(graph: FakeGraph, box: Box) -> None:
    """An answer without its id is no place; it is found by its Message-ID."""
    graph.fail("messages.create", faults.Effect(spoil=lambda _, whole: _without_id(whole)))
    mailbox = outlook(graph)
    mailbox.put(letter(), ID)
    assert mailbox.state(ID) is DraftState.WAITING
    mailbox.put(letter(), ID)
    assert len(box.drafts) == 1


def _without_id(whole: Answer) -> Answer:
    return Answer(whole.status, re.sub(rb'"id": "[^"]*", ', b"", whole.body), whole.headers)
