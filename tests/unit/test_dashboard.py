"""The dashboard: what each part shows, and that its buttons do what the commands do."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from daemon import standing
from daemon.__main__ import main
from daemon.commands import queue as command
from daemon.config.settings import load
from daemon.store import agreements, calendars, deliveries, silences
from daemon.store.agreements import Kind, Stage
from rules.delivery import ANSWERED, Event, State
from rules.model import CalendarRef, Intent, Interval, OccurrenceKey
from tests.support.house import event
from tests.support.offices import at
from tests.support.owner import AL, BO, HOSTILE, JO, Desk


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """A meeting in every state, one message that is held and one that left."""
    made = Desk(tmp_path)
    yield made
    made.office.close()


def part(text: str, heading: str, until: str) -> str:
    """What stands between two headings."""
    return text[text.index(heading) : text.index(until)]


def test_this_week_is_shown_by_state(desk: Desk) -> None:
    """Past by what it came to, ahead by what is open; with its time in the owner's zone, and its people."""
    words = desk.visit().get("/").words
    week = part(words, "This week", "The last 12 weeks")
    assert "Mon 2 Mar to Sun 8 Mar 2026" in week
    for group, title in (
        ("Clashing", "Tax advice"),
        ("Declined", "Design review"),
        ("Unconfirmed", "Kickoff"),
        ("Moved", "Budget sync"),
        ("Missed by me", "Call mine"),
        ("Missed by them", "Call missed"),
        ("Unknown", "Call open"),
        ("Held", "Call held"),
    ):
        assert f"{group} {title}" in week
    assert "Kickoff Tue 3 Mar 15:00–15:30 acme · you organise it · jo@acme.example has not answered" in week
    assert f"moved from Tue 2026-03-03 05:00; {BO} picked this time" in week
    assert "at the same time as “Retro” (acme)" in week


def test_what_comes_next_is_told_for_each_meeting(desk: Desk) -> None:
    """The rules are asked what they will do if nothing changes."""
    desk.put("acme", "later", event("later", at(60), {JO: "NEEDS-ACTION"}, title="Later"))
    desk.round(0.1)
    assert (
        "→ Mon 2026-03-02 21:00: ask asks jo@acme.example to confirm, unless" in desk.visit().get("/").words
    )


def test_the_outbox_tells_what_waits_and_what_left_and_why(desk: Desk) -> None:
    """Each with its reason, its meeting's trace and its own page."""
    page = desk.visit().get("/")
    box = part(page.words, "Outbox", "Silences and opt-outs")
    assert "Kickoff held to jo@acme.example · ask/ask · until Tue 2026-03-03 13:00" in box
    assert "jo@acme.example has not said yes to this time waits for your approval Approve message" in box
    assert f"Sent last Design review Mon 2026-03-02 09:06 to {AL}" in box
    assert 'href="/meeting?of=kickoff"' in page.text


def test_approve_lets_a_message_go(desk: Desk) -> None:
    """As the command does; pressed again, nothing is changed and that is told."""
    owner, id_ = desk.visit(), held(desk)
    seal = owner.forms()[f"/message/{id_}/approve"]["seal"]
    done = owner.press(f"/message/{id_}/approve")
    assert (done.status, done.headers["location"]) == (303, f"/?done={id_}#outbox")
    assert desk.states()["kickoff", JO] == "pending"
    assert JO in desk.round()
    again = owner.post(f"/message/{id_}/approve", seal=seal)
    assert "Nothing was changed: Message" in owner.get(again.headers["location"]).words


def test_cancel_is_a_verdict_on_the_rule(desk: Desk) -> None:
    """Two rejections in a row demote it, and the page says so."""
    desk.put("acme", "second", event("second", at(31), {JO: "NEEDS-ACTION"}, title="Second"))
    desk.round(0.1)
    owner = desk.visit()
    for _ in range(2):
        owner.press(f"/message/{held(desk)}/cancel")
    assert {desk.states()["kickoff", JO], desk.states()["second", JO]} == {"suppressed"}
    with desk.store.read() as conn:
        assert standing.in_force(conn, desk.settings.policy, desk.clock.at).demoted
    assert "The rule ask goes no further than “draft”" in owner.get("/").words


