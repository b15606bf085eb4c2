"""What a TZID means: IANA names, Windows names, prefixed names, and zones a calendar brings along."""

from __future__ import annotations

import re
import zoneinfo
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo

from babel.core import get_global
from icalendar import Calendar, Timezone

from rules.model import Timing

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_+\-]*(?:/[A-Za-z0-9_+\-]+)*")
_MACHINE_DEPENDENT = frozenset({"localtime", "posixrules", "Factory"})
_LARGEST_ZONE = 64 * 1024
_DAY = timedelta(days=1)
_NONE = timedelta(0)


@dataclass(frozen=True, slots=True)
class Zone:
    """A zone as an event names it: the name to show, what may be believed of it, and its rules."""

    tzid: str
    timing: Timing
    tz: tzinfo


UTC_ZONE = Zone("UTC", Timing.TIMED, UTC)


@lru_cache(maxsize=1024)
def known_zone(tzid: str) -> ZoneInfo | None:
    """The IANA zone a TZID means; None when no table knows it.

    Knows IANA names in any case, Windows names (CLDR), and names behind a vendor's prefix, such as
    ``/freeassociation.sourceforge.net/Europe/Lisbon``.
    """
    name = tzid.strip().strip('"')
    windows = get_global("windows_zone_mapping")
    if name.lower() in {"tzone://microsoft/utc", "z"}:
        name = "UTC"
    parts = name.strip("/").split("/")
    enough = len(parts) + name.startswith("/")
    prefixed = ["/".join(parts[-count:]) for count in (3, 2) if enough > count]
    for candidate in (name, str(windows.get(name, "")), *prefixed):
        found = _iana(candidate) if candidate else None
        if found is not None:
            return found
    return None


def _iana(name: str) -> ZoneInfo | None:
    if name in _MACHINE_DEPENDENT or not _NAME.fullmatch(name):
        return None
    try:
        return ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        exact = _names_by_lower_case().get(name.lower())
        return ZoneInfo(exact) if exact else None


@lru_cache(maxsize=1)
def _names_by_lower_case() -> dict[str, str]:
    return {name.lower(): name for name in zoneinfo.available_timezones()}


class _OwnZone(tzinfo):
    """A zone a calendar brought along: what the library makes of its offsets, by the rules of RFC 5545.

    Of a wall time that is skipped the offset before the gap counts (section 3.3.5), where the library takes
    that behind it; and what is called summer time changes nothing, where the library's way back from UTC
    needs it to be called so.
    """

    def __init__(self, zone: tzinfo) -> None:
        self._zone = zone

    def utcoffset(self, at: datetime | None) -> timedelta | None:
        """The offset at this wall time."""
        offset = self._zone.utcoffset(at)
        before = None if at is None else self._zone.utcoffset(_moved(at, -_DAY))
        if at is None or offset is None or before is None or before >= offset:
            return offset
        return before if self._zone.utcoffset(_moved(at, before - offset)) == before else offset

    def fromutc(self, at: datetime) -> datetime:
        """The wall time at this instant."""
        for by in (_NONE, -_DAY, _DAY):
            offset = self.utcoffset(_moved(at, by)) or _NONE
            wall = _moved(at, offset)
            for shown in (wall, wall.replace(fold=1)):
                if self.utcoffset(shown) == offset:
                    return shown
        return self._zone.fromutc(at.replace(tzinfo=self._zone)).replace(tzinfo=self)

    def dst(self, at: datetime | None) -> timedelta | None:
        """As the library has it."""
        return self._zone.dst(at)

    def tzname(self, at: datetime | None) -> str | None:
        """As the library has it."""
        return self._zone.tzname(at)


def _moved(at: datetime, by: timedelta) -> datetime:
    """Another wall time, at most at the ends of the calendar."""
    try:
        return at + by
    except OverflowError:
        return at


@lru_cache(maxsize=256)
def own_zone(vtimezone: str) -> tzinfo | None:
    """The rules of a VTIMEZONE no table knows (its whole text); None when it cannot be interpreted.

    ``X-LIC-LOCATION`` naming a known zone is believed before the listed offsets.
    """
    location = re.search(r"^X-LIC-LOCATION[^:\n]*:(.+)$", vtimezone, re.MULTILINE | re.IGNORECASE)
    if location:
        found = known_zone(location[1].strip())
        if found is not None:
            return found
    # A zone that changes more often than yearly is an attack on the processor, not a zone.
    frequencies = re.findall(r"FREQ=([A-Z]+)", vtimezone.upper())
    if len(vtimezone) > _LARGEST_ZONE or any(frequency != "YEARLY" for frequency in frequencies):
        return None
    text = f"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-\r\n{vtimezone}\r\nEND:VCALENDAR\r\n"
    try:
        for component in Calendar.from_ical(text).walk("VTIMEZONE"):
            zone = component.to_tz(lookup_tzid=False) if isinstance(component, Timezone) else None
            if isinstance(zone, tzinfo) and zone.utcoffset(datetime(2026, 1, 1)) is not None:  # noqa: DTZ001 - wall time
                return _OwnZone(zone)
    except Exception:  # noqa: BLE001 - whatever a malformed zone raises in the library, it is not a zone
        return None
    return None
