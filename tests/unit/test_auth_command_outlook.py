"""``rebookd auth`` for Outlook accounts, against an identity platform on the wire."""

from __future__ import annotations

import re
import stat
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from connectors.base import NeedsLogin
from daemon import wiring
from daemon.config.settings import load
from daemon.exits import FAILED, SIGN_IN_NEEDED, TEMPORARY
from tests.support import faults
from tests.support.fake_entra import App, app_certificate, refused, unavailable
from tests.support.fake_entra.desk import DANA, OutlookDesk, outlook_desk

NEEDED = ["User.Read", "Calendars.ReadWrite", "Mail.Send"]
REST = ["MailboxSettings.Read", "OnlineMeetings.Read", "OnlineMeetingArtifact.Read.All", "Mail.Read"]


@pytest.fixture
def at_desk(tmp_path: Path) -> Iterator[OutlookDesk]:
    """Dana at her desk."""
    with outlook_desk(tmp_path) as made:
        yield made


def asked_for(output: str) -> list[str]:
    """The scopes that were asked for, in their order."""
    return re.findall(r"\((\w+\.[\w.]+)\)", output)


def secrets_of(at_desk: OutlookDesk) -> list[str]:
    """Everything that nobody may see."""
    return [*at_desk.entra.grants.valid, *at_desk.entra.refreshes]


def test_signing_in_keeps_what_it_got_and_prints_none_of_it(at_desk: OutlookDesk) -> None:
    """What cannot be done without first, the rest in a second question to the same user; all sealed."""
    code, output = at_desk.run("auth", "acme")
    assert code == 0, output
    assert f"acme is signed in as {DANA}" in output
    assert asked_for(output) == [*NEEDED, *REST]
    assert "The rest may be left out" in output
    assert "acme: the rest is allowed, too" in output
    assert "gets along without" not in output
    assert "acme: Calendar" in output
    first, second = (parse_qs(urlsplit(each).query) for each in at_desk.opened)
    assert set(NEEDED) <= set(first["scope"][0].split())
    assert not set(REST) & set(first["scope"][0].split())
    assert first["prompt"] == ["select_account"]
    assert set(NEEDED + REST) <= set(second["scope"][0].split())
    assert second["login_hint"] == [DANA]
    assert first["redirect_uri"][0].startswith("http://localhost:")
    assert not [each for each in secrets_of(at_desk) if each in output]
    for name in ("state.db.key", "state.db.tokens/acme.token"):
        assert stat.S_IMODE((at_desk.folder / name).stat().st_mode) == 0o600
    kept = b"".join(each.read_bytes() for each in at_desk.folder.rglob("*") if each.is_file())
    assert not [each for each in secrets_of(at_desk) if each.encode() in kept]


def test_no_more_is_asked_for_than_the_rules_need(at_desk: OutlookDesk) -> None:
    """Who only tells me needs no right to change anything, nor to see who came."""
    at_desk.rule("unconfirmed", "notify", "1h before start")
    assert asked_for(at_desk.run("auth", "acme")[1]) == [
        "User.Read",
        "Calendars.Read",
        "Mail.Send",
        "MailboxSettings.Read",
        "Mail.Read",
    ]
    at_desk.rule("missed", "reschedule", "1h after end", mode="draft")
    assert asked_for(at_desk.run("auth", "acme")[1]) == [
        *NEEDED,
        "Mail.ReadWrite",
        "OnlineMeetings.Read",
        "OnlineMeetingArtifact.Read.All",
    ]


def test_what_was_allowed_before_is_not_asked_for_again(at_desk: OutlookDesk) -> None:
    """The second sign-in is one question."""
    at_desk.run("auth", "acme")
    code, output = at_desk.run("auth", "acme")
    assert code == 0, output
    assert len(at_desk.opened) == 1


def test_a_browser_elsewhere_is_pasted_from(at_desk: OutlookDesk) -> None:
    """The address it ended at, at http://localhost."""
    code, output = at_desk.run("auth", "acme", elsewhere=True)
    assert code == 0, output
    assert "begins with http://localhost:" in output
    assert "acme is signed in" in output


def test_a_code_is_entered_elsewhere(at_desk: OutlookDesk) -> None:
    """--device needs no browser here: an address, a code, how long it lasts; a second one for the rest."""
    code, output = at_desk.run("auth", "acme", "--device")
    assert code == 0, output
    assert len(at_desk.opened) == 2
    assert "https://microsoft.com/devicelogin" in output
    assert "within 15 minutes" in output
    assert "acme: the rest is allowed, too" in output
    assert at_desk.entra.count("authorize") == 0
    assert not [each for each in secrets_of(at_desk) if each in output]
    assert not [device for device in at_desk.entra.devices if device in output]


