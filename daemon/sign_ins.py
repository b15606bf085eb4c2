"""Where the sign-ins of all accounts are kept, and the key they are encrypted with."""

from __future__ import annotations

from pathlib import Path

from connectors.auth import TokenCache
from connectors.base import NeedsLogin
from daemon.config.secret import SecretUnavailable
from daemon.config.settings import Settings
from daemon.own_keys import OwnKey, beside_state

CREDENTIAL = "rebookd-key"
"""The systemd credential that is taken where the configuration names no key."""


def cache(settings: Settings) -> TokenCache:
    """The sign-ins, in a folder beside the state."""
    return TokenCache(beside_state(settings, ".tokens"), lambda: _read(settings))


def make_key(settings: Settings) -> Path | None:
    """Make a key where there is none and the configuration names none; where it lies then.

    Raises ConnectorError where it cannot be written.
    """
    return _key(settings).make()


def _key(settings: Settings) -> OwnKey:
    return OwnKey(settings=settings, configured=settings.config.key, credential=CREDENTIAL, ending=".key")


def _read(settings: Settings) -> bytes:
    try:
        return _key(settings).read().encode()
    except SecretUnavailable as error:
        raise NeedsLogin(f"The key that sign-ins are encrypted with cannot be read: {error}.") from error
