"""What a page shows: plain data from a question, and nothing about anybody but its recipient.

Of other people a page tells at most how many of them still have to choose; of other meetings nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

from daemon.answers import MOST_TIMES, Kind, Question, Standing
from daemon.config.settings import Settings
from daemon.links import Purpose, path_of
from daemon.mail.foreign_text import clean, without_marks
from daemon.mail.letter import FOR_OWNER
from daemon.mail.spoken_time import language, same_wall_time, spoken, zone, zone_of
from daemon.store.agreements import Stage
from daemon.web.forms import Form, slot_word
from daemon.web.words import words
from daemon.web.zones import chosen, options
from rules.detections import Unconfirmed
from rules.model import Address, CuType, Held, Interval, Occurrence, PartStat
from rules.people import required_people

GONE = 410

_MOST_PEOPLE = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A template to fill in, and the status it is answered with."""

    template: str
    values: dict[str, Any]
    status: int = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """Somebody who looks at a page of theirs.

    ``zone_name`` is the zone they chose, ``form`` what they filled in where it needs another look, and
    ``mistake`` the sentence that says why. ``held`` is what is known of the meeting having taken place.
    """

    settings: Settings
    purpose: Purpose
    token: str
    seal: str
    question: Question
    now: datetime
    zone_name: str | None = None
    form: Form | None = None
    mistake: str = ""
    held: Held | None = None
    stopped: bool = False

    @property
    def for_owner(self) -> bool:
        """Whether it is the owner who looks."""
        return self.question.delivery.do in FOR_OWNER

    @property
    def tag(self) -> str:
        """The language of the recipient's mails."""
        owner, account = self.settings.owner, self.settings.accounts.get(self._account)
        return owner.language if self.for_owner or account is None else account.language or owner.language

    @property
    def home(self) -> str:
        """The zone in which their mail showed times."""
        if self.for_owner:
            return self.settings.owner.zone
        account, occurrence = self.settings.accounts.get(self._account), self.question.occurrence
        theirs, events = account.time_zone if account else None, occurrence.tzid if occurrence else None
        return zone_of(theirs, events, self.settings.owner.zone)

    @property
    def _account(self) -> str:
        key = self.question.delivery.key
        return key.calendar.account if key else ""


def view(visit: Visit) -> Page:
    """The page for a visit."""
    if visit.purpose is Purpose.STOP:
        return _stop(visit)
    if visit.question.standing is not Standing.OPEN:
        return _closed(visit)
    values = _frame(visit) | _filled_in(visit)
    make = {Purpose.CONFIRM: _confirm, Purpose.PICK: _pick, Purpose.CHECK_IN: _check_in}[visit.purpose]
    return make(visit, values)


def plain(name: str, tag: str, status: int) -> Page:
    """A page that says one thing to somebody of whom nothing is known."""
    told = words(tag)
    values = {"say": told.say, "lang": told.code, "name": name, "heading": told.say(f"{name}_title")}
    return Page(template="plain.html", values=values, status=status)


def _frame(visit: Visit) -> dict[str, Any]:
    """What every page of a question knows."""
    told, owner = words(visit.tag), visit.settings.owner
    name, address = clean(owner.name), clean(owner.addresses[0])
    here = chosen(visit.zone_name, visit.home)
    occurrence = visit.question.occurrence
    title = _title(visit)

    def say(key: str, **values: object) -> str:
        return told.say(key, **({"owner": name} | values))

    return {
        "say": say,
        "lang": told.code,
        "heading": "",
        "title": title,
        "owner": {"name": name, "mailto": f"mailto:{quote(address, safe='@')}"},
        "for_owner": visit.for_owner,
        "address": clean(visit.question.delivery.to),
        "path": path_of(visit.purpose, visit.token),
        "seal": visit.seal,
        "zone": here.key,
        "zones": options(here.key, visit.home, owner.zone),
        "zone_chosen": visit.zone_name is not None,
        "meeting": _times(visit, [_span(occurrence)])[0] if occurrence else None,
        "ahead": occurrence is not None and occurrence.start_utc > visit.now,
    }


def _filled_in(visit: Visit) -> dict[str, Any]:
    """What was filled in, so that nobody types it twice, and what was answered before."""
    form = visit.form or Form({})
    own = visit.question.own
    return {
        "mistake": visit.mistake,
        "words": form.words,
        "rows": [
            {"number": n, "date": form.one(f"date{n}"), "time": form.one(f"time{n}")}
            for n in range(1, MOST_TIMES + 1)
        ],
        "open": visit.form is not None and form.one("do") == "other",
        "first_day": visit.now.astimezone(chosen(visit.zone_name, visit.home)).date().isoformat(),
        "own_words": own.words if own else "",
        "own_times": _times(visit, own.proposed) if own else [],
    }


def _confirm(visit: Visit, values: dict[str, Any]) -> Page:
    own = visit.question.own
    said = ""
    if own is not None:
        said = {PartStat.ACCEPTED: "said_yes", PartStat.DECLINED: "said_no"}.get(own.partstat, "said_other")
    heading = values["say"]("confirm_title")
    return Page(template="confirm.html", values=values | {"heading": heading, "said": said})


