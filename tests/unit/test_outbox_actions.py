"""Labels and webhooks leave through the outbox like mails do: once each, after a last look."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from connectors.base import Conflict, NeedsLogin, Retryable, Unreachable
from connectors.webhook import Webhook, signed
from daemon.carriers import Parcel
from daemon.foresight import foresee, write_all
from daemon.lease import LEASE
from daemon.store import deliveries
from daemon.store.deliveries import Delivery
from daemon.webhook_body import identity_of
from rules.delivery import Event
from tests.support.fake_hook import Hook, serving
from tests.support.house import event
from tests.support.offices import World, at
from tests.support.schema_tables import ROOT

RULES = """\
version: 1
guard: {max_per_run: 3, per_recipient_per_day: 1}
rules:
  - name: watch
    when: unconfirmed
    then:
      - {step: label, do: mark, label: unconfirmed, at: 48h before start}
      - {step: crm, do: webhook, webhook: crm, at: 47h before start}
"""
WEBHOOKS = "webhooks: {crm: {url: http://127.0.0.1:9/, secret: {env: CRM_SECRET}}}\n"
JO = "jo@acme.example"
ME = "dana@va.example"


class Desk(World):
    """A world with the kickoff in it, 49 hours ahead, and a system that is told things."""

    def __init__(self, folder: Path, hook: Hook) -> None:
        self.hook = hook
        told = Webhook(hook.url, lambda: "s3cret")
        super().__init__(folder, RULES, config=WEBHOOKS, webhooks={"crm": told})
        for number in range(5):
            self.meet(f"calm-{number}", 1000 + number, "ACCEPTED")
        self.round()
        self.meet("kickoff", 49)
        self.round()

    def meet(self, uid: str, hours: float, partstat: str = "NEEDS-ACTION", to: str = JO) -> None:
        """A meeting with one guest."""
        self.put("acme", uid, event(uid, at(hours), {to: partstat}, title="Kickoff"))

    def of(self, step: str) -> Delivery:
        """The delivery of one step."""
        with self.store.read() as conn:
            (found,) = (one for one in deliveries.list_(conn) if one.step == step)
        return found

    def come_due(self) -> None:
        """An hour passes; what is due then is queued and not yet done."""
        self.clock.at += timedelta(hours=1)
        self.office.poll_all()
        self.office.decide()

    def settle_label(self) -> str:
        """What became of the label, and the event's line of it."""
        text = self.calendars["acme"].raw("/kickoff.ics")
        return f"{self.of('label').state} {'CATEGORIES:unconfirmed' in text}"


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """One meeting about to be labelled and told of."""
    with serving(Hook()) as hook:
        yield Desk(tmp_path, hook)


def test_a_label_is_put_on_the_event_once(desk: Desk) -> None:
    """The event has it, the guest's answer and SEQUENCE are untouched, and nobody was written to."""
    before = desk.calendars["acme"].raw("/kickoff.ics")
    assert desk.round(1) == []
    assert desk.settle_label() == "sent True"
    one = desk.of("label")
    assert (one.to, one.subject) == (ME, "Label 'unconfirmed' on: Kickoff")
    text = desk.calendars["acme"].raw("/kickoff.ics")
    assert set(text.split()) - set(before.split()) == {"CATEGORIES:unconfirmed"}
    desk.round(0.5)
    assert desk.calendars["acme"].raw("/kickoff.ics") == text


def test_an_answer_before_the_label_stops_it(desk: Desk) -> None:
    """The meeting is read again just before."""
    desk.come_due()
    desk.meet("kickoff", 49, "ACCEPTED")
    desk.office.send()
    assert desk.settle_label() == "superseded False"


@pytest.mark.parametrize("error", [Conflict("changed"), Retryable("busy"), Unreachable("no route")])
def test_a_label_that_finds_the_event_changed_is_tried_again(desk: Desk, error: Exception) -> None:
    """The event is read again first; mails meanwhile go on."""
    connector = desk.calendars["acme"]
    usual = connector.read

    def read_then_fail(*args: object) -> object:
        found = usual(*args)  # type: ignore[arg-type]
        connector.fail(error)  # type: ignore[arg-type]
        connector.read = usual  # type: ignore[method-assign]
        return found

    desk.come_due()
    connector.read = read_then_fail  # type: ignore[method-assign, assignment]
    report = desk.office.send()
    assert (desk.settle_label(), report.stopped) == ("retrying False", "")
    desk.round(0.1)
    assert desk.settle_label() == "sent True"


def test_a_label_in_doubt_is_put_on_again(desk: Desk) -> None:
    """Twice does nothing more than once, so a crash needs nobody's attention."""
    desk.come_due()
    one = desk.of("label")
    with desk.store.write() as conn:
        deliveries.claim(conn, one.id, "elsewhere:1:x", desk.clock.at, LEASE)
        deliveries.move(conn, one.id, Event.COMMIT, desk.clock.at)
    assert desk.round(0.2) == []
    assert desk.settle_label() == "sent True"


def test_a_server_that_would_tell_the_guests_refuses_the_label(desk: Desk) -> None:
    """The owner is told once."""
    held = desk.calendars["acme"]._named(None)
    held.info = held.info.__class__(
        ref=held.info.ref,
        name=held.info.name,
        capabilities=held.info.capabilities.__class__(schedules=True, sync_token=True),
    )
    assert desk.round(1) == [ME]
    assert desk.settle_label() == "refused False"
    assert desk.mailer.kept[0][1]["Subject"].startswith("Not done: Label 'unconfirmed'")


