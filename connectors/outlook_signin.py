"""Signing in to Outlook: with a browser on this machine, or with a code entered in a browser on any other.

The first is the authorization code flow with PKCE (RFC 6749, 7636, 8252), the second RFC 8628.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msal  # type: ignore[import-untyped]

from connectors.base import ConnectorError, Rejected, Retryable
from connectors.http import Limits
from connectors.outlook_app import LIMITS, PERSONAL, Registration, asking, quietly, unusable, whole
from connectors.outlook_auth import Saved, allowed
from connectors.outlook_refusals import Refusal
from connectors.outlook_scopes import Scope, plain
from connectors.signed import in_few_words
from connectors.token_keeper import elapsed

_AGAIN = "run it again"
_SAID_NO = frozenset({"access_denied", "authorization_declined", "consent_required"})
_PENDING = frozenset({"authorization_pending", "slow_down"})
_LONGEST = 3600


@dataclass(frozen=True, slots=True)
class Granted:
    """What came of a sign-in: what the token cache keeps, whose it is, and the scopes that were allowed.

    ``scopes`` are as :func:`plain` gives them.
    """

    saved: Saved
    whose: str
    """The user's id, the same for every sign-in of theirs."""
    scopes: frozenset[str]


class _Attempt:
    """What both ways have in common: msal's app, its fresh memory, and what its answer means."""

    def __init__(
        self, account: str, registration: Registration, scopes: Sequence[Scope], limits: Limits
    ) -> None:
        self._account = account
        self._registration = registration
        self._scopes = tuple(scopes)
        self._names = registration.names(scopes)
        self._memory = msal.SerializableTokenCache()
        try:
            self._app = registration.for_people(self._memory, limits)
        except Refusal as refusal:
            raise self._told(refusal) from refusal

    def _told(self, refusal: Refusal) -> Rejected:
        approval = self._registration.approval(self._scopes)
        if refusal.error in _SAID_NO and not set(refusal.codes) - {65001, 65004}:
            by_others = f" If an administrator must approve it, have one open {approval}" if approval else ""
            return Rejected(
                f"Microsoft was not allowed to let rebookd in, so nothing was changed.{by_others}"
            )
        return Rejected(refusal.sentence(self._account, _AGAIN, approval))

    def _granted(self, said: object) -> Granted:
        """What an answer brought. Raises Rejected, Retryable."""
        try:
            found = whole(said)
        except Refusal as refusal:
            raise self._told(refusal) from refusal
        if not list(self._memory.search(msal.TokenCache.CredentialType.REFRESH_TOKEN)):
            raise Rejected("Microsoft gave no lasting sign-in; run it again.")
        claims = found.get("id_token_claims")
        if not isinstance(claims, dict):
            raise unusable()
        scopes = allowed(found, self._names)
        saved = Saved(
            client_id=self._registration.client_id,
            authority=self._registration.authority,
            username=in_few_words(claims.get("preferred_username")),
            personal=claims.get("tid") == PERSONAL,
            scopes=scopes,
            tokens=self._memory.serialize(),
        )
        return Granted(saved, f"{claims.get('tid')}/{claims.get('oid') or claims.get('sub')}", plain(scopes))


class SignIn(_Attempt):
    """One attempt with a browser, from the address to open to the tokens.

    ``redirect`` is where the browser comes back. ``hint`` is who shall sign in; ``sure`` says that it is
    them, so that nobody is asked which account to take. Raises Rejected, Retryable.
    """

    def __init__(
        self,
        account: str,
        registration: Registration,
        scopes: Sequence[Scope],
        redirect: str,
        *,
        hint: str = "",
        sure: bool = False,
        limits: Limits = LIMITS,
    ) -> None:
        super().__init__(account, registration, scopes, limits)
        with quietly(), asking():
            self._flow: dict[str, Any] = self._app.initiate_auth_code_flow(
                self._names,
                redirect_uri=redirect,
                prompt=None if sure else msal.Prompt.SELECT_ACCOUNT,
                login_hint=hint or None,
            )
            self.address = str(self._flow["auth_uri"])
            """What the account's owner opens."""
        if urlsplit(self.address).scheme != "https":
            raise unusable()

    def is_answer(self, address: str) -> bool:
        """Whether this is where the browser ended, by this very attempt."""
        said = _said(address).get("state", "").encode(errors="replace")
        return secrets.compare_digest(said, str(self._flow["state"]).encode())

    def finish(self, address: str) -> Granted:
        """Exchange what the browser came back with. Raises ConnectorError with what went wrong."""
        if not self.is_answer(address):
            raise ConnectorError("This address does not belong to this sign-in; run it again.")
        with quietly(), asking():
            said = self._app.acquire_token_by_auth_code_flow(self._flow, _said(address))
        return self._granted(said)


class DeviceSignIn(_Attempt):
    """One attempt with a ``code`` that the account's owner enters at ``address``. Raises Rejected, Retryable.

    ``lasts`` is how many seconds there are for it.
    """

    def __init__(
        self,
        account: str,
        registration: Registration,
        scopes: Sequence[Scope],
        *,
        limits: Limits = LIMITS,
    ) -> None:
        super().__init__(account, registration, scopes, limits)
        with quietly(), asking():
            self._flow: dict[str, Any] = self._app.initiate_device_flow(self._names)
        try:
            found = whole(self._flow)
        except Refusal as refusal:
            raise self._told(refusal) from refusal
        self.code = in_few_words(found.get("user_code"))
        self.address = in_few_words(found.get("verification_uri"))
        self.lasts = min(int(found["expires_in"]), _LONGEST)
        if not self.code or urlsplit(self.address).scheme != "https" or "device_code" not in found:
            raise unusable()
        self._flow["interval"] = min(max(int(found["interval"]), 1), 60)

    def finish(
        self, *, sleep: Callable[[float], None] | None = None, elapsed: Callable[[], float] = elapsed
    ) -> Granted:
        """Wait until the code was entered; what passes by itself does not end it.

        Raises ConnectorError with what went wrong, and where nobody entered it in time.
        """
        until = elapsed() + self.lasts
        trouble: Retryable | None = None
        while elapsed() < until:
            (sleep or time.sleep)(self._flow["interval"])
            try:
                said = self._step()
                word = said.get("error") if isinstance(said, dict) else None
                if word == "expired_token":
                    break
                if word not in _PENDING:
                    return self._granted(said)
                trouble = None
            except Retryable as error:
                trouble = error
        raise trouble or ConnectorError(
            f"Nobody entered the code within {self.lasts / 60:g} minutes; run it again."
        )

    def _step(self) -> Any:
        """One question whether the code was entered; a ``slow_down`` lengthens the interval."""
        with quietly(), asking():
            return self._app.acquire_token_by_device_flow(self._flow, exit_condition=lambda _: True)


def _said(address: str) -> dict[str, str]:
    """What an address says behind its question mark."""
    try:
        return {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
    except ValueError:
        return {}


__all__ = ["DeviceSignIn", "Granted", "SignIn"]
