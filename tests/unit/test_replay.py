"""The past played again: rebuilt from what the store remembers, and compared mail by mail."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from daemon.__main__ import main
from daemon.commands import replay as command
from daemon.config.rules_files import load_policy
from daemon.config.settings import load
from daemon.replay import Played, compare, play, truly_sent
from daemon.replay_past import remembered
from daemon.store import agenda, attendance, calendars
from rules.model import Held, Identity, Occurrence, PartStat
from tests.support.house import event
from tests.support.meetings import JO, NOW, meeting
from tests.support.offices import World, at
from tests.support.stores import fresh_store, put, resource

RULES = """\
version: 1
rules:
  - name: confirm
    when: unconfirmed
    then:
      - {step: ask, do: confirm, at: 48h before start, until: 2h before start}
  - name: no-show
    when: missed
    then:
      - {step: offer, do: reschedule, at: 15m after end, until: 2 days after end}
  - name: called-off
    when: cancelled
    then:
      - {step: tell, do: notify, at: 30d before start}
"""
EARLIER = RULES.replace("48h before", "72h before")
GENTLE = RULES.replace("name: confirm", "name: ask-late").replace("48h before", "24h before")


class Story(World):
    """Ten days: a kickoff asked about and accepted, a demo that moved, one missed, one called off."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, RULES)
        self.folder = folder
        self.began = self.clock.at
        for number in range(5):
            self.meet(f"calm-{number}", 1000 + number, "ACCEPTED")
        self.round()
        self.meet("kickoff", 100)
        self.meet("demo", 120)
        self.meet("review", 60, "ACCEPTED")
        text = event("theirs", at(180), {"dana@va.example": "ACCEPTED"}, title="Theirs")
        self.put("acme", "theirs", text.replace("ORGANIZER:mailto:dana@va.example", f"ORGANIZER:mailto:{JO}"))
        for hour in (1, 52, 56, 68, 72, 80, 104, 110, 110.5, 200):
            self.clock.at = at(hour)
            self.happen(hour)
            self.round()

    def meet(self, uid: str, hours: float, answer: str = "NEEDS-ACTION") -> None:
        """Write a meeting with Jo into the calendar."""
        self.put("acme", uid, event(uid, at(hours), {JO: answer}, title=uid.title()))

    def happen(self, hour: float) -> None:
        """What people did at that hour."""
        if hour == 56:
            self.meet("kickoff", 100, "ACCEPTED")
        if hour == 68:
            with self.store.write() as conn:
                attendance.mark(
                    conn, Identity(uid="review"), Held.MISSED_BY_ATTENDEE, "the owner's word", self.clock.at
                )
                agenda.wake(conn, [one.key for one in agenda.by_uids(conn, ["review"])], self.clock.at)
        if hour == 80:
            self.meet("demo", 152)
        if hour == 110:
            self.calendars["acme"].remove("/theirs.ics")

    def played(self, rules: str = RULES) -> Played:
        """The past under these rules."""
        (self.folder / "other.yaml").write_text(rules)
        with remembered(self.store, self.began, self.clock.at) as past:
            return play(self.store, self.settings, load_policy(self.folder / "other.yaml"), past)


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """Lived once; replaying changes nothing of it."""
    made = Story(tmp_path_factory.mktemp("story"))
    yield made
    made.store.close()  # what later tests have opened anew


def told(played: Played) -> list[tuple[str, str, float]]:
    """Step, meeting and hours since the beginning, of each message."""
    return [(one.step, one.identity.uid, (one.at - NOW) / timedelta(hours=1)) for one in played.messages]


def test_the_present_rules_send_again_what_they_sent(story: Story) -> None:
    """An answer, a move, a mark and a removal come true at their time: nothing differs from what left."""
    with remembered(story.store, story.began, story.clock.at) as past:
        played = play(story.store, story.settings, story.settings.policy, past)
        left, fates = truly_sent(story.store, past)
        found = compare(left, played.messages, command.SLACK)
    assert told(played) == [
        ("ask", "kickoff", 52),
        ("offer", "review", 68),
        ("ask", "demo", 72),
        ("ask", "demo", 104),
        ("tell", "theirs", 110.5),
    ]
    assert (found.same, found.added, found.removed) == (5, [], [])
    assert fates == {}


def test_other_rules_are_held_against_the_present_ones(story: Story) -> None:
    """Asking earlier moves what was asked; asking late spares who had answered by then."""
    present = story.played()
    earlier = compare(present.messages, story.played(EARLIER).messages, timedelta(0))
    assert [(before.identity.uid, before.at - after.at) for before, after in earlier.moved] == [
        ("kickoff", timedelta(hours=24)),
        ("demo", timedelta(hours=24)),
        ("demo", timedelta(hours=24)),
    ]
    gentle = compare(present.messages, story.played(GENTLE).messages, timedelta(0))
    assert [one.identity.uid for one in gentle.removed] == ["kickoff", "demo"]
    assert (gentle.same, gentle.added) == (2, [])


