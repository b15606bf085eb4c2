"""What changed in one CalDAV collection, and the text of it (RFC 6578, RFC 4791 section 7.9)."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from typing import NewType
from urllib.parse import urljoin, urlsplit

from connectors.allowance import CHANGES, WHOLE, allowed
from connectors.base import ConnectorError, CursorExpired, LimitExceeded, Retryable
from connectors.caldav_discovery import DavSession
from connectors.caldav_xml import (
    DATA,
    ETAG,
    Item,
    multiget,
    path_of,
    read_multistatus,
    sync_collection,
)

Mark = NewType("Mark", str)
Progress = Callable[[int, int], None]

_LONGEST_PATH = 1000
_AND_MORE = "…"
"""Stands in no path, which is quoted, but in the names of those that are too long to be kept."""

_MAX_PAGES = 1000
_MAX_SINGLE_READS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """A cursor, read: the calendar's mark before the last poll, its sync token after it."""

    mark: Mark = Mark("")
    token: str = ""
    known: bool = False

    @classmethod
    def read(cls, value: str) -> Position:
        """From a cursor's value; anything unreadable is the beginning."""
        try:
            mark, token = json.loads(value)
        except (ValueError, TypeError):
            return cls()
        return cls(mark=Mark(str(mark)), token=str(token), known=True)

    def write(self) -> str:
        """As a cursor's value."""
        return json.dumps([self.mark, self.token])


@dataclass(slots=True)
class Changes:
    """What a collection told: objects (path → etag, text), and what became of the others.

    ``undelivered`` are objects the server lists but would not hand out, each with why.
    """

    objects: dict[str, tuple[str, str]] = field(default_factory=dict)
    removed: set[str] = field(default_factory=set)
    kept: set[str] = field(default_factory=set)
    undelivered: dict[str, str] = field(default_factory=dict)
    token: str = ""
    full: bool = False


@dataclass(slots=True)
class _Listing:
    """Hrefs as the server spells them and etags, by path; the gone; the token to go on from."""

    hrefs: dict[str, str] = field(default_factory=dict)
    etags: dict[str, str] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)
    token: str = ""


