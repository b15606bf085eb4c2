"""Mails: what they say, to whom, and what they never say."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from daemon.mail.compose import UnsafeMail, compose, compose_notice
from rules.detections import DETECTORS
from rules.model import Address, Identity, Marks, OccurrenceKey
from tests.support.letters import (
    DANA,
    JO,
    KINDS,
    LISBON,
    OTHERS,
    REQUEST,
    everything,
    html,
    letter,
    occurrence,
    opened,
    utc,
)

HEADERS = [
    "From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "X-Auto-Response-Suppress",
    "List-Unsubscribe", "Content-Language", "Content-Type", "MIME-Version",
]  # fmt: skip


@pytest.mark.parametrize("language", ["en", "pt"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_written_in_every_language(kind: str, language: str) -> None:
    """Each kind of mail has a subject, its time with zone and offset, and no template left in it."""
    mail = compose(letter(language=language, **KINDS[kind]))
    message = opened(mail)
    assert message["Subject"] == mail.subject
    assert "Kickoff review" in mail.subject + (mail.text if kind == "it-has-been-a-while" else "")
    assert "15:00–15:30 Europe/Lisbon (UTC+00:00)" in mail.text
    assert message["Content-Language"] == language
    assert f'<html lang="{language}">' in html(mail)
    assert not re.search(r"\{[{%]|[\x00-\x08]", mail.text + html(mail))
    assert message.get_content_type() == "multipart/alternative"
    assert max(map(len, mail.text.splitlines())) <= 80


@pytest.mark.parametrize("language", ["en", "pt"])
@pytest.mark.parametrize("kind", [kind for kind in OTHERS if kind != "confirm"])
def test_proposals_are_numbered_in_both_zones(kind: str, language: str) -> None:
    """Offered times carry their number, the recipient's zone first and the owner's below."""
    mail = compose(letter(language=language, **KINDS[kind]))
    for number, there, here in (
        (1, "10:00–10:30 America/New_York (UTC-05:00)", "15:00–15:30 Europe/Lisbon (UTC+00:00)"),
        (3, "10:00–10:30 America/New_York (UTC-04:00)", "14:00–14:30 Europe/Lisbon (UTC+00:00)"),
    ):
        assert re.search(
            rf"^  {number}\. .*{re.escape(there)}\n     = {re.escape(here)}$", mail.text, re.MULTILINE
        )
    assert html(mail).count('class="number"') == 3
    assert mail.offered == letter().slots


@pytest.mark.parametrize("language", ["en", "pt"])
@pytest.mark.parametrize("kind", [kind for kind in OTHERS if kind != "confirm"])
@pytest.mark.parametrize("mine", [True, False])
def test_without_free_times_the_mail_asks_for_some(kind: str, language: str, mine: bool) -> None:
    """No proposals, no empty list and no number to reply with."""
    mail = compose(letter(language=language, **KINDS[kind] | {"slots": (), "organized_by_me": mine}))
    assert not re.search(r"^  1\. ", mail.text, re.MULTILINE)
    assert "numb" not in mail.text
    assert "número" not in mail.text
    assert 'class="number"' not in html(mail)
    assert "\n\n\n" not in mail.text


@pytest.mark.parametrize("language", ["en", "pt"])
@pytest.mark.parametrize("kind", OTHERS)
def test_others_learn_who_writes_that_it_is_automatic_and_how_to_stop(kind: str, language: str) -> None:
    """Every mail to others ends with the same three things, in text and HTML."""
    mail = compose(letter(language=language, **KINDS[kind]))
    for words in (mail.text, html(mail)):
        assert "Dana Reyes" in words
        assert re.search("automatic", words)
        assert "“stop”" in words


def test_words_fit_the_finding() -> None:
    """Evidence, presumption, my own fault and a clash are told apart, and nobody is accused."""
    said = {kind: " ".join(compose(letter(**KINDS[kind])).text.split()) for kind in OTHERS}
    assert "could you let me know whether you can make it" in said["confirm"].lower()
    assert "I do not have a yes from you for this time yet" in said["another-time"]
    assert "Something came up on my side" in said["something-came-up"]
    assert "sorry we did not get to talk" in said["sorry-we-missed-you"]
    assert "We seem to have missed each other" in said["missed-each-other"]
    assert "I was not there" in said["sorry-i-missed-it"]
    assert "thank you for letting me know that you cannot make it" in said["you-cannot-make-it"].lower()
    assert "Our meeting was cancelled" in said["it-was-cancelled"]
    assert "I will not be available at the time of our meeting" in said["not-available"]
    assert "It has been a while since our last meeting" in said["it-has-been-a-while"]
    assert "Our series of meetings comes to its last one" in said["our-last-meeting"]
    for kind in ("confirm", "another-time", "something-came-up", "you-cannot-make-it", "not-available"):
        assert "The meeting stays as it is until we have agreed" in said[kind]
    for kind in ("sorry-we-missed-you", "missed-each-other", "sorry-i-missed-it", "it-was-cancelled",
                 "it-has-been-a-while", "our-last-meeting"):  # fmt: skip
        assert "Nothing is booked until you pick a time" in said[kind]
    for text in said.values():
        assert not re.search(r"you (missed|did not|didn't|failed|forgot|cancelled)", text)


def test_only_an_organiser_promises_to_send_the_new_time() -> None:
    """In somebody else's meeting the mail asks for the invitation to be moved."""
    mine, theirs = (compose(letter(organized_by_me=mine)).text for mine in (True, False))
    assert "I will" in mine
    assert "move the invitation" in theirs


