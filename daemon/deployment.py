"""Everybody whom one process works for: each owner's configuration, state and office, apart from the others'.

A configuration that stands alone is a deployment of one. What is wrong with one owner's files, sign-in or
state is said and leaves the others as they are.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path

import structlog

from connectors.base import ConnectorError
from daemon.clock import Clock
from daemon.config.deployment import Loaded, load_all, places
from daemon.config.problems import ConfigProblems, Problem
from daemon.config.settings import Settings
from daemon.office import Office
from daemon.store.engine import Store
from daemon.store.errors import StoreAway, StoreError
from daemon.store.lock import lock
from daemon.store.opening import open_store
from daemon.store.owners import remembered

log = structlog.get_logger()

MAY_FAIL = (ConfigProblems, ConnectorError, StoreError)
"""What keeps one owner from having an office."""


class Deployment:
    """The owners' offices by name, or that of ``only`` one of them.

    ``make`` makes an office from settings and the store of their owner. ``tell`` hears whose turn it is while
    files are read. ``shared`` leaves the state open to other workers.
    """

    def __init__(
        self,
        config: Path,
        clock: Clock,
        *,
        only: str | None = None,
        make: Callable[[Settings, Store], Office] | None = None,
        tell: Callable[[str], None] = lambda _: None,
        shared: bool = False,
    ) -> None:
        self._config = config
        self._clock = clock
        self._only = only
        self._make = make or (lambda settings, store: Office(settings, store, clock))
        self._tell = tell
        self._states = States(clock, shared=shared)
        self._is_shared = shared
        self._waiting: dict[str, Settings] = {}
        self._problems: list[Problem] = []
        self._named: set[str] = set()
        self.is_many = config.is_dir()
        self.offices: dict[str, Office] = {}
        self.left_out: set[str] = set()

    def open(self) -> None:
        """Make everybody's office.

        Raises ConfigProblems, ConnectorError or StoreError where nobody can have one.
        """
        loaded = self._load()
        if not loaded.settings:
            raise ConfigProblems(self._problems)
        _say(loaded, "left out until it is corrected")
        self.left_out = set(loaded.broken)
        self._waiting = dict(loaded.settings)
        failure = self._try_all()
        if not self.offices and failure is not None:
            self.close()
            raise failure

    def _load(self) -> Loaded:
        """Read all files anew."""
        loaded = load_all(self._config, self._only, self._tell)
        self._problems = loaded.every_problem()
        self._named = {*loaded.names, *(one.tenant for one in loaded.settings.values())}
        if self._only is not None:
            self._named |= {place.name for place in places(self._config)}
        return loaded

    @property
    def problems(self) -> Sequence[Problem]:
        """What was wrong in the files when they were last read."""
        return self._problems

    def reload(self) -> dict[str, Office | None]:
        """Read all files anew: a new office for everybody who can have one, None for whoever is gone.

        Whoever is not named keeps what they have, and the log says why.
        """
        loaded = self._load()
        _say(loaded, "configuration kept as it was")
        if not loaded.settings:
            return {}
        self.left_out = {name for name in loaded.broken if name not in self.offices}
        changes: dict[str, Office | None] = {}
        for name in [name for name in self.offices if name not in loaded.names]:
            path = self.offices[name].settings.files[0]
            if path.exists():
                why = f"{path} is no configuration any more; delete it to let {name} go"
                log.warning("configuration kept as it was", owner=name, problem=why)
            else:
                changes[name] = None
        self._waiting = {name: one for name, one in self._waiting.items() if name in loaded.broken}
        for name in changes:
            del self.offices[name]
        for name, settings in loaded.settings.items():
            try:
                changes[name] = self._renewed(name, settings)
            except MAY_FAIL as error:
                self._say_kept(name, error)
                if name not in self.offices:
                    self._waiting[name] = settings
        self.offices |= {name: office for name, office in changes.items() if office is not None}
        return changes

    def let_go(self, name: str) -> None:
        """Take the office of whoever's state failed; ``retry`` tries to make another."""
        office = self.offices.pop(name)
        self._waiting[name] = office.settings
        self._states.release(one.settings for one in self.offices.values())

    def retry(self) -> dict[str, Office]:
        """New offices for those whose configuration is right and who could have none; who has one now."""
        before = set(self.offices)
        self._try_all()
        return {name: office for name, office in self.offices.items() if name not in before}

    def lost(self) -> dict[str, StoreError]:
        """Whose state is held by another process since its server was restarted, and what to do."""
        lost = self._states.hold()
        return {
            name: lost[office.settings.memory]
            for name, office in self.offices.items()
            if office.settings.memory in lost
        }

    @property
    def missing(self) -> list[str]:
        """Everybody who has no office now."""
        return sorted({*self.left_out, *self._waiting})

    def close(self) -> None:
        """Let go of the states."""
        self._states.close()

    def _try_all(self) -> Exception | None:
        """An office for everybody who waits for one; the last thing that prevented one."""
        failure = None
        for name, settings in list(self._waiting.items()):
            try:
                self.offices[name] = self._made(settings)
                del self._waiting[name]
            except MAY_FAIL as error:
                failure = error
                if self._is_shared and isinstance(error, StoreAway):
                    break  # everybody's database is the same
                if self.is_many:
                    self._say_kept(name, error)
        return failure

    def _made(self, settings: Settings) -> Office:
        for one in self.offices.values():
            mine = one.settings
            if mine.name != settings.name and _memory(mine) == _memory(settings):
                raise _wrong(settings, f"{mine.name} is kept in the same state under the same name", "")
        store = self._states.of(settings)
        self._look_for_strangers(settings, store)
        return self._make(settings, store)

    def _renewed(self, name: str, settings: Settings) -> Office:
        """A new office in the place of the one there is."""
        old = self.offices.get(name)
        if old is not None and _memory(old.settings) != _memory(settings):
            raise _wrong(settings, "the state cannot change while running; restart for that", "")
        return self._made(settings)

    def _look_for_strangers(self, settings: Settings, store: Store) -> None:
        """Nobody begins anew without having said so where the state may remember them by another name."""
        if settings.config.owner is not None:
            return
        with store.read() as conn:
            known = remembered(conn)
        everybody = self._named | {one.settings.tenant for one in self.offices.values()}
        strangers = sorted(known - everybody)
        if settings.tenant not in known and strangers:
            raise _wrong(
                settings,
                f"{settings.memory} remembers {', '.join(strangers)}, and nobody called '{settings.tenant}'",
                f"to go on with that memory add owner: {strangers[0]}; "
                f"to begin anew beside it add owner: {settings.tenant}",
            )

    def _say_kept(self, name: str, error: Exception) -> None:
        what = "configuration kept as it was" if name in self.offices else "left out for now"
        for line in str(error).splitlines():
            log.warning(what, problem=line, **({"owner": name} if self.is_many else {}))


