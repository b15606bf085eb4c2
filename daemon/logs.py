"""Logging: JSON lines on standard error, or readable ones on a terminal.

What is logged may hold what strangers wrote. No text of theirs begins a line of its own, reaches the terminal
as an escape sequence, or passes for another priority; what libraries log goes the same way.
"""

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
    first: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    if sys.stderr.isatty():
        last: list[structlog.types.Processor] = [
            _without_controls,
            structlog.dev.ConsoleRenderer(colors=not os.environ.get("NO_COLOR")),
        ]
    else:
        last = [structlog.processors.JSONRenderer()]
        if "JOURNAL_STREAM" in os.environ:
            last.append(_with_priority)
    structlog.configure(
        processors=[*first, *last],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    of_libraries = logging.StreamHandler(sys.stderr)
    of_libraries.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *first],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    logging.basicConfig(level=logging.ERROR, handlers=[of_libraries])
    logging.captureWarnings(True)  # advice to programmers, in which a library may quote a stranger


def _without_controls(
    _logger: object, _name: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Escape what a foreign text could do to a terminal; a traceback keeps its lines, set in."""
    for key, value in event.items():
        text = value if isinstance(value, str) else repr(value)
        if key == "exception":
            event[key] = "\n".join("    " + _escaped(line) for line in text.splitlines())
        elif not text.isprintable():
            event[key] = _escaped(text)
    return event


def _escaped(text: str) -> str:
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def _with_priority(_logger: object, name: str, rendered: Any) -> str:
    """The ``<N>`` prefix by which journald knows the priority (sd-daemon(3))."""
    return f"<{_PRIORITY.get(name, 6)}>{rendered}"
