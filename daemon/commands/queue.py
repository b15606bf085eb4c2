"""The mail queue: ``outbox list``, ``show``, ``approve``, ``retry``, ``cancel``."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import datetime

import click
from rich.table import Table
from rich.text import Text
from sqlalchemy import Connection

from connectors.base import Rejected
from daemon.commands.context import clock, console, local, opened, print_json, settings_of
from daemon.config.problems import printable
from daemon.config.settings import Settings
from daemon.exits import Failure
from daemon.mail.readable import readable
from daemon.mail.scribe import Scribe
from daemon.store import deliveries
from daemon.store.deliveries import Delivery
from daemon.store.engine import Store
from rules.delivery import OPEN, ForbiddenMove, State


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
    _, settings = settings_of(ctx)
    rows: list[Delivery] = []
    if settings.state.exists():
        with opened(settings) as store, store.read() as conn:
            rows = deliveries.list_(conn, State(state) if state else None)
    if as_json:
        print_json([as_dict(row) for row in rows])
        return
    table = Table(
        "id", "state", "rule", "step", "to", "subject", "when", "why", box=None, header_style="bold"
    )
    for row in rows:
        when = local(row.sent_at or row.changed_at, settings.owner.zone)
        cells = (row.id, row.state.value, row.rule, row.step, row.to, row.subject, when, row.error)
        table.add_row(*(Text(printable(str(cell))) for cell in cells))
    console().print(table if rows else "The outbox is empty")


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
        "attempts": row.attempts,
        "error": row.error,
        "reason": row.reason,
        "created_at": row.created_at,
        "until": row.until,
        "sent_at": row.sent_at,
    }


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
        words = readable(row.raw) if row.raw else _as_it_would_leave(store, settings, row)
    if raw:
        sys.stdout.buffer.write(row.raw or b"")
        return
    for name, value in as_dict(row).items():
        said = local(value, settings.owner.zone) if isinstance(value, datetime) else str(value or "")
        if said:
            click.echo(f"{name}: {printable(said)}")
    click.echo()
    click.echo(words)


def _as_it_would_leave(store: Store, settings: Settings, row: Delivery) -> str:
    """The words of a message that is not written yet, as they would be now."""
    if row.state not in OPEN:
        return "It was never written."
    try:
        mail = Scribe(store, settings, clock).compose(row)
    except Rejected as error:
        return f"It cannot be written now: {error}"
    return f"It is written when it leaves. Now it would say:\n\n{readable(mail.raw)}"


def _say(
    ctx: click.Context, ids: list[int], act: Callable[[Connection, int, datetime], bool], word: str
) -> None:
    _, settings = settings_of(ctx)
    with opened(settings, must_exist=True) as store:
        for id_ in ids:
            try:
                with store.write() as conn:
                    found = act(conn, id_, clock.now())
            except ForbiddenMove as error:
                raise Failure(f"message {id_} is {error.state.value}; it cannot be {word}") from error
            if not found:
                raise Failure(f"there is no message {id_}; see: rebookd outbox list")
            click.echo(f"message {id_} {word}")


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
    _say(ctx, chosen, deliveries.approve, "approved")


@outbox.command()
@click.argument("id_", metavar="ID", type=int)
@click.pass_context
def retry(ctx: click.Context, id_: int) -> None:
    """Send a refused, unknown, lapsed or held message after all."""
    _say(ctx, [id_], deliveries.retry, "queued again")


@outbox.command()
@click.argument("id_", metavar="ID", type=int)
@click.pass_context
def cancel(ctx: click.Context, id_: int) -> None:
    """Never send a waiting message."""
    _say(ctx, [id_], deliveries.cancel, "cancelled")
