"""Google's tokens: the files of its console, the wire to its token endpoint, and access that stays fresh.

What is asked is google-auth's; how it travels is ours: one deadline, one size limit, one host, and errors
that name the next move.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import urlsplit

import google.auth.exceptions
import google.auth.transport
import requests
from google.auth.credentials import Credentials, TokenState
from google.oauth2 import credentials as consent
from google.oauth2 import service_account

from connectors.auth import TokenCache
from connectors.base import NeedsLogin, Retryable
from connectors.google_scopes import Scope
from connectors.http import GuardedSession, Limits, is_loopback, raise_for
from connectors.token_keeper import Age, Kept, Refused, TokenKeeper, elapsed

LIMITS = Limits(seconds=30.0, body_bytes=64 * 1024, redirects=0)
"""What one question to a token endpoint may cost."""

_AUTH_URI = "https://accounts.google.com/o/oauth2/auth"
_TOKEN_URI = "https://oauth2.googleapis.com/token"  # nosec B105 # noqa: S105 - an address


@dataclass(frozen=True, slots=True)
class Client:
    """The OAuth client of a desktop app, from its ``client_secret.json``."""

    id: str
    secret: str = field(repr=False)
    auth_uri: str = _AUTH_URI
    token_uri: str = _TOKEN_URI

    @classmethod
    def read(cls, text: str) -> Client:
        """From the file's text. Raises NeedsLogin with what is wrong with it."""
        data = _object(text, "client_secret")
        if "installed" not in data:
            kind = (
                "a web app's" if "web" in data else "a service account's" if "private_key" in data else "none"
            )
            raise NeedsLogin(
                f"client_secret must be the JSON of an OAuth client of type Desktop app; this is {kind}."
            )
        app = data["installed"]
        if not isinstance(app, dict) or not all(app.get(name) for name in ("client_id", "client_secret")):
            raise NeedsLogin("client_secret lacks its client_id or client_secret; download it anew.")
        return cls(
            id=str(app["client_id"]),
            secret=str(app["client_secret"]),
            auth_uri=_address(app.get("auth_uri") or _AUTH_URI, "client_secret"),
            token_uri=_address(app.get("token_uri") or _TOKEN_URI, "client_secret"),
        )


class Refusal(NeedsLogin):
    """The token endpoint said no; ``code`` is its own word for why (RFC 6749 section 5.2)."""

    def __init__(self, code: str, description: str, subtype: str = "") -> None:
        super().__init__(f"Google refused the sign-in ({code}). {description}".strip())
        self.code = code
        self.description = description
        self.subtype = subtype


class TokenEndpoint(google.auth.transport.Request):
    """The wire to a token endpoint, in the shape google-auth wants."""

    def __init__(self, limits: Limits = LIMITS, *, private_network: bool = False) -> None:
        self._limits = limits
        self._private_network = private_network

    def __call__(
        self,
        url: str,
        method: str = "POST",
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,  # noqa: ARG002 - the deadline is ours
        **_: object,
    ) -> google.auth.transport.Response:
        """A whole answer. Raises :class:`Refusal`, Retryable, and ConnectorError for anything else."""
        session = GuardedSession(
            url, limits=self._limits, private_network=self._private_network, judge=_judge
        )
        try:
            response = session.request(method, url, data=body, headers=headers)
        finally:
            session.close()
        return _Whole(response)


class _Whole(google.auth.transport.Response):
    def __init__(self, response: requests.Response) -> None:
        self._response = response

    @property
    def status(self) -> int:
        return self._response.status_code

    @property
    def headers(self) -> Mapping[str, str]:
        return self._response.headers

    @property
    def data(self) -> bytes:
        return self._response.content


