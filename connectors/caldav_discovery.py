"""From what the owner typed to the calendars of a CalDAV account (RFC 6764, 5397, 4791 section 6.2)."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin, urlsplit

from caldav.davclient import DAVClient
from caldav.lib.error import DAVError

from connectors.base import ConnectorError
from connectors.caldav_xml import (
    CALDAV,
    DAV,
    Item,
    Multistatus,
    path_of,
    propfind,
    read_multistatus,
    web_page,
)
from connectors.http import GuardedSession

_XML = {"Content-Type": "application/xml; charset=utf-8", "Accept": "application/xml, text/xml"}
_PRINCIPAL = DAV + "current-user-principal"
_HOME_SET = CALDAV + "calendar-home-set"
_DISPLAYNAME = DAV + "displayname"
_RESOURCETYPE = DAV + "resourcetype"
_COMPONENTS = CALDAV + "supported-calendar-component-set"
_REPORTS = DAV + "supported-report-set"
_PRIVILEGES = DAV + "current-user-privilege-set"


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A calendar as the server lists it.

    ``url`` is absolute and ends in a slash; ``mark`` is the property that was asked for beside, if any.
    """

    url: str
    name: str
    sync: bool
    writable: bool
    mark: str


class DavSession:
    """WebDAV requests over the guarded session; also what the caldav library is given to talk through.

    A PROPFIND or REPORT answered by anything but a multistatus or an honest error is an error here,
    since the library would take a login page for an account without calendars.
    """

    def __init__(self, http: GuardedSession) -> None:
        self.http = http

    def request(self, method: str, url: str, **kwargs: Any) -> Any:
        """As :meth:`connectors.http.GuardedSession.request`."""
        response = self.http.request(method, url, **kwargs)
        if method.upper() in {"PROPFIND", "REPORT"}:
            kind = response.headers.get("Content-Type", "").lower()
            if 200 <= response.status_code < 300 and (response.status_code != 207 or "html" in kind):
                raise web_page(urlsplit(url).hostname or url)
        return response

    def close(self) -> None:
        """Let go of connections."""
        self.http.close()

    def dav(self, method: str, url: str, body: bytes, depth: str) -> tuple[int, bytes, str]:
        """Send a PROPFIND or REPORT; return its status, its body and the address that answered."""
        response = self.request(method, url, data=body, headers={**_XML, "Depth": depth})
        return response.status_code, response.content, response.url

    def properties(self, url: str, names: tuple[str, ...], depth: str) -> Multistatus:
        """A PROPFIND that must succeed. Raises ConnectorError."""
        status, body, final = self.dav("PROPFIND", url, propfind(names), depth)
        if status != 207:
            raise ConnectorError(_refusal(url, status))
        return read_multistatus(body, final)


def _refusal(url: str, status: int) -> str:
    what = {403: "is not allowed to this user", 404: "does not exist", 410: "is gone"}
    return f"{url} {what.get(status, f'cannot be read (HTTP {status})')}."


def full_url(typed: str) -> str:
    """An address from what was typed: a bare host name means https."""
    typed = typed.strip()
    return typed if "://" in typed else f"https://{typed}"


def homes(session: DavSession, url: str) -> tuple[str, ...]:
    """The calendar homes of the signed-in user, found from any address of the server.

    Raises ConnectorError when the address leads to no CalDAV account.
    """
    start = _context(session, url) if urlsplit(url).path in {"", "/"} else url
    client: Any = DAVClient(url=start, enable_rfc6764=False)
    client.session.close()
    client.session = session
    try:
        # A server that names no principal was probably given the principal's or the home's own address.
        principal = next(iter(_hrefs(client, start, _PRINCIPAL)), start)
        found = _hrefs(client, principal, _HOME_SET) or [principal]
    except DAVError as error:
        raise ConnectorError(
            f"{url} does not lead to a CalDAV account (the server said {_brief(error)}); check the url."
        ) from error
    for home in found:
        _allow_sibling(session, url, home)
    return tuple(home if home.endswith("/") else home + "/" for home in found)


