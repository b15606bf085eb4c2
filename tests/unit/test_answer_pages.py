"""The answer pages: what each shows, what each does, and that looking does nothing."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from connectors.base import Retryable
from daemon.links import Purpose
from daemon.store import agreements, answers, attendance, optouts
from daemon.store.answers import Answer
from rules.model import Attendance, Held, Interval, PartStat
from tests.support.house import event
from tests.support.offices import at
from tests.support.visitor import AL, JO, ME, Desk


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """An office with answer pages."""
    made = Desk(tmp_path)
    yield made
    made.office.close()


def said(desk: Desk) -> list[Answer]:
    """Every answer that was kept."""
    with desk.store.read() as conn:
        return answers.since(conn, at(-1000))


def offered_slots(text: str) -> list[str]:
    """The times that a page offers, as its form names them."""
    return [part.split('"')[0] for part in text.split('name="slot" value="')[1:]]


def whole(desk: Desk) -> list[str]:
    """Everything the store holds, row by row."""
    with sqlite3.connect(desk.store.path) as raw:
        return list(raw.iterdump())


def test_looking_changes_nothing_however_often(desk: Desk) -> None:
    """P10: a thousand looks by scanners, at every page, and the store is the same to the last row."""
    paths = [desk.asked("one"), desk.offered("two", hours=60)]
    paths.append(desk.path(desk.left(), Purpose.STOP))
    before = whole(desk)
    looks = ((paths[n % 3], "HEAD" if n % 2 else "GET") for n in range(300))
    assert desk.visitor.look(looks) == {200}
    assert whole(desk) == before


def test_a_page_shows_the_meeting_in_both_zones(desk: Desk) -> None:
    """The recipient's first, the owner's beneath; another zone when somebody asks for it."""
    path = desk.asked(title="Kickoff review")
    page = desk.visitor.get(path)
    assert "Can you make it?" in page.words
    assert "Kickoff review" in page.words
    assert "Wed 4 March 2026" in page.words
    assert "01:00–01:30" in page.words
    assert "Europe/Lisbon (UTC+00:00)" in page.words
    there = desk.visitor.get(f"{path}?zone=America/New_York")
    assert "Tue 3 March 2026 , 20:00–20:30 America/New_York (UTC−05:00)" in there.words
    assert "Dana Reyes: Wed 4 March 2026, 01:00–01:30 Europe/Lisbon (UTC+00:00)" in there.words
    strange = desk.visitor.get(f"{path}?zone=../../etc/passwd")
    assert "01:00–01:30" in strange.words
    assert "passwd" not in strange.text


@pytest.mark.parametrize(
    ("does", "partstat", "sentence"),
    [
        ("yes", PartStat.ACCEPTED, "You said that you’ll be there"),
        ("no", PartStat.DECLINED, "can’t make it, and"),
    ],
)
def test_yes_and_no(desk: Desk, does: str, partstat: PartStat, sentence: str) -> None:
    """Kept, told back in one sentence, and to be changed as long as the step is open."""
    path = desk.asked()
    page = desk.visitor.answer(path, do=does)
    assert page.status == 200
    assert sentence in page.words
    assert "Change your answer" in page.words
    (answer,) = said(desk)
    assert (answer.partstat, answer.source, answer.address) == (partstat, "the answer page", JO)
    other = "no" if does == "yes" else "yes"
    assert sentence not in desk.visitor.answer(path, do=other).words
    assert len(said(desk)) == 2


def test_another_time_in_words_and_as_times(desk: Desk) -> None:
    """In the zone that was shown; the page repeats what it understood."""
    path = desk.asked()
    page = desk.visitor.answer(
        f"{path}?zone=America/New_York",
        do="other",
        zone="America/New_York",
        words="mornings\r\nplease \u202ebad",
        date1="2026-03-09",
        time1="10:00",
        date3="2026-03-10",
        time3="09:30",
    )
    (answer,) = said(desk)
    half = timedelta(minutes=30)
    nine, ten = at(24 * 7 + 5), at(24 * 8 + 4.5)  # the clocks there changed on the 8th
    assert answer.proposed == (Interval(nine, nine + half), Interval(ten, ten + half))
    assert answer.words == "mornings\nplease bad"
    assert "gets back to you" in page.words
    assert "Mon 9 March 2026, 10:00–10:30 America/New_York (UTC−04:00)" in page.words
    assert "mornings\nplease bad" in page.text


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({}, "Say when it would suit you"),
        ({"words": " \u200b "}, "Say when it would suit you"),
        ({"date1": "2026-03-09"}, "needs both its date and its hour"),
        ({"time2": "10:00"}, "needs both its date and its hour"),
        ({"date1": "9 March", "time1": "10:00"}, "needs both its date and its hour"),
        ({"date1": "2026-03-09", "time1": "10:00+05:00"}, "needs both its date and its hour"),
        ({"date1": "2026-03-01", "time1": "10:00"}, "already passed"),
        ({"date1": "2030-03-01", "time1": "10:00"}, "more than a year away"),
        ({"date1": "9999-12-31", "time1": "23:59"}, "more than a year away"),
        ({"date1": "0001-01-01", "time1": "00:00"}, "already passed|needs both"),
        ({"date1": "2026-03-29", "time1": "01:30"}, "clocks change"),
    ],
)
def test_a_wish_that_needs_another_look(desk: Desk, fields: dict[str, str], sentence: str) -> None:
    """A sentence says why, nothing is kept, and what was typed is still there."""
    path = desk.asked()
    seal = desk.visitor.get(path).field("seal")
    page = desk.visitor.post(path, seal=seal, do="other", **{"words": "", **fields})
    assert page.status == 422
    assert any(part in page.words for part in sentence.split("|")), page.words
    assert 'role="alert"' in page.text
    assert '<details class="fold" open>' in page.text
    for value in fields.values():
        assert not value.isascii() or f'value="{value}"' in page.text
    assert not said(desk)


def test_a_picked_time_is_taken(desk: Desk) -> None:
    """The page says what happens next, with 410 from then on; the meeting moves."""
    path = desk.offered()
    page = desk.visitor.get(path)
    slots = offered_slots(page.text)
    assert len(slots) == 3
    assert 'type="radio"' in page.text
    done = desk.visitor.answer(path, do="pick", slot=slots[1])
    assert done.status == 410
    assert "A new time is agreed" in done.words
    assert "the new invitation comes by itself" in done.words
    with desk.store.read() as conn:
        delivery = desk.left(step="other")
        assert delivery.key is not None
        assert delivery.start is not None
        agreed = agreements.of(conn, delivery.key.identity, delivery.start)
    assert agreed is not None
    assert agreed.slot == delivery.offered[1]
    late = desk.visitor.post(path, seal=page.field("seal"), do="pick", slot=slots[0])
    assert late.status == 303
    assert [one.picked for one in said(desk)] == [(agreed.slot,)]


def test_nothing_is_picked_by_accident(desk: Desk) -> None:
    """No time, or one that was never offered: a sentence, and nothing kept."""
    path = desk.offered()
    seal = desk.visitor.get(path).field("seal")
    for slot in ([], ["0-1"], ["' OR 1=1"], ["1772600400-1772602200x"]):
        page = desk.visitor.post(path, seal=seal, do="pick", slot=slot)
        assert page.status == 422
        assert "Choose a time first" in page.words
    assert not said(desk)


def test_a_time_that_was_taken_meanwhile_brings_fresh_ones(desk: Desk) -> None:
    """One plain sentence, and other times at once."""
    path = desk.offered()
    slots = offered_slots(desk.visitor.get(path).text)
    offered = desk.left(step="other").offered
    desk.put("own", "lunch", event("lunch", offered[0].start, {JO: "ACCEPTED"}))
    page = desk.visitor.answer(path, do="pick", slot=slots[0])
    assert page.status == 200
    assert "has just been taken. These are still free" in page.words
    assert slots[0] not in page.text
    assert len(offered_slots(page.text)) >= 3


def test_with_several_people_each_ticks_what_suits(desk: Desk) -> None:
    """Checkboxes; of the others only their number is told; the first time that suits all is taken."""
    people = {JO: "ACCEPTED", AL: "ACCEPTED"}
    jos = desk.offered(people=people)
    als = desk.path(desk.left(AL, "other"))
    page = desk.visitor.get(jos)
    assert 'type="checkbox"' in page.text
    assert "One other person still has to choose" in page.words
    slots = offered_slots(page.text)
    waiting = desk.visitor.answer(jos, do="pick", slot=slots[:2])
    assert waiting.status == 200
    assert "One other person still has to choose" in waiting.words
    assert waiting.text.count(" checked") == 2
    assert "agreed" in desk.visitor.answer(als, do="pick", slot=slots[1:]).words
    for text in (page.text, waiting.text):
        assert AL not in text


def test_while_a_calendar_cannot_be_seen_a_choice_is_kept(desk: Desk) -> None:
    """The page says that it is looked at once more, and a later read settles it."""
    path = desk.offered()
    desk.calendars["own"].fail(Retryable("no answer"))
    slots = offered_slots(desk.visitor.get(path).text)
    page = desk.visitor.answer(path, do="pick", slot=slots[0])
    assert page.status == 200
    assert "Your choice is kept" in page.words
    desk.round(0.01)
    assert "A new time is agreed" in desk.visitor.get(path).words


def test_the_owner_says_what_happened(desk: Desk) -> None:
    """Four buttons; each is kept, told back, and may be changed."""
    path = desk.held_or_not()
    page = desk.visitor.get(path)
    assert "Did it take place?" in page.words
    assert f"With {JO}" in page.words
    key = desk.left(ME, "ask-me").key
    assert key is not None
    for does, held in (
        ("held", Held.HELD),
        ("missed", Held.MISSED_BY_ATTENDEE),
        ("missed_by_me", Held.MISSED_BY_ME),
        ("phone", Held.HELD),
    ):
        assert "Noted:" in desk.visitor.answer(path, do=does).words
        with desk.store.read() as conn:
            found = attendance.marks(conn, [key.identity])
        assert found == {
            str(key.identity): Attendance(held=held, source="the answer page", at=desk.clock.now())
        }


def stopped(desk: Desk) -> list[str]:
    """Who is written to no more."""
    with desk.store.read() as conn:
        return [one.pattern for one in optouts.list_(conn)]


def test_stopping_with_the_button(desk: Desk) -> None:
    """A page, a button, and a page that says it is done; the meetings stay."""
    desk.asked()
    path = desk.path(desk.left(), Purpose.STOP)
    assert JO in desk.visitor.get(path).words
    assert not stopped(desk)
    page = desk.visitor.answer(path, do="stop")
    assert "You get no more of these mails" in page.words
    assert stopped(desk) == [JO]


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/x-www-form-urlencoded", b"List-Unsubscribe=One-Click"),
        (
            'multipart/form-data; boundary="b"',
            b'--b\r\nContent-Disposition: form-data; name="List-Unsubscribe"\r\n\r\nOne-Click\r\n--b--\r\n',
        ),
    ],
)
def test_one_click_stops_without_a_page(desk: Desk, kind: str, body: bytes) -> None:
    """RFC 8058: no form was read, no redirect is sent, and both kinds of body are understood."""
    desk.asked()
    path = desk.path(desk.left(), Purpose.STOP)
    seen = desk.visitor.ask(path, "POST", body, {"content-type": kind})
    assert (seen.status, seen.headers.get("location")) == (200, None)
    assert stopped(desk) == [JO]


def test_one_click_does_nothing_else(desk: Desk) -> None:
    """Not on the page where a mail is answered, and not with other words."""
    path = desk.asked()
    one_click = {"List-Unsubscribe": "One-Click"}
    assert desk.visitor.post(path, **one_click).status == 403
    assert desk.visitor.post(desk.path(desk.left(), Purpose.STOP), **{"List-Unsubscribe": "x"}).status == 403
    assert not stopped(desk)
    assert not said(desk)


def closed(desk: Desk, case: str) -> str:
    """A page that takes no answers any more, for one of four reasons."""
    path = desk.asked()
    if case == "moved":
        desk.put("acme", "kickoff", event("kickoff", at(60), {JO: "NEEDS-ACTION"}))
        desk.office.poll("acme")
    elif case == "gone":
        desk.put("acme", "kickoff", event("kickoff", at(40), {JO: "NEEDS-ACTION"}, more="STATUS:CANCELLED"))
        desk.office.poll("acme")
    elif case == "over":
        desk.clock.at = at(39)
    return path


@pytest.mark.parametrize(
    ("case", "sentence"),
    [
        ("moved", "The meeting has another time"),
        ("gone", "The meeting was called off"),
        ("over", "The time to answer has passed"),
    ],
)
def test_what_can_no_longer_be_answered_says_why(desk: Desk, case: str, sentence: str) -> None:
    """410, a plain sentence, a human's address; a form that was open already changes nothing."""
    path = closed(desk, case)
    page = desk.visitor.get(path)
    assert page.status == 410
    assert sentence in page.words
    assert 'href="mailto:dana@va.example"' in page.text
    assert "<form" not in page.text
    assert ("21:00" in page.words) == (case == "moved")
    seal = desk.links.signer(b"form").get_signature(path.rpartition("/")[2]).decode()
    assert desk.visitor.post(path, seal=seal, do="yes").status == 303
    assert not said(desk)


