"""Google's own client library pointed at the fake."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import httplib2
import pytest
from googleapiclient.discovery import build_from_document
from googleapiclient.errors import HttpError

from tests.support.fake_google.discovery import rerooted

if TYPE_CHECKING:
    from tests.support.fake_google.world import FakeGoogle


class Bearer(httplib2.Http):  # type: ignore[misc]
    """A transport with an access token. It repeats what was dropped without an answer, even a POST."""

    def __init__(self, token: str) -> None:
        super().__init__(timeout=5)
        self.token = token

    def request(self, uri: str, method: str = "GET", **rest: Any) -> Any:
        """One request."""
        rest["headers"] = (rest.get("headers") or {}) | {"authorization": f"Bearer {self.token}"}
        return super().request(uri, method, **rest)


def service(google: FakeGoogle, api: str, user: str, *scopes: str) -> Any:
    """Google's own client for ``calendar``, ``gmail`` or ``meet``, signed in; closed with the fake."""
    http = Bearer(google.oauth.token(user, *scopes))
    google.clients.append(http)
    return build_from_document(rerooted(api, google.root), http=http)


def refused(request: Any) -> tuple[int, str]:
    """The status and Google's reason word of a request that fails."""
    with pytest.raises(HttpError) as caught:
        request.execute(num_retries=0)
    error = json.loads(caught.value.content)["error"]
    return error["code"], error.get("errors", [{"reason": ""}])[0]["reason"]
