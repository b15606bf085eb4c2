"""The fake Graph's meetings: what each copy knows, and what Exchange does by itself when one is changed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.support.fake_graph.client import Client
from tests.support.fake_graph.server import fake_graph
from tests.support.fake_graph.world import FakeGraph

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LONDON = ZoneInfo("Europe/London")
DANA, JO, BO = "dana@acme.example", "jo@acme.example", "bo@other.example"
WEEKLY = {"pattern": {"type": "weekly", "interval": 1, "daysOfWeek": ["tuesday"]}}


def at(day: int, hour: int = 9) -> datetime:
    """A moment of March in London."""
    return datetime(2026, 3, day, hour, tzinfo=LONDON)


def when(at: datetime) -> dict[str, str]:
    """A dateTimeTimeZone."""
    return {"dateTime": at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S"), "timeZone": "UTC"}


@pytest.fixture
def graph() -> Iterator[FakeGraph]:
    """A Graph with Dana and Jo, on the first of March."""
    with fake_graph(lambda: NOW, tls=False) as world:
        world.user(DANA, "Dana Reyes", aliases=("reyes@acme.example",))
        world.user(JO, "Jo")
        yield world


def answers(event: dict[str, Any]) -> dict[str, str]:
    """What a copy knows of each guest."""
    return {each["emailAddress"]["address"]: each["status"]["response"] for each in event["attendees"]}


def test_only_the_organisers_copy_knows_answers(graph: FakeGraph) -> None:
    """A guest's copy says of others nothing, and its owner's answer in responseStatus."""
    mine = graph.users[DANA].primary.event("Kickoff", at(5), at(5, 10), {JO: "accepted", BO: "declined"})
    dana, jo = Client(graph, DANA), Client(graph, JO)
    copy = graph.copy_of(mine, JO).id
    ours, theirs = dana.get(f"/me/events/{mine}"), jo.get(f"/me/events/{copy}")
    assert copy != mine
    assert jo.refused("GET", f"/me/events/{mine}") == (404, "ErrorItemNotFound")
    assert answers(ours) == {JO: "accepted", BO: "declined"}
    assert answers(theirs) == {JO: "none", BO: "none"}
    assert ours["responseStatus"] == {"response": "organizer", "time": "0001-01-01T00:00:00Z"}
    assert theirs["responseStatus"] == {"response": "accepted", "time": "2026-03-01T12:00:00.0000000Z"}
    assert (ours["isOrganizer"], theirs["isOrganizer"]) == (True, False)
    assert ours["iCalUId"] == theirs["iCalUId"]
    assert (
        ours["organizer"] == theirs["organizer"] == {"emailAddress": {"name": "Dana Reyes", "address": DANA}}
    )


def test_unanswered_invitations_and_hidden_guests(graph: FakeGraph) -> None:
    """They show as tentative; where attendees are hidden a guest sees themselves alone."""
    mine = graph.users[DANA].primary.event(
        "Talk", at(5), at(5, 10), {JO: "none", BO: "none"}, hideAttendees=True
    )
    theirs = Client(graph, JO).get(f"/me/events/{graph.copy_of(mine, JO).id}")
    assert theirs["responseStatus"]["response"] == "notResponded"
    assert theirs["showAs"] == "tentative"
    assert list(answers(theirs)) == [JO]
    assert list(answers(Client(graph, DANA).get(f"/me/events/{mine}"))) == [JO, BO]


def test_global_ids(graph: FakeGraph) -> None:
    """An instance's id differs by four bytes of date; an invitation from elsewhere wraps its UID."""
    calendar = graph.users[DANA].primary
    series = calendar.event("Weekly", at(3), at(3, 10), recurrence=WEEKLY)
    foreign = calendar.event("Theirs", at(4), at(4, 10), {DANA: "none"}, organizer=BO, uid="abc@google.com")
    alone = calendar.event(
        "One", at(4), at(4, 10), {DANA: "none"}, organizer=BO, instance_of=date(2026, 3, 4)
    )
    dana = Client(graph, DANA)
    whole = bytes.fromhex(dana.get(f"/me/events/{series}")["iCalUId"])
    one = bytes.fromhex(dana.get(f"/me/events/{graph.instance(series, at(10))}")["iCalUId"])
    assert whole[:16] == bytes.fromhex("040000008200E00074C5B7101A82E008")
    assert whole[16:20] == bytes(4)
    assert one[16:20] == bytes.fromhex("07EA030A")
    assert one[:16] + bytes(4) + one[20:] == whole
    assert whole[28:40] == bytes(8) + (16).to_bytes(4, "little")
    wrapped = bytes.fromhex(dana.get(f"/me/events/{foreign}")["iCalUId"])
    assert wrapped[36:40] == len(wrapped[40:]).to_bytes(4, "little")
    assert wrapped[40:] == b"vCal-Uid\x01\x00\x00\x00abc@google.com\x00"
    told = dana.get(f"/me/events/{alone}")
    assert (told["type"], told["seriesMasterId"], told["iCalUId"][32:40]) == (
        "singleInstance",
        None,
        "07EA0304",
    )


