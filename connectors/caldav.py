"""CalDAV (RFC 4791, 6578, 6638): discovery through the caldav library, the hot requests by hand.

One PROPFIND on the home tells which calendars changed; a sync-collection REPORT tells which of their
objects; calendar-multiget brings those in batches. A server without sync tokens is read by comparing
etags. An answer that is not whole is an error, never a smaller calendar.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Literal
from urllib.parse import urljoin, urlsplit

from connectors import ical_write
from connectors.base import (
    CalendarInfo,
    Capabilities,
    ChangeSet,
    Conflict,
    ConnectorError,
    Cursor,
    Known,
    NewMeeting,
    NotSupported,
    Rejected,
    Resource,
    Retryable,
)
from connectors.caldav_discovery import (
    DavSession,
    Found,
    full_url,
    homes,
    list_calendars,
    schedules,
)
from connectors.caldav_sync import Fetcher, Mark, Position
from connectors.caldav_xml import CTAG, SYNC_TOKEN, path_of, web_page
from connectors.http import GuardedSession, Limits
from connectors.http_auth import BasicAuth, BearerAuth, PasswordAuth
from connectors.ical_make import new_meeting, uid_for
from connectors.recurrence import Copy, read_resource
from rules.model import CalendarRef, Interval, Occurrence

_CHANGED = "The meeting was changed since it was read."

Auth = Literal["auto", "basic", "digest", "bearer"]


class CalDavConnector:
    """One CalDAV account.

    ``url`` is a bare host name or any address of the server; ``calendars`` are display names, last
    path segments or URLs, None for all; ``home_zone`` (IANA) is what all-day and floating times are
    read in. ``auth`` "auto" sends Basic at once and Digest when asked for it; say "digest" where the
    password must never travel in the clear. Not safe to share between threads.
    """

    def __init__(
        self,
        account: str,
        url: str,
        *,
        username: str = "",
        password: str = "",
        token: str = "",
        auth: Auth = "auto",
        calendars: Sequence[str] | None = None,
        home_zone: str = "UTC",
        limits: Limits | None = None,
        insecure_http: bool = False,
        private_network: bool = False,
        verify: bool | str = True,
        batch: int = 200,
    ) -> None:
        self.account = account
        self._url = full_url(url)
        self._wanted = None if calendars is None else tuple(calendars)
        self._home_zone = home_zone
        self._session = DavSession(
            GuardedSession(
                self._url,
                auth=_auth(auth, username, password, token),
                limits=limits,
                insecure_http=insecure_http,
                private_network=private_network,
                verify=verify,
            )
        )
        self._fetcher = Fetcher(self._session, batch)
        self._homes: tuple[str, ...] = ()
        self._outside: tuple[str, ...] = ()
        self._schedules: bool | None = None
        self._mark_property = CTAG
        self._marks: dict[str, str] = {}
        self._listed_marks: dict[str, str] = {}
        self._marks_wanted = False

    def calendars(self) -> Sequence[CalendarInfo]:
        """All event calendars the configuration chose. Raises ConnectorError, naming an unknown one."""
        # Marks cost the server; they come along only where they will be asked for, sparing that request.
        mark = self._mark_property if self._marks_wanted else ""
        found = [
            each for home in self._find_homes() for each in list_calendars(self._session, home, "1", mark)
        ]
        chosen = self._chosen(found, mark)
        self._listed_marks = {each.url: each.mark for each in chosen}
        delivers = self._does_schedule()
        return [
            CalendarInfo(
                ref=CalendarRef(account=self.account, id=each.url),
                name=each.name,
                capabilities=Capabilities(schedules=delivers, sync_token=each.sync, writable=each.writable),
            )
            for each in chosen
        ]

    def changed_calendars(self, cursors: dict[CalendarRef, Cursor]) -> frozenset[CalendarRef]:
        """Which calendars may have changed: one request at first, later none beyond :meth:`calendars`."""
        positions = {ref: Position.read(cursor.value) for ref, cursor in cursors.items()}
        if not any(position.known for position in positions.values()):
            return frozenset(cursors)
        listed, self._listed_marks = self._listed_marks, {}
        self._marks = listed if any(listed.values()) else self._ask_marks(cursors)
        self._marks_wanted = any(self._marks.values())
        return frozenset(
            ref
            for ref, position in positions.items()
            if not position.mark or position.mark != self._marks.get(ref.id)
        )

    def poll(
        self,
        calendar: CalendarRef,
        window: Interval,
        known: Known,
        progress: Callable[[int, int], None] | None = None,
    ) -> ChangeSet:
        """Changes since the cursor. Raises CursorExpired, and ConnectorError for an answer not whole."""
        position = Position.read(known.cursor.value)
        # The mark was read before what follows, so a change in between is seen again, not missed.
        mark = self._marks.pop(calendar.id, "")
        changes = self._fetcher.changes(calendar.id, position, known.etags, progress)
        resources = [
            read_resource(raw, self._copy(calendar, path, etag), window)
            for path, (etag, raw) in changes.objects.items()
        ]
        resources += [_undelivered(path, why) for path, why in changes.undelivered.items()]
        return ChangeSet(
            changed=tuple(resources),
            removed=frozenset(changes.removed),
            kept=frozenset(changes.kept),
            cursor=Cursor(Position(mark=Mark(mark), token=changes.token, known=True).write()),
            full=changes.full,
        )

    def expand(self, calendar: CalendarRef, resource: Resource, window: Interval) -> Resource:
        """The same resource in another window, without asking the server."""
        if not resource.raw:
            return resource
        return read_resource(resource.raw, self._copy(calendar, resource.href, resource.etag), window)

    def read(self, calendar: CalendarRef, href: str, window: Interval) -> Resource | None:
        """One resource as it is now; None when it is gone."""
        found = self._get(calendar, href)
        if found is None:
            return None
        etag, raw, _ = found
        return read_resource(raw, self._copy(calendar, href, etag), window)

    def move(self, occurrence: Occurrence, start: datetime, end: datetime) -> Resource:
        """Give the occurrence other times, SEQUENCE+1. The result covers the old and the new time.

        Raises Conflict when it changed meanwhile, Rejected when the server refuses.
        """
        etag, raw, now = self._unchanged(occurrence)
        moved = ical_write.moved(
            raw,
            occurrence.key.recurrence_id,
            start,
            end,
            now=now or occurrence.modified or occurrence.start_utc,
            home_zone=self._home_zone,
        )
        self._write(occurrence, etag, moved, "move the meeting")
        first = min(occurrence.start_utc, start.astimezone(UTC))
        last = max(occurrence.end_utc, end.astimezone(UTC)) + timedelta(seconds=1)
        resource = self.read(occurrence.key.calendar, occurrence.href, Interval(first, last))
        if resource is None:
            raise Conflict("The meeting vanished while it was moved.")
        return resource

    def label(self, occurrence: Occurrence, category: str) -> Resource:
        """Give the occurrence one more category, unless it has it. The result covers its time.

        Raises Conflict when it changed meanwhile, Rejected when the server refuses, and NotSupported
        where others are invited and the server sends out changes (RFC 6638): some tell the organizer of
        a new override even if no answer changed and Schedule-Reply forbids it, and send the label along.
        """
        calendar = occurrence.key.calendar
        window = Interval(occurrence.start_utc, occurrence.end_utc + timedelta(seconds=1))
        etag, raw, _ = self._there(occurrence)
        labelled = ical_write.labelled(raw, occurrence.key.recurrence_id, category, home_zone=self._home_zone)
        if labelled is None:
            return read_resource(raw, self._copy(calendar, occurrence.href, etag), window)
        _make_same(etag, occurrence)
        if occurrence.attendees and self._does_schedule():
            raise NotSupported(
                "The calendar server would tell the other people of it, so the meeting was not labelled."
            )
        self._write(occurrence, etag, labelled, "label the meeting")
        resource = self.read(calendar, occurrence.href, window)
        if resource is None:
            raise Conflict("The meeting vanished while it was labelled.")
        return resource

    def create(self, calendar: CalendarRef, new: NewMeeting, key: str) -> Resource:
        """Make a meeting, once for each ``key`` (RFC 4791 section 5.3.2). The result covers its time.

        Raises Rejected when the server refuses.
        """
        uid = uid_for(key)
        path = path_of(f"{uid}.ics", calendar.id)
        window = Interval(new.start.astimezone(UTC), new.end.astimezone(UTC))
        found = self._get(calendar, path)
        if found is None:
            response = self._session.request(
                "PUT",
                urljoin(calendar.id, path),
                data=new_meeting(new, uid, now=new.made_at).encode(),
                headers={"Content-Type": "text/calendar; charset=utf-8", "If-None-Match": "*"},
            )
            if response.status_code != 412 and not 200 <= response.status_code < 300:
                raise Rejected(f"The server would not take the new meeting (HTTP {response.status_code}).")
            found = self._get(calendar, path)
        if found is None:
            raise Rejected("The server took the new meeting, but does not show it.")
        return read_resource(found[1], self._copy(calendar, path, found[0]), window)

    def close(self) -> None:
        """Let go of connections."""
        self._session.close()

    def _there(self, occurrence: Occurrence) -> tuple[str, str, datetime | None]:
        """Etag, text and the server's time of a meeting. Raises Conflict when it is gone."""
        found = self._get(occurrence.key.calendar, occurrence.href)
        if found is None:
            raise Conflict("The meeting is no longer in the calendar.")
        return found

    def _unchanged(self, occurrence: Occurrence) -> tuple[str, str, datetime | None]:
        """The same. Raises Conflict when it is not as it was read, too."""
        found = self._there(occurrence)
        _make_same(found[0], occurrence)
        return found

    def _write(self, occurrence: Occurrence, etag: str, text: str, what: str) -> None:
        """PUT the meeting's text in place of the one with that etag. Raises Conflict or Rejected."""
        response = self._session.request(
            "PUT",
            urljoin(occurrence.key.calendar.id, occurrence.href),
            data=text.encode(),
            headers={"Content-Type": "text/calendar; charset=utf-8", "If-Match": etag or occurrence.etag},
        )
        if response.status_code == 412:
            raise Conflict(_CHANGED)
        if not 200 <= response.status_code < 300:
            raise Rejected(f"The server would not {what} (HTTP {response.status_code}).")

    def _does_schedule(self) -> bool:
        """Whether the server delivers invitations and answers by itself."""
        if self._schedules is None:
            self._schedules = schedules(self._session, self._find_homes()[0])
        return self._schedules

    def _find_homes(self) -> tuple[str, ...]:
        if not self._homes:
            self._homes = homes(self._session, self._url)
        return self._homes

    def _chosen(self, found: list[Found], mark: str) -> list[Found]:
        by_path = {path_of(each.url, each.url).rstrip("/"): each for each in found}
        if self._wanted is None:
            # An address that is one calendar's own means that calendar.
            own = by_path.get(path_of(self._url, self._url).rstrip("/"))
            return [own] if own else found
        chosen: list[Found] = []
        outside: list[str] = []
        for name in self._wanted:
            matching = _matching(name, found, by_path, self._url)
            if not matching and "://" in name:
                matching = list_calendars(self._session, name, "0", mark)
                outside += [each.url for each in matching]
            if not matching:
                there = ", ".join(sorted(each.name for each in found)) or "none"
                raise ConnectorError(
                    f"{urlsplit(self._url).hostname} has no calendar {name!r}; it has: {there}."
                )
            chosen += [each for each in matching if each not in chosen]
        self._outside = tuple(outside)
        return chosen

    def _ask_marks(self, cursors: dict[CalendarRef, Cursor]) -> dict[str, str]:
        """Each calendar's getctag; on a server without one its sync-token, which costs some servers more."""
        marks = self._marks_by(self._mark_property)
        if self._mark_property == CTAG and not any(marks.get(ref.id) for ref in cursors):
            self._mark_property = SYNC_TOKEN
            marks = self._marks_by(SYNC_TOKEN)
        return marks

    def _marks_by(self, name: str) -> dict[str, str]:
        marks: dict[str, str] = {}
        for url, depth in [(home, "1") for home in self._find_homes()] + [
            (url, "0") for url in self._outside
        ]:
            for item in self._session.properties(url, (name,), depth).items:
                path = item.path if item.path.endswith("/") else item.path + "/"
                if item.text(name):
                    marks[urljoin(url, path)] = item.text(name)
        return marks

    def _copy(self, calendar: CalendarRef, href: str, etag: str) -> Copy:
        return Copy(calendar=calendar, href=href, etag=etag, home_zone=self._home_zone)

    def _get(self, calendar: CalendarRef, href: str) -> tuple[str, str, datetime | None] | None:
        """Etag, text and the server's own time of it; None when it is gone."""
        url = urljoin(calendar.id, href)
        response = self._session.request("GET", url, headers={"Accept": "text/calendar"})
        if response.status_code in {404, 410}:
            return None
        host = urlsplit(url).hostname or url
        if response.status_code != 200:
            raise ConnectorError(f"{host} would not show the meeting (HTTP {response.status_code}).")
        raw = response.content.decode("utf-8", "replace")
        if not raw.lstrip("\ufeff \t\r\n").upper().startswith("BEGIN:VCALENDAR"):
            raise web_page(host)
        if not raw.rstrip().upper().endswith("END:VCALENDAR"):
            raise Retryable(f"{host} sent a meeting that is not whole; nothing of it was used.")
        return response.headers.get("ETag", ""), raw, _date(response.headers.get("Date", ""))


