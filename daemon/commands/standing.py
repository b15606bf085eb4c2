"""The owner's standing word: ``silence`` for a while, ``optout`` for good."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

import click
from pydantic import ValidationError
from rich.table import Table
from rich.text import Text
from sqlalchemy import Connection

from daemon.commands.context import clock, console, local, opened, print_json, settings_of
from daemon.config.problems import ConfigProblems, printable
from daemon.config.settings import Settings
from daemon.config.validation import validate
from daemon.config.yaml_tree import parse_yaml
from daemon.exits import Failure
from daemon.standing import in_words
from daemon.store import agenda, deliveries, optouts, silences
from daemon.store.optouts import OptOut
from daemon.store.silences import StoredSilence
from rules.delivery import OPEN, Event, State
from rules.faults import Faults, faults_of
from rules.fields import Pattern, Span
from rules.policy import TO_OTHERS, SilenceMatch

SUPPRESSED = "they asked not to be written to"
"""Why a waiting message to somebody who opted out never leaves."""

_NOT_TEXT = ("recurring", "attendees")
"""Match keys whose value is not text."""

_NO_WILDCARD = "write an address such as jo@acme.example, or a pattern such as '*@acme.example'"


@click.group()
def silence() -> None:
    """Hold back messages for a while."""


def _matches(ctx: click.Context, _param: click.Parameter, values: tuple[str, ...]) -> dict[str, Any]:
    if ctx.resilient_parsing:
        return {}
    try:
        parts = [_match(value) for value in values]
    except ConfigProblems as error:
        raise click.BadParameter(f"\n{error}") from error
    whole, rest = _joined(parts)
    if rest:
        whole["all"] = rest
    try:
        SilenceMatch.model_validate(whole)
    except ValidationError as error:
        raise click.BadParameter("; ".join(each.message for each in faults_of(error))) from error
    return whole


def _match(value: str) -> dict[str, Any]:
    """One ``--match`` as plain data. Raises ConfigProblems, or BadParameter."""
    text = value.strip()
    if not text.startswith("{"):
        key, equals, said = text.partition("=")
        if not equals or not said.strip():
            raise click.BadParameter(f"'{printable(text)}' asks nothing; write it like client=Acme")
        is_plain = not said.startswith(("[", "{")) and key not in _NOT_TEXT
        said = "'{}'".format(said.replace("'", "''")) if is_plain else said
        text = f"{key}: {said}"
    tree = parse_yaml(text, "--match")
    if tree.data == {}:
        raise click.BadParameter("an empty question fits every message; to hold all back, ask rule=*")
    validate(SilenceMatch, tree)
    data: dict[str, Any] = tree.data
    return data


def _joined(parts: Iterable[dict[str, Any]]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """All keys once, and what asks for one of them again."""
    whole: dict[str, Any] = {}
    rest: list[dict[str, Any]] = []
    for part in parts:
        for key, value in part.items():
            if key == "all":
                rest += value if isinstance(value, list) else [value]
            elif key not in whole:
                whole[key] = value
            elif key == "rule":
                raise click.BadParameter("'rule' is asked twice; for either of two write rule=[one, two]")
            else:
                rest.append({key: value})
    return whole, rest


def _length(ctx: click.Context, _param: click.Parameter, value: str) -> timedelta:
    if ctx.resilient_parsing:
        return timedelta(0)
    try:
        span = Span.parse(value)
    except Faults as error:
        raise click.BadParameter(_said(error)) from error
    if not span.delta:
        raise click.BadParameter("write hours, days or weeks, such as 12h, 3d or 2 weeks")
    return span.delta


def _said(faults: Faults) -> str:
    return "; ".join(f"{each.message}; {each.help}" if each.help else each.message for each in faults.faults)


@silence.command("add")
@click.option(
    "--match",
    "match",
    metavar="KEY=VALUE",
    multiple=True,
    required=True,
    callback=_matches,
    help="What to hold back, as a rule's match says it, or rule=NAME; all given must fit.",
)
@click.option("--for", "length", metavar="SPAN", required=True, callback=_length, help="How long: 12h, 3d.")
@click.option("--comment", default="", help="Why, for later.")
@click.pass_context
def add_silence(ctx: click.Context, match: dict[str, Any], length: timedelta, comment: str) -> None:
    """Hold back what fits, from now on."""
    _, settings = settings_of(ctx)
    now = clock.now()
    with opened(settings) as store, store.write() as conn:
        id_ = silences.add(conn, match, starts_at=now, ends_at=now + length, comment=comment, now=now)
        agenda.wake_all(conn, now)
    until = local(now + length, settings.owner.zone)
    click.echo(f"silence {id_} holds until {until}: {printable(in_words(match))}")
    for caution in _cautions(match, settings):
        click.echo(f"rebookd: {caution}", err=True)


def _cautions(match: dict[str, Any], settings: Settings) -> list[str]:
    """What fits nothing there is."""
    said = SilenceMatch.model_validate(match)
    asked = (
        ("rule", said.rule, [rule.name for rule in settings.policy.rules]),
        ("account", said.account, list(settings.accounts)),
    )
    return [
        f"no {what} fits '{printable(pattern.text)}'; there are {', '.join(names)}"
        for what, patterns, names in asked
        for pattern in patterns or ()
        if not any(pattern.matches(name) for name in names)
    ]


@silence.command("list")
@click.option("--all", "all_", is_flag=True, help="Those that are over, too.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def list_silences(ctx: click.Context, all_: bool, as_json: bool) -> None:
    """List the silences that hold."""
    _, settings = settings_of(ctx)
    now = clock.now()
    rows: list[StoredSilence] = []
    if settings.has_state():
        with opened(settings) as store, store.read() as conn:
            rows = silences.list_(conn) if all_ else silences.active(conn, now)
    if as_json:
        print_json([_silence(row, now) for row in rows])
        return
    table = Table("id", "until", "holds back", "comment", box=None, header_style="bold")
    for row in rows:
        until = local(row.ends_at, settings.owner.zone) + ("" if row.ends_at > now else " (over)")
        table.add_row(*_cells(row.id, until, in_words(row.match), row.comment))
    console().print(table if rows else "No silence holds" if not all_ else "There was no silence yet")


def _silence(row: StoredSilence, now: datetime) -> dict[str, object]:
    return {
        "id": row.id,
        "match": row.match,
        "starts_at": row.starts_at,
        "ends_at": row.ends_at,
        "comment": row.comment,
        "created_at": row.created_at,
        "active": row.starts_at <= now < row.ends_at,
    }


def _cells(*values: object) -> list[Text]:
    return [Text(printable(str(value))) for value in values]


@silence.command("expire")
@click.argument("ids", metavar="ID...", nargs=-1, type=int, required=True)
@click.pass_context
def expire(ctx: click.Context, ids: tuple[int, ...]) -> None:
    """End silences now."""
    _, settings = settings_of(ctx)
    now = clock.now()
    with opened(settings, must_exist=True) as store, store.write() as conn:
        for id_ in dict.fromkeys(ids):
            if not silences.expire(conn, id_, now):
                raise Failure(f"no silence {id_} holds; nothing was ended. See: rebookd silence list")
        agenda.wake_all(conn, now)
    for id_ in dict.fromkeys(ids):
        click.echo(f"silence {id_} is over")


@click.group()
def optout() -> None:
    """Say who must not be written to."""


def _patterns(ctx: click.Context, _param: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    return () if ctx.resilient_parsing else tuple(dict.fromkeys(_pattern(value) for value in values))


def _pattern(value: str) -> str:
    text = value.strip().lower().removeprefix("mailto:")
    try:
        Pattern.parse(text)
    except Faults as error:
        raise click.BadParameter(_said(error)) from error
    name, _, domain = text.rpartition("@")
    if not name or not domain or any(char.isspace() or not char.isprintable() for char in text):
        raise click.BadParameter(f"'{printable(value)}' is not an address; {_NO_WILDCARD}")
    return text


@optout.command("add")
@click.argument("addresses", metavar="ADDRESS...", nargs=-1, required=True, callback=_patterns)
@click.option("--comment", default="", help="Why, for later.")
@click.pass_context
def add_optout(ctx: click.Context, addresses: tuple[str, ...], comment: str) -> None:
    """Write no more to these; ADDRESS may be a pattern such as '*@acme.example'."""
    _, settings = settings_of(ctx)
    now = clock.now()
    with opened(settings) as store, store.write() as conn:
        added = [address for address in addresses if optouts.add(conn, address, comment, now)]
        ended = _suppress(conn, addresses, now)
        agenda.wake_all(conn, now)
    for address in addresses:
        what = "is not written to any more" if address in added else "was on the list already"
        click.echo(f"{printable(address)} {what}")
    if ended:
        click.echo(f"{ended} waiting message{'' if ended == 1 else 's'} will not be sent")


def _suppress(conn: Connection, addresses: Iterable[str], now: datetime) -> int:
    """End what waits for these; how many that were."""
    patterns = [Pattern.parse(address) for address in addresses]
    ended = 0
    for state in OPEN - {State.COMMITTING}:
        for one in deliveries.list_(conn, state):
            if one.do in TO_OTHERS and any(pattern.matches(one.to) for pattern in patterns):
                ended += deliveries.move(conn, one.id, Event.SUPPRESS, now, error=SUPPRESSED)
    return ended


@optout.command("remove")
@click.argument("addresses", metavar="ADDRESS...", nargs=-1, required=True, callback=_patterns)
@click.pass_context
def remove_optout(ctx: click.Context, addresses: tuple[str, ...]) -> None:
    """Allow writing to these again, as they stand in the list."""
    _, settings = settings_of(ctx)
    now = clock.now()
    with opened(settings, must_exist=True) as store, store.write() as conn:
        for address in addresses:
            if not optouts.remove(conn, address):
                raise Failure(f"{printable(address)} is not in the list; nothing was removed")
        agenda.wake_all(conn, now)
    for address in addresses:
        click.echo(f"{printable(address)} may be written to again")


@optout.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def list_optouts(ctx: click.Context, as_json: bool) -> None:
    """List who must not be written to."""
    _, settings = settings_of(ctx)
    rows: list[OptOut] = []
    if settings.has_state():
        with opened(settings) as store, store.read() as conn:
            rows = optouts.list_(conn)
    if as_json:
        print_json(
            [{"address": row.pattern, "comment": row.comment, "created_at": row.created_at} for row in rows]
        )
        return
    table = Table("address", "since", "comment", box=None, header_style="bold")
    for row in rows:
        table.add_row(*_cells(row.pattern, local(row.created_at, settings.owner.zone), row.comment))
    console().print(table if rows else "Nobody has opted out")
