"""Who was in a call, by the attendance reports of Microsoft Teams, which the organiser alone may read.

A meeting has a report for each time that it was held; the 50 latest are kept. Reports tell the mail address
of whoever signed in.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any, NoReturn
from urllib.parse import parse_qs, quote, urlsplit
from uuid import UUID

from connectors.base import LimitExceeded, NotSupported, Retryable
from connectors.outlook_client import GraphClient, Json, items_of
from connectors.signed import Refused
from rules.model import Address, Call, Interval, Occurrence, Party

MOST_PARTIES = 250
"""A call of more parties says nothing of a meeting."""

_NO_POLICY = "application access policy"
_SOMEBODY_ELSES = "does not have access to lookup meeting"


class TeamsAttendance:
    """The reports of the calls that one account organised."""

    name = "Microsoft Teams"

    def __init__(self, client: GraphClient) -> None:
        self._client = client

    def calls(self, occurrence: Occurrence) -> tuple[Call, ...]:
        """Every call at the meeting's join address that shares time with it, with all who were in it.

        Raises NotSupported where no reports may be read at all, Refused for those of this meeting,
        LimitExceeded, and Retryable.
        """
        url = occurrence.conference
        if not url.startswith("https://"):
            return ()
        window = Interval(occurrence.start_utc, occurrence.end_utc)
        organizer = organizer_id(url)
        client = self._client.of(organizer) if organizer else self._client
        try:
            meeting = _meeting(client, url)
            if meeting is None:
                return ()
            reports = f"onlineMeetings/{quote(meeting, safe='')}/attendanceReports"
            return tuple(
                _call(client, f"{reports}/{quote(_id(one), safe='')}", span)
                for one in client.pages(reports)
                if window.overlaps(span := _span(one))
            )
        except Refused as error:
            raise _in_words(error) from error

    def close(self) -> None:
        """Let go of connections."""
        self._client.close()


def organizer_id(url: str) -> str:
    """The object id of the organiser, which most join addresses tell; empty where one does not.

    Teams wants an app to name its user by it. A meeting whose call is asked for is organised by that user.
    """
    try:
        context = json.loads(parse_qs(urlsplit(url).query)["context"][0])
        return str(UUID(context["Oid"]))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return ""


def _meeting(client: GraphClient, url: str) -> str | None:
    """Graph's name of the online meeting; None where it knows none by that address."""
    wanted = url.replace("'", "''")
    try:
        found = items_of(client.get("onlineMeetings", **{"$filter": f"JoinWebUrl eq '{wanted}'"}))
    except Refused as error:
        if error.status == 404:
            return None
        raise
    return _id(found[0]) if found else None


def _call(client: GraphClient, where: str, span: Interval) -> Call:
    report = client.get(where, **{"$expand": "attendanceRecords"})
    records = items_of(report, "attendanceRecords")
    told = report.get("totalParticipantCount")
    if len(records) > MOST_PARTIES or "attendanceRecords@odata.nextLink" in report:
        raise LimitExceeded(f"The report of one Teams call is longer than {MOST_PARTIES} lines.")
    if isinstance(told, int) and told > len(records):
        # Who is not told of could have been anybody.
        return Call(start=span.start, end=span.end, parties=(*map(_party, records), Party()))
    return Call(start=span.start, end=span.end, parties=tuple(map(_party, records)))


def _party(record: Json) -> Party:
    identity = record.get("identity")
    identity = identity if isinstance(identity, dict) else {}
    address = str(record.get("emailAddress") or "").strip().lower()
    return Party(
        user=str(identity.get("id") or ""),
        address=Address(address) if "@" in address else None,
        name=str(identity.get("displayName") or ""),
        spans=tuple(
            Interval(_time(one.get("joinDateTime")), _time(one.get("leaveDateTime")))
            for one in items_of(record, "attendanceIntervals")
        ),
    )


def _span(report: Json) -> Interval:
    return Interval(_time(report.get("meetingStartDateTime")), _time(report.get("meetingEndDateTime")))


def _id(one: Json) -> str:
    return str(one.get("id") or _nonsense())


def _time(text: Any) -> datetime:
    """An instant in UTC. Raises Retryable for what is none."""
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, TypeError, OverflowError):
        _nonsense()


def _nonsense() -> NoReturn:
    raise Retryable("Microsoft Teams sent a report that makes no sense; nothing of it was used.")


def _in_words(error: Refused) -> Exception:
    """What a refusal means for this meeting, or for all."""
    if _NO_POLICY in str(error).lower():
        return NotSupported(
            "Teams shows its reports to no app until an administrator gives this one an application access "
            "policy (New-CsApplicationAccessPolicy); missed meetings need another kind of evidence till then."
        )
    if error.status == 403 and _SOMEBODY_ELSES not in str(error):
        return NotSupported(
            "Teams does not show its reports to this sign-in: a personal account has none, and another needs "
            "the permission OnlineMeetingArtifact.Read.All; missed meetings need another kind of evidence."
        )
    return error


__all__ = ["TeamsAttendance"]
