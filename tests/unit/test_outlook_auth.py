"""Outlook's tokens through msal against an identity platform on the wire: renewal, refusals, apps."""

from __future__ import annotations

import json
import multiprocessing
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from connectors import outlook_app
from connectors.auth import TokenCache, new_key
from connectors.base import ConnectorError, NeedsLogin, Retryable
from connectors.http import Limits
from connectors.outlook_app import LIMITS, Registration
from connectors.outlook_auth import ByConsent, OutlookTokens, Saved
from connectors.outlook_scopes import scopes_for
from connectors.outlook_signin import Granted, SignIn
from connectors.token_keeper import LOGIN_AGAIN
from tests.support import faults
from tests.support.authority import trusted
from tests.support.fake_entra import App, FakeEntra, fake_entra, refused, unavailable
from tests.support.fake_entra.browser import ended_at

KEY = new_key()
DANA = "dana@initech.example"
WANTED = scopes_for(mail=True)
QUICK = replace(LIMITS, wait_seconds=0.01)
SHORT = replace(QUICK, seconds=0.6)


@pytest.fixture
def entra() -> Iterator[FakeEntra]:
    """An identity platform with one user."""
    with trusted(), fake_entra() as made:
        made.user(DANA)
        yield made


@pytest.fixture
def app(entra: FakeEntra) -> App:
    """The registration of a desktop app."""
    return entra.app()


@pytest.fixture
def cache(tmp_path: Path) -> TokenCache:
    """Where sign-ins are kept."""
    return TokenCache(tmp_path / "tokens", lambda: KEY)


class Elapsed:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        """Now."""
        return self.seconds


def registration(entra: FakeEntra, app: App, **more: str) -> Registration:
    """The same, as the configuration tells it."""
    return Registration(app.client_id, authority=entra.authority, **more)


def signed_in(entra: FakeEntra, app: App, cache: TokenCache) -> Granted:
    """Sign in by hand, as ``rebookd auth initech`` does."""
    attempt = SignIn("initech", registration(entra, app), WANTED, "http://localhost:9")
    granted = attempt.finish(ended_at(attempt.address))
    cache.save("initech", granted.saved.text())
    return granted


def tokens(
    entra: FakeEntra,
    app: App,
    cache: TokenCache,
    elapsed: Elapsed | None = None,
    limits: Limits = QUICK,
    **more: str,
) -> OutlookTokens:
    """Tokens of the account initech."""
    clock = elapsed or Elapsed()
    source = ByConsent(
        "initech", registration(entra, app, **more), WANTED, cache, limits=limits, elapsed=clock
    )
    return OutlookTokens(source, elapsed=clock)


def granted_to(entra: FakeEntra, token: str) -> set[str]:
    """What a token allows, for Dana."""
    grant = entra.grants.valid[token]
    assert grant.user == DANA
    return set(grant.scopes)


def test_a_token_comes_from_the_sign_in_without_a_question(
    entra: FakeEntra, app: App, cache: TokenCache
) -> None:
    """The one that came with the sign-in is still good; another program would take the same."""
    signed_in(entra, app, cache)
    before = entra.count("token")
    first = tokens(entra, app, cache).access_token()
    assert granted_to(entra, first) == {scope.name for scope in WANTED}
    assert tokens(entra, app, cache).access_token() == first
    assert entra.count("token") == before


def test_one_token_serves_until_it_runs_out(entra: FakeEntra, app: App, cache: TokenCache) -> None:
    """Asked for once by many threads; renewed minutes before its end with the rotated refresh token."""
    signed_in(entra, app, cache)
    entra.lifetime = timedelta(minutes=7)
    elapsed = Elapsed()
    held = tokens(entra, app, cache, elapsed)
    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.append(held.access_token())) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(5)
    assert len(found) == 6
    assert len(set(found)) == 1
    held.forget(found[0])
    second = held.access_token()
    assert second != found[0]
    elapsed.seconds += 115
    assert held.access_token() == second
    elapsed.seconds += 10
    held.access_token()
    assert len(entra.refreshes) == 1


