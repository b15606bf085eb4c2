"""What becomes of an answer: from a link in a mail to the meeting in the calendar."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from connectors.base import Conflict, Rejected, Retryable
from connectors.memory import MemoryConnector
from daemon.answers import Answering, Became, Standing
from daemon.explanation import explain
from daemon.store import agenda, agreements, answers, attendance, deliveries, optouts
from daemon.store.agreements import Kind, Stage
from daemon.store.deliveries import Delivery
from rules.delivery import Event, State
from rules.model import Held, Interval, Occurrence, PartStat, Status
from tests.support.house import event
from tests.support.offices import World, at

RULES = """\
version: 1
guard: {first_sync: act}
rules:
  - name: ask
    when: unconfirmed
    then:
      - {step: ask, do: confirm, at: 48h before start, until: 24h before start}
      - {step: move, do: reschedule, at: 20h before start, until: 1h before start, within: 3 business days}
  - name: no
    when: {declined: {grace: 30m}}
    then:
      - {step: other, do: reschedule, at: 14d before start, until: 1h before start}
  - name: clash
    when: {conflict: {keep: [account:own]}}
    then:
      - {step: move, do: reschedule, at: 7d before start, until: 1h before start}
  - name: no-show
    when: missed
    then:
      - {step: offer, do: reschedule, at: 15m after end, until: 2 days after end, when_over: MOVE_OR_NEW}
      - {step: again, do: reschedule, at: 10h after end, until: 3 days after end}
  - name: called-off
    when: cancelled
    then:
      - {step: another, do: reschedule, at: 7d before start, until: 1h before start}
  - name: was-it-held
    when: unaccounted
    then:
      - {step: ask-me, do: check_in, at: 10m after end, until: 1 day after end}
