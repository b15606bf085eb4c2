"""``silent``: somebody I used to meet has gone quiet.

Asked of the meeting last held with them. The silence counts from its end, less the time I was out of
office; it must be longer than twice their usual gap between meetings, nothing may be accepted ahead, and
they must have left something unanswered twice.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from rules.contacts import held, unanswered, usual_gap
from rules.model import Address, Contact, Interval, Occurrence, PartStat
from rules.people import required_people
from rules.policy import Silent
from rules.verdict import Looking, Verdict
from rules.view import View

FEWEST_HELD = 3
"""Fewer meetings held before make no habit."""

FEWEST_SIGNALS = 2
"""Fewer unanswered signals are no silence."""

LOOK_AGAIN = timedelta(days=1)
"""How soon a long silence that is not yet a finding is looked at again."""

TIMES_USUAL = 2
"""How many times the usual gap a silence must last."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is asked of each person of the meeting last held with them."""

    last: Occurrence
    when: Silent
    view: View
    now: datetime
    looking: Looking


def judge(occurrence: Occurrence, when: Silent, view: View, now: datetime) -> Verdict:
    """Which of its people have not been heard of for too long."""
    looking = Looking(occurrence)
    if not looking.at("over", now >= occurrence.end_utc, "DTEND", occurrence.end.isoformat()):
        return looking.verdict(False, wake=(occurrence.end_utc,))
    asked = _Asked(occurrence, when, view, now, looking)
    quiet: dict[Address, datetime] = {}
    wake: list[datetime] = []
    for person in required_people(occurrence, view.owner):
        contact = _contact(person.address, asked)
        due = _due(contact, asked) if contact is not None else None
        if contact is None or due is None:
            continue
        ahead = _ahead(person.address, asked)
        wake += [due, *(one.end_utc for one in ahead)]
        if _is_quiet(contact, ahead, asked) and now >= due:
            quiet[person.address] = due
        elif now >= due:
            wake.append(now + LOOK_AGAIN)  # one more message of ours may tip the scales
    wake = [at for at in wake if at > now]
    if quiet and view.blind_account is not None:
        looking.at("every calendar can be seen", None, "account", f"{view.blind_account} cannot be seen")
        return looking.verdict(None, f"{view.blind_account} cannot be seen", wake=wake)
    return looking.verdict(
        bool(quiet),
        f"nothing held with {', '.join(quiet)} since {view.said(occurrence.end)}, and nothing is planned",
        people=quiet,
        wake=wake,
        since=quiet.values(),
    )


def _contact(address: Address, asked: _Asked) -> Contact | None:
    """The person's history, where this is the meeting last held with them."""
    contact = asked.view.snapshot.contacts.get(address)
    last = contact.last if contact is not None else None
    is_last = last is not None and last.identity == asked.last.identity
    value = f"at {asked.view.said(last.end)}" if last is not None else "none is remembered"
    asked.looking.at(f"last meeting held with {address}", is_last, "contacts", value)
    return contact if is_last else None


def _due(contact: Contact, asked: _Asked) -> datetime | None:
    """When the silence grows too long, if it goes on (UTC); None when they have no habit of meeting me."""
    ends = held(contact)
    enough = len(ends) >= FEWEST_HELD
    asked.looking.at(
        f"{FEWEST_HELD} meetings held with {contact.address}", enough, "contacts", f"{len(ends)} held"
    )
    if not enough:
        return None
    usual = timedelta(seconds=usual_gap(ends))
    allowed = max(TIMES_USUAL * usual, _least(asked.when))
    due = _after(asked.last.end_utc, allowed, (span for span, _ in asked.view.away))
    asked.looking.at(
        f"silent for longer than {allowed.days} days",
        asked.now >= due,
        "contacts",
        f"usually every {usual.days} days; too long from {asked.view.said(due)}",
    )
    return due


def _least(when: Silent) -> timedelta:
    """The least silence; five business days count as a week."""
    days = when.at_least.business_days
    return timedelta(days=days * 7 / 5) if days else when.at_least.delta


def _after(start: datetime, length: timedelta, away: Iterable[Interval]) -> datetime:
    """The instant ``length`` after ``start`` when time spent away does not count."""
    at = start + length
    for span in away:  # in order of time; overlapping ones count once
        begins = max(span.start, start)
        if span.end <= begins:
            continue
        if begins >= at:
            break
        at += span.end - begins
        start = span.end
    return at


def _ahead(address: Address, asked: _Asked) -> list[Occurrence]:
    """Meetings with them that are not over."""
    return [
        one
        for one in asked.view.with_person.get(address, ())
        if one.end_utc > asked.now and not asked.view.is_cancelled(one)
    ]


def _is_quiet(contact: Contact, ahead: list[Occurrence], asked: _Asked) -> bool:
    """Whether nothing is accepted ahead and too much was left unanswered."""
    said = asked.view.said
    accepted = [one for one in ahead if _accepted(contact.address, one, asked.view)]
    value = f"{accepted[0].title or 'a meeting'} at {said(accepted[0].start)}" if accepted else "none"
    nothing = asked.looking.at("nothing accepted ahead", not accepted, "ATTENDEE", value)
    signals = unanswered(contact, asked.last.end_utc)
    open_ = [one for one in ahead if one not in accepted and asked.view.stands(one)]
    signals += [f"has not said yes to {said(one.start)}" for one in open_]
    enough = asked.looking.at(
        f"{FEWEST_SIGNALS} signals left unanswered",
        len(signals) >= FEWEST_SIGNALS,
        "contacts",
        "; ".join(signals) or "none",
    )
    return bool(nothing and enough)


def _accepted(address: Address, occurrence: Occurrence, view: View) -> bool:
    return view.stands(occurrence) and any(
        one.address == address and one.partstat is PartStat.ACCEPTED
        for one in required_people(occurrence, view.owner)
    )
