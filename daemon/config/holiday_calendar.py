"""Public holidays by country, loaded only when somebody asks for a date: building them is slow."""

from __future__ import annotations

import re
from collections.abc import Container
from datetime import date
from functools import cached_property
from threading import Lock
from typing import Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema

from rules.faults import Fault, brief, closest, fault, shown

_CODE = re.compile(r"([A-Z]{2})(?:-([A-Za-z0-9]{1,6}))?")


def _code(value: object) -> str:
    if not isinstance(value, str) or not _CODE.fullmatch(value):
        said = f"'{brief(value)}'" if isinstance(value, str) else shown(value)
        raise fault(
            f"{said} is not a country", "write two capitals, such as PT, or with a part, such as DE-BY"
        )
    return value


HolidayCode = Annotated[
    str,
    BeforeValidator(_code),
    WithJsonSchema({"type": "string", "pattern": f"^{_CODE.pattern}$", "examples": ["PT", "DE-BY", "US-CA"]}),
]
"""A country (ISO 3166-1), or a country and its part."""


def holiday_fault(code: object) -> Fault | None:
    """What is wrong with a well-formed code: a country or part whose holidays nobody has listed."""
    if not isinstance(code, str) or not _CODE.fullmatch(code):
        return None
    import holidays  # noqa: PLC0415 -- a third of a second, for those who keep holidays

    country, _, part = code.partition("-")
    known = holidays.list_supported_countries(include_aliases=True)
    if country not in known:
        return Fault(f"the holidays of '{country}' are not known", closest(country, known))
    if part and part not in known[country]:
        parts = ", ".join(known[country])
        hint = closest(part, known[country]) or (
            f"parts of {country} are {brief(parts, 200)}" if parts else ""
        )
        return Fault(f"'{part}' is not a part of {country}", hint or f"write {country} alone")
    return None


class Holidays(Container[date]):
    """The public holidays of a country, as a thing that knows whether a date is in it."""

    def __init__(self, code: str) -> None:
        self.code = code
        self._lock = Lock()

    def __repr__(self) -> str:
        return f"Holidays({self.code!r})"

    def __contains__(self, day: object) -> bool:
        with self._lock:
            return day in self._listed

    @cached_property
    def _listed(self) -> Any:
        import holidays  # noqa: PLC0415 -- see above

        country, _, part = self.code.partition("-")
        return holidays.country_holidays(country, subdiv=part or None)
