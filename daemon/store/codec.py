"""Occurrence ↔ text, exact both ways.

Wall time and zone name are kept, so that a change of a zone's rules moves the instant, not the
meeting. What the columns beside the text already say (key, href, etag, when it was read) is left out,
so that two texts are equal exactly when nothing a rule could look at has changed.
"""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from rules.model import (
    Address,
    Attendee,
    CuType,
    Interval,
    Occurrence,
    OccurrenceKey,
    PartStat,
    Role,
    Status,
    Timing,
)

_FOLD = "~"
_dump = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode


def encode_time(at: datetime) -> str:
    """``2026-03-02T09:00:00 Europe/Lisbon``; ``~`` marks the second of two equal wall times."""
    zone = at.tzinfo
    if zone is UTC:
        return at.isoformat()
    key = getattr(zone, "key", None)
    if key is None:
        return at.isoformat()
    wall = at.replace(tzinfo=None).isoformat()
    return f"{wall}{_FOLD if at.fold else ''} {key}"


def decode_time(value: str) -> datetime:
    """What :func:`encode_time` was given; a zone without a name comes back as its fixed offset."""
    wall, _, key = value.partition(" ")
    if not key:
        return datetime.fromisoformat(wall)
    if wall.endswith(_FOLD):
        return datetime.fromisoformat(wall[:-1]).replace(tzinfo=ZoneInfo(key), fold=1)
    return datetime.fromisoformat(wall).replace(tzinfo=ZoneInfo(key))


def _encode_attendee(who: Attendee) -> list[Any]:
    """Trailing fields that hold their default are dropped."""
    values: list[Any] = [who.address, who.name, who.partstat]
    rare = (
        who.role,
        who.cutype,
        who.delegated_to,
        None if who.answered_at is None else encode_time(who.answered_at),
    )
    if who.proposed is not None:
        values.extend((*rare, [encode_time(who.proposed.start), encode_time(who.proposed.end)]))
    elif rare != (Role.REQUIRED, CuType.INDIVIDUAL, None, None):
        values.extend(rare)
    return values


def _decode_attendee(values: list[Any]) -> Attendee:
    address, name, partstat, *rare = values
    if not rare:
        return Attendee(address=Address(address), name=name, partstat=PartStat(partstat))
    role, cutype, delegated_to, answered_at, *proposed = rare
    return Attendee(
        address=Address(address),
        name=name,
        partstat=PartStat(partstat),
        role=Role(role),
        cutype=CuType(cutype),
        delegated_to=None if delegated_to is None else Address(delegated_to),
        answered_at=None if answered_at is None else decode_time(answered_at),
        proposed=Interval(*map(decode_time, proposed[0])) if proposed else None,
    )


_PLAIN: tuple[tuple[str, Any], ...] = (
    ("title", ""),
    ("timing", Timing.TIMED),
    ("status", Status.CONFIRMED),
    ("transparent", False),
    ("private", False),
    ("recurring", False),
    ("organizer", None),
    ("organizer_name", ""),
    ("sequence", 0),
    ("location", ""),
    ("categories", ()),
    ("final", False),
    ("away", False),
    ("guests_hidden", False),
    ("rsvp", True),
    ("conference", ""),
)
_TIMES = (
    "created",
    "modified",
    "time_changed_at",
    "appeared_at",
    "relabelled_at",
    "cancelled_at",
    "removed_at",
)


def encode(occurrence: Occurrence) -> str:
    """The occurrence as text. Fields that hold their default are left out."""
    record: dict[str, Any] = {
        "start": encode_time(occurrence.start),
        "end": encode_time(occurrence.end),
        "tzid": occurrence.tzid,
    }
    for name, default in _PLAIN:
        value = getattr(occurrence, name)
        if value != default:
            record[name] = value
    if occurrence.attendees:
        record["attendees"] = [_encode_attendee(who) for who in occurrence.attendees]
    for name in _TIMES:
        at = getattr(occurrence, name)
        if at is not None:
            record[name] = encode_time(at)
    return _dump(record)


def decode(
    record: str, *, key: OccurrenceKey, href: str, etag: str, observed_at: datetime | None
) -> Occurrence:
    """The occurrence that :func:`encode` was given, with what the columns beside the text say."""
    values: dict[str, Any] = json.loads(record)
    values["start"] = decode_time(values["start"])
    values["end"] = decode_time(values["end"])
    if "timing" in values:
        values["timing"] = Timing(values["timing"])
    if "status" in values:
        values["status"] = Status(values["status"])
    if "attendees" in values:
        values["attendees"] = tuple(_decode_attendee(who) for who in values["attendees"])
    if "categories" in values:
        values["categories"] = tuple(values["categories"])
    for name in _TIMES:
        if name in values:
            values[name] = decode_time(values[name])
    return Occurrence(key=key, href=href, etag=etag, observed_at=observed_at, **values)


def carry_over(new: Occurrence, old: Occurrence, now: datetime) -> Occurrence:
    """``new`` with the times of change that only memory can tell.

    A start or end that differs from ``old`` was moved now; an attendee whose PARTSTAT differs, or who asks
    for another time, answered now; what is CANCELLED and was not before was cancelled now; everything else
    keeps what was known of it.
    """
    moved = (new.start_utc, new.end_utc) != (old.start_utc, old.end_utc)
    time_changed_at = new.time_changed_at or (now if moved else old.time_changed_at)
    before = {who.address: who for who in old.attendees}
    attendees = tuple(_answered(who, before.get(who.address), now) for who in new.attendees)
    relabelled = (new.title, new.categories) != (old.title, old.categories)
    return replace(
        new,
        time_changed_at=time_changed_at,
        relabelled_at=now if relabelled else old.relabelled_at,
        appeared_at=new.appeared_at or old.appeared_at,
        cancelled_at=_cancelled_at(new, old, now),
        attendees=attendees,
    )


def _cancelled_at(new: Occurrence, old: Occurrence, now: datetime) -> datetime | None:
    if new.status is not Status.CANCELLED:
        return None
    return new.cancelled_at or (old.cancelled_at if old.status is Status.CANCELLED else now)


def _answered(who: Attendee, before: Attendee | None, now: datetime) -> Attendee:
    if before is None or who.answered_at is not None:
        return who
    same = who.partstat is before.partstat and who.proposed in {None, before.proposed}
    answered_at = before.answered_at if same else now
    return who if answered_at is None else replace(who, answered_at=answered_at)
