"""The past played again: the decisions that rules would have made, on what the store remembers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection

from connectors.base import CalendarInfo, Capabilities, ChangeSet, Cursor, Resource
from daemon import horizon
from daemon.config.settings import Settings
from daemon.decide import Decider
from daemon.replay_past import Moment, Past
from daemon.store import (
    agenda,
    attendance,
    calendars,
    contacts,
    deliveries,
    optouts,
    past_deliveries,
    silences,
)
from daemon.store.engine import Store
from daemon.store.scratch import (
    copy_contacts,
    copy_deliveries,
    copy_silences,
    scratch_store,
    take_as_sent,
)
from rules.delivery import State
from rules.model import (
    Account,
    Address,
    CalendarRef,
    CalendarSeen,
    Identity,
    Intent,
    Occurrence,
    OccurrenceKey,
    Snapshot,
)
from rules.policy import TO_OTHERS, Mode, Policy

INSTANT = timedelta(seconds=1)
"""The least time between two looks, so that nothing can spin."""

HOUR = timedelta(hours=1)

LEFT = frozenset({State.SENT, State.UNKNOWN})
"""What left, or may have."""


Meant = tuple[str, str, Identity, datetime]
"""What makes two messages the same to whoever gets them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A message that left, or would have, at ``at`` (UTC); ``held`` says that the owner's word came first."""

    at: datetime
    rule: str
    step: str
    do: str
    to: Address
    identity: Identity
    start: datetime
    reason: str
    held: bool = False

    @property
    def meant(self) -> Meant:
        """What makes two messages the same to whoever gets them."""
        return self.do, self.to, self.identity, self.start


@dataclass(slots=True)
class Played:
    """What playing the past gave: the messages in order, how often it looked, which meetings failed."""

    messages: list[Message] = field(default_factory=list)
    ticks: int = 0
    failed: set[OccurrenceKey] = field(default_factory=set)


@dataclass(slots=True)
class Difference:
    """Two lists of messages side by side; ``moved`` are the same messages at another time."""

    same: int = 0
    added: list[Message] = field(default_factory=list)
    removed: list[Message] = field(default_factory=list)
    moved: list[tuple[Message, Message]] = field(default_factory=list)


