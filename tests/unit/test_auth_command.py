"""``rebookd auth`` and ``check --online`` against a Google on the wire."""

from __future__ import annotations

import json
import re
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from connectors.auth import new_key
from daemon.exits import FAILED, SIGN_IN_NEEDED, TEMPORARY
from tests.support.desk import DANA, Desk, desk
from tests.support.fake_google import faults


@pytest.fixture
def at_desk(tmp_path: Path) -> Iterator[Desk]:
    """Dana at her desk."""
    with desk(tmp_path) as made:
        yield made


def asked_for(output: str) -> list[str]:
    """The scopes that were asked for, in their order."""
    return re.findall(r"\((\w+\.[\w.]+)\)", output)


def test_signing_in_keeps_what_it_got_and_prints_none_of_it(at_desk: Desk) -> None:
    """In words what is asked; the key and the sign-in beside the state, for their owner alone."""
    code, output = at_desk.run("auth", "acme")
    assert code == 0, output
    assert "acme is signed in" in output
    assert "read your meetings" in output
    assert "may be left out" in output
    assert f"acme: {DANA}" in output
    refreshes = list(at_desk.google.oauth.refreshes)
    assert not [each for each in (*at_desk.google.oauth.access, *refreshes, "GOCSPX") if each in output]
    for name in ("state.db.key", "state.db.tokens/acme.token"):
        assert stat.S_IMODE((at_desk.folder / name).stat().st_mode) == 0o600
    kept = b"".join(each.read_bytes() for each in at_desk.folder.rglob("*") if each.is_file())
    assert len(refreshes) == 1
    assert refreshes[0].encode() not in kept


def test_no_more_is_asked_for_than_the_rules_need(at_desk: Desk) -> None:
    """Who only tells me needs no right to change anything, nor to see who came."""
    at_desk.rule("unconfirmed", "notify", "1h before start")
    assert asked_for(at_desk.run("auth", "acme")[1]) == [
        "calendar.calendarlist.readonly",
        "calendar.events.readonly",
        "gmail.send",
        "gmail.readonly",
    ]
    at_desk.rule("missed", "reschedule", "1h after end", mode="draft")
    assert asked_for(at_desk.run("auth", "acme")[1]) == [
        "calendar.calendarlist.readonly",
        "calendar.events",
        "calendar.events.freebusy",
        "meetings.space.readonly",
        "gmail.compose",
        "gmail.readonly",
    ]


def test_a_browser_elsewhere_is_pasted_from(at_desk: Desk) -> None:
    """--device says what Google does not offer, and takes the address the browser ended at."""
    code, output = at_desk.run("auth", "acme", "--device", elsewhere=True)
    assert code == 0, output
    assert "no device code" in output
    assert "acme is signed in" in output


def test_an_app_in_testing_is_warned_about(at_desk: Desk) -> None:
    """With the day on which the sign-in ends, and the cure."""
    at_desk.google.oauth.testing = True
    code, output = at_desk.run("auth", "acme")
    assert code == 0
    assert re.search(r"caution: this sign-in ends on \w{3} \d{4}-\d\d-\d\d", output)
    assert "Publish the app" in output


def test_what_rebookd_cannot_do_without_must_be_allowed(at_desk: Desk) -> None:
    """Nothing is kept of such a sign-in."""
    at_desk.google.oauth.grants = frozenset({"https://www.googleapis.com/auth/gmail.send"})
    code, output = at_desk.run("auth", "acme")
    assert code == SIGN_IN_NEEDED
    assert "not allowed to see which calendars you have" in output
    assert not (at_desk.folder / "state.db.tokens").exists()


def test_what_rebookd_can_do_without_may_be_left_out(at_desk: Desk) -> None:
    """It is told what that costs, at the sign-in and by check --online."""
    at_desk.rule("unconfirmed", "notify", "1h before start")
    kept = ("calendar.calendarlist.readonly", "calendar.events.readonly", "gmail.send")
    root = "https://www.googleapis.com/auth/"
    at_desk.google.oauth.grants = frozenset(root + name for name in kept)
    code, output = at_desk.run("auth", "acme")
    assert code == 0, output
    assert "gets along without" in output
    code, output = at_desk.run("check", "--online")
    assert code == 0, output
    assert "it may not read what is replied to your mails" in output


def test_whoever_says_no_is_not_signed_in(at_desk: Desk) -> None:
    """One sentence."""
    at_desk.google.oauth.deny = True
    code, output = at_desk.run("auth", "acme")
    assert code == FAILED
    assert "nothing was changed" in output


