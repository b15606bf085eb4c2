"""The fake Google itself: sign-in, mail, calls, batches, and how it goes wrong on request."""

from __future__ import annotations

import base64
import gzip
import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit
from zoneinfo import ZoneInfo

import pytest
import requests
from google.auth import jwt
from google.auth.crypt import RSASigner

from tests.support.fake_google import FakeGoogle, fake_google, faults
from tests.support.fake_google.client import refused, service

LISBON = ZoneInfo("Europe/Lisbon")
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
DANA, JO, BO = "dana@acme.example", "jo@acme.example", "bo@other.example"
EVENTS = "https://www.googleapis.com/auth/calendar.events"


class Clock:
    """A clock that tests turn."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        """The time."""
        return self.now


def at(day: int, hour: int = 9) -> datetime:
    """A moment in March 2026 in Lisbon."""
    return datetime(2026, 3, day, hour, tzinfo=LISBON)


@pytest.fixture
def google() -> Iterator[FakeGoogle]:
    """A Google with Dana and Jo, whose clock is ``google.now``."""
    with fake_google(Clock()) as world:
        world.user(DANA, "Dana Reyes")
        world.user(JO, "Jo")
        yield world


def test_batch(google: FakeGoogle) -> None:
    """Many calls in one request, each with its own answer, each logged."""
    name = google.users[DANA].primary.event("Kickoff", at(2), at(2, 10))
    client, told = service(google, "calendar", DANA), {}

    def keep(number: str, answer: Any, error: Any) -> None:
        told[number] = error.status_code if error else answer["id"]

    batch = client.new_batch_http_request(callback=keep)
    batch.add(client.events().get(calendarId="primary", eventId=name), request_id="good")
    batch.add(client.events().get(calendarId="primary", eventId="missing"), request_id="bad")
    batch.execute()
    assert told == {"good": name, "bad": 404}
    assert [each.batched for each in google.seen("calendar.events.get")] == [True, True]
    assert google.count("batch") == 1


ERRORS = [
    (faults.error(401), 401, "authError"),
    (faults.error(403, "quotaExceeded"), 403, "quotaExceeded"),
    (faults.error(403, "rateLimitExceeded"), 403, "rateLimitExceeded"),
    (faults.error(403, "insufficientPermissions"), 403, "insufficientPermissions"),
    (faults.error(404), 404, "notFound"),
    (faults.error(409), 409, "duplicate"),
    (faults.expired_token(), 410, "fullSyncRequired"),
    (faults.error(412), 412, "conditionNotMet"),
    (faults.error(429, retry_after=7), 429, "rateLimitExceeded"),
    (faults.error(503), 503, "backendError"),
]


@pytest.mark.parametrize(("effect", "status", "reason"), ERRORS)
def test_errors_on_demand(google: FakeGoogle, effect: faults.Effect, status: int, reason: str) -> None:
    """A route fails as often as asked, then works again."""
    google.fail("calendar.events.list", effect, times=1)
    events = service(google, "calendar", DANA).events()
    assert refused(events.list(calendarId="primary")) == (status, reason)
    assert events.list(calendarId="primary").execute()["items"] == []
    assert [each.status for each in google.seen("calendar.events.list")] == [status, 200]


def test_retry_after_both_ways(google: FakeGoogle) -> None:
    """429 says when to come back in seconds, or as a date."""
    headers = {"Authorization": f"Bearer {google.oauth.token(DANA)}"}
    google.fail("calendar.events.list", faults.error(429, retry_after=7))
    google.fail("calendar.events.list", faults.error(429, retry_at=timedelta(seconds=90)))
    address = google.root + "calendar/v3/calendars/primary/events"
    given = [requests.get(address, headers=headers, timeout=5).headers["Retry-After"] for _ in range(2)]
    assert given == ["7", "Sun, 01 Mar 2026 12:01:30 GMT"]


def test_faults_by_page(google: FakeGoogle) -> None:
    """410 strikes on the page asked for; a repeated page names itself as the next."""
    for day in range(2, 9):
        google.users[DANA].primary.event("Talk", at(day), at(day, 10))
    events = service(google, "calendar", DANA).events()
    google.fail("calendar.events.list", faults.expired_token(), page=2, times=None)
    first = events.list(calendarId="primary", maxResults=3).execute()
    again = {"calendarId": "primary", "maxResults": 3, "pageToken": first["nextPageToken"]}
    assert refused(events.list(**again))[0] == 410
    assert refused(events.list(**again))[0] == 410
    google.heal()
    google.fail("calendar.events.list", faults.repeated_page(), times=None)
    second = events.list(**again).execute()
    third = events.list(**again | {"pageToken": second["nextPageToken"]}).execute()
    assert second["items"] == third["items"]
    assert [each.page for each in google.seen("calendar.events.list")] == [1, 2, 2, 2, 2]


def test_broken_answers(google: FakeGoogle) -> None:
    """HTML instead of JSON, half a body, a bomb, a slow body, a connection closed early or late."""
    headers = {"Authorization": f"Bearer {google.oauth.token(DANA)}"}
    address, route = google.root + "calendar/v3/users/me/calendarList", "calendar.calendarList.list"

    def get(**options: Any) -> requests.Response:
        return requests.get(address, headers=headers, timeout=2, **options)

    google.fail(route, faults.html())
    page = get()
    assert (page.status_code, page.headers["Content-Type"]) == (200, "text/html; charset=UTF-8")
    google.fail(route, faults.truncated())
    with pytest.raises(ValueError, match=r"Unterminated|Expecting"):
        get().json()
    google.fail(route, faults.cut_off())
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        get()
    google.fail(route, faults.gzip_bomb(3))
    with get(stream=True) as bomb:
        squeezed = bomb.raw.read(decode_content=False)
    assert len(squeezed) < 10_000
    assert len(gzip.decompress(squeezed)) == 3 * 1024 * 1024
    google.fail(route, faults.slow(0.01, pieces=5))
    assert get().json()["items"]
    for kept in (False, True):
        google.fail("calendar.events.insert", faults.dropped(kept=kept))
        body = {"id": "abcde", "start": {"date": "2026-03-02"}, "end": {"date": "2026-03-03"}}
        with pytest.raises(requests.exceptions.ConnectionError):
            requests.post(
                google.root + "calendar/v3/calendars/primary/events", json=body, headers=headers, timeout=2
            )
        assert ("abcde" in google.users[DANA].primary.items) is kept


def test_budget(google: FakeGoogle) -> None:
    """More requests in a minute than a user may make are refused, until the minute is over."""
    google.limit = 2
    calendars = service(google, "calendar", DANA).calendarList()
    for _ in range(2):
        calendars.list().execute()
    assert refused(calendars.list()) == (403, "rateLimitExceeded")
    google.now.now += timedelta(minutes=2)
    calendars.list().execute()


def test_schema_is_enforced(google: FakeGoogle) -> None:
    """An answer that Google could not give fails the test loudly, and so does a method nobody built."""
    google.users[DANA].primary.event("Kickoff", at(2), at(2, 10), colour="red")
    assert refused(service(google, "calendar", DANA).events().list(calendarId="primary"))[0] == 500
    assert "Events.items[0].colour is unknown" in google.problems.pop()
    assert refused(service(google, "calendar", DANA).settings().list())[0] == 501
    assert "calendar.settings.list is not served" in google.problems.pop()
    address = google.root + "calendar/v3/users/me/calendarList?maxresults=3"
    headers = {"Authorization": f"Bearer {google.oauth.token(DANA)}"}
    assert requests.get(address, headers=headers, timeout=5).status_code == 400


def sign_in(google: FakeGoogle, scope: str = EVENTS, verifier: str = "v" * 43) -> dict[str, str]:
    """The browser's redirect: code, state and what was granted."""
    digest = hashlib.sha256(verifier.encode()).digest()
    asked = {
        "client_id": google.oauth.client_secret()["installed"]["client_id"],
        "redirect_uri": "http://127.0.0.1:1/",
        "response_type": "code",
        "scope": scope,
        "state": "s1",
        "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
        "code_challenge_method": "S256",
        "access_type": "offline",
    }
    address = google.oauth.client_secret()["installed"]["auth_uri"] + "?" + urlencode(asked)
    answer = requests.get(address, allow_redirects=False, timeout=5)
    assert answer.status_code == 302
    return {name: each[0] for name, each in parse_qs(urlsplit(answer.headers["Location"]).query).items()}


