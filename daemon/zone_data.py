"""Which time zone data counts: the machine's or that of the tzdata package, whichever is newer.

Python believes the machine's first, and a machine may be years behind: clocks that were changed since would
be read by rules that no longer hold.
"""

from __future__ import annotations

import os
import re
import zoneinfo
from collections.abc import Iterable
from pathlib import Path

import tzdata  # type: ignore[import-untyped]

_VERSION = re.compile(r"# version (\d{4}[a-z]+)")


def use_newest() -> None:
    """Have every zone read from the newer data, before the first is read. PYTHONTZPATH has the last word."""
    if "PYTHONTZPATH" not in os.environ and _of_machine(zoneinfo.TZPATH) < tzdata.IANA_VERSION:
        zoneinfo.reset_tzpath(())


def _of_machine(folders: Iterable[str]) -> str:
    """The version of the machine's data, such as ``2026f``; empty where there is none, or it does not say."""
    for folder in map(Path, folders):
        if folder.is_dir():
            try:
                with (folder / "tzdata.zi").open(encoding="ascii", errors="replace") as lines:
                    found = _VERSION.match(lines.readline())
            except OSError:
                return ""
            return found[1] if found else ""
    return ""
