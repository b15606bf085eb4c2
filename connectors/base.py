"""What the daemon asks of the outside world, and the errors that name its next move.

::

    ConnectorError
    ├── Retryable        try again later (``retry_after`` seconds where the server said so)
    │   └── Unreachable  the server itself did not answer; its other items would fare no better
    ├── Uncertain        nobody knows whether it was kept; never repeat it blindly
    ├── NeedsLogin       stop this account until its owner signs in
    ├── CursorExpired    forget the cursor and poll once in full
    ├── Rejected         this one item was refused; its neighbours go on
    ├── Conflict         somebody changed the item since it was read; read it again
    ├── NotSupported     this server cannot do it; do not ask again
    ├── LimitExceeded    the answer was larger or slower than we accept
    └── TooMuch          all answers of one poll together were more than we accept
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol, runtime_checkable

from rules.model import Address, Attendee, CalendarRef, Call, Interval, Occurrence, OccurrenceKey


class ConnectorError(Exception):
    """Something outside did not do what we asked. The text is one sentence for the owner, without secrets."""


class Retryable(ConnectorError):
    """The server did not answer or asked us to come back; ``retry_after`` is in seconds."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Unreachable(Retryable):
    """The server as a whole did not answer or turned us away; nothing was handed to it."""


class Uncertain(ConnectorError):
    """The server may have kept the item or not; nobody knows."""


class NeedsLogin(ConnectorError):
    """The credentials are wrong, expired or revoked."""


class CursorExpired(ConnectorError):
    """The server no longer knows our cursor."""


class Rejected(ConnectorError):
    """This item only was refused for good."""


class Conflict(ConnectorError):
    """The item changed since we read it (HTTP 412)."""


class NotSupported(ConnectorError):
    """The server has no such ability."""


class LimitExceeded(ConnectorError):
    """The answer was larger, deeper or slower than we accept."""


class TooMuch(ConnectorError):
    """All answers of one poll together were more than we accept; smaller questions are no help."""


class Tokens(Protocol):
    """Where access tokens come from; safe to share between threads."""

    def access_token(self) -> str:
        """A token that is valid now. Raises NeedsLogin, and Retryable where it cannot be renewed yet."""
        ...

    def forget(self, token: str) -> None:
        """Give this token out no more: it was not taken."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What a server does by itself.

    ``schedules`` means it delivers invitations and changes to attendees (RFC 6638), so we must not
    send a second notice.
    """

    schedules: bool = False
    sync_token: bool = False
    writable: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class CalendarInfo:
    """A calendar the account offers."""

    ref: CalendarRef
    name: str
    capabilities: Capabilities = field(default_factory=Capabilities)


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """One stored object of a calendar: all occurrences that share a UID, as the server keeps them.

    ``raw`` is the connector's own text of it (CalDAV: iCalendar), kept so that the horizon can roll
    without reading again. ``broken`` says in one sentence what could not be read; its occurrences
    are then whatever could.
    """

    href: str
    etag: str
    uid: str
    raw: str
    recurring: bool = False
    occurrences: tuple[Occurrence, ...] = ()
    broken: str = ""


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where the last poll of one calendar stopped; opaque to everyone but its connector."""

    value: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeSet:
    """What one poll of one calendar found.

    ``full`` means ``changed`` together with ``kept`` (hrefs whose etag is unchanged) is everything
    the calendar holds, so that absence means removal. Otherwise only ``removed`` is gone. Of what is gone,
    ``cancelled`` are those the server says their organiser cancelled, ``dismissed`` those the owner of
    the calendar took out of it.
    """

    changed: tuple[Resource, ...] = ()
    removed: frozenset[str] = frozenset()
    cancelled: frozenset[str] = frozenset()
    dismissed: frozenset[str] = frozenset()
    kept: frozenset[str] = frozenset()
    cursor: Cursor = Cursor()
    full: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What the store already holds of one calendar: its cursor, each href's etag, and the raw text of one."""

    cursor: Cursor = Cursor()
    etags: Callable[[], dict[str, str]] = field(default=dict)
    raw: Callable[[str], str | None] = field(default=lambda href: None)  # noqa: ARG005 - nothing is held


