"""What is written to Outlook: other times, one more category, a proposal, a new meeting, and nothing else.

Exchange tells the guests by itself; categories are a mailbox's own, of which nobody is told.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from urllib.parse import quote

from connectors.base import Conflict, NewMeeting, Rejected
from connectors.ical_zones import known_zone
from connectors.outlook_client import GraphClient, Json, not_whole
from connectors.outlook_events import KEPT, is_series
from connectors.outlook_resource import Shelf, Whole
from connectors.signed import Refused
from rules.model import CuType, Interval, Occurrence, Role

_CHANGED = "The meeting was changed since it was read."
_IN_UTC = 'outlook.timezone="UTC"'


def gone() -> Conflict:
    """What is said of a meeting that is no longer there."""
    return Conflict("The meeting is no longer in the calendar.")


RELATED = "String {00020329-0000-0000-C000-000000000046} Name rebookd.related"
"""A named property, in the set for everybody ([MS-OXPROPS] 1.3.2), with the UID of what a meeting follows."""


class Writer:
    """Writes to the events of one mailbox, each guarded by its etag."""

    def __init__(self, client: GraphClient) -> None:
        self._client = client

    def move(self, occurrence: Occurrence, whole: Whole, shelf: Shelf, span: Interval) -> None:
        """Give the occurrence other times, in the zone it has had so far."""
        target = self._unchanged(occurrence, whole, shelf)
        if not target.get("isOrganizer"):
            raise Rejected("Outlook lets only its organiser move this meeting.")
        body = {
            "start": _when(span.start, str(target.get("originalStartTimeZone") or "")),
            "end": _when(span.end, str(target.get("originalEndTimeZone") or "")),
        }
        self._patch(target, body)

    def label(self, occurrence: Occurrence, whole: Whole, shelf: Shelf, category: str) -> bool:
        """Add a category; False where it is there already, in any case of letters."""
        target = self._target(occurrence, whole, shelf)
        has = [str(one) for one in target.get("categories") or ()]
        if category.casefold() in {one.casefold() for one in has}:
            return False
        _refuse_changes(occurrence, whole, shelf)
        self._patch(target, {"categories": [*has, category]})
        return True

    def propose(
        self,
        occurrence: Occurrence,
        whole: Whole,
        shelf: Shelf,
        span: Interval,
        *,
        words: str,
        answer: str,
        committing: Callable[[], None],
    ) -> None:
        """Answer with another time. Graph refuses it unless the organiser is told, and takes proposals."""
        target = self._target(occurrence, whole, shelf)
        if target.get("isOrganizer"):
            raise Rejected("This meeting is yours to move; there is nobody to propose a time to.")
        if target.get("allowNewTimeProposals") is False:
            raise Rejected("The organiser of this meeting takes no proposals of another time.")
        body = {
            "sendResponse": True,
            "comment": words,
            "proposedNewTime": {"start": _when(span.start, "UTC"), "end": _when(span.end, "UTC")},
        }
        where = f"events/{quote(target['id'], safe='')}/{answer}"
        try:
            self._client.hand_over(where, json.dumps(body).encode(), "application/json", committing)
        except Refused as error:
            raise _told(error) from error

    def create(self, calendar: str, new: NewMeeting, key: str) -> Json:
        """Make a meeting; the same ``key`` makes it once."""
        zone = getattr(new.start.tzinfo, "key", "UTC")
        body: Json = {
            "subject": new.title,
            "start": _when(new.start, zone),
            "end": _when(new.end, zone),
            "transactionId": str(uuid.uuid5(uuid.NAMESPACE_OID, key)),
            "attendees": [
                {
                    "emailAddress": {"address": one.address, "name": one.name or one.address},
                    "type": _KINDS.get(one.cutype) or _ROLES.get(one.role, "required"),
                }
                for one in new.attendees
            ],
        }
        if new.words:
            body["body"] = {"contentType": "text", "content": new.words}
        if new.location:
            body["location"] = {"displayName": new.location}
        if new.online:
            body["isOnlineMeeting"] = True
        if new.related:
            body["singleValueExtendedProperties"] = [{"id": RELATED, "value": new.related}]
        made = self._client.send("POST", f"calendars/{quote(calendar, safe='')}/events", body)
        if not made.get("id"):
            raise not_whole()
        return made

    def _unchanged(self, occurrence: Occurrence, whole: Whole, shelf: Shelf) -> Json:
        """What to write to. Raises Conflict when it is gone, or not as it was read."""
        _refuse_changes(occurrence, whole, shelf)
        return self._target(occurrence, whole, shelf)

    def _target(self, occurrence: Occurrence, whole: Whole, shelf: Shelf) -> Json:
        """The event, or the one instance, as it is now. Raises Conflict when that is gone."""
        if not is_series(whole.event):
            return whole.event
        name = shelf.instance(whole, occurrence.key.recurrence_id)
        if name is None:
            raise gone()
        try:
            where = f"events/{quote(name, safe='')}"
            return self._client.get(where, prefer=(_IN_UTC,), **{"$select": KEPT})
        except Refused as error:
            raise _told(error) from error

    def _patch(self, target: Json, body: Json) -> None:
        where, etag = f"events/{quote(target['id'], safe='')}", str(target.get("@odata.etag") or "")
        if not etag:
            raise not_whole()
        try:
            self._client.send("PATCH", where, body, etag=etag)
        except Refused as error:
            raise _told(error) from error


_KINDS = {CuType.ROOM: "resource", CuType.RESOURCE: "resource"}
_ROLES = {Role.OPTIONAL: "optional", Role.NON_PARTICIPANT: "optional"}


def _told(error: Refused) -> Exception:
    if error.status in {409, 412}:
        return Conflict(_CHANGED)
    return gone() if error.status in {404, 410} else error


def _refuse_changes(occurrence: Occurrence, whole: Whole, shelf: Shelf) -> None:
    """Raise Conflict where it is not as it was read.

    The etag of a series covers all its instances as far as one round knew them; of the one that is meant,
    what it says is compared.
    """
    if whole.etag == occurrence.etag:
        return
    window = Interval(occurrence.start_utc, occurrence.end_utc)
    if is_series(whole.event):
        now = shelf.resource(occurrence.href, whole, window).occurrences
        if any(one.key == occurrence.key and _says(one) == _says(occurrence) for one in now):
            return
    raise Conflict(_CHANGED)


def _says(one: Occurrence) -> tuple[object, ...]:
    answers = tuple((who.address, who.partstat) for who in one.attendees)
    return one.start_utc, one.end_utc, one.status, one.title, one.location, one.categories, answers


def _when(at: datetime, zone: str) -> Json:
    """A time in a zone by the name that Outlook or IANA has for it; in UTC where that would not be clear."""
    known = None if zone.startswith("tzone:") else known_zone(zone)
    if known is not None:
        wall = at.astimezone(known).replace(tzinfo=None)
        # The hour that autumn brings twice says nothing of which of the two it is.
        if len({wall.replace(tzinfo=known, fold=fold).utcoffset() for fold in (0, 1)}) == 1:
            return {"dateTime": wall.isoformat(), "timeZone": zone}
    return {"dateTime": at.astimezone(UTC).replace(tzinfo=None).isoformat(), "timeZone": "UTC"}


__all__ = ["Writer", "gone"]
