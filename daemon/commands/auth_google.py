"""Signing in to a Google account."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import click

from connectors.base import NeedsLogin
from connectors.google_auth import Client
from connectors.google_scopes import Scope, missing
from connectors.google_signin import Granted, SignIn
from connectors.loopback import Loopback
from daemon.commands.context import clock, local
from daemon.commands.signing_in import (
    by_browser,
    hint,
    if_optional,
    in_words,
    keep,
    say,
    say_when_it_counts,
    what_was_left_out,
)
from daemon.config.google import Google
from daemon.config.settings import Settings
from daemon.google_access import GoogleAccess, access, needs


def sign_in(settings: Settings, account: str, configured: Google, *, device: bool) -> None:
    """Sign in, or try a service account's key. Raises ConnectorError with what went wrong."""
    wanted, way = needs(settings, account), access(settings, account)
    if configured.service_account:
        _try_key(way, account, str(configured.subject), wanted)
    else:
        _sign_in(settings, way, account, configured, wanted, device=device)


def _try_key(way: GoogleAccess, account: str, subject: str, wanted: Sequence[Scope]) -> None:
    """Nobody signs in with a service account; say what an administrator must have allowed."""
    say(f"{account} uses a service account, so nobody signs in. It must have these scopes, domain-wide:")
    for scope in wanted:
        say(f"  {scope.url}  to {scope.why}{if_optional(scope)}")
    way.tokens.access_token()
    click.echo(f"{account}: the service account may act for {subject}")


def _sign_in(
    settings: Settings,
    way: GoogleAccess,
    account: str,
    configured: Google,
    wanted: Sequence[Scope],
    *,
    device: bool,
) -> None:
    client = Client.read(way.client_secret())
    loopback = Loopback()
    try:
        attempt = SignIn(
            client,
            wanted,
            loopback.address,
            hint=hint(settings, account),
            private_network=configured.private_network,
        )
        _explain(account, wanted, device=device)
        granted = attempt.finish(by_browser(attempt, loopback, loopback.address, device=device))
    finally:
        loopback.close()
    lacking = missing(wanted, granted.scopes)
    needed = [scope for scope in lacking if not scope.optional]
    if needed:
        raise NeedsLogin(
            f"{account} was not signed in: rebookd was not allowed to {in_words(needed)}. Run it again and "
            "tick everything that may not be left out."
        )
    _keep(settings, account, granted)
    what_was_left_out(account, lacking)


def _explain(account: str, wanted: Sequence[Scope], *, device: bool) -> None:
    if device:
        say("Google offers no device code for calendars; any browser on any machine will do instead.\n")
    say(f"rebookd asks to be allowed, in {account}, to:")
    for scope in wanted:
        say(f"  - {scope.why} ({scope.name}){if_optional(scope)}")
    say("\nSign in as the owner of that account, at this address:\n")


def _keep(settings: Settings, account: str, granted: Granted) -> None:
    """Store the sign-in, and say how long it lasts where Google limits it."""
    keep(settings, account, granted.value, f"{account} is signed in")
    if granted.expires_in is not None:
        ends = local(clock.now() + timedelta(seconds=granted.expires_in), settings.owner.zone)
        say(
            f"caution: this sign-in ends on {ends}, since the app is in 'Testing' in Google's console. "
            "Publish the app there and sign in again, and it lasts."
        )
    say_when_it_counts()
