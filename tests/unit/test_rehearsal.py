"""Rule tests: what a story may tell, and what is said when it does not come true."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from click.testing import CliRunner, Result

from daemon.__main__ import main

Play = Callable[..., Result]

RULES = """\
version: 1
guard: {quiet_hours: 20:00-08:00}
rules:
  - name: confirm
    match: {organizer: me}
    when: unconfirmed
    then:
      - {step: ask, do: confirm, at: 48h before start, until: 28h before start}
      - {step: tell, do: notify, at: 1h before start}
  - name: no-show
    match: {organizer: me}
    when: missed
    then:
      - {step: offer, do: reschedule, at: 15m after end, until: 2 business days after end}
  - name: called-off
    when: cancelled
    then:
      - {step: tell, do: notify, at: 30 days before start}
  - name: gone-quiet
    when: silent
    then:
      - {step: tell, do: notify, at: at end, until: 90 days after end}
  - name: last-one
    when: ending
    then:
      - {step: tell, do: notify, at: 7d before start}
"""

HEAD = """\
rules: rules.yaml
tests:
  - name: story
    clock: 2026-03-02T09:00:00Z
    me: [dana@va.example]
"""

KICKOFF = """\
    given:
      - {uid: kickoff, title: Kickoff, starts: 50h, organizer: dana@va.example,
         attendees: {jo@acme.example: NEEDS-ACTION}}
"""

ASK = "{rule: confirm, step: ask, to: jo@acme.example}"


@pytest.fixture
def play(tmp_path: Path) -> Play:
    """Play one story, given as what stands below its head, with the command itself."""
    (tmp_path / "rules.yaml").write_text(RULES)

    def played(story: str, *options: str) -> Result:
        (tmp_path / "story.yaml").write_text(HEAD + story)
        return CliRunner().invoke(main, ["test", str(tmp_path / "story.yaml"), *options])

    return played


def passes(result: Result) -> bool:
    """Whether the one story came true; says why not."""
    assert "1 passed, 0 failed" in result.output, result.output
    return result.exit_code == 0


def test_attendance_records_count_as_evidence(play: Play) -> None:
    """missed_by_attendee acts, unknown and held do not."""
    given = KICKOFF.replace("50h", "1h").replace("NEEDS-ACTION", "ACCEPTED")
    story = f"""{given}    timeline:
      - {{at: 2h, attendance: {{kickoff: missed_by_attendee}},
         expect: [{{rule: no-show, step: offer, to: jo@acme.example}}]}}
"""
    assert passes(play(story))
    assert passes(play(f"{given}    timeline: [{{at: 2h, attendance: {{kickoff: unknown}}, expect: []}}]\n"))
    assert passes(play(f"{given}    timeline: [{{at: 2h, attendance: {{kickoff: held}}, expect: []}}]\n"))


def test_my_own_word_counts_more_than_a_record(play: Play) -> None:
    """Whichever came first: what I marked stands."""
    given = KICKOFF.replace("50h", "1h").replace("NEEDS-ACTION", "ACCEPTED")
    record = "attendance: {kickoff: missed_by_attendee}"
    for first, then in (("mark: {kickoff: held}", record), (record, "mark: {kickoff: held}")):
        timeline = f"[{{at: 91m, {first}}}, {{at: 92m, {then}}}, {{at: 3h, expect: []}}]"
        assert passes(play(f"{given}    timeline: {timeline}\n"))


def test_a_silence_holds_back_until_it_ends(play: Play) -> None:
    """What became due meanwhile leaves when the silence is over."""
    assert passes(
        play(f"""{KICKOFF}    timeline:
      - {{at: 1h, silence: {{match: {{rule: confirm, account: own}}, for: 3h}}, expect: []}}
      - {{at: 239m, expect: []}}
      - {{at: 4h, expect: [{ASK}]}}
""")
    )


def test_who_opted_out_is_not_written_to(play: Play) -> None:
    """The step that writes to them is withheld; what tells me is not."""
    assert passes(
        play(f"""{KICKOFF}    timeline:
      - {{at: 1h, optout: "*@acme.example", expect: []}}
      - {{at: 50h, expect: [{{rule: confirm, step: tell, to: dana@va.example}}]}}
""")
    )


def test_an_accounts_mode_and_zone_count(play: Play) -> None:
    """Approval is asked for as the account says, after the quiet hours of its people."""
    accounts = "    accounts: {own: {client: Acme, mode: approve, time_zone: America/New_York}}\n"
    assert passes(
        play(f"""{accounts}{KICKOFF}    timeline:
      - {{at: 2h, expect: []}}
      - {{at: 4h, expect: [{{rule: confirm, step: ask, held: true}}]}}