def _judge(response: requests.Response) -> None:
    """Let through nothing but an answer that holds a token."""
    if response.status_code == 429 or response.status_code >= 500:
        raise_for(response)
    try:
        said = json.loads(response.content)
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, dict):
        host = urlsplit(response.url).hostname
        raise Retryable(f"{host} sent an answer that is not whole (HTTP {response.status_code}).")
    if response.status_code == 200 and isinstance(said.get("access_token"), str):
        return
    words = [_plain(said.get(name)) for name in ("error", "error_description", "error_subtype")]
    raise Refusal(words[0] or f"HTTP {response.status_code}", words[1], words[2])


def _plain(value: object) -> str:
    text = " ".join(value.split()) if isinstance(value, str) else ""
    return "".join(one for one in text[:200] if one.isprintable())


class Source(Protocol):
    """What an account's credentials are made from."""

    def changed(self) -> bool:
        """Whether it is another sign-in than the one given last."""
        ...

    def credentials(self, tried: int) -> Credentials:
        """What google-auth makes tokens from; ``tried`` counts refusals so far. Raises NeedsLogin."""
        ...

    def again(self, refusal: Refusal, tried: int) -> bool:
        """Whether less may be asked for after this refusal."""
        ...

    def explain(self, refusal: Refusal) -> NeedsLogin:
        """The refusal in words for the owner."""
        ...


class ByConsent:
    """The account's owner signed in with a browser, and the cache remembers it."""

    def __init__(self, account: str, client: Callable[[], str], cache: TokenCache) -> None:
        self._account = account
        self._client = client
        self._cache = cache
        self._given: str | None = None

    def changed(self) -> bool:
        """Whether the owner signed in anew."""
        return self._cache.load(self._account) != self._given

    def credentials(self, tried: int) -> Credentials:  # noqa: ARG002 - there is one way only
        """From the refresh token. Raises NeedsLogin where nobody signed in yet."""
        client = Client.read(self._client())
        self._given = self._cache.load(self._account)
        saved = saved_sign_in(self._given)
        if not saved.get("refresh_token"):
            raise NeedsLogin(
                f"Nobody has signed in to {self._account} yet; run: rebookd auth {self._account}"
            )
        if saved.get("client_id") != client.id:
            raise NeedsLogin(
                f"The sign-in of {self._account} was made with another client_secret; "
                f"run: rebookd auth {self._account}"
            )
        return consent.Credentials(  # type: ignore[no-untyped-call]
            token=None,
            refresh_token=saved["refresh_token"],
            token_uri=client.token_uri,
            client_id=client.id,
            client_secret=client.secret,
        )

    def granted(self) -> frozenset[str]:
        """The scopes that the owner allowed. Raises NeedsLogin."""
        return frozenset(saved_sign_in(self._cache.load(self._account)).get("scopes", ()))

    def again(self, refusal: Refusal, tried: int) -> bool:  # noqa: ARG002 - there is one way only
        """Never."""
        return False

    def explain(self, refusal: Refusal) -> NeedsLogin:
        """In words."""
        cure = f"run: rebookd auth {self._account}"
        if refusal.subtype == "invalid_rapt":
            return NeedsLogin(f"Your organisation wants {self._account} to sign in anew; {cure}")
        if refusal.code == "invalid_grant":
            return NeedsLogin(f"The sign-in of {self._account} was revoked or has run out; {cure}")
        return NeedsLogin(f"{refusal} Check client_secret in Google's console, then {cure}")


