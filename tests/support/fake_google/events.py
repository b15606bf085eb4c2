"""Events as Google keeps them: one copy in each guest's calendar, shared fields equal, private ones not."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tests.support.fake_google.series import instance_id, starts
from tests.support.fake_google.times import When, instant, length, shown, stamp, when

if TYPE_CHECKING:
    from tests.support.fake_google.world import FakeGoogle, User

Body = dict[str, Any]

OWN = ("colorId", "eventLabelId", "reminders", "transparency", "visibility")
"""Fields that belong to one copy, besides ``extendedProperties.private``."""

_BUSY_ONLY = ("kind", "etag", "id", "status", "start", "end", "iCalUID", "created", "updated", "eventType",
              "recurringEventId", "originalStartTime", "recurrence", "transparency")  # fmt: skip
"""What is left of a private event for those who may only know when it is."""


@dataclass
class Item:
    """One copy of one event. ``removed_by`` is ``organizer`` or ``self`` once it is cancelled.

    ``version`` counts the world's changes; ``serial`` is its place in lists. ``plain`` marks an instance
    that is not kept: it exists as long as its series says so.
    """

    body: Body
    serial: int
    version: int = 0
    removed_by: str = ""
    plain: bool = False

    @property
    def id(self) -> str:
        """Google's id of it, the same in every copy."""
        return str(self.body["id"])

    @property
    def cancelled(self) -> bool:
        """Whether only a tombstone is left."""
        return bool(self.body["status"] == "cancelled")

    @property
    def recurring(self) -> bool:
        """Whether it is a series."""
        return "recurrence" in self.body


@dataclass
class Calendar:
    """One calendar: its events by id, and who may do what with it (role by user)."""

    google: FakeGoogle
    id: str
    owner: User
    summary: str
    time_zone: str
    roles: dict[str, str]
    items: dict[str, Item] = field(default_factory=dict)
    oldest: int = 0
    version: int = 0
    gone: bool = False
    busy_visible: bool = True

    def event(
        self,
        summary: str,
        start: datetime | When | Any,
        end: datetime | When | Any,
        attendees: dict[str, str] | list[Body] | None = None,
        recurrence: list[str] | None = None,
        *,
        organizer: str = "",
        **fields: Any,
    ) -> str:
        """Put an event here as people do, and a copy with every guest who is a user; its id.

        Guests as ``{address: responseStatus}`` or whole entries. ``organizer`` may be somebody who is
        no user. ``conference`` is a meeting code. Other fields as Google names them.
        """
        body: Body = {"summary": summary, "start": _when(start), "end": _when(end)}
        if attendees:
            body["attendees"] = (
                [{"email": who, "responseStatus": how} for who, how in attendees.items()]
                if isinstance(attendees, dict)
                else copy.deepcopy(attendees)
            )
        if recurrence:
            body["recurrence"] = list(recurrence)
        if "conference" in fields:
            body |= conference(fields.pop("conference"))
        if organizer:
            body["organizer"] = {"email": organizer}
        return self.insert(body | fields).id

    def insert(self, body: Body) -> Item:
        """Keep a new event and hand copies to its guests."""
        google = self.google
        made = copy.deepcopy(body)
        made.setdefault("id", google.new_id())
        now = stamp(google.now())
        organizer = made.setdefault("organizer", {"email": self.id})
        if organizer["email"] in google.users:
            organizer.setdefault("displayName", google.users[organizer["email"]].name)
        elif organizer["email"] == self.id:
            organizer.setdefault("displayName", self.summary)
        defaults: Body = {
            "kind": "calendar#event",
            "status": "confirmed",
            "htmlLink": f"https://www.google.com/calendar/event?eid={made['id']}",
            "created": now,
            "updated": now,
            "creator": {"email": self.owner.email if organizer["email"] == self.id else organizer["email"]},
            "iCalUID": f"{made['id']}@google.com",
            "sequence": 0,
            "reminders": {"useDefault": True},
            "eventType": "default",
        }
        made = defaults | made
        for moment in ("start", "end"):
            if "dateTime" in made[moment]:
                made[moment].setdefault("timeZone", self.time_zone)
        item = self.keep(made)
        google.propagate(self, item)
        return item

    def keep(self, body: Body) -> Item:
        """Keep a body as it is; version and ETag are new."""
        item = self.items.get(body["id"])
        if item is None:
            item = self.items[body["id"]] = Item(body, serial=self.google.tick())
        item.body, item.plain = body, False
        if not item.cancelled:
            item.removed_by = ""
        self.touch(item)
        return item

    def touch(self, item: Item) -> None:
        """It changed: new version, new ETag, new ``updated``."""
        item.version = self.version = self.google.tick()
        item.body["etag"] = f'"{3_181_161_784_712_000 + item.version * 2000}"'
        item.body["updated"] = stamp(self.google.now())
        for guest in item.body.get("attendees", ()):
            guest.setdefault("responseStatus", "needsAction")

    def bury(self, item: Item, by: str) -> None:
        """Cancel this copy; ``by`` is ``organizer`` or ``self``. A series takes its exceptions along."""
        item.body["status"], item.removed_by = "cancelled", by
        self.touch(item)
        for each in list(self.items.values()):
            if each.body.get("recurringEventId") == item.id and not each.cancelled:
                self.bury(each, by)

    def find(self, event_id: str) -> Item | None:
        """An event, an exception, or an instance of a series that is not kept by itself."""
        kept = self.items.get(event_id)
        if kept is not None or not re.search(r"_\d{8}(T\d{6}Z)?$", event_id):
            return kept
        master = self.items.get(event_id.rpartition("_")[0])
        if master is None or not master.recurring:
            return None
        for start in starts(master.body, self.time_zone):
            made = instance_id(master.id, start)
            if made == event_id:
                return self.instance(master, start)
            if made > event_id:
                return None
        return None

    def instance(self, master: Item, start: When) -> Item:
        """The instance of a series with this original start: its exception, or what the series says."""
        name = instance_id(master.id, start)
        if name in self.items:
            return self.items[name]
        body = copy.deepcopy(master.body)
        del body["recurrence"]
        body |= {"id": name, "recurringEventId": master.id, "originalStartTime": start}
        body["start"] = copy.deepcopy(start)
        span = length(master.body["start"], master.body["end"], self.time_zone)
        body["end"] = later(start, span, self.time_zone)
        return Item(body, master.serial, master.version, master.removed_by, plain=True)

    def instances(self, master: Item, low: datetime | None, high: datetime) -> Iterator[Item]:
        """All instances of a series begun before ``high``, by original start, cancelled ones too."""
        for start in starts(master.body, self.time_zone):
            begin = instant(start, self.time_zone)
            if begin >= high:
                return
            item = self.instance(master, start)
            if low is None or instant(item.body["end"], self.time_zone) > low:
                yield item

    def forget_tokens(self) -> None:
        """Every sync token given so far is answered 410."""
        self.oldest = self.google.tick()