def test_a_token_that_was_not_taken_is_not_given_again(entra: FakeEntra, app: App, cache: TokenCache) -> None:
    """Even where msal remembers it as good; forgetting another one changes nothing."""
    signed_in(entra, app, cache)
    held = tokens(entra, app, cache)
    first = held.access_token()
    held.forget("another one")
    assert held.access_token() == first
    held.forget(first)
    assert held.access_token() != first


def test_refresh_tokens_that_rotate_are_never_lost(entra: FakeEntra, app: App, cache: TokenCache) -> None:
    """Each works once, and the next one lies in the cache, sealed, before the token is used."""
    entra.lifetime = timedelta(minutes=2)
    signed_in(entra, app, cache)
    for _ in range(4):
        held = tokens(entra, app, cache)
        assert held.access_token() != held.access_token()
    saved = Saved.read(cache.load("initech"))
    assert saved is not None
    assert next(iter(entra.refreshes)) in saved.tokens
    assert len(entra.refreshes) == 1


def _renew(client_id: str, authority: str, folder: Path, gate: object) -> None:
    cache = TokenCache(folder, lambda: KEY)
    source = ByConsent("initech", Registration(client_id, authority=authority), WANTED, cache)
    held = OutlookTokens(source)
    gate.wait(10)  # type: ignore[attr-defined]
    for _ in range(3):
        held.forget(held.access_token())


def test_two_programs_that_renew_at_once_lose_nothing(
    entra: FakeEntra, app: App, cache: TokenCache, tmp_path: Path
) -> None:
    """Three processes renew several times: no refresh token is used twice, and the last one is kept."""
    entra.lifetime = timedelta(minutes=2)
    signed_in(entra, app, cache)
    context = multiprocessing.get_context("fork")
    gate = context.Barrier(3)
    programs = [
        context.Process(target=_renew, args=(app.client_id, entra.authority, tmp_path / "tokens", gate))
        for _ in range(3)
    ]
    for program in programs:
        program.start()
    for program in programs:
        program.join(20)
    assert [program.exitcode for program in programs] == [0, 0, 0]
    asked = [parse_qs(each.body.decode()) for each in entra.requests if each.route == "token"]
    used = [each["refresh_token"][0] for each in asked if "refresh_token" in each]
    assert len(used) >= 8
    assert len(set(used)) == len(used)
    assert tokens(entra, app, cache).access_token()


def test_only_what_was_allowed_is_asked_for_again(entra: FakeEntra, app: App, cache: TokenCache) -> None:
    """A rule that wants more by now does not break the sign-in; the full names of scopes are as good."""
    entra.prefix = "https://graph.microsoft.com/"
    signed_in(entra, app, cache)
    clock = Elapsed()
    more = scopes_for(writes=True, drafts=True, attendance=True)
    source = ByConsent("initech", registration(entra, app), more, cache, elapsed=clock)
    held = OutlookTokens(source, elapsed=clock)
    held.forget(held.access_token())
    assert granted_to(entra, held.access_token()) == {scope.name for scope in WANTED}


def test_a_token_near_its_end_serves_where_it_cannot_be_renewed(
    entra: FakeEntra, app: App, cache: TokenCache
) -> None:
    """Where the platform is away just then, the old one serves, and no longer than it lasts."""
    entra.lifetime = timedelta(minutes=2)
    signed_in(entra, app, cache)
    elapsed = Elapsed()
    held = tokens(entra, app, cache, elapsed)
    first = held.access_token()
    entra.fail("token", unavailable(503), times=None)
    assert held.access_token() == first
    elapsed.seconds = 115
    with pytest.raises(Retryable):
        held.access_token()
    entra.faults.clear()
    assert held.access_token() != first


def test_nobody_signed_in_yet(entra: FakeEntra, app: App, cache: TokenCache) -> None:
    """It says what to run, asks nobody, and looks again at once after that was done."""
    held = tokens(entra, app, cache)
    with pytest.raises(NeedsLogin, match="Nobody has signed in to initech yet; run: rebookd auth initech"):
        held.access_token()
    assert not entra.requests
    signed_in(entra, app, cache)
    assert held.access_token()


