"""Google's sign-in against a Google on the wire: consent with PKCE, tokens that stay fresh, refusals."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from connectors.auth import TokenCache, new_key
from connectors.base import ConnectorError, NeedsLogin, Rejected, Retryable
from connectors.google_auth import LIMITS, ByConsent, ByKey, Client, GoogleTokens
from connectors.google_scopes import missing, scopes_for
from connectors.google_signin import Granted, SignIn
from connectors.http import Limits
from connectors.loopback import Loopback
from connectors.token_keeper import LOGIN_AGAIN
from tests.support.fake_google import FakeGoogle, fake_google, faults

KEY = new_key()
DANA = "dana@acme.example"


@pytest.fixture
def google() -> Iterator[FakeGoogle]:
    """A Google with one user."""
    with fake_google() as made:
        made.user(DANA)
        yield made


@pytest.fixture
def cache(tmp_path: Path) -> TokenCache:
    """Where sign-ins are kept."""
    return TokenCache(tmp_path / "tokens", lambda: KEY)


def client_secret(google: FakeGoogle) -> str:
    """The console's file."""
    return json.dumps(google.oauth.client_secret())


def ended_at(address: str) -> str:
    """Where the browser ends, having opened an address."""
    answer = requests.get(address, allow_redirects=False, timeout=5)
    assert answer.status_code == 302, answer.text
    return answer.headers["Location"]


def signed_in(google: FakeGoogle, cache: TokenCache) -> Granted:
    """Sign in by hand, as ``rebookd auth acme`` does."""
    attempt = SignIn(Client.read(client_secret(google)), scopes_for(mail=True), "http://127.0.0.1:9/")
    granted = attempt.finish(ended_at(attempt.address))
    cache.save("acme", granted.value)
    return granted


class Elapsed:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        """Now."""
        return self.seconds


def tokens(google: FakeGoogle, cache: TokenCache, elapsed: Elapsed | None = None) -> GoogleTokens:
    """Tokens of the account acme."""
    source = ByConsent("acme", lambda: client_secret(google), cache)
    return GoogleTokens(source, elapsed=elapsed or Elapsed())


def test_signing_in_asks_for_what_is_needed_and_proves_itself(google: FakeGoogle, cache: TokenCache) -> None:
    """State, PKCE with SHA-256, a lasting sign-in, and no secret in the address."""
    attempt = SignIn(Client.read(client_secret(google)), scopes_for(), "http://127.0.0.1:9/", hint=DANA)
    asked = {name: values[0] for name, values in parse_qs(urlsplit(attempt.address).query).items()}
    assert asked["code_challenge_method"] == "S256"
    assert asked["access_type"] == "offline"
    assert asked["login_hint"] == DANA
    assert asked["scope"].split() == [scope.url for scope in scopes_for()]
    assert "client_secret" not in asked
    granted = attempt.finish(ended_at(attempt.address))
    assert granted.scopes == {scope.url for scope in scopes_for()}
    assert granted.expires_in is None
    assert "1//" not in repr(granted)


def test_two_attempts_share_nothing(google: FakeGoogle) -> None:
    """One attempt's answer is worth nothing to another: neither its state nor its code."""
    client = Client.read(client_secret(google))
    one, two = (SignIn(client, scopes_for(), "http://127.0.0.1:9/") for _ in range(2))
    answer = ended_at(one.address)
    assert not two.is_answer(answer)
    with pytest.raises(ConnectorError, match="does not belong"):
        two.finish(answer)
    stolen = answer.replace(parse_qs(urlsplit(one.address).query)["state"][0], two._state)
    with pytest.raises(Rejected, match="invalid_grant"):
        two.finish(stolen)


def test_saying_no_is_no_failure_of_google(google: FakeGoogle) -> None:
    """The owner said no; nothing changed."""
    google.oauth.deny = True
    attempt = SignIn(Client.read(client_secret(google)), scopes_for(), "http://127.0.0.1:9/")
    with pytest.raises(Rejected, match="not allowed"):
        attempt.finish(ended_at(attempt.address))


def test_an_app_in_testing_says_how_long_it_lasts(google: FakeGoogle, cache: TokenCache) -> None:
    """Seven days, as the token endpoint says."""
    google.oauth.testing = True
    granted = signed_in(google, cache)
    assert granted.expires_in is not None
    assert timedelta(days=6) < timedelta(seconds=granted.expires_in) <= timedelta(days=7)


