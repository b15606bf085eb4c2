"""A week of meetings in two calendars, and the rules that watch them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from tests.support.house import House, event

RULES = """\
version: 1
guard: {first_sync: act}
rules:
  - name: confirm
    match: {organizer: me, title: {contains: [kickoff, review]}, attendee: "*@acme.example"}
    when: unconfirmed
    inhibited_by: [clash]
    then:
      - {step: ask,   do: confirm,    at: 48h before start, until: 28h before start}
      - {step: move,  do: reschedule, at: 4h before start,  until: 1h before start}
  - name: no-show
    when: {missed: {by: attendee}}
    then:
      - {step: offer, do: reschedule, at: 15m after end, until: 2 days after end}
  - name: ask-me
    when: unaccounted
    then:
      - {step: was-it-held, do: check_in, at: 10m after end, until: 1 day after end}
  - name: clash
    when: {conflict: {keep: [earliest_created]}}
    then:
      - {step: move, do: reschedule, at: 7d before start, until: 2h before start}
"""


class Week:
    """A house with a week of meetings in two calendars, around the hour it was set up."""

    def __init__(self, place: House) -> None:
        self.place = place
        self.now = datetime.now(UTC)
        place.dav.make_calendar("/dana/other/", "Other")
        self.put("kickoff", 40, {"jo@acme.example": "NEEDS-ACTION"}, "Kickoff review")
        self.put("budget", 3, {"al@acme.example": "NEEDS-ACTION"}, "Budget review")
        self.put("sync", -1, {"bo@initech.example": "ACCEPTED"}, "[no-show] Weekly sync")
        self.put("retro", -2, {"cy@initech.example": "ACCEPTED"}, "Retro")
        self.put("pricing", 40.25, {"di@umbrella.example": "ACCEPTED"}, "Pricing call", "other")

    def put(self, uid: str, hours: float, people: dict[str, str], title: str, calendar: str = "work") -> None:
        """Write a meeting as a calendar app does."""
        text = event(uid, self.now + timedelta(hours=hours), people, title=title)
        self.place.dav.request(
            "PUT", f"/dana/{calendar}/{uid}.ics", text, **{"Content-Type": "text/calendar"}
        )

    def recipients(self) -> list[str]:
        """Whom the sink took mail for, in order."""
        return [one["recipients"][0] for one in self.place.taken()]

    def rows(self) -> list[dict[str, Any]]:
        """``outbox list --json``."""
        rows = self.place.json("outbox", "list")
        assert isinstance(rows, list)
        return rows
