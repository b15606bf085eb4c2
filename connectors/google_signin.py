"""Signing in to Google with a browser: the authorization code flow with PKCE (RFC 6749, 7636, 8252).

google-auth-oauthlib's flow would speak over a session without our deadline, and trusts environment variables
to allow what it otherwise refuses.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlencode, urlsplit

from connectors.base import ConnectorError, Rejected
from connectors.google_auth import LIMITS, Client, Refusal, TokenEndpoint
from connectors.google_scopes import Scope
from connectors.http import Limits


@dataclass(frozen=True, slots=True)
class Granted:
    """What came of a sign-in: a text for the token cache, and the scopes that were allowed.

    ``expires_in`` is how many seconds it lasts, where Google said so: an app in "Testing".
    """

    value: str = field(repr=False)
    scopes: frozenset[str]
    expires_in: int | None


class SignIn:
    """One attempt, from the address to open to the tokens. ``redirect`` is where the browser comes back."""

    def __init__(
        self,
        client: Client,
        scopes: Sequence[Scope],
        redirect: str,
        *,
        hint: str = "",
        limits: Limits = LIMITS,
        private_network: bool = False,
    ) -> None:
        self._client = client
        self._redirect = redirect
        self._endpoint = TokenEndpoint(limits, private_network=private_network)
        self._state = secrets.token_urlsafe(24)
        self._verifier = secrets.token_urlsafe(64)
        digest = hashlib.sha256(self._verifier.encode()).digest()
        asked = {
            "client_id": client.id,
            "redirect_uri": redirect,
            "response_type": "code",
            "scope": " ".join(scope.url for scope in scopes),
            "state": self._state,
            "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
            "access_type": "offline",
            "prompt": "consent",  # else a second sign-in gets no refresh token
        }
        if hint:
            asked["login_hint"] = hint
        self.address = f"{client.auth_uri}?{urlencode(asked)}"
        """What the account's owner opens."""

    def is_answer(self, address: str) -> bool:
        """Whether this is where the browser ended, by this very attempt."""
        said = self._said(address, "state").encode(errors="replace")
        return secrets.compare_digest(said, self._state.encode())

    def finish(self, address: str) -> Granted:
        """Exchange what the browser came back with. Raises ConnectorError with what went wrong."""
        if not self.is_answer(address):
            raise ConnectorError("This address does not belong to this sign-in; run it again.")
        if error := self._said(address, "error"):
            if error == "access_denied":
                raise Rejected("Google was not allowed to let rebookd in, so nothing was changed.")
            raise Rejected(f"Google did not sign you in ({''.join(filter(str.isprintable, error))[:100]}).")
        fields = {
            "grant_type": "authorization_code",
            "code": self._said(address, "code"),
            "client_id": self._client.id,
            "client_secret": self._client.secret,
            "redirect_uri": self._redirect,
            "code_verifier": self._verifier,
        }
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        try:
            answer = self._endpoint(self._client.token_uri, "POST", urlencode(fields).encode(), headers)
        except Refusal as refusal:
            raise Rejected(f"{refusal} Run it again.") from refusal
        return self._granted(json.loads(answer.data))

    def _granted(self, said: dict[str, object]) -> Granted:
        refresh = said.get("refresh_token")
        if not isinstance(refresh, str) or not refresh:
            raise Rejected("Google gave no lasting sign-in; run it again.")
        scopes = frozenset(str(said.get("scope") or "").split())
        value = {"client_id": self._client.id, "refresh_token": refresh, "scopes": sorted(scopes)}
        lasts = said.get("refresh_token_expires_in")
        return Granted(json.dumps(value), scopes, lasts if isinstance(lasts, int) else None)

    @staticmethod
    def _said(address: str, name: str) -> str:
        try:
            return parse_qs(urlsplit(address).query).get(name, [""])[0]
        except ValueError:
            return ""


__all__ = ["Granted", "SignIn"]
