"""The day that the demo plays: who meets whom, what happens when, and which mails must leave."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta

from daemon.demo.meeting import LISBON, Meeting, Person, Presence

DAY = date(2026, 3, 2)
"""A Monday."""

CALENDARS = {"acme": "Acme calls", "initech": "Initech calls", "umbrella": "Umbrella calls"}
"""Each account's one calendar."""

GOOGLE = "initech"
OUTLOOK = "umbrella"
"""The accounts that are at Google and at Microsoft; the other is on a CalDAV server."""

DANA = Person(name="Dana Reyes", address="dana@va.example")
JO = Person(name="Jo", address="jo@acme.example")
AL = Person(name="Al", address="al@acme.example")
BO = Person(name="Bo", address="bo@initech.example")
CY = Person(name="Cy", address="cy@initech.example")
DI = Person(name="Di", address="di@umbrella.example")


def at(clock: str, days: int = 0) -> datetime:
    """A wall time in Lisbon, so many days after the day of the story."""
    return datetime.combine(DAY + timedelta(days=days), time.fromisoformat(clock), LISBON)


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """A mail that must leave at its moment, once."""

    rule: str
    step: str
    to: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """A meeting that a rule leaves alone for now; the rule is asked why."""

    uid: str
    rule: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """Somebody opens the link in their last mail and picks one of its times, counted from 1.

    ``meeting`` is the one that moves there.
    """

    words: str
    who: Person
    choice: int
    meeting: Meeting


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """One point of the day: what people do, then one round of rebookd.

    ``deeds`` are told as they are done, each with the meeting as it is afterwards. ``call`` is one that is
    over: told in words, with its meeting and who was in it. ``visit`` is one to an answer page. ``restart``
    starts rebookd again on the same state file before the round.
    """

    at: datetime
    title: str
    deeds: tuple[tuple[str, Meeting], ...] = ()
    call: tuple[str, Meeting, tuple[Presence, ...]] | None = None
    expected: tuple[Expected, ...] = ()
    visit: Visit | None = None
    looks: tuple[Look, ...] = ()
    restart: bool = False


SYNC = Meeting(
    uid="weekly-sync@initech.example",
    account="initech",
    title="Weekly sync",
    start=at("09:00"),
    minutes=30,
    organizer=DANA,
    answers=((BO, "ACCEPTED"),),
    created=at("10:00", -12),
    code="bow-akes-upx",
)
RETRO = Meeting(
    uid="retro@initech.example",
    account="initech",
    title="Retrospective",
    start=at("11:00"),
    minutes=45,
    organizer=DANA,
    answers=((CY, "ACCEPTED"),),
    created=at("10:00", -10),
)
HANDOVER = Meeting(
    uid="handover@initech.example",
    account="initech",
    title="Handover",
    start=at("17:30"),
    minutes=30,
    organizer=DANA,
    answers=((CY, "NEEDS-ACTION"),),
    created=at("15:00", -6),
)
KICKOFF = Meeting(
    uid="kickoff@acme.example",
    account="acme",
    title="Project kickoff",
    start=at("10:00", 1),
    minutes=30,
    organizer=DANA,
    answers=((JO, "NEEDS-ACTION"),),
    created=at("16:00", -5),
)
BUDGET = Meeting(
    uid="budget@acme.example",
    account="acme",
    title="Budget review",
    start=at("11:00", 1),
    minutes=60,
    organizer=DANA,
    answers=((AL, "NEEDS-ACTION"),),
    created=at("16:30", -5),
)
PRICING = Meeting(
    uid="pricing@umbrella.example",
    account="umbrella",
    title="Pricing call",
    start=at("14:00", 2),
    minutes=30,
    organizer=DANA,
    answers=((DI, "ACCEPTED"),),
    created=at("11:00", -9),
)
ROADMAP = Meeting(
    uid="roadmap@acme.example",
    account="acme",
    title="Roadmap review",
    start=at("14:00", 2),
    minutes=60,
    organizer=JO,
    answers=((JO, "ACCEPTED"), (DANA, "ACCEPTED")),
    created=at("13:30"),
)

