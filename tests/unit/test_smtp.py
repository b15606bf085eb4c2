"""Mail out, against a server that misbehaves at the wire."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from connectors.base import NeedsLogin, Rejected, Retryable, Uncertain, Unreachable
from connectors.smtp import SmtpMailer, prepared
from tests.support.fake_smtp import Answer, FakeSmtp, trusting

ME = "dana@va.example"
JO = "jo@acme.example"
BO = "bo@acme.example"
MAIL = b"From: dana@va.example\r\nSubject: Another time?\r\n\r\nHello\r\n"
LARGE = MAIL + (b"x" * 996 + b"\r\n") * 16_000
"""More than the sockets between us and the server hold."""


@pytest.fixture
def server() -> Iterator[FakeSmtp]:
    """A server of its own for each test."""
    with FakeSmtp() as running:
        yield running


def mailer(server: FakeSmtp, **more: Any) -> SmtpMailer:
    """A mailer with short patience."""
    seconds = {"connect_seconds": 2.0, "message_seconds": 2.0, "answer_seconds": 2.0}
    return SmtpMailer("localhost", server.port, **{"security": "none", **seconds, **more})


class Commit:
    """Counts how often the moment of commitment came, and what the server knew by then."""

    def __init__(self, server: FakeSmtp, then: Callable[[], None] = lambda: None) -> None:
        self.times = 0
        self.kept_before = -1
        self._server = server
        self._then = then

    def __call__(self) -> None:
        """Note the moment."""
        self.times += 1
        self.kept_before = len(self._server.kept)
        self._then()


def test_message_arrives_once_and_commits_before_it_is_kept(server: FakeSmtp) -> None:
    """The durable mark comes before the final dot, the receipt after it."""
    commit = Commit(server)
    receipt = mailer(server).send(ME, [JO], MAIL, commit)
    assert (commit.times, commit.kept_before) == (1, 0)
    assert [(one.sender, one.recipients, one.data) for one in server.kept] == [(ME, (JO,), MAIL)]
    assert receipt.refused == {}
    assert receipt.response == "250 kept"


def test_session_uses_one_connection(server: FakeSmtp) -> None:
    """A burst of messages shares one connection, and says goodbye."""
    sender = mailer(server)
    with sender.session():
        for _ in range(3):
            sender.send(ME, [JO], MAIL, Commit(server))
    assert server.connections == 1
    assert len(server.kept) == 3
    assert server.commands[-1] == "QUIT"


def test_stale_connection_is_made_anew_before_anything_is_sent(server: FakeSmtp) -> None:
    """A server that hung up between two messages costs a connection, not a message."""
    server.say("DOT", Answer("250 kept", drop=True))
    sender = mailer(server)
    with sender.session():
        for _ in range(2):
            sender.send(ME, [JO], MAIL, Commit(server))
    assert (server.connections, len(server.kept)) == (2, 2)


def test_goodbye_between_messages_is_no_failure(server: FakeSmtp) -> None:
    """421 to the next MAIL on a kept connection means a new connection."""
    server.say("MAIL", "250 ok", Answer("421 bye", drop=True))
    sender = mailer(server)
    with sender.session():
        for _ in range(2):
            sender.send(ME, [JO], MAIL, Commit(server))
    assert (server.connections, len(server.kept)) == (2, 2)


@pytest.mark.parametrize("verb", ["MAIL", "RCPT", "DATA"])
def test_temporary_refusal_is_retryable_then_accepted(server: FakeSmtp, verb: str) -> None:
    """450 then accept: nothing is committed by the first, all is well with the second."""
    server.say(verb, "450 4.2.1 busy")
    sender, commit = mailer(server), Commit(server)
    with pytest.raises(Retryable, match=r"450 4\.2\.1 busy"):
        sender.send(ME, [JO], MAIL, commit)
    assert commit.times == 0
    sender.send(ME, [JO], MAIL, commit)
    assert len(server.kept) == 1


@pytest.mark.parametrize("verb", ["MAIL", "RCPT", "DATA"])
def test_permanent_refusal_is_rejected(server: FakeSmtp, verb: str) -> None:
    """5xx before the message: it was refused for good, and nothing was committed."""
    server.say(verb, "550 5.1.1 no such person")
    commit = Commit(server)
    with pytest.raises(Rejected, match="no such person"):
        mailer(server).send(ME, [JO], MAIL, commit)
    assert (commit.times, server.kept) == (0, [])


@pytest.mark.parametrize(("answer", "error"), [("451 later", Retryable), ("554 spam", Rejected)])
def test_answer_to_the_dot_is_certain(server: FakeSmtp, answer: str, error: type[Exception]) -> None:
    """A refusal of the whole message says that it was not kept (RFC 5321 section 4.2.5)."""
    server.say("DOT", Answer(answer, keep=False))
    with pytest.raises(error):
        mailer(server).send(ME, [JO], MAIL, Commit(server))


@pytest.mark.parametrize("keep", [True, False])
def test_no_answer_to_the_dot_is_uncertain(server: FakeSmtp, keep: bool) -> None:
    """Dropped after the final dot, kept or not: nobody knows, and the mailer says so."""
    server.say("DOT", Answer(drop=True, keep=keep))
    commit = Commit(server)
    with pytest.raises(Uncertain, match="hung up after the whole message was handed over"):
        mailer(server).send(ME, [JO], MAIL, commit)
    assert commit.times == 1


def test_nonsense_after_the_dot_is_uncertain(server: FakeSmtp) -> None:
    """An answer that is no SMTP reply settles nothing."""
    server.say("DOT", Answer("OK whatever"))
    with pytest.raises(Uncertain):
        mailer(server).send(ME, [JO], MAIL, Commit(server))


def test_silence_after_the_dot_is_uncertain(server: FakeSmtp) -> None:
    """A server that trickles its verdict for ever is left after the deadline."""
    server.say("DOT", Answer(forever=b"2", pause=0.05))
    with pytest.raises(Uncertain, match="took too long"):
        mailer(server, answer_seconds=0.3).send(ME, [JO], MAIL, Commit(server))


@pytest.mark.parametrize("drop", [True, False])
def test_goodbye_after_acceptance_is_sent(server: FakeSmtp, drop: bool) -> None:
    """250, then 421: the message was kept, and the next one gets a new connection."""
    server.say("DOT", Answer("250 kept", then="421 shutting down", drop=drop))
    sender = mailer(server)
    with sender.session():
        for _ in range(2):
            sender.send(ME, [JO], MAIL, Commit(server))
    assert len(server.kept) == 2


def test_goodbye_in_place_of_an_answer_is_uncertain(server: FakeSmtp) -> None:
    """HOSTILE 28: 421 to the final dot; the server may have kept the mail before it went down."""
    server.say("DOT", Answer("421 shutting down", drop=True))
    with pytest.raises(Uncertain, match="421"):
        mailer(server).send(ME, [JO], MAIL, Commit(server))


def test_drop_in_the_middle_of_the_message_is_certain(server: FakeSmtp) -> None:
    """A server that hangs up before the dot keeps nothing; nothing is committed."""
    server.offers = ("SIZE 0",)
    server.say("DATA", Answer("354 go ahead", then="421 no more", drop=True))
    commit = Commit(server)
    with pytest.raises(Retryable):
        mailer(server).send(ME, [JO], LARGE, commit)
    assert commit.times == 0


def test_failed_mark_sends_nothing(server: FakeSmtp) -> None:
    """When the durable mark cannot be made, the dot is never sent and the error comes back as it is."""

    def fail() -> None:
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        mailer(server).send(ME, [JO], MAIL, Commit(server, fail))
    assert server.kept == []
    assert "QUIT" not in server.commands


def test_one_of_two_recipients_refused(server: FakeSmtp) -> None:
    """The other one gets it; the receipt names who did not, in the server's words."""
    server.say("RCPT", "250 ok", "550 5.1.1 unknown")
    receipt = mailer(server).send(ME, [JO, BO], MAIL, Commit(server))
    assert receipt.refused == {BO: "550 5.1.1 unknown"}
    assert server.kept[0].recipients == (JO,)


