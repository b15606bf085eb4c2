"""``explain``: plain sentences first, every predicate behind them, what became of each message, and JSON."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from daemon.__main__ import main
from daemon.commands import explain as command
from daemon.config.rules_files import load_policy
from daemon.config.validation import validate
from daemon.config.yaml_tree import read_yaml
from daemon.explanation_words import Speaker
from daemon.rehearsal_file import RehearsalFile
from daemon.rehearsal_stage import Stage
from daemon.standing import digest
from daemon.store import attendance, demotions, optouts, silences
from rules.model import Held, Identity
from rules.plan import evaluate
from tests.support.house import event
from tests.support.offices import World, at

RULES = """\
version: 1
guard: {first_sync: act, quiet_hours: 20:00-08:00}
rules:
  - name: confirm
    match: {organizer: me, client: Acme}
    when: unconfirmed
    inhibited_by: clash
    mode: approve
    then:
      - {step: ask, do: confirm, at: 48h before start, until: 28h before start}
      - {step: move, do: reschedule, at: 4h before start, until: 1h before start}
  - name: globex-only
    match: {client: "Glo*"}
    when: declined
    then:
      - {step: move, do: reschedule, at: 3d before start}
  - name: ask-me
    when: unaccounted
    then:
      - {step: was-it-held, do: check_in, at: 10m after end, until: 1 day after end}
  - name: clash
    when: {conflict: {keep: [most_attendees]}}
    then:
      - {step: move, do: reschedule, at: 7d before start, until: 3h before start}
"""
JO = "jo@acme.example"


class Place(World):
    """A world with the kickoff in it, which asks to be explained."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__(folder, RULES)
        self.folder = folder
        monkeypatch.setattr(command, "clock", self.clock)
        for number in range(3):
            uid = f"calm-{number}"
            self.put("acme", uid, event(uid, at(1000 + number), {JO: "ACCEPTED"}, title="Calm"))
        self.put("acme", "kickoff", event("kickoff", at(50), {JO: "NEEDS-ACTION"}))
        self.office.poll_all()
        self.office.decide()

    def let(self, hours: float) -> None:
        """Let time pass, and decide without sending."""
        self.clock.at += timedelta(hours=hours)
        self.office.poll_all()
        self.office.decide()

    def ask(self, *options: str, name: str = "kickoff") -> str:
        """What the command prints."""
        words = ["--config", str(self.folder / "config.yaml"), "explain", name, *options]
        result = CliRunner().invoke(main, words)
        assert result.exit_code == 0, result.output
        return result.stdout

    def text(self) -> str:
        """The text for people, in one line."""
        return " ".join(self.ask("--text").split())

    def rule(self, name: str) -> dict[str, Any]:
        """What the JSON says of one rule."""
        found: dict[str, Any] = next(one for one in json.loads(self.ask())["rules"] if one["rule"] == name)
        return found


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """Monday nine o'clock; the kickoff is on Wednesday at eleven and Jo has not answered."""
    return Place(tmp_path, monkeypatch)


def test_each_rule_begins_with_a_plain_sentence(place: Place) -> None:
    """What it is, who said what, what comes next, and one sentence a rule, those that act first."""
    text = place.ask("--text").splitlines()
    assert text[0] == "Kickoff review — Wed 2026-03-04 11:00 to 11:30 Europe/Lisbon"
    assert text[2] == f"you organise it; {JO} has not answered"
    assert text[text.index("What happens next") + 1] == (
        f"  Mon 2026-03-02 11:00: confirm asks {JO} to confirm, unless the answer comes first"
    )
    assert text[text.index("Messages about it so far") + 1] == "  none"
    asks, unless = f"asks {JO} to confirm", "unless the answer comes first"
    approved = "once you approve it (mode: approve)"
    why = f"{JO} has not said yes to this time"
    headlines = [line for line in text if line.split(":")[0] in {"confirm", "ask-me", "clash", "globex-only"}]
    assert headlines == [
        f"confirm: waiting ({why}); {asks} on Mon 2026-03-02 11:00, {approved}, {unless}",
        "ask-me: nothing yet; if nothing changes, it asks you whether it took place on Wed 2026-03-04 11:40",
        "clash: nothing to do: “overlaps another meeting of mine” is not so (DTSTART, DTEND: 0 found)",
        "globex-only: not about this meeting: “client: Glo*” is not so (account.client: Acme)",
    ]


def test_every_predicate_has_its_value_its_field_and_its_age(place: Place) -> None:
    """Behind the sentence stands all that was looked at, and each step with its time."""
    place.clock.at += timedelta(minutes=20)
    text = place.text()
    assert f"✓ {JO} has yet to say yes (PARTSTAT: NEEDS-ACTION, read 20m ago)" in text
    assert "✗ client: Glo* (account.client: Acme, read 20m ago)" in text
    assert (
        f"→ move: offers {JO} other times, from Wed 2026-03-04 07:00 until Wed 2026-03-04 10:00 "
        "— its time has not come" in text
    )


