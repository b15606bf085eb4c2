"""What the configuration and the rules do with an account, from which follows what it is asked to allow."""

from __future__ import annotations

from dataclasses import dataclass

from daemon.attendance import is_asked
from daemon.config.settings import Settings
from rules.policy import Do, Mode


@dataclass(frozen=True, slots=True, kw_only=True)
class Uses:
    """What is done with an account beside reading its calendars, in the words of each ``scopes_for``.

    ``writes``: meetings are moved or labelled; ``free_busy``: new times are offered; ``attendance``: the
    records of calls are read; ``mail``: it sends mail; ``drafts``: it takes drafts; ``replies``: what is
    replied to its mails is read.
    """

    writes: bool
    free_busy: bool
    attendance: bool
    mail: bool
    drafts: bool
    replies: bool


def uses(settings: Settings, account: str) -> Uses:
    """What is done with one account."""
    done = {step.do for rule in settings.policy.rules for step in rule.then}
    watching = settings.accounts[account].mode is Mode.OBSERVE
    mail = settings.config.mail.account == account
    return Uses(
        writes=not watching and bool(done & {Do.MARK, Do.RESCHEDULE}),
        free_busy=Do.RESCHEDULE in done,
        attendance=is_asked(settings, account),
        mail=mail,
        drafts=mail and has_drafts(settings),
        replies=mail and settings.config.mail.replies,
    )


def has_drafts(settings: Settings) -> bool:
    """Whether anything may be laid down as a draft."""
    modes = [rule.mode for rule in settings.policy.rules]
    return Mode.DRAFT in (*modes, *(each.mode for each in settings.accounts.values()))
