"""The one guarded HTTP session: what a server sends can cost us neither time, memory nor trust.

One request, its redirects, its second try and its whole body share one deadline; a body is read only
up to a number of decompressed bytes; nothing ever goes to another host than the one configured.
"""

from __future__ import annotations

import ipaddress
import socket
import ssl
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import IO, Any
from urllib.parse import SplitResult, urljoin, urlsplit

import requests
import requests.adapters
import requests.auth
import stamina
import urllib3
from requests.utils import get_environ_proxies
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from connectors.allowance import refuse, spend
from connectors.base import ConnectorError, LimitExceeded, NeedsLogin, Retryable
from connectors.deadline import guard, guard_tls, over, remaining, span, within
from connectors.network import Network
from connectors.reaching import reach

USER_AGENT = "rebookd/0.1"
READS = frozenset({"GET", "HEAD", "OPTIONS", "PROPFIND", "REPORT"})
_CHUNK = 64 * 1024
_DAY = 86400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one call may cost: seconds in all, seconds to connect, decompressed bytes, redirects, tries."""

    seconds: float = 60.0
    connect_seconds: float = 10.0
    body_bytes: int = 16 * 1024 * 1024
    redirects: int = 5
    tries: int = 3
    wait_seconds: float = 0.3


class _Unreachable(Retryable):
    """The connection itself failed: worth a second try within the call."""


def _reached(connection: HTTPConnection, network: Network) -> socket.socket:
    """A connection to its host, bound by the deadline from the look-up of the name on."""
    host, port = connection._dns_host, connection.port or connection.default_port  # noqa: SLF001 - as urllib3's
    seconds = min(remaining(), float(connection.timeout or remaining()))
    try:
        return guard(reach(host, port, seconds, network.admitted))
    except socket.gaierror as error:
        raise urllib3.exceptions.NameResolutionError(host, connection, error) from error
    except TimeoutError as error:
        raise urllib3.exceptions.ConnectTimeoutError(connection, str(error)) from error
    except OSError as error:
        raise urllib3.exceptions.NewConnectionError(connection, str(error)) from error


def _pools(network: Network) -> dict[str, type[HTTPConnectionPool]]:
    """Pools of connections to nothing but what the network admits."""

    class Plain(HTTPConnection):
        def _new_conn(self) -> socket.socket:
            return _reached(self, network)

    class Tls(HTTPSConnection):
        def _new_conn(self) -> socket.socket:
            return _reached(self, network)

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class TlsPool(HTTPSConnectionPool):
        ConnectionCls = Tls

    return {"http": PlainPool, "https": TlsPool}


class _Adapter(requests.adapters.HTTPAdapter):
    """Sends one request and reads its whole answer within the limits."""

    def __init__(self, limits: Limits, network: Network) -> None:
        self._limits = limits
        self._network = network
        super().__init__(pool_connections=2, pool_maxsize=2)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        context = guard_tls(ssl.create_default_context())
        super().init_poolmanager(*args, ssl_context=context, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _pools(self._network)

    def send(self, request: requests.PreparedRequest, *_: Any, **kwargs: Any) -> requests.Response:
        left = remaining()
        kwargs |= {"stream": True, "timeout": (min(left, self._limits.connect_seconds), left)}
        response = super().send(request, **kwargs)
        try:
            body = _read(response, self._limits.body_bytes)
        except BaseException:
            response.raw.close()
            raise
        response.raw.release_conn()
        response._content = body  # noqa: SLF001 - requests has no public way to hand it a body already read
        response._content_consumed = True  # type: ignore[attr-defined] # noqa: SLF001 - the same
        return response


def _read(response: requests.Response, limit: int) -> bytes:
    """The decompressed body. Raises LimitExceeded past ``limit`` bytes, whatever its compression."""
    coding = response.headers.get("Content-Encoding", "identity").strip().lower()
    inflate = None
    if coding in {"gzip", "x-gzip", "deflate"}:
        inflate = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)
    elif coding not in {"identity", ""}:
        raise ConnectorError(f"{_host(response.url)} sent a compression we did not ask for ({coding[:20]}).")
    parts: list[bytes] = []
    size = 0
    for raw in response.raw.stream(_CHUNK, decode_content=False):
        data = raw if inflate is None else inflate.decompress(raw, limit - size + 1)
        size += len(data)
        if size > limit:
            response.raw.close()
            refuse()
            raise LimitExceeded(
                f"{_host(response.url)} sent more than {limit // 1024} KiB in one answer; it was not read."
            )
        spend(len(data))
        parts.append(data)
    if inflate is not None and size and not inflate.eof:
        raise _Unreachable(f"{_host(response.url)} broke off in the middle of its answer.")
    return b"".join(parts)


class GuardedSession:
    """HTTP to one host. ``request`` has the shape of :class:`requests.Session`'s.

    ``http://`` is refused unless the host is this machine or ``insecure_http`` says otherwise; where a name
    may lead beside the public internet, :class:`Network` says, with ``private_network``. ``judge``
    raises what an answer means in another protocol's words, instead of :func:`raise_for`. Not safe to
    share between threads.
    """

    def __init__(
        self,
        url: str,
        *,
        auth: requests.auth.AuthBase | None = None,
        limits: Limits | None = None,
        insecure_http: bool = False,
        private_network: bool = False,
        verify: bool | str = True,
        judge: Callable[[requests.Response], None] | None = None,
    ) -> None:
        self.limits = limits or Limits()
        self._judge = judge or raise_for
        self._insecure = insecure_http
        self._hosts = {_host(url)}
        self._check(url)
        self._session = requests.Session()
        # Neither ~/.netrc nor REQUESTS_CA_BUNDLE may override what the configuration says.
        self._session.trust_env = False
        self._session.auth = auth
        self._session.verify = verify
        if not is_loopback(_host(url)):
            self._session.proxies.update(get_environ_proxies(url))
        self._session.headers.update({"User-Agent": USER_AGENT, "Accept-Encoding": "gzip"})
        adapter = _Adapter(self.limits, _network(url, private_network))
        self._session.mount("https://", adapter)
        self._session.mount("http://", adapter)

    def allow(self, url: str) -> None:
        """Let this session also talk to the host of ``url`` (a home on a sibling host)."""
        self._hosts.add(_host(url))

    def request(
        self,
        method: str,
        url: str,
        *,
        data: bytes | str | None = None,
        headers: Mapping[str, str] | None = None,
        **_ignored: object,
    ) -> requests.Response:
        """One answer with its body read, whatever 2xx, 3xx or 4xx status it has.

        Raises NeedsLogin (401, or 403 with a challenge), Retryable (429, 5xx but 501, no answer),
        LimitExceeded (too large), ConnectorError (a redirect elsewhere, no trust).
        """
        method = method.upper()
        body = data.encode() if isinstance(data, str) else data
        tries = self.limits.tries if method in READS else 1
        with within(self.limits.seconds):
            for attempt in stamina.retry_context(
                on=_worth_another,
                attempts=tries,
                timeout=self.limits.seconds,
                wait_initial=self.limits.wait_seconds,
                wait_max=self.limits.wait_seconds * 4,
                wait_jitter=self.limits.wait_seconds,
            ):
                with attempt:
                    return self._follow(method, url, body, dict(headers or {}))
        raise AssertionError("unreachable: the last attempt returns or raises")

    def post(self, url: str, body: IO[bytes], headers: Mapping[str, str]) -> requests.Response:
        """The answer to one POST, whatever its status: no second try, no redirect, no old connection.

        ``body`` is first read once the server has all else. Raises as :meth:`request` does where no
        answer could be read.
        """
        with within(self.limits.seconds):
            self._check(url)
            return self._send("POST", url, body, {**headers, "Connection": "close"})

    def close(self) -> None:
        """Let go of connections."""
        self._session.close()

    def _follow(
        self, method: str, url: str, body: bytes | None, headers: dict[str, str]
    ) -> requests.Response:
        for _ in range(self.limits.redirects + 1):
            self._check(url)
            response = self._send(method, url, body, headers)
            if not response.is_redirect:
                self._judge(response)
                return response
            url = self._target(url, response.headers["Location"])
        raise ConnectorError(f"{_host(url)} keeps redirecting; check the url in the configuration.")

    def _send(
        self, method: str, url: str, body: bytes | IO[bytes] | None, headers: dict[str, str]
    ) -> requests.Response:
        host = _host(url)
        late = f"{host} did not answer within {span():g} seconds."
        try:
            return self._session.request(method, url, data=body, headers=headers, allow_redirects=False)
        except requests.exceptions.SSLError as error:
            raise ConnectorError(f"The certificate of {host} is not trusted: {_why(error)}.") from error
        except (requests.exceptions.ConnectTimeout, requests.exceptions.ConnectionError) as error:
            if over():
                raise Retryable(late) from error
            raise _Unreachable(f"{host} cannot be reached: {_why(error)}.") from error
        except (TimeoutError, urllib3.exceptions.TimeoutError, requests.exceptions.Timeout) as error:
            raise Retryable(late) from error
        except (OSError, urllib3.exceptions.HTTPError, zlib.error) as error:
            if over():
                raise Retryable(late) from error
            raise _Unreachable(f"{host} broke off in the middle of its answer.") from error
        except (ValueError, requests.exceptions.RequestException) as error:
            raise ConnectorError(f"{url} is not an address we can ask.") from error

    def _target(self, url: str, location: str) -> str:
        try:
            target = urljoin(url, location)
        except ValueError as error:
            raise ConnectorError(f"{_host(url)} redirects to what is no address; check the url.") from error
        if _host(target) != _host(url):
            raise ConnectorError(
                f"{_host(url)} redirects to another host, {_host(target)}; it was not followed. "
                "If that is right, put that address into the configuration."
            )
        if urlsplit(url).scheme == "https" and urlsplit(target).scheme != "https":
            raise ConnectorError(f"{_host(url)} redirects from https to http; it was not followed.")
        return target

    def _check(self, url: str) -> None:
        parts = _parts(url)
        host = _host(url)
        if parts is None or parts.scheme not in {"http", "https"} or not host:
            raise ConnectorError(f"{url} is not an http or https address.")
        if host not in self._hosts:
            raise ConnectorError(f"{host} is not the host in the configuration; it was not asked.")
        if parts.scheme == "http" and not self._insecure and not is_loopback(host):
            raise ConnectorError(
                f"{host} would be asked without encryption; use https:// or set insecure_http: true."
            )


def _network(url: str, private: bool) -> Network:
    parts = urlsplit(url)
    usual = {"http": 80, "https": 443}.get(parts.scheme)
    return Network(host=_host(url), port=parts.port or usual, private=private)


def is_loopback(host: str) -> bool:
    """Whether the host name or address is this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds the server asks us to wait (RFC 9110 section 10.2.3); None when it does not say.

    A date is read against the answer's own Date, since connectors have no clock.
    """
    value = headers.get("Retry-After", "").strip()
    if value.isdecimal():
        return min(float(value), _DAY)
    try:
        until = parsedate_to_datetime(value)
        since = parsedate_to_datetime(headers.get("Date", ""))
        return min(max((until - since).total_seconds(), 0.0), _DAY)
    except (TypeError, ValueError):
        return None


def raise_for(response: requests.Response) -> None:
    """Raise what a status means by itself: NeedsLogin for 401, Retryable for 429 and 5xx but 501."""
    status, host = response.status_code, _host(response.url)
    if status == 401 or (status == 403 and "WWW-Authenticate" in response.headers):
        raise NeedsLogin(f"{host} refused the user name or password.")
    if status in {429, 503}:
        wait = retry_after(response.headers)
        if status == 503 and wait is None:
            raise _Unreachable(f"{host} is not available just now (HTTP 503).")
        raise Retryable(f"{host} asks us to slow down (HTTP {status}).", wait)
    if status >= 500 and status != 501:
        raise Retryable(f"{host} has an internal problem (HTTP {status}).", retry_after(response.headers))


def _worth_another(error: Exception) -> bool:
    return isinstance(error, _Unreachable) and not over()


def _why(error: BaseException) -> str:
    """The innermost reason, in the system's own few words, without addresses of objects or secrets."""
    todo, seen, text = [error], 0, "no connection"
    while todo and seen < 20:
        reason = todo.pop(0)
        seen += 1
        if isinstance(reason, ssl.SSLCertVerificationError):
            return reason.verify_message or "verification failed"
        if isinstance(reason, ssl.SSLError):
            return "it does not speak TLS as we do"
        if isinstance(reason, socket.gaierror):
            return "its name is not known"
        if isinstance(reason, OSError) and reason.strerror:
            text = reason.strerror.lower()
        inner = (*reason.args[:1], getattr(reason, "reason", None), reason.__cause__, reason.__context__)
        todo += [each for each in inner if isinstance(each, BaseException)]
    return text


def _host(url: str | None) -> str:
    parts = _parts(url or "")
    return "" if parts is None else (parts.hostname or "").lower()


def _parts(url: str) -> SplitResult | None:
    """The parts of an address; None for what is none, its port included."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return None
    return parts


__all__ = [
    "GuardedSession",
    "Limits",
    "is_loopback",
    "raise_for",
    "retry_after",
]
