"""Sign-ins kept on disk, each encrypted in a file of its own that only its owner can read.

Whoever copies the folder without the key has nothing; whoever exchanges two of its files is found out.
"""

from __future__ import annotations

import base64
import binascii
import fcntl
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from connectors.base import ConnectorError, NeedsLogin, Retryable

PATIENCE = 90.0
"""Seconds to wait for another rebookd that is at work on the same sign-in."""

_LOOK_AGAIN = 0.05
_KEY_BYTES = 32


class TokenCache:
    """What each account signed in with, as a text of its provider's own, in the folder ``path``.

    ``key`` is asked for at every use: one key a line, 32 bytes in base64 each. The first one encrypts, all of
    them decrypt, so that a key can be replaced. It raises NeedsLogin where there is none.
    """

    def __init__(self, path: Path, key: Callable[[], bytes]) -> None:
        self._folder = path
        self._key = key

    def load(self, account: str) -> str | None:
        """What was saved for the account; None where nothing was. Raises NeedsLogin, ConnectorError."""
        try:
            sealed = self._file(account).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _unusable(self._file(account), error) from error
        try:
            found = json.loads(self._fernet().decrypt(sealed))
        except (InvalidToken, ValueError) as error:
            raise _sealed_otherwise(account) from error
        if not isinstance(found, dict) or found.get("account") != account:
            raise _sealed_otherwise(account)
        return str(found.get("value", ""))

    def save(self, account: str, value: str) -> None:
        """Keep this for the account in place of what was there, whole or not at all. Raises as ``load``."""
        sealed = self._fernet().encrypt(json.dumps({"account": account, "value": value}).encode())
        try:
            self._make_folder()
            _replace(self._file(account), sealed)
        except OSError as error:
            raise _unusable(self._file(account), error) from error

    def forget(self, account: str) -> None:
        """Keep nothing for the account. Raises ConnectorError."""
        try:
            self._file(account).unlink(missing_ok=True)
        except OSError as error:
            raise _unusable(self._file(account), error) from error

    @contextmanager
    def locked(self, account: str, patience: float = PATIENCE) -> Iterator[None]:
        """Keep other processes and threads out while a sign-in is loaded, renewed and saved.

        Raises Retryable after ``patience`` seconds, ConnectorError where nothing can be written.
        """
        beside = self._file(account).with_suffix(".lock")
        try:
            self._make_folder()
            descriptor = os.open(beside, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise _unusable(beside, error) from error
        try:
            _wait_for(descriptor, account, patience)
            yield
        finally:
            os.close(descriptor)

    def _file(self, account: str) -> Path:
        return self._folder / f"{account}.token"

    def _make_folder(self) -> None:
        self._folder.mkdir(mode=0o700, exist_ok=True)
        if self._folder.stat().st_mode & 0o077:
            self._folder.chmod(0o700)

    def _fernet(self) -> MultiFernet:
        keys = [_fernet_of(line) for line in self._key().split()]
        if not keys:
            raise _no_key()
        return MultiFernet(keys)


def new_key() -> bytes:
    """A fresh key, as one line."""
    return base64.b64encode(os.urandom(_KEY_BYTES)) + b"\n"


def _fernet_of(line: bytes) -> Fernet:
    try:
        key = base64.b64decode(line.translate(bytes.maketrans(b"-_", b"+/")), validate=True)
    except binascii.Error as error:
        raise _no_key() from error
    if len(key) != _KEY_BYTES:
        raise _no_key()
    return Fernet(base64.urlsafe_b64encode(key))


def _replace(path: Path, content: bytes) -> None:
    descriptor, aside = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(aside).replace(path)
    except BaseException:
        with suppress(OSError):
            Path(aside).unlink()
        raise


def _wait_for(descriptor: int, account: str, patience: float) -> None:
    until = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= until:
                raise Retryable(f"Another rebookd is at work on the sign-in of {account}.") from None
            time.sleep(_LOOK_AGAIN)
        else:
            return


def _no_key() -> NeedsLogin:
    return NeedsLogin(
        "The key that sign-ins are encrypted with is not 32 bytes in base64; make one with: "
        "openssl rand -base64 32"
    )


def _sealed_otherwise(account: str) -> NeedsLogin:
    return NeedsLogin(
        f"The sign-in of {account} was encrypted with another key; put that key back, or run: "
        f"rebookd auth {account}"
    )


def _unusable(path: Path, error: OSError) -> ConnectorError:
    return ConnectorError(f"{path} cannot be used: {(error.strerror or 'unknown reason').lower()}.")


__all__ = ["TokenCache", "new_key"]
