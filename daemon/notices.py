"""What rebookd tells its owner about itself: once per trouble, in plain words."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection

from daemon.mail.foreign_text import clean
from daemon.outbox_notices import KEEP_TRYING
from daemon.poll import PollReport
from daemon.store import calendars, deliveries
from daemon.store.agreements import Agreement
from rules.hours import zone
from rules.model import OccurrenceKey, Owner

AT_ONCE = frozenset({"sign-in needed", "shrunk"})
"""Troubles that do not mend themselves; any other is told when it happens twice in a row."""

PATIENCE = 2


def tell_of_poll(conn: Connection, report: PollReport, owner: Owner, now: datetime) -> None:
    """Queue what the owner must know of one account's poll at ``now`` (UTC)."""
    row = calendars.accounts(conn).get(report.account)
    if report.troubles and row is not None and row.error_since is not None:
        first = report.troubles[0]
        if first.kind in AT_ONCE or row.failures >= PATIENCE:
            since = row.seen_at or row.error_since
            _tell(
                conn,
                owner,
                now,
                kind="unseen",
                about=f"{report.account}/{first.kind}/{row.error_since.isoformat()}",
                subject=f"I cannot see {report.account} since {_clock(since, owner, now)}",
                body=_unseen(report, since, owner, now),
            )
    for info, resource in report.broken:
        _tell(
            conn,
            owner,
            now,
            kind="unreadable",
            about=f"{resource.href}/{resource.etag}",
            subject=f"An event in {info.name} cannot be read",
            body=(
                f"An event in the calendar {info.name} of {report.account} cannot be read in full:\n\n"
                f"    {clean(resource.broken, 500)}\n    {clean(resource.href, 500)}\n\n"
                "Whatever could be read of it is watched; the rest causes no mail. Please mend it in your "
                "calendar app."
            ),
        )


def tell_of_failures(
    conn: Connection, failed: list[tuple[OccurrenceKey, str]], owner: Owner, now: datetime
) -> None:
    """Queue the news that meetings could not be judged; once a day for each."""
    for key, error in failed:
        _tell(
            conn,
            owner,
            now,
            kind="unjudged",
            about=f"{key.identity}/{now.date().isoformat()}",
            subject="A meeting could not be judged",
            body=(
                f"The rules could not be held against this meeting of {key.calendar.account}:\n\n"
                f"    {clean(key.uid)}\n    {clean(error, 500)}\n\n"
                "Nobody is written to about it. It is tried again every hour; rebookd's log has the details."
            ),
        )


def tell_of_refusal(conn: Connection, account: str, why: str, owner: Owner, now: datetime) -> None:
    """Queue the news that records of calls may not be read; once for an account."""
    _tell(
        conn,
        owner,
        now,
        kind="attendance",
        about=account,
        subject=f"I cannot see who came to the calls of {account}",
        body=(
            f"The records of your calls in {account} may not be read:\n\n    {clean(why, 500)}\n\n"
            "Whether such a meeting took place is unknown to me, and nobody is called missing because of it. "
            "Your marks in the calendar and `rebookd mark` count as before. If it is to stay so, write "
            "`attendance: false` beside the account's sign-in. I say this once."
        ),
    )


def tell_of_other_key(conn: Connection, mark: str, owner: Owner, now: datetime) -> None:
    """Queue the news that links made with another key open nothing here; once for each key."""
    _tell(
        conn,
        owner,
        now,
        kind="links",
        about=mark,
        subject="Links in some of my mails open no page",
        body=(
            "The links to your answer pages are signed with another key than before: those in earlier mails, "
            "or in mails from another machine, open no page here.\n\n"
            "If rebookd runs on several machines, give all of them the same `answers: key:`. If you changed "
            "the key, write the old one below the new one until its links have served their time. I say this "
            "once."
        ),
    )


def tell_of_undone(conn: Connection, agreed: Agreement, owner: Owner, now: datetime) -> None:
    """Queue the news that a time somebody picked did not reach the calendar; once for each."""
    _tell(
        conn,
        owner,
        now,
        kind="undone",
        about=str(agreed.id),
        subject=f"A new time that {agreed.address} picked is not in your calendar",
        body=(
            f"{agreed.address} picked {_clock(agreed.slot.start, owner, now)} for the meeting of "
            f"{_clock(agreed.start, owner, now)}, and {agreed.key.calendar.account} could not be changed for "
            f"two days:\n\n    {clean(agreed.key.uid)}\n\n"
            "I no longer try. The meeting stands as it was; please move it by hand, or tell them otherwise."
        ),
    )


def _unseen(report: PollReport, since: datetime, owner: Owner, now: datetime) -> str:
    troubles = "\n".join(
        f"    {clean(trouble.calendar) + ': ' if trouble.calendar else ''}{clean(trouble.message, 500)}"
        for trouble in report.troubles
    )
    return (
        f"I cannot see {report.account} since {_clock(since, owner, now)}:\n\n{troubles}\n\n"
        "Until I can, nothing is concluded from what I last saw there and nobody is written to because "
        "of it. Your other accounts go on as usual. rebookd keeps trying; `rebookd status` shows how it goes."
    )


def _clock(at: datetime, owner: Owner, now: datetime) -> str:
    """09:10 today, else with its date, in the owner's zone."""
    home = zone(owner.zone)
    local = at.astimezone(home)
    same_day = local.date() == now.astimezone(home).date()
    return local.strftime("%H:%M") if same_day else local.strftime("%Y-%m-%d %H:%M")


def _tell(
    conn: Connection, owner: Owner, now: datetime, *, kind: str, about: str, subject: str, body: str
) -> None:
    deliveries.add_notice(
        conn,
        kind,
        about,
        owner.addresses[0],
        subject=subject,
        body=body,
        now=now,
        until=now + KEEP_TRYING,
    )
