"""A stand-in for Microsoft: as much of its sign-in and of Graph v1.0 as one account of the demo asks for."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from daemon.demo.meeting import Meeting
from daemon.demo.stand_in import Json, Routes, StandIn, served

TENANT = "umbrella.example"
CALENDAR = "AAMkAGI1Calendar"

_ANSWERS = {
    "ACCEPTED": "accepted",
    "DECLINED": "declined",
    "TENTATIVE": "tentativelyAccepted",
    "NEEDS-ACTION": "none",
}
_ZONE = "GMT Standard Time"
"""What Microsoft calls the time of Lisbon."""


@dataclass
class OutlookServer(StandIn):
    """One person's mailbox, which an app of their organisation may read."""

    open_to_all: str = rf"/{TENANT}/.*"

    @property
    def endpoint(self) -> str:
        """The root of Microsoft Graph."""
        return f"{self.url}v1.0"

    def routes(self) -> Routes:
        """The sign-in, and what is asked of the mailbox."""
        mailbox = rf"/v1\.0/users/{self.address}"
        calendar = f"{mailbox}/calendars/{CALENDAR}"
        return (
            (rf"GET /{TENANT}/v2\.0/\.well-known/openid-configuration", self._about_sign_in),
            (rf"POST /{TENANT}/oauth2/v2\.0/token", self._sign_in),
            (rf"GET {mailbox}/calendars", self._list),
            (rf"GET {mailbox}/mailboxSettings/automaticRepliesSetting", lambda _: {"status": "disabled"}),
            (rf"GET {calendar}/calendarView/delta", self._round),
            (rf"GET {calendar}/events/([^/]+)", self._one_event),
            (rf"POST {mailbox}/calendar/getSchedule", self._schedules),
        )

    def _about_sign_in(self, _query: Json) -> Json:
        where = f"{self.url}{TENANT}"
        return {
            "issuer": f"{where}/v2.0",
            "authorization_endpoint": f"{where}/oauth2/v2.0/authorize",
            "token_endpoint": f"{where}/oauth2/v2.0/token",
            "device_authorization_endpoint": f"{where}/oauth2/v2.0/devicecode",
        }

    def _sign_in(self, _query: Json) -> Json:
        return {"token_type": "Bearer", "expires_in": 86400, "access_token": self.token}  # no password  # nosec B105

    def _list(self, _query: Json) -> Json:
        owner = {"name": self.address, "address": self.address}
        shown = {"id": CALENDAR, "name": self.calendar, "isDefaultCalendar": True, "canEdit": True}
        return {"value": [shown | {"owner": owner}]}

    def _round(self, query: Json) -> Json:
        changed = self.since(int(query.get("$deltatoken", 0)))
        where = f"{self.endpoint}/users/{self.address}/calendars/{CALENDAR}/calendarView/delta"
        return {"value": changed, "@odata.deltaLink": f"{where}?$deltatoken={self._version}"}

    def _one_event(self, _query: Json, name: str) -> Json | None:
        return self._events.get(name)

    def _schedules(self, query: Json) -> Json:
        """Nobody shows this account when they are busy."""
        hidden = {
            "message": "Unable to resolve e-mail address.",
            "responseCode": "ErrorMailRecipientNotFound",
        }
        return {"value": [{"scheduleId": one, "error": hidden} for one in query["schedules"]]}

    def event(self, name: str, meeting: Meeting) -> Json:
        """A meeting of Graph's."""
        made = _stamp(meeting.created)
        return {
            "@odata.etag": f'W/"{self._version}"',
            "id": name,
            "type": "singleInstance",
            "iCalUId": meeting.uid,
            "subject": meeting.title,
            "createdDateTime": made,
            "lastModifiedDateTime": made,
            "start": _when(meeting.start),
            "end": _when(meeting.start + timedelta(minutes=meeting.minutes)),
            "originalStartTimeZone": _ZONE,
            "originalEndTimeZone": _ZONE,
            "isAllDay": False,
            "isCancelled": False,
            "isOrganizer": meeting.organizer.address == self.address,
            "organizer": {
                "emailAddress": {"name": meeting.organizer.name, "address": meeting.organizer.address}
            },
            "responseRequested": True,
            "showAs": "busy",
            "attendees": [
                {
                    "type": "required",
                    "status": {"response": _ANSWERS[answer], "time": made},
                    "emailAddress": {"name": who.name, "address": who.address},
                }
                | _proposal(meeting, who.address)
                for who, answer in meeting.answers
            ],
        }


@contextlib.contextmanager
def outlook_server(address: str, calendar: str, tls: ssl.SSLContext) -> Iterator[OutlookServer]:
    """The stand-in, listening, for one person with one calendar."""
    outlook = OutlookServer(address, calendar)
    with served(outlook, tls):
        yield outlook


def _proposal(meeting: Meeting, address: str) -> Json:
    """The other time that somebody asks for."""
    if meeting.proposed is None or meeting.proposed[0].address != address:
        return {}
    start = meeting.proposed[1]
    end = start + timedelta(minutes=meeting.minutes)
    return {"proposedNewTime": {"start": _when(start), "end": _when(end)}}


def _when(at: datetime) -> Json:
    return {"dateTime": at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.0000000"), "timeZone": "UTC"}


def _stamp(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.0000000Z")
