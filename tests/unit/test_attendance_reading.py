"""Records of Google Meet calls, from the wire to the decision: who came, read once and kept."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from daemon.clock import SetClock
from daemon.config.settings import load
from daemon.office import Office
from daemon.store import attendance, records
from daemon.store.engine import Store
from rules.model import Attendance, Held, Identity
from tests.support.fake_google import FakeGoogle, fake_google, faults
from tests.support.fake_google.meet import Record
from tests.support.meetings import NOW
from tests.support.offices import KeepingMailer
from tests.support.stores import fresh_store

ME, JO, DI = "dana@va.example", "jo@acme.example", "di@umbrella.example"
CODE = "abc-mnop-xyz"
MINUTE = timedelta(minutes=1)
CONFIG = """\
version: 1
me: {{name: Dana Reyes, addresses: [dana@va.example], time_zone: Europe/Lisbon}}
accounts:
  acme:
    google: {{service_account: {{file: key.json}}, subject: dana@va.example, endpoint: "{root}"{more}}}
    client: Acme
mail: {{from: Dana Reyes <dana@va.example>, smtp: {{host: 127.0.0.1, port: 9, security: none}}}}
"""
RULES = """\
version: 1
guard: {quiet_hours: null, first_sync: act}
rules:
  - name: no-show
    when: missed
    then: [{step: offer, do: reschedule, at: 10m after end, until: 1 day after end}]
  - name: my-fault
    when: {missed: {by: me}}
    then: [{step: sorry, do: reschedule, at: 10m after end, until: 1 day after end}]
  - name: ask-me
    when: unaccounted
    then: [{step: was-it-held, do: check_in, at: 10m after end, until: 1 day after end}]
"""


class Desk:
    """Dana's office on the fake Google, with one meeting with Jo at NOW, and a clock to set."""

    def __init__(self, google: FakeGoogle, clock: SetClock, folder: Path, more: str = "") -> None:
        self.google, self.clock, self.folder = google, clock, folder
        google.oauth.lifetime = timedelta(days=60)
        self.me, self.jo = google.user(ME, "Dana Reyes"), google.user(JO, "Jo Winter")
        self.uid = self.hold("Kickoff", NOW)
        (folder / "key.json").write_text(json.dumps(google.oauth.service_account(ME)))
        (folder / "key.json").chmod(0o600)
        (folder / "config.yaml").write_text(CONFIG.format(root=google.root, more=more))
        (folder / "rules.yaml").write_text(RULES)
        self.mailer = KeepingMailer()
        self.store: Store = fresh_store(folder)
        self.office = self.open()

    def open(self) -> Office:
        """As after a start of the daemon."""
        office = Office(load(self.folder / "config.yaml"), self.store, self.clock, mailer=self.mailer)
        office.start()
        return office

    def hold(self, title: str, start: datetime, *, name: str = "Jo Winter", code: str = CODE) -> str:
        """Half an hour with Jo, who said yes; the UID."""
        guest = {"email": JO, "responseStatus": "accepted"} | ({"displayName": name} if name else {})
        made = self.me.primary.event(title, start, start + 30 * MINUTE, attendees=[guest], conference=code)
        return f"{made}@google.com"

    def call(self, start: float = -3, end: float | None = 32, code: str = CODE) -> Record:
        """A call of Dana's, in minutes from NOW."""
        over = None if end is None else NOW + end * MINUTE
        return self.google.meet.record(code, ME, NOW + start * MINUTE, over)

    def at(self, minutes: float) -> list[str]:
        """One round so many minutes after NOW; who was written to."""
        self.clock.at = NOW + minutes * MINUTE
        before = len(self.mailer.kept)
        self.office.round()
        return self.mailer.to[before:]

    def known(self, uid: str = "") -> Attendance | None:
        """What the records said."""
        identity = Identity(uid=uid or self.uid)
        with self.store.read() as conn:
            return records.of(conn, [identity]).get(str(identity))

    @property
    def asked(self) -> int:
        """How often records were asked for."""
        return self.google.count("meet.conferenceRecords.list")


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """The desk, an hour before the meeting."""
    clock = SetClock(NOW - 60 * MINUTE)
    with fake_google(lambda: clock.at) as google:
        one = Desk(google, clock, tmp_path)
        one.at(-60)
        yield one
        one.office.close()
        one.store.close()


def test_a_no_show_is_seen_and_answered(desk: Desk) -> None:
    """I was alone in the call: Jo is offered other times, in the name of the records."""
    desk.call(end=14).signed_in(desk.me)
    assert desk.at(33) == []
    assert desk.known() == Attendance(held=Held.MISSED_BY_ATTENDEE, source="Google Meet", at=desk.clock.at)
    assert desk.at(41) == [JO]
    assert desk.asked == 1


