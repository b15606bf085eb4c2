"""Whom nobody writes to without the owner's word: lists, rooms, machines, and crowds."""

from __future__ import annotations

import re

from rules.model import Address, CuType, Occurrence

CROWD = 10
"""With more people than this, one of them is not written to by rebookd alone."""

_MACHINE = re.compile(
    r"(.*[._+-])?(no|do[._-]?not|never)[._-]?reply([._+-].*)?|mailer-daemon|postmaster|bounces?([._+-].*)?|"
    r"notifications?|daemon"
)
_LIST = re.compile(
    r"all|everyone|everybody|staff|team|crew|group|list|company|office|"
    r"(all|everyone|team|list)[._-].*|.*[._-](all|everyone|team|group|list|staff)"
)
_LIST_HOST = re.compile(r"(lists?|groups?|googlegroups)\..*|.*\.(lists?|groups?)\..*")
_ROOM = re.compile(r"(room|meetingroom|meeting[._-]room|conf(erence)?[._-]?room|projector)([._-]?[a-z0-9-]*)")
_ROOM_HOST = re.compile(r"resource\.calendar\.google\.com|(rooms?|resources?)\..*")


def caution(to: Address, occurrence: Occurrence) -> str:
    """Why a message to this address needs the owner's word first; empty when it does not."""
    name, _, host = to.partition("@")
    if _MACHINE.fullmatch(name):
        return f"{to} looks like an address that nobody reads"
    if _ROOM.fullmatch(name) or _ROOM_HOST.fullmatch(host):
        return f"{to} looks like a room"
    if _LIST.fullmatch(name) or _LIST_HOST.fullmatch(host):
        return f"{to} looks like a mailing list"
    invited = sum(one.cutype not in {CuType.ROOM, CuType.RESOURCE} for one in occurrence.attendees)
    if invited > CROWD:
        return f"{invited} people are invited"
    return ""
