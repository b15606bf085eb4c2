"""What a webhook is told, as JSON."""

from __future__ import annotations

import json
from datetime import datetime
from hashlib import sha256
from typing import Any

from daemon.store.deliveries import Delivery
from rules.model import Intent, Occurrence


def identity_of(key: str) -> str:
    """The name of one telling, the same however often it is told; also the ``webhook-id`` of its POST."""
    return "msg_" + sha256(key.encode()).hexdigest()[:32]


def body(
    delivery: Delivery | Intent, key: str, occurrence: Occurrence, client: str | None, now: datetime
) -> bytes:
    """The JSON text for a delivery about ``occurrence`` at ``now`` (UTC); ``key`` names it outside."""
    return json.dumps(_told(delivery, key, occurrence, client, now), ensure_ascii=False, indent=1).encode()


def _told(
    delivery: Delivery | Intent, key: str, occurrence: Occurrence, client: str | None, now: datetime
) -> dict[str, Any]:
    return {
        "id": identity_of(key),
        "at": now.isoformat(),
        "rule": delivery.rule,
        "step": delivery.step,
        "detector": delivery.detector,
        "reason": delivery.reason,
        "people": list(delivery.people),
        "meeting": {
            "uid": occurrence.key.uid,
            "recurrence_id": occurrence.key.recurrence_id,
            "account": occurrence.key.calendar.account,
            "client": client,
            "title": "" if occurrence.private else occurrence.title,
            "start": occurrence.start.isoformat(),
            "end": occurrence.end.isoformat(),
            "organizer": occurrence.organizer,
            "attendees": [
                {"address": one.address, "partstat": one.partstat.value} for one in occurrence.attendees
            ],
            "location": "" if occurrence.private else occurrence.location,
        },
    }
