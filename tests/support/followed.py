"""A calendar followed from cursor to cursor, with a memory such as the store's."""

from __future__ import annotations

from dataclasses import dataclass, field

from connectors.base import CalendarConnector, ChangeSet, Cursor, Known, Resource
from rules.model import CalendarRef, Interval, Occurrence
from tests.support.ics import WINDOW


@dataclass
class Followed:
    """``held`` is what a store would hold of the calendar."""

    connector: CalendarConnector
    ref: CalendarRef
    cursor: Cursor = field(default_factory=Cursor)
    held: dict[str, Resource] = field(default_factory=dict)

    @property
    def known(self) -> Known:
        """What the store would tell a poll."""
        return Known(
            cursor=self.cursor,
            etags=lambda: {href: one.etag for href, one in self.held.items()},
            raw=lambda href: self.held[href].raw if href in self.held else None,
        )

    def poll(self, window: Interval = WINDOW) -> ChangeSet:
        """Poll, and take in what it says as the store does."""
        changes = self.connector.poll(self.ref, window, self.known)
        if changes.full:
            self.held = {href: one for href, one in self.held.items() if href in changes.kept}
        for href in changes.removed:
            self.held.pop(href, None)
        self.held |= {one.href: one for one in changes.changed}
        self.cursor = changes.cursor
        return changes

    def occurrences(self) -> list[Occurrence]:
        """Everything held, by start."""
        found = [each for one in self.held.values() for each in one.occurrences]
        return sorted(found, key=lambda one: (one.start_utc, one.key))
