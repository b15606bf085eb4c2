"""From configuration to connectors and mailers: the only place that knows every kind."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from connectors.base import AttendanceSource, CalendarConnector, Drafts, Mailer, NeedsLogin
from daemon.config.model import AccountConfig
from daemon.config.secret import Secret, SecretUnavailable
from daemon.config.settings import Settings

if TYPE_CHECKING:
    from connectors.gmail import Gmail
    from connectors.webhook import Webhook

KINDS = ("caldav", "google", "outlook")


def kind(configured: AccountConfig) -> str:
    """What kind of calendar an account is."""
    return next(name for name in KINDS if getattr(configured, name, None) is not None)


def connector(settings: Settings, account: str) -> CalendarConnector:
    """The connector of one account. Raises :class:`NeedsLogin` where its secret cannot be read."""
    # Each kind's library is loaded only where that kind is used.
    import stamina.instrumentation  # noqa: PLC0415

    stamina.instrumentation.set_on_retry_hooks([])  # a second try within one call is no news
    return _MAKERS[kind(settings.accounts[account])](settings, account)


def _caldav(settings: Settings, account: str) -> CalendarConnector:
    from connectors.caldav import CalDavConnector  # noqa: PLC0415 - loaded only where it is used

    configured = settings.accounts[account]
    caldav = configured.caldav
    if caldav is None:
        raise KeyError(account)
    return CalDavConnector(
        account,
        caldav.url,
        username=caldav.username or "",
        password=_read(settings, caldav.password),
        token=_read(settings, caldav.token),
        auth=caldav.auth,
        calendars=configured.calendars,
        home_zone=settings.owner.zone,
        insecure_http=caldav.insecure_http,
    )


def _google(settings: Settings, account: str) -> CalendarConnector:
    from connectors.google import GoogleConnector  # noqa: PLC0415 - loaded only where it is used
    from daemon.google_access import access  # noqa: PLC0415 - the same

    return GoogleConnector(
        account,
        access(settings, account).client(),
        calendars=settings.accounts[account].calendars,
        home_zone=settings.owner.zone,
    )


_MAKERS: dict[str, Callable[[Settings, str], CalendarConnector]] = {"caldav": _caldav, "google": _google}


def lacks(settings: Settings, account: str) -> list[str]:
    """What an account's sign-in does not allow and rebookd gets along without, each as ``send mails``.

    Raises :class:`NeedsLogin` for what it needs.
    """
    if kind(settings.accounts[account]) != "google":
        return []
    from daemon.google_access import access  # noqa: PLC0415 - loaded only where it is used

    missing = access(settings, account).missing()
    needed = [scope.why for scope in missing if not scope.optional]
    if needed:
        raise NeedsLogin(f"The sign-in does not allow to {'; to '.join(needed)}. Run: rebookd auth {account}")
    return [scope.why for scope in missing]


def mailer(settings: Settings) -> Mailer:
    """How mail leaves. Its secret is read when it is first needed."""
    smtp = settings.config.mail.smtp
    if smtp is None:
        return gmail(settings)
    from connectors.smtp import SmtpMailer  # noqa: PLC0415 - loaded only where it is used

    return SmtpMailer(
        host=smtp.host,
        port=smtp.port_number,
        security=smtp.security,
        username=smtp.username or "",
        password=lambda: _read(settings, smtp.password),
        token=lambda: _read(settings, smtp.token),
        auth=smtp.auth,
        helo=smtp.helo,
    )


def drafts(settings: Settings) -> Drafts | None:
    """Where drafts are put, if anywhere. Its secret is read when it is first needed."""
    imap = settings.config.mail.imap
    if imap is None:
        return _gmail_for_drafts(settings)
    from connectors.imap import ImapDrafts  # noqa: PLC0415 - loaded only where it is used

    return ImapDrafts(
        host=imap.host,
        port=imap.port_number,
        security=imap.security,
        username=imap.username,
        password=lambda: _read(settings, imap.password),
        drafts=imap.drafts or "",
        sent=imap.sent or "",
    )


def gmail(settings: Settings) -> Gmail:
    """The mailbox of ``mail.account``. A KeyError where that is no Google account."""
    from connectors.gmail import Gmail  # noqa: PLC0415 - loaded only where it is used
    from daemon.google_access import access  # noqa: PLC0415 - the same

    mail = settings.config.mail
    return Gmail(access(settings, mail.account or "").client(), mail.sender.address)


def _gmail_for_drafts(settings: Settings) -> Drafts | None:
    """The same, where any rule makes drafts: else the sign-in does not cover them."""
    if settings.config.mail.account is None:
        return None
    from daemon.google_access import has_drafts  # noqa: PLC0415 - loaded only where it is used

    return gmail(settings) if has_drafts(settings) else None


def attendance(settings: Settings, account: str) -> AttendanceSource:
    """Where the records of an account's calls are read. A KeyError where it has none."""
    from connectors.google_meet import MeetAttendance  # noqa: PLC0415 - loaded only where it is used
    from daemon.google_access import access  # noqa: PLC0415 - the same

    return MeetAttendance(access(settings, account).client())


def webhook(settings: Settings, name: str) -> Webhook:
    """One of ``webhooks``; a name that is not there is a KeyError. Its secret is read at each post."""
    from connectors.webhook import Webhook  # noqa: PLC0415 - loaded only where it is used

    configured = settings.config.webhooks[name]
    return Webhook(
        configured.url,
        lambda: _read(settings, configured.secret),
        insecure_http=configured.insecure_http,
    )


def _read(settings: Settings, secret: Secret | None) -> str:
    try:
        return secret.read(settings.base) if secret else ""
    except SecretUnavailable as error:
        raise NeedsLogin(str(error)) from error
