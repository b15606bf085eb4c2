"""Signing in: ``auth``. No token is ever printed."""

from __future__ import annotations

import click

from daemon import wiring
from daemon.commands.context import settings_of
from daemon.config.settings import Settings
from daemon.exits import Failure


@click.command()
@click.argument("account")
@click.option("--device", is_flag=True, help="Sign in with a browser on another machine.")
@click.pass_context
def auth(ctx: click.Context, account: str, device: bool) -> None:
    """Sign in to a Google or Outlook account, with a browser on this or another machine."""
    _, settings = settings_of(ctx)
    if account not in settings.accounts:
        raise Failure(f"no account is called '{account}'; there are {', '.join(settings.accounts)}")
    configured = settings.accounts[account]
    # Each provider's libraries are loaded only where that provider is used.
    if configured.google is not None:
        from daemon.commands import auth_google  # noqa: PLC0415

        auth_google.sign_in(settings, account, configured.google, device=device)
    elif configured.outlook is not None:
        from daemon.commands import auth_outlook  # noqa: PLC0415

        auth_outlook.sign_in(settings, account, device=device)
    else:
        raise Failure(
            f"{account} signs in with the password or token of its configuration; try it with: "
            "rebookd check --online"
        )
    _look_around(settings, account)


def _look_around(settings: Settings, account: str) -> None:
    """Show that it works."""
    connector = wiring.connector(settings, account)
    try:
        names = [info.name for info in connector.calendars()]
    finally:
        connector.close()
    click.echo(f"{account}: {', '.join(names) or 'no calendars'}")
