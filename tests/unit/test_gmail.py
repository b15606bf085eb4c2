"""Gmail against a mailbox on the wire: what is certain, what nobody knows, and drafts."""

from __future__ import annotations

from collections.abc import Iterator
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
from connectors.gmail import Gmail
from connectors.google_client import GoogleClient, google_pace
from connectors.http import Limits
from tests.support.fake_google import FakeGoogle, fake_google, faults
from tests.support.google_ics import StaticToken
from tests.support.servers import free_port

DANA, JO = "dana@acme.example", "jo@initech.example"
ID = "<1.confirm@acme.example>"
GMAIL = "https://www.googleapis.com/auth/gmail."
SEND = "gmail.users.messages.send"


@pytest.fixture
def google() -> Iterator[FakeGoogle]:
    """A Google with Dana and Jo."""
    with fake_google() as made:
        made.user(DANA)
        made.user(JO)
        yield made


def gmail(google: FakeGoogle, *scopes: str, sender: str = DANA, seconds: float = 5) -> Gmail:
    """Dana's mailbox; without scopes the sign-in allows everything."""
    token = StaticToken(google.oauth.token(DANA, *(GMAIL + name for name in scopes)))
    limits = Limits(seconds=seconds, redirects=0, wait_seconds=0.01)
    client = GoogleClient(token, google.root, account="acme", pace=google_pace(), limits=limits)
    return Gmail(client, sender)


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


def test_a_mail_leaves_as_it_was_written(google: FakeGoogle) -> None:
    """Committed to once, byte for byte, with our own Message-ID; Jo has it."""
    commits = Commits()
    mailbox = gmail(google, "send")
    with mailbox.session():
        receipt = mailbox.send(DANA, [JO], letter(), commits)
    assert receipt.refused == {}
    assert "Gmail took it as" in receipt.response
    assert commits.count == 1
    assert google.mail.box(DANA).sent == [letter()]
    assert len(google.mail.box(JO).messages) == 1


@pytest.mark.parametrize("to", [f"{JO}, bo@initech.example", "bo@initech.example", ""])
def test_a_mail_to_other_people_is_not_sent(google: FakeGoogle, to: str) -> None:
    """Gmail reads the recipients in the message: they must be those it is meant for."""
    commits = Commits()
    with pytest.raises(Rejected, match="other recipients"):
        gmail(google).send(DANA, [JO], letter(to=to), commits)
    with pytest.raises(Rejected, match="other recipients"):
        gmail(google).send(DANA, [JO], letter(Bcc="bo@initech.example"), commits)
    assert commits.count == 0
    assert google.count(SEND) == 0


def test_a_fence_that_closes_stops_the_mail(google: FakeGoogle) -> None:
    """The error comes back unchanged, and nothing was sent."""
    with pytest.raises(KeyError, match="ours"):
        gmail(google).send(DANA, [JO], letter(), Commits(KeyError("ours")))
    assert google.mail.box(DANA).sent == []


@pytest.mark.parametrize(
    "fault",
    [
        faults.dropped(kept=True),
        faults.dropped(kept=False),
        faults.cut_off(),
        faults.truncated(),
        faults.html(),
        faults.answer(200, b"{}"),
        faults.error(500),
        faults.error(503, retry_after=5),
        faults.answer(408, b"{}"),
        faults.slow(0.05),
        faults.gzip_bomb(20),
    ],
)
def test_what_nobody_knows_is_called_so(google: FakeGoogle, fault: faults.Effect) -> None:
    """After the message left, only Google's own word says what became of it."""
    google.fail(SEND, fault)
    commits = Commits()
    with pytest.raises(Uncertain):
        gmail(google, seconds=0.6).send(DANA, [JO], letter(), commits)
    assert commits.count == 1
    assert google.count(SEND) == 1


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (faults.error(429, "rateLimitExceeded"), Retryable),
        (faults.error(403, "userRateLimitExceeded"), Retryable),
        (faults.error(403, "quotaExceeded"), Retryable),
        (faults.error(409, "aborted"), Retryable),
        (faults.redirect("https://elsewhere.example/"), Retryable),
        (faults.error(401), NeedsLogin),
        (faults.error(400, "invalidArgument", "Invalid To header"), Rejected),
        (faults.error(403, "forbidden"), Rejected),
    ],
)
def test_what_google_refuses_was_not_kept(
    google: FakeGoogle, fault: faults.Effect, error: type[ConnectorError]
) -> None:
    """A clear answer is no doubt."""
    google.fail(SEND, fault)
    with pytest.raises(error):
        gmail(google).send(DANA, [JO], letter(), Commits())
    assert google.mail.box(DANA).sent == []


def test_a_server_that_is_away_was_told_nothing() -> None:
    """No connection, no commitment: it can be tried again without fear."""
    client = GoogleClient(StaticToken("t"), f"http://127.0.0.1:{free_port()}/", pace=google_pace())
    commits = Commits()
    with pytest.raises(Unreachable):
        Gmail(client, DANA).send(DANA, [JO], letter(), commits)
    assert commits.count == 0


