"""An app of Microsoft's that signs in for itself, with a secret or a certificate, against the wire."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import parse_qs

import pytest

from connectors.base import NeedsLogin
from connectors.outlook_app import Registration
from connectors.outlook_auth import ByApp, OutlookTokens
from connectors.outlook_scopes import scopes_for
from tests.support.authority import trusted
from tests.support.fake_entra import App, FakeEntra, app_certificate, fake_entra


@pytest.fixture
def entra() -> Iterator[FakeEntra]:
    """An identity platform with one tenant."""
    with trusted(), fake_entra() as made:
        made.tenant("initech.example")
        yield made


def registration(entra: FakeEntra, app: App, **more: str) -> Registration:
    """The app, as the configuration tells it."""
    return Registration(app.client_id, authority=entra.authority, **more)


def by_app(entra: FakeEntra, app: App, **more: str) -> OutlookTokens:
    """Tokens of an app that signs in for itself."""
    where = registration(entra, app, tenant=more.pop("tenant", "initech.example"), **more)
    if app.certificate:
        pem = "\n".join(app_certificate())
        return OutlookTokens(ByApp("initech", where, pem=lambda: pem))
    return OutlookTokens(ByApp("initech", where, secret=lambda: app.secret))


ROLES = frozenset({"Calendars.Read", "Mail.Send"})


@pytest.mark.parametrize("way", ["secret", "certificate"])
def test_an_app_signs_in_for_itself(entra: FakeEntra, way: str) -> None:
    """With its secret, or with a certificate whose key signs (PS256, SHA-256) and stays here."""
    if way == "secret":
        app = entra.app(public=False, secret="hunter2", roles=ROLES)
    else:
        app = entra.app(public=False, certificate=app_certificate()[1], roles=ROLES)
    held = by_app(entra, app)
    first = held.access_token()
    grant = entra.grants.valid[first]
    assert grant.app
    assert grant.scopes == ROLES
    assert held.access_token() == first
    held.forget(first)
    assert held.access_token() != first
    asked = [each for each in entra.requests if each.route == "token"]
    assert len(asked) == 2
    for each in asked:
        said = parse_qs(each.body.decode())
        assert said["scope"] == ["https://graph.microsoft.com/.default"]
        assert each.path.split("/")[1] == entra.tenants["initech.example"]
        assert ("client_secret" in said) == (way == "secret")
        assert ("client_assertion" in said) == (way == "certificate")
        assert "PRIVATE" not in each.body.decode()


@pytest.mark.parametrize(
    ("endpoint", "resource"),
    [
        ("https://graph.microsoft.com/v1.0", "https://graph.microsoft.com"),
        ("https://graph.microsoft.us/v1.0", "https://graph.microsoft.us"),
        ("https://dod-graph.microsoft.us/v1.0", "https://dod-graph.microsoft.us"),
        ("https://microsoftgraph.chinacloudapi.cn/v1.0", "https://microsoftgraph.chinacloudapi.cn"),
        ("https://graph.svc.sovcloud.fr/v1.0", "https://graph.svc.sovcloud.fr"),
        ("https://gw.example/graph/v1.0", "https://graph.microsoft.com"),
        ("http://127.0.0.1:8000/v1.0", "https://graph.microsoft.com"),
    ],
)
def test_tokens_are_for_the_graph_of_their_cloud(entra: FakeEntra, endpoint: str, resource: str) -> None:
    """A gateway passes on to the worldwide one; people's scopes are named in full where it is another."""
    app = entra.app(public=False, secret="hunter2", roles=ROLES)
    by_app(entra, app, endpoint=endpoint).access_token()
    asked = parse_qs(entra.requests[-1].body.decode())
    assert asked["scope"] == [f"{resource}/.default"]
    names = Registration("x", endpoint=endpoint).names(scopes_for())
    short = ["User.Read", "Calendars.Read", "MailboxSettings.Read"]
    full = [f"{resource}/{name}" for name in short]
    assert names == (short if resource == "https://graph.microsoft.com" else full)


def test_a_wrong_secret_is_tried_again_as_soon_as_there_is_another(entra: FakeEntra) -> None:
    """Not a request more until then, and nothing of it in the sentence."""
    app = entra.app(public=False, secret="right", roles=ROLES)
    given = ["hunter2"]
    where = registration(entra, app, tenant="initech.example")
    held = OutlookTokens(ByApp("initech", where, secret=lambda: given[0]))
    for _ in range(3):
        with pytest.raises(NeedsLogin, match="the secret's value") as told:
            held.access_token()
        assert "hunter2" not in str(told.value)
    assert entra.count("token") == 1
    given[0] = "right"
    assert held.access_token()


def test_a_certificate_of_another_app_is_refused(entra: FakeEntra) -> None:
    """By its thumbprint."""
    app = entra.app(public=False, certificate=app_certificate("other")[1], roles=ROLES)
    with pytest.raises(NeedsLogin, match="does not take this certificate \\(AADSTS700027\\)"):
        by_app(entra, app).access_token()


KEY_PEM, CERTIFICATE_PEM = app_certificate()


@pytest.mark.parametrize(
    ("pem", "said"),
    [
        ("", "PEM text of a private key and its certificate"),
        ("hunter2", "PEM text of a private key and its certificate"),
        (KEY_PEM, "PEM text of a private key and its certificate"),
        (CERTIFICATE_PEM, "PEM text of a private key and its certificate"),
        (KEY_PEM + app_certificate("other")[1], "belongs to another certificate"),
        ("".join(app_certificate("curved", curve=True)), "must be an RSA key"),
        ("".join(app_certificate("locked", password="hunter2")), "locked by a password"),
    ],
)
def test_a_certificate_that_is_none_is_told_without_it(entra: FakeEntra, pem: str, said: str) -> None:
    """Nobody is asked, and not a word of it is said."""
    source = ByApp("initech", Registration("x", tenant="initech.example"), pem=lambda: pem)
    with pytest.raises(NeedsLogin, match=said) as told:
        OutlookTokens(source).access_token()
    assert "hunter2" not in str(told.value)
    assert not entra.requests


def test_the_order_in_a_certificate_file_does_not_matter(entra: FakeEntra) -> None:
    """Key or certificate first, and other certificates of its chain beside it."""
    app = entra.app(public=False, certificate=CERTIFICATE_PEM, roles=ROLES)
    where = registration(entra, app, tenant="initech.example")
    text = app_certificate("other")[1] + CERTIFICATE_PEM + KEY_PEM
    assert OutlookTokens(ByApp("initech", where, pem=lambda: text)).access_token()
