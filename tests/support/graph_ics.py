"""The connector suite's iCalendar texts, put into the fake Graph as its own people would have made them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC
from typing import Any

from connectors.ical import Event, parse
from connectors.ical_times import Moment
from rules.model import PartStat, Timing
from tests.support.fake_graph.events import Calendar
from tests.support.fake_graph.world import FakeGraph
from tests.support.ics import LISBON

ZONE = "GMT Standard Time"
"""What Windows calls the zone of Lisbon."""

_STATUS = {
    PartStat.NEEDS_ACTION: "none",
    PartStat.ACCEPTED: "accepted",
    PartStat.DECLINED: "declined",
    PartStat.TENTATIVE: "tentativelyAccepted",
}
_PATTERNS: dict[str, dict[str, Any]] = {
    "WEEKLY": {"type": "weekly", "interval": 1, "daysOfWeek": ["monday"], "firstDayOfWeek": "monday"},
    "MONTHLY": {"type": "absoluteMonthly", "interval": 1, "dayOfMonth": 2},
}


@dataclass
class Shelf:
    """One calendar of the fake, whose events go by the suite's file names."""

    graph: FakeGraph
    calendar: Calendar
    ids: dict[str, str] = field(default_factory=dict)

    def name_of(self, href: str) -> str:
        """The suite's name of an event."""
        return next(name for name, id_ in self.ids.items() if id_ == href)

    def put(self, name: str, raw: str) -> None:
        """Store a text, new or in place of the old one."""
        events = parse(raw, LISBON).events
        master = next(each for each in events if each.recurrence_id is None)
        if name in self.ids:
            self.graph.edit(self.ids[name], subject=master.details["title"])
            return
        details = master.details
        end = master.end or Moment(master.start.wall + master.days + master.exact, master.start.zone)
        self.ids[name] = self.calendar.event(
            details["title"],
            _when(master.start),
            _when(end),
            {
                str(who.address): {"response": _STATUS[who.partstat], "name": who.name}
                for who in details["attendees"]
            },
            zone=ZONE,
            recurrence=_recurrence(master),
            uid=master.uid,
            categories=list(details["categories"]),
        )
        for each in events:
            if each.recurrence_id is not None:
                original = each.recurrence_id.aware.astimezone(UTC)
                self.graph.move_instance(self.ids[name], original, each.start.aware.astimezone(UTC))

    def remove(self, name: str) -> None:
        """Delete an event."""
        self.graph.delete(self.ids[name], self.calendar.owner.email)


def _recurrence(event: Event) -> dict[str, Any] | None:
    if not event.rrules:
        return None
    rule = dict(part.split("=") for part in event.rrules[0].split(";"))
    start = event.start.wall.date().isoformat()
    span: dict[str, Any] = {"type": "noEnd", "startDate": start}
    if "COUNT" in rule:
        span = {"type": "numbered", "startDate": start, "numberOfOccurrences": int(rule["COUNT"])}
    return {"pattern": _PATTERNS[rule["FREQ"]], "range": span}


def _when(moment: Moment) -> Any:
    return moment.wall.date() if moment.zone.timing is Timing.ALL_DAY else moment.aware


__all__ = ["ZONE", "Shelf"]