def test_what_was_not_ticked_is_known(google: FakeGoogle, cache: TokenCache) -> None:
    """Only what was granted counts as granted; a wider permission counts for a narrower one."""
    wanted = scopes_for(mail=True)
    google.oauth.grants = frozenset(scope.url for scope in wanted if scope.name != "gmail.readonly")
    granted = signed_in(google, cache)
    assert [scope.name for scope in missing(wanted, granted.scopes)] == ["gmail.readonly"]
    wider = {scope.url for scope in scopes_for(writes=True, drafts=True)}
    assert missing(wanted, wider) == []


def test_the_browser_on_this_machine_is_heard(google: FakeGoogle) -> None:
    """The loopback takes the answer, ignores other requests, and shows a page without the code in it."""
    loopback = Loopback()
    attempt = SignIn(Client.read(client_secret(google)), scopes_for(), loopback.address)
    pages = []

    def browse() -> None:
        pages.append(requests.get(loopback.address + "favicon.ico", timeout=5))
        pages.append(requests.get(loopback.address + "?state=wrong&code=x", timeout=5))
        pages.append(requests.get(attempt.address, timeout=5))

    browser = threading.Thread(target=browse)
    browser.start()
    found = loopback.wait(attempt.is_answer, patience=10)
    browser.join(5)
    loopback.close()
    assert attempt.finish(found).scopes
    assert [page.status_code for page in pages] == [404, 200, 200]
    assert "4/0A" not in pages[2].text
    assert pages[2].headers["Referrer-Policy"] == "no-referrer"


def test_the_address_can_be_pasted(google: FakeGoogle) -> None:
    """Where the browser is elsewhere, its last address is a line; other lines do nothing."""
    loopback = Loopback()
    attempt = SignIn(Client.read(client_secret(google)), scopes_for(), loopback.address)
    pasted = io.StringIO(f"what?\n{ended_at(attempt.address)}\n")
    assert attempt.finish(loopback.wait(attempt.is_answer, pasted, patience=5)).scopes
    with pytest.raises(ConnectorError, match="Nobody signed in"):
        loopback.wait(attempt.is_answer, io.StringIO(""), patience=0.05)
    loopback.close()


def test_one_token_serves_until_it_runs_out(google: FakeGoogle, cache: TokenCache) -> None:
    """Asked for once by many threads; renewed before its end; given up when Google did not take it."""
    signed_in(google, cache)
    held = tokens(google, cache)
    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.append(held.access_token())) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(5)
    assert len(set(found)) == 1
    assert len(found) == 6
    assert google.count("token") == 2  # the sign-in, and one refresh
    held.forget("another one")
    assert held.access_token() == found[0]
    held.forget(found[0])
    assert held.access_token() != found[0]


def test_a_token_near_its_end_is_renewed_and_serves_where_it_cannot_be(
    google: FakeGoogle, cache: TokenCache
) -> None:
    """Renewed minutes before; where the endpoint is away just then, the old one serves to its end."""
    signed_in(google, cache)
    google.oauth.lifetime = timedelta(minutes=2)
    held = tokens(google, cache)
    first = held.access_token()
    google.fail("token", faults.error(503), times=1)
    assert held.access_token() == first
    assert held.access_token() != first


def test_nobody_signed_in_yet(google: FakeGoogle, cache: TokenCache) -> None:
    """It says what to run, and looks again at once after that was done."""
    held = tokens(google, cache)
    with pytest.raises(NeedsLogin, match="run: rebookd auth acme"):
        held.access_token()
    signed_in(google, cache)
    assert held.access_token()


def test_a_revoked_sign_in_is_tried_once_an_hour(google: FakeGoogle, cache: TokenCache) -> None:
    """Whoever asks in between is told the same without a request; a new sign-in counts at once."""
    signed_in(google, cache)
    elapsed = Elapsed()
    held = tokens(google, cache, elapsed)
    google.oauth.revoke(DANA)
    before = google.count("token")
    for _ in range(5):
        with pytest.raises(NeedsLogin, match="revoked or has run out; run: rebookd auth acme"):
            held.access_token()
    assert google.count("token") == before + 1
    elapsed.seconds = LOGIN_AGAIN + 1
    with pytest.raises(NeedsLogin):
        held.access_token()
    assert google.count("token") == before + 2
    signed_in(google, cache)
    assert held.access_token()


