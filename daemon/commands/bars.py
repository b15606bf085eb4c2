"""Progress bars for long reading."""

from __future__ import annotations

from typing import Self

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

from daemon.commands.context import watched
from daemon.poll import Progress as Tell


class Bars:
    """A progress bar for each calendar, or other thing, that takes long, on a terminal only."""

    def __init__(self, doing: str = "reading") -> None:
        self._doing = doing
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            transient=True,
            disable=not watched(),
        )
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    @property
    def tell(self) -> Tell | None:
        """What pollers report to; None where nobody watches."""
        return None if self._progress.disable else self._tell

    def _tell(self, calendar: str, done: int, total: int) -> None:
        if calendar not in self._tasks:
            self._tasks[calendar] = self._progress.add_task(f"{self._doing} {calendar}", total=total)
        self._progress.update(self._tasks[calendar], completed=done, total=total)
