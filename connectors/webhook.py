"""What a rule tells one of the owner's own addresses: a signed POST of JSON (Standard Webhooks).

The last piece of the request is the body. What happens before it is certain: nothing was taken. What the
server answers is certain, too, except that a server in trouble does not know what it did.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable
from datetime import datetime
from urllib.parse import urlsplit

import requests

from connectors.base import ConnectorError, NeedsLogin, Receipt, Rejected, Retryable, Uncertain, Unreachable
from connectors.http import GuardedSession, Limits, retry_after
from connectors.last_piece import LastPiece

LIMITS = Limits(seconds=30.0, body_bytes=1024 * 1024)
"""What one POST may cost; a webhook's answer is short."""

_PREFIX = "whsec_"
_AGAIN = frozenset({408, 425, 429, 503})


class Webhook:
    """One address that is told things. For one thread at a time.

    ``secret`` is asked for at every send: base64 after ``whsec_``, or any other text, which is then the
    key as it stands. ``http://`` is refused unless the host is this machine or ``insecure_http`` says
    otherwise; its name only leads into a private network where ``private_network`` says so. Raises
    ConnectorError for an address that cannot be asked.
    """

    def __init__(
        self,
        url: str,
        secret: Callable[[], str],
        *,
        insecure_http: bool = False,
        private_network: bool = False,
        limits: Limits = LIMITS,
        verify: bool | str = True,
    ) -> None:
        self._url = url
        self._host = urlsplit(url).hostname or url
        self._secret = secret
        self._session = GuardedSession(
            url, limits=limits, insecure_http=insecure_http, private_network=private_network, verify=verify
        )

    def send(self, body: bytes, key: str, sent_at: datetime, committing: Callable[[], None]) -> Receipt:
        """Hand over one JSON text; ``sent_at`` (aware) dates it, ``key`` names it whenever it is told.

        Calls ``committing`` once, just before the body leaves; an error it raises stops the message
        there and comes back unchanged. Raises Unreachable or Retryable when it was certainly not
        taken, Rejected when it was refused for good, Uncertain when nobody knows, and NeedsLogin when
        there is no usable secret.
        """
        headers = signed(body, key, sent_at, self._secret())
        last = LastPiece(body, committing)
        try:
            response = self._session.post(self._url, last, headers)
        except ConnectorError as error:
            if last.error is not None:
                raise last.error from None
            if not last.begun:
                raise Unreachable(str(error)) from error
            raise Uncertain(f"{self._host} may have been told or not: {error}") from error
        finally:
            self._session.close()
        if last.error is not None:
            raise last.error
        return self._receipt(response)

    def _receipt(self, response: requests.Response) -> Receipt:
        status = response.status_code
        if 200 <= status < 300:
            return Receipt(response=f"HTTP {status}")
        if status in _AGAIN:
            raise Retryable(
                f"{self._host} cannot be told just now (HTTP {status}).", retry_after(response.headers)
            )
        if status >= 500:
            raise Uncertain(
                f"{self._host} had a problem of its own (HTTP {status}) and may have been told or not."
            )
        what = {
            401: "does not accept our signature; check the secret of the webhook",
            403: "does not let us in; check the secret of the webhook",
            404: "has nothing at that address; check the url of the webhook",
            410: "no longer wants to be told",
        }
        if 300 <= status < 400:
            what[status] = "redirects elsewhere, which is not followed; check the url of the webhook"
        raise Rejected(f"{self._host} {what.get(status, 'refused what it was told')} (HTTP {status}).")


def signed(body: bytes, key: str, sent_at: datetime, secret: str) -> dict[str, str]:
    """The headers of a signed POST (Standard Webhooks, "Signature scheme"). Raises NeedsLogin."""
    identity = "msg_" + hashlib.sha256(key.encode()).hexdigest()[:32]
    stamp = str(int(sent_at.timestamp()))
    content = b".".join((identity.encode(), stamp.encode(), body))
    digest = hmac.new(_key(secret), content, hashlib.sha256).digest()
    return {
        "Content-Type": "application/json",
        "webhook-id": identity,
        "webhook-timestamp": stamp,
        "webhook-signature": "v1," + base64.b64encode(digest).decode(),
    }


def _key(secret: str) -> bytes:
    if not secret.startswith(_PREFIX):
        return secret.encode()
    try:
        return base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except binascii.Error as error:
        raise NeedsLogin(
            f"The secret of the webhook begins with {_PREFIX} but is not base64 after it."
        ) from error


__all__ = ["Webhook", "signed"]
