"""From the mail that leaves to the reply that comes back, and what becomes of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from connectors.base import ConnectorError, Cursor, Haul, Inbox, Incoming, NeedsLogin, Retryable
from connectors.imap_inbox import ImapInbox
from connectors.imap_wire import ImapServer
from daemon.office import Office
from daemon.store import agreements, answers, attendance, deliveries, optouts, replies, restored
from daemon.store.agreements import Agreement
from daemon.store.answers import Answer
from daemon.store.deliveries import Delivery
from rules.delivery import State
from rules.model import Held, Identity, Interval, PartStat
from tests.contract.test_inboxes import gmail_of, outlook_of
from tests.support.authority import trusted
from tests.support.fake_google.server import fake_google
from tests.support.fake_graph.server import fake_graph
from tests.support.fake_imap import FakeImap
from tests.support.house import event
from tests.support.meetings import NOW
from tests.support.offices import World, at
from tests.support.replies import AUTOMATIC, BOUNCES, QUOTE, bounce, calendar_reply, reply, to_delivery

RULES = """\
version: 1
guard: {first_sync: act}
rules:
  - name: ask
    when: unconfirmed
    then:
      - {step: ask, do: confirm, at: 48h before start, until: 1h before start}
  - name: no
    when: {declined: {grace: 30m}}
    then:
      - {step: other, do: reschedule, at: 14d before start, until: 1h before start}
  - name: was-it-held
    when: unaccounted
    then:
      - {step: ask-me, do: check_in, at: 10m after end, until: 1 day after end}
