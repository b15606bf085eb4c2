"""The fake Google's calendars: what other tests believe of them, shown through Google's own client."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from googleapiclient.errors import HttpError

from tests.support.fake_google import FakeGoogle, fake_google
from tests.support.fake_google.client import refused, service

LISBON = ZoneInfo("Europe/Lisbon")
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
DANA, JO, BO = "dana@acme.example", "jo@acme.example", "bo@other.example"


def at(day: int, hour: int = 9) -> datetime:
    """A moment in March 2026 in Lisbon."""
    return datetime(2026, 3, day, hour, tzinfo=LISBON)


@pytest.fixture
def google() -> Iterator[FakeGoogle]:
    """A Google with Dana and Jo."""
    with fake_google(lambda: NOW) as world:
        world.user(DANA, "Dana Reyes")
        world.user(JO, "Jo")
        yield world


def by_id(answer: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The items of a page."""
    return {each["id"]: each for each in answer["items"]}


def test_sync_tells_changes_once_over_pages(google: FakeGoogle) -> None:
    """Pages cover everything, only the last has a sync token, and a token gives exactly what changed."""
    mine = google.users[DANA].primary
    names = [mine.event(f"Talk {n}", at(n), at(n, 10), {JO: "needsAction"}) for n in range(2, 9)]
    events = service(google, "calendar", DANA).events()
    request, seen, tokens = events.list(calendarId="primary", maxResults=3), [], []
    while request is not None:
        page = request.execute()
        seen += [each["id"] for each in page["items"]]
        tokens.append(page.get("nextSyncToken"))
        request = events.list_next(request, page)
    assert seen == names
    assert [bool(each) for each in tokens] == [False, False, True]
    quiet = events.list(calendarId="primary", syncToken=tokens[-1]).execute()
    assert quiet["items"] == []

    google.answer(names[0], JO, "accepted")
    google.move(names[1], at(20))
    google.cancel(names[2])
    changed = by_id(events.list(calendarId="primary", syncToken=quiet["nextSyncToken"]).execute())
    assert set(changed) == set(names[:3])
    assert changed[names[0]]["attendees"][0]["responseStatus"] == "accepted"
    assert changed[names[1]]["start"] == {"dateTime": "2026-03-20T09:00:00Z", "timeZone": "Europe/Lisbon"}
    assert changed[names[1]]["sequence"] == 1
    assert set(changed[names[2]]) == {"kind", "etag", "id", "status"}
    full = by_id(service(google, "calendar", DANA).events().list(calendarId="primary").execute())
    assert names[2] not in full


@pytest.mark.parametrize(
    "query",
    [
        {"timeMin": "2026-03-01T00:00:00Z"},
        {"q": "Talk"},
        {"orderBy": "updated"},
        {"iCalUID": "x"},
        {"updatedMin": "2026-03-01T00:00:00Z"},
        {"privateExtendedProperty": "a=b"},
        {"showDeleted": False},
        {"singleEvents": True},
        {"maxAttendees": 3},
    ],
)
def test_tokens_refuse_another_query(google: FakeGoogle, query: dict[str, Any]) -> None:
    """What may not go with a sync token, or differs from the first sync, is 400."""
    token = service(google, "calendar", DANA).events().list(calendarId="primary").execute()["nextSyncToken"]
    assert (
        refused(
            service(google, "calendar", DANA).events().list(calendarId="primary", syncToken=token, **query)
        )[0]
        == 400
    )
    google.foreign_token_status = 410
    other = service(google, "calendar", DANA).events().list(calendarId="primary", syncToken="bm9uc2Vuc2U=")
    assert refused(other) == (400, "invalid")


def test_token_belongs_to_one_calendar_and_grows_old(google: FakeGoogle) -> None:
    """A token of another calendar is refused, a forgotten one is 410, a calendar that is gone 404."""
    calls = google.users[DANA].calendar("Client calls")
    events = service(google, "calendar", DANA).events()
    token = events.list(calendarId="primary").execute()["nextSyncToken"]
    assert refused(events.list(calendarId=calls.id, syncToken=token)) == (400, "invalid")
    google.users[DANA].primary.forget_tokens()
    assert refused(events.list(calendarId="primary", syncToken=token)) == (410, "fullSyncRequired")
    calls.gone = True
    assert refused(events.list(calendarId=calls.id)) == (404, "notFound")
    assert [
        each["id"] for each in service(google, "calendar", DANA).calendarList().list().execute()["items"]
    ] == [DANA]


