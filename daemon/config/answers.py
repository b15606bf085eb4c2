"""Where answers are given: the pages that mails lead to."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, WithJsonSchema

from daemon.config.secret import Secret
from daemon.config.servers import is_loopback
from rules.faults import Fault, Faults, Strict, fault, shown

PUBLIC_URL = "https://meet.va.example"
LISTEN = "127.0.0.1:8470"

_NAME = re.compile(
    r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*"
)
_LONGEST_URL = 100
_LONGEST_SOCKET = 100  # what the kernel takes is 107 octets


def _public_url(value: object) -> str:
    like = f"write it like {PUBLIC_URL}"
    if not isinstance(value, str) or not value.isprintable() or not value.isascii() or " " in value:
        raise fault(f"an address is expected here, not {shown(value)}", like)
    try:
        parts = urlsplit(value)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise fault("this is not an address that a browser can open", like) from None
    if parts.scheme not in {"https", "http"}:
        raise fault("a whole address is expected here, with https://", like)
    if "@" in parts.netloc:
        wrong = "user names and passwords do not belong in an address that others are sent"
        raise Faults([Fault(wrong, like, secret=True)])
    if not _is_host(host) or port == 0 or len(value) > _LONGEST_URL or "\\" in value:
        raise fault("this is not an address that a browser can open", like)
    if parts.path not in {"", "/"} or parts.query or parts.fragment or value.endswith(("?", "#")):
        raise fault("the pages have a host name of their own, without a path", like)
    if parts.scheme == "http" and not is_loopback(host):
        raise fault("http:// shows every answer to everyone on the way", "use https://")
    return value.rstrip("/").lower()


def _is_host(host: str) -> bool:
    try:
        return bool(ipaddress.ip_address(host))
    except ValueError:
        return bool(_NAME.fullmatch(host))


def place_to_listen(value: object, port: str = "8470", name: str = "answers") -> str:
    """A place to listen at, like ``127.0.0.1:PORT``, ``[::1]:PORT`` or ``unix:/run/rebookd/NAME.sock``."""
    like = f"write it like 127.0.0.1:{port}, '[::1]:{port}' or unix:/run/rebookd/{name}.sock"
    if not isinstance(value, str) or not value.isprintable() or " " in value:
        raise fault(f"a place to listen at is expected here, not {shown(value)}", like)
    if value.startswith("unix:"):
        path = value.removeprefix("unix:")
        if not path.startswith("/") or path.endswith("/") or len(path.encode()) > _LONGEST_SOCKET:
            raise fault(f"a socket is a whole path of at most {_LONGEST_SOCKET} characters", like)
        return value
    host, _, number = value.rpartition(":")
    if not re.fullmatch(r"[0-9]{1,5}", number) or not 0 < int(number) < 1 << 16:
        raise fault("the port is missing here, or is none", like)
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    try:
        address = ipaddress.ip_address(bare)
    except ValueError:
        raise fault("this is not an address of this machine", like) from None
    if (address.version == 6) != (bare != host):
        raise fault("an IPv6 address stands in brackets here, and no other does", like)
    return value


def is_open(listen: str) -> bool:
    """Whether other machines can reach a place to listen at."""
    return not listen.startswith("unix:") and not is_loopback(listen.rpartition(":")[0].strip("[]"))


class Answers(Strict):
    """Pages on which people answer with a click; without it, mails ask for a reply."""

    public_url: Annotated[
        str, BeforeValidator(_public_url), WithJsonSchema({"type": "string", "minLength": 1})
    ] = Field(examples=[PUBLIC_URL])
    """Where browsers reach the pages: a host name of their own, at a web server that has its certificate."""
    listen: Annotated[
        str, BeforeValidator(place_to_listen), WithJsonSchema({"type": "string", "minLength": 1})
    ] = Field(LISTEN, examples=[LISTEN, "[::1]:8470", "unix:/run/rebookd/answers.sock"])
    """Where rebookd waits for that web server."""
    key: Secret | None = Field(None, examples=[{"credential": "rebookd-links"}])
    """Where the key lies that links are signed with; without it, the credential rebookd-links, or a file
    beside the state that is made when it is first needed."""

    @property
    def is_https(self) -> bool:
        """Whether browsers reach the pages over TLS."""
        return self.public_url.startswith("https://")

    @property
    def is_open(self) -> bool:
        """Whether other machines can reach the place where rebookd waits."""
        return is_open(self.listen)
