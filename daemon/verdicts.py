"""What the owner's word on a held message means for its rule: two rejections in a row cost it trust."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection

from daemon import brakes, standing
from daemon.config.settings import Settings
from daemon.outbox_notices import tell_demoted
from daemon.store import deliveries, demotions
from daemon.store.deliveries import Delivery
from rules.delivery import State
from rules.policy import Mode, Rule

PATIENCE = 2
"""So many rejections in a row demote a rule."""

LADDER = (Mode.OBSERVE, Mode.DRAFT, Mode.APPROVE, Mode.AUTO)
"""From doing nothing by itself to doing everything."""


def approve(conn: Connection, settings: Settings, id_: int, now: datetime) -> bool:
    """Let a held message go; False when there is none. Raises ForbiddenMove."""
    delivery = deliveries.get(conn, id_)
    if delivery is None or not deliveries.approve(conn, id_, now):
        return False
    if _rule_judged(settings, delivery) is not None:
        demotions.approved(conn, delivery.rule)
    return True


def cancel(conn: Connection, settings: Settings, id_: int, now: datetime) -> Mode | bool:
    """Drop a waiting message; the rule's new mode where that demotes it. False when there is none.

    Raises ForbiddenMove.
    """
    delivery = deliveries.get(conn, id_)
    if delivery is None or not deliveries.cancel(conn, id_, now):
        return False
    rule = _rule_judged(settings, delivery)
    if rule is None:
        return True
    digest = standing.digest(rule)
    if demotions.rejected(conn, rule.name, digest, now) < PATIENCE:
        return True
    present = standing.in_force(conn, settings.policy, now).demoted.get(rule.name, Mode.AUTO)
    mode = _below(min(present, rule.mode, Mode(delivery.mode), key=LADDER.index))
    demotions.demote(conn, rule.name, mode.value, digest, now)
    tell_demoted(conn, rule.name, settings.owner.addresses[0], now, mode=mode.value, digest=digest)
    return mode


def _rule_judged(settings: Settings, delivery: Delivery) -> Rule | None:
    """The rule on which the owner's word about this message is a verdict; None where it is not.

    What the flood brake holds says nothing about a rule.
    """
    if delivery.state is not State.HELD or delivery.error == brakes.FLOOD:
        return None
    return next((rule for rule in settings.policy.rules if rule.name == delivery.rule), None)


def _below(mode: Mode) -> Mode:
    return LADDER[max(LADDER.index(mode) - 1, 0)]
