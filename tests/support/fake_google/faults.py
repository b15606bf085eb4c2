"""Ways to go wrong, for ``FakeGoogle.fail``: Google's own, and those of every service."""

from __future__ import annotations

from datetime import datetime, timedelta
from email.utils import format_datetime

from tests.support.fake_google.errors import GoogleError
from tests.support.faults import (
    Effect,
    Fault,
    answer,
    cut_off,
    dropped,
    endless,
    gzip_bomb,
    held,
    html,
    redirect,
    slow,
    truncated,
)
from tests.support.wire import Request

__all__ = [
    "Effect",
    "Fault",
    "answer",
    "cut_off",
    "dropped",
    "endless",
    "error",
    "expired_token",
    "gzip_bomb",
    "held",
    "html",
    "redirect",
    "repeated_page",
    "slow",
    "truncated",
]


def error(
    status: int,
    reason: str = "",
    message: str = "",
    *,
    retry_after: float | None = None,
    retry_at: timedelta | None = None,
) -> Effect:
    """An error in Google's own words; Retry-After in seconds, or as the date so far ahead."""

    def refuse(request: Request, now: datetime) -> GoogleError:
        headers = {}
        if retry_after is not None:
            headers["Retry-After"] = f"{retry_after:g}"
        if retry_at is not None:
            headers["Retry-After"] = format_datetime(now + retry_at, usegmt=True)
        return GoogleError(status, reason, message, headers=headers)

    return Effect(refuse=refuse)


def repeated_page() -> Effect:
    """The page names itself as the next one (lists of events and of calendars)."""

    def prepare(request: Request) -> None:
        request.repeat_page = True

    return Effect(prepare=prepare)


def expired_token() -> Effect:
    """410: the sync token, or the page of a sync, is gone."""
    return error(410, "fullSyncRequired")