def test_all_recipients_refused_one_for_now(server: FakeSmtp) -> None:
    """One temporary refusal keeps the message alive."""
    server.say("RCPT", "550 unknown", "451 later")
    with pytest.raises(Retryable, match="451 later"):
        mailer(server).send(ME, [JO, BO], MAIL, Commit(server))


@pytest.mark.parametrize(
    "banner",
    [
        Answer(forever=b"220-hello\r\n"),
        Answer(forever=b"x" * 1000),
        Answer(forever=b"2", pause=0.05),
        Answer("250\x00garbage-" + "y" * 9000),
        Answer(drop=True),
        Answer("554 go away"),
        Answer("hello"),
    ],
    ids=["endless lines", "endless line", "slow bytes", "long line", "hang-up", "refusal", "no SMTP"],
)
def test_bad_banner_ends_within_the_deadline(server: FakeSmtp, banner: Answer) -> None:
    """Whatever a server says instead of a greeting, the mailer comes back and nothing is committed."""
    server.say("CONNECT", banner)
    commit = Commit(server)
    with pytest.raises(Unreachable):
        mailer(server, connect_seconds=0.5).send(ME, [JO], MAIL, commit)
    assert commit.times == 0


def test_reader_that_never_reads_is_left() -> None:
    """A server that stops taking the message holds us no longer than the deadline."""
    with FakeSmtp(offers=("SIZE 0",)) as server:
        server.say("DATA", Answer("354 go ahead", forever=b"\0", pause=0.2))
        commit = Commit(server)
        with pytest.raises(Retryable, match="took too long"):
            mailer(server, message_seconds=0.5).send(ME, [JO], LARGE, commit)
        assert commit.times == 0


