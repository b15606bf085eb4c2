"""Meetings as the rules see them, in any number, of six accounts and some years of habits."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

from rules.hours import WorkingHours, zone
from rules.model import (
    Account,
    Address,
    Attendee,
    CalendarRef,
    CalendarSeen,
    CuType,
    Occurrence,
    OccurrenceKey,
    Owner,
    PartStat,
    Snapshot,
)

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
ME = Address("dana@va.example")
OWNER = Owner(name="Dana Reyes", addresses=(ME,), hours=WorkingHours(zone="Europe/Lisbon"))
ACCOUNTS = {
    name: Account(name=name, client=client, seen_at=NOW, first_seen_at=NOW - timedelta(days=400))
    for name, client in (
        ("acme", "Acme"),
        ("globex", "Globex"),
        ("initech", "Initech"),
        ("hooli", "Hooli"),
        ("umbra", None),
        ("own", None),
    )
}
CALENDARS = {
    CalendarRef(account=name, id=f"https://dav.{name}.example/dana/{number}/"): CalendarSeen(
        name=called, seen_at=NOW
    )
    for name in ACCOUNTS
    for number, called in enumerate(("Work", "Client calls"))
}
_PEOPLE = [
    Address(f"{name}{number or ''}@{domain}.example")
    for number in range(40)
    for name in ("jo", "bo", "al", "sam", "cy", "di")
    for domain in ("acme", "globex", "initech", "hooli", "umbra")
]
_WHAT = (
    "Kickoff",
    "Review",
    "1:1 with",
    "Workshop",
    "Internal workshop",
    "Stand-up",
    "Interview",
    "Planning",
)
_ABOUT = [f"{word} {number}" for number in range(3000) for word in ("phase", "budget", "website", "launch")]
_WHERE = ("", "", "Online", "Phone", "Room 4", "Meeting room 12", "https://meet.example/abc")
_LABELS = (
    (),
    (),
    ("billable",),
    ("Billable", "travel"),
    ("paid-march",),
    ("private",),
    ("paid-april", "private"),
)
_ZONES = ("Europe/Lisbon", "Europe/Lisbon", "Europe/Berlin", "America/New_York", "UTC")
_MEETINGS_A_SERIES = 12


def meetings(count: int) -> tuple[Occurrence, ...]:
    """So many; two thirds are instances of series, which share all but their time."""
    choice = random.Random(1)
    found: list[Occurrence] = []
    while len(found) < count:
        recurring = choice.random() < 0.15
        found += _series(choice, len(found), _MEETINGS_A_SERIES if recurring else 1)
    return tuple(found[:count])


def snapshot(subjects: tuple[Occurrence, ...]) -> Snapshot:
    """These meetings and the six accounts, all just read."""
    return Snapshot(owner=OWNER, accounts=ACCOUNTS, subjects=subjects, calendars=CALENDARS)


def record(one: Occurrence) -> dict[str, Any]:
    """The meeting as plain data, with every hard question already answered."""
    local = one.start.astimezone(zone(OWNER.zone))
    others = [each.address for each in one.attendees if each.address != ME]
    if one.organizer and one.organizer != ME and one.organizer not in others:
        others.append(one.organizer)
    things = {each.address for each in one.attendees if each.cutype is CuType.ROOM}
    calendar = one.key.calendar
    return {
        "account": calendar.account,
        "calendar": CALENDARS[calendar].name.lower(),
        "client": ACCOUNTS[calendar.account].client or "",
        "organizer": str(one.organizer or ""),
        "mine": one.organizer == ME or (one.organizer is None and bool(one.attendees)),
        "others": [str(address) for address in others],
        "people": sum(address not in things for address in others),
        "title": one.title.lower(),
        "location": one.location.lower(),
        "categories": [label.lower() for label in one.categories],
        "minutes": round((one.end_utc - one.start_utc).total_seconds() / 60),
        "weekday": local.weekday(),
        "clock": local.hour * 60 + local.minute,
        "recurring": one.recurring,
    }


def _series(choice: random.Random, number: int, length: int) -> list[Occurrence]:
    people = choice.sample(_PEOPLE, choice.choice((1, 1, 1, 2, 3, 5)))
    organizer = choice.choice((ME, ME, people[0], None))
    answers = [(address, choice.choice(list(PartStat)), CuType.INDIVIDUAL) for address in people]
    if choice.random() < 0.1:
        answers.append((Address("room-4@acme.example"), PartStat.ACCEPTED, CuType.ROOM))
    home = zone(choice.choice(_ZONES))
    first = (NOW + timedelta(minutes=15 * choice.randrange(-2880, 8640))).astimezone(home)
    lasts = timedelta(minutes=choice.choice((15, 30, 30, 45, 60, 90)))
    calendar, what, about = choice.choice(list(CALENDARS)), choice.choice(_WHAT), choice.choice(_ABOUT)
    where, labels = choice.choice(_WHERE), choice.choice(_LABELS)
    made = []
    for week in range(length):  # each with texts of its own, as they come out of a store
        start = first + timedelta(days=7 * week)
        instance = f"{start.astimezone(UTC):%Y%m%dT%H%M%SZ}" if length > 1 else None
        made.append(
            Occurrence(
                key=OccurrenceKey(calendar=calendar, uid=f"meeting-{number}", recurrence_id=instance),
                start=start,
                end=start + lasts,
                title=f"{what} {about}",
                organizer=organizer,
                attendees=tuple(
                    Attendee(address=Address(f"{address}"), partstat=answer, cutype=kind)
                    for address, answer, kind in answers
                ),
                location=where,
                categories=labels,
                recurring=length > 1,
                created=NOW - timedelta(days=60),
                observed_at=NOW,
            )
        )
    return made