class Fetcher:
    """Asks one server about its collections. Remembers which of them know no sync-collection."""

    def __init__(self, session: DavSession, batch: int) -> None:
        self._session = session
        self._batch = batch
        self._without_sync: set[str] = set()

    def changes(
        self,
        url: str,
        position: Position,
        known_etags: Callable[[], dict[str, str]],
        progress: Progress | None,
    ) -> Changes:
        """Changes since ``position``, everything when it is empty. Raises CursorExpired."""
        if position.token and url not in self._without_sync:
            with allowed(CHANGES):
                return self._since(url, position.token, known_etags, progress)
        with allowed(WHOLE):
            return self._everything(url, known_etags, progress)

    def _since(
        self, url: str, token: str, known_etags: Callable[[], dict[str, str]], progress: Progress | None
    ) -> Changes:
        listing = self._sync(url, token)
        changes = Changes(token=listing.token, removed=listing.gone)
        if not listing.hrefs:
            return changes
        known = known_etags()
        same = {path for path, etag in listing.etags.items() if etag and known.get(path) == etag}
        if same and len(same) * 2 >= len(known):
            # The server listed everything without saying that it forgot the token: what was removed
            # meanwhile would stay unsaid.
            raise CursorExpired("The server lists everything instead of what changed.")
        wanted = {path: href for path, href in listing.hrefs.items() if path not in same}
        self._fetch(url, wanted, known, changes, progress)
        changes.kept.clear()
        return changes

    def _everything(
        self, url: str, known_etags: Callable[[], dict[str, str]], progress: Progress | None
    ) -> Changes:
        listing = self._list(url)
        known = known_etags()
        same = {path for path, etag in listing.etags.items() if etag and known.get(path) == etag}
        changes = Changes(token=listing.token, kept=same, full=True)
        wanted = {path: href for path, href in listing.hrefs.items() if path not in same}
        self._fetch(url, wanted, known, changes, progress)
        changes.removed.clear()
        return changes

    def _list(self, url: str) -> _Listing:
        if url not in self._without_sync:
            try:
                return self._sync(url, "")
            except CursorExpired:
                self._without_sync.add(url)
        listing = _Listing()
        answer = self._session.properties(url, (ETAG,), "1")
        if answer.truncated:
            raise _incomplete(url)
        _collect(listing, answer.items, url)
        return listing

    def _sync(self, url: str, token: str) -> _Listing:
        """All pages of a sync-collection. Raises CursorExpired for whatever way of refusing the token."""
        listing = _Listing(token=token)
        for _ in range(_MAX_PAGES):
            status, body, final = self._session.dav("REPORT", url, sync_collection(listing.token), "0")
            if status == 404:
                raise ConnectorError(f"{url} does not exist any more.")
            if status != 207:
                raise CursorExpired(
                    f"{urlsplit(url).hostname} does not know where we stopped (HTTP {status})."
                )
            answer = read_multistatus(body, final)
            before = listing.token
            _collect(listing, answer.items, url)
            listing.token = answer.sync_token
            if not listing.token:
                raise CursorExpired(f"{urlsplit(url).hostname} gave no token to go on from.")
            if not answer.truncated:
                return listing
            if listing.token == before:
                break
        raise _incomplete(url)

    def _fetch(
        self,
        url: str,
        wanted: dict[str, str],
        known: dict[str, str],
        changes: Changes,
        progress: Progress | None,
    ) -> None:
        """Read the wanted objects into ``changes``."""
        told = f"Its address on the server is longer than {_LONGEST_PATH} letters, so that it was left out."
        changes.undelivered |= {path: told for path in wanted if _AND_MORE in path}
        paths = [path for path in wanted if _AND_MORE not in path]
        for start in range(0, len(paths), self._batch):
            batch = {path: wanted[path] for path in paths[start : start + self._batch]}
            self._fetch_batch(url, batch, changes)
            if progress is not None:
                progress(start + len(batch), len(paths))
        # What we hold of an object the server lists but does not hand out is better than nothing.
        for path in changes.undelivered.keys() & known.keys():
            del changes.undelivered[path]
            changes.kept.add(path)

    def _fetch_batch(self, url: str, batch: dict[str, str], changes: Changes) -> None:
        try:
            items = self._multiget(url, batch)
        except LimitExceeded as error:
            if len(batch) == 1:
                changes.undelivered |= dict.fromkeys(batch, str(error))
                return
            pairs = list(batch.items())
            for half in (pairs[: len(pairs) // 2], pairs[len(pairs) // 2 :]):
                self._fetch_batch(url, dict(half), changes)
            return
        missing = dict(batch)
        for item in items:
            if missing.pop(item.path, None) is None:
                continue
            if DATA in item.props:
                changes.objects[item.path] = item.text(ETAG), item.props[DATA].text or ""
            elif item.status in {404, 410}:
                changes.removed.add(item.path)
            else:
                host = urlsplit(url).hostname
                changes.undelivered[item.path] = f"{host} lists this event but does not hand it out."
        if len(missing) > _MAX_SINGLE_READS:
            raise _incomplete(url)
        for path, href in missing.items():
            self._fetch_single(url, path, href, changes)

    def _multiget(self, url: str, batch: dict[str, str]) -> list[Item]:
        status, body, final = self._session.dav("REPORT", url, multiget(batch.values()), "1")
        if status != 207:
            raise ConnectorError(f"{url} cannot be read (HTTP {status}).")
        answer = read_multistatus(body, final)
        if answer.truncated:
            raise _incomplete(url)
        return answer.items

    def _fetch_single(self, url: str, path: str, href: str, changes: Changes) -> None:
        """An object the multiget passed over in silence: ask for it alone, believe only a clear answer."""
        response = self._session.request("GET", urljoin(url, href))
        if response.status_code in {404, 410}:
            changes.removed.add(path)
        elif response.status_code == 200 and response.content.lstrip()[:15].upper() == b"BEGIN:VCALENDAR":
            changes.objects[path] = (
                response.headers.get("ETag", ""),
                response.content.decode("utf-8", "replace"),
            )
        else:
            raise _incomplete(url)


def _collect(listing: _Listing, items: list[Item], url: str) -> None:
    collection = path_of(url, url).rstrip("/")
    for item in items:
        path = item.path
        if path.endswith("/") or path == collection:
            continue
        if len(path) > _LONGEST_PATH:
            path = f"{path[:200]}{_AND_MORE}{sha256(path.encode()).hexdigest()}"
        if item.status in {404, 410}:
            listing.gone.add(path)
            listing.hrefs.pop(path, None)
            listing.etags.pop(path, None)
        else:
            listing.gone.discard(path)
            listing.hrefs[path] = item.href
            listing.etags[path] = item.text(ETAG)


def _incomplete(url: str) -> Retryable:
    return Retryable(f"{urlsplit(url).hostname} sent only part of the calendar; nothing of it was used.")


__all__ = ["Changes", "Fetcher", "Mark", "Position"]
