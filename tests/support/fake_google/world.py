"""Everything Google knows: people, their calendars, mailboxes and calls; and what people do there by hand."""

from __future__ import annotations

import copy
import itertools
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

from tests.support.fake_google.events import Body, Calendar, Item, private_part, shared_part
from tests.support.fake_google.faults import Effect, Fault
from tests.support.fake_google.oauth import OAuth
from tests.support.fake_google.series import instance_id, starts
from tests.support.fake_google.times import When, instant, length, when
from tests.support.wire import Request


@dataclass
class User:
    """A person with a Google account. ``id`` is what Meet and the directory call them."""

    google: FakeGoogle
    email: str
    name: str
    id: str
    listed: list[Body] = field(default_factory=list)
    list_version: int = 0

    @property
    def primary(self) -> Calendar:
        """Their own calendar."""
        return self.google.calendars[self.email]

    def calendar(
        self, summary: str, *, zone: str = "Europe/Lisbon", name: str = "", **entry: Any
    ) -> Calendar:
        """A further calendar of theirs, on their list."""
        name = name or f"c_{self.google.new_id()}@group.calendar.google.com"
        made = Calendar(self.google, name, self, summary, zone, {self.email: "owner"})
        self.google.calendars[name] = made
        self.subscribe(made, "owner", **entry)
        return made

    def subscribe(self, calendar: Calendar, role: str, **entry: Any) -> None:
        """Put somebody's calendar on the list. Further fields as in a CalendarListEntry."""
        calendar.roles[self.email] = role
        self.list_version = self.google.tick()
        usual: Body = {"kind": "calendar#calendarListEntry", "id": calendar.id, "colorId": "14"}
        usual |= {"selected": True, "defaultReminders": [], "_version": self.list_version}
        self.listed = [each for each in self.listed if each["id"] != calendar.id] + [usual | entry]

    def unsubscribe(self, calendar: Calendar) -> None:
        """Take a calendar off the list; what was theirs to see is theirs no more."""
        calendar.roles.pop(self.email, None)
        self.list_version = self.google.tick()
        for each in self.listed:
            if each["id"] == calendar.id:
                each |= {"deleted": True, "_version": self.list_version}


@dataclass
class Notice:
    """One mail Google sent to a guest: ``kind`` is invitation, update, cancellation or answer."""

    to: str
    kind: str
    event: str
    by: str