def test_a_meeting_with_a_hostile_title_is_harmless(desk: Desk) -> None:
    """HOSTILE 14 to 16: markup, line breaks and direction changes are text, or gone."""
    title = "<img src=x onerror=alert(1)>\\nSet-Cookie: a=b \u202egnp.exe\u200b {{ 7*7 }}"
    page = desk.visitor.get(desk.asked(title=title))
    assert "<img" not in page.text
    assert "&lt;img src=x onerror=alert(1)&gt;" in page.text
    assert not set("\u202e\u200b") & set(page.text)
    assert "{{ 7*7 }}" in page.text
    assert "set-cookie" not in page.headers


def test_words_of_a_stranger_are_harmless(desk: Desk) -> None:
    """What somebody wrote is shown back to them as text."""
    page = desk.visitor.answer(desk.asked(), do="other", words="</textarea><script>alert(1)</script>")
    assert "<script>alert" not in page.text
    assert "&lt;/textarea&gt;" in page.text


def test_a_private_meeting_is_not_named(desk: Desk) -> None:
    """Neither on the page nor in its title; the owner's own page names it."""
    page = desk.visitor.get(desk.asked(title="Merger talks", more="CLASS:PRIVATE"))
    assert page.status == 200
    assert "Merger" not in page.text


def test_nothing_is_told_of_others(desk: Desk) -> None:
    """P11: another client's meeting, its people and its reason are on no page of Jo's."""
    desk.put(
        "own", "secret", event("secret", at(41), {"bo@initech.example": "ACCEPTED"}, title="Initech audit")
    )
    desk.office.poll("own")
    text = desk.visitor.get(desk.offered(people={JO: "ACCEPTED", AL: "ACCEPTED"})).text
    for word in ("Initech", "initech", "bo@", AL, "acme", "declined"):
        assert word not in text, word


def test_in_portuguese(tmp_path: Path) -> None:
    """The language of the account's mails, with dates of its own."""
    desk = Desk(tmp_path)
    config = (tmp_path / "config.yaml").read_text().replace("client: Acme", "client: Acme, language: pt")
    (tmp_path / "config.yaml").write_text(config)
    from daemon.config.settings import load

    desk.settings = load(tmp_path / "config.yaml")
    desk.office = desk.open()
    desk.app = desk.pages()
    path = desk.asked()
    page = desk.visitor.get(path)
    assert '<html lang="pt">' in page.text
    assert "Consegue estar presente?" in page.words
    assert "quarta, 4 de março de 2026" in page.words
    assert "Disse que vai estar presente" in desk.visitor.answer(path, do="yes").words
    desk.office.close()
