"""The little world of one rule test: its clock, calendars, people, and the owner's word."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from daemon.config.holiday_calendar import Holidays
from daemon.rehearsal_file import Given, Moment, Moved, RuleTest
from rules.attendance import WORDS
from rules.explain import RuleTrace
from rules.explain import explain as trace_of
from rules.hours import WorkingHours, zone
from rules.model import (
    Account,
    Address,
    Attendance,
    Attendee,
    CalendarRef,
    CalendarSeen,
    Contact,
    Done,
    Encounter,
    Held,
    Identity,
    Intent,
    Met,
    Noted,
    Occurrence,
    OccurrenceKey,
    Owner,
    PartStat,
    Role,
    Snapshot,
    Status,
    Timing,
)
from rules.people import my_answer, organized_by_me
from rules.plan import evaluate
from rules.policy import TO_OTHERS, Mode, Policy, Silence

LONG_AGO = timedelta(days=3650)
WEEK = timedelta(days=7)
BLIND = timedelta(days=1)
"""How long ago an account that cannot be read was last read: too long to conclude anything."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A message that left, and when (UTC)."""

    at: datetime
    intent: Intent


class Stage:
    """What is so at each moment of a story; every message that is planned counts as sent.

    ``touched`` are the rules that found something, ``acted`` the steps (rule, step) that came to act.
    """

    def __init__(self, test: RuleTest, policy: Policy) -> None:
        self.policy = policy
        self.now = test.clock.astimezone(UTC)
        self.clock = self.now
        self.owner = Owner(name="", addresses=test.me, hours=_hours(test))
        self.accounts_given = test.accounts
        self.meetings: dict[OccurrenceKey, Occurrence] = {}
        self.attendance: dict[str, Attendance] = {}
        self.records: dict[str, Attendance] = {}
        self.encounters: dict[Address, dict[Identity, Noted]] = {}
        self.written: dict[Address, list[datetime]] = {}
        self.done: dict[str, Done] = {}
        self.blind_since: dict[str, datetime] = {}
        self.touched: set[str] = set()
        self.acted: set[tuple[str, str]] = set()
        self.wake: datetime | None = self.now
        for given in test.given:
            self._add(given, created=self.clock - WEEK)

    def advance(self, until: datetime) -> Iterator[Sent]:
        """Wake whenever the plan asked to, up to but excluding ``until``."""
        while self.wake is not None and self.wake < until:
            yield from self.act(self.wake)

    def act(self, now: datetime) -> list[Sent]:
        """Evaluate, and once more when that taught something new about a contact."""
        sent = self._evaluate(now)
        while self._fresh:
            sent += self._evaluate(now)
        return sent

    def _evaluate(self, now: datetime) -> list[Sent]:
        self.now = now
        silences = tuple(one for one in self.policy.silences if one.until > now)
        self.policy = self.policy.model_copy(update={"silences": silences})
        plan = evaluate(self.snapshot(), self.policy, now)
        observed = {rule.name for rule in self.policy.rules if rule.mode is Mode.OBSERVE}
        self.touched |= {finding.rule for finding in plan.findings}
        self.acted |= {(one.rule, one.step) for one in plan.intents}
        self.acted |= {(one.rule, one.step) for one in plan.withheld if one.rule in observed}
        for intent in plan.intents:
            self.done[intent.intent_key] = Done(key=intent.intent_key, state="sent", at=now)
            if intent.do in TO_OTHERS:
                self.written.setdefault(intent.to, []).append(now)
        self._fresh = self._learn(plan.noted)
        self.wake = min((at for at in plan.wake_at.values() if at is not None), default=None)
        return [Sent(now, intent) for intent in plan.intents]

    def happen(self, moment: Moment, now: datetime) -> None:
        """Let the moment's events come true."""
        self.now = now
        for given in moment.add:
            self._forget_removed(given)
            self._add(given, created=now, appeared_at=now)
        for name, answers in moment.answer.items():
            self._change(name, lambda one, answers=answers: _answered(one, answers, now))  # type: ignore[misc]
        for name, moved in moment.move.items():
            self._change(name, lambda one, moved=moved: self._moved(one, moved, now))  # type: ignore[misc]
        for name in moment.cancel:
            self._change(name, lambda one: replace(one, status=Status.CANCELLED, cancelled_at=now))
        for name in moment.remove:
            self._change(name, self._removed)
        for name, mark in moment.mark.items():
            self.attendance |= self._known(name, WORDS[mark], "the owner's word")
        for name, held in moment.attendance.items():
            self.records |= self._known(name, held, "an attendance record")
        for silence in moment.silence:
            number = len(self.policy.silences) + 1
            self._say(Silence(id=number, match=silence.match, until=now + silence.for_.delta))
        self.policy = self.policy.model_copy(update={"optouts": (*self.policy.optouts, *moment.optout)})
        self.blind_since |= dict.fromkeys(moment.blind, now - BLIND)
        for name in moment.see:
            self.blind_since.pop(name, None)

    def traces(self, name: str | None = None) -> Iterator[tuple[Occurrence, RuleTrace]]:
        """What every rule says now of the meetings of that name, or of all."""
        seen = self.snapshot()
        for one in self.meetings.values():
            if name is None or _is_called(one.key, name):
                for trace in trace_of(seen, self.policy, one, self.now):
                    yield one, trace

    def snapshot(self) -> Snapshot:
        """Everything a rule may look at now."""
        accounts = {name: self._account(name) for name in {key.calendar.account for key in self.meetings}}
        return Snapshot(
            owner=self.owner,
            accounts=accounts,
            subjects=tuple(self.meetings.values()),
            attendance=self.attendance,
            records=self.records,
            done=self.done,
            calendars={
                key.calendar: CalendarSeen(
                    name=key.calendar.id, seen_at=accounts[key.calendar.account].seen_at
                )
                for key in self.meetings
            },
            contacts={address: self._contact(address) for address in self.encounters},
        )

    def _account(self, name: str) -> Account:
        given = self.accounts_given.get(name)
        known = Account(
            name=name,
            seen_at=self.blind_since.get(name, self.now),
            first_seen_at=self.clock - LONG_AGO,
        )
        if given is None:
            return known
        return replace(
            known,
            client=given.client,
            time_zone=given.time_zone,
            mode=given.mode.value,
            rsvp_trusted=given.rsvp == "trusted",
        )

    def _contact(self, address: Address) -> Contact:
        met = sorted(self.encounters[address].values(), key=lambda one: one.encounter.at)
        held = [one for one in met if one.encounter.met is Met.HELD]
        since = held[-1].encounter.at if held else None
        written = self.written.get(address, ())
        return Contact(
            address=address,
            encounters=tuple(one.encounter for one in met),
            last=held[-1].occurrence if held else None,
            written=tuple(at for at in written if since is None or at > since),
        )

    def _learn(self, noted: tuple[Noted, ...]) -> bool:
        """Remember what meetings came to; whether any of it was news."""
        before = {who: {one.encounter for one in met.values()} for who, met in self.encounters.items()}
        for one in noted:
            self.encounters.setdefault(one.address, {})[one.encounter.identity] = one
        return any(one.encounter not in before.get(one.address, set[Encounter]()) for one in noted)

    def _known(self, name: str, held: Held, source: str) -> dict[str, Attendance]:
        """What became known of the meetings of that name."""
        known = Attendance(held=held, source=source, at=self.now)
        return {str(key.identity): known for key in self.meetings if _is_called(key, name)}

    def _say(self, silence: Silence) -> None:
        silences = (*self.policy.silences, silence)
        self.policy = self.policy.model_copy(update={"silences": silences})

    def _change(self, name: str, change: Callable[[Occurrence], Occurrence | None]) -> None:
        """Change every copy and instance of a meeting; None takes it out of its calendar."""
        for key in [key for key in self.meetings if _is_called(key, name)]:
            changed = change(self.meetings.pop(key))
            if changed is not None:
                self.meetings[key] = changed

    def _removed(self, meeting: Occurrence) -> Occurrence | None:
        """What is remembered of a meeting that vanished: of one somebody else may have cancelled, all."""
        if (
            meeting.timing is not Timing.TIMED
            or meeting.start_utc <= self.now
            or organized_by_me(meeting, self.owner)
            or my_answer(meeting, self.owner) is not PartStat.ACCEPTED
        ):
            return None
        return replace(meeting, status=Status.CANCELLED, cancelled_at=self.now, removed_at=self.now, href="")

    def _forget_removed(self, given: Given) -> None:
        """A meeting that appears again was not cancelled."""
        for key, one in list(self.meetings.items()):
            same = (key.uid, key.recurrence_id) == (given.uid, given.recurrence_id)
            if same and one.removed_at is not None:
                del self.meetings[key]

    def _add(self, given: Given, *, created: datetime, appeared_at: datetime | None = None) -> None:
        zone_name = given.time_zone or self.owner.zone
        start = given.starts.after(self.clock).astimezone(zone(zone_name))
        calendar = CalendarRef(account=given.account, id=given.calendar)
        key = OccurrenceKey(calendar=calendar, uid=given.uid, recurrence_id=given.recurrence_id)
        timing = Timing.ALL_DAY if given.all_day else Timing.FLOATING if given.floating else Timing.TIMED
        self.meetings[key] = Occurrence(
            key=key,
            start=start,
            end=(start.astimezone(UTC) + given.lasts.delta).astimezone(start.tzinfo),
            title=given.title,
            location=given.location,
            tzid=zone_name,
            timing=timing,
            status=Status.CANCELLED if given.cancelled else Status.CONFIRMED,
            transparent=given.transparent,
            private=given.private,
            organizer=given.organizer,
            attendees=tuple(
                Attendee(
                    address=who,
                    partstat=answer,
                    role=Role.OPTIONAL if who in given.optional else Role.REQUIRED,
                )
                for who, answer in given.attendees.items()
            ),
            created=given.created.after(self.clock) if given.created else created,
            categories=given.categories,
            recurring=given.recurring or given.recurrence_id is not None or given.final,
            final=given.final,
            href=f"/{given.uid}.ics",
            observed_at=self.now,
            appeared_at=appeared_at,
        )

    def _moved(self, meeting: Occurrence, moved: Moved, now: datetime) -> Occurrence:
        start = moved.starts.after(self.clock)
        length = moved.lasts.delta if moved.lasts else meeting.end_utc - meeting.start_utc
        home = meeting.start.tzinfo
        return replace(
            meeting,
            start=start.astimezone(home),
            end=(start + length).astimezone(home),
            sequence=meeting.sequence + 1,
            time_changed_at=now,
        )


def _hours(test: RuleTest) -> WorkingHours:
    hours = WorkingHours(zone=test.time_zone)
    if test.working_hours is not None:
        hours = replace(hours, weekly=test.working_hours.days)
    if test.holidays is not None:
        hours = replace(hours, holidays=Holidays(test.holidays))
    return hours


def _is_called(key: OccurrenceKey, name: str) -> bool:
    """Whether a meeting is meant by this UID or UID/RECURRENCE-ID."""
    return name in {key.uid, str(key.identity)}


def _answered(meeting: Occurrence, answers: dict[Address, PartStat], now: datetime) -> Occurrence:
    """The meeting after these attendees answered."""
    return replace(
        meeting,
        attendees=tuple(
            replace(one, partstat=answers[one.address], answered_at=now) if one.address in answers else one
            for one in meeting.attendees
        ),
    )
