"""The dashboards of offices, opened: several may share a place, where the user name says whose it is."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import structlog
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from daemon.beats import Beats
from daemon.config.secret import SecretUnavailable
from daemon.dashboard import healthz
from daemon.dashboard.app import build
from daemon.dashboard.guard import OPEN, Guard, Password, tries, user_of
from daemon.office import Office
from daemon.web.places import Places
from daemon.web.server import Server

log = structlog.get_logger()

FOR_OWNER = 0o600
"""Whoever reaches it without a password is the owner, so its socket is for rebookd's own user alone."""

USER = "The user name is the name of your configuration"


@dataclass(frozen=True, slots=True)
class Board:
    """What one owner sees; ``owner`` names them where there are several."""

    office: Office
    beats: Beats
    password: str | None
    owner: str = ""

    def app(self, password: Password | str | None) -> ASGIApp:
        """The application behind this password."""
        return build(self.office, self.beats, password, owner=self.owner)


class Dashboards:
    """Everybody's dashboards. ``missing`` says how many owners have no office at all."""

    def __init__(self, missing: Callable[[], int] = lambda: 0) -> None:
        self._missing = missing
        self._places = Places(self._together, _server)

    def put(self, owner: str, office: Office, beats: Beats, *, is_many: bool) -> None:
        """Serve an office's dashboard from the next ``settle`` on, if it has one."""
        self.take(owner)
        configured, board = office.settings.config.dashboard, _board(office, beats, owner if is_many else "")
        if configured is not None and board is not None:
            self._places.put(owner, configured.listen, board)

    def take(self, owner: str) -> None:
        """Serve it no more from the next ``settle`` on."""
        self._places.take(owner)

    def settle(self, *, closed: bool = False) -> list[Server]:
        """Serve what is there now, or nothing at all while ``closed``; the servers that were stopped."""
        return self._places.settle(closed=closed)

    def stop(self) -> list[Server]:
        """Stop every server; the servers, to be waited for."""
        return self._places.stop()

    def _together(self, boards: Mapping[str, Board]) -> ASGIApp:
        if len(boards) == 1:
            (board,) = boards.values()
            return board.app(board.password)
        return FrontDoor(boards, self._missing)


class FrontDoor:
    """One door for the dashboards of several owners: user name and password lead each to their own.

    A name that nobody has is answered like one whose password is wrong.
    """

    def __init__(self, boards: Mapping[str, Board], missing: Callable[[], int] = lambda: 0) -> None:
        self._boards = list(boards.values())
        self._missing = missing
        guesses = tries()
        self._apps = {
            owner: board.app(Password(board.password, guesses, USER))
            for owner, board in boards.items()
            if board.password is not None
        }
        self._nobody = Starlette(
            routes=[Route("/healthz", self._healthz, methods=["GET"])],
            middleware=[Middleware(Guard, password=Password(secrets.token_hex(), guesses, USER))],
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        is_named = scope["type"] == "http" and scope["path"] not in OPEN
        await self._apps.get(user_of(scope) if is_named else "", self._nobody)(scope, receive, send)

    def _healthz(self, _request: Request) -> Response:
        offices = [(board.office, board.beats) for board in self._boards]
        return healthz.told(offices, self._missing())


def serve(office: Office, beats: Beats) -> Server | None:
    """The dashboard, served from now on; None where there is none, or its password cannot be read."""
    configured, board = office.settings.config.dashboard, _board(office, beats, "")
    if configured is None or board is None:
        return None
    server = _server(board.app(board.password), configured.listen)
    server.start()
    return server


def _board(office: Office, beats: Beats, owner: str) -> Board | None:
    configured = office.settings.config.dashboard
    if configured is None:
        return None
    try:
        password = configured.password.read(office.settings.base) if configured.password else None
    except SecretUnavailable as error:
        log.error("no dashboard", problem=str(error))  # noqa: TRY400 - the sentence says all
        return None
    return Board(office, beats, password, owner)


def _server(app: ASGIApp, listen: str) -> Server:
    return Server(app, listen, what="dashboard pages", block="dashboard", mode=FOR_OWNER)