"""
JO, AL, BO, ME = "jo@acme.example", "al@acme.example", "bo@acme.example", "dana@va.example"
PAGE = "the answer page"


@pytest.fixture
def world(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[World]:
    """Two accounts, read once while they were empty."""
    over = getattr(request, "param", "new")
    made = World(tmp_path, RULES.replace("MOVE_OR_NEW", over), accounts=("acme", "own"))
    made.round()
    yield made
    made.office.close()


def answering(world: World) -> Answering:
    """Who takes the answers."""
    return world.office.answering


def left(world: World, to: str = JO, step: str = "") -> Delivery:
    """The last message that left for somebody."""
    with world.store.read() as conn:
        found = [one for one in deliveries.list_(conn, State.SENT) if one.to == to and step in one.step]
    return found[-1]


def stored(world: World, uid: str) -> list[Occurrence]:
    """What the store holds of a meeting."""
    with world.store.read() as conn:
        return agenda.by_uids(conn, [uid])


def offer(world: World, uid: str = "kickoff", hours: float = 40, **people: str) -> Delivery:
    """A meeting that Jo declined, and the offer that went to her."""
    world.put("acme", uid, event(uid, at(hours), people or {JO: "ACCEPTED"}, title=uid.title()))
    world.round(0.1)
    world.put("acme", uid, event(uid, at(hours), {**(people or {}), JO: "DECLINED"}, title=uid.title()))
    world.round(0.1)
    assert JO in world.round(1)
    return left(world, step="other")


def test_a_yes_on_a_page_is_a_yes(world: World) -> None:
    """The calendar has not heard of it; the ladder ends all the same."""
    world.put("acme", "kickoff", event("kickoff", at(40), {JO: "NEEDS-ACTION"}))
    assert world.round(0.1) == [JO]
    done = answering(world).confirm(left(world).id, PartStat.ACCEPTED, PAGE)
    assert done is not None
    assert done.became is Became.NOTED
    assert [to for _ in range(10) for to in world.round(2)] == []


def test_a_no_on_a_page_brings_other_times(world: World) -> None:
    """As if it stood in the calendar; and a yes after it takes it back."""
    world.put("acme", "kickoff", event("kickoff", at(40), {JO: "NEEDS-ACTION"}))
    assert world.round(0.1) == [JO]
    asked = left(world)
    answering(world).confirm(asked.id, PartStat.DECLINED, PAGE)
    assert world.round(0.2) == []
    answering(world).confirm(asked.id, PartStat.ACCEPTED, PAGE)
    assert world.round(1) == []
    answering(world).confirm(asked.id, PartStat.DECLINED, PAGE)
    assert world.round(1) == [JO]


def test_another_time_in_ones_own_words_comes_first_where_it_is_free(world: World) -> None:
    """The time asked for leads the offer; the words are kept for the owner."""
    world.put("acme", "kickoff", event("kickoff", at(40), {JO: "NEEDS-ACTION"}))
    world.round(0.1)
    wish = Interval(at(49), at(49.5))
    answering(world).propose(left(world).id, [wish], PAGE, words="after lunch, please")
    assert world.round(1) == [JO]
    assert left(world).offered[0] == wish
    with world.store.read() as conn:
        [kept] = answers.since(conn, at(0))
    assert (kept.words, kept.proposed) == ("after lunch, please", (wish,))


def test_a_counter_for_a_time_that_is_taken_is_declined(world: World) -> None:
    """Their calendar program hears of it, once for each proposal; one that can be is offered instead."""
    sent = offer(world, hours=40)
    world.put("own", "dentist", event("dentist", at(60), {BO: "ACCEPTED"}))
    world.round()
    taken, free = Interval(at(60), at(60.5)), Interval(at(72), at(72.5))
    answering(world).propose(sent.id, [taken], "a COUNTER", counter=True)
    answering(world).propose(sent.id, [taken], "a COUNTER", counter=True)
    assert world.round().count(JO) == 1
    _, mail = world.mailer.kept[-1]
    [part] = [part for part in mail.walk() if part.get_content_type() == "text/calendar"]
    assert (part.get_param("method"), "UID:kickoff" in part.get_content()) == ("DECLINECOUNTER", True)
    answering(world).propose(sent.id, [free], "a COUNTER", counter=True)
    assert world.round() == []


def test_a_picked_time_moves_the_meeting_once(world: World) -> None:
    """Same UID, SEQUENCE+1, only the times; one invitation to each attendee, since nobody else tells them."""
    sent = offer(world)
    asked = answering(world).question(sent.id)
    assert asked is not None
    assert (asked.standing, asked.slots) == (Standing.OPEN, sent.offered)
    slot = sent.offered[1]
    done = answering(world).pick(sent.id, [slot], PAGE)
    assert done is not None
    assert (done.became, done.agreed and done.agreed.slot) == (Became.AGREED, slot)
    assert world.round() == [JO]
    [moved] = stored(world, "kickoff")
    assert (moved.start_utc, moved.end_utc, moved.sequence) == (slot.start, slot.end, 1)
    _, mail = world.mailer.kept[-1]
    assert mail["Subject"].startswith("New time: Kickoff")
    [part] = [part for part in mail.walk() if part.get_content_type() == "text/calendar"]
    assert part.get_param("method") == "REQUEST"
    text = part.get_content()
    assert "SEQUENCE:1" in text
    assert f"DTSTART:{slot.start:%Y%m%dT%H%M%SZ}" in text
    again = answering(world).pick(sent.id, [sent.offered[0]], PAGE)
    assert again is not None
    assert (again.became, again.question.standing) == (Became.CLOSED, Standing.AGREED)
    assert [to for _ in range(5) for to in world.round(1)] == []
    assert len(stored(world, "kickoff")) == 1


def test_a_server_that_tells_everybody_is_not_doubled(world: World) -> None:
    """Where the calendar's server sends the change, we do not."""
    world.calendars["acme"] = MemoryConnector("acme", home_zone="Europe/Lisbon", schedules=True)
    world.office.close()
    world.office = world.open()
    sent = offer(world)
    answering(world).pick(sent.id, [sent.offered[0]], PAGE)
    assert world.round() + world.round(1) == []
    assert stored(world, "kickoff")[0].start_utc == sent.offered[0].start


