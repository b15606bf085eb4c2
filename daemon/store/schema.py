"""The tables. The migrations build them; a test holds the two equal.

A calendar holds resources, a resource holds occurrences, an occurrence has people. The resource without
an href is a calendar's graveyard: what is remembered of occurrences that were perhaps cancelled.
Deliveries, attendance, records of calls, contacts and history stand alone: they outlive the meetings they
are about.
Silences, opt-outs and demotions are the owner's standing word. Answers are what people said beside the
calendars; an agreement is a new time that was found with them, once for each time a meeting had. Letters in
are the mails that were read, by their Message-ID alone, so that none is taken twice.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from daemon.store.types import Instant

metadata = MetaData()

ID = BigInteger().with_variant(Integer, "sqlite")
"""The number of a row, as long as the database has them."""


def only_where(condition: str, in_postgresql: str = "") -> dict[str, Any]:
    """What an index of some rows only is told, where PostgreSQL says it in other words than SQLite."""
    return {"sqlite_where": text(condition), "postgresql_where": text(in_postgresql or condition)}


def _owner(*, primary_key: bool = False) -> Column[str]:
    return Column("owner", String, nullable=False, primary_key=primary_key)


def _parent(name: str, target: str, *, primary_key: bool = False) -> Column[int]:
    return Column(name, ID, ForeignKey(target, ondelete="CASCADE"), nullable=False, primary_key=primary_key)


meta = Table(
    "meta",
    metadata,
    _owner(primary_key=True),
    Column("key", String, primary_key=True),
    Column("value", Text, nullable=False),
)

accounts = Table(
    "accounts",
    metadata,
    _owner(primary_key=True),
    Column("name", String, primary_key=True),
    Column("kind", String, nullable=False),
    Column("first_seen_at", Instant),
    Column("seen_at", Instant),
    Column("error_kind", String, nullable=False),
    Column("error", Text, nullable=False),
    Column("error_since", Instant),
    Column("failures", Integer, nullable=False),
)

calendars = Table(
    "calendars",
    metadata,
    Column("id", ID, primary_key=True),
    _owner(),
    Column("account", String, nullable=False),
    Column("ref", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("cursor", Text, nullable=False),
    Column("first_seen_at", Instant, nullable=False),
    Column("seen_at", Instant, nullable=False),
    Column("events", Integer, nullable=False),
    Column("schedules", Boolean, nullable=False),
    Column("shrink_seen", Text),
    Column("horizon_end", Instant, nullable=False),
    UniqueConstraint("owner", "account", "ref", name="uq_calendars"),
)

resources = Table(
    "resources",
    metadata,
    Column("id", ID, primary_key=True),
    _owner(),
    _parent("calendar_id", "calendars.id"),
    Column("href", Text, nullable=False),
    Column("etag", Text, nullable=False),
    Column("uid", Text, nullable=False),
    Column("raw", Text, nullable=False),
    Column("recurring", Boolean, nullable=False),
    Column("broken", Text, nullable=False),
    Column("observed_at", Instant, nullable=False),
    UniqueConstraint("calendar_id", "href", name="uq_resources"),
)

occurrences = Table(
    "occurrences",
    metadata,
    Column("id", ID, primary_key=True),
    _owner(),
    _parent("resource_id", "resources.id"),
    Column("uid", Text, nullable=False),
    Column("recurrence_id", String, nullable=False),
    Column("start", Instant, nullable=False),
    Column("end", Instant, nullable=False),
    Column("timed", Boolean, nullable=False),
    Column("long", Boolean, nullable=False),
    Column("title", Text, nullable=False),
    Column("record", Text, nullable=False),
    Column("wake_at", Instant),
    UniqueConstraint("resource_id", "uid", "recurrence_id", name="uq_occurrences"),
    Index("ix_occurrences_uid", "owner", "uid", "recurrence_id"),
    Index("ix_occurrences_start", "owner", "start"),
    Index("ix_occurrences_long", "owner", "end", **only_where("long = 1", "long")),
    Index("ix_occurrences_untimed", "owner", "end", **only_where("timed = 0", "NOT timed")),
    Index(
        "ix_occurrences_wake",
        "owner",
        "wake_at",
        **only_where("wake_at IS NOT NULL"),
    ),
)

people = Table(
    "people",
    metadata,
    _owner(primary_key=True),
    Column("address", String, primary_key=True),
    Column("start", Instant, primary_key=True),
    _parent("occurrence_id", "occurrences.id", primary_key=True),
    Index("ix_people_occurrence", "occurrence_id"),
    sqlite_with_rowid=False,
)

attendance = Table(
    "attendance",
    metadata,
    _owner(primary_key=True),
    Column("uid", Text, primary_key=True),
    Column("recurrence_id", String, primary_key=True),
    Column("held", String, nullable=False),
    Column("source", Text, nullable=False),
    Column("at", Instant, nullable=False),
)

call_records = Table(
    "call_records",
    metadata,
    _owner(primary_key=True),
    Column("uid", Text, primary_key=True),
    Column("recurrence_id", String, primary_key=True),
    Column("account", String, primary_key=True),
    Column("start", Instant, nullable=False),
    Column("held", String, nullable=False),
    Column("source", Text, nullable=False),
    Column("at", Instant, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("next_at", Instant),
)

call_users = Table(
    "call_users",
    metadata,
    _owner(primary_key=True),
    Column("service", String, primary_key=True),
    Column("user", String, primary_key=True),
    Column("address", String, primary_key=True),
    Column("learned_at", Instant, nullable=False),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", ID, primary_key=True),
    _owner(),
    Column("intent_key", Text, nullable=False),
    Column("state", String, nullable=False),
    Column("rule", Text, nullable=False),
    Column("step", Text, nullable=False),
    Column("do", String, nullable=False),
    Column("mode", String, nullable=False),
    Column("detector", String, nullable=False),
    Column("tone", String, nullable=False),
    Column("template", Text),
    Column("account", String, nullable=False),
    Column("calendar", Text, nullable=False),
    Column("uid", Text, nullable=False),
    Column("recurrence_id", String, nullable=False),
    Column("start", Instant),
    Column("to", String, nullable=False),
    Column("people", Text, nullable=False),
    Column("due", Instant, nullable=False),
    Column("until", Instant, nullable=False),
    Column("reason", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("message_id", Text, nullable=False),
    Column("raw", LargeBinary),
    Column("offered", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_try_at", Instant, nullable=False),
    Column("cleared_at", Instant),
    Column("error", Text, nullable=False),
    Column("lease_until", Instant),
    Column("lease_by", Text, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("changed_at", Instant, nullable=False),
    Column("sent_at", Instant),
    Column("turn", Integer, nullable=False, server_default="1"),
    Column("group_key", Text, nullable=False, server_default=""),
    Column("carried_by", ID),
    UniqueConstraint("owner", "intent_key", name="uq_deliveries"),
    Index("ix_deliveries_state", "owner", "state", "next_try_at"),
    Index("ix_deliveries_uid", "owner", "uid", "recurrence_id"),
    Index("ix_deliveries_sent", "owner", "sent_at"),
    Index("ix_deliveries_to", "owner", "to", "sent_at"),
    Index("ix_deliveries_group", "owner", "group_key", **only_where("group_key <> ''")),
    Index("ix_deliveries_message", "owner", "message_id", **only_where("message_id <> ''")),
)

contacts = Table(
    "contacts",
    metadata,
    _owner(primary_key=True),
    Column("address", String, primary_key=True),
    Column("encounters", Text, nullable=False),
    Column("met_at", Instant, nullable=False),
    Column("account", String, nullable=False),
    Column("calendar", Text, nullable=False),
    Column("uid", Text, nullable=False),
    Column("recurrence_id", String, nullable=False),
    Column("href", Text, nullable=False),
    Column("last", Text),
    Column("updated_at", Instant, nullable=False),
    Column("wake_at", Instant),
    Index("ix_contacts_uid", "owner", "uid", "recurrence_id"),
    Index("ix_contacts_wake", "owner", "wake_at", **only_where("wake_at IS NOT NULL")),
)

silences = Table(
    "silences",
    metadata,
    Column("id", ID, primary_key=True),
    _owner(),
    Column("match", Text, nullable=False),
    Column("starts_at", Instant, nullable=False),
    Column("ends_at", Instant, nullable=False),
    Column("comment", Text, nullable=False),
    Column("created_at", Instant, nullable=False),
    Index("ix_silences_ends", "owner", "ends_at"),
)

optouts = Table(
    "optouts",
    metadata,
    _owner(primary_key=True),
    Column("pattern", String, primary_key=True),
    Column("comment", Text, nullable=False),
    Column("created_at", Instant, nullable=False),
)

demotions = Table(
    "demotions",
    metadata,
    _owner(primary_key=True),
    Column("rule", String, primary_key=True),
    Column("rejections", Integer, nullable=False),
    Column("mode", String, nullable=False),
    Column("rule_digest", String, nullable=False),
    Column("changed_at", Instant, nullable=False),
)

answers = Table(
    "answers",
    metadata,
    Column("id", ID, primary_key=True),
    _owner(),
    Column("uid", Text, nullable=False),
    Column("recurrence_id", String, nullable=False),
    Column("start", Instant, nullable=False),
    Column("address", String, nullable=False),
    Column("partstat", String, nullable=False),
    Column("picked", Text, nullable=False),
    Column("proposed", Text, nullable=False),
    Column("words", Text, nullable=False),
    Column("source", String, nullable=False),
    Column("delivery", ID),
    Column("at", Instant, nullable=False),
    Index("ix_answers_uid", "owner", "uid", "recurrence_id"),
)

agreements = Table(
    "agreements",
    metadata,
    Column("id", ID, primary_key=True),
    _owner(),
    Column("account", String, nullable=False),
    Column("calendar", Text, nullable=False),
    Column("uid", Text, nullable=False),
    Column("recurrence_id", String, nullable=False),
    Column("start", Instant, nullable=False),
    Column("new_start", Instant, nullable=False),
    Column("new_end", Instant, nullable=False),
    Column("kind", String, nullable=False),
    Column("state", String, nullable=False),
    Column("address", String, nullable=False),
    Column("delivery", ID),
    Column("why", Text, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("changed_at", Instant, nullable=False),
    Index(
        "uq_agreements",
        "owner",
        "uid",
        "recurrence_id",
        "start",
        unique=True,
        **only_where("state <> 'dropped'"),
    ),
    Index("ix_agreements_new", "owner", "new_end"),
)

inboxes = Table(
    "inboxes",
    metadata,
    _owner(primary_key=True),
    Column("name", Text, primary_key=True),
    Column("cursor", Text, nullable=False),
    Column("read_at", Instant),
    Column("error_since", Instant),
    Column("error", Text, nullable=False),
    Column("failures", Integer, nullable=False),
)

letters_in = Table(
    "letters_in",
    metadata,
    _owner(primary_key=True),
    Column("message_id", Text, primary_key=True),
    Column("became", String, nullable=False),
    Column("at", Instant, nullable=False),
    Index("ix_letters_in_at", "owner", "at"),
)

history = Table(
    "history",
    metadata,
    Column("id", ID, primary_key=True),
    _owner(),
    Column("account", String, nullable=False),
    Column("calendar", Text, nullable=False),
    Column("uid", Text, nullable=False),
    Column("recurrence_id", String, nullable=False),
    Column("record", Text, nullable=False),
    Column("start", Instant, nullable=False),
    Column("end", Instant, nullable=False),
    Column("until", Instant, nullable=False),
    Index("ix_history_until", "owner", "until"),
)
