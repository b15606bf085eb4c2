"""Several meetings in one mail: one greeting, every meeting, numbers that are unique through the mail."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from daemon.mail.compose import UnsafeMail, compose
from rules.model import Address
from tests.support.letters import JO, KINDS, OTHERS, html, letter, opened, together


@pytest.mark.parametrize("language", ["en", "pt"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_speaks_of_several(kind: str, language: str) -> None:
    """The subject tells how many; each meeting has its block once; the greeting stands once."""
    mail = compose(together(language=language, **KINDS[kind]))
    assert "3" in mail.subject or kind == "it-has-been-a-while"
    assert "Kickoff review" not in mail.subject
    assert len(re.findall(r"^  .*, 1[05]:00–1[05]:30 .*\n  = ", mail.text, re.MULTILINE)) in {3, 0}
    assert html(mail).count("border-left:4px") == 3
    assert len(re.findall(r"^(Hello|Olá)", mail.text, re.MULTILINE)) == (kind in OTHERS)
    assert "text/calendar" not in {part.get_content_type() for part in opened(mail).walk()}
    assert "\n\n\n" not in mail.text
    assert not re.search(r"\{[{%]|[\x00-\x08]", mail.text + html(mail))


@pytest.mark.parametrize("language", ["en", "pt"])
@pytest.mark.parametrize("kind", [kind for kind in OTHERS if kind != "confirm"])
def test_times_are_numbered_on_below_their_meeting(kind: str, language: str) -> None:
    """A number names one time of one meeting; a meeting without free times says so."""
    mail = compose(together(language=language, **KINDS[kind]))
    assert re.findall(r"^  (\d+)\. ", mail.text, re.MULTILINE) == ["1", "2", "3", "4", "5"]
    assert html(mail).count('class="number"') == 5
    headings = re.findall(r"^(\S.*), \S.*[ ,]10:00:$", mail.text, re.MULTILINE)
    assert [one.split(",")[0] for one in headings] == [
        "Kickoff review", "our meeting" if language == "en" else "a nossa reunião", "Retro"
    ]  # fmt: skip
    assert ("Tell me what" if language == "en" else "Diga-me o que") in mail.text
    assert [len(some) for some in mail.offered_for] == [3, 2, 0]
    assert mail.offered == tuple(slot for some in mail.offered_for for slot in some)


def test_words_are_plural() -> None:
    """Nothing in a mail about several meetings speaks of one."""
    for kind in OTHERS:
        text = " ".join(compose(together(**KINDS[kind])).text.split("-- ")[0].split())
        assert not re.search(r"our meeting[^s,]|[Tt]he meeting |the number |this time\b", text), kind
    one = compose(letter(**KINDS["confirm"]))
    assert "meetings" not in one.text


def test_it_is_the_first_ones_conversation() -> None:
    """Message-ID and References come from the letter that leads; a reminder is one only for all."""
    first = letter(**KINDS["confirm"], earlier=("<a@va.example>",))
    other = replace(letter(**KINDS["confirm"]), intent_key="other", earlier=("<b@va.example>",))
    mail = compose(replace(first, companions=(other,)))
    assert mail.message_id == compose(first).message_id
    assert opened(mail)["References"] == "<a@va.example>"
    assert "A short reminder" in mail.text
    assert "A short reminder" not in compose(replace(first, companions=(replace(other, earlier=()),))).text


def test_an_invitation_does_not_go_along() -> None:
    """A calendar part can speak of one meeting only (RFC 5546 section 1.4), so there is none."""
    mail = compose(together(**KINDS["confirm"]))
    assert "attached" not in mail.text


def test_softer_words_where_the_findings_differ() -> None:
    """One presumed among the missed makes the whole mail presume; a vanished one is asked about."""
    sure, unsure = letter(**KINDS["sorry-we-missed-you"]), letter(**KINDS["missed-each-other"])
    for one, other in ((sure, unsure), (unsure, sure)):
        assert "We seem to have missed each other" in compose(replace(one, companions=(other,))).text
    gone = letter(**KINDS["notify"] | {"detector": "cancelled", "tone": "removed"})
    assert "A meeting vanished from your calendar. Did the others cancel it?" in compose(gone).text
    both = replace(gone, companions=(replace(gone, tone=""),))
    assert "2 meetings vanished from your calendar" in compose(both).text


def test_a_notice_of_several_says_why_for_each() -> None:
    """Each meeting has its people, its reason and its command."""
    notice = letter(**KINDS["notify"] | {"reason": "first reason"})
    mail = compose(replace(notice, companions=(replace(notice, reason="second reason"),)))
    assert mail.subject == "Double booking: 2 meetings"
    assert mail.text.index("first reason") < mail.text.index("second reason")
    assert mail.text.count("    rebookd explain kickoff\n") == 2


@pytest.mark.parametrize(
    "change", [{"to": Address("bo@acme.example")}, {"do": "confirm"}, {"rule": "r"}, {"step": "s"}]
)
def test_strangers_do_not_share_a_mail(change: dict[str, str]) -> None:
    """Only what one step of one rule says to one person leaves together."""
    assert letter().to == JO
    with pytest.raises(UnsafeMail, match="different kinds or to different people"):
        compose(replace(letter(), companions=(letter(**change),)))