def exchange(google: FakeGoogle, **fields: str) -> dict[str, Any]:
    """What the token endpoint says."""
    client = google.oauth.client_secret()["installed"]
    usual = {"client_id": client["client_id"], "client_secret": client["client_secret"]}
    answer: dict[str, Any] = requests.post(client["token_uri"], data=usual | fields, timeout=5).json()
    return answer


def test_sign_in(google: FakeGoogle) -> None:
    """A code is worth tokens once, with the right verifier; access ends, refresh goes on until revoked."""
    back = sign_in(google)
    assert back["state"] == "s1"
    fields = {"grant_type": "authorization_code", "redirect_uri": "http://127.0.0.1:1/"}
    wrong = exchange(google, **fields, code=back["code"], code_verifier="w" * 43)
    assert wrong["error"] == "invalid_grant"
    given = exchange(google, **fields, code=sign_in(google)["code"], code_verifier="v" * 43)
    assert set(given) == {"access_token", "expires_in", "refresh_token", "scope", "token_type"}
    headers = {"Authorization": f"Bearer {given['access_token']}"}
    address = google.root + "calendar/v3/calendars/primary/events"
    assert requests.get(address, headers=headers, timeout=5).status_code == 200
    assert (
        requests.get(google.root + "gmail/v1/users/me/profile", headers=headers, timeout=5).status_code == 403
    )
    google.now.now += timedelta(hours=1)
    assert requests.get(address, headers=headers, timeout=5).status_code == 401
    refresh = {"grant_type": "refresh_token", "refresh_token": given["refresh_token"]}
    fresh = exchange(google, **refresh)
    assert "refresh_token" not in fresh
    headers = {"Authorization": f"Bearer {fresh['access_token']}"}
    assert requests.get(address, headers=headers, timeout=5).status_code == 200
    google.oauth.revoke(DANA)
    assert exchange(google, **refresh)["error"] == "invalid_grant"


