"""One Outlook event as the store keeps it: JSON text ↔ a resource.

Exchange expands series itself, within the window of one round of asking, so the text of a series holds its
instances: most as no more than their times, the changed ones whole.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, time, timedelta
from functools import cached_property

from connectors.base import Resource
from connectors.bounds import bounded, unfollowed
from connectors.ical import Details
from connectors.ical_zones import Zone, known_zone
from connectors.outlook_events import (
    Json,
    Mailbox,
    details,
    instance_date,
    instant,
    is_series,
    trimmed,
    uid_of,
    zone_of,
)
from connectors.outlook_series import last_day
from connectors.recurrence import MAX_OCCURRENCES
from rules.model import CalendarRef, Interval, Occurrence, OccurrenceKey, Status, Timing

_dump = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, check_circular=False).encode

_DAY = timedelta(days=1)
_NONSENSE = (TypeError, ValueError, KeyError, AttributeError, OverflowError)


@dataclass(slots=True)
class Whole:
    """An event and, for a series, its instances by id, as far as ``until``.

    An instance like all others is no more than its ``start`` and ``end``.
    """

    event: Json
    instances: dict[str, Json] = field(default_factory=dict)
    until: datetime | None = None

    @property
    def etag(self) -> str:
        """The event's own; for a series, of it and all its instances in the window of that round."""
        own = str(self.event.get("@odata.etag", ""))
        if not is_series(self.event):
            return own
        lines = [f"{name} {_mark(one)}" for name, one in sorted(self.instances.items())]
        digest = hashlib.sha256("\n".join((own, *lines)).encode()).hexdigest()[:16]
        return f"series {self.until:%Y%m%d} {digest}" if self.until else f"series {digest}"

    def put(self, item: Json) -> None:
        """Take in one instance as Graph sent it."""
        name = str(item["id"])
        if item.get("type") == "exception":
            self.instances[name] = trimmed(item)
        else:
            self.instances[name] = {"start": _time(item["start"]), "end": _time(item["end"])}

    def write(self) -> str:
        """As text."""
        kept: Json = {"event": self.event}
        if is_series(self.event):
            kept |= {"instances": self.instances, "until": self.until.isoformat() if self.until else None}
        return _dump(kept)

    @classmethod
    def read(cls, raw: str) -> Whole:
        """What :meth:`write` was given. Raises ValueError."""
        kept = json.loads(raw)
        try:
            until = kept.get("until")
            return cls(
                kept["event"], kept.get("instances") or {}, datetime.fromisoformat(until) if until else None
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError("not an event of Outlook's") from error


def is_series_etag(etag: str) -> bool:
    """Whether an etag of ours is that of a series."""
    return etag.startswith("series ")


def _mark(instance: Json) -> str:
    return str(instance.get("@odata.etag") or f"{instance.get('start')} {instance.get('end')}")


def _time(when: Json) -> str:
    """A time of a plain instance, short. Raises what :func:`instant` raises."""
    return instant(when).isoformat()


@dataclass(frozen=True, slots=True)
class Shelf:
    """A calendar's place in the account, whose it is, and the zone all-day events are read in (IANA)."""

    calendar: CalendarRef
    mailbox: Mailbox
    home_zone: str

    def resource(self, href: str, whole: Whole, window: Interval, raw: str = "") -> Resource:
        """The resource, with its occurrences in the window. Never raises: what is wrong is told in it."""
        uid, etag, broken = href, whole.etag, ""
        found: tuple[Occurrence, ...] = ()
        try:
            reader = _Reader(self, href, whole, etag)
            uid = reader.uid
            found = reader.occurrences(window)
            broken = _told(reader.broken)
        except _NONSENSE:
            broken = "Outlook's description of this event makes no sense, so it was left out."
        return bounded(
            Resource(
                href=href,
                etag=etag,
                uid=uid,
                raw=raw or whole.write(),
                recurring=is_series(whole.event),
                occurrences=found,
                broken=broken,
            )
        )

    def instance(self, whole: Whole, recurrence_id: str | None) -> str | None:
        """What Graph calls one instance of a series; None where it is not among those known."""
        return _Reader(self, "", whole, "").names().get(recurrence_id or "")

    def is_over(self, raw: str, by: datetime) -> bool:
        """Whether nothing of the stored event comes after that time."""
        try:
            whole = Whole.read(raw)
            if is_series(whole.event):
                end = last_day(whole.event.get("recurrence"))
                return end is not None and end + 2 * _DAY < by.date()
            return instant(whole.event["end"]) <= by
        except _NONSENSE:
            return False


class _Reader:
    """Reads one event of a shelf and notes what it cannot read in ``broken``."""

    def __init__(self, shelf: Shelf, href: str, whole: Whole, etag: str) -> None:
        self._shelf, self._href, self._whole, self._etag = shelf, href, whole, etag
        self.uid = uid_of(whole.event)
        self.broken: list[str] = []

    def occurrences(self, window: Interval) -> tuple[Occurrence, ...]:
        """Those in the window, by start."""
        if not is_series(self._whole.event):
            one = self._single()
            return (one,) if _is_in(one, window) else ()
        every = sorted(self._instances(), key=lambda one: one.start_utc)
        final = self._final(every)
        found = [replace(one, final=True) if one is final else one for one in every if _is_in(one, window)]
        if len(found) > MAX_OCCURRENCES:
            self.broken.append(f"only its first {MAX_OCCURRENCES} occurrences were read")
            return tuple(unfollowed(one) for one in found[:MAX_OCCURRENCES])
        return tuple(found)

    def names(self) -> dict[str, str]:
        """What Graph calls each instance, by its ``recurrence_id``."""
        found: dict[str, str] = {}
        zone = self._zone(self._whole.event)
        for name, one in self._whole.instances.items():
            try:
                found[_original(self._began(one, zone), zone)] = name
            except _NONSENSE:
                continue
        return found

    def _single(self) -> Occurrence:
        event = self._whole.event
        zone = self._zone(event)
        span = _span(event)
        original, day = None, instance_date(event)
        if day is not None:
            # I was invited to one instance of a series alone, of which only the day is told.
            same = span.start.astimezone(zone.tz).date() == day
            original = _original(span.start, zone) if same else f"{day:%Y%m%d}"
        return self._made(event, span, zone, original, self._own)

    @cached_property
    def _own(self) -> Details:
        """What the event says of itself, and so of each instance like all others."""
        return details(self._whole.event, self._shelf.mailbox)

    def _instances(self) -> Iterator[Occurrence]:
        master = self._whole.event
        zone = self._zone(master)
        for one in self._whole.instances.values():
            try:
                if "id" in one:
                    yield self._changed(one, master, zone)
                else:
                    span = _span(one)
                    yield self._made(master, span, zone, _original(span.start, zone), self._own)
            except _NONSENSE:
                self.broken.append("an instance does not say when it is, so it was left out")

    def _changed(self, one: Json, master: Json, zone: Zone) -> Occurrence:
        """An instance that differs from its series, by which it is still named."""
        own = {"originalStartTimeZone": master.get("originalStartTimeZone"), **one}
        original, told = _original(self._began(one, zone), zone), details(own, self._shelf.mailbox)
        return self._made(own, _span(one), self._zone(own), original, told)

    def _began(self, instance: Json, zone: Zone) -> datetime:
        """When an instance was to start at first, ``zone`` being that of its series."""
        began = instant(instance.get("originalStart") or instance["start"])
        if zone.timing is Timing.ALL_DAY and began.time() != time.min:
            # Its day began in the zone of its series.
            name = str(self._whole.event.get("originalStartTimeZone") or "")
            began = began.astimezone(known_zone(name) or UTC)
        return began

    def _made(
        self, event: Json, span: Interval, zone: Zone, original: str | None, told: Details
    ) -> Occurrence:
        start, end = span.start, span.end
        if end < start:
            self.broken.append("it ends before it starts; its end is taken to be its start")
            end = start
        if zone.timing is Timing.ALL_DAY:
            # Whole days are told as midnights that belong to no zone.
            start, end = (at.replace(tzinfo=zone.tz) for at in (start, end))
        else:
            start, end = start.astimezone(zone.tz), end.astimezone(self._end_zone(event, zone).tz)
        return Occurrence(
            key=OccurrenceKey(calendar=self._shelf.calendar, uid=self.uid, recurrence_id=original),
            start=start,
            end=end,
            tzid=zone.tzid,
            timing=zone.timing,
            recurring=is_series(self._whole.event),
            href=self._href,
            etag=self._etag,
            **told,
        )

    def _zone(self, event: Json) -> Zone:
        zone = zone_of(event, "originalStartTimeZone", self._shelf.home_zone)
        if zone.timing is Timing.UNKNOWN_ZONE:
            self.broken.append(f"no table knows its time zone {zone.tzid[:60]!r}, so it is not acted on")
        return zone

    def _end_zone(self, event: Json, begins: Zone) -> Zone:
        if not event.get("originalEndTimeZone"):
            return begins
        zone = zone_of(event, "originalEndTimeZone", self._shelf.home_zone)
        return begins if zone.timing is Timing.UNKNOWN_ZONE else zone

    def _final(self, every: list[Occurrence]) -> Occurrence | None:
        """The last instance that takes place, where the series ends within what is known of it."""
        end, until = last_day(self._whole.event.get("recurrence")), self._whole.until
        if end is None or until is None or until.date() <= end + _DAY:
            return None
        live = [one for one in every if one.status is not Status.CANCELLED]
        return live[-1] if live else None


def _span(event: Json) -> Interval:
    """From its start to its end, which may come first. Raises ``_NONSENSE``."""
    return Interval(instant(event["start"]), instant(event["end"]))


def _original(at: datetime, zone: Zone) -> str:
    """The ``recurrence_id`` of the instance that was to start then."""
    if zone.timing is Timing.ALL_DAY:
        return f"{at:%Y%m%d}"
    return f"{at.astimezone(UTC):%Y%m%dT%H%M%SZ}"


def _is_in(one: Occurrence, window: Interval) -> bool:
    start, end = one.start_utc, one.end_utc
    return start < window.end and (end > window.start or start == end == window.start)


def _told(broken: list[str]) -> str:
    few = list(dict.fromkeys(broken))[:3]
    return f"This event is not wholly readable: {'; '.join(few)}." if few else ""


__all__ = ["Shelf", "Whole", "is_series_etag"]
