"""What is read of a mail that came in: what matters, and never a trap."""

from __future__ import annotations

import base64
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.replies.letter_in import read_letter
from tests.support.replies import AUTOMATIC, BOUNCES, QUOTE, bounce, calendar_reply, reply

TO = "<rebookd.0@va.example>"
QUOTES = {
    "gmail": f"2 works\r\n\r\n{QUOTE}",
    "gmail, wrapped": "2 works\r\n\r\nOn Mon, 2 Mar 2026 at 09:00, Dana Reyes\r\n"
    "<dana@va.example> wrote:\r\n\r\n> stop\r\n",
    "gmail in Portuguese": "2 works\r\n\r\n"
    "Dana Reyes <dana@va.example> escreveu (segunda, 2/03/2026 à(s) 09:00):\r\n> stop",
    "apple in Portuguese": "2 works\r\n\r\n"
    "No dia 02/03/2026, às 09:00, Dana Reyes <dana@va.example> escreveu:\r\n\r\n> stop",
    "in Portuguese": "2 works\r\n\r\n"
    "Em seg., 2 de mar. de 2026 às 09:00, Dana <dana@va.example> escreveu:\r\n> stop",
    "in German": "2 works\r\n\r\n"
    "Am Mo., 2. März 2026 um 09:00 Uhr schrieb Dana Reyes <dana@va.example>:\r\n> stop",
    "outlook": "2 works\r\n\r\nFrom: Dana Reyes <dana@va.example>\r\nSent: Monday, March 2, 2026 9:00 AM\r\n"
    "To: Jo\r\nSubject: Kickoff\r\n\r\nstop",
    "outlook in Portuguese": "2 works\r\n\r\nDe: Dana Reyes <dana@va.example>\r\nEnviado: segunda-feira\r\n"
    "Para: Jo\r\nAssunto: Kickoff\r\n\r\nstop",
    "outlook's line": "2 works\r\n________________________________\r\nFrom: Dana\r\nSent: Monday\r\n\r\nstop",
    "original message": "2 works\r\n\r\n-----Original Message-----\r\nFrom: Dana\r\n\r\nstop",
    "a phone": "2 works\r\n\r\nSent from my iPhone\r\n\r\n> On 2 Mar 2026, at 09:00, Dana wrote:\r\n"
    "> \r\n> stop",
    "a signature": "2 works\r\n\r\n-- \r\nJo Miller, no. 1\r\nstop",
    "below": f"{QUOTE}\r\n2 works",
}


@pytest.mark.parametrize("name", QUOTES)
def test_what_they_wrote_themselves(name: str) -> None:
    """Without quotation and signature, as each program writes them."""
    assert read_letter(reply(QUOTES[name])).text == "2 works"


def test_what_stands_between_quoted_lines_is_kept() -> None:
    """An answer below a quotation may take back what stands above."""
    found = read_letter(reply(f"2 works\r\n\r\n{QUOTE}\r\nbut only with Sam"))
    assert found.text.split() == ["2", "works", "but", "only", "with", "Sam"]
    assert read_letter(reply("- 2 works\r\n- 3 does not")).text == "- 2 works\n- 3 does not"


@pytest.mark.parametrize(
    "html",
    [
        '<div dir="ltr">2 works</div><div class="gmail_quote">On x wrote:<blockquote>stop</blockquote>',
        '<p>2 works</p><div id="appendonsend"></div><hr><div id="divRplyFwdMsg">From: x</div><p>stop</p>',
        "<head><style>p{}</style><title>x</title></head><p>2&nbsp;works</p><blockquote>stop</blockquote>",
        '<?xml version="1.0" encoding="utf-16"?><html><body>2 works<script>stop</script></body></html>',
        "2 works<!-- stop -->",
    ],
)
def test_html_is_read_where_there_is_no_plain_text(html: str) -> None:
    """What it shows, without what it quotes."""
    assert " ".join(read_letter(reply(html, kind="text/html; charset=utf-8")).text.split()) == "2 works"
    first = "--b\r\nContent-Type: text/plain\r\n\r\n3 works\r\n"
    both = f"{first}--b\r\nContent-Type: text/html\r\n\r\n{html}\r\n--b--"
    assert read_letter(reply(both, kind="multipart/alternative; boundary=b")).text == "3 works"


