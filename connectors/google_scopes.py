"""What rebookd asks a Google account to allow: no more than its configuration uses, each with its reason."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

_ROOT = "https://www.googleapis.com/auth/"


@dataclass(frozen=True, slots=True)
class Scope:
    """One permission: its short name, what it is for, and whether rebookd gets along without it.

    ``covered_by`` are wider ones that allow the same.
    """

    name: str
    why: str
    optional: bool = False
    covered_by: tuple[str, ...] = ()

    @property
    def url(self) -> str:
        """As Google calls it."""
        return _ROOT + self.name

    def is_in(self, granted: Collection[str]) -> bool:
        """Whether what was granted allows it."""
        return any(_ROOT + name in granted for name in (self.name, *self.covered_by))


CALENDARS = Scope("calendar.calendarlist.readonly", "see which calendars you have")
EVENTS_READ = Scope("calendar.events.readonly", "read your meetings", covered_by=("calendar.events",))
EVENTS = Scope("calendar.events", "read your meetings, move them once a new time is agreed, and label them")
FREE_BUSY = Scope(
    "calendar.events.freebusy", "offer times at which your attendees are free, too", optional=True
)
MEET = Scope(
    "meetings.space.readonly", "see who joined your Meet calls, as evidence of a no-show", optional=True
)
SEND = Scope("gmail.send", "send your mails", covered_by=("gmail.compose",))
COMPOSE = Scope("gmail.compose", "send your mails, and put drafts into your mailbox")
FIND = Scope(
    "gmail.readonly",
    "find out in your sent mail whether a message of which nobody knows did leave",
    optional=True,
)
REPLIES = Scope(
    "gmail.readonly",
    "read what is replied to your mails, and find out in your sent mail whether one of which nobody knows "
    "did leave",
    optional=True,
)
SENT_DRAFTS = Scope("gmail.readonly", "see in your sent mail that you sent a draft")


def scopes_for(
    *,
    calendar: bool = True,
    writes: bool = False,
    free_busy: bool = False,
    attendance: bool = False,
    mail: bool = False,
    drafts: bool = False,
    replies: bool = False,
) -> tuple[Scope, ...]:
    """What an account needs that is used like this.

    ``calendar``: it is read; ``writes``: meetings are moved or labelled; ``free_busy``: new times are
    offered; ``attendance``: Meet is asked who came; ``mail``: it sends mail; ``drafts``: it takes drafts;
    ``replies``: what is replied is read.
    """
    wanted: list[Scope] = []
    if calendar:
        wanted += [CALENDARS, EVENTS if writes else EVENTS_READ]
        wanted += [FREE_BUSY] if free_busy else []
        wanted += [MEET] if attendance else []
    if drafts:
        wanted += [COMPOSE, SENT_DRAFTS]
    elif mail:
        wanted += [SEND, REPLIES if replies else FIND]
    return tuple(wanted)


def missing(wanted: Collection[Scope], granted: Collection[str]) -> list[Scope]:
    """Those of ``wanted`` that what was granted does not allow."""
    return [scope for scope in wanted if not scope.is_in(granted)]


__all__ = ["Scope", "missing", "scopes_for"]