class States:
    """The open states of a process, each held once however many owners it has."""

    def __init__(self, clock: Clock, *, shared: bool = False) -> None:
        self._clock = clock
        self._shared = shared
        self._open: dict[str, tuple[Store, ExitStack, Callable[[], None]]] = {}
        self._guard = threading.Lock()

    def of(self, settings: Settings) -> Store:
        """The state of this configuration as its owner sees it. Raises StoreError."""
        place = settings.memory
        with self._guard:
            if place not in self._open:
                with ExitStack() as stack:
                    again = stack.enter_context(lock(place, shared=self._shared))
                    store = open_store(place, self._clock.now(), settings.tenant)
                    stack.callback(store.close)
                    self._open[place] = store, stack.pop_all(), again
            return self._open[place][0].of(settings.tenant)

    def hold(self) -> dict[str, StoreError]:
        """Make sure that each is held still; why one is not, by its place."""
        lost: dict[str, StoreError] = {}
        for place, (_, _, again) in list(self._open.items()):
            try:
                again()
            except StoreAway:
                continue  # it comes back, and is held again then
            except StoreError as error:
                lost[place] = error
        return lost

    def release(self, used: Iterable[Settings]) -> None:
        """Let go of what none of these configurations needs."""
        needed = {one.memory for one in used}
        with self._guard:
            for place in [place for place in self._open if place not in needed]:
                self._open.pop(place)[1].close()

    def close(self) -> None:
        """Let go of all."""
        for _, stack, _ in self._open.values():
            stack.close()
        self._open.clear()


def _memory(settings: Settings) -> tuple[str, str]:
    """What a configuration's rows are known by."""
    return settings.memory, settings.tenant


def _wrong(settings: Settings, message: str, hint: str) -> ConfigProblems:
    return ConfigProblems(
        [Problem(file=str(settings.files[0]), line=1, column=1, message=message, help=hint)]
    )


def _say(loaded: Loaded, what: str) -> None:
    """Tell the log what is wrong in the files."""
    for owner, problems in (("", loaded.problems), *sorted(loaded.broken.items())):
        named = {"owner": owner} if owner and loaded.is_many else {}
        for line in "\n".join(map(str, problems)).splitlines():
            log.warning(what, problem=line, **named)
