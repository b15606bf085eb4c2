"""Microsoft's library for sign-ins over the guarded session: which app asks whom, for what, and how.

What is asked is msal's; what goes over the wire is ours: one deadline, one size limit, one host, no
redirects, and errors that name the next move.
"""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode, urlsplit

import msal  # type: ignore[import-untyped]
import requests
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from connectors.base import ConnectorError, NeedsLogin, Retryable
from connectors.deadline import remaining
from connectors.http import GuardedSession, Limits, raise_for
from connectors.outlook_refusals import judge
from connectors.outlook_scopes import Scope
from connectors.signed import json_of

AUTHORITY = "https://login.microsoftonline.com"
GRAPH = "https://graph.microsoft.com"

LIMITS = Limits(seconds=30.0, body_bytes=64 * 1024, redirects=0)
"""What one question to the identity platform may cost, and a whole renewal, which takes two of them."""

PERSONAL = "9188040d-6c67-4c5b-b112-36a304b66dad"
"""The tenant that all personal accounts belong to."""

REDIRECT = "http://localhost"
"""What a desktop app registers; any port is taken for it (RFC 8252 section 7.3)."""

_OIDC = ("openid", "profile", "offline_access")
"""What msal asks for beside the scopes; where people may allow nothing, it must be approved, too."""

_GRANTS = frozenset({"access_token", "device_code"})

_CLOUDS = frozenset(
    {
        "graph.microsoft.com",
        "graph.microsoft.us",
        "dod-graph.microsoft.us",
        "microsoftgraph.chinacloudapi.cn",
        "graph.svc.sovcloud.fr",
        "graph.svc.sovcloud.de",
        "graph.svc.sovcloud.sg",
    }
)


@dataclass(frozen=True, slots=True)
class Registration:
    """An app of Microsoft Entra, and where it asks: ``authority`` for tokens, ``endpoint`` with them.

    ``private_network`` is the guarded session's.
    """

    client_id: str
    tenant: str = "common"
    authority: str = AUTHORITY
    endpoint: str = f"{GRAPH}/v1.0"
    private_network: bool = False

    @property
    def issuer(self) -> str:
        """Where its tenant signs in."""
        return f"{self.authority.rstrip('/')}/{self.tenant}"

    @property
    def resource(self) -> str:
        """Whom its tokens are for: the Graph of the cloud that ``endpoint`` belongs to.

        A gateway, whatever its address, passes on to the worldwide one.
        """
        host = urlsplit(self.endpoint).hostname or ""
        return f"https://{host}" if host in _CLOUDS else GRAPH

    def names(self, scopes: Iterable[Scope]) -> list[str]:
        """The scopes as they are asked for: in full, or by the short names that mean the worldwide Graph."""
        before = "" if self.resource == GRAPH else f"{self.resource}/"
        return [before + scope.name for scope in scopes]

    @property
    def everything(self) -> list[str]:
        """All that an administrator has granted to the app itself."""
        return [f"{self.resource}/.default"]

    def approval(self, scopes: Iterable[Scope]) -> str:
        """Where an administrator approves these scopes for a whole tenant; empty for personal accounts."""
        if self.tenant == "consumers":
            return ""
        tenant = "organizations" if self.tenant == "common" else self.tenant
        asked = {
            "client_id": self.client_id,
            "scope": " ".join([*(f"{self.resource}/{scope.name}" for scope in scopes), *_OIDC]),
            "redirect_uri": REDIRECT,
            "state": "rebookd",
        }
        return f"{self.authority.rstrip('/')}/{tenant}/v2.0/adminconsent?{urlencode(asked)}"

    def for_people(self, cache: msal.SerializableTokenCache, limits: Limits = LIMITS) -> Any:
        """What msal calls an app, for somebody to sign in with. Raises ConnectorError."""
        with asking():
            return msal.PublicClientApplication(self.client_id, token_cache=cache, **self._common(limits))

    def for_itself(self, credential: str | Mapping[str, str], limits: Limits = LIMITS) -> Any:
        """The same, for the app to sign in for itself. Raises ConnectorError."""
        with asking():
            return msal.ConfidentialClientApplication(
                self.client_id, client_credential=credential, azure_region=False, **self._common(limits)
            )

    def _common(self, limits: Limits) -> dict[str, Any]:
        return {
            "authority": self.issuer,
            # Only Microsoft's own host can say whether it is one of Microsoft's.
            "instance_discovery": None if self.authority.rstrip("/") == AUTHORITY else False,
            "http_client": _Http(self.authority, limits, private_network=self.private_network),
        }