def test_by_hand(graph: FakeGraph) -> None:
    """An answer, a move that takes it back, a change, and a cancellation, as both sides see them."""
    mine = graph.users[DANA].primary.event("Kickoff", at(5), at(5, 10), {JO: "none", BO: "none"})
    copy = graph.copy_of(mine, JO).id
    dana, jo = Client(graph, DANA), Client(graph, JO)
    graph.answer(mine, JO, "tentativelyAccepted", (at(6), at(6, 10)))
    graph.answer(mine, BO, "accepted")
    ours = dana.get(f"/me/events/{mine}")
    assert answers(ours) == {JO: "tentativelyAccepted", BO: "accepted"}
    assert ours["attendees"][0]["proposedNewTime"]["start"]["dateTime"] == "2026-03-06T09:00:00.0000000"
    assert jo.get(f"/me/events/{copy}")["responseStatus"]["response"] == "tentativelyAccepted"
    graph.move(mine, at(6))
    ours, theirs = dana.get(f"/me/events/{mine}"), jo.get(f"/me/events/{copy}")
    assert answers(ours) == {JO: "none", BO: "none"}
    assert "proposedNewTime" not in ours["attendees"][0]
    assert theirs["responseStatus"]["response"] == "notResponded"
    assert theirs["start"]["dateTime"] == "2026-03-06T09:00:00.0000000"
    graph.edit(mine, subject="Review", categories=["Blue"])
    theirs = jo.get(f"/me/events/{copy}")
    assert (theirs["subject"], theirs["categories"]) == ("Review", [])
    graph.cancel(mine)
    assert dana.refused("GET", f"/me/events/{mine}")[0] == 404
    theirs = jo.get(f"/me/events/{copy}")
    assert (theirs["subject"], theirs["isCancelled"], theirs["showAs"]) == ("Canceled: Review", True, "free")
    kinds = [(each.to, each.kind) for each in graph.notices]
    assert kinds[:2] == [(DANA, "response"), (DANA, "response")]
    assert kinds[2:] == [(BO, "update"), (JO, "update")] * 2 + [(JO, "cancellation"), (BO, "cancellation")]


def test_an_organiser_elsewhere(graph: FakeGraph) -> None:
    """Their moves and cancellations change the copy that is here, and Exchange tells nobody."""
    copy = graph.users[DANA].primary.event(
        "Theirs", at(5), at(5, 10), {DANA: "accepted", JO: "accepted"}, organizer=BO
    )
    dana = Client(graph, DANA)
    assert [len(each.primary.items) for each in graph.users.values()] == [1, 0]
    graph.move(copy, at(6))
    told = dana.get(f"/me/events/{copy}")
    assert (told["responseStatus"]["response"], told["start"]["dateTime"][:10]) == (
        "notResponded",
        "2026-03-06",
    )
    graph.cancel(copy)
    assert dana.get(f"/me/events/{copy}")["isCancelled"]
    assert graph.notices == []


