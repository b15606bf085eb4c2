"""What is served where: each place has one server, whoever shares it, and nobody's coming restarts it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Generic, TypeVar

from starlette.types import ASGIApp, Receive, Scope, Send

from daemon.web.server import Server

E = TypeVar("E")


class _Changing:
    """An application in whose place another can be put while it is served."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Whatever is there now answers."""
        await self.app(scope, receive, send)


class Places(Generic[E]):
    """The places of one kind of pages. ``together`` makes one application of all who share a place."""

    def __init__(
        self, together: Callable[[Mapping[str, E]], ASGIApp], server: Callable[[ASGIApp, str], Server]
    ) -> None:
        self._together = together
        self._server = server
        self._at: dict[str, dict[str, E]] = {}
        self._serving: dict[str, tuple[Server, _Changing]] = {}
        self._changed: set[str] = set()

    def put(self, owner: str, place: str, what: E) -> None:
        """From the next ``settle`` on an owner's pages are at this place, and at no other."""
        self.take(owner)
        self._at.setdefault(place, {})[owner] = what
        self._changed.add(place)

    def take(self, owner: str) -> None:
        """From the next ``settle`` on an owner has no pages."""
        for place, there in self._at.items():
            if there.pop(owner, None) is not None:
                self._changed.add(place)

    def settle(self, *, closed: bool = False) -> list[Server]:
        """Serve what is there now, or nothing at all while ``closed``; the servers that were stopped."""
        if closed:
            return self._stop_serving()
        stopped = []
        for place in sorted(self._changed | (self._at.keys() - self._serving.keys())):
            there, serving = self._at[place], self._serving.get(place)
            if not there:
                del self._at[place]
                if serving is not None:
                    self._serving.pop(place)[0].stop()
                    stopped.append(serving[0])
            elif serving is not None:
                serving[1].app = self._together(dict(there))
            else:
                app = _Changing(self._together(dict(there)))
                self._serving[place] = self._server(app, place), app
                self._serving[place][0].start()
        self._changed.clear()
        return stopped

    def stop(self) -> list[Server]:
        """Stop every server; the servers, to be waited for."""
        self._at.clear()
        return self._stop_serving()

    def _stop_serving(self) -> list[Server]:
        servers = [server for server, _ in self._serving.values()]
        for server in servers:
            server.stop()
        self._serving.clear()
        return servers
