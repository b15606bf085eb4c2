"""The answer pages of offices, opened: several may share a place; a link leads to the office that made it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import structlog
from starlette.types import ASGIApp, Receive, Scope, Send

from connectors.base import ConnectorError
from daemon.config.settings import DEFAULT
from daemon.links import Links
from daemon.office import Office
from daemon.web.app import build
from daemon.web.limits import Bucket
from daemon.web.places import Places
from daemon.web.server import Server

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Desk:
    """Where one office's answers are taken."""

    office: Office
    links: Links


class AnswerPages:
    """Everybody's answer pages."""

    def __init__(self) -> None:
        self._places = Places(together, Server)
        self._links: dict[str, Links] = {}

    def put(self, owner: str, office: Office) -> None:
        """Serve an office's pages from the next ``settle`` on, if it has any."""
        self.take(owner)
        desk = _desk(office)
        if desk is None or office.settings.config.answers is None:
            return
        twin = next((other for other, one in self._links.items() if one.is_alike(desk.links)), None)
        if twin is not None:
            why = (
                f"{twin} signs links with the same key and is kept under the same name, so that a link of "
                "one could open a page of the other; give one of them a key of its own"
            )
            log.error("no answer pages", owner=owner, problem=why)
            return
        self._links[owner] = desk.links
        self._places.put(owner, office.settings.config.answers.listen, desk)

    def take(self, owner: str) -> None:
        """Serve them no more from the next ``settle`` on."""
        self._places.take(owner)
        self._links.pop(owner, None)

    def settle(self, *, closed: bool = False) -> list[Server]:
        """Serve what is there now, or nothing at all while ``closed``; the servers that were stopped."""
        return self._places.settle(closed=closed)

    def stop(self) -> list[Server]:
        """Stop every server; the servers, to be waited for."""
        return self._places.stop()


class FrontDesk:
    """One door for the pages of several offices. Whom a link belongs to follows from its signature alone."""

    def __init__(self, desks: Sequence[tuple[Links, ASGIApp]]) -> None:
        self._desks = desks

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Lead to the office that made the link; what nobody made is as lost as it is with any of them."""
        token = scope["path"].rpartition("/")[2] if scope["type"] == "http" else ""
        found = next((app for links, app in self._desks if links.read(token)), self._desks[0][1])
        await found(scope, receive, send)


def together(desks: Mapping[str, Desk]) -> ASGIApp:
    """The pages of all who share a place; a visitor counts as one, whoever's pages they open."""
    bucket = Bucket(time.monotonic)
    made = [
        (one.links, _named(owner, build(one.office.answering, one.links, bucket=bucket)))
        for owner, one in desks.items()
    ]
    return made[0][1] if len(made) == 1 else FrontDesk(made)


def _named(owner: str, app: ASGIApp) -> ASGIApp:
    """What is logged meanwhile says whose it is, where somebody is one of several."""
    if owner in {"", DEFAULT}:
        return app

    async def named(scope: Scope, receive: Receive, send: Send) -> None:
        with structlog.contextvars.bound_contextvars(owner=owner):
            await app(scope, receive, send)

    return named


def serve(office: Office) -> Server | None:
    """Its pages, served from now on; None where it has none, or no key to sign their links with."""
    configured, desk = office.settings.config.answers, _desk(office)
    if configured is None or desk is None:
        return None
    server = Server(together({"": desk}), configured.listen)
    server.start()
    return server


def _desk(office: Office) -> Desk | None:
    try:
        links = office.links
    except ConnectorError as error:
        log.error("no answer pages", problem=str(error))  # noqa: TRY400 - the sentence says all
        return None
    return None if links is None else Desk(office, links)
