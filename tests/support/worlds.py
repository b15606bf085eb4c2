"""Any calendars, people and rules, drawn by Hypothesis: what properties of the decision are held against."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from rules.fields import Pattern
from rules.match import Silence, SilenceMatch
from rules.model import (
    Account,
    Address,
    Attendance,
    Attendee,
    Contact,
    Encounter,
    Held,
    Identity,
    Met,
    Occurrence,
    PartStat,
    Snapshot,
    Status,
)
from rules.policy import Policy
from tests.support.meetings import AL, BO, JO, ME, NOW, account, meeting, owner, policy, rule, snapshot, step

HOUR = timedelta(hours=1)

RULES = (
    rule(
        {"unconfirmed": {"tentative": "counts", "min_age": "1h"}},
        step("ask", "confirm", "9h before start", "3h before start", repeat_every="2h"),
        step("move", "reschedule", "2h before start"),
        step("tell", "notify", "30m before start"),
        name="ask",
        inhibited_by=["clash", "no"],
        group_by="contact",
    ),
    rule({"unconfirmed": {"by": "me"}}, step("tell", "notify", "5h before start"), name="mine"),
    rule(
        {"declined": {"grace": "1h"}},
        step("move", "reschedule", "9h before start"),
        step("label", "mark", "4h before start", label="declined"),
        name="no",
    ),
    rule(
        {"cancelled": {"grace": "1h"}},
        step("move", "reschedule", "9h before start", "3h after end"),
        step("tell", "notify", "8h before start", "3h after end"),
        name="gone",
    ),
    rule(
        {"missed": {"presume": ["never_confirmed"]}},
        step("offer", "reschedule", "15m after end", "4h after end"),
        step("again", "reschedule", "2h after end", "9h after end", repeat_every="1h", at_most=3),
        name="miss",
    ),
    rule("unaccounted", step("check", "check_in", "10m after end", "3h after end"), name="check"),
    rule(
        {"conflict": {"keep": ["account:acme"], "travel": "30m"}},
        step("move", "reschedule", "7d before start", "1h before start"),
        name="clash",
    ),
    rule("away", step("move", "reschedule", "8h before start"), name="away", mode="draft"),
    rule(
        {"silent": {"at_least": "2h"}},
        step("write", "reschedule", "at end", "20h after end"),
        name="quiet",
        group_by="contact",
    ),
    rule({"ending": {"within": "6h"}}, step("tell", "webhook", "9h before start", webhook="crm"), name="end"),
)
"""Every question, with every kind of step and ladder."""

OTHERS: tuple[Address, ...] = (JO, BO, AL)


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    """All questions, under some silences, opt-outs and quiet hours."""
    quiet = draw(st.sampled_from([None, "20:00-08:00", "12:00-14:00"]))
    guard: dict[str, Any] = {"quiet_hours": quiet, "first_sync": draw(st.sampled_from(["quiet", "act"]))}
    asked = policy(*RULES, **guard)
    silences = draw(st.lists(st.sampled_from(["ask", "c*", "quiet"]), max_size=1))
    return asked.model_copy(
        update={
            "silences": tuple(
                Silence(id=1, match=SilenceMatch.model_validate({"rule": name}), until=NOW + 3 * HOUR)
                for name in silences
            ),
            "optouts": tuple(Pattern.parse(one) for one in draw(st.lists(st.just(str(AL)), max_size=1))),
        }
    )


KINDS: tuple[dict[str, Any], ...] = (
    {},
    {},
    {"created": NOW - timedelta(minutes=20)},
    {"time_changed_at": NOW - 5 * HOUR},
    {"location": "Room 4"},
    {"conference": "abc-mnop-xyz"},
    {"location": "Dock 3", "account": "own"},
    {"organizer": None, "transparent": True},
    {"recurring": True, "final": True},
    {"organizer": BO, "me": PartStat.ACCEPTED},
    {"organizer": BO, "me": PartStat.NEEDS_ACTION},
    {"organizer": BO, "me": PartStat.DECLINED},
    {"organizer": BO, "me": PartStat.ACCEPTED, "status": Status.CANCELLED, "cancelled_at": NOW - HOUR / 2},
    {"organizer": BO, "me": PartStat.ACCEPTED, "status": Status.CANCELLED, "sequence": 1},
    {
        "organizer": BO,
        "me": PartStat.ACCEPTED,
        "status": Status.CANCELLED,
        "cancelled_at": NOW - 3 * HOUR,
        "removed_at": NOW - 3 * HOUR,
    },
    {"status": Status.CANCELLED},
    {"title": "[away]", "organizer": None, "people": {}},
)
"""What kinds of meetings there are."""

_PEOPLE = st.dictionaries(st.sampled_from(OTHERS), st.sampled_from(list(PartStat)), min_size=1, max_size=2)
_SEEN = st.sampled_from([None, NOW - timedelta(minutes=40), NOW - 5 * HOUR])


@st.composite
def meetings(draw: st.DrawFn) -> Occurrence:
    """A meeting within half a day of NOW, or an absence."""
    kind = draw(st.sampled_from(KINDS))
    people = kind.get("people", draw(_PEOPLE))
    one = meeting(
        draw(st.sampled_from(["a", "b", "c", "d", "e"])),
        starts=draw(st.integers(-8, 16)) / 2,
        lasts=draw(st.sampled_from([0.5, 1, 2])),
        people=people,
        **{"account": draw(st.sampled_from(["acme", "own"]))}
        | {key: value for key, value in kind.items() if key not in {"me", "people"}},
    )
    answered = draw(_SEEN)
    attendees = [replace(person, answered_at=answered) for person in one.attendees]
    if "me" in kind:
        attendees.append(Attendee(address=ME, partstat=kind["me"]))
    return replace(one, attendees=tuple(attendees))


@st.composite
def contacts(draw: st.DrawFn, some: tuple[Occurrence, ...]) -> dict[Address, Contact]:
    """The people of meetings past, met every hour or two before, and what came since."""
    lasts = {
        person.address: one
        for one in some
        for person in one.attendees
        if one.end_utc <= NOW and person.address != ME
    }
    found = {}
    for who, last in lasts.items():
        held = draw(st.integers(2, 4))
        end = (last.end_utc - NOW) / HOUR
        before = [_met(end - 1.5 * back, Met.HELD) for back in reversed(range(held))]
        after = [_met(end + 0.5, what) for what in draw(st.lists(_SIGNALS, max_size=3))]
        written: tuple[datetime, ...] = (NOW,) if draw(st.booleans()) else ()
        found[who] = Contact(address=who, encounters=(*before, *after), last=last, written=written)
    return found


_SIGNALS = st.sampled_from([Met.MISSED, Met.DECLINED, Met.UNANSWERED])


def _met(hours: float, what: Met) -> Encounter:
    return Encounter(identity=Identity(uid=f"{what}{hours}"), at=NOW + hours * HOUR, met=what)


KNOWN: tuple[dict[str, Any], ...] = (
    {},
    {},
    {"time_zone": "Asia/Tokyo"},
    {"rsvp_trusted": False},
    {"mode": "approve"},
    {"records_within": timedelta(minutes=40)},
    {"first_seen_at": NOW - HOUR},
)
"""What is special about an account."""


@st.composite
def accounts(draw: st.DrawFn) -> dict[str, Account]:
    """Both accounts, of two clients in two zones, perhaps not long known, perhaps not to be trusted."""
    return {
        name: account(
            name,
            client=name.title(),
            **draw(st.sampled_from(KNOWN)),
        )
        for name in ("acme", "own")
    }


@st.composite
def snapshots(draw: st.DrawFn) -> Snapshot:
    """Some meetings and what is known of them and their people."""
    found = {one.key: one for one in draw(st.lists(meetings(), min_size=2, max_size=6))}
    some = tuple(found.values())
    words = st.dictionaries(st.sampled_from(["a", "b", "c"]), st.sampled_from(list(Held)), max_size=2)
    held, recorded = draw(words), draw(words)
    return snapshot(
        *some,
        owner=owner("Europe/Lisbon"),
        accounts=draw(accounts()),
        attendance={uid: Attendance(held=value, source="word", at=NOW) for uid, value in held.items()},
        records={uid: Attendance(held=value, source="calls", at=NOW) for uid, value in recorded.items()},
        contacts=draw(contacts(some)),
    )


def seen(one: Snapshot, now: datetime) -> Snapshot:
    """The same, every account just read."""
    return replace(one, accounts={name: replace(each, seen_at=now) for name, each in one.accounts.items()})
