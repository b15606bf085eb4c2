"""Twenty ``match:`` blocks as owners write them, and the same conditions in four other languages.

The others look at a plain record of each meeting (see :func:`benchmarks.meetings.record`) in which the hard
questions are already answered: texts in lower case, minutes, weekday and clock in the owner's zone, the
addresses of the others. Each is written in the way that is quickest in its language.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Filters = list[dict[str, Any]]
"""Value filters of Cloud Custodian; all must hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """One condition in five languages."""

    name: str
    match: dict[str, Any]
    zen: str
    cel: str
    rule_engine: str
    custodian: Filters


def _value(key: str, op: str, value: object) -> dict[str, Any]:
    return {"type": "value", "key": key, "op": op, "value": value}


def _some(key: str, test: str) -> dict[str, Any]:
    """Some member of a list passes a test in JMESPath."""
    return {"type": "value", "key": f"{key}[?{test}]", "value": "not-null"}


CONDITIONS = (
    Condition(
        name="confirm-acme",
        match={
            "account": "acme",
            "organizer": "me",
            "title": {"contains": ["kickoff", "review"]},
            "attendee": "*@acme.example",
        },
        zen="account == 'acme' and mine and (contains(title, 'kickoff') or contains(title, 'review'))"
        " and some(others, endsWith(#, '@acme.example'))",
        cel="account == 'acme' && mine && (title.contains('kickoff') || title.contains('review'))"
        " && others.exists(a, a.endsWith('@acme.example'))",
        rule_engine="account == 'acme' and mine and ('kickoff' in title or 'review' in title)"
        " and $any([a.ends_with('@acme.example') for a in others])",
        custodian=[
            {"account": "acme"},
            {"mine": True},
            _value("title", "regex", ".*(kickoff|review)"),
            _some("others", "ends_with(@, '@acme.example')"),
        ],
    ),
    Condition(name="every-meeting", match={}, zen="true", cel="true", rule_engine="true", custodian=[]),
    Condition(
        name="client-calls",
        match={"calendar": "Client*", "organizer": "me"},
        zen="startsWith(calendar, 'client') and mine",
        cel="calendar.startsWith('client') && mine",
        rule_engine="calendar.starts_with('client') and mine",
        custodian=[_value("calendar", "glob", "client*"), {"mine": True}],
    ),
    Condition(
        name="long-for-acme",
        match={"client": "Acme", "duration": {"at_least": "60m"}},
        zen="client == 'Acme' and minutes >= 60",
        cel="client == 'Acme' && minutes >= 60",
        rule_engine="client == 'Acme' and minutes >= 60",
        custodian=[{"client": "Acme"}, _value("minutes", "gte", 60)],
    ),
    Condition(
        name="theirs",
        match={"client": ["Globex", "Initech"], "organizer": "them"},
        zen="client in ['Globex', 'Initech'] and not mine",
        cel="client in ['Globex', 'Initech'] && !mine",
        rule_engine="client in ['Globex', 'Initech'] and not mine",
        custodian=[_value("client", "in", ["Globex", "Initech"]), {"mine": False}],
    ),
    Condition(
        name="called-by-initech",
        match={"organizer": "*@initech.example"},
        zen="endsWith(organizer, '@initech.example')",
        cel="organizer.endsWith('@initech.example')",
        rule_engine="organizer.ends_with('@initech.example')",
        custodian=[_value("organizer", "glob", "*@initech.example")],
    ),
    Condition(
        name="one-to-one",
        match={"title": {"glob": "1:1 *"}},
        zen="startsWith(title, '1:1 ')",
        cel="title.startsWith('1:1 ')",
        rule_engine="title.starts_with('1:1 ')",
        custodian=[_value("title", "glob", "1:1 *")],
    ),
    Condition(
        name="workshops",
        match={"title": {"contains": "workshop", "not": "internal"}},
        zen="contains(title, 'workshop') and not contains(title, 'internal')",
        cel="title.contains('workshop') && !title.contains('internal')",
        rule_engine="'workshop' in title and not ('internal' in title)",
        custodian=[
            _value("title", "contains", "workshop"),
            {"not": [_value("title", "contains", "internal")]},
        ],
    ),
    Condition(
        name="mornings",
        match={"account": ["acme", "globex"], "weekday": "mon-thu", "hour": "09:00-12:00"},
        zen="account in ['acme', 'globex'] and weekday <= 3 and clock >= 540 and clock < 720",
        cel="account in ['acme', 'globex'] && weekday <= 3 && clock >= 540 && clock < 720",
        rule_engine="account in ['acme', 'globex'] and weekday <= 3 and clock >= 540 and clock < 720",
        custodian=[
            _value("account", "in", ["acme", "globex"]),
            _value("weekday", "lte", 3),
            _value("clock", "gte", 540),
            _value("clock", "lt", 720),
        ],
    ),
    Condition(
        name="friday-afternoons",
        match={"weekday": "fri", "hour": "14:00-18:00"},
        zen="weekday == 4 and clock >= 840 and clock < 1080",
        cel="weekday == 4 && clock >= 840 && clock < 1080",
        rule_engine="weekday == 4 and clock >= 840 and clock < 1080",
        custodian=[{"weekday": 4}, _value("clock", "gte", 840), _value("clock", "lt", 1080)],
    ),
    Condition(
        name="weekly-with-one",
        match={"recurring": True, "attendees": 1},
        zen="recurring and people == 1",
        cel="recurring && people == 1",
        rule_engine="recurring and people == 1",
        custodian=[{"recurring": True}, {"people": 1}],
    ),
    Condition(
        name="single-with-many",
        match={"recurring": False, "attendees": {"at_least": 3}},
        zen="not recurring and people >= 3",
        cel="!recurring && people >= 3",
        rule_engine="not recurring and people >= 3",
        custodian=[{"recurring": False}, _value("people", "gte", 3)],
    ),
    Condition(
        name="billable",
        match={"category": "billable", "organizer": "me"},
        zen="mine and some(categories, # == 'billable')",
        cel="mine && 'billable' in categories",
        rule_engine="mine and 'billable' in categories",
        custodian=[{"mine": True}, _value("categories", "contains", "billable")],
    ),
    Condition(
        name="paid-and-small",
        match={"category": "paid-*", "attendees": {"at_most": 5}},
        zen="people <= 5 and some(categories, startsWith(#, 'paid-'))",
        cel="people <= 5 && categories.exists(c, c.startsWith('paid-'))",
        rule_engine="people <= 5 and $any([c.starts_with('paid-') for c in categories])",
        custodian=[_value("people", "lte", 5), _some("categories", "starts_with(@, 'paid-')")],
    ),
    Condition(
        name="in-a-room",
        match={"location": "room", "organizer": "me"},
        zen="mine and contains(location, 'room')",
        cel="mine && location.contains('room')",
        rule_engine="mine and 'room' in location",
        custodian=[{"mine": True}, _value("location", "contains", "room")],
    ),
    Condition(
        name="short-calls",
        match={"location": {"any_of": ["online", "phone"]}, "duration": {"at_most": "15m"}},
        zen="minutes <= 15 and location in ['online', 'phone']",
        cel="minutes <= 15 && location in ['online', 'phone']",
        rule_engine="minutes <= 15 and location in ['online', 'phone']",
        custodian=[_value("minutes", "lte", 15), _value("location", "in", ["online", "phone"])],
    ),
    Condition(
        name="acme-matters",
        match={"client": "Acme", "any": [{"title": "kickoff"}, {"category": "billable"}]},
        zen="client == 'Acme' and (contains(title, 'kickoff') or some(categories, # == 'billable'))",
        cel="client == 'Acme' && (title.contains('kickoff') || 'billable' in categories)",
        rule_engine="client == 'Acme' and ('kickoff' in title or 'billable' in categories)",
        custodian=[
            {"client": "Acme"},
            {"or": [_value("title", "contains", "kickoff"), _value("categories", "contains", "billable")]},
        ],
    ),
    Condition(
        name="jo-or-globex",
        match={"attendee": ["jo@acme.example", "*@globex.example"], "not": {"title": "internal"}},
        zen="not contains(title, 'internal')"
        " and some(others, # == 'jo@acme.example' or endsWith(#, '@globex.example'))",
        cel="!title.contains('internal')"
        " && others.exists(a, a == 'jo@acme.example' || a.endsWith('@globex.example'))",
        rule_engine="not ('internal' in title) and ('jo@acme.example' in others"
        " or $any([a.ends_with('@globex.example') for a in others]))",
        custodian=[
            {"not": [_value("title", "contains", "internal")]},
            {
                "or": [
                    _value("others", "contains", "jo@acme.example"),
                    _some("others", "ends_with(@, '@globex.example')"),
                ]
            },
        ],
    ),
    Condition(
        name="two-clients-at-one-table",
        match={"all": [{"attendee": "*@acme.example"}, {"attendee": "*@initech.example"}]},
        zen="some(others, endsWith(#, '@acme.example')) and some(others, endsWith(#, '@initech.example'))",
        cel="others.exists(a, a.endsWith('@acme.example'))"
        " && others.exists(a, a.endsWith('@initech.example'))",
        rule_engine="$any([a.ends_with('@acme.example') for a in others])"
        " and $any([a.ends_with('@initech.example') for a in others])",
        custodian=[
            _some("others", "ends_with(@, '@acme.example')"),
            _some("others", "ends_with(@, '@initech.example')"),
        ],
    ),
    Condition(
        name="own-affairs",
        match={
            "account": "own",
            "any": [{"organizer": "them"}, {"recurring": True}],
            "not": {"category": "private"},
        },
        zen="account == 'own' and (not mine or recurring) and not some(categories, # == 'private')",
        cel="account == 'own' && (!mine || recurring) && !('private' in categories)",
        rule_engine="account == 'own' and (not mine or recurring) and not ('private' in categories)",
        custodian=[
            {"account": "own"},
            {"or": [{"mine": False}, {"recurring": True}]},
            {"not": [_value("categories", "contains", "private")]},
        ],
    ),
)
