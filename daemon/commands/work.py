"""Doing the work: ``run``, ``demo``, ``mark``, ``accept-shrink``."""

from __future__ import annotations

import importlib.util
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import TYPE_CHECKING

import click

from connectors.base import NeedsLogin
from daemon.commands.context import clock, counted, local, opened, settings_of
from daemon.config.settings import find_config
from daemon.deployment import Deployment
from daemon.exits import FAILED, INVALID_CONFIGURATION, Failure, explain_failure, gravest, of_troubles
from daemon.office import Office, Round
from daemon.poll import Progress
from daemon.store import agenda, attendance, calendars
from rules.attendance import WORDS
from rules.model import Occurrence, OccurrenceKey

if TYPE_CHECKING:
    from daemon.cluster.node import Node

MOST_AT_ONCE = 8
"""So many owners have their round side by side."""


@click.command()
@click.option("--once", is_flag=True, help="One round of poll, decide and send, then exit.")
@click.option("--worker", is_flag=True, help="Run as one of many workers on one PostgreSQL.")
@click.pass_context
def run(ctx: click.Context, once: bool, worker: bool) -> None:
    """Run the daemon."""
    root = ctx.find_root()
    path, owner = find_config(root.obj), root.params.get("owner")
    if once and worker:
        raise click.UsageError("--once is a round of one machine; leave out --once or --worker")
    if owner and worker:
        raise click.UsageError("a worker works for every owner; leave out --owner or --worker")
    if not once:
        from daemon.loop import Daemon  # noqa: PLC0415 - a round needs no loop

        Daemon(path, clock, owner, _node() if worker else None).run()
        return
    deployment = Deployment(path, clock, only=owner)
    try:
        deployment.open()
        ctx.exit(_rounds(deployment))
    finally:
        deployment.close()


def _node() -> Node:
    missing = [name for name in ("procrastinate", "psycopg") if importlib.util.find_spec(name) is None]
    if missing:
        raise Failure(
            f"--worker needs {' and '.join(missing)}; install the extra: pipx install 'rebookd[postgres]'"
        )
    from daemon.cluster.node import Node  # noqa: PLC0415 - an extra

    return Node(clock)


def _rounds(deployment: Deployment) -> int:
    """One round for everybody, side by side; the gravest exit code. What goes wrong with one is theirs."""
    from daemon.commands.bars import Bars  # noqa: PLC0415 - the daemon shows none

    is_many = deployment.is_many
    with Bars() as bars, ThreadPoolExecutor(MOST_AT_ONCE, thread_name_prefix="round") as pool:
        tell = None if is_many else bars.tell
        begun = {name: pool.submit(_round, office, tell) for name, office in deployment.offices.items()}
    codes = [INVALID_CONFIGURATION] if deployment.problems else [FAILED] if deployment.missing else []
    for name, result in begun.items():
        error = result.exception()
        if error is None:
            _summarise(result.result(), f"{name}: " if is_many else "")
            codes.append(_exit_code(result.result()))
        elif is_many and isinstance(error, Exception):
            click.echo(f"rebookd: {name}:", err=True)
            codes.append(explain_failure(error))
        else:
            raise error
    return gravest(codes)


def _round(office: Office, tell: Progress | None) -> Round:
    try:
        office.start()
        return office.round(tell)
    finally:
        office.close()


def _summarise(done: Round, whose: str) -> None:
    """One line on standard output for people and cron mails."""
    parts = [
        counted(len(done.polls), "account") + " polled",
        counted(done.decided.judged, "meeting") + " judged",
    ]
    if done.replies is not None and done.replies.replies:
        count = done.replies.replies
        parts.append(f"{count} {'reply' if count == 1 else 'replies'} read")
    if done.sent is not None:
        parts += [f"{count} {state}" for state, count in sorted(done.sent.counts.items())]
    click.echo(whose + ", ".join(parts))
    for report in done.polls:
        for trouble in report.troubles:
            click.echo(f"rebookd: {whose}{trouble.account}: {trouble.message}", err=True)
    if done.replies is not None and done.replies.error:
        click.echo(f"rebookd: {whose}replies: {done.replies.error}", err=True)
    if done.sent is not None and done.sent.trouble is not None:
        click.echo(f"rebookd: {whose}mail: {done.sent.trouble}", err=True)


