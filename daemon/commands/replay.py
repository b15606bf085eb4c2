"""``replay``: which messages other rules would have sent in the past, and which they would have spared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import click
from rich.console import Console
from rich.text import Text

from daemon.commands.bars import Bars
from daemon.commands.context import clock, console, local, opened, print_json, settings_of
from daemon.config.problems import ConfigProblems, printable
from daemon.config.rules_files import Known, RulesFiles
from daemon.config.settings import Settings
from daemon.exits import Failure
from daemon.replay import Difference, Meant, Message, Played, compare, play, truly_sent
from daemon.replay_past import Past, remembered
from daemon.store.engine import Store
from daemon.store.history import KEPT
from rules.faults import Faults
from rules.fields import Span
from rules.policy import Policy

SLACK = timedelta(hours=1)
"""Polls, limits and groups let a true message leave so much later than the rules asked for it."""


def _span(_ctx: click.Context, _param: click.Parameter, value: str) -> timedelta:
    try:
        span = Span.parse(value)
    except Faults as error:
        raise click.BadParameter(str(error)) from error
    if span.business_days or not span:
        raise click.BadParameter("write it like 90d")
    return span.delta


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """What was compared: the past, what played it, and how the two sides differ.

    ``fates`` says what became of messages that were planned and did not leave.
    """

    past: Past
    against: str
    played: Played
    difference: Difference
    fates: Mapping[Meant, str] = field(default_factory=dict)


@click.command()
@click.option(
    "--since", callback=_span, default="30d", show_default=True, metavar="SPAN", help="How far back."
)
@click.option(
    "--rules",
    "files",
    multiple=True,
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Rules to try in place of the present ones; may be given several times.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def replay(ctx: click.Context, since: timedelta, files: tuple[Path, ...], as_json: bool) -> None:
    """Play the past again, and show which messages would have differed. Sends and stores nothing.

    With --rules those are held against the present rules; without, the present rules against what left.
    """
    _, settings = settings_of(ctx)
    other = _policy(files, settings) if files else None
    now = clock.now()
    if since > KEPT:
        raise Failure(f"the past is kept for {KEPT.days} days; ask for --since {KEPT.days}d at most")
    with opened(settings, must_exist=True) as store, remembered(store, now - since, now) as past:
        present = _played(store, settings, settings.policy, past, "the present rules")
        if other is None:
            left, fates = truly_sent(store, past)
            difference = compare(left, present.messages, SLACK)
            found = Replay(past=past, against="what left", played=present, difference=difference, fates=fates)
        else:
            played = _played(store, settings, other, past, "the other rules")
            difference = compare(present.messages, played.messages, timedelta(0))
            found = Replay(past=past, against="the present rules", played=played, difference=difference)
        if past.since > now - since:
            known = local(past.since, settings.owner.zone)
            click.echo(f"rebookd: nothing is known of the time before {known}", err=True)
        for key in sorted(found.played.failed):
            click.echo(f"rebookd: {key.uid} cannot be judged", err=True)
        if as_json:
            print_json(_as_dict(found))
        else:
            _show(found, settings.owner.zone, console())


def _played(store: Store, settings: Settings, policy: Policy, past: Past, name: str) -> Played:
    """The past under these rules, with a bar where somebody watches."""
    with Bars("playing") as bars:
        tell = bars.tell
        if tell is None:
            return play(store, settings, policy, past)
        return play(store, settings, policy, past, lambda done, total: tell(name, done, total))


def _policy(files: tuple[Path, ...], settings: Settings) -> Policy:
    """The rules in these files together. Raises ConfigProblems."""
    read = RulesFiles()
    for file in files:
        read.read(file)
    clients = (account.client for account in settings.accounts.values())
    policy = read.policy(Known(tuple(settings.accounts), tuple(dict.fromkeys(filter(None, clients)))))
    if policy is None:
        raise ConfigProblems(read.problems)
    return policy


def _as_dict(found: Replay) -> dict[str, object]:
    def told(one: Message) -> dict[str, object]:
        return {
            "at": one.at,
            "rule": one.rule,
            "step": one.step,
            "do": one.do,
            "to": one.to,
            "uid": one.identity.uid,
            "recurrence_id": one.identity.recurrence_id,
            "title": found.past.titles.get(one.identity, ""),
            "start": one.start,
            "held": one.held,
            "reason": one.reason,
            "became": found.fates.get(one.meant, ""),
        }

    difference = found.difference
    return {
        "since": found.past.since,
        "until": found.past.now,
        "against": found.against,
        "looked": found.played.ticks,
        "same": difference.same,
        "added": [told(one) for one in difference.added],
        "removed": [told(one) for one in difference.removed],
        "moved": [{"before": told(before), "after": told(after)} for before, after in difference.moved],
    }


def _show(found: Replay, zone: str, out: Console) -> None:
    difference = found.difference
    since, until = local(found.past.since, zone), local(found.past.now, zone)
    _line(out, f"From {since} to {until} {zone}, beside {found.against}", "bold")
    lines: list[tuple[datetime, str, str]] = []
    lines += [(one.at, "green", f"+ {_told(one, found, zone)}") for one in difference.added]
    lines += [(one.at, "red", f"- {_told(one, found, zone)}") for one in difference.removed]
    lines += [
        (after.at, "yellow", f"~ {_told(after, found, zone)}, instead of {local(before.at, zone)}")
        for before, after in difference.moved
    ]
    for _, style, line in sorted(lines):
        _line(out, line, style)
    _line(
        out,
        f"{difference.same} the same, {len(difference.added)} more, {len(difference.removed)} fewer, "
        f"{len(difference.moved)} at another time",
    )


def _told(one: Message, found: Replay, zone: str) -> str:
    title = found.past.titles.get(one.identity) or one.identity.uid
    held = ", once approved" if one.held else ""
    meeting = f"“{title}” of {local(one.start, zone)}"
    what = f"{one.rule}/{one.step}: {one.do} to {one.to} about {meeting}{held}"
    fate = found.fates.get(one.meant)
    became = f"; in truth it is {fate}" if fate else ""
    return f"{local(one.at, zone)}  {what} ({one.reason}){became}"


def _line(out: Console, text: str, style: str = "") -> None:
    out.print(Text(printable(text), style=style))