def test_of_two_meetings_that_want_one_hour_one_gets_it(world: World) -> None:
    """The other one is offered fresh times at once, and a time that the calendar took is no longer there."""
    first, second = offer(world, "kickoff"), offer(world, "review", 44)
    shared = first.offered[0]
    with world.store.write() as conn:
        deliveries.offer_more(conn, second.id, [shared, *second.offered])
    assert answering(world).pick(first.id, [shared], PAGE).became is Became.AGREED  # type: ignore[union-attr]
    lost = answering(world).pick(second.id, [shared], PAGE)
    assert lost is not None
    assert lost.became is Became.TAKEN
    assert shared not in lost.question.slots
    assert len(lost.question.slots) >= 3


def test_who_picked_by_mail_what_is_gone_is_sent_other_times(world: World) -> None:
    """They see no page: fresh times come by mail, and an answer to that one counts like one to the first."""
    sent = offer(world)
    slot = sent.offered[0]
    busy = event("dentist", slot.start, {}).replace("ORGANIZER:mailto:dana@va.example\r\n", "")
    world.put("own", "dentist", busy)
    assert answering(world).pick(sent.id, [slot], "mail").became is Became.TAKEN  # type: ignore[union-attr]
    assert answering(world).offer_again(sent.id)
    assert world.round() == [JO]
    again = left(world, step="again")
    assert world.mailer.kept[-1][1]["Subject"] == "Other times for Kickoff"
    assert slot not in again.offered
    assert len(again.offered) == 3
    done = answering(world).pick(again.id, [again.offered[0]], "mail")
    assert done is not None
    assert done.became is Became.AGREED
    assert world.round() == [JO]
    assert stored(world, "kickoff")[0].start_utc == again.offered[0].start


def test_a_time_taken_in_any_calendar_since_is_gone(world: World) -> None:
    """It is looked at when it is picked, not when it was offered."""
    sent = offer(world)
    slot = sent.offered[0]
    busy = event("dentist", slot.start, {}).replace("ORGANIZER:mailto:dana@va.example\r\n", "")
    world.put("own", "dentist", busy)
    done = answering(world).pick(sent.id, [slot], PAGE)
    assert done is not None
    assert (done.became, slot in done.question.slots) == (Became.TAKEN, False)


def test_everybody_needed_has_to_pick(world: World) -> None:
    """The first time that suits all is taken; until then the owner can see who is missing."""
    people = {JO: "DECLINED", AL: "DECLINED"}
    world.put("acme", "kickoff", event("kickoff", at(40), {JO: "ACCEPTED", AL: "ACCEPTED"}))
    world.round(0.1)
    world.put("acme", "kickoff", event("kickoff", at(40), people))
    world.round(0.1)
    assert sorted(world.round(1)) == [AL, JO]
    to_jo, to_al = left(world, JO, "other"), left(world, AL, "other")
    both = [to_jo.offered[0], to_jo.offered[2]]
    with world.store.write() as conn:
        deliveries.offer_more(conn, to_al.id, to_jo.offered)
    first = answering(world).pick(to_jo.id, [both[0], both[1]], PAGE)
    assert first is not None
    assert (first.became, first.question.waiting) == (Became.WAITING, (AL,))
    second = answering(world).pick(to_al.id, [to_jo.offered[1], both[1]], PAGE)
    assert second is not None
    assert (second.became, second.agreed and second.agreed.slot) == (Became.AGREED, both[1])
    assert sorted(world.round()) == [AL, JO]


def test_a_missed_meeting_gets_a_successor(world: World) -> None:
    """Its time is past: another one is made with the same people, linked to it, and each is invited once."""
    world.put("acme", "retro", event("retro", at(2), {JO: "ACCEPTED"}, title="[no-show] Retro"))
    assert world.round(3) == [JO]
    sent = left(world)
    done = answering(world).pick(sent.id, [sent.offered[0]], PAGE)
    assert done is not None
    assert done.agreed is not None
    assert done.agreed.kind is Kind.CREATE
    assert world.round() == [JO]
    with world.store.read() as conn:
        made = agenda.between(conn, sent.offered[0].start, sent.offered[0].end)
    assert [(one.start_utc, one.attendees[0].partstat) for one in made] == [
        (sent.offered[0].start, PartStat.NEEDS_ACTION)
    ]
    raw = next(
        text
        for _, text in world.calendars["acme"]._named(None).objects.values()
        if "RELATED-TO:retro" in text
    )
    assert raw.count("BEGIN:VEVENT") == 1
    assert JO not in [to for _ in range(12) for to in world.round(1)]