"""
JO, AL, ME = "jo@acme.example", "al@acme.example", "dana@va.example"


class KeptInbox:
    """An inbox in memory; raises what it is told to."""

    name = "the inbox"

    def __init__(self) -> None:
        self.mails: list[bytes] = []
        self.errors: list[ConnectorError] = []

    def fetch(self, cursor: Cursor, since: object) -> Haul:
        """What is new."""
        if self.errors:
            raise self.errors.pop(0)
        first = int(cursor.value or 0)
        messages = tuple(Incoming(id=str(at), raw=raw) for at, raw in enumerate(self.mails[first:], first))
        return Haul(messages=messages, cursor=Cursor(str(len(self.mails))))

    def close(self) -> None:
        """Nothing to let go of."""


@dataclass
class Room:
    """An office, and how a mail gets into its inbox."""

    world: World
    arrive: Callable[[bytes], object]
    office: Office

    def round(self, hours: float = 0.1) -> list[str]:
        """Let time pass and do one round; who was written to."""
        self.world.clock.at += timedelta(hours=hours)
        before = len(self.world.mailer.kept)
        self.office.round()
        return self.world.mailer.to[before:]

    def left(self, to: str = JO, step: str = "") -> Delivery:
        """The last message that left for somebody."""
        with self.world.store.read() as conn:
            found = [one for one in deliveries.list_(conn, State.SENT) if one.to == to and step in one.step]
        return found[-1]

    def asked(self, uid: str = "kickoff") -> Delivery:
        """Jo was asked to confirm."""
        self.world.put("acme", uid, event(uid, at(40), {JO: "NEEDS-ACTION"}))
        assert JO in self.round()
        return self.left(step="ask")

    def offered(self, uid: str = "kickoff") -> Delivery:
        """Jo declined, and was offered other times."""
        for partstat in ("ACCEPTED", "DECLINED"):
            self.world.put("acme", uid, event(uid, at(40), {JO: partstat}))
            self.round()
        assert JO in self.round(1)
        return self.left(step="other")

    def agreement(self, uid: str = "kickoff") -> Agreement | None:
        """The new time that was agreed on."""
        with self.world.store.read() as conn:
            return agreements.of(conn, Identity(uid=uid), at(40))

    def answer(self, uid: str = "kickoff", of: str = JO) -> Answer | None:
        """What somebody answered last."""
        with self.world.store.read() as conn:
            return {str(k): v for k, v in answers.latest(conn, Identity(uid=uid), at(40)).items()}.get(of)

    def notices(self, kind: str = "reply") -> list[str]:
        """What the owner was told."""
        with self.world.store.read() as conn:
            return [one.reason for one in deliveries.list_(conn) if one.step == kind]


@pytest.fixture
def inbox() -> KeptInbox:
    """An inbox in memory."""
    return KeptInbox()


@pytest.fixture
def room(tmp_path: Path, inbox: KeptInbox) -> Iterator[Room]:
    """An office that reads it."""
    with_inbox = made(tmp_path, inbox, inbox.mails.append)
    yield with_inbox
    with_inbox.office.close()


def made(folder: Path, inbox: Inbox, arrive: Callable[[bytes], object], *, rules: str = RULES) -> Room:
    """An office around an inbox, read once while its calendars were empty."""
    world = World(folder, rules)
    office = Office(
        world.settings,
        world.store,
        world.clock,
        connect=lambda _, name: world.calendars[name],
        mailer=world.mailer,
        inbox=inbox,
    )
    office.start()
    found = Room(world, arrive, office)
    found.round()
    return found


@pytest.fixture(params=["imap", "gmail", "outlook"])
def anywhere(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Room]:
    """An office that reads an inbox on the wire."""
    with ExitStack() as stack:
        held: list[Room] = []

        def now() -> object:
            return held[0].world.clock.at if held else NOW

        if request.param == "imap":
            server = stack.enter_context(FakeImap())
            where = ImapServer(
                "localhost", server.port, security="none", username="dana", password=lambda: "hunter2"
            )
            held.append(made(tmp_path, ImapInbox(where), lambda raw: server.deliver("INBOX", raw)))
        elif request.param == "gmail":
            google = stack.enter_context(fake_google(now))  # type: ignore[arg-type]
            google.oauth.lifetime = timedelta(days=999)
            google.user(ME)
            held.append(made(tmp_path, gmail_of(google), google.mail.box(ME).deliver))
        else:
            stack.enter_context(trusted())
            graph = stack.enter_context(fake_graph(now))  # type: ignore[arg-type]
            graph.user(ME)
            box = graph.mail.box(ME)
            held.append(made(tmp_path, outlook_of(graph), lambda raw: box.keep(raw, "inbox")))
        yield held[0]
        held[0].office.close()


def test_a_number_takes_the_time(anywhere: Room) -> None:
    """The offer leaves, “2” comes back, and the second of the times is agreed on; the calendar follows."""
    offer = anywhere.offered()
    anywhere.arrive(to_delivery(f"Hi Dana,\r\n\r\n2 works for me.\r\n\r\nBest,\r\nJo\r\n\r\n{QUOTE}", offer))
    anywhere.round()
    agreed = anywhere.agreement()
    assert agreed is not None
    assert agreed.slot == offer.offered[1]
    assert anywhere.notices() == []


def test_stop_is_an_opt_out(anywhere: Room) -> None:
    """They are written to no more."""
    anywhere.arrive(to_delivery("stop", anywhere.asked()))
    anywhere.round()
    with anywhere.world.store.read() as conn:
        assert [one.pattern for one in optouts.list_(conn)] == [JO]


def test_what_is_not_clear_goes_to_the_owner_once(anywhere: Room) -> None:
    """Quoted, with what it answers; nothing else is done."""
    offer = anywhere.offered()
    anywhere.arrive(to_delivery("Let me ask Sam first.\r\n<b>Bcc: x</b>", offer))
    assert ME in anywhere.round()
    assert ME not in anywhere.round()
    [told] = anywhere.notices()
    assert "> Let me ask Sam first.\n> <b>Bcc: x</b>" in told
    assert anywhere.agreement() is None
    assert anywhere.answer() is None


@pytest.mark.parametrize(
    ("text", "partstat"), [("Yes, that works", PartStat.ACCEPTED), ("No, sorry.", PartStat.DECLINED)]
)
def test_yes_and_no(room: Room, text: str, partstat: PartStat) -> None:
    """To the question whether they can make it, in their own words."""
    room.arrive(to_delivery(text, room.asked()))
    room.round()
    found = room.answer()
    assert found is not None
    assert (found.partstat, found.words, found.source) == (partstat, text, "mail")


def test_another_time_in_words_is_noted_and_told(room: Room) -> None:
    """No time is guessed."""
    room.arrive(to_delivery("None of these work. How about next week?", room.offered()))
    room.round()
    found = room.answer()
    assert found is not None
    assert (found.proposed, found.partstat) == ((), PartStat.TENTATIVE)
    [told] = room.notices()
    assert "How about next week?" in told


def test_a_yes_to_an_offer_says_nothing(room: Room) -> None:
    """Only where the mail says so does a yes keep the time as it is."""
    room.arrive(to_delivery("yes", room.offered()))
    room.round()
    assert room.answer() is None
    assert len(room.notices()) == 1


def test_the_same_mail_is_taken_once(room: Room) -> None:
    """However often it lies in the inbox."""
    raw = to_delivery("no idea", room.asked())
    for _ in range(3):
        room.arrive(raw)
    room.round()
    room.arrive(raw)
    room.round()
    assert len(room.notices()) == 1


def test_somebody_else_cannot_answer(room: Room) -> None:
    """Nor a mail that the receiving server calls forged; the owner sees both."""
    offer = room.offered()
    room.arrive(to_delivery("2", offer, sender=f"Al <{AL}>", name="a"))
    room.arrive(to_delivery("2", offer, headers="Authentication-Results: mx; dmarc=fail\r\n", name="b"))
    room.arrive(to_delivery("stop", offer, sender=f"Al <{AL}>", name="c", subject="stop"))
    room.round()
    assert room.agreement() is None
    assert len(room.notices()) == 3
    with room.world.store.read() as conn:
        assert optouts.list_(conn) == []


@pytest.mark.parametrize("name", AUTOMATIC)
def test_what_programs_write_is_no_answer(room: Room, name: str) -> None:
    """Nor is the owner told of it."""
    room.arrive(to_delivery("yes", room.asked(), headers=AUTOMATIC[name]))
    room.round()
    assert room.answer() is None
    assert room.notices() == []


def test_what_answers_nothing_of_ours_is_not_our_business(room: Room) -> None:
    """Nothing of it is kept."""
    asked = room.asked()
    room.arrive(reply("yes", to=""))
    room.arrive(reply("yes", to="<other@va.example>", name="2"))
    room.arrive(reply("yes", to="", name="3", sender="Dana <dana@va.example>"))
    room.arrive(asked.raw or room.world.mailer.kept[-1][1].as_bytes())
    room.round()
    assert room.answer() is None
    with room.world.store.read() as conn:
        assert not replies.was_seen(conn, "<1@mail.acme.example>")


def test_a_reply_that_comes_too_late_is_told(room: Room) -> None:
    """A new time was found meanwhile."""
    offer = room.offered()
    room.arrive(to_delivery("2", offer))
    room.round()
    room.arrive(to_delivery("3", offer, name="2"))
    room.round()
    [told] = room.notices()
    assert "already found" in told or "another time by now" in told


@pytest.mark.parametrize("name", ["postfix", *BOUNCES])
def test_an_address_whose_mail_comes_back_is_written_to_no_more(room: Room, name: str) -> None:
    """The owner is told once, and says when it may be tried again."""
    asked = room.asked()
    to = asked.message_id
    raw = bounce(to) if name == "postfix" else BOUNCES[name].replace("{to}", to).encode()
    room.arrive(raw)
    room.arrive(raw.replace(b"Message-I", b"X-Old: 1\r\nMessage-I", 1).replace(b"@mx.va", b"@mx2.va", 1))
    room.round()
    with room.world.store.read() as conn:
        [one] = optouts.list_(conn)
    assert (one.pattern, one.comment[:16]) == (JO, "mail comes back:")
    [told] = room.notices("bounce")
    assert f"rebookd optout remove {JO}" in told


@pytest.mark.parametrize("more", [{"status": "4.2.2"}, {"action": "delayed"}, {"address": AL}])
def test_other_reports_mark_nobody(room: Room, more: dict[str, str]) -> None:
    """A delay, a trouble that may pass, an address that was not written to."""
    room.arrive(bounce(room.asked().message_id, **more))
    room.arrive(bounce("<unknown@va.example>", name="2"))
    room.round()
    with room.world.store.read() as conn:
        assert optouts.list_(conn) == []
    assert room.notices("bounce") == []


def test_unsubscribing_by_mail_program(room: Room) -> None:
    """Our mails name an address and a subject for that; such a mail names no message."""
    room.asked()
    room.arrive(reply("This message was automatically generated.", to="", subject="stop"))
    room.round()
    with room.world.store.read() as conn:
        assert [one.pattern for one in optouts.list_(conn)] == [JO]


def test_the_owner_answers_a_check_in(room: Room) -> None:
    """By replying to it; what others say of it does not count."""
    room.world.put("acme", "kickoff", event("kickoff", at(1), {JO: "ACCEPTED"}))
    room.round()
    assert ME in room.round(2)
    asked = room.left(ME, "ask-me")
    room.arrive(to_delivery("they missed it", asked, sender=f"Jo <{JO}>", name="a"))
    room.round()
    identity = Identity(uid="kickoff")
    with room.world.store.read() as conn:
        assert attendance.marks(conn, [identity]) == {}
    room.arrive(to_delivery("They missed it", asked, sender="Dana <dana@va.example>", name="b"))
    room.round()
    with room.world.store.read() as conn:
        [found] = attendance.marks(conn, [identity]).values()
    assert found.held is Held.MISSED_BY_ATTENDEE


@pytest.mark.parametrize("headers", ["", "Auto-Submitted: auto-generated\r\n"])
def test_a_calendar_reply_is_an_answer(room: Room, headers: str) -> None:
    """Found by the meeting's UID, since calendar programs answer no message; though a program mails it."""
    room.asked()
    room.arrive(calendar_reply("kickoff", headers=headers))
    room.round()
    found = room.answer()
    assert found is not None
    assert found.partstat is PartStat.ACCEPTED