class FakeGoogle:
    """The state and its knobs.

    ``now`` is the server's clock. ``moves_reset_answers``: a change of time puts guests back to
    needsAction. ``foreign_token_status`` answers a sync or page token of another query. ``limit`` is
    how many requests a user may make in a minute (None: any). ``compress`` answers in gzip where asked.
    ``by_hand`` listens to ``/_fake/``. ``problems`` collects what must never happen; the context manager
    raises them at its end.
    """

    def __init__(self, now: Callable[[], datetime] | None = None) -> None:
        from tests.support.fake_google.gmail import Mail
        from tests.support.fake_google.meet import Meet

        self.root = ""
        self.now = now or (lambda: datetime.now(UTC))
        self.lock = threading.RLock()
        self.stopping = threading.Event()
        self.users: dict[str, User] = {}
        self.calendars: dict[str, Calendar] = {}
        self.requests: list[Request] = []
        self.faults: list[Fault] = []
        self.problems: list[str] = []
        self.notices: list[Notice] = []
        self.connections = 0
        self.clients: list[Any] = []
        self.moves_reset_answers = True
        self.foreign_token_status = 400
        self.limit: int | None = None
        self.recent: dict[str, list[datetime]] = {}
        self.compress = True
        self.by_hand = False
        self.oauth = OAuth(self)
        self.mail = Mail(self)
        self.meet = Meet(self)
        self._ticks = itertools.count(1)
        self._ids = itertools.count(1)

    def tick(self) -> int:
        """The next version of the world."""
        return next(self._ticks)

    def new_id(self) -> str:
        """A fresh id in base32hex letters."""
        return f"ev{next(self._ids):024d}"

    def user(self, email: str, name: str = "", *, zone: str = "Europe/Lisbon") -> User:
        """A person, with a primary calendar and a mailbox."""
        number = str(100_000_000_000_000_000_000 + len(self.users) + 1)
        made = User(self, email, name or email.partition("@")[0].title(), number)
        self.users[email] = made
        calendar = Calendar(self, email, made, email, zone, {email: "owner"})
        self.calendars[email] = calendar
        made.subscribe(calendar, "owner", primary=True)
        return made

    def fail(
        self,
        route: str,
        effect: Effect,
        *,
        times: int | None = 1,
        after: int = 0,
        page: int | None = None,
        when: Callable[[Request], bool] | None = None,
    ) -> Fault:
        """Make a route (``calendar.events.list``, ``gmail.*``, ``token``) go wrong; None times: for ever."""
        made = Fault(route, effect, times, after, page, when)
        self.faults.append(made)
        return made

    def heal(self) -> None:
        """No more faults."""
        self.faults.clear()

    def count(self, route: str, **query: str) -> int:
        """How many requests a route had, with these query parameters if given."""
        return len(self.seen(route, **query))

    def seen(self, route: str, **query: str) -> list[Request]:
        """The requests of a route, with these query parameters if given."""
        wanted = query.items()
        return [
            each
            for each in self.requests
            if each.route == route and all(each.one(name) == value for name, value in wanted)
        ]

    def copies(self, event_id: str) -> list[tuple[Calendar, Item]]:
        """Every copy of an event or instance, the organiser's first."""
        with self.lock:
            found = [(calendar, calendar.find(event_id)) for calendar in self.calendars.values()]
            some = [(calendar, item) for calendar, item in found if item is not None]
            if not some:
                raise KeyError(event_id)
            return sorted(some, key=lambda pair: pair[1].body.get("organizer", {}).get("email") != pair[0].id)

    def instance(self, event_id: str, start: datetime | date) -> str:
        """The id of the instance of a series that was to start then."""
        return instance_id(event_id, when(start))

    def amend(self, calendar: Calendar, item: Item, body: Body) -> Item:
        """Give a copy another body, as its organiser may; every other copy follows."""
        before = item.body
        timed = ("start", "end", "recurrence")
        moved = any(before.get(name) != body.get(name) for name in timed)
        if moved:
            body["sequence"] = before.get("sequence", 0) + 1
            if self.moves_reset_answers:
                for guest in body.get("attendees", ()):
                    if guest["email"] != body["organizer"]["email"]:
                        guest["responseStatus"] = "needsAction"
        kept = calendar.keep(body)
        if shared_part(before) != shared_part(body):
            self.propagate(calendar, kept)
        if moved and (kept.recurring or "recurrence" in before):
            self._prune(kept)
        return kept

    def _prune(self, master: Item) -> None:
        """Exceptions of instances that a changed series does not have any more go."""
        for calendar, item in self.copies(master.id):
            for each in list(calendar.items.values()):
                if each.body.get("recurringEventId") != item.id or each.cancelled:
                    continue
                if not _has(calendar, item, each.body["originalStartTime"]):
                    calendar.bury(each, "organizer")

    def propagate(self, calendar: Calendar, item: Item) -> None:
        """Carry the shared fields of a copy to every other one, and to guests who have none yet."""
        guests = {guest["email"] for guest in item.body.get("attendees", ())}
        organizer = item.body.get("organizer", {}).get("email")
        for other in list(self.calendars.values()):
            if other is calendar:
                continue
            mine = other.find(item.id)
            same = mine is not None and mine.body.get("iCalUID") == item.body.get("iCalUID")
            invited = other.id in guests or other.id == organizer
            if same and mine is not None and (not invited or item.cancelled):
                if not mine.cancelled:
                    other.bury(other.keep(copy.deepcopy(mine.body)), "organizer")
            elif invited and not (same and mine is not None and mine.removed_by == "self"):
                own = (
                    private_part(mine.body)
                    if same and mine is not None
                    else {"reminders": {"useDefault": True}}
                )
                other.keep(_joined(shared_part(item.body), own))

    def answer(self, event_id: str, who: str, status: str, comment: str = "") -> None:
        """A guest answers; ``event_id`` may be an instance's."""
        with self.lock:
            calendar, item = self.copies(event_id)[0]
            body = copy.deepcopy(item.body)
            guests = {guest["email"]: guest for guest in body.get("attendees", ())}
            guest = guests[who]
            guest["responseStatus"] = status
            if comment:
                guest["comment"] = comment
            self.propagate(calendar, calendar.keep(body))

    def move(self, event_id: str, start: datetime | date, end: datetime | date | None = None) -> None:
        """The organiser gives an event or one instance another time; without ``end`` it stays as long."""
        with self.lock:
            calendar, item = self.copies(event_id)[0]
            body = copy.deepcopy(item.body)
            span = length(body["start"], body["end"], calendar.time_zone)
            zone = body["start"].get("timeZone", "")
            body["start"] = when(start, zone)
            body["end"] = when(start + span if end is None else end, zone)
            self.amend(calendar, item, body)

    def edit(self, event_id: str, **fields: Any) -> None:
        """The organiser changes other fields; None takes one away."""
        with self.lock:
            calendar, item = self.copies(event_id)[0]
            body = copy.deepcopy(item.body) | {
                name: each for name, each in fields.items() if each is not None
            }
            for name in [name for name, each in fields.items() if each is None]:
                body.pop(name, None)
            self.amend(calendar, item, body)

    def cancel(self, event_id: str) -> None:
        """The organiser cancels an event, or one instance of a series."""
        with self.lock:
            for calendar, item in self.copies(event_id):
                if not item.cancelled:
                    calendar.bury(_kept(calendar, item), "organizer")

    def delete_own_copy(self, event_id: str, who: str) -> None:
        """A guest removes the event from their calendar; the others see them decline."""
        with self.lock:
            calendar = self.calendars[who]
            item = calendar.find(event_id)
            if item is None:
                raise KeyError(event_id)
            guests = [guest["email"] for guest in item.body.get("attendees", ())]
            calendar.bury(_kept(calendar, item), "self")
            if who in guests and len(self.copies(event_id)) > 1:
                self.answer(event_id, who, "declined")

    def purge(self, event_id: str) -> None:
        """Tombstones disappear in the end, and the events' other copies with them."""
        with self.lock:
            for calendar, item in self.copies(event_id):
                calendar.items.pop(item.id, None)

    def notify(self, item: Item, kind: str, send: str | None, by: str) -> None:
        """Google mails the guests, as ``sendUpdates`` asks."""
        if send not in ("all", "externalOnly"):
            return
        guests = item.body.get("attendees", ()) if kind != "answer" else [item.body["organizer"]]
        for guest in guests:
            inside = guest["email"] in self.users
            skipped = guest.get("resource") or guest["email"] == by or (send == "externalOnly" and inside)
            if not skipped:
                self.notices.append(Notice(guest["email"], kind, item.id, by))


def _has(calendar: Calendar, master: Item, original: When) -> bool:
    """Whether a series has an instance with this original start."""
    wanted = instant(original, calendar.time_zone)
    for start in starts(master.body, calendar.time_zone) if master.recurring else ():
        if instant(start, calendar.time_zone) >= wanted:
            return instant(start, calendar.time_zone) == wanted
    return False


def _kept(calendar: Calendar, item: Item) -> Item:
    return calendar.keep(copy.deepcopy(item.body)) if item.plain else item


def _joined(shared: Body, own: Body) -> Body:
    made = shared | {name: value for name, value in own.items() if name != "extendedProperties"}
    properties = shared.get("extendedProperties", {}) | own.get("extendedProperties", {})
    return made | ({"extendedProperties": properties} if properties else {})


__all__ = ["FakeGoogle", "Notice", "User", "When"]