def test_the_rest_may_be_declined(at_desk: OutlookDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first answer counts; it is told what that costs."""

    def decline(count: int) -> None:
        at_desk.entra.declines = count == 2

    monkeypatch.setattr(at_desk, "before", decline)
    code, output = at_desk.run("auth", "acme")
    assert code == 0, output
    assert "It stays at that." in output
    assert output.count("gets along without it") == len(REST)
    assert "acme: Calendar" in output
    settings = load(at_desk.folder / "config.yaml")
    assert len(wiring.lacks(settings, "acme")) == len(REST)


@pytest.mark.parametrize("device", [(), ("--device",)])
def test_the_rest_may_be_broken_off(
    at_desk: OutlookDesk, monkeypatch: pytest.MonkeyPatch, device: tuple[str, ...]
) -> None:
    """Ctrl-C at the second question leaves it at the first."""

    def interrupt(count: int) -> None:
        if count == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(at_desk, "before", interrupt)
    code, output = at_desk.run("auth", "acme", *device)
    assert code == 0, output
    assert output.count("gets along without it") == len(REST)


def test_somebody_else_at_the_second_question_changes_nothing(
    at_desk: OutlookDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sign-in stays that of whoever came first."""

    def swap(count: int) -> None:
        if count == 2:
            at_desk.entra.signs_in = at_desk.entra.user("bo@initech.example")

    monkeypatch.setattr(at_desk, "before", swap)
    code, output = at_desk.run("auth", "acme")
    assert code == 0, output
    assert "That was bo@initech.example, who is somebody else" in output
    assert output.count("gets along without it") == len(REST)


def test_an_administrator_may_have_to_approve_the_rest(at_desk: OutlookDesk) -> None:
    """Then everything else works, and the link says where to approve all of it."""
    at_desk.entra.needs_admin = frozenset({"OnlineMeetingArtifact.Read.All"})
    code, output = at_desk.run("auth", "acme")
    assert code == 0, output
    links = re.findall(r"https://\S+/organizations/v2\.0/adminconsent\?\S+", output)
    assert links
    for link in links:
        assert (
            "https://graph.microsoft.com/OnlineMeetingArtifact.Read.All"
            in parse_qs(urlsplit(link).query)["scope"][0].split()
        )


def test_an_approval_that_came_later_is_found(at_desk: OutlookDesk) -> None:
    """Signing in again asks once, and lacks nothing."""
    at_desk.entra.needs_admin = frozenset(REST)
    at_desk.run("auth", "acme")
    at_desk.entra.allow(at_desk.entra.users[DANA], at_desk.app, *REST)
    assert at_desk.run("auth", "acme")[0] == 0
    assert len(at_desk.opened) == 1
    assert wiring.lacks(load(at_desk.folder / "config.yaml"), "acme") == []


@pytest.mark.parametrize("tenant", ["common", "consumers"])
def test_a_personal_account_signs_in_without_records_of_calls(at_desk: OutlookDesk, tenant: str) -> None:
    """It is told once, is never asked for what it cannot have, and lacks nothing."""
    at_desk.entra.signs_in = at_desk.entra.user("dana@outlook.example", personal=True)
    at_desk.configure(f"tenant: {tenant}")
    code, output = at_desk.run("auth", "acme")
    assert code == 0, output
    assert "is a personal account, so rebookd cannot see who joined its Teams calls" in output
    assert asked_for(output) == [*NEEDED, "MailboxSettings.Read", "Mail.Read"]
    assert "gets along without" not in output
    assert ("adminconsent" in output) == (tenant == "common")
    assert wiring.lacks(load(at_desk.folder / "config.yaml"), "acme") == []


def test_what_rebookd_cannot_do_without_must_be_allowed(at_desk: OutlookDesk) -> None:
    """Nothing is kept of such a sign-in."""
    at_desk.entra.ignores = frozenset({"Mail.Send"})
    code, output = at_desk.run("auth", "acme")
    assert code == SIGN_IN_NEEDED
    assert "was not signed in: rebookd was not allowed to send your mails" in output
    assert not (at_desk.folder / "state.db.tokens").exists()


def test_whoever_says_no_is_not_signed_in(at_desk: OutlookDesk) -> None:
    """One sentence, and what may have been the reason."""
    at_desk.entra.declines = True
    code, output = at_desk.run("auth", "acme")
    assert code == FAILED
    assert "nothing was changed. If an administrator must approve it" in output
    assert not (at_desk.folder / "state.db.tokens").exists()


def test_an_app_of_one_tenant_says_what_to_configure(at_desk: OutlookDesk) -> None:
    """Instead of a number."""
    at_desk.entra.fail("authorize", refused(50194, error="invalid_request"))
    code, output = at_desk.run("auth", "acme")
    assert code == FAILED
    assert "set tenant to your organisation's id or domain" in output


def test_a_platform_that_does_not_answer_is_a_matter_of_time(at_desk: OutlookDesk) -> None:
    """Exit code 5."""
    at_desk.entra.fail("configuration", unavailable(503), times=None)
    code, output = at_desk.run("auth", "acme")
    assert code == TEMPORARY
    assert "not available just now" in output


def test_a_rule_that_needs_more_asks_for_a_sign_in(at_desk: OutlookDesk) -> None:
    """What was not needed at the sign-in is missed as soon as a rule wants it."""
    at_desk.rule("unconfirmed", "notify", "1h before start")
    at_desk.run("auth", "acme")
    at_desk.rule("unconfirmed", "reschedule", "1h before start")
    with pytest.raises(NeedsLogin, match=r"does not allow to .*move them .*Run: rebookd auth acme"):
        wiring.lacks(load(at_desk.folder / "config.yaml"), "acme")


ROLES = frozenset({"Calendars.ReadWrite", "MailboxSettings.Read"})
"""What an administrator granted the app."""


def own_app(at_desk: OutlookDesk, way: str) -> App:
    """An app that signs in for itself, configured in one of two ways."""
    key, certificate = app_certificate()
    if way == "certificate":
        (at_desk.folder / "app").write_text(key + certificate)
        at_desk.app = at_desk.entra.app(public=False, certificate=certificate, roles=ROLES)
    else:
        (at_desk.folder / "app").write_text("hunter2\n")
        at_desk.app = at_desk.entra.app(public=False, secret="hunter2", roles=ROLES)
    at_desk.configure(f"{way}: {{file: app}}, user: {DANA}, tenant: initech.example")
    return at_desk.app


@pytest.mark.parametrize("way", ["client_secret", "certificate"])
def test_an_app_that_signs_in_for_itself_needs_nobody(at_desk: OutlookDesk, way: str) -> None:
    """It says which permissions an administrator must have granted, by their own names, and tries it."""
    own_app(at_desk, way)
    code, output = at_desk.run("auth", "acme")
    assert code == 0, output
    assert "nobody else does" in output
    assert "OnlineMeetings.Read.All  to find your Teams calls - may be left out" in output
    assert "User.Read" not in output
    assert f"application access policy for the app and {DANA}" in output
    assert f"the app is signed in, for the mailbox of {DANA}" in output
    assert "acme: Calendar" in output
    assert not (at_desk.folder / "state.db.tokens").exists()
    assert not [each for each in (*secrets_of(at_desk), "hunter2", "PRIVATE") if each in output]
    assert wiring.lacks(load(at_desk.folder / "config.yaml"), "acme") == []


def test_a_secret_that_is_not_there_is_told(at_desk: OutlookDesk) -> None:
    """With its path; and one that is wrong with where the right one is."""
    own_app(at_desk, "client_secret")
    (at_desk.folder / "app").write_text("wrong")
    code, output = at_desk.run("auth", "acme")
    assert code == SIGN_IN_NEEDED
    assert "take the secret's value" in output
    (at_desk.folder / "app").unlink()
    code, output = at_desk.run("auth", "acme")
    assert code == SIGN_IN_NEEDED
    assert "app cannot be read" in output


def test_a_sign_in_under_another_key_is_told(at_desk: OutlookDesk) -> None:
    """As for every account."""
    at_desk.run("auth", "acme")
    (at_desk.folder / "state.db.key").unlink()
    settings = load(at_desk.folder / "config.yaml")
    with pytest.raises(NeedsLogin, match="cannot be read"):
        wiring.lacks(settings, "acme")


def test_a_page_for_people_is_no_sign_in(at_desk: OutlookDesk) -> None:
    """A portal between us and Microsoft is a matter of time."""
    at_desk.entra.fail("token", faults.html(), times=None)
    code, output = at_desk.run("auth", "acme")
    assert code == TEMPORARY
    assert "not whole" in output
