"""How a request proves who is asking: Basic, Digest, Bearer."""

from __future__ import annotations

import base64

import requests
import requests.auth


class PasswordAuth(requests.auth.HTTPDigestAuth):
    """Basic from the very first request, Digest as soon as the server asks for it.

    Waiting for a 401 is not enough: some servers answer an anonymous PROPFIND with 207. With
    ``basic`` false nothing but Digest ever leaves.
    """

    def __init__(self, username: str, password: str, *, basic: bool = True) -> None:
        super().__init__(username, password)
        token = base64.b64encode(f"{username}:{password}".encode()).decode()
        self._basic = f"Basic {token}" if basic else ""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Sign the request."""
        request = super().__call__(request)  # type: ignore[no-untyped-call]
        if self._basic:
            request.headers.setdefault("Authorization", self._basic)
        return request


class BasicAuth(requests.auth.AuthBase):
    """RFC 7617, UTF-8."""

    def __init__(self, username: str, password: str) -> None:
        token = base64.b64encode(f"{username}:{password}".encode()).decode()
        self._header = f"Basic {token}"

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Sign the request."""
        request.headers["Authorization"] = self._header
        return request


class BearerAuth(requests.auth.AuthBase):
    """RFC 6750."""

    def __init__(self, token: str) -> None:
        self._header = f"Bearer {token}"

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Sign the request."""
        request.headers["Authorization"] = self._header
        return request