def _auth(
    kind: Auth, username: str, password: str, token: str
) -> BasicAuth | BearerAuth | PasswordAuth | None:
    if kind == "bearer" or (kind == "auto" and token):
        return BearerAuth(token or password)
    if not username:
        return None
    if kind == "basic":
        return BasicAuth(username, password)
    return PasswordAuth(username, password, basic=kind == "auto")


def _matching(name: str, found: list[Found], by_path: dict[str, Found], base: str) -> list[Found]:
    if "://" in name or name.startswith("/"):
        same = by_path.get(path_of(name, base).rstrip("/"))
        return [same] if same else []
    exact = [each for each in found if each.name == name]
    loose = [each for each in found if each.name.casefold() == name.casefold()]
    return exact or loose or [each for each in found if each.url.rstrip("/").rpartition("/")[2] == name]


def _undelivered(path: str, why: str) -> Resource:
    return Resource(href=path, etag="", uid="", raw="", broken=why)


def _strong(etag: str) -> str:
    return etag.removeprefix("W/")


def _make_same(etag: str, occurrence: Occurrence) -> None:
    if occurrence.etag and _strong(etag) != _strong(occurrence.etag):
        raise Conflict(_CHANGED)


def _date(value: str) -> datetime | None:
    try:
        return parsedate_to_datetime(value).astimezone(UTC)
    except (TypeError, ValueError):
        return None
