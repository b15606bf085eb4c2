"""``rebookd outbox``: what is shown, and what the owner's word does to messages and rules."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import pytest
from click.testing import CliRunner

from daemon import standing
from daemon.__main__ import main
from daemon.commands import queue as command
from daemon.config.settings import load
from daemon.store import deliveries, demotions, optouts
from rules.policy import Mode
from tests.support.house import event
from tests.support.offices import World, at

RULES = """\
version: 1
guard: {{max_per_run: 4}}
rules:
  - name: confirm
    when: unconfirmed
    mode: {mode}
    group_by: contact
    then:
      - {{step: ask, do: confirm, at: 48h before start, until: 24h before start}}
  - name: watch
    mode: approve
    when: unconfirmed
    then:
      - {{step: crm, do: webhook, webhook: crm, at: 20h before start}}
      - {{step: label, do: mark, label: open, at: 20h before start}}
"""
WEBHOOKS = "webhooks: {crm: {url: http://127.0.0.1:9/, secret: {env: CRM_SECRET}}}\n"
JO = "jo@acme.example"
ME = "dana@va.example"


class Desk(World):
    """A world with three meetings with Jo, and the command line beside it."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, mode: str) -> None:
        super().__init__(folder, RULES.format(mode=mode), config=WEBHOOKS)
        monkeypatch.setattr(command, "clock", self.clock)
        for number in range(5):
            self.put("acme", f"calm-{number}", event(f"calm-{number}", at(1000 + number), {JO: "ACCEPTED"}))
        self.round()
        for number in range(3):
            self.put("acme", f"m{number}", event(f"m{number}", at(49 + number / 10), {JO: "NEEDS-ACTION"}))
        self.round()

    def ask(self, *words: str) -> str:
        """What ``rebookd outbox …`` prints; it must succeed."""
        done = CliRunner().invoke(main, ["--config", str(self.folder / "config.yaml"), "outbox", *words])
        assert done.exit_code == 0, done.output
        return done.output

    def ids(self, state: str, step: str = "ask") -> list[str]:
        """The numbers of the messages of one step in this state."""
        listed = json.loads(self.ask("list", "--json", "--state", state))
        return [str(one["id"]) for one in listed if one["step"] == step]

    def mode(self) -> Mode | None:
        """How far the first rule may go since the owner's word; None when as it says."""
        with self.store.read() as conn:
            policy = standing.in_force(conn, self.settings.policy, self.clock.at)
        return policy.demoted.get("confirm")


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """Three messages wait for approval."""
    made = Desk(tmp_path, monkeypatch, "approve")
    made.round(2)
    assert len(made.ids("held")) == 3
    return made


def say(desk: Desk, words: Iterable[str]) -> list[str]:
    """Approve or cancel the held messages one after another; what was printed each time."""
    return [desk.ask(word, desk.ids("held")[0]) for word in words]


def test_two_rejections_in_a_row_demote_the_rule(desk: Desk) -> None:
    """The command says so, the owner gets one mail, and the rule is held to it."""
    first, second = say(desk, ["cancel", "cancel"])
    assert first == "message 1 cancelled\n"
    assert second.endswith(
        "two messages of rule confirm in a row were rejected; it is now draft. Change the rule to lift this\n"
    )
    assert desk.mode() is Mode.DRAFT
    assert desk.round() == [ME]
    assert desk.mailer.kept[-1][1]["Subject"] == "Rule confirm is now mode draft"
    text = desk.mailer.kept[-1][1].as_string()
    assert "Change the rule to lift this" in text
    desk.put("acme", "late", event("late", at(50), {JO: "NEEDS-ACTION"}))
    desk.round()
    with desk.store.read() as conn:
        assert [one.mode for one in deliveries.list_(conn) if one.key and one.key.uid == "late"] == ["draft"]


def test_an_approval_in_between_counts_from_none(desk: Desk) -> None:
    """Only rejections in a row cost trust."""
    say(desk, ["cancel", "approve", "cancel"])
    assert desk.mode() is None


