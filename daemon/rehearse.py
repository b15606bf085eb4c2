"""Rule tests: a story played against the same ``evaluate`` that decides in earnest."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from daemon.rehearsal_file import Expected, Given, Moment, Moved, RuleTest
from rules.attendance import WORDS
from rules.hours import WorkingHours, zone
from rules.model import (
    Account,
    Address,
    Attendance,
    Attendee,
    CalendarRef,
    CalendarSeen,
    Done,
    Intent,
    Occurrence,
    OccurrenceKey,
    Owner,
    PartStat,
    Role,
    Snapshot,
    Status,
    Timing,
)
from rules.plan import evaluate
from rules.policy import Policy

LONG_AGO = timedelta(days=3650)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A moment whose messages were not the expected ones."""

    test: str
    moment: int
    at: datetime
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsal:
    """What one test showed: where it failed, and every (rule, step) that acted."""

    test: str
    failures: tuple[Failure, ...]
    touched: frozenset[str]


def rehearse(test: RuleTest, policy: Policy) -> Rehearsal:
    """Play one test from moment to moment, waking whenever the plan asked to be woken."""
    stage = Stage(test, policy)
    failures = []
    for number, moment in enumerate(test.timeline):
        at = moment.at.after(test.clock)
        sent = [*stage.advance(at)]
        stage.happen(moment, at)
        sent += stage.act(at)
        if moment.expect is not None:
            missing, unexpected = compare(moment.expect, sent)
            if missing or unexpected:
                failures.append(
                    Failure(
                        test=test.name,
                        moment=number,
                        at=at,
                        missing=tuple(missing),
                        unexpected=tuple(unexpected),
                    )
                )
    return Rehearsal(test=test.name, failures=tuple(failures), touched=frozenset(stage.touched))


def compare(expected: tuple[Expected, ...], sent: list[Intent]) -> tuple[list[str], list[str]]:
    """What is missing and what is too much, each side matched once."""
    left = list(sent)
    missing = []
    for one in expected:
        found = next((intent for intent in left if _fits(one, intent)), None)
        if found is None:
            missing.append(f"{one.rule}/{one.step}" + (f" to {one.to}" if one.to else ""))
        else:
            left.remove(found)
    return missing, [f"{one.rule}/{one.step} to {one.to} about {one.key.uid}" for one in left]


def _fits(expected: Expected, intent: Intent) -> bool:
    pairs = (
        (expected.rule, intent.rule),
        (expected.step, intent.step),
        (expected.to, intent.to),
        (expected.do, intent.do),
        (expected.uid, intent.key.uid),
    )
    return all(wanted is None or wanted == got for wanted, got in pairs)