def later(start: When, span: Any, zone: str) -> When:
    """The EventDateTime ``span`` after another."""
    if "date" in start:
        return {"date": (datetime.fromisoformat(start["date"]) + span).date().isoformat()}
    end = (instant(start, zone).astimezone(UTC) + span).astimezone(instant(start, zone).tzinfo)
    return when(end, start.get("timeZone", ""))


def _when(value: Any) -> When:
    return copy.deepcopy(value) if isinstance(value, dict) else when(value)


def conference(code: str) -> Body:
    """The fields of an event that is held in Google Meet."""
    address = f"https://meet.google.com/{code}"
    return {
        "hangoutLink": address,
        "conferenceData": {
            "conferenceId": code,
            "conferenceSolution": {"key": {"type": "hangoutsMeet"}, "name": "Google Meet"},
            "entryPoints": [{"entryPointType": "video", "uri": address, "label": f"meet.google.com/{code}"}],
        },
    }


def private_part(body: Body) -> Body:
    """What of a copy is its own."""
    made = {name: body[name] for name in OWN if name in body}
    private = body.get("extendedProperties", {}).get("private")
    return made | ({"extendedProperties": {"private": private}} if private else {})


def shared_part(body: Body) -> Body:
    """What of a copy every copy has."""
    made = copy.deepcopy({name: value for name, value in body.items() if name not in OWN})
    properties = made.pop("extendedProperties", {})
    if properties.get("shared"):
        made["extendedProperties"] = {"shared": properties["shared"]}
    return made


def view(calendar: Calendar, item: Item, viewer: str, zone: str, most: int | None, *, bare: bool) -> Body:
    """An event as one user sees it in one calendar. ``bare`` leaves what tombstones are sure to have."""
    body = item.body
    if item.cancelled and (bare or not _keeps_details(calendar, item)):
        made = {name: body[name] for name in ("kind", "etag", "id", "status")}
        if "recurringEventId" in body:
            made["recurringEventId"] = body["recurringEventId"]
            made["originalStartTime"] = shown(body["originalStartTime"], zone)
        return made
    made = copy.deepcopy(body)
    for name in ("start", "end", "originalStartTime"):
        if name in made:
            made[name] = shown(made[name], zone)
    for name in ("organizer", "creator"):
        if made.get(name, {}).get("email") == calendar.id:
            made[name]["self"] = True
    role = calendar.roles.get(viewer, "owner")
    if role == "freeBusyReader" or (
        role == "reader" and made.get("visibility") in ("private", "confidential")
    ):
        return {name: made[name] for name in _BUSY_ONLY if name in made} | {"visibility": "private"}
    _guests(calendar, made, most)
    return made


def _guests(calendar: Calendar, made: Body, most: int | None) -> None:
    guests = made.get("attendees", [])
    organizer = made.get("organizer", {}).get("email")
    for guest in guests:
        if guest["email"] == calendar.id:
            guest["self"] = True
        if guest["email"] == organizer:
            guest["organizer"] = True
    hidden = made.get("guestsCanSeeOtherGuests") is False and organizer != calendar.id
    if hidden or (most is not None and len(guests) > most):
        made["attendees"] = [guest for guest in guests if guest.get("self")]
        made["attendeesOmitted"] = True
        if not made["attendees"]:
            del made["attendees"]


def _keeps_details(calendar: Calendar, item: Item) -> bool:
    """Deleted events keep their details with the organiser, and where the guest removed them by hand."""
    return item.removed_by == "self" or item.body.get("organizer", {}).get("email") == calendar.id
