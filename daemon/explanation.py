"""All there is to say about one meeting: what it is, what each rule makes of it, what became of its mails."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from daemon.config.settings import Settings
from daemon.decide import Decider
from daemon.explanation_words import Speaker
from daemon.mail.foreign_text import clean
from daemon.store import agreements, answers, past_deliveries
from daemon.store.agreements import Agreement, Kind, Stage
from daemon.store.answers import Answer
from daemon.store.delivery_row import Delivery
from daemon.store.engine import Store
from rules.explain import RuleTrace
from rules.explain import explain as trace_of
from rules.model import Address, Occurrence, Owner, PartStat, Snapshot, Upcoming
from rules.people import is_stale, my_answer, organized_by_me, required_people, wish
from rules.plan import evaluate
from rules.policy import Mode, Policy
from rules.view import View

LONGEST_WORDS = 500
"""Characters of somebody's own words that are shown."""

_ANSWERS = {
    PartStat.NEEDS_ACTION: "has not answered",
    PartStat.ACCEPTED: "said yes",
    PartStat.DECLINED: "said no",
    PartStat.TENTATIVE: "said maybe",
    PartStat.DELEGATED: "sends somebody else",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """What is known of one meeting at ``now`` (UTC). ``upcoming`` is what comes if nothing changes."""

    now: datetime
    meeting: Occurrence
    seen: Snapshot
    policy: Policy
    traces: tuple[RuleTrace, ...]
    upcoming: tuple[Upcoming, ...]
    deliveries: tuple[Delivery, ...]
    told: dict[Address, Answer]
    agreed: Agreement | None

    @property
    def calendar(self) -> str:
        """What people call the calendar it lies in."""
        found = self.seen.calendars.get(self.meeting.key.calendar)
        return found.name if found else self.meeting.key.calendar.id

    def people(self, speaker: Speaker) -> list[str]:
        """Who is in it and what they said, one short sentence each."""
        return list(people(self.meeting, self.seen.owner, speaker))

    def notes(self, speaker: Speaker) -> list[str]:
        """What stands above all rules: a calendar that cannot be seen, what you said since."""
        found = []
        view = View(self.seen, self.now)
        account = view.account(self.meeting)
        if view.is_blind(self.meeting):
            seen = view.seen_at(self.meeting)
            since = f"has not been read since {speaker.at(seen)}" if seen else "was never read"
            found.append(f"{account.name} {since}, so nothing is concluded from it")
        if account.mode != Mode.AUTO:
            found.append(f"for the account {account.name} no rule goes further than '{account.mode}'")
        found += [
            f"rule {name} goes no further than '{mode.value}', since you rejected what it wrote"
            for name, mode in self.policy.demoted.items()
        ]
        known = view.attendance(self.meeting)
        if known is not None:
            held = known.held.value.replace("_", " ")
            found.append(f"as to whether it took place: {held}, says {known.source}, {speaker.at(known.at)}")
        return [*found, *self._picked(speaker)]

    def _picked(self, speaker: Speaker) -> Iterator[str]:
        """Which other times people picked or asked for, and what becomes of it."""
        for address, said in self.told.items():
            if said.picked and self.agreed is None:
                times = ", ".join(speaker.at(one.start) for one in said.picked)
                yield f"{address} picked {times} instead, by {said.source}"
            if said.words:
                yield f"{address} wrote, by {said.source}: {clean(said.words, LONGEST_WORDS)}"
        if self.agreed is not None:
            yield (
                f"{self.agreed.address} settled it: {speaker.at(self.agreed.slot.start)} instead; "
                f"{_became(self.agreed)}"
            )
        elif any(said.picked for said in self.told.values()):
            people = required_people(self.meeting, self.seen.owner)
            missing = [one.address for one in people if not self._has_picked(one.address)]
            if missing:
                yield f"it waits for {' and '.join(missing)} to pick, too"

    def _has_picked(self, address: Address) -> bool:
        return address in self.told and bool(self.told[address].picked)

    def speaker(self) -> Speaker:
        """Who puts it into sentences, in the owner's time zone."""
        return Speaker(self.seen.owner, self.policy)

    def upcoming_of(self, rule: str) -> list[Upcoming]:
        """What one rule will do next if nothing changes."""
        return [one for one in self.upcoming if one.rule == rule]


def explain(store: Store, settings: Settings, meeting: Occurrence, now: datetime) -> Explanation:
    """Ask every rule about one stored meeting at ``now`` (UTC), and look up its messages."""
    decider = Decider(store, settings)
    with store.read() as conn:
        seen = decider.snapshot(conn, [meeting], now)
        policy = decider.policy(conn, now)
        messages = past_deliveries.about(conn, meeting.identity)
        told = answers.latest(conn, meeting.identity, meeting.start_utc)
        agreed = agreements.of(conn, meeting.identity, meeting.start_utc)
        (meeting,) = answers.told(conn, [meeting])
    return Explanation(
        now=now,
        meeting=meeting,
        seen=seen,
        policy=policy,
        traces=trace_of(seen, policy, meeting, now),
        upcoming=evaluate(seen, policy, now).upcoming,
        deliveries=tuple(messages),
        told=told,
        agreed=agreed,
    )


def meant(found: Sequence[Occurrence], now: datetime) -> Occurrence:
    """Of several meetings that fit, earliest first, the one that is meant: the next one, else the last."""
    return next((one for one in found if one.end_utc > now), found[-1])


def people(one: Occurrence, owner: Owner, speaker: Speaker) -> Iterator[str]:
    """Who is in a meeting and what they said, one short sentence each."""
    if organized_by_me(one, owner):
        yield "you organise it"
    else:
        answer = my_answer(one, owner)
        said = _ANSWERS[answer].replace("has ", "have ") if answer else "are not invited"
        yield f"{one.organizer or 'nobody'} organises it, and you {said}"
    for who in one.attendees:
        if who.address in owner.addresses or who.address == one.organizer:
            continue
        stale = ", but to another time" if is_stale(who, one) else ""
        asked = wish(who, one)
        rather = f", and asks for {speaker.at(asked.start)}" if asked is not None else ""
        yield f"{who.address} {_ANSWERS[who.partstat]}{stale}{rather}"


def _became(agreed: Agreement) -> str:
    if agreed.state is Stage.FAILED:
        return f"that failed: {clean(agreed.why, LONGEST_WORDS)}"
    done = agreed.state is Stage.DONE
    return {
        Kind.MOVE: "the meeting was moved" if done else "the meeting is about to move",
        Kind.CREATE: "another meeting was made" if done else "another meeting is about to be made",
        Kind.COUNTER: "its organiser was asked for it" if done else "its organiser is about to be asked",
    }[agreed.kind]


def as_dict(found: Explanation) -> dict[str, object]:
    """The shape that ``explain --json`` prints."""
    one, speaker = found.meeting, found.speaker()
    return {
        "uid": one.key.uid,
        "recurrence_id": one.key.recurrence_id,
        "account": one.key.calendar.account,
        "calendar": found.calendar,
        "title": one.title,
        "start": one.start,
        "end": one.end,
        "organizer": one.organizer,
        "attendees": [{"address": who.address, "answer": who.partstat.value} for who in one.attendees],
        "observed_at": one.observed_at,
        "notes": found.notes(speaker),
        "rules": [_rule(found, trace, speaker) for trace in found.traces],
        "next": [
            {"at": coming.at, "rule": coming.rule, "step": coming.step, "to": coming.to}
            for coming in found.upcoming
        ],
        "deliveries": [
            {
                "id": sent.id,
                "state": sent.state.value,
                "rule": sent.rule,
                "step": sent.step,
                "do": sent.do,
                "to": sent.to,
                "sentence": speaker.delivery(sent),
                "error": sent.error,
                "created_at": sent.created_at,
                "sent_at": sent.sent_at,
            }
            for sent in found.deliveries
        ],
    }


def _rule(found: Explanation, trace: RuleTrace, speaker: Speaker) -> dict[str, object]:
    return {
        "rule": trace.rule,
        "outcome": trace.outcome,
        "reason": trace.reason,
        "sentence": speaker.headline(trace, found.upcoming_of(trace.rule)),
        "because": [
            {
                "predicate": look.predicate,
                "holds": look.holds,
                "field": look.field,
                "value": look.value,
                "observed_at": look.observed_at,
            }
            for look in trace.because
        ],
        "steps": [
            {
                "step": step.step,
                "turn": step.turn,
                "do": step.do,
                "to": step.to,
                "at": step.due,
                "until": step.until,
                "stage": step.stage,
                "why": step.why,
                "mode": step.mode,
                "hold": step.hold,
            }
            for step in trace.steps
        ],
        "next_at": trace.next_at,
    }
