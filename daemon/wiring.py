"""From configuration to connectors and mailers: the only place that knows every kind."""

from __future__ import annotations

from connectors.base import CalendarConnector, Mailer, NeedsLogin
from daemon.config.model import AccountConfig
from daemon.config.secret import Secret, SecretUnavailable
from daemon.config.settings import Settings

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


def _read(settings: Settings, secret: Secret | None) -> str:
    try:
        return secret.read(settings.base) if secret else ""
    except SecretUnavailable as error:
        raise NeedsLogin(str(error)) from error
