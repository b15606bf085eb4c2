"""Exit codes, and the sentence that goes with each failure."""

from __future__ import annotations

import traceback
from collections.abc import Collection, Iterable

import click

DONE = 0
FAILED = 1
INVALID_CONFIGURATION = 3
SIGN_IN_NEEDED = 4
TEMPORARY = 5
WOULD_SEND = 10


_GRAVITY = (DONE, WOULD_SEND, TEMPORARY, FAILED, SIGN_IN_NEEDED, INVALID_CONFIGURATION)


class Failure(click.ClickException):
    """Something the user asked for cannot be done; the message says what to do instead."""

    exit_code = FAILED


def gravest(codes: Iterable[int]) -> int:
    """The one exit code for what came of several owners."""
    return max(codes, key=_GRAVITY.index, default=DONE)


def of_troubles(kinds: Collection[str]) -> int:
    """The exit code for what went wrong with accounts, each by the one word of its kind."""
    if "sign-in needed" in kinds:
        return SIGN_IN_NEEDED
    if not kinds:
        return DONE
    return FAILED if "error" in kinds else TEMPORARY


def explain_failure(error: Exception, *, verbose: bool = False) -> int:
    """Say on standard error what went wrong, and give the exit code."""
    from connectors.base import ConnectorError, LimitExceeded, NeedsLogin, Retryable, TooMuch  # noqa: PLC0415
    from daemon.config.problems import ConfigProblems  # noqa: PLC0415 - both only when something failed
    from daemon.store.errors import StoreError  # noqa: PLC0415

    if isinstance(error, ConfigProblems):
        for problem in error.problems:
            click.echo(str(problem), err=True)
        return INVALID_CONFIGURATION
    if isinstance(error, ConnectorError | StoreError):
        click.echo(f"rebookd: {error}", err=True)
        if isinstance(error, NeedsLogin):
            return SIGN_IN_NEEDED
        return TEMPORARY if isinstance(error, Retryable | LimitExceeded | TooMuch) else FAILED
    if verbose:
        click.echo("".join(traceback.format_exception(error)), err=True)
    said = " ".join(str(error).split()) or type(error).__name__
    click.echo(f"rebookd: this should not have happened: {type(error).__name__}: {said}", err=True)
    click.echo("rebookd: run it again with -v before the command for the details.", err=True)
    return FAILED