def test_move_by_patch(graph: FakeGraph) -> None:
    """Start and end alone keep the guests, take their answers back and make Exchange mail them."""
    mine = graph.users[DANA].primary.event("Kickoff", at(5), at(5, 10), {JO: "accepted", BO: "accepted"})
    dana = Client(graph, DANA)
    etag = dana.get(f"/me/events/{mine}")["@odata.etag"]
    body = {"start": when(at(6)), "end": when(at(6, 10))}
    moved = dana.ask("PATCH", f"/me/events/{mine}", body, If_Match=etag)
    assert moved.status_code == 200
    assert answers(moved.json()) == {JO: "none", BO: "none"}
    assert moved.json()["originalStartTimeZone"] == "UTC", "the zone is the one of the last write"
    assert [(each.to, each.kind, each.event) for each in graph.notices] == [
        (BO, "update", mine),
        (JO, "update", mine),
    ]
    stale = dana.refused("PATCH", f"/me/events/{mine}", body, If_Match=etag)
    assert stale == (412, "ErrorIrresolvableConflict")
    graph.resets_to = "notResponded"
    graph.move(mine, at(7))
    assert answers(dana.get(f"/me/events/{mine}"))[JO] == "notResponded"


def test_labels_are_nobody_elses(graph: FakeGraph) -> None:
    """Categories are of one copy, mail nobody, and may be put on a guest's copy too."""
    mine = graph.users[DANA].primary.event("Kickoff", at(5), at(5, 10), {JO: "accepted"})
    copy = graph.copy_of(mine, JO).id
    dana, jo = Client(graph, DANA), Client(graph, JO)
    etag = jo.get(f"/me/events/{copy}")["@odata.etag"]
    assert dana.ask("PATCH", f"/me/events/{mine}", {"categories": ["Asked"]}).json()["categories"] == [
        "Asked"
    ]
    unchanged = jo.get(f"/me/events/{copy}")
    assert (unchanged["categories"], unchanged["@odata.etag"]) == ([], etag)
    assert jo.ask("PATCH", f"/me/events/{copy}", {"categories": ["Mine"]}).json()["categories"] == ["Mine"]
    assert graph.notices == []
    assert answers(dana.get(f"/me/events/{mine}")) == {JO: "accepted"}


def test_a_guest_may_not_move(graph: FakeGraph) -> None:
    """Another time on a guest's copy is refused; a server that takes it changes that copy alone."""
    mine = graph.users[DANA].primary.event("Kickoff", at(5), at(5, 10), {JO: "accepted"})
    copy, jo = graph.copy_of(mine, JO).id, Client(graph, JO)
    body = {"start": when(at(6)), "end": when(at(6, 10))}
    assert jo.refused("PATCH", f"/me/events/{copy}", body) == (403, "ErrorAccessDenied")
    graph.guests_may_move = True
    assert jo.ask("PATCH", f"/me/events/{copy}", body).json()["start"]["dateTime"][:10] == "2026-03-06"
    assert graph.find(mine).start == at(5)
    assert graph.notices == []


def test_patch_of_an_instance(graph: FakeGraph) -> None:
    """It becomes an exception of its series, in every copy, and may not pass its neighbours."""
    mine = graph.users[DANA].primary.event("Weekly", at(3), at(3, 10), {JO: "accepted"}, recurrence=WEEKLY)
    one, dana = graph.instance(mine, at(10)), Client(graph, DANA)
    body = {"start": when(at(11)), "end": when(at(11, 10))}
    moved = dana.ask("PATCH", f"/me/events/{one}", body).json()
    assert (moved["type"], moved["originalStart"], moved["id"]) == ("exception", "2026-03-10T09:00:00Z", one)
    theirs = graph.copy_of(mine, JO)
    assert [each.start.day for each in theirs.instances(at(1), at(20))] == [3, 11, 17]
    assert answers(dana.get(f"/me/events/{mine}")) == {JO: "accepted"}
    too_far = {"start": when(at(17)), "end": when(at(17, 10))}
    assert dana.refused("PATCH", f"/me/events/{one}", too_far) == (400, "ErrorOccurrenceCrossingBoundary")
    assert (
        dana.refused("GET", f"/me/events/{one}/instances?startDateTime=2026-03-01&endDateTime=2026-04-01")[0]
        == 400
    )
    assert dana.ask("DELETE", f"/me/events/{one}").status_code == 204
    gone = theirs.instance(date(2026, 3, 10))
    assert (gone.fields["isCancelled"], gone.kind) == (True, "exception")
    assert dana.refused("GET", f"/me/events/{one}")[0] == 404


