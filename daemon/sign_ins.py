"""Where the sign-ins of all accounts are kept, and the key they are encrypted with."""

from __future__ import annotations

import os
from pathlib import Path

from connectors.auth import TokenCache, new_key
from connectors.base import ConnectorError, NeedsLogin
from daemon.config.secret import Secret, SecretUnavailable
from daemon.config.settings import Settings

CREDENTIAL = "rebookd-key"
"""The systemd credential that is taken where the configuration names no key."""


def cache(settings: Settings) -> TokenCache:
    """The sign-ins, in a folder beside the state."""
    return TokenCache(_beside(settings, ".tokens"), lambda: _key(settings))


def make_key(settings: Settings) -> Path | None:
    """Make a key where there is none and the configuration names none; where it lies then.

    Raises ConnectorError where it cannot be written.
    """
    where = _place(settings)
    path = _beside(settings, ".key")
    if where != Secret("file", (str(path),)) or path.exists():
        return None
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(new_key())
            file.flush()
            os.fsync(file.fileno())
    except FileExistsError:
        return None
    except OSError as error:
        raise ConnectorError(f"The key {path} cannot be written: {error.strerror}.") from error
    return path


def _key(settings: Settings) -> bytes:
    try:
        return _place(settings).read(settings.base).encode()
    except SecretUnavailable as error:
        raise NeedsLogin(f"The key that sign-ins are encrypted with cannot be read: {error}.") from error


def _place(settings: Settings) -> Secret:
    """Where the key lies: as configured, as systemd gave it, or beside the state."""
    if settings.config.key:
        return settings.config.key
    given = os.environ.get("CREDENTIALS_DIRECTORY")
    if given and (Path(given) / CREDENTIAL).exists():
        return Secret("credential", (CREDENTIAL,))
    return Secret("file", (str(_beside(settings, ".key")),))


def _beside(settings: Settings, ending: str) -> Path:
    state = settings.state.resolve()
    return state.with_name(state.name + ending)
