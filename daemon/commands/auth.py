"""Signing in: ``auth``. No token is ever printed."""

from __future__ import annotations

import os
import sys
import webbrowser
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

import click

from connectors.base import NeedsLogin
from daemon import sign_ins, wiring
from daemon.commands.context import clock, local, settings_of
from daemon.config.settings import Settings
from daemon.exits import Failure

if TYPE_CHECKING:
    from connectors.google_scopes import Scope
    from connectors.google_signin import Granted
    from daemon.google_access import GoogleAccess


@click.command()
@click.argument("account")
@click.option("--device", is_flag=True, help="Sign in with a browser on another machine.")
@click.pass_context
def auth(ctx: click.Context, account: str, device: bool) -> None:
    """Sign in to a Google account, with a browser on this or another machine."""
    _, settings = settings_of(ctx)
    if account not in settings.accounts:
        raise Failure(f"no account is called '{account}'; there are {', '.join(settings.accounts)}")
    configured = settings.accounts[account]
    if configured.google is None:
        raise Failure(
            f"{account} signs in with the password or token of its configuration; try it with: "
            "rebookd check --online"
        )
    from daemon.google_access import access, needs  # noqa: PLC0415 - Google's libraries, for Google alone

    wanted, way = needs(settings, account), access(settings, account)
    if configured.google.service_account:
        _try_key(way, account, str(configured.google.subject), wanted)
    else:
        _sign_in(settings, way, account, wanted, device=device)
    _look_around(settings, account)


def _try_key(way: GoogleAccess, account: str, subject: str, wanted: Sequence[Scope]) -> None:
    """Nobody signs in with a service account; say what an administrator must have allowed."""
    _say(f"{account} uses a service account, so nobody signs in. It must have these scopes, domain-wide:")
    for scope in wanted:
        _say(f"  {scope.url}  to {scope.why}{_if_optional(scope)}")
    way.tokens.access_token()
    click.echo(f"{account}: the service account may act for {subject}")


def _sign_in(
    settings: Settings, way: GoogleAccess, account: str, wanted: Sequence[Scope], *, device: bool
) -> None:
    from connectors.google_auth import Client  # noqa: PLC0415 - Google's libraries, for Google alone
    from connectors.google_scopes import missing  # noqa: PLC0415 - the same
    from connectors.google_signin import SignIn  # noqa: PLC0415 - the same
    from connectors.loopback import Loopback  # noqa: PLC0415 - only for a sign-in

    client = Client.read(way.client_secret())
    mail = settings.config.mail
    hint = str(mail.sender.address) if mail.account == account else ""
    loopback = Loopback()
    try:
        attempt = SignIn(client, wanted, loopback.address, hint=hint)
        _explain(account, wanted, device=device)
        click.echo(attempt.address)
        _say(
            "\nIs the browser on another machine? Then it ends at a page that cannot be shown, whose address "
            f"begins with {loopback.address} - paste that address here."
        )
        if not device and sys.stdin.isatty() and _has_screen():
            webbrowser.open(attempt.address)
        granted = attempt.finish(loopback.wait(attempt.is_answer, sys.stdin))
    finally:
        loopback.close()
    lacking = missing(wanted, granted.scopes)
    needed = [scope for scope in lacking if not scope.optional]
    if needed:
        what = "; to ".join(scope.why for scope in needed)
        raise NeedsLogin(
            f"{account} was not signed in: rebookd was not allowed to {what}. Run it again and tick "
            "everything that may not be left out."
        )
    _keep(settings, account, granted)
    for scope in lacking:
        _say(f"{account}: rebookd may not {scope.why}, and gets along without it")


def _explain(account: str, wanted: Sequence[Scope], *, device: bool) -> None:
    if device:
        _say("Google offers no device code for calendars; any browser on any machine will do instead.\n")
    _say(f"rebookd asks to be allowed, in {account}, to:")
    for scope in wanted:
        _say(f"  - {scope.why} ({scope.name}){_if_optional(scope)}")
    _say("\nSign in as the owner of that account, at this address:\n")


def _keep(settings: Settings, account: str, granted: Granted) -> None:
    """Store the sign-in, and say how long it lasts where Google limits it."""
    made = sign_ins.make_key(settings)
    cache = sign_ins.cache(settings)
    with cache.locked(account):
        cache.save(account, granted.value)
    click.echo(f"{account} is signed in")
    if made is not None:
        _say(f"The key that sign-ins are encrypted with was made: {made}")
    if granted.expires_in is not None:
        ends = local(clock.now() + timedelta(seconds=granted.expires_in), settings.owner.zone)
        _say(
            f"caution: this sign-in ends on {ends}, since the app is in 'Testing' in Google's console. "
            "Publish the app there and sign in again, and it lasts."
        )
    _say("A daemon that runs already sees it within the hour, or at once after: systemctl reload rebookd")


def _look_around(settings: Settings, account: str) -> None:
    """Show that it works."""
    connector = wiring.connector(settings, account)
    try:
        names = [info.name for info in connector.calendars()]
    finally:
        connector.close()
    click.echo(f"{account}: {', '.join(names) or 'no calendars'}")


def _if_optional(scope: Scope) -> str:
    return " - may be left out" if scope.optional else ""


def _has_screen() -> bool:
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _say(line: str) -> None:
    click.echo(line, err=True)
