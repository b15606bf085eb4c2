"""What an Outlook event means (Microsoft Graph v1.0): its JSON → the fields of an occurrence.

Exchange names a meeting by its global object id, which differs for each instance of a series by four bytes of
date, and in which the UID of an invitation from elsewhere is wrapped ([MS-OXOCAL] section 2.2.1.27,
[MS-OXCICAL] section 2.1.3.1.1.20.26). The answers of others are told to the organiser alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from connectors.ical import Details
from connectors.ical_zones import UTC_ZONE, Zone, known_zone
from rules.model import Address, Attendee, CuType, Interval, PartStat, Role, Status, Timing

Json = dict[str, Any]

KEPT = (
    "id,type,iCalUId,seriesMasterId,originalStart,subject,start,end,originalStartTimeZone,originalEndTimeZone,"
    "isAllDay,isCancelled,isOrganizer,organizer,attendees,responseStatus,responseRequested,hideAttendees,showAs,"
    "sensitivity,categories,createdDateTime,lastModifiedDateTime,location,onlineMeeting,recurrence,"
    "allowNewTimeProposals"
)
"""All that is kept of an event, and asked of it where there is a choice: no text, which can be long."""

_NAMES = frozenset((*KEPT.split(","), "@odata.etag"))
_INNER = {"location": "displayName", "onlineMeeting": "joinUrl"}
_GLOBAL_ID = bytes.fromhex("040000008200E00074C5B7101A82E008")
_FOREIGN = b"vCal-Uid\x01\x00\x00\x00"
_PARTSTAT = {
    "accepted": PartStat.ACCEPTED,
    "organizer": PartStat.ACCEPTED,
    "declined": PartStat.DECLINED,
    "tentativelyAccepted": PartStat.TENTATIVE,
}
_LOOKED_AT = datetime(2020, 1, 1, tzinfo=UTC)
_WEEKS = 52 * 12
_FREE = frozenset({"free", "workingElsewhere"})


@dataclass(frozen=True, slots=True)
class Mailbox:
    """Whose calendar it is: ``me`` is the address I am known by where it is mine, ``mine`` are all of them.

    ``alias`` is the address Exchange calls its owner by, which need not be one of those.
    """

    me: Address | None
    mine: frozenset[Address]
    alias: Address

    def is_me(self, address: Address) -> bool:
        """Whether that is the owner of the calendar, where it is mine."""
        return self.me is not None and (address == self.alias or address in self.mine)


def trimmed(event: Json) -> Json:
    """An event without what is not used."""
    kept = {name: value for name, value in event.items() if name in _NAMES and value not in (None, "", [])}
    for name, inner in _INNER.items():
        found = event.get(name)
        value = found.get(inner) if isinstance(found, dict) else None
        kept.pop(name, None)
        if value:
            kept[name] = {inner: value}
    return kept


def is_series(event: Json) -> bool:
    """Whether it stands for a series."""
    return event.get("type") == "seriesMaster"


def is_instance(event: Json) -> bool:
    """Whether it is one of a series that lies in the calendar itself."""
    return event.get("type") in {"occurrence", "exception"} and bool(event.get("seriesMasterId"))


def uid_of(event: Json) -> str:
    """The UID that the same meeting has in every calendar."""
    text = str(event.get("iCalUId") or event.get("id") or "").strip()
    data = _global_id(text)
    if data is None:
        return text
    own = data[40 : 40 + int.from_bytes(data[36:40], "little")]
    if own.startswith(_FOREIGN):
        foreign = own[len(_FOREIGN) :].split(b"\x00")[0].decode("utf-8", "replace")
        return foreign or text
    return (data[:16] + bytes(4) + data[20:]).hex().upper()


def instance_date(event: Json) -> date | None:
    """Of which day of a series it is, where I was invited to that one instance alone."""
    data = _global_id(str(event.get("iCalUId") or ""))
    if data is None or data[16:20] == bytes(4):
        return None
    try:
        return date(int.from_bytes(data[16:18], "big"), data[18], data[19])
    except ValueError:
        return None


def _global_id(text: str) -> bytes | None:
    try:
        data = bytes.fromhex(text)
    except ValueError:
        return None
    return data if data.startswith(_GLOBAL_ID) and len(data) >= 40 else None


def instant(when: Any) -> datetime:
    """A time of Graph's in UTC. Raises ValueError, KeyError and TypeError for what is none."""
    if isinstance(when, str):
        return datetime.fromisoformat(when).astimezone(UTC)
    at = datetime.fromisoformat(when["dateTime"])
    if at.tzinfo is None:
        name = when.get("timeZone") or "UTC"
        zone = known_zone(name)
        if zone is None:
            raise ValueError(f"no zone is called {name}")
        at = at.replace(tzinfo=zone)
    return at.astimezone(UTC)


def zone_of(event: Json, name: str, home_zone: str) -> Zone:
    """The zone it is kept in, under ``originalStartTimeZone`` or ``originalEndTimeZone``.

    One that no table knows is shown in ``home_zone`` and not believed.
    """
    if event.get("isAllDay"):
        return _home(home_zone, Timing.ALL_DAY)
    return _zone(str(event.get(name) or ""), home_zone)


@lru_cache(maxsize=1024)
def _zone(name: str, home_zone: str) -> Zone:
    if not name:
        return _home(home_zone, Timing.TIMED)
    found = known_zone(name)
    if found is None:
        return Zone(name, Timing.UNKNOWN_ZONE, ZoneInfo(home_zone))
    if found.key != name and _keep_the_same_time(found, ZoneInfo(home_zone)):
        # A Windows zone is that of several countries.
        return _home(home_zone, Timing.TIMED)
    return UTC_ZONE if found.key == "UTC" else Zone(found.key, Timing.TIMED, found)