def test_a_series_moves_with_its_start(graph: FakeGraph) -> None:
    """Another day of the week for the whole series; what was changed in it before is lost."""
    mine = graph.users[DANA].primary.event("Weekly", at(3), at(3, 10), recurrence=WEEKLY)
    graph.move_instance(mine, at(10), at(11))
    graph.move(mine, at(5, 14))
    told = Client(graph, DANA).get(f"/me/events/{mine}")
    assert told["recurrence"]["pattern"]["daysOfWeek"] == ["thursday"]
    assert [each.start for each in graph.find(mine).instances(at(1), at(13))] == [at(5, 14), at(12, 14)]


def test_create_once(graph: FakeGraph) -> None:
    """The same transaction again gives the same event; guests who are here have their copy."""
    dana, calendar = Client(graph, DANA), graph.users[DANA].calendar("Work")
    body = {
        "subject": "Kickoff",
        "start": {"dateTime": "2026-03-05T09:00:00", "timeZone": "Europe/London"},
        "end": {"dateTime": "2026-03-05T10:00:00", "timeZone": "Europe/London"},
        "attendees": [{"emailAddress": {"address": JO}, "type": "optional"}],
        "body": {"contentType": "text", "content": "Hello"},
        "transactionId": "t-1",
    }
    first, again = (dana.ask("POST", f"/me/calendars/{calendar.id}/events", body) for _ in range(2))
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json()["id"] == again.json()["id"]
    assert first.json()["attendees"][0]["type"] == "optional"
    assert [(each.to, each.kind) for each in graph.notices] == [(JO, "invitation")]
    assert [each.fields["subject"] for each in graph.users[JO].primary.items.values()] == ["Kickoff"]
    odd = body | {"transactionId": "t-2", "isAllDay": True}
    assert dana.refused("POST", "/me/events", odd) == (400, "ErrorPropertyValidationFailure")
    assert dana.refused("POST", "/me/events", {"subject": "x"}) == (400, "ErrorPropertyValidationFailure")
    assert dana.refused("POST", "/me/events", body | {"colour": "red"}) == (400, "RequestBodyRead")


def test_a_guest_proposes(graph: FakeGraph) -> None:
    """Declining with another time reaches the organiser's copy; the event leaves the guest's calendar."""
    mine = graph.users[DANA].primary.event("Kickoff", at(5), at(5, 10), {JO: "none"})
    copy, jo = graph.copy_of(mine, JO).id, Client(graph, JO)
    slot = {"start": when(at(6)), "end": when(at(6, 10))}
    body = {"comment": "Better then", "sendResponse": True, "proposedNewTime": slot}
    answer = jo.ask("POST", f"/me/events/{copy}/decline", body)
    assert (answer.status_code, answer.content) == (202, b"")
    ours = Client(graph, DANA).get(f"/me/events/{mine}")["attendees"][0]
    assert ours["status"]["response"] == "declined"
    assert ours["proposedNewTime"]["end"] == {"dateTime": "2026-03-06T10:00:00.0000000", "timeZone": "UTC"}
    (told,) = graph.notices
    assert (told.to, told.kind, told.event, told.response, told.comment) == (
        DANA, "response", copy, "declined", "Better then",
    )  # fmt: skip
    assert told.proposed == (at(6), at(6, 10))
    assert jo.refused("GET", f"/me/events/{copy}")[0] == 404


def test_answers_that_are_refused(graph: FakeGraph) -> None:
    """No proposal unsent, none where they are not wanted, none with yes, and none to one's own meeting."""
    calendar = graph.users[DANA].primary
    mine = calendar.event("Kickoff", at(5), at(5, 10), {JO: "none"})
    closed = calendar.event("Fixed", at(5), at(5, 10), {JO: "none"}, allowNewTimeProposals=False)
    dana, jo = Client(graph, DANA), Client(graph, JO)
    copy, other = graph.copy_of(mine, JO).id, graph.copy_of(closed, JO).id
    proposed = {"proposedNewTime": {"start": when(at(6)), "end": when(at(6, 10))}}
    unsent = jo.refused("POST", f"/me/events/{copy}/tentativelyAccept", proposed | {"sendResponse": False})
    assert unsent == (400, "ErrorInvalidRequest")
    assert jo.refused("POST", f"/me/events/{other}/decline", proposed) == (400, "ErrorInvalidRequest")
    assert jo.refused("POST", f"/me/events/{copy}/accept", proposed)[0] == 400
    assert dana.refused("POST", f"/me/events/{mine}/accept", {}) == (400, "ErrorInvalidRequest")
    assert graph.notices == []
    assert jo.ask("POST", f"/me/events/{copy}/accept", {"sendResponse": False}).status_code == 202
    assert answers(dana.get(f"/me/events/{mine}")) == {JO: "none"}, (
        "what is not sent, the organiser never learns"
    )


