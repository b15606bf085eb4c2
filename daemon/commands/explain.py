"""``explain``: for people on a terminal, as JSON everywhere else."""

from __future__ import annotations

import sys
from datetime import datetime, timedelta
from textwrap import wrap

import click
from rich.console import Console
from rich.text import Text

from daemon.commands.context import clock, console, opened, print_json, settings_of
from daemon.commands.insight import looking_ahead
from daemon.commands.work import find_meetings
from daemon.config.problems import printable
from daemon.config.settings import Settings
from daemon.explanation import Explanation, as_dict, meant
from daemon.explanation import explain as explained
from daemon.store import agenda
from daemon.store.engine import Store
from rules.explain import RuleTrace
from rules.model import Occurrence

_SIGNS = {True: ("✓", "green"), False: ("✗", "red"), None: ("?", "yellow")}
_DAY = timedelta(days=1)
_ACTIVE = {"due", "waiting", "withheld", "done"}


@click.command()
@click.argument("event")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, as is done where no terminal is.")
@click.option("--text", "as_text", is_flag=True, help="Print text for people, even where no terminal is.")
@click.pass_context
def explain(ctx: click.Context, event: str, as_json: bool, as_text: bool) -> None:
    """Say what every rule makes of a meeting. EVENT is a UID, UID/RECURRENCE-ID or part of a title."""
    if as_json and as_text:
        raise click.UsageError("--json and --text do not go together")
    _, settings = settings_of(ctx)
    if settings.has_state():
        with opened(settings) as store:
            found = explained(store, settings, _meant(store, event, clock.now()), clock.now())
    else:
        with looking_ahead(settings) as office:
            for report in office.poll_all():
                for trouble in report.troubles:
                    click.echo(f"rebookd: {trouble.account}: {trouble.message}", err=True)
            now = office.clock.now()
            found = explained(office.store, settings, _meant(office.store, event, now), now)
    if as_json or not (as_text or sys.stdout.isatty()):
        print_json(as_dict(found))
    else:
        show(found, settings, console())


def _meant(store: Store, event: str, now: datetime) -> Occurrence:
    """The meeting that is meant: of several the next one, else the last. Raises Failure without one."""
    with store.read() as conn:
        found = find_meetings(agenda.find(conn, event), event)
    one = meant(found, now)
    others = sorted({other.key.uid for other in found} - {one.key.uid})
    if others:
        click.echo(f"rebookd: '{event}' also fits {', '.join(others[:5])}", err=True)
    return one


def show(found: Explanation, settings: Settings, out: Console) -> None:
    """Print it for people: what it is, what comes next, what became of its messages, then rule by rule."""
    one, speaker = found.meeting, found.speaker()
    until = speaker.at(one.end)[-5:] if one.end - one.start < _DAY else speaker.at(one.end)
    title = f"{one.title or '(no title)'} — {speaker.at(one.start)} to {until} {settings.owner.zone}"
    _line(out, title, style="bold")
    age = f", read {_age(one.observed_at, found.now)} ago" if one.observed_at else ""
    _line(out, f"in the calendar {found.calendar} of {one.key.calendar.account}{age}; UID {one.identity}")
    _line(out, "; ".join(found.people(speaker)))
    for note in found.notes(speaker):
        _line(out, f"! {note}", style="yellow")
    out.print()
    _line(out, "What happens next", style="bold")
    _line(out, speaker.coming(found.upcoming) if found.upcoming else _no_future(found), indent=2)
    out.print()
    _line(out, "Messages about it so far", style="bold")
    for sent in found.deliveries:
        _line(out, f"{sent.id}: {speaker.delivery(sent)}", indent=2)
    if not found.deliveries:
        _line(out, "none", indent=2)
    for trace in sorted(found.traces, key=_rank):
        out.print()
        _rule(found, trace, out)


def _rank(trace: RuleTrace) -> int:
    """Rules that act come first, those that are not about the meeting last."""
    return 0 if trace.outcome in _ACTIVE else 2 if trace.outcome == "not_matched" else 1


def _no_future(found: Explanation) -> str:
    due = [trace.rule for trace in found.traces if trace.outcome == "due"]
    if due:
        return f"now: {', '.join(due)} (see below)"
    return "nothing, unless something changes"


def _rule(found: Explanation, trace: RuleTrace, out: Console) -> None:
    speaker = found.speaker()
    active = trace.outcome in _ACTIVE
    headline = f"{trace.rule}: {speaker.headline(trace, found.upcoming_of(trace.rule))}"
    _line(out, headline, style="bold" if active else "")
    for look in trace.because:
        sign, style = _SIGNS[look.holds]
        age = f", read {_age(look.observed_at, found.now)} ago" if look.observed_at else ""
        _line(out, f"{sign} {look.predicate} ({speaker.told(look)}{age})", style=style, indent=2)
    for step in trace.steps:
        _line(out, f"→ {speaker.step(step)}", indent=2)
    if trace.next_at is not None and active:
        _line(out, f"looked at again {speaker.at(trace.next_at)}, or when something changes", "dim", indent=2)


def _line(out: Console, text: str, style: str = "", indent: int = 0) -> None:
    """One line, broken where the terminal ends, with nothing in it that moves the cursor."""
    room = max(40, out.width) - indent
    for number, part in enumerate(wrap(printable(text), room - 2, break_long_words=False)):
        out.print(Text(" " * (indent + (2 if number else 0)) + part, style=style))


def _age(at: datetime, now: datetime) -> str:
    seconds = int((now - at).total_seconds())
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds >= size:
            return f"{seconds // size}{unit}"
    return f"{max(seconds, 0)}s"
