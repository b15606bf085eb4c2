"""Times as Graph writes them: wall times with the Windows name of their zone."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from babel.core import get_global

from tests.support.fake_graph.graph_errors import GraphError, invalid

Json = dict[str, Any]
NEVER = "0001-01-01T00:00:00Z"
"""What stands where nobody has answered."""


@lru_cache(maxsize=256)
def zone_info(name: str) -> ZoneInfo | None:
    """The zone of a Windows name, or of an IANA name, which Graph takes too; None for neither."""
    if name == "UTC":
        return ZoneInfo("UTC")
    try:
        return ZoneInfo(str(get_global("windows_zone_mapping").get(name, name)))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


def known(name: str) -> ZoneInfo:
    """The zone of a name in a request. Raises GraphError."""
    found = zone_info(name)
    if found is None:
        message = "A valid TimeZone value must be specified. The following TimeZone value is not supported: "
        raise GraphError(400, "TimeZoneNotSupportedException", f"{message}'{name}'.")
    return found


def stamp(at: datetime | None) -> str:
    """``2026-03-02T09:00:00.1230000Z``, as things that were done are dated."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f0Z") if at else NEVER


def second(at: datetime) -> str:
    """``2026-03-02T09:00:00Z``, as ``originalStart`` has it."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def shown(at: datetime, zone: str, *, all_day: bool = False) -> Json:
    """A dateTimeTimeZone; whole days begin at midnight in whatever zone they are shown."""
    wall = at if all_day else at.astimezone(known(zone))
    return {"dateTime": wall.strftime("%Y-%m-%dT%H:%M:%S.0000000"), "timeZone": zone}


def read(value: Any, name: str) -> tuple[datetime, str]:
    """The moment a dateTimeTimeZone of a request means, and the zone it names. Raises GraphError."""
    fields = {key.lower(): each for key, each in value.items()} if isinstance(value, dict) else {}
    text, zone = fields.get("datetime"), fields.get("timezone") or "UTC"
    home = known(str(zone))
    try:
        at = datetime.fromisoformat(str(text))
    except ValueError as error:
        message = f"The value '{text}' of parameter '{name}' is invalid."
        raise invalid(message, "ErrorInvalidParameter") from error
    return (at.replace(tzinfo=home) if at.tzinfo is None else at.astimezone(home)), str(zone)


def bound(text: str | None, name: str) -> datetime:
    """One end of the asked window: ISO 8601, in UTC where it does not say. Raises GraphError."""
    if not text:
        message = "This request requires a time window specified by the query string parameters "
        raise invalid(f"{message}StartDateTime and EndDateTime.", "ErrorInvalidParameter")
    try:
        # A plus sign that nobody encoded arrives as a space.
        at = datetime.fromisoformat(re.sub(r" (\d\d:\d\d)$", r"+\1", text))
    except ValueError as error:
        message = f"The value '{text}' of parameter '{name}' is invalid."
        raise invalid(message, "ErrorInvalidParameter") from error
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


def placed(at: datetime | date, zone: str) -> datetime:
    """A moment on the wall of a zone; a wall time is taken as it is, a day begins at midnight.

    A zone without rules (``tzone://Microsoft/Custom``) leaves a moment where it is.
    """
    home = zone_info(zone)
    if not isinstance(at, datetime):
        return datetime.combine(at, time.min, home or UTC)
    if at.tzinfo is None:
        return at.replace(tzinfo=home or UTC)
    return at.astimezone(home) if home else at
