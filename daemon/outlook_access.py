"""What the threads of one Outlook account share: its tokens and its pace; and what it is asked to allow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from threading import Lock

from connectors.base import NeedsLogin
from connectors.outlook_app import Registration
from connectors.outlook_auth import ByApp, ByConsent, OutlookTokens
from connectors.outlook_client import GraphClient, graph_pace
from connectors.outlook_scopes import Scope, missing, plain, scopes_for
from daemon import sign_ins
from daemon.config.outlook import Outlook
from daemon.config.secret import Secret, SecretUnavailable
from daemon.config.settings import Settings
from daemon.scopes_needed import uses

_making = Lock()


class OutlookAccess:
    """One account's way in. Safe to share between threads; each takes a client of its own.

    ``user`` is whose mailbox it is where the app signs in for itself; else it is empty.
    """

    def __init__(self, settings: Settings, account: str, configured: Outlook) -> None:
        self.registration = Registration(
            client_id=configured.client_id,
            tenant=configured.tenant,
            authority=configured.authority.rstrip("/"),
            endpoint=configured.endpoint.rstrip("/"),
            private_network=configured.private_network,
        )
        self.wanted = needs(settings, account)
        self.user = str(configured.user or "")
        self._settings = settings
        self._account = account
        self._pace = graph_pace()
        self._consent: ByConsent | None = None
        if configured.app_only:
            source: ByConsent | ByApp = ByApp(
                account,
                self.registration,
                secret=self._reader(configured.client_secret),
                pem=self._reader(configured.certificate),
            )
        else:
            cache = sign_ins.cache(settings)
            source = self._consent = ByConsent(account, self.registration, self.wanted, cache)
        self.tokens = OutlookTokens(source)

    def client(self) -> GraphClient:
        """A client for one thread."""
        return GraphClient(
            self.tokens,
            self.registration.endpoint,
            account=self._account,
            user=self.user,
            pace=self._pace,
            private_network=self.registration.private_network,
        )

    def missing(self) -> list[Scope]:
        """What the configuration uses and the owner's sign-in does not allow. Raises ConnectorError.

        Nothing of an app that signs in for itself: its administrator alone knows.
        """
        if self._consent is None:
            return []
        saved = self._consent.saved()
        return missing(self.wanted, plain(saved.scopes), personal=saved.personal)

    def _reader(self, secret: Secret | None) -> Callable[[], str] | None:
        return (lambda: self._read(secret)) if secret else None

    def _read(self, secret: Secret) -> str:
        try:
            return secret.read(self._settings.base)
        except SecretUnavailable as error:
            raise NeedsLogin(str(error)) from error


def access(settings: Settings, account: str) -> OutlookAccess:
    """The one access of an Outlook account, made when it is first needed. A KeyError for any other."""
    with _making:
        found = settings.shared.get(account)
        if found is None:
            configured = settings.accounts[account].outlook
            if configured is None:
                raise KeyError(account)
            found = settings.shared[account] = OutlookAccess(settings, account, configured)
        made: OutlookAccess = found
        return made


def needs(settings: Settings, account: str) -> tuple[Scope, ...]:
    """The scopes that an account needs for what the configuration and the rules do with it."""
    return scopes_for(**asdict(uses(settings, account)))
