"""Which of many questions fit many occurrences, found out for all questions at once.

Each part of an occurrence (its calendar, its title, who is invited, …) is one layer. A layer knows for each
value it has met which questions fail on it, so a value met again costs one look-up however many ask about
it. The answers are those of the predicates; nothing is decided here by other means.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from operator import or_
from typing import Any

from rules.matching import Asked, Predicate, Reader
from rules.model import Occurrence

_Fits = Callable[[int], bool]
"""Whether something fits, given the bits that fail."""
_Question = tuple[int, tuple[_Fits, ...]]
"""The bit that must not fail, and what else must fit."""

Columns = list[list[Hashable]]
"""For each layer what it reads of each occurrence."""


class Sieve:
    """Holds some lists of predicates against occurrences; a list fits where all of it holds."""

    def __init__(self, questions: Sequence[tuple[Asked, ...]]) -> None:
        self._layers: dict[Reader, _Layer] = {}
        self._bits = 0
        self._answers = _Answers([self._sorted(asked) for asked in questions])
        self._layers = self._layers or {_nothing: _Layer()}

    def read(self, occurrences: Sequence[Occurrence]) -> Columns:
        """What the questions look at."""
        return [list(map(reads, occurrences)) for reads in self._layers]

    def fitting(self, columns: Columns) -> list[tuple[int, ...]]:
        """For each occurrence read the places of the questions that fit it, in order."""
        failed: list[int] = []
        for layer, column in zip(self._layers.values(), columns, strict=True):
            failing = map(layer.__getitem__, column)
            failed = list(map(or_, failed, failing) if failed else failing)
        return list(map(self._answers.__getitem__, failed))

    def _sorted(self, asked: tuple[Asked, ...]) -> _Question:
        """Put the predicates into their layers under one bit."""
        bit = 1 << self._bits
        self._bits += 1
        joined: list[_Fits] = []
        todo = list(asked)
        for one in todo:
            if isinstance(one, Predicate):
                self._layers.setdefault(one.reads, _Layer()).asked.append((bit, one.fits))
            elif one.joins is all and len(one.groups) == 1:
                todo += one.groups[0]
            else:
                joined.append(_joined([self._sorted(group) for group in one.groups], one.joins))
        return bit, tuple(joined)


def _joined(groups: list[_Question], joins: Callable[[Iterable[bool]], bool]) -> _Fits:
    return lambda failed: joins(_fits(failed, *group) for group in groups)


def _fits(failed: int, bit: int, joined: tuple[_Fits, ...]) -> bool:
    return not failed & bit and all(fits(failed) for fits in joined)


def _nothing(_: Occurrence) -> None:
    """So that there is always a layer."""


class _Layer(dict[Hashable, int]):
    """For each value read the bits of those who ask about it and whom it fails."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[int, Callable[[Any], bool]]] = []

    def __missing__(self, value: Hashable) -> int:
        failed = 0
        for bit, fits in self.asked:
            if not failed & bit and not fits(value):
                failed |= bit
        self[value] = failed
        return failed


class _Answers(dict[int, tuple[int, ...]]):
    """For each set of bits that fail the places of the questions that fit."""

    def __init__(self, questions: list[_Question]) -> None:
        super().__init__()
        self._questions = questions

    def __missing__(self, failed: int) -> tuple[int, ...]:
        self[failed] = found = tuple(
            place
            for place, (bit, joined) in enumerate(self._questions)
            if not failed & bit and (not joined or _fits(failed, bit, joined))
        )
        return found
