"""The mail queue: ``outbox list``, ``show``, ``approve``, ``retry``, ``cancel``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from datetime import datetime

import click
from rich.table import Table
from rich.text import Text
from sqlalchemy import Connection

from daemon import message_words, verdicts
from daemon.commands.context import clock, console, everybody, local, opened, print_json, settings_of
from daemon.config.problems import printable
from daemon.config.settings import Settings
from daemon.exits import Failure
from daemon.store import deliveries, drafts
from daemon.store.deliveries import Delivery
from rules.delivery import ForbiddenMove, State
from rules.policy import Mode


@click.group()
def outbox() -> None:
    """Look at the mail queue, and have your say."""


@outbox.command("list")
@click.option(
    "--state", type=click.Choice([state.value for state in State]), help="Only those in this state."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def list_(ctx: click.Context, state: str | None, as_json: bool) -> None:
    """List the queue, oldest first."""
    asked = everybody(ctx)
    rows = [
        (settings, row)
        for settings in asked.owners
        for row in _rows(settings, State(state) if state else None)
    ]
    if as_json:
        print_json([shown for whose, row in rows for shown in asked.named(whose, [as_dict(row)])])
        ctx.exit(asked.code)
    heads = ("id", "state", "rule", "step", "to", "subject", "when", "why")
    table = Table(*(("owner",) if asked.is_many else ()), *heads, box=None, header_style="bold")
    for whose, row in rows:
        when = local(row.sent_at or row.changed_at, whose.owner.zone)
        why = row.error or _went_with(row)
        cells = (row.id, row.state.value, row.rule, row.step, row.to, row.subject, when, why)
        named = (whose.name, *cells) if asked.is_many else cells
        table.add_row(*(Text(printable(str(cell))) for cell in named))
    console().print(table if rows else "The outbox is empty")
    ctx.exit(asked.code)


def _rows(settings: Settings, state: State | None) -> list[Delivery]:
    if not settings.has_state():
        return []
    with opened(settings) as store, store.read() as conn:
        return deliveries.list_(conn, state)


def as_dict(row: Delivery) -> dict[str, object]:
    """The shape of ``outbox list --json``."""
    return {
        "id": row.id,
        "state": row.state.value,
        "rule": row.rule,
        "step": row.step,
        "do": row.do,
        "uid": row.key.uid if row.key else "",
        "recurrence_id": row.key.recurrence_id if row.key else None,
        "account": row.key.calendar.account if row.key else "",
        "to": row.to,
        "subject": row.subject,
        "message_id": row.message_id,
        "carried_by": row.carried_by,
        "attempts": row.attempts,
        "error": row.error,
        "reason": row.reason,
        "created_at": row.created_at,
        "until": row.until,
        "sent_at": row.sent_at,
    }


def _went_with(row: Delivery) -> str:
    """For what shared a message that may have left: the number under which that is kept."""
    other = message_words.carried(row)
    return f"went with message {other}" if other is not None else ""


@outbox.command()
@click.argument("id_", metavar="ID", type=int)
@click.option("--raw", is_flag=True, help="The message exactly as it went to the server.")
@click.pass_context
def show(ctx: click.Context, id_: int, raw: bool) -> None:
    """Show one message: what became of it, and its words."""
    _, settings = settings_of(ctx)
    with opened(settings, must_exist=True) as store:
        with store.read() as conn:
            row = deliveries.get(conn, id_)
        if row is None:
            raise Failure(f"there is no message {id_}; see: rebookd outbox list")
        kept = message_words.kept(store, row)
        words = message_words.words(store, settings, clock, kept)
    if raw:
        sys.stdout.buffer.write(kept.raw or b"")
        return
    for name, value in as_dict(row).items():
        said = local(value, settings.owner.zone) if isinstance(value, datetime) else str(value or "")
        if said:
            click.echo(f"{name}: {printable(said)}")
    click.echo()
    if kept is not row:
        click.echo(f"It {_went_with(row)}:\n")
    click.echo(words)


def _say(
    ctx: click.Context,
    ids: Iterable[int],
    act: Callable[[Connection, Settings, int], Mode | bool],
    word: str,
) -> None:
    _, settings = settings_of(ctx)
    with opened(settings, must_exist=True) as store:
        for id_ in ids:
            try:
                with store.write() as conn:
                    done = act(conn, settings, id_)
                    row = deliveries.get(conn, id_)
                    draft = drafts.get(conn, id_)
            except ForbiddenMove as error:
                raise Failure(f"message {id_} is {error.state.value}; it cannot be {word}") from error
            if done is False or row is None:
                raise Failure(f"there is no message {id_}; see: rebookd outbox list")
            click.echo(f"message {id_} {word}{'; its draft is taken out of your mailbox' if draft else ''}")
            if isinstance(done, Mode):
                click.echo(
                    f"two messages of rule {row.rule} in a row were rejected; it is now {done.value}. "
                    "Change the rule to lift this"
                )


@outbox.command()
@click.argument("ids", metavar="[ID]...", nargs=-1, type=int)
@click.option("--all", "all_", is_flag=True, help="Everything that is held.")
@click.pass_context
def approve(ctx: click.Context, ids: tuple[int, ...], all_: bool) -> None:
    """Let held messages go."""
    chosen = list(ids)
    if all_:
        _, settings = settings_of(ctx)
        with opened(settings, must_exist=True) as store, store.read() as conn:
            chosen = [row.id for row in deliveries.list_(conn, State.HELD)]
    if not chosen:
        raise Failure("nothing is held" if all_ else "name a message, or use --all")
    _say(ctx, chosen, lambda conn, mine, id_: verdicts.approve(conn, mine, id_, clock.now()), "approved")


@outbox.command()
@click.argument("ids", metavar="ID...", nargs=-1, type=int, required=True)
@click.pass_context
def retry(ctx: click.Context, ids: tuple[int, ...]) -> None:
    """Send refused, unknown, lapsed or held messages after all."""
    _say(ctx, ids, lambda conn, _, id_: deliveries.retry(conn, id_, clock.now()), "queued again")


@outbox.command()
@click.argument("ids", metavar="ID...", nargs=-1, type=int, required=True)
@click.pass_context
def cancel(ctx: click.Context, ids: tuple[int, ...]) -> None:
    """Never send waiting messages."""
    _say(ctx, ids, lambda conn, mine, id_: verdicts.cancel(conn, mine, id_, clock.now()), "cancelled")
