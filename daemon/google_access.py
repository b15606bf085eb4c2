"""What the threads of one Google account share: its tokens and its pace; and what it is asked to allow."""

from __future__ import annotations

from dataclasses import asdict
from threading import Lock

from connectors.base import NeedsLogin
from connectors.google_auth import ByConsent, ByKey, GoogleTokens
from connectors.google_client import GoogleClient, google_pace
from connectors.google_scopes import Scope, missing, scopes_for
from daemon import sign_ins
from daemon.config.google import Google
from daemon.config.secret import Secret, SecretUnavailable
from daemon.config.settings import Settings
from daemon.scopes_needed import uses

_making = Lock()


class GoogleAccess:
    """One account's way in. Safe to share between threads; each takes a client of its own."""

    def __init__(self, settings: Settings, account: str, configured: Google) -> None:
        self._settings = settings
        self._account = account
        self._endpoint = configured.endpoint
        self._private_network = configured.private_network
        self._client_secret = configured.client_secret
        self._pace = google_pace()
        self._wanted = needs(settings, account)
        self._consent: ByConsent | None = None
        key = configured.service_account
        if key is not None:
            source: ByConsent | ByKey = ByKey(
                account, lambda: self._read(key), str(configured.subject), self._wanted
            )
        else:
            source = self._consent = ByConsent(account, self.client_secret, sign_ins.cache(settings))
        self.tokens = GoogleTokens(source, private_network=self._private_network)

    def client(self) -> GoogleClient:
        """A client for one thread."""
        return GoogleClient(
            self.tokens,
            self._endpoint,
            account=self._account,
            pace=self._pace,
            private_network=self._private_network,
        )

    def client_secret(self) -> str:
        """The text of the console's file. Raises NeedsLogin."""
        return self._read(self._client_secret)

    def missing(self) -> list[Scope]:
        """What the configuration uses and the owner's sign-in does not allow. Raises ConnectorError."""
        return missing(self._wanted, self._consent.granted()) if self._consent else []

    def _read(self, secret: Secret | None) -> str:
        try:
            return secret.read(self._settings.base) if secret else ""
        except SecretUnavailable as error:
            raise NeedsLogin(str(error)) from error


def access(settings: Settings, account: str) -> GoogleAccess:
    """The one access of a Google account, made when it is first needed. A KeyError for any other."""
    with _making:
        found = settings.shared.get(account)
        if found is None:
            configured = settings.accounts[account].google
            if configured is None:
                raise KeyError(account)
            found = settings.shared[account] = GoogleAccess(settings, account, configured)
        made: GoogleAccess = found
        return made


def needs(settings: Settings, account: str) -> tuple[Scope, ...]:
    """The scopes that an account needs for what the configuration and the rules do with it."""
    return scopes_for(**asdict(uses(settings, account)))
