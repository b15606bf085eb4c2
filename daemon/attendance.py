"""After a meeting: the records of its call are read once, judged, and kept; their service forgets them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import structlog

from connectors.base import (
    AttendanceSource,
    ConnectorError,
    LimitExceeded,
    NeedsLogin,
    NotSupported,
    Rejected,
    Retryable,
)
from daemon.clock import Clock
from daemon.config.settings import Settings
from daemon.store import agenda, records
from daemon.store.engine import Store
from daemon.store.errors import StoreError
from rules.detections import Missed, Unaccounted
from rules.model import (
    Address,
    Attendance,
    Call,
    Held,
    Identity,
    Interval,
    Occurrence,
    Owner,
    PartStat,
    Status,
)
from rules.people import my_answer, required_people
from rules.presence import Judgement, Known, Terms, judge

log = structlog.get_logger()

SETTLED = timedelta(minutes=2)
"""How long after its end a meeting's records are first read."""

LATE = timedelta(minutes=2)
"""What a poll may take until it comes to the records."""

KEPT = timedelta(days=30)
"""How long services keep the records of a call."""

AGAIN = (timedelta(minutes=15), timedelta(hours=1), timedelta(hours=6), timedelta(days=1))
"""How long to wait before each further reading, where one did not tell all."""

AT_ONCE = 20
"""How many meetings are read after one poll, the latest first."""

REFUSED_FOR = timedelta(hours=1)
"""How long nothing is asked after all records were refused."""


def _unknown(why: str, *, final: bool = True) -> Judgement:
    return Judgement(held=Held.UNKNOWN, why=why, final=final)


_FAILED = _unknown("its records could not be read", final=False)


def is_asked(settings: Settings, account: str) -> bool:
    """Whether this account has records of calls and a rule wants to know who came."""
    configured = settings.accounts[account]
    kept = configured.google or configured.outlook
    asks = any(isinstance(rule.when, Missed | Unaccounted) for rule in settings.policy.rules)
    return asks and kept is not None and kept.attendance


def within(settings: Settings, account: str) -> timedelta | None:
    """How long after a meeting's end its records are read at the latest; None where there are none."""
    if not is_asked(settings, account):
        return None
    return SETTLED + settings.accounts[account].poll_every.delta + LATE


class AttendanceReader:
    """Reads one account's records after each of its polls, on the same thread.

    ``connect`` makes the source when it is first needed.
    """

    def __init__(
        self,
        store: Store,
        account: str,
        connect: Callable[[], AttendanceSource],
        clock: Clock,
        *,
        owner: Owner,
        terms: Terms,
        stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        self._store = store
        self._account = account
        self._connect = connect
        self._clock = clock
        self._owner = owner
        self._terms = terms
        self._stopping = stopping
        self._source: AttendanceSource | None = None
        self._rests: Interval | None = None

    def read(self, progress: Callable[[int, int], None] | None = None) -> str | None:
        """Read what is due; why any of it was refused, in a sentence for the owner, if it was.

        ``progress`` is told (done, total) meetings. Raises StoreError, and nothing for whatever a server did.
        """
        now = self._clock.now()
        if self._rests is not None and self._rests.start <= now < self._rests.end:
            return None
        refused = None
        due = self._due(now)[:AT_ONCE]
        for done, one in enumerate(due):
            if self._stopping():
                break
            if progress is not None:
                progress(done, len(due))
            try:
                judged = self._judged(one)
            except (NeedsLogin, NotSupported) as error:
                self._rests = Interval(now, now + REFUSED_FOR)
                log.warning("records of calls are refused", account=self._account, error=str(error))
                return str(error)
            except Rejected as error:
                refused, judged = str(error), _unknown("its records may not be seen")
            except Retryable as error:
                self._rests = Interval(now, now + timedelta(seconds=error.retry_after or 0))
                self._keep(one, self._failed(error))
                break
            self._keep(one, judged)
        return refused

    def close(self) -> None:
        """Let go of connections."""
        if self._source is not None:
            self._source.close()
            self._source = None

    def _due(self, now: datetime) -> list[Occurrence]:
        """Meetings that may have been held or missed, each once, whose records are to be read."""
        with self._store.read() as conn:
            found = records.unread(conn, self._account, now - KEPT, now - SETTLED, now)
        each: dict[Identity, Occurrence] = {}
        for one in found:
            if one.conference and self._matters(one):
                each.setdefault(one.identity, one)
        return list(each.values())

    def _matters(self, one: Occurrence) -> bool:
        if one.status is Status.CANCELLED or my_answer(one, self._owner) is not PartStat.ACCEPTED:
            return False
        return bool(required_people(one, self._owner))

    def _failed(self, error: ConnectorError) -> Judgement:
        log.warning("records of a call were not read", account=self._account, error=str(error))
        return _FAILED

    def _judged(self, one: Occurrence) -> Judgement:
        """What its records say. Raises what is not about this meeting alone."""
        try:
            return self._read(one)
        except (NeedsLogin, NotSupported, Rejected, Retryable, StoreError):
            raise
        except LimitExceeded:
            return _unknown("too many were in the call")
        except ConnectorError as error:
            return self._failed(error)
        except Exception:
            log.exception("reading the records of a call failed unexpectedly", account=self._account)
            return _FAILED

    def _read(self, one: Occurrence) -> Judgement:
        if self._source is None:
            self._source = self._connect()
        calls = self._source.calls(one)
        known = self._known(one, calls, self._source.name)
        return judge(one, calls, self._owner, known, self._terms)

    def _known(self, one: Occurrence, calls: Sequence[Call], service: str) -> Known:
        """Whose the accounts in these calls are, and names that the meeting itself does not tell."""
        nameless = [who.address for who in one.attendees if not who.name]
        if one.organizer is not None and not one.organizer_name:
            nameless.append(one.organizer)
        names: dict[Address, set[str]] = {}
        accounts = {party.user for call in calls for party in call.parties if party.user}
        with self._store.read() as conn:
            users = records.users(conn, service, accounts, self._owner.addresses)
            if nameless and accounts:
                for other in agenda.with_people(conn, nameless, one.start_utc - KEPT):
                    if other.key.calendar.account == self._account:
                        for who in other.attendees:
                            if who.name:
                                names.setdefault(who.address, set()).add(who.name)
        return Known(names=names, users=users)

    def _keep(self, one: Occurrence, found: Judgement) -> None:
        now = self._clock.now()
        service = self._source.name if self._source is not None else "records"
        source = f"{service}: {found.why}" if found.why else service
        known = Attendance(held=found.held, source=source, at=now)
        with self._store.write() as conn:
            tried = records.tries(conn, one)
            next_at = now + AGAIN[tried] if not found.final and tried < len(AGAIN) else None
            records.keep(conn, one, known, tries=tried + 1, next_at=next_at)
            records.learn(conn, service, found.learned, now)
            agenda.wake(conn, [copy.key for copy in agenda.copies(conn, [one.key])], now)
        log.info("attendance read", account=self._account, uid=one.key.uid, held=found.held, why=found.why)
