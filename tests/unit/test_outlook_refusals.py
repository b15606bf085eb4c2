"""Each number that Microsoft's sign-in may answer with is told in a sentence with the next move."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from connectors.auth import TokenCache, new_key
from connectors.base import NeedsLogin, Retryable
from connectors.outlook_app import Registration
from connectors.outlook_auth import ByApp, ByConsent, OutlookTokens, Saved
from connectors.outlook_refusals import SENTENCES, TRANSIENT, Refusal, judge
from connectors.outlook_scopes import scopes_for
from connectors.outlook_signin import SignIn
from tests.support.authority import trusted
from tests.support.fake_entra import FakeEntra, fake_entra, refused
from tests.support.fake_entra.browser import ended_at

KEY = new_key()
DANA = "dana@initech.example"
WANTED = scopes_for()


@pytest.fixture(scope="module")
def entra() -> Iterator[FakeEntra]:
    """An identity platform that refuses."""
    with trusted(), fake_entra() as made:
        made.user(DANA)
        made.lifetime = timedelta(minutes=2)
        yield made


@pytest.fixture(scope="module")
def signed_in(entra: FakeEntra) -> tuple[Registration, str]:
    """An app, and the sign-in of somebody to it."""
    where = Registration(entra.app().client_id, authority=entra.authority)
    attempt = SignIn("initech", where, WANTED, "http://localhost:9")
    return where, attempt.finish(ended_at(attempt.address)).saved.text()


@pytest.fixture
def held(entra: FakeEntra, signed_in: tuple[Registration, str], tmp_path: Path) -> Iterator[OutlookTokens]:
    """Tokens of an account whose owner signed in; they are to be renewed."""
    where, sign_in = signed_in
    cache = TokenCache(tmp_path / "tokens", lambda: KEY)
    cache.save("initech", sign_in)
    yield OutlookTokens(ByConsent("initech", where, WANTED, cache))
    entra.faults.clear()


CURE = "run: rebookd auth initech"


@pytest.mark.parametrize(
    ("code", "said", "move"),
    [
        (50011, "another kind of program", "add http://localhost"),
        (50034, "does not belong to the tenant", "sign in as another, or correct tenant"),
        (50020, "does not belong to the tenant", "sign in as another, or correct tenant"),
        (90072, "does not belong to the tenant", "sign in as another, or correct tenant"),
        (16000, "does not belong to the tenant", "sign in as another, or correct tenant"),
        (50053, "locked out", "ask an administrator"),
        (50055, "has run out", "set a new one in a browser"),
        (50056, "password was wrong", CURE),
        (50126, "password was wrong", CURE),
        (50057, "is disabled", "an administrator can enable them"),
        (50058, "signed in to anew", CURE),
        (50076, "a further proof of who you are", CURE),
        (50079, "a further proof of who you are", CURE),
        (50158, "a further proof of who you are", CURE),
        (53000, "devices, places and apps that it trusts", CURE),
        (53003, "devices, places and apps that it trusts", CURE),
        (530003, "devices, places and apps that it trusts", CURE),
        (50105, "is not assigned to the app", "Enterprise applications"),
        (50173, "was revoked or has run out", CURE),
        (700082, "was revoked or has run out", CURE),
        (70043, "was revoked or has run out", CURE),
        (70008, "was revoked or has run out", CURE),
        (700084, "was revoked or has run out", CURE),
        (65001, "Nobody has allowed", f"accept what is asked for, and {CURE}"),
        (65004, "Nobody has allowed", f"accept what is asked for, and {CURE}"),
        (90008, "Nobody has allowed", f"accept what is asked for, and {CURE}"),
        (90094, "An administrator must approve", "/organizations/v2.0/adminconsent?client_id="),
        (90095, "An administrator must approve", "/organizations/v2.0/adminconsent?client_id="),
        (70011, "does not know all that was asked for", "check authority and endpoint"),
        (700016, "knows no app with this client_id", "correct client_id or tenant"),
        (70001, "is not there or is disabled", "check client_id"),
        (90002, "no such tenant", "correct the tenant of initech"),
        (7000218, "may not sign people in like this", "'Allow public client flows'"),
        (9002326, "another kind of program", "'Mobile and desktop applications'"),
        (50194, "is not there for every tenant", "your organisation's id or domain"),
        (9002331, "for personal accounts alone", "set tenant: consumers"),
        (500011, "Microsoft Graph is not there", "check its tenant, authority and endpoint"),
        (90038, "another of Microsoft's clouds", "set authority and endpoint"),
        (700020, "signed in to anew", CURE),
    ],
)
def test_a_refusal_says_what_it_means_and_what_to_do(
    entra: FakeEntra, held: OutlookTokens, code: int, said: str, move: str
) -> None:
    """One line, with the number to look it up by, and without Microsoft's traces."""
    entra.fail("token", refused(code, suberror="basic_action", text="Some words."))
    with pytest.raises(NeedsLogin) as told:
        held.access_token()
    text = str(told.value)
    assert said in text
    assert move in text
    assert f"(AADSTS{code})" in text
    assert "\n" not in text
    assert not [word for word in ("Trace", "Correlation", "Timestamp", "Some words", "{") if word in text]


