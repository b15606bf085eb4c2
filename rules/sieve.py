"""Which of many questions fit many occurrences, found out for all questions at once.

Each part of an occurrence (its calendar, its title, who is invited, …) is one layer. A layer knows for each
value it has met which questions fail on it, so a value met again costs one look-up however many ask about
it. The answers are those of the predicates; nothing is decided here by other means.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from functools import partial, reduce
from operator import or_
from typing import Any

from rules.matching import Asked, Predicate, Reader
from rules.model import Occurrence

Columns = list[list[Hashable]]
"""For each layer what it reads of each occurrence."""


class Sieve:
    """Holds some lists of predicates against occurrences; a list fits where all of it holds."""

    def __init__(self, questions: Sequence[tuple[Asked, ...]]) -> None:
        self._layers: dict[Reader, _Layer] = {_nothing: _Layer()}
        self._bit = 1
        self._answers = _Answers([self._sorted(asked) for asked in questions])

    def read(self, occurrences: Sequence[Occurrence]) -> Columns:
        """What the questions look at."""
        return [list(map(reads, occurrences)) for reads in self._layers]

    def fitting(self, columns: Columns) -> list[tuple[int, ...]]:
        """For each occurrence read the places of the questions that fit it, in order."""
        layers = zip(self._layers.values(), columns, strict=True)
        each = [map(layer.__getitem__, column) for layer, column in layers]
        failed = reduce(partial(map, or_), each)
        return list(map(self._answers.__getitem__, failed))

    def _sorted(self, asked: tuple[Asked, ...]) -> _Fits:
        """Put the predicates into their layers under one bit; whether they fit, given the bits that fail."""
        bit, self._bit = self._bit, self._bit << 1
        joined: list[_Fits] = []
        for one in asked:
            if isinstance(one, Predicate):
                self._layers.setdefault(one.reads, _Layer()).asked.append((bit, one.fits))
            else:
                joined.append(self._joined([self._sorted(group) for group in one.groups], one.joins))
        return lambda failed: not failed & bit and all(fits(failed) for fits in joined)

    @staticmethod
    def _joined(groups: list[_Fits], joins: Callable[[Iterable[bool]], bool]) -> _Fits:
        return lambda failed: joins(fits(failed) for fits in groups)


_Fits = Callable[[int], bool]


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

    def __init__(self, questions: list[_Fits]) -> None:
        super().__init__()
        self._questions = questions

    def __missing__(self, failed: int) -> tuple[int, ...]:
        self[failed] = found = tuple(place for place, fits in enumerate(self._questions) if fits(failed))
        return found
