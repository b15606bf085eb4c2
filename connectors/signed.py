"""Requests that carry an access token, at their service's pace, over the guarded session.

Reading is tried again where a token ended before its time; what must not be done twice is never repeated.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

import requests

from connectors.base import ConnectorError, NeedsLogin, Rejected, Retryable, Tokens, Uncertain, Unreachable
from connectors.http import GuardedSession, Limits
from connectors.last_piece import LastPiece
from connectors.pace import Pace

_HALVES = re.compile(
    rb"(\\[^u]|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})|\\u[dD][89a-fA-F][0-9a-fA-F]{2}"
)
_FOR_NOW = frozenset({409, 425})


class Refused(Rejected):
    """The service said no to one request: the HTTP status, and its own words for the reason."""

    def __init__(self, message: str, status: int, reasons: frozenset[str] = frozenset()) -> None:
        super().__init__(message)
        self.status = status
        self.reasons = reasons


class SignedOut(NeedsLogin):
    """The service did not take the access token."""


class SignedSession:
    """One thread's way to one account at ``service``, whose first address is ``root``.

    ``judge`` raises what an answer means, :class:`SignedOut` and :class:`Refused` among it. ``agent`` is what
    the program calls itself; ``private_network`` is as the guarded session says. Not safe to share between
    threads; ``tokens`` and ``pace`` are.
    """

    def __init__(
        self,
        service: str,
        tokens: Tokens,
        root: str,
        *,
        pace: Pace,
        judge: Callable[[requests.Response], None],
        limits: Limits | None = None,
        agent: str = "",
        private_network: bool = False,
    ) -> None:
        self.pace = pace
        self._service = service
        self._tokens = tokens
        self._judge = judge
        self._own = {"User-Agent": agent} if agent else {}
        self._session = GuardedSession(
            root, limits=limits or Limits(redirects=0), private_network=private_network, judge=judge
        )

    def allow(self, url: str) -> None:
        """Let this session also talk to the host of ``url``."""
        self._session.allow(url)

    def request(
        self,
        method: str,
        url: str,
        *,
        data: bytes | str | None = None,
        headers: Mapping[str, str] | None = None,
        write: bool = False,
        parts: int = 1,
    ) -> requests.Response:
        """One answer that ``judge`` let through. Raises ConnectorError.

        ``parts`` is how many requests the service counts it for.
        """

        def ask(token: str) -> requests.Response:
            signed = self._signed(headers, token)
            # Whoever had to wait for a slot may find a pause behind it.
            with self.pace.slot(parts):
                self.pace.take(parts, write=write)
                return self._session.request(method, url, data=data, headers=signed)

        token = self._tokens.access_token()
        try:
            return ask(token)
        except SignedOut:
            # A token may end before its time; another one may do.
            self._tokens.forget(token)
            again = self._tokens.access_token()
            if again == token:
                raise
            return ask(again)

    def hand_over(
        self, url: str, body: bytes, headers: Mapping[str, str] | None, committing: Callable[[], None]
    ) -> requests.Response:
        """The answer of status 2xx to one POST, made once.

        Calls ``committing`` once, just before the body leaves; an error it raises stops the request there
        and comes back unchanged. Raises Uncertain when nobody knows whether it was done; every other
        error means that it was not.
        """
        token = self._tokens.access_token()
        with self.pace.slot():
            self.pace.take(write=True)
            response = self._leave(url, LastPiece(body, committing), self._signed(headers, token))
        self._settle(response, token)
        return response

    def close(self) -> None:
        """Let go of connections."""
        self._session.close()

    def _leave(self, url: str, last: LastPiece, headers: dict[str, str]) -> requests.Response:
        """Whatever is answered to a request made once. Raises what ``committing`` raised, and Uncertain."""
        try:
            response = self._session.post(url, last, headers)
        except ConnectorError as error:
            if last.error is not None:
                raise last.error from None
            if not last.begun:
                raise Unreachable(str(error)) from error
            raise Uncertain(f"It may have been done or not: {error}") from error
        if last.error is not None:
            raise last.error
        return response

    def _signed(self, headers: Mapping[str, str] | None, token: str) -> dict[str, str]:
        return {**(headers or {}), "Authorization": f"Bearer {token}", **self._own}

    def _settle(self, response: requests.Response, token: str) -> None:
        """Raise what the answer to a request made once means, if it is no success."""
        status = response.status_code
        if status >= 500 or status == 408:
            said = f"{self._service} had a problem of its own (HTTP {status})"
            raise Uncertain(f"{said}; it may have been done or not.")
        try:
            self._judge(response)
        except SignedOut:
            self._tokens.forget(token)
            raise
        except Refused as refused:
            if status < 400 or status in _FOR_NOW:
                raise Retryable(str(refused)) from refused
            raise
        except ConnectorError as error:
            if status < 300:
                raise Uncertain(f"It may have been done or not: {error}") from error
            raise


def whole_letters(content: bytes) -> bytes:
    """JSON in which no half of a letter stands alone (RFC 8259 section 8.2): no store could keep it."""
    return _HALVES.sub(lambda found: found[0] if found[1] else rb"\ufffd", content)


def is_page(response: requests.Response) -> bool:
    """Whether it is a web page where data was asked for."""
    return response.content[:200].lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<")


def json_of(response: requests.Response) -> dict[str, Any] | None:
    """The JSON object of an answer; None for anything else."""
    try:
        found = json.loads(whole_letters(response.content))
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def in_few_words(text: object) -> str:
    """What a server said, on one line, cut short, with nothing in it that cannot be seen."""
    line = " ".join(str(text or "").split())
    return "".join(one for one in line[:200] if one.isprintable())


__all__ = ["Refused", "SignedOut", "SignedSession", "in_few_words", "is_page", "json_of", "whole_letters"]