class Stage:
    """The little world of one test."""

    def __init__(self, test: RuleTest, policy: Policy) -> None:
        self.policy = policy
        self.now = test.clock.astimezone(UTC)
        self.clock = self.now
        self.owner = Owner(name="", addresses=test.me, hours=WorkingHours(zone=test.time_zone))
        self.accounts_given = test.accounts
        self.meetings: dict[OccurrenceKey, Occurrence] = {}
        self.attendance: dict[str, Attendance] = {}
        self.done: dict[str, Done] = {}
        self.blind_since: dict[str, datetime] = {}
        self.touched: set[str] = set()
        self.wake: datetime | None = self.now
        for given in test.given:
            self._add(given)

    def advance(self, until: datetime) -> Iterator[Intent]:
        """Wake whenever the plan asked to, up to but excluding ``until``."""
        while self.wake is not None and self.wake < until:
            yield from self.act(self.wake)

    def act(self, now: datetime) -> list[Intent]:
        """Evaluate once, and take every automatic message as sent."""
        self.now = now
        plan = evaluate(self._snapshot(), self.policy, now)
        self.touched |= {finding.rule for finding in plan.findings}
        for intent in plan.intents:
            self.done[intent.intent_key] = Done(key=intent.intent_key, state="sent", at=now)
        self.wake = min((at for at in plan.wake_at.values() if at is not None), default=None)
        return list(plan.intents)

    def happen(self, moment: Moment, now: datetime) -> None:
        """Let the moment's events come true."""
        for given in moment.add:
            self._add(given)
        for uid, answers in moment.answer.items():
            self._change(uid, lambda one, answers=answers: _answered(one, answers, now))  # type: ignore[misc]
        for uid, moved in moment.move.items():
            self._change(uid, lambda one, moved=moved: self._moved(one, moved, now))  # type: ignore[misc]
        for uid in moment.cancel:
            self._change(uid, lambda one: replace(one, status=Status.CANCELLED))
        for key in [key for key in self.meetings if key.uid in moment.remove]:
            del self.meetings[key]
        for uid, mark in moment.mark.items():
            word = Attendance(held=WORDS[mark], source="the owner's word", at=now)
            self.attendance |= {str(key.identity): word for key in self.meetings if key.uid == uid}
        self.blind_since |= dict.fromkeys(moment.blind, now - LONG_AGO)
        for name in moment.see:
            self.blind_since.pop(name, None)

    def _change(self, uid: str, change: Callable[[Occurrence], Occurrence]) -> None:
        """Change every copy and instance of a meeting."""
        for key in [key for key in self.meetings if key.uid == uid]:
            self.meetings[key] = change(self.meetings[key])

    def _snapshot(self) -> Snapshot:
        accounts: dict[str, Account] = {}
        for key in self.meetings:
            name = key.calendar.account
            given = self.accounts_given.get(name)
            accounts[name] = Account(
                name=name,
                client=given.client if given else None,
                rsvp_trusted=given is None or given.rsvp == "trusted",
                seen_at=self.blind_since.get(name, self.now),
                first_seen_at=self.clock - LONG_AGO,
            )
        return Snapshot(
            owner=self.owner,
            accounts=accounts,
            subjects=tuple(self.meetings.values()),
            attendance=self.attendance,
            done=self.done,
            calendars={
                key.calendar: CalendarSeen(
                    name=key.calendar.id, seen_at=accounts[key.calendar.account].seen_at
                )
                for key in self.meetings
            },
        )

    def _add(self, given: Given) -> None:
        start = given.starts.after(self.clock).astimezone(zone(self.owner.zone))
        calendar = CalendarRef(account=given.account, id=given.calendar)
        key = OccurrenceKey(calendar=calendar, uid=given.uid, recurrence_id=given.recurrence_id)
        timing = Timing.ALL_DAY if given.all_day else Timing.FLOATING if given.floating else Timing.TIMED
        self.meetings[key] = Occurrence(
            key=key,
            start=start,
            end=(start.astimezone(UTC) + given.lasts.delta).astimezone(start.tzinfo),
            title=given.title,
            location=given.location,
            tzid=self.owner.zone,
            timing=timing,
            status=Status.CANCELLED if given.cancelled else Status.CONFIRMED,
            transparent=given.transparent,
            private=given.private,
            organizer=Address(given.organizer.lower()) if given.organizer else None,
            attendees=tuple(
                Attendee(
                    address=who,
                    partstat=answer,
                    role=Role.OPTIONAL if who in given.optional else Role.REQUIRED,
                )
                for who, answer in given.attendees.items()
            ),
            created=given.created.after(self.clock),
            categories=given.categories,
            recurring=given.recurring,
            observed_at=self.now,
        )

    def _moved(self, meeting: Occurrence, moved: Moved, now: datetime) -> Occurrence:
        start = moved.starts.after(self.clock)
        length = moved.lasts.delta if moved.lasts else meeting.end_utc - meeting.start_utc
        home = zone(self.owner.zone)
        return replace(
            meeting,
            start=start.astimezone(home),
            end=(start + length).astimezone(home),
            sequence=meeting.sequence + 1,
            time_changed_at=now,
        )


def _answered(meeting: Occurrence, answers: dict[Address, PartStat], now: datetime) -> Occurrence:
    """The meeting after these attendees answered."""
    return replace(
        meeting,
        attendees=tuple(
            replace(one, partstat=answers[one.address], answered_at=now) if one.address in answers else one
            for one in meeting.attendees
        ),
    )