def test_the_command_shows_the_difference(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    """Text with a line for each, and JSON; the store is as it was."""
    monkeypatch.setattr(command, "clock", story.clock)
    (story.folder / "gentle.yaml").write_text(GENTLE)
    before = story.states()

    def run(*words: str) -> str:
        line = ["--config", str(story.folder / "config.yaml"), "replay", "--since", "20d", *words]
        result = CliRunner().invoke(main, line)
        assert result.exit_code == 0, result.output
        return result.stdout if "--json" in words else result.output

    assert "5 the same, 0 more, 0 fewer, 0 at another time" in run()
    text = run("--rules", str(story.folder / "gentle.yaml"))
    assert "nothing is known of the time before Mon 2026-03-02 09:00" in text
    assert "- Wed 2026-03-04 13:00  confirm/ask: confirm to jo@acme.example about “Kickoff”" in text
    assert "2 the same, 0 more, 2 fewer, 1 at another time" in text
    found: dict[str, Any] = json.loads(run("--json", "--rules", str(story.folder / "gentle.yaml")))
    assert (found["against"], found["same"], len(found["removed"])) == ("the present rules", 2, 2)
    assert found["removed"][0]["title"] == "Kickoff"
    assert story.states() == before


def test_what_did_not_leave_tells_what_became_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A message that still waits for approval is one more in the replay, with its state beside it."""
    world = World(tmp_path, RULES.replace("when: unconfirmed", "when: unconfirmed\n    mode: approve"))
    monkeypatch.setattr(command, "clock", world.clock)
    world.put("acme", "calm", event("calm", at(1000), {JO: "ACCEPTED"}))
    world.round()
    world.put("acme", "kickoff", event("kickoff", at(60), {JO: "NEEDS-ACTION"}))
    world.round(1)
    world.round(20)
    result = CliRunner().invoke(main, ["--config", str(tmp_path / "config.yaml"), "replay"])
    assert result.exit_code == 0, result.output
    assert "once approved" in result.stdout
    assert "in truth it is held: waits for your approval" in result.stdout


def test_bad_spans_and_bad_rules_are_told(story: Story) -> None:
    """A span without sense is a mistake on the command line; a rules file's is told by its place."""
    line = ["--config", str(story.folder / "config.yaml"), "replay"]
    assert CliRunner().invoke(main, [*line, "--since", "soon"]).exit_code == 2
    assert CliRunner().invoke(main, [*line, "--since", "300d"]).exit_code == 1
    assert CliRunner().invoke(main, [*line, "--rules", "nowhere.yaml"]).exit_code == 3
    (story.folder / "bad.yaml").write_text(RULES.replace("unconfirmed", "unconfirmd"))
    result = CliRunner().invoke(main, [*line, "--rules", str(story.folder / "bad.yaml")])
    assert result.exit_code == 3
    assert "did you mean 'unconfirmed'?" in result.output


def test_a_month_of_meetings_costs_as_many_looks_as_there_were_moments(tmp_path: Path) -> None:
    """500 meetings in 30 days at two hours of the day: looks follow the moments, not the meetings."""
    (tmp_path / "config.yaml").write_text(
        "version: 1\nme: {name: Dana Reyes, addresses: [dana@va.example], time_zone: UTC}\n"
        "accounts: {acme: {caldav: {url: dav.va.example, username: dana, password: {env: NONE}}}}\n"
        "mail: {from: dana@va.example, smtp: {host: 127.0.0.1, port: 9, security: none}}\n"
    )
    (tmp_path / "rules.yaml").write_text(RULES.partition("  - name: no-show")[0])
    settings, store = load(tmp_path / "config.yaml"), fresh_store(tmp_path)

    def one(number: int, answer: PartStat) -> Occurrence:
        day, slot = divmod(number % 60, 2)
        people = {f"jo{number % 25}@acme.example": answer}
        return meeting(f"m{number}", starts=24 * day + (1, 5)[slot], people=people)

    put(store, *(resource(one(number, PartStat.NEEDS_ACTION)) for number in range(500)), full=True)
    with store.write() as conn:
        calendars.polled(conn, "acme", NOW)
    for day in range(10):
        some = [resource(one(number, PartStat.ACCEPTED), etag="2") for number in range(day, 500, 50)]
        put(store, *some, now=NOW + timedelta(days=day))
    with remembered(store, NOW, NOW + timedelta(days=30)) as past:
        played = play(store, settings, settings.policy, past)
    assert played.failed == set()
    assert len(played.messages) > 300
    assert played.ticks < 30 * 2 * 4


def test_a_calendar_read_later_begins_then(tmp_path: Path) -> None:
    """What lay in a calendar before it was first read was not seen, and counts from that read as old news."""
    world = World(tmp_path, RULES, ("acme", "late"))
    world.put("acme", "calm", event("calm", at(1000), {JO: "ACCEPTED"}))
    world.office.poll("acme")
    world.clock.at = at(40)
    world.put("late", "kickoff", event("kickoff", at(80), {JO: "NEEDS-ACTION"}))
    world.round()
    with remembered(world.store, NOW, at(90)) as past:
        played = play(world.store, world.settings, world.settings.policy, past)
        begun = [change.key.calendar.account for moment in past.moments() for change in moment.changes]
    assert begun == ["acme", "late"]
    assert played.messages == []
