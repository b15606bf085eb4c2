"""One Google event with its changed instances, as the store keeps it: JSON text ↔ a resource.

A changed instance arrives without its series, so the text of a series holds all of them. An instance
whose series is not in the calendar (I was invited to that one alone) is a resource of its own.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from connectors.base import Resource
from connectors.bounds import bounded
from connectors.google_events import Json, ends, is_cancelled, parsed, plain
from connectors.recurrence import Copy, expand
from rules.model import CalendarRef, Interval, Occurrence

_dump = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, check_circular=False).encode

YEARS = timedelta(days=2 * 365)


_GONE = "~"
"""What stands in an etag before that of the cancelled instances."""


@dataclass(slots=True)
class Whole:
    """An event and its changed instances by id; ``event`` is None for an instance without its series."""

    event: Json | None
    changed: dict[str, Json] = field(default_factory=dict)

    @property
    def etag(self) -> str:
        """The event's own, and those of its changed and of its cancelled instances together."""
        live = {name: one for name, one in self.changed.items() if not is_cancelled(one)}
        own = str(self.event.get("etag", "")) if self.event is not None else ""
        if live:
            own += f"+{_digest(live)}"
        if len(live) < len(self.changed):
            own += f"{_GONE}{_digest({name: self.changed[name] for name in self.changed.keys() - live})}"
        return own

    def is_as(self, etag: str) -> bool:
        """Whether nothing that is still there has changed since it had that etag."""
        return self.etag.partition(_GONE)[0] == etag.partition(_GONE)[0]

    def write(self, zone: str) -> str:
        """As text; ``zone`` is the calendar's own."""
        kept: Json = {"zone": zone, "event": self.event}
        if self.changed:
            kept["changed"] = self.changed
        return _dump(kept)

    @classmethod
    def read(cls, raw: str) -> tuple[Whole, str]:
        """What :meth:`write` was given. Raises ValueError."""
        kept = json.loads(raw)
        try:
            return cls(kept["event"], kept.get("changed") or {}), kept["zone"]
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError("not an event of Google's") from error


def _digest(instances: dict[str, Json]) -> str:
    parts = "\n".join(f"{name} {one.get('etag', '')}" for name, one in sorted(instances.items()))
    return hashlib.sha256(parts.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Shelf:
    """A calendar's place in the account, and the zones its events are read in (IANA)."""

    calendar: CalendarRef
    zone: str
    home_zone: str

    def resource(self, href: str, whole: Whole, window: Interval, raw: str = "") -> Resource:
        """The resource, expanded in the window. Never raises: what cannot be read is told in it."""
        etag = whole.etag
        uid, broken = href, ""
        occurrences: tuple[Occurrence, ...] = ()
        try:
            copy = Copy(calendar=self.calendar, href=href, etag=etag, home_zone=self.home_zone)
            event = whole.event
            at_once = plain(event, self.zone, copy, window) if event and not event.get("recurrence") else None
            if event is not None and at_once is not None:
                uid, occurrences = event["iCalUID"], at_once
            else:
                found = parsed(event, whole.changed.values(), self.zone, self.home_zone)
                occurrences, trouble = expand(found, copy, window)
                uid, broken = found.uid, " ".join(part for part in (found.broken, trouble) if part)
        except (TypeError, ValueError, KeyError, AttributeError, OverflowError, RecursionError):
            broken = "Google's description of this event makes no sense, so it was left out."
        return bounded(
            Resource(
                href=href,
                etag=etag,
                uid=uid,
                raw=raw or whole.write(self.zone),
                recurring=whole.event is None or bool(whole.event.get("recurrence")),
                occurrences=occurrences,
                broken=broken,
            )
        )

    def is_over(self, raw: str, by: datetime) -> bool:
        """Whether nothing of the stored event comes after that time, for a series in the next years."""
        try:
            whole, _ = Whole.read(raw)
        except ValueError:
            return False
        if whole.event is not None and whole.event.get("recurrence"):
            later = self.resource("", whole, Interval(by, by + YEARS), raw)
            return not later.occurrences and not later.broken
        events = [whole.event] if whole.event is not None else list(whole.changed.values())
        return all((ended := ends(one)) is not None and ended <= by for one in events)


__all__ = ["Shelf", "Whole"]