def test_window_of_the_first_sync(google: FakeGoogle) -> None:
    """The first sync may have a beginning and an end; its token then tells changes wherever they lie."""
    mine = google.users[DANA].primary
    old = mine.event("Old", at(1), at(1, 10))
    ahead = mine.event("Ahead", at(20), at(20, 10))
    events = service(google, "calendar", DANA).events()
    first = events.list(calendarId="primary", timeMin="2026-03-10T00:00:00Z").execute()
    assert set(by_id(first)) == {ahead}
    google.edit(old, summary="Older")
    later = events.list(calendarId="primary", syncToken=first["nextSyncToken"]).execute()
    assert set(by_id(later)) == {old}
    empty = {"timeMin": "2026-03-10T00:00:00Z", "timeMax": "2026-03-10T00:00:00Z"}
    assert refused(events.list(calendarId="primary", **empty)) == (400, "timeRangeEmpty")


def test_series(google: FakeGoogle) -> None:
    """Masters with overrides, or instances; a change of one instance comes without its master."""
    mine = google.users[DANA].primary
    rule = ["RRULE:FREQ=WEEKLY;UNTIL=20260330T080000Z", "EXDATE;TZID=Europe/Lisbon:20260316T090000"]
    series = mine.event("Weekly", at(2), at(2, 10), {JO: "accepted"}, recurrence=rule)
    second = google.instance(series, at(9))
    assert second == f"{series}_20260309T090000Z"
    events = service(google, "calendar", DANA).events()
    first = events.list(calendarId="primary").execute()
    assert set(by_id(first)) == {series}
    google.move(second, at(10, 15))
    google.cancel(google.instance(series, at(30)))
    changed = by_id(events.list(calendarId="primary", syncToken=first["nextSyncToken"]).execute())
    assert set(changed) == {second, f"{series}_20260330T080000Z"}
    assert changed[second]["originalStartTime"]["dateTime"] == "2026-03-09T09:00:00Z"
    assert changed[second]["recurringEventId"] == series
    assert "recurrence" not in changed[second]
    gone = changed[f"{series}_20260330T080000Z"]
    assert gone["status"] == "cancelled"
    assert gone["originalStartTime"]["dateTime"] == "2026-03-30T09:00:00+01:00"
    full = by_id(events.list(calendarId="primary").execute())
    assert set(full) == {series, second, gone["id"]}, "cancelled instances stay in a full list of masters"

    single = events.list(calendarId="primary", singleEvents=True, orderBy="startTime").execute()
    assert [each["start"]["dateTime"] for each in single["items"]] == [
        "2026-03-02T09:00:00Z",
        "2026-03-10T15:00:00Z",
        "2026-03-23T09:00:00Z",
    ]
    told = events.instances(calendarId="primary", eventId=series, showDeleted=True).execute()
    assert [each["status"] for each in told["items"]] == ["confirmed", "confirmed", "confirmed", "cancelled"]
    google.cancel(series)
    assert service(google, "calendar", DANA).events().list(calendarId="primary").execute()["items"] == []
    assert google.users[JO].primary.items[second].cancelled