def _pick(visit: Visit, values: dict[str, Any]) -> Page:
    asked, occurrence, say = visit.question, visit.question.occurrence, values["say"]
    several = occurrence is not None and len(required_people(occurrence, visit.settings.owner)) > 1
    ticked = set(visit.form.all("slot")) if visit.form else set()
    own = asked.own.picked if asked.own else ()
    slots = [
        times | {"word": slot_word(slot), "ticked": slot_word(slot) in ticked if ticked else slot in own}
        for slot, times in zip(asked.slots, _times(visit, asked.slots), strict=True)
    ]
    return Page(
        template="pick.html",
        values=values
        | {
            "heading": say("pick_title"),
            "said": _said_of_times(visit, say, several=several),
            "slots": slots,
            "several": several,
            "others": len(asked.waiting) if several and not own else 0,
            "present": asked.delivery.detector == Unconfirmed.word and values["ahead"],
        },
    )


def _said_of_times(visit: Visit, say: Callable[..., str], *, several: bool) -> str:
    """What became of their last answer, in one sentence."""
    asked = visit.question
    own = asked.own
    if own is None:
        return ""
    if own.picked:
        if not set(own.picked) & set(asked.slots):
            return say("picked_taken" if asked.slots else "picked_taken_all")
        if asked.waiting:
            return say("waiting", count=len(asked.waiting))
        return say("picked_several" if several else "picked")
    if own.partstat is PartStat.ACCEPTED:
        return say("kept_present")
    return say("said_no" if own.partstat is PartStat.DECLINED else "said_other")


def _check_in(visit: Visit, values: dict[str, Any]) -> Page:
    said = {
        Held.HELD: "check_said_held",
        Held.MISSED_BY_ATTENDEE: "check_said_missed",
        Held.MISSED_BY_ME: "check_said_missed_by_me",
    }
    delivery = visit.question.delivery
    until = _times(visit, [Interval(delivery.until, delivery.until)])[0]
    return Page(
        template="check_in.html",
        values=values
        | {
            "heading": values["say"]("check_title"),
            "said": said.get(visit.held, "") if visit.held else "",
            "people": _people(visit),
            "until": until["short"],
        },
    )


def _stop(visit: Visit) -> Page:
    values = _frame(visit)
    heading = values["say"]("stopped_title" if visit.stopped else "stop_title")
    more = {"heading": heading, "title": "", "done": visit.stopped}
    return Page(template="stop.html", values=values | more)


def _closed(visit: Visit) -> Page:
    asked, values = visit.question, _frame(visit)
    word, lead, time = asked.standing.value, f"{asked.standing.value}_lead", None
    agreed, occurrence = asked.agreed, asked.occurrence
    if asked.standing is Standing.AGREED and agreed is not None:
        lead = _lead_of(agreed.kind, agreed.state, yours=occurrence is not None and _organizes(visit))
        time = _times(visit, [agreed.slot])[0]
    elif asked.standing is Standing.MOVED and occurrence is not None and _is_in(visit, occurrence):
        time = values["meeting"]
    return Page(
        template="closed.html",
        status=GONE,
        values=values
        | {
            "heading": values["say"](f"{word}_title"),
            "lead": values["say"](lead),
            "time": time,
            "happy": asked.standing is Standing.AGREED,
        },
    )


def _lead_of(kind: Kind, state: Stage, *, yours: bool) -> str:
    if state is Stage.FAILED:
        return "agreed_failed"
    return "agreed_counter_you" if kind is Kind.COUNTER and yours else f"agreed_{kind.value}"


def _organizes(visit: Visit) -> bool:
    occurrence = visit.question.occurrence
    return occurrence is not None and occurrence.organizer == visit.question.delivery.to


def _is_in(visit: Visit, occurrence: Occurrence) -> bool:
    """Whether the one who looks is still invited, so that its time is theirs to know."""
    listed = {one.address for one in occurrence.attendees} | {occurrence.organizer}
    return visit.for_owner or visit.question.delivery.to in listed


def _title(visit: Visit) -> str:
    occurrence = visit.question.occurrence
    if occurrence is None or (occurrence.private and not visit.for_owner):
        return ""
    return clean(without_marks(occurrence.title, visit.settings.owner.marks))


def _span(occurrence: Occurrence) -> Interval:
    return Interval(occurrence.start_utc, occurrence.end_utc)


def _times(visit: Visit, spans: Sequence[Interval]) -> list[dict[str, str]]:
    """Times in the visitor's zone, the owner's beneath where its clocks differ."""
    here, there = chosen(visit.zone_name, visit.home), zone(visit.settings.owner.zone, "UTC")
    alike = all(same_wall_time(one, here, there) for one in spans)
    return [spoken(one, here, None if alike else there, language(visit.tag)) for one in spans]


def _people(visit: Visit) -> str:
    """Who else was to be there, for the owner."""
    occurrence, mine = visit.question.occurrence, visit.settings.owner.addresses
    if occurrence is None or not visit.for_owner:
        return ""
    names: dict[Address, str] = {}
    for one in occurrence.attendees:
        if one.cutype not in {CuType.ROOM, CuType.RESOURCE} and one.address not in mine:
            names[one.address] = clean(one.name) or clean(one.address)
    return ", ".join(list(names.values())[:_MOST_PEOPLE])


def length_of(question: Question) -> timedelta:
    """How long the meeting takes."""
    occurrence = question.occurrence
    return occurrence.end_utc - occurrence.start_utc if occurrence else timedelta(minutes=30)
