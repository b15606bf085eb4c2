"""A small validator over the discovery schemas, and the ``fields`` selector."""

from __future__ import annotations

import base64
import binascii
import re
from datetime import date
from typing import Any

from tests.support.fake_google.discovery import Schema, document
from tests.support.fake_google.errors import GoogleError
from tests.support.fake_google.times import is_rfc3339

_ALWAYS: dict[str, tuple[str, ...]] = {
    "Events": ("kind", "etag", "summary", "updated", "timeZone", "accessRole", "items"),
    "Event": ("kind", "etag", "id", "status"),
    "EventAttendee": ("email", "responseStatus"),
    "Calendar": ("kind", "etag", "id", "summary", "timeZone"),
    "CalendarList": ("kind", "etag", "items"),
    "CalendarListEntry": ("kind", "etag", "id"),
    "FreeBusyResponse": ("kind", "timeMin", "timeMax", "calendars"),
    "FreeBusyCalendar": ("busy",),
    "Message": ("id",),
    "Draft": ("id", "message"),
    "Profile": ("emailAddress",),
    "Label": ("id", "name"),
    "ConferenceRecord": ("name", "startTime", "space"),
    "Participant": ("name", "earliestStartTime"),
    "ParticipantSession": ("name", "startTime"),
}
"""What every answer has; the discovery documents do not say so."""

_WORDS: dict[tuple[str, str], frozenset[str]] = {
    ("Event", "status"): frozenset({"confirmed", "tentative", "cancelled"}),
    ("Event", "transparency"): frozenset({"opaque", "transparent"}),
    ("Event", "visibility"): frozenset({"default", "public", "private", "confidential"}),
    ("Event", "eventType"): frozenset(
        {"default", "birthday", "focusTime", "fromGmail", "outOfOffice", "workingLocation"}
    ),
    ("EventAttendee", "responseStatus"): frozenset({"needsAction", "declined", "tentative", "accepted"}),
    ("Events", "accessRole"): frozenset({"freeBusyReader", "reader", "writer", "owner"}),
    ("CalendarListEntry", "accessRole"): frozenset({"freeBusyReader", "reader", "writer", "owner"}),
}
"""Vocabularies that stand in descriptions only."""


def problems(value: Any, name: str, api: str, *, answer: bool = True) -> list[str]:
    """What is wrong with a value as the schema ``name`` of an API, each with its place."""
    return list(_check(value, {"$ref": name}, api, name, "", answer=answer))


def _check(value: Any, schema: Schema, api: str, at: str, owner: str, *, answer: bool) -> list[str]:
    if "$ref" in schema:
        owner = schema["$ref"]
        schema = document(api)["schemas"][owner]
    kind = schema.get("type", "any")
    if kind == "any":
        return []
    if kind == "array":
        if not isinstance(value, list):
            return [f"{at} is not an array"]
        inner = schema["items"]
        return [
            found
            for index, each in enumerate(value)
            for found in _check(each, inner, api, f"{at}[{index}]", owner, answer=answer)
        ]
    if kind == "object":
        return _check_object(value, schema, api, at, owner, answer=answer)
    local = not answer and schema.get("format") == "date-time"
    return _check_scalar(value, schema | ({"format": ""} if local else {}), at)


def _check_object(value: Any, schema: Schema, api: str, at: str, owner: str, *, answer: bool) -> list[str]:
    if not isinstance(value, dict):
        return [f"{at} is not an object"]
    known = schema.get("properties", {})
    found: list[str] = []
    for name, each in value.items():
        inner = known.get(name) or schema.get("additionalProperties")
        if inner is None:
            found.append(f"{at}.{name} is unknown")
        elif each is None:
            found += [f"{at}.{name} is null"] if answer else []
        else:
            found += _check(each, inner, api, f"{at}.{name}", "", answer=answer)
            words = _WORDS.get((schema.get("id", ""), name))
            if words is not None and each not in words:
                found.append(f"{at}.{name} is {each!r}")
    if answer:
        found += [
            f"{at}.{name} is missing" for name in _ALWAYS.get(schema.get("id", ""), ()) if name not in value
        ]
        found += _whole(value, schema.get("id", ""), at)
    return found


