"""From configuration to connectors and mailers: the only place that knows every kind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from connectors.base import CalendarConnector, Drafts, Mailer, NeedsLogin
from daemon.config.model import AccountConfig
from daemon.config.secret import Secret, SecretUnavailable
from daemon.config.settings import Settings

if TYPE_CHECKING:
    from connectors.webhook import Webhook

KINDS = ("caldav",)


def kind(configured: AccountConfig) -> str:
    """What kind of calendar an account is."""
    return next(name for name in KINDS if getattr(configured, name, None) is not None)


def connector(settings: Settings, account: str) -> CalendarConnector:
    """The connector of one account. Raises :class:`NeedsLogin` where its secret cannot be read."""
    # Each kind's library is loaded only where that kind is used.
    import stamina.instrumentation  # noqa: PLC0415

    from connectors.caldav import CalDavConnector  # noqa: PLC0415

    stamina.instrumentation.set_on_retry_hooks([])  # a second try within one call is no news

    configured = settings.accounts[account]
    caldav = configured.caldav
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


def mailer(settings: Settings) -> Mailer:
    """How mail leaves. Its secret is read when it is first needed."""
    from connectors.smtp import SmtpMailer  # noqa: PLC0415

    smtp = settings.config.mail.smtp
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
    """Where drafts are put; None without ``mail.imap``. Its secret is read when it is first needed."""
    imap = settings.config.mail.imap
    if imap is None:
        return None
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
