"""What SQLite's query planner should believe about the size and spread of the tables.

Without statistics it takes ``owner = ?`` to be a narrow choice, when nearly every row has the same owner,
and walks a whole table in the name of an index. Measured statistics would do, but a young file has none;
these fixed ones (https://sqlite.org/lang_analyze.html) keep every plan the same on every file.
"""

from __future__ import annotations

from sqlalchemy import Connection, text

_ROWS = 300_000

STATISTICS = {
    ("calendars", "sqlite_autoindex_calendars_1"): "20 20 5 1",
    ("resources", "sqlite_autoindex_resources_1"): f"{_ROWS} 5000 1",
    ("occurrences", "sqlite_autoindex_occurrences_1"): f"{_ROWS} 10 10 1",
    ("occurrences", "ix_occurrences_uid"): f"{_ROWS} {_ROWS} 10 2",
    ("occurrences", "ix_occurrences_start"): f"{_ROWS} {_ROWS} 5",
    ("occurrences", "ix_occurrences_long"): "100 100 1",
    ("occurrences", "ix_occurrences_untimed"): "5000 5000 1",
    ("occurrences", "ix_occurrences_wake"): f"{_ROWS} {_ROWS} 20",
    ("people", "people"): f"{_ROWS} {_ROWS} 500 2 1",
    ("people", "ix_people_occurrence"): f"{_ROWS} 3 3 3 1",
    ("attendance", "sqlite_autoindex_attendance_1"): f"{_ROWS} {_ROWS} 5 1",
    ("call_records", "sqlite_autoindex_call_records_1"): "10000 10000 5 1 1",
    ("call_users", "sqlite_autoindex_call_users_1"): "1000 1000 500 1 1",
    ("deliveries", "sqlite_autoindex_deliveries_1"): f"{_ROWS} {_ROWS} 1",
    ("deliveries", "ix_deliveries_state"): f"{_ROWS} {_ROWS} 1000 2",
    ("deliveries", "ix_deliveries_uid"): f"{_ROWS} {_ROWS} 5 2",
    ("deliveries", "ix_deliveries_sent"): f"{_ROWS} {_ROWS} 2",
    ("deliveries", "ix_deliveries_to"): f"{_ROWS} {_ROWS} 100 1",
    ("deliveries", "ix_deliveries_group"): f"{_ROWS} {_ROWS} 3",
    ("contacts", "sqlite_autoindex_contacts_1"): f"{_ROWS} {_ROWS} 1",
    ("contacts", "ix_contacts_uid"): f"{_ROWS} {_ROWS} 10 2",
    ("contacts", "ix_contacts_wake"): f"{_ROWS} {_ROWS} 20",
    ("silences", "ix_silences_ends"): "1000 1000 1",
    ("optouts", "sqlite_autoindex_optouts_1"): "1000 1000 1",
    ("demotions", "sqlite_autoindex_demotions_1"): "100 100 1",
    ("history", "ix_history_until"): f"{_ROWS} {_ROWS} 5",
}
"""For each index: rows, then rows that share its first column, its first two, and so on."""


def teach(conn: Connection) -> None:
    """Write the statistics; connections opened afterwards believe them."""
    conn.execute(text("ANALYZE"))
    conn.execute(text("DELETE FROM sqlite_stat1"))
    conn.execute(
        text("INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES (:tbl, :idx, :stat)"),
        [{"tbl": table, "idx": index, "stat": stat} for (table, index), stat in STATISTICS.items()],
    )
