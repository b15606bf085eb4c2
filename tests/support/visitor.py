"""Somebody with a link: an office with answer pages, and a browser without JavaScript, without a network."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from starlette.types import ASGIApp, Message

from daemon.links import Links, Purpose, path_of, purpose_of
from daemon.store import deliveries
from daemon.store.deliveries import Delivery
from daemon.web.app import build
from daemon.web.limits import Bucket
from rules.delivery import State
from rules.model import Interval
from tests.support.house import event
from tests.support.offices import World, at

URL = "https://meet.va.example"
KEY = "k" * 40
RULES = """\
version: 1
guard: {first_sync: act, per_recipient_per_day: 50, max_per_hour: 500, max_per_run: 200}
rules:
  - name: ask
    when: unconfirmed
    then:
      - {step: ask, do: confirm, at: 48h before start, until: 24h before start}
      - {step: move, do: reschedule, at: 20h before start, until: 1h before start, within: 3 business days}
  - name: no
    when: {declined: {grace: 30m}}
    then:
      - {step: other, do: reschedule, at: 14d before start, until: 1h before start}
  - name: was-it-held
    when: unaccounted
    then:
      - {step: ask-me, do: check_in, at: 10m after end, until: 1 day after end}
"""
JO, AL, BO, ME = "jo@acme.example", "al@acme.example", "bo@acme.example", "dana@va.example"


@dataclass(frozen=True)
class Seen:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    text: str

    def field(self, name: str) -> str:
        """The value of the first field of that name."""
        found = re.search(rf'name="{name}" value="([^"]*)"', self.text)
        assert found is not None, self.text
        return unescape(found[1])

    @property
    def words(self) -> str:
        """What a reader reads, on one line."""
        bare = re.sub(r"<(style|script|select)[^>]*>.*?</\1>|<[^>]+>", " ", self.text, flags=re.DOTALL)
        return " ".join(unescape(bare).split())


@dataclass
class Visitor:
    """Looks and sends forms, from one address."""

    app: ASGIApp
    headers: dict[str, str] = field(default_factory=dict)
    peer: tuple[str, int] | None = ("127.0.0.1", 4711)

    def ask(
        self,
        path: str,
        method: str = "GET",
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        *,
        pieces: Sequence[bytes] | None = None,
    ) -> Seen:
        """One request."""
        return asyncio.run(self._ask(path, method, pieces or [body], {**self.headers, **(headers or {})}))

    def look(self, paths: Iterable[tuple[str, str]]) -> set[int]:
        """Look at many pages, each with its method, one after the other; the statuses that came back."""

        async def all_of_them() -> set[int]:
            return {(await self._ask(path, method, [b""], self.headers)).status for path, method in paths}

        return asyncio.run(all_of_them())

    def get(self, path: str) -> Seen:
        """Look."""
        return self.ask(path)

    def post(self, path: str, **fields: str | Sequence[str]) -> Seen:
        """Send a form."""
        body = urlencode(fields, doseq=True).encode()
        return self.ask(path, "POST", body, {"content-type": "application/x-www-form-urlencoded"})

    def answer(self, path: str, **fields: str | Sequence[str]) -> Seen:
        """Look, send the form that is there, and look where that leads."""
        seal = self.get(path).field("seal")
        sent = self.post(path, seal=seal, **fields)
        return self.get(sent.headers["location"]) if sent.status == 303 else sent

    def scope(self, path: str, method: str, headers: Mapping[str, str]) -> dict[str, Any]:
        """A request as a server hands it to an application (ASGI)."""
        parts = urlsplit(path)
        return {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": parts.path,
            "raw_path": parts.path.encode(),
            "root_path": "",
            "query_string": parts.query.encode(),
            "headers": [(k.lower().encode(), v.encode("latin-1")) for k, v in headers.items()],
            "client": self.peer,
            "server": ("127.0.0.1", 8470),
        }

    async def _ask(self, path: str, method: str, body: Sequence[bytes], headers: Mapping[str, str]) -> Seen:
        scope = self.scope(path, method, headers)
        waiting = [
            {"type": "http.request", "body": piece, "more_body": n < len(body)}
            for n, piece in enumerate(body, start=1)
        ]
        sent: list[Message] = []

        async def receive() -> Message:
            if waiting:
                return waiting.pop(0)
            await asyncio.sleep(60)
            return {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            sent.append(message)

        await self.app(scope, receive, send)
        start, *rest = sent
        return Seen(
            status=start["status"],
            headers={k.decode(): v.decode() for k, v in start["headers"]},
            text=b"".join(each.get("body", b"") for each in rest).decode(),
        )


class Desk(World):
    """An office with answer pages and whoever visits them."""

    def __init__(
        self,
        folder: Path,
        *,
        rules: str = RULES,
        accounts: Sequence[str] = ("acme", "own"),
        public_url: str = URL,
        listen: str = "127.0.0.1:8470",
    ) -> None:
        folder.joinpath("links.key").write_text(KEY)
        more = f"public_url: '{public_url}', listen: '{listen}', key: {{file: links.key}}"
        super().__init__(folder, rules, accounts, config=f"answers: {{{more}}}\n")
        self.links = Links(public_url, [KEY])
        self.round()
        self.app = self.pages()

    def pages(self, *, burst: float = 1e9) -> ASGIApp:
        """The pages; whoever asks for more than ``burst`` at once waits."""
        return build(self.office.answering, self.links, bucket=Bucket(lambda: 0.0, burst=burst))

    @property
    def visitor(self) -> Visitor:
        """Somebody who has a link."""
        return Visitor(self.app)

    def left(self, to: str = JO, step: str = "") -> Delivery:
        """The last message that left for somebody."""
        with self.store.read() as conn:
            found = [
                one for one in deliveries.list_(conn, State.SENT) if one.to == to and step in {"", one.step}
            ]
        return found[-1]

    def offer(self, delivery: Delivery, slots: Sequence[Interval]) -> None:
        """Have a message offer these times."""
        with self.store.write() as conn:
            deliveries.offer_more(conn, delivery.id, slots)

    def path(self, delivery: Delivery, purpose: Purpose | None = None) -> str:
        """Where its link leads."""
        return urlsplit(self.links.address(purpose or purpose_of(delivery.do) or Purpose.STOP, delivery)).path

    def asked(self, uid: str = "kickoff", *, hours: float = 40, to: str = JO, **more: str) -> str:
        """A meeting that somebody was asked to confirm; where that leads."""
        self.put("acme", uid, event(uid, at(hours), {to: "NEEDS-ACTION"}, **more))
        self.round(0.01)
        return self.path(self.left(to, "ask"))

    def offered(
        self, uid: str = "kickoff", *, hours: float = 40, people: Mapping[str, str] | None = None, **more: str
    ) -> str:
        """A meeting that all its people declined, and where the offer of other times to Jo leads."""
        people = people or {JO: "ACCEPTED"}
        self.put("acme", uid, event(uid, at(hours), dict(people), **more))
        self.round(0.01)
        self.put("acme", uid, event(uid, at(hours), dict.fromkeys(people, "DECLINED"), **more))
        self.round(0.01)
        self.round(1)
        return self.path(self.left(step="other"))

    def held_or_not(self, uid: str = "kickoff", **more: str) -> str:
        """A meeting of which nobody knows whether it took place; where the question to me leads."""
        self.put("acme", uid, event(uid, at(2), {JO: "ACCEPTED"}, **more))
        self.round(0.01)
        self.round(2.8)
        return self.path(self.left(ME, "ask-me"))


__all__ = ["AL", "BO", "JO", "KEY", "ME", "URL", "Desk", "Seen", "Visitor", "path_of"]