def test_sign_in_goes_wrong(google: FakeGoogle) -> None:
    """People say no, untick scopes, and apps in "Testing" forget them after a week."""
    google.oauth.deny = True
    assert sign_in(google)["error"] == "access_denied"
    google.oauth.deny = False
    google.oauth.grants = frozenset({EVENTS})
    both = f"{EVENTS} https://www.googleapis.com/auth/gmail.send"
    assert sign_in(google, both)["scope"] == EVENTS
    google.oauth.testing = True
    fields = {
        "grant_type": "authorization_code",
        "redirect_uri": "http://127.0.0.1:1/",
        "code_verifier": "v" * 43,
    }
    given = exchange(google, **fields, code=sign_in(google)["code"])
    assert given["refresh_token_expires_in"] == 604799
    google.now.now += timedelta(days=8)
    again = exchange(google, grant_type="refresh_token", refresh_token=given["refresh_token"])
    assert again["error"] == "invalid_grant"


def test_service_account(google: FakeGoogle) -> None:
    """A signed assertion is worth a token for a user it may speak for, and for nobody else."""
    key = google.oauth.service_account(DANA)

    def asked(subject: str) -> dict[str, Any]:
        claims = {"iss": key["client_email"], "sub": subject, "aud": key["token_uri"], "scope": EVENTS}
        claims |= {"iat": int(NOW.timestamp()), "exp": int(NOW.timestamp()) + 3600}
        assertion = jwt.encode(RSASigner.from_string(key["private_key"]), claims).decode()
        kind = "urn:ietf:params:oauth:grant-type:jwt-bearer"
        return exchange(google, grant_type=kind, assertion=assertion)

    token = asked(DANA)["access_token"]
    address = google.root + "calendar/v3/calendars/primary/events"
    assert requests.get(address, headers={"Authorization": f"Bearer {token}"}, timeout=5).status_code == 200
    assert asked(JO)["error"] == "unauthorized_client"


def mail(message_id: str = "<one@rebookd.example>", to: str = JO) -> bytes:
    """A short mail."""
    return f"From: {DANA}\r\nTo: {to}\r\nSubject: Hi\r\nMessage-ID: {message_id}\r\n\r\nHello\r\n".encode()


def raw(message: bytes) -> dict[str, str]:
    """As the API takes it."""
    return {"raw": base64.urlsafe_b64encode(message).decode()}


