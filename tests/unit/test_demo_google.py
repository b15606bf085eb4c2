"""The demo's stand-in for Google says nothing that Google could not say."""

from __future__ import annotations

from typing import Any

import pytest

from daemon.demo.google import google_server
from daemon.demo.story import CALENDARS, DANA, GOOGLE, MOMENTS, SYNC
from tests.support.fake_google.discovery import find
from tests.support.fake_google.schema import problems

EVENT = SYNC.uid.encode().hex()
CODE = f'space.meeting_code = "{SYNC.code}" AND start_time < "2026-03-02T09:30:00Z"'
FREE_BUSY = {
    "timeMin": "2026-03-02T09:00:00Z",
    "timeMax": "2026-03-03T09:00:00Z",
    "items": [{"id": "bo@initech.example"}],
}


@pytest.mark.parametrize(
    ("method", "path", "query"),
    [
        ("GET", "/calendar/v3/users/me/calendarList", {}),
        ("GET", f"/calendar/v3/calendars/{DANA.address}/events", {}),
        ("GET", f"/calendar/v3/calendars/{DANA.address}/events", {"syncToken": "0"}),
        ("GET", f"/calendar/v3/calendars/{DANA.address}/events/{EVENT}", {}),
        ("POST", "/calendar/v3/freeBusy", FREE_BUSY),
        ("GET", "/v2/conferenceRecords", {"filter": CODE}),
        ("GET", "/v2/conferenceRecords/0/participants", {}),
        ("GET", "/v2/conferenceRecords/0/participants/0/participantSessions", {}),
    ],
)
def test_every_answer_is_as_the_api_describes_it(method: str, path: str, query: dict[str, Any]) -> None:
    """Each answer fits the description of its method that Google's client library brings along."""
    with google_server(DANA.address, CALENDARS[GOOGLE]) as google:
        google.save(SYNC)
        for moment in MOMENTS:
            if moment.call is not None:
                google.record(moment.call[1], list(moment.call[2]))
        told = google.answer(method, path, query)
        assert told
        found = find(method, path)
        assert found is not None
        assert problems(told, found[0].response, found[0].api) == []


def test_what_it_does_not_know_is_nothing() -> None:
    """Other events, and other codes, are not there."""
    with google_server(DANA.address, CALENDARS[GOOGLE]) as google:
        google.save(SYNC)
        assert google.answer("GET", f"/calendar/v3/calendars/{DANA.address}/events/ff", {}) is None
        assert google.answer("GET", "/v2/conferenceRecords", {"filter": CODE}) == {"conferenceRecords": []}
