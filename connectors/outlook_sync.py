"""What changed in one Outlook calendar: rounds of calendarView/delta, gathered into whole events.

A round has a window that its token keeps for good, so it reaches further ahead than is looked at, and a new
one begins every four weeks, on another day for each calendar. What a round calls removed may have been
deleted, or only moved out of that window: it is looked up before it is believed.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from urllib.parse import quote

from connectors.base import CursorExpired, LimitExceeded, Resource
from connectors.outlook_client import MAX_PAGES, GraphClient, Json, items_of, not_whole
from connectors.outlook_events import KEPT, instant, is_instance, is_series, trimmed
from connectors.outlook_resource import Shelf, Whole, is_series_etag
from connectors.signed import Refused, json_of
from rules.model import Interval

SIZES = (200, 50, 10)
"""Events on a page; the next where a page was larger than we accept. They come with all their text."""

GRID = timedelta(days=28)
"""How far apart rounds begin."""

MOST_LOOKED_UP = 400
"""So many missing events are looked up one by one; of more, the daemon's doubt about a shrink decides."""

MOST_ALIKE = 3
"""So many pages in a row that tell of the same events, or of none, lead nowhere."""

_AHEAD = timedelta(days=2)
_HOURS = int(GRID / timedelta(hours=1))
_EPOCH = datetime(2020, 1, 1, tzinfo=UTC)
_IN_UTC = 'outlook.timezone="UTC"'
_EXPIRED = frozenset({"syncStateNotFound", "syncStateInvalid", "resyncRequired", "ErrorInvalidSyncStateData"})