""")
    )
    result = play(
        f"{KICKOFF}    timeline: [{{at: 2h, expect: [{{rule: confirm, step: ask, held: true}}]}}]\n"
    )
    assert "expected and missing: confirm/ask, held for my word" in result.output
    assert result.exit_code == 1


def test_working_hours_and_holidays_move_business_days(play: Play) -> None:
    """Two business days after a Friday end on Wednesday where Monday is off and Tuesday a holiday."""
    hours = "    working_hours: {tue-fri: 09:00-17:00}\n    holidays: PT\n"
    given = KICKOFF.replace("50h", "2026-04-30T10:00:00Z").replace("NEEDS-ACTION", "ACCEPTED")
    late = "2026-05-05T12:00:00Z"
    story = "{given}    timeline:\n      - {{at: {late}, mark: {{kickoff: missed}}, expect: {expect}}}\n"
    offer = "[{rule: no-show, step: offer}]"
    assert passes(play(hours + story.format(given=given, late=late, expect=offer)))
    assert passes(play(story.format(given=given, late=late, expect="[]")))


def test_a_meeting_has_a_zone_of_its_own(play: Play) -> None:
    """A moved meeting keeps it, and its instant is what the offset says."""
    given = KICKOFF.replace("starts: 50h", "starts: 50h, time_zone: America/New_York")
    assert passes(play(f"{given}    timeline: [{{at: 2h, expect: [{ASK}]}}]\n"))


def test_what_vanishes_may_have_been_cancelled(play: Play) -> None:
    """Somebody else's meeting that I accepted is remembered; it is forgotten when it comes back."""
    given = """    given:
      - {uid: theirs, starts: 100h, organizer: jo@acme.example,
         attendees: {dana@va.example: ACCEPTED, jo@acme.example: ACCEPTED}}
"""
    again = given.removeprefix("    given:\n").strip().removeprefix("- ")
    tell = "[{rule: called-off, step: tell, to: dana@va.example}]"
    assert passes(
        play(f"""{given}    timeline:
      - {{at: 1h, remove: theirs, expect: []}}
      - {{at: 2h, expect: {tell}}}
""")
    )
    assert passes(
        play(f"""{given}    timeline:
      - {{at: 1h, remove: theirs, expect: []}}
      - {{at: 80m, add: {again}, expect: []}}
      - {{at: 2h, expect: []}}
""")
    )


def test_a_cancellation_ripens_from_when_it_was_seen(play: Play) -> None:
    """The grace counts from the moment of the story."""
    given = """    given:
      - {uid: theirs, starts: 100h, organizer: jo@acme.example, attendees: {dana@va.example: ACCEPTED}}
"""
    assert passes(
        play(f"""{given}    timeline:
      - {{at: 1h, cancel: theirs, expect: []}}
      - {{at: 89m, expect: []}}
      - {{at: 90m, expect: [{{rule: called-off, step: tell}}]}}
""")
    )


def test_history_with_people_grows_as_meetings_end(play: Play) -> None:
    """Three weekly meetings held, then two signals unanswered: the silence is noticed once it is long."""
    weekly = "\n".join(
        f"      - {{uid: week-{number}, starts: {number * 7 - 30}d, organizer: dana@va.example,"
        f" attendees: {{jo@acme.example: {answer}}}}}"
        for number, answer in enumerate(["ACCEPTED", "ACCEPTED", "ACCEPTED", "DECLINED", "NEEDS-ACTION"])
    )
    assert passes(
        play(f"""    given:
{weekly}
    timeline:
      - {{at: 4d, expect: []}}
      - {{at: 8d, expect: [{{rule: gone-quiet, step: tell, uid: week-2}}]}}
      - {{at: 20d, expect: []}}
""")
    )


def test_one_of_a_series_has_its_own_name(play: Play) -> None:
    """UID/RECURRENCE-ID means one instance, the UID all; the last one is known as such."""
    one = "{{uid: weekly, recurrence_id: {id}, starts: {starts}, organizer: dana@va.example, {more}}}"
    people = "attendees: {jo@acme.example: NEEDS-ACTION}"
    given = "\n".join(
        f"      - {one.format(id=name, starts=starts, more=more)}"
        for name, starts, more in (
            ("20260304T110000Z", "50h", people),
            ("20260311T110000Z", "218h", f"final: true, {people}"),
        )
    )
    assert passes(
        play(f"""    given:
{given}
    timeline:
      - {{at: 1h, answer: {{weekly/20260304T110000Z: {{jo@acme.example: ACCEPTED}}}}, expect: []}}
      - {{at: 60h, expect: [{{rule: last-one, step: tell, uid: weekly/20260311T110000Z}}]}}
      - {{at: 171h, expect: [{{rule: confirm, step: ask, uid: weekly}}]}}
""")
    )


