"""The states of a delivery, and every way from one to another, in one table.

::

    held ──approve──► pending ──claim──► claimed ──commit──► committing ──accept──► sent
                         ▲                  │                    ├──refuse──► refused
                         └── release, postpone                   ├──fail────► retrying ──claim──► …
                                                                 └──doubt───► unknown

``committing`` is made durable just before the step after which the server may have kept the mail. A
delivery found there after a crash is ``unknown``: it is shown to the owner and never sent again by
itself (RFC 5321 section 4.2.5 leaves no other way to know).

A held delivery may lie in the owner's mailbox as a draft. Sent from there by hand, it is ``sent`` like any
other, from whatever state it had reached meanwhile without leaving.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum

AGREE = "agree"
"""The ``do`` of what puts a new time that was agreed on into the calendar."""

PROPOSE = "propose"
"""The ``do`` of what asks an organiser for it through their calendar."""

COUNTER = "counter"
"""The ``do`` of what asks an organiser for it by mail."""

INVITE = "invite"
"""The ``do`` of a mail that tells an attendee of it."""

STAYS = "stays"
"""The ``do`` of a mail that tells an attendee that the time they proposed cannot be."""

AGAIN = "again"
"""The ``do`` of a mail that offers other times to somebody who picked one that was gone."""

ANSWERED = (AGREE, PROPOSE, COUNTER, INVITE, STAYS, AGAIN)
"""The ``do`` of what follows from somebody's answer: no rule asks for it, and no limit holds it back."""


PERHAPS_SENT = "perhaps sent already: the state was restored from a backup"
"""Why what a restored state calls for waits for the owner's word."""


def step_behind(step: str) -> str:
    """The step of the rules that a message comes from, or that what it follows came from."""
    return step.partition(":")[0]


class State(StrEnum):
    """Where a delivery stands."""

    PENDING = "pending"
    CLAIMED = "claimed"
    COMMITTING = "committing"
    SENT = "sent"
    RETRYING = "retrying"
    REFUSED = "refused"
    UNKNOWN = "unknown"
    LAPSED = "lapsed"
    SUPERSEDED = "superseded"
    SUPPRESSED = "suppressed"
    HELD = "held"


class Event(StrEnum):
    """What can happen to a delivery."""

    CLAIM = "claim"
    """A sender takes it."""
    RELEASE = "release"
    """Its sender died before anything could have left."""
    POSTPONE = "postpone"
    """It must wait: a limit, quiet hours, an account that cannot be seen."""
    COMMIT = "commit"
    """The next byte may make the server keep it."""
    ACCEPT = "accept"
    """The server said it has it; a late answer settles a doubt."""
    FAIL = "fail"
    """It was certainly not kept, and may be tried again."""
    REFUSE = "refuse"
    """It was refused for good."""
    DOUBT = "doubt"
    """Nobody knows whether it was kept."""
    HOLD = "hold"
    """It waits for the owner's word: approval, a draft, a flood."""
    DRAFT = "draft"
    """Something about its draft in the owner's mailbox is remembered."""
    BY_HAND = "by_hand"
    """The owner sent its draft."""
    APPROVE = "approve"
    """The owner lets it go."""
    RETRY = "retry"
    """The owner wants it sent after all."""
    CANCEL = "cancel"
    """The owner does not want it sent."""
    LAPSE = "lapse"
    """Its step is over."""
    SUPERSEDE = "supersede"
    """The meeting no longer calls for it."""
    SUPPRESS = "suppress"
    """Somebody asked not to be written to."""
    RENEW = "renew"
    """It ended by a clock that ran ahead, and is called for on a clock that was set back."""


class ForbiddenMove(Exception):
    """A delivery in this state cannot take this event."""

    def __init__(self, state: State, event: Event) -> None:
        super().__init__(f"A delivery that is {state} cannot take the event '{event}'.")
        self.state = state
        self.event = event


_WAITING = (State.PENDING, State.RETRYING, State.HELD)
_UNSENT = (*_WAITING, State.CLAIMED)
_ENDED = (State.LAPSED, State.SUPERSEDED, State.SUPPRESSED)

TABLE: dict[Event, dict[State, State]] = {
    Event.CLAIM: {State.PENDING: State.CLAIMED, State.RETRYING: State.CLAIMED},
    Event.RELEASE: {State.CLAIMED: State.PENDING},
    Event.POSTPONE: {State.CLAIMED: State.PENDING},
    Event.COMMIT: {State.CLAIMED: State.COMMITTING},
    Event.ACCEPT: {State.COMMITTING: State.SENT, State.UNKNOWN: State.SENT},
    Event.FAIL: {State.CLAIMED: State.RETRYING, State.COMMITTING: State.RETRYING},
    Event.REFUSE: {State.CLAIMED: State.REFUSED, State.COMMITTING: State.REFUSED},
    Event.DOUBT: {State.COMMITTING: State.UNKNOWN},
    Event.HOLD: {State.PENDING: State.HELD, State.RETRYING: State.HELD, State.CLAIMED: State.HELD},
    Event.DRAFT: {State.HELD: State.HELD},
    Event.BY_HAND: dict.fromkeys((*_UNSENT, *_ENDED), State.SENT),
    Event.APPROVE: {State.HELD: State.PENDING},
    Event.RETRY: dict.fromkeys((*_WAITING, State.REFUSED, State.UNKNOWN, State.LAPSED), State.PENDING),
    Event.CANCEL: dict.fromkeys(_UNSENT, State.SUPPRESSED),
    Event.LAPSE: dict.fromkeys(_UNSENT, State.LAPSED),
    Event.SUPERSEDE: dict.fromkeys(_UNSENT, State.SUPERSEDED),
    Event.SUPPRESS: dict.fromkeys(_UNSENT, State.SUPPRESSED),
    Event.RENEW: {State.LAPSED: State.PENDING, State.SUPERSEDED: State.PENDING},
}
"""Every transition: event → {from: to}."""

OPEN = frozenset((*_UNSENT, State.COMMITTING))
"""Something may still happen by itself or by the owner's approval."""

FINAL = frozenset(State) - OPEN
"""Nothing more happens by itself."""

UNDOABLE = frozenset((State.LAPSED, State.SUPERSEDED))
"""It ended for a reason that the clock gave, and certainly did not leave."""

SLACK = timedelta(minutes=1)
"""So far a clock may be set back without anything being undone."""


def is_settled(state: str, since: datetime, now: datetime) -> bool:
    """Whether a delivery that reached ``state`` then stays there.

    What lapsed at a time that has not come did so by a clock that ran ahead: it may be due yet.
    """
    return since <= now + SLACK or state not in UNDOABLE


def next_state(state: State, event: Event) -> State:
    """Where ``event`` takes a delivery in ``state``. Raises :class:`ForbiddenMove`."""
    try:
        return TABLE[event][state]
    except KeyError:
        raise ForbiddenMove(state, event) from None
