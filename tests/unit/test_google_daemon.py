"""An office with a Google account: no harm to others when signed out, mail through Gmail, each only once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from daemon.clock import SetClock
from daemon.config.settings import load
from daemon.office import Office, Round
from daemon.steps import LOGIN_AGAIN, pause
from daemon.store import Store, calendars, deliveries
from rules.delivery import State
from tests.support.desk import DANA, Desk, desk
from tests.support.fake_google import faults
from tests.support.fake_smtp import FakeSmtp
from tests.support.meetings import NOW
from tests.support.stores import fresh_store

HOUR = timedelta(hours=1)
JO = "jo@initech.example"
SEND = "gmail.users.messages.send"


@dataclass
class Room:
    """An office on real connectors, and the desk it stands on."""

    at: Desk
    store: Store
    clock: SetClock
    office: Office

    def round(self, later: timedelta = timedelta()) -> Round:
        """Let time pass, then poll, decide and send."""
        self.clock.at += later
        return self.office.round()

    def states(self) -> dict[str, State]:
        """The state of every delivery, by its step."""
        with self.store.read() as conn:
            return {one.step: one.state for one in deliveries.list_(conn)}

    def meeting(self, hours: float) -> None:
        """Dana invites Jo."""
        start = NOW + timedelta(hours=hours)
        dana = self.at.google.users[DANA]
        dana.primary.event("Kickoff", start, start + HOUR, {JO: "needsAction"})


@pytest.fixture(params=["auto"])
def room(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Room]:
    """Dana is signed in; one rule asks for a confirmation, in the mode of the parameter."""
    with desk(tmp_path) as at:
        at.google.oauth.lifetime = timedelta(days=99)
        at.rule("unconfirmed", "confirm", "48h before start", mode=request.param)
        config = tmp_path / "config.yaml"
        config.write_text(config.read_text().replace("[dana@va.example]", f"[dana@va.example, {DANA}]"))
        code, output = at.run("auth", "acme")
        assert code == 0, output
        with opened(at, tmp_path) as made:
            yield made


@contextmanager
def opened(at: Desk, folder: Path) -> Iterator[Room]:
    """The office of a desk, from its first round on."""
    store, clock = fresh_store(folder), SetClock(NOW)
    office = Office(load(folder / "config.yaml"), store, clock)
    office.start()
    made = Room(at, store, clock, office)
    made.round()
    yield made
    office.close()
    store.close()


def test_a_request_leaves_through_the_accounts_own_gmail(room: Room) -> None:
    """Read at Google, decided, sent as Dana, kept in her sent mail."""
    room.meeting(30)
    room.round(HOUR)
    assert room.states() == {"s": State.SENT}
    [mail] = room.at.google.mail.box(DANA).sent
    assert f"To: {JO}".encode() in mail
    room.round(HOUR)
    assert room.at.google.count(SEND) == 1


@pytest.mark.parametrize("room", ["draft"], indirect=True)
def test_a_draft_lies_in_gmail_until_dana_sends_it(room: Room) -> None:
    """Laid once; what she sends by hand is sent, and not once more."""
    room.meeting(30)
    for _ in range(3):
        room.round(HOUR)
    box = room.at.google.mail.box(DANA)
    assert room.states() == {"s": State.HELD}
    assert len(box.waiting) == 1
    box.send_draft(next(iter(box.drafts)))
    room.round(HOUR)
    assert room.states() == {"s": State.SENT}
    assert len(box.sent) == 1
    assert room.at.google.count(SEND) == 0


@pytest.mark.parametrize("kept", [True, False])
def test_a_broken_connection_leaves_nothing_twice(room: Room, kept: bool) -> None:
    """Kept by Gmail: found and sent. Not kept: unknown, told to Dana, and hers to decide."""
    room.meeting(30)
    room.at.google.fail(SEND, faults.dropped(kept=kept))
    room.round(HOUR)
    assert room.states()["s"] is (State.SENT if kept else State.UNKNOWN)
    room.round(HOUR)
    to = [mail.split(b"To: ")[1].split(b"\n")[0].strip() for mail in room.at.google.mail.box(DANA).sent]
    assert to == [JO.encode()] if kept else [b"dana@va.example"]
    assert room.states()["unknown"] is (State.SUPERSEDED if kept else State.SENT)


def test_a_token_that_ends_early_is_renewed_on_the_way(room: Room) -> None:
    """Google may end a token before its time: nobody is asked to sign in."""
    room.at.google.oauth.expire_access()
    assert all(report.ok for report in room.round(HOUR).polls)


def test_a_revoked_sign_in_touches_no_other_account(tmp_path: Path) -> None:
    """Its state says so, one notice, one try an hour, and a new sign-in is seen; own is read all along."""
    with desk(tmp_path) as at, FakeSmtp() as smtp:
        at.rule("unconfirmed", "confirm", "48h before start")
        config = tmp_path / "config.yaml"
        way = f"smtp: {{host: 127.0.0.1, port: {smtp.port}, security: none}}"
        config.write_text(config.read_text().replace("account: acme", way))
        assert at.run("auth", "acme")[0] == 0
        with opened(at, tmp_path) as room:
            at.google.oauth.revoke(DANA)
            asked = at.google.count("token")
            for _ in range(5):
                reports = {report.account: report for report in room.round(timedelta(minutes=10)).polls}
                assert reports["own"].ok
                assert [each.kind for each in reports["acme"].troubles] == ["sign-in needed"]
                assert pause(reports["acme"], timedelta(minutes=5)) >= LOGIN_AGAIN
            with room.store.read() as conn:
                row = calendars.accounts(conn)["acme"]
                notices = [one for one in deliveries.list_(conn) if one.do == deliveries.NOTICE]
            assert row.error_kind == "sign-in needed"
            assert [one.state for one in notices] == [State.SENT]
            assert "run: rebookd auth acme" in notices[0].reason
            assert at.google.count("token") == asked + 1
            assert at.run("auth", "acme")[0] == 0
            assert all(report.ok for report in room.round(HOUR).polls)