@pytest.mark.parametrize(
    "more",
    [
        {"attendee": AL},
        {"sender": f"Al <{AL}>"},
        {"says": "REQUEST"},
        {"method": "REQUEST"},
        {"method": "CANCEL"},
        {"partstat": "NEEDS-ACTION"},
        {"headers": "Auto-Submitted: auto-replied\r\n"},
        {"headers": "Authentication-Results: mx; dmarc=fail\r\n"},
    ],
)
def test_other_calendar_parts_answer_nothing(room: Room, more: dict[str, str]) -> None:
    """Of somebody else, about somebody else, of another method, another meeting."""
    room.asked()
    room.arrive(calendar_reply("kickoff", **more))
    room.arrive(calendar_reply("other", name="2"))
    room.round()
    assert room.answer() is None
    assert room.answer(of=AL) is None


def test_an_answer_to_an_older_version_is_stale(room: Room) -> None:
    """RFC 5546 section 2.1.5."""
    room.world.put("acme", "kickoff", event("kickoff", at(40), {JO: "NEEDS-ACTION"}, more="SEQUENCE:2"))
    assert JO in room.round()
    room.arrive(calendar_reply("kickoff", sequence=1))
    room.round()
    assert room.answer() is None
    room.arrive(calendar_reply("kickoff", sequence=2, name="2"))
    room.round()
    assert room.answer() is not None


