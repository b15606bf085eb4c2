"""How things stand: which parts are stuck, which accounts cannot be seen, what waits in the outbox."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from daemon import wiring
from daemon.config.settings import Settings
from daemon.store import calendars, deliveries
from daemon.store.calendars import AccountRow, CalendarRow
from rules.delivery import State

OK = "ok"
DEGRADED = "degraded"
STUCK = "stuck"

SIGN_IN = "sign-in needed"


@dataclass(frozen=True, slots=True, kw_only=True)
class CalendarHealth:
    """One calendar: when it was last read completely (UTC), and whether that is recent enough."""

    name: str
    id: str
    events: int
    seen_at: datetime
    fresh: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountHealth:
    """One account: ``state`` in a word, ``stale`` where nothing may be concluded from it any more."""

    name: str
    kind: str
    state: str
    seen_at: datetime | None
    stale: bool
    error: str
    error_since: datetime | None
    failures: int
    calendars: tuple[CalendarHealth, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """Everything at one moment (UTC)."""

    at: datetime
    stuck: tuple[str, ...]
    accounts: tuple[AccountHealth, ...]
    outbox: dict[State, int]

    @property
    def word(self) -> str:
        """``stuck`` where a part no longer moves, ``degraded`` where an account is not seen, else ``ok``."""
        if self.stuck:
            return STUCK
        return DEGRADED if any(one.stale or one.state == SIGN_IN for one in self.accounts) else OK

    @property
    def sentence(self) -> str:
        """The same in one line for the owner."""
        if self.stuck:
            return f"Stuck: {', '.join(self.stuck)}. Look at the log, and restart rebookd."
        unseen = [one.name for one in self.accounts if one.stale or one.state == SIGN_IN]
        if unseen:
            return f"I cannot see {', '.join(unseen)}, so nothing is concluded from there."
        failing = [one.name for one in self.accounts if one.error]
        if failing:
            return f"{', '.join(failing)} could not be read last time; what is known is still fresh."
        return "Everything is read and moves."


def look(conn: Connection, settings: Settings, now: datetime, stuck: Collection[str] = ()) -> Health:
    """How things stand at ``now`` (UTC); ``stuck`` are the parts of the daemon that no longer move."""
    rows = calendars.accounts(conn)
    every = calendars.calendars(conn)
    return Health(
        at=now,
        stuck=tuple(stuck),
        accounts=tuple(
            account(settings, name, rows.get(name), [row for row in every if row.ref.account == name], now)
            for name in settings.accounts
        ),
        outbox=deliveries.counts(conn),
    )


def account(
    settings: Settings, name: str, row: AccountRow | None, every: Sequence[CalendarRow], now: datetime
) -> AccountHealth:
    """How one account and its calendars stand; ``row`` is None where it was never polled."""
    configured = settings.accounts[name]
    patience = configured.seen(name).stale_after
    seen = row.seen_at if row else None
    stale = seen is None or now - seen >= patience
    return AccountHealth(
        name=name,
        kind=wiring.kind(configured),
        state=_state(row, stale=stale),
        seen_at=seen,
        stale=stale,
        error=row.error if row else "",
        error_since=row.error_since if row else None,
        failures=row.failures if row else 0,
        calendars=tuple(
            CalendarHealth(
                name=one.name,
                id=one.ref.id,
                events=one.events,
                seen_at=one.seen_at,
                fresh=now - one.seen_at < patience,
            )
            for one in every
        ),
    )


def _state(row: AccountRow | None, *, stale: bool) -> str:
    if row is None or row.seen_at is None:
        return "failing" if row and row.error else "never read"
    if row.error_kind == SIGN_IN:
        return SIGN_IN
    if stale:
        return "blind"
    return "failing" if row.error else OK
