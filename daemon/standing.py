"""What the owner has said since the rules were written: silences, opt-outs, and demoted rules."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from daemon.store import demotions, optouts, silences
from rules.fields import Pattern
from rules.policy import Mode, Policy, Rule, Silence, SilenceMatch


def in_force(conn: Connection, policy: Policy, now: datetime) -> Policy:
    """The rules with all that holds at ``now`` (UTC)."""
    return policy.model_copy(
        update={
            "silences": tuple(
                Silence(
                    id=one.id,
                    match=SilenceMatch.model_validate(one.match),
                    until=one.ends_at,
                    comment=one.comment,
                )
                for one in silences.active(conn, now)
            ),
            "optouts": tuple(Pattern(one.pattern) for one in optouts.list_(conn)),
            "demoted": _demoted(conn, policy),
        }
    )


def _demoted(conn: Connection, policy: Policy) -> dict[str, Mode]:
    rules = {rule.name: rule for rule in policy.rules}
    return {
        one.rule: Mode(one.mode)
        for one in demotions.list_(conn)
        if one.rule in rules and one.digest == digest(rules[one.rule])
    }


def digest(rule: Rule) -> str:
    """What tells a rule from what it was before somebody edited it."""
    return hashlib.sha256(rule.model_dump_json().encode()).hexdigest()


def in_words(match: dict[str, Any]) -> str:
    """A match as it could be given again."""
    return ", ".join(
        f"{key}={value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}"
        for key, value in match.items()
    )
