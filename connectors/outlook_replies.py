"""The automatic replies of a mailbox: while they are scheduled, its owner is away.

Replies that are simply switched on say nothing of when they end, so they are no absence.
"""

from __future__ import annotations

import hashlib
import json

from connectors.outlook_client import GraphClient, Json
from connectors.outlook_events import instant
from connectors.outlook_resource import Whole

HREF = "automatic-replies"
"""The name of the absence among the events of a calendar."""


def absence(client: GraphClient, home_zone: str) -> Whole | None:
    """The absence that the mailbox's automatic replies are scheduled for; None without one.

    Raises Refused where the sign-in does not allow to look.
    """
    said = client.get("mailboxSettings/automaticRepliesSetting")
    if said.get("status") != "scheduled":
        return None
    try:
        span = [instant(said[name]) for name in ("scheduledStartDateTime", "scheduledEndDateTime")]
    except (KeyError, TypeError, ValueError, OverflowError):
        return None
    if span[0] >= span[1]:
        return None
    start, end = ({"dateTime": at.isoformat(), "timeZone": "UTC"} for at in span)
    event: Json = {
        "id": HREF,
        "type": "singleInstance",
        "iCalUId": f"{HREF} {span[0]:%Y%m%dT%H%M%SZ} {client.account}",
        "subject": "Automatic replies",
        "start": start,
        "end": end,
        "originalStartTimeZone": home_zone,
        "isOrganizer": True,
        "showAs": "oof",
    }
    event["@odata.etag"] = hashlib.sha256(json.dumps(event).encode()).hexdigest()[:16]
    return Whole(event)


__all__ = ["HREF", "absence"]