def test_answers_to_one_instance(graph: FakeGraph) -> None:
    """Only that instance knows; kept where the guest keeps what they decline."""
    mine = graph.users[DANA].primary.event("Weekly", at(3), at(3, 10), {JO: "accepted"}, recurrence=WEEKLY)
    graph.keeps_declined = True
    graph.answer(graph.instance(mine, at(10)), JO, "declined")
    dana = Client(graph, DANA)
    assert answers(dana.get(f"/me/events/{graph.instance(mine, at(10))}")) == {JO: "declined"}
    assert answers(dana.get(f"/me/events/{graph.instance(mine, at(17))}")) == {JO: "accepted"}
    theirs = graph.copy_of(mine, JO)
    assert [each.response for each in theirs.instances(at(1), at(18))] == ["accepted", "declined", "accepted"]


def test_what_was_declined_comes_back(graph: FakeGraph) -> None:
    """A guest who declined has no copy, until another time invites them again; so with one instance."""
    calendar = graph.users[DANA].primary
    mine = calendar.event("Kickoff", at(5), at(5, 10), {JO: "none"})
    series = calendar.event("Weekly", at(3), at(3, 10), {JO: "accepted"}, recurrence=WEEKLY)
    graph.answer(mine, JO, "declined")
    graph.answer(graph.instance(series, at(10)), JO, "declined")
    theirs = graph.copy_of(series, JO)
    assert list(graph.users[JO].primary.items.values()) == [theirs]
    assert [each.start.day for each in theirs.instances(at(1), at(18))] == [3, 17]
    graph.move(mine, at(6))
    graph.move_instance(series, at(10), at(11))
    assert (graph.copy_of(mine, JO).response, graph.copy_of(mine, JO).start) == ("notResponded", at(6))
    assert [each.start.day for each in theirs.instances(at(1), at(18))] == [3, 11, 17]


def test_select(graph: FakeGraph) -> None:
    """Only what is asked for, besides the id; a property there is not is an error."""
    mine = graph.users[DANA].primary.event(
        "Kickoff", at(5), at(5, 10), onlineMeeting={"joinUrl": "https://t.example"}
    )
    dana = Client(graph, DANA)
    told = dana.get(f"/me/events/{mine}?$select=subject,onlineMeeting,originalStart")
    assert told.keys() == {"@odata.context", "@odata.etag", "id", "subject", "onlineMeeting"}
    assert dana.get(f"/me/events/{mine}")["onlineMeetingProvider"] == "teamsForBusiness"
    assert dana.refused("GET", f"/me/events/{mine}?$select=colour") == (400, "BadRequest")


def test_guests_come_and_go(graph: FakeGraph) -> None:
    """A change of the guests alone is told to those who come and go; who stays keeps their answer."""
    mine = graph.users[DANA].primary.event("Kickoff", at(5), at(5, 10), {BO: "accepted"})
    dana = Client(graph, DANA)
    guests = [{"emailAddress": {"address": each}, "type": "required"} for each in (BO, JO)]
    assert answers(dana.ask("PATCH", f"/me/events/{mine}", {"attendees": guests}).json()) == {
        BO: "accepted",
        JO: "none",
    }
    dana.ask("PATCH", f"/me/events/{mine}", {"attendees": guests[:1]})
    assert [(each.to, each.kind) for each in graph.notices] == [(JO, "invitation"), (JO, "cancellation")]
    assert [each.fields["isCancelled"] for each in graph.users[JO].primary.items.values()] == [True]