def _whole(value: Schema, name: str, at: str) -> list[str]:
    """What holds between the fields of one object."""
    if name == "Events" and "nextPageToken" in value and "nextSyncToken" in value:
        return [f"{at} has both tokens"]
    if name == "Event" and value.get("status") != "cancelled":
        wanted = ("start", "end", "iCalUID", "created", "updated")
        return [f"{at}.{each} is missing" for each in wanted if each not in value]
    if name == "Event" and "recurringEventId" in value and "originalStartTime" not in value:
        return [f"{at} is an instance without originalStartTime"]
    if name == "EventDateTime" and ("date" in value) == ("dateTime" in value):
        return [f"{at} has not exactly one of date and dateTime"]
    if name == "Participant" and sum(each.endswith("User") for each in value) != 1:
        return [f"{at} is not exactly one kind of user"]
    return []


def _check_scalar(value: Any, schema: Schema, at: str) -> list[str]:
    kind, form = schema["type"], schema.get("format", "")
    right: dict[str, tuple[type, ...]] = {"string": (str,), "boolean": (bool,), "integer": (int,)}
    if not isinstance(value, right.get(kind, (int, float))) or (
        kind in ("integer", "number") and isinstance(value, bool)
    ):
        return [f"{at} is not a {kind}: {value!r}"]
    if "enum" in schema and value not in schema["enum"]:
        return [f"{at} is {value!r}"]
    if not _formed(value, form):
        return [f"{at} is no {form}: {value!r}"]
    return []


def _formed(value: Any, form: str) -> bool:
    if form in ("date-time", "google-datetime"):
        return is_rfc3339(value)
    if form == "date":
        try:
            date.fromisoformat(value)
        except ValueError:
            return False
    if form in ("int64", "uint64"):
        return re.fullmatch(r"-?\d+", value) is not None
    if form == "int32":
        return bool(-(2**31) <= value < 2**31)
    if form == "uint32":
        return bool(0 <= value < 2**32)
    if form == "byte":
        try:
            base64.urlsafe_b64decode(value + "=" * (-len(value) % 4))
        except (binascii.Error, ValueError):
            return False
    return True


Mask = dict[str, "Mask"]
"""Selected fields; an empty mask selects everything below."""


def mask(text: str) -> Mask:
    """A ``fields`` selector, ``items(id,start/dateTime),nextPageToken``. Raises GoogleError."""
    tokens = re.findall(r"[A-Za-z_*][\w\-]*|\*|[(),/]", text)
    if "".join(tokens) != re.sub(r"\s", "", text):
        raise _bad(text)
    made, rest = _mask(tokens, text)
    if rest:
        raise _bad(text)
    return made


def _mask(tokens: list[str], text: str) -> tuple[Mask, list[str]]:
    made: Mask = {}
    while True:
        path: list[str] = []
        while tokens and tokens[0] not in ("(", ")", ","):
            if tokens[0] != "/":
                path.append(re.sub(r"_([a-z])", lambda found: found[1].upper(), tokens[0]))
            tokens = tokens[1:]
        if not path:
            raise _bad(text)
        inner: Mask = {}
        if tokens and tokens[0] == "(":
            inner, tokens = _mask(tokens[1:], text)
            if not tokens or tokens[0] != ")":
                raise _bad(text)
            tokens = tokens[1:]
        node = made
        for name in path[:-1]:
            node = node.setdefault(name, {})
        node.setdefault(path[-1], {}).update(inner)
        if not tokens or tokens[0] != ",":
            return made, tokens
        tokens = tokens[1:]


def select(value: Any, chosen: Mask, schema: Schema, api: str, text: str) -> Any:
    """The selected part of an answer. Raises GoogleError for a field its schema does not have."""
    if "$ref" in schema:
        schema = document(api)["schemas"][schema["$ref"]]
    if not chosen or "*" in chosen:
        return value
    if schema.get("type") == "array":
        return [select(each, chosen, schema["items"], api, text) for each in value]
    known = schema.get("properties", {})
    made = {}
    for name, inner in chosen.items():
        below = known.get(name) or schema.get("additionalProperties")
        if below is None:
            raise _bad(name)
        _known(inner, below, api)
        if name in value:
            made[name] = select(value[name], inner, below, api, text)
    return made


def _known(chosen: Mask, schema: Schema, api: str) -> None:
    """Complain about selected fields that no answer could have, even where this one has none."""
    if "$ref" in schema:
        schema = document(api)["schemas"][schema["$ref"]]
    if schema.get("type") == "array":
        _known(chosen, schema["items"], api)
        return
    for name, inner in chosen.items():
        below = schema.get("properties", {}).get(name) or schema.get("additionalProperties")
        if below is None and name != "*":
            raise _bad(name)
        if below is not None:
            _known(inner, below, api)


def _bad(text: str) -> GoogleError:
    return GoogleError(
        400, "invalidParameter", f"Invalid field selection {text.partition(',')[0]}", location="fields"
    )