def test_nobody_listens() -> None:
    """A refused connection is one plain sentence."""
    with FakeSmtp() as gone:
        port = gone.port
    with pytest.raises(Unreachable, match="could not be reached"):
        SmtpMailer("127.0.0.1", port, security="none").check()


@pytest.mark.parametrize("auth", ["auto", "plain", "login"])
def test_signs_in_with_a_password(auth: Any) -> None:
    """PLAIN and LOGIN, in any alphabet."""
    with FakeSmtp(offers=("AUTH LOGIN PLAIN",), users={"dana": "pässword"}) as server:
        mailer(server, username="dana", password=lambda: "pässword", auth=auth).check()
        assert server.commands[1].split()[1] == ("LOGIN" if auth == "login" else "PLAIN")


def test_signs_in_with_a_token() -> None:
    """XOAUTH2 is chosen where there is a token; the token is asked for anew each time."""
    tokens = iter(["old", "new"])
    with FakeSmtp(offers=("AUTH=PLAIN", "AUTH XOAUTH2"), users={"dana": "new"}) as server:
        sender = mailer(server, username="dana", token=lambda: next(tokens))
        with pytest.raises(NeedsLogin, match="access token"):
            sender.check()
        sender.check()


def test_wrong_password_keeps_it_secret() -> None:
    """The owner is told who was refused, never with what, not even when the server repeats it."""
    with FakeSmtp(offers=("AUTH PLAIN",)) as server:
        server.say("AUTH", "535 cannot understand AGRhbmEAaHVudGVyMg== hunter2")
        with pytest.raises(NeedsLogin) as caught:
            mailer(server, username="dana", password=lambda: "hunter2").check()
    assert "dana" in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert "AGRhbmEAaHVudGVyMg==" not in str(caught.value)


@pytest.mark.parametrize("offers", [("8BITMIME",), ("AUTH GSSAPI",)])
def test_no_way_to_sign_in(offers: tuple[str, ...]) -> None:
    """A server that offers no known way is not sent the password."""
    with FakeSmtp(offers=offers) as server:
        with pytest.raises(NeedsLogin, match="PLAIN or LOGIN"):
            mailer(server, username="dana", password=lambda: "x").check()
        assert not any(line.startswith("AUTH") for line in server.commands)


def test_temporary_sign_in_failure_is_retryable() -> None:
    """454 is no reason to ask the owner for another password."""
    with FakeSmtp(offers=("AUTH PLAIN",), users={"dana": "x"}) as server:
        server.say("AUTH", "454 4.7.0 busy")
        with pytest.raises(Unreachable, match="cannot sign us in now"):
            mailer(server, username="dana", password=lambda: "x").check()


def test_starttls_hides_the_password() -> None:
    """The sign-in happens after the encryption, on what the server offers inside it."""
    with FakeSmtp(offers=("STARTTLS", "AUTH PLAIN"), users={"dana": "x"}) as server:
        sender = mailer(
            server, security="starttls", context=trusting(), username="dana", password=lambda: "x"
        )
        sender.send(ME, [JO], MAIL, Commit(server))
        verbs = [line.split()[0] for line in server.commands]
        assert verbs[:4] == ["EHLO", "STARTTLS", "EHLO", "AUTH"]
        assert len(server.kept) == 1


def test_tls_from_the_first_byte() -> None:
    """Implicit TLS (RFC 8314), with a whole burst on it."""
    with FakeSmtp(tls=True) as server:
        sender = mailer(server, security="tls", context=trusting())
        with sender.session():
            for _ in range(3):
                sender.send(ME, [JO], MAIL, Commit(server))
        assert (server.connections, len(server.kept)) == (1, 3)


