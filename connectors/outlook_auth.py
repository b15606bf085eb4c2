"""Access to an Outlook account that stays fresh: by the sign-in of its owner, or by an app's own.

The sign-in lies in the token cache, and is loaded, renewed and saved under its lock: Microsoft gives a new
refresh token with each access token, and of two programs that renew at once none may lose it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import msal  # type: ignore[import-untyped]

from connectors.auth import TokenCache
from connectors.base import NeedsLogin
from connectors.deadline import within
from connectors.http import Limits
from connectors.outlook_app import LIMITS, Registration, asking, certificate, parsed, unusable, whole
from connectors.outlook_refusals import Refusal
from connectors.outlook_scopes import Scope, plain
from connectors.token_keeper import Age, Kept, Refused, TokenKeeper, elapsed

EARLY = 300.0
"""Seconds before its end at which a token is renewed; msal gives none out of its cache after that."""

_LAST = 10.0
"""Seconds before its end at which a token is of no more use."""

_OIDC = frozenset({"openid", "profile", "email", "offline_access"})


class OutlookTokens(TokenKeeper):
    """One account's access tokens, renewed before they run out. Safe to share between threads."""


@dataclass(frozen=True, slots=True)
class Saved:
    """A sign-in as the token cache holds it: whose, by which app, and what msal remembers of it.

    ``scopes`` are those that were allowed, word for word as Microsoft wrote them. ``personal`` is an account
    that belongs to no organisation.
    """

    client_id: str
    authority: str
    username: str
    personal: bool
    scopes: tuple[str, ...]
    tokens: str = field(repr=False)

    @classmethod
    def read(cls, text: str | None) -> Saved | None:
        """From the cache's text; None for anything that is no sign-in."""
        found = parsed(text)
        scopes = found.get("scopes")
        tokens = found.get("tokens")
        if not isinstance(scopes, list) or not isinstance(tokens, str) or not parsed(tokens):
            return None
        return cls(
            client_id=str(found.get("client_id") or ""),
            authority=str(found.get("authority") or ""),
            username=str(found.get("username") or ""),
            personal=bool(found.get("personal")),
            scopes=tuple(map(str, scopes)),
            tokens=tokens,
        )

    def text(self) -> str:
        """For the cache."""
        return json.dumps({name: getattr(self, name) for name in self.__slots__})


def allowed(said: dict[str, Any], asked: Iterable[str]) -> tuple[str, ...]:
    """The scopes that an answer grants; those ``asked`` for where it does not say (RFC 6749 section 5.1)."""
    granted = said.get("scope")
    words = granted.split() if isinstance(granted, str) and granted else asked
    return tuple(word for word in words if word.lower() not in _OIDC)


