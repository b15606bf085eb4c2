"""``test``: play rule tests against the same evaluate that decides in earnest."""

from __future__ import annotations

from pathlib import Path

import click

from daemon import junit
from daemon.config.holiday_calendar import holiday_fault
from daemon.config.problems import ConfigProblems, Problem, printable
from daemon.config.rules_files import load_policy
from daemon.config.validation import place, validate
from daemon.config.yaml_tree import read_yaml
from daemon.exits import FAILED, Failure
from daemon.rehearsal_file import RehearsalFile, strangers
from daemon.rehearse import Rehearsal, rehearse, untested
from rules.policy import Policy


@click.command()
@click.argument(
    "files",
    metavar="FILE...",
    nargs=-1,
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
)
@click.option(
    "--junit",
    "report",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the results as JUnit XML, too.",
)
@click.pass_context
def test(ctx: click.Context, files: tuple[Path, ...], report: Path | None) -> None:
    """Play rule tests; lists rules and steps that no test touches."""
    suites = []
    for file, (wanted, policy) in zip(files, _read(files), strict=True):
        played = [rehearse(one, policy) for one in wanted.tests]
        for one in played:
            _print(file, one)
        untouched = untested(policy, played)
        for what in untouched:
            click.echo(f"{file}: no test touches {what}")
        suites.append(junit.Suite(name=str(file), played=played, untested=untouched))
    failed = sum(bool(one.failures) for suite in suites for one in suite.played)
    passed = sum(len(suite.played) for suite in suites) - failed
    click.echo(f"{passed} passed, {failed} failed")
    if report is not None:
        try:
            junit.write(report, suites)
        except OSError as error:
            raise Failure(f"{report} cannot be written: {error.strerror}") from error
    ctx.exit(FAILED if failed else 0)


def _read(files: tuple[Path, ...]) -> list[tuple[RehearsalFile, Policy]]:
    """Every file with its rules. Raises ConfigProblems with the mistakes of all of them."""
    found, problems = [], list[Problem]()
    for file in files:
        try:
            found.append(_read_one(file))
        except ConfigProblems as error:
            problems += [one for one in error.problems if one not in problems]
    if problems:
        raise ConfigProblems(problems)
    return found


def _read_one(file: Path) -> tuple[RehearsalFile, Policy]:
    tree = read_yaml(file)
    wanted = validate(RehearsalFile, tree)
    rules = file.parent / wanted.rules
    if not rules.is_file():
        hint = "name the rules file, relative to this one"
        raise ConfigProblems([tree.problem_at(("rules",), f"there is no file {rules}", hint)])
    policy = load_policy(rules)
    wrong = strangers(wanted, policy)
    for number, one in enumerate(wanted.tests):
        if fault := holiday_fault(one.holidays):
            wrong.append(fault.under("tests", number, "holidays"))
    if wrong:
        raise ConfigProblems(sorted((tree.problem(one) for one in wrong), key=place))
    return wanted, policy


def _print(file: Path, result: Rehearsal) -> None:
    click.echo(printable(f"{'FAIL' if result.failures else 'ok  '} {file}: {result.test}"))
    for failure in result.failures:
        for line in failure.lines():
            click.echo(printable(f"     {line}"))
