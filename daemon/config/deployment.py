"""A folder with one configuration per owner: which there are, and all of them loaded, each by itself.

``DIR/dana/config.yaml`` and ``DIR/dana.yaml`` are both the configuration of ``dana``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from daemon.config.model import OWNER
from daemon.config.problems import ConfigProblems, Problem
from daemon.config.settings import ALONE, DEFAULT, Settings, load
from daemon.config.yaml_tree import read_yaml
from rules.faults import Fault, Loc

_IS_CONFIGURATION = re.compile(r"^(?:\{.*?)?[\"']?(?:accounts|me|mail)[\"']?\s*:", re.MULTILINE)
"""A line that only a configuration has. The file may be broken otherwise: its owner is told why."""

_BEGINNING = 1 << 18


@dataclass(frozen=True, slots=True)
class Place:
    """Where one owner's configuration lies; a ``name`` that nobody can have comes with what is wrong."""

    name: str
    path: Path
    problems: tuple[Problem, ...] = ()


@dataclass(slots=True)
class Loaded:
    """Every owner's configuration by the owner's name, and what is wrong with those that cannot be used.

    ``is_many`` is false for a configuration that stands alone; ``problems`` are about the folder itself.
    """

    is_many: bool
    settings: dict[str, Settings] = field(default_factory=dict)
    broken: dict[str, list[Problem]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    @property
    def names(self) -> list[str]:
        """Everybody, also those whose configuration cannot be used."""
        return sorted({*self.settings, *self.broken})

    def every_problem(self) -> list[Problem]:
        """What is wrong in all files, each thing once."""
        found = [*self.problems, *(one for name in sorted(self.broken) for one in self.broken[name])]
        return list(dict.fromkeys(found))


def load_all(path: Path, only: str | None = None, tell: Callable[[str], None] = lambda _: None) -> Loaded:
    """What there is at ``path``: the configurations that can be used, and what is wrong with the others.

    ``only`` loads that owner's alone. ``tell`` hears whose turn it is.
    """
    if not path.is_dir():
        found = Loaded(is_many=False)
        _take(found, Place(DEFAULT, path))
        return found
    found = Loaded(is_many=True)
    for place in places(path):
        if only is None or place.name == only:
            tell(place.name)
            _take(found, place)
    for name in found.broken:
        found.settings.pop(name, None)  # of two configurations of one name neither counts
    if not found.names:
        found.problems.append(_nobody(path, only))
    if only is None:
        for name, problems in _between(found.settings).items():
            del found.settings[name]
            found.broken[name] = problems
    return found


def places(folder: Path) -> list[Place]:
    """The configurations in a folder, by the name of their owner."""
    paths = sorted(_paths(folder))
    seen: dict[str, Path] = {}
    found = []
    for name, path in paths:
        wrong = _wrong_name(name, path, seen.get(name))
        seen.setdefault(name, path)
        found.append(Place(name, path, (wrong,) if wrong else ()))
    return found


def _paths(folder: Path) -> Iterator[tuple[str, Path]]:
    for entry in folder.iterdir():
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            if (entry / ALONE).exists():
                yield entry.name, entry / ALONE
        elif entry.suffix in {".yaml", ".yml"} and _is_configuration(entry):
            yield entry.stem, entry


def _is_configuration(path: Path) -> bool:
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return _IS_CONFIGURATION.search(file.read(_BEGINNING)) is not None
    except OSError:
        return True  # reading it says what is wrong


def _wrong_name(name: str, path: Path, other: Path | None) -> Problem | None:
    if re.fullmatch(OWNER, name) is None:
        wrong = f"an owner's name has lower-case letters, digits, - and _, at most 60; '{name}' is none"
        return _problem(path, wrong, "rename it, such as to dana.yaml or dana/config.yaml")
    if other is not None:
        return _problem(path, f"{name} has a configuration already: {other}", "take one away, or rename it")
    return None


def _problem(path: Path, message: str, hint: str) -> Problem:
    return Problem(file=str(path), line=1, column=1, message=message, help=hint)


def _nobody(path: Path, only: str | None) -> Problem:
    if only is not None:
        there = ", ".join(dict.fromkeys(place.name for place in places(path))) or "none"
        return _problem(path, f"no owner is called '{only}'; there are {there}", "name one of them")
    hint = f"put a configuration there, as {path}/config.yaml, or one for each owner, as {path}/dana.yaml"
    return _problem(path, "there is no configuration in this folder", hint)


def _take(found: Loaded, place: Place) -> None:
    """Load one owner's; whatever is wrong stays theirs."""
    if place.problems:
        found.broken.setdefault(place.name, []).extend(place.problems)
        return
    try:
        found.settings[place.name] = load(place.path, name=place.name)
    except ConfigProblems as error:
        found.broken.setdefault(place.name, []).extend(error.problems)


def _between(every: Mapping[str, Settings]) -> dict[str, list[Problem]]:
    """What is wrong only because of what another owner has, with the owner who has it wrong."""
    found: dict[str, list[Problem]] = {}

    def say(name: str, fault: Fault) -> None:
        path = every[name].files[0]
        found.setdefault(name, []).append(read_yaml(path).problem(fault))

    memories: dict[tuple[str, str], str] = {}
    for name, one in every.items():
        other = memories.setdefault((one.memory, one.tenant), name)
        if other != name:
            wrong = f"{other} is kept as '{one.tenant}' in the same state already"
            loc: Loc = ("owner",) if one.config.owner else ("state",) if "state" in _keys(one) else ()
            say(name, Fault(wrong, "give each a name or a state of their own", loc))
    boards = _listening(every, "dashboard")
    for place, names in boards.items():
        for name in names if len(names) > 1 else ():
            board = every[name].config.dashboard
            if board is not None and board.password is None:
                wrong = f"{_others(names, name)} has a dashboard at {place} too, and this one has no password"
                hint = "add password:, so that each sees only their own"
                say(name, Fault(wrong, hint, ("dashboard",), "key"))
    for place, names in _listening(every, "answers").items():
        for name in boards.get(place, ()):
            if name not in names:
                wrong = f"the answer pages of {names[0]} listen here, and the dashboard is not for everybody"
                say(name, Fault(wrong, "name another port", ("dashboard", "listen")))
    return found


def _listening(every: Mapping[str, Settings], block: str) -> dict[str, list[str]]:
    """Who listens at each place with their answer pages or their dashboard."""
    found: dict[str, list[str]] = {}
    for name, one in every.items():
        part = one.config.answers if block == "answers" else one.config.dashboard
        if part is not None:
            found.setdefault(part.listen, []).append(name)
    return found


def _keys(one: Settings) -> Iterable[str]:
    return one.config.model_fields_set


def _others(names: Iterable[str], name: str) -> str:
    return next(other for other in names if other != name)


__all__ = ["Loaded", "Place", "load_all", "places"]