def test_a_second_mail_says_it_is_one() -> None:
    """The follow-up is worded as a reminder and belongs to the first mail's conversation."""
    first = compose(letter(**KINDS["confirm"]))
    again = compose(letter(**KINDS["confirm"], earlier=(first.message_id,), intent_key="again"))
    assert "A short reminder" in again.text
    assert opened(again)["In-Reply-To"] == first.message_id
    assert opened(again)["References"] == first.message_id


def test_a_long_conversation_names_its_first_and_latest_mails() -> None:
    """References stay bounded; what is no message id of a mail, or is this mail's own, is left out."""
    own = compose(letter()).message_id
    ids = tuple(f"<{number}@va.example>" for number in range(30))
    message = opened(compose(letter(earlier=("\r\nBcc: evil@x.example", *ids, own))))
    assert str(message["References"]).split() == [ids[0], *ids[-9:]]
    assert message["In-Reply-To"] == ids[-1]
    assert "Bcc" not in message


def test_replies_go_to_a_plus_address_where_that_is_wanted() -> None:
    """It names the message; without room for it, or without the wish, there is none."""
    plain, tagged = opened(compose(letter())), opened(compose(letter(plus=True)))
    assert plain["Reply-To"] is None
    number = str(plain["Message-ID"]).partition(".")[2].partition("@")[0]
    assert tagged["Reply-To"] == f"Dana Reyes <dana+rebookd-{number}@va.example>"
    assert tagged["Message-ID"] == plain["Message-ID"]
    long = letter(plus=True, sender=f"{'d' * 30}@va.example")
    assert opened(compose(long))["Reply-To"] is None


def test_headers_are_exactly_ours() -> None:
    """To others: these headers and no others; to the owner the same without a way to stop."""
    message = opened(compose(letter()))
    assert sorted(message.keys()) == sorted(HEADERS)
    assert message["From"] == "Dana Reyes <dana@va.example>"
    assert message["To"] == "Jo <jo@acme.example>"
    assert message["Date"] == "Sun, 01 Mar 2026 09:00:00 +0000"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["X-Auto-Response-Suppress"] == "OOF, AutoReply"
    assert message["List-Unsubscribe"] == "<mailto:dana@va.example?subject=stop>"
    to_owner = opened(compose(letter(**KINDS["notify"])))
    assert sorted(to_owner.keys()) == sorted(set(HEADERS) - {"List-Unsubscribe"})


def test_the_same_letter_is_the_same_mail() -> None:
    """Bytes and Message-ID follow from the letter; another key is another Message-ID."""
    assert compose(letter()).raw == compose(letter()).raw
    one, same, other = (
        compose(replace(letter(), intent_key=key, now=now)).message_id
        for key, now in (("a", utc(3, 1, 9)), ("a", utc(3, 2, 9)), ("b", utc(3, 1, 9)))
    )
    assert one == same != other
    assert re.fullmatch(r"<[a-z0-9.]+@va\.example>", one)


