"""The way to Google: where requests go, how often, and what they carry."""

from __future__ import annotations

from typing import Any

import pytest

from connectors.base import ConnectorError, NotSupported, Retryable
from connectors.google_client import GoogleClient, Refused, google_pace
from tests.support.fake_google import faults
from tests.support.fake_google.server import fake_google
from tests.support.google_account import ME, Idle
from tests.support.google_ics import StaticToken


def test_the_endpoint_replaces_the_root_of_all_three_apis() -> None:
    """Calendar, Gmail and Meet, and a batch of requests, all go to the one configured address."""
    with fake_google() as google:
        user = google.user(ME)
        user.primary.event("a", {"date": "2026-03-02"}, {"date": "2026-03-03"})
        client = GoogleClient(StaticToken(google.oauth.token(ME)), google.root)
        assert client.execute(client.calendar.calendarList().list())["items"]
        client.execute(client.gmail.users().messages().list(userId="me"))
        client.execute(client.meet.conferenceRecords().list())
        answers: list[Any] = []
        batch = client.calendar.new_batch_http_request(
            callback=lambda _, answer, error: answers.append(error or answer)
        )
        batch.add(client.calendar.events().list(calendarId="primary"))
        batch.add(client.calendar.events().get(calendarId="primary", eventId="nothere"))
        batch.execute()
        assert len(answers[0]["items"]) == 1
        assert answers[1].resp.status == 404
        client.close()
        assert {request.route for request in google.requests} >= {"batch", "gmail.users.messages.list"}


@pytest.mark.parametrize("endpoint", ["", "https://www.googleapis.com", "https://www.googleapis.com/"])
def test_without_an_endpoint_each_api_has_its_own(endpoint: str) -> None:
    """Google's usual address means the usual addresses."""
    client = GoogleClient(StaticToken("x"), endpoint)
    found = [
        client.calendar.events().list(calendarId="primary").uri,
        client.gmail.users().messages().list(userId="me").uri,
        client.meet.conferenceRecords().list().uri,
    ]
    hosts = [uri.split("/")[2] for uri in found]
    assert hosts == ["www.googleapis.com", "gmail.googleapis.com", "meet.googleapis.com"]


def test_no_request_leaves_for_another_host() -> None:
    """The address is pinned: a request for elsewhere is refused before it leaves, with its token."""
    with fake_google() as google:
        google.user(ME)
        client = GoogleClient(StaticToken(google.oauth.token(ME)), google.root)
        request = client.calendar.calendarList().list()
        request.uri = request.uri.replace("127.0.0.1", "localhost")
        with pytest.raises(ConnectorError, match="not the host"):
            client.execute(request)
        assert google.requests == []


def test_plain_http_is_for_this_machine_alone() -> None:
    """A token never goes over the network in the clear."""
    with pytest.raises(ConnectorError, match="without encryption"):
        GoogleClient(StaticToken("x"), "http://calendar.example")


def test_answers_come_compressed() -> None:
    """Google compresses for programs that say gzip in both headers."""
    with fake_google() as google:
        google.user(ME)
        client = GoogleClient(StaticToken(google.oauth.token(ME)), google.root)
        client.execute(client.calendar.calendarList().list())
        headers = google.requests[0].headers
        assert "gzip" in headers["accept-encoding"]
        assert "gzip" in headers["user-agent"]


@pytest.mark.parametrize(
    ("status", "reason", "error", "words"),
    [
        (403, "accessNotConfigured", NotSupported, "switched on"),
        (403, "forbidden", Refused, "Forbidden"),
        (404, "notFound", Refused, "Not Found"),
    ],
)
def test_refusals_are_told_in_words(
    status: int, reason: str, error: type[ConnectorError], words: str
) -> None:
    """The owner reads what Google said, on one line."""
    with fake_google() as google:
        google.user(ME)
        client = GoogleClient(StaticToken(google.oauth.token(ME)), google.root)
        google.fail("calendar.*", faults.error(status, reason))
        with pytest.raises(error, match=words) as caught:
            client.execute(client.calendar.calendarList().list())
        assert "\n" not in str(caught.value)
        if isinstance(caught.value, Refused):
            assert (caught.value.status, caught.value.reasons) == (status, {reason})


def test_a_burst_is_let_through_and_then_paced() -> None:
    """Never more than 600 requests in any minute, whatever is asked (Google's quota for each user)."""
    clock = Idle()
    pace = google_pace(monotonic=clock.now, sleep=clock.sleep)
    taken = []
    for _ in range(2000):
        pace.take()
        taken.append(clock.at)
    assert all(later - first >= 60 for first, later in zip(taken, taken[600:], strict=False))
    assert max(clock.slept) < 0.2


def test_a_pause_of_writing_lets_reading_go_on() -> None:
    """Each pause ends by itself, and a shorter one does not end a longer one."""
    clock = Idle()
    pace = google_pace(monotonic=clock.now, sleep=clock.sleep)
    pace.pause_writes(3600)
    pace.pause_writes(5)
    pace.take()
    with pytest.raises(Retryable) as caught:
        pace.take(write=True)
    assert caught.value.retry_after == 3600
    clock.at += 3600
    pace.take(write=True)
    pace.pause(30)
    with pytest.raises(Retryable):
        pace.take()
