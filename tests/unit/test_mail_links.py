"""Mails with a link to an answer page: where it stands, and that nothing else of them changes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from daemon.links import Purpose
from daemon.mail.compose import compose
from daemon.mail.letter import Letter
from daemon.store import deliveries
from rules.delivery import State
from tests.support.house import event
from tests.support.letters import KINDS, html, letter, opened, together
from tests.support.offices import at
from tests.support.visitor import JO, ME, RULES, URL, Desk

LINK, STOP = (
    f"{URL}/a/p1.aaaaaaaaaaaa.bbbbbbbbbbbbbbbbbbbbbb",
    f"{URL}/stop/s1.aaaaaaaaaaaa.bbbbbbbbbbbbbbbbbbbbbb",
)
REPLY = ("reply with", "responda com", "run the line", "execute a linha", "is enough in reply")


def linked(plain: Letter) -> Letter:
    """The letter with its addresses, as an office with answer pages writes it."""
    more = {} if plain.for_owner else {"stop": STOP}
    companions = tuple(
        replace(one, link=LINK.replace("p1", f"p{n}")) for n, one in enumerate(plain.companions, start=2)
    )
    return replace(plain, link=LINK, companions=companions, **more)


@pytest.mark.parametrize("tag", ["en", "pt"])
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "notify"])
def test_every_question_has_its_link(kind: str, tag: str) -> None:
    """Once in the text on a line of its own, once as a button; the words no longer ask for a reply first."""
    mail = compose(linked(letter(**KINDS[kind], language=tag)))
    assert mail.text.count(f"\n  {LINK}\n") == 1
    assert html(mail).count(f'href="{LINK}"') == 1
    above = mail.text.split("\n-- \n")[0].lower()
    assert not [words for words in REPLY if words in above]
    assert "\n\n\n" not in mail.text
    assert not re.search(r"[{}]|%\}", mail.text)


@pytest.mark.parametrize("tag", ["en", "pt"])
def test_without_free_times_the_page_takes_wishes(tag: str) -> None:
    """The mail says so, and the button, too."""
    mail = compose(linked(letter(slots=(), language=tag)))
    assert f"\n  {LINK}\n" in mail.text
    assert {"en": ">Say when</a>", "pt": ">Dizer quando</a>"}[tag] in html(mail)


def test_several_meetings_have_a_link_each() -> None:
    """Each below the name of its meeting."""
    mail = compose(linked(together()))
    found = re.findall(r"^(.+):\n  (https://\S+)$", mail.text, re.MULTILINE)
    assert [name.split(",")[0] for name, _ in found] == ["Kickoff review", "our meeting", "Retro"]
    assert len({address for _, address in found}) == 3
    assert html(mail).count('<a class="number"') == 3


def test_the_owner_is_asked_with_a_link_for_each_meeting() -> None:
    """Instead of commands; marks in a calendar stay another way."""
    mail = compose(linked(replace(together(**KINDS["check-in"]), to=letter().owner.addresses[0])))
    assert len(re.findall(r"^  https://", mail.text, re.MULTILINE)) == 3
    assert "rebookd mark" not in mail.text
    assert "[held]" in mail.text


def test_one_click_stops_such_mails() -> None:
    """RFC 8058: an https address first, the mailbox second; no click without https; none to the owner."""
    message = opened(compose(linked(letter())))
    first, second = message["List-Unsubscribe"].split(", ")
    assert (first, second) == (f"<{STOP}>", "<mailto:dana@va.example?subject=stop>")
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    mail = compose(linked(letter()))
    assert mail.text.rstrip().endswith(STOP)
    assert f'<a class="soft" href="{STOP}"' in html(mail)
    plain = opened(compose(replace(linked(letter()), stop="http://127.0.0.1:8470/stop/x")))
    assert plain["List-Unsubscribe"].startswith("<http://127.0.0.1:8470/stop/x>, <mailto:")
    assert plain["List-Unsubscribe-Post"] is None


@pytest.mark.parametrize("address", [LINK, STOP])
def test_an_address_is_never_broken_in_the_text(address: str) -> None:
    """It stands whole on one line of at most 78 characters."""
    (line,) = [line for line in compose(linked(letter())).text.split("\n") if address in line]
    assert len(line) <= 78


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """An office with answer pages."""
    made = Desk(tmp_path)
    yield made
    made.office.close()


def test_a_mail_leads_to_its_own_page(desk: Desk) -> None:
    """The address in the mail that left opens the page of its delivery, and the other one stops."""
    desk.asked()
    text = desk.mailer.kept[-1][1].get_body(("plain",)).get_content()
    asked = desk.left()
    assert desk.links.address(Purpose.CONFIRM, asked) in text
    assert desk.links.address(Purpose.STOP, asked) in text
    page = desk.visitor.get(re.search(r"https://[^/]+(/a/\S+)", text)[1])
    assert page.status == 200
    assert "Can you make it?" in page.words


def test_mails_of_one_group_have_a_link_for_each_of_theirs(tmp_path: Path) -> None:
    """Each opens its own meeting's page, though both came in one mail."""
    rules = RULES.replace("when: declined", "when: declined").replace(
        "  - name: no\n", "  - name: no\n    group_by: contact\n"
    )
    desk = Desk(tmp_path, rules=rules.replace("{declined: {grace: 30m}}", "{declined: {grace: 0m}}"))
    for n, uid in enumerate(("one", "two")):
        desk.put("acme", uid, event(uid, at(60 + n), {JO: "ACCEPTED"}, title=uid.title()))
    desk.round(0.01)
    for n, uid in enumerate(("one", "two")):
        desk.put("acme", uid, event(uid, at(60 + n), {JO: "DECLINED"}, title=uid.title()))
    for _ in range(40):
        desk.round(0.05)
    with desk.store.read() as conn:
        sent = [one for one in deliveries.list_(conn, State.SENT) if one.to == JO]
    assert len(sent) == 2
    text = desk.mailer.kept[-1][1].get_body(("plain",)).get_content()
    for one in sent:
        assert desk.links.address(Purpose.PICK, one) in text
        assert one.key is not None
        assert one.key.uid.title() in desk.visitor.get(desk.path(one)).words
    desk.office.close()


def test_what_is_only_shown_has_an_address_that_opens_nothing(desk: Desk) -> None:
    """`plan --show` gives nobody's key away, and needs none."""
    desk.asked()
    intent = desk.left().intent
    text = desk.office.scribe.write(intent, desk.clock.now()).text
    (path,) = re.findall(rf"{URL}(/a/\S+)", text)
    assert desk.visitor.get(path).status == 404


def test_the_owner_has_a_page_too(desk: Desk) -> None:
    """The question whether a meeting took place carries the link to mine."""
    path = desk.held_or_not()
    to, mail = desk.mailer.kept[-1]
    assert to == ME
    assert f"{URL}{path}" in mail.get_body(("plain",)).get_content()
    assert mail["List-Unsubscribe"] is None
