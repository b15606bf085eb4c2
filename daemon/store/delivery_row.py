"""A delivery as the rest of the daemon knows it, and as its row keeps it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row

from daemon.store.types import from_microseconds, to_microseconds
from rules.delivery import State
from rules.model import Address, CalendarRef, Identity, Intent, Interval, OccurrenceKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One message to one address. Times are UTC.

    ``due`` and ``until`` bound its step. ``key`` is None for a notice about rebookd itself, whose
    text is then ``reason``. ``cleared_at`` is when the flood brake, or the owner, let it through.
    ``raw`` is the message as it was handed over (None until rendered, and in lists). Deliveries of one
    ``group`` may leave as one message; ``carried_by`` is then the delivery whose message this one is in.
    """

    id: int
    intent_key: str
    state: State
    rule: str
    step: str
    do: str
    mode: str
    detector: str
    tone: str
    template: str | None
    key: OccurrenceKey | None
    start: datetime | None
    to: Address
    people: tuple[Address, ...]
    due: datetime
    until: datetime
    reason: str
    subject: str
    message_id: str
    raw: bytes | None
    offered: tuple[Interval, ...]
    attempts: int
    next_try_at: datetime
    cleared_at: datetime | None
    error: str
    lease_until: datetime | None
    lease_by: str
    created_at: datetime
    changed_at: datetime
    sent_at: datetime | None
    turn: int = 1
    group: str = ""
    carried_by: int | None = None

    @property
    def identity(self) -> Identity | None:
        """The meeting it is about; None for a notice."""
        return None if self.key is None else self.key.identity

    @property
    def intent(self) -> Intent:
        """The intent it came from. Raises ValueError for a notice."""
        if self.key is None or self.start is None:
            raise ValueError("a notice comes from no rule")
        return Intent(
            rule=self.rule,
            step=self.step,
            do=self.do,
            mode=self.mode,
            key=self.key,
            start=self.start,
            to=self.to,
            people=self.people,
            due=self.due,
            until=self.until,
            reason=self.reason,
            detector=self.detector,
            tone=self.tone,
            template=self.template,
            turn=self.turn,
            group=self.group,
        )


def intent_values(intent: Intent) -> dict[str, Any]:
    """The columns an intent fills."""
    return {
        "intent_key": intent.intent_key,
        "rule": intent.rule,
        "step": intent.step,
        "do": intent.do,
        "mode": intent.mode,
        "detector": intent.detector,
        "tone": intent.tone,
        "template": intent.template,
        "account": intent.key.calendar.account,
        "calendar": intent.key.calendar.id,
        "uid": intent.key.uid,
        "recurrence_id": intent.key.recurrence_id or "",
        "start": intent.start,
        "to": intent.to,
        "people": json.dumps(intent.people),
        "due": intent.due,
        "until": intent.until,
        "reason": intent.reason,
        "subject": "",
        "turn": intent.turn,
        "group_key": intent.group,
    }


def encoded(fields: dict[str, Any]) -> dict[str, Any]:
    """Fields of a delivery as its columns keep them."""
    if "offered" in fields:
        spans = [(to_microseconds(span.start), to_microseconds(span.end)) for span in fields["offered"]]
        fields["offered"] = json.dumps(spans)
    return fields


def to_delivery(row: Row[Any]) -> Delivery:
    """The delivery of one row."""
    values = row._asdict()
    del values["owner"]
    account, calendar = values.pop("account"), values.pop("calendar")
    uid, recurrence_id = values.pop("uid"), values.pop("recurrence_id")
    values["group"] = values.pop("group_key")
    values["key"] = None
    if uid:
        ref = CalendarRef(account=account, id=calendar)
        values["key"] = OccurrenceKey(calendar=ref, uid=uid, recurrence_id=recurrence_id or None)
    values["state"] = State(values["state"])
    values["people"] = tuple(Address(address) for address in json.loads(values["people"]))
    values["offered"] = tuple(
        Interval(from_microseconds(start), from_microseconds(end))
        for start, end in json.loads(values["offered"])
    )
    values.setdefault("raw", None)
    return Delivery(**values)