def test_stripped_starttls_is_refused() -> None:
    """Without STARTTLS on offer nothing goes out in the clear."""
    with FakeSmtp(users={"dana": "x"}) as server:
        with pytest.raises(Unreachable, match="does not offer STARTTLS"):
            mailer(server, security="starttls", username="dana", password=lambda: "x").check()
        assert not any(line.startswith("AUTH") for line in server.commands)


def test_words_before_the_encryption_are_refused() -> None:
    """An answer slipped in after STARTTLS and before TLS is an attack (RFC 3207 section 6)."""
    with FakeSmtp(offers=("STARTTLS",)) as server:
        server.say("STARTTLS", Answer("220 go ahead\r\n250 injected"))
        with pytest.raises(Unreachable, match=r"before the encryption|begin the encryption"):
            mailer(server, security="starttls", context=trusting()).check()


def test_unknown_certificate_is_refused() -> None:
    """A certificate that nobody vouches for ends the conversation, in plain words."""
    with FakeSmtp(tls=True) as server, pytest.raises(Unreachable, match="no valid certificate"):
        mailer(server, security="tls").check()


@pytest.mark.parametrize(
    "address",
    ["jo@acme.example>\r\nRCPT TO:<evil@x.example", "jo", "a b@x.example", "<jo@x.example>", "", "jo@x\0"],
)
def test_forged_address_never_reaches_the_wire(server: FakeSmtp, address: str) -> None:
    """An address that would end its command is no address."""
    with pytest.raises(Rejected, match="is not a mail address"):
        mailer(server).send(ME, [address], MAIL, Commit(server))
    assert server.connections == 0


def test_stray_line_end_in_a_header_is_refused(server: FakeSmtp) -> None:
    """A bare CR would become a header of its own."""
    with pytest.raises(Rejected, match="control characters"):
        mailer(server).send(ME, [JO], b"Subject: Hi\rBcc: evil@x.example\r\n\r\nHello\r\n", Commit(server))


@pytest.mark.parametrize(
    ("message", "wire"),
    [
        (b"A: b\n\n.\nhello", b"A: b\r\n\r\n..\r\nhello\r\n"),
        (b"A: b\r\n\r\none\rtwo\n.three\r\n", b"A: b\r\n\r\none\r\ntwo\r\n..three\r\n"),
        (b"A: b\r\n\r\nend\r\n\r\n", b"A: b\r\n\r\nend\r\n\r\n"),
    ],
)
def test_lines_and_dots(message: bytes, wire: bytes) -> None:
    """Line ends become CRLF first, then leading dots double: no message can end itself early."""
    assert prepared(message) == wire


def test_smtputf8_only_where_needed_and_offered() -> None:
    """An address beyond ASCII asks for SMTPUTF8 (RFC 6531), or is refused where it is not offered."""
    with FakeSmtp() as server:
        mailer(server).send(ME, ["jö@acme.example"], MAIL, Commit(server))
        mailer(server).send(ME, [JO], MAIL, Commit(server))
        asked = [line for line in server.commands if line.startswith("MAIL")]
        assert ["SMTPUTF8" in line for line in asked] == [True, False]
    with FakeSmtp(offers=("8BITMIME",)) as plain, pytest.raises(Rejected, match="beyond ASCII"):
        mailer(plain).send(ME, ["jö@acme.example"], MAIL, Commit(plain))


def test_8bit_body_is_announced() -> None:
    """BODY=8BITMIME (RFC 6152) where the text needs it; refused where it is not offered."""
    message = MAIL + "é".encode()
    with FakeSmtp() as server:
        mailer(server).send(ME, [JO], message, Commit(server))
        assert "MAIL FROM:<dana@va.example> SIZE=60 BODY=8BITMIME" in server.commands
    with FakeSmtp(offers=("SIZE",)) as plain, pytest.raises(Rejected, match="8-bit"):
        mailer(plain).send(ME, [JO], message, Commit(plain))


def test_too_large_for_the_server() -> None:
    """The announced SIZE (RFC 1870) is believed before anything is sent."""
    with FakeSmtp(offers=("SIZE 20",)) as server:
        with pytest.raises(Rejected, match="takes 20"):
            mailer(server).send(ME, [JO], MAIL, Commit(server))
        assert not any(line.startswith("MAIL") for line in server.commands)


def test_greeting_names_this_machine(server: FakeSmtp) -> None:
    """EHLO with the configured name, or with the address literal of our end."""
    mailer(server).check()
    mailer(server, helo="laptop.example.net").check()
    greetings = [line for line in server.commands if line.startswith("EHLO")]
    assert greetings == ["EHLO [127.0.0.1]", "EHLO laptop.example.net"]
