"""All checks, in the order in which their cures help."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from daemon.clock import Clock
from daemon.config.deployment import Loaded
from daemon.config.settings import Settings
from daemon.doctor import secrets, service, state, time, work
from daemon.doctor.checks import Check, Finding, fine, looked, wrong
from daemon.store.opening import open_store

Reach = Callable[[Settings], list[tuple[str, Callable[[], str]]]]


def examine(loaded: Loaded, clock: Clock, *, reach: Reach | None = None) -> Iterator[Check]:
    """Everything about these configurations and this machine; with ``reach`` about the servers, too."""
    now, owners = clock.now(), list(loaded.settings.values())
    yield from configurations(loaded)
    yield from looked(time.NAME, lambda: time.checks(owners, now))
    for path in dict.fromkeys(one.state.resolve() for one in owners if "://" not in one.config.state):
        yield from of_state(path, [one for one in owners if one.state.resolve() == path], clock)
    for one in owners:
        yield from _of(loaded, one, looked(secrets.NAME, partial(secrets.checks, one, now)))
    yield from looked(service.NAME, lambda: service.checks(owners))
    if reach is None:
        return
    from daemon.doctor import online  # noqa: PLC0415 - HTTP and DNS are slow to import

    for one in owners:
        looks = {
            "servers": partial(online.answering, reach(one)),
            time.NAME: partial(online.clocks, one, clock.now),
            "dns": partial(online.domain, one),
        }
        for name, look in looks.items():
            yield from _of(loaded, one, looked(name, look))


def configurations(loaded: Loaded) -> Iterator[Check]:
    """Whether they load."""
    name = "configuration"
    for one in loaded.every_problem():
        yield wrong(name, f"{one.file}:{one.line}:{one.column}: {one.message}", one.help or "rebookd check")
    for settings in loaded.settings.values():
        yield fine(name, f"{settings.files[0]} and its {len(settings.policy.rules)} rules are fine")


def of_state(path: Path, owners: Sequence[Settings], clock: Clock) -> Iterator[Check]:
    """The state file, and what stands in it where it can be opened."""
    found = looked(state.NAME, lambda: state.checks(path, clock.now()))
    yield from found
    if any(one.finding is Finding.PROBLEM for one in found) or not path.exists():
        return
    store = open_store(path, clock.now(), check=False)
    try:
        for one in owners:
            with store.of(one.tenant).read() as conn:
                yield from looked("work", partial(work.checks, conn, one, clock.now()))
    finally:
        store.close()


def _of(loaded: Loaded, settings: Settings, found: list[Check]) -> list[Check]:
    """With whose it is, where there are several."""
    mark = f"{settings.name}: " if loaded.is_many else ""
    return [replace(one, message=mark + one.message) for one in found]