def test_what_went_wrong_can_be_sent_after_all(desk: Desk) -> None:
    """Refused messages quietly, doubtful ones with a warning; from its own page it leads back there."""
    id_, now = held(desk), desk.clock.now()
    with desk.store.write() as conn:
        deliveries.approve(conn, id_, now)
        deliveries.claim(conn, id_, "test", now, timedelta(minutes=1))
        deliveries.move(conn, id_, Event.COMMIT, now)
        deliveries.move(conn, id_, Event.DOUBT, now, error="the line broke")
    owner = desk.visit()
    assert "Refused, or nobody knows Kickoff unknown" in owner.get("/").words
    assert "the line broke Send after all message" in owner.get("/").words
    assert "It may have arrived: it could come twice." in owner.get("/").words
    done = owner.press(f"/message/{id_}/retry", page=f"/message/{id_}")
    assert (done.status, done.headers["location"]) == (303, f"/message/{id_}")
    assert desk.states()["kickoff", JO] == "pending"


def test_a_silence_is_ended(desk: Desk) -> None:
    """It no longer holds, and the rules look at everything anew."""
    owner = desk.visit()
    assert "account=own until Fri 2026-03-06 13:00 a quiet week End" in owner.get("/").words
    assert "*@closed.example since Mon 2026-03-02 09:06 asked by phone" in owner.get("/").words
    done = owner.press("/silence/1/end")
    assert "Silence 1 is over." in owner.get(done.headers["location"]).words
    with desk.store.read() as conn:
        assert silences.active(conn, desk.clock.now()) == []
    assert desk.office.decide().judged > 0


def test_freshness_tells_what_cannot_be_seen(desk: Desk) -> None:
    """In the words of the error, and since when."""
    with desk.store.write() as conn:
        calendars.failed(conn, "own", "no answer", "the server does not answer", desk.clock.now())
    desk.clock.at += timedelta(hours=1)
    page = desk.visit().get("/").words
    assert "I cannot see acme, own, so nothing is concluded from there." in page
    assert "own 2026-03-02" not in page
    assert "since Mon 2026-03-02 09:06: the server does not answer" in page


def test_a_meeting_is_explained(desk: Desk) -> None:
    """The same trace as the command, found by its address or by part of a title."""
    owner = desk.visit()
    for found in (owner.get("/meeting?of=kickoff"), owner.get("/meeting?of=KICK")):
        assert found.status == 200
        assert "ask done has done its part: asks jo@acme.example to confirm" in found.words
        assert "so: organised or accepted by me (ORGANIZER, PARTSTAT: organised by me" in found.words
    assert owner.get("/meeting?of=nothing+like+it").status == 404
    assert owner.get("/meeting").status == 404


def test_a_message_is_shown_with_its_words(desk: Desk) -> None:
    """What it would say now, or said; and what became of it."""
    owner = desk.visit()
    assert "Now it would say: From: Dana Reyes <dana@va.example>" in owner.get(f"/message/{held(desk)}").words
    left = owner.get("/message/1").words
    assert f"no/other to {AL} left Mon 2026-03-02 09:06" in left
    assert "Thank you for letting me know" in left