@pytest.mark.parametrize(("account", "said"), [("own", "password"), ("acne", "no account is called")])
def test_what_cannot_be_signed_in_to_is_told(at_desk: Desk, account: str, said: str) -> None:
    """Only Google's accounts are signed in to."""
    code, output = at_desk.run("auth", account)
    assert code == FAILED
    assert said in output


def test_a_missing_client_secret_is_told(at_desk: Desk) -> None:
    """With its path."""
    (at_desk.folder / "client_secret.json").unlink()
    code, output = at_desk.run("auth", "acme")
    assert code == SIGN_IN_NEEDED
    assert "client_secret.json cannot be read" in output


def test_online_everything_answers(at_desk: Desk) -> None:
    """Both calendars and the mailbox, each in its line."""
    at_desk.run("auth", "acme")
    code, output = at_desk.run("check", "--online")
    assert code == 0, output
    assert f"✓ acme: {DANA}" in output
    assert f"✓ mail: the mailbox of acme takes mail from {DANA}" in output


def test_online_a_sign_in_is_asked_for_and_the_rest_answers(at_desk: Desk) -> None:
    """Exit code 4, before the first sign-in and after it was revoked."""
    code, output = at_desk.run("check", "--online")
    assert code == SIGN_IN_NEEDED
    assert "✗ acme: Nobody has signed in to acme yet; run: rebookd auth acme" in output
    assert "✓ own" in output
    at_desk.run("auth", "acme")
    at_desk.google.oauth.revoke(DANA)
    code, output = at_desk.run("check", "--online")
    assert code == SIGN_IN_NEEDED
    assert "✗ acme: The sign-in of acme was revoked or has run out" in output
    assert "✓ own" in output


def test_online_a_rule_that_needs_more_asks_for_a_sign_in(at_desk: Desk) -> None:
    """What was not needed at the sign-in is missed as soon as a rule wants it."""
    at_desk.rule("unconfirmed", "notify", "1h before start")
    at_desk.run("auth", "acme")
    at_desk.rule("unconfirmed", "reschedule", "1h before start")
    code, output = at_desk.run("check", "--online")
    assert code == SIGN_IN_NEEDED
    assert "does not allow to read your meetings, move them" in output
    assert "rebookd auth acme" in output


def test_online_an_address_that_gmail_would_replace_is_found_out(at_desk: Desk) -> None:
    """Gmail writes its own From where it does not know the address."""
    at_desk.configure(sender="dana@va.example")
    at_desk.run("auth", "acme")
    code, output = at_desk.run("check", "--online")
    assert code == FAILED
    assert f"Gmail would send as {DANA}, not as dana@va.example" in output
    at_desk.google.mail.box(DANA).aliases.add("dana@va.example")
    assert at_desk.run("check", "--online")[0] == 0


def test_a_google_that_does_not_answer_is_a_matter_of_time(at_desk: Desk) -> None:
    """Exit code 5."""
    at_desk.run("auth", "acme")
    at_desk.google.fail("token", faults.error(503), times=None)
    code, output = at_desk.run("check", "--online")
    assert code == TEMPORARY
    assert "not available just now" in output


def test_the_key_may_lie_elsewhere(at_desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A systemd credential, or where the configuration says; then no file is made."""
    given = at_desk.folder / "given"
    given.mkdir()
    (given / "rebookd-key").write_bytes(new_key())
    with monkeypatch.context() as patch:
        patch.setenv("CREDENTIALS_DIRECTORY", str(given))
        assert at_desk.run("auth", "acme")[0] == 0
        assert at_desk.run("check", "--online")[0] == 0
    assert not (at_desk.folder / "state.db.key").exists()
    code, output = at_desk.run("check", "--online")
    assert code == SIGN_IN_NEEDED
    assert "state.db.key cannot be read" in output
    config = at_desk.folder / "config.yaml"
    config.write_text(config.read_text() + "key: {file: given/rebookd-key}\n")
    assert at_desk.run("check", "--online")[0] == 0


def test_a_service_account_needs_nobody(at_desk: Desk) -> None:
    """It says which scopes an administrator must allow, and tries them."""
    (at_desk.folder / "key.json").write_text(json.dumps(at_desk.google.oauth.service_account(DANA)))
    at_desk.configure(way=f"service_account: {{file: key.json}}, subject: {DANA}")
    code, output = at_desk.run("auth", "acme")
    assert code == 0, output
    assert "https://www.googleapis.com/auth/gmail.send" in output
    assert f"may act for {DANA}" in output
    assert at_desk.run("check", "--online")[0] == 0
    assert not (at_desk.folder / "state.db.tokens").exists()
