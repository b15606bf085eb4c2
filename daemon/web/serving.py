"""The answer pages of an office, opened."""

from __future__ import annotations

import structlog

from connectors.base import ConnectorError
from daemon.office import Office
from daemon.web.app import build
from daemon.web.server import Server

log = structlog.get_logger()


def serve(office: Office) -> Server | None:
    """Its pages, served from now on; None where it has none, or no key to sign their links with."""
    configured = office.settings.config.answers
    try:
        links = office.links
    except ConnectorError as error:
        log.error("no answer pages", problem=str(error))  # noqa: TRY400 - the sentence says all
        return None
    if configured is None or links is None:
        return None
    server = Server(build(office.answering, links), configured.listen)
    server.start()
    return server
