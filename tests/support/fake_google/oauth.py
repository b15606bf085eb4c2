"""Google's sign-in: the browser step, codes with PKCE, refresh tokens, service accounts."""

from __future__ import annotations

import base64
import functools
import hashlib
import json
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlencode, urlsplit

from tests.support.fake_google.errors import GoogleError, OAuthError
from tests.support.wire import Answer, Request

if TYPE_CHECKING:
    from tests.support.fake_google.world import FakeGoogle

CLIENT_ID = "1234567890-rebookd.apps.googleusercontent.com"
CLIENT_SECRET = "GOCSPX-not-a-secret"
_CODE_LIFE = timedelta(minutes=10)
_TESTING_LIFE = timedelta(days=7)
_JWT_LIFE = 3600
_AUDIENCE = "https://oauth2.googleapis.com/token"  # what google-auth writes, whichever endpoint it asks


@dataclass
class Grant:
    """What a user allowed a client; scopes None for everything."""

    user: str
    scopes: tuple[str, ...] | None
    expires: datetime | None = None


@dataclass
class Code:
    """An authorization code on its way."""

    grant: Grant
    redirect_uri: str
    challenge: str
    offline: bool
    again: bool
    expires: datetime


@dataclass
class ServiceAccount:
    """A service account: whom it may speak for, with which scopes (empty: all)."""

    email: str
    private_key: Any
    subjects: frozenset[str]
    scopes: frozenset[str]


@functools.cache
def _rsa_key() -> Any:
    from cryptography.hazmat.primitives.asymmetric import rsa

    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@dataclass