@pytest.mark.parametrize("world", ["move"], indirect=True)
def test_a_missed_meeting_moves_where_the_rule_says_so(world: World) -> None:
    """The same meeting at the new time, and no second one."""
    world.put("acme", "retro", event("retro", at(2), {JO: "ACCEPTED"}, title="[no-show] Retro"))
    assert world.round(3) == [JO]
    sent = left(world)
    answering(world).pick(sent.id, [sent.offered[0]], PAGE)
    assert world.round() == [JO]
    assert [one.start_utc for one in stored(world, "retro")] == [sent.offered[0].start]
    assert len(world.calendars["acme"]._named(None).objects) == 1
    assert JO not in [to for _ in range(24) for to in world.round(1)]


def test_a_missed_meeting_of_theirs_gets_a_successor_of_mine(world: World) -> None:
    """Nobody else would make one: I invite whoever organised it."""
    theirs = event("retro", at(2), {ME: "ACCEPTED"}, title="[no-show] Retro").replace(
        "ORGANIZER:mailto:dana@va.example", f"ORGANIZER:mailto:{JO}"
    )
    world.put("acme", "retro", theirs)
    assert world.round(3) == [JO]
    sent = left(world)
    answering(world).pick(sent.id, [sent.offered[0]], PAGE)
    assert world.round() == [JO]
    _, mail = world.mailer.kept[-1]
    [part] = [part for part in mail.walk() if part.get_content_type() == "text/calendar"]
    assert part.get_param("method") == "REQUEST"
    assert "SUMMARY:Retro" in part.get_content()
    assert 'ORGANIZER;CN="Dana Reyes":mailto:dana@va.example' in part.get_content()


def test_a_meeting_called_off_gets_a_successor(world: World) -> None:
    """It stays called off; who picks a time for another one gets another one."""
    text = event("kickoff", at(60), {ME: "ACCEPTED"})
    text = text.replace("ORGANIZER:mailto:dana@va.example", f"ORGANIZER:mailto:{JO}")
    world.put("acme", "kickoff", text)
    world.round(0.1)
    world.put("acme", "kickoff", text.replace("BEGIN:VEVENT\r\n", "BEGIN:VEVENT\r\nSTATUS:CANCELLED\r\n"))
    assert world.round(0.1) == []
    assert world.round(1) == [JO]
    sent = left(world, step="another")
    done = answering(world).pick(sent.id, [sent.offered[0]], PAGE)
    assert done is not None
    assert (done.became, done.agreed and done.agreed.kind) == (Became.AGREED, Kind.CREATE)
    assert world.round() == [JO]
    assert [one.status for one in stored(world, "kickoff")] == [Status.CANCELLED]


def test_somebody_elses_meeting_is_not_moved_but_asked_for(world: World) -> None:
    """They picked: the proposal goes to them as COUNTER, and the meeting stays where it is."""
    theirs = event("theirs", at(40), {ME: "ACCEPTED"}).replace(
        "ORGANIZER:mailto:dana@va.example", f"ORGANIZER:mailto:{JO}"
    )
    world.put("acme", "theirs", theirs)
    world.put("own", "mine", event("mine", at(40), {BO: "ACCEPTED"}))
    assert JO in world.round(0.1)
    sent = left(world, JO, "move")
    done = answering(world).pick(sent.id, [sent.offered[0]], PAGE)
    assert done is not None
    assert done.agreed is not None
    assert done.agreed.kind is Kind.COUNTER
    assert world.round() == [JO]
    _, mail = world.mailer.kept[-1]
    [part] = [part for part in mail.walk() if part.get_content_type() == "text/calendar"]
    assert part.get_param("method") == "COUNTER"
    assert f"DTSTART:{sent.offered[0].start:%Y%m%dT%H%M%SZ}" in part.get_content()
    assert stored(world, "theirs")[0].start_utc == at(40)