def test_move_by_patch(google: FakeGoogle) -> None:
    """A patch of times needs the right ETag, raises SEQUENCE, resets answers and mails each guest once."""
    mine = google.users[DANA].primary
    name = mine.event("Kickoff", at(2), at(2, 10), {DANA: "accepted", JO: "accepted", BO: "declined"})
    events = service(google, "calendar", DANA).events()
    before = events.get(calendarId="primary", eventId=name).execute()
    body = {"start": {"dateTime": "2026-03-03T09:00:00Z"}, "end": {"dateTime": "2026-03-03T10:00:00Z"}}

    def patch(etag: str) -> Any:
        request = events.patch(calendarId="primary", eventId=name, body=body, sendUpdates="all")
        request.headers["If-Match"] = etag
        return request

    after = patch(before["etag"]).execute()
    assert (after["sequence"], after["iCalUID"]) == (1, before["iCalUID"])
    assert after["etag"] != before["etag"]
    answers = {each["email"]: each["responseStatus"] for each in after["attendees"]}
    assert answers == {DANA: "accepted", JO: "needsAction", BO: "needsAction"}
    assert refused(patch(before["etag"])) == (412, "conditionNotMet")
    assert sorted((each.to, each.kind) for each in google.notices) == [(BO, "update"), (JO, "update")]
    theirs = service(google, "calendar", JO).events().get(calendarId="primary", eventId=name).execute()
    assert theirs["start"] == after["start"]
    assert [each["email"] for each in theirs["attendees"] if each.get("self")] == [JO]
    wrong = {"start": {"dateTime": "2026-03-03T09:00:00Z"}, "end": {"dateTime": "2026-03-03T08:00:00Z"}}
    assert refused(events.patch(calendarId="primary", eventId=name, body=wrong)) == (400, "timeRangeEmpty")
    assert refused(
        events.patch(calendarId="primary", eventId=name, body={"start": {"date": "2026-03-03"}})
    ) == (
        400,
        "invalid",
    )
    assert refused(events.patch(calendarId="primary", eventId=name, body={"sumary": "x"})) == (400, "invalid")


def test_moving_one_instance_by_patch(google: FakeGoogle) -> None:
    """An instance becomes an exception; the series and its ETag stay as they were."""
    mine = google.users[DANA].primary
    series = mine.event("Weekly", at(2), at(2, 10), {JO: "accepted"}, recurrence=["RRULE:FREQ=WEEKLY"])
    events, name = service(google, "calendar", DANA).events(), google.instance(series, at(9))
    plain = events.get(calendarId="primary", eventId=name).execute()
    body = {"start": {"dateTime": "2026-03-09T15:00:00Z"}, "end": {"dateTime": "2026-03-09T16:00:00Z"}}
    request = events.patch(calendarId="primary", eventId=name, body=body)
    request.headers["If-Match"] = plain["etag"]
    moved = request.execute()
    assert moved["originalStartTime"] == plain["start"]
    assert moved["etag"] != plain["etag"]
    assert events.get(calendarId="primary", eventId=series).execute()["etag"] == plain["etag"]
    assert refused(events.get(calendarId="primary", eventId=f"{series}_20260310T090000Z"))[0] == 404
    google.edit(series, recurrence=["RRULE:FREQ=WEEKLY;COUNT=1"])
    assert mine.items[name].cancelled, "an exception without an instance goes"


def test_copies(google: FakeGoogle) -> None:
    """Private properties, colour and transparency belong to one copy; the rest only to its organiser."""
    mine = google.users[DANA].primary
    name = mine.event("Kickoff", at(2), at(2, 10), {DANA: "accepted", JO: "needsAction"})
    own = {
        "extendedProperties": {"private": {"rebookd": "held"}},
        "colorId": "11",
        "transparency": "transparent",
    }
    theirs = service(google, "calendar", JO).events()
    labelled = theirs.patch(calendarId="primary", eventId=name, body=own).execute()
    assert labelled["extendedProperties"] == {"private": {"rebookd": "held"}}
    assert not mine.items[name].body.keys() & {"extendedProperties", "colorId", "transparency"}
    google.edit(name, summary="Kickoff again")
    assert theirs.get(calendarId="primary", eventId=name).execute()["colorId"] == "11"
    assert refused(theirs.patch(calendarId="primary", eventId=name, body={"summary": "Mine"})) == (
        403,
        "forbiddenForNonOrganizer",
    )
    guests = labelled["attendees"]
    answer = [each | ({"responseStatus": "accepted"} if each.get("self") else {}) for each in guests]
    theirs.patch(calendarId="primary", eventId=name, body={"attendees": answer}).execute()
    assert [each["responseStatus"] for each in mine.items[name].body["attendees"]] == ["accepted", "accepted"]
    assert google.notices == []


