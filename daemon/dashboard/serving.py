"""The dashboard of an office, opened."""

from __future__ import annotations

import structlog

from daemon.beats import Beats
from daemon.config.secret import SecretUnavailable
from daemon.dashboard.app import build
from daemon.office import Office
from daemon.web.server import Server

log = structlog.get_logger()

FOR_OWNER = 0o600
"""Whoever reaches it without a password is the owner, so its socket is for rebookd's own user alone."""


def serve(office: Office, beats: Beats) -> Server | None:
    """The dashboard, served from now on; None where there is none, or its password cannot be read."""
    configured = office.settings.config.dashboard
    if configured is None:
        return None
    try:
        password = configured.password.read(office.settings.base) if configured.password else None
    except SecretUnavailable as error:
        log.error("no dashboard", problem=str(error))  # noqa: TRY400 - the sentence says all
        return None
    server = Server(
        build(office, beats, password),
        configured.listen,
        what="dashboard pages",
        block="dashboard",
        mode=FOR_OWNER,
    )
    server.start()
    return server
