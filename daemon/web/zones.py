"""The time zones that a page offers, and the one it shows times in."""

from __future__ import annotations

from functools import cache, lru_cache
from importlib.resources import files
from zoneinfo import ZoneInfo

from markupsafe import Markup

from daemon.mail.spoken_time import is_zone


def chosen(name: str | None, otherwise: str) -> ZoneInfo:
    """The zone that a visitor named, or the other where that is none."""
    return ZoneInfo(name if name and is_zone(name) else otherwise)


@lru_cache(maxsize=64)
def options(selected: str, *also: str) -> Markup:
    """The zones to choose from: one for each place of the world that has its own, and these."""
    names = sorted({*_places(), selected, *also})
    marked = ((Markup(" selected") if name == selected else "", name) for name in names)
    return Markup("\n").join(Markup("<option{}>{}").format(*one) for one in marked)


@cache
def _places() -> tuple[str, ...]:
    table = (files("tzdata") / "zoneinfo" / "zone.tab").read_text(encoding="utf-8")
    lines = [line.split("\t") for line in table.splitlines() if line and not line.startswith("#")]
    return ("UTC", *(line[2] for line in lines))
