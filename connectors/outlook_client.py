"""Microsoft Graph v1.0 for one mailbox, behind the guarded session.

Links to further pages are followed word for word, to the configured host alone. Every request asks for
immutable ids, since the others change when an item is moved to another folder.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from copy import copy
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import requests

from connectors.base import ConnectorError, NotSupported, Retryable, Tokens, Unreachable
from connectors.http import READS, Limits, raise_for, retry_after
from connectors.pace import Pace
from connectors.signed import Refused, SignedOut, SignedSession, in_few_words, is_page, json_of

Json = dict[str, Any]

ENDPOINT = "https://graph.microsoft.com/v1.0"

PAUSE = 10.0
"""Seconds without requests after Graph asked to slow down without saying for how long."""

BURST = 60
PER_MINUTE = 900
AT_ONCE = 4
"""Graph's limits for one app and mailbox: 10,000 requests in ten minutes, four of them at the same time."""

MOST_IN_BATCH = AT_ONCE
"""Twenty would be let in, but each part counts as a request, and a fifth one at a time may be turned away."""

MAX_PAGES = 4000

_IMMUTABLE = 'IdType="ImmutableId"'
_NO_MAILBOX = frozenset(
    {"MailboxNotEnabledForRESTAPI", "MailboxNotSupportedForRESTAPI", "ErrorInvalidUser", "ResourceNotFound"}
)
_FORBIDDEN = frozenset({"ErrorAccessDenied", "Authorization_RequestDenied", "AccessDenied"})


def graph_pace(
    *, monotonic: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep
) -> Pace:
    """The pace of one mailbox's requests."""
    return Pace(
        "Microsoft",
        burst=BURST,
        per_minute=PER_MINUTE,
        at_once=AT_ONCE,
        monotonic=monotonic,
        sleep=sleep,
    )


