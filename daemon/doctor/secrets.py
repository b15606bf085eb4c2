"""Secrets and sign-ins: rebookd's user can read them, nobody else can, and they are still good."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

from connectors.base import ConnectorError
from daemon import sign_ins
from daemon.config.secret import Secret, SecretUnavailable
from daemon.config.settings import Settings
from daemon.doctor.checks import Check, doubtful, fine, wrong
from daemon.own_keys import beside_state

NAME = "secrets"

TESTING = timedelta(days=7)
"""How long Google keeps a sign-in of an app that is in "Testing"."""


def checks(settings: Settings, now: datetime) -> Iterator[Check]:
    """Every secret the configuration points at, and every sign-in."""
    for secret in settings.secrets():
        yield readable(secret, settings.base)
    for text in settings.cautions():
        sentence, _, todo = text.partition("; ")
        yield doubtful(NAME, sentence, todo.removeprefix("run: "))
    yield from key_private(settings)
    for name, account in settings.accounts.items():
        if account.google and account.google.client_secret:
            yield signed_in(settings, name, now, expires=TESTING)
        elif account.outlook and not (account.outlook.client_secret or account.outlook.certificate):
            yield signed_in(settings, name, now)


def readable(secret: Secret, base: Path) -> Check:
    """Whether a secret is there for this user."""
    try:
        secret.read(base)
    except SecretUnavailable as error:
        return wrong(NAME, str(error), _cure(secret, base))
    return fine(NAME, f"{secret} can be read")


def _cure(secret: Secret, base: Path) -> str:
    place = secret.value[0]
    return {
        "file": f"install -m 0600 -o USER /dev/stdin {base / Path(place).expanduser()}",
        "env": f"set {place} where rebookd starts",
        "credential": f"add LoadCredential={place}:/etc/rebookd/secrets/{place} to the unit, or set "
        "CREDENTIALS_DIRECTORY for one command",
        "command": f"run it by hand as rebookd's user: {' '.join(secret.value)}",
    }[secret.kind]


def key_private(settings: Settings) -> Iterator[Check]:
    """What rebookd keeps to itself stays its own."""
    for ending in (".key", ".links-key", ".tokens"):
        path = beside_state(settings, ending)
        if path.exists() and path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            mode = "700" if path.is_dir() else "600"
            yield doubtful(NAME, f"others than rebookd's user can reach {path}", f"chmod {mode} {path}")


def signed_in(settings: Settings, account: str, now: datetime, expires: timedelta | None = None) -> Check:
    """Whether the account was signed in to, the sign-in opens with the key, and how old it is."""
    name, cure = "sign-ins", f"rebookd auth {account}"
    try:
        found = sign_ins.cache(settings).load(account)
    except ConnectorError as error:
        return wrong(name, str(error).rstrip("."), cure)
    if found is None:
        return wrong(name, f"nobody signed in to {account} yet", cure)
    file = beside_state(settings, ".tokens") / f"{account}.token"
    age = now.timestamp() - file.stat().st_mtime
    days = max(0, int(age // 86400))
    if expires is not None and age > (expires - timedelta(days=1)).total_seconds():
        return doubtful(
            name,
            f"the sign-in of {account} is {days} days old; Google forgets it after {expires.days} days while "
            'the app is in "Testing"',
            "publish the app in Google's console (Audience, Publish app), or sign in again: " + cure,
        )
    return fine(name, f"{account} is signed in to, last renewed {days} days ago")