def play(
    store: Store,
    settings: Settings,
    policy: Policy,
    past: Past,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> Played:
    """Decide by ``policy`` at every change of the past and whenever it asked to look again.

    Every message counts as sent the moment it is planned; what was already due at the beginning counts
    as old news. The true ``store`` is only read. ``progress`` hears how many of the past's hours are played.
    """
    calm = policy.guard.model_copy(update={"first_sync": "quiet"})
    policy = policy.model_copy(update={"guard": calm})
    with scratch_store() as scratch:
        with store.read() as source, scratch.write() as target:
            copy_deliveries(source, target, past.since)
            copy_silences(source, target)
            copy_contacts(source, target, past.since)
        player = _Player(scratch, replace(settings, policy=policy), past, progress)
        for moment in past.moments():
            player.advance(moment.at)
            player.happen(moment)
        player.advance(past.now)
        return player.played


class _Seeing(Decider):
    """Decides as if every calendar had just been read: when one could not be is not remembered.

    What changes only with the past itself is read once for each of its moments, not at every look.
    """

    def __init__(self, store: Store, settings: Settings) -> None:
        super().__init__(store, settings)
        self._settings = settings
        self._accounts: dict[str, Account] = {}
        self._calendars: dict[CalendarRef, CalendarSeen] = {}
        self._standing: Policy | None = None
        self.now = datetime.max.replace(tzinfo=UTC)

    def refresh(self, conn: Connection) -> None:
        """Read anew what a moment of the past may have changed."""
        rows = calendars.accounts(conn)
        self._accounts = {
            name: replace(account, first_seen_at=rows[name].first_seen_at if name in rows else None)
            for name, account in self._settings.seen_accounts().items()
        }
        for name, row in rows.items():
            self._accounts.setdefault(name, Account(name=name, first_seen_at=row.first_seen_at))
        self._calendars = {
            row.ref: CalendarSeen(name=row.name, seen_at=None, first_seen_at=row.first_seen_at)
            for row in calendars.calendars(conn)
        }
        self._standing = None if silences.list_(conn) else super().policy(conn, self.now)

    def policy(self, conn: Connection, now: datetime) -> Policy:
        """The rules with what the owner had said by then."""
        return self._standing or super().policy(conn, now)

    def frame(
        self, conn: Connection, subjects: Iterable[Occurrence], context: tuple[Occurrence, ...] = ()
    ) -> Snapshot:
        """A snapshot in which every calendar was read now."""
        subjects = tuple(subjects)
        identities = {one.identity for one in subjects}
        return Snapshot(
            owner=self._settings.owner,
            accounts={name: replace(one, seen_at=self.now) for name, one in self._accounts.items()},
            subjects=subjects,
            context=context,
            attendance=attendance.marks(conn, identities),
            done=deliveries.done(conn, identities),
            calendars={ref: replace(one, seen_at=self.now) for ref, one in self._calendars.items()},
        )


class _Player:
    """Lets time pass in a throw-away store."""

    def __init__(
        self, store: Store, settings: Settings, past: Past, progress: Callable[[int, int], None]
    ) -> None:
        self.played = Played()
        self._progress = progress
        self._store = store
        self._past = past
        self._decider = _Seeing(store, settings)
        self._looked: datetime | None = None

    def advance(self, until: datetime) -> None:
        """Look again whenever the rules asked to, up to but excluding ``until`` (UTC)."""
        while (at := self._next()) is not None and at < until:
            self._look(at)

    def happen(self, moment: Moment) -> None:
        """Let what came about at one instant come true, and look at it."""
        by_calendar: dict[CalendarRef, list[tuple[OccurrenceKey, Occurrence | None]]] = defaultdict(list)
        for change in moment.changes:
            by_calendar[change.key.calendar].append(change)
        with self._store.write() as conn:
            for ref, changes in by_calendar.items():
                calendars.polled(conn, ref.account, moment.at)
                info = CalendarInfo(
                    ref=ref, name=self._past.names.get(ref, ref.id), capabilities=Capabilities()
                )
                calendars.apply(
                    conn, info, _as_poll(changes, moment.at), moment.at, horizon.window(moment.at).end
                )
            for identity, known in moment.attended:
                attendance.mark(conn, identity, known.held, known.source, known.at)
                found = agenda.by_uids(conn, [identity.uid])
                agenda.wake(conn, [one.key for one in found if one.identity == identity], moment.at)
            for pattern in moment.optouts:
                optouts.add(conn, pattern, "", moment.at)
            self._decider.refresh(conn)
        self._look(moment.at)

    def _next(self) -> datetime | None:
        """When the rules want to look again."""
        with self._store.read() as conn:
            asked = [agenda.next_wake(conn)]
            if self._decider.asks_of_contacts:
                asked.append(contacts.next_wake(conn))
        at = min((one for one in asked if one is not None), default=None)
        if at is None or self._looked is None:
            return at
        return max(at, self._looked + INSTANT)

    def _look(self, now: datetime) -> None:
        self._looked = self._decider.now = now
        begun, ended = self._past.since, self._past.now
        self._progress((now - begun) // HOUR, (ended - begun) // HOUR)
        decided = self._decider.tick(now)
        self.played.ticks += 1
        self.played.failed |= {key for key, _ in decided.failed}
        if not decided.planned:
            return
        self.played.messages += [_message(one, now) for one in decided.planned]
        with self._store.write() as conn:
            take_as_sent(conn, now)
            if self._decider.asks_of_contacts:
                contacts.wake(conn, [one.to for one in decided.planned if one.do in TO_OTHERS], now)


def _as_poll(changes: list[tuple[OccurrenceKey, Occurrence | None]], at: datetime) -> ChangeSet:
    """Changes of one calendar as a poll would bring them, each meeting a resource of its own."""
    arrived, gone = [], []
    for key, occurrence in changes:
        href = f"/{key.identity}"
        if occurrence is None:
            gone.append(href)
            continue
        etag = at.isoformat()
        placed = (replace(occurrence, href=href, etag=etag),)
        arrived.append(Resource(href=href, etag=etag, uid=key.uid, raw="", occurrences=placed))
    return ChangeSet(changed=tuple(arrived), removed=frozenset(gone), cursor=Cursor(at.isoformat()))


def _message(intent: Intent, at: datetime) -> Message:
    return Message(
        at=at,
        rule=intent.rule,
        step=intent.step,
        do=intent.do,
        to=intent.to,
        identity=intent.identity,
        start=intent.start,
        reason=intent.reason,
        held=bool(intent.hold) or intent.mode != Mode.AUTO,
    )


def truly_sent(store: Store, past: Past) -> tuple[list[Message], dict[Meant, str]]:
    """The messages that really left, or may have, since the past begins; and what became of the others."""
    left: list[Message] = []
    fates: dict[Meant, str] = {}
    with store.read() as conn:
        for one in past_deliveries.planned_since(conn, past.since):
            if one.key is None or one.start is None:
                continue
            message = Message(
                at=one.sent_at or one.changed_at,
                rule=one.rule,
                step=one.step,
                do=one.do,
                to=one.to,
                identity=one.key.identity,
                start=one.start,
                reason=one.reason,
                held=one.mode != Mode.AUTO,
            )
            if one.state in LEFT:
                left.append(message)
            else:
                fates[message.meant] = f"{one.state}: {one.error}" if one.error else str(one.state)
    return left, fates


def compare(before: Iterable[Message], after: Iterable[Message], slack: timedelta) -> Difference:
    """What differs between two lists; times that differ by no more than ``slack`` are the same."""
    left: dict[Meant, list[Message]] = defaultdict(list)
    for one in sorted(before, key=_order):
        left[one.meant].append(one)
    found = Difference()
    for one in sorted(after, key=_order):
        rivals = left[one.meant]
        if not rivals:
            found.added.append(one)
            continue
        nearest = min(rivals, key=lambda rival: abs(rival.at - one.at))
        rivals.remove(nearest)
        if abs(nearest.at - one.at) <= slack:
            found.same += 1
        else:
            found.moved.append((nearest, one))
    found.removed = sorted((one for rivals in left.values() for one in rivals), key=_order)
    return found


def _order(one: Message) -> tuple[datetime, str, str, str]:
    return one.at, one.rule, one.step, one.to