def _keep_the_same_time(one: ZoneInfo, other: ZoneInfo) -> bool:
    """Whether the clocks of both have always shown the same, as far back as calendars are looked at."""
    days = (_LOOKED_AT + timedelta(days=7 * week) for week in range(_WEEKS))
    return all(day.astimezone(one).utcoffset() == day.astimezone(other).utcoffset() for day in days)


@lru_cache(maxsize=16)
def _home(name: str, timing: Timing) -> Zone:
    return Zone(name, timing, ZoneInfo(name))


def details(event: Json, mailbox: Mailbox) -> Details:
    """The fields as they stand in that mailbox's copy."""
    get = event.get
    own = bool(get("isOrganizer"))
    organizer = (get("organizer") or {}).get("emailAddress") or {}
    address = _address(organizer)
    guests = _guests(event, mailbox, organised=own)
    if own and mailbox.me is not None and address not in mailbox.mine:
        address = mailbox.me
    found = Details(
        title=_text(get("subject")),
        status=_status(event),
        transparent=get("showAs") in _FREE,
        private=get("sensitivity") in {"private", "confidential"},
        organizer=address if guests and address else None,
        organizer_name=str(organizer.get("name") or "") if guests else "",
        attendees=guests,
        sequence=0,
        created=_stamp(get("createdDateTime")),
        modified=_stamp(get("lastModifiedDateTime")),
        location=_text((get("location") or {}).get("displayName")),
        categories=tuple(str(one) for one in get("categories") or ()),
    )
    if get("showAs") == "oof" and mailbox.me is not None:
        found["away"] = True
    if not own and _hides(event, guests, mailbox, address):
        found["guests_hidden"] = True
    if get("responseRequested") is False:
        found["rsvp"] = False
    if own and (url := (get("onlineMeeting") or {}).get("joinUrl")):
        # Only its organiser may read who came.
        found["conference"] = str(url)
    return found


def _text(value: Any) -> str:
    """A text, empty where there is none. Raises TypeError for what is something else."""
    if value is not None and not isinstance(value, str):
        raise TypeError("not a text")
    return value or ""


def _status(event: Json) -> Status:
    if event.get("isCancelled"):
        return Status.CANCELLED
    return Status.TENTATIVE if event.get("showAs") == "tentative" else Status.CONFIRMED


def _guests(event: Json, mailbox: Mailbox, *, organised: bool) -> tuple[Attendee, ...]:
    """Who is invited; on a copy of somebody else's meeting my answer stands apart from the list."""
    answer = str((event.get("responseStatus") or {}).get("response") or "none")
    guests: list[Attendee] = []
    i_am_there = False
    for one in event.get("attendees") or ():
        who = one.get("emailAddress") or {}
        address = _address(who)
        if not address:
            continue
        said = str((one.get("status") or {}).get("response") or "none")
        if mailbox.is_me(address) and mailbox.me is not None:
            i_am_there = True
            address, said = (mailbox.me if address not in mailbox.mine else address), answer
        proposed = one.get("proposedNewTime") if organised else None
        guest = _guest(address, str(who.get("name") or ""), said, str(one.get("type") or ""))
        guests.append(guest if proposed is None else _with_proposal(guest, proposed))
    if not organised and not i_am_there and mailbox.me is not None and answer not in {"none", "organizer"}:
        # I was invited as one of a group.
        guests.append(Attendee(address=mailbox.me, partstat=_partstat(answer)))
    return tuple(guests)


@lru_cache(maxsize=4096)
def _guest(address: Address, name: str, answer: str, kind: str) -> Attendee:
    """One guest; the same people come again and again."""
    return Attendee(
        address=address,
        name=name if name.lower() != address else "",
        partstat=_partstat(answer),
        role=Role.OPTIONAL if kind == "optional" else Role.REQUIRED,
        cutype=CuType.RESOURCE if kind == "resource" else CuType.INDIVIDUAL,
    )


def _with_proposal(guest: Attendee, proposed: Json) -> Attendee:
    try:
        span = Interval(instant(proposed["start"]), instant(proposed["end"]))
    except (ValueError, KeyError, TypeError, OverflowError):
        return guest
    if span.start >= span.end:
        return guest
    return Attendee(
        address=guest.address,
        name=guest.name,
        partstat=guest.partstat,
        role=guest.role,
        cutype=guest.cutype,
        proposed=span,
    )


def _hides(event: Json, guests: tuple[Attendee, ...], mailbox: Mailbox, organizer: Address) -> bool:
    """Whether somebody else than its organiser was asked, too: what they said is not told to me."""
    if event.get("hideAttendees"):
        return True
    return any(
        one.cutype is CuType.INDIVIDUAL and one.address != organizer and not mailbox.is_me(one.address)
        for one in guests
    )


def _partstat(answer: str) -> PartStat:
    return _PARTSTAT.get(answer, PartStat.NEEDS_ACTION)


def _address(one: Json) -> Address:
    return Address(str(one.get("address") or "").strip().lower())


def _stamp(text: Any) -> datetime | None:
    try:
        at = datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, TypeError, OverflowError):
        return None
    return at if at.year > 1601 else None


__all__ = [
    "KEPT",
    "Json",
    "Mailbox",
    "details",
    "instance_date",
    "instant",
    "is_instance",
    "is_series",
    "trimmed",
    "uid_of",
    "zone_of",
]