class ByConsent:
    """The account's owner signed in, and the cache remembers it."""

    def __init__(
        self,
        account: str,
        registration: Registration,
        wanted: Iterable[Scope],
        cache: TokenCache,
        *,
        limits: Limits = LIMITS,
        elapsed: Callable[[], float] = elapsed,
    ) -> None:
        self._account = account
        self._registration = registration
        self._wanted = tuple(wanted)
        self._cache = cache
        self._limits = limits
        self._elapsed = elapsed
        self._nobody = f"Nobody has signed in to {account} yet; run: rebookd auth {account}"
        self._used: str | None = None
        self._given = ""

    def changed(self) -> bool:
        """Whether the owner signed in anew. Raises ConnectorError."""
        return self._cache.load(self._account) != self._used

    def renew(self, *, anew: bool) -> Kept:
        """A token from what msal remembers, or from Microsoft. Raises as :class:`Source` does."""
        with self._cache.locked(self._account), within(self._limits.seconds):
            self._used = self._cache.load(self._account)
            said = self._asked(self._usable(), anew=anew)
        kept = _Timed.of(said, self._elapsed)
        self._given = kept.token
        return kept

    def saved(self) -> Saved:
        """The sign-in that the cache holds. Raises NeedsLogin, and ConnectorError where it cannot be read."""
        return self._of_this_app(Saved.read(self._cache.load(self._account)))

    def _usable(self) -> Saved:
        return self._of_this_app(Saved.read(self._used))

    def _of_this_app(self, saved: Saved | None) -> Saved:
        cure = f"run: rebookd auth {self._account}"
        if saved is None:
            raise NeedsLogin(self._nobody)
        if saved.client_id != self._registration.client_id:
            raise NeedsLogin(f"The sign-in of {self._account} was made with another client_id; {cure}")
        if saved.authority != self._registration.authority:
            raise NeedsLogin(f"The sign-in of {self._account} was made at another authority; {cure}")
        return saved

    def _asked(self, saved: Saved, *, anew: bool) -> dict[str, Any]:
        """What msal answers, from its memory or from Microsoft; what it learned is saved whatever it says."""
        remembered = msal.SerializableTokenCache()
        remembered.deserialize(saved.tokens)
        try:
            app = self._registration.for_people(remembered, self._limits)
            with asking():
                said = self._silently(app, saved, anew=anew)
            if said is None:
                raise NeedsLogin(self._nobody)
            return whole(said)
        except Refusal as refusal:
            cure = f"run: rebookd auth {self._account}"
            approval = self._registration.approval(self._wanted)
            raise Refused(refusal.sentence(self._account, cure, approval)) from refusal
        finally:
            if remembered.has_state_changed:
                self._keep(saved, remembered.serialize())

    def _silently(self, app: Any, saved: Saved, *, anew: bool) -> Any:
        whose = next(iter(app.get_accounts()), None)
        said = app.acquire_token_silent_with_error(list(saved.scopes), whose)
        if anew and isinstance(said, dict) and said.get("access_token") == self._given:
            # It was not taken, whatever its time.
            said = app.acquire_token_silent_with_error(list(saved.scopes), whose, force_refresh=True)
        return said

    def _keep(self, saved: Saved, tokens: str) -> None:
        text = replace(saved, tokens=tokens).text()
        self._cache.save(self._account, text)
        self._used = text


class ByApp:
    """An app that signs in for itself, with a client secret or a certificate (see :func:`certificate`)."""

    def __init__(
        self,
        account: str,
        registration: Registration,
        *,
        secret: Callable[[], str] | None = None,
        pem: Callable[[], str] | None = None,
        limits: Limits = LIMITS,
        elapsed: Callable[[], float] = elapsed,
    ) -> None:
        self._account = account
        self._registration = registration
        self._secret, self._pem = secret, pem
        self._limits = limits
        self._elapsed = elapsed
        self._used: str | None = None

    def changed(self) -> bool:
        """Whether there is another secret or certificate by now. Raises NeedsLogin."""
        return self._text() != self._used

    def renew(self, *, anew: bool) -> Kept:  # noqa: ARG002 - there is nothing but the sign-in itself
        """A token from Microsoft. Raises as :class:`Source` does."""
        self._used = self._text()
        credential = certificate(self._used) if self._pem else self._used
        try:
            with within(self._limits.seconds):
                app = self._registration.for_itself(credential, self._limits)
                with asking():
                    said = app.acquire_token_for_client(self._registration.everything)
            return _Timed.of(whole(said), self._elapsed)
        except Refusal as refusal:
            told = refusal.sentence(self._account, f"run: rebookd auth {self._account}")
            raise Refused(told) from refusal

    def _text(self) -> str:
        read = self._pem or self._secret
        return read() if read else ""


@dataclass(frozen=True, slots=True)
class _Timed:
    """An access token with the second at which it ends."""

    token: str = field(repr=False)
    ends_at: float
    elapsed: Callable[[], float]

    @classmethod
    def of(cls, said: dict[str, Any], elapsed: Callable[[], float]) -> _Timed:
        token, lasts = said.get("access_token"), said.get("expires_in")
        if not isinstance(token, str) or not token or not isinstance(lasts, int | float | str):
            raise unusable()
        with asking():
            return cls(token, elapsed() + float(lasts), elapsed)

    @property
    def age(self) -> Age:
        left = self.ends_at - self.elapsed()
        return Age.FRESH if left > EARLY else Age.STALE if left > _LAST else Age.OVER


__all__ = ["ByApp", "ByConsent", "OutlookTokens", "Saved", "allowed", "plain"]
