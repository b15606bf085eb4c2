"""The fake Graph's calendars: rounds of changes, and what they tell of what happened."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.support.fake_graph import graph_errors
from tests.support.fake_graph.client import Client
from tests.support.fake_graph.server import fake_graph
from tests.support.fake_graph.world import FakeGraph

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LONDON = ZoneInfo("Europe/London")
DANA, JO = "dana@acme.example", "jo@acme.example"
WINDOW = "?startDateTime=2026-03-01T00:00:00Z&endDateTime=2026-04-01T00:00:00Z"
WEEKLY = {"pattern": {"type": "weekly", "interval": 1, "daysOfWeek": ["tuesday"]}}


def at(day: int, hour: int = 9, month: int = 3) -> datetime:
    """A moment in London."""
    return datetime(2026, month, day, hour, tzinfo=LONDON)


@pytest.fixture
def graph() -> Iterator[FakeGraph]:
    """A Graph with Dana and Jo, on the first of March."""
    with fake_graph(lambda: NOW, tls=False) as world:
        world.user(DANA, "Dana Reyes", aliases=("reyes@acme.example",))
        world.user(JO, "Jo")
        yield world


def view(graph: FakeGraph, who: str = DANA) -> str:
    """Where the rounds of somebody's calendar begin."""
    return f"/me/calendars/{graph.users[who].primary.id}/calendarView/delta{WINDOW}"


