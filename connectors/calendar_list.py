"""The list of an account's calendars, which is read anew now and then."""

from __future__ import annotations

from collections.abc import Callable

from connectors.base import CalendarInfo

LIST_AGAIN = 12
"""After so many uses it is read anew; a calendar that fails makes it sooner."""


class CalendarList:
    """What ``read`` found last."""

    def __init__(self, read: Callable[[], list[CalendarInfo]]) -> None:
        self._read = read
        self._infos: list[CalendarInfo] = []
        self._uses = 0
        self._is_settled = False

    def current(self) -> list[CalendarInfo]:
        """The list. Raises what ``read`` raises."""
        self._uses += 1
        if not self._is_settled or self._uses > LIST_AGAIN:
            found = self._read()
            # Relied on once a second one agrees: the daemon drops a calendar that is missing twice.
            self._is_settled = found == self._infos
            self._infos, self._uses = found, 1
        return list(self._infos)

    def doubt(self) -> None:
        """Have it read anew."""
        self._is_settled = False


__all__ = ["CalendarList"]
