"""How the owner's verdicts on a rule's messages went, and how far the rule may go by itself since.

A verdict counts for the rule as it was then, known by a digest of its words: whoever edits a rule starts
over with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select, update

from daemon.store.engine import owner_of
from daemon.store.schema import demotions
from daemon.store.upsert import insert


@dataclass(frozen=True, slots=True, kw_only=True)
class Demotion:
    """A rule that may not go further than ``mode`` as long as its digest is this one; since when (UTC)."""

    rule: str
    mode: str
    digest: str
    rejections: int
    changed_at: datetime


def rejected(conn: Connection, rule: str, digest: str, now: datetime) -> int:
    """The owner rejected a message of this rule: how often in a row that makes."""
    c = demotions.c
    row = conn.execute(
        select(c.rejections, c.mode, c.rule_digest).where(c.owner == owner_of(conn), c.rule == rule)
    ).one_or_none()
    if row is None or row.rule_digest != digest:
        _put(conn, rule, rejections=1, mode="", digest=digest, now=now)
        return 1
    _put(conn, rule, rejections=row.rejections + 1, mode=row.mode, digest=digest, now=now)
    return int(row.rejections) + 1


def approved(conn: Connection, rule: str) -> None:
    """The owner approved a message of this rule: rejections count from none again."""
    c = demotions.c
    conn.execute(update(demotions).where(c.owner == owner_of(conn), c.rule == rule).values(rejections=0))


def demote(conn: Connection, rule: str, mode: str, digest: str, now: datetime) -> None:
    """The rule may not go further than ``mode`` from now on; rejections count from none again."""
    _put(conn, rule, rejections=0, mode=mode, digest=digest, now=now)


def list_(conn: Connection) -> list[Demotion]:
    """Every demoted rule, by name; its digest says whether it still is what was demoted."""
    c = demotions.c
    query = select(demotions).where(c.owner == owner_of(conn), c.mode != "").order_by(c.rule)
    return [
        Demotion(
            rule=row.rule,
            mode=row.mode,
            digest=row.rule_digest,
            rejections=row.rejections,
            changed_at=row.changed_at,
        )
        for row in conn.execute(query)
    ]


def _put(conn: Connection, rule: str, *, rejections: int, mode: str, digest: str, now: datetime) -> None:
    values = {"rejections": rejections, "mode": mode, "rule_digest": digest, "changed_at": now}
    statement = insert(demotions).values(owner=owner_of(conn), rule=rule, **values)
    conn.execute(statement.on_conflict_do_update(index_elements=["owner", "rule"], set_=values))
