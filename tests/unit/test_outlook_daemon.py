"""An office with an Outlook account, from the sign-in to the mail, over real connectors and msal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from email import message_from_bytes
from email.utils import parseaddr
from pathlib import Path

import pytest

from daemon.clock import SetClock
from daemon.config.settings import load
from daemon.office import Office, Round
from daemon.store import Store, calendars, deliveries
from rules.delivery import State
from rules.model import Held
from tests.support import faults
from tests.support.fake_entra.desk import DANA, OutlookDesk, outlook_desk
from tests.support.meetings import NOW
from tests.support.stores import fresh_store

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
JO = "jo@acme.example"
CALL = "https://teams.example/l/meetup-join/1"


@dataclass
class Room:
    """An office on real connectors, and the desk it stands on."""

    at: OutlookDesk
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

    def meeting(self, hours: float, jo: str = "none", **fields: object) -> str:
        """Dana invites Jo."""
        start = NOW + timedelta(hours=hours)
        dana = self.at.graph.users[DANA]
        return dana.primary.event("Kickoff", start, start + HOUR, {JO: jo}, **fields)

    @property
    def sent(self) -> list[bytes]:
        """What Dana's mailbox sent."""
        return self.at.graph.mail.box(DANA).sent

    @property
    def to(self) -> list[str]:
        """Whom that went to."""
        return [parseaddr(message_from_bytes(mail)["To"])[1] for mail in self.sent]


@contextmanager
def room(folder: Path, when: str, do: str, at: str, mode: str = "auto") -> Iterator[Room]:
    """Dana signs in; one rule does one thing."""
    clock = SetClock(NOW)
    with outlook_desk(folder, clock.now) as desk:
        desk.rule(when, do, at, mode)
        config = folder / "config.yaml"
        config.write_text(config.read_text().replace("[dana@va.example]", f"[dana@va.example, {DANA}]"))
        code, output = desk.run("auth", "acme")
        assert code == 0, output
        store = fresh_store(folder)
        office = Office(load(config), store, clock)
        office.start()
        made = Room(desk, store, clock, office)
        made.round()
        yield made
        office.close()
        store.close()


def test_a_request_leaves_through_the_accounts_own_mailbox(tmp_path: Path) -> None:
    """Read at Microsoft, decided, sent as Dana, kept in her sent mail; once."""
    with room(tmp_path, "unconfirmed", "confirm", "48h before start") as found:
        found.meeting(30)
        found.round(HOUR)
        assert found.states() == {"s": State.SENT}
        [mail] = found.sent
        assert f"To: {JO}".encode() in mail
        found.round(HOUR)
        assert found.at.graph.count("sendMail") == 1


def test_a_draft_lies_in_the_mailbox_until_dana_sends_it(tmp_path: Path) -> None:
    """Laid once; what she sends by hand is sent, and not once more."""
    with room(tmp_path, "unconfirmed", "confirm", "48h before start", mode="draft") as found:
        found.meeting(30)
        for _ in range(3):
            found.round(HOUR)
        assert found.states() == {"s": State.HELD}
        box = found.at.graph.mail.box(DANA)
        [draft] = box.inside("drafts")
        found.at.graph.mail.send_draft(DANA, draft.id)
        found.round(HOUR)
        assert found.states() == {"s": State.SENT}
        assert (len(found.sent), found.at.graph.count("sendMail")) == (1, 0)


@pytest.mark.parametrize("kept", [True, False])
def test_a_broken_connection_leaves_nothing_twice(tmp_path: Path, kept: bool) -> None:
    """Kept by Exchange: found and sent. Not kept: unknown, told to Dana, and hers to decide."""
    with room(tmp_path, "unconfirmed", "confirm", "48h before start") as found:
        found.meeting(30)
        found.at.graph.fail("sendMail", faults.dropped(kept=kept))
        found.round(HOUR)
        assert found.states()["s"] is (State.SENT if kept else State.UNKNOWN)
        found.round(HOUR)
        assert found.to == ([JO] if kept else ["dana@va.example"])
        assert found.states()["unknown"] is (State.SUPERSEDED if kept else State.SENT)


@pytest.mark.parametrize("came", [True, False])
def test_who_came_to_a_call_is_evidence(tmp_path: Path, came: bool) -> None:
    """Teams tells by mail address who was there: Jo is asked for another time only when she was not."""
    with room(tmp_path, "missed", "reschedule", "20m after end") as found:
        found.meeting(3, "accepted", onlineMeeting={"joinUrl": CALL})
        found.round(HOUR)
        start = NOW + 3 * HOUR
        report = found.at.graph.teams.record(CALL, DANA, start - 2 * MINUTE, start + 40 * MINUTE)
        report.attended(DANA, "Dana Reyes", (start - 2 * MINUTE, start + 40 * MINUTE), role="Organizer")
        if came:
            report.attended(JO, "J. W.", (start + MINUTE, start + 40 * MINUTE))
        for _ in range(9):
            found.round(30 * MINUTE)
        with found.store.read() as conn:
            rows = conn.exec_driver_sql("select held, source from call_records").all()
        held = Held.HELD if came else Held.MISSED_BY_ATTENDEE
        assert [row.held for row in rows] == [held.value]
        assert rows[0].source.startswith("Microsoft Teams")
        assert len(found.sent) == (0 if came else 1)


def test_reports_that_may_not_be_read_are_told_once(tmp_path: Path) -> None:
    """Without the policy nobody is accused, and Dana hears why, once."""
    with room(tmp_path, "missed", "reschedule", "20m after end") as found:
        found.at.graph.teams.policy = False
        found.at.graph.users[DANA].personal = True
        found.meeting(1, "accepted", onlineMeeting={"joinUrl": CALL})
        for _ in range(12):
            found.round(HOUR)
        assert found.to == ["dana@va.example"]
        assert b"Teams" in found.sent[0]


def test_a_revoked_sign_in_is_told_and_mended(tmp_path: Path) -> None:
    """Its state says so with the next move; a new sign-in is seen."""
    with room(tmp_path, "unconfirmed", "confirm", "48h before start") as found:
        found.at.entra.kill(DANA, 50173)
        for token in list(found.at.graph.grants.valid):
            found.at.graph.grants.revoke(token)
        [report] = found.round(HOUR).polls
        assert [each.kind for each in report.troubles] == ["sign-in needed"]
        with found.store.read() as conn:
            row = calendars.accounts(conn)["acme"]
        assert "run: rebookd auth acme" in row.error
        assert found.at.run("auth", "acme")[0] == 0
        assert all(each.ok for each in found.round(2 * HOUR).polls)
