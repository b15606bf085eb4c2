"""A meeting of the story as iCalendar text, and the calendar app that writes it to the CalDAV server."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Self
from zoneinfo import ZoneInfo

import requests

from daemon.demo.servers import CalendarServer

LISBON = ZoneInfo("Europe/Lisbon")

_ZONE = """\
BEGIN:VTIMEZONE
TZID:Europe/Lisbon
BEGIN:STANDARD
DTSTART:19961027T020000
TZOFFSETFROM:+0100
TZOFFSETTO:+0000
RRULE:FREQ=YEARLY;BYMONTH=10;BYDAY=-1SU
END:STANDARD
BEGIN:DAYLIGHT
DTSTART:19960331T010000
TZOFFSETFROM:+0000
TZOFFSETTO:+0100
RRULE:FREQ=YEARLY;BYMONTH=3;BYDAY=-1SU
END:DAYLIGHT
END:VTIMEZONE"""

_SECONDS = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody with a mail address."""

    name: str
    address: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Presence:
    """When somebody was in a call."""

    who: Person
    joined: datetime
    left: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Meeting:
    """One meeting in one client's calendar.

    ``answers`` has each guest's PARTSTAT (RFC 5545); ``code`` is that of its call, if it has one;
    ``proposed`` who asks for which start instead.
    """

    uid: str
    account: str
    title: str
    start: datetime
    minutes: int
    organizer: Person
    answers: tuple[tuple[Person, str], ...]
    created: datetime
    code: str = ""
    proposed: tuple[Person, datetime] | None = None

    def as_ical(self) -> str:
        """The calendar object as an app would store it."""
        end = self.start + timedelta(minutes=self.minutes)
        made = f"{self.created.astimezone(UTC):%Y%m%dT%H%M%SZ}"
        lines = [
            "BEGIN:VCALENDAR",
            "VERSION:2.0",
            "PRODID:-//va.example//calendar app//EN",
            *_ZONE.splitlines(),
            "BEGIN:VEVENT",
            f"UID:{self.uid}",
            f"DTSTAMP:{made}",
            f"CREATED:{made}",
            f"DTSTART;TZID=Europe/Lisbon:{self.start.astimezone(LISBON):%Y%m%dT%H%M%S}",
            f"DTEND;TZID=Europe/Lisbon:{end.astimezone(LISBON):%Y%m%dT%H%M%S}",
            f"SUMMARY:{self.title}",
            f"ORGANIZER;CN={self.organizer.name}:mailto:{self.organizer.address}",
            *(
                f"ATTENDEE;CN={person.name};PARTSTAT={answer}:mailto:{person.address}"
                for person, answer in self.answers
            ),
            "END:VEVENT",
            "END:VCALENDAR",
        ]
        return "".join(f"{line}\r\n" for line in lines)


class CalendarApp:
    """What people's phones and desktops do to the calendars, over CalDAV."""

    def __init__(self, server: CalendarServer) -> None:
        self._server = server
        self._session = requests.Session()
        self._session.trust_env = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._session.close()

    def make_calendar(self, account: str, name: str) -> None:
        """Create an account's one calendar (RFC 4791 section 5.3.1)."""
        body = (
            '<?xml version="1.0"?><c:mkcalendar xmlns:c="urn:ietf:params:xml:ns:caldav" xmlns:d="DAV:">'
            f"<d:set><d:prop><d:displayname>{name}</d:displayname>"
            '<c:supported-calendar-component-set><c:comp name="VEVENT"/></c:supported-calendar-component-set>'
            "</d:prop></d:set></c:mkcalendar>"
        )
        self._request("MKCALENDAR", account, "", body, "application/xml")

    def save(self, meeting: Meeting) -> None:
        """Write a meeting as it now is."""
        self._request(
            "PUT", meeting.account, f"{meeting.uid}.ics", meeting.as_ical(), "text/calendar; charset=utf-8"
        )

    def read(self, meeting: Meeting) -> str:
        """What the server has of a meeting, as iCalendar text."""
        return self._request("GET", meeting.account, f"{meeting.uid}.ics", "", "text/calendar")

    def _request(self, method: str, account: str, name: str, body: str, kind: str) -> str:
        answer = self._session.request(
            method,
            f"{self._server.url}{account}/meetings/{name}",
            data=body.encode(),
            headers={"Content-Type": kind},
            auth=(account, self._server.password),
            timeout=_SECONDS,
        )
        answer.raise_for_status()
        return answer.text
