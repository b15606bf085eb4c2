"""Signing in to an Outlook account.

Microsoft's page has nothing to tick: it is all or nothing. So what rebookd cannot do without is asked for
first, and the rest in a second question that may be declined.
"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

import click

from connectors.base import ConnectorError, NeedsLogin
from connectors.loopback import Loopback
from connectors.outlook_app import REDIRECT
from connectors.outlook_scopes import Scope, missing
from connectors.outlook_signin import DeviceSignIn, Granted, SignIn
from daemon.commands.signing_in import (
    by_browser,
    hint,
    if_optional,
    in_words,
    keep,
    say,
    say_when_it_counts,
    what_was_left_out,
)
from daemon.config.settings import Settings
from daemon.outlook_access import OutlookAccess, access


def sign_in(settings: Settings, account: str, *, device: bool) -> None:
    """Sign in, or try the app's own secret or certificate. Raises ConnectorError with what went wrong."""
    way = access(settings, account)
    if way.user:
        _try_app(way, account)
    else:
        _Signing(settings, way, account, device=device).all_of_it()


def _try_app(way: OutlookAccess, account: str) -> None:
    """Nobody signs in; say what an administrator must have allowed."""
    say(
        f"The app of {account} signs in for itself, so nobody else does. It needs these application "
        "permissions of Microsoft Graph, with an administrator's consent:"
    )
    for scope in way.wanted:
        if scope.app_name:
            say(f"  {scope.app_name}  to {scope.why}{if_optional(scope)}")
    if any(scope.work for scope in way.wanted):
        say(f"Teams also wants an application access policy for the app and {way.user}.")
    way.tokens.access_token()
    click.echo(f"{account}: the app is signed in, for the mailbox of {way.user}")


class _Signing:
    """One run of the command for one account."""

    def __init__(self, settings: Settings, way: OutlookAccess, account: str, *, device: bool) -> None:
        self._settings = settings
        self._way = way
        self._account = account
        self._device = device

    def all_of_it(self) -> None:
        """Both questions, the second where anything is left to ask."""
        needed = [scope for scope in self._way.wanted if not scope.optional]
        self._explain(needed)
        granted = self._ask(needed, hint(self._settings, self._account), sure=False)
        lacking = missing(needed, granted.scopes)
        if lacking:
            raise NeedsLogin(
                f"{self._account} was not signed in: rebookd was not allowed to {in_words(lacking)}. "
                "Run it again and accept what is asked for."
            )
        whose = granted.saved.username or "its owner"
        self._keep(granted, f"{self._account} is signed in as {whose}")
        if granted.saved.personal and any(scope.work for scope in self._way.wanted):
            say(f"{self._account} is a personal account, so rebookd cannot see who joined its Teams calls")
        if missing(self._way.wanted, granted.scopes, personal=granted.saved.personal):
            granted = self._more(granted)
        what_was_left_out(
            self._account, missing(self._way.wanted, granted.scopes, personal=granted.saved.personal)
        )
        say_when_it_counts()

    def _more(self, first: Granted) -> Granted:
        """The second question; whatever comes of it, the first answer counts."""
        wanted = [scope for scope in self._way.wanted if not (scope.work and first.saved.personal)]
        say(
            "\nThe rest may be left out: decline it in the browser, or press Ctrl-C here. "
            "rebookd would like to be allowed to:"
        )
        for scope in missing(wanted, first.scopes):
            say(f"  - {scope.why} ({scope.name})")
        try:
            second = self._ask(wanted, first.saved.username, sure=True)
        except KeyboardInterrupt:
            return first
        except ConnectorError as error:
            say(f"It stays at that. {error}")
            return first
        if second.whose != first.whose:
            say(f"That was {second.saved.username}, who is somebody else; it stays at the first sign-in.")
            return first
        self._keep(second, f"{self._account}: the rest is allowed, too")
        return second

    def _ask(self, scopes: Sequence[Scope], who: str, *, sure: bool) -> Granted:
        return self._by_code(scopes) if self._device else self._by_browser(scopes, who, sure=sure)

    def _by_browser(self, scopes: Sequence[Scope], who: str, *, sure: bool) -> Granted:
        loopback = Loopback()
        home = f"{REDIRECT}:{urlsplit(loopback.address).port}"
        try:
            attempt = SignIn(self._account, self._way.registration, scopes, home, hint=who, sure=sure)
            say("\nSign in as the owner of that account, at this address:\n")
            return attempt.finish(by_browser(attempt, loopback, home, device=False))
        finally:
            loopback.close()

    def _by_code(self, scopes: Sequence[Scope]) -> Granted:
        attempt = DeviceSignIn(self._account, self._way.registration, scopes)
        say(
            f"\nSign in as the owner of that account, with any browser, within {attempt.lasts / 60:g} "
            "minutes, at this address and with this code:\n"
        )
        click.echo(attempt.address)
        click.echo(attempt.code)
        return attempt.finish()

    def _explain(self, needed: Sequence[Scope]) -> None:
        say(f"rebookd asks to be allowed, in {self._account}, to:")
        for scope in needed:
            say(f"  - {scope.why} ({scope.name})")
        approval = self._way.registration.approval(self._way.wanted)
        if approval:
            say(f"\nWhere an administrator must approve apps first, one can do so at:\n{approval}")

    def _keep(self, granted: Granted, told: str) -> None:
        keep(self._settings, self._account, granted.saved.text(), told)