class CalendarConnector(Protocol):
    """One account's calendars. Not safe to share between threads; a poll thread owns it."""

    account: str

    def calendars(self) -> Sequence[CalendarInfo]:
        """All calendars the configuration chose. Raises :class:`ConnectorError`."""
        ...

    def changed_calendars(self, cursors: dict[CalendarRef, Cursor]) -> frozenset[CalendarRef]:
        """Which of these calendars may have changed since their cursor, asked as cheaply as can be."""
        ...

    def poll(
        self,
        calendar: CalendarRef,
        window: Interval,
        known: Known,
        progress: Callable[[int, int], None] | None = None,
    ) -> ChangeSet:
        """Changes since ``known.cursor``, their occurrences expanded in ``window``.

        An empty cursor asks for everything. ``progress`` is told (done, total) resources. Raises
        :class:`CursorExpired` when the server forgot the cursor.
        """
        ...

    def expand(self, calendar: CalendarRef, resource: Resource, window: Interval) -> Resource:
        """The same resource with its occurrences in another window, without asking the server."""
        ...

    def read(self, calendar: CalendarRef, href: str, window: Interval) -> Resource | None:
        """One resource as it is now; None when it is gone."""
        ...

    def move(self, occurrence: Occurrence, start: datetime, end: datetime) -> Resource:
        """Give the occurrence other times, SEQUENCE+1, touching nothing else, guarded by its etag.

        Raises :class:`Conflict` when it changed meanwhile.
        """
        ...

    def label(self, occurrence: Occurrence, category: str) -> Resource:
        """Give the occurrence one more category, touching nothing else, SEQUENCE least of all.

        Where it has that category already, in any case of letters, nothing is written. Raises
        :class:`Conflict` when it changed meanwhile, :class:`NotSupported` where others are invited and
        the server might tell them.
        """
        ...

    def close(self) -> None:
        """Let go of connections."""
        ...


@runtime_checkable
class FreeBusy(Protocol):
    """A calendar connector that can also see when other people are busy."""

    def free_busy(
        self, addresses: Sequence[Address], window: Interval
    ) -> dict[Address, list[Interval] | None]:
        """When each of them is busy in the window; None where that cannot be seen. Raises ConnectorError."""
        ...


@runtime_checkable
class Proposer(Protocol):
    """A calendar connector by which I, who am only invited, can ask the organiser for another time."""

    def propose(
        self,
        occurrence: Occurrence,
        span: Interval,
        *,
        words: str = "",
        decline: bool = False,
        committing: Callable[[], None] = lambda: None,
    ) -> None:
        """Answer with maybe, or no, and another time; the meeting stays where it is (RFC 5546 section 3.2.7).

        The organiser is told once: ``committing`` and the errors are those of :meth:`Mailer.send`. Raises
        Rejected where the organiser takes no proposals.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class NewMeeting:
    """A meeting to be made: timed, with the zone of ``start`` (IANA), and whom to invite.

    ``organizer`` is me, where the calendar does not know; ``related`` is the UID of what it follows;
    ``made_at`` is now (UTC).
    """

    made_at: datetime
    title: str
    start: datetime
    end: datetime
    organizer: Address | None = None
    organizer_name: str = ""
    attendees: tuple[Attendee, ...] = ()
    related: str = ""
    location: str = ""
    words: str = ""
    online: bool = False


@runtime_checkable
class Creator(Protocol):
    """A calendar connector that can make a meeting, whose server invites the others."""

    def create(self, calendar: CalendarRef, new: NewMeeting, key: str) -> Resource:
        """Make it, once for each ``key`` however often it is asked. The result covers its time."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """How a server took one message: the addresses it refused, each with the server's own words."""

    refused: dict[str, str] = field(default_factory=dict)
    response: str = ""