def _hrefs(client: Any, url: str, name: str) -> list[str]:
    """The addresses a property holds, absolute."""
    response = client.propfind(url, propfind((name,)).decode(), 0)
    if response.status != 207:
        raise ConnectorError(_refusal(url, response.status))
    held = [
        item.props[name] for item in read_multistatus(response.raw.encode(), url).items if name in item.props
    ]
    try:
        return [urljoin(url, (href.text or "").strip()) for prop in held for href in prop.iter(DAV + "href")]
    except ValueError as error:
        raise ConnectorError(
            f"{urlsplit(url).hostname} keeps its calendars at what is no address; check the url."
        ) from error


def _brief(error: DAVError) -> str:
    return " ".join(str(getattr(error, "reason", "") or type(error).__name__).split())[:80]


def _context(session: DavSession, url: str) -> str:
    """Where CalDAV begins on a host of which nothing but the name is known (RFC 6764 section 5)."""
    well_known = urljoin(url, "/.well-known/caldav")
    try:
        status, _, final = session.dav("PROPFIND", well_known, propfind((_PRINCIPAL,)), "0")
    except ConnectorError as error:
        # A host without the well-known address may answer it with a page or a redirect to one.
        if type(error) is not ConnectorError:
            raise
        return url
    return final if status == 207 else url


def _allow_sibling(session: DavSession, url: str, home: str) -> None:
    """Some providers keep the home on a sibling of the host one signs in to; others must not send us away."""
    here, there = urlsplit(url).hostname or "", urlsplit(home).hostname or ""
    if here == there:
        return
    parent = here.partition(".")[2]
    related = there.endswith("." + here) or ("." in parent and there.endswith("." + parent))
    related = related and not _is_address(there)
    if not related or urlsplit(home).scheme != "https":
        raise ConnectorError(
            f"{here} keeps its calendars on another host, {there}; if that is right, use that address as url."
        )
    session.http.allow(home)


def _is_address(host: str) -> bool:
    try:
        return bool(ipaddress.ip_address(host))
    except ValueError:
        return False


def list_calendars(session: DavSession, url: str, depth: str, mark: str = "") -> list[Found]:
    """The event calendars at or directly below an address, with what the server says of each.

    ``mark`` names one more property to bring along.
    """
    names = (_RESOURCETYPE, _DISPLAYNAME, _COMPONENTS, _REPORTS, _PRIVILEGES)
    answer = session.properties(url, (*names, mark) if mark else names, depth)
    found = [_found(item, url, mark) for item in answer.items if _holds_events(item)]
    if not found and depth == "1" and any(item.props for item in answer.items) is False:
        raise ConnectorError(f"{url} said nothing about its calendars.")
    return found


def _holds_events(item: Item) -> bool:
    kind = item.props.get(_RESOURCETYPE)
    if kind is None or kind.find(CALDAV + "calendar") is None:
        return False
    if kind.find(CALDAV + "schedule-inbox") is not None or kind.find(CALDAV + "schedule-outbox") is not None:
        return False
    components = item.props.get(_COMPONENTS)
    listed = [] if components is None else [str(each.get("name", "")).upper() for each in components]
    return not listed or "VEVENT" in listed


def _found(item: Item, url: str, mark: str) -> Found:
    path = path_of(item.href, url)
    path = path if path.endswith("/") else path + "/"
    reports = item.props.get(_REPORTS)
    privileges = item.props.get(_PRIVILEGES)
    rights = {DAV + "write", DAV + "write-content", DAV + "all", DAV + "bind"}
    return Found(
        url=urljoin(url, path),
        name=item.text(_DISPLAYNAME) or path.rstrip("/").rpartition("/")[2],
        sync=reports is None or next(reports.iter(DAV + "sync-collection"), None) is not None,
        writable=privileges is None or any(str(each.tag) in rights for each in privileges.iter()),
        mark=item.text(mark),
    )


def schedules(session: DavSession, url: str) -> bool:
    """Whether the server delivers invitations by itself (RFC 6638 section 2)."""
    response = session.http.request("OPTIONS", url)
    return "calendar-auto-schedule" in response.headers.get("DAV", "").lower()