class _Http:
    """The face of an HTTP client that msal wants. Safe to share between threads."""

    def __init__(self, authority: str, limits: Limits, *, private_network: bool) -> None:
        self._authority = authority
        self._private_network = private_network
        self._limits = limits

    def get(
        self,
        url: str,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        **_: object,
    ) -> requests.Response:
        """A whole answer of status 200. Raises Refusal, Retryable, and ConnectorError for anything else."""
        asked = f"{url}{'&' if '?' in url else '?'}{urlencode(params)}" if params else url
        response = self._request("GET", asked, headers, None)
        if response.status_code != 200:
            judge(json_of(response) or {})
            raise _not_whole(response)
        return response

    def post(
        self,
        url: str,
        params: Mapping[str, str] | None = None,  # noqa: ARG002 - msal never gives any here
        data: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        **_: object,
    ) -> requests.Response:
        """A whole answer that grants or refuses. Raises Retryable, and ConnectorError for anything else."""
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        response = self._request("POST", url, {**(headers or {}), **form}, urlencode(data or {}).encode())
        found = json_of(response) or {}
        wanted = _GRANTS if response.status_code == 200 else {"error"}
        if not any(found.get(name) and isinstance(found[name], str) for name in wanted):
            raise _not_whole(response)
        return response

    def close(self) -> None:
        """Nothing is kept open."""

    def _request(
        self, method: str, url: str, headers: Mapping[str, str] | None, body: bytes | None
    ) -> requests.Response:
        if urlsplit(url).scheme != "https":
            raise ConnectorError("Microsoft's sign-in names an address that is not https; check authority.")
        limits = replace(self._limits, seconds=min(self._limits.seconds, _left(url)))
        session = GuardedSession(
            self._authority, limits=limits, private_network=self._private_network, judge=_judge
        )
        try:
            response = session.request(method, url, data=body, headers=headers)
        finally:
            session.close()
        response.encoding = "utf-8"
        return response


def _left(url: str) -> float:
    """Seconds left for all that is asked, where somebody counts them. Raises Retryable past them."""
    try:
        return max(round(remaining(), 1), 0.1)
    except LookupError:
        return math.inf
    except TimeoutError as error:
        raise Retryable(f"{urlsplit(url).hostname} took too long to answer.") from error


def _judge(response: requests.Response) -> None:
    """Let through nothing but JSON of a status that msal understands."""
    if response.status_code == 429 or response.status_code >= 500:
        raise_for(response)
    if json_of(response) is None or not (response.status_code == 200 or 400 <= response.status_code < 500):
        raise _not_whole(response)


def _not_whole(response: requests.Response) -> Retryable:
    host = urlsplit(response.url).hostname
    return Retryable(f"{host} sent an answer that is not whole (HTTP {response.status_code}).")


@contextmanager
def asking() -> Iterator[None]:
    """Whatever msal makes of an answer that is none becomes Retryable; a ConnectorError passes.

    Msal's own words are dropped, since they may hold parts of the answer.
    """
    try:
        yield
    except (ValueError, LookupError, TypeError, AttributeError, AssertionError, RuntimeError):
        raise unusable() from None
    except msal.exceptions.MsalError:
        raise unusable() from None


def unusable() -> Retryable:
    """What is said of an answer that cannot be used."""
    return Retryable("Microsoft's answer to the sign-in is not what it should be.")


@contextmanager
def quietly() -> Iterator[None]:
    """Without msal's advice to programmers; for a command, since it holds for all threads."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def certificate(text: str) -> dict[str, str]:
    """What msal wants of a private key and its certificate, both PEM in one text. Raises NeedsLogin.

    msal works out the thumbprint, in SHA-256, and signs with the key.
    """
    try:
        key = serialization.load_pem_private_key(text.encode(), password=None)
        offered = x509.load_pem_x509_certificates(text.encode())
    except TypeError as error:
        raise NeedsLogin(
            "The private key in certificate is locked by a password; give it without."
        ) from error
    except ValueError as error:
        raise NeedsLogin(
            "certificate must be the PEM text of a private key and its certificate; this is something else."
        ) from error
    if not isinstance(key, rsa.RSAPrivateKey):
        raise NeedsLogin("The private key in certificate must be an RSA key; Microsoft takes no other.")
    ours = [one for one in offered if one.public_key() == key.public_key()]
    if not ours:
        raise NeedsLogin("The private key in certificate belongs to another certificate.")
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return {"private_key": private.decode(), "public_certificate": ours[0].public_bytes(pem).decode()}


def whole(said: object) -> dict[str, Any]:
    """What msal gave, if it is an answer that grants. Raises Refusal and Retryable."""
    if not isinstance(said, dict):
        raise unusable()
    judge(said)
    return said


def parsed(text: str | None) -> dict[str, Any]:
    """The JSON object of a text; empty for anything else."""
    try:
        found = json.loads(text or "{}")
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


__all__ = [
    "LIMITS",
    "PERSONAL",
    "REDIRECT",
    "Registration",
    "asking",
    "certificate",
    "parsed",
    "quietly",
    "unusable",
    "whole",
]
