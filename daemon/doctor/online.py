"""What only the network can say: servers answer and agree about the time, the domain of mails is in order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime

from connectors.base import ConnectorError, NeedsLogin
from connectors.http import GuardedSession, Limits
from daemon.config.settings import Settings
from daemon.doctor.checks import Check, doubtful, fine, wrong
from daemon.doctor.dns import Domain

APART = timedelta(minutes=2)
"""How far a server's clock and ours may be apart."""

_LIMITS = Limits(seconds=10.0, body_bytes=1024 * 1024, redirects=0, tries=1)


def answering(tries: list[tuple[str, Callable[[], str]]]) -> Iterator[Check]:
    """Each account and mail server; every one is a name and what says that it is well, or raises."""
    for name, tell in tries:
        try:
            yield fine("servers", f"{name}: {tell()}")
        except NeedsLogin as error:
            yield wrong("servers", f"{name}: {str(error).rstrip('.')}", "rebookd auth, or mend its password")
        except ConnectorError as error:
            yield wrong(
                "servers", f"{name}: {str(error).rstrip('.')}", "see whether it answers from elsewhere"
            )


def clocks(settings: Settings, now: Callable[[], datetime]) -> Iterator[Check]:
    """The hour that calendar servers say."""
    for name, account in settings.accounts.items():
        if account.caldav is None:
            continue  # Google and Microsoft refuse a sign-in from a clock that is off
        session = GuardedSession(
            account.caldav.url,
            limits=_LIMITS,
            insecure_http=account.caldav.insecure_http,
            private_network=account.caldav.private_network,
            judge=lambda _: None,
        )
        try:
            said = session.request("OPTIONS", account.caldav.url).headers.get("Date")
            theirs = parsedate_to_datetime(said) if said else None
        except (ConnectorError, ValueError):
            continue  # whether it answers is another question
        finally:
            session.close()
        if theirs is None or theirs.tzinfo is None:
            continue
        apart = abs(theirs - now())
        if apart > APART:
            minutes = int(apart.total_seconds() // 60)
            yield doubtful(
                "clock",
                f"the server of {name} is {minutes} minutes apart from here",
                "timedatectl set-ntp true",
            )
        else:
            yield fine("clock", f"the server of {name} says the same hour")


def domain(settings: Settings) -> Iterator[Check]:
    """The domain that mails come from."""
    yield from Domain(str(settings.config.mail.sender.address).rpartition("@")[2]).checks()