def test_a_webhook_is_told_once(desk: Desk) -> None:
    """Signed, with the meeting and the reason; its id is that of the delivery."""
    desk.round(2)
    desk.round(0.5)
    ((headers, raw),) = desk.hook.heard
    one = desk.of("crm")
    assert (one.state, one.to, one.raw) == ("sent", "crm", None)
    told = json.loads(raw)
    assert told["id"] == headers["webhook-id"] == one.message_id == identity_of(one.intent_key)
    assert told["id"] == signed(raw, one.intent_key, desk.clock.at, "s")["webhook-id"]
    assert {key: told[key] for key in ("rule", "step", "detector", "people")} == {
        "rule": "watch",
        "step": "crm",
        "detector": "unconfirmed",
        "people": [JO],
    }
    assert told["meeting"] | {"start": "", "end": ""} == {
        "uid": "kickoff",
        "recurrence_id": None,
        "account": "acme",
        "client": "Acme",
        "title": "Kickoff",
        "start": "",
        "end": "",
        "organizer": ME,
        "attendees": told["meeting"]["attendees"],
        "location": "",
    }
    assert {"address": JO, "partstat": "NEEDS-ACTION"} in told["meeting"]["attendees"]
    assert desk.mailer.kept == []


@pytest.mark.parametrize(
    ("answer", "state", "told"),
    [("503 Busy", "retrying", []), ("404 No", "refused", [ME]), ("500 Oops", "unknown", [ME])],
)
def test_what_a_webhook_says_is_heard(desk: Desk, answer: str, state: str, told: list[str]) -> None:
    """Not now, never, or nobody knows; the owner hears of the last two."""
    desk.hook.answer = f"HTTP/1.1 {answer}\r\nContent-Length: 0\r\n\r\n".encode()
    assert desk.round(2) == told
    assert desk.of("crm").state == state


def test_a_webhook_out_of_reach_holds_up_nothing_else(tmp_path: Path) -> None:
    """Nothing of it was told; the next round tries again, and mails leave meanwhile."""

    class Away:
        """A system without a usable secret."""

        def send(self, *_: object) -> None:
            """No."""
            raise NeedsLogin("there is no secret")

    desk = World(tmp_path, RULES, config=WEBHOOKS, webhooks={"crm": Away()})  # type: ignore[dict-item]
    desk.put("acme", "calm", event("calm", at(1000), {JO: "ACCEPTED"}))
    desk.round()
    desk.put("acme", "kickoff", event("kickoff", at(49), {JO: "NEEDS-ACTION"}))
    desk.round()
    desk.clock.at += timedelta(hours=2)
    desk.office.poll_all()
    desk.office.decide()
    report = desk.office.send()
    assert (report.stopped, report.trouble) == ("", None)
    assert sorted(desk.states().values()) == ["retrying", "sent"]


def test_they_count_for_a_flood_and_for_no_persons_limit(desk: Desk) -> None:
    """Four at once are held; a fifth of one webhook on one day is not."""
    for number in range(4):
        desk.meet(f"m{number}", 48.5, to=f"p{number}@acme.example")
    assert desk.round(1) == [ME]
    assert {desk.states()[f"m{number}", ME] for number in range(4)} == {"held"}
    with desk.store.write() as conn:
        for one in deliveries.list_(conn):
            if one.error == "flood":
                deliveries.approve(conn, one.id, desk.clock.at)
    desk.round()
    assert {desk.states()[f"m{number}", ME] for number in range(4)} == {"sent"}


def test_plan_foresees_them_as_what_they_are(desk: Desk) -> None:
    """A label and a webhook are never written as mails, not even to be shown."""
    desk.clock.at += timedelta(hours=2)
    desk.office.poll_all()
    found = foresee(desk.office)
    written = write_all(desk.office, found.intents, found.now)
    assert sorted(one.words.splitlines()[0] for one in written.values() if isinstance(one, Parcel)) == [
        "Label 'unconfirmed' on: Kickoff",
        "Tell crm about: Kickoff",
    ]


def test_the_manual_checks_what_is_told(desk: Desk) -> None:
    """Its example accepts our signature and no other, and its body has our fields."""
    page = (ROOT / "docs/reference/webhooks.md").read_text(encoding="utf-8")
    (program,) = re.findall(r"^```python\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    (shown,) = re.findall(r"^```json\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    desk.round(2)
    ((headers, raw),) = desk.hook.heard
    made: dict[str, Any] = {}
    exec(compile(program, "webhooks.md", "exec"), made)
    check = made["is_from_rebookd"]
    now = desk.clock.at.timestamp()
    assert check(headers, raw, "s3cret", now)
    assert not check(headers, raw, "other", now)
    assert not check(headers, raw + b" ", "s3cret", now)
    assert not check(headers, raw, "s3cret", now + 301)
    told, manual = json.loads(raw), json.loads(shown)
    assert told.keys() == manual.keys()
    assert told["meeting"].keys() == manual["meeting"].keys()
    assert told["meeting"]["attendees"][0].keys() == manual["meeting"]["attendees"][0].keys()
