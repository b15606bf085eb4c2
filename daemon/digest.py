"""The owner's digest: one mail about how things stand, the owner's own misses first.

Level-triggered: whether one is due follows from the clock and from when the last was written, so that
downtime loses none but those that would come too late to be of use.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Any

import structlog
from sqlalchemy import Connection

from daemon import horizon
from daemon.config.settings import Settings
from daemon.decide import Decider
from daemon.mail.digest_words import SECTIONS, write
from daemon.mail.foreign_text import clean, without_marks
from daemon.mail.spoken_time import language, spoken, zone
from daemon.store import agenda, answers, calendars, contacts, deliveries
from daemon.store.deliveries import NOTICE, Delivery
from daemon.store.engine import Store
from daemon.store.notes import note, noted
from rules.delivery import State
from rules.detections import Silent
from rules.hours import wall
from rules.model import Held, Interval, Occurrence, OccurrenceKey, Owner, PartStat, Plan, Status, Timing
from rules.people import my_answer, organized_by_me, wish
from rules.plan import evaluate
from rules.policy import TO_OTHERS, Digest
from rules.view import View

log = structlog.get_logger()

LATE = timedelta(hours=12)
"""How late a digest may be; later it is left to the next."""

PATIENCE = timedelta(hours=1)
"""How long before it would be too late a digest stops waiting for every account to be read."""

LONGEST_LIST = 12
"""How many items of one kind it tells; the others it counts."""

MOST = 2000
"""How many meetings are looked at for what comes next today."""

_NOTE = "digest written"

Item = dict[str, str]


def due(digest: Digest, owner: Owner, now: datetime, last: datetime) -> datetime | None:
    """The moment (UTC) for which a digest is due at ``now``, if the last was written at ``last``.

    None when there is none, or it would be :data:`LATE`. A time that the clocks skip comes after the gap,
    one they show twice comes once.
    """
    today = now.astimezone(zone(owner.zone, "UTC")).date()
    for day in (today, today - timedelta(days=1)):
        moment = wall(day, digest.at.at, owner.zone)
        wanted = any(day.weekday() in one.days for one in digest.on)
        if wanted and max(last, now - LATE) < moment <= now:
            return moment
    return None


def tell(store: Store, settings: Settings, now: datetime) -> int | None:
    """Queue the digest that is due at ``now`` (UTC); its delivery's id, or None when none is.

    Costs one look at a note while nothing is due. The first comes at the first moment after rebookd was
    told to write any, and tells what happened since then. After a start it waits for the accounts to be
    read, or to fail.
    """
    digest = settings.policy.digest
    if digest is None:
        return None
    with store.read() as conn:
        last = noted(conn, _NOTE)
    if last is None:
        with store.write() as conn:
            note(conn, _NOTE, now.isoformat())
        return None
    since = datetime.fromisoformat(last)
    if since > now:  # the clock was set back
        with store.write() as conn:
            note(conn, _NOTE, now.isoformat())
        return None
    moment = due(digest, settings.owner, now, since)
    if moment is None:
        return None
    with store.read() as conn:
        if now < moment + LATE - PATIENCE and not _were_tried(conn, settings, now):
            return None
    owner = settings.owner
    day = moment.astimezone(zone(owner.zone, "UTC")).date()
    with store.read() as conn:
        values = _Gathering(conn, settings, Decider(store, settings), since, now).values()
    subject, body = write(values, owner.language)
    with store.write() as conn:
        note(conn, _NOTE, now.isoformat())
        return deliveries.add_notice(
            conn,
            "digest",
            day.isoformat(),
            owner.addresses[0],
            subject=subject,
            body=body,
            now=now,
            until=moment + LATE,
        )


def skip(conn: Connection, now: datetime) -> None:
    """Take the digests up to now (UTC) as written, if any ever was."""
    if noted(conn, _NOTE) is not None:
        note(conn, _NOTE, now.isoformat())


def _were_tried(conn: Connection, settings: Settings, now: datetime) -> bool:
    """Whether of every account it is known that it can, or cannot, be read."""
    rows = calendars.accounts(conn)
    for name, account in settings.seen_accounts().items():
        row = rows.get(name)
        if row is None or (
            not row.failures and (row.seen_at is None or now - row.seen_at >= account.stale_after)
        ):
            return False
    return True


@dataclass(frozen=True, slots=True)
class _Gathering:
    """Everything a digest tells, gathered from the store at ``now``; what happened counts from ``since``."""

    conn: Connection
    settings: Settings
    decider: Decider
    since: datetime
    now: datetime

    def values(self) -> dict[str, Any]:
        """What the template sees."""
        held = [one for one in deliveries.list_(self.conn, State.HELD) if one.do != NOTICE]
        troubled = self._troubled()
        dark, upcoming = self._outlook()
        found: dict[str, list[Item]] = {
            "missed": self._missed(),
            "unanswered": self._unanswered(),
            "held": [self._waiting(one) for one in held],
            "sent": self._sent(),
            "troubled": [
                {
                    "id": str(one.id),
                    "to": clean(one.to),
                    "subject": clean(one.subject or f"{one.rule}, {one.step}"),
                    "state": one.state.value,
                    "why": clean(one.error),
                }
                for one in troubled
            ],
            "dark": dark,
            "unseen": self._unseen(),
            "wished": self._wished(),
            "upcoming": upcoming,
        }
        home = zone(self.settings.owner.zone, "UTC")
        return {
            **{
                name: [{part: one[part] for part in parts} for one in found[name][:LONGEST_LIST]]
                for name, parts in SECTIONS.items()
            },
            "more": {name: max(0, len(found[name]) - LONGEST_LIST) for name in SECTIONS},
            "held_ids": _ids(held),
            "troubled_ids": _ids(troubled),
            "quiet": not any(found.values()),
            "day": self._said(self.now)["day"],
            "zone": home.key,
        }

    def _missed(self) -> list[Item]:
        """Meetings of which it became known that I was not there."""
        past = horizon.window(self.now).start
        with_marks = self.decider.frame(self.conn, agenda.between(self.conn, past, self.now))
        view = View(with_marks, self.now)
        found = {
            one.identity: one
            for one in view.subjects
            if (evidence := view.attendance(one)) is not None
            and evidence.held is Held.MISSED_BY_ME
            and self.since <= evidence.at <= self.now
        }
        return [self._meeting(one) for one in _in_order(found.values())]

    def _unanswered(self) -> list[Item]:
        """Invitations ahead that wait for my answer; of a series the next."""
        owner = self.settings.owner
        found: dict[str, Occurrence] = {}
        for one in agenda.between(self.conn, self.now, horizon.window(self.now).end):
            open_ = one.timing is Timing.TIMED and one.status is not Status.CANCELLED
            if not open_ or organized_by_me(one, owner) or one.key.uid in found:
                continue
            if my_answer(one, owner) is PartStat.NEEDS_ACTION:
                found[one.key.uid] = one
        return [self._meeting(one) for one in found.values()]

    def _wished(self) -> list[Item]:
        """Who of my meetings ahead asked for another time."""
        owner = self.settings.owner
        return [
            self._meeting(one) | {"people": clean(who.address), "asked": self._moment(asked.start)}
            for one in answers.told(
                self.conn, agenda.between(self.conn, self.now, horizon.window(self.now).end)
            )
            if one.status is not Status.CANCELLED
            for who in one.attendees
            if who.address not in owner.addresses and (asked := wish(who, one)) is not None
        ]

    def _waiting(self, one: Delivery) -> Item:
        meeting = self._about(one.key, one)
        return {"id": str(one.id), "to": clean(one.to), **meeting, "rule": one.rule, "step": one.step}

    def _sent(self) -> list[Item]:
        """What left for other people, by person; what went in one mail once."""
        people: dict[str, dict[str, str]] = {}
        for one in deliveries.list_(self.conn, State.SENT):
            if one.do in TO_OTHERS and one.sent_at is not None and one.sent_at >= self.since:
                people.setdefault(one.to, {})[one.message_id] = clean(one.subject)
        return [
            {"to": clean(to), "subjects": "; ".join(said.values())} for to, said in sorted(people.items())
        ]

    def _troubled(self) -> list[Delivery]:
        """What was refused, or nobody knows to have arrived."""
        rows = [*deliveries.list_(self.conn, State.UNKNOWN), *deliveries.list_(self.conn, State.REFUSED)]
        return [one for one in rows if one.changed_at >= self.since and one.carried_by is None]

    def _unseen(self) -> list[Item]:
        """Accounts and calendars that could not be read for too long."""
        rows = calendars.accounts(self.conn)
        found: list[Item] = []
        for name, account in self.settings.seen_accounts().items():
            row = rows.get(name)
            seen = row.seen_at if row else None
            if seen is None or self.now - seen >= account.stale_after:
                why = clean(row.error) if row else ""
                found.append({"name": name, "since": self._moment(seen), "why": why})
                continue
            for one in calendars.calendars(self.conn, name):
                if self.now - one.seen_at >= account.stale_after:
                    title = f"{clean(one.name)} ({name})"
                    found.append({"name": title, "since": self._moment(one.seen_at), "why": ""})
        return found

    def _outlook(self) -> tuple[list[Item], list[Item]]:
        """Who goes dark, and what comes next today: what waits in the outbox, and the steps that open."""
        home = zone(self.settings.owner.zone, "UTC")
        tomorrow = self.now.astimezone(home).date() + timedelta(days=1)
        midnight = wall(tomorrow, time(0), home.key)
        subjects = {one.key: one for one in agenda.due(self.conn, midnight, MOST)}
        subjects |= {one.key: one for one in self._last_held()}
        seen = self.decider.snapshot(self.conn, list(subjects.values()), self.now)
        try:
            plan = evaluate(seen, self.decider.policy(self.conn, self.now), self.now)
        except Exception:
            log.exception("a digest has no outlook")  # the rest of it must reach its reader
            plan = Plan(now=self.now)
        dark = [
            self._meeting(subjects[one.key]) | {"people": ", ".join(clean(a) for a in one.people)}
            for one in plan.findings
            if one.detector == Silent.word
        ]
        waiting = [*deliveries.list_(self.conn, State.PENDING), *deliveries.list_(self.conn, State.RETRYING)]
        coming = [
            (one.next_try_at, one.to, one.rule, one.step, self._about(one.key, one))
            for one in waiting
            if one.do != NOTICE and one.next_try_at < midnight
        ]
        coming += [
            (one.at, one.to, one.rule, one.step, self._meeting(subjects[one.key]))
            for one in plan.upcoming
            if one.at < midnight
        ]
        coming.sort(key=lambda one: one[:4])
        upcoming = [
            {"hour": f"{at.astimezone(home):%H:%M}", "to": clean(to), "rule": rule, "step": step, **meeting}
            for at, to, rule, step, meeting in coming
        ]
        return _without_repeats(dark), upcoming

    def _last_held(self) -> list[Occurrence]:
        """The meetings last held with people whom a rule watches for silence, or wrote to because of it."""
        if not any(isinstance(rule.when, Silent) for rule in self.settings.policy.rules):
            return []
        found = self.decider.last_held(self.conn, horizon.window(self.now).end, MOST)
        states = (State.SENT, State.HELD, State.PENDING, State.RETRYING)
        told = {
            person
            for state in states
            for one in deliveries.list_(self.conn, state)
            if one.detector == Silent.word
            for person in one.people
        }
        lasts = [one.last for one in contacts.of(self.conn, told).values()]
        return [*(one for one in lasts if one is not None), *found]

    def _about(self, key: OccurrenceKey | None, one: Delivery) -> Item:
        meeting = None if key is None else agenda.meeting(self.conn, key, one.people)
        return {"title": "", "short": ""} if meeting is None else self._meeting(meeting)

    def _meeting(self, one: Occurrence) -> Item:
        owner = self.settings.owner
        title = clean(without_marks(one.title, owner.marks)) or language(owner.language).our_meeting
        others = [a.address for a in one.attendees] if organized_by_me(one, owner) else [one.organizer or ""]
        people = ", ".join(clean(a) for a in others if a and a not in owner.addresses)
        said = self._said(one.start_utc)
        return {"title": title, "short": said["short"], "day": said["day"], "people": people}

    def _said(self, at: datetime) -> dict[str, str]:
        owner = self.settings.owner
        return spoken(Interval(at, at), zone(owner.zone, "UTC"), None, language(owner.language))

    def _moment(self, at: datetime | None) -> str:
        return self._said(at)["short"] if at is not None else ""


def _ids(rows: Sequence[Delivery]) -> str:
    return " ".join(str(one.id) for one in rows[:LONGEST_LIST])


def _in_order(found: Iterable[Occurrence]) -> list[Occurrence]:
    return sorted(found, key=lambda one: (one.start_utc, one.key))


def _without_repeats(items: list[Item]) -> list[Item]:
    """Two rules may say the same of one person."""
    return list({one["people"]: one for one in items}.values())