AT_FIRST = (SYNC, RETRO, HANDOVER, KICKOFF, BUDGET, PRICING)
"""What is in the calendars before rebookd ever looks."""

MOMENTS = (
    Moment(
        at=at("08:30"),
        title="rebookd reads three calendars for the first time",
        looks=(Look(uid=HANDOVER.uid, rule="unanswered"),),
    ),
    Moment(
        at=at("09:40"),
        title="Bo did not come to the weekly sync",
        call=(
            "Google Meet's record of “Weekly sync”: Dana was there from 08:58 to 09:14, and nobody else",
            SYNC,
            (Presence(who=DANA, joined=at("08:58"), left=at("09:14")),),
        ),
        looks=(Look(uid=SYNC.uid, rule="no-show"),),
    ),
    Moment(
        at=at("09:45"),
        title="a quarter of an hour after its end",
        expected=(Expected(rule="no-show", step="offer", to=BO.address),),
    ),
    Moment(
        at=at("10:00"),
        title="a day before the kickoff, Jo has not answered",
        expected=(Expected(rule="unanswered", step="ask", to=JO.address),),
    ),
    Moment(
        at=at("10:40"),
        title="Al says yes to the budget review",
        deeds=(("Al accepts “Budget review” in the calendar", replace(BUDGET, answers=((AL, "ACCEPTED"),))),),
    ),
    Moment(
        at=at("11:00"),
        title="a day before the budget review",
        looks=(Look(uid=BUDGET.uid, rule="unanswered"),),
    ),
    Moment(
        at=at("11:55"),
        title="was the retrospective held? Nothing says so",
        expected=(Expected(rule="was-it-held", step="ask-me", to=DANA.address),),
        looks=(Look(uid=RETRO.uid, rule="no-show"),),
    ),
    Moment(
        at=at("12:20"),
        title="Dana answers",
        deeds=(
            (
                "Dana's phone puts [held] before the title of “Retrospective”",
                replace(RETRO, title="[held] Retrospective"),
            ),
        ),
        looks=(Look(uid=RETRO.uid, rule="was-it-held"),),
    ),
    Moment(
        at=at("13:30"),
        title="Acme books over Umbrella's call on Wednesday",
        deeds=(("Jo invites to “Roadmap review”, and Dana's phone accepts", ROADMAP),),
        looks=(Look(uid=PRICING.uid, rule="clash"),),
    ),
    Moment(
        at=at("14:00"),
        title="two days before the clash",
        expected=(Expected(rule="clash", step="move", to=DI.address),),
        looks=(Look(uid=ROADMAP.uid, rule="clash"),),
    ),
    Moment(
        at=at("14:30"),
        title="Di would rather meet on Thursday",
        deeds=(
            (
                "Di answers in Outlook with “maybe”, and proposes Thursday, 10:00 in New York",
                replace(PRICING, answers=((DI, "TENTATIVE"),), proposed=(DI, at("15:00", 3))),
            ),
        ),
        looks=(Look(uid=PRICING.uid, rule="unanswered"),),
    ),
    Moment(
        at=at("15:00"),
        title="half an hour later",
        expected=(Expected(rule="other-time", step="offer", to=DI.address),),
    ),
    Moment(
        at=at("16:00"),
        title="the kickoff is tomorrow, and Jo is still silent",
        expected=(Expected(rule="unanswered", step="move", to=JO.address),),
    ),
    Moment(
        at=at("16:01"),
        title="one more round",
        looks=(Look(uid=KICKOFF.uid, rule="unanswered"),),
    ),
    Moment(
        at=at("16:30"),
        title="rebookd is started again on the same state file",
        looks=(Look(uid=SYNC.uid, rule="no-show"), Look(uid=PRICING.uid, rule="clash")),
        restart=True,
    ),
    Moment(
        at=at("16:45"),
        title="Jo picks a time",
        visit=Visit(
            words="Jo opens the link in the mail and picks the second time", who=JO, choice=2, meeting=KICKOFF
        ),
        expected=(Expected(rule="rebookd", step="new-time", to=JO.address),),
    ),
    Moment(
        at=at("16:46"),
        title="everybody knows",
        looks=(Look(uid=KICKOFF.uid, rule="unanswered"),),
    ),
)