def test_the_date_is_the_owners() -> None:
    """Date carries the offset of the owner's zone at that moment."""
    assert opened(compose(letter(now=utc(7, 1, 9))))["Date"] == "Wed, 01 Jul 2026 10:00:00 +0100"


def test_the_calendar_part_says_its_method() -> None:
    """The invitation is one more alternative whose type repeats METHOD (RFC 6047 section 2.4)."""
    mail = compose(letter(**KINDS["confirm"]))
    parts = list(opened(mail).iter_parts())
    assert [part.get_content_type() for part in parts] == ["text/plain", "text/html", "text/calendar"]
    assert parts[2].get_param("method") == "REQUEST"
    assert parts[2].get_content().splitlines() == REQUEST[1].splitlines()
    assert "attached invitation" in mail.text
    with pytest.raises(UnsafeMail, match="METHOD:COUNTER"):
        compose(letter(calendar_part=("COUNTER", REQUEST[1])))


def test_a_zone_is_named_once_where_the_clocks_agree() -> None:
    """London and Lisbon show the same time: one line; summer shows its own offset."""
    july = datetime(2026, 7, 7, 15, tzinfo=LISBON)
    later = occurrence(start=july, end=july + timedelta(minutes=30))
    mail = compose(letter(occurrence=later, zone="Europe/London", slots=()))
    assert "Tue 7 July 2026, 15:00–15:30 Europe/London (UTC+01:00)" in mail.text
    assert "= " not in mail.text


def test_an_unknown_zone_is_the_owners() -> None:
    """A recipient's zone nobody knows falls back to the owner's, by name."""
    for zone in ("Mars/Olympus", "../../etc/passwd", "", "Europe"):
        assert "15:00–15:30 Europe/Lisbon (UTC+00:00)" in compose(letter(zone=zone)).text


@pytest.mark.parametrize("kind", OTHERS)
def test_a_private_meeting_has_no_title_for_others(kind: str) -> None:
    """Neither its title nor its calendar text leaves; the owner still reads the title."""
    private = occurrence(private=True, title="Surgery follow-up")
    plain = KINDS[kind] | {"occurrence": private, "calendar_part": REQUEST}
    mail = compose(letter(**plain))
    assert "Surgery" not in everything(mail)
    assert "our meeting" in mail.subject or kind == "it-has-been-a-while"
    assert "text/calendar" not in {part.get_content_type() for part in opened(mail).walk()}
    assert "Surgery" in compose(letter(**KINDS["notify"], occurrence=private)).subject


@pytest.mark.parametrize("kind", OTHERS)
@pytest.mark.parametrize("language", ["en", "pt"])
def test_nothing_but_the_one_meeting_leaves(kind: str, language: str) -> None:
    """Reasons, rules, other people and the account stay behind the wall."""
    walled = occurrence(
        key=replace(occurrence().key, uid="uid-canary"),
        location="location-canary",
        categories=("category-canary",),
        href="href-canary",
        etag="etag-canary",
    )
    more = {"occurrence": walled, "reason": "Initech canary", "rule": "rule-canary", "step": "step-canary"}
    words = everything(compose(letter(language=language, **KINDS[kind], **more)))
    assert "canary" not in words
    assert "Sam" not in words
    assert "sam@acme.example" not in words


def test_what_is_for_the_owner_goes_to_nobody_else() -> None:
    """A notice or question addressed to another person is not made."""
    for kind in ("check-in", "notify"):
        with pytest.raises(UnsafeMail, match="owner alone"):
            compose(letter(**KINDS[kind] | {"to": JO}))


def test_marks_are_not_shown() -> None:
    """Prefixes by which the owner marks attendance are stripped, in any case, one after another."""
    marked = occurrence(title="[No-Show] [HELD]  Kickoff review")
    assert compose(letter(occurrence=marked)).subject == "Another time for Kickoff review?"
    own = replace(DANA, marks=Marks(missed=("❌",)))
    assert "❌" not in everything(compose(letter(owner=own, occurrence=occurrence(title="❌ Kickoff"))))
    bare = occurrence(title="[no-show]")
    assert compose(letter(occurrence=bare)).subject == "Another time for our meeting?"


