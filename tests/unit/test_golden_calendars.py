"""Events as Google, Outlook, Apple, Exchange and Thunderbird write them, and the nouns they become."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import Any

import pytest

from connectors.recurrence import read_resource
from tests.support.ics import COPY, WINDOW

READ = (
    "start",
    "end",
    "title",
    "tzid",
    "timing",
    "status",
    "transparent",
    "private",
    "organizer",
    "organizer_name",
    "attendees",
    "sequence",
    "created",
    "modified",
    "location",
    "categories",
)
GOLDEN = Path(__file__).parent.parent / "golden"


def as_json(value: object) -> Any:
    """How a value stands in the expectations."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Enum):
        return value.value
    raise TypeError(value)


def nouns(path: Path) -> Any:
    """The occurrences of a file, without what only says where it lies."""
    resource = read_resource(path.read_bytes().decode(), COPY, WINDOW)
    found: dict[str, Any] = {"uid": resource.uid, "recurring": resource.recurring, "broken": resource.broken}
    found["occurrences"] = []
    for occurrence in resource.occurrences:
        fields = asdict(occurrence)
        for who in fields["attendees"]:
            del who["proposed"]  # iCalendar keeps none beside an attendee
        read = {"recurrence_id": occurrence.key.recurrence_id, **{name: fields[name] for name in READ}}
        found["occurrences"].append(read)
    return json.loads(json.dumps(found, default=as_json))


@pytest.mark.parametrize("name", sorted(path.stem for path in GOLDEN.glob("*.ics")))
def test_golden_calendar(name: str) -> None:
    """Each dialect becomes exactly the nouns beside it."""
    expected = json.loads((GOLDEN / f"{name}.json").read_text())
    assert nouns(GOLDEN / f"{name}.ics") == expected
