"""The shape in which Microsoft's identity platform says no, and such errors for ``FakeEntra.fail``."""

from __future__ import annotations

import uuid
from datetime import datetime
from email.utils import format_datetime
from typing import Any
from urllib.parse import urlencode

from tests.support.faults import Effect
from tests.support.wire import Answer, Request

TEXTS = {
    50011: "The redirect URI '{0}' specified in the request does not match the redirect URIs configured.",
    50173: "The provided grant has expired due to it being revoked, a fresh auth token is needed.",
    501481: "The Code_Verifier does not match the code_challenge supplied in the authorization request.",
    65001: "The user or administrator has not consented to use the application with ID '{0}'.",
    65004: "User declined to consent to access the app.",
    70000: "Provided grant is invalid or malformed.",
    70011: "The provided value for the input parameter 'scope' is not valid. The scope '{0}' does not exist.",
    70016: "OAuth 2.0 device flow error. Authorization is pending. Continue polling.",
    70018: "Bad verification code.",
    70019: "The code has expired.",
    700016: "Application with identifier '{0}' was not found in the directory.",
    700025: "Client is public so neither 'client_assertion' nor 'client_secret' should be presented.",
    700027: "The certificate used to sign the client assertion is not registered on application.",
    700082: "The refresh token has expired due to inactivity.",
    7000215: "Invalid client secret provided. Ensure the secret being sent is the value, not the secret ID.",
    7000218: "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.",
    90002: "Tenant '{0}' not found. Check to make sure you have the correct tenant ID.",
    90094: "Admin consent is required for the permissions requested by this application.",
}

_ERRORS = {
    50011: "invalid_request",
    65001: "invalid_grant",
    65004: "access_denied",
    70011: "invalid_scope",
    70016: "authorization_pending",
    70018: "bad_verification_code",
    70019: "expired_token",
    700016: "unauthorized_client",
    700025: "invalid_client",
    700027: "invalid_client",
    7000215: "invalid_client",
    7000218: "invalid_client",
    90002: "invalid_tenant",
    90094: "consent_required",
}


class EntraError(Exception):
    """A refusal by its number, with the word of RFC 6749 and Microsoft's narrower one."""

    def __init__(
        self,
        code: int,
        about: str = "",
        *,
        error: str = "",
        suberror: str = "",
        status: int = 0,
        text: str = "",
    ) -> None:
        super().__init__(f"AADSTS{code}")
        self.code = code
        self.error = error or _ERRORS.get(code, "invalid_grant")
        self.suberror = suberror
        self.status = status or (401 if self.error == "invalid_client" else 400)
        self.text = text or TEXTS.get(code, "Something about the request was not as it should be.").format(
            about
        )

    def body(self, now: datetime) -> dict[str, Any]:
        """As the token endpoint words it."""
        trace, correlation = str(uuid.uuid4()), str(uuid.uuid4())
        at = f"{now:%Y-%m-%d %H:%M:%SZ}"
        made: dict[str, Any] = {
            "error": self.error,
            "error_description": (
                f"AADSTS{self.code}: {self.text} Trace ID: {trace} Correlation ID: {correlation} "
                f"Timestamp: {at}"
            ),
            "error_codes": [self.code],
            "timestamp": at,
            "trace_id": trace,
            "correlation_id": correlation,
            "error_uri": f"https://login.microsoftonline.com/error?code={self.code}",
        }
        if self.suberror:
            made["suberror"] = self.suberror
        if self.error == "interaction_required":
            made["claims"] = '{"access_token":{"capolids":{"essential":true,"values":["0"]}}}'
        return made

    def answer(self, now: datetime) -> Answer:
        """To a program."""
        return Answer.of(self.status, self.body(now))

    def redirect(self, back: str, state: str, now: datetime) -> Answer:
        """To a browser that is sent back to where it came from."""
        body = self.body(now)
        said = {name: body[name] for name in ("error", "error_description")} | {"state": state}
        return Answer(302, b"", {"Location": f"{back}/?{urlencode(said)}"})


def refused(
    code: int, *, error: str = "", suberror: str = "", status: int = 0, text: str = "", about: str = ""
) -> Effect:
    """An error in Microsoft's own words."""
    made = EntraError(code, about, error=error, suberror=suberror, status=status, text=text)
    return Effect(refuse=lambda request, now: made)


def unavailable(
    status: int = 503, *, retry_after: int | None = None, retry_at: datetime | None = None
) -> Effect:
    """A status without an error of its own; Retry-After in seconds or as a date."""

    def refuse(request: Request, now: datetime) -> Answer:
        headers = {"Content-Type": "text/html"}
        if retry_after is not None:
            headers["Retry-After"] = str(retry_after)
        if retry_at is not None:
            headers["Retry-After"] = format_datetime(retry_at, usegmt=True)
        return Answer(status, b"<html><title>Service Unavailable</title></html>", headers)

    return Effect(refuse=refuse)