@pytest.mark.parametrize("code", sorted(SENTENCES))
def test_every_sentence_is_whole(code: int) -> None:
    """Each is one sentence with a move, whether there is a place to approve or not."""
    refusal = Refusal({"error": "invalid_grant", "error_codes": [code]})
    for approval in ("", "https://login.example/adminconsent"):
        told = refusal.sentence("initech", CURE, approval)
        assert told.count(f"(AADSTS{code}); ") == 1
        assert "{" not in told
        assert ". " not in told
    assert code not in TRANSIENT


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (7000215, "the secret's value"),
        (7000222, "make a new one"),
        (700027, "upload it"),
        (700025, "public one"),
    ],
)
def test_an_app_that_signs_in_for_itself_is_told_of_its_own(entra: FakeEntra, code: int, said: str) -> None:
    """What is wrong with its secret or certificate, by number."""
    app = entra.app(public=False, secret="s")
    where = Registration(app.client_id, tenant="initech.example", authority=entra.authority)
    entra.fail("token", refused(code))
    with pytest.raises(NeedsLogin, match=said):
        OutlookTokens(ByApp("initech", where, secret=lambda: "s")).access_token()


def test_a_tenant_that_is_not_there_is_found_out_before_anything_is_sent(
    entra: FakeEntra, held: OutlookTokens
) -> None:
    """No secret goes to a tenant whose own document says that there is none."""
    app = entra.app(public=False, secret="s")
    where = Registration(app.client_id, tenant="nowhere.example", authority=entra.authority)
    before = entra.count("token")
    with pytest.raises(NeedsLogin, match="There is no such tenant \\(AADSTS90002\\); correct the tenant"):
        OutlookTokens(ByApp("initech", where, secret=lambda: "s")).access_token()
    assert entra.count("token") == before


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"error": "invalid_grant"}, f"was revoked or has run out (invalid_grant); {CURE}"),
        (
            {"error": "interaction_required", "error_description": "AADSTS99999: Do\r\nmore.\r\nTrace ID: x"},
            f"(AADSTS99999). Do more. It wants initech to be signed in to anew; {CURE}",
        ),
        (
            {
                "error": "invalid_request",
                "error_description": "AADSTS900144: It lacks\x1b[2J 'x'. Trace ID: y",
            },
            f"Microsoft refused the sign-in (AADSTS900144). It lacks[2J 'x'. If it stays so, {CURE}",
        ),
        ({"error": ["x"], "error_codes": "y"}, "Microsoft refused the sign-in (['x'])"),
        ({"error": None, "error_codes": [None]}, "Microsoft refused the sign-in (no reason given)"),
        ({"error": "x", "error_description": "A" * 9999}, f"(x). {'A' * 200}. If it stays so"),
        # The first number that is known counts.
        ({"error": "x", "error_codes": [99999, 50076]}, "a further proof of who you are (AADSTS50076)"),
        (
            {"error": "x", "error_description": "AADSTS50076: Due to"},
            "further proof of who you are (AADSTS50076)",
        ),
    ],
)
def test_an_unknown_refusal_is_told_in_microsofts_words(said: dict[str, object], told: str) -> None:
    """Cut short, on one line, with nothing in it that cannot be seen."""
    with pytest.raises(Refusal) as refusal:
        judge(said)
    assert told in refusal.value.sentence("initech", CURE)
    assert refusal.value.sentence("initech", CURE).isprintable()


@pytest.mark.parametrize("code", sorted(TRANSIENT))
def test_what_passes_by_itself_asks_nobody(code: int) -> None:
    """It is tried again later."""
    with pytest.raises(Retryable, match=f"AADSTS{code}"):
        judge({"error": "invalid_grant", "error_codes": [code]})


def test_a_sign_in_survives_its_way_through_the_cache() -> None:
    """What is read is what was written."""
    saved = Saved("id", "https://login.example", DANA, True, ("User.Read",), '{"a": {}}')
    assert Saved.read(saved.text()) == saved