@pytest.mark.parametrize("text", ["", "null", "[1]", '{"scopes": 1}', '{"scopes": [], "tokens": "x"}'])
def test_what_is_no_sign_in_counts_as_none(entra: FakeEntra, app: App, cache: TokenCache, text: str) -> None:
    """Such as a Google account's, where the account was one before."""
    cache.save("initech", text)
    with pytest.raises(NeedsLogin, match="Nobody has signed in"):
        tokens(entra, app, cache).access_token()


def test_a_revoked_sign_in_is_tried_once_an_hour(entra: FakeEntra, app: App, cache: TokenCache) -> None:
    """Whoever asks in between is told the same without a request; a new sign-in counts at once."""
    entra.lifetime = timedelta(minutes=2)
    signed_in(entra, app, cache)
    elapsed = Elapsed()
    held = tokens(entra, app, cache, elapsed)
    entra.kill(DANA, 700082)
    elapsed.seconds = 1000
    before = len(entra.requests)
    told = "revoked or has run out \\(AADSTS700082\\); run: rebookd auth initech$"
    for _ in range(5):
        with pytest.raises(NeedsLogin, match=told):
            held.access_token()
    asked = len(entra.requests) - before
    assert asked == 2  # where to ask, and the question
    elapsed.seconds += LOGIN_AGAIN + 1
    with pytest.raises(NeedsLogin):
        held.access_token()
    assert len(entra.requests) - before == 2 * asked
    signed_in(entra, app, cache)
    assert held.access_token()


def test_another_app_or_authority_needs_another_sign_in(
    entra: FakeEntra, app: App, cache: TokenCache
) -> None:
    """A refresh token belongs to its app; nobody is even asked."""
    signed_in(entra, app, cache)
    before = len(entra.requests)
    with pytest.raises(NeedsLogin, match="another client_id; run: rebookd auth initech"):
        tokens(entra, entra.app(), cache).access_token()
    other = Registration(app.client_id, authority="https://login.microsoftonline.us")
    with pytest.raises(NeedsLogin, match="another authority"):
        OutlookTokens(ByConsent("initech", other, WANTED, cache)).access_token()
    assert len(entra.requests) == before


def test_another_tenant_keeps_the_sign_in(entra: FakeEntra, app: App, cache: TokenCache) -> None:
    """Narrowing common to the organisation's own tenant asks nobody to sign in anew."""
    signed_in(entra, app, cache)
    assert tokens(entra, app, cache, tenant="initech.example").access_token()


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (unavailable(500), "internal problem"),
        (unavailable(503), "not available just now"),
        (unavailable(503, retry_after=30), "slow down"),
        (unavailable(429, retry_after=30), "slow down"),
        (faults.html(), "not whole"),
        (faults.answer(200, b'"x"', {"Content-Type": "application/json"}), "not whole"),
        (faults.answer(200, b"{}", {"Content-Type": "application/json"}), "not whole|not what it should be"),
        (faults.answer(200, b'{"access_token": 1}'), "not whole|not what it should be"),
        (faults.answer(400, b'{"message": "hunter2"}'), "not whole"),
        (faults.answer(204), "not whole"),
        (faults.truncated(), "not whole"),
        (faults.cut_off(), "broke off"),
        (faults.dropped(kept=False), "cannot be reached"),
        (faults.slow(0.05), "did not answer within 0.\\d seconds"),
        (refused(90033), "just now \\(AADSTS90033\\)"),
        (refused(50196), "just now"),
        (refused(1, error="temporarily_unavailable"), "just now"),
    ],
)
@pytest.mark.parametrize("route", ["token", "configuration"])
def test_a_platform_in_trouble_is_asked_again_later(
    entra: FakeEntra, app: App, cache: TokenCache, *, fault: faults.Effect, said: str, route: str
) -> None:
    """None of it asks the owner for a sign-in, nor costs more than the time for all of it."""
    entra.rotates = False  # as at Microsoft, where the one before is still taken for a while
    entra.lifetime = timedelta(minutes=2)
    signed_in(entra, app, cache)
    entra.fail(route, fault, times=None)
    held = tokens(entra, app, cache, limits=SHORT if "did not answer" in said else QUICK)
    with pytest.raises(Retryable, match=said):
        held.access_token()
    entra.faults.clear()
    assert tokens(entra, app, cache).access_token()


