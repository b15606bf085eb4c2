"""What every benchmark is given: how large to be, a folder to use, and servers already prepared."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Self

from benchmarks.household import Household, household


class Bench:
    """One run. Everything it starts or writes is gone when it ends."""

    def __init__(self, *, quick: bool) -> None:
        self.quick = quick
        self._stack = ExitStack()
        self._households: dict[tuple[int, int], Household] = {}
        self._folders = 0

    def __enter__(self) -> Self:
        self._root = Path(self._stack.enter_context(TemporaryDirectory(prefix="rebookd-bench-")))
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def size(self, full: int) -> int:
        """So many in a full run, a tenth in a quick one."""
        return max(1, full // 10) if self.quick else full

    @property
    def rounds(self) -> int:
        """How often to repeat what takes seconds."""
        return 1 if self.quick else 3

    def folder(self) -> Path:
        """A new empty folder."""
        self._folders += 1
        made = self._root / str(self._folders)
        made.mkdir()
        return made

    def household(self, calendars: int, each: int) -> Household:
        """A Radicale with so many calendars of so many events, shared by all who ask for the same."""
        each = self.size(each)
        if (calendars, each) not in self._households:
            made = self._stack.enter_context(household(self.folder(), calendars, each))
            self._households[calendars, each] = made
        return self._households[calendars, each]
