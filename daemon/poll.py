"""One account's poll, isolated from every other: ask what changed, believe it with care, store it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import structlog
from sqlalchemy import Connection

from connectors.allowance import ASKING, allowed
from connectors.base import (
    CalendarConnector,
    CalendarInfo,
    ChangeSet,
    ConnectorError,
    Cursor,
    CursorExpired,
    Known,
    LimitExceeded,
    NeedsLogin,
    Resource,
    Retryable,
    TooMuch,
)
from daemon import horizon
from daemon.clock import Clock
from daemon.store import agenda, calendars
from daemon.store.calendars import CalendarRow
from daemon.store.engine import Store
from daemon.store.errors import StoreError
from daemon.turns import whole_read
from rules.eligible import MOST_INVITED
from rules.model import Address, CalendarRef, Interval

log = structlog.get_logger()

Progress = Callable[[str, int, int], None]

KEPT_SHARE = 0.8
"""A full result smaller than this share of what is stored needs a second agreeing read (P3)."""

WIPED = 10
"""So many removals at once, above the share, are doubted even when the server names each."""

MISSING = "missing"
"""The token of a calendar that was not offered once."""


KNOWN_BY = 5
"""Where so many events are known and there are only others, another account may be answering."""


class Shrunk(ConnectorError):
    """A calendar suddenly holds far less than before; nothing of it was believed."""


class Replaced(Shrunk):
    """Everything known is gone and other things are in its place: only the owner's word settles that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """Something wrong with an account, for the owner. ``kind`` is one word."""

    account: str
    kind: str
    message: str
    calendar: str = ""


@dataclass(slots=True, kw_only=True)
class PollReport:
    """What one poll found: how many occurrences changed, and what went wrong."""

    account: str
    calendars: int = 0
    changed: int = 0
    removed: int = 0
    broken: list[tuple[CalendarInfo, Resource]] = field(default_factory=list)
    troubles: list[Trouble] = field(default_factory=list)
    retry_after: float | None = None

    @property
    def ok(self) -> bool:
        """Whether every calendar was read."""
        return not self.troubles