def test_a_missing_message_comes_with_what_the_rule_said(play: Play) -> None:
    """The nearest meeting's outcome and the predicate that failed; and what left instead, with its reason."""
    accepted = KICKOFF.replace("NEEDS-ACTION", "ACCEPTED")
    result = play(f"{accepted}    timeline: [{{at: 3h, expect: [{ASK}]}}]\n")
    assert result.exit_code == 1
    assert "at Mon 2026-03-02 12:00 (moment 1 of the timeline)" in result.output
    assert "expected and missing: confirm/ask to jo@acme.example" in result.output
    assert "confirm about kickoff (Kickoff) is no: jo@acme.example" in result.output
    result = play(f"{KICKOFF}    timeline: [{{at: 3h}}, {{at: 4h, expect: [{ASK}]}}]\n")
    assert "is done (sent Mon 2026-03-02 11:00); its time is Mon 2026-03-02 11:00 until" in result.output
    result = play(f"{KICKOFF}    timeline: [{{at: 3h, expect: []}}]\n")
    assert (
        "sent and not expected: Mon 2026-03-02 11:00 confirm/ask: confirm to jo@acme.example "
        "about kickoff (Kickoff), because jo@acme.example" in result.output
    )


def test_untested_rules_and_steps_are_listed(play: Play) -> None:
    """Only what came to act counts as tested; listing is no failure."""
    result = play(f"{KICKOFF}    timeline: [{{at: 3h, expect: [{ASK}]}}]\n")
    assert passes(result)
    assert "no test touches step tell of rule confirm" in result.output
    assert "no test touches rule no-show" in result.output
    assert "step ask" not in result.output


def test_junit_tells_builds_what_failed(play: Play, tmp_path: Path) -> None:
    """One suite a file, one case a test, the failure as text; characters XML cannot hold are left out."""
    story = KICKOFF.replace("title: Kickoff", 'title: "Kick\\u0007off <b>&"')
    report = tmp_path / "results.xml"
    assert play(f"{story}    timeline: [{{at: 3h, expect: []}}]\n", "--junit", str(report)).exit_code == 1
    root = ET.parse(report).getroot()
    assert (root.tag, root.get("tests"), root.get("failures")) == ("testsuites", "1", "1")
    suite = root.find("testsuite")
    assert suite.get("name").endswith("story.yaml")
    failure = suite.find("testcase[@name='story']/failure")
    assert "Kickoff <b>&" in failure.text
    assert failure.get("message").startswith("sent and not expected: Mon 2026-03-02 11:00 confirm/ask")
    assert "no test touches rule no-show" in suite.find("system-out").text


@pytest.mark.parametrize(
    ("story", "said"),
    [
        ("{at: 3h, expect: [{rule: confrim, step: ask}]}", "did you mean 'confirm'?"),
        ("{at: 3h, expect: [{rule: confirm, step: akk}]}", "did you mean 'ask'?"),
        ("{at: 3h, attendance: {kick: held}}", "no meeting is called 'kick'"),
        ("{at: 3h, attendance: {kickoff: there}}", "'there' is not one of held"),
        ("{at: 3h, blind: owm}", "no account is called 'owm'"),
        ("{at: 3h, silence: {match: {}, for: 3d}}", "nothing is named here"),
        ("{at: 3h, silence: {match: {titel: x}, for: 3d}}", "did you mean 'title'?"),
    ],
)
def test_a_bad_file_is_told_by_its_place(play: Play, story: str, said: str) -> None:
    """Exit 3, file, line and column, and the word that was meant."""
    result = play(f"{KICKOFF}    timeline: [{story}]\n")
    assert result.exit_code == 3, result.output
    assert "story.yaml:9:" in result.output
    assert said in result.output


def test_the_holidays_of_nowhere_are_a_mistake_in_the_file(play: Play) -> None:
    """A country nobody has listed, and a rules file that is not there."""
    result = play(f"    holidays: XX\n{KICKOFF}    timeline: [{{at: 3h}}]\n")
    assert result.exit_code == 3
    assert "the holidays of 'XX' are not known" in result.output
