"""WebDAV bodies: the requests we send and the multistatus answers we read (RFC 4918, 4791, 6578)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from urllib.parse import quote, unquote_to_bytes, urljoin, urlsplit
from xml.sax.saxutils import escape  # only escapes what is written  # nosec B406

from lxml import etree

from connectors.base import ConnectorError, LimitExceeded, Retryable

DAV = "{DAV:}"
CALDAV = "{urn:ietf:params:xml:ns:caldav}"
CALENDARSERVER = "{http://calendarserver.org/ns/}"

ETAG = DAV + "getetag"
DATA = CALDAV + "calendar-data"
CTAG = CALENDARSERVER + "getctag"
SYNC_TOKEN = DAV + "sync-token"

_PREFIX = {DAV: "d", CALDAV: "c", CALENDARSERVER: "s"}
_SPACES = 'xmlns:d="DAV:" xmlns:c="urn:ietf:params:xml:ns:caldav" xmlns:s="http://calendarserver.org/ns/"'
_HEAD = '<?xml version="1.0" encoding="utf-8"?>'
_LARGEST_TEXT = 9 * 1024 * 1024
_PLAIN_PATH = re.compile(r"[A-Za-z0-9/._~@-]+")


@dataclass(slots=True)
class Item:
    """One response of a multistatus: its href as sent, our spelling of its path, its status, its properties.

    ``status`` is 0 when the response gave properties instead of a status of its own.
    """

    href: str
    path: str
    status: int
    props: dict[str, etree._Element] = field(default_factory=dict)

    def text(self, name: str) -> str:
        """A property's text; empty when it is missing."""
        element = self.props.get(name)
        return "" if element is None else (element.text or "").strip()


@dataclass(slots=True)
class Multistatus:
    """A whole 207 answer."""

    items: list[Item]
    sync_token: str
    truncated: bool


def path_of(href: str, base: str) -> str:
    """One spelling for a path, however the server escapes it; a query is kept."""
    if href[:1] == "/" and href[:2] != "//" and _PLAIN_PATH.fullmatch(href):
        return href
    try:
        parts = urlsplit(href if href.startswith("/") and not href.startswith("//") else urljoin(base, href))
    except ValueError:
        return "/" + quote(href, safe="")  # no address, so there is nothing at it
    path = parts.path
    if not _PLAIN_PATH.fullmatch(path):
        path = "/".join(quote(unquote_to_bytes(part), safe="@:!$&'()*+,;=~") for part in path.split("/"))
    return f"{path}?{parts.query}" if parts.query else path


def read_xml(body: bytes, host: str) -> etree._Element:
    """The root of an XML answer. Raises ConnectorError for a web page, Retryable for half an answer."""
    start = body[:512].lstrip().lower()
    if start.startswith((b"<!doctype html", b"<html")):
        raise web_page(host)
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        root = etree.fromstring(body, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        if len(body) > _LARGEST_TEXT and ("uge" in str(error) or "limit" in str(error)):
            raise LimitExceeded(f"{host} sent an event larger than we accept.") from error
        if not start.startswith(b"<"):
            raise web_page(host) from error
        raise Retryable(
            f"{host} sent an answer that is not well-formed XML; nothing of it was used."
        ) from error
    if root.getroottree().docinfo.internalDTD is not None:
        raise ConnectorError(
            f"{host} sent XML with a document type, which calendars never need; it was refused."
        )
    return root


def web_page(host: str) -> ConnectorError:
    """What to tell the owner when HTML comes where calendar data should."""
    return ConnectorError(
        f"{host} answered with a web page, not calendar data; check the url and the sign-in."
    )


def read_multistatus(body: bytes, url: str) -> Multistatus:
    """A 207 answer to a request for ``url``. Raises as :func:`read_xml` does."""
    host = urlsplit(url).hostname or url
    root = read_xml(body, host)
    if root.tag != DAV + "multistatus":
        raise web_page(host)
    answer = Multistatus(items=[], sync_token="", truncated=False)  # a sync token, empty  # nosec B106
    for element in root:
        if element.tag == DAV + "response":
            item = _item(element, url)
            if item.status == 507:
                answer.truncated = True
            else:
                answer.items.append(item)
        elif element.tag == SYNC_TOKEN:
            answer.sync_token = (element.text or "").strip()
    return answer


def _item(response: etree._Element, url: str) -> Item:
    href, status = "", 0
    props: dict[str, etree._Element] = {}
    for child in response:
        if child.tag == DAV + "href" and not href:
            href = (child.text or "").strip()
        elif child.tag == DAV + "status":
            status = _status(child.text)
        elif child.tag == DAV + "propstat":
            code = _status(child.findtext(DAV + "status"))
            found = child.find(DAV + "prop")
            if found is not None and 200 <= code < 300:
                props.update((str(prop.tag), prop) for prop in found)
    return Item(href=href, path=path_of(href, url), status=status, props=props)


def _status(text: str | None) -> int:
    parts = (text or "").split()
    return int(parts[1]) if len(parts) > 1 and parts[1].isdigit() else 0


def _tag(name: str) -> str:
    space, _, local = name.rpartition("}")
    return f"<{_PREFIX[space + '}']}:{local}/>"


def propfind(names: Sequence[str]) -> bytes:
    """A PROPFIND body asking for these properties."""
    props = "".join(map(_tag, names))
    return f"{_HEAD}<d:propfind {_SPACES}><d:prop>{props}</d:prop></d:propfind>".encode()


def sync_collection(token: str) -> bytes:
    """A sync-collection REPORT (RFC 6578 section 3.2); an empty token asks for everything."""
    return (
        f"{_HEAD}<d:sync-collection {_SPACES}><d:sync-token>{escape(token)}</d:sync-token>"
        "<d:sync-level>1</d:sync-level><d:prop><d:getetag/></d:prop></d:sync-collection>"
    ).encode()


def multiget(hrefs: Iterable[str]) -> bytes:
    """A calendar-multiget REPORT (RFC 4791 section 7.9)."""
    wanted = "".join(f"<d:href>{escape(href)}</d:href>" for href in hrefs)
    return (
        f"{_HEAD}<c:calendar-multiget {_SPACES}><d:prop><d:getetag/><c:calendar-data/></d:prop>"
        f"{wanted}</c:calendar-multiget>"
    ).encode()
