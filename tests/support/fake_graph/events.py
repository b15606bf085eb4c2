"""Events as Exchange keeps them: a copy in each mailbox, the instances of a series inside their master."""

from __future__ import annotations

import base64
import copy
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from tests.support.fake_graph.patterns import complete, days
from tests.support.fake_graph.times import placed
from tests.support.fake_graph.uids import GlobalId, foreign, new_global_id

if TYPE_CHECKING:
    from tests.support.fake_graph.world import FakeGraph, User

Json = dict[str, Any]

OWN = ("categories", "showAs", "isReminderOn", "reminderMinutesBeforeStart")
"""Fields that belong to one copy; nobody else sees them and no mail tells of them."""

USUAL: Json = {
    "subject": "",
    "body": "",
    "location": "",
    "importance": "normal",
    "sensitivity": "normal",
    "isCancelled": False,
    "responseRequested": True,
    "allowNewTimeProposals": True,
    "hideAttendees": False,
    "isDraft": False,
    "hasAttachments": False,
    "isOnlineMeeting": False,
    "onlineMeetingProvider": "unknown",
    "onlineMeeting": None,
    "onlineMeetingUrl": None,
    "categories": [],
    "showAs": "busy",
    "isReminderOn": True,
    "reminderMinutesBeforeStart": 15,
}


@dataclass
class Guest:
    """One who is invited, or who invites; ``response`` is what the organiser's copy knows of them."""

    address: str
    name: str
    kind: str = "required"
    response: str = "none"
    time: datetime | None = None
    proposed: tuple[datetime, datetime] | None = None


@dataclass
class Item:
    """One copy of one event, or of one instance of a series.

    ``version`` counts the world's changes, ``response`` is the answer of the mailbox's owner. Of a series,
    ``exceptions`` are the instances that differ and ``gone`` those that were taken out, by original day.
    Of an instance, ``master`` is its series and ``day`` its original day; ``plain`` marks one that is not
    kept, but is there as long as its series says so. An invitation to one instance alone has a day and no
    master.
    """

    calendar: Calendar
    id: str
    uid: GlobalId
    start: datetime
    end: datetime
    zone: str
    end_zone: str
    all_day: bool
    organizer: Guest
    guests: list[Guest]
    fields: Json
    created: datetime
    modified: datetime
    version: int
    response: str = "organizer"
    responded: datetime | None = None
    recurrence: Json | None = None
    transaction: str | None = None
    extended: dict[str, str] = field(default_factory=dict)
    exceptions: dict[date, Item] = field(default_factory=dict)
    gone: set[date] = field(default_factory=set)
    master: Item | None = None
    day: date | None = None
    plain: bool = False

    @property
    def kind(self) -> str:
        """Graph's ``type``."""
        if self.recurrence is not None:
            return "seriesMaster"
        if self.master is None:
            return "singleInstance"
        return "occurrence" if self.plain else "exception"

    @property
    def mine(self) -> bool:
        """Whether the owner of the calendar is the organiser."""
        return self.organizer.address.lower() in self.calendar.owner.addresses

    @property
    def root(self) -> Item:
        """What is kept in the calendar: the series of an instance, or itself."""
        return self.master or self

    @property
    def change_key(self) -> str:
        """The version as Exchange writes it; instances share their series'."""
        seed = b"FakeGraphMail" + self.root.version.to_bytes(6, "big")
        return base64.b64encode(seed).decode()

    @property
    def etag(self) -> str:
        """The version as HTTP writes it."""
        return f'W/"{self.change_key}"'

    def original(self, day: date) -> datetime:
        """When the instance of a day was to start."""
        return datetime.combine(day, self.start.time(), self.start.tzinfo)

    def has(self, day: date) -> bool:
        """Whether a series has an instance with this original day."""
        if self.recurrence is None or day in self.gone:
            return False
        return next((each for each in days(self.recurrence) if each >= day), None) == day

    def instance(self, day: date) -> Item:
        """The instance of a series with this original day: its exception, or what the series says."""
        if day in self.exceptions:
            return self.exceptions[day]
        start = self.original(day)
        return replace(
            self,
            id=self.calendar.graph.instance_id(self, day),
            start=start,
            end=start + (self.end.astimezone(self.start.tzinfo) - self.start),
            recurrence=None,
            transaction=None,
            exceptions={},
            gone=set(),
            master=self,
            day=day,
            plain=True,
        )

    def instances(self, low: datetime, high: datetime) -> Iterator[Item]:
        """All instances that touch a window: by original day, then those moved into it from behind."""
        assert self.recurrence is not None
        seen = set()
        for day in days(self.recurrence):
            if self.original(day) >= high:
                break
            seen.add(day)
            if day in self.gone:
                continue
            found = self.instance(day)
            if touches(found.start, found.end, low, high):
                yield found
        for day, each in sorted(self.exceptions.items()):
            if day not in seen and touches(each.start, each.end, low, high):
                yield each

    def neighbours(self, day: date) -> tuple[date | None, date | None]:
        """On which days the instances before and after the one of a day are held."""
        assert self.recurrence is not None
        before = after = None
        for each in days(self.recurrence):
            if each in self.gone or each == day:
                continue
            if each > day:
                after = self.instance(each).start.date()
                break
            before = self.instance(each).start.date()
        return before, after

    def kept(self) -> Item:
        """Itself, to be changed: a plain instance becomes an exception of its series."""
        if not self.plain or self.master is None or self.day is None:
            return self
        made = replace(
            self, plain=False, guests=copy.deepcopy(self.guests), fields=copy.deepcopy(self.fields)
        )
        self.master.exceptions[self.day] = made
        return made

    def touch(self) -> None:
        """It changed: new version, new ETag, new date. An instance's change is its series'."""
        graph = self.calendar.graph
        self.root.version = self.version = self.calendar.version = graph.tick()
        self.root.modified = self.modified = graph.now()

    def leave(self) -> None:
        """Go from the calendar."""
        if self.master is not None and self.day is not None:
            self.master.exceptions.pop(self.day, None)
            self.master.gone.add(self.day)
            self.master.touch()
            return
        self.calendar.items.pop(self.id)
        self.calendar.graves[self.id] = self.calendar.version = self.calendar.graph.tick()