@pytest.mark.parametrize("header", ["To", "Cc", "Delivered-To"])
def test_a_plus_address_names_what_is_answered(header: str) -> None:
    """Where a mail program leaves the conversation out, the address it wrote to tells it."""
    tagged = f"{header}: Dana <Dana+rebookd-{'a1' * 20}@VA.example>\r\n"
    found = read_letter(reply("2", to="", headers=tagged))
    assert found.follows == (f"<rebookd.{'a1' * 20}@va.example>",)
    strange = [f"dana+rebookd-{'a1' * 19}@va.example", f"dana-rebookd-{'a1' * 20}@va.example", "x" * 5000]
    for one in strange:
        assert read_letter(reply("2", to="", headers=f"{header}: {one}\r\n")).follows == ()


def test_headers_that_matter() -> None:
    """Sender, conversation, nearest first, subject."""
    found = read_letter(reply("x", subject="=?utf-8?q?Re=3A_reuni=C3=A3o=0D=0ABcc=3A_x?="))
    assert (found.sender, found.message_id) == ("jo@acme.example", "<1@mail.acme.example>")
    assert found.follows == (TO, "<earlier@va.example>")
    assert found.subject.startswith("Re: reunião")
    assert found.subject.isprintable()


@pytest.mark.parametrize(
    "sender",
    [
        "",
        "Jo",
        "jo@acme.example, al@acme.example",
        "Jo <jo@acme.example>\r\nFrom: al@acme.example",
        "<>",
        "@",
    ],
)
def test_a_mail_of_nobody_or_several_has_no_sender(sender: str) -> None:
    """Who wrote is beyond doubt or unknown."""
    assert read_letter(f"From: {sender}\r\n\r\n2".encode()).sender is None


@pytest.mark.parametrize(
    ("charset", "encoded"),
    [
        ("iso-8859-1", "não".encode("latin-1")),
        ("utf-8", "não".encode("latin-1")),
        ("nonsense", "não".encode()),
        ("punycode", "não".encode()),
        ("zlib", "não".encode()),
        ("us-ascii", "não".encode("cp1252")),
    ],
)
def test_letters_are_read_whatever_the_mail_says_of_them(charset: str, encoded: bytes) -> None:
    """Character sets that lie, or that are none."""
    head = f"From: jo@acme.example\r\nContent-Type: text/plain; charset={charset}\r\n\r\n".encode()
    assert read_letter(head + encoded).text == "não"


@pytest.mark.parametrize("name", AUTOMATIC)
def test_what_programs_write_is_known(name: str) -> None:
    """Automatic replies, lists, bulk mail."""
    found = read_letter(reply("2", headers=AUTOMATIC[name]))
    assert found.automatic
    assert found.generated == (name == "generated")


@pytest.mark.parametrize(
    "raw",
    [
        reply("2", subject="Automatic reply: Kickoff"),
        reply("2", subject="Resposta automática: Kickoff"),
        reply("2", subject="Out of Office: Kickoff"),
        reply("2", sender="no-reply@acme.example"),
        reply("2", sender="MAILER-DAEMON@acme.example"),
        reply("2").replace(b"<jo@acme.example>", b"<>", 1),
        bounce(TO),
    ],
)
def test_so_is_what_does_not_say_so(raw: bytes) -> None:
    """By its subject, its sender, its empty return path, its kind."""
    assert read_letter(raw).automatic


def test_a_person_is_no_program() -> None:
    """“Auto-Submitted: no” is what it says."""
    assert read_letter(reply("2", headers="Auto-Submitted: no\r\n")).automatic == ""


@pytest.mark.parametrize(
    ("verdict", "forged"),
    [
        (
            "mx.va.example; dkim=pass header.d=acme.example; dmarc=fail (p=reject) header.from=acme.example",
            True,
        ),
        (
            "spf=fail smtp.mailfrom=x; dkim=none; dmarc=fail action=oreject;compauth=fail",
            True,
        ),
        ("mx.va.example; dmarc=pass header.from=acme.example", False),
        ("mx.va.example; dkim=fail; spf=softfail; dmarc=none", False),
        ("mx.va.example; dmarc=pass (dmarc=fail) header.from=x", False),
        ("mx.va.example; none", False),
    ],
)
def test_a_failed_verdict_of_the_receiving_server(verdict: str, forged: bool) -> None:
    """The topmost one counts, and only where it is a failed DMARC."""
    headers = f"Authentication-Results: {verdict}\r\nAuthentication-Results: x; dmarc=fail\r\n"
    assert read_letter(reply("2", headers=headers)).forged == forged
    assert read_letter(reply("2")).forged is False