def told(items: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """What kind of thing each item is, and when; or that it is removed."""
    return [
        ("removed", "") if "@removed" in each else (each["type"], each["start"]["dateTime"][5:16])
        for each in items
    ]


def test_first_round_has_everything_in_pages(graph: FakeGraph) -> None:
    """Ten to a page unless asked otherwise; absolute links; a series is full, its instances are sparse."""
    calendar = graph.users[DANA].primary
    series = calendar.event("Weekly", at(3), at(3, 10), {JO: "accepted"}, recurrence=WEEKLY)
    for day in range(1, 10):
        calendar.event("Talk", at(day, 14), at(day, 15), body="<p>Bring the plan</p>")
    calendar.event("Far away", at(1, month=7), at(1, 10, month=7))
    dana = Client(graph, DANA)
    first = dana.get(view(graph))
    assert len(first["value"]) == 10
    assert first["@odata.nextLink"].startswith(
        f"{graph.root}/me/calendars/{calendar.id}/calendarView/delta?$skip"
    )
    items, link = dana.round(view(graph), size=4)
    assert "$deltatoken=" in link
    assert told(items[:3]) == [
        ("seriesMaster", "03-03T09:00"),
        ("occurrence", "03-03T09:00"),
        ("occurrence", "03-10T09:00"),
    ]
    assert items[1].keys() == {"@odata.type", "id", "seriesMasterId", "type", "start", "end"}
    assert items[1]["seriesMasterId"] == series == items[0]["id"]
    assert ("occurrence", "03-31T08:00") in told(items), "an hour earlier in UTC once summer time begins"
    assert len(items) == 1 + 5 + 9
    assert "Bring the plan" in items[-1]["body"]["content"]
    assert [each.page for each in graph.seen("calendarView.delta")][-4:] == [1, 2, 3, 4]


def test_later_rounds_tell_what_changed(graph: FakeGraph) -> None:
    """A change, a new event, a removal; nothing at all gives an empty round and another link."""
    calendar = graph.users[DANA].primary
    kept, gone = (calendar.event(name, at(5), at(5, 10)) for name in ("Kept", "Gone"))
    dana = Client(graph, DANA)
    _, link = dana.round(view(graph))
    nothing, again = dana.round(link)
    assert nothing == []
    assert again != link
    graph.edit(kept, subject="Kept still")
    graph.delete(gone, DANA)
    new = calendar.event("New", at(6), at(6, 10))
    items, _ = dana.round(again)
    assert [(each["id"], each.get("subject"), each.get("@removed")) for each in items] == [
        (kept, "Kept still", None),
        (new, "New", None),
        (gone, None, {"reason": "deleted"}),
    ]
    assert items[2].keys() == {"@odata.type", "id", "@removed"}
    assert dana.round(link)[0] == items, "an older link still tells all that came after it"


def test_window_stays_as_it_was(graph: FakeGraph) -> None:
    """What moves out of the window looks deleted; what is new outside it does too, as documented."""
    calendar = graph.users[DANA].primary
    inside = calendar.event("Inside", at(5), at(5, 10))
    dana = Client(graph, DANA)
    _, link = dana.round(view(graph))
    graph.move(inside, at(5, month=5))
    outside = calendar.event("Outside", at(6, month=5), at(6, 10, month=5))
    items, link = dana.round(link)
    assert [(each["id"], each["@removed"]["reason"]) for each in items] == [
        (inside, "deleted"),
        (outside, "deleted"),
    ]
    assert dana.get(f"/me/events/{inside}")["subject"] == "Inside"
    graph.tells_outside = False
    graph.edit(outside, subject="Nobody hears of it")
    assert dana.round(link)[0] == []


def test_series_comes_again_whole(graph: FakeGraph) -> None:
    """An answer or a changed instance changes the series, and all its instances in the window come again."""
    series = graph.users[DANA].primary.event("Weekly", at(3), at(3, 10), {JO: "none"}, recurrence=WEEKLY)
    dana = Client(graph, DANA)
    before, link = dana.round(view(graph))
    moved = graph.move_instance(series, at(10), at(11, 15))
    graph.delete_instance(series, at(17))
    items, link = dana.round(link)
    assert told(items) == [
        ("seriesMaster", "03-03T09:00"),
        ("occurrence", "03-03T09:00"),
        ("exception", "03-11T15:00"),
        ("occurrence", "03-24T09:00"),
        ("occurrence", "03-31T08:00"),
        ("removed", ""),
    ]
    exception = items[2]
    assert exception["id"] == moved == before[2]["id"], (
        "an instance keeps its id when it becomes an exception"
    )
    assert exception["originalStart"] == "2026-03-10T09:00:00Z"
    assert exception["subject"] == "Weekly"
    assert items[-1]["id"] == before[3]["id"]
    graph.tells_masters, graph.tells_vanished = False, False
    graph.delete_instance(series, at(24))
    assert told(dana.round(link)[0]) == [
        ("occurrence", "03-03T09:00"),
        ("exception", "03-11T15:00"),
        ("occurrence", "03-31T08:00"),
    ]


def test_an_instance_moved_out_of_the_window(graph: FakeGraph) -> None:
    """It is removed although its series still has it."""
    daily = {
        "pattern": {"type": "daily", "interval": 30},
        "range": {"type": "numbered", "numberOfOccurrences": 2},
    }
    series = graph.users[DANA].primary.event("Monthly", at(1), at(1, 10), recurrence=daily)
    dana = Client(graph, DANA)
    _, link = dana.round(view(graph))
    graph.tells_vanished = False
    graph.move_instance(series, at(31), at(2, month=4))
    assert told(dana.round(link)[0])[-1] == ("removed", "")


def test_pages_need_not_split_a_series(graph: FakeGraph) -> None:
    """A server may keep a series on one page, larger than asked, and name it after its instances."""
    calendar = graph.users[DANA].primary
    calendar.event("Talk", at(2), at(2, 10))
    calendar.event("Weekly", at(3), at(3, 10), recurrence=WEEKLY)
    graph.splits_series, graph.masters_last = False, True
    dana = Client(graph, DANA)
    first = dana.get(view(graph), prefer="odata.maxpagesize=2")
    second = dana.get(first["@odata.nextLink"], prefer="odata.maxpagesize=2")
    assert len(first["value"]) == 1
    assert [each["type"] for each in second["value"]] == ["occurrence"] * 5 + ["seriesMaster"]


def test_what_changes_while_a_round_is_read(graph: FakeGraph) -> None:
    """A page tells what is true when it is read, and the next round tells the rest."""
    calendar = graph.users[DANA].primary
    one, two, three = (calendar.event("Talk", at(day), at(day, 10)) for day in (3, 4, 5))
    dana = Client(graph, DANA)
    page = dana.get(view(graph), prefer="odata.maxpagesize=1")
    graph.edit(one, subject="After it was told")
    graph.delete(two, DANA)
    graph.edit(three, subject="Before it is told")
    rest, link = dana.round(page["@odata.nextLink"], size=1)
    assert [(each["id"], each.get("subject")) for each in rest] == [(two, None), (three, "Before it is told")]
    items, _ = dana.round(link)
    assert {(each["id"], each.get("subject")) for each in items} >= {(one, "After it was told"), (two, None)}


def test_no_query_options_and_no_changed_links(graph: FakeGraph) -> None:
    """$select and its like, a missing end, an added parameter and a foreign path are refused."""
    calendar, other = graph.users[DANA].primary, graph.users[DANA].calendar("Work")
    calendar.event("Talk", at(3), at(3, 10))
    dana = Client(graph, DANA)
    for option in ("$select=subject", "$filter=type eq 'x'", "$expand=instances", "$orderby=start", "$top=5"):
        assert dana.refused("GET", f"{view(graph)}&{option}") == (400, "ErrorInvalidUrlQuery")
    base = f"/me/calendars/{calendar.id}/calendarView/delta"
    assert dana.refused("GET", f"{base}?startDateTime=2026-03-01T00:00:00Z")[0] == 400
    assert dana.refused("GET", f"{base}?startDateTime=2026-03-01&endDateTime=tomorrow")[0] == 400
    _, link = dana.round(view(graph))
    assert dana.refused("GET", f"{link}&startDateTime=2026-03-01T00:00:00Z")[0] == 400
    assert dana.refused("GET", link.replace(calendar.id, other.id))[0] == 400
    assert dana.refused("GET", link.replace("$deltatoken", "$skiptoken"))[0] == 400


def test_a_token_that_is_known_no_more(graph: FakeGraph) -> None:
    """410 with SyncStateNotFound, at the start of a round or in the middle; as 400 where asked."""
    calendar = graph.users[DANA].primary
    for day in (3, 4):
        calendar.event("Talk", at(day), at(day, 10))
    dana = Client(graph, DANA)
    _, link = dana.round(view(graph))
    graph.forget_rounds()
    assert dana.refused("GET", link) == (410, "SyncStateNotFound")
    graph.fail("calendarView.delta", graph_errors.expired_token(), page=2)
    page = dana.get(view(graph), prefer="odata.maxpagesize=1")
    assert dana.refused("GET", page["@odata.nextLink"]) == (410, "SyncStateNotFound")
    assert len(dana.get(page["@odata.nextLink"])["value"]) == 1
    graph.gone = (400, "syncStateNotFound")
    assert dana.refused("GET", link) == (400, "syncStateNotFound")


def test_times_in_another_zone(graph: FakeGraph) -> None:
    """UTC unless a zone is preferred by its Windows name; whole days are midnights in any."""
    calendar = graph.users[DANA].primary
    calendar.event("Talk", at(30), at(30, 10))
    calendar.event("Fair", at(30).date(), at(31).date(), zone="Tokyo Standard Time")
    dana = Client(graph, DANA)
    items, _ = dana.round(view(graph))
    assert items[0]["start"] == {"dateTime": "2026-03-30T08:00:00.0000000", "timeZone": "UTC"}
    items, _ = dana.round(view(graph), prefer='outlook.timezone="Pacific Standard Time"')
    assert items[0]["start"] == {
        "dateTime": "2026-03-30T01:00:00.0000000",
        "timeZone": "Pacific Standard Time",
    }
    assert items[0]["originalStartTimeZone"] == "GMT Standard Time"
    assert (items[1]["isAllDay"], items[1]["start"]["dateTime"]) == (True, "2026-03-30T00:00:00.0000000")
    wrong = dana.refused("GET", view(graph), prefer='outlook.timezone="Mars Standard Time"')
    assert wrong == (400, "TimeZoneNotSupportedException")


@pytest.mark.parametrize(
    ("pattern", "days"),
    [
        ({"type": "daily", "interval": 10}, [(3, 1), (3, 11), (3, 21), (3, 31)]),
        (
            {"type": "weekly", "interval": 2, "daysOfWeek": ["sunday", "friday"]},
            [(3, 1), (3, 6), (3, 15), (3, 20)],
        ),
        ({"type": "absoluteMonthly", "interval": 1, "dayOfMonth": 31}, [(3, 31), (4, 30), (5, 31), (6, 30)]),
        (
            {"type": "relativeMonthly", "interval": 1, "daysOfWeek": ["monday"], "index": "last"},
            [(3, 30), (4, 27), (5, 25), (6, 29)],
        ),
        ({"type": "absoluteYearly", "interval": 1, "dayOfMonth": 3, "month": 3}, [(3, 3)]),
    ],
)
def test_patterns(graph: FakeGraph, pattern: dict[str, Any], days: list[tuple[int, int]]) -> None:
    """Days, weeks, months and years, counted as Outlook does; a day that a month lacks is its last."""
    limits = {"type": "numbered", "numberOfOccurrences": len(days)}
    series = graph.users[DANA].primary.event(
        "S", at(1), at(1, 10), recurrence={"pattern": pattern, "range": limits}
    )
    window = "startDateTime=2026-01-01T00:00:00Z&endDateTime=2026-12-31T00:00:00Z"
    dana = Client(graph, DANA)
    found = dana.get(f"/me/events/{series}/instances?{window}&$select=start,type")["value"]
    assert [
        (int(each["start"]["dateTime"][5:7]), int(each["start"]["dateTime"][8:10])) for each in found
    ] == days
    recurrence = dana.get(f"/me/events/{series}")["recurrence"]
    assert recurrence["range"]["recurrenceTimeZone"] == "GMT Standard Time"
    assert recurrence["pattern"]["firstDayOfWeek"] == "sunday"


def test_until_a_day(graph: FakeGraph) -> None:
    """The last day of a range is one of the series."""
    rule = {
        "pattern": {"type": "daily", "interval": 1},
        "range": {"type": "endDate", "endDate": "2026-03-04"},
    }
    series = graph.users[DANA].primary.event("S", at(2), at(2, 10), recurrence=rule)
    found = graph.find(series).instances(NOW, NOW + timedelta(days=90))
    assert [each.start.day for each in found] == [2, 3, 4]
