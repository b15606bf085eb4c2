"""What rebookd tells its owner about itself: once per trouble, in plain words."""

from __future__ import annotations

from datetime import datetime
from hashlib import sha256

from sqlalchemy import Connection

from connectors.base import CalendarInfo
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

SEVERAL = 3
"""So many things of one kind are told one by one; more of them in one mail."""

MOST_LISTED = 20
"""Of how many such a mail says more than that they are there."""


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
    for info in dict.fromkeys(info for info, _ in report.broken):
        _tell_of_broken(conn, report, info, owner, now)


def _tell_of_broken(
    conn: Connection, report: PollReport, info: CalendarInfo, owner: Owner, now: datetime
) -> None:
    """Queue the news of what cannot be read of one calendar, but for what was told before."""
    new = {
        about: f"    {clean(one.broken, 500)}\n    {clean(one.href, 500)}\n"
        for calendar, one in report.broken
        if calendar == info
        and deliveries.notice(conn, "unreadable", about := f"{one.href}/{one.etag}", owner.addresses[0])
        is None
    }
    for about, count, lines in _together(new, sha256("\n".join(sorted(new)).encode()).hexdigest()):
        what, it = ("An event", "it") if count == 1 else (f"{count} events", "them")
        _tell(
            conn,
            owner,
            now,
            kind="unreadable",
            about=about,
            subject=f"{what} in {info.name} cannot be read",
            body=(
                f"{what} in the calendar {info.name} of {report.account} cannot be read in full:\n\n{lines}\n"
                f"Whatever could be read of {it} is watched; the rest causes no mail. Please mend {it} in "
                "your calendar app."
            ),
        )


def tell_of_failures(
    conn: Connection, failed: list[tuple[OccurrenceKey, str]], owner: Owner, now: datetime
) -> None:
    """Queue the news that meetings could not be judged; once a day for each, or for many together."""
    day = now.date().isoformat()
    told = {
        f"{key.identity}/{day}": f"    {clean(key.uid)} ({key.calendar.account})\n    {clean(error, 500)}\n"
        for key, error in failed
    }
    for about, count, lines in _together(told, f"many/{day}"):
        what = "A meeting" if count == 1 else f"{count} meetings"
        _tell(
            conn,
            owner,
            now,
            kind="unjudged",
            about=about,
            subject=f"{what} could not be judged",
            body=(
                f"The rules could not be held against {what[0].lower()}{what[1:]}:\n\n{lines}\n"
                "Nobody is written to about it. It is tried again every hour; rebookd's log has the details."
            ),
        )


def _together(told: dict[str, str], fence: str) -> list[tuple[str, int, str]]:
    """What makes one mail each: its fence, of how many things it tells, and their lines.

    ``told`` are the lines of each thing by its own fence; ``fence`` is that of many together.
    """
    if len(told) <= SEVERAL:
        return [(about, 1, lines) for about, lines in told.items()]
    more = len(told) - MOST_LISTED
    listed = [*list(told.values())[:MOST_LISTED], *([f"    and {more} more\n"] if more > 0 else [])]
    return [(fence, len(told), "\n".join(listed))]


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
