"""What most commands need: the configuration, the store, and a way to print."""

from __future__ import annotations

import json
import os
import sqlite3
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from daemon.clock import SystemClock
from daemon.config.deployment import Loaded, load_all, places
from daemon.config.problems import ConfigProblems
from daemon.config.settings import Settings, find_config
from daemon.exits import DONE, INVALID_CONFIGURATION, Failure
from daemon.store.engine import Store
from daemon.store.opening import open_store
from rules.hours import zone

if TYPE_CHECKING:
    from rich.console import Console

clock = SystemClock()

_MOST_NAMED = 20


def loaded_of(ctx: click.Context) -> Loaded:
    """Every owner's configuration, or that of the one named with --owner, and what is wrong in them.

    Raises ConfigProblems where there is none at all.
    """
    path, owner = find_config(ctx.find_root().obj), ctx.find_root().params.get("owner")
    if owner is not None and not path.is_dir():
        raise Failure(f"{path} is one configuration, with one owner; leave --owner out")
    return load_all(path, owner)


def settings_of(ctx: click.Context) -> tuple[Path, Settings]:
    """The one configuration that is meant: its path and what it says. Raises ConfigProblems, or Failure."""
    path = find_config(ctx.find_root().obj)
    if path.is_dir() and ctx.find_root().params.get("owner") is None:
        names = list(dict.fromkeys(place.name for place in places(path)))
        if len(names) > 1:
            word = " ".join(ctx.command_path.split()[1:])
            some = ", ".join(names[:_MOST_NAMED]) + (", …" if len(names) > _MOST_NAMED else "")
            raise Failure(f"say whose: rebookd --owner NAME {word} …; there are {some}")
    loaded = loaded_of(ctx)
    if not loaded.settings:
        raise ConfigProblems(loaded.every_problem())
    (settings,) = loaded.settings.values()
    return settings.files[0], settings


def everybody(ctx: click.Context) -> Everybody:
    """All who are meant. What is wrong with some of several is said. Raises ConfigProblems for all."""
    loaded = loaded_of(ctx)
    if not loaded.settings:
        raise ConfigProblems(loaded.every_problem())
    for problem in loaded.every_problem():
        click.echo(str(problem), err=True)
    code = INVALID_CONFIGURATION if loaded.every_problem() else DONE
    return Everybody(loaded.is_many, list(loaded.settings.values()), code)


@dataclass(frozen=True, slots=True)
class Everybody:
    """The owners a command is about; of several each is named. ``code`` says whether any was left out."""

    is_many: bool
    owners: list[Settings]
    code: int = DONE

    def named(self, settings: Settings, rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
        """What is printed as JSON, with whose it is where there are several."""
        return [{"owner": settings.name, **row} if self.is_many else row for row in rows]

    def together(self, told: Sequence[tuple[Settings, dict[str, Any]]]) -> dict[str, Any]:
        """What each owner's JSON says, in the same shape: lists one after the other, counts added up."""
        if not self.is_many:
            return told[0][1]
        whole: dict[str, Any] = {}
        for settings, one in told:
            for key, value in one.items():
                if isinstance(value, list):
                    whole.setdefault(key, []).extend(self.named(settings, value))
                elif isinstance(value, dict):
                    counts = whole.setdefault(key, {})
                    counts |= {name: counts.get(name, 0) + count for name, count in value.items()}
                else:
                    whole.setdefault(key, value)
        return whole

    def heading(self, settings: Settings) -> None:
        """Say whose what follows is, where there are several."""
        if self.is_many:
            click.echo(f"== {settings.name} ==")


@contextmanager
def opened(settings: Settings, *, must_exist: bool = False) -> Iterator[Store]:
    """The store of this configuration. Raises StoreError, or Failure when nothing was read yet."""
    if must_exist and not settings.has_state():
        raise Failure(
            f"nothing has been read yet: there is no {settings.place}. Start with: rebookd run --once"
        )
    store = open_store(settings.memory, clock.now(), settings.tenant)
    try:
        yield store
    finally:
        store.close()


@contextmanager
def rehearsal_store(settings: Settings) -> Iterator[Store]:
    """A throw-away copy of the store, so that looking ahead changes nothing."""
    with tempfile.TemporaryDirectory(prefix="rebookd-") as folder:
        copy = Path(folder) / "state.db"
        if settings.in_database and settings.has_state():
            from daemon.store.copying import copy_owner  # noqa: PLC0415 - few need it

            with opened(settings) as state:
                copy_owner(state, copy, clock.now())
        elif settings.has_state():
            open_store(settings.state, clock.now(), settings.tenant).close()
            with sqlite3.connect(f"file:{settings.state}?mode=ro", uri=True) as source:
                target = sqlite3.connect(copy)
                source.backup(target)
                target.close()
            source.close()
        store = open_store(copy, clock.now(), settings.tenant)
        try:
            yield store
        finally:
            store.close()


def print_json(value: Any) -> None:
    """One JSON document on standard output, in which no stranger's text moves a cursor or reorders a line."""
    text = json.dumps(value, indent=2, ensure_ascii=False, default=_encode)
    # Outside its strings JSON holds nothing but what can be seen and line breaks.
    click.echo("".join(c if c.isprintable() or c == "\n" else json.dumps(c)[1:-1] for c in text))


def _encode(value: object) -> str:
    if isinstance(value, datetime):
        return rfc3339(value)
    return str(value)


def rfc3339(at: datetime) -> str:
    """An instant as RFC 3339, with Z for UTC."""
    return at.isoformat().replace("+00:00", "Z")


def console() -> Console:
    """Rich output on standard output, plain where nobody watches."""
    from rich.console import Console  # noqa: PLC0415 - the daemon draws nothing

    width = None if sys.stdout.isatty() else 200
    return Console(
        highlight=False, no_color=bool(os.environ.get("NO_COLOR")) or None, soft_wrap=True, width=width
    )


def watched() -> bool:
    """Whether somebody watches standard error."""
    return sys.stderr.isatty()


def local(at: datetime, zone_name: str) -> str:
    """An instant in the owner's zone, for people."""
    return f"{at.astimezone(zone(zone_name)):%a %Y-%m-%d %H:%M}"


def counted(number: int, noun: str) -> str:
    """A number with its noun: ``1 account``, ``2 accounts``."""
    return f"{number} {noun}" + ("" if number == 1 else "s")