def test_another_client_secret_needs_another_sign_in(google: FakeGoogle, cache: TokenCache) -> None:
    """A refresh token belongs to its client; Google is not even asked."""
    signed_in(google, cache)
    other = google.oauth.client_secret()
    other["installed"]["client_id"] = "other"
    held = GoogleTokens(ByConsent("acme", lambda: json.dumps(other), cache))
    before = google.count("token")
    with pytest.raises(NeedsLogin, match="another client_secret"):
        held.access_token()
    assert google.count("token") == before


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (faults.error(500), "internal problem"),
        (faults.error(503, retry_after=30), "slow down"),
        (faults.error(429), "slow down"),
        (faults.html(), "not whole"),
        (faults.truncated(), "not whole"),
        (faults.cut_off(), "broke off"),
        (faults.dropped(kept=False), "cannot be reached"),
        (faults.slow(0.05), "did not answer within"),
    ],
)
def test_a_token_endpoint_in_trouble_is_asked_again_later(
    google: FakeGoogle, cache: TokenCache, fault: faults.Effect, said: str
) -> None:
    """None of it asks the owner for a sign-in."""
    signed_in(google, cache)
    google.fail("token", fault)
    source = ByConsent("acme", lambda: client_secret(google), cache)
    held = GoogleTokens(source, limits=Limits(seconds=0.5, body_bytes=LIMITS.body_bytes, redirects=0))
    with pytest.raises(Retryable, match=said):
        held.access_token()
    assert held.access_token()


def test_an_endless_answer_and_a_redirect_are_not_followed(google: FakeGoogle, cache: TokenCache) -> None:
    """The size is limited, and secrets go nowhere else."""
    signed_in(google, cache)
    google.fail("token", faults.gzip_bomb(4))
    google.fail("token", faults.redirect("https://elsewhere.example/token"))
    for _ in range(2):
        with pytest.raises(ConnectorError):
            tokens(google, cache).access_token()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "not JSON"),
        ("[1]", "not JSON"),
        ('{"web": {}}', "a web app's"),
        ('{"type": "service_account", "private_key": "x"}', "a service account's"),
        ('{"installed": {"client_id": "x"}}', "lacks"),
        (
            '{"installed": {"client_id": "x", "client_secret": "y", "token_uri": "http://x.example/"}}',
            "https",
        ),
    ],
)
def test_a_file_that_is_something_else_is_told(text: str, said: str) -> None:
    """What it is, and what it should be."""
    with pytest.raises(NeedsLogin, match=said):
        Client.read(text)


def by_key(google: FakeGoogle, key: dict[str, object], subject: str = DANA) -> GoogleTokens:
    """Tokens of a service account."""
    source = ByKey("acme", lambda: json.dumps(key), subject, scopes_for(mail=True))
    return GoogleTokens(source, elapsed=Elapsed())


def test_a_service_account_acts_for_its_subject(google: FakeGoogle) -> None:
    """With the scopes the configuration needs, and nobody signs in."""
    held = by_key(google, google.oauth.service_account(DANA))
    grant = google.oauth.access[held.access_token()]
    assert grant.user == DANA
    assert grant.scopes == tuple(scope.url for scope in scopes_for(mail=True))


def test_a_service_account_gets_along_without_what_is_optional(google: FakeGoogle) -> None:
    """An administrator may leave out the reading of mail."""
    allowed = frozenset(scope.url for scope in scopes_for(mail=True) if not scope.optional)
    held = by_key(google, google.oauth.service_account(DANA, scopes=allowed))
    assert google.oauth.access[held.access_token()].scopes == tuple(
        scope.url for scope in scopes_for(mail=True) if not scope.optional
    )
    assert google.count("token") == 2


def test_a_service_account_without_delegation_says_what_to_ask_for(google: FakeGoogle) -> None:
    """The scopes are named, ready to be pasted."""
    held = by_key(google, google.oauth.service_account("bo@acme.example"))
    with pytest.raises(NeedsLogin, match="domain-wide: https://"):
        held.access_token()
    before = google.count("token")
    with pytest.raises(NeedsLogin, match="delegate"):
        held.access_token()
    assert google.count("token") == before


def test_a_broken_key_is_told_without_it(google: FakeGoogle) -> None:
    """Not a word of the key."""
    key = google.oauth.service_account(DANA) | {"private_key": "-----BEGIN PRIVATE KEY-----\nhunter2"}
    with pytest.raises(NeedsLogin, match="not whole") as told:
        by_key(google, key).access_token()
    assert "hunter2" not in str(told.value)