def test_a_check_in_names_the_commands() -> None:
    """One copyable command a line for each answer, in text and HTML, and the people it is about."""
    mail = compose(letter(**KINDS["check-in"]))
    for command in ("rebookd mark kickoff held", "rebookd mark kickoff missed", "kickoff missed-by-me"):
        assert re.search(rf"^    .*{command}$", mail.text, re.MULTILINE)
        assert f"{command}</pre>" in html(mail)
    assert "Jo <jo@acme.example>, Sam <sam@acme.example>" in " ".join(mail.text.split())
    assert "[no-show]" in mail.text


@pytest.mark.parametrize(
    ("uid", "recurrence_id", "word"),
    [
        ("a b'c@x", None, """'a b'"'"'c@x'"""),
        ("series", "20260302T090000Z", "series/20260302T090000Z"),
        ("-rf", None, "-- -rf"),
        ("x; rm -rf ~", None, "'x; rm -rf ~'"),
        ("a\nb\u202e", None, r"$'a\x0ab\xe2\x80\xae'"),
    ],
)
def test_commands_are_safe_to_paste(uid: str, recurrence_id: str | None, word: str) -> None:
    """A stranger's UID is one word for the shell, whatever it holds."""
    key = OccurrenceKey(calendar=occurrence().key.calendar, uid=uid, recurrence_id=recurrence_id)
    assert key.identity == Identity(uid=uid, recurrence_id=recurrence_id)
    mail = compose(letter(**KINDS["check-in"], occurrence=occurrence(key=key)))
    assert f"\n    rebookd mark {word} held\n" in mail.text


@pytest.mark.parametrize("language", ["en", "pt"])
@pytest.mark.parametrize("detector", [*DETECTORS, ""])
def test_a_notice_of_a_finding_says_why_and_how_to_look(detector: str, language: str) -> None:
    """The owner reads what was found, the reason in one line, the rule, and the command that explains it."""
    more = {"detector": detector, "reason": "Overlaps Standup.\n\n    rm -rf ~\n"}
    mail = compose(letter(language=language, **KINDS["notify"] | more))
    assert "Overlaps Standup. rm -rf ~\n" in mail.text
    assert "rm -rf ~</pre>" not in html(mail)
    assert "    rebookd explain kickoff\n" in mail.text
    assert "confirm-acme" in mail.text
    unknown = compose(letter(language=language, **KINDS["notify"] | {"detector": "other"}))
    assert (mail.subject == unknown.subject) is not bool(detector)
    assert (mail.text.split("\n")[0] == unknown.text.split("\n")[0]) is not bool(detector)


def test_plain_words_to_the_owner() -> None:
    """A notice is sent to the owner's first address in their language, commands kept copyable."""
    body = "I cannot see acme since 09:10.\n\n    rebookd check --online\n"
    owner = replace(DANA, language="pt")
    mail = compose_notice(owner, "dana@va.example", "Cannot see acme", body, key="k", now=utc(3, 1, 9))
    assert mail.recipients == ("dana@va.example",)
    assert mail.text.startswith(body)
    assert "Enviado pelo rebookd" in mail.text
    assert "rebookd check --online</pre>" in html(mail)
    assert sorted(opened(mail).keys()) == sorted(set(HEADERS) - {"List-Unsubscribe"})


def test_a_finding_without_words_is_refused() -> None:
    """An action and a detector that do not go together are named, not guessed."""
    with pytest.raises(UnsafeMail, match="no words for 'reschedule' after 'unaccounted'"):
        compose(letter(detector="unaccounted"))


@pytest.mark.parametrize(
    "address",
    ["", "jo", "jo@", "@x.example", "jo@x.example, evil@x.example", "jo@x.example\r\nBcc: e@x.example",
     "a b@x.example", "=?utf-8?q?e?=@x.example", "jo@x..example", "jö@x.example", f"{'j' * 65}@x.example",
     "jo@" + "ü" * 80 + ".example"],
)  # fmt: skip
def test_an_odd_address_is_refused(address: str) -> None:
    """Only one plain address can be written to; anything else is said to the owner."""
    with pytest.raises(UnsafeMail, match="is not an address"):
        compose(letter(to=Address(address)))


def test_a_domain_outside_ascii_is_encoded() -> None:
    """An internationalised domain goes out in its ASCII form (RFC 5891)."""
    assert compose(letter(to=Address("jo@bücher.example"))).recipients == ("jo@xn--bcher-kva.example",)