def test_held_is_kept_and_asked_once(desk: Desk) -> None:
    """We were both there: nobody is written to, and nothing is asked again in a month."""
    call = desk.call()
    call.signed_in(desk.me)
    call.signed_in(desk.jo)
    for minutes in (33, 45, 60 * 24, 60 * 24 * 40):
        assert desk.at(minutes) == []
    assert desk.known() is not None
    assert desk.asked == 1


def test_missed_by_me_is_told_as_my_fault(desk: Desk) -> None:
    """Jo waited, and my account was known from a call before: I am sorry."""
    first = desk.call()
    first.signed_in(desk.me)
    first.signed_in(desk.jo)
    again = desk.hold("Review", NOW + 60 * MINUTE, name="")
    desk.call(58, 80).signed_in("J. Winter", user_id=desk.jo.id)
    assert desk.at(33) == []
    assert desk.at(95) == []
    assert desk.known(again) == Attendance(held=Held.MISSED_BY_ME, source="Google Meet", at=desk.clock.at)
    assert desk.at(101) == [JO]


def test_the_owner_is_asked_where_nobody_can_know(desk: Desk) -> None:
    """A guest without an account was there: unknown, so that only I am asked."""
    call = desk.call()
    call.signed_in(desk.me)
    call.anonymous("Jo Winter")
    assert desk.at(33) == []
    known = desk.known()
    assert known is not None
    assert (known.held, known.source) == (
        Held.UNKNOWN,
        "Google Meet: 1 party in the call could have been anybody",
    )
    assert desk.at(41) == [ME]
    assert desk.at(60 * 20) == []
    assert desk.asked == 1


def test_nobody_is_asked_before_the_records_were_read(tmp_path: Path) -> None:
    """With a slow poll the question waits for the records, and no longer than they take."""
    clock = SetClock(NOW - 60 * MINUTE)
    with fake_google(lambda: clock.at) as google:
        desk = Desk(google, clock, tmp_path, ", attendance: true")
        (tmp_path / "config.yaml").write_text(
            (tmp_path / "config.yaml").read_text().replace("    client: Acme", "    poll_every: 1h")
        )
        desk.office = desk.open()
        desk.at(-60)
        call = desk.call()
        call.signed_in(desk.me)
        clock.at = NOW + 41 * MINUTE
        desk.office.decide()
        desk.office.send()
        assert desk.mailer.to == []
        call.signed_in(desk.jo)
        assert desk.at(45) == []
        desk.office.close()
        desk.store.close()


def test_my_own_word_counts_more(desk: Desk) -> None:
    """What I said of the meeting stands, whatever records say; so does my mark in the calendar."""
    desk.call(end=14).signed_in(desk.me)
    clock_at = NOW + 31 * MINUTE
    with desk.store.write() as conn:
        attendance.mark(conn, Identity(uid=desk.uid), Held.HELD, "the owner's word", clock_at)
    assert desk.at(33) == []
    assert desk.at(41) == []
    marked = desk.hold("[held] Review", NOW + 60 * MINUTE, code="def-mnop-xyz")
    desk.call(58, 80, "def-mnop-xyz").signed_in(desk.me)
    assert desk.at(93) == []
    assert desk.known(marked) is not None
    assert desk.at(101) == []


def test_a_call_that_goes_on_is_read_again(desk: Desk) -> None:
    """While it has no end nothing is final: a quarter of an hour later it is asked again."""
    call = desk.call(end=None)
    call.signed_in(desk.me)
    assert desk.at(33) == []
    call.signed_in(desk.jo, (NOW + 12 * MINUTE, NOW + 40 * MINUTE))
    call.end = NOW + 40 * MINUTE
    call.participants[0].sessions = [(NOW - 3 * MINUTE, NOW + 40 * MINUTE)]
    desk.at(40)
    assert desk.asked == 1
    desk.at(49)
    known = desk.known()
    assert desk.asked == 2
    assert known is not None
    assert known.held is Held.HELD


def test_reading_in_vain_ends(desk: Desk) -> None:
    """Where there is no call on record it is looked for five times in two days, then never again."""
    for minutes in (31, 33, 45, 49, 100, 110, 400, 471, 1500, 1912, 3000, 4320):
        desk.clock.at = NOW + minutes * MINUTE
        desk.office.poll("acme")
    assert desk.asked == 5


@pytest.mark.parametrize(
    ("route", "effect"),
    [
        ("meet.conferenceRecords.list", faults.error(403, "insufficientPermissions")),
        ("meet.conferenceRecords.list", faults.error(403, "accessNotConfigured")),
        ("meet.conferenceRecords.participants.list", faults.error(403, "forbidden")),
    ],
)
def test_refused_records_are_told_once(desk: Desk, route: str, effect: faults.Effect) -> None:
    """Without the scope, the API or the right nobody is accused; I am told once, and once only."""
    desk.hold("Review", NOW + 60 * MINUTE)
    desk.call(end=14).signed_in(desk.me)
    desk.call(58, 80).signed_in(desk.me)
    desk.google.fail(route, effect, times=None)
    written = [who for minutes in (33, 41, 95, 101, 240, 300) for who in desk.at(minutes)]
    about = [str(message["Subject"]) for _, message in desk.mailer.kept]
    assert set(written) == {ME}
    assert about.count("I cannot see who came to the calls of acme") == 1
    assert desk.asked < 6