def test_a_rule_that_was_edited_starts_over(desk: Desk) -> None:
    """The demotion was of the rule as it stood."""
    say(desk, ["cancel", "cancel"])
    assert desk.mode() is Mode.DRAFT
    rules = desk.folder / "rules.yaml"
    rules.write_text(rules.read_text().replace("until: 24h", "until: 23h", 1))
    desk.settings = load(desk.folder / "config.yaml")
    assert desk.mode() is None


def test_a_demotion_reaches_what_already_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What went by itself when it was queued is held before it leaves, and goes once it is approved."""
    desk = Desk(tmp_path, monkeypatch, "auto")
    desk.round(2)
    with desk.store.write() as conn:
        (rule, *_) = desk.settings.policy.rules
        demotions.demote(conn, rule.name, "approve", standing.digest(rule), desk.clock.at)
    assert desk.round(0.2) == []
    assert len(desk.ids("held")) == 3
    desk.ask("approve", *desk.ids("held"))
    assert desk.round() == [JO]


@pytest.mark.parametrize(("mode", "then"), [("draft", Mode.OBSERVE), ("approve", Mode.DRAFT)])
def test_each_mode_has_one_below(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str, then: Mode
) -> None:
    """From approve to draft, from draft to observe."""
    desk = Desk(tmp_path, monkeypatch, mode)
    desk.round(2)
    say(desk, ["cancel", "cancel"])
    assert desk.mode() is then


def test_what_the_flood_brake_holds_is_no_verdict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cancelling a flood says nothing about the rule."""
    desk = Desk(tmp_path, monkeypatch, "auto")
    for number in range(5):
        guest = f"p{number}@acme.example"
        desk.put("acme", f"f{number}", event(f"f{number}", at(49.5), {guest: "NEEDS-ACTION"}))
    desk.round(2)
    desk.round(0.2)
    assert len(desk.ids("held")) == 8
    say(desk, ["cancel", "cancel"])
    assert desk.mode() is None


def test_what_shared_a_message_says_so(desk: Desk) -> None:
    """Approved together they leave as one; list and show name it, and show its words."""
    one, two, three = desk.ids("held")
    desk.ask("approve", one, two)
    assert desk.round() == [JO]
    assert f"went with message {one}" in desk.ask("list")
    shown = desk.ask("show", two)
    assert f"carried_by: {one}" in shown
    assert f"It went with message {one}:" in shown
    assert "To: jo@acme.example" in shown
    assert desk.ask("show", two, "--raw") == desk.ask("show", one, "--raw")
    assert "It is written when it leaves" in desk.ask("show", three)


def test_show_says_what_a_label_and_a_webhook_will_do(desk: Desk) -> None:
    """Before: what would be done now. After: what was."""
    desk.round(28)
    (hook,) = desk.ids("held", "crm")[:1]
    (label,) = desk.ids("held", "label")[:1]
    shown = desk.ask("show", hook)
    assert "Not done yet. It would be now: Tell crm about:" in shown
    assert '"rule": "watch"' in shown
    assert "Label 'open' on:" in desk.ask("show", label)
    desk.ask("approve", label)
    desk.round()
    assert desk.ids("sent", "label") == [label]
    assert "Label 'open' on:" in desk.ask("show", label)


def test_retry_takes_all_of_one_message(desk: Desk) -> None:
    """As the notice of a refusal says it."""
    ids = desk.ids("held")
    assert desk.ask("retry", *ids) == "".join(f"message {one} queued again\n" for one in ids)
    assert desk.round() == [JO]


def test_whoever_asked_to_stop_gets_nothing(desk: Desk) -> None:
    """Even what was approved; the owner is never an opt-out of their own."""
    with desk.store.write() as conn:
        optouts.add(conn, "*@*", "", desk.clock.at)
    one, *_ = desk.ids("held")
    desk.ask("approve", one)
    assert desk.round() == []
    with desk.store.read() as conn:
        found = deliveries.get(conn, int(one))
    assert found is not None
    assert (found.state, found.error) == ("suppressed", "they asked not to be written to")
    say(desk, ["cancel", "cancel"])
    assert desk.round() == [ME]
