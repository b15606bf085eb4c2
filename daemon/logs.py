"""Logging: JSON lines on standard error, or readable ones on a terminal."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

_PRIORITY = {"debug": 7, "info": 6, "warning": 4, "error": 3, "exception": 3, "critical": 2}


def configure(*, verbosity: int = 0) -> None:
    """Set logging up. ``verbosity``: -2 errors, -1 warnings, 0 news, 1 details."""
    level = {-2: logging.ERROR, -1: logging.WARNING, 0: logging.INFO}.get(verbosity, logging.DEBUG)
    terminal = sys.stderr.isatty()
    shared: list[structlog.types.Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if terminal:
        last: list[structlog.types.Processor] = [
            _without_controls,
            structlog.dev.ConsoleRenderer(colors=not os.environ.get("NO_COLOR")),
        ]
    else:
        last = [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
        if "JOURNAL_STREAM" in os.environ:
            last.append(_with_priority)
    structlog.configure(
        processors=[*shared, *last],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(level=logging.ERROR, stream=sys.stderr, format="%(name)s: %(message)s")


def _without_controls(
    _logger: object, _name: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Escape what a foreign title could do to a terminal."""
    for key, value in event.items():
        if isinstance(value, str) and not value.isprintable():
            event[key] = "".join(c if c.isprintable() or c == "\n" else repr(c)[1:-1] for c in value)
    return event


def _with_priority(_logger: object, name: str, rendered: Any) -> str:
    """The ``<N>`` prefix by which journald knows the priority (sd-daemon(3))."""
    return f"<{_PRIORITY.get(name, 6)}>{rendered}"