def test_a_scope_given_later_is_used(desk: Desk) -> None:
    """What was refused is read after all once it may be."""
    desk.call(end=14).signed_in(desk.me)
    desk.google.fail("meet.*", faults.error(403, "insufficientPermissions"), times=None)
    desk.at(33)
    desk.google.heal()
    desk.at(40)
    assert desk.known() is None
    desk.at(95)
    known = desk.known()
    assert known is not None
    assert known.held is Held.MISSED_BY_ATTENDEE


def test_trouble_is_no_evidence_and_ends(desk: Desk) -> None:
    """Whatever goes wrong in the middle of a record, nobody is accused of it; it is read again later."""
    desk.call(end=14).signed_in(desk.me)
    desk.google.fail(
        "meet.conferenceRecords.participants.participantSessions.list", faults.error(503), times=3
    )
    desk.at(33)
    known = desk.known()
    assert known is not None
    assert known.held is Held.UNKNOWN
    desk.at(49)
    known = desk.known()
    assert known is not None
    assert known.held is Held.MISSED_BY_ATTENDEE


def test_a_moved_meeting_is_read_anew(desk: Desk) -> None:
    """After a no-show the meeting moves to the next day: what was known is of the day before."""
    desk.call(end=14).signed_in(desk.me)
    assert desk.at(33) == []
    desk.google.move(desk.uid.removesuffix("@google.com"), NOW + timedelta(days=1))
    later = desk.call(24 * 60 - 2, 24 * 60 + 30)
    later.signed_in(desk.me)
    later.signed_in(desk.jo)
    desk.google.answer(desk.uid.removesuffix("@google.com"), JO, "accepted")
    assert desk.at(24 * 60 + 33) == []
    known = desk.known()
    assert known is not None
    assert known.held is Held.HELD


def test_pages_are_read_to_their_end(desk: Desk) -> None:
    """A crowd on the second page is still in the call."""
    call = desk.call()
    call.signed_in(desk.me)
    for number in range(100):
        call.anonymous(f"Guest {number}")
    desk.at(33)
    known = desk.known()
    assert known is not None
    assert known.source == "Google Meet: too many were in the call"


def test_a_name_known_from_another_meeting_serves(desk: Desk) -> None:
    """The event tells no name; another of the same account does."""
    nameless = desk.hold("Review", NOW + 60 * MINUTE, name="", code="def-mnop-xyz")
    call = desk.call(58, 92, "def-mnop-xyz")
    call.signed_in(desk.me)
    call.signed_in(desk.jo)
    desk.at(93)
    known = desk.known(nameless)
    assert known is not None
    assert known.held is Held.HELD


@pytest.mark.parametrize("by_rule", [True, False])
def test_no_rule_asks_no_request(tmp_path: Path, by_rule: bool) -> None:
    """Where no rule wants to know who came, or the account says no, Meet is not asked."""
    clock = SetClock(NOW - 60 * MINUTE)
    with fake_google(lambda: clock.at) as google:
        desk = Desk(google, clock, tmp_path, ", attendance: false" if not by_rule else "")
        if by_rule:
            step = "{step: ask, do: confirm, at: 1h before start}"
            rules = f"version: 1\nrules:\n  - {{name: yes, when: unconfirmed, then: [{step}]}}\n"
            (tmp_path / "rules.yaml").write_text(rules)
        desk.office = desk.open()
        desk.call(end=14).signed_in(desk.me)
        desk.at(-60)
        desk.at(33)
        assert desk.asked == 0
        desk.office.close()
        desk.store.close()


def test_who_counts_as_there_is_set_for_each_account(tmp_path: Path) -> None:
    """With a grace of two minutes Jo, who looked in after five for as long as that, was not there."""
    clock = SetClock(NOW - 60 * MINUTE)
    with fake_google(lambda: clock.at) as google:
        desk = Desk(google, clock, tmp_path)
        stricter = "    client: Acme\n    attendance: {grace: 2m, min_presence: 10m}"
        text = (tmp_path / "config.yaml").read_text().replace("    client: Acme", stricter)
        (tmp_path / "config.yaml").write_text(text)
        desk.office = desk.open()
        desk.at(-60)
        call = desk.call()
        call.signed_in(desk.me)
        call.signed_in(desk.jo, (NOW + 5 * MINUTE, NOW + 10 * MINUTE))
        desk.at(33)
        known = desk.known()
        assert known is not None
        assert known.held is Held.MISSED_BY_ATTENDEE
        desk.office.close()
        desk.store.close()