@dataclass
class Calendar:
    """One calendar of one mailbox. ``graves`` are the ids of what was deleted, with the version of it.

    ``shared`` says who else may ``read`` or ``write`` it, by address.
    """

    graph: FakeGraph
    owner: User
    id: str
    name: str
    default: bool = False
    can_edit: bool = True
    color: str = "auto"
    shared: dict[str, str] = field(default_factory=dict)
    items: dict[str, Item] = field(default_factory=dict)
    graves: dict[str, int] = field(default_factory=dict)
    version: int = 0

    def share(self, address: str, role: str = "read") -> None:
        """Let somebody else in."""
        self.shared[address.lower()] = role

    def event(
        self,
        subject: str,
        start: datetime | date,
        end: datetime | date,
        attendees: dict[str, str | Json] | None = None,
        *,
        zone: str = "GMT Standard Time",
        recurrence: Json | None = None,
        organizer: str | None = None,
        uid: str = "",
        instance_of: date | None = None,
        transaction: str | None = None,
        **fields: Any,
    ) -> str:
        """Put an event here as people do, and a copy with every guest who is a user; its id here.

        Dates make it all day. Guests as ``{address: response}``, or with ``{"response", "type", "name"}`` for
        more. With another address as ``organizer`` this is a guest's copy and the only one; ``uid`` is then
        what the organiser's calendar elsewhere calls it. ``instance_of`` invites to the instance of that day
        alone. Other fields as Graph names them; ``body`` and ``location`` are text, an ``onlineMeeting``
        makes it one.
        """
        unknown = set(fields) - set(USUAL)
        if unknown:
            raise TypeError(f"no event has {', '.join(sorted(unknown))}")
        graph, whole_days = self.graph, not isinstance(start, datetime)
        number = graph.tick()
        begin, finish = placed(start, zone), placed(end, zone)
        made = Item(
            calendar=self,
            id=graph.new_id(),
            uid=foreign(uid) if uid else new_global_id(graph.now(), number),
            start=begin,
            end=finish,
            zone=zone,
            end_zone=zone,
            all_day=whole_days,
            organizer=graph.person(organizer or self.owner.email),
            guests=[_guest(graph, *each) for each in (attendees or {}).items()],
            fields=copy.deepcopy(USUAL) | {"subject": subject} | copy.deepcopy(fields),
            created=graph.now(),
            modified=graph.now(),
            version=number,
            recurrence=complete(recurrence, begin, zone) if recurrence else None,
            day=instance_of,
            transaction=transaction,
        )
        if made.fields["onlineMeeting"] and "isOnlineMeeting" not in fields:
            made.fields |= {"isOnlineMeeting": True, "onlineMeetingProvider": "teamsForBusiness"}
        if not made.mine:
            receive(made, made.guests, show="showAs" not in fields)
        self.keep(made)
        if made.mine:
            for guest in made.guests:
                deliver(made, guest)
        return made.id

    def keep(self, item: Item) -> None:
        """Put a new copy in."""
        self.items[item.id] = item
        self.version = item.version

    def find(self, event_id: str) -> Item | None:
        """An event, an exception, or an instance of a series that is not kept by itself."""
        if event_id in self.items:
            return self.items[event_id]
        master, day = self.graph.instances.get(event_id, (None, None))
        if master is None or day is None or self.items.get(master.id) is not master or not master.has(day):
            return None
        return master.instance(day)

    def view(self, low: datetime, high: datetime) -> Iterator[Item]:
        """Everything that touches a window, each series before its instances."""
        for item in list(self.items.values()):
            if item.recurrence is None:
                if touches(item.start, item.end, low, high):
                    yield item
                continue
            found = list(item.instances(low, high))
            if found:
                yield item
                yield from found