class Mailer(Protocol):
    """One way for mail to leave."""

    def session(self) -> AbstractContextManager[None]:
        """Keep one connection open for a burst of messages."""
        ...

    def send(
        self, sender: str, recipients: Sequence[str], message: bytes, committing: Callable[[], None]
    ) -> Receipt:
        """Hand over one message.

        Calls ``committing`` once, just before the step after which the server may have kept it
        (SMTP: the final dot). An error that ``committing`` raises stops the message there and comes
        back unchanged. Every other error means it was certainly not kept, except
        :class:`Uncertain`.
        """
        ...

    def check(self) -> None:
        """Reach the server and sign in, sending nothing."""
        ...


@runtime_checkable
class Finder(Protocol):
    """A mailer that can look into the sent mail."""

    def find(self, message_id: str) -> bool | None:
        """Whether a message is there, by its Message-ID with angle brackets; None where nobody can know.

        False is no proof that it was not sent. Raises ConnectorError.
        """
        ...


class DraftState(StrEnum):
    """What became of a draft."""

    WAITING = "waiting"
    SENT = "sent"
    GONE = "gone"


class Drafts(Protocol):
    """A mailbox whose owner finishes and sends what is put into its folder of drafts.

    ``message_id`` is the draft's Message-ID with its angle brackets. Every method raises NeedsLogin,
    Rejected for what the server refuses for good, and Retryable for all else.
    """

    def put(self, raw: bytes, message_id: str) -> None:
        """Lay down one draft; nothing where it lies already."""
        ...

    def state(self, message_id: str) -> DraftState:
        """Whether it still waits, was sent (by its Message-ID or its ``X-Rebookd-Id``), or is gone."""
        ...

    def remove(self, message_id: str) -> None:
        """Take it away if it still waits."""
        ...

    def check(self) -> None:
        """Reach the server, sign in and find the folders, changing nothing."""
        ...


class AttendanceSource(Protocol):
    """Where records of calls can be read, on the thread that polls the account.

    ``name`` is what the owner knows it as.
    """

    name: str

    def calls(self, occurrence: Occurrence) -> tuple[Call, ...]:
        """Every call under the meeting's ``conference`` code that shares time with it; empty without any.

        All parties of a call are told or none of it: raises NeedsLogin and NotSupported where no meeting's
        records may be read, Rejected for those of this one, LimitExceeded for too many, and Retryable.
        """
        ...

    def close(self) -> None:
        """Let go of connections."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Incoming:
    """One message of an inbox: its bytes, under the server's own id.

    ``whole`` is False where it is larger than what is read: then these are its headers, and perhaps how it
    begins.
    """

    id: str
    raw: bytes
    whole: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Haul:
    """What one look into an inbox brought, oldest first; ``more`` says that more lies there already."""

    messages: tuple[Incoming, ...] = ()
    cursor: Cursor = Cursor()
    more: bool = False


class Inbox(Protocol):
    """Where replies arrive. Nothing in it is ever changed: not moved, not deleted, not marked as read.

    Not safe to share between threads. ``name`` is what the owner knows it as.
    """

    name: str

    def fetch(self, cursor: Cursor, since: datetime) -> Haul:
        """What arrived after ``cursor``, so much as one look may bring.

        Where the cursor is empty, or forgotten by the server, what arrived since then (UTC), at least; what
        was fetched before may come again. Raises ConnectorError.
        """
        ...

    def close(self) -> None:
        """Let go of connections."""
        ...


__all__ = [
    "AttendanceSource",
    "CalendarConnector",
    "CalendarInfo",
    "Capabilities",
    "ChangeSet",
    "Conflict",
    "ConnectorError",
    "Creator",
    "Cursor",
    "CursorExpired",
    "DraftState",
    "Drafts",
    "Finder",
    "FreeBusy",
    "Haul",
    "Inbox",
    "Incoming",
    "Known",
    "LimitExceeded",
    "Mailer",
    "NeedsLogin",
    "NewMeeting",
    "NotSupported",
    "OccurrenceKey",
    "Proposer",
    "Receipt",
    "Rejected",
    "Resource",
    "Retryable",
    "Tokens",
    "TooMuch",
    "Uncertain",
    "Unreachable",
]
