"""Google Meet's records on the wire: whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from connectors.base import ConnectorError, LimitExceeded, NeedsLogin, NotSupported, Rejected, Retryable
from connectors.google_client import GoogleClient, google_pace
from connectors.google_meet import MOST_PARTIES, MeetAttendance
from connectors.http import Limits
from rules.model import Interval
from tests.support.fake_google import Effect, FakeGoogle, fake_google, faults
from tests.support.google_ics import StaticToken
from tests.support.meetings import NOW, meeting

ME, CODE = "dana@va.example", "abc-mnop-xyz"
MINUTE = timedelta(minutes=1)
ONE = replace(meeting(starts=0, lasts=0.5), conference=CODE)
NONSENSE = b'{"conferenceRecords": [{}], "participants": [{}], "participantSessions": [{}]}'


@pytest.fixture
def google() -> Iterator[FakeGoogle]:
    """A Google a week later, with Dana."""
    with fake_google(lambda: NOW + timedelta(days=7)) as one:
        one.user(ME, "Dana Reyes")
        yield one


@pytest.fixture
def meet(google: FakeGoogle) -> Iterator[MeetAttendance]:
    """The source, impatient."""
    limits = Limits(seconds=1, redirects=0, body_bytes=1024 * 1024, wait_seconds=0.01)
    client = GoogleClient(StaticToken(google.oauth.token(ME)), google.root, pace=google_pace(), limits=limits)
    source = MeetAttendance(client)
    yield source
    source.close()


def test_calls_with_all_who_were_there(google: FakeGoogle, meet: MeetAttendance) -> None:
    """Each overlapping call with its parties, their accounts, names and times, in UTC."""
    google.meet.record(CODE, ME, NOW - 90 * MINUTE, NOW - MINUTE)
    google.meet.record(CODE, ME, NOW + 30 * MINUTE, NOW + 60 * MINUTE)
    google.meet.record("def-mnop-xyz", ME, NOW, NOW + 30 * MINUTE).signed_in(google.users[ME])
    record = google.meet.record(CODE, ME, NOW - 5 * MINUTE, NOW + 20 * MINUTE)
    record.signed_in(google.users[ME], (NOW - 5 * MINUTE, NOW + MINUTE), (NOW + 2 * MINUTE, NOW + 9 * MINUTE))
    record.anonymous("Jo")
    record.phone("+351 ••• 12")
    (call,) = meet.calls(ONE)
    assert (call.start, call.end) == (record.start, record.end)
    found = {party.name: party for party in call.parties}
    assert {name: bool(party.user) for name, party in found.items()} == {
        "Dana Reyes": True,
        "Jo": False,
        "+351 ••• 12": False,
    }
    mine = sorted(found["Dana Reyes"].spans, key=lambda one: one.start)
    assert mine == [
        Interval(NOW - 5 * MINUTE, NOW + MINUTE),
        Interval(NOW + 2 * MINUTE, NOW + 9 * MINUTE),
    ]


def test_a_call_that_goes_on_has_no_end(google: FakeGoogle, meet: MeetAttendance) -> None:
    """Neither the call nor who is in it has an end yet."""
    google.meet.record(CODE, ME, NOW).signed_in(google.users[ME])
    (call,) = meet.calls(ONE)
    assert call.end is None
    assert call.parties[0].spans[0].end > NOW + timedelta(days=365)


def test_nothing_on_record_is_nothing(google: FakeGoogle, meet: MeetAttendance) -> None:
    """No call, and calls of others that may not be seen, are no calls; a strange code is not even asked."""
    google.meet.record(CODE, "jo@acme.example", NOW, NOW + MINUTE)
    assert meet.calls(ONE) == ()
    asked = google.count("meet.conferenceRecords.list")
    for code in ("", 'x" OR start_time > "', "a b"):
        assert meet.calls(replace(ONE, conference=code)) == ()
    assert google.count("meet.conferenceRecords.list") == asked


def test_every_page_is_read(google: FakeGoogle, meet: MeetAttendance) -> None:
    """A party on a later page is in the call, too; too many are not half read."""
    record = google.meet.record(CODE, ME, NOW, NOW + 30 * MINUTE)
    for number in range(MOST_PARTIES - 1):
        google.meet.record(CODE, ME, NOW - timedelta(hours=number % 20 + 1), NOW - 30 * MINUTE)
    record.signed_in(google.users[ME])
    assert len(meet.calls(ONE)) == 1
    for number in range(MOST_PARTIES):
        record.anonymous(f"Guest {number}")
    with pytest.raises(LimitExceeded):
        meet.calls(ONE)


@pytest.mark.parametrize("route", ["list", "participants.list", "participants.participantSessions.list"])
@pytest.mark.parametrize(
    ("effect", "error"),
    [
        (faults.error(401), NeedsLogin),
        (faults.error(403, "insufficientPermissions"), NeedsLogin),
        (faults.error(403, "accessNotConfigured"), NotSupported),
        (faults.error(403, "forbidden"), Rejected),
        (faults.error(404, "notFound"), Rejected),
        (faults.error(429, "rateLimitExceeded", retry_after=7), Retryable),
        (faults.error(503), Retryable),
        (faults.html(), ConnectorError),
        (faults.truncated(), Retryable),
        (faults.dropped(kept=True), Retryable),
        (faults.gzip_bomb(4), LimitExceeded),
        (faults.slow(0.4), Retryable),
        (faults.answer(200, NONSENSE), Retryable),
    ],
)
def test_what_goes_wrong_anywhere_is_no_call(
    google: FakeGoogle, meet: MeetAttendance, route: str, effect: Effect, error: type[ConnectorError]
) -> None:
    """Whatever fails in any of the three lists, no call with fewer parties comes out of it."""
    google.meet.record(CODE, ME, NOW, NOW + 30 * MINUTE).signed_in(google.users[ME])
    google.fail(f"meet.conferenceRecords.{route}", effect, times=None)
    with pytest.raises(error):
        meet.calls(ONE)
