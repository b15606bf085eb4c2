"""From configuration to connectors and mailers: the only place that knows every kind."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from connectors.base import AttendanceSource, CalendarConnector, Drafts, Inbox, Mailer, NeedsLogin
from daemon.config.model import AccountConfig
from daemon.config.secret import Secret, SecretUnavailable
from daemon.config.settings import Settings
from daemon.loading import loading
from daemon.scopes_needed import has_drafts

if TYPE_CHECKING:
    from connectors.gmail import Gmail
    from connectors.google_scopes import Scope as GoogleScope
    from connectors.outlook_mail import OutlookMail
    from connectors.outlook_scopes import Scope as OutlookScope
    from connectors.webhook import Webhook

KINDS = ("caldav", "google", "outlook")


def kind(configured: AccountConfig) -> str:
    """What kind of calendar an account is."""
    return next(name for name in KINDS if getattr(configured, name, None) is not None)


def connector(settings: Settings, account: str) -> CalendarConnector:
    """The connector of one account. Raises :class:`NeedsLogin` where its secret cannot be read."""
    # Each kind's library is loaded only where that kind is used.
    with loading:
        import stamina.instrumentation  # noqa: PLC0415

    stamina.instrumentation.set_on_retry_hooks([])  # a second try within one call is no news
    return _MAKERS[kind(settings.accounts[account])](settings, account)


def _caldav(settings: Settings, account: str) -> CalendarConnector:
    with loading:
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
        private_network=caldav.private_network,
    )


def _google(settings: Settings, account: str) -> CalendarConnector:
    with loading:
        from connectors.google import GoogleConnector  # noqa: PLC0415 - loaded only where it is used
        from daemon.google_access import access  # noqa: PLC0415 - the same

    return GoogleConnector(
        account,
        access(settings, account).client(),
        calendars=settings.accounts[account].calendars,
        home_zone=settings.owner.zone,
    )


def _outlook(settings: Settings, account: str) -> CalendarConnector:
    with loading:
        from connectors.outlook import OutlookConnector  # noqa: PLC0415 - loaded only where it is used
        from daemon.outlook_access import access  # noqa: PLC0415 - the same

    return OutlookConnector(
        account,
        access(settings, account).client(),
        mine=settings.owner.addresses,
        calendars=settings.accounts[account].calendars,
        home_zone=settings.owner.zone,
    )


_MAKERS: dict[str, Callable[[Settings, str], CalendarConnector]] = {
    "caldav": _caldav,
    "google": _google,
    "outlook": _outlook,
}


def lacks(settings: Settings, account: str) -> list[str]:
    """What an account's sign-in does not allow and rebookd gets along without, each as ``send mails``.

    Raises :class:`NeedsLogin` for what it needs.
    """
    missing = _missing(settings, account)
    needed = [scope.why for scope in missing if not scope.optional]
    if needed:
        raise NeedsLogin(f"The sign-in does not allow to {'; to '.join(needed)}. Run: rebookd auth {account}")
    return [scope.why for scope in missing]


def _missing(settings: Settings, account: str) -> Sequence[GoogleScope | OutlookScope]:
    # Each kind's library is loaded only where that kind is used.
    if settings.accounts[account].google:
        with loading:
            from daemon import google_access  # noqa: PLC0415

        return google_access.access(settings, account).missing()
    if settings.accounts[account].outlook:
        with loading:
            from daemon import outlook_access  # noqa: PLC0415

        return outlook_access.access(settings, account).missing()
    return []


def mailer(settings: Settings) -> Mailer:
    """How mail leaves. Its secret is read when it is first needed."""
    smtp = settings.config.mail.smtp
    if smtp is None:
        return mailbox(settings)
    with loading:
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
        return mailbox(settings) if settings.config.mail.account and has_drafts(settings) else None
    with loading:
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


def inbox(settings: Settings) -> Inbox | None:
    """Where replies are read, if anywhere. Its secret is read when it is first needed."""
    # Each kind's library is loaded only where that kind is used.
    mail = settings.config.mail
    if not mail.reads_replies:
        return None
    name = mail.account or ""
    if mail.imap is not None:
        with loading:
            from connectors.imap_inbox import MOST_SAID, ImapInbox  # noqa: PLC0415
            from connectors.imap_wire import ImapServer  # noqa: PLC0415

        imap = mail.imap
        server = ImapServer(
            imap.host,
            imap.port_number,
            security=imap.security,
            username=imap.username,
            password=lambda: _read(settings, imap.password),
            most_bytes=MOST_SAID,
        )
        return ImapInbox(server, imap.inbox)
    if settings.accounts[name].outlook:
        with loading:
            from connectors.outlook_inbox import OutlookInbox  # noqa: PLC0415
            from daemon import outlook_access  # noqa: PLC0415

        return OutlookInbox(outlook_access.access(settings, name).client(), name)
    with loading:
        from connectors.gmail_inbox import GmailInbox  # noqa: PLC0415
        from daemon import google_access  # noqa: PLC0415

    return GmailInbox(google_access.access(settings, name).client(), name)


def mailbox(settings: Settings) -> Gmail | OutlookMail:
    """The mailbox of ``mail.account``. A KeyError where that account has none."""
    # Each kind's library is loaded only where that kind is used.
    mail = settings.config.mail
    name = mail.account or ""
    if settings.accounts[name].outlook:
        with loading:
            from connectors.outlook_mail import OutlookMail  # noqa: PLC0415
            from daemon import outlook_access  # noqa: PLC0415

        return OutlookMail(outlook_access.access(settings, name).client(), mail.sender.address)
    with loading:
        from connectors.gmail import Gmail  # noqa: PLC0415
        from daemon import google_access  # noqa: PLC0415

    return Gmail(google_access.access(settings, name).client(), mail.sender.address)


def attendance(settings: Settings, account: str) -> AttendanceSource:
    """Where the records of an account's calls are read. A KeyError where it has none."""
    # Each kind's library is loaded only where that kind is used.
    if settings.accounts[account].outlook:
        with loading:
            from connectors.outlook_teams import TeamsAttendance  # noqa: PLC0415
            from daemon import outlook_access  # noqa: PLC0415

        return TeamsAttendance(outlook_access.access(settings, account).client())
    with loading:
        from connectors.google_meet import MeetAttendance  # noqa: PLC0415
        from daemon import google_access  # noqa: PLC0415

    return MeetAttendance(google_access.access(settings, account).client())


def webhook(settings: Settings, name: str) -> Webhook:
    """One of ``webhooks``; a name that is not there is a KeyError. Its secret is read at each post."""
    with loading:
        from connectors.webhook import Webhook  # noqa: PLC0415 - loaded only where it is used

    configured = settings.config.webhooks[name]
    return Webhook(
        configured.url,
        lambda: _read(settings, configured.secret),
        insecure_http=configured.insecure_http,
        private_network=configured.private_network,
    )


def _read(settings: Settings, secret: Secret | None) -> str:
    try:
        return secret.read(settings.base) if secret else ""
    except SecretUnavailable as error:
        raise NeedsLogin(str(error)) from error
