"""Nobody but the owner makes rebookd contact this machine, its network or a cloud's secrets (SSRF)."""

from __future__ import annotations

import contextlib
import ipaddress
import random
import socket
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import pytest

from connectors.base import ConnectorError, Known
from connectors.caldav import CalDavConnector
from connectors.http import GuardedSession, Limits
from rules.model import Interval
from tests.support import faults
from tests.support.fake_dav import HOME, Answer, FakeDav, fake_dav
from tests.support.outlook_account import outlook_account
from tests.trust.conftest import Trial

MARCH = Interval(datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC))
ONCE = Limits(seconds=5, tries=1)
OUTSIDE = "8.8.8.8"

PUBLIC = ("8.8.8.8", "1.1.1.1", "93.184.215.14", "2606:4700:4700::1111", "2a00:1450:4003::8")
HERE = ("127.0.0.1", "127.8.9.10", "::1")
PRIVATE = ("10.0.0.1", "10.255.255.254", "172.16.5.4", "172.31.0.1", "192.168.178.1", "100.64.0.1", "fd00::5")
NEVER = (
    *("0.0.0.0", "0.1.2.3", "169.254.169.254", "169.254.0.1", "224.0.0.251", "239.1.1.1", "240.0.0.1"),
    *("255.255.255.255", "192.0.0.192", "192.0.2.7", "198.18.0.1", "198.51.100.1", "203.0.113.9"),
    *("168.63.129.16", "::", "fe80::1", "fec0::1", "ff02::fb", "2001:db8::1", "64:ff9b:1::a00:1", "::7f00:1"),
)
RANGES = {
    "here": ("127.0.0.0/8",),
    "private": ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7"),
    "never": ("0.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "240.0.0.0/4", "fe80::/10", "ff00::/8"),
}
LET_IN = {
    ("dav.va.example", False): (),
    ("dav.va.example", True): ("here", "private"),
    ("nas.lan", False): ("private",),
    ("nas", False): ("private",),
    ("nas.local", False): ("private",),
    ("localhost", False): ("here",),
    ("lan.va.example", False): (),
    ("8.8.8.8.va.example", False): (),
}
"""What a name may lead to beside the public internet, for each way of writing it."""

WORDS_FOR_HERE = ("127.1", "2130706433", "0x7f000001", "017700000001", "0177.0.0.1", "0")
"""What the system's look-up takes for an address of this machine, though it does not look like one."""


class Names:
    """What names lead to, and whom somebody tried to connect to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.leads: Callable[[str], Sequence[str]] = lambda host: ()
        self.tried: list[tuple[str, int]] = []
        self._sessions: dict[tuple[str, bool], GuardedSession] = {}
        look_up = socket.getaddrinfo
        connect = socket.socket.connect

        def found(host: str, port: int, *args: Any, **kwargs: Any) -> list[Any]:
            if kwargs.get("flags") == socket.AI_NUMERICHOST:
                return look_up(host, port, *args, **kwargs)
            return [one for text in self.leads(host) for one in look_up(text, port, type=socket.SOCK_STREAM)]

        def connecting(sock: socket.socket, address: Any) -> None:
            self.tried.append(address[:2])
            if address[0] != "127.0.0.1":
                raise ConnectionRefusedError(111, "Connection refused")
            connect(sock, address)

        monkeypatch.setattr(socket, "getaddrinfo", found)
        monkeypatch.setattr(socket.socket, "connect", connecting)

    def asked(self, url: str, *, private: bool = False) -> bool:
        """Whether a request to this address of the configuration tries to connect anywhere."""
        self.tried.clear()
        session = self._sessions.get((url, private))
        if session is None:
            session = self._sessions[url, private] = GuardedSession(url, limits=ONCE, private_network=private)
        with pytest.raises(ConnectorError) as told:
            session.request("GET", url)
        if not self.tried:
            assert "not an address of the public internet" in str(told.value)
            assert "private_network: true" in str(told.value)
        return bool(self.tried)


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Names:
    """Names of our own, and no connection beyond this machine."""
    return Names(monkeypatch)


def _disguises(address: str) -> Iterator[str]:
    """An address, and the IPv6 addresses that reach it (RFC 4291, 6052, 3056)."""
    yield address
    with contextlib.suppress(ipaddress.AddressValueError):
        number = int(ipaddress.IPv4Address(address))
        yield f"::ffff:{number >> 16:x}:{number & 0xFFFF:x}"
        yield f"64:ff9b::{number >> 16:x}:{number & 0xFFFF:x}"
        yield f"2002:{number >> 16:x}:{number & 0xFFFF:x}::1"


def _addresses(count: int) -> list[tuple[str, str]]:
    """Each address of the lists, and as many at random of each kind, each with its kind."""
    chance = random.Random(2026)
    found = [
        (one, kind)
        for kind, listed in (("public", PUBLIC), ("here", HERE), ("private", PRIVATE), ("never", NEVER))
        for one in listed
    ]
    for kind, ranges in RANGES.items():
        for _ in range(count):
            network = ipaddress.ip_network(chance.choice(ranges))
            number = int(network.network_address) + chance.randrange(network.num_addresses)
            found.append((str(ipaddress.ip_address(number) if network.version == 4 else _v6(number)), kind))
    return found


def _v6(number: int) -> ipaddress.IPv6Address:
    return ipaddress.IPv6Address(number)


@pytest.mark.promise("security", "SSRF: names that lead to addresses inside")
def test_a_name_only_leads_where_the_owner_said(names: Names, trial: Trial) -> None:
    """Every way of writing a host times every kind of address, each also disguised as IPv6."""
    asked = refused = 0
    for address, kind in _addresses(trial.size(1, 250)):
        for disguised in _disguises(address):
            names.leads = lambda host, to=disguised: [to]  # type: ignore[misc]
            for (host, private), let_in in LET_IN.items():
                expected = kind == "public" or kind in let_in
                got = names.asked(f"https://{host}/", private=private)
                assert got is expected, (host, private, disguised)
                asked, refused = asked + got, refused + (not got)
    for written in WORDS_FOR_HERE:
        assert not names.asked(f"https://{written}/")
        assert not names.asked(f"https://{written}:8443/")
        refused += 2
    trial.saw(f"{asked + refused} requests", f"{refused} refused before a connection, {asked} as configured")


def test_an_address_that_the_owner_wrote_is_asked(names: Names) -> None:
    """Whoever writes 192.168.1.5 or even a link-local address means it; nobody means every address."""
    for address in (*HERE[1:], *PRIVATE, "169.254.10.1", "fe80::1"):
        host = f"[{address}]" if ":" in address else address
        assert names.asked(f"https://{host}:8443/"), address
    assert not names.asked("https://0.0.0.0/")
    assert not names.asked("https://[ff02::1]/")


def test_the_address_looked_at_is_the_one_connected_to(names: Names) -> None:
    """A name that leads outside first and inside from then on (rebinding), and one that does both at once."""
    answers = iter([[OUTSIDE], ["127.0.0.1"], ["192.168.1.1"], [OUTSIDE, "127.0.0.1", "10.0.0.1"]])
    names.leads = lambda host: next(answers)
    url = "https://dav.va.example/"
    session = GuardedSession(url, limits=ONCE)
    for _ in range(4):
        with pytest.raises(ConnectorError):
            session.request("GET", url)
    session.close()
    assert {address for address, _ in names.tried} == {OUTSIDE}
    assert len(names.tried) == 2


@contextlib.contextmanager
def _bystander() -> Iterator[tuple[int, list[object]]]:
    """Another server on this machine: its port, and who came."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setblocking(False)
    came: list[object] = []
    try:
        yield listener.getsockname()[1], came
        with contextlib.suppress(BlockingIOError):
            came.append(listener.accept()[1])
    finally:
        listener.close()


def _elsewhere(port: int) -> list[str]:
    """Where a hostile server could want to send us."""
    hosts = ["localhost", "[::1]", "2130706433", "0x7f.1", "0.0.0.0", "[::ffff:127.0.0.1]", "127.0.0.2"]
    inside = ["169.254.169.254", "192.168.0.1", "metadata.google.internal", "[fd00:ec2::254]", "0.0.1"]
    return [
        *(f"{scheme}://elsewhere.example/x" for scheme in ("https", "http")),  # of the public internet
        *(f"{scheme}://{host}:{port}/x" for scheme in ("http", "https") for host in hosts),
        *(f"{scheme}://{host}/latest/meta-data/" for scheme in ("http", "https") for host in inside),
        *(f"http://127.0.0.1:{port}/x", f"http://u:p@127.0.0.1:{port}/x", f"//localhost:{port}/x"),
        *("file:///etc/passwd", "gopher://127.0.0.1:25/_QUIT", "ftp://127.0.0.1/", "http://", "http://[x"),
    ]


def _look(dav: FakeDav) -> None:
    """Find the calendars and read them, however far one comes."""
    connector = CalDavConnector("own", dav.url, username="dana", password="pw", limits=ONCE)
    try:
        for one in connector.calendars():
            connector.poll(one.ref, MARCH, Known())
    finally:
        connector.close()


def _multistatus(prop: str, href: str) -> Answer:
    body = (
        f'<d:multistatus xmlns:d="DAV:" xmlns:c="urn:ietf:params:xml:ns:caldav"><d:response>'
        f"<d:href>/</d:href><d:propstat><d:prop><{prop}><d:href>{href}</d:href></{prop}></d:prop>"
        f"<d:status>HTTP/1.1 200 OK</d:status></d:propstat></d:response></d:multistatus>"
    )
    return Answer(207, body.encode(), {"Content-Type": "application/xml"})


def _listing(href: str) -> Answer:
    body = (
        '<d:multistatus xmlns:d="DAV:" xmlns:c="urn:ietf:params:xml:ns:caldav"><d:response>'
        f"<d:href>{href}</d:href><d:propstat><d:prop><d:resourcetype><d:collection/><c:calendar/>"
        "</d:resourcetype></d:prop><d:status>HTTP/1.1 200 OK</d:status></d:propstat></d:response>"
        "</d:multistatus>"
    )
    return Answer(207, body.encode(), {"Content-Type": "application/xml"})


@pytest.mark.promise("security", "SSRF: a calendar server sends us elsewhere")
def test_a_server_cannot_send_us_to_another(names: Names, trial: Trial) -> None:
    """Redirects, principals, homes, hrefs and next pages that name other places: nobody else hears of it."""
    names.leads = lambda host: [OUTSIDE if host == "elsewhere.example" else "127.0.0.1"]
    with _bystander() as (port, came), fake_dav() as dav, outlook_account() as account:
        targets = _elsewhere(port)[:: trial.size(5, 1)]
        ways = sum(_sends_elsewhere(names, dav, target) for target in targets)
        graph = urlsplit(account.graph.root).port
        for target in targets:
            for link in ("@odata.nextLink", "@odata.deltaLink"):
                page = f'{{"value": [], "{link}": "{target}"}}'.encode()
                answer = faults.answer(200, page, {"Content-Type": "application/json"})
                account.graph.fail("calendarView.delta", answer, times=None)
                names.tried.clear()
                for _ in range(2):
                    with contextlib.suppress(ConnectorError):
                        account.poll()
                account.graph.faults.clear()
                assert {port for _, port in names.tried} <= {graph}, (target, link)
                ways += 1
    assert came == []
    trial.saw(f"{ways} ways", "no other server heard of it")


def _sends_elsewhere(names: Names, dav: FakeDav, target: str) -> int:
    """A CalDAV server that names this place wherever it can; in how many ways it did."""
    answers = {
        "": Answer(302, headers={"Location": target}),
        HOME: Answer(307, headers={"Location": target}),
        "current-user-principal": _multistatus("d:current-user-principal", target),
        "calendar-home-set": _multistatus("c:calendar-home-set", target),
        "supported-calendar-component-set": _listing(target),
    }
    for where, answer in answers.items():
        dav.before = lambda request, where=where, answer=answer: (  # type: ignore[misc]
            answer if where in request.path + request.body else None
        )
        names.tried.clear()
        with contextlib.suppress(ConnectorError):
            _look(dav)
        assert {port for _, port in names.tried} <= {urlsplit(dav.url).port}, (target, where)
    return len(answers)
