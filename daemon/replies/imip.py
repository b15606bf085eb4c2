"""Answers that come as a calendar part of a mail (RFC 6047): which message they answer, and what they say."""

from __future__ import annotations

from collections.abc import Sequence

from connectors.ical_answers import CalendarAnswer, calendar_answers
from daemon.replies.letter_in import LetterIn
from daemon.store.deliveries import Delivery
from rules.model import Address, Occurrence, PartStat

ANSWERS = frozenset({PartStat.ACCEPTED, PartStat.DECLINED, PartStat.TENTATIVE})


def answers_in(letter: LetterIn, home_zone: str) -> list[CalendarAnswer]:
    """Its replies and counters; of a part whose mail calls it otherwise, none (RFC 6047 section 2.4)."""
    return [
        answer
        for part in letter.calendars
        for answer in calendar_answers(part.text, home_zone)
        if part.method in {"", answer.method}
    ]


def answered(answer: CalendarAnswer, found: Sequence[Delivery]) -> Delivery | None:
    """The first of these messages that is about its meeting, or about one of the series that it answers."""
    for one in found:
        about = one.key is not None and one.key.uid == answer.uid
        if about and one.key is not None and answer.recurrence_id in {None, one.key.recurrence_id}:
            return one
    return None


def partstat_of(answer: CalendarAnswer, sender: Address) -> PartStat | None:
    """What the sender says of themselves; what a mail says of others counts for nothing."""
    said = answer.partstats.get(sender)
    return said if said in ANSWERS else None


def is_stale(answer: CalendarAnswer, occurrence: Occurrence | None) -> bool:
    """Whether it answers an earlier version of the meeting than ours (RFC 5546 section 2.1.5)."""
    return occurrence is not None and answer.sequence < occurrence.sequence
