"""The clock and the zones: whether this machine knows what time it is, here and elsewhere."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from daemon.config.settings import Settings
from daemon.doctor.checks import Check, doubtful, fine, wrong

NAME = "clock"

WRITTEN = datetime(2026, 1, 1, tzinfo=UTC)
"""It is later than this."""

_UNSYNCHRONISED = 5  # TIME_ERROR of adjtimex(2)


def checks(owners: Sequence[Settings], now: datetime) -> Iterator[Check]:
    """The clock, and the zone data that the configuration needs."""
    yield sane(now)
    yield from synchronised()
    if owners:
        yield zones(owners)


def sane(now: datetime) -> Check:
    """A year that can be."""
    if now < WRITTEN or now.year > WRITTEN.year + 50:
        return wrong(NAME, f"the clock says {now:%Y-%m-%d}", "set the clock: timedatectl set-ntp true")
    return fine(NAME, f"it is {now:%Y-%m-%d %H:%M} UTC")


def synchronised() -> Iterator[Check]:
    """What the kernel knows of being kept in time; nothing where it cannot be asked."""
    try:
        said = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(512))
    except (OSError, AttributeError):
        return
    if said == _UNSYNCHRONISED:
        yield doubtful(NAME, "nothing keeps the clock in time", "timedatectl set-ntp true")
    elif said >= 0:
        yield fine(NAME, "the clock is kept in time")


def zones(owners: Sequence[Settings]) -> Check:
    """Data for every zone that is named."""
    homes = {one.owner.zone for one in owners}
    accounts = {each.time_zone for one in owners for each in one.accounts.values() if each.time_zone}
    wanted = sorted(homes | accounts)
    for zone in wanted:
        try:
            ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError):
            return wrong("zones", f"there is no data for the time zone {zone}", "pip install tzdata")
    return fine("zones", f"there is data for {', '.join(wanted)}")