def test_json_is_printed_where_no_terminal_is(place: Place) -> None:
    """The documented shape, with --json and without."""
    found = json.loads(place.ask())
    assert found == json.loads(place.ask("--json"))
    assert (found["uid"], found["title"], found["start"]) == (
        "kickoff",
        "Kickoff review",
        "2026-03-04T11:00:00Z",
    )
    rule = place.rule("confirm")
    assert rule["outcome"] == "waiting"
    assert rule["next_at"] == "2026-03-02T11:00:00Z"
    assert set(rule["because"][0]) == {"predicate", "holds", "field", "value", "observed_at"}
    assert found["next"][0] == {"at": "2026-03-02T11:00:00Z", "rule": "confirm", "step": "ask", "to": JO}
    assert found["deliveries"] == []


def test_the_two_forms_exclude_each_other(place: Place) -> None:
    """--json and --text together are a mistake on the command line."""
    words = ["--config", str(place.folder / "config.yaml"), "explain", "kickoff", "--json", "--text"]
    assert CliRunner().invoke(main, words).exit_code == 2


def test_a_message_that_waits_says_how_to_let_it_go(place: Place) -> None:
    """A held one names its command and its end; the step says that it is in the outbox."""
    place.let(2)
    text = place.text()
    assert (
        f"1: confirm/ask to {JO} is held: waits for your approval; let it go until Tue 2026-03-03 07:00 "
        "with: rebookd outbox approve 1" in text
    )
    assert "— message held Mon 2026-03-02 11:00" in text
    (sent,) = json.loads(place.ask())["deliveries"]
    assert (sent["state"], sent["rule"], sent["to"]) == ("held", "confirm", JO)


def test_quiet_hours_a_silence_and_a_blind_account_are_told(place: Place) -> None:
    """Why nothing leaves, and until when."""
    assert "offers" in place.text()
    now = place.clock.at
    with place.store.write() as conn:
        silences.add(
            conn,
            {"client": "Acme"},
            starts_at=now,
            ends_at=now + timedelta(days=1),
            comment="summer",
            now=now,
        )
    place.let(2)
    assert place.rule("confirm")["sentence"].startswith(
        f"holds back what would be due: asks {JO} to confirm; silence 1 (summer) until Tue 2026-03-03 09:00"
    )
    place.clock.at += timedelta(hours=5)
    text = place.text()
    assert "! acme has not been read since Mon 2026-03-02 11:00, so nothing is concluded from it" in text


def test_an_optout_and_a_demotion_are_told(place: Place) -> None:
    """Who asked not to be written to, and a rule that may go less far since its mails were rejected."""
    now = place.clock.at
    rule = place.settings.policy.rules[0]
    with place.store.write() as conn:
        optouts.add(conn, "*@acme.example", "", now)
        demotions.demote(conn, "confirm", "draft", digest(rule), now)
    place.let(2)
    text = place.text()
    assert "! rule confirm goes no further than 'draft', since you rejected what it wrote" in text
    assert (
        f"confirm: holds back what would be due: asks {JO} to confirm; {JO} asked not to be written to"
        in text
    )


def test_who_stands_back_for_whom_is_told(place: Place) -> None:
    """An inhibited rule names the one that holds; the one that holds says what it does."""
    crowd = {"bo@acme.example": "ACCEPTED", "al@acme.example": "ACCEPTED"}
    place.put("acme", "other", event("other", at(50), crowd, title="All of us"))
    place.let(1)
    assert place.rule("confirm")["sentence"] == ("stands back, since the rule clash holds for this meeting")
    assert place.rule("clash")["sentence"].startswith(
        f"has done its part: offers {JO} other times, message pending"
    )


def test_what_is_known_of_its_having_taken_place_is_told(place: Place) -> None:
    """The owner's word, with its time, stands above the rules."""
    place.clock.at = at(51)
    with place.store.write() as conn:
        attendance.mark(conn, Identity(uid="kickoff"), Held.HELD, "the owner's word", place.clock.at)
    assert "as to whether it took place: held, says the owner's word, Wed 2026-03-04 12:00" in place.text()
    assert place.rule("ask-me")["sentence"].startswith("nothing to do")


def test_every_outcome_of_every_question_has_its_sentence() -> None:
    """A whole pack, each rule asked of each meeting at each moment: no word is missing, none stays raw."""
    path = Path(__file__).parents[2] / "examples/consultant"
    policy = load_policy(path / "rules.yaml")
    told: dict[str, str] = {}
    for test in validate(RehearsalFile, read_yaml(path / "rules.test.yaml")).tests:
        stage = Stage(test, policy)
        for moment in test.timeline:
            now = moment.at.after(test.clock)
            list(stage.advance(now))
            stage.happen(moment, now)
            speaker = Speaker(stage.owner, policy)
            upcoming = evaluate(stage.snapshot(), policy, now).upcoming
            for one, trace in stage.traces():
                mine = [each for each in upcoming if each.rule == trace.rule and each.key == one.key]
                told[trace.outcome] = speaker.headline(trace, mine)
                assert not any("_" in speaker.step(step) for step in trace.steps)
            assert not upcoming or ": " in speaker.coming(upcoming)
            stage.act(now)
    assert set(told) >= {"due", "waiting", "done", "no", "unknown", "not_matched", "not_eligible"}
    assert all(told.values())
