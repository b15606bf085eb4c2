"""What the page shows beside the week: the outbox, the owner's standing word, how fresh everything is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from daemon import standing
from daemon.config.settings import Settings
from daemon.dashboard.week import link_of, title_of
from daemon.explanation_words import Speaker
from daemon.health import Health
from daemon.mail.foreign_text import clean
from daemon.message_words import carried
from daemon.store import agenda, deliveries, optouts, past_deliveries, silences
from daemon.store.deliveries import NOTICE, Delivery
from rules.delivery import TABLE, Event, State
from rules.policy import Policy

MOST_WAITING = 100
LAST_SENT = 20
MOST_TROUBLED = 20
MOST_OPTOUTS = 50
"""So many of each are listed; the others are counted."""

LONGEST = 300

WAITING = (State.HELD, State.PENDING, State.RETRYING, State.CLAIMED, State.COMMITTING)
TROUBLED = (State.UNKNOWN, State.REFUSED)
_AGAIN = (State.UNKNOWN, State.REFUSED, State.LAPSED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """A button: where its form goes, and what it says; ``main`` for what is done most.

    ``wary`` says that it may do something twice.
    """

    path: str
    word: str
    wary: str = ""
    main: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message as it is shown."""

    id: int
    state: str
    about: str
    meeting: str
    to: str
    source: str
    when: str
    why: str
    error: str
    actions: tuple[Action, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outbox:
    """What waits, what went wrong, and what left; each with how many more there are."""

    waiting: tuple[Message, ...]
    more_waiting: int
    troubled: tuple[Message, ...]
    more_troubled: int
    sent: tuple[Message, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """One silence that holds."""

    id: int
    match: str
    until: str
    comment: str
    end: Action


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """The owner's standing word."""

    silences: tuple[Silence, ...]
    optouts: tuple[tuple[str, str, str], ...]
    more_optouts: int
    demoted: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """One calendar, or an account without any: when it was last read, and whether that will do."""

    account: str
    calendar: str
    events: str
    at: str
    word: str
    fresh: bool
    error: str


def actions(row: Delivery) -> tuple[Action, ...]:
    """What the owner may do about a message, by the table of states."""
    found = []
    if row.state in TABLE[Event.APPROVE]:
        found.append(Action(path=f"/message/{row.id}/approve", word="Approve", main=True))
    if row.state in _AGAIN:
        wary = "It may have arrived: it could come twice." if row.state is State.UNKNOWN else ""
        found.append(Action(path=f"/message/{row.id}/retry", word="Send after all", wary=wary))
    if row.state in TABLE[Event.CANCEL] and row.state is not State.CLAIMED:
        found.append(Action(path=f"/message/{row.id}/cancel", word="Cancel"))
    return tuple(found)


def outbox(conn: Connection, settings: Settings, speaker: Speaker) -> Outbox:
    """The mail queue, what wants the owner first."""
    counts = deliveries.counts(conn)
    held = [row for state in WAITING for row in deliveries.list_(conn, state)]
    waiting = held[:MOST_WAITING]
    troubled = past_deliveries.latest(conn, TROUBLED, MOST_TROUBLED)
    sent = past_deliveries.last_sent(conn, LAST_SENT)
    shown = _Showing(conn, settings, speaker, [*waiting, *troubled, *sent])
    return Outbox(
        waiting=tuple(shown.message(row) for row in waiting),
        more_waiting=len(held) - len(waiting),
        troubled=tuple(shown.message(row) for row in troubled),
        more_troubled=sum(counts.get(state, 0) for state in TROUBLED) - len(troubled),
        sent=tuple(shown.message(row) for row in sent),
    )


def message(conn: Connection, settings: Settings, speaker: Speaker, row: Delivery) -> Message:
    """One message as it is shown."""
    return _Showing(conn, settings, speaker, [row]).message(row)


class _Showing:
    """Messages put into words, with the meetings they are about."""

    def __init__(
        self, conn: Connection, settings: Settings, speaker: Speaker, rows: Sequence[Delivery]
    ) -> None:
        self._settings = settings
        self._speaker = speaker
        self._meetings = agenda.get(conn, [row.key for row in rows if row.key is not None])

    def message(self, row: Delivery) -> Message:
        """One of them."""
        meeting = self._meetings.get(row.key) if row.key is not None else None
        about = title_of(meeting, self._settings) if meeting else clean(row.subject)
        is_notice = row.do == NOTICE
        return Message(
            id=row.id,
            state=row.state.value,
            about=about or f"message {row.id}",
            meeting=link_of(meeting) if meeting else "",
            to="you" if row.to in self._settings.owner.addresses else clean(row.to),
            source=f"{row.rule}/{row.step}",
            when=self._when(row),
            why="about rebookd itself" if is_notice else clean(row.reason, LONGEST),
            error=clean(row.error, LONGEST),
            actions=actions(row),
        )

    def _when(self, row: Delivery) -> str:
        at = self._speaker.at
        if row.state is State.SENT:
            other = carried(row)
            return at(row.sent_at or row.changed_at) + (f", with message {other}" if other else "")
        if row.state is State.HELD:
            return f"until {at(row.until)}"
        if row.state in {State.PENDING, State.RETRYING}:
            return f"leaves {at(row.next_try_at)} or soon after"
        return at(row.changed_at)


def word(conn: Connection, policy: Policy, speaker: Speaker, now: datetime) -> Word:
    """The owner's standing word at ``now`` (UTC)."""
    out = optouts.list_(conn)
    return Word(
        silences=tuple(
            Silence(
                id=one.id,
                match=clean(standing.in_words(one.match), LONGEST) or "everything",
                until=speaker.at(one.ends_at),
                comment=clean(one.comment, LONGEST),
                end=Action(path=f"/silence/{one.id}/end", word="End"),
            )
            for one in silences.active(conn, now)
        ),
        optouts=tuple(
            (clean(one.pattern), speaker.at(one.created_at), clean(one.comment, LONGEST))
            for one in out[:MOST_OPTOUTS]
        ),
        more_optouts=max(0, len(out) - MOST_OPTOUTS),
        demoted=tuple((name, mode.value) for name, mode in sorted(policy.demoted.items())),
    )


def freshness(health: Health, speaker: Speaker) -> tuple[Read, ...]:
    """Each account's calendars, and each account that has none."""
    found = []
    for one in health.accounts:
        error = clean(one.error, LONGEST)
        if error and one.error_since is not None:
            error = f"since {speaker.at(one.error_since)}: {error}"
        if not one.calendars or error:
            at = speaker.at(one.seen_at) if one.seen_at else "never"
            found.append(
                Read(
                    account=one.name,
                    calendar="",
                    events="",
                    at=at,
                    word=one.state,
                    fresh=not one.stale and not error,
                    error=error,
                )
            )
        found += [
            Read(
                account=one.name,
                calendar=clean(each.name) or clean(each.id),
                events=str(each.events),
                at=speaker.at(each.seen_at),
                word="fresh" if each.fresh else "stale",
                fresh=each.fresh,
                error="",
            )
            for each in one.calendars
        ]
    return tuple(found)
