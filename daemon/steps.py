"""The steps themselves: what is done to an office, and what follows from it. The same for every engine."""

from __future__ import annotations

from datetime import datetime, timedelta

import structlog

from daemon.engine import Next, Step
from daemon.office import Office
from daemon.poll import PollReport, Progress

log = structlog.get_logger()

LOGIN_AGAIN = timedelta(hours=1)
"""How long an account or inbox is left alone that only its owner can open again."""

MOST_SPENT = 0.9
"""Of an interval, so much counts as spent by a poll that took long, or during which the clock was set."""

REPLIES_EVERY = timedelta(minutes=1)
"""Between two looks into the inbox."""


def do(step: Step, office: Office, account: str = "", progress: Progress | None = None) -> list[Next]:
    """Do a step; what follows from it. Raises StoreError."""
    if step is Step.POLL:
        return poll(office, account, progress)
    if step is Step.READ:
        return read(office)
    return decide(office) if step is Step.DECIDE else deliver(office)


def poll(office: Office, account: str, progress: Progress | None = None) -> list[Next]:
    """Poll one account: what it holds is to be judged, and it is polled again in due time."""
    began = office.clock.now()
    report = office.poll(account, progress)
    now, every = office.clock.now(), office.settings.accounts[account].poll_every.delta
    wait = pause(report, every)
    if report.ok:  # news wait for one interval, not for an interval and a poll
        wait -= min(max(now - began, timedelta()), every * MOST_SPENT)
    return [Next(step=Step.DECIDE), Next(step=Step.POLL, account=account, run_at=now + wait)]


def read(office: Office) -> list[Next]:
    """Look into the inbox, seldom where only its owner can mend that it cannot be read."""
    report = office.read_replies()
    wait = LOGIN_AGAIN if report is not None and report.for_owner else REPLIES_EVERY
    return [Next(step=Step.DECIDE), Next(step=Step.READ, run_at=office.clock.now() + wait)]


def decide(office: Office) -> list[Next]:
    """Judge what changed or came due."""
    decided = office.decide()
    for intent in decided.planned:
        log.info("planned", rule=intent.rule, step=intent.step, uid=intent.key.uid, reason=intent.reason)
    return [Next(step=Step.DELIVER)] if decided.planned else []


def deliver(office: Office) -> list[Next]:
    """Send what is due."""
    office.send()
    return []


def pause(report: PollReport | None, every: timedelta) -> timedelta:
    """How long to leave an account alone after a poll."""
    if report is None or report.ok:
        return every
    if any(trouble.kind == "sign-in needed" for trouble in report.troubles):
        return max(every, LOGIN_AGAIN)
    return max(every, timedelta(seconds=report.retry_after or 0))


def first(office: Office) -> list[tuple[Step, str]]:
    """Every step that an office has to have, with its account."""
    found = [(Step.POLL, account) for account in office.settings.accounts]
    found += [(Step.READ, "")] if office.settings.config.mail.reads_replies else []
    return [*found, (Step.DECIDE, ""), (Step.DELIVER, "")]


def is_due(at: datetime | None, now: datetime, longest: timedelta) -> bool:
    """Whether a moment has come; or was set by a clock that ran ahead and was set back since."""
    return at is None or at <= now or at > now + longest
