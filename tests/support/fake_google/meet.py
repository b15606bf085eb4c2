"""Meet v2: who was in which call, when."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from tests.support.fake_google.call import Call, decode, encode, fingerprint, serves
from tests.support.fake_google.errors import GoogleError, not_found
from tests.support.fake_google.times import is_rfc3339, parse, stamp

if TYPE_CHECKING:
    from tests.support.fake_google.world import FakeGoogle, User

_KEPT = timedelta(days=30)
_CLAUSE = re.compile(
    r'\s*([a-z_.]+)\s*(?:(=|!=|<=|>=|<|>)\s*"([^"]*)"|(IS\s+NULL|IS\s+NOT\s+NULL))\s*(AND\s+|$)',
    re.IGNORECASE,
)
Session = tuple[datetime, "datetime | None"]


@dataclass
class Participant:
    """One party of a call, and when they were there."""

    name: str
    who: dict[str, Any]
    sessions: list[Session]

    def json(self) -> dict[str, Any]:
        """As the API shows them."""
        made = {
            "name": self.name,
            "earliestStartTime": stamp(min(start for start, _ in self.sessions)),
        } | self.who
        ends = [end for _, end in self.sessions]
        return made if None in ends else made | {"latestEndTime": stamp(max(end for end in ends if end))}


@dataclass
class Record:
    """One call in a space. ``seen_by`` are the users who may read it."""

    google: FakeGoogle
    name: str
    code: str
    space: str
    start: datetime
    end: datetime | None
    seen_by: set[str]
    participants: list[Participant] = field(default_factory=list)

    def signed_in(self, who: User | str, *sessions: Session, user_id: str = "") -> Participant:
        """Somebody with an account; without sessions they were there all the time."""
        name = who if isinstance(who, str) else who.name
        number = user_id or (str(900_000 + self.google.tick()) if isinstance(who, str) else who.id)
        return self._add({"signedinUser": {"user": f"users/{number}", "displayName": name}}, sessions)

    def anonymous(self, name: str, *sessions: Session) -> Participant:
        """Somebody without an account, under a name of their choice."""
        return self._add({"anonymousUser": {"displayName": name}}, sessions)

    def phone(self, number: str, *sessions: Session) -> Participant:
        """Somebody by telephone."""
        return self._add({"phoneUser": {"displayName": number}}, sessions)

    def _add(self, who: dict[str, Any], sessions: tuple[Session, ...]) -> Participant:
        name = f"{self.name}/participants/{self.google.tick()}"
        made = Participant(name, who, list(sessions) or [(self.start, self.end)])
        self.participants.append(made)
        return made

    def json(self) -> dict[str, Any]:
        """As the API shows it."""
        made = {"name": self.name, "space": self.space, "startTime": stamp(self.start)}
        if self.end is not None:
            made |= {"endTime": stamp(self.end), "expireTime": stamp(self.end.astimezone(UTC) + _KEPT)}
        return made


class Meet:
    """All calls; a record is gone 30 days after its end."""

    def __init__(self, google: FakeGoogle) -> None:
        self.google = google
        self.records: list[Record] = []

    def record(
        self, code: str, owner: str, start: datetime, end: datetime | None = None, *others: str
    ) -> Record:
        """A call under a meeting code, readable by its owner and ``others``; no ``end``: still going on."""
        name = f"conferenceRecords/rec-{self.google.tick()}"
        space = f"spaces/sp{code.replace('-', '')}"
        made = Record(self.google, name, code, space, start, end, {owner, *others})
        self.records.append(made)
        return made

    def visible(self, user: str) -> list[Record]:
        """What a user may read now, latest first."""
        now = self.google.now()
        kept = [each for each in self.records if each.end is None or each.end.astimezone(UTC) + _KEPT > now]
        return sorted(
            (each for each in kept if user in each.seen_by), key=lambda each: each.start, reverse=True
        )


@serves("meet.conferenceRecords.list")
def list_records(call: Call) -> dict[str, Any]:
    """A page of records, latest first."""
    found = []
    for record in call.google.meet.visible(call.user.email):
        values: dict[str, Any] = {"space.meeting_code": record.code, "space.name": record.space}
        values |= {"start_time": record.start, "end_time": record.end}
        if _holds(call.get("filter", ""), values):
            found.append(record.json())
    return _page(call, "conferenceRecords", found, 25, 100)


@serves("meet.conferenceRecords.get")
def get_record(call: Call) -> dict[str, Any]:
    """One record."""
    return _record(call, call.args["name"]).json()


@serves("meet.conferenceRecords.participants.list")
def list_participants(call: Call) -> dict[str, Any]:
    """A page of a call's parties, last to join first."""
    record = _record(call, call.args["parent"])
    found = []
    for each in sorted(record.participants, key=lambda each: min(s for s, _ in each.sessions), reverse=True):
        told = each.json()
        ends = {"latest_end_time": parse(told["latestEndTime"]) if "latestEndTime" in told else None}
        if _holds(call.get("filter", ""), ends | {"earliest_start_time": parse(told["earliestStartTime"])}):
            found.append(told)
    total = {"totalSize": len(found)} if found and "fields" in call.args else {}
    return _page(call, "participants", found, 100, 250) | total