def test_deleting(google: FakeGoogle) -> None:
    """A guest removes their copy and is seen to decline; the organiser cancels for all; twice is 410."""
    mine = google.users[DANA].primary
    name = mine.event("Kickoff", at(2), at(2, 10), {JO: "accepted"})
    token = service(google, "calendar", JO).events().list(calendarId="primary").execute()["nextSyncToken"]
    google.delete_own_copy(name, JO)
    assert mine.items[name].body["attendees"][0]["responseStatus"] == "declined"
    theirs = service(google, "calendar", JO).events()
    [tombstone] = theirs.list(calendarId="primary", syncToken=token).execute()["items"]
    assert set(tombstone) == {"kind", "etag", "id", "status"}
    [told] = theirs.list(calendarId="primary", showDeleted=True).execute()["items"]
    assert told["summary"] == "Kickoff", "what the guest removed by hand keeps its details"
    events = service(google, "calendar", DANA).events()
    events.delete(calendarId="primary", eventId=name, sendUpdates="all").execute()
    assert [(each.to, each.kind) for each in google.notices] == [(JO, "cancellation")]
    assert refused(events.delete(calendarId="primary", eventId=name)) == (410, "deleted")
    assert events.get(calendarId="primary", eventId=name).execute()["status"] == "cancelled"
    called_off = mine.event("Other", at(3), at(3, 10), {JO: "accepted"})
    google.cancel(called_off)
    both = by_id(theirs.list(calendarId="primary", showDeleted=True).execute())
    assert "summary" not in both[called_off]


def test_inserting_twice(google: FakeGoogle) -> None:
    """A client's own id makes an insert idempotent: the second is 409, a bad one 400."""
    events = service(google, "calendar", DANA).events()
    body = {
        "id": "rebookd0123456789v",
        "start": {"dateTime": "2026-03-02T09:00:00", "timeZone": "Europe/Lisbon"},
        "end": {"dateTime": "2026-03-02T10:00:00", "timeZone": "Europe/Lisbon"},
        "attendees": [{"email": JO}],
    }
    made = events.insert(calendarId="primary", body=body, sendUpdates="externalOnly").execute()
    assert made["attendees"] == [{"email": JO, "responseStatus": "needsAction"}]
    assert body["id"] in google.users[JO].primary.items
    assert google.notices == []
    assert refused(events.insert(calendarId="primary", body=body)) == (409, "duplicate")
    assert refused(events.insert(calendarId="primary", body=body | {"id": "WXYZ!"})) == (400, "invalid")
    assert refused(events.insert(calendarId="primary", body={"start": body["start"]})) == (400, "required")


def test_what_a_reader_sees(google: FakeGoogle) -> None:
    """Hidden guests are omitted; a reader learns of a private event only when it is, and writes nothing."""
    mine = google.users[DANA].primary
    hidden = mine.event(
        "Town hall", at(2), at(2, 10), {JO: "accepted", BO: "accepted"}, guestsCanSeeOtherGuests=False
    )
    secret = mine.event("Secret", at(3), at(3, 10), visibility="private")
    away = mine.event("Away", at(4, 0), at(5, 0), eventType="outOfOffice")
    google.users[JO].subscribe(mine, "reader", summaryOverride="Dana")
    theirs = service(google, "calendar", JO).events()
    copy = theirs.get(calendarId="primary", eventId=hidden).execute()
    assert (copy["attendeesOmitted"], [each["email"] for each in copy["attendees"]]) == (True, [JO])
    assert (
        len(
            service(google, "calendar", DANA)
            .events()
            .get(calendarId="primary", eventId=hidden)
            .execute()["attendees"]
        )
        == 2
    )
    seen = by_id(theirs.list(calendarId=DANA).execute())
    assert "summary" not in seen[secret]
    assert seen[secret]["visibility"] == "private"
    assert seen[away]["eventType"] == "outOfOffice"
    assert (
        refused(theirs.patch(calendarId=DANA, eventId=away, body={"colorId": "1"}))[1]
        == "requiredAccessLevel"
    )
    fewer = service(google, "calendar", DANA).events().list(calendarId="primary", maxAttendees=1).execute()
    assert by_id(fewer)[hidden]["attendeesOmitted"] is True
    listed = service(google, "calendar", JO).calendarList().list(minAccessRole="reader").execute()
    assert [(each["id"], each["accessRole"]) for each in listed["items"]] == [(JO, "owner"), (DANA, "reader")]


