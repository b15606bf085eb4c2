"""The fake Graph's mail and calls: what is sent, found again and thrown away, and who attended."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from typing import Any

import pytest

from tests.support.fake_graph.client import Client, filtered
from tests.support.fake_graph.server import fake_graph
from tests.support.fake_graph.world import FakeGraph

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
DANA, JO, PAT = "dana@acme.example", "jo@acme.example", "pat@personal.example"
JOIN = (
    "https://teams.microsoft.com/l/meetup-join/19%3ameeting_x%40thread.v2/0?context=%7b%22Tid%22%3a%22t%22%7d"
)


class Clock:
    """A clock that tests turn."""

    now = NOW

    def __call__(self) -> datetime:
        """The time."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    """Noon of the second of March."""
    return Clock()


@pytest.fixture
def graph(clock: Clock) -> Iterator[FakeGraph]:
    """A Graph with Dana, Jo, and Pat who has a personal account."""
    with fake_graph(clock, tls=False) as world:
        world.user(DANA, "Dana Reyes", aliases=("reyes@acme.example",))
        world.user(JO, "Jo")
        world.user(PAT, "Pat", personal=True)
        yield world


def mail(number: int = 1, sender: str = DANA, **headers: str) -> bytes:
    """A mail to Jo and somebody elsewhere."""
    made = EmailMessage()
    made["From"], made["To"], made["Subject"] = sender, f"{JO}, bo@other.example", "A new time?"
    made["Message-ID"] = f"<ask-{number}@acme.example>"
    for name, value in headers.items():
        made[name.replace("_", "-")] = value
    made.set_content("Tuesday?")
    return made.as_bytes()


def found(client: Client, number: int = 1, folder: str = "/me/messages") -> list[dict[str, Any]]:
    """The messages of a folder with a Message-ID."""
    path = filtered(folder, "internetMessageId", f"<ask-{number}@acme.example>")
    rows: list[dict[str, Any]] = client.get(f"{path}&$select=id,isDraft,parentFolderId,subject")["value"]
    return rows


def test_send(graph: FakeGraph) -> None:
    """202 and nothing said; it is found in Sent Items by its Message-ID, and arrives."""
    dana = Client(graph, DANA)
    answer = dana.ask("POST", "/me/sendMail", raw=mail(Bcc="cy@other.example"))
    assert (answer.status_code, answer.content) == (202, b"")
    (sent,) = found(dana)
    folder = dana.get("/me/mailFolders/sentitems")
    assert (sent["isDraft"], sent["parentFolderId"]) == (False, folder["id"])
    assert folder["totalItemCount"] == 1
    assert found(dana, folder="/me/mailFolders/sentitems/messages") == [sent]
    assert found(dana, folder="/me/mailFolders/drafts/messages") == found(dana, number=2) == []
    assert graph.users[DANA].mailbox.sent == graph.mail.boxes[DANA].sent == [mail(Bcc="cy@other.example")]
    (arrived,) = graph.mail.boxes[JO].inside("inbox")
    assert "Bcc" not in arrived.mime


def test_message_ids_of_exchanges_own(graph: FakeGraph) -> None:
    """A server that does not keep ours: it is not to be found."""
    graph.mail.keeps_message_ids = False
    dana = Client(graph, DANA)
    dana.ask("POST", "/me/sendMail", raw=mail())
    assert found(dana) == []
    assert len(dana.get("/me/mailFolders/sentitems/messages")["value"]) == 1


def test_sent_items_take_their_time(graph: FakeGraph, clock: Clock) -> None:
    """What was sent may not be found at once."""
    graph.mail.lag = timedelta(seconds=20)
    dana = Client(graph, DANA)
    dana.ask("POST", "/me/sendMail", raw=mail())
    assert found(dana) == []
    clock.now += timedelta(seconds=20)
    assert len(found(dana)) == 1


def test_mail_that_is_refused(graph: FakeGraph) -> None:
    """No base64, no MIME, nobody to send to, and a sender who is somebody else."""
    dana = Client(graph, DANA)
    broken = dana.session.post(
        f"{graph.root}/me/sendMail", data=b"&&&", headers={"Content-Type": "text/plain"}, timeout=5
    )
    assert (broken.status_code, broken.json()["error"]["code"]) == (
        400,
        "ErrorMimeContentInvalidBase64String",
    )
    assert dana.refused("POST", "/me/sendMail", raw=b"no header")[1] == "ErrorMimeContentInvalid"
    assert dana.refused("POST", "/me/sendMail", raw=b"Subject: x\r\n\r\n")[1] == "ErrorInvalidRecipients"
    assert dana.refused("POST", "/me/sendMail", raw=mail(sender=JO)) == (403, "ErrorSendAsDenied")
    dana.ask("POST", "/me/sendMail", raw=mail(sender="reyes@acme.example"))
    assert b"From: Dana Reyes <dana@acme.example>" in graph.mail.boxes[DANA].sent[0], "aliases are not kept"


def test_drafts(graph: FakeGraph) -> None:
    """A draft keeps its id when it is sent by hand, and when it is thrown away."""
    dana = Client(graph, DANA)
    one, two = (dana.ask("POST", "/me/messages", raw=mail(each)) for each in (1, 2))
    assert one.status_code == 201
    assert (one.json()["isDraft"], one.json()["internetMessageId"]) == (True, "<ask-1@acme.example>")
    assert graph.mail.boxes[DANA].drafts == [mail(1), mail(2)]
    graph.mail.send_draft(DANA, one.json()["id"])
    graph.mail.delete_draft(DANA, two.json()["id"])
    told = dana.get(f"/me/messages/{one.json()['id']}?$select=isDraft,internetMessageHeaders")
    assert told["isDraft"] is False
    assert {"name": "Subject", "value": "A new time?"} in told["internetMessageHeaders"]
    gone = dana.get(f"/me/messages/{two.json()['id']}")
    assert gone["parentFolderId"] == dana.get("/me/mailFolders/deleteditems")["id"]
    assert [each["id"] for each in found(dana, 2)] == [gone["id"]], "all folders are searched"
    assert dana.ask("DELETE", f"/me/messages/{one.json()['id']}").status_code == 204
    assert len(found(dana, 1, "/me/mailFolders/deleteditems/messages")) == 1
    assert dana.ask("DELETE", f"/me/messages/{one.json()['id']}").status_code == 204
    assert dana.refused("GET", f"/me/messages/{one.json()['id']}") == (404, "ErrorItemNotFound")


def session(graph: FakeGraph) -> datetime:
    """A call of this morning: Dana all the time, Jo twice, somebody without an address."""
    start = NOW - timedelta(hours=3)
    report = graph.teams.record(JOIN, DANA, start, start + timedelta(minutes=30))
    report.attended(DANA, "Dana Reyes", role="Organizer")
    minutes = [start + timedelta(minutes=each) for each in (0, 5, 10, 30)]
    report.attended(JO, "Jo", (minutes[0], minutes[1]), (minutes[2], minutes[3]), role="Presenter")
    report.attended(None, "A guest", (minutes[1], minutes[2]))
    return start


def test_attendance(graph: FakeGraph) -> None:
    """From the join address to who was there, when and for how long."""
    start = session(graph)
    dana = Client(graph, DANA)
    (meeting,) = dana.get(filtered("/me/onlineMeetings", "JoinWebUrl", JOIN))["value"]
    assert meeting["joinWebUrl"] == JOIN
    reports = f"/me/onlineMeetings/{meeting['id']}/attendanceReports"
    (report,) = dana.get(reports)["value"]
    assert (report["meetingStartDateTime"], report["totalParticipantCount"]) == ("2026-03-02T09:00:00Z", 3)
    assert "attendanceRecords" not in dana.get(f"{reports}/{report['id']}")
    ours, theirs, guest = dana.get(f"{reports}/{report['id']}?$expand=attendanceRecords")["attendanceRecords"]
    assert (ours["role"], ours["totalAttendanceInSeconds"]) == ("Organizer", 1800)
    assert (theirs["emailAddress"], theirs["totalAttendanceInSeconds"]) == (JO, 1500)
    assert theirs["attendanceIntervals"][0] == {
        "joinDateTime": "2026-03-02T09:00:00Z",
        "leaveDateTime": "2026-03-02T09:05:00Z",
        "durationInSeconds": 300,
    }
    assert (guest["emailAddress"], guest["identity"]["id"], guest["identity"]["displayName"]) == (
        None,
        None,
        "A guest",
    )
    graph.teams.record(JOIN, DANA, start + timedelta(days=1), start + timedelta(days=1, minutes=30))
    assert len(dana.get(reports)["value"]) == 1, "a session has no report before it is over"


def test_attendance_is_the_organisers(graph: FakeGraph) -> None:
    """Others are refused, by join address and by id; an address that is no meeting's is not found."""
    session(graph)
    jo = Client(graph, JO)
    assert jo.refused("GET", filtered("/me/onlineMeetings", "JoinWebUrl", JOIN)) == (403, "Forbidden")
    meeting = graph.teams.meetings[JOIN].id
    assert jo.refused("GET", f"/me/onlineMeetings/{meeting}/attendanceReports")[0] == 403
    graph.teams.stranger = 200
    assert jo.get(filtered("/me/onlineMeetings", "JoinWebUrl", JOIN))["value"] == []
    assert jo.refused("GET", filtered("/me/onlineMeetings", "JoinWebUrl", JOIN + "x"))[0] == 404
    raw = f"/me/onlineMeetings?$filter=JoinWebUrl eq '{JOIN}'"
    assert jo.refused("GET", raw)[0] == 404, "an address that is not encoded is another one"
    assert jo.refused("GET", "/me/onlineMeetings")[0] == 400


def test_attendance_needs_a_work_account_and_a_policy(graph: FakeGraph) -> None:
    """Personal accounts have none; an app needs an access policy, and may have to use object ids."""
    session(graph)
    path = filtered("/onlineMeetings", "JoinWebUrl", JOIN)
    assert Client(graph, PAT).refused("GET", f"/me{path}")[0] == 403
    app = Client(graph, "", "OnlineMeetings.Read.All", "OnlineMeetingArtifact.Read.All", app=True)
    assert len(app.get(f"/users/{DANA}{path}")["value"]) == 1
    graph.teams.policy = False
    refused = app.ask("GET", f"/users/{DANA}{path}")
    assert refused.status_code == 403
    assert "No application access policy found for this app" in refused.json()["error"]["message"]
    graph.teams.policy, graph.teams.object_ids = True, True
    assert app.refused("GET", f"/users/{DANA}{path}")[0] == 400
    assert len(app.get(f"/users/{graph.users[DANA].id}{path}")["value"]) == 1
