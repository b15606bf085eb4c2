"""Asked by tests, run by the system's own Python: what libical thinks of iTIP messages (RFC 5546).

Reads texts parted by NUL from standard input; writes a line for each: ``ok``, or what is wrong.
"""

import sys
from typing import Any

import gi

gi.require_version("ICalGLib", "3.0")
from gi.repository import ICalGLib  # noqa: E402 - the version is asked for first


def errors(component: Any) -> list[str]:
    """Every restriction that is not met, as libical writes it into the component."""
    found = []
    kind = ICalGLib.PropertyKind.XLICERROR_PROPERTY
    prop = component.get_first_property(kind)
    while prop is not None:
        found.append(prop.get_xlicerror())
        prop = component.get_next_property(kind)
    inner = component.get_first_component(ICalGLib.ComponentKind.ANY_COMPONENT)
    while inner is not None:
        found += errors(inner)
        inner = component.get_next_component(ICalGLib.ComponentKind.ANY_COMPONENT)
    return found


for text in sys.stdin.read().split("\0"):
    parsed = ICalGLib.Component.new_from_string(text) if text.startswith("BEGIN:VCALENDAR") else None
    if parsed is None:
        sys.stdout.write("not iCalendar\n")
        continue
    ICalGLib.restriction_check(parsed)
    sys.stdout.write(("; ".join(errors(parsed)) or "ok") + "\n")
