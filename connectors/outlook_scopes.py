"""What rebookd asks an Outlook account to allow: no more than its configuration uses, each with its reason.

When other people are busy is asked with what reads one's own calendar (getSchedule), so offering new times
needs nothing more.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Scope:
    """One permission of Microsoft Graph: its name, what it is for, and whether rebookd gets along without it.

    ``covered_by`` are wider ones that allow the same. ``work`` ones are not there for personal accounts.
    ``app`` is its name for an app that signs in for itself, where that is another one; "" for none.
    """

    name: str
    why: str
    optional: bool = False
    covered_by: tuple[str, ...] = ()
    work: bool = False
    app: str | None = None

    @property
    def app_name(self) -> str:
        """The application permission; empty where none is needed."""
        return self.name if self.app is None else self.app

    def is_in(self, granted: Collection[str]) -> bool:
        """Whether what was granted allows it; ``granted`` are names as :func:`plain` gives them."""
        return any(name.lower() in granted for name in (self.name, *self.covered_by))


PROFILE = Scope("User.Read", "see who signed in", app="")
CALENDARS_READ = Scope(
    "Calendars.Read",
    "see which calendars you have and read your meetings",
    covered_by=("Calendars.ReadWrite",),
)
CALENDARS = Scope(
    "Calendars.ReadWrite",
    "see which calendars you have, read your meetings, move them once a new time is agreed, and label them",
)
SETTINGS = Scope(
    "MailboxSettings.Read",
    "know when your automatic replies say that you are away",
    optional=True,
    covered_by=("MailboxSettings.ReadWrite",),
)
MEETINGS = Scope(
    "OnlineMeetings.Read",
    "find your Teams calls",
    optional=True,
    covered_by=("OnlineMeetings.ReadWrite",),
    work=True,
    app="OnlineMeetings.Read.All",
)
ATTENDANCE = Scope(
    "OnlineMeetingArtifact.Read.All",
    "see who joined your Teams calls, as evidence of a no-show",
    optional=True,
    work=True,
)
SEND = Scope("Mail.Send", "send your mails")
FIND = Scope(
    "Mail.ReadBasic",
    "find out in your sent mail whether a message of which nobody knows did leave",
    optional=True,
    covered_by=("Mail.Read", "Mail.ReadWrite"),
    app="Mail.ReadBasic.All",
)
REPLIES = Scope(
    "Mail.Read",
    "read what is replied to your mails, and find out in your sent mail whether one of which nobody knows "
    "did leave",
    optional=True,
    covered_by=("Mail.ReadWrite",),
)
DRAFTS = Scope("Mail.ReadWrite", "put drafts into your mailbox, and see in your sent mail that you sent one")


def scopes_for(
    *,
    calendar: bool = True,
    writes: bool = False,
    free_busy: bool = False,  # noqa: ARG001 - what reads a calendar allows it, too
    attendance: bool = False,
    mail: bool = False,
    drafts: bool = False,
    replies: bool = False,
) -> tuple[Scope, ...]:
    """What an account needs that is used like this.

    ``calendar``: it is read; ``writes``: meetings are moved or labelled; ``free_busy``: new times are
    offered; ``attendance``: Teams is asked who came; ``mail``: it sends mail; ``drafts``: it takes drafts;
    ``replies``: what is replied is read.
    """
    wanted = [PROFILE]
    if calendar:
        wanted += [CALENDARS if writes else CALENDARS_READ, SETTINGS]
        wanted += [MEETINGS, ATTENDANCE] if attendance else []
    if drafts:
        wanted += [SEND, DRAFTS]
    elif mail:
        wanted += [SEND, REPLIES if replies else FIND]
    return tuple(wanted)


def missing(wanted: Collection[Scope], granted: Collection[str], *, personal: bool = False) -> list[Scope]:
    """Those of ``wanted`` that what was granted does not allow, and that such an account can have."""
    return [scope for scope in wanted if not scope.is_in(granted) and not (personal and scope.work)]


def plain(scopes: Iterable[str]) -> frozenset[str]:
    """Names that can be compared: Microsoft writes them in any case, with its address before or not."""
    return frozenset(scope.rpartition("/")[2].lower() for scope in scopes if scope)


__all__ = ["Scope", "missing", "plain", "scopes_for"]
