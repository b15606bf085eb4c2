"""Which addresses may be connected to: those of the public internet, and those that the owner named.

Whoever owns a name can point it anywhere, also at this machine and the network it stands in (DNS
rebinding), and a server may send us to a name of its own. So what a name leads to is looked at, each time,
on the very address that is then connected to.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from connectors.base import ConnectorError

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


def _networks(*written: str) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
    return tuple(map(ipaddress.ip_network, written))


_UNUSED = _networks(
    *("192.0.0.0/24", "192.88.99.0/24"),  # RFC 6890, 7526
    *("::/96", "64:ff9b:1::/48", "3fff::/20", "5f00::/16", "fec0::/10"),  # RFC 4291, 8215, 9637, 9602, 3879
    "168.63.129.16/32",  # what Azure tells a machine about itself
)
"""Not of the public internet, though not every Python we run on says so."""

_HOME = _networks("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")
"""Where servers of one's own stand (RFC 1918, 6598, 4193)."""

_LOCAL_NAMES = (".home.arpa", ".internal", ".lan", ".local", ".localdomain", ".home", ".corp", ".intranet")
"""What ends in these is in no public DNS (RFC 6762 section 3 and appendix G, RFC 8375): nobody outside
points it anywhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """Where one session may connect to.

    ``host`` is the one that the owner wrote. Beside the public internet it may lead to the address that it
    is; to this machine where it is ``localhost``; to a private address where it is a name that means
    something only there, as ``nas.lan``. With ``private`` every name may lead to this machine and to private
    addresses. Link-local ones, where clouds tell machines their secrets, have to be written themselves.
    Outside the public internet only the ``port`` that was written is connected to: another one is somebody
    else's server.
    """

    host: str
    port: int | None = None
    private: bool = False

    def admitted(self, host: str, found: Sequence[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
        """Of what :func:`socket.getaddrinfo` found for a host, what may be connected to.

        Raises ConnectorError where something was found and nothing of it may.
        """
        may = [one for one in found if self._admits(host, str(one[4][0]))]
        if found and not may:
            raise _elsewhere(host, str(found[0][4][0]))
        fit = [one for one in may if one[4][1] == self.port or is_public(meant_by(str(one[4][0])))]
        if may and not fit:
            raise _other_port(host, may[0][4][1])
        return fit

    def _admits(self, host: str, written: str) -> bool:
        address = meant_by(written)
        if is_public(address):
            return True
        if address.is_multicast or address.is_unspecified:
            return False
        name = host.lower().rstrip(".")
        named = name == self.host.lower().rstrip(".")
        if named and _parsed(name) == _parsed(written):
            return True
        if address.is_loopback:
            return self.private or (named and name == "localhost")
        local = ("." not in name and name != "localhost") or name.endswith(_LOCAL_NAMES)
        return (self.private or (named and local)) and _is_in(address, _HOME)


def meant_by(written: str) -> _Address:
    """The address that packets to it reach in the end: the one within an IPv6 address, where there is one."""
    address = ipaddress.ip_address(written.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        if address in _NAT64:
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        within = address.ipv4_mapped or address.sixtofour
        if within is None and address.teredo is not None:
            within = address.teredo[1]
        return within or address
    return address


def is_public(address: _Address) -> bool:
    """Whether it is a host of the public internet."""
    if address.is_multicast or not address.is_global:
        return False
    return not _is_in(address, _UNUSED)


def _is_in(address: _Address, networks: Sequence[ipaddress.IPv4Network | ipaddress.IPv6Network]) -> bool:
    return any(address in one for one in networks if one.version == address.version)


def _parsed(written: str) -> _Address | None:
    try:
        return ipaddress.ip_address(written.partition("%")[0])
    except ValueError:
        return None


def _elsewhere(host: str, address: str) -> ConnectorError:
    return ConnectorError(
        f"{host} leads to {address}, which is not an address of the public internet; it was not asked. "
        "If that server is in your own network, add private_network: true beside its address in the "
        "configuration."
    )


def _other_port(host: str, port: int) -> ConnectorError:
    return ConnectorError(
        f"{host} sends us to another of its ports, {port}, which is not in the configuration; it was not "
        "asked. If that is right, put that address into the configuration."
    )


__all__ = ["Network", "is_public", "meant_by"]
