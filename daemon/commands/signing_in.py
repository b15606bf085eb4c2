"""What signing in is made of, whoever is signed in to: words, the browser, and keeping what came of it."""

from __future__ import annotations

import os
import sys
import webbrowser
from collections.abc import Iterable
from typing import Protocol

import click

from connectors.loopback import Loopback
from daemon import sign_ins
from daemon.config.settings import Settings


class Scope(Protocol):
    """A permission, as its provider's scopes are."""

    @property
    def why(self) -> str:
        """What it is for, as ``send your mails``."""
        ...

    @property
    def optional(self) -> bool:
        """Whether rebookd gets along without it."""
        ...


class Attempt(Protocol):
    """A sign-in with a browser that has begun."""

    address: str

    def is_answer(self, address: str) -> bool:
        """Whether this is where the browser ended."""
        ...


def by_browser(attempt: Attempt, loopback: Loopback, home: str, *, device: bool) -> str:
    """The address at which the browser ends, which comes back to ``home``; ``device`` opens none here.

    Raises ConnectorError where nobody signed in.
    """
    click.echo(attempt.address)
    say(
        "\nIs the browser on another machine? Then it ends at a page that cannot be shown, whose address "
        f"begins with {home} - paste that address here."
    )
    if not device and sys.stdin.isatty() and _has_screen():
        webbrowser.open(attempt.address)
    return loopback.wait(attempt.is_answer, sys.stdin)


def keep(settings: Settings, account: str, value: str, told: str) -> None:
    """Store the sign-in, and say so in these words."""
    made = sign_ins.make_key(settings)
    cache = sign_ins.cache(settings)
    with cache.locked(account):
        cache.save(account, value)
    click.echo(told)
    if made is not None:
        say(f"The key that sign-ins are encrypted with was made: {made}")


def what_was_left_out(account: str, lacking: Iterable[Scope]) -> None:
    """Say what rebookd does without."""
    for scope in lacking:
        say(f"{account}: rebookd may not {scope.why}, and gets along without it")


def say_when_it_counts() -> None:
    """Say when a daemon that runs takes up a new sign-in."""
    say("A daemon that runs already sees it within the hour, or at once after: systemctl reload rebookd")


def hint(settings: Settings, account: str) -> str:
    """Who is to sign in, where the configuration tells."""
    mail = settings.config.mail
    return str(mail.sender.address) if mail.account == account else ""


def in_words(needed: Iterable[Scope]) -> str:
    """What the needed ones are for, in one sentence."""
    return "; to ".join(scope.why for scope in needed)


def if_optional(scope: Scope) -> str:
    """What is said behind a permission that rebookd gets along without."""
    return " - may be left out" if scope.optional else ""


def say(line: str) -> None:
    """Tell whoever sits at the terminal."""
    click.echo(line, err=True)


def _has_screen() -> bool:
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
