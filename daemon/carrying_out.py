"""A new time that was agreed on reaches the calendar: the meeting moves, or another one is made.

Doing it twice does no harm: what is already as it was agreed is left alone. Where the server tells nobody,
each attendee gets one invitation from us; the original stands until then.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from connectors.base import (
    CalendarConnector,
    Conflict,
    Creator,
    NewMeeting,
    Proposer,
    Receipt,
    Rejected,
    Resource,
    Retryable,
)
from daemon import horizon
from daemon.carriers import HandOver, Parcel, meeting_of
from daemon.clock import Clock
from daemon.config.settings import Settings
from daemon.mail.foreign_text import without_marks
from daemon.store import agenda, agreements, answers, calendars, deliveries
from daemon.store.agreements import Agreement, Kind, Stage
from daemon.store.deliveries import Delivery
from daemon.store.engine import Store
from rules.delivery import INVITE
from rules.model import Attendee, CuType, Intent, Interval, Occurrence, OccurrenceKey, PartStat
from rules.people import organized_by_me
from rules.policy import Mode

TELL_WITHIN = timedelta(days=1)
"""How long an invitation to the new time may take to leave."""


class AgreementCarrier:
    """Carries out agreements through their calendar's own connector."""

    def __init__(
        self, store: Store, settings: Settings, clock: Clock, connect: Callable[[str], CalendarConnector]
    ) -> None:
        self._store = store
        self._settings = settings
        self._clock = clock
        self._connect = connect

    def place(self, delivery: Delivery) -> str:
        """The event's account."""
        return f"account {delivery.key.calendar.account if delivery.key else ''}"

    def prepare(self, party: Sequence[Delivery | Intent]) -> Parcel:
        """What is to be done for one agreement. Raises Rejected where it no longer stands."""
        (delivery,) = party
        agreed = self._agreed(delivery)
        meeting = meeting_of(self._store, delivery)
        doing: dict[Kind, tuple[str, HandOver]] = {
            Kind.MOVE: ("Move", lambda committing: self._move(agreed, meeting, committing)),
            Kind.CREATE: ("A new meeting for", lambda committing: self._create(agreed, meeting, committing)),
            Kind.COUNTER: ("Propose", lambda committing: self._propose(agreed, meeting, committing)),
        }
        what, carry_out = doing[agreed.kind]

        def hand_over(committing: Callable[[], None]) -> Receipt:
            try:
                return carry_out(committing)
            except Rejected as error:
                self._settle(agreed, Stage.FAILED, str(error))
                raise

        return Parcel(subject=f"{what}: {meeting.title}", hand_over=hand_over)

    def _agreed(self, delivery: Delivery | Intent) -> Agreement:
        with self._store.read() as conn:
            found = None
            if delivery.identity is not None and delivery.start is not None:
                found = agreements.of(conn, delivery.identity, delivery.start)
        if found is None or found.state is Stage.DONE:
            raise Rejected("the agreed time no longer stands")
        return found

    def _move(self, agreed: Agreement, meeting: Occurrence, committing: Callable[[], None]) -> Receipt:
        if not meeting.href:
            raise Rejected("the meeting is no longer in the calendar, so it cannot be moved")
        ref = meeting.key.calendar
        connector = self._connect(ref.account)
        now = self._here(connector, meeting, agreed)
        committing()
        if not _is_at(now, agreed.slot):
            if now.start_utc != agreed.start:
                self._settle(agreed, Stage.DROPPED, "the meeting was moved elsewhere meanwhile")
                raise Rejected("the meeting was moved elsewhere meanwhile, so it was left there")
            try:
                connector.move(now, *_wall(agreed.slot, now))
            except Conflict as error:
                raise Retryable(f"the meeting changed while it was moved: {error}") from error
        found = connector.read(ref, meeting.href, horizon.window(self._clock.now()))
        self._done(agreed, found, meeting.key)
        return Receipt(response="moved")

    def _here(self, connector: CalendarConnector, meeting: Occurrence, agreed: Agreement) -> Occurrence:
        """The meeting as it is now, read far enough to be found at either time."""
        window = horizon.window(self._clock.now())
        first = min(window.start, meeting.start_utc, agreed.slot.start)
        last = max(window.end, meeting.end_utc, agreed.slot.end) + timedelta(seconds=1)
        found = connector.read(meeting.key.calendar, meeting.href, Interval(first, last))
        now = next((one for one in found.occurrences if one.key == meeting.key), None) if found else None
        if now is None:
            self._settle(agreed, Stage.DROPPED, "the meeting is gone")
            raise Rejected("the meeting is no longer in the calendar, so it cannot be moved")
        return now

    def _create(self, agreed: Agreement, meeting: Occurrence, committing: Callable[[], None]) -> Receipt:
        ref = meeting.key.calendar
        connector = self._connect(ref.account)
        if not isinstance(connector, Creator):
            raise Rejected("no meeting can be made in this calendar; make it by hand")
        committing()
        key = self._settings.outward(f"{meeting.identity} {agreed.start.isoformat()}")
        found = connector.create(ref, self._new(agreed, meeting), key)
        made = found.occurrences[0].key if found.occurrences else meeting.key
        self._done(agreed, found, made)
        return Receipt(response="made")

    def _new(self, agreed: Agreement, meeting: Occurrence) -> NewMeeting:
        """The same meeting once more, linked to the one that was."""
        owner = self._settings.owner
        start, end = _wall(agreed.slot, meeting)
        mine = organized_by_me(meeting, owner)
        people = meeting.attendees if mine else (*_organizer(meeting), *meeting.attendees)
        return NewMeeting(
            made_at=self._clock.now(),
            title=without_marks(meeting.title, owner.marks),
            start=start,
            end=end,
            organizer=(meeting.organizer if mine else None) or owner.addresses[0],
            organizer_name=(meeting.organizer_name if mine else "") or owner.name,
            attendees=tuple(_anew(one) for one in people if one.address not in owner.addresses),
            location=meeting.location,
            related=meeting.key.uid,
            online=bool(meeting.conference),
        )

    def _propose(self, agreed: Agreement, meeting: Occurrence, committing: Callable[[], None]) -> Receipt:
        connector = self._connect(meeting.key.calendar.account)
        if not isinstance(connector, Proposer):
            raise Rejected("no time can be proposed through this calendar; write to its organiser")
        try:
            connector.propose(meeting, agreed.slot, committing=committing)
        except Conflict as error:
            raise Rejected(f"the meeting is no longer as it was: {error}") from error
        self._settle(agreed, Stage.DONE)
        return Receipt(response="proposed")

    def _done(self, agreed: Agreement, found: Resource | None, key: OccurrenceKey) -> None:
        """Take in the calendar as it is now, and queue an invitation to each where its server sends none."""
        now, ref = self._clock.now(), key.calendar
        with self._store.write() as conn:
            if not agreements.settle(conn, agreed.id, Stage.DONE, now) or found is None:
                return
            calendars.reread(conn, ref, found.href, found, now, mine=self._settings.owner.addresses)
            answers.agreed_to(
                conn, agreed.key.identity, agreed.start, agreed.slot, instead=key.identity, now=now
            )
            schedules = any(row.schedules for row in calendars.calendars(conn, ref.account) if row.ref == ref)
            if not schedules:
                deliveries.add(conn, self._invitations(agreed, found, key), now)
            agenda.wake(conn, [copy.key for copy in agenda.copies(conn, [agreed.key, key])], now)

    def _invitations(self, agreed: Agreement, found: Resource, key: OccurrenceKey) -> list[Intent]:
        now, owner = self._clock.now(), self._settings.owner
        meeting = next((one for one in found.occurrences if one.key == key), None)
        others = meeting.attendees if meeting else ()
        return [
            Intent(
                rule="rebookd",
                step="new-time",
                do=INVITE,
                mode=Mode.AUTO,
                key=key,
                start=agreed.slot.start,
                to=one.address,
                people=(one.address,),
                due=now,
                until=now + TELL_WITHIN,
                reason=f"{agreed.address} picked this time",
                detector="",
            )
            for one in others
            if one.address not in owner.addresses and one.cutype in {CuType.INDIVIDUAL, CuType.UNKNOWN}
        ]

    def _settle(self, agreed: Agreement, stage: Stage, why: str = "") -> None:
        with self._store.write() as conn:
            agreements.settle(conn, agreed.id, stage, self._clock.now(), why)


def _is_at(occurrence: Occurrence, slot: Interval) -> bool:
    return (occurrence.start_utc, occurrence.end_utc) == (slot.start, slot.end)


def _wall(slot: Interval, like: Occurrence) -> tuple[datetime, datetime]:
    """The slot in the zone that the meeting is kept in."""
    zone = like.start.tzinfo if isinstance(like.start.tzinfo, ZoneInfo) else None
    return (slot.start.astimezone(zone), slot.end.astimezone(zone)) if zone else (slot.start, slot.end)


def _organizer(meeting: Occurrence) -> list[Attendee]:
    """Whoever organised it, where they are not among its attendees."""
    who = meeting.organizer
    if who is None or any(one.address == who for one in meeting.attendees):
        return []
    return [Attendee(address=who, name=meeting.organizer_name)]


def _anew(attendee: Attendee) -> Attendee:
    return replace(attendee, partstat=PartStat.NEEDS_ACTION, answered_at=None, proposed=None)


__all__ = ["AgreementCarrier"]
