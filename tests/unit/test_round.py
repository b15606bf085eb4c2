"""Poll, decide and send together, on calendars in memory: what reaches whom, and what never does."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from connectors.base import CursorExpired, LimitExceeded, NeedsLogin, Retryable
from connectors.memory import MemoryConnector
from daemon.notices import MOST_LISTED
from daemon.store import agenda, calendars
from tests.support.house import event
from tests.support.offices import World, at

RULES = """\
version: 1
guard: {first_sync: quiet}
rules:
  - name: confirm
    when: unconfirmed
    then:
      - {step: ask, do: confirm, at: 48h before start, until: 2h before start}
  - name: no-show
    when: missed
    then:
      - {step: offer, do: reschedule, at: 15m after end, until: 2 days after end}
  - name: clash
    when: {conflict: {keep: [account:acme]}}
    then:
      - {step: move, do: reschedule, at: 7d before start, until: 3h before start}
"""
JO = "jo@acme.example"
ME = "dana@va.example"


def meeting(uid: str, hours: float, partstat: str = "NEEDS-ACTION", to: str = JO, **more: str) -> str:
    """A meeting of mine with one guest."""
    return event(uid, at(hours), {to: partstat}, **more)


@pytest.fixture
def world(tmp_path: Path) -> World:
    """One account, read once while it was empty of troubles."""
    found = World(tmp_path, RULES)
    for number in range(5):
        found.put("acme", f"calm-{number}", meeting(f"calm-{number}", 1000 + number, "ACCEPTED"))
    assert found.round() == []
    return found


def test_an_invitation_let_lie_is_asked_about_once(world: World) -> None:
    """Poll, decide, send; and never again, not even after a restart."""
    world.put("acme", "kickoff", meeting("kickoff", 50))
    assert world.round() == []
    assert world.round(2) == [JO]
    assert world.round(1) == []
    world.office = world.open()
    assert world.round() == []
    (_, mail) = world.mailer.kept[0]
    assert mail["Auto-Submitted"] == "auto-generated"
    assert any(part.get_content_type() == "text/calendar" for part in mail.walk())


def test_the_first_read_of_an_account_mails_nobody_about_the_past(tmp_path: Path) -> None:
    """P9: what was already due stays unsent."""
    world = World(tmp_path, RULES)
    world.put("acme", "kickoff", meeting("kickoff", 20))
    assert world.round() == []
    assert world.round(5) == []


def test_an_answer_between_decision_and_dispatch_stops_the_mail(world: World) -> None:
    """P4: the meeting is read again just before its mail leaves."""
    world.put("acme", "kickoff", meeting("kickoff", 50))
    world.round()
    world.clock.at = at(2)
    world.office.poll("acme")
    world.office.decide()
    world.put("acme", "kickoff", meeting("kickoff", 50, "ACCEPTED"))
    world.office.send()
    assert world.mailer.kept == []
    assert world.states() == {("kickoff", JO): "superseded"}


@pytest.mark.parametrize("what", ["moved", "cancelled", "deleted"])
def test_a_change_between_decision_and_dispatch_stops_the_mail(world: World, what: str) -> None:
    """The same for a meeting that moves, is cancelled or vanishes."""
    world.put("acme", "kickoff", meeting("kickoff", 50))
    world.round()
    world.clock.at = at(2)
    world.office.poll("acme")
    world.office.decide()
    if what == "deleted":
        world.calendars["acme"].remove("/kickoff.ics")
    else:
        text = meeting("kickoff", 60) if what == "moved" else meeting("kickoff", 50, more="STATUS:CANCELLED")
        world.put("acme", "kickoff", text)
    world.office.send()
    assert world.mailer.kept == []
    if what == "deleted":
        assert world.states() == {("kickoff", JO): "pending"}  # one answer is too little to forget it
        world.round(0.1)
    assert world.mailer.kept == []
    assert world.states() == {("kickoff", JO): "superseded"}


def test_a_meeting_that_one_answer_does_not_know_is_asked_about_once_it_is_back(world: World) -> None:
    """P3: nothing is lost because a server knew nothing for a moment."""
    world.put("acme", "kickoff", meeting("kickoff", 50))
    world.round()
    world.clock.at = at(2)
    world.office.poll("acme")
    world.office.decide()
    text = world.calendars["acme"].raw("/kickoff.ics")
    world.calendars["acme"].remove("/kickoff.ics")
    world.office.send()
    world.calendars["acme"].put("/kickoff.ics", text)
    assert world.round(0.1) == [JO]


def test_a_meeting_that_cannot_be_read_again_waits(world: World) -> None:
    """Nothing stale is sent, and nothing is lost."""
    world.put("acme", "kickoff", meeting("kickoff", 50))
    world.round()
    world.clock.at = at(2)
    world.office.poll("acme")
    world.office.decide()
    world.calendars["acme"].fail(Retryable("the server is tired"))
    world.office.send()
    assert world.mailer.kept == []
    world.clock.at = at(2.1)
    world.office.send()
    assert world.mailer.to == [JO]


def test_a_moved_meeting_is_asked_about_anew(world: World) -> None:
    """The yes was for another time."""
    world.put("acme", "kickoff", meeting("kickoff", 50, "ACCEPTED"))
    assert world.round(2) == []
    world.put("acme", "kickoff", meeting("kickoff", 55, "ACCEPTED"))
    assert world.round(6) == [JO]


def test_a_mark_made_in_a_calendar_app_sends_the_offer(world: World) -> None:
    """The owner renames the event; the offer names it without the mark."""
    world.put("acme", "sync", meeting("sync", 1, "ACCEPTED", title="Weekly sync"))
    assert world.round(2) == []
    world.put("acme", "sync", meeting("sync", 1, "ACCEPTED", title="[no-show] Weekly sync"))
    assert world.round(1) == [JO]
    (_, mail) = world.mailer.kept[-1]
    assert "[no-show]" not in mail.as_string()
    assert "Weekly sync" in mail["Subject"]


def test_a_meeting_whose_replacement_falls_through_is_offered_again(world: World) -> None:
    """What a later meeting had settled is open once that meeting is gone."""
    made = f"CREATED:{at(2):%Y%m%dT%H%M%SZ}"
    later = meeting("again", 30, "ACCEPTED").replace("CREATED:20260101T000000Z", made)
    world.put("acme", "sync", meeting("sync", 1, "ACCEPTED"))
    assert world.round(2) == []
    world.put("acme", "again", later)
    world.put("acme", "sync", meeting("sync", 1, "ACCEPTED", title="[no-show] Kickoff review"))
    assert world.round(1) == []
    world.calendars["acme"].remove("/again.ics")
    assert world.round(1) == [JO]


def test_two_clients_booked_over_each_other(tmp_path: Path) -> None:
    """The lower-ranked side is asked to move, the other hears nothing, and neither learns of the other."""
    world = World(tmp_path, RULES, accounts=("acme", "initech"))
    world.round()
    world.put("acme", "a", meeting("a", 80, "ACCEPTED", title="Acme budget"))
    world.put("initech", "b", meeting("b", 80.25, "ACCEPTED", to="bo@initech.example", title="Pricing"))
    assert world.round() == ["bo@initech.example"]
    text = world.mailer.kept[0][1].as_string().casefold()
    assert "acme" not in text
    assert "budget" not in text


def test_one_meeting_in_two_accounts_gives_one_mail(tmp_path: Path) -> None:
    """P1 across calendars."""
    world = World(tmp_path, RULES, accounts=("acme", "own"))
    world.round()
    for account in ("acme", "own"):
        world.put(account, "kickoff", meeting("kickoff", 50))
    assert world.round(2) == [JO]


@pytest.mark.parametrize(
    ("error", "kind"),
    [(NeedsLogin("the password is refused"), "sign-in needed"), (LimitExceeded("a web page"), "too large")],
)
def test_an_account_out_of_sight_is_told_and_touches_no_other(
    tmp_path: Path, error: Exception, kind: str
) -> None:
    """P3: the neighbour goes on; the owner hears it once."""
    world = World(tmp_path, RULES, accounts=("acme", "own"))
    world.round()
    world.put("own", "kickoff", meeting("kickoff", 50))
    world.calendars["acme"].fail(*[error] * 4)  # type: ignore[list-item]
    sent = world.round(2) + world.round(1) + world.round(1)
    assert sorted(sent) == [ME, JO]
    (notice,) = (mail for to, mail in world.mailer.kept if to == ME)
    assert notice["Subject"].startswith("I cannot see acme since")
    with world.store.read() as conn:
        assert calendars.accounts(conn)["acme"].error_kind == kind


def test_nothing_is_concluded_from_a_blind_account_until_it_is_seen_again(world: World) -> None:
    """What fell due meanwhile is taken up when the account is back."""
    world.put("acme", "kickoff", meeting("kickoff", 50))
    world.round()
    for _ in range(8):
        world.calendars["acme"].fail(Retryable("no answer"))
        assert JO not in world.round(1)
    assert JO in world.round(1)


def test_an_expired_cursor_means_one_full_poll(world: World) -> None:
    """And a server that refuses even that is told of, without recursion."""
    world.calendars["acme"].forget_cursors()
    world.put("acme", "kickoff", meeting("kickoff", 50))
    assert world.round(2) == [JO]
    world.calendars["acme"].put("/other.ics", meeting("other", 900))
    world.calendars["acme"].fail(CursorExpired("no"))
    world.office.poll("acme")
    with world.store.read() as conn:
        assert calendars.accounts(conn)["acme"].failures == 1


def test_a_sudden_shrink_needs_a_second_agreeing_read(world: World) -> None:
    """P3: 1 of 5 left is believed only when it is seen twice."""
    for number in range(1, 5):
        world.calendars["acme"].remove(f"/calm-{number}.ics")
    world.calendars["acme"].forget_cursors()
    assert world.round() == [ME]
    assert "accept-shrink" in world.mailer.kept[-1][1].as_string()
    assert _events(world) == 5
    assert world.round(0.1) == []
    assert _events(world) == 1


def test_whoever_waits_on_a_page_settles_no_doubt(world: World) -> None:
    """Their reads may follow each other within seconds; the next ordinary one still decides."""
    for number in range(1, 5):
        world.calendars["acme"].remove(f"/calm-{number}.ics")
    world.calendars["acme"].forget_cursors()
    assert not world.office.refresh()
    assert not world.office.refresh()
    world.round()
    assert not world.office.refresh()
    assert _events(world) == 5
    world.round(0.1)
    assert _events(world) == 1
    assert world.office.refresh()


def test_a_shrink_that_mends_itself_removes_nothing(world: World) -> None:
    """An empty answer between two good ones changes nothing."""
    texts = {number: world.calendars["acme"].raw(f"/calm-{number}.ics") for number in range(5)}
    for number in texts:
        world.calendars["acme"].remove(f"/calm-{number}.ics")
    world.calendars["acme"].forget_cursors()
    world.round()
    for number, text in texts.items():
        world.calendars["acme"].put(f"/calm-{number}.ics", text)
    world.round(0.1)
    assert _events(world) == 5


def test_the_owners_word_lets_a_shrink_pass(world: World) -> None:
    """``rebookd accept-shrink``."""
    for number in range(1, 5):
        world.calendars["acme"].remove(f"/calm-{number}.ics")
    world.calendars["acme"].forget_cursors()
    world.round()
    world.calendars["acme"].remove("/calm-0.ics")
    with world.store.write() as conn:
        assert calendars.accept_shrink(conn, "acme")
    world.round(0.1)
    assert _events(world) == 0


def test_an_unreadable_event_is_told_once_and_its_neighbours_live(world: World) -> None:
    """HOSTILE 7: one event without DTSTART among good ones."""
    broken = meeting("broken", 50).replace("DTSTART", "X-START")
    world.put("acme", "broken", broken)
    world.put("acme", "kickoff", meeting("kickoff", 50))
    assert world.round(2) == [ME, JO]
    assert "cannot be read" in world.mailer.kept[0][1]["Subject"]
    assert world.round(1) == []


def test_many_unreadable_events_are_told_in_one_mail(world: World) -> None:
    """Somebody who sends odd invitations by the dozen does not fill my mailbox; another one is told alone."""
    for number in range(30):
        world.put("acme", f"broken-{number}", meeting(f"broken-{number}", 50).replace("DTSTART", "X-START"))
    world.put("acme", "kickoff", meeting("kickoff", 50))
    assert world.round(2) == [ME, JO]
    told = world.mailer.kept[0][1]
    assert str(told["Subject"]) == "30 events in calendar cannot be read"
    text = told.get_body(("plain",)).get_content()
    assert text.count("it has no readable start") == MOST_LISTED
    assert "and 10 more" in text
    world.put("acme", "other", meeting("other", 50).replace("DTSTART", "X-START"))
    assert world.round(1) == [ME]
    assert str(world.mailer.kept[-1][1]["Subject"]) == "An event in calendar cannot be read"
    assert world.round(1) == []


@pytest.mark.parametrize(("count", "told"), [(2, ["A meeting"] * 2), (12, ["12 meetings"])])
def test_meetings_that_cannot_be_judged_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int, told: list[str]
) -> None:
    """One by one, or many in one mail, which names them; once a day, and nobody else is written to."""
    world = World(tmp_path, RULES)

    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError("a rule that cannot be")

    monkeypatch.setattr("daemon.decide.evaluate", fail)
    for number in range(count):
        world.put("acme", f"odd-{number}", meeting(f"odd-{number}", 50))
    assert world.round() == [ME] * len(told)
    subjects = [str(mail["Subject"]) for _, mail in world.mailer.kept]
    assert subjects == [f"{one} could not be judged" for one in told]
    text = "".join(mail.get_body(("plain",)).get_content() for _, mail in world.mailer.kept)
    assert all(f"odd-{number} (acme)" in text for number in range(count))
    assert text.count("a rule that cannot be") == count
    assert world.round(2) == []


@pytest.mark.parametrize(("letters", "quoted"), [(1000, True), (900_000, False), (3_000_000, False)])
def test_a_meeting_with_files_in_it_is_asked_about(world: World, letters: int, quoted: bool) -> None:
    """The mail quotes no megabytes of it: servers would refuse that, and words alone do."""
    file = f"ATTACH;ENCODING=BASE64;VALUE=BINARY:{'A' * letters}"
    world.put("acme", "kickoff", meeting("kickoff", 50, more=file))
    assert world.round(2) == [JO]
    ((_, mail),) = world.mailer.kept
    kinds = {part.get_content_type() for part in mail.walk()}
    assert ("text/calendar" in kinds) is quoted
    assert "Kickoff" in mail.get_body(("plain",)).get_content()


def test_the_horizon_rolls_without_reading_again(world: World) -> None:
    """An occurrence 130 days ahead appears when its time comes near."""
    series = meeting("weekly", 24, "ACCEPTED", more="RRULE:FREQ=WEEKLY")
    world.put("acme", "weekly", series)
    world.round()
    world.clock.at += timedelta(days=40)
    world.round()
    with world.store.read() as conn:
        rows = calendars.calendars(conn, "acme")
    assert rows[0].horizon_end - world.clock.at == timedelta(days=120)


@pytest.mark.parametrize("jump", [8, -8, 24 * 365, -24 * 365])
def test_a_jumping_clock_sends_nothing_twice_and_nothing_stale(world: World, jump: float) -> None:
    """HOSTILE 35: the clock leaps and comes back; steps whose time passed meanwhile lapse."""
    for number in range(4):
        world.put(
            "acme", f"soon-{number}", meeting(f"soon-{number}", 49 + number, to=f"g{number}@acme.example")
        )
    world.round()
    sent = world.round(2)
    assert sent == ["g0@acme.example", "g1@acme.example"]
    world.round(jump)
    world.round(-jump)
    sent = world.mailer.to
    assert len(sent) == len(set(sent)), "somebody was mailed twice"
    for address, mail in world.mailer.kept:
        assert address != ME or "cannot see" in mail["Subject"]
    world.round(3)
    assert sorted(one for one in world.mailer.to if one != ME) == [
        f"g{number}@acme.example" for number in range(4)
    ]


def test_what_was_read_counts_whatever_becomes_of_the_files(world: World) -> None:
    """A reload that has read the files does not stumble over one that is gone a moment later."""
    for file in world.settings.files:
        file.unlink()
    world.open()


def test_a_busy_calendar_rolls_too(world: World) -> None:
    """Changes read meanwhile do not pass for a rolled horizon."""
    world.put("acme", "weekly", meeting("weekly", 24, "ACCEPTED", more="RRULE:FREQ=WEEKLY"))
    world.round()
    for day in range(40):
        world.put("acme", "calm-0", meeting("calm-0", 1000 + day, "ACCEPTED"))
        world.round(24)
    with world.store.read() as conn:
        last = max(one.start_utc for one in agenda.by_uids(conn, ["weekly"]))
    assert last > world.clock.at + timedelta(days=110)


def test_a_calendar_no_longer_offered_is_forgotten_only_when_missed_twice(world: World) -> None:
    """P3: one short listing removes nothing, and what is new in it waits, too."""
    hidden = world.calendars["acme"]._calendars.pop("calendar")
    world.calendars["acme"]._calendars["other"] = MemoryConnector("acme", names=["other"])._calendars["other"]
    world.round(0.1)
    with world.store.read() as conn:
        assert {row.name for row in calendars.calendars(conn, "acme")} == {"calendar"}
    world.calendars["acme"]._calendars["calendar"] = hidden
    world.round(0.1)
    del world.calendars["acme"]._calendars["calendar"]
    world.round(0.1)
    world.round(0.1)
    with world.store.read() as conn:
        assert {row.name for row in calendars.calendars(conn, "acme")} == {"other"}


def test_other_calendars_in_place_of_all_known_need_the_owners_word(world: World) -> None:
    """P3: another account would offer the same again and again; nobody of its meetings is written to."""
    world.calendars["acme"] = MemoryConnector("acme", names=["other"])
    world.office = world.open()
    world.put("acme", "theirs", meeting("theirs", 20))
    assert [world.round(0.1) for _ in range(3)] == [[ME], [], []]
    assert "perhaps another account" in world.mailer.kept[-1][1].as_string().replace("=\n", "")
    assert _events(world) == 5
    with world.store.write() as conn:
        assert calendars.accept_shrink(conn, "acme")
    world.round(0.1)
    with world.store.read() as conn:
        assert {row.name for row in calendars.calendars(conn, "acme")} == {"other"}


def test_the_same_events_under_other_addresses_are_no_other_account(world: World) -> None:
    """A server that moved every file of a calendar holds the calendar that it held."""
    for number in range(5):
        text = world.calendars["acme"].raw(f"/calm-{number}.ics")
        world.calendars["acme"].remove(f"/calm-{number}.ics")
        world.calendars["acme"].put(f"/moved/{number}.ics", text)
    world.calendars["acme"].forget_cursors()
    assert world.round(0.1) == []
    assert _events(world) == 5


def _events(world: World) -> int:
    with world.store.read() as conn:
        return len(calendars.etags(conn, calendars.calendars(conn, "acme")[0].ref))