@pytest.mark.parametrize("name", ["postfix", *BOUNCES])
def test_bounces(name: str) -> None:
    """Whose address, for good, about which message."""
    raw = bounce(TO) if name == "postfix" else BOUNCES[name].replace("{to}", TO).encode()
    found = read_letter(raw)
    assert [(one.address, one.for_good) for one in found.bounces] == [("jo@acme.example", True)]
    assert found.follows[0] == TO


def test_a_delay_is_no_bounce() -> None:
    """Nor is a trouble that may mend itself one for good."""
    assert read_letter(bounce(TO, action="delayed", status="4.4.1")).bounces == ()
    [one] = read_letter(bounce(TO, status="4.2.2")).bounces
    assert not one.for_good
    [one] = read_letter(bounce(TO, address="box@else.example", original="jo@acme.example")).bounces
    assert one.address == "jo@acme.example"


def test_calendar_parts() -> None:
    """With the method that the mail says."""
    [part] = read_letter(calendar_reply("kickoff", says="reply")).calendars
    assert part.method == "REPLY"
    assert "PARTSTAT=ACCEPTED" in part.text


HOSTILE = {
    "nothing": b"",
    "zeros": b"\0" * 1_000_000,
    "parts in parts": b"Content-Type: multipart/mixed; boundary=a\r\n\r\n"
    + b"--a\r\nContent-Type: multipart/mixed; boundary=a\r\n\r\n" * 5000,
    "many headers": b"X-a: y\r\n" * 200_000 + b"\r\nhi",
    "many lines": b"From: a@b.example\r\n\r\n" + b"a\r\n" * 2_000_000,
    "many ids": b"References: " + b"<a@b> " * 200_000 + b"\r\n\r\nx",
    "encoded words": b"Subject: " + b"=?utf-8?q?a?=" * 100_000 + b"\r\n\r\nx",
    "brackets": b"From: " + b"(" * 300_000 + b"\r\n\r\nx",
    "comments in HTML": b"Content-Type: text/html\r\n\r\n" + b"<!--" * 100_000,
    "tags in HTML": b"Content-Type: text/html\r\n\r\n" + b"<a " * 100_000,
    "depth in HTML": b"Content-Type: text/html\r\n\r\n" + b"<div>" * 100_000,
    "entities": b"Content-Type: text/html\r\n\r\n"
    + b'<!DOCTYPE x [<!ENTITY a "aaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>&b;' * 100,
    "quotation heads": b"\r\n\r\n" + b"On a\r\n" * 50_000,
    "quotation heads, long": b"\r\n\r\n" + b"On " * 100_000 + b"wrote:",
    "disclaimers": b"\r\n\r\n" + b"Disclaimer: mail mail " * 20_000,
    "fields": b"\r\n\r\n" + b"From:          a\r\n" * 30_000,
    "verdicts": b"Authentication-Results: " + b"(" * 300_000 + b"\r\n\r\nx",
    "parameters": b"Content-Type: text/plain; " + b"a*0=b;" * 100_000 + b"\r\n\r\nx",
    "bad base64": b"Content-Transfer-Encoding: base64\r\n\r\n" + b"A" * 7_000_001,
    "a slow character set": b"Content-Type: text/plain; charset=punycode\r\n\r\n" + b"a-" * 700_000,
    "large": b"From: a@b.example\r\n\r\n" + (b"x" * 998 + b"\r\n") * 16_500,
    "statuses": b"Content-Type: multipart/report; boundary=a\r\n\r\n--a\r\n"
    b"Content-Type: message/delivery-status\r\n\r\n" + b"Final-Recipient: x\r\n\r\n" * 60_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_no_mail_costs_much_time(name: str) -> None:
    """Whatever is in it, two seconds at most."""
    before = time.process_time()
    read_letter(HOSTILE[name])
    assert time.process_time() - before < 2


@settings(max_examples=200, deadline=None)
@given(
    st.binary(max_size=400),
    st.sampled_from([b"", b"Content-Type: text/html\r\n\r\n", reply("x")[:-20], bounce(TO)[:900]]),
)
def test_no_bytes_are_too_odd(raw: bytes, head: bytes) -> None:
    """Every mail is read, and what is read can be shown."""
    found = read_letter(head + raw)
    assert found.subject.isprintable()
    assert read_letter(base64.b64encode(raw)).follows == ()
