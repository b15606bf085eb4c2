"""``test``: play rule tests against the same evaluate that decides in earnest."""

from __future__ import annotations

from pathlib import Path

import click

from daemon.config.rules_files import load_policy
from daemon.config.validation import validate
from daemon.config.yaml_tree import read_yaml
from daemon.exits import FAILED
from daemon.rehearsal_file import RehearsalFile
from daemon.rehearse import Rehearsal, rehearse


@click.command()
@click.argument(
    "files",
    metavar="FILE...",
    nargs=-1,
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
)
@click.pass_context
def test(ctx: click.Context, files: tuple[Path, ...]) -> None:
    """Play rule tests; lists rules that no test touches."""
    passed = failed = 0
    for file in files:
        wanted = validate(RehearsalFile, read_yaml(file))
        policy = load_policy(file.parent / wanted.rules)
        touched: set[str] = set()
        for one in wanted.tests:
            result = rehearse(one, policy)
            touched |= result.touched
            passed += not result.failures
            failed += bool(result.failures)
            _print(file, result)
        for rule in policy.rules:
            if rule.name not in touched:
                click.echo(f"{file}: no test touches rule {rule.name}")
    click.echo(f"{passed} passed, {failed} failed")
    ctx.exit(FAILED if failed else 0)


def _print(file: Path, result: Rehearsal) -> None:
    click.echo(f"{'FAIL' if result.failures else 'ok  '} {file}: {result.test}")
    for failure in result.failures:
        click.echo(f"     at {failure.at.isoformat()} (moment {failure.moment + 1} of the timeline)")
        for line in failure.missing:
            click.echo(f"       expected and missing: {line}")
        for line in failure.unexpected:
            click.echo(f"       sent and not expected: {line}")