def test_gmail(google: FakeGoogle) -> None:
    """What is sent stays word for word, is found by Message-ID and arrives; drafts wait, leave or go."""
    users = service(google, "gmail", DANA).users()
    sent = users.messages().send(userId="me", body=raw(mail())).execute()
    assert sent["labelIds"] == ["SENT"]
    assert google.mail.box(DANA).sent == [mail()]
    assert google.mail.box(JO).messages

    def found(name: str) -> list[str]:
        answer = users.messages().list(userId="me", q=f"rfc822msgid:{name}").execute()
        return [each["id"] for each in answer.get("messages", [])]

    assert found("one@rebookd.example") == [sent["id"]]
    assert found("<none@rebookd.example>") == []
    google.mail.search_lag = timedelta(minutes=1)
    assert found("one@rebookd.example") == []
    google.mail.search_lag = timedelta(0)
    assert refused(users.messages().send(userId="me", body=raw(b"Subject: no one\r\n\r\n"))) == (
        400,
        "invalidArgument",
    )
    assert refused(users.messages().send(userId="me", body={"raw": "a+b/c"})) == (400, "invalid")

    body = {"message": raw(mail("<two@rebookd.example>"))}
    draft = users.drafts().create(userId="me", body=body).execute()["id"]
    whole = users.drafts().get(userId="me", id=draft, format="raw").execute()["message"]["raw"]
    assert base64.urlsafe_b64decode(whole) == mail("<two@rebookd.example>")
    assert [each["id"] for each in users.drafts().list(userId="me").execute()["drafts"]] == [draft]
    users.drafts().send(userId="me", body={"id": draft}).execute()
    assert found("two@rebookd.example") != [whole]
    assert refused(users.drafts().get(userId="me", id=draft))[0] == 404
    other = users.drafts().create(userId="me", body=body).execute()["id"]
    users.drafts().delete(userId="me", id=other).execute()
    assert "drafts" not in users.drafts().list(userId="me").execute()
    google.fail("gmail.users.messages.send", faults.dropped(kept=True))
    headers = {"Authorization": f"Bearer {google.oauth.token(DANA)}"}
    address = google.root + "gmail/v1/users/me/messages/send"
    with pytest.raises(requests.exceptions.ConnectionError):
        requests.post(address, json=raw(mail("<three@rebookd.example>")), headers=headers, timeout=5)
    assert len(google.mail.box(DANA).sent) == 3
    assert "SENT" in {each["id"] for each in users.labels().list(userId="me").execute()["labels"]}


def test_meet(google: FakeGoogle) -> None:
    """Records are filtered by code and time, tell who was there when, and vanish after thirty days."""
    call = google.meet.record("abc-defg-hij", DANA, at(2), at(2, 10))
    google.meet.record("abc-defg-hij", DANA, at(1), at(1, 10))
    google.meet.record("xyz-defg-hij", DANA, at(2), at(2, 10))
    call.signed_in(google.users[DANA])
    call.anonymous("Jo", (at(2), at(2, 10)))
    call.phone("+351 *** 12")
    records = service(google, "meet", DANA).conferenceRecords()
    wanted = 'space.meeting_code = "abc-defg-hij" AND start_time >= "2026-03-02T00:00:00Z"'
    [record] = records.list(filter=wanted).execute()["conferenceRecords"]
    assert record["expireTime"] == "2026-04-01T10:00:00.000Z"
    told = records.participants().list(parent=record["name"]).execute()
    kinds = sorted(
        key for each in told["participants"] for key in each if key.endswith("User") or key == "signedinUser"
    )
    assert kinds == ["anonymousUser", "phoneUser", "signedinUser"]
    assert "totalSize" not in told
    counted = records.participants().list(parent=record["name"], fields="total_size").execute()
    assert counted == {"totalSize": 3}
    sessions = (
        records.participants().participantSessions().list(parent=told["participants"][0]["name"]).execute()
    )
    assert sessions["participantSessions"][0]["endTime"] == "2026-03-02T10:00:00.000Z"
    assert refused(records.list(filter="meeting_code=abc"))[0] == 400
    assert service(google, "meet", JO).conferenceRecords().list().execute() == {}
    assert refused(service(google, "meet", DANA, EVENTS).conferenceRecords().list())[0] == 403
    google.now.now += timedelta(days=40)
    assert service(google, "meet", DANA).conferenceRecords().list().execute() == {}


def test_by_hand(google: FakeGoogle) -> None:
    """Run as a program, it takes what people do over HTTP; within tests it does not."""
    name = google.users[DANA].primary.event("Kickoff", at(2), at(2, 10), {JO: "needsAction"})
    address = f"{google.root}_fake/answer?event={name}&who={JO}&status=accepted"
    assert requests.get(address, timeout=5).status_code == 404
    google.by_hand = True
    state = requests.get(address, timeout=5).json()
    assert state["events"][JO][0]["attendees"] == [{"email": JO, "responseStatus": "accepted"}]
    moved = requests.get(f"{google.root}_fake/move?event={name}&start=2026-03-05T09:00:00+00:00", timeout=5)
    assert moved.json()["events"][DANA][0]["start"]["dateTime"] == "2026-03-05T09:00:00Z"