class Poller:
    """Polls one account into the store. Lives on that account's thread, as its connector does.

    ``mine`` are the owner's addresses: what they accepted and then vanishes may have been cancelled. Where it
    never ``decides``, its read is no second one that settles a doubt: it may follow the first within seconds.
    """

    def __init__(
        self,
        store: Store,
        account: str,
        connect: Callable[[], CalendarConnector],
        clock: Clock,
        *,
        kind: str,
        stale_after: timedelta,
        mine: Collection[Address] = (),
        decides: bool = True,
    ) -> None:
        self.account = account
        self._store = store
        self._connect = connect
        self._clock = clock
        self._kind = kind
        self._stale_after = stale_after
        self._mine = mine
        self._decides = decides

    def poll(self, progress: Progress | None = None) -> PollReport:
        """Read what changed. Raises StoreError, and nothing for whatever the server did."""
        report = PollReport(account=self.account)
        with self._isolated(report):
            self._connector = self._connect()
            with allowed(ASKING):
                infos = self._connector.calendars()
                rows = self._rows()
                changed = self._changed(infos, rows)
            report.calendars = len(infos)
            if self._is_doubtful(infos, rows, report):
                infos = [info for info in infos if info.ref in rows]  # what is new in such a list waits, too
            self._unchanged([rows[info.ref] for info in infos if info.ref not in changed])
            for info in infos:
                with self._isolated(report, info):
                    row = self._rolled(rows[info.ref]) if info.ref in rows else None
                    if info.ref in changed:
                        with nullcontext() if row is not None and row.cursor.value else whole_read():
                            self._take(info, row, report, progress)
        self._record(report)
        return report

    @contextmanager
    def _isolated(self, report: PollReport, info: CalendarInfo | None = None) -> Iterator[None]:
        """Keep what goes wrong in here from everything around it."""
        try:
            yield
        except ConnectorError as error:
            self._note(report, error, info)
        except StoreError:
            raise
        except Exception as error:
            log.exception("a poll failed unexpectedly", account=self.account)
            said = f"reading it failed unexpectedly ({type(error).__name__}); rebookd's log has the details"
            self._note(report, ConnectorError(said), info)

    def _rows(self) -> dict[CalendarRef, CalendarRow]:
        with self._store.read() as conn:
            return {row.ref: row for row in calendars.calendars(conn, self.account)}

    def _changed(
        self, infos: Sequence[CalendarInfo], rows: dict[CalendarRef, CalendarRow]
    ) -> frozenset[CalendarRef]:
        """The calendars that need a closer look."""
        cursors = {
            info.ref: rows[info.ref].cursor
            for info in infos
            if info.ref in rows and rows[info.ref].shrink_seen is None
        }
        fresh = frozenset(info.ref for info in infos) - cursors.keys()
        return fresh | (self._connector.changed_calendars(cursors) if cursors else frozenset())

    def _unchanged(self, rows: list[CalendarRow]) -> None:
        """Note that these were asked and had nothing new."""
        now = self._clock.now()
        with self._store.write() as conn:
            for row in rows:
                calendars.seen(conn, row.ref, now)
            self._wake_if_blind(conn, rows, now)

    def _wake_if_blind(self, conn: Connection, rows: Iterable[CalendarRow], now: datetime) -> None:
        """Judge the account anew when it could not be seen for long: what fell due meanwhile was held."""
        if any(abs(now - row.seen_at) >= self._stale_after for row in rows):
            agenda.wake_account(conn, self.account, now)

    def _take(
        self, info: CalendarInfo, row: CalendarRow | None, report: PollReport, progress: Progress | None
    ) -> None:
        """Read one calendar's changes and store them, expanded as far as its others are."""
        now = self._clock.now()
        span = horizon.window(now)
        if row is not None:
            span = Interval(span.start, row.horizon_end)
        cursor = row.cursor if row is not None else Cursor()

        def etags() -> dict[str, str]:
            with self._store.read() as conn:
                return calendars.etags(conn, info.ref)

        def raw(href: str) -> str | None:
            with self._store.read() as conn:
                held = calendars.resource(conn, info.ref, href)
            return held.raw if held else None

        def tell(done: int, total: int) -> None:
            if progress is not None:
                progress(info.name, done, total)

        tell(0, 0)
        try:
            changes = self._connector.poll(info.ref, span, Known(cursor=cursor, etags=etags, raw=raw), tell)
        except CursorExpired:
            log.info("cursor expired, reading in full", account=self.account, calendar=info.name)
            try:
                changes = self._connector.poll(info.ref, span, Known(etags=etags, raw=raw), tell)
            except CursorExpired as again:
                raise Retryable(f"{info.name}: the server refused even a full read ({again})") from again
        self._doubt(info, changes, etags)
        with self._store.write() as conn:
            applied = calendars.apply(conn, info, changes, now, span.end, mine=self._mine)
            self._wake_if_blind(conn, [row] if row else [], now)
        report.changed += len(applied.changed_keys)
        report.removed += len(applied.removed_keys)
        told = [_with_its_crowd(resource) for resource in changes.changed]
        report.broken += [(info, resource) for resource in told if resource.broken]
        if changes.changed or changes.removed:
            log.info(
                "calendar read",
                account=self.account,
                calendar=info.name,
                changed=len(applied.changed_keys),
                removed=len(applied.removed_keys),
                events=applied.events,
            )

    def _doubt(self, info: CalendarInfo, changes: ChangeSet, etags: Callable[[], dict[str, str]]) -> None:
        """Refuse a sudden shrink until a second read agrees or the owner says so.

        What has another address and the same UID is still there. Where nothing is, but other things are, no
        second read settles it: another account would say the same twice.
        """
        if not changes.full and len(changes.removed) < WIPED:
            return
        held = etags().keys()
        if changes.full:
            left = held & (changes.kept | {resource.href for resource in changes.changed})
        else:
            left = held - changes.removed
        if len(left) < KEPT_SHARE * len(held):
            left = left | self._under_other_addresses(info, changes)
        gone = held - left
        if not gone or len(left) >= KEPT_SHARE * len(held):
            return
        is_other = bool(changes.changed) and not left and len(held) >= KNOWN_BY
        token = hashlib.sha256("\n".join(sorted(gone)).encode()).hexdigest()
        with self._store.write() as conn:
            rows = {row.ref: row for row in calendars.calendars(conn, self.account)}
            if self._believes(rows[info.ref], token, alone=is_other):
                return
            if self._decides:
                calendars.set_shrink(conn, info.ref, token)
        if is_other:
            raise self._replaced(f"{info.name} holds none of the {len(held)} events it held, but others")
        raise Shrunk(
            f"{info.name} suddenly holds {len(left)} of its {len(held)} events; nothing was removed. "
            f"The next poll decides, or run: rebookd accept-shrink {self.account}"
        )

    def _under_other_addresses(self, info: CalendarInfo, changes: ChangeSet) -> set[str]:
        """What is held under an address that is gone, and came with another one."""
        arrived = {resource.uid for resource in changes.changed} - {""}
        with self._store.read() as conn:
            return {href for href, uid in calendars.uids(conn, info.ref).items() if uid in arrived}

    def _replaced(self, what: str) -> Replaced:
        return Replaced(
            f"{what}: perhaps another account answers. Nothing was removed and nothing new was read. "
            f"If it is right, run: rebookd accept-shrink {self.account}"
        )

    def _rolled(self, row: CalendarRow) -> CalendarRow:
        """The calendar, its stored resources expanded anew when the horizon has moved on."""
        now = self._clock.now()
        if not horizon.is_due_to_roll(row.horizon_end, now):
            return row
        with self._store.read() as conn:
            held = list(calendars.resources(conn, row.ref, recurring_only=True))
        span = horizon.window(now)
        expanded = [self._connector.expand(row.ref, resource, span) for resource in held]
        with self._store.write() as conn:
            calendars.roll(conn, row.ref, expanded, now, span.end)
        return replace(row, horizon_end=span.end)

    def _is_doubtful(
        self, infos: Sequence[CalendarInfo], rows: dict[CalendarRef, CalendarRow], report: PollReport
    ) -> bool:
        """Whether a known calendar is missing that is not forgotten yet.

        One that twice in a row was neither chosen nor offered is forgotten. Where only others are offered,
        that takes the owner's word: another account would offer the same twice.
        """
        offered = {info.ref for info in infos}
        missing = [row for ref, row in rows.items() if ref not in offered]
        is_other = bool(infos) and len(missing) == len(rows) and _events(rows) >= KNOWN_BY
        doubted = []
        for row in missing:
            believed = self._believes(row, MISSING, alone=is_other)
            with self._store.write() as conn:
                if believed:
                    calendars.forget_calendar(conn, row.ref)
                elif self._decides:
                    calendars.set_shrink(conn, row.ref, MISSING)
            if not believed:
                doubted.append(row)
        if doubted and is_other:
            self._note(
                report, self._replaced(f"{self.account} offers none of the calendars it had, but others")
            )
            return True
        for row in doubted:
            self._note(report, Shrunk(f"calendar {row.name} is no longer there; the next poll decides"))
        return bool(doubted)

    def _believes(self, row: CalendarRow, token: str, *, alone: bool = False) -> bool:
        """Whether the owner said so or, unless ``alone`` their word counts, an earlier read agrees."""
        if row.shrink_seen == calendars.SHRINK_ACCEPTED:
            return True
        return self._decides and not alone and row.shrink_seen == token

    def _note(self, report: PollReport, error: ConnectorError, info: CalendarInfo | None = None) -> None:
        name = info.name if info else ""
        kind = kind_of(error)
        report.troubles.append(Trouble(account=self.account, kind=kind, message=str(error), calendar=name))
        if isinstance(error, Retryable) and error.retry_after is not None:
            report.retry_after = max(report.retry_after or 0, error.retry_after)
        log.warning("poll failed", account=self.account, calendar=name, kind=kind, error=str(error))

    def _record(self, report: PollReport) -> None:
        now = self._clock.now()
        with self._store.write() as conn:
            if report.ok:
                calendars.polled(conn, self.account, now, kind=self._kind)
            else:
                first = report.troubles[0]
                calendars.failed(conn, self.account, first.kind, first.message, now)


def _events(rows: dict[CalendarRef, CalendarRow]) -> int:
    return sum(row.events for row in rows.values())


def _with_its_crowd(resource: Resource) -> Resource:
    """The same; where more are invited than anybody is written to, that is among what is told of it."""
    invited = max((len(one.attendees) for one in resource.occurrences), default=0)
    if invited <= MOST_INVITED:
        return resource
    crowd = f"{invited} people are invited, more than rebookd writes to."
    return replace(resource, broken=f"{resource.broken} {crowd}".strip())


def kind_of(error: ConnectorError) -> str:
    """The one word under which an error is reported."""
    for kind, word in (
        (NeedsLogin, "sign-in needed"),
        (Shrunk, "shrunk"),
        (Retryable, "no answer"),
        (LimitExceeded, "too large"),
        (TooMuch, "too large"),
    ):
        if isinstance(error, kind):
            return word
    return "error"
