"""Keeping the state safe: ``backup`` and ``restore``."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import click

from daemon.commands.context import clock, loaded_of, local, opened, settings_of
from daemon.config.settings import Settings
from daemon.exits import Failure
from daemon.own_keys import beside_state
from daemon.store import backup as copies
from daemon.store import fence, restored
from daemon.store.lock import lock


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--force", is_flag=True, help="Replace a file that is already there.")
@click.pass_context
def backup(ctx: click.Context, file: Path, force: bool) -> None:
    """Copy the state to FILE, also while rebookd runs."""
    settings = _one_of(ctx)
    copies.back_up(_state(settings), file.absolute(), clock.now(), force=force)
    click.echo(f"{file} holds the state, and was read through without a fault")
    click.echo("What it needs to be of use elsewhere, keep too:", err=True)
    for path in _beside(loaded_of(ctx).settings.values()):
        click.echo(f"  {path}", err=True)


def _one_of(ctx: click.Context) -> Settings:
    """Whoever is meant: one configuration, or any of several that share one state."""
    found = list(loaded_of(ctx).settings.values())
    if (
        found
        and len({one.config.state if "://" in one.config.state else one.state.resolve() for one in found})
        == 1
    ):
        return found[0]
    return settings_of(ctx)[1]


def _state(settings: Settings) -> Path:
    """The state file. Raises Failure where it is none."""
    if "://" in settings.config.state:
        raise Failure(
            "the state is no file: copy it with pg_dump, put it back with pg_restore while nothing runs, "
            "then run: rebookd restore --in-place"
        )
    return settings.state.resolve()


def _beside(owners: Iterable[Settings]) -> list[Path]:
    """The files that a new machine needs beside the state."""
    found: list[Path] = []
    for one in owners:
        secrets = [each for each in one.secrets() if each.kind == "file"]
        own = [beside_state(one, ending) for ending in (".key", ".links-key", ".tokens")]
        found += [
            *one.files,
            *(one.base / Path(each.value[0]).expanduser() for each in secrets),
            *(path for path in own if path.exists()),
        ]
    return list(dict.fromkeys(found))


@click.command()
@click.argument("file", type=click.Path(path_type=Path), required=False)
@click.option("--in-place", is_flag=True, help="The state file itself came from a copy of this machine.")
@click.pass_context
def restore(ctx: click.Context, file: Path | None, in_place: bool) -> None:
    """Put the backup FILE into the state's place; nobody is mailed again because of it."""
    if (file is None) is not in_place:
        raise click.UsageError("name a backup, or use --in-place where the state file is one")
    settings = _one_of(ctx)
    now = clock.now()
    with lock(settings.memory):
        if file is not None:
            state = _state(settings)
            if file.exists() and state.exists() and file.samefile(state):
                raise Failure(f"{file} is the state file itself; to say that it is a backup, use --in-place")
            kept = copies.put_back(file.absolute(), state, now)
            if kept is not None:
                click.echo(f"what lay there before is kept as {kept}", err=True)
        with opened(settings, must_exist=True) as store, store.write() as conn, fence.lifted(conn):
            restored.say_backup(conn, restored.last_sign(conn, now))
            made = restored.backup_of(conn) or now
    click.echo(
        f"{settings.place} is as it was on {local(made, settings.owner.zone)}. The next run reads the "
        "calendars anew; what may have been sent since then waits for your word: "
        "rebookd outbox list --state held"
    )
