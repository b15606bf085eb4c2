"""A server that says what Microsoft Graph would of one calendar, page by page, and what lies in it."""

from __future__ import annotations

import json
import random
import re
import sys
from datetime import UTC, datetime, timedelta
from email.message import Message
from itertools import accumulate
from typing import Any

from benchmarks.cloud_stub import Query, serve
from tests.support.fake_graph import views
from tests.support.fake_graph.events import Calendar, Item
from tests.support.fake_graph.world import FakeGraph

SERIES = 28
"""One event of so many is a weekly series; half of them end."""

CHANGED = 3
"""Of one series of so many, two instances were changed."""

USUAL, MOST = 10, 1000
"""How many items Graph puts on a page unless it is asked for more, and how many at most."""

ME = "dana@va.example"
_LOW, _HIGH = timedelta(days=-50), timedelta(days=146)
_PEOPLE = ("jo", "bo", "kim", "lee", "sam", "alex", "robin", "noor", "mara", "tomas")
_TITLES = ("Kickoff review", "Weekly sync", "Quarterly numbers", "Interview, second round", "Café with Zoë")
_ANSWERS = ("none", "accepted", "accepted", "tentativelyAccepted", "declined")
_ZONES = ("GMT Standard Time", "GMT Standard Time", "W. Europe Standard Time")
_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_JOIN = "https://teams.example/l/meetup-join/19%3ameeting_{0:032x}%40thread.v2/0?context=%7b%22Tid%22%3a%22{1:032x}%22%7d"
_HEAD = (
    '<html>\r\n<head>\r\n<meta http-equiv="Content-Type" content="text/html; charset=utf-8">\r\n'
    '<meta name="Generator" content="Microsoft Word 15 (filtered medium)">\r\n<style>\r\n<!--\r\n'
    '@font-face\r\n\t{font-family:"Cambria Math"}\r\n@font-face\r\n\t{font-family:Aptos}\r\n'
    "p.MsoNormal, li.MsoNormal, div.MsoNormal\r\n\t{margin:0cm;\r\n"
    '\tfont-size:12.0pt;\r\n\tfont-family:"Aptos",sans-serif}\r\n'
    "div.WordSection1\r\n\t{}\r\n-->\r\n</style>\r\n</head>\r\n"
    '<body lang="EN-GB" link="#467886" vlink="#96607D" style="word-wrap:break-word">\r\n'
    '<div class="WordSection1">\r\n'
)
_LINE = (
    '<p class="MsoNormal"><span lang="EN-GB" style="font-size:11.0pt">Point {}: we go through what is open, '
    "who takes it on and until when; please bring your numbers.</span></p>\r\n"
)


class Pages:
    """Items ready to be told; those that follow each other are one piece of text."""

    def __init__(self, items: list[dict[str, Any]]) -> None:
        parts = [json.dumps(one).encode() for one in items]
        self._text = b",".join(parts)
        self._ends = [0, *accumulate(len(one) + 1 for one in parts)]
        self.count = len(items)

    def page(self, root: str, at: int, size: int) -> bytes:
        """So many items from one on, with the link to what follows."""
        last = min(at + size, self.count)
        link = f'"@odata.nextLink":"{root}?$skiptoken={last}"'
        if last == self.count:
            link = f'"@odata.deltaLink":"{root}?$deltatoken=now"'
        told = self._text[self._ends[at] : max(self._ends[at], self._ends[last] - 1)]
        return b'{"@odata.context":"%s#Collection(event)",%s,"value":[%s]}' % (
            root.encode(),
            link.encode(),
            told,
        )


def filled(count: int, around: datetime) -> list[dict[str, Any]]:
    """``count`` events between 30 days before ``around`` and 120 after, series with their instances."""
    choice = random.Random(1)
    graph = FakeGraph(lambda: around)
    calendar = graph.user(ME, "Dana Reyes").primary
    for number in range(count):
        _put(calendar, number, around, choice)
    return [_told(item) for item in calendar.view(around + _LOW, around + _HIGH)]


def _told(item: Item) -> dict[str, Any]:
    if item.plain:
        return views.sparse(item, "UTC")
    return {"@odata.type": "#microsoft.graph.event"} | views.event(item)


def _put(calendar: Calendar, number: int, around: datetime, choice: random.Random) -> None:
    start = (around + timedelta(days=choice.randrange(-30, 120))).replace(
        hour=choice.randrange(8, 18), minute=choice.choice((0, 15, 30)), second=0, microsecond=0
    )
    is_series = not number % SERIES
    if is_series:
        start -= timedelta(weeks=26)
    domain = choice.choice(("acme.example", "initech.example", "globex.example"))
    names = choice.sample(_PEOPLE, choice.choice((1, 1, 2, 2, 3, 6)))
    guests: dict[str, Any] = {
        f"{one}@{domain}": {"name": f"{one.title()} Silva", "response": choice.choice(_ANSWERS)}
        for one in names
    }
    organizer = None
    if number % 2:
        organizer = f"{names[0]}@{domain}"
        guests = {ME: choice.choice(_ANSWERS), **guests}
    join = _JOIN.format(choice.getrandbits(128), choice.getrandbits(128))
    lines = "".join(map(_LINE.format, range(choice.randrange(8, 32))))
    name = calendar.event(
        choice.choice(_TITLES),
        start,
        start + timedelta(minutes=30),
        guests,
        zone=choice.choice(_ZONES),
        organizer=organizer,
        recurrence=_weekly(start, ends=number // SERIES % 2 == 1) if is_series else None,
        body=f"{_HEAD}{lines}</div>\r\n</body>\r\n</html>\r\n",
        location="Microsoft Teams Meeting; Room 4, second floor",
        onlineMeeting={"joinUrl": join},
    )
    if is_series and not number // SERIES % CHANGED:
        _change_two(calendar.items[name], around)


def _weekly(start: datetime, *, ends: bool) -> dict[str, Any]:
    span: dict[str, Any] = {"type": "noEnd"}
    if ends:
        span = {"type": "endDate", "endDate": f"{start + timedelta(weeks=40):%Y-%m-%d}"}
    return {"pattern": {"type": "weekly", "daysOfWeek": [_DAYS[start.weekday()]]}, "range": span}


def _change_two(series: Item, around: datetime) -> None:
    """Its next two instances are held an hour later, in another room."""
    for one in list(series.instances(around, around + timedelta(days=14))):
        kept = one.kept()
        kept.start, kept.end = kept.start + timedelta(hours=1), kept.end + timedelta(hours=1)
        kept.fields["location"] = "Room 5"


def main(count: int) -> None:
    """Make the calendar and serve it."""
    pages = Pages(filled(count, datetime.now(UTC)))
    calendar = {
        "id": "primary",
        "name": "Calendar",
        "isDefaultCalendar": True,
        "canEdit": True,
        "owner": {"name": "Dana Reyes", "address": ME},
    }
    others = {"calendars": {"value": [calendar]}, "automaticRepliesSetting": {"status": "disabled"}}

    def answer(path: str, query: Query, headers: Message) -> bytes:
        name = path.rpartition("/")[2]
        if name != "delta":
            return json.dumps(others[name]).encode()
        asked = re.search(r"odata\.maxpagesize=(\d+)", headers["Prefer"])
        size = min(int(asked[1]), MOST) if asked else USUAL
        at = pages.count if "$deltatoken" in query else int(query.get("$skiptoken", ["0"])[0])
        return pages.page(f"http://{headers['Host']}{path}", at, size)

    serve(answer)


if __name__ == "__main__":
    main(int(sys.argv[1]))
