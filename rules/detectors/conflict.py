"""``conflict``: two blocking meetings of mine overlap, and this is the one to move.

Of a knot of overlapping meetings the ranking keeps the best, then the next best that still fits,
and so on; only what does not fit has to move.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from rules.knots import NO_TRAVEL, Knot, knots
from rules.model import Occurrence
from rules.people import organized_by_me
from rules.policy import Conflict, Keep
from rules.verdict import Looking, Verdict
from rules.view import View


def judge(occurrence: Occurrence, when: Conflict, view: View, now: datetime) -> Verdict:
    """Whether this meeting has to give way, and to how many."""
    looking = Looking(occurrence)
    start = occurrence.start_utc
    if not looking.at("ahead", now < start, "DTSTART", occurrence.start.isoformat()):
        return looking.verdict(False)
    if not looking.at("takes my time", view.blocks(occurrence), "TRANSP, PARTSTAT", _takes(occurrence)):
        return looking.verdict(False, wake=(start,))
    travel = when.travel.delta if when.travel else NO_TRAVEL
    knot = _knot(occurrence, view, travel)
    others = len(knot.meetings) - 1
    near = "overlaps or adjoins" if travel else "overlaps"
    if not looking.at(f"{near} another meeting of mine", others > 0, "DTSTART, DTEND", f"{others} found"):
        return looking.verdict(False, wake=(start,))
    settled = knot.settled(when.keep, lambda one: _rank(one, when.keep, view))
    rivals = settled.get(occurrence.identity, ())
    if not rivals:
        looking.at("ranks lower", False, "keep", "this one is kept")
        return looking.verdict(False, wake=(start,))
    rival = rivals[0]
    if view.is_blind(rival):
        value = f"{rival.key.calendar.account} cannot be seen"
        looking.at("ranks lower", None, "keep", value)
        return looking.verdict(None, f"the clash lies in {value}", wake=(start,))
    shown = f"{rival.title or 'a meeting'} in {rival.key.calendar.account} at {view.said(rival.start)}"
    looking.at("ranks lower", True, "keep", shown, rival.observed_at)
    overlap = rival.start_utc < occurrence.end_utc and start < rival.end_utc
    clash = "overlaps" if overlap else f"leaves less than {when.travel} to get from or to"
    return looking.verdict(
        True,
        f"{clash} {shown}, which is kept",
        people=sorted(view.people(occurrence)),
        wake=(start, *(other.end_utc for other in rivals if other.end_utc > now)),
        since=(view.touched(rival),),
        cluster=knot.name,
    )


def _takes(occurrence: Occurrence) -> str:
    return "transparent" if occurrence.transparent else "opaque"


def _knot(occurrence: Occurrence, view: View, travel: timedelta) -> Knot:
    """Every blocking meeting that clashes with this one, directly or through others; one copy each."""
    first = view.copies(occurrence.identity)[0]
    if first is occurrence or (view.blocks(first) and _claim(first) == _claim(occurrence)):
        return view.knots(travel)[occurrence.identity]
    # Another copy than the one that stands for the meeting, and it shows another time or place.
    others = (one for one in view.meetings() if one.identity != occurrence.identity and view.blocks(one))
    return knots([occurrence, *others], travel)[occurrence.identity]


def _claim(occurrence: Occurrence) -> tuple[object, ...]:
    """What a knot and its ranking look at beside the meeting's identity."""
    when = (occurrence.start_utc, occurrence.end_utc, occurrence.location)
    return *when, occurrence.created, occurrence.organizer, len(occurrence.attendees)


def _rank(occurrence: Occurrence, keep: tuple[Keep, ...], view: View) -> tuple[object, ...]:
    """Sorts what is kept first; every tie is broken, so that each copy of the truth agrees."""
    born = occurrence.created
    age = born.timestamp() if born else float("inf")
    return (*(_prefer(one, occurrence, view) for one in keep), age, str(occurrence.identity))


def _prefer(keep: Keep, occurrence: Occurrence, view: View) -> float:
    copies = view.copies(occurrence.identity)
    born = occurrence.created.timestamp() if occurrence.created else None
    match keep.kind:
        case "account":
            return float(all(copy.key.calendar.account != keep.value for copy in copies))
        case "client":
            return float(all(view.account(copy).client != keep.value for copy in copies))
        case "calendar":
            return float(all(keep.value not in view.calendar_names(copy) for copy in copies))
        case "organizer":
            return float(organized_by_me(occurrence, view.owner) is not (keep.value == "me"))
        case "earliest_created":
            return born if born is not None else float("inf")
        case "latest_created":
            return -born if born is not None else float("inf")
        case "most_attendees":
            return -float(len(occurrence.attendees))
        case _:
            return -(occurrence.end_utc - occurrence.start_utc).total_seconds()
