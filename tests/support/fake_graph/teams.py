"""Teams: who was in which call, when, as its organiser's attendance reports tell."""

from __future__ import annotations

import base64
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.support.fake_graph.world import FakeGraph, User

Json = dict[str, Any]
TENANT = "72f988bf-86f1-41af-91ab-2d7cd011db47"
_UNSET = "unset"


def clock(at: datetime) -> str:
    """``2026-03-02T09:00:00.123Z``."""
    whole = at.astimezone(UTC)
    return whole.strftime("%Y-%m-%dT%H:%M:%S") + (
        f".{whole.microsecond // 1000:03d}Z" if whole.microsecond else "Z"
    )


@dataclass
class Record:
    """One party of a session, and when they were there."""

    id: str
    email: str | None
    name: str
    role: str
    identity: str | None
    intervals: list[tuple[datetime, datetime]]

    def json(self) -> Json:
        """As an attendance record."""
        spans = [(join, leave, int((leave - join).total_seconds())) for join, leave in self.intervals]
        return {
            "id": self.id,
            "emailAddress": self.email,
            "totalAttendanceInSeconds": sum(seconds for _, _, seconds in spans),
            "role": self.role,
            "identity": {
                "@odata.type": "#microsoft.graph.communicationsUserIdentity" if self.identity else None,
                "id": self.identity,
                "displayName": self.name,
                "tenantId": TENANT if self.identity and self.email else None,
            },
            "attendanceIntervals": [
                {"joinDateTime": clock(join), "leaveDateTime": clock(leave), "durationInSeconds": seconds}
                for join, leave, seconds in spans
            ],
        }


@dataclass
class Report:
    """One session of a meeting; it can be read once it is over."""

    graph: FakeGraph
    id: str
    start: datetime
    end: datetime
    records: list[Record] = field(default_factory=list)

    def attended(
        self,
        email: str | None,
        name: str,
        *intervals: tuple[datetime, datetime],
        role: str = "Attendee",
        id: str | None = _UNSET,  # noqa: A002 - Graph's name of it
    ) -> Record:
        """Somebody was there, all the time where no intervals are given; a guest may have no address."""
        user = self.graph.user_of(email) if email else None
        identity = (user.id if user else None) if id == _UNSET else id
        number = str(uuid.uuid5(uuid.NAMESPACE_URL, f"record {self.graph.tick()}"))
        made = Record(number, email, name, role, identity, list(intervals) or [(self.start, self.end)])
        self.records.append(made)
        return made

    def json(self) -> Json:
        """Without its records."""
        return {
            "id": self.id,
            "totalParticipantCount": len(self.records),
            "meetingStartDateTime": clock(self.start),
            "meetingEndDateTime": clock(self.end),
        }


@dataclass
class Meeting:
    """One online meeting, with a report for each session of it."""

    id: str
    join_url: str
    organizer: User
    subject: str
    start: datetime
    end: datetime
    reports: list[Report] = field(default_factory=list)

    def json(self) -> Json:
        """As the API shows it."""
        who = {"user": {"id": self.organizer.id, "displayName": self.organizer.name, "tenantId": TENANT}}
        return {
            "id": self.id,
            "creationDateTime": clock(self.start),
            "startDateTime": clock(self.start),
            "endDateTime": clock(self.end),
            "joinUrl": self.join_url,
            "joinWebUrl": self.join_url,
            "subject": self.subject,
            "participants": {
                "organizer": {"upn": self.organizer.email, "role": "presenter", "identity": who},
                "attendees": [],
            },
        }


class Teams:
    """All online meetings, by their join address.

    ``policy`` False: no application access policy lets an app in. ``stranger`` is what a search by join
    address answers to who is not the organiser: 403 as has been seen, 404, or 200 for an empty list.
    ``object_ids``: apps have to name people by their object ids here, as the documents say.
    """

    def __init__(self, graph: FakeGraph) -> None:
        self.graph = graph
        self.policy = True
        self.stranger = 403
        self.object_ids = False
        self.meetings: dict[str, Meeting] = {}

    def meeting(self, join_url: str, organizer: str, start: datetime, end: datetime) -> Meeting:
        """A meeting under its address; the one there is, or a new one of which nobody came yet."""
        if join_url not in self.meetings:
            user = self.graph.users[organizer]
            seed = f"1*{user.id}*0**19:meeting_{len(self.meetings)}@thread.v2"
            name = base64.urlsafe_b64encode(seed.encode()).decode().rstrip("=")
            self.meetings[join_url] = Meeting(name, join_url, user, "", start, end)
        return self.meetings[join_url]

    def record(self, join_url: str, organizer: str, start: datetime, end: datetime) -> Report:
        """A session of a meeting."""
        number = str(uuid.uuid5(uuid.NAMESPACE_URL, f"report {self.graph.tick()}"))
        made = Report(self.graph, number, start, end)
        self.meeting(join_url, organizer, start, end).reports.append(made)
        return made