class GraphClient:
    """One thread's way to one mailbox.

    ``user`` is whose it is where an app signs in for itself, else it is that of whoever signed in. ``pace``
    is shared by all clients of the mailbox. Not safe to share between threads.
    """

    def __init__(
        self,
        tokens: Tokens,
        endpoint: str = ENDPOINT,
        *,
        account: str = "",
        user: str = "",
        pace: Pace | None = None,
        limits: Limits | None = None,
        private_network: bool = False,
    ) -> None:
        self.account = account
        self._root = endpoint.rstrip("/")
        self._whose = f"users/{quote(user, safe='@')}" if user else "me"
        self._session = SignedSession(
            "Microsoft",
            tokens,
            self._root,
            pace=pace or graph_pace(),
            judge=self._judge,
            limits=limits,
            private_network=private_network,
        )

    def of(self, user: str) -> GraphClient:
        """The same way, where an app signs in for itself and its user goes by another name; else this one."""
        if self._whose == "me":
            return self
        other = copy(self)
        other._whose = f"users/{quote(user, safe='')}"  # noqa: SLF001 - a copy of this very one
        return other

    def get(self, where: str, *, prefer: Sequence[str] = (), **query: str) -> Json:
        """What lies at a path of the mailbox, or at a link Graph gave.

        Raises :class:`Refused` for what Graph says no to, NeedsLogin, Retryable, LimitExceeded, and
        ConnectorError for an answer that is none.
        """
        return _whole(self.answer(where, prefer=prefer, **query))

    def answer(self, where: str, *, prefer: Sequence[str] = (), **query: str) -> requests.Response:
        """The same with its headers."""
        return self._session.request("GET", self._url(where, query), headers=_headers(prefer))

    def pages(self, where: str, *, prefer: Sequence[str] = (), **query: str) -> Iterator[Json]:
        """Every item of a list, page by page. Raises as :meth:`get` does, Retryable for one that circles."""
        seen: set[str] = set()
        while len(seen) < MAX_PAGES:
            page = self.get(where, prefer=prefer, **query)
            yield from items_of(page)
            where, query = str(page.get("@odata.nextLink") or ""), {}
            if not where:
                return
            if where in seen:
                break
            seen.add(where)
        raise not_whole()

    def send(self, method: str, where: str, body: Json | bytes | None = None, *, etag: str = "") -> Json:
        """The answer to a change, or to a question that is put like one; empty where Graph says nothing.

        ``body`` is an object, or a message in base64. ``etag`` guards it: raises Refused with status 412
        where the item changed meanwhile.
        """
        headers = _headers(())
        if etag:
            headers["If-Match"] = etag
        data = json.dumps(body).encode() if isinstance(body, dict) else body
        if body is not None:
            headers["Content-Type"] = "application/json" if isinstance(body, dict) else "text/plain"
        response = self._session.request(method, self._url(where, {}), data=data, headers=headers)
        return _whole(response) if response.content else {}

    def hand_over(
        self, where: str, body: bytes, content_type: str, committing: Callable[[], None]
    ) -> requests.Response:
        """The answer to a POST that must not be made twice; see :meth:`SignedSession.hand_over`."""
        headers = {**_headers(()), "Content-Type": content_type}
        return self._session.hand_over(self._url(where, {}), body, headers, committing)

    def look_up(self, paths: Sequence[str]) -> list[Json | None]:
        """What lies at each path of the mailbox; None where nothing does. Asked several at a time.

        Raises as :meth:`get` does, for the first that is refused for another reason.
        """
        found: list[Json | None] = []
        for first in range(0, len(paths), MOST_IN_BATCH):
            found += self._batch(paths[first : first + MOST_IN_BATCH])
        return found

    def close(self) -> None:
        """Let go of connections."""
        self._session.close()

    def _batch(self, paths: Sequence[str]) -> list[Json | None]:
        asked = [
            {"id": str(at), "method": "GET", "url": f"/{self._whose}/{path}", "headers": _headers(())}
            for at, path in enumerate(paths)
        ]
        said = self._session.request(
            "POST",
            f"{self._root}/$batch",
            data=json.dumps({"requests": asked}),
            headers={**_headers(()), "Content-Type": "application/json"},
            parts=len(asked),
        )
        answers = {str(one.get("id")): one for one in items_of(_whole(said), "responses")}
        found: list[Json | None] = []
        for one in asked:
            answer = answers.get(str(one["id"]))
            if answer is None:
                raise not_whole()
            found.append(self._part(answer))
        return found

    def _part(self, answer: Json) -> Json | None:
        """One part of a batch, judged like an answer of its own."""
        response = requests.Response()
        try:
            response.status_code = int(answer["status"])
            response.headers.update({str(k): str(v) for k, v in (answer.get("headers") or {}).items()})
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise not_whole() from error
        response.url = self._root
        response._content = json.dumps(answer.get("body")).encode()  # noqa: SLF001 - as the session does
        response.request = requests.Request("GET", self._root).prepare()
        try:
            self._judge(response)
        except SignedOut as error:
            # The token ended on the way; whether it is more than that, the next request is told.
            raise not_whole() from error
        except Refused as error:
            if error.status in {404, 410}:
                return None
            raise
        return _whole(response)

    def _url(self, where: str, query: dict[str, str]) -> str:
        """An address of the mailbox, or the link as it is."""
        url = where if "://" in where else f"{self._root}/{self._whose}/{where}".rstrip("/")
        asked = urlencode(query, quote_via=quote, safe="$,:'()/@")
        return f"{url}?{asked}" if asked else url

    def _judge(self, response: requests.Response) -> None:
        """Raise the error that an answer means, if it means one."""
        status = response.status_code
        host = urlsplit(response.url).hostname
        if status < 300:
            if is_page(response):
                raise ConnectorError(
                    f"{host} answered with a web page, not data; check the endpoint and the sign-in."
                )
            return
        wait = retry_after(response.headers)
        if status == 429 or (status == 503 and wait is not None):
            self._session.pace.pause(PAUSE if wait is None else wait)
            raise Retryable(f"Microsoft asks us to slow down (HTTP {status}).", wait)
        if status >= 500:
            raise_for(response)
            raise Unreachable(f"{host} does not do what was asked for (HTTP {status}).")
        if status == 401:
            cure = f"run: rebookd auth {self.account}".rstrip()
            raise SignedOut(f"Microsoft no longer accepts the sign-in; {cure}")
        codes, message = _said(response)
        if status in {403, 404} and codes & _NO_MAILBOX:
            raise NotSupported("This account has no mailbox that Microsoft Graph can read.")
        said = f" {message}" if message else ""
        if status == 403 and codes & _FORBIDDEN:
            doing = "reading this" if response.request.method in READS else "doing this"
            raise Refused(f"Microsoft does not allow {doing} with this sign-in.{said}", status, codes)
        raise Refused(f"Microsoft refused this (HTTP {status}).{said}", status, codes)


def items_of(page: Json, name: str = "value") -> list[Json]:
    """The objects of a list. Raises Retryable where it is none."""
    items = page.get(name)
    if not isinstance(items, list) or not all(isinstance(one, dict) for one in items):
        raise not_whole()
    return items


def not_whole() -> Retryable:
    """What is said of an answer that cannot be used."""
    return Retryable("Microsoft sent an answer that is not whole; nothing of it was used.")


def _headers(prefer: Sequence[str]) -> dict[str, str]:
    return {"Accept": "application/json", "Prefer": ", ".join((_IMMUTABLE, *prefer))}


def _whole(response: requests.Response) -> Json:
    found = json_of(response)
    if found is None:
        raise not_whole()
    return found


def _said(response: requests.Response) -> tuple[frozenset[str], str]:
    """Graph's words for the reason of a refusal, the inner ones too, and its sentence."""
    error = (json_of(response) or {}).get("error")
    codes: set[str] = set()
    message = in_few_words(error.get("message")) if isinstance(error, dict) else ""
    for _ in range(4):
        if not isinstance(error, dict):
            break
        codes.add(str(error.get("code") or ""))
        error = error.get("innerError") or error.get("innererror")
    return frozenset(codes - {""}), message


__all__ = ["ENDPOINT", "GraphClient", "Json", "graph_pace", "items_of", "not_whole"]
