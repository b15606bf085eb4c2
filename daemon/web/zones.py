"""The time zones that a page offers, and the one it shows times in."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from zoneinfo import ZoneInfo, available_timezones

from daemon.config.settings import Settings
from rules.model import Occurrence


def zone_of(settings: Settings, account: str, occurrence: Occurrence | None) -> str:
    """The recipient's zone: what the configuration says, else the event's own, else the owner's."""
    seen = settings.accounts.get(account)
    for name in (seen.time_zone if seen else None, occurrence.tzid if occurrence else None):
        if name and name != "UTC" and is_zone(name):
            return name
    return settings.owner.zone


def chosen(name: str | None, otherwise: str) -> ZoneInfo:
    """The zone that a visitor named, or the other where that is none."""
    return ZoneInfo(name if name and is_zone(name) else otherwise)


def is_zone(name: str) -> bool:
    """Whether there is such a zone."""
    return name in _all()


def choices(*also: str) -> list[str]:
    """The zones to choose from, one for each place of the world that has its own, and these."""
    return sorted({*_places(), *also})


@cache
def _all() -> frozenset[str]:
    return frozenset(available_timezones())


@cache
def _places() -> tuple[str, ...]:
    table = (files("tzdata") / "zoneinfo" / "zone.tab").read_text(encoding="utf-8")
    lines = [line.split("\t") for line in table.splitlines() if line and not line.startswith("#")]
    return ("UTC", *(line[2] for line in lines))
