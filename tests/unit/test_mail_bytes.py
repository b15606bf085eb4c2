"""Whatever strangers write into titles and names, the bytes of a mail are ours."""

from __future__ import annotations

import re
import unicodedata
from email import message_from_bytes, policy

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from daemon.mail.compose import compose, compose_notice
from daemon.mail.foreign_text import clean
from daemon.mail.message import Mail
from daemon.mail.mime import UnsafeMail, parse_mailbox
from rules.model import Address, Attendee
from tests.support.letters import DANA, JO, KINDS, html, letter, occurrence, opened, utc

OURS = {
    "From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "X-Auto-Response-Suppress",
    "List-Unsubscribe", "Content-Language", "Content-Type", "MIME-Version",
}  # fmt: skip

HIDDEN_BCC = "=?utf-8?q?Hi=0D=0ABcc:_evil@x.example?="
HOSTILE = [
    HIDDEN_BCC,
    f"{HIDDEN_BCC} {HIDDEN_BCC}",
    "=\u200b?utf-8?q?Hi=0D=0ABcc:_evil@x.example?=",
    "==??utf-8?b?SGkNCkJjYzogZXZpbEB4LmV4YW1wbGU=?=",
    "Hi\r\nBcc: evil@x.example\r\n\r\n<html>",
    "Hi\x85Bcc: evil@x.example\u2028x\u2029y\x0b\x0c\x1c\x1d\x1e",
    '<img src=x onerror="alert(1)">',
    "{{ owner.name }}{% for x in slots %}",
    "\u202egnp.exe\u202c \u2066x\u2069 \u200e\u200f\u061c",
    'Reyes, "Dana" <evil@x.example>, (comment) \\',
    "x" * 5000,
    "名" * 5000,
    "\ud800 lone surrogate",
    "\x00\x02when\x03\x02proposals\x03",
    "-- \nsignature",
    "",
]

# Mostly the characters that mean something to mail, to terminals or to HTML.
_SIGNS = '=?"\\<>,;:@()[]{}%&\r\n\t -_q\u202e\u200b\u200d\u2066\ufe0f👩é名'
foreign = st.text(st.sampled_from(_SIGNS) | st.characters(), max_size=120).map(
    lambda text: text.replace("q", HIDDEN_BCC)
)


def sound(mail: Mail, to: str) -> None:
    """The mail holds our headers and one recipient, whichever way it is read."""
    for how in (policy.default, policy.compat32):
        read = message_from_bytes(mail.raw, policy=how)
        assert sorted(read.keys()) == sorted(
            OURS - (set() if read["List-Unsubscribe"] else {"List-Unsubscribe"})
        )
        assert not read.is_multipart() or len(read.get_payload()) == 2
    message = opened(mail)
    assert [one.addr_spec for one in message["To"].addresses] == [to]
    assert [one.addr_spec for one in message["From"].addresses] == ["dana@va.example"]
    assert mail.recipients == (to,)
    assert message["Subject"] == mail.subject
    assert "=?" not in mail.subject
    assert mail.raw.isascii()
    assert not re.search(rb"(?<!\r)\n|\r(?!\n)|\0", mail.raw)
    assert max(map(len, mail.raw.split(b"\r\n"))) <= 998
    for char in mail.subject:
        assert unicodedata.category(char) not in {"Cc", "Cf", "Cs", "Co"} or char == "\u200d"


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("kind", ["confirm", "check-in", "notify"])
def test_hostile_titles_names_and_reasons(kind: str, text: str) -> None:
    """Line breaks, markup, direction changes and hidden headers stay text in every part."""
    people = (Attendee(address=JO, name=text), Attendee(address=Address(text), name=text))
    event = occurrence(title=text, attendees=people, organizer_name=text)
    plain = KINDS[kind] | {"calendar_part": None, "to_name": text, "occurrence": event, "reason": text}
    mail = compose(letter(**plain, rule=text, step=text))
    sound(mail, plain.get("to", JO))
    assert not re.search(r"<(img|html>.*<html)|onerror=\"", html(mail))
    assert not re.search(
        r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\u200b]", mail.text
    )
    assert "\nBcc" not in mail.text
    assert mail.text.count("\n-- \n") == 1


@settings(max_examples=60, deadline=None)
@given(title=foreign, to_name=foreign, owner_name=foreign)
@example(title=HIDDEN_BCC, to_name=HIDDEN_BCC, owner_name=HIDDEN_BCC)
@example(title="é, " * 60, to_name='é, "x" <e@x.example>' * 9, owner_name="é;:" * 50)
def test_no_text_makes_a_header(title: str, to_name: str, owner_name: str) -> None:
    """Any title and display names: the header set is exact and there is one recipient."""
    sender = f"{owner_name.replace('<', '').replace('>', '')} <dana@va.example>"
    sound(compose(letter(occurrence=occurrence(title=title), to_name=to_name, sender=sender)), JO)


@settings(max_examples=30, deadline=None)
@given(subject=foreign, body=foreign)
def test_no_notice_makes_a_header(subject: str, body: str) -> None:
    """The same for plain words to the owner, which quote servers and files."""
    mail = compose_notice(DANA, "dana@va.example", subject, body, key=body, now=utc(3, 1, 9))
    sound(mail, "dana@va.example")


@settings(max_examples=100, deadline=None)
@given(foreign)
def test_cleaning_is_final(text: str) -> None:
    """Cleaned text is one short line and cleaning it again changes nothing."""
    once = clean(text)
    assert clean(once) == once
    assert len(once) <= 120
    assert once == " ".join(once.split())


def test_emoji_stay_whole() -> None:
    """A joiner inside an emoji is kept, one between letters is not."""
    assert clean("👩‍👩‍👧 👩🏽‍⚕️ 🏳️‍🌈 a\u200db \u200d👩\u200d") == "👩‍👩‍👧 👩🏽‍⚕️ 🏳️‍🌈 ab 👩"


def test_long_titles_end_in_an_ellipsis() -> None:
    """Megabytes of title cost and show no more than a line."""
    assert clean("ab " * 1_000_000) == ("ab " * 40)[:119].strip() + "…"


def test_a_sender_is_a_name_and_an_address() -> None:
    """Both usual forms are read; anything else is refused in one sentence."""
    assert parse_mailbox('"Reyes, Dana" <dana@va.example>').name == "Reyes, Dana"
    assert parse_mailbox("dana@va.example").name == ""
    for wrong in ("Dana", "Dana <dana>", "a <a@x.example> <b@x.example>", "a@x.example <b@x.example"):
        with pytest.raises(UnsafeMail, match="is not an address"):
            parse_mailbox(wrong)