@pytest.mark.parametrize("do", ANSWERED)
def test_what_follows_from_an_answer_is_shown_too(
    desk: Desk, do: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether it goes to a mailbox or into a calendar, on the page and by the command."""
    monkeypatch.setattr(command, "clock", desk.clock)
    now, start = desk.clock.now(), at(26)
    key = OccurrenceKey(calendar=CalendarRef(account="acme", id=desk.ref), uid="review", recurrence_id=None)
    with desk.store.write() as conn:
        slot = Interval(at(56), at(56.5))
        agreements.take(conn, key, start=start, slot=slot, kind=Kind.MOVE, address=AL, delivery=None, now=now)
        intent = Intent(
            rule="rebookd",
            step="new-time",
            do=do,
            mode="auto",
            key=key,
            start=start,
            to=AL,
            people=(AL,),
            due=now,
            until=at(20),
            reason=f"{AL} picked this time",
            detector="",
        )
        [id_] = deliveries.add(conn, [intent], now)
    page = desk.visit().get(f"/message/{id_}")
    assert (page.status, "cannot be written" in page.words) == (200, False)
    shown = CliRunner().invoke(
        main, ["--config", str(desk.folder / "config.yaml"), "outbox", "show", str(id_)]
    )
    assert shown.exit_code == 0, shown.output
    assert "would" in shown.output
    with desk.store.write() as conn:
        deliveries.cancel(conn, id_, now)
    assert desk.visit().get(f"/message/{id_}").status == 200
    listed = CliRunner().invoke(main, ["--config", str(desk.folder / "config.yaml"), "outbox", "list"])
    assert listed.exit_code == 0, listed.output


def test_what_strangers_wrote_is_never_markup(tmp_path: Path) -> None:
    """A title that would be a script is text everywhere, and turns no line around."""
    desk = Desk(tmp_path, title=HOSTILE)
    owner = desk.visit()
    for path in ("/", "/meeting?of=kickoff", f"/message/{held(desk)}", "/meeting?of=%3Cscript%3E"):
        text = owner.get(path).text
        assert "<script>alert" not in text
        assert "<img" not in text
        assert "\u202e" not in text
        assert "&lt;script&gt;" in text
    desk.office.close()


def test_looking_changes_nothing(desk: Desk) -> None:
    """No page, whatever its question."""
    owner, before = desk.visit(), desk.dump()
    for path in (
        "/",
        "/?done=1&ended=1&late=1",
        "/meeting?of=kickoff",
        "/message/1",
        f"/message/{held(desk)}",
        f"/message/{held(desk)}/approve",
        "/silence/1/end",
        "/healthz",
        "/metrics",
        "/htmx.min.js",
    ):
        owner.get(path)
        owner.ask(path, "HEAD")
    assert desk.dump() == before


def test_addresses_that_are_not_there_are_told_in_plain_words(desk: Desk) -> None:
    """A wrong page, number, act or method."""
    owner = desk.visit()
    for path in ("/nowhere", "/message/999", f"/message/{1 << 80}", "/message/x", "/silence/1"):
        found = owner.get(path)
        assert (found.status, "There is nothing here" in found.words) == (404, True), path
    assert owner.get("/message/1/approve").status == 405
    assert "This does not work so" in owner.post("/").words


def held(desk: Desk) -> int:
    """The number of a message that is held."""
    with desk.store.read() as conn:
        return deliveries.list_(conn, State.HELD)[0].id


def test_what_cannot_be_known_is_not_called_unconfirmed(tmp_path: Path) -> None:
    """Where answers never arrive, silence means nothing; whoever was asked for none owes none."""
    desk = Desk(tmp_path)
    path = desk.folder / "config.yaml"
    path.write_text(path.read_text().replace("client: Acme", "client: Acme, rsvp: untrusted"))
    desk.settings = load(path)
    desk.office = desk.open()
    week = part(desk.visit().get("/").words, "This week", "The last 12 weeks")
    assert "answers in this account are not trusted" in part(week, "Kickoff Tue", "Held Call held")
    assert "Unconfirmed" not in week
    desk.office.close()


def test_a_meeting_that_left_the_week_is_told(desk: Desk) -> None:
    """With where it went, and who picked that."""
    key = OccurrenceKey(calendar=CalendarRef(account="acme", id=desk.ref), uid="far", recurrence_id=None)
    desk.put("acme", "far", event("far", at(300), {JO: "ACCEPTED"}, title="Far away"))
    desk.round(0.1)
    with desk.store.write() as conn:
        made = agreements.take(
            conn,
            key,
            start=at(28),
            slot=Interval(at(300), at(300.5)),
            kind=Kind.MOVE,
            address=JO,
            delivery=None,
            now=desk.clock.now(),
        )
        assert made is not None
        agreements.settle(conn, made.id, Stage.DONE, desk.clock.now())
    week = part(desk.visit().get("/").words, "This week", "The last 12 weeks")
    assert f"Far away Tue 3 Mar 13:00–13:30 acme moved to Sat 2026-03-14 21:00, which {JO} picked" in week
