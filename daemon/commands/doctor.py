"""``doctor``: what is wrong here, and what cures it."""

from __future__ import annotations

import click

from daemon.commands.context import clock, counted, loaded_of, print_json
from daemon.commands.setup import tries
from daemon.config.deployment import Loaded
from daemon.config.problems import ConfigProblems, printable
from daemon.doctor.checks import Check, Finding
from daemon.doctor.examine import examine
from daemon.exits import DONE, FAILED

_SIGNS = {Finding.OK: "✓", Finding.WARNING: "!", Finding.PROBLEM: "✗"}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print {ok, checks} as JSON.")
@click.option("--online", is_flag=True, help="Also reach every server and look into the DNS.")
@click.pass_context
def doctor(ctx: click.Context, as_json: bool, online: bool) -> None:
    """Look for what is wrong on this machine, and name the cure."""
    found: list[Check] = []
    for check in examine(_loaded(ctx), clock, reach=tries if online else None):
        found.append(check)
        if not as_json:
            _say(check)
    problems = sum(one.finding is Finding.PROBLEM for one in found)
    warnings = sum(one.finding is Finding.WARNING for one in found)
    if as_json:
        listed = [
            {"name": one.name, "state": one.finding.value, "message": one.message, "cure": one.cure}
            for one in found
        ]
        print_json({"ok": not problems, "checks": listed})
    else:
        said = f"{counted(problems, 'problem')}, {counted(warnings, 'warning')}"
        click.echo(said if problems or warnings else "All is well")
    ctx.exit(FAILED if problems else DONE)


def _loaded(ctx: click.Context) -> Loaded:
    try:
        return loaded_of(ctx)
    except ConfigProblems as error:  # there is none anywhere
        return Loaded(is_many=False, problems=error.problems)


def _say(check: Check) -> None:
    click.echo(f"{_SIGNS[check.finding]} {check.name}: {printable(check.message)}")
    if check.cure:
        click.echo(f"    {printable(check.cure)}")
