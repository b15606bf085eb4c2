"""The nouns every room shares, all frozen.

Times: every :class:`~datetime.datetime` is aware. ``start`` and ``end`` keep the zone the calendar
gave them (wall time + TZID, RFC 5545 section 3.3.5); everything observed or decided by us is UTC.
Intervals are half-open, ``[start, end)``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import NewType

from rules.hours import WorkingHours

Address = NewType("Address", str)
"""A lower-case mail address without ``mailto:``."""


class PartStat(StrEnum):
    """Participation status of an attendee (RFC 5545 section 3.2.12)."""

    NEEDS_ACTION = "NEEDS-ACTION"
    ACCEPTED = "ACCEPTED"
    DECLINED = "DECLINED"
    TENTATIVE = "TENTATIVE"
    DELEGATED = "DELEGATED"


class Role(StrEnum):
    """Participation role (RFC 5545 section 3.2.16)."""

    CHAIR = "CHAIR"
    REQUIRED = "REQ-PARTICIPANT"
    OPTIONAL = "OPT-PARTICIPANT"
    NON_PARTICIPANT = "NON-PARTICIPANT"


class CuType(StrEnum):
    """Calendar user type (RFC 5545 section 3.2.3)."""

    INDIVIDUAL = "INDIVIDUAL"
    GROUP = "GROUP"
    RESOURCE = "RESOURCE"
    ROOM = "ROOM"
    UNKNOWN = "UNKNOWN"


class Status(StrEnum):
    """Status of an event (RFC 5545 section 3.8.1.11)."""

    CONFIRMED = "CONFIRMED"
    TENTATIVE = "TENTATIVE"
    CANCELLED = "CANCELLED"


class Timing(StrEnum):
    """What the start and end really say about the instant."""

    TIMED = "timed"
    ALL_DAY = "all-day"
    FLOATING = "floating"
    UNKNOWN_ZONE = "unknown-zone"
    UNFOLLOWED = "unfollowed"


class Held(StrEnum):
    """Did the meeting take place? The four values of attendance."""

    HELD = "held"
    MISSED_BY_ATTENDEE = "missed_by_attendee"
    MISSED_BY_ME = "missed_by_me"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Interval:
    """A half-open span of time between two instants in UTC."""

    start: datetime
    end: datetime

    def overlaps(self, other: Interval) -> bool:
        """Whether the two share any time."""
        return self.start < other.end and other.start < self.end


@dataclass(frozen=True, slots=True, kw_only=True)
class Attendee:
    """One invited party.

    ``answered_at`` is when we first *saw* the present ``partstat`` or proposal replace another one (UTC);
    None when it never changed under our eyes. ``proposed`` is the other time they ask for (RFC 5546 section
    3.2.7).
    """

    address: Address
    name: str = ""
    partstat: PartStat = PartStat.NEEDS_ACTION
    role: Role = Role.REQUIRED
    cutype: CuType = CuType.INDIVIDUAL
    delegated_to: Address | None = None
    answered_at: datetime | None = None
    proposed: Interval | None = None


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class CalendarRef:
    """One calendar of one account; ``id`` is the provider's stable name for it (CalDAV: its URL)."""

    account: str
    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OccurrenceKey:
    """One occurrence in one calendar.

    ``recurrence_id`` is the original start of an instance in UTC, ``20260302T090000Z``, or
    ``20260302`` for an all-day series; None for an event that does not recur (RFC 5545 section
    3.8.4.4).
    """

    calendar: CalendarRef
    uid: str
    recurrence_id: str | None = None

    def __lt__(self, other: OccurrenceKey) -> bool:
        mine = (self.calendar, self.uid, self.recurrence_id or "")
        return mine < (other.calendar, other.uid, other.recurrence_id or "")

    @property
    def identity(self) -> Identity:
        """The same meeting's name in every calendar that holds it."""
        return Identity(uid=self.uid, recurrence_id=self.recurrence_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """One meeting across accounts: UID and RECURRENCE-ID (RFC 5545 section 3.8.4.7)."""

    uid: str
    recurrence_id: str | None = None

    def __str__(self) -> str:
        return self.uid if self.recurrence_id is None else f"{self.uid}/{self.recurrence_id}"

    def __lt__(self, other: Identity) -> bool:
        return str(self) < str(other)


@dataclass(frozen=True, slots=True, kw_only=True)
class Occurrence:
    """One occurrence of an event as one calendar shows it.

    For ``ALL_DAY``, ``FLOATING`` and ``UNKNOWN_ZONE`` the times are what the account's own zone
    would make of them: good enough to find and show the event, never to act on it.
    ``appeared_at`` is when we first saw it, unless it was there when its calendar was first read;
    ``time_changed_at`` when we last saw its start or end move, ``relabelled_at`` its title or categories
    change, ``cancelled_at`` its status become CANCELLED, ``observed_at`` when we last read it (all UTC).
    ``removed_at`` is set on what is remembered of an occurrence that vanished from its calendar without
    a word; its status is then CANCELLED. ``final`` says that it is the last of a series that ends.
    ``away`` says that it is my absence, by its kind and not by its words; ``guests_hidden`` that not all
    who are invited, or what they answered, can be seen; ``rsvp`` that its organiser asks for answers.
    ``conference`` is the code of its call at the service that holds it. ``href`` and ``etag`` are the
    connector's own handle for reading and writing.
    """

    key: OccurrenceKey
    start: datetime
    end: datetime
    title: str = ""
    tzid: str = "UTC"
    timing: Timing = Timing.TIMED
    status: Status = Status.CONFIRMED
    transparent: bool = False
    private: bool = False
    organizer: Address | None = None
    organizer_name: str = ""
    attendees: tuple[Attendee, ...] = ()
    sequence: int = 0
    created: datetime | None = None
    modified: datetime | None = None
    location: str = ""
    categories: tuple[str, ...] = ()
    recurring: bool = False
    href: str = ""
    etag: str = ""
    observed_at: datetime | None = None
    time_changed_at: datetime | None = None
    appeared_at: datetime | None = None
    relabelled_at: datetime | None = None
    cancelled_at: datetime | None = None
    removed_at: datetime | None = None
    final: bool = False
    away: bool = False
    guests_hidden: bool = False
    rsvp: bool = True
    conference: str = ""

    @property
    def identity(self) -> Identity:
        """The meeting this is a copy of."""
        return self.key.identity

    @property
    def start_utc(self) -> datetime:
        """Start as an instant; subtract and compare only these, since same-zone arithmetic ignores DST."""
        return self.start.astimezone(UTC)

    @property
    def end_utc(self) -> datetime:
        """End as an instant."""
        return self.end.astimezone(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """Title prefixes or categories by which a calendar app says what a meeting became, or is (any case).

    ``away`` marks an event during which I am out of office.
    """

    held: tuple[str, ...] = ("[held]",)
    missed: tuple[str, ...] = ("[no-show]",)
    missed_by_me: tuple[str, ...] = ("[missed-by-me]",)
    away: tuple[str, ...] = ("[away]", "out of office")


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """The person rebookd works for. The first address is where they are told things."""

    name: str
    addresses: tuple[Address, ...]
    hours: WorkingHours = field(default_factory=WorkingHours)
    marks: Marks = Marks()
    language: str = "en"

    @property
    def zone(self) -> str:
        """Their IANA time zone."""
        return self.hours.zone


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One account as the decision sees it.

    ``seen_at`` is the last complete poll (UTC; None = never); after ``stale_after`` without another
    the account is blind and its own conclusions stop. ``first_seen_at`` is the end of its first
    complete poll. ``language`` and ``time_zone`` are those of the client's people, where known.
    ``mode`` is how far any rule may go by itself for this account (a word of ``rules.policy.Mode``).
    ``records_within`` is how long after a meeting's end the records of its call are read at the latest;
    None where there are none.
    """

    name: str
    client: str | None = None
    language: str | None = None
    time_zone: str | None = None
    rsvp_trusted: bool = True
    mode: str = "auto"
    seen_at: datetime | None = None
    first_seen_at: datetime | None = None
    stale_after: timedelta = timedelta(minutes=30)
    records_within: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """The state was put back from a backup at ``at`` (UTC), and forgot what was done since that was made.

    ``known`` says of each account up to when meetings that turned up there may have been known before; one
    that was not read since is not in it.
    """

    at: datetime
    known: Mapping[str, datetime] = field(default_factory=dict)

    def perhaps_done(self, due: datetime, account: str, appeared_at: datetime | None) -> bool:
        """Whether a step that was due then may be done already, of a meeting that appeared then.

        Whatever happens to a meeting that was there before: it may have been so once already.
        """
        known = self.known.get(account)
        return due <= self.at and (known is None or appeared_at is None or appeared_at <= known)


@dataclass(frozen=True, slots=True, kw_only=True)
class CalendarSeen:
    """What people call a calendar, and when it was last and first read completely (UTC; None = never)."""

    name: str
    seen_at: datetime | None
    first_seen_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Attendance:
    """What is known about a meeting having taken place, from where, since when (UTC)."""

    held: Held
    source: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Party:
    """Somebody in a call, and when they were there (UTC).

    ``user`` is the service's lasting name for a person who signed in; empty for a guest and for a telephone.
    ``address`` is theirs where the service tells it, ``name`` what they were shown as.
    """

    user: str = ""
    address: Address | None = None
    name: str = ""
    spans: tuple[Interval, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A call as its service recorded it, ``[start, end)`` in UTC; without an end it still goes on."""

    start: datetime
    end: datetime | None
    parties: tuple[Party, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Acknowledgement:
    """What somebody answered beside their calendar: on an answer page, by mail, or through the owner.

    It is an answer to the time ``start`` (UTC) of the meeting, given at ``at`` (UTC), and ``source`` says
    where. ``proposed`` is the other time they ask for, ``picked`` those of the offered times that suit them.
    """

    address: Address
    start: datetime
    partstat: PartStat
    at: datetime
    source: str
    proposed: Interval | None = None
    picked: tuple[Interval, ...] = ()


class Met(StrEnum):
    """What one meeting with a contact came to."""

    HELD = "held"
    MISSED = "missed"
    MISSED_BY_ME = "missed_by_me"
    DECLINED = "declined"
    CANCELLED = "cancelled"
    UNANSWERED = "unanswered"


@dataclass(frozen=True, slots=True, kw_only=True)
class Encounter:
    """One past meeting with a contact: which, when it ended (UTC), and what it came to."""

    identity: Identity
    at: datetime
    met: Met


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    """A person met before, known by address across all accounts.

    ``encounters`` are the latest, oldest first. ``last`` is the meeting last held with them, as it was
    then. ``written`` is when messages of ours about meetings left for them (UTC, oldest first).
    """

    address: Address
    encounters: tuple[Encounter, ...] = ()
    last: Occurrence | None = None
    written: tuple[datetime, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """A step already dealt with: the intent's key and the delivery state it reached, since when (UTC)."""

    key: str
    state: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """Everything one evaluation may look at.

    ``subjects`` are judged; ``context`` (other copies of the same meeting, overlapping meetings,
    later meetings with the same people) is only looked at. ``attendance`` is the owner's word and
    ``records`` what records of calls say, both by ``str(Identity)``; ``done`` is keyed by intent key.
    ``calendars`` has the name and freshness of each calendar; one that is missing there is as fresh as its
    account. ``contacts`` are the people of the subjects. ``acknowledgements`` are answers given beside the
    calendars, by ``str(Identity)``. ``restored`` says that ``done`` may lack what was done before that.
    """

    owner: Owner
    accounts: dict[str, Account]
    subjects: tuple[Occurrence, ...]
    context: tuple[Occurrence, ...] = ()
    attendance: dict[str, Attendance] = field(default_factory=dict)
    records: dict[str, Attendance] = field(default_factory=dict)
    done: dict[str, Done] = field(default_factory=dict)
    calendars: dict[CalendarRef, CalendarSeen] = field(default_factory=dict)
    contacts: dict[Address, Contact] = field(default_factory=dict)
    acknowledgements: dict[str, tuple[Acknowledgement, ...]] = field(default_factory=dict)
    restored: Restored | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Because:
    """One predicate looked at: its name, whether it holds (None = unknown), the field that said so."""

    predicate: str
    holds: bool | None
    field: str
    value: str
    observed_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A rule's condition is true of an occurrence: whom it concerns, and why in one sentence."""

    rule: str
    detector: str
    key: OccurrenceKey
    people: tuple[Address, ...]
    reason: str
    tone: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """One message that should leave now.

    ``due`` and ``until`` bound the step (UTC, half-open); ``to`` is the one recipient; ``people``
    the attendees it is about (``to`` among them unless it goes to the owner). ``account`` is the
    account whose copy of the meeting speaks for it. ``turn`` counts the repetitions of a step, from 1.
    Intents of one ``group`` that wait at the same time leave as one message, ``wait`` after the first of
    them. ``hold`` says why it needs the owner's word before it leaves; empty when it does not.
    """

    rule: str
    step: str
    do: str
    mode: str
    key: OccurrenceKey
    start: datetime
    to: Address
    people: tuple[Address, ...]
    due: datetime
    until: datetime
    reason: str
    detector: str
    tone: str = ""
    template: str | None = None
    turn: int = 1
    group: str = ""
    wait: timedelta = timedelta(0)
    hold: str = ""

    @property
    def identity(self) -> Identity:
        """The meeting it is about."""
        return self.key.identity

    @property
    def intent_key(self) -> str:
        """The fence against a second mail."""
        return self.key_of(self.rule, self.step, self.identity, self.start, self.to, turn=self.turn)

    @staticmethod
    def key_of(
        rule: str, step: str, identity: Identity, start: datetime, to: Address, *, turn: int = 1
    ) -> str:
        """Rule, step and its turn, meeting, its start and the address; a moved meeting re-arms the ladder.

        SEQUENCE stays out: servers raise it for unrelated edits.
        """
        at = start.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
        turned = step if turn == 1 else f"{step}#{turn}"
        return "\x1f".join((rule, turned, str(identity), at, to))


@dataclass(frozen=True, slots=True, kw_only=True)
class Upcoming:
    """A step that will open if nothing changes until then."""

    at: datetime
    rule: str
    step: str
    key: OccurrenceKey
    to: Address


@dataclass(frozen=True, slots=True, kw_only=True)
class Withheld:
    """A step that is open but must not act now, and why; ``until`` is when to look again (UTC)."""

    rule: str
    step: str
    key: OccurrenceKey
    to: Address
    why: str
    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Noted:
    """What a meeting that is over adds to the history with one of its people."""

    address: Address
    encounter: Encounter
    occurrence: Occurrence


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What should happen.

    ``wake_at`` says, for each subject, when its answer can next change (UTC; None = never).
    ``noted`` is what subjects that are over add to the history with their people.
    """

    now: datetime
    intents: tuple[Intent, ...] = ()
    findings: tuple[Finding, ...] = ()
    upcoming: tuple[Upcoming, ...] = ()
    withheld: tuple[Withheld, ...] = ()
    wake_at: dict[OccurrenceKey, datetime | None] = field(default_factory=dict)
    noted: tuple[Noted, ...] = ()