def test_the_quota_on_sending_rests_sending_alone(google: FakeGoogle) -> None:
    """Nothing is sent for an hour; looking goes on."""
    google.fail(SEND, faults.error(403, "quotaExceeded"))
    mailbox, commits = gmail(google), Commits()
    for _ in range(2):
        with pytest.raises(Retryable) as told:
            mailbox.send(DANA, [JO], letter(), commits)
        assert told.value.retry_after is not None
        assert told.value.retry_after > 3500
    assert google.count(SEND) == 1
    assert mailbox.find(ID) is False


def test_what_was_sent_is_found_again(google: FakeGoogle) -> None:
    """By its Message-ID among the sent, thrown away or not; a draft or another mail does not count."""
    mailbox = gmail(google)
    google.mail.box(DANA).draft(letter())
    assert mailbox.find(ID) is False
    google.mail.box(DANA).send(letter(message_id="<2.other@acme.example>"))
    assert mailbox.find(ID) is False
    sent = google.mail.box(DANA).send(letter())
    assert mailbox.find(ID) is True
    sent.labels.add("TRASH")
    assert mailbox.find(ID) is True


@pytest.mark.parametrize("strange", ["", "<a b@c>", "<x> OR in:sent", 'x"y'])
def test_a_search_is_never_something_else(google: FakeGoogle, strange: str) -> None:
    """What is no Message-ID is not asked for."""
    assert gmail(google).find(strange) is None
    assert google.requests == []


def test_a_sign_in_that_may_only_send_cannot_know(google: FakeGoogle) -> None:
    """None, which is neither yes nor no; and checking it succeeds."""
    mailbox = gmail(google, "send")
    assert mailbox.find(ID) is None
    mailbox.check()


def test_checking_says_whom_gmail_sends_as(google: FakeGoogle) -> None:
    """Gmail replaces an address it does not know."""
    gmail(google).check()
    with pytest.raises(Rejected, match=f"would send as {DANA}"):
        gmail(google, sender="dana@va.example").check()
    google.mail.box(DANA).aliases.add("dana@va.example")
    gmail(google, sender="dana@va.example").check()
    gmail(google, "compose", sender="other@va.example").check()


def test_a_draft_is_laid_once_and_looked_after(google: FakeGoogle) -> None:
    """Waiting, then gone by the owner's hand."""
    box, mailbox = google.mail.box(DANA), gmail(google)
    assert mailbox.state(ID) is DraftState.GONE
    mailbox.put(letter(), ID)
    mailbox.put(letter(), ID)
    gmail(google).put(letter(), ID)
    assert box.waiting == [letter()]
    assert mailbox.state(ID) is DraftState.WAITING
    assert gmail(google).state(ID) is DraftState.WAITING
    box.discard(next(iter(box.drafts)))
    assert mailbox.state(ID) is DraftState.GONE
    assert gmail(google).state(ID) is DraftState.GONE


@pytest.mark.parametrize("keeps", [True, False])
@pytest.mark.parametrize("restarted", [True, False])
def test_a_draft_sent_by_hand_is_known_as_sent(google: FakeGoogle, keeps: bool, restarted: bool) -> None:
    """By its Message-ID, or by its mark or its thread where Gmail gave it another."""
    google.mail.keeps_message_id = keeps
    box, mailbox = google.mail.box(DANA), gmail(google)
    box.send(letter(message_id="<0.earlier@acme.example>"))
    mailbox.put(letter(X_Rebookd_Id=ID.strip("<>")), ID)
    box.send_draft(next(iter(box.drafts)))
    assert (gmail(google) if restarted else mailbox).state(ID) is DraftState.SENT


def test_an_earlier_mail_of_its_thread_is_not_the_draft(google: FakeGoogle) -> None:
    """A ladder's mails share a thread; what was sent before the draft was laid says nothing of it."""
    google.mail.keeps_message_id = True
    box, mailbox = google.mail.box(DANA), gmail(google)
    box.send(letter(message_id="<0.earlier@acme.example>"))
    mailbox.put(letter(In_Reply_To="<0.earlier@acme.example>"), ID)
    box.discard(next(iter(box.drafts)))
    assert mailbox.state(ID) is DraftState.GONE


def test_a_draft_is_taken_away(google: FakeGoogle) -> None:
    """From this run or an earlier one; what is not there is no trouble."""
    box = google.mail.box(DANA)
    for again in (False, True):
        mailbox = gmail(google)
        mailbox.put(letter(), ID)
        other = gmail(google) if again else mailbox
        other.remove(ID)
        other.remove(ID)
        assert box.waiting == []
        assert other.state(ID) is DraftState.GONE


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (faults.error(503), Retryable),
        (faults.html(), Retryable),
        (faults.gzip_bomb(20), Retryable),
        (faults.error(401), NeedsLogin),
        (faults.error(400, "invalidArgument"), Rejected),
    ],
)
def test_a_mailbox_in_trouble_says_so(
    google: FakeGoogle, fault: faults.Effect, error: type[ConnectorError]
) -> None:
    """Only in the three words that whoever looks after drafts understands."""
    google.fail("gmail.users.drafts.*", fault, times=None)
    for attempt in (lambda one: one.put(letter(), ID), lambda one: one.state(ID), lambda one: one.remove(ID)):
        with pytest.raises(error):
            attempt(gmail(google))
