"""What most commands need: the configuration, the store, and a way to print."""

from __future__ import annotations

import json
import os
import sqlite3
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from daemon.clock import SystemClock
from daemon.config.settings import Settings, find_config, load
from daemon.exits import Failure
from daemon.store.engine import Store
from daemon.store.opening import open_store
from rules.hours import zone

if TYPE_CHECKING:
    from rich.console import Console

clock = SystemClock()


def settings_of(ctx: click.Context) -> tuple[Path, Settings]:
    """The configuration's path and what it says. Raises ConfigProblems."""
    path = find_config(ctx.find_root().obj)
    return path, load(path)


@contextmanager
def opened(settings: Settings, *, must_exist: bool = False) -> Iterator[Store]:
    """The store of this configuration. Raises StoreError, or Failure when nothing was read yet."""
    if must_exist and not settings.state.exists():
        raise Failure(
            f"nothing has been read yet: there is no {settings.state}. Start with: rebookd run --once"
        )
    store = open_store(settings.state, clock.now())
    try:
        yield store
    finally:
        store.close()


@contextmanager
def rehearsal_store(settings: Settings) -> Iterator[Store]:
    """A throw-away copy of the store, so that looking ahead changes nothing."""
    with tempfile.TemporaryDirectory(prefix="rebookd-") as folder:
        copy = Path(folder) / "state.db"
        if settings.state.exists():
            open_store(settings.state, clock.now()).close()
            with sqlite3.connect(f"file:{settings.state}?mode=ro", uri=True) as source:
                target = sqlite3.connect(copy)
                source.backup(target)
                target.close()
            source.close()
        store = open_store(copy, clock.now())
        try:
            yield store
        finally:
            store.close()


def print_json(value: Any) -> None:
    """One JSON document on standard output."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False, default=_encode))


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