def test_how_long_to_wait_is_told(entra: FakeEntra, app: App, cache: TokenCache) -> None:
    """As the platform said; after it took us for a loop, five minutes."""
    entra.lifetime = timedelta(minutes=2)
    signed_in(entra, app, cache)
    entra.fail("token", unavailable(429, retry_after=30))
    entra.fail("token", refused(50196))
    waits = []
    for _ in range(2):
        with pytest.raises(Retryable) as told:
            tokens(entra, app, cache).access_token()
        waits.append(told.value.retry_after)
    assert waits == [30, 300]


@pytest.mark.parametrize(
    "fault",
    [
        faults.gzip_bomb(4),
        faults.endless(),
        faults.redirect("https://elsewhere.example/token"),
        faults.redirect("/common/oauth2/v2.0/token"),
    ],
)
@pytest.mark.parametrize("route", ["token", "configuration"])
def test_an_endless_answer_and_a_redirect_are_not_followed(
    entra: FakeEntra, app: App, cache: TokenCache, fault: faults.Effect, route: str
) -> None:
    """The size is limited, and secrets go nowhere else."""
    entra.lifetime = timedelta(minutes=2)
    signed_in(entra, app, cache)
    entra.fail(route, fault)
    with pytest.raises(ConnectorError) as told:
        tokens(entra, app, cache).access_token()
    assert not isinstance(told.value, NeedsLogin)


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("https://elsewhere.example/token", "elsewhere.example is not the host in the configuration"),
        ("http://127.0.0.1:9/token", "not what it should be"),
    ],
)
def test_tokens_are_asked_for_at_the_configured_host_alone(
    entra: FakeEntra, app: App, cache: TokenCache, where: str, said: str
) -> None:
    """Whatever its own document says of where to ask."""
    entra.lifetime = timedelta(minutes=2)
    signed_in(entra, app, cache)
    endpoints = ("authorization_endpoint", "token_endpoint", "device_authorization_endpoint")
    path = "/common/oauth2/v2.0/token"
    body = json.dumps(dict.fromkeys(endpoints, f"{where.removesuffix('/token')}{path}"))
    entra.fail("configuration", faults.answer(200, body.encode()))
    with pytest.raises(ConnectorError, match=said):
        tokens(entra, app, cache).access_token()


def test_only_microsofts_own_host_is_asked_which_hosts_are_its(
    entra: FakeEntra, app: App, cache: TokenCache
) -> None:
    """Instance discovery is off for any other authority, whatever comes of a renewal."""
    entra.lifetime = timedelta(minutes=2)
    signed_in(entra, app, cache)
    tokens(entra, app, cache).access_token()
    entra.kill(DANA)
    with pytest.raises(NeedsLogin):
        tokens(entra, app, cache).access_token()
    assert entra.count("discovery") == 0
    assert {urlsplit(f"https://x{each.path}").path.split("/")[1] for each in entra.requests} == {"common"}


def test_microsofts_own_host_is_asked_about_itself_alone(
    entra: FakeEntra, app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the default authority instance discovery is on, and still no other host is asked."""
    monkeypatch.setattr(outlook_app, "AUTHORITY", entra.authority)
    with pytest.raises(ConnectorError, match=r"login\.microsoftonline\.com is not the host"):
        SignIn("initech", registration(entra, app), WANTED, "http://localhost:9")
    assert not entra.requests


def test_no_token_is_ever_logged(
    entra: FakeEntra, app: App, cache: TokenCache, caplog: pytest.LogCaptureFixture
) -> None:
    """Not even in the library's finest details, nor in what is shown of our own objects."""
    caplog.set_level("DEBUG")
    entra.lifetime = timedelta(minutes=2)
    granted = signed_in(entra, app, cache)
    tokens(entra, app, cache).access_token()
    entra.fail("token", faults.truncated())
    with pytest.raises(Retryable) as told:
        tokens(entra, app, cache).access_token()
    assert told.value.__cause__ is None or "token-" not in str(told.value.__cause__)
    secrets = [*entra.grants.valid, *entra.refreshes]
    shown = caplog.text + repr(granted) + repr(granted.saved) + str(told.value)
    assert secrets
    assert not [each for each in secrets if each in shown]