def test_a_counter_asks_for_its_time(room: Room) -> None:
    """RFC 5546 section 3.2.7."""
    room.asked()
    room.arrive(calendar_reply("kickoff", method="COUNTER", partstat="TENTATIVE"))
    room.round()
    found = room.answer()
    assert found is not None
    start = NOW.replace(day=4, hour=1, minute=0)
    assert found.proposed == (Interval(start, start + timedelta(minutes=30)),)


def test_too_many_replies_are_told_in_one_word(room: Room) -> None:
    """Twenty a day, then that there are more."""
    asked = room.asked()
    for number in range(25):
        room.arrive(to_delivery("hm", asked, name=str(number)))
    room.round()
    assert len(room.notices()) == 20
    assert len(room.notices("replies")) == 1


def test_an_inbox_that_fails_is_told_like_an_account(room: Room, inbox: KeptInbox) -> None:
    """What mends itself only when it lasts; what only the owner can mend at once; and once."""
    inbox.errors = [Retryable("The mail server took too long.")]
    room.round()
    assert room.notices("inbox") == []
    room.round()
    inbox.errors = [NeedsLogin("The password is wrong.")] * 3
    for _ in range(3):
        assert room.office.round().polls[0].ok
    [told] = room.notices("inbox")
    assert "The password is wrong." in told
    room.arrive(to_delivery("yes", room.asked()))
    room.round()
    assert room.answer() is not None