def test_free_and_busy(google: FakeGoogle) -> None:
    """Busy times are merged; what is declined, transparent or cancelled is free; strangers are notFound."""
    google.user(BO)
    mine = google.users[DANA].primary
    mine.event("One", at(2), at(2, 10))
    mine.event("Two", at(2, 10), at(2, 11))
    mine.event("Free", at(2, 14), at(2, 15), transparency="transparent")
    series = mine.event("Daily", at(2, 16), at(2, 17), recurrence=["RRULE:FREQ=DAILY;COUNT=3"])
    google.move(google.instance(series, at(4, 16)), at(2, 18))
    google.users[JO].primary.event("No", at(2), at(2, 10), {DANA: "declined"})
    body = {
        "timeMin": "2026-03-02T00:00:00Z",
        "timeMax": "2026-03-03T00:00:00Z",
        "items": [{"id": DANA}, {"id": BO}, {"id": "nobody@nowhere.example"}],
    }
    found = service(google, "calendar", JO).freebusy().query(body=body).execute()["calendars"]
    assert [each["start"][11:16] for each in found[DANA]["busy"]] == ["09:00", "16:00", "18:00"]
    assert found[DANA]["busy"][0]["end"] == "2026-03-02T11:00:00Z"
    assert found[BO]["errors"][0]["reason"] == "notFound"
    assert found["nobody@nowhere.example"] == {
        "errors": [{"domain": "global", "reason": "notFound"}],
        "busy": [],
    }


def test_partial_fields(google: FakeGoogle) -> None:
    """``fields`` leaves what was asked for; a field no answer has is 400."""
    google.users[DANA].primary.event("Kickoff", at(2), at(2, 10), {JO: "accepted"})
    events = service(google, "calendar", DANA).events()
    wanted = "items(id,start/dateTime,attendees(email)),nextPageToken,nextSyncToken"
    page = events.list(calendarId="primary", fields=wanted).execute()
    assert set(page) == {"items", "nextSyncToken"}
    assert set(page["items"][0]) == {"id", "start", "attendees"}
    assert page["items"][0]["start"] == {"dateTime": "2026-03-02T09:00:00Z"}
    assert page["items"][0]["attendees"] == [{"email": JO}]
    assert refused(events.list(calendarId="primary", fields="items(id,nonsense)")) == (
        400,
        "invalidParameter",
    )
    assert refused(events.list(calendarId="primary", fields="items(id")) == (400, "invalidParameter")


def test_update_replaces_the_whole(google: FakeGoogle) -> None:
    """An update that leaves the guests out throws them out, and tells every copy; a patch would not."""
    mine = google.users[DANA].primary
    name = mine.event("Kickoff", at(2), at(2, 10), {JO: "accepted"}, location="Here")
    events = service(google, "calendar", DANA).events()
    whole = events.get(calendarId="primary", eventId=name).execute()
    body = {"start": whole["start"], "end": whole["end"], "summary": "Alone"}
    after = events.update(calendarId="primary", eventId=name, body=body).execute()
    assert not after.keys() & {"attendees", "location"}
    assert (after["sequence"], after["iCalUID"]) == (whole["sequence"], whole["iCalUID"])
    assert google.users[JO].primary.items[name].cancelled
    request = events.get(calendarId="primary", eventId=name)
    request.headers["If-None-Match"] = after["etag"]
    with pytest.raises(HttpError) as caught:
        request.execute()
    assert caught.value.status_code == 304


def test_calendar_list(google: FakeGoogle) -> None:
    """The list has pages and a token of its own; what is taken off it is told as deleted."""
    dana = google.users[DANA]
    calls, _ = dana.calendar("Client calls"), dana.calendar("Hidden", hidden=True)
    lists = service(google, "calendar", DANA).calendarList()
    first = lists.list(maxResults=1).execute()
    second = lists.list(maxResults=1, pageToken=first["nextPageToken"]).execute()
    assert [each["summary"] for each in first["items"] + second["items"]] == [DANA, "Client calls"]
    dana.unsubscribe(calls)
    [gone] = lists.list(syncToken=second["nextSyncToken"]).execute()["items"]
    assert (gone["id"], gone["deleted"]) == (calls.id, True)
    assert len(lists.list(showHidden=True).execute()["items"]) == 2
    events = service(google, "calendar", DANA).events()
    assert refused(events.list(calendarId=calls.id)) == (404, "notFound")