def test_an_account_that_cannot_be_seen_makes_an_answer_wait(world: World) -> None:
    """Nobody knows whether the time is free: it is kept, and looked at as soon as it can be."""
    sent = offer(world)
    world.office.answering.refresh = lambda: False
    done = answering(world).pick(sent.id, [sent.offered[0]], PAGE)
    assert done is not None
    assert done.became is Became.LATER
    assert world.round(0.1) in ([JO], [])
    assert world.round(0.1) in ([JO], [])
    assert stored(world, "kickoff")[0].start_utc == sent.offered[0].start


@pytest.mark.parametrize("error", [Retryable("later"), Conflict("changed")])
def test_a_server_in_trouble_is_asked_again(world: World, error: Exception) -> None:
    """The agreed time stands until the calendar has it."""
    sent = offer(world)
    answering(world).pick(sent.id, [sent.offered[0]], PAGE)
    memory, move = world.calendars["acme"], world.calendars["acme"].move
    failing = [error]

    def flaky(*words: object) -> object:
        if failing:
            raise failing.pop()
        return move(*words)  # type: ignore[arg-type]

    memory.move = flaky  # type: ignore[method-assign, assignment]
    world.round()
    assert stored(world, "kickoff")[0].start_utc == at(40)
    world.round(0.1)
    assert stored(world, "kickoff")[0].start_utc == sent.offered[0].start


def test_a_server_that_refuses_is_told_to_the_owner(world: World) -> None:
    """With what to do by hand; the slot is free for others again."""
    sent = offer(world)
    answering(world).pick(sent.id, [sent.offered[0]], PAGE)

    def refuse(*_: object) -> None:
        raise Rejected("not yours")

    world.calendars["acme"].move = refuse  # type: ignore[method-assign, assignment]
    assert ME in world.round() + world.round(0.1)
    said = str(world.mailer.kept[-1][1].get_body(("plain",)).get_content())  # type: ignore[union-attr]
    assert "jo@acme.example picked this time, but the calendar could not be changed." in " ".join(
        said.split()
    )
    with world.store.read() as conn:
        found = agreements.of(conn, sent.key.identity, at(40))  # type: ignore[union-attr]
    assert found is not None
    assert found.state is Stage.FAILED


def test_a_refused_move_can_be_tried_anew(world: World) -> None:
    """Once its cause is mended, the owner's word carries it out."""
    sent = offer(world)
    answering(world).pick(sent.id, [sent.offered[0]], PAGE)
    memory, move = world.calendars["acme"], world.calendars["acme"].move

    def refuse(*_: object) -> None:
        raise Rejected("not yours")

    memory.move = refuse  # type: ignore[method-assign, assignment]
    world.round()
    memory.move = move  # type: ignore[method-assign]
    with world.store.write() as conn:
        (refused,) = deliveries.list_(conn, State.REFUSED)
        deliveries.move(conn, refused.id, Event.RETRY, world.clock.now())
    world.round(0.1)
    assert stored(world, "kickoff")[0].start_utc == sent.offered[0].start


def test_a_time_that_never_reaches_the_calendar_is_told_once(world: World) -> None:
    """Two days of trouble are enough; the meeting stands as it was, and the slot is free again."""
    sent = offer(world, hours=100)
    answering(world).pick(sent.id, [sent.offered[0]], PAGE)

    def fail(*_: object) -> None:
        raise Retryable("later")

    world.calendars["acme"].move = fail  # type: ignore[method-assign, assignment]
    told = [to for _ in range(6) for to in world.round(12)]
    subjects = [mail["Subject"] for _, mail in world.mailer.kept]
    assert told.count(ME) == len([one for one in subjects if "is not in your calendar" in one]) == 1
    with world.store.read() as conn:
        assert agreements.standing(conn, at(0)) == []