def test_one_bad_mail_keeps_nobody_from_being_read(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    """What we stumble over goes to the owner, and the next is read."""
    asked = room.asked()
    real = room.office.answering.confirm
    calls = iter([True, False])

    def confirm(*given: object, **more: object) -> object:
        if next(calls):
            raise ValueError("a fault of ours")
        return real(*given, **more)  # type: ignore[arg-type]

    monkeypatch.setattr("daemon.answers.Answering.confirm", lambda _, *given, **more: confirm(*given, **more))
    room.arrive(b"\xff\x00 nonsense")
    room.arrive(to_delivery("no", asked, name="1"))
    room.arrive(to_delivery("yes", asked, name="2"))
    room.round()
    [told] = room.notices()
    assert "stumbled" in told
    found = room.answer()
    assert found is not None
    assert found.partstat is PartStat.ACCEPTED


def together(folder: Path, inbox: KeptInbox) -> tuple[Room, Delivery, Delivery]:
    """One mail to Jo that offers other times for two meetings."""
    rules = RULES.replace(
        "declined: {grace: 30m}}\n", "declined: {grace: 30m}}\n    group_by: contact\n    group_wait: 5m\n"
    )
    room = made(folder, inbox, inbox.mails.append, rules=rules)
    for partstat in ("ACCEPTED", "DECLINED"):
        for number, uid in enumerate(("kickoff", "retro")):
            room.world.put("acme", uid, event(uid, at(40 + number), {JO: partstat}, title=uid))
        room.round()
    room.round(1)
    assert room.round(0.2) == [JO]
    with room.world.store.read() as conn:
        first, second = replies.of_message(conn, room.left(step="other").message_id)
    assert second.carried_by == first.id
    return room, first, second


def test_numbers_run_through_a_mail_about_several_meetings(tmp_path: Path, inbox: KeptInbox) -> None:
    """Each is a time of its own meeting."""
    room, first, second = together(tmp_path, inbox)
    numbers = f"1 and {len(first.offered) + 2}"
    room.arrive(to_delivery(numbers, first))
    room.office.read_replies()
    with room.world.store.read() as conn:
        for one, slot in ((first, first.offered[0]), (second, second.offered[1])):
            assert one.identity is not None
            assert one.start is not None
            agreed = agreements.of(conn, one.identity, one.start)
            assert agreed is not None
            assert agreed.slot == slot
    room.office.close()


def test_numbers_that_have_shifted_are_not_guessed(tmp_path: Path, inbox: KeptInbox) -> None:
    """A message may offer more times than when it left; then only the owner knows which is meant."""
    room, first, second = together(tmp_path, inbox)
    with room.world.store.write() as conn:
        deliveries.offer_more(conn, first.id, [*first.offered, Interval(at(90), at(90.5))])
    room.arrive(to_delivery(str(len(first.offered) + 1), first))
    room.office.read_replies()
    assert len(room.notices()) == 1
    with room.world.store.read() as conn:
        assert second.identity is not None
        assert second.start is not None
        assert agreements.of(conn, second.identity, second.start) is None
    room.office.close()


def test_a_reply_from_before_a_restore_is_the_owners(room: Room) -> None:
    """The state that was lost may have acted on it; that they want no more mails is obeyed all the same."""
    asked = room.offered()
    with room.world.store.write() as conn:
        restored.begin(conn, room.world.clock.at, room.world.clock.at)
    room.arrive(to_delivery("1", asked))
    room.round()
    assert room.agreement() is None
    assert any("before my memory was restored" in one for one in room.notices())
    room.arrive(to_delivery("", asked, subject="stop", name="2"))
    room.round()
    with room.world.store.read() as conn:
        assert [one.pattern for one in optouts.list_(conn)] == [JO]