def round_of(calendar: str, window: Interval) -> Interval:
    """The window of a round that serves to look at ``window``; the same for weeks."""
    phase = _EPOCH + timedelta(hours=zlib.crc32(calendar.encode()) % _HOURS)
    end = phase + -((phase - window.end - _AHEAD) // GRID) * GRID
    grids = -(-(window.end - window.start) // GRID) + 1
    return Interval(end - grids * GRID, end)


@dataclass(frozen=True, slots=True)
class Position:
    """Where a round stands: the link that tells what changes, its window's end, how far ahead one looked."""

    link: str
    until: datetime
    ahead: timedelta | None

    def write(self) -> str:
        """As a cursor's text."""
        seconds = self.ahead.total_seconds() if self.ahead is not None else None
        return json.dumps([_QUESTION, self.link, self.until.isoformat(), seconds])

    @classmethod
    def read(cls, cursor: str) -> Position | None:
        """What :meth:`write` gave; None for nothing, and for another version's question."""
        try:
            question, link, until, ahead = json.loads(cursor or "null")
            span = None if ahead is None else timedelta(seconds=ahead)
            found = cls(str(link), datetime.fromisoformat(until), span)
        except (ValueError, TypeError, OverflowError):
            return None
        return found if question == _QUESTION and link else None

    def is_due_to_roll(self, calendar: str, now: datetime | None) -> bool:
        """Whether at ``now`` (UTC) its window no longer reaches far enough ahead."""
        if now is None or self.ahead is None:
            return False
        end = now + self.ahead
        return round_of(calendar, Interval(end, end)).end > self.until


_QUESTION = 1
"""Raise it whenever what is asked in a round, or what is kept of an answer, changes."""


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a round; ``now`` is the server's clock, where it tells (UTC)."""

    items: list[Json]
    next_link: str
    delta_link: str
    now: datetime | None


class Rounds:
    """Rounds of changes, and single events, asked through one client."""

    def __init__(self, client: GraphClient) -> None:
        self._client = client

    def pages(
        self, calendar: str, *, link: str = "", span: Interval | None = None, first: Page | None = None
    ) -> Iterator[Page]:
        """All pages of what changed since ``link``, or of all in ``span``. ``first`` was read already.

        Raises CursorExpired when Graph has forgotten the link, LimitExceeded, and Retryable for a list that
        leads nowhere.
        """
        size, seen, page = SIZES[0], set[str](), first
        told: list[str] = []
        alike = 0
        while len(seen) < MAX_PAGES and alike < MOST_ALIKE:
            while page is None:
                try:
                    page = self.page(calendar, link, span, size)
                except LimitExceeded:
                    if size == SIZES[-1]:
                        raise
                    size = SIZES[SIZES.index(size) + 1]
            yield page
            if page.delta_link:
                return
            before, told = told, [str(one["id"]) for one in page.items]
            alike = alike + 1 if told == before else 0
            link, page = page.next_link, None
            if not link or link in seen:
                break
            seen.add(link)
        raise not_whole()

    def page(self, calendar: str, link: str, span: Interval | None = None, size: int = SIZES[0]) -> Page:
        """One page: that of ``link``, or the first of ``span``. Raises as :meth:`pages` does."""
        query = {}
        if not link and span is not None:
            query = {"startDateTime": _stamp(span.start), "endDateTime": _stamp(span.end)}
            link = f"calendars/{quote(calendar, safe='')}/calendarView/delta"
        try:
            response = self._client.answer(link, prefer=(_IN_UTC, f"odata.maxpagesize={size}"), **query)
        except Refused as error:
            if error.status == 410 or (error.status == 400 and (error.reasons & _EXPIRED or not query)):
                raise CursorExpired("Microsoft no longer knows where we stopped.") from error
            raise
        found = json_of(response)
        if found is None:
            raise not_whole()
        return Page(
            items=[one for one in items_of(found) if isinstance(one.get("id"), str)],
            next_link=str(found.get("@odata.nextLink") or ""),
            delta_link=str(found.get("@odata.deltaLink") or ""),
            now=_date(response.headers.get("Date")),
        )

    def read(self, calendar: str, href: str, span: Interval) -> Whole | None:
        """An event as it is now, a series with its instances in ``span``; None when it is gone."""
        try:
            event = self._client.get(
                f"{_events(calendar)}/{quote(href, safe='')}", prefer=(_IN_UTC,), **{"$select": KEPT}
            )
        except Refused as error:
            if error.status in {404, 410}:
                return None
            raise
        return self.whole(event, span)

    def whole(self, event: Json, span: Interval) -> Whole:
        """An event that was read, a series with its instances in ``span``."""
        found = Whole(trimmed(event), until=span.end if is_series(event) else None)
        if is_series(event):
            where = f"events/{quote(str(event['id']), safe='')}/instances"
            asked = {"startDateTime": _stamp(span.start), "endDateTime": _stamp(span.end)}
            for one in self._client.pages(
                where, prefer=(_IN_UTC,), **asked, **{"$select": KEPT, "$top": str(SIZES[0])}
            ):
                _put(found, one)
        return found

    def look_up(self, calendar: str, hrefs: Iterable[str]) -> dict[str, Json | None]:
        """Events by their names, as they are now; None for those that are gone."""
        names = list(hrefs)
        paths = [f"{_events(calendar)}/{quote(one, safe='')}?$select={KEPT}" for one in names]
        return dict(zip(names, self._client.look_up(paths), strict=True))


def _events(calendar: str) -> str:
    return f"calendars/{quote(calendar, safe='')}/events"


def _put(whole: Whole, instance: Json) -> None:
    """Take in an instance; one without times is of no use to anybody."""
    try:
        whole.put(instance)
    except (KeyError, TypeError, ValueError, OverflowError):
        whole.instances.pop(str(instance.get("id")), None)


@dataclass(slots=True)
class Changes:
    """What one round found."""

    resources: dict[str, Resource] = field(default_factory=dict)
    removed: set[str] = field(default_factory=set)
    kept: set[str] = field(default_factory=set)


@dataclass(slots=True)
class Held:
    """What is stored of the calendar: each href's etag, and the text of one."""

    etags: Callable[[], dict[str, str]]
    raw: Callable[[str], str | None]

    def whole(self, href: str) -> Whole | None:
        """A stored event; None when it is not stored or not readable."""
        raw = self.raw(href)
        try:
            return Whole.read(raw) if raw else None
        except ValueError:
            return None


class Gatherer:
    """Takes the items of all pages of a round and makes whole events of them."""

    def __init__(self, rounds: Rounds, shelf: Shelf, window: Interval, span: Interval, held: Held) -> None:
        self._rounds, self._shelf, self._held = rounds, shelf, held
        self._window, self._span = window, span
        self._calendar = shelf.calendar.id
        self._singles: dict[str, Resource] = {}
        self._masters: dict[str, Json] = {}
        self._instances: dict[str, dict[str, Json]] = {}
        self._gone: dict[str, None] = {}
        self.changes = Changes()

    @property
    def found(self) -> int:
        """How many events there are so far."""
        return len(self._singles) + len(self._masters.keys() | self._instances.keys())

    def take(self, page: Page) -> None:
        """Sort the items of a page in; a later one may correct what an earlier one said.

        A single event is made ready at once, since the JSON of a whole calendar takes much memory.
        """
        for item in page.items:
            name = str(item["id"])
            self._gone.pop(name, None)
            if "@removed" in item:
                self._forget(name)
                self._gone[name] = None
            elif is_instance(item):
                self._instances.setdefault(str(item["seriesMasterId"]), {})[name] = trimmed(item)
            elif is_series(item):
                self._masters[name] = trimmed(item)
            else:
                self._singles[name] = self._shelf.resource(name, Whole(trimmed(item)), self._window)

    def all(self, etags: dict[str, str]) -> Changes:
        """Everything in the round's window, and what lies outside of it but is not gone."""
        for href, single in self._singles.items():
            if etags.get(href) == single.etag:
                self.changes.kept.add(href)
            else:
                self.changes.resources[href] = single
        self._look_for_masters(self._instances.keys() - self._masters.keys())
        for href, master in self._masters.items():
            whole = Whole(master, until=self._span.end)
            for one in self._instances.get(href, {}).values():
                _put(whole, one)
            self._keep(href, whole, etags)
        absent = [href for href in etags if href not in self.changes.resources]
        absent = [href for href in absent if href not in self.changes.kept]
        over = [href for href in absent if self._shelf.is_over(self._held.raw(href) or "", self._span.start)]
        self.changes.kept.update(over)
        missing = [href for href in absent if href not in self.changes.kept]
        if len(missing) <= MOST_LOOKED_UP:
            self._doubt(missing)
            self.changes.removed.clear()
        return self.changes

    def changed(self) -> Changes:
        """What is new, changed and gone since the last page of this round."""
        etags = self._held.etags()
        self.changes.resources |= self._singles
        gone = [name for name in self._gone if name in etags]
        torn = self._series_without([name for name in self._gone if name not in etags], etags)
        self._doubt(gone)
        # What a server tells of a changed series differs: all of it, what changed, or not what vanished.
        touched = dict.fromkeys([*self._masters, *self._instances, *torn])
        unclear = [href for href in touched if href not in self.changes.removed]
        for href, event in self._rounds.look_up(self._calendar, unclear).items():
            if event is None:
                self.changes.removed.add(href)
            else:
                self._keep(href, self._rounds.whole(event, self._span), {})
        return self.changes

    def _look_for_masters(self, hrefs: Iterable[str]) -> None:
        """Graph does not tell a master with each of its instances."""
        for href, event in self._rounds.look_up(self._calendar, sorted(hrefs)).items():
            if event is not None:
                self._masters[href] = trimmed(event)

    def _series_without(self, names: list[str], etags: dict[str, str]) -> set[str]:
        """The stored series that had one of these instances."""
        found: set[str] = set()
        wanted = set(names)
        for href, etag in etags.items() if wanted else ():
            if is_series_etag(etag):
                whole = self._held.whole(href)
                if whole is None or wanted & whole.instances.keys():
                    found.add(href)
        return found

    def _doubt(self, hrefs: list[str]) -> None:
        """Look up what is missing: gone, or only outside the round's window.

        What is found inside of it lies in another calendar by now, or among what was thrown away.
        """
        for href, event in self._rounds.look_up(self._calendar, hrefs).items():
            whole = self._rounds.whole(event, self._span) if event is not None else None
            if whole is None or self._is_inside(whole):
                self.changes.removed.add(href)
                self._forget(href)
            else:
                self._keep(href, whole, {})

    def _is_inside(self, whole: Whole) -> bool:
        if is_series(whole.event):
            return bool(whole.instances)
        try:
            span = Interval(instant(whole.event["start"]), instant(whole.event["end"]))
        except (KeyError, TypeError, ValueError, OverflowError):
            return False
        return span.overlaps(self._span)

    def _forget(self, href: str) -> None:
        for told in (self._singles, self._masters):
            told.pop(href, None)
        for instances in self._instances.values():
            instances.pop(href, None)

    def _keep(self, href: str, whole: Whole, etags: dict[str, str]) -> None:
        if etags and etags.get(href) == whole.etag:
            self.changes.kept.add(href)
        else:
            self.changes.resources[href] = self._shelf.resource(href, whole, self._window)


def _stamp(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _date(text: str | None) -> datetime | None:
    try:
        return parsedate_to_datetime(text or "").astimezone(UTC)
    except (TypeError, ValueError):
        return None


__all__ = ["Changes", "Gatherer", "Held", "Page", "Position", "Rounds", "round_of"]
