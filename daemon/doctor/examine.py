"""All checks, in the order in which their cures help."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

from daemon.clock import Clock
from daemon.config.deployment import Loaded
from daemon.config.settings import Settings
from daemon.doctor import database, secrets, service, state, time, work
from daemon.doctor.checks import Check, Finding, fine, looked, refused, wrong
from daemon.store import moved
from daemon.store.database import is_current
from daemon.store.errors import StoreError
from daemon.store.opening import open_store
from daemon.store.postgresql import is_address

Reach = Callable[[Settings], list[tuple[str, Callable[[], str]]]]


def examine(loaded: Loaded, clock: Clock, *, reach: Reach | None = None) -> Iterator[Check]:
    """Everything about these configurations and this machine; with ``reach`` about the servers, too."""
    now, owners = clock.now(), list(loaded.settings.values())
    yield from configurations(loaded)
    yield from looked(time.NAME, lambda: time.checks(owners, now))
    for place in dict.fromkeys(one.memory for one in owners):
        yield from of_state(loaded, place, clock)
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


def of_state(loaded: Loaded, place: str, clock: Clock) -> Iterator[Check]:
    """The state in a file or database, and what stands in it where it can be opened."""
    if is_address(place):
        found = looked(state.NAME, lambda: database.checks(place, clock.now()))
    else:
        found = looked(state.NAME, lambda: state.checks(Path(place), clock.now()))
    yield from found
    if not any(one.finding is Finding.PROBLEM for one in found):
        yield from looked("work", partial(_work, loaded, place, clock))


def _work(loaded: Loaded, place: str, clock: Clock) -> Iterator[Check]:
    if not (is_current(place) if is_address(place) else Path(place).exists()):
        return
    store = open_store(place, clock.now(), check=False, for_copy=True)
    try:
        with store.read() as conn:
            moved.refuse(conn, store.path)
        for one in loaded.settings.values():
            if one.memory == place:
                with store.of(one.tenant).read() as conn:
                    yield from _of(loaded, one, list(work.checks(conn, one, clock.now())))
    except StoreError as error:
        yield refused(state.NAME, error, "rebookd state copy")
    finally:
        store.close()


def _of(loaded: Loaded, settings: Settings, found: list[Check]) -> list[Check]:
    """With whose it is, where there are several."""
    mark = f"{settings.name}: " if loaded.is_many else ""
    return [replace(one, message=mark + one.message) for one in found]
