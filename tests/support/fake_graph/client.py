"""A plain client of the fake, as tests drive it."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import requests

from tests.support.authority import certificates

if TYPE_CHECKING:
    from tests.support.fake_graph.world import FakeGraph

IMMUTABLE = 'IdType="ImmutableId"'
ALL = (
    "User.Read",
    "Calendars.ReadWrite",
    "Calendars.ReadWrite.Shared",
    "Mail.Send",
    "Mail.ReadWrite",
    "MailboxSettings.Read",
    "OnlineMeetings.Read",
    "OnlineMeetingArtifact.Read.All",
)
Json = dict[str, Any]


class Client:
    """Somebody signed in, with every scope unless some are named; closed with the fake."""

    def __init__(self, graph: FakeGraph, user: str, *scopes: str, app: bool = False) -> None:
        self.graph = graph
        self.session = requests.Session()
        self.session.verify = str(certificates() / "ca.pem")
        self.session.trust_env = False
        self.token = graph.grants.mint(user, *(scopes or ALL), app=app)
        self.session.headers.update({"Authorization": f"Bearer {self.token}", "Prefer": IMMUTABLE})
        graph.clients.append(self.session)

    def ask(
        self,
        verb: str,
        path: str,
        json: Any = None,
        *,
        prefer: str = "",
        raw: bytes | None = None,
        **headers: str,
    ) -> requests.Response:
        """One request; ``path`` may be a whole link. Underscores in the names of headers are hyphens."""
        address = path if path.startswith("http") else self.graph.root + path
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        if prefer:
            given["Prefer"] = f"{IMMUTABLE}, {prefer}"
        if raw is not None:
            given.setdefault("Content-Type", "text/plain")
            return self.session.request(verb, address, data=base64.b64encode(raw), headers=given, timeout=5)
        return self.session.request(verb, address, json=json, headers=given, timeout=5)

    def get(self, path: str, **headers: Any) -> Any:
        """The JSON of something that has to be there."""
        answer = self.ask("GET", path, **headers)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def refused(self, verb: str, path: str, json: Any = None, **headers: Any) -> tuple[int, str]:
        """The status and Graph's code of a request that fails."""
        answer = self.ask(verb, path, json, **headers)
        assert answer.status_code >= 400, answer.text
        return answer.status_code, answer.json()["error"]["code"]

    def round(self, path: str, *, size: int = 100, prefer: str = "") -> tuple[list[Json], str]:
        """All items of a round of changes, and the link to the next one."""
        items: list[Json] = []
        wanted = f"odata.maxpagesize={size}" + (f", {prefer}" if prefer else "")
        while True:
            page = self.get(path, prefer=wanted)
            items += page["value"]
            if "@odata.deltaLink" in page:
                return items, str(page["@odata.deltaLink"])
            path = page["@odata.nextLink"]


def filtered(path: str, name: str, value: str) -> str:
    """A path with a filter for one value, encoded as it has to be."""
    literal = value.replace("'", "''")
    return f"{path}?$filter={quote(f'{name} eq {chr(39)}{literal}{chr(39)}', safe='')}"
