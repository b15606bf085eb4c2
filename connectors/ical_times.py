"""Dates, times and lengths as iCalendar writes them (RFC 5545 sections 3.3.4 to 3.3.6)."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import NamedTuple

from connectors.ical_zones import UTC_ZONE, Zone
from rules.model import Timing

_NO_TIME = timedelta(0)


class Moment(NamedTuple):
    """A time as written: wall time (naive; midnight for a DATE) and the zone it is to be read in."""

    wall: datetime
    zone: Zone

    @property
    def aware(self) -> datetime:
        """The instant. In a spring gap the offset before it counts, in an autumn overlap the first."""
        return self.wall.replace(tzinfo=self.zone.tz)


def read_moment(value: str, zone: Zone, all_day: Zone) -> Moment:
    """Read ``20260302``, ``20260302T090000`` or ``20260302T090000Z``. Raises ValueError."""
    value = value.strip()
    wall = read_wall(value)
    if len(value) == 8:
        return Moment(wall, all_day)
    return Moment(wall, UTC_ZONE if value[15:] else zone)


def read_wall(value: str) -> datetime:
    """The wall time of a DATE or DATE-TIME, without its zone. Raises ValueError."""
    if len(value) == 8 and value.isdigit():
        return datetime.fromisoformat(value)
    if len(value) not in {15, 16} or value[8] not in "Tt" or value[15:] not in {"", "Z", "z"}:
        raise ValueError(value)
    if not (value[:8].isdigit() and value[9:15].isdigit()):
        raise ValueError(value)
    if value[13:15] == "60":  # a leap second (RFC 5545 section 3.3.12)
        return datetime.fromisoformat(value[:13] + "59")
    return datetime.fromisoformat(value[:15])


_DURATION = re.compile(
    r"([+-]?)P(?:(\d{1,6})W)?(?:(\d{1,6})D)?(?:T(?:(\d{1,8})H)?(?:(\d{1,9})M)?(?:(\d{1,9})S)?)?"
)


def duration(value: str) -> tuple[timedelta, timedelta]:
    """Nominal days and exact time of a DURATION (RFC 5545 section 3.3.6). Raises ValueError."""
    found = _DURATION.fullmatch(value.strip().upper())
    if found is None or not any(found.groups()[1:]):
        raise ValueError(f"its DURATION {value[:30]!r} is not one")
    weeks, days, hours, minutes, seconds = (int(part or 0) for part in found.groups()[1:])
    sign = -1 if found[1] == "-" else 1
    return (
        sign * timedelta(weeks=weeks, days=days),
        sign * timedelta(hours=hours, minutes=minutes, seconds=seconds),
    )


def key_of(moment: Moment) -> str:
    """The ``recurrence_id`` of :class:`rules.model.OccurrenceKey` for an instance that starts then."""
    if moment.zone.timing is Timing.ALL_DAY:
        return instance_key(moment.wall, moment.zone)
    return instance_key(moment.wall - (moment.aware.utcoffset() or _NO_TIME), moment.zone)


def instance_key(at: datetime, zone: Zone) -> str:
    """The same from naive UTC, or from the date where the zone says all day."""
    if zone.timing is Timing.ALL_DAY:
        return at.isoformat()[:10].replace("-", "")
    return at.isoformat().replace("-", "").replace(":", "") + "Z"