def _exit_code(done: Round) -> int:
    """The gravest of what went wrong in reading, deciding and sending."""
    kinds = {trouble.kind for report in done.polls for trouble in report.troubles}
    if done.sent is not None and done.sent.trouble is not None:
        kinds.add("sign-in needed" if isinstance(done.sent.trouble, NeedsLogin) else "no answer")
    if done.decided.failed or (done.sent and done.sent.failed):
        kinds.add("error")
    return of_troubles(kinds)


@click.command()
@click.argument("event")
@click.argument("held", metavar="held|missed|missed-by-me", type=click.Choice(list(WORDS)))
@click.pass_context
def mark(ctx: click.Context, event: str, held: str) -> None:
    """Say what became of a meeting. EVENT is a UID, UID/RECURRENCE-ID, or part of a title."""
    _, settings = settings_of(ctx)
    now = clock.now()
    with opened(settings, must_exist=True) as store, store.write() as conn:
        found = begun(find_meetings(agenda.find(conn, event), event), event, now)
        attendance.mark(conn, found.identity, WORDS[held], "the owner's word", now)
        agenda.wake(conn, [one.key for one in agenda.copies(conn, [found.key])], now)
    when = local(found.start, settings.owner.zone)
    click.echo(f"{found.title or found.key.uid} of {when} is marked {held}")


def begun(found: list[Occurrence], event: str, now: datetime) -> Occurrence:
    """The one meeting that is meant: of a series the instance that began last. Raises Failure."""
    begun_ = [one for one in found if one.start_utc <= now]
    if not begun_:
        raise Failure(f"'{event}' has not begun yet: it starts {found[0].start.isoformat()}")
    uids = sorted({one.key.uid for one in begun_})
    if len(uids) > 1:
        listed = "\n".join(
            f"  {one.start:%Y-%m-%d %H:%M}  {one.title}  {one.identity}" for one in begun_[-10:]
        )
        raise Failure(f"'{event}' fits several meetings; name one by its UID:\n{listed}")
    return max(begun_, key=lambda one: one.start_utc)


def find_meetings(found: list[Occurrence], event: str) -> list[Occurrence]:
    """What was found, one copy of each meeting, in order of time. Raises Failure when nothing was."""
    if not found:
        raise Failure(f"no meeting is called '{event}'; give its UID or part of its title")
    one_each: dict[object, Occurrence] = {}
    for one in sorted(found, key=lambda one: (one.start_utc, _order(one.key))):
        one_each.setdefault(one.identity, one)
    return list(one_each.values())


def _order(key: OccurrenceKey) -> tuple[str, str]:
    return key.calendar.account, key.calendar.id


@click.command("accept-shrink")
@click.argument("account")
@click.pass_context
def accept_shrink(ctx: click.Context, account: str) -> None:
    """Believe a calendar that suddenly holds far less than before."""
    _, settings = settings_of(ctx)
    if account not in settings.accounts:
        raise Failure(f"no account is called '{account}'; there are {', '.join(settings.accounts)}")
    with opened(settings, must_exist=True) as store, store.write() as conn:
        names = {row.ref: row.name for row in calendars.calendars(conn, account)}
        accepted = calendars.accept_shrink(conn, account)
    if not accepted:
        raise Failure(f"nothing in {account} is in doubt")
    click.echo(f"The next poll believes {', '.join(names[ref] for ref in accepted)} as it is then")


@click.command()
@click.option("--keep", metavar="DIR", help="Keep the mails and the calendar in this folder.")
def demo(keep: str | None) -> None:
    """Play one scripted day on loopback: three clients, three meetings in trouble, every mail shown."""
    missing = [name for name in ("radicale", "aiosmtpd") if importlib.util.find_spec(name) is None]
    if missing:
        raise Failure(
            f"the demo needs {' and '.join(missing)}: pip install 'rebookd[demo]', or run make demo"
        )
    from daemon.demo.play import play  # noqa: PLC0415 - its servers are an extra

    click.get_current_context().exit(play(keep))
