"""Which of an account's calendars changed, where each is asked by a request of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from connectors.base import Cursor, Retryable
from rules.model import CalendarRef


def those_that_may_have_changed(
    cursors: Mapping[CalendarRef, Cursor], may_have_changed: Callable[[str, Cursor], bool]
) -> frozenset[CalendarRef]:
    """Those that answer so, and one that does not answer. Raises Retryable where a second one does not."""
    changed: set[CalendarRef] = set()
    failed = False
    for ref, cursor in cursors.items():
        try:
            if may_have_changed(ref.id, cursor):
                changed.add(ref)
        except Retryable:
            # One calendar's trouble is told when it is polled; a second one is that of the whole account.
            if failed:
                raise
            failed = True
            changed.add(ref)
    return frozenset(changed)