class OAuth:
    """The state of sign-in.

    ``signs_in`` is who sits at the browser (empty: the first user); ``deny`` makes them say no,
    ``grants`` leaves only these scopes ticked. ``lifetime`` is an access token's. ``testing`` is an app
    in "Testing": refresh tokens live seven days and say so. ``invalid_grant`` refuses every refresh.
    """

    google: FakeGoogle
    signs_in: str = ""
    deny: bool = False
    grants: frozenset[str] | None = None
    lifetime: timedelta = timedelta(seconds=3599)
    testing: bool = False
    invalid_grant: bool = False
    codes: dict[str, Code] = field(default_factory=dict)
    access: dict[str, Grant] = field(default_factory=dict)
    refreshes: dict[str, Grant] = field(default_factory=dict)
    accounts: dict[str, ServiceAccount] = field(default_factory=dict)

    def client_secret(self) -> dict[str, Any]:
        """``client_secret.json`` of a desktop app."""
        return {
            "installed": {
                "client_id": CLIENT_ID,
                "project_id": "rebookd-example",
                "auth_uri": self.google.root + "o/oauth2/auth",
                "token_uri": self.google.root + "token",
                "auth_provider_x509_cert_url": self.google.root + "oauth2/v1/certs",
                "client_secret": CLIENT_SECRET,
                "redirect_uris": ["http://localhost"],
            }
        }

    def service_account(
        self, *subjects: str, scopes: frozenset[str] = frozenset(), email: str = "robot@project.example"
    ) -> dict[str, Any]:
        """The key file of a service account that may speak for ``subjects``."""
        from cryptography.hazmat.primitives import serialization

        key = _rsa_key()
        self.accounts[email] = ServiceAccount(email, key, frozenset(subjects), scopes)
        pem = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ).decode()
        return {
            "type": "service_account",
            "project_id": "rebookd-example",
            "private_key_id": "key1",
            "private_key": pem,
            "client_email": email,
            "client_id": "100000000000000000001",
            "auth_uri": self.google.root + "o/oauth2/auth",
            "token_uri": self.google.root + "token",
        }

    def token(self, user: str, *scopes: str) -> str:
        """An access token, as if just given; without scopes it may do everything."""
        made = "ya29." + secrets.token_urlsafe(24)
        self.access[made] = Grant(user, scopes or None, self.google.now() + self.lifetime)
        return made

    def refresh_token(self, user: str, *scopes: str) -> str:
        """A refresh token, as if signed in earlier."""
        made = "1//" + secrets.token_urlsafe(24)
        life = self.google.now() + _TESTING_LIFE if self.testing else None
        self.refreshes[made] = Grant(user, scopes or None, life)
        return made

    def expire_access(self) -> None:
        """Every access token is over at once."""
        self.access.clear()

    def revoke(self, user: str) -> None:
        """The user takes their consent back."""
        for kept in (self.access, self.refreshes):
            for name in [name for name, grant in kept.items() if grant.user == user]:
                del kept[name]

    def whose(self, request: Request, scopes: frozenset[str]) -> str:
        """The user of a request's token. Raises GoogleError: 401, or 403 where no scope fits."""
        given = request.headers.get("authorization", "")
        grant = self.access.get(given.removeprefix("Bearer "))
        if not given.startswith("Bearer ") or grant is None or self._over(grant):
            challenge = 'Bearer realm="https://accounts.google.com/", error="invalid_token"'
            headers = {"WWW-Authenticate": challenge}
            raise GoogleError(401, location="Authorization", header=True, headers=headers)
        if grant.scopes is not None and not scopes & set(grant.scopes):
            raise GoogleError(403, "insufficientPermissions")
        return grant.user

    def _over(self, grant: Grant) -> bool:
        return grant.expires is not None and grant.expires <= self.google.now()

    def authorize(self, request: Request) -> Answer:
        """The browser step: the person has clicked already."""
        asked = {name: values[0] for name, values in request.query.items()}
        back = asked.get("redirect_uri", "")
        if asked.get("client_id") != CLIENT_ID or asked.get("response_type") != "code":
            return Answer(400, b"Error 400: invalid_request", {"Content-Type": "text/html"})
        if urlsplit(back).hostname not in ("127.0.0.1", "localhost", "::1"):
            return Answer(400, b"Error 400: redirect_uri_mismatch", {"Content-Type": "text/html"})
        if asked.get("code_challenge") and asked.get("code_challenge_method") != "S256":
            return Answer(400, b"Error 400: invalid_request", {"Content-Type": "text/html"})
        reply = {"state": asked["state"]} if "state" in asked else {}
        if self.deny:
            return Answer(302, b"", {"Location": f"{back}?{urlencode(reply | {'error': 'access_denied'})}"})
        wanted = tuple(asked.get("scope", "").split())
        given = wanted if self.grants is None else tuple(each for each in wanted if each in self.grants)
        code = "4/0A" + secrets.token_urlsafe(24)
        self.codes[code] = Code(
            Grant(self.signs_in or next(iter(self.google.users)), given),
            back,
            asked.get("code_challenge", ""),
            asked.get("access_type") == "offline",
            "consent" in asked.get("prompt", ""),
            self.google.now() + _CODE_LIFE,
        )
        reply |= {"code": code, "scope": " ".join(given)}
        return Answer(302, b"", {"Location": f"{back}?{urlencode(reply)}"})

    def exchange(self, request: Request) -> dict[str, Any]:
        """The token endpoint. Raises OAuthError."""
        asked = {name: values[0] for name, values in parse_qs(request.body.decode()).items()}
        kind = asked.get("grant_type", "")
        if kind == "urn:ietf:params:oauth:grant-type:jwt-bearer":
            return self._assertion(asked.get("assertion", ""))
        if asked.get("client_id") != CLIENT_ID or asked.get("client_secret") != CLIENT_SECRET:
            raise OAuthError("invalid_client", "The OAuth client was not found.", 401)
        if kind == "authorization_code":
            return self._code(asked)
        if kind == "refresh_token":
            return self._refresh(asked)
        raise OAuthError("unsupported_grant_type", f"Invalid grant_type: {kind}")

    def revoked(self, request: Request) -> Answer:
        """The endpoint that forgets a token."""
        body = parse_qs(request.body.decode())
        token = (body.get("token") or request.query.get("token") or [""])[0]
        if self.access.pop(token, None) is None and self.refreshes.pop(token, None) is None:
            return Answer.of(400, {"error": "invalid_token", "error_description": "Token expired or revoked"})
        return Answer.of(200, {})

    def _answer(self, grant: Grant) -> dict[str, Any]:
        token = self.token(grant.user)
        self.access[token].scopes = grant.scopes
        return {
            "access_token": token,
            "expires_in": int(self.lifetime.total_seconds()),
            "scope": " ".join(grant.scopes or ()),
            "token_type": "Bearer",
        }

    def _code(self, asked: dict[str, str]) -> dict[str, Any]:
        code = self.codes.pop(asked.get("code", ""), None)
        if code is None or code.expires <= self.google.now():
            raise OAuthError("invalid_grant", "Malformed auth code.")
        if asked.get("redirect_uri") != code.redirect_uri:
            raise OAuthError("redirect_uri_mismatch", "Bad Request")
        if code.challenge:
            digest = hashlib.sha256(asked.get("code_verifier", "").encode()).digest()
            if base64.urlsafe_b64encode(digest).rstrip(b"=").decode() != code.challenge:
                raise OAuthError("invalid_grant", "Invalid code verifier.")
        elif "code_verifier" in asked:
            raise OAuthError("invalid_grant", "code_verifier or verifier is not needed.")
        made = self._answer(code.grant)
        known = any(each.user == code.grant.user for each in self.refreshes.values())
        if code.offline and (code.again or not known):
            made["refresh_token"] = self.refresh_token(code.grant.user)
            self.refreshes[made["refresh_token"]].scopes = code.grant.scopes
            if self.testing:
                made["refresh_token_expires_in"] = int(_TESTING_LIFE.total_seconds()) - 1
        return made

    def _refresh(self, asked: dict[str, str]) -> dict[str, Any]:
        grant = self.refreshes.get(asked.get("refresh_token", ""))
        if self.invalid_grant or grant is None or self._over(grant):
            raise OAuthError("invalid_grant", "Token has been expired or revoked.")
        wanted = tuple(asked.get("scope", "").split()) or grant.scopes
        if grant.scopes is not None and not set(wanted or ()) <= set(grant.scopes):
            raise OAuthError("invalid_scope", "Some requested scopes were invalid.")
        made = self._answer(Grant(grant.user, wanted))
        if grant.expires is not None:
            made["refresh_token_expires_in"] = int((grant.expires - self.google.now()).total_seconds())
        return made

    def _assertion(self, assertion: str) -> dict[str, Any]:
        claims, account = self._claims(assertion)
        if claims.get("aud") not in (_AUDIENCE, self.google.root + "token"):
            raise OAuthError("invalid_grant", "Invalid JWT: Failed audience check.")
        issued, expires = claims.get("iat", 0), claims.get("exp", 0)
        clocks = (self.google.now().timestamp(), datetime.now(UTC).timestamp())
        if expires - issued > _JWT_LIFE or not any(issued - 300 <= at < expires for at in clocks):
            raise OAuthError(
                "invalid_grant",
                "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe.",
            )
        scopes = tuple(claims.get("scope", "").split())
        subject = claims.get("sub", account.email)
        allowed = subject == account.email or subject in account.subjects
        if not allowed or (account.scopes and not set(scopes) <= account.scopes):
            raise OAuthError(
                "unauthorized_client",
                "Client is unauthorized to retrieve access tokens using this method, "
                "or client not authorized for any of the scopes requested.",
                401,
            )
        if not scopes:
            raise OAuthError("invalid_scope", "Empty or missing scope not allowed.")
        if self.invalid_grant or (subject != account.email and subject not in self.google.users):
            raise OAuthError("invalid_grant", "Invalid email or User ID")
        made = self._answer(Grant(subject, scopes))
        del made["scope"]
        return made

    def _claims(self, assertion: str) -> tuple[dict[str, Any], ServiceAccount]:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import padding

        try:
            head, body, signature = assertion.split(".")
            claims = json.loads(_unbase(body))
            account = self.accounts[claims["iss"]]
            public = account.private_key.public_key()
            public.verify(_unbase(signature), f"{head}.{body}".encode(), padding.PKCS1v15(), hashes.SHA256())
        except (ValueError, KeyError, InvalidSignature) as error:
            raise OAuthError("invalid_grant", "Invalid JWT Signature.") from error
        return claims, account


def _unbase(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
