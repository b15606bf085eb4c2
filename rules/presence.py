"""Who was in a call, and what that says of a meeting: the four values of attendance.

Being there is shown by a name or an account that is certainly theirs. Not being there is only concluded
when everybody in the call is known to be somebody else.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from rules.model import Address, Call, CuType, Held, Interval, Occurrence, Owner, PartStat, Party
from rules.people import required_people

FOR_EVER = datetime.max.replace(tzinfo=UTC)
"""The end of what still goes on."""

_PEOPLE = {CuType.INDIVIDUAL, CuType.UNKNOWN}


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """When somebody counts as having been there: joined within ``grace`` of the start, or stayed so long."""

    grace: timedelta = timedelta(minutes=10)
    min_presence: timedelta = timedelta(minutes=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is known of people beside the meeting: their names, and whose each account of the service is."""

    names: Mapping[Address, Iterable[str]] = field(default_factory=dict)
    users: Mapping[str, frozenset[Address]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What calls say of a meeting, and why they say no more.

    ``final`` is false where a later look may tell more. ``learned`` are accounts that are certainly
    somebody's.
    """

    held: Held
    why: str = ""
    final: bool = True
    learned: Mapping[str, Address] = field(default_factory=dict)


def judge(
    occurrence: Occurrence,
    calls: Sequence[Call],
    owner: Owner,
    known: Known,
    terms: Terms,
) -> Judgement:
    """Whether I and the people needed met, as far as the calls of the meeting's code can tell.

    Only calls that share time with the meeting count. One of the required people is enough for it to have
    been held; it was missed by them when none came and I was there for them.
    """
    window = Interval(occurrence.start_utc, occurrence.end_utc)
    calls = [one for one in calls if window.overlaps(Interval(one.start, one.end or FOR_EVER))]
    if not calls:
        return Judgement(held=Held.UNKNOWN, why="no call at its time is on record", final=False)
    room = _Room(occurrence, owner, known, terms)
    room.seat([party for call in calls for party in call.parties])
    held, why = room.verdict()
    open_ = any(one.end is None for one in calls)
    if open_ and held is not Held.HELD:
        return Judgement(held=Held.UNKNOWN, why="the call still goes on", final=False)
    return Judgement(held=held, why=why, learned={} if room.strangers else room.learned)


class _Room:
    """The calls of one meeting, each party of them known or a stranger."""

    def __init__(self, occurrence: Occurrence, owner: Owner, known: Known, terms: Terms) -> None:
        self._occurrence = occurrence
        self._window = Interval(occurrence.start_utc, occurrence.end_utc)
        length = self._window.end - self._window.start
        self._begin = Interval(self._window.start, self._window.start + min(terms.grace, length))
        self._least = min(terms.min_presence, length)
        self._me = owner.addresses[0]
        self._mine = frozenset(owner.addresses)
        self._users = known.users
        self._names = self._named(owner, known)
        required = required_people(occurrence, owner)
        self._required = [one.address for one in required]
        self._expected = [one.address for one in required if one.partstat is not PartStat.DECLINED]
        self._spans: dict[Address, list[Interval]] = {}
        self.strangers = 0
        self.learned: dict[str, Address] = {}

    def verdict(self) -> tuple[Held, str]:
        """What became of the meeting, and why it is not known where it is not."""
        here = self._present(self._me)
        came = [one for one in self._required if self._present(one)]
        if here and any(self._together(one) for one in came):
            return Held.HELD, ""
        why = self._doubt()
        if why:
            return Held.UNKNOWN, why
        if here and not came:
            if not self._expected:
                return Held.UNKNOWN, "everybody required had said no"
            return self._accuse(Held.MISSED_BY_ATTENDEE, self._expected, [self._me])
        if came and not here and (self._me in self._spans or self._my_account_is_known()):
            return self._accuse(Held.MISSED_BY_ME, [self._me], came)
        return Held.UNKNOWN, "it is not clear who was there when"

    def _accuse(self, held: Held, missing: list[Address], waited: list[Address]) -> tuple[Held, str]:
        """Say that some were missing, where others were there for them in the beginning.

        Nobody else could have let them in. Of who came too late, that they were waited for is asked, too.
        """
        fair = min(self._least, self._begin.end - self._begin.start)
        there = [one for one in waited if _sum(self._during(one, self._begin)) >= fair]
        if not there:
            return Held.UNKNOWN, "nobody was there for long enough in the beginning"
        late = any(self._spans.get(one) for one in missing)
        if late and not any(span.end >= self._begin.end for one in there for span in self._inside(one)):
            return Held.UNKNOWN, "they came, but not at the same time"
        return held, ""

    def _doubt(self) -> str:
        """Why nobody may be called missing; empty when nothing forbids it."""
        if self.strangers:
            many = "1 party" if self.strangers == 1 else f"{self.strangers} parties"
            return f"{many} in the call could have been anybody"
        if self._occurrence.guests_hidden:
            return "not all who were invited can be seen"
        if not all(self._inside(one) for one in self._spans):
            return "somebody was there only before or after"
        if any(self._present(one) for one in self._spans if one != self._me and one not in self._required):
            return "somebody came who was not required"
        return ""

    def _named(self, owner: Owner, known: Known) -> dict[Address, frozenset[str]]:
        """Each person who was invited, all my addresses as one, with the names they go by."""
        found: dict[Address, set[str]] = {self._me: {_folded(owner.name)}}
        invited = [(one.address, one.name) for one in self._occurrence.attendees if one.cutype in _PEOPLE]
        if self._occurrence.organizer is not None:
            invited.append((self._occurrence.organizer, self._occurrence.organizer_name))
        for address, name in invited:
            names = found.setdefault(self._person(address), set())
            names.update(_folded(one) for one in (name, *known.names.get(address, ())))
        return {address: frozenset(names - {""}) for address, names in found.items()}

    def _person(self, address: Address) -> Address:
        return self._me if address in self._mine else address

    def seat(self, parties: Sequence[Party]) -> None:
        """Find out who each party is; an account is surer than a name."""
        accounts: dict[Address, set[str]] = {}
        for party in parties:
            address = self._by_account(party) or self._by_address(party) or self._by_name(party)
            if address is None:
                self.strangers += 1
                continue
            self._spans.setdefault(address, []).extend(party.spans)
            accounts.setdefault(address, set()).add(party.user)
            if party.user and party.user not in self._users:
                self.learned[party.user] = address
        # Two accounts under one name may be two people.
        self.strangers += sum(
            len(users) - 1
            for users in accounts.values()
            if len(users) > 1 and any(one in self.learned for one in users)
        )

    def _by_account(self, party: Party) -> Address | None:
        found = {self._person(one) for one in self._users.get(party.user, ())} & self._names.keys()
        return found.pop() if party.user and len(found) == 1 else None

    def _by_address(self, party: Party) -> Address | None:
        found = self._person(party.address) if party.address else None
        return found if found in self._names else None

    def _by_name(self, party: Party) -> Address | None:
        name = _folded(party.name)
        found = [address for address, names in self._names.items() if name in names]
        return found[0] if party.user and len(found) == 1 else None

    def _inside(self, who: Address) -> list[Interval]:
        """When they were there during the meeting."""
        return self._during(who, self._window)

    def _during(self, who: Address, span: Interval) -> list[Interval]:
        spans = self._spans.get(who, ())
        found = [Interval(max(one.start, span.start), min(one.end, span.end)) for one in spans]
        return [one for one in found if one.start < one.end]

    def _present(self, who: Address) -> bool:
        spans = self._inside(who)
        return any(one.start < self._begin.end for one in spans) or (
            bool(spans) and _sum(spans) >= self._least
        )

    def _together(self, who: Address) -> bool:
        return any(one.overlaps(mine) for one in self._inside(who) for mine in self._inside(self._me))

    def _my_account_is_known(self) -> bool:
        return any(self._mine & addresses for addresses in self._users.values())


def _folded(name: str) -> str:
    """A name without case, accents and odd spaces."""
    plain = unicodedata.normalize("NFKD", name)
    return " ".join("".join(one for one in plain if not unicodedata.combining(one)).casefold().split())


def _sum(spans: Iterable[Interval]) -> timedelta:
    """How long they last, what overlaps counted once."""
    total, reached = timedelta(0), None
    for span in sorted(spans, key=lambda one: one.start):
        start = span.start if reached is None else max(span.start, reached)
        total += max(span.end - start, timedelta(0))
        reached = span.end if reached is None else max(reached, span.end)
    return total


__all__ = ["Judgement", "Known", "Terms", "judge"]