def test_explain_tells_what_people_answered(world: World) -> None:
    """Who picked what, in whose words, whom it waits for, and what became of it."""
    sent = offer(world, **{JO: "ACCEPTED", AL: "DECLINED"})

    def notes() -> str:
        (meeting,) = stored(world, "kickoff")
        found = explain(world.store, world.settings, meeting, world.clock.now())
        return "; ".join(found.notes(found.speaker()))

    answering(world).propose(sent.id, [], PAGE, words="Fridays\nare better")
    assert "jo@acme.example wrote, by the answer page: Fridays are better" in notes()
    answering(world).pick(sent.id, [sent.offered[0]], PAGE)
    assert "jo@acme.example picked" in notes()
    assert "it waits for al@acme.example to pick, too" in notes()
    answering(world).pick(left(world, AL, "other").id, [sent.offered[0]], PAGE)
    with world.store.write() as conn:
        deliveries.offer_more(conn, left(world, AL, "other").id, sent.offered)
    answering(world).pick(left(world, AL, "other").id, [sent.offered[0]], PAGE)
    assert "al@acme.example settled it" in notes()
    assert "the meeting is about to move" in notes()
    world.round()
    (meeting,) = stored(world, "kickoff")
    found = explain(world.store, world.settings, meeting, world.clock.now())
    said = [found.speaker().delivery(one) for one in found.deliveries]
    assert any(one.startswith("the time that was agreed on is in the calendar since") for one in said)


@pytest.mark.parametrize(("hours", "standing"), [(41.0, Standing.MOVED), (None, Standing.GONE)])
def test_what_changed_meanwhile_is_said(world: World, hours: float | None, standing: Standing) -> None:
    """Moved elsewhere, or called off: the link no longer acts."""
    sent = offer(world)
    text = event("kickoff", at(hours or 40), {JO: "ACCEPTED"})
    if hours is None:
        text = text.replace("BEGIN:VEVENT\r\n", "BEGIN:VEVENT\r\nSTATUS:CANCELLED\r\n")
    world.put("acme", "kickoff", text)
    world.round(0.1)
    done = answering(world).pick(sent.id, [sent.offered[0]], PAGE)
    assert done is not None
    assert (done.became, done.question.standing) == (Became.CLOSED, standing)
    assert stored(world, "kickoff")[0].start_utc == at(hours or 40)


def test_who_is_no_longer_invited_is_asked_no_more(world: World) -> None:
    """Their link opens nothing, and their pick moves nothing."""
    sent = offer(world, **{JO: "ACCEPTED", AL: "ACCEPTED"})
    world.put("acme", "kickoff", event("kickoff", at(40), {AL: "ACCEPTED"}))
    world.round(0.1)
    done = answering(world).pick(sent.id, [sent.offered[0]], PAGE)
    assert done is not None
    assert (done.became, done.question.standing) == (Became.CLOSED, Standing.GONE)


def test_a_link_lapses_with_its_step(world: World) -> None:
    """After that the offer is no more."""
    sent = offer(world)
    world.clock.at = sent.until
    found = answering(world).question(sent.id)
    assert found is not None
    assert found.standing is Standing.OVER


def test_the_owner_says_whether_it_took_place(world: World) -> None:
    """A click on the check-in counts like rebookd mark."""
    world.put("acme", "retro", event("retro", at(1), {JO: "ACCEPTED"}))
    assert world.round(2) == [ME]
    asked = left(world, ME)
    answering(world).held(asked.id, Held.MISSED_BY_ATTENDEE, PAGE)
    assert world.round(0.1) == [JO]
    with world.store.read() as conn:
        marks = attendance.marks(conn, [asked.key.identity])  # type: ignore[union-attr]
    assert [mark.source for mark in marks.values()] == [PAGE]


def test_whoever_wants_no_more_mails_gets_none(world: World) -> None:
    """The owner is not among those who can be lost that way."""
    sent = offer(world)
    assert answering(world).stop(sent.id, PAGE) == JO
    with world.store.read() as conn:
        assert [one.pattern for one in optouts.list_(conn)] == [JO]
    world.put("acme", "retro", event("retro", at(2), {JO: "ACCEPTED"}))
    world.round(3)
    assert answering(world).stop(left(world, ME).id, PAGE) is None


def test_what_is_no_message_is_no_question(world: World) -> None:
    """Unknown ids and notices about rebookd itself."""
    assert answering(world).question(999) is None
    assert answering(world).pick(999, [], PAGE) is None
    assert answering(world).stop(999, PAGE) is None