class ByKey:
    """A service account that may act for ``subject``: the key file's text, and what it asks for."""

    def __init__(self, account: str, key: Callable[[], str], subject: str, scopes: Sequence[Scope]) -> None:
        self._account = account
        self._key = key
        self._subject = subject
        self._scopes = scopes
        self._given: str | None = None

    def changed(self) -> bool:
        """Whether there is another key by now."""
        return self._key() != self._given

    def credentials(self, tried: int) -> Credentials:
        """From the key; at the second try without what rebookd gets along without. Raises NeedsLogin."""
        self._given = self._key()
        info = _object(self._given, "service_account")
        if "private_key" not in info:
            raise NeedsLogin(
                "service_account must be the JSON key of a service account; this is something else."
            )
        info["token_uri"] = _address(info.get("token_uri") or _TOKEN_URI, "service_account")
        wanted = [scope.url for scope in self._scopes if not tried or not scope.optional]
        try:
            made: Credentials = service_account.Credentials.from_service_account_info(  # type: ignore[no-untyped-call]
                info, scopes=wanted, subject=self._subject
            )
        except (ValueError, TypeError, google.auth.exceptions.GoogleAuthError) as error:
            raise NeedsLogin("The key in service_account is not whole; download it anew.") from error
        return made

    def again(self, refusal: Refusal, tried: int) -> bool:
        """Once, where something optional was among what was asked for."""
        return (
            not tried and refusal.code == "unauthorized_client" and any(one.optional for one in self._scopes)
        )

    def explain(self, refusal: Refusal) -> NeedsLogin:
        """In words."""
        if refusal.code == "unauthorized_client":
            wanted = ",".join(scope.url for scope in self._scopes)
            return NeedsLogin(
                f"The service account of {self._account} may not act for {self._subject}; an administrator "
                f"must delegate these scopes to it, domain-wide: {wanted}"
            )
        return NeedsLogin(
            f"{refusal} Check the subject and the key of {self._account}, and this machine's clock."
        )


class GoogleTokens(TokenKeeper):
    """One account's access tokens, renewed before they run out. Safe to share between threads."""

    def __init__(
        self,
        source: Source,
        *,
        limits: Limits = LIMITS,
        private_network: bool = False,
        elapsed: Callable[[], float] = elapsed,
    ) -> None:
        endpoint = TokenEndpoint(limits, private_network=private_network)
        super().__init__(_Renewing(source, endpoint), elapsed=elapsed)


class _Kept:
    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials

    @property
    def token(self) -> str:
        return str(self._credentials.token)

    @property
    def age(self) -> Age:
        return _AGES[self._credentials.token_state]


_AGES = {TokenState.FRESH: Age.FRESH, TokenState.STALE: Age.STALE, TokenState.INVALID: Age.OVER}


class _Renewing:
    """Google's credentials, renewed as often as is asked for."""

    def __init__(self, source: Source, endpoint: TokenEndpoint) -> None:
        self._source = source
        self._endpoint = endpoint
        self._credentials: Credentials | None = None
        self._tried = 0

    def changed(self) -> bool:
        return self._source.changed()

    def renew(self, *, anew: bool) -> Kept:
        if anew or self._credentials is None:
            self._credentials = self._source.credentials(self._tried)
        try:
            self._refresh(self._credentials)
        except Refusal as refusal:
            if self._source.again(refusal, self._tried):
                self._tried += 1
                return self.renew(anew=True)
            self._tried = 0
            raise Refused(str(self._source.explain(refusal))) from refusal
        return _Kept(self._credentials)

    def _refresh(self, credentials: Credentials) -> None:
        try:
            credentials.refresh(self._endpoint)  # type: ignore[no-untyped-call]
        except google.auth.exceptions.GoogleAuthError as error:
            raise Retryable("Google's answer to the sign-in is not what it should be.") from error


def saved_sign_in(value: str | None) -> dict[str, Any]:
    """What the cache holds of a sign-in by consent; nothing where there is none."""
    try:
        found = json.loads(value or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _object(text: str, what: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise NeedsLogin(f"{what} is not JSON; download it anew from Google's console.")
    return found


def _address(value: object, what: str) -> str:
    try:
        parts = urlsplit(str(value))
        host = parts.hostname or ""
    except ValueError:
        host = ""
    if host and (parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host))):
        return str(value)
    raise NeedsLogin(f"{what} names an address that is not https; download it anew from Google's console.")


__all__ = ["ByConsent", "ByKey", "Client", "GoogleTokens", "Refusal", "TokenEndpoint"]