@serves("meet.conferenceRecords.participants.get")
def get_participant(call: Call) -> dict[str, Any]:
    """One party."""
    return _participant(call, call.args["name"]).json()


@serves("meet.conferenceRecords.participants.participantSessions.list")
def list_sessions(call: Call) -> dict[str, Any]:
    """A page of one party's comings and goings, latest first."""
    participant = _participant(call, call.args["parent"])
    found = []
    for number, (start, end) in sorted(
        enumerate(participant.sessions), key=lambda each: each[1][0], reverse=True
    ):
        if _holds(call.get("filter", ""), {"start_time": start, "end_time": end}):
            told = {"name": f"{participant.name}/participantSessions/{number}", "startTime": stamp(start)}
            found.append(told | ({"endTime": stamp(end)} if end else {}))
    return _page(call, "participantSessions", found, 100, 250)


@serves("meet.spaces.get")
def get_space(call: Call) -> dict[str, Any]:
    """A space by its name or its meeting code."""
    wanted = call.args["name"]
    for record in call.google.meet.visible(call.user.email):
        if wanted in (record.space, f"spaces/{record.code}"):
            address = f"https://meet.google.com/{record.code}"
            return {"name": record.space, "meetingCode": record.code, "meetingUri": address}
    raise not_found()


def _record(call: Call, name: str) -> Record:
    for record in call.google.meet.visible(call.user.email):
        if record.name == name:
            return record
    raise GoogleError(403, "forbidden", "Permission denied on resource (or it might not exist).")


def _participant(call: Call, name: str) -> Participant:
    record = _record(call, "/".join(name.split("/")[:2]))
    for each in record.participants:
        if each.name == name:
            return each
    raise not_found()


def _page(call: Call, name: str, found: list[dict[str, Any]], usual: int, most: int) -> dict[str, Any]:
    """A page; a list that is empty is left out, as proto JSON does."""
    query = fingerprint(call.args, "pageToken", "pageSize", "fields", "prettyPrint", "alt")
    place: dict[str, Any] = {"query": query}
    if "pageToken" in call.args:
        place = decode(call.args["pageToken"], "pageToken")
    if place.get("query") != query:
        raise GoogleError(400, "invalid", "Request contains an invalid argument.")
    offset, size = place.get("offset", 0), min(call.get("pageSize") or usual, most)
    answer: dict[str, Any] = {name: found[offset : offset + size]} if found[offset : offset + size] else {}
    if offset + size < len(found):
        answer["nextPageToken"] = encode(
            {"query": query, "offset": offset + size, "page": place.get("page", 1) + 1}
        )
    return answer


def _holds(text: str, values: dict[str, Any]) -> bool:
    """Whether a filter is true of some values. Raises GoogleError for what is no filter."""
    held, place = True, 0
    while place < len(text.rstrip()):
        match = _CLAUSE.match(text, place)
        if match is None or match[1] not in values:
            raise GoogleError(400, "invalid", f"Invalid filter: {text}")
        held = _clause(match, values[match[1]], text) and held
        place = match.end()
        if not match[5] and place < len(text.rstrip()):
            raise GoogleError(400, "invalid", f"Invalid filter: {text}")
    return held


def _clause(match: re.Match[str], value: Any, text: str) -> bool:
    if match[4]:
        return (value is None) == ("NOT" not in match[4].upper())
    given: Any = match[3]
    if not match[1].startswith("space."):
        if not is_rfc3339(given):
            raise GoogleError(400, "invalid", f"Invalid filter: {text}")
        given = parse(given)
    elif match[2] != "=":
        raise GoogleError(400, "invalid", f"Invalid filter: {text}")
    if value is None:
        return False
    compared: dict[str, bool] = {
        "=": value == given,
        "!=": value != given,
        "<": value < given,
        ">": value > given,
        "<=": value <= given,
        ">=": value >= given,
    }
    return compared[match[2]]
