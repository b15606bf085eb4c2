"""Moving the state: ``state copy``."""

from __future__ import annotations

import click

from daemon.commands.context import clock


@click.group()
def state() -> None:
    """Move the state between a file and a database."""


@state.command()
@click.argument("source", metavar="FROM")
@click.argument("target", metavar="TO")
def copy(source: str, target: str) -> None:
    """Copy the state at FROM into an empty TO, and use FROM no more; nobody is mailed again.

    FROM and TO are files, or databases like postgresql://rebookd@db.example/rebookd. Nothing of rebookd may
    run on either.
    """
    from daemon.store import copying  # noqa: PLC0415 - no other command needs it

    done = copying.copy_state(source, target, clock.now())
    owners = "1 owner" if done.owners == 1 else f"{done.owners} owners"
    click.echo(f"{done.rows} rows of {owners} were copied; what lay there is marked as moved")
    click.echo("Now name the new place after 'state:' in the configuration, and start rebookd.", err=True)