def _guest(graph: FakeGraph, address: str, given: str | Json) -> Guest:
    more: Json = {"response": given} if isinstance(given, str) else given
    made = graph.person(address)
    made.kind, made.name = more.get("type", "required"), more.get("name", made.name)
    made.response = more.get("response", "none")
    if made.response not in ("none", "notResponded", "organizer"):
        made.time = more.get("time", graph.now())
    return made


def receive(item: Item, guests: list[Guest], *, show: bool = True) -> None:
    """Make a copy a guest's: it knows nobody's answer but its owner's."""
    own = next((each for each in guests if each.address.lower() in item.calendar.owner.addresses), None)
    answered = own is not None and own.response not in ("none", "notResponded")
    item.response = own.response if own is not None and answered else "notResponded"
    item.responded = own.time if own is not None and answered else None
    item.guests = [replace(each, response="none", time=None, proposed=None) for each in guests]
    if show:
        item.fields["showAs"] = shown_as(item.response)


def shown_as(response: str) -> str:
    """What a guest's copy shows after an answer."""
    return {"accepted": "busy", "organizer": "busy", "declined": "free"}.get(response, "tentative")


def deliver(item: Item, guest: Guest) -> None:
    """Give a guest who is a user their copy of an organiser's event."""
    graph = item.calendar.graph
    user = graph.user_of(guest.address)
    if user is None or user is item.calendar.owner:
        return
    own = {name: copy.deepcopy(USUAL[name]) for name in OWN}
    made = replace(
        item,
        calendar=user.primary,
        id=graph.new_id(),
        fields=copy.deepcopy(item.fields) | own,
        version=graph.tick(),
        transaction=None,
        exceptions={},
        gone=set(item.gone),
    )
    receive(made, item.guests)
    if made.master is not None:
        made.master = None
    for day, each in item.exceptions.items():
        inside = replace(each, calendar=user.primary, master=made, id=graph.instance_id(made, day))
        inside.fields = copy.deepcopy(each.fields) | own
        receive(inside, each.guests)
        made.exceptions[day] = inside
    user.primary.keep(made)


def touches(start: datetime, end: datetime, low: datetime, high: datetime) -> bool:
    """Whether an event lies in a half-open window, at least in part."""
    return start < high and (end > low or start >= low)


def instance_id(master: str, day: date) -> str:
    """What Exchange calls the instance of a day, longer than its series' id."""
    seed = hashlib.sha256(f"{master} {day}".encode()).digest()[:24]
    return f"{master[:36]}{base64.urlsafe_b64encode(seed).decode()}AAAQ"


def item_id(kind: str, number: int) -> str:
    """An immutable id."""
    seed = hashlib.sha256(f"{kind} {number}".encode()).digest()[:24]
    return f"AAkALgAAAAAAHYQDEapmEc2byACqAC-EWg0A{base64.urlsafe_b64encode(seed).decode()}AAA="
